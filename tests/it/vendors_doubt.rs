//! Vendors that break off, lie, or are away: what is sent again, what never, and where it goes instead.

use std::time::Duration;

use ringless::app::SAMPLE_MP3;
use ringless::carrier::{Call, Message, Particulars};
use ringless::domain::attempt::Outcome;
use ringless::domain::ids::{HandOverId, VoicemailId};
use ringless::domain::phone::PhoneNumber;
use ringless::domain::time::Time;
use ringless::grpc::pb::{
    self, AttemptOutcome, FailureReason as Reason, VoicemailStatus as Status,
};
use serde_json::json;

use crate::support::Engine;
use crate::support::app::TestApp;
use crate::support::vendors::{Stage, open, wait_until};
use crate::vendors::play::{Answer, Ending, Fate, Play, Says, Word, Words};

crate::on_both_databases!(
    what_voicedrop_may_have_is_never_sent_again,
    what_is_in_doubt_is_settled_by_the_carriers_own_word,
    drop_cowboy_v2_is_sent_the_same_again_under_the_same_key,
    a_key_that_came_before_with_another_body_is_in_doubt,
    slybroadcast_is_asked_once_it_has_given_a_session,
    slybroadcast_in_doubt_before_its_session_waits_for_its_word,
    a_fault_of_the_account_after_the_202_goes_back_and_pauses,
    an_account_fault_that_is_told_before_the_answer_is_not_taken_for_sent,
    a_fault_from_before_the_account_was_mended_pauses_nothing,
    the_second_takes_over_where_the_first_is_down,
    the_second_is_not_tried_where_the_first_is_in_doubt,
    a_message_that_no_word_comes_of_ends_unconfirmed,
);

const RECIPIENT: &str = "+12125550123";

/// Looks until its last attempt has ended so.
async fn wait_for_outcome(app: &TestApp, id: &str, outcome: AttemptOutcome) -> pb::Voicemail {
    wait_until(|| async {
        let voicemail = app.get(id).await;
        voicemail
            .attempts
            .last()
            .is_some_and(|it| it.outcome() == outcome)
    })
    .await;
    app.get(id).await
}

fn silent(play: Play) -> Play {
    play.words(Words::These(Vec::new()))
}

fn failed() -> Ending {
    Answer::json(500, &json!({"message": "internal error"})).into()
}

async fn what_voicedrop_may_have_is_never_sent_again(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("answer_timeout_seconds = 1").await;
    let app = stage.start().await;
    let plays = [
        Play::taking(Ending::Reset),
        Play::taking(Ending::Hang),
        Play::taking(failed()),
        Play::refusing(failed()),
        Play::taking(Ending::Endless { bytes: 200 * 1_024 }),
        Play::taking(Answer::text(200, "<html>maintenance</html>").into()),
        Play::taking(Answer::redirect(302, &format!("http://{}/v1/profile", vendor.addr())).into()),
        Play::refusing(Ending::ResetUnread),
    ];
    let count = plays.len();
    for play in plays {
        vendor.desk.play(silent(play));
        let id = app.send_to(RECIPIENT).await;
        let voicemail = wait_for_outcome(&app, &id, AttemptOutcome::Unknown).await;
        // Its own word may still come.
        assert_eq!(voicemail.status(), Status::Sending, "{voicemail:?}");
        app.clock.advance(Duration::from_secs(3_599));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(app.get(&id).await.status(), Status::Sending);
        app.clock.advance(Duration::from_secs(1));
        let voicemail = app.wait_for(&id, Status::Unconfirmed).await;
        assert_eq!(voicemail.failure_reason(), Reason::CarrierAmbiguous);
        assert_eq!(voicemail.attempts.len(), 1);
    }
    // One request each, and the redirect was not followed.
    let requests = vendor.desk.requests();
    let sends = requests
        .iter()
        .filter(|seen| seen.path == "/v1/ringless_voicemail");
    assert_eq!(sends.count(), count);
    assert!(requests.iter().all(|seen| seen.path != "/v1/profile"));
}

async fn what_is_in_doubt_is_settled_by_the_carriers_own_word(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    for (at, (fate, status)) in [
        (Fate::Delivered, Status::Delivered),
        (Fate::MailboxFull, Status::NotDelivered),
    ]
    .into_iter()
    .enumerate()
    {
        // While it is waited for, ...
        let held = Word::fate(fate).when(crate::vendors::play::When::Held);
        let play = Play::taking(Ending::Reset).words(Words::These(vec![held.clone()]));
        vendor.desk.play(play);
        let id = app.send_to(&format!("+1212555010{at}")).await;
        wait_for_outcome(&app, &id, AttemptOutcome::Unknown).await;
        wait_until(|| async { vendor.desk.held_count() == 1 }).await;
        vendor.desk.release().await;
        app.wait_for(&id, status).await;
        // ... and after that.
        vendor
            .desk
            .play(Play::taking(Ending::Reset).words(Words::These(vec![held])));
        let id = app.send_to(&format!("+1212555011{at}")).await;
        wait_for_outcome(&app, &id, AttemptOutcome::Unknown).await;
        app.clock.advance(Duration::from_secs(3_600));
        app.wait_for(&id, Status::Unconfirmed).await;
        wait_until(|| async { vendor.desk.held_count() == 1 }).await;
        vendor.desk.release().await;
        app.wait_for(&id, status).await;
        // "It is scheduled" is word enough that it was taken.
        let scheduled = Word::new(Says::Outcome(
            crate::vendors::play::Outcome::new("scheduled").passing(),
        ));
        let play = Play::taking(Ending::Reset).words(Words::These(vec![scheduled]));
        vendor.desk.play(play);
        let id = app.send_to(&format!("+1212555012{at}")).await;
        app.wait_for(&id, Status::Sent).await;
    }
}

async fn drop_cowboy_v2_is_sent_the_same_again_under_the_same_key(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.cowboy("answer_timeout_seconds = 1").await;
    let app = stage.start().await;
    for (at, ending) in [Ending::Reset, Ending::Hang, failed()]
        .into_iter()
        .enumerate()
    {
        vendor.desk.play(Play::taking(ending.clone()));
        let id = app.send_to(&format!("+1212555010{at}")).await;
        // Its word may settle it before the repeat; the repeat then is not made.
        wait_until(|| async {
            app.clock.advance(Duration::from_secs(1));
            app.get(&id).await.status() == Status::Delivered
        })
        .await;
    }
    // Without word nothing but the repeat tells that it was taken.
    vendor.desk.play(silent(Play::taking(Ending::Reset)));
    let id = app.send_to("+12125550109").await;
    wait_for_outcome(&app, &id, AttemptOutcome::Unknown).await;
    app.clock.advance(Duration::from_secs(60));
    let voicemail = app.wait_for(&id, Status::Sent).await;
    assert_eq!(voicemail.attempts.len(), 2);
    let requests = vendor.desk.requests();
    let (first, second) = (&requests[requests.len() - 2], &requests[requests.len() - 1]);
    assert_eq!(
        first.headers["idempotency-key"],
        second.headers["idempotency-key"]
    );
    assert_eq!(first.fields, second.fields);
    assert_eq!(vendor.desk.taken().len(), 4);
    assert_eq!(vendor.desk.drops().len(), 4);
    assert_eq!(vendor.desk.wrongs(), Vec::<String>::new());
}

async fn a_key_that_came_before_with_another_body_is_in_doubt(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.cowboy("").await;
    let app = stage.start().await;
    let outcome = crate::vendors::play::Outcome::new("failure")
        .code(3027)
        .reason("Idempotency-Key reused");
    vendor.desk.play(Play::says([Word::outcome(outcome)]));
    let voicemail = app.sent_to(RECIPIENT, Status::Unconfirmed).await;
    assert_eq!(voicemail.failure_reason(), Reason::CarrierAmbiguous);
    assert_eq!(voicemail.attempts[0].carrier_code, "3027");
}

async fn slybroadcast_is_asked_once_it_has_given_a_session(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.slybroadcast("").await;
    let app = stage.start().await;
    for (at, (fate, status)) in [
        (Fate::Delivered, Status::Delivered),
        (Fate::Busy, Status::NotDelivered),
    ]
    .into_iter()
    .enumerate()
    {
        vendor.desk.play(Play::accept().words(Words::Silent(fate)));
        let id = app.send_to(&format!("+1212555010{at}")).await;
        app.wait_for(&id, Status::Sent).await;
        app.clock.advance(Duration::from_secs(40));
        let voicemail = app.wait_for(&id, status).await;
        assert_eq!(voicemail.attempts.len(), 1);
    }
    // One that it knows no end of is asked about again and again, with growing waits, to the deadline.
    vendor.desk.play(silent(Play::accept()));
    let asked = || {
        let requests = vendor.desk.requests();
        let is_question =
            |it: &&crate::vendors::record::Seen| it.fields["c_option"] == "callstatus";
        requests.iter().filter(is_question).count()
    };
    let before = asked();
    let id = app.send_to("+12125550103").await;
    app.wait_for(&id, Status::Sent).await;
    for (wait, questions) in [(36, 1), (72, 2), (360, 3)] {
        app.clock.advance(Duration::from_secs(wait));
        wait_until(|| async { asked() - before == questions }).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(asked() - before, questions);
    }
    app.clock.advance(Duration::from_secs(24 * 3_600));
    let voicemail = app.wait_for(&id, Status::Unconfirmed).await;
    assert_eq!(voicemail.failure_reason(), Reason::CarrierNoCallback);
    assert_eq!(vendor.desk.wrongs(), Vec::<String>::new());
}

async fn slybroadcast_in_doubt_before_its_session_waits_for_its_word(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.slybroadcast("").await;
    let app = stage.start().await;
    let held = Word::fate(Fate::Delivered).when(crate::vendors::play::When::Held);
    vendor
        .desk
        .play(Play::taking(Ending::Reset).words(Words::These(vec![held])));
    let id = app.send_to(RECIPIENT).await;
    wait_for_outcome(&app, &id, AttemptOutcome::Unknown).await;
    app.clock.advance(Duration::from_secs(3_000));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(app.get(&id).await.status(), Status::Sending);
    vendor.desk.release().await;
    app.wait_for(&id, Status::Delivered).await;
    let requests = vendor.desk.requests();
    assert_eq!(requests.len(), 1, "neither sent again nor asked about");
}

async fn a_fault_of_the_account_after_the_202_goes_back_and_pauses(engine: Engine) {
    for (fate, reason, pause) in [
        (
            Fate::NoFunds,
            Reason::InsufficientFunds,
            pb::PauseReason::InsufficientFunds,
        ),
        (
            Fate::BadAccount,
            Reason::CarrierAuth,
            pb::PauseReason::CarrierAuth,
        ),
    ] {
        let mut stage = Stage::new(engine);
        let vendor = stage.cowboy("").await;
        let app = stage.start().await;
        vendor.desk.play(Play::fate(fate));
        let id = app.send_to(RECIPIENT).await;
        wait_until(|| async { app.setup().await.pause.is_some() }).await;
        let voicemail = app.get(&id).await;
        assert_eq!(voicemail.status(), Status::Accepted);
        assert_eq!(voicemail.attempts[0].failure_reason(), reason);
        assert_eq!(app.setup().await.pause.unwrap().reason(), pause);
        // Others wait as well, until somebody has mended the account.
        let other = app.send_to("+12125550124").await;
        app.clock.advance(Duration::from_secs(600));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(vendor.desk.taken().len(), 1);
        let request = pb::ResumeSetupRequest {
            setup_id: app.setup_id.clone(),
        };
        app.telephony().resume_setup(request).await.unwrap();
        for id in [&id, &other] {
            app.wait_for(id, Status::Delivered).await;
        }
        // It went out anew, under a key of its own.
        let keys: Vec<Option<String>> = vendor.desk.taken().into_iter().map(|it| it.key).collect();
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!((keys.len(), distinct.len()), (3, 3));
        assert_eq!(app.get(&id).await.attempts.len(), 2);
        assert_eq!(vendor.desk.wrongs(), Vec::<String>::new());
    }
}

async fn an_account_fault_that_is_told_before_the_answer_is_not_taken_for_sent(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.cowboy("").await;
    let app = stage.start().await;
    let first = Word::fate(Fate::NoFunds).when(crate::vendors::play::When::BeforeAnswer);
    vendor.desk.play(Play::says([first]));
    let id = app.send_to(RECIPIENT).await;
    // Its answer, "queued", comes after that.
    let voicemail = wait_for_outcome(&app, &id, AttemptOutcome::Taken).await;
    assert_eq!(voicemail.status(), Status::Accepted);
    assert_eq!(
        voicemail.attempts[0].failure_reason(),
        Reason::InsufficientFunds
    );
    let request = pb::ResumeSetupRequest {
        setup_id: app.setup_id.clone(),
    };
    app.telephony().resume_setup(request).await.unwrap();
    app.wait_for(&id, Status::Delivered).await;
    assert_eq!(vendor.desk.drops().len(), 1);
}

async fn a_fault_from_before_the_account_was_mended_pauses_nothing(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.cowboy("").await;
    let app = stage.start().await;
    let held = || Word::fate(Fate::NoFunds).when(crate::vendors::play::When::Held);
    let mut ids = Vec::new();
    for (at, count) in [(0, 1), (1, 2)] {
        vendor.desk.play(Play::says([held()]));
        let id = app.send_to(&format!("+1212555012{at}")).await;
        app.wait_for(&id, Status::Sent).await;
        wait_until(|| async { vendor.desk.held_count() == count }).await;
        ids.push(id);
    }
    app.clock.advance(Duration::from_secs(60));
    let words = vendor.desk.held();
    vendor.desk.say(&words[0]).await;
    wait_until(|| async { app.setup().await.pause.is_some() }).await;
    let request = pb::ResumeSetupRequest {
        setup_id: app.setup_id.clone(),
    };
    app.telephony().resume_setup(request).await.unwrap();
    app.wait_for(&ids[0], Status::Delivered).await;
    // The other was handed over before that: its fault is old news, and it goes out anew by itself.
    vendor.desk.say(&words[1]).await;
    assert!(app.setup().await.pause.is_none());
    app.wait_for(&ids[1], Status::Delivered).await;
    assert_eq!(vendor.desk.drops().len(), 2);
}

async fn the_second_takes_over_where_the_first_is_down(engine: Engine) {
    let mut stage = Stage::new(engine);
    let mut first = stage.voicedrop("").await;
    let second = stage.cowboy("").await;
    let app = stage.start().await;
    first.stop();
    let voicemail = app.sent_to(RECIPIENT, Status::Delivered).await;
    let tried: Vec<(&str, AttemptOutcome)> = voicemail
        .attempts
        .iter()
        .map(|it| (it.carrier.as_str(), it.outcome()))
        .collect();
    let expected = [
        ("voicedrop", AttemptOutcome::TryAgain),
        ("cowboy", AttemptOutcome::Taken),
    ];
    assert_eq!(tried, expected);
    assert_eq!(second.desk.drops().len(), 1);
}

async fn the_second_is_not_tried_where_the_first_is_in_doubt(engine: Engine) {
    let mut stage = Stage::new(engine);
    let first = stage.voicedrop("").await;
    let second = stage.cowboy("").await;
    let app = stage.start().await;
    first.desk.play(silent(Play::taking(Ending::Reset)));
    let id = app.send_to(RECIPIENT).await;
    wait_for_outcome(&app, &id, AttemptOutcome::Unknown).await;
    app.clock.advance(Duration::from_secs(3_600));
    app.wait_for(&id, Status::Unconfirmed).await;
    assert!(second.desk.requests().is_empty());
}

async fn a_message_that_no_word_comes_of_ends_unconfirmed(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.cowboy_v1("").await;
    let app = stage.start().await;
    vendor.desk.play(silent(Play::accept()));
    let id = app.send_to(RECIPIENT).await;
    app.wait_for(&id, Status::Sent).await;
    app.clock.advance(Duration::from_secs(24 * 3_600));
    let voicemail = app.wait_for(&id, Status::Unconfirmed).await;
    assert_eq!(voicemail.failure_reason(), Reason::CarrierNoCallback);
}

fn message() -> Message {
    let number = |text: &str| PhoneNumber::from_stored(text.to_owned());
    Message {
        voicemail_id: VoicemailId::generate(),
        sender: number("+12125550195"),
        recipient: number(RECIPIENT),
        audio_sha256: [0; 32],
    }
}

/// One call of VoiceDrop at this address.
async fn call(base_url: &str, more: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "some-key").unwrap();
    let lines = format!(
        "base_url = '{base_url}'\nauth_key = {{ file = '{}' }}\n{more}",
        key.display()
    );
    let carrier = open("voicedrop", &lines, folder.path());
    let message = message();
    let particulars = Particulars {
        hand_over_id: HandOverId::generate(),
        callback_url: "http://127.0.0.1:1/callbacks/one/token".to_owned(),
        audio: "http://127.0.0.1:1/audio.mp3".to_owned(),
    };
    let call = Call {
        hand_over_id: particulars.hand_over_id,
        attempt_number: 1,
        request: carrier.request(&message, &particulars),
        message,
        audio: SAMPLE_MP3.to_vec().into(),
        now: Time::EPOCH,
    };
    carrier.hand_over(call).await.0
}

/// Certificates for localhost, by an authority of our own.
fn tls_acceptor() -> tokio_rustls::TlsAcceptor {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");
    let certificate = CertificateDer::from_pem_file(format!("{folder}/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{folder}/server.key")).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config))
}

#[tokio::test]
async fn a_carrier_is_called_over_tls_where_its_certificate_is_good() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tls_acceptor();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = [0; 4_096];
            let _ = stream.read(&mut head).await;
            let body = r#"{"status":"success","message":"queued"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/ca.pem");
    let ca = format!("ca_file = '{ca}'");
    let taken = Outcome::Taken { ask_after: None };
    assert_eq!(call(&format!("https://localhost:{port}"), &ca).await, taken);
    // Of a stranger, or under another name, nothing has left.
    for (host, more) in [("localhost", ""), ("127.0.0.1", ca.as_str())] {
        let outcome = call(&format!("https://{host}:{port}"), more).await;
        assert!(matches!(outcome, Outcome::TryAgain { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_connection_that_does_not_come_to_be_is_no_doubt() {
    // It listens, and never accepts what it can't keep waiting any more.
    let full = tokio::net::TcpSocket::new_v4().unwrap();
    full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = full.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let connecting = tokio::net::TcpStream::connect(addr);
        waiting.push(tokio::time::timeout(Duration::from_millis(100), connecting).await);
    }
    let outcome = call(&format!("http://{addr}"), "connect_timeout_seconds = 1").await;
    assert!(matches!(outcome, Outcome::TryAgain { .. }), "{outcome:?}");
}
