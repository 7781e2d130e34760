//! A database of a scenario's own, and what is written into it past the product.

use std::ops::Range;

use anyhow::Context;
use clap::ValueEnum;
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};

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
        self.connect()?.count(query)
    }

    /// How many wait and are due.
    pub fn waiting(&self) -> anyhow::Result<usize> {
        // 1: ACCEPTED.
        self.count("SELECT count(*) FROM voicemails WHERE status = 1 AND schedule_time IS NULL")
    }

    /// Writes `count` copies of the one voicemail that waits for a later day, as if they had come one after the other: due
    /// now, in the order of their ids, each to another recipient.
    pub fn copy(&self, count: usize) -> anyhow::Result<()> {
        let mut line = self.connect()?;
        // No references are looked up for copies of what is there, and pages of indexes are kept.
        line.run(match self.engine {
            Engine::Postgres => "SET session_replication_role = replica",
            Engine::Sqlite => "PRAGMA cache_size = -500000",
        })?;
        line.copy(1..count + 1)?;
        line.run("DELETE FROM voicemails WHERE schedule_time IS NOT NULL")?;
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

    /// One number, by a query that both databases understand.
    pub fn count(&mut self, query: &str) -> anyhow::Result<usize> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            n: i64,
        }
        let query = sql_query(format!("SELECT ({query}) AS n"));
        let row: Row = match self {
            Line::Postgres(conn) => query.get_result(conn)?,
            Line::Sqlite(conn) => query.get_result(conn)?,
        };
        Ok(usize::try_from(row.n)?)
    }

    /// Copies the one voicemail that waits for a later day: each has a number of these in its id and its recipient, which
    /// is a valid phone number, and is due now.
    pub fn copy(&mut self, numbers: Range<usize>) -> anyhow::Result<()> {
        // Found by an index, because there may be many by now: it is the first that came.
        let original = "id = (SELECT id FROM voicemails WHERE workspace_id = 1 ORDER BY create_time LIMIT 1) \
             AND schedule_time IS NOT NULL";
        let columns = self.columns("voicemails")?;
        let (first, last) = (numbers.start, numbers.end - 1);
        let (numbers, id, recipient, time) = match self {
            Line::Postgres(_) => (
                format!("SELECT n FROM generate_series({first}, {last}) n"),
                "(lpad(to_hex(n), 8, '0') || substr(gen_random_uuid()::text, 9))::uuid",
                "'+1212' || (2000000 + n)",
                format!("now() + (n - {first}) * interval '1 microsecond'"),
            ),
            Line::Sqlite(_) => (
                format!(
                    "WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) \
                     SELECT n FROM numbers"
                ),
                "CAST(unhex(printf('%08x', n)) || randomblob(12) AS BLOB)",
                "'+1212' || (2000000 + n)",
                "create_time + n".to_owned(),
            ),
        };
        let values: Vec<&str> = columns
            .iter()
            .map(|column| match column.as_str() {
                "id" => id,
                "recipient" => recipient,
                "create_time" | "update_time" | "due_time" | "next_time" => &time,
                "schedule_time" => "NULL",
                other => other,
            })
            .collect();
        self.run(&format!(
            "INSERT INTO voicemails ({}) SELECT {} FROM voicemails, ({numbers}) numbers WHERE {original}",
            columns.join(", "),
            values.join(", ")
        ))
    }

    fn columns(&mut self, table: &str) -> anyhow::Result<Vec<String>> {
        #[derive(QueryableByName)]
        struct Column {
            #[diesel(sql_type = Text)]
            name: String,
        }
        let columns: Vec<Column> = match self {
            Line::Postgres(conn) => sql_query(format!(
                "SELECT attname::text AS name FROM pg_attribute \
                 WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
            ))
            .load(conn)?,
            Line::Sqlite(conn) => {
                sql_query(format!("SELECT name FROM pragma_table_info('{table}')")).load(conn)?
            }
        };
        Ok(columns.into_iter().map(|column| column.name).collect())
    }
}

fn server_url() -> anyhow::Result<String> {
    std::env::var("RINGLESS_TEST_POSTGRES_URL").context(
        "RINGLESS_TEST_POSTGRES_URL is not set; run it with scripts/with-postgres, which starts a Postgres",
    )
}
