//! What can go wrong below.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

pub type Result<T> = std::result::Result<T, Error>;

/// Sessions are not kept: what is to be done about it.
pub const LENT_OUT: &str = "a pooler in front of it lends sessions out by the transaction; let it keep them (PgBouncer: pool_mode = session), or give the URL of Postgres itself";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database can't be reached, is busy for too long, or is full. Nothing was stored.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The connection broke while the commit was under way: it may or may not be stored.
    #[error("the answer to a commit was lost: {0}")]
    CommitUnknown(String),
    /// A unique rule was broken.
    #[error("a row of that name exists: {0}")]
    Conflict(String),
    /// A row that is named does not exist (any more).
    #[error("a row that is named does not exist: {0}")]
    Missing(String),
    /// A guarded write did not touch exactly the rows that it is about: somebody else was first.
    #[error("a guarded write of {what} touched {rows} rows, which is not what it is about")]
    Guard { what: &'static str, rows: usize },
    /// A row can't be read as what it should be.
    #[error("a row of {table} can't be read: {why}")]
    Inconsistent { table: &'static str, why: String },
    /// A mistake of ours, or a panic.
    #[error("storage failed: {0}")]
    Internal(String),
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Error {
        let text = error.to_string();
        match &error {
            DieselError::DatabaseError(kind, _) => match kind {
                DatabaseErrorKind::UniqueViolation => Error::Conflict(text),
                DatabaseErrorKind::ForeignKeyViolation => Error::Missing(text),
                DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::ReadOnlyTransaction => Error::Unavailable(text),
                // Whoever prepared it did so in a session that this one is not.
                _ if text.starts_with("prepared statement") => {
                    Error::Unavailable(LENT_OUT.to_owned())
                }
                // SQLite says these in words only, and Postgres says them when it stops or is full.
                _ if is_passing(&text) => Error::Unavailable(text),
                _ => Error::Internal(text),
            },
            DieselError::BrokenTransactionManager => Error::Unavailable(text),
            _ => Error::Internal(text),
        }
    }
}

/// Does the database's text speak of a state that passes?
fn is_passing(text: &str) -> bool {
    const SIGNS: [&str; 18] = [
        "database is locked",
        "database table is locked",
        "disk is full",
        "database or disk is full",
        "disk I/O error",
        "attempt to write a readonly database",
        "unable to open database file",
        "out of memory",
        "out of shared memory",
        "No space left on device",
        "could not extend file",
        "server closed the connection",
        "terminating connection",
        "the database system is",
        "connection to server",
        "no connection to the server",
        "canceling statement due to",
        "deadlock detected",
    ];
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// An error that may be one of storage.
pub trait StorageFault {
    /// The database answers, and refuses writes: it is full, read-only or locked by somebody else.
    fn refuses_writes(&self) -> bool;
}

impl StorageFault for Error {
    fn refuses_writes(&self) -> bool {
        const SIGNS: [&str; 8] = [
            "disk is full",
            "disk I/O error",
            "No space left on device",
            "could not extend file",
            "readonly database",
            "read-only transaction",
            "database is locked",
            "unable to open database file",
        ];
        match self {
            Error::Unavailable(text) => SIGNS.iter().any(|sign| text.contains(sign)),
            _ => false,
        }
    }
}

impl Error {
    /// One row must have been touched.
    pub fn unless_one(what: &'static str, rows: usize) -> Result<()> {
        match rows {
            1 => Ok(()),
            rows => Err(Error::Guard { what, rows }),
        }
    }

    /// As many rows must have been touched as there were to be written.
    pub fn unless_all(what: &'static str, rows: usize, wanted: usize) -> Result<()> {
        match rows == wanted {
            true => Ok(()),
            false => Err(Error::Guard { what, rows }),
        }
    }

    pub fn inconsistent(table: &'static str, why: impl std::fmt::Display) -> Error {
        Error::Inconsistent {
            table,
            why: why.to_string(),
        }
    }
}
