//! The queries, written once and compiled for each engine: `super` is the engine's module, which
//! gives the connection type, the tables, and the few places where the two differ.

mod audio;
mod delivery;
mod explain;
mod lists;
mod report;
mod rows;
mod telephony;
mod use_cases;
mod voicemails;

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel_migrations::MigrationHarness;

use super::{Conn, Db, Pool, service_keys};
use crate::clock::Clock;
use crate::domain::time::Time;
use crate::storage::{Error, Result, SchemaDifference, Tx};

/// A connection within one unit of work.
pub struct Session<'c> {
    conn: &'c mut Conn,
    clock: &'c Clock,
    now: Option<Time>,
}

impl Tx for Session<'_> {
    fn now(&mut self) -> Result<Time> {
        if let Some(now) = self.now {
            return Ok(now);
        }
        let now = match self.clock {
            Clock::Manual(clock) => clock.now(),
            Clock::Database => super::database_now(self.conn)?,
        };
        self.now = Some(now);
        Ok(now)
    }

    fn service_key(&mut self, name: &str, fresh: &[u8]) -> Result<Vec<u8>> {
        diesel::insert_into(service_keys::table)
            .values((service_keys::name.eq(name), service_keys::value.eq(fresh)))
            .on_conflict_do_nothing()
            .execute(self.conn)?;
        Ok(service_keys::table
            .find(name)
            .select(service_keys::value)
            .first(self.conn)?)
    }

    fn ping(&mut self) -> Result<()> {
        diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("1")).execute(self.conn)?;
        Ok(())
    }
}

pub fn read<T, E: From<Error>>(
    pool: &Pool,
    clock: &Clock,
    work: impl FnOnce(&mut dyn Tx) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let mut conn = connection(pool)?;
    work(&mut Session {
        conn: &mut conn,
        clock,
        now: None,
    })
}

pub fn write<T, E: From<Error>>(
    pool: &Pool,
    clock: &Clock,
    work: impl FnOnce(&mut dyn Tx) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let mut conn = connection(pool)?;
    let conn: &mut Conn = &mut conn;
    AnsiTransactionManager::begin_transaction_sql(conn, super::BEGIN).map_err(Error::from)?;
    match work(&mut Session {
        conn: &mut *conn,
        clock,
        now: None,
    }) {
        Ok(done) => {
            AnsiTransactionManager::commit_transaction(conn).map_err(super::commit_error)?;
            Ok(done)
        }
        Err(failed) => {
            // What matters to the caller is why the work failed; a connection whose rollback fails
            // too is thrown away by the pool.
            let _: std::result::Result<(), _> = AnsiTransactionManager::rollback_transaction(conn);
            Err(failed)
        }
    }
}

fn connection(
    pool: &Pool,
) -> Result<diesel::r2d2::PooledConnection<diesel::r2d2::ConnectionManager<Conn>>> {
    pool.get()
        .map_err(|error| Error::Unavailable(error.to_string()))
}

pub fn migrate(pool: &Pool) -> Result<Vec<String>> {
    let mut conn = connection(pool)?;
    super::with_migration_lock(&mut conn, |conn| {
        let run = conn
            .run_pending_migrations(super::MIGRATIONS)
            .map_err(|error| Error::Internal(format!("a migration failed: {error}")))?;
        Ok(run.iter().map(ToString::to_string).collect())
    })
}

diesel::table! {
    /// Where diesel_migrations notes what it has run.
    __diesel_schema_migrations (version) { version -> Text, }
}

/// Asked every second, so it only reads: diesel's own question would make the table first.
pub fn schema_difference(pool: &Pool) -> Result<SchemaDifference> {
    let mut conn = connection(pool)?;
    let applied: Vec<String> = __diesel_schema_migrations::table
        .select(__diesel_schema_migrations::version)
        .load(&mut conn)?;
    let migrations = MigrationSource::<Db>::migrations(&super::MIGRATIONS)
        .map_err(|error| Error::Internal(error.to_string()))?;
    let known: Vec<String> = migrations
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    let not_in = |all: &[String], some: &[String]| {
        all.iter().filter(|v| !some.contains(v)).cloned().collect()
    };
    Ok(SchemaDifference {
        missing: not_in(&known, &applied),
        unknown: not_in(&applied, &known),
    })
}
