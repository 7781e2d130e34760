//! P1 and P1b: SendVoicemail with audio, as fast as can be; all of it different, and all of it the same.
//!
//! Beside it a bare tonic server does the least that has to be done: it hashes, and where audio is new, appends it to a file.

use std::time::Duration;

use anyhow::ensure;

use crate::Pace;
use crate::accepting::{Accepting, Figures};
use crate::callers::{CALLERS, Sends};
use crate::database::Engine;
use crate::recording::Recording;
use crate::rows::{Row, Wanted};
use crate::servers::{Keeps, Server};

/// What tells P1 from P1b.
pub struct Plan {
    id: &'static str,
    sink: &'static str,
    is_audio_new: bool,
    rate_wanted: f64,
    cpu_wanted: f64,
}

pub const DIFFERENT: Plan = Plan {
    id: "P1",
    sink: "hash, append",
    is_audio_new: true,
    rate_wanted: 0.5,
    cpu_wanted: 3.0,
};

pub const SAME: Plan = Plan {
    id: "P1b",
    sink: "hash",
    is_audio_new: false,
    rate_wanted: 0.7,
    cpu_wanted: 1.5,
};

pub async fn run(plan: &Plan, pace: Pace) -> anyhow::Result<Vec<Row>> {
    let time = Duration::from_secs(pace.choose(2, 3));
    let rounds = pace.choose(1, 3);
    let recording = Recording::of_30_s();
    let sends = match plan.is_audio_new {
        true => Sends::Different(recording),
        false => Sends::Same(recording),
    };
    let (sqlite, postgres) = (
        Accepting::start(Engine::Sqlite).await?,
        Accepting::start(Engine::Postgres).await?,
    );
    let [mut on_sqlite, mut on_postgres, mut bare] = <[Figures; 3]>::default();
    let mut calls = [0; 2];
    for round in 1..=rounds {
        calls[0] += sqlite.measure(&sends, time, &mut on_sqlite).await?;
        calls[1] += postgres.measure(&sends, time, &mut on_postgres).await?;
        let folder = tempfile::tempdir()?;
        let sink = Server::sink(&match plan.is_audio_new {
            true => Keeps::Bytes(folder.path()),
            false => Keeps::Hash,
        })?;
        let order = sqlite.order(&sends);
        bare.measure(&sink, None, &order, time).await?;
        println!(
            "{}: round {round} of {rounds}: SQLite {:.0}, Postgres {:.0}, bare server {:.0} calls/s",
            plan.id,
            on_sqlite.rate.last(),
            on_postgres.rate.last(),
            bare.rate.last(),
        );
    }
    check(plan, &sqlite, calls[0])?;
    check(plan, &postgres, calls[1])?;
    let mut rows = rows(plan, "SQLite", &on_sqlite, &bare);
    rows.extend(self::rows(plan, "Postgres", &on_postgres, &bare));
    rows.push(Row {
        id: plan.id,
        what: "Postgres' own CPU per call".to_owned(),
        ours: on_postgres.postgres_cpu,
        unit: "ms",
        beside: None,
        wanted: Wanted::Nothing,
    });
    Ok(rows)
}

/// Was each voicemail stored, with its audio?
fn check(plan: &Plan, ours: &Accepting, calls: usize) -> anyhow::Result<()> {
    let voicemails = ours.database.count("SELECT count(*) FROM voicemails")?;
    // One comes with an empty database.
    let audios = ours.database.count("SELECT count(*) FROM audios")? - 1;
    let audios_wanted = match plan.is_audio_new {
        true => calls,
        false => 1,
    };
    ensure!(
        (voicemails, audios) == (calls, audios_wanted),
        "{calls} calls were answered, and there are {voicemails} voicemails and {audios} recordings"
    );
    Ok(())
}

fn rows(plan: &Plan, database: &str, ours: &Figures, bare: &Figures) -> Vec<Row> {
    let audio = match plan.is_audio_new {
        true => "all different",
        false => "all the same",
    };
    let rate = Row {
        id: plan.id,
        what: format!("{database}: SendVoicemail, 242 kB, {audio}, {CALLERS} callers"),
        ours: ours.rate.clone(),
        unit: "calls/s",
        beside: Some((plan.sink, bare.rate.clone())),
        wanted: Wanted::AtLeast(plan.rate_wanted),
    };
    let cpu = Row {
        id: plan.id,
        what: format!("{database}: CPU per call"),
        ours: ours.cpu.clone(),
        unit: "ms",
        beside: Some((plan.sink, bare.cpu.clone())),
        wanted: Wanted::AtMost(plan.cpu_wanted),
    };
    vec![rate, cpu]
}
