//! The database as this program sees it from outside.

use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};

use ringless::grpc::pb::VoicemailStatus as Status;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    pub fn as_str(self) -> &'static str {
        match self {
            Database::Sqlite => "sqlite",
            Database::Postgres => "postgres",
        }
    }
}

/// Where it lies. A file of SQLite may be written to only while no server runs.
#[derive(Debug, Clone)]
pub enum Place {
    File(PathBuf),
    /// The port of Postgres itself, without a proxy before it.
    Port(u16),
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Place {
    fn sqlite(file: &std::path::Path) -> anyhow::Result<SqliteConnection> {
        let mut database = SqliteConnection::establish(&file.display().to_string())?;
        database.batch_execute("PRAGMA busy_timeout = 5000")?;
        Ok(database)
    }

    fn postgres(port: u16) -> anyhow::Result<PgConnection> {
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        Ok(PgConnection::establish(&url)?)
    }

    /// Open breakers let a call through at once.
    pub fn make_trials_due(&self) -> anyhow::Result<()> {
        match self {
            Place::File(file) => Place::sqlite(file)?
                .batch_execute("UPDATE breakers SET next_trial_time = 0, trials = 0")?,
            Place::Port(port) => Place::postgres(*port)?
                .batch_execute("UPDATE breakers SET next_trial_time = 'epoch', trials = 0")?,
        }
        Ok(())
    }

    /// Callbacks that were kept and not read are a minute older, so that the next look takes them.
    pub fn age_unread(&self) -> anyhow::Result<()> {
        match self {
            Place::File(file) => Place::sqlite(file)?.batch_execute(
                "UPDATE callbacks SET receive_time = receive_time - 60000000 WHERE said IS NULL",
            )?,
            Place::Port(port) => Place::postgres(*port)?.batch_execute(
                "UPDATE callbacks SET receive_time = receive_time - interval '1 minute' WHERE said IS NULL",
            )?,
        }
        Ok(())
    }

    /// What is SENT was sent so much earlier.
    pub fn age_sent(&self, seconds: i64) -> anyhow::Result<()> {
        let sent = Status::Sent as i32;
        match self {
            Place::File(file) => {
                let micros = seconds * 1_000_000;
                Place::sqlite(file)?.batch_execute(&format!(
                    "UPDATE voicemails SET sent_time = sent_time - {micros}, next_time = next_time - {micros} WHERE status = {sent}"
                ))?;
            }
            Place::Port(port) => {
                let by = format!("interval '{seconds} seconds'");
                Place::postgres(*port)?.batch_execute(&format!(
                    "UPDATE voicemails SET sent_time = sent_time - {by}, next_time = next_time - {by} WHERE status = {sent}"
                ))?;
            }
        }
        Ok(())
    }

    /// Callbacks that were kept and not read.
    pub fn unread(&self) -> anyhow::Result<i64> {
        let query = sql_query("SELECT count(*) AS count FROM callbacks WHERE said IS NULL");
        let found: Count = match self {
            Place::File(file) => query.get_result(&mut Place::sqlite(file)?)?,
            Place::Port(port) => query.get_result(&mut Place::postgres(*port)?)?,
        };
        Ok(found.count)
    }
}
