//! ringless as a process of its own: this program started again. It tells its address and its carrier's calls in lines of
//! its output, and stops when its input ends, so that it never outlives the one that started it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use ringless::app::Running;
use ringless::clock::Clock;
use ringless::config::{Config, FileConfig, Overrides};
use tokio::sync::oneshot;

use crate::carrier::{Book, Calls, Timed};

/// A carrier that is no sandbox sends only for a purpose that is chosen; what is measured is the same at any hour.
const ANY_HOUR: &str = "[purposes.other]
federal_hours = false
state_hours = false
margin_minutes = 0
acknowledge = 'nobody hears what a benchmark sends'";

/// What a process of a scenario runs by; all else has its default.
#[derive(Debug, Clone, Args)]
pub struct ProcessArgs {
    #[arg(long)]
    pub roles: String,
    #[arg(long)]
    pub database_url: String,
    #[arg(long)]
    pub data_dir: PathBuf,
    /// Hand-overs at once.
    #[arg(long)]
    pub permits: usize,
    /// What a call of the carrier takes.
    #[arg(long)]
    pub carrier_millis: u64,
}

impl ProcessArgs {
    pub fn new(roles: &str, database_url: &str, data_dir: &Path) -> ProcessArgs {
        ProcessArgs {
            roles: roles.to_owned(),
            database_url: database_url.to_owned(),
            data_dir: data_dir.to_owned(),
            permits: 16,
            carrier_millis: 0,
        }
    }

    /// The product, in this process.
    pub async fn start(&self, book: Book) -> anyhow::Result<Running> {
        let loopback = Some(([127, 0, 0, 1], 0).into());
        let given = Overrides {
            grpc_addr: loopback,
            http_addr: loopback,
            admin_addr: loopback,
            database_url: Some(self.database_url.clone()),
            data_dir: Some(self.data_dir.clone()),
            roles: Some(self.roles.clone()),
            on_terminal: true,
            ..Overrides::default()
        };
        let file = format!("[worker]\nin_flight_max = {}\n{ANY_HOUR}", self.permits);
        let config = Config::build(given, FileConfig::parse(&file)?)?;
        let registry = Timed::registry(Duration::from_millis(self.carrier_millis), book);
        Running::start_with(config, Clock::Database, registry).await
    }
}

/// The process itself.
pub async fn run(args: ProcessArgs) -> anyhow::Result<()> {
    let mut running = args.start(Book::Parent).await?;
    println!("ready {}", running.grpc_addr());
    let input_ends = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        _ = input_ends => {}
        ended = running.stopped() => return ended,
    }
    running.stop().await
}

/// A process that runs.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    /// Where it takes calls.
    pub addr: String,
}

impl Process {
    /// Comes back when it is ready. Its carrier's calls are noted in `calls`.
    pub async fn start(args: &ProcessArgs, calls: Calls) -> anyhow::Result<Process> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["process", "--roles", &args.roles])
            .args(["--database-url", &args.database_url])
            .arg("--data-dir")
            .arg(&args.data_dir)
            .args(["--permits", &args.permits.to_string()])
            .args(["--carrier-millis", &args.carrier_millis.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("its output is piped")?;
        let (ready, is_ready) = oneshot::channel();
        std::thread::spawn(move || {
            let mut ready = Some(ready);
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                match (line.split_once(' '), ready.take()) {
                    (Some(("called", id)), _) => calls.note(id),
                    (Some(("ready", addr)), Some(ready)) => drop(ready.send(addr.to_owned())),
                    (_, still) => ready = still,
                }
            }
        });
        let addr = is_ready.await.context("a process ended at its start")?;
        Ok(Process { child, input, addr })
    }

    /// Comes back when it has ended.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.input.take());
        let status = tokio::task::spawn_blocking(move || self.child.wait()).await??;
        match status.success() {
            true => Ok(()),
            false => bail!("a process ended with {status}"),
        }
    }
}
