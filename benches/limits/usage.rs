//! What a process has used of the machine, as the kernel tells it in /proc.

use std::fs;
use std::time::Duration;

use anyhow::{Context, bail};
use diesel::sql_types::Integer;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};

/// Linux counts processor time in hundredths of a second on all machines that we build for.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of a process, all its threads, and those of its children that it has seen end.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    Ok(Stat::of(pid)?.with_children_past())
}

/// Bytes of memory that it holds now.
pub fn memory(pid: u32) -> anyhow::Result<u64> {
    status(pid, "VmRSS:")
}

/// The most bytes of memory that it ever held.
pub fn memory_peak(pid: u32) -> anyhow::Result<u64> {
    status(pid, "VmHWM:")
}

fn status(pid: u32, field: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kibibytes = kibibytes.with_context(|| format!("/proc/{pid}/status has no {field}"))?;
    Ok(kibibytes.parse::<u64>()? * 1_024)
}

/// A Postgres on this machine, for the processor time of all its processes together.
pub struct PostgresServer {
    postmaster: u32,
}

impl PostgresServer {
    /// The one that a database's URL leads to; an error where it is on another machine.
    pub fn find(url: &str) -> anyhow::Result<PostgresServer> {
        #[derive(QueryableByName)]
        struct Backend {
            #[diesel(sql_type = Integer)]
            pid: i32,
        }
        let mut line = PgConnection::establish(url)?;
        let backend: Backend = sql_query("SELECT pg_backend_pid() AS pid").get_result(&mut line)?;
        let backend = Stat::of(u32::try_from(backend.pid)?).context(
            "the Postgres server has to run on this machine, so that its processor time is known",
        )?;
        if backend.name != "postgres" {
            bail!(
                "the Postgres server does not run on this machine, so its processor time is not known"
            );
        }
        Ok(PostgresServer {
            postmaster: backend.parent,
        })
    }

    /// Processor time of the server and of all its processes, those included that have ended.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let mut sum = Stat::of(self.postmaster)?.with_children_past();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A process may end while we look.
            match Stat::of(pid) {
                Ok(stat) if stat.parent == self.postmaster => sum += stat.own,
                _ => {}
            }
        }
        Ok(sum)
    }
}

/// What we need of /proc/PID/stat.
struct Stat {
    name: String,
    parent: u32,
    own: Duration,
    children_past: Duration,
}

impl Stat {
    fn of(pid: u32) -> anyhow::Result<Stat> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("there is no process {pid}"))?;
        // The name stands in parentheses and may hold anything, spaces and parentheses too.
        let (head, tail) = text.rsplit_once(')').context("a stat has a name")?;
        let (_, name) = head.split_once('(').context("a stat has a name")?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let number = |at: usize| -> anyhow::Result<u32> {
            Ok(fields.get(at).context("a stat has 52 fields")?.parse()?)
        };
        // Fields 4 and 14 to 17 of proc(5), counted from the third.
        Ok(Stat {
            name: name.to_owned(),
            parent: number(1)?,
            own: TICK * (number(11)? + number(12)?),
            children_past: TICK * (number(13)? + number(14)?),
        })
    }

    fn with_children_past(&self) -> Duration {
        self.own + self.children_past
    }
}
