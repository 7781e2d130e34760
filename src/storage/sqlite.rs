//! SQLite, bundled: the embedded default. One process owns the file.

use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error as R2d2Error, PooledConnection};
use diesel::result::Error as DieselError;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use self::queries::{
    EndedAttempt, GateCheckRow, HandOverRow, NewAudioRow, NewVoicemailRow, delivery, gates,
};
use super::error::{Error, Result};
use super::prepared::Prepared;
use super::traits::{Guard, NewAttempt};
use super::values::Id;
use crate::domain::delivery::Delivery;
use crate::domain::time::Time;

pub type Conn = SqliteConnection;
pub type Db = diesel::sqlite::Sqlite;
pub type Manager = ConnectionManager<SqliteConnection>;
pub type Pool = diesel::r2d2::Pool<Manager>;

pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
/// A write takes the writer's lock at once: a transaction that reads first and writes later
/// would fail with "database is locked" whatever the busy timeout.
pub const BEGIN: &str = "BEGIN IMMEDIATE";
/// From its first statement on it sees the same, and holds no writer up.
pub const BEGIN_ONE_MOMENT: &str = "BEGIN DEFERRED";

pub type IdSql = diesel::sql_types::Binary;
pub type TsSql = diesel::sql_types::BigInt;

/// Has any migration ever been noted here?
pub const HAS_MIGRATIONS: &str =
    "EXISTS (SELECT 1 FROM sqlite_master WHERE name = '__diesel_schema_migrations')";

/// A plan comes as a tree: id, parent, unused, text.
pub const EXPLAIN: &str = "EXPLAIN QUERY PLAN ";
pub type PlanSql = (
    diesel::sql_types::Integer,
    diesel::sql_types::Integer,
    diesel::sql_types::Integer,
    diesel::sql_types::Text,
);
pub type PlanLine = (i32, i32, i32, String);

pub fn plan_text((_, _, _, line): PlanLine) -> String {
    line
}

/// The texts of the JSON list that is bound first, as rows: any number of them with one statement. It has
/// to stand before all else that is bound, because SQLite counts parameters as they come.
pub const TEXTS: &str = "SELECT value FROM json_each($1)";

/// What stands around a query for ids that are few and looked up one by one.
pub const ONE_OF: (&str, &str) = ("IN (", ")");

/// An id that is written as 32 hexadecimal digits.
pub const ID_OF_TEXT: &str = "unhex(value)";

super::schema::schema!(Binary, BigInt);

/// A write has the database to itself, so there is nothing to lock or to pass over.
macro_rules! skip_locked {
    ($query:expr) => {
        $query
    };
}

/// A write has the database to itself, so there is nothing to lock.
macro_rules! locked {
    ($query:expr) => {
        $query
    };
}

/// A write has the database to itself, so there is nothing to lock.
macro_rules! first_locked {
    ($query:expr, $lock:expr, $conn:expr, $row:ty) => {{
        let _: Lock = $lock;
        $query.first::<$row>($conn).optional()
    }};
}

/// Equal, or both NULL.
macro_rules! is_same {
    ($column:expr, $value:expr) => {
        diesel::SqliteExpressionMethods::is($column, $value)
    };
}

/// Stores the rows that no other stands in the way of, one by one: SQLite's statement for several can't
/// pass over some of them.
macro_rules! insert_new {
    ($table:expr, $rows:expr, $conn:expr) => {
        $rows.into_iter().try_fold(0, |stored, row| {
            let one = diesel::insert_into($table)
                .values(row)
                .on_conflict_do_nothing();
            Ok::<usize, diesel::result::Error>(stored + one.execute($conn)?)
        })
    };
}

/// The number of a time's slice of `$micros` microseconds since 1970.
macro_rules! slice_of_create_time {
    ($micros:expr) => {
        diesel::dsl::sql::<diesel::sql_types::Nullable<diesel::sql_types::BigInt>>(&format!(
            "voicemails.create_time / {}",
            $micros
        ))
    };
}

#[path = "queries/mod.rs"]
pub mod queries;

/// The database lives in this process, so its clock is the host's.
pub fn database_now(_: &mut Conn) -> Result<Time> {
    Ok(crate::clock::system_now())
}

/// What is told to each connection when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAcquire {
    /// Of the process that owns the file.
    Owner,
    /// Of one that looks at it beside that.
    Reader,
}

impl CustomizeConnection<SqliteConnection, R2d2Error> for OnAcquire {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> std::result::Result<(), R2d2Error> {
        use diesel::connection::SimpleConnection;
        if *self == OnAcquire::Reader {
            let settings = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON";
            return conn.batch_execute(settings).map_err(R2d2Error::QueryError);
        }
        // busy_timeout first, because switching to WAL may have to wait. FULL: an answered commit
        // survives a power cut. The page cache is counted in KiB when negative. `optimize` looks
        // whether the planner's statistics are out of date, and is quick where they are not.
        conn.batch_execute(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA cache_size = -8000; \
             PRAGMA optimize = 0x10002",
        )
        .map_err(R2d2Error::QueryError)
    }
}

/// The file has one owner: this process.
pub fn other_processes(_: &mut Conn) -> Result<i64> {
    Ok(0)
}

pub fn checkout(pool: &Pool) -> Result<PooledConnection<Manager>> {
    pool.get()
        .map_err(|error| Error::Unavailable(error.to_string()))
}

/// A file that is there stays there.
pub fn is_dead(_: &PooledConnection<Manager>) -> bool {
    false
}

/// Asks for no write: that would wait for the writer at work.
pub fn ping(conn: &mut Conn) -> Result<()> {
    diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("1")).execute(conn)?;
    Ok(())
}

/// The file has one owner, so no other process migrates it.
pub fn with_migration_lock<T>(
    conn: &mut Conn,
    migrate: impl FnOnce(&mut Conn) -> Result<T>,
) -> Result<T> {
    migrate(conn)
}

/// A write has the database to itself, so there is nothing to lock.
pub fn lock_until_end(_: &mut Conn, _: i64) -> Result<()> {
    Ok(())
}

/// A commit that fails here has been rolled back: nothing lies between us and the file.
pub fn commit_error(error: DieselError) -> Error {
    error.into()
}

/// A write has the database to itself, so there is nothing to lock.
pub fn lock_all_until_end(_: &mut Conn, _: Vec<i64>) -> Result<()> {
    Ok(())
}

// Many rows are written one by one: a statement that is prepared costs a few microseconds, and no way to a server.

/// Those that there were no rows of yet.
pub fn insert_audios(conn: &mut Conn, rows: &[NewAudioRow<'_>]) -> Result<Vec<Id>> {
    let mut inserted = Vec::with_capacity(rows.len());
    for row in rows {
        let insert = diesel::insert_into(audios::table).values(row);
        if Prepared(insert.on_conflict_do_nothing()).execute(conn)? == 1 {
            inserted.push(row.id);
        }
    }
    Ok(inserted)
}

pub fn insert_audio_bytes(conn: &mut Conn, rows: &[(Id, &[u8])]) -> Result<()> {
    let insert = |(id, bytes): &(Id, &[u8])| {
        let row = (audio_bytes::audio_id.eq(*id), audio_bytes::bytes.eq(*bytes));
        Prepared(diesel::insert_into(audio_bytes::table).values(row)).execute(conn)
    };
    each(rows, insert).map(drop)
}

/// How many no other stood in the way of.
pub fn insert_voicemails(conn: &mut Conn, rows: &[NewVoicemailRow<'_>]) -> Result<usize> {
    each(rows, |row| {
        let insert = diesel::insert_into(voicemails::table).values(row);
        Prepared(insert.on_conflict_do_nothing()).execute(conn)
    })
}

pub fn update_deliveries(conn: &mut Conn, rows: &[(Guard, Delivery)], now: Time) -> Result<usize> {
    each(rows, |(guard, after)| {
        delivery::update_delivery(conn, *guard, after, now)
    })
}

pub fn insert_hand_overs(conn: &mut Conn, rows: Vec<HandOverRow>) -> Result<()> {
    each(rows, |row| delivery::insert_hand_over(conn, row)).map(drop)
}

pub fn insert_attempts(conn: &mut Conn, rows: &[NewAttempt]) -> Result<()> {
    each(rows, |row| delivery::insert_attempt(conn, row)).map(drop)
}

pub fn end_attempts(conn: &mut Conn, rows: &[EndedAttempt]) -> Result<()> {
    let ended =
        |row: &EndedAttempt| delivery::end_attempt(conn, row.voicemail_id, row.number, &row.end);
    each(rows, ended).map(drop)
}

pub fn insert_checks(conn: &mut Conn, rows: Vec<GateCheckRow>) -> Result<()> {
    each(rows, |row| gates::insert_check(conn, row)).map(drop)
}

/// How many rows were touched.
fn each<R>(
    rows: impl IntoIterator<Item = R>,
    mut write: impl FnMut(R) -> QueryResult<usize>,
) -> Result<usize> {
    let mut touched = 0;
    for row in rows {
        touched += write(row)?;
    }
    Ok(touched)
}
