//! PgBouncer between the program and Postgres: sessions that are kept will do, others are refused.

use std::process::Child;
use std::time::{Duration, Instant};

use diesel::{Connection, PgConnection};
use ringless::app::Running;
use ringless::clock::Clock;
use ringless::grpc::pb::VoicemailStatus;

use crate::serving::http_get;
use crate::support::app::{TestApp, config};
use crate::support::postgres::{give_away, server_command};
use crate::support::{Engine, TestDatabase, later_address, server_url};

struct PgBouncer {
    port: u16,
    server: Child,
    _folder: tempfile::TempDir,
}

impl PgBouncer {
    /// In front of the shared server, with these further settings.
    fn start(settings: &str) -> PgBouncer {
        let folder = tempfile::tempdir().unwrap();
        let port = later_address().port();
        let (_, place) = server_url().split_once('@').map_or_else(
            || panic!("a user in the URL"),
            |(user, place)| (user.to_owned(), place.to_owned()),
        );
        let (host, to_port) = place.split('/').next().unwrap().split_once(':').unwrap();
        let text = format!(
            "[databases]\n* = host={host} port={to_port} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n\
             unix_socket_dir =\n{settings}\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, text).unwrap();
        give_away(folder.path());
        // Debian has it where only root's PATH leads.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let server = server_command("pgbouncer", folder.path())
            .arg(&file)
            .env("PATH", path)
            .spawn()
            .unwrap();
        let started = PgBouncer {
            port,
            server,
            _folder: folder,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                Instant::now() < deadline,
                "PgBouncer does not start; scripts/setup test installs it"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        started
    }

    /// The same database, by way of it.
    fn before(&self, mut database: TestDatabase) -> TestDatabase {
        let (_, name) = database.url.rsplit_once('/').unwrap();
        database.url = format!("postgres://postgres@127.0.0.1:{}/{name}", self.port);
        database
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_lent_out_by_the_transaction_are_refused() {
    for settings in [
        "pool_mode = transaction",
        "pool_mode = transaction\nserver_round_robin = 1\nmin_pool_size = 7",
        "pool_mode = transaction\ndefault_pool_size = 1",
        "pool_mode = statement",
    ] {
        let bouncer = PgBouncer::start(settings);
        let database = bouncer.before(TestDatabase::new(Engine::Postgres));
        // Somebody else is at work, so that what is lent out changes hands.
        let noise = database.url.clone();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let somebody = std::thread::spawn(move || {
            use diesel::connection::SimpleConnection;
            let mut conn = PgConnection::establish(&noise).unwrap();
            while let Err(std::sync::mpsc::TryRecvError::Empty) = stopped.try_recv() {
                conn.batch_execute("SELECT 1").unwrap();
            }
        });
        for _ in 0..3 {
            let data = tempfile::tempdir().unwrap();
            let started = Running::start(config(&database, data.path(), ""), Clock::Database).await;
            let said = format!("{:#}", started.err().expect("it is refused"));
            assert!(
                said.contains("pooler") || settings.contains("statement"),
                "{settings}: {said}"
            );
        }
        drop(stop);
        somebody.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_kept_serve_all() {
    let bouncer = PgBouncer::start("pool_mode = session");
    let database = bouncer.before(TestDatabase::new(Engine::Postgres));
    let app = TestApp::start_on(database, "").await;
    let sent = app.send_stored(|_| {}).await.unwrap();
    app.wait_for(&sent.id, VoicemailStatus::Delivered).await;
    let metrics = format!("http://{}/metrics", app.running.admin_addr());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !http_get(&metrics)
        .await
        .1
        .contains("ringless_hears_others 1")
    {
        assert!(tokio::time::Instant::now() < deadline, "it hears nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app.running.stop().await.unwrap();
}
