//! The queries, written once and compiled for each engine: `super` is the engine's module, which
//! gives the connection type, the tables, and the few places where the two differ.

mod audio;
mod bulk;
mod carriers;
mod consents;
mod counting;
mod delivery;
mod ended;
mod explain;
mod gates;
mod lists;
mod many;
mod queue;
mod recovery;
mod report;
mod rows;
mod suppressions;
mod telephony;
mod together;
mod use_cases;
mod voicemails;

use std::collections::HashMap;

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::r2d2::PooledConnection;
use diesel::sql_types::Bool;
use diesel_migrations::MigrationHarness;

use self::together::Together;
use super::{Conn, Db, Manager, Pool, service_keys};
use crate::clock::Clock;
use crate::domain::ids::AudioId;
use crate::domain::time::Time;
use crate::storage::{Error, Result, SchemaDifference, Tx};

/// A connection within one unit of work.
pub struct Session<'c> {
    conn: &'c mut Conn,
    clock: &'c Clock,
    now: Option<Time>,
    together: Option<Together>,
    /// When audio that was found was last used, as far as that is noted.
    audio_uses: HashMap<AudioId, Time>,
}

impl<'c> Session<'c> {
    fn new(conn: &'c mut Conn, clock: &'c Clock) -> Session<'c> {
        Session {
            conn,
            clock,
            now: None,
            together: None,
            audio_uses: HashMap::new(),
        }
    }
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
            .execute(self.settled()?)?;
        Ok(service_keys::table
            .find(name)
            .select(service_keys::value)
            .first(self.settled()?)?)
    }

    fn find_service_key(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(service_keys::table
            .find(name)
            .select(service_keys::value)
            .first(self.settled()?)
            .optional()?)
    }

    fn ping(&mut self) -> Result<()> {
        super::ping(self.settled()?)
    }
}

pub fn read<T, E: From<Error>>(
    pool: &Pool,
    clock: &Clock,
    work: impl FnOnce(&mut dyn Tx) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let mut conn = super::checkout(pool)?;
    work(&mut Session::new(&mut conn, clock))
}

pub fn read_one_moment<T, E: From<Error>>(
    pool: &Pool,
    clock: &Clock,
    work: impl FnOnce(&mut dyn Tx) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    transact(pool, clock, super::BEGIN_ONE_MOMENT, work)
}

pub fn write<T, E: From<Error>>(
    pool: &Pool,
    clock: &Clock,
    work: impl FnOnce(&mut dyn Tx) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    transact(pool, clock, super::BEGIN, work)
}

fn transact<T, E: From<Error>>(
    pool: &Pool,
    clock: &Clock,
    begin_sql: &'static str,
    work: impl FnOnce(&mut dyn Tx) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let mut conn = begin(pool, begin_sql)?;
    let conn: &mut Conn = &mut conn;
    let mut session = Session::new(&mut *conn, clock);
    let done = work(&mut session).and_then(|done| Ok(session.settle().map(|()| done)?));
    match done {
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

/// A connection with a transaction begun.
fn begin(pool: &Pool, begin_sql: &'static str) -> Result<PooledConnection<Manager>> {
    let begin_on = |conn: &mut PooledConnection<Manager>| {
        super::refresh_plans(conn)?;
        let conn: &mut Conn = conn;
        AnsiTransactionManager::begin_transaction_sql(conn, begin_sql)
    };
    let mut conn = super::checkout(pool)?;
    match begin_on(&mut conn) {
        Ok(()) => Ok(conn),
        // Nothing has been done yet, so where only the connection was dead a fresh one is as good.
        Err(_) if super::is_dead(&conn) => {
            drop(conn);
            let mut conn = super::checkout(pool)?;
            begin_on(&mut conn)?;
            Ok(conn)
        }
        Err(failed) => Err(failed.into()),
    }
}

pub fn migrate(pool: &Pool) -> Result<Vec<String>> {
    let mut conn = super::checkout(pool)?;
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
    let mut conn = super::checkout(pool)?;
    let conn: &mut Conn = &mut conn;
    let loaded = __diesel_schema_migrations::table
        .select(__diesel_schema_migrations::version)
        .load::<String>(conn);
    let applied = match loaded {
        Ok(applied) => applied,
        // On an empty database all are missing, which is no fault of it.
        Err(error) => {
            match diesel::select(diesel::dsl::sql::<Bool>(super::HAS_MIGRATIONS)).get_result(conn) {
                Ok(false) => Vec::new(),
                _ => return Err(error.into()),
            }
        }
    };
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
