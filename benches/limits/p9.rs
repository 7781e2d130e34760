//! P9: how long a SendVoicemail with audio takes where half as many come as can be taken at most.
//!
//! Beside it a bare tonic server at the same rate. A call is due at its time whatever became of those before it, and its
//! latency counts from then on: a server that stalls does not slow the calls that show it.

use std::time::Duration;

use crate::Pace;
use crate::accepting::{Accepting, Figures};
use crate::callers::{self, Sends};
use crate::database::Engine;
use crate::recording::Recording;
use crate::rows::{Row, Series, Wanted};
use crate::servers::{Keeps, Server};

pub async fn run(pace: Pace) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for engine in [Engine::Sqlite, Engine::Postgres] {
        rows.extend(on(engine, pace).await?);
    }
    Ok(rows)
}

/// Of each round, in milliseconds.
#[derive(Default)]
struct Latency {
    median: Series,
    p99: Series,
}

impl Latency {
    fn push(&mut self, round: &Series) {
        self.median.push(round.median());
        self.p99.push(round.at(0.99));
    }
}

async fn on(engine: Engine, pace: Pace) -> anyhow::Result<Vec<Row>> {
    let time = Duration::from_secs(pace.choose(2, 4));
    let rounds = pace.choose(1, 3);
    let name = engine.as_str();
    let sends = Sends::Different(Recording::of_30_s());
    let accepting = Accepting::start(engine).await?;
    let folder = tempfile::tempdir()?;
    let sink = Server::sink(&Keeps::Bytes(folder.path()))?;
    let order = accepting.order(&sends);

    let mut peak = Figures::default();
    accepting.measure(&sends, time, &mut peak).await?;
    let per_second = peak.rate.median() / 2.0;
    let [mut ours, mut bare] = <[Latency; 2]>::default();
    for round in 1..=rounds {
        let addr = &accepting.server.addr;
        ours.push(&callers::at_a_rate(addr, &order, per_second, time).await?);
        bare.push(&callers::at_a_rate(&sink.addr, &order, per_second, time).await?);
        println!(
            "P9: {name}: round {round} of {rounds}, {per_second:.0} calls/s: p99 {:.1} ms, bare server {:.1} ms",
            ours.p99.last(),
            bare.p99.last()
        );
    }
    let row = |what: &str, ours: Series, bare: Series, wanted: Wanted| Row {
        id: "P9",
        what: format!("{name}: SendVoicemail, 242 kB, {per_second:.0} calls/s: {what}"),
        ours,
        unit: "ms",
        beside: Some(("hash, append", bare)),
        wanted,
    };
    let wanted = Wanted::AtMostAndMore {
        times: 3.0,
        more: 5.0,
    };
    Ok(vec![
        row("p50", ours.median, bare.median, Wanted::Nothing),
        row("p99", ours.p99, bare.p99, wanted),
    ])
}
