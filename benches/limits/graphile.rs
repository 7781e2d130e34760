//! graphile-worker, a job queue on Postgres for Node.js: what a user would take in place of ours.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::database::{Database, Engine};
use crate::queue::settle;
use crate::talk::Talk;

const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/limits/graphile/worker.mjs"
);

/// One that runs on a database of its own.
pub struct Graphile {
    talk: Talk,
    // Dropped after the program, so that nothing of it is still connected.
    pub database: Database,
}

impl Graphile {
    /// With so many jobs, each of which does nothing. It waits until it is told to drain them.
    pub async fn with_jobs(jobs: usize, concurrency: usize) -> anyhow::Result<Graphile> {
        let graphile = Graphile::start("drain", &[jobs, concurrency]).await?;
        settle(&graphile.database)?;
        Ok(graphile)
    }

    /// With nothing to do.
    pub async fn idle(concurrency: usize) -> anyhow::Result<Graphile> {
        Graphile::start("idle", &[concurrency]).await
    }

    async fn start(mode: &str, numbers: &[usize]) -> anyhow::Result<Graphile> {
        let database = Database::new(Engine::Postgres)?;
        let tools = tools()?;
        ensure!(
            tools.exists(),
            "graphile-worker is not installed: run scripts/setup bench"
        );
        let talk = Talk::start(
            Command::new("node")
                .arg(PROGRAM)
                .arg(mode)
                .arg(tools)
                .arg(&database.url)
                .args(numbers.iter().map(usize::to_string)),
        )
        .await?;
        Ok(Graphile { talk, database })
    }

    pub fn id(&self) -> u32 {
        self.talk.id()
    }

    /// Seconds from the first job's start until the database has all of them as done.
    pub async fn drain(&mut self) -> anyhow::Result<f64> {
        self.talk.nod()?;
        self.number("drained").await
    }

    /// Milliseconds from adding a job to its start.
    pub async fn add_one(&mut self) -> anyhow::Result<f64> {
        self.talk.nod()?;
        self.number("started").await
    }

    async fn number(&mut self, word: &str) -> anyhow::Result<f64> {
        let said = self.talk.hear(word).await?;
        said.first().copied().context("a number is missing")
    }
}

/// Where scripts/setup installs it: in the folder that this program was built in.
fn tools() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    // TARGET/PROFILE/deps/limits-…
    let target = own.ancestors().nth(3).context("a target folder")?;
    Ok(target.join("tools/graphile"))
}
