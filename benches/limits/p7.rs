//! P7: from the start of the program to its first answer, on a database that is there already.
//!
//! Beside it a bare tonic server, which has no database.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::bail;
use ringless::grpc::pb;
use ringless::grpc::pb::voicemail_service_client::VoicemailServiceClient;

use crate::Pace;
use crate::accepting::Accepting;
use crate::callers;
use crate::database::{Database, Engine};
use crate::rows::{Row, Series, Wanted};
use crate::servers::{self, Keeps};

/// A server that has not answered by then does not.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
const WANTED_MILLIS: f64 = 150.0;

pub async fn run(pace: Pace) -> anyhow::Result<Vec<Row>> {
    let rounds = pace.choose(3, 15);
    let (sqlite, postgres) = (used(Engine::Sqlite).await?, used(Engine::Postgres).await?);
    let [mut on_sqlite, mut on_postgres, mut bare] = <[Series; 3]>::default();
    for _ in 0..rounds {
        for (database, series) in [(&sqlite, &mut on_sqlite), (&postgres, &mut on_postgres)] {
            let addr = free_addr()?;
            let mut command = servers::ours_at(&addr, &database.url, database.folder.path());
            series.push(to_first_answer(&mut command, &addr).await?);
        }
        let addr = free_addr()?;
        bare.push(to_first_answer(&mut servers::sink_at(&addr, &Keeps::Hash)?, &addr).await?);
    }
    println!(
        "P7: {rounds} starts: SQLite {:.0} ms, Postgres {:.0} ms, bare server {:.0} ms",
        on_sqlite.median(),
        on_postgres.median(),
        bare.median()
    );
    let row = |database: &str, ours: Series| Row {
        id: "P7",
        what: format!("{database}: from exec to the first answer"),
        ours,
        unit: "ms",
        beside: Some(("bare server", bare.clone())),
        wanted: Wanted::OursAtMost(WANTED_MILLIS),
    };
    Ok(vec![row("SQLite", on_sqlite), row("Postgres", on_postgres)])
}

/// A database that the program has been on.
async fn used(engine: Engine) -> anyhow::Result<Database> {
    let Accepting {
        server, database, ..
    } = Accepting::start(engine).await?;
    server.stop()?;
    Ok(database)
}

/// Free a moment ago, which is good enough on a machine that measures.
fn free_addr() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Milliseconds from starting the program until it has answered a call that asks its database. It is ended then.
async fn to_first_answer(command: &mut Command, addr: &str) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    while start.elapsed() < ANSWERS_WITHIN {
        if let Ok(channel) = callers::connect(addr).await {
            let request = pb::ListVoicemailsRequest::default();
            let answer = VoicemailServiceClient::new(channel)
                .list_voicemails(request)
                .await;
            let took = start.elapsed();
            servers::stop(&mut child)?;
            answer?;
            return Ok(took.as_secs_f64() * 1e3);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    servers::end(&mut child);
    bail!("no answer within {ANSWERS_WITHIN:?}")
}
