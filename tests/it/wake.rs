//! The bell between processes on one Postgres.

use std::time::Duration;

use ringless::app::Running;
use ringless::clock::Clock;
use ringless::grpc::pb::VoicemailStatus;
use ringless::storage::{DatabaseUrl, Ring, Store, StoreOptions};
use tokio::time::timeout;

use crate::serving::http_get;
use crate::support::app::{TestApp, config};
use crate::support::{Engine, TestDatabase, TestStore};

/// Only keeps a failure from hanging.
const GENEROUS: Duration = Duration::from_secs(60);

async fn wait_for_metric(admin: std::net::SocketAddr, line: &str) {
    let heard = async {
        while !http_get(&format!("http://{admin}/metrics"))
            .await
            .1
            .contains(line)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(GENEROUS, heard).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_hears_at_once_what_another_process_accepts() {
    // It looks at the queue by itself every minute only, so what comes sooner was heard.
    const SELDOM: &str = "[worker]\npoll_seconds = 60\n";
    let api = TestApp::start_with(Engine::Postgres, "roles = ['api']").await;
    let file = format!("roles = ['worker']\n{SELDOM}");
    let worker = Running::start(
        config(&api.database, api.data.path(), &file),
        Clock::Manual(api.clock.clone()),
    )
    .await
    .unwrap();
    wait_for_metric(worker.admin_addr(), "ringless_hears_others 1").await;
    for _ in 0..3 {
        let began = std::time::Instant::now();
        let sent = api.send_stored(|_| {}).await.unwrap();
        api.wait_for(&sent.id, VoicemailStatus::Delivered).await;
        assert!(began.elapsed() < Duration::from_secs(30), "not by a look");
    }
    // The connection that listens dies, and is made anew; what was missed meanwhile is not lost.
    api.database.sql(
        "",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ringless bell'",
    );
    let sent = api.send_stored(|_| {}).await.unwrap();
    api.wait_for(&sent.id, VoicemailStatus::Delivered).await;
    worker.stop().await.unwrap();
}

fn bell_of(database: &TestDatabase) -> ringless::storage::Bell {
    let store = Store::open(&StoreOptions {
        url: DatabaseUrl::parse(&database.url).unwrap(),
        connections: 2,
        connection_age_max: Duration::from_secs(600),
        clock: Clock::Database,
    });
    store.unwrap().bell().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_is_heard_by_all_and_known_as_ones_own() {
    let database = TestDatabase::new(Engine::Postgres);
    let (one, other) = (bell_of(&database), bell_of(&database));
    let mut ringer = one.ringer();
    let (mut here, mut there) = (one.listen().await.unwrap(), other.listen().await.unwrap());
    for _ in 0..3 {
        ringer.ring().await.unwrap();
        let heard = timeout(GENEROUS, here.heard()).await.unwrap().unwrap();
        assert_eq!(heard, Ring::Own);
        let heard = timeout(GENEROUS, there.heard()).await.unwrap().unwrap();
        assert_eq!(heard, Ring::Other);
        // Its connection dies unnoticed: the next ring makes another.
        database.sql(
            "",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'ringless bell' AND query LIKE 'NOTIFY%'",
        );
    }
    // A listener learns that its own is gone.
    database.sql(
        "",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'ringless bell'",
    );
    assert!(timeout(GENEROUS, here.heard()).await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_with_one_owner_has_no_bell() {
    let test = TestStore::new(Engine::Sqlite).await;
    assert!(test.store.bell().is_none());
}
