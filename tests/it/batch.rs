//! BatchSendVoicemails: answers in order, and its limits. Its repeats are in `batch_repeats`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use ringless::grpc::pb::{self, ErrorReason, batch_result::Result as Kind};
use ringless::ops::batch::{Answered, Batch};
use tonic::Status;

use crate::batch_repeats::{batch_of, run_parts};
use crate::support::Engine;
use crate::support::app::{TestApp, bad_fields, reason, timestamp};
use crate::support::data::Scene;
use crate::support::scripted::{NEITHER, Scripted};

crate::on_both_databases!(
    a_batch_answers_for_each_recipient_in_order,
    a_refused_recipient_hears_what_a_single_send_would_hear,
    what_a_batch_made_is_found_by_its_id,
    what_is_wrong_with_the_whole_refuses_it_and_leaves_no_trace,
    a_batch_has_1_to_10000_recipients_and_4_mebibytes,
    recipients_take_what_the_batch_gives_for_all,
    numbers_take_turns_and_a_recipient_keeps_its_own,
    a_full_queue_refuses_those_that_do_not_fit,
);

/// The nth of many recipients.
pub fn nth(n: usize) -> String {
    format!("+1646{:07}", 2_000_000 + n)
}

pub fn to(number: &str) -> pb::BatchRecipient {
    pb::BatchRecipient {
        recipient_phone_number: number.to_owned(),
        ..Default::default()
    }
}

pub fn many(count: usize) -> Vec<pb::BatchRecipient> {
    (0..count).map(|n| to(&nth(n))).collect()
}

/// A batch of the first use case and the sample audio.
pub async fn request(
    app: &TestApp,
    batch_id: &str,
    recipients: Vec<pb::BatchRecipient>,
) -> pb::BatchSendVoicemailsRequest {
    pb::BatchSendVoicemailsRequest {
        batch_id: batch_id.to_owned(),
        use_case_id: app.use_case_id.clone(),
        audio_id: app.sample_audio_id().await,
        recipients,
        ..Default::default()
    }
}

pub async fn send(
    app: &TestApp,
    request: pb::BatchSendVoicemailsRequest,
) -> Result<pb::BatchSendVoicemailsResponse, Status> {
    let answer = app.voicemails().batch_send_voicemails(request).await?;
    Ok(answer.into_inner())
}

pub fn counts(response: &pb::BatchSendVoicemailsResponse) -> (i32, i32, i32) {
    (
        response.accepted_count,
        response.known_count,
        response.refused_count,
    )
}

/// The ids of those that were accepted.
pub fn ids(response: &pb::BatchSendVoicemailsResponse) -> Vec<String> {
    let accepted =
        response
            .results
            .iter()
            .filter_map(|result| match result.result.as_ref().unwrap() {
                Kind::Accepted(accepted) => Some(accepted.voicemail_id.clone()),
                Kind::Refused(_) => None,
            });
    accepted.collect()
}

pub fn refusals(response: &pb::BatchSendVoicemailsResponse) -> BTreeMap<usize, pb::BatchRefused> {
    let all = response.results.iter().enumerate();
    let refused = all.filter_map(|(at, result)| match result.result.as_ref().unwrap() {
        Kind::Accepted(_) => None,
        Kind::Refused(refused) => Some((at, refused.clone())),
    });
    refused.collect()
}

pub fn voicemails(app: &TestApp) -> i64 {
    app.database.count("SELECT count(*) FROM voicemails")
}

async fn a_batch_answers_for_each_recipient_in_order(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let recipients = vec![
        to(&nth(0)),
        to("+1212555"),
        to(&nth(1)),
        to("+442079460123"),
        pb::BatchRecipient {
            labels: (0..17).map(|n| (format!("k{n}"), String::new())).collect(),
            request_id: "ü".to_owned(),
            ..to(&nth(2))
        },
        to(&nth(3)),
    ];
    let answer = send(&app, request(&app, "one", recipients).await)
        .await
        .unwrap();
    assert_eq!(counts(&answer), (3, 0, 3));
    let refused = refusals(&answer);
    let facts: Vec<_> = refused
        .iter()
        .map(|(at, refused)| (*at, refused.reason(), refused.field.as_str()))
        .collect();
    assert_eq!(
        facts,
        [
            (1, ErrorReason::InvalidPhoneNumber, "recipient_phone_number"),
            (3, ErrorReason::CountryNotAllowed, "recipient_phone_number"),
            (4, ErrorReason::InvalidField, "request_id,labels"),
        ]
    );
    for (id, n) in ids(&answer).iter().zip([0, 1, 3]) {
        let voicemail = app.get(id).await;
        assert_eq!(voicemail.recipient_phone_number, nth(n));
        assert_eq!(voicemail.batch_id, "one");
        assert_eq!(voicemail.status(), pb::VoicemailStatus::Accepted);
    }
    assert_eq!(voicemails(&app), 3);
}

async fn a_refused_recipient_hears_what_a_single_send_would_hear(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let late = app.clock.now().plus(Duration::from_secs(91 * 86_400));
    for change in [
        (|m: &mut pb::SendVoicemailMetadata, _| {
            "+1212555".clone_into(&mut m.recipient_phone_number)
        }) as fn(&mut pb::SendVoicemailMetadata, prost_types::Timestamp),
        |m, _| m.recipient_phone_number.clear(),
        |m, _| "+442079460123".clone_into(&mut m.recipient_phone_number),
        |m, late| m.schedule_time = Some(late),
        |m, late| (m.schedule_time, m.expire_time) = (Some(late), Some(late)),
        |m, _| m.request_id = "r".repeat(129),
        |m, late| (m.schedule_time, m.request_id) = (Some(late), "r".repeat(129)),
    ] {
        let mut single = app.metadata();
        change(&mut single, timestamp(late));
        let recipient = pb::BatchRecipient {
            recipient_phone_number: single.recipient_phone_number.clone(),
            request_id: single.request_id.clone(),
            labels: single.labels.clone(),
            schedule_time: single.schedule_time,
            expire_time: single.expire_time,
            ..pb::BatchRecipient::default()
        };
        let alone = app.send_stored(|m| {
            m.recipient_phone_number = single.recipient_phone_number;
            m.request_id = single.request_id;
            (m.schedule_time, m.expire_time) = (single.schedule_time, single.expire_time);
        });
        let alone = alone.await.unwrap_err();
        let batch = uuid::Uuid::now_v7().to_string();
        let answer = send(&app, request(&app, &batch, vec![recipient]).await).await;
        let refused = refusals(&answer.unwrap()).remove(&0).unwrap();
        assert_eq!(
            refused.reason().as_str_name(),
            format!("ERROR_REASON_{}", reason(&alone))
        );
        let message = alone.message().replace("metadata.", "");
        let fields = bad_fields(&alone).join(",").replace("metadata.", "");
        assert_eq!(refused.field, fields);
        match message.len() > 200 {
            true => {
                assert!(refused.message.len() <= 200 && refused.message.ends_with('…'));
                assert!(message.starts_with(refused.message.trim_end_matches('…')));
            }
            false => assert_eq!(refused.message, message),
        }
    }
    assert_eq!(voicemails(&app), 0);
}

async fn what_a_batch_made_is_found_by_its_id(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let made = send(&app, request(&app, "one", many(3)).await)
        .await
        .unwrap();
    send(&app, request(&app, "two", many(2)).await)
        .await
        .unwrap();
    let alone = app.send_stored(|_| ()).await.unwrap();
    assert_eq!(alone.batch_id, "");
    let list = pb::ListVoicemailsRequest {
        batch_id: "one".to_owned(),
        ..Default::default()
    };
    let listed = app
        .voicemails()
        .list_voicemails(list)
        .await
        .unwrap()
        .into_inner();
    let found: BTreeSet<_> = listed.voicemails.iter().map(|v| v.id.clone()).collect();
    assert_eq!(found, ids(&made).into_iter().collect());
    assert!(listed.voicemails.iter().all(|v| v.batch_id == "one"));
    let report = pb::GetDeliveryReportRequest {
        start_time: Some(timestamp(app.clock.now())),
        end_time: Some(timestamp(app.clock.now().plus(Duration::from_secs(1)))),
        include_simulated: true,
        batch_id: "two".to_owned(),
        ..Default::default()
    };
    let report = app.voicemails().get_delivery_report(report).await.unwrap();
    assert_eq!(report.into_inner().total.unwrap().total, 2);
}

async fn what_is_wrong_with_the_whole_refuses_it_and_leaves_no_trace(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let good = request(&app, "one", many(1)).await;
    let unknown = uuid::Uuid::now_v7().to_string();
    let now = app.clock.now();
    let cases = [
        (
            "INVALID_FIELD",
            pb::BatchSendVoicemailsRequest {
                batch_id: "b".repeat(101),
                use_case_id: String::new(),
                audio_id: "x".to_owned(),
                recipients: vec![],
                labels: [("A".to_owned(), String::new())].into(),
                ..good.clone()
            },
        ),
        (
            "INVALID_FIELD",
            pb::BatchSendVoicemailsRequest {
                schedule_time: Some(timestamp(now.plus(Duration::from_secs(91 * 86_400)))),
                ..good.clone()
            },
        ),
        (
            "INVALID_FIELD",
            pb::BatchSendVoicemailsRequest {
                expire_time: Some(timestamp(now)),
                ..good.clone()
            },
        ),
        (
            "USE_CASE_NOT_FOUND",
            pb::BatchSendVoicemailsRequest {
                use_case_id: unknown.clone(),
                audio_id: unknown.clone(),
                ..good.clone()
            },
        ),
        (
            "AUDIO_NOT_FOUND",
            pb::BatchSendVoicemailsRequest {
                audio_id: unknown,
                ..good.clone()
            },
        ),
    ];
    for (expected, asked) in cases {
        let refused = send(&app, asked).await.unwrap_err();
        assert_eq!(reason(&refused), expected, "{refused:?}");
        if refused.message().contains("batch_id") {
            let fields = [
                "batch_id",
                "use_case_id",
                "audio_id",
                "recipients",
                "labels",
            ];
            assert_eq!(bad_fields(&refused), fields);
        }
    }
    let suspend = pb::SuspendSetupRequest {
        setup_id: app.setup_id.clone(),
        ..Default::default()
    };
    app.telephony().suspend_setup(suspend).await.unwrap();
    let refused = send(&app, good.clone()).await.unwrap_err();
    assert_eq!(reason(&refused), "SETUP_NOT_APPROVED");
    let resume = pb::ResumeSetupRequest {
        setup_id: app.setup_id.clone(),
    };
    app.telephony().resume_setup(resume).await.unwrap();
    assert_eq!(app.database.count("SELECT count(*) FROM batches"), 0);
    // The id is free, and 100 characters are a good one.
    let long = pb::BatchSendVoicemailsRequest {
        batch_id: "b".repeat(100),
        ..good.clone()
    };
    for asked in [good, long] {
        assert_eq!(counts(&send(&app, asked).await.unwrap()), (1, 0, 0));
    }
}

async fn a_batch_has_1_to_10000_recipients_and_4_mebibytes(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    // Refused each by itself, with all that a refusal can hold.
    let bad = || pb::BatchRecipient {
        request_id: "r".repeat(129),
        ..to("+1212555")
    };
    for count in [9_999, 10_000] {
        let asked = request(&app, &count.to_string(), vec![bad(); count]).await;
        let answer = send(&app, asked).await.unwrap();
        assert_eq!(counts(&answer), (0, 0, count as i32));
        assert!(answer.encoded_len() < 4_000_000, "{}", answer.encoded_len());
    }
    let asked = request(&app, "10001", vec![to("x"); 10_001]).await;
    let refused = send(&app, asked).await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["recipients"]);
    assert!(refused.message().contains("there are 10001; at most 10000"));

    let filled = |bytes: usize| {
        let value = "v".repeat(bytes);
        pb::BatchRecipient {
            labels: [("k".to_owned(), value)].into(),
            ..to("x")
        }
    };
    let empty = request(&app, "bytes", vec![filled(0)]).await;
    let most = 4_194_304;
    // The length itself takes bytes, so the rest is measured with a value of the right order.
    let rest = pb::BatchSendVoicemailsRequest {
        recipients: vec![filled(most - 1_000)],
        ..empty.clone()
    };
    let rest = rest.encoded_len() - (most - 1_000);
    for (bytes, is_read) in [(most - 1, true), (most, true), (most + 1, false)] {
        let asked = pb::BatchSendVoicemailsRequest {
            // As long as the id that was measured.
            batch_id: format!("x{}", bytes % 10_000),
            recipients: vec![filled(bytes - rest)],
            ..empty.clone()
        };
        assert_eq!(asked.encoded_len(), bytes);
        match send(&app, asked).await {
            Ok(answer) => assert!(is_read && answer.refused_count == 1, "{bytes}"),
            Err(refused) => {
                assert!(!is_read, "{bytes}: {refused:?}");
                assert_eq!(bad_fields(&refused), ["recipients"]);
                assert!(refused.message().contains("4194304 bytes"), "{refused:?}");
            }
        }
    }
}

async fn recipients_take_what_the_batch_gives_for_all(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let after = |seconds| {
        Some(timestamp(
            app.clock.now().plus(Duration::from_secs(seconds)),
        ))
    };
    let labels = |pairs: &[(&str, &str)]| {
        let owned = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        owned.collect::<BTreeMap<_, _>>()
    };
    let own = pb::BatchRecipient {
        labels: labels(&[("ward", "3b"), ("bed", "2")]),
        schedule_time: after(120),
        expire_time: after(240),
        ..to(&nth(1))
    };
    // Its own schedule_time is after the end that is given for all.
    let too_late = pb::BatchRecipient {
        schedule_time: after(7_200),
        ..to(&nth(2))
    };
    let asked = pb::BatchSendVoicemailsRequest {
        schedule_time: after(60),
        expire_time: after(3_600),
        labels: labels(&[("ward", "1a"), ("site", "north")]),
        ..request(&app, "one", vec![to(&nth(0)), own, too_late]).await
    };
    let answer = send(&app, asked).await.unwrap();
    assert_eq!(refusals(&answer)[&2].field, "expire_time");
    let all = ids(&answer);
    let (plain, own) = (app.get(&all[0]).await, app.get(&all[1]).await);
    assert_eq!(
        (plain.schedule_time, plain.expire_time),
        (after(60), after(3_600))
    );
    assert_eq!(plain.labels, labels(&[("ward", "1a"), ("site", "north")]));
    assert_eq!((own.due_time, own.expire_time), (after(120), after(240)));
    let merged = labels(&[("ward", "3b"), ("bed", "2"), ("site", "north")]);
    assert_eq!(own.labels, merged);
    let labelled = pb::ListVoicemailsRequest {
        labels: labels(&[("bed", "2"), ("site", "north")]),
        ..Default::default()
    };
    let listed = app.voicemails().list_voicemails(labelled).await.unwrap();
    assert_eq!(listed.into_inner().voicemails.len(), 1);
}

async fn numbers_take_turns_and_a_recipient_keeps_its_own(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let batch = batch_of(&scene, 10).await;
    let senders = |answers: Vec<Answered>| {
        let scene = &scene;
        async move {
            let mut senders = Vec::new();
            for answer in answers {
                let (Answered::New(id) | Answered::Known(id)) = answer else {
                    panic!("refused");
                };
                senders.push(scene.get(id).await.sender.e164().to_owned());
            }
            senders
        }
    };
    let first = senders(run_parts(&scene, &Arc::new(batch.clone()), 0..1).await).await;
    let of_each: BTreeMap<&String, usize> =
        first.iter().fold(BTreeMap::new(), |mut all, sender| {
            *all.entry(sender).or_default() += 1;
            all
        });
    assert_eq!(of_each.into_values().collect::<Vec<_>>(), [5, 5]);
    scene.advance_seconds(60);
    let another = Batch {
        id: "two".to_owned(),
        recipients: batch.recipients.iter().rev().cloned().collect(),
        ..batch
    };
    let mut second = senders(run_parts(&scene, &Arc::new(another), 0..1).await).await;
    second.reverse();
    assert_eq!(second, first);
}

async fn a_full_queue_refuses_those_that_do_not_fit(engine: Engine) {
    let app = TestApp::start_with(engine, "roles = ['api']\n[accept]\nqueue_max = 3").await;
    let asked = request(&app, "one", many(5)).await;
    let answer = send(&app, asked.clone()).await.unwrap();
    assert_eq!(counts(&answer), (3, 0, 2));
    assert!(
        refusals(&answer)
            .values()
            .all(|r| r.reason() == ErrorReason::QueueFull)
    );
    let cancelled = pb::CancelVoicemailsRequest {
        batch_id: "one".to_owned(),
        ..Default::default()
    };
    let cancelled = app.voicemails().cancel_voicemails(cancelled).await.unwrap();
    assert_eq!(cancelled.into_inner().cancelled_count, 3);
    // There is room again, and the repeat judges the refused ones anew.
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(counts(&send(&app, asked).await.unwrap()), (2, 3, 0));
}
