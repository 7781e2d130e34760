//! What the tests stand on: databases of their own, a clock that they turn, carriers that they
//! script, and the whole program on loopback.

pub mod app;
pub mod data;
pub mod postgres;
pub mod scripted;
pub mod vendors;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, RunQueryDsl, SqliteConnection};
use ringless::clock::{Clock, ManualClock};
use ringless::domain::time::Time;
use ringless::storage::{DatabaseUrl, Error, Store, StoreOptions, Tx};

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Makes two tests of each function: one on SQLite, one on Postgres.
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::Engine::Sqlite).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::Engine::Postgres).await;
            })+
        }
    };
}

/// 2026-11-23T12:00:00Z: when every test begins.
pub const START_US: i64 = 1_795_435_200_000_000;

/// A free loopback address for a server that is started later. No connection takes its port meanwhile, as it may one that the system
/// chooses, because it lies below those (`net.ipv4.ip_local_port_range`); and no two tests get the same.
pub fn later_address() -> SocketAddr {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 10_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    (0..COUNT)
        .map(|_| (std::process::id() + NEXT.fetch_add(1, Relaxed)) % COUNT + FIRST)
        .map(|port| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap())))
        .find(|addr| TcpListener::bind(addr).is_ok())
        .expect("a free port")
}

/// A database of its own, dropped with the value.
pub struct TestDatabase {
    pub engine: Engine,
    pub url: String,
    _folder: tempfile::TempDir,
    drop_name: Option<String>,
}

impl TestDatabase {
    pub fn new(engine: Engine) -> TestDatabase {
        let folder = tempfile::tempdir().unwrap();
        let (url, drop_name) = match engine {
            Engine::Sqlite => (
                format!("sqlite://{}", folder.path().join("ringless.db").display()),
                None,
            ),
            Engine::Postgres => {
                let name = format!("test_{}", uuid::Uuid::now_v7().simple());
                admin(&format!("CREATE DATABASE {name}"));
                let (server, _) = server_url()
                    .rsplit_once('/')
                    .map(|(s, d)| (s.to_owned(), d.to_owned()))
                    .unwrap();
                (format!("{server}/{name}"), Some(name))
            }
        };
        TestDatabase {
            engine,
            url,
            _folder: folder,
            drop_name,
        }
    }

    /// On a server of the test's own, which ends with it.
    pub fn on(server: &postgres::OwnPostgres) -> TestDatabase {
        TestDatabase {
            engine: Engine::Postgres,
            url: server.url(),
            _folder: tempfile::tempdir().unwrap(),
            drop_name: None,
        }
    }

    /// Of a test that made one, once the databases with rights of it are gone.
    pub fn drop_role(name: &str) {
        admin(&format!("DROP ROLE {name}"));
    }

    /// Runs SQL past the program, in each database's own words.
    pub fn sql(&self, sqlite: &str, postgres: &str) {
        match self.engine {
            Engine::Sqlite => self.sqlite().batch_execute(sqlite).unwrap(),
            Engine::Postgres => PgConnection::establish(&self.url)
                .unwrap()
                .batch_execute(postgres)
                .unwrap(),
        }
    }

    /// One number, by a query that both databases understand.
    pub fn count(&self, query: &str) -> i64 {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            n: i64,
        }
        let query = diesel::sql_query(format!("SELECT ({query}) AS n"));
        match self.engine {
            Engine::Sqlite => query.get_result::<Row>(&mut self.sqlite()).unwrap().n,
            Engine::Postgres => {
                query
                    .get_result::<Row>(&mut PgConnection::establish(&self.url).unwrap())
                    .unwrap()
                    .n
            }
        }
    }

    fn sqlite(&self) -> SqliteConnection {
        let mut conn =
            SqliteConnection::establish(self.url.trim_start_matches("sqlite://")).unwrap();
        conn.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
        conn
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some(name) = &self.drop_name {
            admin(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// The throw-away server that the test command starts. Without it a test fails; it is never skipped.
pub fn server_url() -> String {
    std::env::var("RINGLESS_TEST_POSTGRES_URL")
        .expect("RINGLESS_TEST_POSTGRES_URL is not set; run the tests with ./scripts/test, which starts a Postgres")
}

fn admin(sql: &str) {
    PgConnection::establish(&server_url())
        .unwrap()
        .batch_execute(sql)
        .unwrap();
}

/// A migrated store with a clock of its own.
pub struct TestStore {
    pub store: Store,
    pub clock: ManualClock,
    pub database: TestDatabase,
}

impl TestStore {
    pub async fn new(engine: Engine) -> TestStore {
        let database = TestDatabase::new(engine);
        let clock = ManualClock::new(Time::from_micros(START_US));
        let store = open(&database, &clock);
        store.migrate().await.unwrap();
        TestStore {
            store,
            clock,
            database,
        }
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Tx) -> Result<T, Error> + Send + 'static,
    ) -> T {
        self.store.write(work).await.unwrap()
    }

    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Tx) -> Result<T, Error> + Send + 'static,
    ) -> T {
        self.store.read(work).await.unwrap()
    }
}

pub fn open(database: &TestDatabase, clock: &ManualClock) -> Store {
    Store::open(&StoreOptions {
        url: DatabaseUrl::parse(&database.url).unwrap(),
        connections: 6,
        connection_age_max: std::time::Duration::from_secs(600),
        clock: Clock::Manual(clock.clone()),
    })
    .unwrap()
}
