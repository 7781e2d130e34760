//! The Postgres server that holds the data sets: with a data folder of its own, started and stopped here.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, RunQueryDsl};

use crate::servers;

/// After a kill it has to read its log first.
const START_WITHIN: Duration = Duration::from_secs(60);

pub struct Postgres {
    server: Child,
    port: u16,
}

impl Postgres {
    /// With the programs of `PATH`. For loading it is told that what is written may be lost, since it is then made again.
    pub fn start(folder: &Path, for_loading: bool) -> anyhow::Result<Postgres> {
        let home = folder.join("postgres");
        if !home.join("data").exists() {
            std::fs::create_dir_all(&home)?;
            give_away(&home)?;
            let mut command = command("initdb", &home)?;
            command
                .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
                .args(["--locale=C", "--no-sync", "--pgdata=data"]);
            ensure!(
                command.status()?.success(),
                "initdb failed: see {}",
                log(&home).display()
            );
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let mut command = command("postgres", &home)?;
        command
            .args(["-D", "data", "-p", &port.to_string(), "-k", "."])
            .args(["-c", "listen_addresses=127.0.0.1"])
            // For a machine with two cores and a few gigabytes; all else is at its default.
            .args(["-c", "shared_buffers=512MB", "-c", "max_wal_size=4GB"]);
        if for_loading {
            for setting in [
                "fsync=off",
                "full_page_writes=off",
                "wal_level=minimal",
                "max_wal_senders=0",
                "maintenance_work_mem=512MB",
                "work_mem=256MB",
            ] {
                command.args(["-c", setting]);
            }
        }
        let mut postgres = Postgres {
            server: command.spawn().context("the program postgres of PATH")?,
            port,
        };
        let give_up = Instant::now() + START_WITHIN;
        while PgConnection::establish(&postgres.url("postgres")).is_err() {
            if let Some(ended) = postgres.server.try_wait()? {
                bail!("Postgres ended with {ended}: see {}", log(&home).display());
            }
            ensure!(Instant::now() < give_up, "Postgres does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(postgres)
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub fn has(&mut self, database: &str) -> anyhow::Result<bool> {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Bool)]
            is_there: bool,
        }
        let query = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1) AS is_there";
        let row: Row = diesel::sql_query(query)
            .bind::<diesel::sql_types::Text, _>(database)
            .get_result(&mut PgConnection::establish(&self.url("postgres"))?)?;
        Ok(row.is_there)
    }

    pub fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        Ok(PgConnection::establish(&self.url("postgres"))?.batch_execute(sql)?)
    }

    /// With all that it has in memory written down.
    pub fn stop(mut self) -> anyhow::Result<()> {
        servers::stop(&mut self.server)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if servers::stop(&mut self.server).is_err() {
            servers::end(&mut self.server);
        }
    }
}

fn log(home: &Path) -> PathBuf {
    home.join("log")
}

/// What refuses to run as root, so there it runs as another; and it ends with this process, however that ends.
fn command(program: &str, home: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if rustix::process::getuid().is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    let log = File::options().create(true).append(true).open(log(home))?;
    command
        .arg(program)
        .env_remove("LC_ALL")
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(command)
}

fn give_away(home: &Path) -> anyhow::Result<()> {
    if rustix::process::getuid().is_root() {
        let status = Command::new("chown").arg("postgres").arg(home).status()?;
        ensure!(
            status.success(),
            "{} could not be given to postgres",
            home.display()
        );
    }
    Ok(())
}
