//! Migrations: paired by name, down as well as up, and safe to run from many processes.

use std::collections::BTreeSet;

use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use ringless::clock::{Clock, ManualClock};
use ringless::domain::time::Time;
use ringless::storage::{DatabaseUrl, Store, StoreOptions};

use crate::support::{Engine, START_US, TestDatabase, TestStore, open};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

crate::on_both_databases!(
    up_down_up_leaves_the_same_schema,
    a_migrated_database_knows_no_difference,
    a_newer_schema_is_told_apart,
);

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

/// Every table, column and index, in words.
fn schema(database: &TestDatabase) -> BTreeSet<String> {
    let lines: Vec<Line> = match database.engine {
        Engine::Sqlite => diesel::sql_query(
            "SELECT type || ' ' || name || ' ' || coalesce(sql, '') AS line FROM sqlite_schema \
             WHERE name NOT LIKE '%diesel%'",
        )
        .load(&mut SqliteConnection::establish(database.url.trim_start_matches("sqlite://")).unwrap())
        .unwrap(),
        Engine::Postgres => diesel::sql_query(
            "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable AS line \
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '%diesel%' \
             UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE '%diesel%' \
             UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
             WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE '%diesel%'",
        )
        .load(&mut PgConnection::establish(&database.url).unwrap())
        .unwrap(),
    };
    lines.into_iter().map(|line| line.line).collect()
}

async fn up_down_up_leaves_the_same_schema(engine: Engine) {
    let database = TestDatabase::new(engine);
    let (first, empty, again) = match engine {
        Engine::Sqlite => {
            let mut conn =
                SqliteConnection::establish(database.url.trim_start_matches("sqlite://")).unwrap();
            conn.run_pending_migrations(SQLITE).unwrap();
            let first = schema(&database);
            conn.revert_all_migrations(SQLITE).unwrap();
            let empty = schema(&database);
            conn.run_pending_migrations(SQLITE).unwrap();
            (first, empty, schema(&database))
        }
        Engine::Postgres => {
            let mut conn = PgConnection::establish(&database.url).unwrap();
            conn.run_pending_migrations(POSTGRES).unwrap();
            let first = schema(&database);
            conn.revert_all_migrations(POSTGRES).unwrap();
            let empty = schema(&database);
            conn.run_pending_migrations(POSTGRES).unwrap();
            (first, empty, schema(&database))
        }
    };
    assert!(first.len() > 30, "{first:?}");
    assert_eq!(empty, BTreeSet::new());
    assert_eq!(first, again);
}

async fn a_migrated_database_knows_no_difference(engine: Engine) {
    let test = TestStore::new(engine).await;
    assert_eq!(
        test.store.schema_difference().await.unwrap(),
        Default::default()
    );
    assert!(
        test.store.migrate().await.unwrap().is_empty(),
        "a second run has nothing to do"
    );
}

async fn a_newer_schema_is_told_apart(engine: Engine) {
    let test = TestStore::new(engine).await;
    let sql = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')";
    test.database.sql(sql, sql);
    let difference = test.store.schema_difference().await.unwrap();
    assert_eq!(
        (difference.missing.len(), difference.unknown),
        (0, vec!["29991231000000".to_owned()])
    );
}

#[test]
fn every_migration_stands_in_both_folders_and_says_why() {
    let names = |engine: &str| -> BTreeSet<String> {
        std::fs::read_dir(format!("migrations/{engine}"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
    for engine in ["sqlite", "postgres"] {
        for name in names(engine) {
            for file in ["up.sql", "down.sql"] {
                let text =
                    std::fs::read_to_string(format!("migrations/{engine}/{name}/{file}")).unwrap();
                assert!(
                    text.starts_with("-- "),
                    "{engine}/{name}/{file} opens without a comment"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_processes_that_start_together_migrate_once() {
    let database = TestDatabase::new(Engine::Postgres);
    let clock = ManualClock::new(Time::from_micros(START_US));
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let store = open(&database, &clock);
        starts.spawn(async move { store.migrate().await });
    }
    let applied: usize = starts
        .join_all()
        .await
        .into_iter()
        .map(|done| done.unwrap().len())
        .sum();
    let known = std::fs::read_dir("migrations/postgres").unwrap().count();
    assert_eq!(applied, known);
}

#[tokio::test]
async fn a_postgres_that_is_away_is_said_so_without_its_password() {
    let store = Store::open(&StoreOptions {
        url: DatabaseUrl::parse("postgres://me:secret@127.0.0.1:1/nowhere").unwrap(),
        connections: 2,
        connection_age_max: std::time::Duration::from_secs(600),
        clock: Clock::Database,
    })
    .unwrap();
    let error = store.migrate().await.unwrap_err().to_string();
    assert!(
        error.contains("unavailable") && !error.contains("secret"),
        "{error}"
    );
}
