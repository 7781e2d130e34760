//! What the queue does under load: the product itself on loopback, with a carrier that takes a fixed time.
//!
//! ```sh
//! cargo bench --bench queue -- idle --database sqlite
//! scripts/with-postgres cargo bench --bench queue -- all --database postgres
//! ```
//!
//! It prints figures, and whether they are what is wanted; docs/benchmarks.md says what they mean. Exits with 1 where
//! something is wrong that has nothing to do with speed, such as a voicemail that was handed over twice.

mod carrier;
mod database;
mod fair;
mod figures;
mod idle;
mod process;
mod stage;
mod suspend;
mod workers;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::database::Engine;

#[derive(Debug, Parser)]
#[command(name = "queue")]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// cargo gives it to every benchmark
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// From the call to the carrier, one message at a time
    Idle(On),
    /// One message in another use case while a large batch waits
    Fair(On),
    /// Four worker processes against one (Postgres)
    Workers(On),
    /// SuspendSetup while callers send and workers deliver
    Suspend(On),
    /// All four, one after the other
    All(On),
    #[command(hide = true)]
    Process(process::ProcessArgs),
}

#[derive(Debug, Clone, Copy, Args)]
struct On {
    #[arg(long, value_enum)]
    database: Engine,
}

fn main() -> anyhow::Result<ExitCode> {
    let Some(what) = Arguments::parse().what else {
        println!(
            "queue: say what to measure, for example: cargo bench --bench queue -- idle --database sqlite"
        );
        return Ok(ExitCode::SUCCESS);
    };
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(what))?;
    Ok(ExitCode::SUCCESS)
}

async fn run(what: What) -> anyhow::Result<()> {
    match what {
        What::Idle(on) => idle::run(on.database).await,
        What::Fair(on) => fair::run(on.database).await,
        What::Workers(on) => workers::run(on.database).await,
        What::Suspend(on) => suspend::run(on.database).await,
        What::All(on) => {
            idle::run(on.database).await?;
            fair::run(on.database).await?;
            workers::run(on.database).await?;
            suspend::run(on.database).await
        }
        What::Process(args) => process::run(args).await,
    }
}
