//! Postgres, 14 and up.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::r2d2::{Error as R2d2Error, ManageConnection, PooledConnection, R2D2Connection};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use super::error::{Error, Result};
use super::plans::Plans;
use super::prepared::Prepared;
use super::values::Ts;
use crate::chance::even_draw;
use crate::domain::retry::spread;
use crate::domain::time::Time;

pub type Conn = PgConnection;
pub type Db = diesel::pg::Pg;
pub type Pool = diesel::r2d2::Pool<Manager>;

pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");
pub const BEGIN: &str = "BEGIN";
/// Else each statement would see what was committed before it.
pub const BEGIN_ONE_MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

pub type IdSql = diesel::sql_types::Uuid;
pub type TsSql = diesel::sql_types::Timestamptz;

/// Has any migration ever been noted here?
pub const HAS_MIGRATIONS: &str = "to_regclass('__diesel_schema_migrations') IS NOT NULL";

/// A plan comes as lines of text.
pub const EXPLAIN: &str = "EXPLAIN ";
pub type PlanSql = (diesel::sql_types::Text,);
pub type PlanLine = (String,);

pub fn plan_text((line,): PlanLine) -> String {
    line
}

/// The texts of the JSON list that is bound first, as rows: any number of them with one statement.
pub const TEXTS: &str = "SELECT value FROM json_array_elements_text(CAST($1 AS json))";

/// What stands around a query for ids that are few and looked up one by one. As a list it is asked for once; as
/// a plain subquery the planner would rather walk through all rows by their create_time, and look for each
/// whether it is one, because it takes those of a batch to be spread over all time.
pub const ONE_OF: (&str, &str) = ("= ANY(ARRAY(", "))");

/// An id that is written as 32 hexadecimal digits.
pub const ID_OF_TEXT: &str = "CAST(value AS uuid)";

/// The time by which voicemails are listed, as what is sorted: no index has it in its order.
pub const SORTED_BY_CREATE_TIME: &str = "(voicemails.create_time + interval '0')";
/// What stands before a column whose indexes are to be left alone: its planner knows by itself.
pub const BY_NO_INDEX: &str = "";

super::schema::schema!(Uuid, Timestamptz);

/// Passes over rows that another worker has locked.
macro_rules! skip_locked {
    ($query:expr) => {
        $query.for_no_key_update().skip_locked()
    };
}

/// Reads rows that nobody else changes until the unit of work ends.
macro_rules! locked {
    ($query:expr) => {
        $query.for_no_key_update()
    };
}

/// Reads a row under the lock that is asked for.
macro_rules! first_locked {
    ($query:expr, $lock:expr, $conn:expr, $row:ty) => {
        match $lock {
            Lock::None => $query.first::<$row>($conn),
            Lock::Present => $query.for_key_share().first::<$row>($conn),
            Lock::Change => $query.for_no_key_update().first::<$row>($conn),
            Lock::Whole => $query.for_update().first::<$row>($conn),
        }
        .optional()
    };
}

/// Stores the rows that no other stands in the way of, in one statement: each costs a way to the server.
macro_rules! insert_new {
    ($table:expr, $rows:expr, $conn:expr) => {
        diesel::insert_into($table)
            .values($rows)
            .on_conflict_do_nothing()
            .execute($conn)
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

/// Runs a statement over rows once for all of them: each line gives one of their columns, of which `unnest` makes a table.
macro_rules! statements {
    ($query:ident for $row:pat_param in $rows:expr, $head:literal, $tail:literal, $run:block; $first:ty = $value:expr; $($sql:ty = $more:expr;)+) => {{
        let rows = $rows;
        if !rows.is_empty() {
            let $query = Statement(concat!($head, " SELECT * FROM unnest("))
                .bind::<diesel::sql_types::Array<$first>, _>("", rows.iter().map(|#[allow(unused_variables, reason = "a column may be the same for all rows")] $row| $value).collect::<Vec<_>>())
                $(.bind::<diesel::sql_types::Array<$sql>, _>(", ", rows.iter().map(|#[allow(unused_variables, reason = "a column may be the same for all rows")] $row| $more).collect::<Vec<_>>()))+
                .text(concat!(") ", $tail));
            $run
        }
    }};
}

#[path = "queries/mod.rs"]
pub mod queries;

/// One clock for all machines: the server's.
pub fn database_now(conn: &mut Conn) -> Result<Time> {
    define_sql_function! { fn clock_timestamp() -> Timestamptz; }
    Ok(diesel::select(clock_timestamp()).get_result::<Ts>(conn)?.0)
}

/// What a connection is told where the URL says nothing else. Without these a server that vanished
/// is noticed after minutes. One that takes no writes, such as what a failover left behind, is as
/// good as away.
const URL_DEFAULTS: &str = "connect_timeout=2&tcp_user_timeout=15000&keepalives_idle=10\
                            &keepalives_interval=5&keepalives_count=3\
                            &target_session_attrs=read-write&application_name=ringless";

/// The URL with [`URL_DEFAULTS`]. Its own parameters come behind them, and to libpq the last counts.
pub fn with_defaults(url: &str) -> String {
    match parameters_at(url) {
        Some(at) => format!("{}{URL_DEFAULTS}&{}", &url[..at], &url[at..]),
        None => format!("{url}?{URL_DEFAULTS}"),
    }
}

/// The URL with a parameter that counts more than what it says itself.
pub fn with_parameter(url: &str, parameter: &str) -> String {
    match parameters_at(url) {
        Some(_) => format!("{url}&{parameter}"),
        None => format!("{url}?{parameter}"),
    }
}

/// Where a URL's parameters begin, behind the question mark.
fn parameters_at(url: &str) -> Option<usize> {
    let start = url.find("://").map_or(0, |at| at + "://".len());
    // A password may hold a question mark: it ends at the first `@`, if that comes before any `/`.
    let place = match url[start..].find(['@', '/']) {
        Some(at) if url[start + at..].starts_with('@') => start + at,
        _ => start,
    };
    url[place..].find('?').map(|at| place + at + 1)
}

/// Each connection is set up once, when it is made.
const SETTINGS: &str = "SET TIME ZONE 'UTC'; SET statement_timeout = '30s'; \
                        SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '10s'";

/// A migration of a long table takes its time, and those who start meanwhile wait for it.
const MIGRATING: &str = "SET statement_timeout = '1h'; SET lock_timeout = '1h'";

/// Makes connections, and knows which of them are still good.
#[derive(Debug)]
pub struct Manager {
    url: String,
    /// How old a connection may become, give or take a fifth.
    age_max: Duration,
    /// Begins anew when a connection turns out dead: those that were made before it are then
    /// probably dead too, and nobody should have to find that out one by one.
    era: Arc<AtomicU64>,
}

impl Manager {
    pub fn new(url: String, age_max: Duration) -> Manager {
        Manager {
            url,
            age_max,
            era: Arc::default(),
        }
    }
}

/// A connection, and until when it is good.
pub struct Line {
    conn: PgConnection,
    made_in: u64,
    era: Arc<AtomicU64>,
    old_at: Instant,
    plans: Plans,
}

impl Line {
    fn is_past(&self) -> bool {
        self.made_in < self.era.load(Ordering::SeqCst) || Instant::now() >= self.old_at
    }
}

impl Deref for Line {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.conn
    }
}

impl DerefMut for Line {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.conn
    }
}

impl ManageConnection for Manager {
    type Connection = Line;
    type Error = R2d2Error;

    fn connect(&self) -> std::result::Result<Line, R2d2Error> {
        let made_in = self.era.load(Ordering::SeqCst);
        let mut conn = PgConnection::establish(&self.url).map_err(R2d2Error::ConnectionError)?;
        conn.batch_execute(SETTINGS)
            .map_err(R2d2Error::QueryError)?;
        let era = self.era.clone();
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::FinishQuery {
                error: Some(error), ..
            } = event
                && is_end_of_line(error)
            {
                era.fetch_max(made_in + 1, Ordering::SeqCst);
            }
        });
        Ok(Line {
            conn,
            made_in,
            era: self.era.clone(),
            old_at: Instant::now() + spread(self.age_max, even_draw()),
            plans: Plans::default(),
        })
    }

    fn is_valid(&self, line: &mut Line) -> std::result::Result<(), R2d2Error> {
        line.ping().map_err(R2d2Error::QueryError)
    }

    fn has_broken(&self, line: &mut Line) -> bool {
        std::thread::panicking() || line.is_past() || line.conn.is_broken()
    }
}

/// Does this error say that nothing more can be done on its connection? One that has become read-only
/// leads to what used to be the primary.
fn is_end_of_line(error: &DieselError) -> bool {
    matches!(
        error,
        DieselError::DatabaseError(
            DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::ReadOnlyTransaction,
            _
        )
    )
}

pub fn checkout(pool: &Pool) -> Result<PooledConnection<Manager>> {
    // At worst each connection of the pool is past, and is dropped here.
    for _ in 0..=pool.max_size() {
        let line = pool
            .get()
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        if !line.is_past() {
            return Ok(line);
        }
    }
    Err(Error::Unavailable(
        "connections die as fast as they are made".to_owned(),
    ))
}

/// Has the server plan anew what it is asked next, where its tables have outgrown its plans.
pub fn refresh_plans(line: &mut Line) -> QueryResult<()> {
    line.plans.refresh(&mut line.conn, Instant::now())
}

/// Was it found out that the connection leads nowhere?
pub fn is_dead(line: &PooledConnection<Manager>) -> bool {
    line.is_past()
}

/// Asks for a write that touches nothing, so that a server which only reads is found out.
pub fn ping(conn: &mut Conn) -> Result<()> {
    diesel::sql_query("INSERT INTO service_keys SELECT * FROM service_keys WHERE false")
        .execute(conn)?;
    Ok(())
}

/// Is each connection one session of the server from its beginning to its end? Behind a pooler that
/// lends sessions out by the transaction it is not, and then settings, prepared statements, advisory
/// locks and LISTEN go astray. Found out by asking two connections in turn which session they have,
/// the second within a transaction, so that it keeps what it was lent: two sessions that are whole
/// are two, and stay the same.
pub fn keeps_sessions(pool: &Pool) -> Result<bool> {
    /// A pooler may happen to lend the same session again; hardly as often as this.
    const ROUNDS: usize = 8;
    let (mut one, mut other) = (checkout(pool)?, checkout(pool)?);
    for _ in 0..ROUNDS {
        let before = backend_pid(&mut one)?;
        other.batch_execute("BEGIN")?;
        let others = backend_pid(&mut other)?;
        // Asked again only where it can be told: a pooler with a single session would never answer.
        let is_whole = others != before && backend_pid(&mut one)? == before;
        other.batch_execute("ROLLBACK")?;
        // One that has just two, and lends them out in turn, gives the other one now.
        if !is_whole || backend_pid(&mut other)? != others {
            return Ok(false);
        }
        std::mem::swap(&mut one, &mut other);
    }
    Ok(true)
}

fn backend_pid(conn: &mut Conn) -> Result<i32> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        pid: i32,
    }
    // Not by diesel's functions: their statements are prepared, which is in question here.
    let row: Row = diesel::sql_query("SELECT pg_backend_pid() AS pid").get_result(conn)?;
    Ok(row.pid)
}

/// What a restored database is put in order by; see [`other_processes`].
pub const RECOVERING: &str = "ringless recover";

/// Connections to this database by other processes of this program, told by their application_name.
pub fn other_processes(conn: &mut Conn) -> Result<i64> {
    let others = "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                  AND application_name LIKE 'ringless%' AND application_name <> ";
    let query = diesel::dsl::sql::<diesel::sql_types::BigInt>(others)
        .bind::<diesel::sql_types::Text, _>(RECOVERING)
        .sql(")");
    Ok(diesel::select(query).get_result(conn)?)
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
    conn.batch_execute(MIGRATING)?;
    // The lock's function gives SQL's void, which is read as no row value at all.
    diesel::select(pg_advisory_lock(LOCK)).execute(conn)?;
    let done = migrate(conn);
    diesel::select(pg_advisory_unlock(LOCK)).execute(conn)?;
    conn.batch_execute(SETTINGS)?;
    done
}

/// Nobody else has the lock of this number until the transaction ends.
pub fn lock_until_end(conn: &mut Conn, key: i64) -> Result<()> {
    define_sql_function! { fn pg_advisory_xact_lock(key: diesel::sql_types::BigInt) -> diesel::sql_types::Nullable<Bool>; }
    // It gives SQL's void, which is read as no row value at all.
    diesel::select(pg_advisory_xact_lock(key)).execute(conn)?;
    Ok(())
}

/// The same for many numbers, which are locked in this order.
pub fn lock_all_until_end(conn: &mut Conn, keys: Vec<i64>) -> Result<()> {
    let lock = "SELECT pg_advisory_xact_lock(key) FROM unnest($1) AS key";
    let query = diesel::sql_query(lock)
        .bind::<diesel::sql_types::Array<diesel::sql_types::BigInt>, _>(keys);
    Prepared(query).execute(conn)?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_url_says_itself_comes_last_and_so_counts() {
        for (url, head, tail) in [
            (
                "postgres://db.example/ringless",
                "postgres://db.example/ringless?",
                "",
            ),
            (
                "postgres://me:a?b@db.example/r",
                "postgres://me:a?b@db.example/r?",
                "",
            ),
            (
                "postgres://me@db.example/r?sslmode=require&connect_timeout=9",
                "postgres://me@db.example/r?",
                "&sslmode=require&connect_timeout=9",
            ),
            ("postgresql://?host=/run", "postgresql://?", "&host=/run"),
        ] {
            assert_eq!(with_defaults(url), format!("{head}{URL_DEFAULTS}{tail}"));
        }
    }
}
