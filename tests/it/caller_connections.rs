//! A caller's connection has a greatest age, and what is under way on it a grace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringless::grpc::pb;
use ringless::grpc::pb::use_case_service_client::UseCaseServiceClient;
use ringless::grpc::pb::voicemail_service_client::VoicemailServiceClient;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;
use tonic::transport::Channel;

use crate::support::Engine;
use crate::support::app::{TestApp, messages_of_upload};

/// A channel to the server by way of a relay that counts connections.
async fn counting(app: &TestApp) -> (Channel, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let (server, count) = (app.running.grpc_addr(), made.clone());
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = relay.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = relay.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut far = TcpStream::connect(server).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let channel = Channel::from_shared(format!("http://{addr}")).unwrap();
    (channel.connect().await.unwrap(), made)
}

/// Calls again and again until that many connections were made. The client library of this test lets
/// a call go that meets the notice on its way; others, such as the one of the tests from outside,
/// send it again by themselves.
async fn call_until(channel: &Channel, made: &AtomicUsize, connections: usize) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while made.load(Ordering::SeqCst) < connections {
        assert!(tokio::time::Instant::now() < deadline);
        let called = UseCaseServiceClient::new(channel.clone())
            .list_use_cases(pb::ListUseCasesRequest::default())
            .await;
        if let Err(refused) = called {
            assert_eq!(refused.code(), Code::Cancelled, "{refused:?}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_connection_is_let_go_and_what_is_under_way_on_it_finishes() {
    let file = "roles = ['api']\n[accept]\nconnection_age_max_seconds = 1";
    let app = TestApp::start_with(Engine::Sqlite, file).await;
    let (channel, made) = counting(&app).await;
    // An upload that began on the first connection ends on it, after a second and a third were made.
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let mut parts = messages_of_upload(ringless::app::SAMPLE_MP3).into_iter();
    sender.send(parts.next().unwrap()).unwrap();
    let stream = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
    let mut client = VoicemailServiceClient::new(channel.clone());
    let upload = tokio::spawn(async move { client.upload_audio(stream).await });
    call_until(&channel, &made, 3).await;
    for part in parts {
        sender.send(part).unwrap();
    }
    drop(sender);
    upload.await.unwrap().unwrap();
    app.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lasts_longer_than_the_grace_is_cut_off() {
    let file =
        "roles = ['api']\n[accept]\nconnection_age_max_seconds = 1\nconnection_grace_seconds = 1";
    let app = TestApp::start_with(Engine::Sqlite, file).await;
    let (channel, _) = counting(&app).await;
    let (_sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let stream = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
    let mut client = VoicemailServiceClient::new(channel);
    let call = tokio::time::timeout(Duration::from_secs(20), client.upload_audio(stream));
    // By itself it would end after thirty seconds of silence.
    assert!(call.await.expect("cut off before").is_err());
}
