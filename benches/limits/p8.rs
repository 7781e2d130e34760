//! P8: from accepting a message to the carrier's call on an idle system, beside graphile-worker's from adding a job to its
//! start, on the same Postgres.

use std::time::{Duration, Instant};

use crate::Pace;
use crate::database::Engine;
use crate::graphile::Graphile;
use crate::rows::{Row, Series, Wanted};
use crate::stage::{Plan, Stage};

const WARM_UP: usize = 20;
const CONCURRENCY: usize = 16;
/// For both to find that there is no more, so that the next message meets an idle system.
const PAUSE: Duration = Duration::from_millis(10);

pub async fn run(pace: Pace) -> anyhow::Result<Vec<Row>> {
    let messages = pace.choose(60, 300);
    println!("P8: {messages} messages and jobs in turn, one at a time");
    // Both are added and taken by one process: here this one, which also is the client.
    let stage = Stage::start(&Plan {
        engine: Engine::Postgres,
        roles: "api,worker",
        others: &[],
        permits: CONCURRENCY,
        carrier_millis: 0,
    })
    .await?;
    let mut graphile = Graphile::idle(CONCURRENCY).await?;
    let [mut ours, mut beside] = <[Series; 2]>::default();
    for round in 0..WARM_UP + messages {
        let job = graphile.add_one().await?;
        tokio::time::sleep(PAUSE).await;
        let message = send_one(&stage).await?;
        tokio::time::sleep(PAUSE).await;
        if round >= WARM_UP {
            ours.push(message);
            beside.push(job);
        }
    }
    stage.stop().await?;
    let row = |what: &str, ours: Series, beside: Series| Row {
        id: "P8",
        what: format!("Postgres: accept to carrier, idle, {what}"),
        ours,
        unit: "ms",
        beside: Some(("graphile-worker, add to start", beside)),
        wanted: Wanted::AtMost(1.0),
    };
    let p99 = |series: &Series| Series(vec![series.at(0.99)]);
    let slowest = row("p99", p99(&ours), p99(&beside));
    Ok(vec![row("p50", ours, beside), slowest])
}

/// Milliseconds from the call that makes a voicemail to the carrier's call.
async fn send_one(stage: &Stage) -> anyhow::Result<f64> {
    let client = &stage.client;
    let start = Instant::now();
    let id = client.create(&client.use_case_id, None).await?;
    let took = stage.calls.of(&id).await?.duration_since(start);
    client.until_delivered(&id).await?;
    Ok(took.as_secs_f64() * 1e3)
}
