//! The store: which database, its connections, and how a unit of work is run on them.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel::r2d2::{Builder, ConnectionManager, ManageConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::bell::Bell;
use super::error::{Error, LENT_OUT, Result, StorageFault};
use super::url::DatabaseUrl;
use super::{Tx, pg, sqlite};
use crate::clock::Clock;
use crate::domain::time::Time;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub url: DatabaseUrl,
    /// Connections of this process; as many units of work run at once.
    pub connections: u32,
    /// How old a connection to Postgres may become, give or take a fifth.
    pub connection_age_max: Duration,
    pub clock: Clock,
}

/// Units of work wait this long for a connection before the caller hears UNAVAILABLE.
const CONNECTION_WAIT: Duration = Duration::from_secs(5);
/// A connection to SQLite is made anew after so long, because it is then that statistics are taken and read.
const SQLITE_LINE_AGE_MAX: Duration = Duration::from_secs(30 * 60);
/// For a connection of the pool's, be it made first. The pool tries again to make one after half of
/// it at the latest, so it comes back soon after the database does.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A handle; clones share the connections.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    reading: Lines,
    writing: Lines,
    clock: Clock,
    /// Where other processes may work on the same database.
    bell: Option<Bell>,
    /// When a write was last refused.
    refused_at: Mutex<Option<Instant>>,
    /// Held for as long as this process owns the SQLite file.
    _owner: Option<File>,
}

/// Connections, and a permit for each of them: waiting for one is fair and does not hold a thread.
#[derive(Clone)]
struct Lines {
    engine: Engine,
    permits: Arc<Semaphore>,
}

impl Lines {
    fn new(engine: Engine, count: u32) -> Lines {
        let permits = Arc::new(Semaphore::new(count as usize));
        Lines { engine, permits }
    }
}

#[derive(Clone)]
enum Engine {
    Postgres(pg::Pool),
    Sqlite(sqlite::Pool),
}

/// Runs the same line for the engine at hand.
macro_rules! on_engine {
    ($engine:expr, $module:ident, $pool:ident => $line:expr) => {
        match $engine {
            Engine::Postgres($pool) => {
                use pg as $module;
                $line
            }
            Engine::Sqlite($pool) => {
                use sqlite as $module;
                $line
            }
        }
    };
}

impl Store {
    /// Opens the database without touching its schema. SQLite's file is made where it is missing,
    /// and refused where another process has it.
    pub fn open(options: &StoreOptions) -> Result<Store> {
        match &options.url {
            DatabaseUrl::Postgres(url) => Ok(Store::on_postgres(url, options)),
            DatabaseUrl::Sqlite(path) => {
                let owner = own_file(path)?;
                Store::on_sqlite(path, options, Some(owner))
            }
        }
    }

    /// Opens the database to look at it, also beside the process that owns SQLite's file, which has to be
    /// there. A write is an error.
    pub fn open_beside(options: &StoreOptions) -> Result<Store> {
        match &options.url {
            DatabaseUrl::Postgres(url) => Ok(Store::on_postgres(url, options)),
            DatabaseUrl::Sqlite(path) if path.exists() => Store::on_sqlite(path, options, None),
            DatabaseUrl::Sqlite(path) => Err(Error::Unavailable(format!(
                "there is no database `{}` yet",
                path.display()
            ))),
        }
    }

    fn on_postgres(url: &str, options: &StoreOptions) -> Store {
        let url = pg::with_defaults(url);
        let manager = pg::Manager::new(url.clone(), options.connection_age_max);
        let count = options.connections.max(2);
        // Each line knows its own end.
        let pool = pool(count).max_lifetime(None).build_unchecked(manager);
        let lines = Lines::new(Engine::Postgres(pool), count);
        Store::of([lines.clone(), lines], options, Some(Bell::new(url)), None)
    }

    /// SQLite has one writer at a time. Here it is one connection too, so that the pages it has read stay good from one
    /// write to the next: they are dropped wherever another connection has written.
    fn on_sqlite(path: &Path, options: &StoreOptions, owner: Option<File>) -> Result<Store> {
        use sqlite::OnAcquire::{Beside, Read, Write};
        let text = path.to_str();
        let text =
            text.ok_or_else(|| Error::Unavailable("the database's path is not UTF-8".to_owned()))?;
        let lines = |count: u32, on_acquire: sqlite::OnAcquire| {
            let pool = pool(count)
                .max_lifetime(Some(SQLITE_LINE_AGE_MAX))
                .connection_customizer(Box::new(on_acquire));
            let pool = pool.build_unchecked(ConnectionManager::new(text));
            Lines::new(Engine::Sqlite(pool), count)
        };
        let on_read = if owner.is_some() { Read } else { Beside };
        let both = [
            lines(options.connections.max(2), on_read),
            lines(1, if owner.is_some() { Write } else { Beside }),
        ];
        Ok(Store::of(both, options, None, owner))
    }

    fn of(
        [reading, writing]: [Lines; 2],
        options: &StoreOptions,
        bell: Option<Bell>,
        owner: Option<File>,
    ) -> Store {
        Store(Arc::new(Inner {
            reading,
            writing,
            clock: options.clock.clone(),
            bell,
            refused_at: Mutex::default(),
            _owner: owner,
        }))
    }

    /// Brings the schema up to this program's; safe with many processes starting together.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        self.blocking(
            move |inner| on_engine!(&inner.writing.engine, engine, pool => engine::queries::migrate(pool)),
        )
        .await
    }

    /// Refuses a Postgres behind a pooler that lends its sessions out by the transaction.
    pub async fn check_sessions(&self) -> Result<()> {
        let is_kept = |inner: &Inner| match &inner.reading.engine {
            Engine::Postgres(pool) => pg::keeps_sessions(pool),
            Engine::Sqlite(_) => Ok(true),
        };
        match self.blocking(is_kept).await? {
            true => Ok(()),
            false => Err(Error::Unavailable(LENT_OUT.to_owned())),
        }
    }

    /// Migrations of this program that the database lacks, and those of the database that this
    /// program does not know.
    pub async fn schema_difference(&self) -> Result<SchemaDifference> {
        let permit = self.permit(&self.0.reading).await?;
        self.run(Some(permit), move |inner| {
            on_engine!(&inner.reading.engine, engine, pool => engine::queries::schema_difference(pool))
        })
            .await
    }

    /// A unit of work that changes nothing.
    pub async fn read<T, E, F>(&self, work: F) -> std::result::Result<T, E>
    where
        F: FnOnce(&mut dyn Tx) -> std::result::Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let permit = self.permit(&self.0.reading).await?;
        self.run(Some(permit), move |inner| {
            on_engine!(&inner.reading.engine, engine, pool => engine::queries::read(pool, &inner.clock, work))
        })
        .await
    }

    /// A unit of work that changes nothing, and all of whose statements see the same moment.
    pub async fn read_one_moment<T, E, F>(&self, work: F) -> std::result::Result<T, E>
    where
        F: FnOnce(&mut dyn Tx) -> std::result::Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let permit = self.permit(&self.0.reading).await?;
        self.run(Some(permit), move |inner| {
            on_engine!(&inner.reading.engine, engine, pool => engine::queries::read_one_moment(pool, &inner.clock, work))
        })
        .await
    }

    /// A unit of work in one transaction: committed where `work` gives `Ok`, else rolled back.
    pub async fn write<T, E, F>(&self, work: F) -> std::result::Result<T, E>
    where
        F: FnOnce(&mut dyn Tx) -> std::result::Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + StorageFault + Send + 'static,
    {
        let permit = self.permit(&self.0.writing).await?;
        let done: std::result::Result<T, E> = self
            .run(Some(permit), move |inner| {
                on_engine!(&inner.writing.engine, engine, pool => engine::queries::write(pool, &inner.clock, work))
            })
            .await;
        if done.as_ref().is_err_and(StorageFault::refuses_writes) {
            *locked(&self.0.refused_at) = Some(Instant::now());
        }
        done
    }

    /// When the database last refused a write because it is full, read-only or locked by somebody
    /// else; none: not since this process started.
    pub fn writes_refused_at(&self) -> Option<Instant> {
        *locked(&self.0.refused_at)
    }

    /// The store's time.
    pub async fn now(&self) -> Result<Time> {
        match &self.0.clock {
            Clock::Manual(clock) => Ok(clock.now()),
            Clock::Database => self.read(|tx| tx.now()).await,
        }
    }

    /// Is it certain that no other process works on this database?
    pub fn is_sole_owner(&self) -> bool {
        self.0._owner.is_some()
    }

    /// How processes on this database ring one another; there is none where it has one owner.
    pub fn bell(&self) -> Option<Bell> {
        self.0.bell.clone()
    }

    async fn permit(&self, lines: &Lines) -> Result<OwnedSemaphorePermit> {
        let waiting = lines.permits.clone().acquire_owned();
        match tokio::time::timeout(CONNECTION_WAIT, waiting).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(closed)) => Err(Error::Internal(closed.to_string())),
            Err(_) => Err(Error::Unavailable(format!(
                "no connection was free within {} s",
                CONNECTION_WAIT.as_secs()
            ))),
        }
    }

    /// Runs on a blocking thread. The permit goes along, so that a caller who goes away in the
    /// middle does not let more units run than there are connections.
    async fn run<T, E>(
        &self,
        permit: Option<OwnedSemaphorePermit>,
        work: impl FnOnce(&Inner) -> std::result::Result<T, E> + Send + 'static,
    ) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let inner = self.0.clone();
        let span = tracing::Span::current();
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            span.in_scope(|| work(&inner))
        });
        match done.await {
            Ok(result) => result,
            Err(panicked) => Err(Error::Internal(panicked.to_string()).into()),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run(None, work).await
    }
}

/// A pool of so many connections, which are made when they are needed.
fn pool<M: ManageConnection>(count: u32) -> Builder<M> {
    diesel::r2d2::Pool::builder()
        .max_size(count)
        .min_idle(Some(1))
        .connection_timeout(CONNECT_TIMEOUT)
        .test_on_check_out(false)
}

/// How a database's schema differs from the one that this program was built with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaDifference {
    pub missing: Vec<String>,
    pub unknown: Vec<String>,
}

/// A panic elsewhere leaves an instant that is at worst old.
fn locked(at: &Mutex<Option<Instant>>) -> MutexGuard<'_, Option<Instant>> {
    at.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the lock that says this process owns the database file.
fn own_file(path: &Path) -> Result<File> {
    // By whichever name it is opened, one file has one lock.
    let real = path.canonicalize();
    let path = real.as_deref().unwrap_or(path);
    let said = |what: &str, error: std::io::Error| {
        Error::Unavailable(format!("{what} `{}`: {error}", path.display()))
    };
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(|e| said("can't make the folder of", e))?;
    }
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(lock_path)
        .map_err(|e| said("can't open the lock of", e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::Unavailable(format!(
            "another process has the database `{}`; stop it, or give each its own --data-dir, or use Postgres for several processes",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(said("can't lock", error)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn options(file: PathBuf) -> StoreOptions {
        StoreOptions {
            url: DatabaseUrl::Sqlite(file),
            connections: 2,
            connection_age_max: Duration::from_secs(600),
            clock: Clock::Database,
        }
    }

    #[test]
    fn a_second_owner_of_a_sqlite_file_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = options(folder.path().join("deep/er/ringless.db"));
        let first = Store::open(&options).expect("nobody has it");
        let refused = Store::open(&options).err().expect("the first has it");
        assert!(
            refused
                .to_string()
                .contains("another process has the database"),
            "{refused}"
        );
        drop(first);
        assert!(Store::open(&options).is_ok());
    }

    #[test]
    fn a_sqlite_file_is_looked_at_beside_its_owner_and_never_made_for_that() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = options(folder.path().join("ringless.db"));
        assert!(Store::open_beside(&options).is_err(), "nobody has made it");
        // An owner's pool makes the file in its own time; here it is there before.
        std::fs::write(folder.path().join("ringless.db"), "").expect("writable");
        let _owner = Store::open(&options).expect("nobody has it");
        assert!(Store::open_beside(&options).is_ok());
    }
}
