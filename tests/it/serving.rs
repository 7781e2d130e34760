//! The server as an operator sees it: reflection, health, the admin side, starting and stopping.

use std::time::Duration;

use ringless::app::Running;
use ringless::clock::Clock;
use ringless::grpc::pb::{self, VoicemailStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::Engine;
use crate::support::app::{TestApp, config, reason};

crate::on_both_databases!(
    health_and_readiness_follow_the_database,
    a_stop_drains_first_and_then_takes_no_more_calls,
    stopping_leaves_nothing_half_done,
    a_second_start_goes_on_where_the_first_was_cut_off,
    no_log_or_metric_holds_a_whole_number,
);

/// Status code and body of a plain GET.
pub async fn http_get(url: &str) -> (u16, String) {
    let rest = url.trim_start_matches("http://");
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    stream
        .write_all(
            format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let code = text.split(' ').nth(1).unwrap().parse().unwrap();
    (code, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

async fn health(app: &TestApp, service: &str) -> ServingStatus {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    HealthClient::new(app.channel.clone())
        .check(request)
        .await
        .unwrap()
        .into_inner()
        .status()
}

async fn wait_for_health(app: &TestApp, service: &str, wanted: ServingStatus) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while health(app, service).await != wanted {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{service} is not {wanted:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const SERVICES: [&str; 5] = [
    "",
    "ringless.v1.TelephonyService",
    "ringless.v1.UseCaseService",
    "ringless.v1.VoicemailService",
    "ringless.worker",
];

async fn health_and_readiness_follow_the_database(engine: Engine) {
    let app = TestApp::start(engine).await;
    let url = |path: &str| format!("http://{}/{path}", app.running.admin_addr());
    for service in SERVICES {
        wait_for_health(&app, service, ServingStatus::Serving).await;
    }
    assert_eq!(http_get(&url("readyz")).await, (200, "ready\n".to_owned()));
    // A schema that is not this program's, and back.
    let add = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')";
    app.database.sql(add, add);
    for service in SERVICES {
        wait_for_health(&app, service, ServingStatus::NotServing).await;
    }
    assert_eq!(http_get(&url("readyz")).await.0, 503);
    assert_eq!(http_get(&url("livez")).await, (200, "alive\n".to_owned()));
    let remove = "DELETE FROM __diesel_schema_migrations WHERE version = '29991231000000'";
    app.database.sql(remove, remove);
    for service in SERVICES {
        wait_for_health(&app, service, ServingStatus::Serving).await;
    }
    let public = format!("http://{}/anything", app.running.http_addr());
    assert_eq!(http_get(&public).await.0, 404);
}

async fn a_stop_drains_first_and_then_takes_no_more_calls(engine: Engine) {
    let app = TestApp::start(engine).await;
    let id = app.send_stored(|_| {}).await.unwrap().id;
    app.wait_for(&id, VoicemailStatus::Delivered).await;
    let mut upload = app.open_upload().await;
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let mut watch = HealthClient::new(app.channel.clone())
        .watch(request)
        .await
        .unwrap()
        .into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);

    app.running.drain();
    let readyz = format!("http://{}/readyz", app.running.admin_addr());
    assert_eq!(http_get(&readyz).await, (503, "draining\n".to_owned()));
    let turned = watch.message().await.unwrap().unwrap();
    assert_eq!(turned.status(), ServingStatus::NotServing);
    assert_eq!(app.get(&id).await.id, id, "calls are still served");

    app.running.close();
    let request = pb::GetVoicemailRequest {
        voicemail_id: id,
        ..Default::default()
    };
    let refused = app.voicemails().get_voicemail(request).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (tonic::Code::Unavailable, "SHUTTING_DOWN")
    );
    assert!(
        watch.message().await.unwrap().is_none(),
        "watchers are let go"
    );
    // What was under way may finish.
    upload.send(crate::support::app::messages_of_upload(ringless::app::SAMPLE_MP3)[1].clone());
    assert!(upload.finish().await.is_ok());
    let TestApp { running, .. } = app;
    running.stop().await.unwrap();
}

async fn stopping_leaves_nothing_half_done(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(app.send_stored(|_| {}).await.unwrap().id);
    }
    let TestApp {
        running, database, ..
    } = app;
    running.stop().await.unwrap();
    // Accepted or delivered, and nothing in between.
    assert_eq!(
        database.count("SELECT count(*) FROM voicemails WHERE status NOT IN (1, 4)"),
        0
    );
    assert_eq!(
        database.count("SELECT count(*) FROM attempts WHERE end_time IS NULL"),
        0
    );
    assert_eq!(
        database.count("SELECT count(*) FROM voicemails WHERE lease_token IS NOT NULL"),
        0
    );
}

async fn a_second_start_goes_on_where_the_first_was_cut_off(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let id = app.send_stored(|_| {}).await.unwrap().id;
    let TestApp {
        running,
        database,
        data,
        clock,
        ..
    } = app;
    running.stop().await.unwrap();
    let running = Running::start(
        config(&database, data.path(), ""),
        Clock::Manual(clock.clone()),
    )
    .await
    .unwrap();
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", running.grpc_addr()))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let again = TestApp {
        running,
        database,
        clock,
        data,
        channel,
        use_case_id: String::new(),
        setup_id: String::new(),
    };
    again.wait_for(&id, VoicemailStatus::Delivered).await;
    // The first setup was not made a second time.
    let setups = again
        .telephony()
        .list_setups(pb::ListSetupsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .setups;
    assert_eq!(setups.len(), 1);
}

async fn no_log_or_metric_holds_a_whole_number(engine: Engine) {
    let app = TestApp::start(engine).await;
    let sent = app.send_stored(|_| {}).await.unwrap();
    app.wait_for(&sent.id, VoicemailStatus::Delivered).await;
    let (code, text) = http_get(&format!("http://{}/metrics", app.running.admin_addr())).await;
    assert_eq!(code, 200);
    assert!(
        text.contains("ringless_voicemails_accepted_total 1"),
        "{text}"
    );
    assert!(!text.contains("2125550123"), "{text}");
    let unknown = app
        .voicemails()
        .get_voicemail(pb::GetVoicemailRequest {
            voicemail_id: "+12125550123".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap_err();
    assert_eq!(reason(&unknown), "INVALID_FIELD");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_find_an_empty_postgres_together_seed_it_once() {
    let database = crate::support::TestDatabase::new(Engine::Postgres);
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let data = tempfile::tempdir().unwrap();
        let config = config(&database, data.path(), "");
        starts.spawn(async move {
            let running = Running::start(config, Clock::Database).await.unwrap();
            let banner = running.banner();
            running.stop().await.unwrap();
            banner
        });
    }
    let banners = starts.join_all().await;
    assert_eq!(database.count("SELECT count(*) FROM setups"), 1);
    assert_eq!(database.count("SELECT count(*) FROM phone_numbers"), 3);
    assert!(
        banners.iter().all(|banner| banner.contains("grpcurl")),
        "{banners:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_of_reflection_list_every_service_and_the_error_details() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1alpha;
    let app = TestApp::start_api(Engine::Sqlite).await;
    let ask = |what: MessageRequest| {
        let request = tonic_reflection::pb::v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(what),
        };
        let mut client = ServerReflectionClient::new(app.channel.clone());
        async move {
            let mut answers = client
                .server_reflection_info(tokio_stream::iter([request]))
                .await
                .unwrap()
                .into_inner();
            answers
                .message()
                .await
                .unwrap()
                .unwrap()
                .message_response
                .unwrap()
        }
    };
    let MessageResponse::ListServicesResponse(listed) =
        ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("a list")
    };
    let mut names: Vec<String> = listed
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    names.sort();
    for name in [
        "grpc.health.v1.Health",
        "ringless.v1.TelephonyService",
        "ringless.v1.UseCaseService",
        "ringless.v1.VoicemailService",
    ] {
        assert!(
            names.iter().any(|listed| listed == name),
            "{name} in {names:?}"
        );
    }
    let details = ask(MessageRequest::FileContainingSymbol(
        "google.rpc.BadRequest".to_owned(),
    ))
    .await;
    assert!(
        matches!(details, MessageResponse::FileDescriptorResponse(_)),
        "{details:?}"
    );
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(app.channel.clone());
    let mut answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    assert!(answers.message().await.unwrap().is_some());
}
