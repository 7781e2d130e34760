//! Child processes: started, killed, stopped and gone on with by their ids, and gone with their parent.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// At the crash point that was armed.
    Crashed,
    /// By SIGKILL.
    Killed,
    /// By itself, or by a signal that is none of ours.
    Otherwise(ExitStatus),
}

pub struct Process {
    pub name: String,
    program: PathBuf,
    args: Vec<OsString>,
    pub log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// This program in one of its other roles.
    pub fn role(name: &str, logs: &Path, args: &[String]) -> anyhow::Result<Process> {
        let program = std::env::current_exe().context("where is this program?")?;
        let args = args.iter().map(OsString::from).collect();
        Ok(Process::new(name, logs, program, args))
    }

    pub fn new(name: &str, logs: &Path, program: PathBuf, args: Vec<OsString>) -> Process {
        Process {
            name: name.to_owned(),
            program,
            args,
            log: logs.join(format!("{name}.log")),
            child: None,
        }
    }

    /// Starts it, with a crash point armed where one is given as `name:nth`.
    pub fn start(&mut self, crash: Option<&str>) -> anyhow::Result<()> {
        if self.child.is_some() {
            bail!("{} runs already", self.name);
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .env_remove("RINGLESS_CRASH")
            .env(
                "RUST_LOG",
                "info,ringless::worker=debug,r2d2=off,h2=warn,hyper=warn,tower=warn",
            );
        if let Some(crash) = crash {
            command.env("RINGLESS_CRASH", crash);
        }
        let child = command
            .spawn()
            .with_context(|| format!("{} can't be started", self.name))?;
        self.child = Some(child);
        Ok(())
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Says once how it ended, if it has.
    pub fn ended(&mut self) -> anyhow::Result<Option<Ended>> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        let Some(status) = child.try_wait()? else {
            return Ok(None);
        };
        self.child = None;
        Ok(Some(match status.signal() {
            Some(signal) if signal == Signal::ABORT.as_raw() => Ended::Crashed,
            Some(signal) if signal == Signal::KILL.as_raw() => Ended::Killed,
            _ => Ended::Otherwise(status),
        }))
    }

    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        if let Some(pid) = self.pid() {
            kill_process(pid, signal).with_context(|| format!("a signal to {}", self.name))?;
        }
        Ok(())
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.id()?).ok()?)
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(2_000)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// How a server ends that was asked to: with 0 once it serves, and at once while it still starts.
pub fn is_end_of_a_stop(status: ExitStatus) -> bool {
    let terminated = Signal::TERM.as_raw();
    status.success()
        || status.signal() == Some(terminated)
        || status.code() == Some(128 + terminated)
}

/// A server that starts while the database is away says so and ends.
pub fn could_not_start(process: &Process) -> bool {
    let words = process.last_words();
    let last = words.trim_end().lines().last().unwrap_or_default();
    let signs = [
        "the database is unavailable",
        "the answer to a commit was lost",
    ];
    last.starts_with("could not go on:") && signs.iter().any(|sign| last.contains(sign))
}

/// Called first in each child: it does not outlive its parent, however that ends.
pub fn end_with_parent() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // A crash on purpose leaves no picture of itself behind.
    let nothing = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, nothing);
}

/// A free loopback port below those that the system gives to outgoing connections, so that nobody
/// takes it while its process is down.
pub fn free_port() -> anyhow::Result<u16> {
    for _ in 0..1_000 {
        let drawn = uuid::Uuid::new_v4().as_u128() % 12_000;
        let port = 20_000 + u16::try_from(drawn)?;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no loopback port is free");
}

/// Looks until it is true, at most so long; says whether it became true.
pub async fn until(within: Duration, mut is_true: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if is_true().await {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
