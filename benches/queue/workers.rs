//! Four worker processes against one, on one Postgres: how much faster, and is each voicemail handed over once?

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::database::Engine;
use crate::figures;
use crate::stage::{Plan, Stage};

const BATCH: usize = 2_000;
const CARRIER_MILLIS: u64 = 50;
/// One against four so often.
const ROUNDS: usize = 2;
const WANTED: f64 = 2.0;

pub async fn run(engine: Engine) -> anyhow::Result<()> {
    figures::title(
        "workers",
        engine.as_str(),
        "2,000 drained by one and by four processes; carrier 50 ms, 4 permits each",
    );
    if engine == Engine::Sqlite {
        println!("  one process owns a SQLite file: there is nothing to compare");
        return Ok(());
    }
    for _ in 0..ROUNDS {
        let one = rate(1).await?;
        let four = rate(4).await?;
        let ratio = four / one;
        let verdict = match ratio >= WANTED {
            true => "reached",
            false => "NOT REACHED",
        };
        println!(
            "  one {one:.1} a second, four {four:.1} a second: ratio {ratio:.2}; wanted {WANTED}: {verdict}"
        );
    }
    Ok(())
}

/// Voicemails a second, from the first call of the carrier to the last.
async fn rate(workers: usize) -> anyhow::Result<f64> {
    // This process takes the calls, so that it has no part in the work.
    let others = vec!["worker"; workers];
    let stage = Stage::start(&Plan {
        engine: Engine::Postgres,
        roles: "api",
        others: &others,
        permits: 4,
        carrier_millis: CARRIER_MILLIS,
    })
    .await?;
    stage.client.original().await?;
    stage.suspended_batch(BATCH).await?;
    stage.client.resume().await?;
    let delivered = "SELECT count(*) FROM voicemails WHERE end_time IS NOT NULL";
    stage
        .until("all are at an end", |stage| {
            Ok(stage.database.count(delivered)? >= BATCH)
        })
        .await?;
    let (first, last) = (stage.calls.first(), stage.calls.last());
    let took = last
        .context("something was handed over")?
        .duration_since(first.context("something was handed over")?);
    // 4: DELIVERED.
    let once = "SELECT count(*) FROM voicemails WHERE status = 4 AND attempt_count = 1";
    let once = stage.database.count(once)?;
    let attempts = stage.database.count("SELECT count(*) FROM attempts")?;
    let (handed_over, repeated) = (stage.calls.count(), stage.calls.repeated());
    println!(
        "  {workers} process(es): {handed_over} handed over, {repeated} of them more than once; {once} delivered with one attempt, {attempts} attempts in all"
    );
    ensure!(
        (handed_over, repeated, once, attempts) == (BATCH, 0, BATCH, BATCH),
        "each should be handed over once"
    );
    stage.stop().await?;
    Ok(BATCH as f64 / (took + Duration::from_millis(CARRIER_MILLIS)).as_secs_f64())
}
