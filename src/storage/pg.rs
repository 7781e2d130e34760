//! Postgres, 14 and up.

use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error as R2d2Error};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use super::error::{Error, Result};
use super::values::Ts;
use crate::domain::time::Time;

pub type Conn = PgConnection;
pub type Db = diesel::pg::Pg;
pub type Pool = diesel::r2d2::Pool<ConnectionManager<PgConnection>>;

pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");
pub const BEGIN: &str = "BEGIN";

pub type IdSql = diesel::sql_types::Uuid;

/// A plan comes as lines of text.
pub const EXPLAIN: &str = "EXPLAIN ";
pub type PlanSql = (diesel::sql_types::Text,);
pub type PlanLine = (String,);

pub fn plan_text((line,): PlanLine) -> String {
    line
}

super::schema::schema!(Uuid, Timestamptz);

/// Passes over rows that another worker has locked.
macro_rules! skip_locked {
    ($query:expr) => {
        $query.for_update().skip_locked()
    };
}

/// Reads a row under the lock that is asked for.
macro_rules! first_locked {
    ($query:expr, $lock:expr, $conn:expr, $row:ty) => {
        match $lock {
            Lock::None => $query.first::<$row>($conn),
            Lock::Share => $query.for_share().first::<$row>($conn),
            Lock::Update => $query.for_update().first::<$row>($conn),
        }
        .optional()
    };
}

/// The number of a time's slice of `$micros` microseconds since 1970.
macro_rules! slice_of_create_time {
    ($micros:expr) => {
        diesel::dsl::sql::<diesel::sql_types::Nullable<diesel::sql_types::BigInt>>(&format!(
            "div((extract(epoch from voicemails.create_time) * 1000000)::numeric, {})::bigint",
            $micros
        ))
    };
}

#[path = "queries/mod.rs"]
pub mod queries;

/// One clock for all machines: the server's.
pub fn database_now(conn: &mut Conn) -> Result<Time> {
    define_sql_function! { fn clock_timestamp() -> Timestamptz; }
    Ok(diesel::select(clock_timestamp()).get_result::<Ts>(conn)?.0)
}

/// The connection is set up once, when it is made.
#[derive(Debug)]
pub struct OnAcquire;

impl CustomizeConnection<PgConnection, R2d2Error> for OnAcquire {
    fn on_acquire(&self, conn: &mut PgConnection) -> std::result::Result<(), R2d2Error> {
        use diesel::connection::SimpleConnection;
        conn.batch_execute(
            "SET TIME ZONE 'UTC'; SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
             SET idle_in_transaction_session_timeout = '60s'",
        )
        .map_err(R2d2Error::QueryError)
    }
}

/// Ten processes may start together: the migrations run under an advisory lock of the database.
pub fn with_migration_lock<T>(
    conn: &mut Conn,
    migrate: impl FnOnce(&mut Conn) -> Result<T>,
) -> Result<T> {
    /// Any number that no other program on this database takes; "ringless" on a phone keypad.
    const LOCK: i64 = 74_645_377;
    define_sql_function! { fn pg_advisory_lock(key: diesel::sql_types::BigInt) -> diesel::sql_types::Nullable<Bool>; }
    define_sql_function! { fn pg_advisory_unlock(key: diesel::sql_types::BigInt) -> Bool; }
    // The lock's function gives SQL's void, which is read as no row value at all.
    diesel::select(pg_advisory_lock(LOCK)).execute(conn)?;
    let done = migrate(conn);
    diesel::select(pg_advisory_unlock(LOCK)).execute(conn)?;
    done
}

/// A commit that the server refused did not happen; one whose answer was lost may have.
pub fn commit_error(error: DieselError) -> Error {
    use DatabaseErrorKind::{
        CheckViolation, ForeignKeyViolation, NotNullViolation, ReadOnlyTransaction,
        SerializationFailure, UniqueViolation,
    };
    match error {
        DieselError::DatabaseError(
            CheckViolation | ForeignKeyViolation | NotNullViolation | ReadOnlyTransaction
            | SerializationFailure | UniqueViolation,
            _,
        ) => error.into(),
        lost => Error::CommitUnknown(lost.to_string()),
    }
}
