//! The command line: what each command takes, and which file answers it.
//!
//! `serve`, `migrate`, `recover`, `config check`, `carrier` and `demo` run the service or touch its
//! configuration or database here; every other command is a client that talks to a running one over gRPC, through the same public API as any other caller.
//! Nothing here reaches into the database or the worker of a server.
//!
//! - [`client`]: the connection, and repeats of what may be repeated
//! - [`failure`]: what went wrong, for people, and its exit code
//! - [`find`]: things by the names people know them by; [`pages`]: lists; [`follow`]: one voicemail to its end
//! - [`parse`]: values as they are typed; [`json`]: messages as JSON; [`show`]: messages for people; [`timeline`]: one voicemail's way
//! - the rest: one file per command or group of commands

mod audio;
mod batch;
mod cancel;
mod carriers;
mod check;
mod client;
mod consents;
mod demo;
mod failure;
mod find;
mod follow;
mod imports;
mod json;
mod numbers;
mod pages;
mod parse;
mod recover;
mod report;
mod scopes;
mod send;
mod serve;
mod setups;
mod show;
mod suppressions;
mod timeline;
mod update;
mod use_cases;
mod voicemails;

pub use serve::until_stopped;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use failure::failed;

/// Puts a voice message straight into a recipient's voicemail box, without ringing the phone.
///
/// Start a server with `ringless serve`, or see a voicemail's whole way with `ringless demo`, which needs nothing. The
/// other commands talk to a running server.
#[derive(Debug, Parser)]
#[command(
    name = "ringless",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage; `send --wait` has more."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::ServeArgs),
    /// Show a voicemail's whole way, in one process on a temporary database
    Demo(demo::DemoArgs),
    /// Send an MP3 as a voicemail
    Send(send::SendArgs),
    /// Send an MP3 to everybody in a CSV file
    Batch(batch::BatchArgs),
    /// List voicemails, newest first
    List(voicemails::ListArgs),
    /// Show one voicemail's whole way: what the gates said, every attempt, and how it ended
    Get(voicemails::GetArgs),
    /// Change when a voicemail leaves and expires that still waits
    Update(update::UpdateArgs),
    /// Take voicemails back that have not left yet
    Cancel(cancel::CancelArgs),
    /// Say what every gate would say of a voicemail, without sending it
    Check(check::CheckArgs),
    /// Count voicemails by how they ended
    Report(report::ReportArgs),
    /// Store audio, and fetch it back
    #[command(subcommand)]
    Audio(audio::AudioCommand),
    /// Telephony setups: which carriers to send through
    #[command(subcommand)]
    Setup(setups::SetupCommand),
    /// Phone numbers to send from
    #[command(subcommand)]
    Number(numbers::NumberCommand),
    /// Use cases: what is sent, for whom, from which numbers
    #[command(subcommand)]
    UseCase(use_cases::UseCaseCommand),
    /// Numbers that nothing is sent to
    #[command(subcommand)]
    Suppressions(suppressions::SuppressionsCommand),
    /// Who agreed to be sent to
    #[command(subcommand)]
    Consents(consents::ConsentsCommand),
    /// Bring the database's schema up to date, and end
    Migrate(serve::MigrateArgs),
    /// Put a database in order that was restored from a backup
    Recover(recover::RecoverArgs),
    /// Look at the carriers of the configuration
    #[command(subcommand)]
    Carrier(carriers::CarrierCommand),
    /// Look at the configuration without starting anything
    #[command(subcommand)]
    Config(serve::ConfigCommand),
}

impl Cli {
    /// What is to be logged, as in RUST_LOG; `None` leaves it to that variable. Commands that
    /// print for people do not log beside it.
    pub fn log_filter(&self) -> Option<&str> {
        match &self.command {
            Command::Serve(args) => args.log(),
            Command::Migrate(args) => args.log(),
            Command::Demo(args) => Some(args.log().unwrap_or("off")),
            _ => Some("off"),
        }
    }
}

/// Runs one command to its end.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let done = match cli.command {
        Command::Send(args) => return send::run(args).await,
        Command::Batch(args) => return batch::run(args).await,
        Command::Serve(args) => return serve::run(args).await,
        Command::Carrier(command) => return carriers::run(command).await,
        Command::Suppressions(command) => return suppressions::run(command).await,
        Command::Demo(args) => demo::run(args).await,
        Command::List(args) => voicemails::list(args).await,
        Command::Get(args) => voicemails::get(args).await,
        Command::Update(args) => update::run(args).await,
        Command::Cancel(args) => cancel::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Report(args) => report::run(args).await,
        Command::Audio(command) => audio::run(command).await,
        Command::Setup(command) => setups::run(command).await,
        Command::Number(command) => numbers::run(command).await,
        Command::UseCase(command) => use_cases::run(command).await,
        Command::Consents(command) => consents::run(command).await,
        Command::Migrate(args) => serve::migrate(args).await,
        Command::Recover(args) => recover::run(args).await,
        Command::Config(command) => serve::config(command),
    };
    done.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
