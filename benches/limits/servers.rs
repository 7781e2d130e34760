//! The servers that are measured, each in a process of its own: the program as users run it, and a bare tonic server.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::block_in_place;

use crate::database::Database;

/// A server that was asked to stop and has not by then is killed.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Any free port of this machine.
const ANYWHERE: &str = "127.0.0.1:0";

/// A server that runs. It is killed when this is dropped.
pub struct Server {
    child: Child,
    /// Where it takes calls.
    pub addr: String,
    /// Kept open: what a server prints has to go somewhere.
    _output: BufReader<ChildStdout>,
}

impl Server {
    /// The program itself on its defaults, with the role that accepts and none that delivers: what is measured is accepting
    /// alone, and nothing that was accepted is taken away meanwhile.
    pub fn ours(database: &Database) -> anyhow::Result<Server> {
        let mut command = ours_at(ANYWHERE, &database.url, database.folder.path());
        Server::start(&mut command).context("ringless serve")
    }

    /// A bare tonic server; see [`crate::sink`].
    pub fn sink(keeps: &Keeps<'_>) -> anyhow::Result<Server> {
        Server::start(&mut sink_at(ANYWHERE, keeps)?).context("the bare tonic server")
    }

    /// Comes back when it listens.
    pub fn start(command: &mut Command) -> anyhow::Result<Server> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        // Both say where they take calls in a line that begins with this.
        while block_in_place(|| output.read_line(&mut line))? > 0 {
            if let Some(addr) = line.trim().strip_prefix("gRPC ") {
                return Ok(Server {
                    child,
                    addr: addr.trim().to_owned(),
                    _output: output,
                });
            }
            line.clear();
        }
        let ended = block_in_place(|| child.wait())?;
        bail!("it ended at its start with {ended}")
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops it in order.
    pub fn stop(mut self) -> anyhow::Result<()> {
        stop(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Asks a process to end, and waits until it has.
pub fn stop(child: &mut Child) -> anyhow::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.context("a process has an id")?, Signal::TERM)?;
    let give_up = Instant::now() + STOP_WITHIN;
    while Instant::now() < give_up {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        block_in_place(|| std::thread::sleep(Duration::from_millis(5)));
    }
    bail!("a process does not end")
}

/// Ends a process whatever it is at.
pub fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// `ringless serve` with the role `api`, and whatever the environment says ignored.
pub fn ours_at(addr: &str, database_url: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringless"));
    let settings = std::env::vars_os().map(|(name, _)| name);
    for name in settings.filter(|name| name.to_string_lossy().starts_with("RINGLESS_")) {
        command.env_remove(name);
    }
    command
        .env_remove("RUST_LOG")
        .args(["serve", "--roles", "api", "--drain-delay-seconds", "0"])
        .args(["--grpc-addr", addr, "--database-url", database_url])
        .args(["--http-addr", ANYWHERE, "--admin-addr", ANYWHERE])
        .arg("--data-dir")
        .arg(folder);
    // Its log is of use only where something went wrong.
    match std::fs::File::create(folder.join("log")) {
        Ok(log) => command.stderr(log),
        Err(_) => command.stderr(Stdio::null()),
    };
    command
}

/// What a bare server does with what it is sent.
pub enum Keeps<'a> {
    Hash,
    /// And the bytes, in a file of this folder.
    Bytes(&'a Path),
}

/// This program again, as a bare server.
pub fn sink_at(addr: &str, keeps: &Keeps<'_>) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["sink", "--addr", addr]);
    if let Keeps::Bytes(folder) = keeps {
        command.arg("--file").arg(folder.join("bytes"));
    }
    Ok(command)
}
