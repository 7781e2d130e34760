//! The fault tests: they kill, stop and cut off everything that a voicemail's way leads through, and
//! then hold the database against what callers were told and against the carrier's own record. Nothing
//! that was accepted may be lost, and nothing may be dropped twice. docs/fault-tests.md tells more.
//!
//! One program in several roles: it starts itself anew as the server, as the recording carrier, and as
//! the played vendors.
//! Everything is on loopback, and is gone when this program is.

mod carriers;
mod chance;
mod check;
mod client;
mod crashes;
mod database;
mod load;
mod plan;
mod played;
mod postgres;
mod process;
mod proxy;
mod quiet;
mod recorder;
mod run;
mod scenarios;
mod server;
mod stage;
mod watch;
mod wire;

#[path = "../vendors/mod.rs"]
mod vendors;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use carriers::Carriers;
use database::Database;
use run::Options;
use stage::PostgresPlace;

/// Kills everything again and again, and checks that nothing is lost and nothing is sent twice.
#[derive(Debug, Parser)]
#[command(name = "faults", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Only kills and crash points, and only on this one
    #[arg(long)]
    database: Option<Database>,
    /// Only kills and crash points, and only with these
    #[arg(long)]
    carriers: Option<Carriers>,
    /// So many kill -9, at random
    #[arg(long, default_value_t = 1_000)]
    kills: u64,
    /// Each crash point so often
    #[arg(long, default_value_t = 100)]
    points: u64,
    /// The same seed draws the same faults
    #[arg(long)]
    seed: Option<u64>,
    /// Few kills, and each crash point once
    #[arg(long)]
    short: bool,
    /// Only this scripted scenario (may be repeated)
    #[arg(long)]
    scenario: Vec<Scenario>,
    /// Break the rules on purpose; the run must then fail
    #[arg(long = "break")]
    broken: Option<Broken>,
    /// Keep the folder with logs and records
    #[arg(long)]
    keep: bool,
    /// The folder with initdb and postgres
    #[arg(long)]
    postgres_bin: Option<PathBuf>,
    /// Who runs Postgres, where this is root
    #[arg(long)]
    postgres_user: Option<String>,
}

const SHORT_KILLS: u64 = 15;
const SHORT_KILLS_WITH_VENDORS: u64 = 6;

#[derive(Debug, Subcommand)]
enum Role {
    #[command(hide = true)]
    Server(server::ServerArgs),
    #[command(hide = true)]
    Recorder(recorder::RecorderArgs),
    #[command(hide = true)]
    Vendors(played::VendorsArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// A worker is stopped in the middle of a call for twice the lease, and goes on
    StopWorker,
    /// Postgres is away for 20 seconds
    PostgresAway,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Broken {
    /// A carrier that knows no repeat says that it does
    Double,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the program's threads can't be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(play(arguments));
    runtime.shutdown_background();
    match done {
        Ok(code) => code,
        Err(error) => {
            // In one line, also where the database says it in several.
            let text = format!("{error:#}");
            let words: Vec<&str> = text.split_whitespace().collect();
            eprintln!("could not go on: {}", words.join(" "));
            ExitCode::FAILURE
        }
    }
}

async fn play(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.role {
        Some(Role::Server(args)) => {
            process::end_with_parent();
            ringless::telemetry::init(None);
            return server::run(args).await;
        }
        Some(Role::Recorder(args)) => {
            process::end_with_parent();
            recorder::run(args).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Role::Vendors(args)) => {
            process::end_with_parent();
            played::run(args).await?;
            return Ok(ExitCode::SUCCESS);
        }
        None => {}
    }
    // What is dropped on the way out kills the processes and removes their folders.
    tokio::select! {
        is_good = test(arguments) => Ok(match is_good? {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }),
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
    }
}

async fn test(arguments: Arguments) -> anyhow::Result<bool> {
    check::self_test()?;
    println!(
        "the checks: each of {} fails on a record that breaks it",
        check::Rule::ALL.len()
    );
    let seed = arguments
        .seed
        .unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 >> 32);
    println!("seed {seed}");
    let postgres = arguments.postgres_bin.map(|bin| PostgresPlace {
        bin,
        user: arguments.postgres_user,
    });
    let (kills, points) = match arguments.short {
        true => (SHORT_KILLS, 1),
        false => (arguments.kills, arguments.points),
    };
    let options = Options {
        seed,
        kills,
        points,
        postgres,
        lies: arguments.broken == Some(Broken::Double),
        keep: arguments.keep,
    };
    let is_narrow = arguments.database.is_some() || arguments.carriers.is_some();
    let is_all = !is_narrow && arguments.scenario.is_empty();
    let mut is_good = true;
    for carriers in [Carriers::Recorded, Carriers::Vendors] {
        for database in [Database::Sqlite, Database::Postgres] {
            let is_wanted = arguments.database.is_none_or(|only| only == database)
                && arguments.carriers.is_none_or(|only| only == carriers);
            if is_all || is_narrow && is_wanted {
                let mut options = options.clone();
                if arguments.short && carriers == Carriers::Vendors {
                    options.kills = SHORT_KILLS_WITH_VENDORS;
                }
                is_good &= run::run(&options, database, carriers).await?;
            }
        }
    }
    if is_all && !options.lies {
        is_good &= run::finds_the_lie(&options).await?;
    }
    let scenarios = match is_all && !arguments.short {
        true => vec![Scenario::StopWorker, Scenario::PostgresAway],
        false => arguments.scenario,
    };
    for scenario in scenarios {
        is_good &= match scenario {
            Scenario::StopWorker => scenarios::stop_worker(&options).await?,
            Scenario::PostgresAway => scenarios::postgres_away(&options).await?,
        };
    }
    println!("{}", if is_good { "all holds" } else { "FAILED" });
    Ok(is_good)
}
