//! CancelVoicemails: what it takes back, what was too late, and what it passes over.

use std::time::Duration;

use ringless::domain::ids::VoicemailId;
use ringless::domain::status::Status;
use ringless::grpc::pb::{self, VoicemailStatus};
use ringless::ops::cancel_voicemails::{PAGE_MAX, Step, step};
use ringless::storage::VoicemailFilter;

use crate::support::Engine;
use crate::support::app::{TestApp, bad_fields, reason, timestamp};
use crate::support::data::{Scene, WORKSPACE};
use crate::support::scripted::{NEITHER, Scripted};

crate::on_both_databases!(
    all_that_is_given_must_hold,
    what_left_is_told_from_what_was_taken_back,
    something_must_be_given_and_be_there,
    a_page_is_of_500_and_each_is_met_once,
    one_that_was_put_aside_is_taken_back_too,
);

async fn cancel(
    app: &TestApp,
    request: pb::CancelVoicemailsRequest,
) -> Result<pb::CancelVoicemailsResponse, tonic::Status> {
    let answer = app.voicemails().cancel_voicemails(request).await?;
    Ok(answer.into_inner())
}

async fn all_that_is_given_must_hold(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let later = timestamp(app.clock.now().plus(Duration::from_secs(3_600)));
    let mut ids = Vec::new();
    for (ward, bed) in [("1", "a"), ("1", "b"), ("2", "a")] {
        let sent = app.send_stored(|m| {
            m.schedule_time = Some(later);
            m.labels = [
                ("ward".to_owned(), ward.to_owned()),
                ("bed".to_owned(), bed.to_owned()),
            ]
            .into();
        });
        ids.push(sent.await.unwrap().id);
    }
    let labels = |pairs: &[(&str, &str)]| pb::CancelVoicemailsRequest {
        labels: pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        ..Default::default()
    };
    let done = |cancelled_count| pb::CancelVoicemailsResponse {
        cancelled_count,
        complete: true,
        ..Default::default()
    };
    let both = labels(&[("ward", "1"), ("bed", "a")]);
    assert_eq!(cancel(&app, both.clone()).await.unwrap(), done(1));
    assert_eq!(cancel(&app, both).await.unwrap(), done(0), "a repeat");
    let statuses = async || {
        let mut statuses = Vec::new();
        for id in &ids {
            statuses.push(app.get(id).await.status());
        }
        statuses
    };
    use VoicemailStatus::{Accepted, Cancelled};
    assert_eq!(statuses().await, [Cancelled, Accepted, Accepted]);
    let ended = app.get(&ids[0]).await;
    assert!(ended.end_time.is_some() && ended.end_time == ended.update_time);
    let of_use_case = pb::CancelVoicemailsRequest {
        use_case_id: app.use_case_id.clone(),
        setup_id: app.setup_id.clone(),
        ..labels(&[("bed", "b")])
    };
    assert_eq!(cancel(&app, of_use_case).await.unwrap(), done(1));
    let of_setup = pb::CancelVoicemailsRequest {
        setup_id: app.setup_id.clone(),
        ..Default::default()
    };
    assert_eq!(cancel(&app, of_setup).await.unwrap(), done(1));
    assert_eq!(statuses().await, [Cancelled; 3]);
}

async fn what_left_is_told_from_what_was_taken_back(engine: Engine) {
    let app = TestApp::start(engine).await;
    let delivered = app.send_stored(|_| ()).await.unwrap();
    app.wait_for(&delivered.id, VoicemailStatus::Delivered)
        .await;
    // The sandbox takes this one and says nothing more for a while.
    let sent = app
        .send_stored(|m| "+12125550180".clone_into(&mut m.recipient_phone_number))
        .await
        .unwrap();
    app.wait_for(&sent.id, VoicemailStatus::Sent).await;
    let later = timestamp(app.clock.now().plus(Duration::from_secs(3_600)));
    let waiting = app
        .send_stored(|m| m.schedule_time = Some(later))
        .await
        .unwrap();
    let all = pb::CancelVoicemailsRequest {
        use_case_id: app.use_case_id.clone(),
        ..Default::default()
    };
    for cancelled_count in [1, 0] {
        let expected = pb::CancelVoicemailsResponse {
            cancelled_count,
            too_late_count: 1,
            ended_count: 1,
            complete: true,
        };
        assert_eq!(cancel(&app, all.clone()).await.unwrap(), expected);
    }
    assert_eq!(
        app.get(&waiting.id).await.status(),
        VoicemailStatus::Cancelled
    );
}

async fn something_must_be_given_and_be_there(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let none = pb::CancelVoicemailsRequest::default;
    let refused = cancel(&app, none()).await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["batch_id"]);
    let unknown = uuid::Uuid::now_v7().to_string();
    for (expected, request) in [
        (
            "BATCH_NOT_FOUND",
            pb::CancelVoicemailsRequest {
                batch_id: "none".to_owned(),
                ..none()
            },
        ),
        (
            "USE_CASE_NOT_FOUND",
            pb::CancelVoicemailsRequest {
                use_case_id: unknown.clone(),
                ..none()
            },
        ),
        (
            "SETUP_NOT_FOUND",
            pb::CancelVoicemailsRequest {
                setup_id: unknown,
                ..none()
            },
        ),
    ] {
        assert_eq!(reason(&cancel(&app, request).await.unwrap_err()), expected);
    }
}

async fn a_page_is_of_500_and_each_is_met_once(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let first = scene.accept("+12125550100").await;
    let copies = PAGE_MAX;
    // As the first one, but for their ids.
    let columns = "workspace_id, use_case_id, setup_id, sender_id, sender, recipient, status, status_detail, \
                   simulated, audio_id, labels, request_hash, create_time, update_time, expire_time, due_time, \
                   next_time, held, tries, attempt_count, carrier";
    let copy = |id: &str, series: &str| {
        format!(
            "INSERT INTO voicemails (id, {columns}) SELECT {id}, {columns} FROM voicemails, {series}"
        )
    };
    scene.test.database.sql(
        &copy(
            "randomblob(16)",
            &format!("(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {copies}) SELECT n FROM s)"),
        ),
        &copy("gen_random_uuid()", &format!("generate_series(1, {copies})")),
    );
    let filter = VoicemailFilter {
        use_case_id: Some(scene.use_case_id),
        ..VoicemailFilter::default()
    };
    let mut steps: Vec<Step> = Vec::new();
    loop {
        let (filter, after) = (filter.clone(), steps.last().and_then(|step| step.next));
        let done = scene.accepting(move |tx, _| step(tx, WORKSPACE, &filter, after));
        steps.push(done.await.unwrap());
        if steps.last().unwrap().next.is_none() {
            break;
        }
    }
    let cancelled: Vec<usize> = steps.iter().map(|step| step.cancelled).collect();
    assert_eq!(cancelled, [PAGE_MAX, 1]);
    assert!(steps.iter().all(|step| step.passed_over == 0));
    assert_eq!(scene.get(first).await.status, Status::Cancelled);
}

async fn one_that_was_put_aside_is_taken_back_too(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    assert_eq!(
        ringless::ops::recover::hold(&scene.test.store)
            .await
            .unwrap(),
        1
    );
    let filter = VoicemailFilter {
        use_case_id: Some(scene.use_case_id),
        ..VoicemailFilter::default()
    };
    let done = scene.accepting(move |tx, _| step(tx, WORKSPACE, &filter, None));
    assert_eq!(done.await.unwrap().cancelled, 1);
    assert_eq!(scene.get(id).await.status, Status::Cancelled);
    assert_eq!(
        scene
            .test
            .database
            .count("SELECT count(*) FROM voicemails WHERE held"),
        0
    );
}

mod locked {
    use super::*;

    /// Only Postgres locks rows; on SQLite a write has the whole database to itself.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_row_in_other_hands_is_passed_over_and_met_again() {
        let scene = Scene::new(Engine::Postgres, Scripted::new(NEITHER, [])).await;
        let held: VoicemailId = scene.accept("+12125550100").await;
        scene.accept("+12125550101").await;
        let (locked, is_locked) = tokio::sync::oneshot::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let store = scene.test.store.clone();
        let holder = tokio::spawn(async move {
            let hold = store.write(move |tx| {
                tx.find_delivery(WORKSPACE, held, ringless::storage::Lock::Change)?;
                locked.send(()).unwrap();
                released.recv().unwrap();
                Ok::<_, ringless::storage::Error>(())
            });
            hold.await.unwrap();
        });
        is_locked.await.unwrap();
        let filter = VoicemailFilter {
            use_case_id: Some(scene.use_case_id),
            ..VoicemailFilter::default()
        };
        let again = filter.clone();
        let done = scene.accepting(move |tx, _| step(tx, WORKSPACE, &filter, None));
        let done = done.await.unwrap();
        assert_eq!((done.cancelled, done.passed_over), (1, 1));
        release.send(()).unwrap();
        holder.await.unwrap();
        let done = scene.accepting(move |tx, _| step(tx, WORKSPACE, &again, None));
        let done = done.await.unwrap();
        assert_eq!((done.cancelled, done.passed_over), (1, 0));
    }
}
