//! A long queue beside a short one.

use std::time::Duration;

use super::{CONCURRENCY, stop, take};
use crate::Pace;
use crate::database::Engine;
use crate::queue::Queue;
use crate::rows::{Row, Series, Wanted};
use crate::worker::Worker;

/// What is measured is the rate of the first so many, however long the queue is.
const TAKEN: usize = 10_000;

pub async fn run(pace: Pace) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for engine in [Engine::Postgres, Engine::Sqlite] {
        rows.push(on(engine, pace).await?);
    }
    Ok(rows)
}

async fn on(engine: Engine, pace: Pace) -> anyhow::Result<Row> {
    let waiting = pace.choose(50_000, 1_000_000);
    let rounds = pace.choose(1, 2);
    println!("P4: writing {waiting} that wait to {}", engine.as_str());
    let long = Queue::filled(engine, waiting).await?;
    let mut handed_over = 0;
    let [mut of_long, mut of_short] = <[Series; 2]>::default();
    for round in 1..=rounds {
        let short = Queue::filled(engine, TAKEN).await?;
        let (rate, count) = first(&short, pace).await?;
        of_short.push(rate);
        short.check(count)?;
        let (rate, count) = first(&long, pace).await?;
        of_long.push(rate);
        handed_over += count;
        println!(
            "P4: round {round} of {rounds}, {}: {:.0} a second with {waiting} waiting, {:.0} with {TAKEN}",
            engine.as_str(),
            of_long.last(),
            of_short.last(),
        );
    }
    long.check(handed_over)?;
    Ok(Row {
        id: "P4",
        what: format!("{}: deliveries, {waiting} waiting", engine.as_str()),
        ours: of_long,
        unit: "a second",
        beside: Some(("10,000 waiting", of_short)),
        wanted: Wanted::AtLeast(0.9),
    })
}

/// The rate, and how many were handed over in all.
async fn first(queue: &Queue, pace: Pace) -> anyhow::Result<(f64, usize)> {
    let most = Duration::from_secs(pace.choose(3, 10));
    let mut worker = Worker::start(&queue.database, CONCURRENCY).await?;
    let (handed_over, took) = take(&mut worker, TAKEN, most).await?;
    let rate = handed_over as f64 / took.as_secs_f64();
    Ok((rate, stop(worker).await?))
}
