//! A Postgres server to be killed: its own, in a temporary folder, on loopback.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::process::{Process, free_port, until};

pub struct Postgres {
    pub port: u16,
    bin: PathBuf,
    server: Process,
    /// Dropped last, when the server is gone.
    _folder: tempfile::TempDir,
}

const START_WITHIN: Duration = Duration::from_secs(30);

impl Postgres {
    /// `user` owns it where this program runs as root, which Postgres refuses to do.
    pub async fn start(bin: &Path, user: Option<&str>, logs: &Path) -> anyhow::Result<Postgres> {
        let folder = tempfile::Builder::new()
            .prefix("ringless-faults-pg.")
            .tempdir()?;
        if let Some(user) = user {
            run(Command::new("chown").arg(user).arg(folder.path()))?;
        }
        let data = folder.path().join("data");
        let mut initdb = as_user(user, &bin.join("initdb"))?;
        initdb.extend(
            [
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ]
            .map(OsString::from),
        );
        initdb.push("--pgdata".into());
        initdb.push(data.clone().into());
        run(Command::new(&initdb[0])
            .args(&initdb[1..])
            .current_dir(folder.path())
            .env_remove("LC_ALL"))?;

        let port = free_port()?;
        let mut server = as_user(user, &bin.join("postgres"))?;
        // The kernel keeps what a killed server wrote, so nothing has to reach the disk itself.
        let settings = [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "max_connections=200",
            "log_min_messages=warning",
        ];
        server.extend([
            "-D".into(),
            data.into(),
            "-p".into(),
            port.to_string().into(),
        ]);
        server.extend(["-k".into(), folder.path().into()]);
        for setting in settings {
            server.extend(["-c".into(), setting.into()]);
        }
        let program = PathBuf::from(server.remove(0));
        let mut postgres = Postgres {
            port,
            bin: bin.to_owned(),
            server: Process::new("postgres", logs, program, server),
            _folder: folder,
        };
        postgres.go().await?;
        Ok(postgres)
    }

    /// Starts it (again) and waits until it answers.
    pub async fn go(&mut self) -> anyhow::Result<()> {
        self.server.start(None)?;
        let ready = until(START_WITHIN, async || self.answers()).await;
        if !ready {
            bail!("Postgres did not start:\n{}", self.server.last_words());
        }
        Ok(())
    }

    /// Only begins to start it.
    pub fn begin(&mut self) -> anyhow::Result<()> {
        self.server.start(None)
    }

    pub fn answers(&self) -> bool {
        Command::new(self.bin.join("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-p"])
            .arg(self.port.to_string())
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    pub fn is_running(&self) -> bool {
        self.server.is_running()
    }

    /// Did it end without having been killed?
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.server.ended()?.is_some())
    }

    /// kill -9 of the server and of each process that it had begun: a new one does not start beside
    /// one that is left.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.server.id() else {
            return Ok(());
        };
        let children = children_of(id);
        self.server.kill()?;
        for child in &children {
            if let Some(pid) = Pid::from_raw(*child) {
                // It may be gone by itself: it notices that its parent is.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let gone = until(START_WITHIN, async || {
            !children.iter().any(|id| is_alive(*id))
        })
        .await;
        match gone {
            true => Ok(()),
            false => bail!("a process of the killed Postgres is still there"),
        }
    }

    /// An orderly stop that does not wait for its clients.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.server.signal(Signal::INT)?;
        let stopped = until(START_WITHIN, async || {
            matches!(self.server.ended(), Ok(Some(_)))
        });
        match stopped.await {
            true => Ok(()),
            false => self.kill().await,
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(id) = self.server.id() else {
            return;
        };
        let children = children_of(id);
        let _ = self.server.kill();
        for pid in children.into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A command as that user; where the machine has `setpriv`, it ends when this program does.
fn as_user(user: Option<&str>, program: &Path) -> anyhow::Result<Vec<OsString>> {
    let has_setpriv = Command::new("setpriv")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let mut command: Vec<OsString> = Vec::new();
    if has_setpriv {
        command.extend(["setpriv", "--pdeathsig=KILL"].map(OsString::from));
    }
    if let Some(user) = user {
        let group = Command::new("id").args(["-g", user]).output()?;
        let group = String::from_utf8(group.stdout)?;
        command.push(format!("--reuid={user}").into());
        command.push(format!("--regid={}", group.trim()).into());
        command.push("--clear-groups".into());
    }
    command.push(program.into());
    Ok(command)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let done = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{command:?}"))?;
    if !done.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

/// The parent's id and the state letter of a process.
fn stat(id: i32) -> Option<(String, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?.to_owned();
    Some((state, words.next()?.parse().ok()?))
}

fn children_of(parent: u32) -> Vec<i32> {
    let Ok(all) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|id| stat(*id).is_some_and(|(_, its_parent)| its_parent == parent))
        .collect()
}

/// One that only waits for its parent to read its end is gone for us.
fn is_alive(id: i32) -> bool {
    stat(id).is_some_and(|(state, _)| state != "Z")
}
