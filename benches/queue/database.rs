//! A database of a scenario's own, and what is written into it past the product.

use anyhow::Context;
use clap::ValueEnum;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, RunQueryDsl, SqliteConnection};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub fn as_str(self) -> &'static str {
        match self {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "Postgres",
        }
    }
}

/// Empty at first, and dropped with the value.
pub struct Database {
    pub engine: Engine,
    pub url: String,
    /// SQLite's file, and the data folder of the processes.
    pub folder: tempfile::TempDir,
}

impl Database {
    pub fn new(engine: Engine) -> anyhow::Result<Database> {
        let folder = tempfile::tempdir()?;
        let url = match engine {
            Engine::Sqlite => format!("sqlite://{}", folder.path().join("ringless.db").display()),
            Engine::Postgres => {
                let name = format!("bench_{}", uuid::Uuid::now_v7().simple());
                let server = server_url()?;
                PgConnection::establish(&server)?
                    .batch_execute(&format!("CREATE DATABASE {name}"))?;
                let (server, _) = server.rsplit_once('/').context("a URL has a slash")?;
                format!("{server}/{name}")
            }
        };
        Ok(Database {
            engine,
            url,
            folder,
        })
    }

    pub fn connect(&self) -> anyhow::Result<Line> {
        Ok(match self.engine {
            Engine::Postgres => Line::Postgres(PgConnection::establish(&self.url)?),
            Engine::Sqlite => {
                let mut line =
                    SqliteConnection::establish(self.url.trim_start_matches("sqlite://"))?;
                // As the product has it: what was committed survives a power cut.
                line.batch_execute(
                    "PRAGMA busy_timeout = 30000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
                )?;
                Line::Sqlite(line)
            }
        })
    }

    /// One number, by a query that both databases understand.
    pub fn count(&self, query: &str) -> anyhow::Result<usize> {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            n: i64,
        }
        let query = diesel::sql_query(format!("SELECT ({query}) AS n"));
        let row: Row = match &mut self.connect()? {
            Line::Postgres(conn) => query.get_result(conn)?,
            Line::Sqlite(conn) => query.get_result(conn)?,
        };
        Ok(usize::try_from(row.n)?)
    }

    /// How many wait and are due.
    pub fn waiting(&self) -> anyhow::Result<usize> {
        // 1: ACCEPTED.
        self.count("SELECT count(*) FROM voicemails WHERE status = 1 AND schedule_time IS NULL")
    }

    /// Writes `count` copies of the one voicemail that waits for a later day, as if they had come one after the other: due
    /// now, in the order of their ids, each to another recipient.
    pub fn copy(&self, count: usize) -> anyhow::Result<()> {
        let (numbers, id, recipient, time) = match self.engine {
            Engine::Postgres => (
                format!("SELECT n FROM generate_series(1, {count}) n"),
                "(lpad(to_hex(n), 8, '0') || substr(gen_random_uuid()::text, 9))::uuid",
                "'+1212' || lpad(n::text, 7, '0')",
                "create_time + n * interval '1 microsecond'",
            ),
            Engine::Sqlite => (
                format!(
                    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
                     SELECT n FROM numbers"
                ),
                "CAST(unhex(printf('%08x', n)) || randomblob(12) AS BLOB)",
                "printf('+1212%07d', n)",
                "create_time + n",
            ),
        };
        let mut line = self.connect()?;
        line.run(&format!(
            "CREATE TEMPORARY TABLE batch AS SELECT voicemails.*, numbers.n FROM voicemails, ({numbers}) numbers \
             WHERE schedule_time IS NOT NULL; \
             UPDATE batch SET id = {id}, recipient = {recipient}, schedule_time = NULL, create_time = {time}, \
             update_time = {time}, due_time = {time}, next_time = {time}; \
             ALTER TABLE batch DROP COLUMN n; \
             INSERT INTO voicemails SELECT * FROM batch; \
             DELETE FROM voicemails WHERE schedule_time IS NOT NULL"
        ))?;
        match self.engine {
            Engine::Postgres => Ok(()),
            // Otherwise the product's first commits would have to carry the batch over into the file.
            Engine::Sqlite => line.run("PRAGMA wal_checkpoint(TRUNCATE)"),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((_, name)) = self
            .url
            .rsplit_once('/')
            .filter(|_| self.engine == Engine::Postgres)
        else {
            return;
        };
        let dropped = server_url().and_then(|server| {
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            Ok(PgConnection::establish(&server)?.batch_execute(&drop)?)
        });
        if let Err(error) = dropped {
            eprintln!("the database {name} could not be dropped: {error:#}");
        }
    }
}

/// A connection of the scenario's own.
pub enum Line {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Line {
    /// Several statements are one transaction.
    pub fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        match self {
            Line::Postgres(conn) => conn.batch_execute(sql)?,
            Line::Sqlite(conn) if sql.contains(';') => {
                conn.batch_execute(&format!("BEGIN IMMEDIATE; {sql}; COMMIT"))?;
            }
            Line::Sqlite(conn) => conn.batch_execute(sql)?,
        }
        Ok(())
    }
}

fn server_url() -> anyhow::Result<String> {
    std::env::var("RINGLESS_TEST_POSTGRES_URL").context(
        "RINGLESS_TEST_POSTGRES_URL is not set; run it with scripts/with-postgres, which starts a Postgres",
    )
}
