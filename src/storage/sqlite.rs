//! SQLite, bundled: the embedded default. One process owns the file.

use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error as R2d2Error, PooledConnection};
use diesel::result::Error as DieselError;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use super::error::{Error, Result};
use super::values::Id;
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

/// The time by which voicemails are listed, as what is sorted: no index has it in its order.
pub const SORTED_BY_CREATE_TIME: &str = "+voicemails.create_time";
/// What stands before a column whose indexes are to be left alone.
pub const BY_NO_INDEX: &str = "+";

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

/// Runs a statement over rows once for each: one that is prepared costs a few microseconds, and no way to a server.
macro_rules! statements {
    ($query:ident for $row:pat_param in $rows:expr, $head:literal, $tail:literal, $run:block; $first:ty = $value:expr; $($sql:ty = $more:expr;)+) => {
        for $row in $rows {
            let $query = Statement(concat!($head, " VALUES ("))
                .bind::<$first, _>("", $value)
                $(.bind::<$sql, _>(", ", $more))+
                .text(concat!(") ", $tail));
            $run
        }
    };
}

#[path = "queries/mod.rs"]
pub mod queries;

/// The database lives in this process, so its clock is the host's.
pub fn database_now(_: &mut Conn) -> Result<Time> {
    Ok(crate::clock::system_now())
}

/// What a connection is for, which is told to it when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAcquire {
    /// Of the process that owns the file.
    Read,
    Write,
    /// Of one that looks at it beside that.
    Beside,
}

/// KiB of pages that a connection keeps. The writer's stay good from one write to the next.
const READER_KEEPS_KIB: u32 = 8_000;
const WRITER_KEEPS_KIB: u32 = 32_000;
/// Fewer voicemails tell the planner nothing: it would take any index for as good as any other, and keep to that while
/// the table grows.
const ROWS_THAT_TELL: i64 = 10_000;

impl CustomizeConnection<SqliteConnection, R2d2Error> for OnAcquire {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> std::result::Result<(), R2d2Error> {
        self.set_up(conn).map_err(R2d2Error::QueryError)
    }
}

impl OnAcquire {
    fn set_up(self, conn: &mut SqliteConnection) -> QueryResult<()> {
        use diesel::connection::SimpleConnection;
        let keeps_kib = match self {
            OnAcquire::Read => READER_KEEPS_KIB,
            OnAcquire::Write => WRITER_KEEPS_KIB,
            OnAcquire::Beside => {
                return conn.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON");
            }
        };
        // busy_timeout first, because switching to WAL may have to wait. FULL: an answered commit
        // survives a power cut. The page cache is counted in KiB when negative.
        conn.batch_execute(&format!(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA cache_size = -{keeps_kib}"
        ))?;
        let last_that_tells = voicemails::table
            .select(voicemails::id)
            .offset(ROWS_THAT_TELL - 1);
        // There may be no table yet.
        if last_that_tells.first::<Id>(conn).is_ok() {
            // Looks whether the planner's statistics are out of date, and is quick where they are not.
            conn.batch_execute("PRAGMA optimize = 0x10002")?;
        }
        Ok(())
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

/// Plans do not depend on how large a table is.
pub fn refresh_plans(_: &mut Conn) -> QueryResult<()> {
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_built_as_the_repository_says() {
        let mut conn = SqliteConnection::establish(":memory:").expect("a database in memory");
        for (option, is_used) in [
            ("ENABLE_QPSG", true),
            ("THREADSAFE=2", true),
            ("ENABLE_MEMORY_MANAGEMENT", false),
            ("DEFAULT_MEMSTATUS=0", true),
        ] {
            let asked = format!("sqlite_compileoption_used('{option}')");
            let used = diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(&asked))
                .get_result::<bool>(&mut conn);
            assert_eq!(used, Ok(is_used), "{option}: see .cargo/config.toml");
        }
    }
}
