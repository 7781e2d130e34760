//! A start that changes nothing about the schema, and so needs no right to.

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use ringless::app::Running;
use ringless::clock::Clock;
use ringless::grpc::pb::VoicemailStatus;

use crate::support::app::{TestApp, config};
use crate::support::{Engine, TestDatabase, TestStore};

const NO_MIGRATE: &str = "[storage]\nmigrate = false";

crate::on_both_databases!(a_schema_that_is_not_this_programs_is_refused);

/// The whole chain of what a start says, which the command line prints in one line.
async fn refused(database: &TestDatabase) -> String {
    let data = tempfile::tempdir().unwrap();
    let config = config(database, data.path(), NO_MIGRATE);
    let started = Running::start(config, Clock::Database).await;
    format!("{:#}", started.err().expect("it is refused"))
}

async fn a_schema_that_is_not_this_programs_is_refused(engine: Engine) {
    let empty = TestDatabase::new(engine);
    let said = refused(&empty).await;
    assert!(said.contains("run `ringless migrate` first"), "{said}");
    assert!(!said.contains('\n'), "{said}");

    let TestStore {
        store, database, ..
    } = TestStore::new(engine).await;
    drop(store);
    let add = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')";
    database.sql(add, add);
    let said = refused(&database).await;
    assert!(said.contains("newer ringless"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_a_right_to_the_schema_serves_all() {
    let TestStore {
        store, database, ..
    } = TestStore::new(Engine::Postgres).await;
    drop(store);
    let role = format!("role_{}", uuid::Uuid::now_v7().simple());
    database.sql(
        "",
        &format!(
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE {role} LOGIN; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}; \
             REVOKE INSERT, UPDATE, DELETE ON __diesel_schema_migrations FROM {role}"
        ),
    );
    let owner_url = database.url.clone();
    let mut restricted = database;
    let (scheme, place) = owner_url.split_once("://").unwrap();
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    restricted.url = format!("{scheme}://{role}@{place}");
    let mut conn = PgConnection::establish(&restricted.url).unwrap();
    assert!(conn.batch_execute("CREATE TABLE mine (id int)").is_err());
    drop(conn);

    let app = TestApp::start_on(restricted, NO_MIGRATE).await;
    let sent = app.send_stored(|_| {}).await.unwrap();
    app.wait_for(&sent.id, VoicemailStatus::Delivered).await;
    let TestApp {
        running, database, ..
    } = app;
    running.stop().await.unwrap();
    drop(database);
    TestDatabase::drop_role(&role);
}
