//! Our worker as a process of its own: this program started again, with a carrier that answers at once.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::carrier::{Book, Calls};
use crate::database::Database;
use crate::process::ProcessArgs;
use crate::talk::Talk;

/// The process itself: it answers every line that comes in with how often its carrier was called and for how many
/// microseconds it has been.
pub async fn run(args: ProcessArgs) -> anyhow::Result<()> {
    let calls = Calls::default();
    let mut running = args.start(Book::Here(calls.clone())).await?;
    say("ready");
    let asked = calls.clone();
    let input_ends = tokio::task::spawn_blocking(move || {
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            let micros = asked.first().map_or(0, |first| first.elapsed().as_micros());
            say(&format!("called {} {micros}", asked.count()));
        }
    });
    tokio::select! {
        _ = input_ends => {}
        ended = running.stopped() => return ended,
    }
    running.stop().await?;
    say(&format!("stopped {} {}", calls.count(), calls.repeated()));
    Ok(())
}

/// Where the one who started us is gone there is nobody to tell, and this process ends anyway.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A worker process that runs.
pub struct Worker(Talk);

impl Worker {
    /// On a database of ours, with so many hand-overs at once.
    pub async fn start(database: &Database, in_flight: usize) -> anyhow::Result<Worker> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["worker", "--roles", "worker", "--carrier-millis", "0"])
            .args(["--permits", &in_flight.to_string()])
            .args(["--database-url", &database.url])
            .arg("--data-dir")
            .arg(database.folder.path());
        Ok(Worker(Talk::start(&mut command).await?))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Voicemails that were handed over so far, and how long ago the first of them was.
    pub async fn so_far(&mut self) -> anyhow::Result<(usize, Duration)> {
        self.0.nod()?;
        match self.0.hear("called").await?[..] {
            [count, micros] => Ok((count as usize, Duration::from_secs_f64(micros / 1e6))),
            _ => Err(anyhow::anyhow!("two numbers are missing")),
        }
    }

    /// Stops it in order; gives how many voicemails it handed over in all, and how many more than once.
    pub async fn stop(self) -> anyhow::Result<(usize, usize)> {
        let last = self.0.end("stopped").await?;
        let number = |at: usize| last.get(at).map(|number| *number as usize);
        number(0).zip(number(1)).context("two numbers are missing")
    }
}
