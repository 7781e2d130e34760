//! P2: SendVoicemail of stored audio, as fast as can be.
//!
//! Beside it the same database is given one row a transaction by the shortest way that there is: Postgres by pgbench, with as
//! many clients; SQLite by a loop on one connection. What a server of tonic answers at most is printed too.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::task::block_in_place;

use crate::Pace;
use crate::accepting::{Accepting, Figures};
use crate::callers::{CALLERS, Sends};
use crate::database::{Database, Engine};
use crate::rows::{Row, Series, Wanted};
use crate::servers::{Keeps, Server};

/// As wide as a voicemail, with a key and one more index.
const TABLE: &str = "CREATE TABLE plain_rows (id TEXT PRIMARY KEY NOT NULL, use_case_id TEXT NOT NULL, \
     sender TEXT NOT NULL, recipient TEXT NOT NULL, status INTEGER NOT NULL, labels TEXT NOT NULL, \
     request_id TEXT NOT NULL UNIQUE, request_hash TEXT NOT NULL, create_time BIGINT NOT NULL, \
     update_time BIGINT NOT NULL, due_time BIGINT NOT NULL, expire_time BIGINT NOT NULL)";

/// A row whose key and `request_id` are new.
fn insert(engine: Engine) -> String {
    let random = match engine {
        Engine::Postgres => "gen_random_uuid()::text",
        Engine::Sqlite => "hex(randomblob(16))",
    };
    format!(
        "INSERT INTO plain_rows VALUES ({random}, '019a0000-0000-7000-8000-000000000000', '+12125550100', \
         '+12125550123', 1, '{{}}', {random}, '{}', 1, 1, 1, 1)",
        "0".repeat(32)
    )
}

pub async fn run(pace: Pace) -> anyhow::Result<Vec<Row>> {
    let time = Duration::from_secs(pace.choose(2, 3));
    let rounds = pace.choose(1, 3);
    let sqlite = Accepting::start(Engine::Sqlite).await?;
    let postgres = Accepting::start(Engine::Postgres).await?;
    let sink = Server::sink(&Keeps::Hash)?;
    for ours in [&sqlite, &postgres] {
        ours.database.connect()?.run(TABLE)?;
    }
    let [mut on_sqlite, mut on_postgres, mut ceiling] = <[Figures; 3]>::default();
    let [mut by_loop, mut by_pgbench] = <[Series; 2]>::default();
    for round in 1..=rounds {
        sqlite.measure(&Sends::Stored, time, &mut on_sqlite).await?;
        by_loop.push(block_in_place(|| loop_on_sqlite(&sqlite.database, time))?);
        postgres
            .measure(&Sends::Stored, time, &mut on_postgres)
            .await?;
        by_pgbench.push(block_in_place(|| pgbench(&postgres.database, time))?);
        let order = sqlite.order(&Sends::StoredAtOnce);
        ceiling.measure(&sink, None, &order, time).await?;
        println!(
            "P2: round {round} of {rounds}: SQLite {:.0}, loop {:.0}; Postgres {:.0}, pgbench {:.0}; bare server {:.0} a second",
            on_sqlite.rate.last(),
            by_loop.last(),
            on_postgres.rate.last(),
            by_pgbench.last(),
            ceiling.rate.last(),
        );
    }
    let mut rows = rows(
        &on_sqlite,
        "SQLite",
        ("loop of one-row commits", by_loop),
        2.0,
    );
    let beside = ("pgbench, one row a commit", by_pgbench);
    rows.extend(self::rows(&on_postgres, "Postgres", beside, 0.5));
    rows.push(alone(
        "Postgres' own CPU per call",
        on_postgres.postgres_cpu,
        "ms",
    ));
    rows.push(alone(
        "the ceiling: a bare tonic server's unary call",
        ceiling.rate,
        "calls/s",
    ));
    Ok(rows)
}

fn rows(ours: &Figures, database: &str, beside: (&'static str, Series), at_least: f64) -> Vec<Row> {
    let rate = Row {
        id: "P2",
        what: format!("{database}: SendVoicemail by audio_id, {CALLERS} callers"),
        ours: ours.rate.clone(),
        unit: "calls/s",
        beside: Some(beside),
        wanted: Wanted::AtLeast(at_least),
    };
    let cpu = alone(&format!("{database}: CPU per call"), ours.cpu.clone(), "ms");
    vec![rate, cpu]
}

fn alone(what: &str, ours: Series, unit: &'static str) -> Row {
    Row {
        id: "P2",
        what: what.to_owned(),
        ours,
        unit,
        beside: None,
        wanted: Wanted::Nothing,
    }
}

/// Rows a second, each committed by itself.
fn loop_on_sqlite(database: &Database, time: Duration) -> anyhow::Result<f64> {
    let insert = insert(Engine::Sqlite);
    let mut line = database.connect()?;
    let (start, mut rows) = (Instant::now(), 0.0);
    while start.elapsed() < time {
        line.run(&insert)?;
        rows += 1.0;
    }
    Ok(rows / start.elapsed().as_secs_f64())
}

/// Rows a second, as pgbench counts them.
fn pgbench(database: &Database, time: Duration) -> anyhow::Result<f64> {
    let script = database.folder.path().join("insert.sql");
    std::fs::write(&script, insert(Engine::Postgres))?;
    let output = Command::new("pgbench")
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
        .arg(format!("--client={CALLERS}"))
        .arg(format!("--time={}", time.as_secs()))
        .arg("--file")
        .args([script.as_os_str(), database.url.as_ref()])
        .stdin(Stdio::null())
        .output()
        .context("pgbench comes with a Postgres server: run scripts/setup test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "pgbench: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rest| rest.split(' ').next());
    Ok(rate.context("pgbench tells its tps")?.parse()?)
}
