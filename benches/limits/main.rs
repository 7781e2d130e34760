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

mod rows;

use std::process::ExitCode;

use clap::Parser;

use crate::rows::Row;

#[derive(Debug, Parser)]
#[command(name = "limits")]
struct Arguments {
    /// Rows by their id, such as p1; none: all of them
    rows: Vec<String>,
    /// Shorter rounds, and fewer of them
    #[arg(long)]
    quick: bool,
    /// cargo gives it to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// How long and how often is measured.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub quick: bool,
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
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let rows = runtime.block_on(run(&arguments.rows, pace))?;
    rows::print(&rows);
    Ok(ExitCode::SUCCESS)
}

async fn run(wanted: &[String], _pace: Pace) -> anyhow::Result<Vec<Row>> {
    let is_wanted = |id: &str| wanted.is_empty() || wanted.iter().any(|row| row == id);
    let rows = Vec::new();
    // One line for each row: if is_wanted("p1") { rows.extend(p1::run(pace).await?) }
    let _ = is_wanted;
    Ok(rows)
}
