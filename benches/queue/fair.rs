//! How long a single message in one use case waits while another use case has a large batch.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::database::Engine;
use crate::figures;
use crate::stage::{Plan, Stage};

const BATCH: usize = 100_000;
const ROUNDS: usize = 20;
const WANTED: Duration = Duration::from_secs(2);

pub async fn run(engine: Engine) -> anyhow::Result<()> {
    figures::title(
        "fair",
        engine.as_str(),
        "100,000 wait in one use case; one message in another, until it is handed over; carrier 5 ms, 16 permits",
    );
    let stage = Stage::start(&Plan {
        engine,
        roles: "api,worker",
        others: &[],
        permits: 16,
        carrier_millis: 5,
    })
    .await?;
    let client = &stage.client;
    let single = client.another_use_case().await?;
    client.original().await?;
    stage.suspended_batch(BATCH).await?;
    client.resume().await?;
    stage
        .until("the batch is begun", |stage| Ok(stage.calls.count() >= 100))
        .await?;
    let (began, drained_before) = (Instant::now(), stage.calls.count());
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let id = client.create(&single, None).await?;
        times.push(stage.calls.of(&id).await?.duration_since(start));
        // Batches go on for minutes, and messages come at any moment of them.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let drained = stage.calls.count() - drained_before;
    let rate = drained as f64 / began.elapsed().as_secs_f64();
    let left = tokio::task::block_in_place(|| stage.database.waiting())?;
    if left == 0 {
        bail!("the batch was drained before the last message came");
    }
    figures::line("until it is handed over", &times);
    figures::wanted(&times, WANTED);
    println!("  meanwhile {rate:.0} a second were handed over; {left} still waited at the end");
    stage.stop().await
}
