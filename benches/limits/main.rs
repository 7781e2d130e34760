//! The program beside its limits and beside what a user would pick instead: `scripts/bench` runs all of it.
//!
//! ```sh
//! scripts/bench --quick                  # all rows, in short rounds
//! scripts/bench p2 p4                    # these rows
//! scripts/bench prepare                  # the data sets of p5, once
//! ```
//!
//! Each row is measured beside its contender in the same run, in rounds that take turns; what is printed are medians with
//! their least and greatest, and ratios taken within a round. docs/benchmarks.md says what each row is about.

mod accepting;
mod callers;
#[allow(
    dead_code,
    reason = "shared with the benchmark of the queue, which uses more of it"
)]
#[path = "../queue/carrier.rs"]
mod carrier;
#[allow(
    dead_code,
    reason = "shared with the benchmark of the queue, which uses more of it"
)]
#[path = "../queue/database.rs"]
mod database;
mod graphile;
#[path = "../audio/judging.rs"]
mod judging;
mod p1;
mod p2;
mod p3;
mod p4;
mod p5;
mod p6;
mod p7;
mod p8;
mod p9;
#[allow(
    dead_code,
    reason = "shared with the benchmark of the queue, which uses more of it"
)]
#[path = "../queue/process.rs"]
mod process;
mod queue;
mod recording;
mod rows;
mod servers;
mod sink;
#[allow(
    dead_code,
    reason = "shared with the benchmark of the queue, which uses more of it"
)]
#[path = "../queue/stage.rs"]
mod stage;
mod talk;
mod usage;
mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::rows::Row;

#[derive(Debug, Parser)]
#[command(name = "limits", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Rows by their id, such as p1; none: all of them
    rows: Vec<String>,
    /// Shorter rounds, and fewer of them
    #[arg(long)]
    quick: bool,
    /// A snapshot is held open for 20 minutes, in place of five
    #[arg(long)]
    long: bool,
    /// Where `prepare` has put the data sets of p5
    #[arg(long, default_value = p5::FOLDER)]
    data: PathBuf,
    /// cargo gives it to every benchmark
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

/// What this program is besides: the maker of its data sets, and the servers beside ours, when it has started itself.
#[derive(Debug, Subcommand)]
enum Role {
    #[command(hide = true)]
    Sink(sink::SinkArgs),
    #[command(hide = true)]
    Worker(process::ProcessArgs),
    Prepare(p5::PrepareArgs),
}

/// How long and how often is measured.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub quick: bool,
    pub long: bool,
}

impl Pace {
    /// One of two, by how thoroughly is measured.
    pub fn choose<T>(self, quick: T, whole: T) -> T {
        match self.quick {
            true => quick,
            false => whole,
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let pace = Pace {
        quick: arguments.quick,
        long: arguments.long,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match arguments.role {
            Some(Role::Sink(args)) => sink::run(args).await,
            Some(Role::Worker(args)) => worker::run(args).await,
            Some(Role::Prepare(args)) => p5::prepare(args).await,
            None => measure(&arguments.rows, &arguments.data, pace).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// All rows and their table. What was started ends with it, also where it is told to stop.
async fn measure(wanted: &[String], data: &Path, pace: Pace) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    tokio::select! {
        rows = run(wanted, data, pace) => rows::print(&rows?),
        _ = terminated.recv() => bail!("told to stop"),
        _ = interrupted.recv() => bail!("told to stop"),
    }
    Ok(())
}

async fn run(wanted: &[String], data: &Path, pace: Pace) -> anyhow::Result<Vec<Row>> {
    let is_wanted = |id: &str| wanted.is_empty() || wanted.iter().any(|row| row == id);
    let mut rows = Vec::new();
    if is_wanted("p1") {
        rows.extend(p1::run(&p1::DIFFERENT, pace).await?);
    }
    if is_wanted("p1b") {
        rows.extend(p1::run(&p1::SAME, pace).await?);
    }
    if is_wanted("p2") {
        rows.extend(p2::run(pace).await?);
    }
    if is_wanted("p3") {
        rows.extend(tokio::task::block_in_place(|| p3::run(pace)));
    }
    if is_wanted("p4") {
        rows.extend(p4::run(pace).await?);
    }
    if is_wanted("p5") {
        rows.extend(p5::run(data, pace).await?);
    }
    if is_wanted("p6") {
        rows.extend(p6::run(pace).await?);
    }
    if is_wanted("p7") {
        rows.extend(p7::run(pace).await?);
    }
    if is_wanted("p8") {
        rows.extend(p8::run(pace).await?);
    }
    if is_wanted("p9") {
        rows.extend(p9::run(pace).await?);
    }
    Ok(rows)
}
