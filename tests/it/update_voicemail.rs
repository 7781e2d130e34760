//! UpdateVoicemail: when a voicemail leaves and expires, changed while it waits.

use std::time::Duration;

use prost_types::FieldMask;
use ringless::domain::attempt::Outcome;
use ringless::domain::ids::VoicemailId;
use ringless::domain::status::Status;
use ringless::domain::time::Time;
use ringless::grpc::pb::{self, VoicemailStatus};
use ringless::ops::voicemails::{TimesChange, update};
use ringless::ops::{OpError, recover};

use crate::support::Engine;
use crate::support::app::{TestApp, bad_fields, reason, timestamp};
use crate::support::data::{Scene, WORKSPACE};
use crate::support::scripted::{NEITHER, Scripted};

crate::on_both_databases!(
    one_for_later_is_sent_now_and_one_for_now_later,
    times_are_held_to_the_rules_of_a_send,
    a_time_that_is_named_and_not_set_is_taken_back,
    what_was_tried_or_has_ended_is_not_changed,
    one_that_was_put_aside_stays_so,
    a_repeat_of_the_send_is_still_known,
    a_mask_names_what_can_be_changed,
);

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

async fn change(
    app: &TestApp,
    id: &str,
    schedule_time: Option<Time>,
    expire_time: Option<Time>,
    paths: &[&str],
) -> Result<pb::Voicemail, tonic::Status> {
    let request = pb::UpdateVoicemailRequest {
        voicemail: Some(pb::Voicemail {
            id: id.to_owned(),
            schedule_time: schedule_time.map(timestamp),
            expire_time: expire_time.map(timestamp),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
    };
    let answer = app.voicemails().update_voicemail(request).await?;
    Ok(answer.into_inner().voicemail.unwrap())
}

async fn one_for_later_is_sent_now_and_one_for_now_later(engine: Engine) {
    let app = TestApp::start(engine).await;
    let now = app.clock.now();
    let later = Some(timestamp(now.plus(DAY)));
    let sent = app.send_stored(|m| m.schedule_time = later).await.unwrap();
    let other = app.send_stored(|m| m.schedule_time = later).await.unwrap();
    let moved = change(&app, &other.id, Some(now.plus(2 * DAY)), None, &[])
        .await
        .unwrap();
    assert_eq!(moved.schedule_time, Some(timestamp(now.plus(2 * DAY))));
    assert_eq!(
        (moved.due_time, moved.expire_time),
        (moved.schedule_time, other.expire_time)
    );
    app.clock.advance(HOUR);
    let moved = change(&app, &sent.id, Some(now), None, &[]).await.unwrap();
    assert_eq!(moved.schedule_time, Some(timestamp(now)));
    // That was not allowed then: it is from now on.
    assert_eq!(moved.due_time, Some(timestamp(now.plus(HOUR))));
    app.wait_for(&sent.id, VoicemailStatus::Delivered).await;
    // The other one waits past the time that it was first given.
    app.clock.advance(DAY);
    let third = app.send_stored(|_| ()).await.unwrap();
    app.wait_for(&third.id, VoicemailStatus::Delivered).await;
    assert_eq!(app.get(&other.id).await.status(), VoicemailStatus::Accepted);
    app.clock.advance(DAY);
    app.wait_for(&other.id, VoicemailStatus::Delivered).await;
}

async fn times_are_held_to_the_rules_of_a_send(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let now = app.clock.now();
    let far = now.plus(200 * DAY);
    let sent = app.send_stored(|_| ()).await.unwrap();
    let micro = Duration::from_micros(1);
    let latest = now.plus(90 * DAY);
    for (schedule, is_good) in [
        (latest.minus(micro), true),
        (latest, true),
        (latest.plus(micro), false),
    ] {
        let changed = change(&app, &sent.id, Some(schedule), Some(far), &[]).await;
        match changed {
            Ok(changed) => assert!(is_good && changed.due_time == Some(timestamp(schedule))),
            Err(refused) => {
                assert!(!is_good);
                assert_eq!(bad_fields(&refused), ["voicemail.schedule_time"]);
            }
        }
    }
    let at = now.plus(HOUR);
    change(&app, &sent.id, Some(at), Some(far), &[])
        .await
        .unwrap();
    for (expire, is_good) in [
        (at.minus(micro), false),
        (at, false),
        (at.plus(micro), true),
    ] {
        let changed = change(&app, &sent.id, None, Some(expire), &[]).await;
        assert_eq!(changed.is_ok(), is_good);
        if let Err(refused) = changed {
            assert_eq!(bad_fields(&refused), ["voicemail.expire_time"]);
        }
    }
    // It would leave after its end: said of the field that was given.
    let refused = change(&app, &sent.id, Some(at.plus(HOUR)), None, &[])
        .await
        .unwrap_err();
    assert_eq!(bad_fields(&refused), ["voicemail.schedule_time"]);
    assert!(
        refused
            .message()
            .contains("Give a later expire_time with it")
    );
    let kept = app.get(&sent.id).await;
    assert_eq!(kept.schedule_time, Some(timestamp(at)));
    assert_eq!(kept.expire_time, Some(timestamp(at.plus(micro))));
}

async fn a_time_that_is_named_and_not_set_is_taken_back(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let now = app.clock.now();
    let sent = app
        .send_stored(|m| {
            m.schedule_time = Some(timestamp(now.plus(DAY)));
            m.expire_time = Some(timestamp(now.plus(2 * DAY)));
        })
        .await
        .unwrap();
    app.clock.advance(HOUR);
    let at = now.plus(HOUR);
    for paths in [["*"].as_slice(), &["schedule_time", "expire_time"]] {
        let changed = change(&app, &sent.id, None, None, paths).await.unwrap();
        assert_eq!(changed.schedule_time, None);
        assert_eq!(changed.due_time, Some(timestamp(at)));
        assert_eq!(changed.expire_time, Some(timestamp(at.plus(3 * DAY))));
    }
}

/// At the level of the verbs, where a worker can be stopped between two steps.
async fn change_times(scene: &Scene, id: VoicemailId, schedule: Time) -> Result<(), OpError> {
    let change = TimesChange {
        schedule_time: Some(Some(schedule)),
        expire_time: None,
    };
    let changed = scene
        .accepting(move |tx, accepting| update(tx, WORKSPACE, id, change, accepting.expire_after));
    changed.await.map(|_| ())
}

async fn what_was_tried_or_has_ended_is_not_changed(engine: Engine) {
    let busy = Outcome::TryAgain {
        reason: ringless::domain::failure::FailureReason::CarrierTimeout,
        wait: None,
    };
    let scene = Scene::new(engine, Scripted::new(NEITHER, [busy])).await;
    let at = scene.test.clock.now().plus(HOUR);
    let claimed = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    let status = |done: Result<(), OpError>| match done {
        Err(OpError::NotUpdatable { status, .. }) => Some(status),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        status(change_times(&scene, claimed, at).await),
        Some(Status::Sending)
    );
    scene.runner().run(task).await;
    let waiting = scene.get(claimed).await;
    assert_eq!(
        (waiting.status, waiting.attempts.len()),
        (Status::Accepted, 1)
    );
    assert_eq!(
        status(change_times(&scene, claimed, at).await),
        Some(Status::Accepted)
    );
    assert_eq!(scene.get(claimed).await, waiting);

    let app = TestApp::start(engine).await;
    let sent = app.send_stored(|_| ()).await.unwrap();
    app.wait_for(&sent.id, VoicemailStatus::Delivered).await;
    let refused = change(&app, &sent.id, None, Some(at), &[])
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "NOT_UPDATABLE");
    let unknown = uuid::Uuid::now_v7().to_string();
    let refused = change(&app, &unknown, None, Some(at), &[])
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "VOICEMAIL_NOT_FOUND");
}

async fn one_that_was_put_aside_stays_so(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    assert_eq!(recover::hold(&scene.test.store).await.unwrap(), 1);
    let why = scene.get(id).await.status_detail;
    let at = scene.test.clock.now().plus(HOUR);
    change_times(&scene, id, at).await.unwrap();
    scene.advance(2 * HOUR);
    scene.work().await;
    let kept = scene.get(id).await;
    assert_eq!(
        (kept.status, kept.status_detail, kept.due_time),
        (Status::Accepted, why, at)
    );
}

async fn a_repeat_of_the_send_is_still_known(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let now = app.clock.now();
    let send = || {
        app.send_stored(|m| {
            m.request_id = "one".to_owned();
            m.schedule_time = Some(timestamp(now.plus(DAY)));
        })
    };
    let sent = send().await.unwrap();
    let moved = change(&app, &sent.id, Some(now.plus(HOUR)), None, &[])
        .await
        .unwrap();
    assert_eq!(send().await.unwrap(), moved);
}

async fn a_mask_names_what_can_be_changed(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let now = app.clock.now();
    let sent = app
        .send_stored(|m| m.schedule_time = Some(timestamp(now.plus(DAY))))
        .await
        .unwrap();
    for path in ["labels", "status", "due_time", "colour"] {
        let refused = change(&app, &sent.id, None, None, &[path])
            .await
            .unwrap_err();
        assert_eq!(bad_fields(&refused), ["update_mask"], "{path}");
    }
    // Only what is named is written, and nothing where nothing is.
    let other = change(
        &app,
        &sent.id,
        Some(now),
        Some(now.plus(2 * DAY)),
        &["expire_time"],
    );
    let other = other.await.unwrap();
    assert_eq!(other.schedule_time, sent.schedule_time);
    assert_eq!(other.expire_time, Some(timestamp(now.plus(2 * DAY))));
    assert_eq!(
        change(&app, &sent.id, None, None, &[]).await.unwrap(),
        other
    );
    let request = pb::UpdateVoicemailRequest::default();
    let refused = app
        .voicemails()
        .update_voicemail(request)
        .await
        .unwrap_err();
    assert_eq!(bad_fields(&refused), ["voicemail"]);
}
