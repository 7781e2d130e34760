//! SendVoicemail and CreateVoicemail through a real server, to the sandbox's mailbox.

use std::sync::Arc;
use std::time::Duration;

use ringless::carrier::sandbox::{folder, mailbox::Mailboxes};
use ringless::domain::ids::VoicemailId;
use ringless::grpc::pb::{self, AttemptOutcome, FailureReason, VoicemailStatus};
use tonic::Code;

use crate::support::Engine;
use crate::support::app::{RECIPIENT, TestApp, facts, messages, reason};
use crate::support::data::mp3;

crate::on_both_databases!(
    a_streamed_mp3_is_accepted_delivered_and_dropped_byte_for_byte,
    a_hundred_sends_with_one_request_id_give_one_voicemail_and_one_drop,
    validate_only_judges_everything_and_stores_nothing,
    a_caller_who_goes_away_in_mid_stream_leaves_nothing,
    a_caller_who_takes_back_a_send_of_stored_audio_leaves_nothing,
    the_unary_twin_does_the_same,
    every_code_of_the_sandbox_ends_as_its_table_says,
    a_code_that_needs_time_ends_as_its_table_says,
    a_repeat_answers_with_todays_state,
);

async fn a_streamed_mp3_is_accepted_delivered_and_dropped_byte_for_byte(engine: Engine) {
    let app = TestApp::start(engine).await;
    let audio = mp3(1);
    let metadata = pb::SendVoicemailMetadata {
        request_id: "one".to_owned(),
        labels: [("ward".to_owned(), "7".to_owned())].into(),
        ..app.metadata()
    };
    let accepted = app.send(metadata, &audio).await.unwrap();
    assert_eq!(accepted.status(), VoicemailStatus::Accepted);
    // Shares the recipient's area code.
    assert_eq!(accepted.sender_phone_number, "+12125550195");
    assert!(accepted.simulated && accepted.create_time == accepted.due_time);
    let delivered = app.wait_for(&accepted.id, VoicemailStatus::Delivered).await;
    assert_eq!(
        (delivered.attempts.len(), delivered.attempts[0].outcome()),
        (1, AttemptOutcome::Delivered)
    );
    assert_eq!(
        (
            delivered.labels["ward"].as_str(),
            delivered.request_id.as_str()
        ),
        ("7", "one")
    );
    let id = VoicemailId::parse(&accepted.id).unwrap();
    let dropped =
        std::fs::read(Mailboxes::mp3_path(&folder(app.data.path()), RECIPIENT, id)).unwrap();
    assert_eq!(dropped, audio);
}

async fn a_hundred_sends_with_one_request_id_give_one_voicemail_and_one_drop(engine: Engine) {
    let app = Arc::new(TestApp::start(engine).await);
    let audio = Arc::new(mp3(1));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (app, audio) = (app.clone(), audio.clone());
        calls.spawn(async move {
            let metadata = pb::SendVoicemailMetadata {
                request_id: "one".to_owned(),
                ..app.metadata()
            };
            app.send(metadata, &audio).await.unwrap().id
        });
    }
    let ids = calls.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]));
    app.wait_for(&ids[0], VoicemailStatus::Delivered).await;
    assert_eq!(app.database.count("SELECT count(*) FROM voicemails"), 1);
    let drops = std::fs::read_to_string(folder(app.data.path()).join("drops.jsonl")).unwrap();
    assert_eq!(drops.lines().count(), 1);
}

async fn validate_only_judges_everything_and_stores_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let audios = app.database.count("SELECT count(*) FROM audios");
    let metadata = || pb::SendVoicemailMetadata {
        validate_only: true,
        request_id: "one".to_owned(),
        ..app.metadata()
    };
    let judged = app.send(metadata(), &mp3(1)).await.unwrap();
    assert_eq!(
        (judged.id.as_str(), judged.create_time, judged.status()),
        ("", None, VoicemailStatus::Accepted)
    );
    assert!(!judged.sender_phone_number.is_empty());
    assert_eq!(
        reason(&app.send(metadata(), b"no mp3 at all").await.unwrap_err()),
        "AUDIO_NOT_MP3"
    );
    assert_eq!(app.database.count("SELECT count(*) FROM voicemails"), 0);
    assert_eq!(app.database.count("SELECT count(*) FROM audios"), audios);
    // Its request id was not used up.
    let sent = app
        .send(
            pb::SendVoicemailMetadata {
                validate_only: false,
                ..metadata()
            },
            &mp3(2),
        )
        .await;
    assert!(sent.is_ok());
}

async fn a_caller_who_goes_away_in_mid_stream_leaves_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let audios = app.database.count("SELECT count(*) FROM audios");
    let (started, begun) = tokio::sync::oneshot::channel();
    let mut first = messages(app.metadata(), &mp3(1));
    first.truncate(2);
    let stream = async_stream(first, started);
    let mut client = app.voicemails();
    let call = tokio::spawn(async move { client.send_voicemail(stream).await });
    begun.await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while app.uploads_in_progress().await == 0 {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // The server has noticed once the upload's room is given back.
    let metrics = format!("http://{}/metrics", app.running.admin_addr());
    wait_until(|| {
        let metrics = metrics.clone();
        async move {
            crate::serving::http_get(&metrics)
                .await
                .1
                .contains("ringless_uploads_in_progress 0")
        }
    })
    .await;
    assert_eq!(app.database.count("SELECT count(*) FROM voicemails"), 0);
    assert_eq!(app.database.count("SELECT count(*) FROM audios"), audios);
}

async fn a_caller_who_takes_back_a_send_of_stored_audio_leaves_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let audio_id = app.sample_audio_id().await;
    for _ in 0..20 {
        let metadata = pb::SendVoicemailMetadata {
            audio_id: audio_id.clone(),
            ..app.metadata()
        };
        let (started, begun) = tokio::sync::oneshot::channel();
        let stream = async_stream(messages(metadata, &[]), started);
        let mut client = app.voicemails();
        let call = tokio::spawn(async move { client.send_voicemail(stream).await });
        begun.await.unwrap();
        // Let the server come to wait for the end of the stream.
        app.voicemails()
            .list_voicemails(pb::ListVoicemailsRequest::default())
            .await
            .unwrap();
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    // A call behind them on the same connection comes after their resets.
    app.send_stored(|_| {}).await.unwrap();
    assert_eq!(app.database.count("SELECT count(*) FROM voicemails"), 1);
}

/// These messages, then silence.
fn async_stream<T: Send + 'static>(
    first: Vec<T>,
    begun: tokio::sync::oneshot::Sender<()>,
) -> impl tokio_stream::Stream<Item = T> + Send + 'static {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        for message in first {
            if sender.send(message).await.is_err() {
                return;
            }
        }
        let _ = begun.send(());
        // Held open until the reader goes.
        sender.closed().await;
    });
    tokio_stream::wrappers::ReceiverStream::new(receiver)
}

async fn wait_until<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn the_unary_twin_does_the_same(engine: Engine) {
    let app = TestApp::start(engine).await;
    let create = |metadata, audio: Vec<u8>| {
        let request = pb::CreateVoicemailRequest {
            metadata,
            audio: audio.into(),
        };
        let mut client = app.voicemails();
        async move {
            client
                .create_voicemail(request)
                .await
                .map(|done| done.into_inner().voicemail.unwrap())
        }
    };
    let metadata = || {
        Some(pb::SendVoicemailMetadata {
            request_id: "one".to_owned(),
            ..app.metadata()
        })
    };
    let created = create(metadata(), mp3(1)).await.unwrap();
    app.wait_for(&created.id, VoicemailStatus::Delivered).await;
    // The same content by the other method is the same request.
    let again = app.send(metadata().unwrap(), &mp3(1)).await.unwrap();
    assert_eq!(
        (again.id.as_str(), again.status()),
        (created.id.as_str(), VoicemailStatus::Delivered)
    );
    assert_eq!(
        reason(&app.send(metadata().unwrap(), &mp3(2)).await.unwrap_err()),
        "REQUEST_ID_REUSED"
    );
    // Its limit is 3 MiB, and it names the method that takes more.
    let padded = |size: usize| {
        let mut audio = vec![0; size];
        let mp3 = mp3(3);
        // An ID3v2 tag that fills what the MP3 leaves.
        let tag = size - mp3.len() - 10;
        audio[..6].copy_from_slice(b"ID3\x03\x00\x00");
        for (at, byte) in audio[6..10].iter_mut().enumerate() {
            *byte = ((tag >> (7 * (3 - at))) & 0x7f) as u8;
        }
        audio[size - mp3.len()..].copy_from_slice(&mp3);
        audio
    };
    const LIMIT: usize = 3 * 1_024 * 1_024;
    let fresh = || Some(app.metadata());
    for (size, is_taken) in [
        (LIMIT - 1, true),
        (LIMIT, true),
        (LIMIT + 1, false),
        // Above what is decoded at all.
        (2 * LIMIT, false),
    ] {
        let done = create(fresh(), padded(size)).await;
        assert_eq!(done.is_ok(), is_taken, "{size}");
        if let Err(refused) = done {
            let (code, reason, metadata) = facts(&refused);
            assert_eq!(
                (code, reason.as_str(), metadata["use_method"].as_str()),
                (Code::InvalidArgument, "AUDIO_TOO_LARGE", "SendVoicemail")
            );
        }
    }
    assert_eq!(
        reason(&create(fresh(), Vec::new()).await.unwrap_err()),
        "AUDIO_MISSING"
    );
    assert_eq!(
        reason(&create(None, mp3(1)).await.unwrap_err()),
        "INVALID_FIELD"
    );
    let both = pb::SendVoicemailMetadata {
        audio_id: app.sample_audio_id().await,
        ..app.metadata()
    };
    assert_eq!(
        reason(&create(Some(both), mp3(1)).await.unwrap_err()),
        "INVALID_FIELD"
    );
}

async fn every_code_of_the_sandbox_ends_as_its_table_says(engine: Engine) {
    use FailureReason as R;
    use VoicemailStatus as S;
    let app = TestApp::start(engine).await;
    let table = [
        ("00", S::Delivered, R::Unspecified),
        ("49", S::Delivered, R::Unspecified),
        ("50", S::NotDelivered, R::MailboxFull),
        ("51", S::NotDelivered, R::NoMailbox),
        ("52", S::NotDelivered, R::VoicemailNotDetected),
        ("53", S::NotDelivered, R::Unreachable),
        ("54", S::NotDelivered, R::NoAnswer),
        ("55", S::NotDelivered, R::Busy),
        ("60", S::Failed, R::InvalidNumber),
        ("61", S::Skipped, R::NotMobile),
        ("62", S::Skipped, R::CarrierDnc),
        ("63", S::Failed, R::AudioRejected),
        ("81", S::Unconfirmed, R::CarrierAmbiguous),
        ("99", S::Delivered, R::Unspecified),
    ];
    for (last, status, failure_reason) in table {
        let recipient = format!("+131255501{last}");
        let sent = app
            .send_stored(|m| m.recipient_phone_number.clone_from(&recipient))
            .await
            .unwrap();
        let ended = app.wait_for(&sent.id, status).await;
        assert_eq!(
            (ended.failure_reason(), ended.attempts.len()),
            (failure_reason, 1),
            "{last}"
        );
        assert!(ended.end_time.is_some() && ended.simulated, "{last}");
    }
    let real = app
        .send_stored(|m| "+12125551234".clone_into(&mut m.recipient_phone_number))
        .await
        .unwrap();
    assert_eq!(
        app.wait_for(&real.id, S::Failed).await.failure_reason(),
        R::SimulatedCarrier
    );
}

async fn a_code_that_needs_time_ends_as_its_table_says(engine: Engine) {
    use AttemptOutcome as O;
    use VoicemailStatus as S;
    let app = TestApp::start(engine).await;
    let send = |last: &'static str| {
        app.send_stored(move |m| m.recipient_phone_number = format!("+131255501{last}"))
    };
    let outcomes = |voicemail: &pb::Voicemail| {
        voicemail
            .attempts
            .iter()
            .map(|a| a.outcome())
            .collect::<Vec<_>>()
    };
    let attempts = |id: String, count: usize| {
        let app = &app;
        async move {
            wait_until(|| async {
                let attempts = app.get(&id).await.attempts;
                attempts.len() == count && attempts.iter().all(|a| a.end_time.is_some())
            })
            .await;
        }
    };

    let twice = send("70").await.unwrap().id;
    let slow = send("72").await.unwrap().id;
    let never = send("71").await.unwrap().id;
    let later = send("90").await.unwrap().id;
    let silent = send("80").await.unwrap().id;
    for id in [&twice, &slow, &never, &later, &silent] {
        attempts(id.clone(), 1).await;
    }
    assert_eq!(
        app.wait_for(&later, S::Sent).await.failure_reason(),
        FailureReason::Unspecified
    );
    // 2 s and a microsecond: the wait that 72 asked for is over; 70's 5 s (at least 4) are not.
    app.clock.advance(Duration::from_micros(2_000_001));
    assert_eq!(
        outcomes(&app.wait_for(&slow, S::Delivered).await),
        [O::TryAgain, O::Delivered]
    );
    assert_eq!(app.get(&twice).await.attempts.len(), 1);
    app.clock.advance(Duration::from_secs(5));
    assert_eq!(app.wait_for(&later, S::Delivered).await.attempts.len(), 1);
    attempts(twice.clone(), 2).await;
    app.clock.advance(Duration::from_secs(36));
    assert_eq!(
        outcomes(&app.wait_for(&twice, S::Delivered).await),
        [O::TryAgain, O::TryAgain, O::Delivered]
    );
    // Every wait of the schedule at its longest.
    for (tries, wait) in [6, 36, 144, 720, 2_160, 4_320, 8_640]
        .into_iter()
        .enumerate()
    {
        app.clock.advance(Duration::from_secs(wait));
        attempts(
            never.clone(),
            (tries + 2).max(app.get(&never).await.attempts.len()),
        )
        .await;
    }
    let failed = app.wait_for(&never, S::Failed).await;
    assert_eq!(
        (failed.failure_reason(), failed.attempts.len()),
        (FailureReason::RetriesExhausted, 8)
    );
    assert_eq!(app.get(&silent).await.status(), S::Sent);
    app.clock.advance(Duration::from_secs(86_400));
    let unconfirmed = app.wait_for(&silent, S::Unconfirmed).await;
    assert_eq!(
        (unconfirmed.failure_reason(), unconfirmed.attempts.len()),
        (FailureReason::CarrierNoCallback, 1)
    );
}

async fn a_repeat_answers_with_todays_state(engine: Engine) {
    let app = TestApp::start(engine).await;
    let send = || app.send_stored(|m| "one".clone_into(&mut m.request_id));
    let first = send().await.unwrap();
    let delivered = app.wait_for(&first.id, VoicemailStatus::Delivered).await;
    assert_eq!(send().await.unwrap(), delivered);
}
