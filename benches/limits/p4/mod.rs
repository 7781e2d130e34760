//! P4: what waits is claimed, handed over to a carrier that answers at once, and recorded: how many a second?

mod depth;
mod snapshot;

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::Pace;
use crate::database::Engine;
use crate::graphile::Graphile;
use crate::queue::Queue;
use crate::rows::{Row, Series, Wanted};
use crate::usage::{self, PostgresServer};
use crate::worker::Worker;

/// Of graphile-worker as of ours. Its own performance tests have it so, and with more it was not faster. A worker of ours
/// gives one setup three quarters of it.
const CONCURRENCY: usize = 24;
const GRAPHILE: &str = "graphile-worker, no-op jobs";
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub async fn run(pace: Pace) -> anyhow::Result<Vec<Row>> {
    println!("P4: {CONCURRENCY} at once, of ours and of graphile-worker");
    let mut rows = drained(pace).await?;
    rows.extend(depth::run(pace).await?);
    rows.extend(snapshot::run(pace).await?);
    Ok(rows)
}

/// What draining took.
#[derive(Default)]
struct Figures {
    /// A second.
    rate: Series,
    /// Milliseconds of processor time for each: of the process, and of the Postgres server.
    cpu: Series,
    postgres_cpu: Series,
}

async fn drained(pace: Pace) -> anyhow::Result<Vec<Row>> {
    let count = pace.choose(20_000, 200_000);
    // Where a queue takes longer, its rate until then counts.
    let most = Duration::from_secs(pace.choose(6, 12));
    let rounds = pace.choose(1, 2);
    let [mut on_postgres, mut on_sqlite, mut beside] = <[Figures; 3]>::default();
    for round in 1..=rounds {
        drain_ours(Engine::Postgres, count, most, &mut on_postgres).await?;
        drain_graphile(count, &mut beside).await?;
        drain_ours(Engine::Sqlite, count, most, &mut on_sqlite).await?;
        println!(
            "P4: round {round} of {rounds}, {count} waiting: Postgres {:.0}, SQLite {:.0}, graphile-worker {:.0} a second",
            on_postgres.rate.last(),
            on_sqlite.rate.last(),
            beside.rate.last(),
        );
    }
    let row = |what: &str, unit, ours: &Series, beside: (&'static str, &Series), wanted| Row {
        id: "P4",
        what: format!("{what}, {count} waiting"),
        ours: ours.clone(),
        unit,
        beside: Some((beside.0, beside.1.clone())),
        wanted,
    };
    let nothing = Wanted::Nothing;
    Ok(vec![
        row(
            "Postgres: deliveries",
            "a second",
            &on_postgres.rate,
            (GRAPHILE, &beside.rate),
            Wanted::AtLeast(1.0),
        ),
        row(
            "SQLite: deliveries",
            "a second",
            &on_sqlite.rate,
            ("ours on Postgres", &on_postgres.rate),
            Wanted::AtLeast(0.7),
        ),
        row(
            "Postgres: CPU of the worker for each",
            "ms",
            &on_postgres.cpu,
            (GRAPHILE, &beside.cpu),
            nothing,
        ),
        row(
            "Postgres: CPU of the server for each",
            "ms",
            &on_postgres.postgres_cpu,
            (GRAPHILE, &beside.postgres_cpu),
            nothing,
        ),
        row(
            "SQLite: CPU of the worker for each",
            "ms",
            &on_sqlite.cpu,
            ("ours on Postgres", &on_postgres.cpu),
            nothing,
        ),
    ])
}

async fn drain_ours(
    engine: Engine,
    count: usize,
    most: Duration,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let queue = Queue::filled(engine, count).await?;
    let server = match engine {
        Engine::Postgres => Some(PostgresServer::find(&queue.database.url)?),
        Engine::Sqlite => None,
    };
    let of_server = || {
        server
            .as_ref()
            .map_or(Ok(Duration::ZERO), PostgresServer::cpu)
    };
    let server_before = of_server()?;
    let mut worker = Worker::start(&queue.database, CONCURRENCY).await?;
    let (mut handed_over, mut took) = take(&mut worker, count, most).await?;
    if handed_over == count {
        while queue.is_busy()? {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        (handed_over, took) = worker.so_far().await?;
    }
    figures.note(
        handed_over,
        took,
        usage::cpu(worker.id())?,
        of_server()?.saturating_sub(server_before),
    );
    let handed_over = stop(worker).await?;
    queue.check(handed_over)
}

async fn drain_graphile(count: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let mut graphile = Graphile::with_jobs(count, CONCURRENCY).await?;
    let server = PostgresServer::find(&graphile.database.url)?;
    let (before, server_before) = (usage::cpu(graphile.id())?, server.cpu()?);
    let took = Duration::from_secs_f64(graphile.drain().await?);
    let cpu = usage::cpu(graphile.id())?.saturating_sub(before);
    figures.note(
        count,
        took,
        cpu,
        server.cpu()?.saturating_sub(server_before),
    );
    Ok(())
}

/// Waits until a worker has handed over so many, or for so long; gives how many it were, and in what time.
async fn take(
    worker: &mut Worker,
    count: usize,
    most: Duration,
) -> anyhow::Result<(usize, Duration)> {
    let start = Instant::now();
    loop {
        let (handed_over, took) = worker.so_far().await?;
        if handed_over >= count || start.elapsed() >= most {
            ensure!(handed_over > 0, "nothing was handed over");
            return Ok((handed_over, took));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Stops a worker; gives how many it handed over in all, each of them once.
async fn stop(worker: Worker) -> anyhow::Result<usize> {
    let (handed_over, repeated) = worker.stop().await?;
    ensure!(
        repeated == 0,
        "{repeated} of {handed_over} voicemails were handed over more than once"
    );
    Ok(handed_over)
}

impl Figures {
    fn note(&mut self, count: usize, took: Duration, cpu: Duration, postgres_cpu: Duration) {
        let count = count as f64;
        self.rate.push(count / took.as_secs_f64());
        self.cpu.push(cpu.as_secs_f64() * 1e3 / count);
        self.postgres_cpu
            .push(postgres_cpu.as_secs_f64() * 1e3 / count);
    }
}
