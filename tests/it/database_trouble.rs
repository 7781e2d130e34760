//! A database that stops, ends connections, takes no writes, is busy or comes back: calls are refused
//! as UNAVAILABLE meanwhile, the process lives, and all of it goes on by itself.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use ringless::clock::Clock;
use ringless::grpc::pb::{self, VoicemailStatus};
use ringless::storage::{DatabaseUrl, Store, StoreOptions};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::serving::http_get;
use crate::support::app::{TestApp, reason};
use crate::support::postgres::OwnPostgres;
use crate::support::{Engine, TestDatabase};

/// Refused in the way that tells a caller to come again.
fn assert_come_again(refused: &Status) {
    assert_eq!(
        (refused.code(), reason(refused).as_str()),
        (Code::Unavailable, "STORAGE_UNAVAILABLE"),
        "{refused:?}"
    );
    let details = refused.get_error_details();
    assert!(details.retry_info().is_some(), "{refused:?}");
}

async fn admin(app: &TestApp, path: &str) -> u16 {
    http_get(&format!("http://{}/{path}", app.running.admin_addr()))
        .await
        .0
}

/// Asks until /readyz says so. The deadline is generous: it only keeps a failure from hanging.
async fn wait_for_readyz(app: &TestApp, code: u16) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while admin(app, "readyz").await != code {
        assert_eq!(admin(app, "livez").await, 200);
        assert!(tokio::time::Instant::now() < deadline, "not {code}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends until it is accepted; whatever refusal comes before tells to come again.
async fn send_until_accepted(app: &TestApp, audio_id: &str) -> pb::Voicemail {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        match send(app, audio_id).await {
            Ok(sent) => return sent,
            Err(refused) => assert_come_again(&refused),
        }
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn send(app: &TestApp, audio_id: &str) -> Result<pb::Voicemail, Status> {
    let mut metadata = app.metadata();
    metadata.audio_id = audio_id.to_owned();
    metadata.request_id = uuid::Uuid::new_v4().to_string();
    let request = pb::CreateVoicemailRequest {
        metadata: Some(metadata),
        audio: Default::default(),
    };
    let answer = app.voicemails().create_voicemail(request).await?;
    Ok(answer.into_inner().voicemail.unwrap())
}

async fn assert_all_goes_on(app: &TestApp, audio_id: &str) {
    let began = tokio::time::Instant::now();
    let sent = send_until_accepted(app, audio_id).await;
    let accepted = began.elapsed();
    wait_for_readyz(app, 200).await;
    let ready = began.elapsed();
    wait_until_delivered(app, &sent.id).await;
    eprintln!(
        "accepted after {accepted:?}, ready after {ready:?}, delivered after {:?}",
        began.elapsed()
    );
}

/// Looks until it is delivered. A look may still find one of the connections that were ended.
async fn wait_until_delivered(app: &TestApp, id: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        match app.try_get(id).await {
            Ok(voicemail) if voicemail.status() == VoicemailStatus::Delivered => return,
            Ok(_) => (),
            Err(refused) => assert_come_again(&refused),
        }
        assert!(tokio::time::Instant::now() < deadline, "still not");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_stops_and_starts_again() {
    let mut server = OwnPostgres::start();
    let app = TestApp::start_on(TestDatabase::on(&server), "").await;
    let audio_id = app.sample_audio_id().await;
    wait_for_readyz(&app, 200).await;

    server.stop();
    assert_come_again(&send(&app, &audio_id).await.unwrap_err());
    wait_for_readyz(&app, 503).await;
    assert_come_again(&send(&app, &audio_id).await.unwrap_err());
    server.go_on();
    assert_all_goes_on(&app, &audio_id).await;
    app.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_comes_back_as_a_standby_counts_as_away_until_it_is_promoted() {
    let mut server = OwnPostgres::start();
    let app = TestApp::start_on(TestDatabase::on(&server), "").await;
    let audio_id = app.sample_audio_id().await;
    server.stop();
    server.become_a_standby();
    server.go_on();
    wait_for_readyz(&app, 503).await;
    assert_come_again(&send(&app, &audio_id).await.unwrap_err());
    // Reads are refused too: what a standby shows may be old.
    let refused = app
        .use_cases()
        .list_use_cases(pb::ListUseCasesRequest::default())
        .await
        .unwrap_err();
    assert_come_again(&refused);
    server.sql("SELECT pg_promote()");
    assert_all_goes_on(&app, &audio_id).await;
    app.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_turn_read_only_are_thrown_away() {
    let server = OwnPostgres::start();
    let app = TestApp::start_on(TestDatabase::on(&server), "").await;
    let audio_id = app.sample_audio_id().await;
    wait_for_readyz(&app, 200).await;
    server.sql("ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()");
    wait_for_readyz(&app, 503).await;
    assert_come_again(&send(&app, &audio_id).await.unwrap_err());
    server.sql("ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf()");
    assert_all_goes_on(&app, &audio_id).await;
    app.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_ended_at_once() {
    let app = TestApp::start(Engine::Postgres).await;
    let audio_id = app.sample_audio_id().await;
    for _ in 0..3 {
        // As many connections as there may be.
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let mut client = app.use_cases();
            calls.spawn(async move {
                client
                    .list_use_cases(pb::ListUseCasesRequest::default())
                    .await
            });
        }
        // The last end of all connections may still be found out by one of these.
        for refused in calls.join_all().await.into_iter().filter_map(Result::err) {
            assert_come_again(&refused);
        }
        app.database.sql(
            "",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        assert_all_goes_on(&app, &audio_id).await;
    }
    app.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_is_held_up() {
    let file = "roles = ['api']\n[storage]\nconnections = 2";
    let app = TestApp::start_with(Engine::Postgres, file).await;
    let audio_id = app.sample_audio_id().await;
    let mut holder = PgConnection::establish(&app.database.url).unwrap();
    holder
        .batch_execute("BEGIN; LOCK TABLE voicemails IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    // Two wait for the lock until the database gives up, the others for a connection.
    let (one, two, three, four) = tokio::join!(
        send(&app, &audio_id),
        send(&app, &audio_id),
        send(&app, &audio_id),
        send(&app, &audio_id),
    );
    for answer in [one, two, three, four] {
        assert_come_again(&answer.unwrap_err());
    }
    assert_eq!(admin(&app, "livez").await, 200);
    holder.batch_execute("ROLLBACK").unwrap();
    send_until_accepted(&app, &audio_id).await;
    wait_for_readyz(&app, 200).await;
    app.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_file_that_another_program_has_locked() {
    let app = TestApp::start(Engine::Sqlite).await;
    let audio_id = app.sample_audio_id().await;
    let path = app.database.url.trim_start_matches("sqlite://").to_owned();
    let mut holder = SqliteConnection::establish(&path).unwrap();
    holder
        .batch_execute("PRAGMA busy_timeout = 5000; BEGIN EXCLUSIVE")
        .unwrap();
    assert_come_again(&send(&app, &audio_id).await.unwrap_err());
    wait_for_readyz(&app, 503).await;
    holder.batch_execute("ROLLBACK").unwrap();
    assert_all_goes_on(&app, &audio_id).await;
    app.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_replaced_when_it_is_old() {
    let database = TestDatabase::new(Engine::Postgres);
    let store = Store::open(&StoreOptions {
        url: DatabaseUrl::parse(&database.url).unwrap(),
        connections: 2,
        connection_age_max: Duration::from_secs(1),
        clock: Clock::Database,
    })
    .unwrap();
    store.migrate().await.unwrap();
    let oldest = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                  AND application_name = 'ringless' AND backend_start < ";
    let began = database.count("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
    let oldest = format!("{oldest} to_timestamp({began} / 1000000.0)");
    assert!(database.count(&oldest) > 0);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while database.count(&oldest) > 0 {
        assert!(tokio::time::Instant::now() < deadline);
        // Used by one after the other, so that each is looked at.
        let (one, other) = tokio::join!(store.now(), store.now());
        assert!(one.is_ok() && other.is_ok());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
