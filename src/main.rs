//! The program: reads its arguments, runs one command, and turns what came of it into an exit code.

use std::process::ExitCode;

use clap::Parser;
use ringless::{cli, memory, telemetry};

fn main() -> ExitCode {
    memory::set_up();
    let arguments = cli::Cli::parse();
    telemetry::init(arguments.log_filter());
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the program's threads can't be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = match runtime.block_on(cli::run(arguments)) {
        Ok(code) => code,
        Err(error) => cli::failed(&error),
    };
    // A thread that still waits, for a database that is away, say, does not hold up the end.
    runtime.shutdown_background();
    code
}
