//! A batch that comes again, in whole or in part: it makes only what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringless::domain::ids::VoicemailId;
use ringless::grpc::pb::{self, ErrorReason};
use ringless::ops::OpError;
use ringless::ops::batch::{Answered, Batch, PART_MAX, Recipient, accept_part, open};
use ringless::ops::queue::QueueGauge;
use ringless::ops::send_voicemail::Draft;
use tonic::Code;

use crate::batch::{counts, ids, many, nth, refusals, request, send, to, voicemails};
use crate::support::Engine;
use crate::support::app::{RECIPIENT, TestApp, facts, timestamp};
use crate::support::data::{Scene, WORKSPACE, mp3};
use crate::support::scripted::{NEITHER, Scripted};

crate::on_both_databases!(
    a_repeat_makes_nothing_more_whatever_has_happened_since,
    a_batch_that_broke_off_is_finished_by_its_repeat,
    equal_calls_at_once_make_each_voicemail_once,
    a_batch_and_single_sends_with_the_same_request_ids_make_each_once,
    other_content_under_a_batch_id_is_refused,
    a_recipient_that_a_request_id_knows_is_not_sent_again,
);

async fn a_repeat_makes_nothing_more_whatever_has_happened_since(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let mut recipients = many(450);
    recipients[7] = to("nobody");
    let asked = pb::BatchSendVoicemailsRequest {
        expire_time: Some(timestamp(app.clock.now().plus(Duration::from_secs(60)))),
        ..request(&app, "one", recipients).await
    };
    let first = send(&app, asked.clone()).await.unwrap();
    assert_eq!(counts(&first), (449, 0, 1));
    // Its time is over, and its setup may not send any more.
    app.clock.advance(Duration::from_secs(120));
    let suspend = pb::SuspendSetupRequest {
        setup_id: app.setup_id.clone(),
        ..Default::default()
    };
    app.telephony().suspend_setup(suspend).await.unwrap();
    let again = send(&app, asked).await.unwrap();
    assert_eq!(counts(&again), (0, 449, 1));
    assert_eq!(ids(&again), ids(&first));
    assert_eq!(voicemails(&app), 449);
    assert_eq!(
        app.database.count("SELECT count(*) FROM batch_members"),
        449
    );
}

/// A batch of a scene, with stored audio, as the wire would bring it.
pub async fn batch_of(scene: &Scene, recipients: usize) -> Batch {
    let bytes = mp3(1);
    let stored = scene.accepting(move |tx, _| {
        let audio = crate::support::data::described(&bytes);
        ringless::ops::audio::upload(tx, WORKSPACE, &audio, &bytes)
    });
    let audio_id = stored.await.unwrap().id;
    let draft = |n: usize| Draft {
        audio_id: Some(audio_id),
        ..scene.draft(&nth(n))
    };
    Batch {
        id: "one".to_owned(),
        use_case_id: scene.use_case_id,
        audio_id,
        schedule_time: None,
        expire_time: None,
        recipients: (0..recipients).map(|n| Recipient::Good(draft(n))).collect(),
        content: b"as given".to_vec(),
    }
}

/// Runs the parts from `from` to `to`, as one call does it.
pub async fn run_parts(
    scene: &Scene,
    batch: &Arc<Batch>,
    parts: std::ops::Range<usize>,
) -> Vec<Answered> {
    let opening = batch.clone();
    let opened = scene.accepting(move |tx, accepting| open(tx, &opening, accepting));
    let audio = opened.await.unwrap();
    let mut answers = Vec::new();
    for part in parts {
        let (batch, audio) = (batch.clone(), audio.clone());
        let end = batch.recipients.len().min((part + 1) * PART_MAX);
        let run = part * PART_MAX..end;
        let done =
            scene.accepting(move |tx, accepting| accept_part(tx, &batch, &audio, run, accepting));
        answers.extend(done.await.unwrap());
    }
    answers
}

async fn a_batch_that_broke_off_is_finished_by_its_repeat(engine: Engine) {
    let mut scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    scene.queue = Arc::new(QueueGauge::new(100_000));
    let count = 4 * PART_MAX + 1;
    let batch = Arc::new(batch_of(&scene, count).await);
    // Two parts are stored, and the third one's commit never comes.
    let before = run_parts(&scene, &batch, 0..2).await;
    let (dying, audio) = (batch.clone(), {
        let opening = batch.clone();
        scene
            .accepting(move |tx, accepting| open(tx, &opening, accepting))
            .await
            .unwrap()
    });
    let died = scene.accepting(move |tx, accepting| {
        let run = 2 * PART_MAX..3 * PART_MAX;
        accept_part(tx, &dying, &audio, run, accepting)?;
        Err::<(), _>(OpError::ShuttingDown)
    });
    died.await.unwrap_err();
    let rows = || scene.test.database.count("SELECT count(*) FROM voicemails");
    assert_eq!(rows(), 2 * PART_MAX as i64);
    let after = run_parts(&scene, &batch, 0..5).await;
    let id = |answer: &Answered| match answer {
        Answered::New(id) | Answered::Known(id) => *id,
        Answered::Refused(error) => panic!("{error}"),
    };
    let known = after.iter().filter(|a| matches!(a, Answered::Known(_)));
    assert_eq!(known.count(), 2 * PART_MAX);
    let kept: Vec<VoicemailId> = after[..2 * PART_MAX].iter().map(id).collect();
    assert_eq!(kept, before.iter().map(id).collect::<Vec<_>>());
    let all: BTreeSet<_> = after.iter().map(|a| id(a).uuid()).collect();
    assert_eq!((all.len(), rows()), (count, count as i64));
}

async fn equal_calls_at_once_make_each_voicemail_once(engine: Engine) {
    let app = Arc::new(TestApp::start_api(engine).await);
    let asked = request(&app, "one", many(1_000)).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (app, asked) = (app.clone(), asked.clone());
        calls.spawn(async move { send(&app, asked).await.unwrap() });
    }
    let answers = calls.join_all().await;
    let made: i32 = answers.iter().map(|answer| answer.accepted_count).sum();
    let known: i32 = answers.iter().map(|answer| answer.known_count).sum();
    assert_eq!((made, known, voicemails(&app)), (1_000, 3_000, 1_000));
    assert!(answers.iter().all(|answer| ids(answer) == ids(&answers[0])));
}

async fn a_batch_and_single_sends_with_the_same_request_ids_make_each_once(engine: Engine) {
    let app = Arc::new(TestApp::start_api(engine).await);
    let recipients = (0..100).map(|n| pb::BatchRecipient {
        request_id: format!("r{n}"),
        ..to(&nth(n))
    });
    let asked = request(&app, "one", recipients.collect()).await;
    let mut singles = tokio::task::JoinSet::new();
    for n in (0..100).rev() {
        let app = app.clone();
        singles.spawn(async move {
            let sent = app.send_stored(|m| {
                m.recipient_phone_number = nth(n);
                m.request_id = format!("r{n}");
            });
            (n, sent.await.unwrap().id)
        });
    }
    let answer = send(&app, asked).await.unwrap();
    let singles: BTreeMap<usize, String> = singles.join_all().await.into_iter().collect();
    assert_eq!(answer.refused_count, 0);
    assert_eq!(ids(&answer), singles.into_values().collect::<Vec<_>>());
    assert_eq!(voicemails(&app), 100);
}

async fn other_content_under_a_batch_id_is_refused(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let asked = request(&app, "one", many(2)).await;
    send(&app, asked.clone()).await.unwrap();
    let second_audio = app.send(app.metadata(), &mp3(9)).await.unwrap();
    let at = Some(timestamp(app.clock.now().plus(Duration::from_secs(60))));
    let label = || [("a".to_owned(), "b".to_owned())].into();
    for change in [
        pb::BatchSendVoicemailsRequest {
            audio_id: second_audio.audio.unwrap().id,
            ..asked.clone()
        },
        pb::BatchSendVoicemailsRequest {
            recipients: many(3),
            ..asked.clone()
        },
        pb::BatchSendVoicemailsRequest {
            schedule_time: at,
            ..asked.clone()
        },
        pb::BatchSendVoicemailsRequest {
            expire_time: at,
            ..asked.clone()
        },
        pb::BatchSendVoicemailsRequest {
            labels: label(),
            ..asked.clone()
        },
        pb::BatchSendVoicemailsRequest {
            recipients: vec![
                to(&nth(0)),
                pb::BatchRecipient {
                    labels: label(),
                    ..to(&nth(1))
                },
            ],
            ..asked.clone()
        },
    ] {
        let refused = send(&app, change).await.unwrap_err();
        assert_eq!(
            facts(&refused),
            (
                Code::FailedPrecondition,
                "BATCH_ID_REUSED".to_owned(),
                [("batch_id".to_owned(), "one".to_owned())].into()
            )
        );
    }
    assert_eq!(voicemails(&app), 3);
}

async fn a_recipient_that_a_request_id_knows_is_not_sent_again(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let alone = app
        .send_stored(|m| m.request_id = "r1".to_owned())
        .await
        .unwrap();
    let with_id = |id: &str, number: &str| pb::BatchRecipient {
        request_id: id.to_owned(),
        ..to(number)
    };
    let recipients = vec![
        with_id("r1", RECIPIENT),
        with_id("r1", &nth(1)),
        with_id("r2", &nth(2)),
        with_id("r2", &nth(2)),
        with_id("r2", &nth(3)),
        to(&nth(4)),
        to(&nth(4)),
    ];
    let asked = request(&app, "one", recipients).await;
    let first = send(&app, asked.clone()).await.unwrap();
    assert_eq!(counts(&first), (3, 2, 2));
    let all = ids(&first);
    assert_eq!((&all[0], &all[1]), (&alone.id, &all[2]));
    let reasons: Vec<_> = refusals(&first)
        .into_iter()
        .map(|(at, r)| (at, r.reason()))
        .collect();
    let reused = ErrorReason::RequestIdReused;
    assert_eq!(reasons, [(1, reused), (4, reused)]);
    let again = send(&app, asked).await.unwrap();
    assert_eq!((counts(&again), ids(&again)), ((0, 5, 2), all));
    // It was sent alone, and stays what it was.
    assert_eq!(app.get(&alone.id).await.batch_id, "");
}
