//! The data sets: as many voicemails as a month brings, written past the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use diesel::sql_types::Text;
use diesel::{Connection, PgConnection, RunQueryDsl, SqliteConnection};
use ringless::clock::Clock;
use ringless::storage::{DatabaseUrl, Store, StoreOptions};
use tokio::task::block_in_place;

use super::postgres::Postgres;
use crate::database::{Database, Engine, Line};

/// Where they are kept, from the repository on.
pub const FOLDER: &str = "target/bench-data";
/// The smallest is made on the fly, where there is no folder.
pub const SIZES: [u64; 3] = [10_000, 1_000_000, 10_000_000];

/// Makes the data sets of p5, each once
#[derive(Debug, Args)]
pub struct PrepareArgs {
    /// Where they are kept
    #[arg(long, default_value = FOLDER)]
    data: PathBuf,
    /// How many voicemails, such as 10000,1000000
    #[arg(long, value_delimiter = ',', default_values_t = SIZES)]
    sizes: Vec<u64>,
}

/// Those that are there already are left as they are.
pub async fn prepare(args: PrepareArgs) -> anyhow::Result<()> {
    fs::create_dir_all(&args.data)?;
    let folder = args.data.canonicalize()?;
    let mut postgres = Postgres::start(&folder, true)?;
    for size in args.sizes {
        make_on_postgres(&mut postgres, size).await?;
        make_on_sqlite(&folder, size).await?;
    }
    postgres.stop()
}

/// A data set, and the folder for the program that works on it.
pub struct Set {
    pub engine: Engine,
    pub size: u64,
    pub url: String,
    pub folder: PathBuf,
}

/// The sets of a folder, which are there for as long as this is.
pub struct Sets {
    pub sets: Vec<Set>,
    /// What they live in; dropped last.
    _databases: Vec<Database>,
    _postgres: Option<Postgres>,
}

impl Sets {
    /// The smallest alone, made on the fly.
    pub async fn smallest() -> anyhow::Result<Sets> {
        let (mut sets, mut databases) = (Vec::new(), Vec::new());
        for engine in [Engine::Sqlite, Engine::Postgres] {
            let database = Database::new(engine)?;
            fill(engine, &database.url, SIZES[0]).await?;
            sets.push(Set {
                engine,
                size: SIZES[0],
                url: database.url.clone(),
                folder: database.folder.path().to_owned(),
            });
            databases.push(database);
        }
        Ok(Sets {
            sets,
            _databases: databases,
            _postgres: None,
        })
    }

    /// Those that have been prepared in a folder; says which are missing.
    pub fn of(folder: &Path) -> anyhow::Result<Sets> {
        let folder = folder.canonicalize()?;
        let mut postgres = Postgres::start(&folder, false)?;
        let mut sets = Vec::new();
        for size in SIZES {
            let file = sqlite_folder(&folder, size).join("ringless.db");
            let (on_sqlite, on_postgres) = (file.exists(), postgres.has(&name(size))?);
            if on_sqlite {
                sets.push(Set {
                    engine: Engine::Sqlite,
                    size,
                    url: format!("sqlite://{}", file.display()),
                    folder: sqlite_folder(&folder, size),
                });
            }
            if on_postgres {
                let of_process = folder.join(format!("postgres-{size}"));
                fs::create_dir_all(&of_process)?;
                sets.push(Set {
                    engine: Engine::Postgres,
                    size,
                    url: postgres.url(&name(size)),
                    folder: of_process,
                });
            }
            for (is_there, database) in [(on_sqlite, "SQLite"), (on_postgres, "Postgres")] {
                if !is_there {
                    println!("P5: there is no set of {size} on {database}");
                }
            }
        }
        Ok(Sets {
            sets,
            _databases: Vec::new(),
            _postgres: Some(postgres),
        })
    }
}

fn name(size: u64) -> String {
    format!("voicemails_{size}")
}

fn sqlite_folder(folder: &Path, size: u64) -> PathBuf {
    folder.join(format!("sqlite-{size}"))
}

/// Under another name until it is whole, as on SQLite.
async fn make_on_postgres(postgres: &mut Postgres, size: u64) -> anyhow::Result<()> {
    if postgres.has(&name(size))? {
        return Ok(());
    }
    postgres.run("DROP DATABASE IF EXISTS part")?;
    postgres.run("CREATE DATABASE part")?;
    fill(Engine::Postgres, &postgres.url("part"), size).await?;
    postgres.run(&format!("ALTER DATABASE part RENAME TO {}", name(size)))
}

async fn make_on_sqlite(folder: &Path, size: u64) -> anyhow::Result<()> {
    let (part, whole) = (folder.join("part"), sqlite_folder(folder, size));
    if whole.exists() {
        return Ok(());
    }
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    fs::create_dir_all(&part)?;
    let url = format!("sqlite://{}", part.join("ringless.db").display());
    fill(Engine::Sqlite, &url, size).await?;
    Ok(fs::rename(part, whole)?)
}

/// What the migration of the counts does, which is done once over all rows and not for each.
struct Scripts {
    load: &'static str,
    without_counts: &'static str,
    with_counts: &'static str,
    /// Said first, and at the end.
    before: &'static [&'static str],
    after: &'static str,
    indexes: &'static str,
}

const POSTGRES: Scripts = Scripts {
    load: include_str!("postgres.sql"),
    without_counts: include_str!(
        "../../../migrations/postgres/2026-11-25-170000_report_counts/down.sql"
    ),
    with_counts: include_str!(
        "../../../migrations/postgres/2026-11-25-170000_report_counts/up.sql"
    ),
    // No references are looked up for what refers to what is there.
    before: &["SET session_replication_role = replica"],
    after: "VACUUM (ANALYZE)",
    indexes: "SELECT indexname AS name, indexdef AS sql FROM pg_indexes WHERE schemaname = 'public' \
         AND tablename IN ('voicemails', 'voicemail_labels', 'batch_members') \
         AND indexname NOT IN (SELECT conname FROM pg_constraint)",
};

const SQLITE: Scripts = Scripts {
    load: include_str!("sqlite.sql"),
    without_counts: include_str!(
        "../../../migrations/sqlite/2026-11-25-170000_report_counts/down.sql"
    ),
    with_counts: include_str!("../../../migrations/sqlite/2026-11-25-170000_report_counts/up.sql"),
    before: &[
        "PRAGMA journal_mode = OFF",
        "PRAGMA synchronous = OFF",
        "PRAGMA cache_size = -500000",
    ],
    after: "ANALYZE",
    indexes: "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL \
         AND tbl_name IN ('voicemails', 'voicemail_labels', 'batch_members')",
};

#[derive(diesel::QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    sql: String,
}

/// Indexes and counts are made when all rows are there, which is faster by far.
async fn fill(engine: Engine, url: &str, size: u64) -> anyhow::Result<()> {
    let start = Instant::now();
    let store = Store::open(&StoreOptions {
        url: DatabaseUrl::parse(url).map_err(anyhow::Error::msg)?,
        connections: 1,
        connection_age_max: Duration::from_secs(600),
        clock: Clock::Database,
    })?;
    store.migrate().await?;
    drop(store);
    block_in_place(|| load(engine, url, size))
        .with_context(|| format!("a set of {size} on {}", engine.as_str()))?;
    println!(
        "P5: a set of {size} on {}: {:.0} s",
        engine.as_str(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn load(engine: Engine, url: &str, size: u64) -> anyhow::Result<()> {
    let scripts = match engine {
        Engine::Postgres => POSTGRES,
        Engine::Sqlite => SQLITE,
    };
    let mut line = connect(engine, url)?;
    for statement in scripts.before {
        line.run(statement)?;
    }
    line.run(scripts.without_counts)?;
    let find = diesel::sql_query(scripts.indexes);
    let indexes: Vec<Index> = match &mut line {
        Line::Postgres(conn) => find.load(conn)?,
        Line::Sqlite(conn) => find.load(conn)?,
    };
    for index in &indexes {
        line.run(&format!("DROP INDEX {}", index.name))?;
    }
    line.run(&scripts.load.replace("{size}", &size.to_string()))?;
    for index in &indexes {
        line.run(&index.sql)?;
    }
    line.run(scripts.with_counts)?;
    line.run(scripts.after)
}

/// A plain connection, as any program's.
pub fn connect(engine: Engine, url: &str) -> anyhow::Result<Line> {
    Ok(match engine {
        Engine::Postgres => Line::Postgres(PgConnection::establish(url)?),
        Engine::Sqlite => Line::Sqlite(SqliteConnection::establish(
            url.trim_start_matches("sqlite://"),
        )?),
    })
}
