//! A use case can be paused and resumed: its queue stops, and nothing is lost.

use std::time::Duration;

use ringless::domain::ids::VoicemailId;
use ringless::domain::room::Room;
use ringless::domain::status::Status;
use ringless::domain::use_case::UseCase;
use ringless::grpc::pb;
use ringless::grpc::pb::VoicemailStatus;
use ringless::ops::{use_cases, voicemails};
use ringless::storage::Tx;

use crate::support::Engine;
use crate::support::app::{TestApp, bad_fields, reason};
use crate::support::data::{Scene, WORKSPACE};
use crate::support::scripted::{NEITHER, Scripted};

crate::on_both_databases!(
    a_paused_use_case_writes_nothing_and_goes_on_at_once,
    one_that_was_claimed_before_the_pause_goes_back,
    what_waits_in_a_pause_expires_in_time,
    senders_and_pauses_go_over_the_wire,
);

async fn pause(scene: &Scene, reason: &str) -> UseCase {
    let (id, reason) = (scene.use_case_id, reason.to_owned());
    let pause = move |tx: &mut dyn Tx| use_cases::pause(tx, WORKSPACE, id, &reason);
    scene.test.store.write(pause).await.unwrap()
}

async fn resume(scene: &Scene) -> UseCase {
    let id = scene.use_case_id;
    let resume = move |tx: &mut dyn Tx| use_cases::resume(tx, WORKSPACE, id);
    scene.test.store.write(resume).await.unwrap()
}

async fn why(scene: &Scene, id: VoicemailId) -> String {
    let registry = scene.registry.clone();
    let explain = move |tx: &mut dyn Tx| voicemails::explained(tx, WORKSPACE, id, &registry);
    scene.test.store.read(explain).await.unwrap().status_detail
}

async fn a_paused_use_case_writes_nothing_and_goes_on_at_once(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let before = scene.accept("+12125550100").await;
    let paused = pause(&scene, "the script is wrong").await;
    let since = paused.pause.expect("it is paused").since;
    // What is sent meanwhile is taken.
    let meanwhile = scene.accept("+12125550101").await;
    scene.advance_seconds(5);
    let claimed = scene.runner().claim(Room::new(10)).await.unwrap();
    assert!(claimed.is_empty(), "{claimed:?}");
    for id in [before, meanwhile] {
        assert_eq!(scene.get(id).await.status, Status::Accepted);
        assert_eq!(
            why(&scene, id).await,
            "its use case is paused: the script is wrong"
        );
    }
    // A repeat takes the new reason and keeps the time.
    let again = pause(&scene, "").await.pause.expect("it is paused");
    assert_eq!((again.reason.as_str(), again.since), ("", since));
    assert!(
        why(&scene, before)
            .await
            .starts_with("its use case is paused since ")
    );
    for _ in 0..2 {
        assert_eq!(resume(&scene).await.pause, None);
    }
    scene.work().await;
    for id in [before, meanwhile] {
        assert_eq!(scene.get(id).await.status, Status::Delivered);
    }
}

async fn one_that_was_claimed_before_the_pause_goes_back(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    pause(&scene, "stop").await;
    scene.runner().run(task).await;
    let waiting = scene.get(id).await;
    assert_eq!(waiting.status, Status::Accepted);
    assert_eq!(waiting.status_detail, "its use case is paused: stop");
    assert_eq!((waiting.attempts, scene.carrier.given()), (vec![], vec![]));
    resume(&scene).await;
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Delivered);
}

async fn what_waits_in_a_pause_expires_in_time(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    pause(&scene, "stop").await;
    scene.advance(Duration::from_secs(72 * 3_600));
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Skipped);
}

async fn senders_and_pauses_go_over_the_wire(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut use_cases = app.use_cases();
    let id = app.use_case_id.clone();
    let shown = use_cases
        .get_use_case(pb::GetUseCaseRequest {
            use_case_id: id.clone(),
        })
        .await
        .unwrap();
    let shown = shown.into_inner().use_case.unwrap();
    assert_eq!(shown.sender_policy(), pb::SenderPolicy::AreaCode);
    assert_eq!((shown.sticky_sender, shown.pause), (Some(true), None));
    let update = async |use_case: pb::UseCase| {
        let request = pb::UpdateUseCaseRequest {
            use_case: Some(pb::UseCase {
                id: id.clone(),
                ..use_case
            }),
            update_mask: None,
        };
        let answer = app.use_cases().update_use_case(request).await;
        answer.map(|answer| answer.into_inner().use_case.unwrap())
    };
    let main = pb::SenderPolicy::Main as i32;
    let unnamed = update(pb::UseCase {
        sender_policy: main,
        ..Default::default()
    });
    let refused = unnamed.await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["use_case.main_phone_number_id"]);
    let stranger = update(pb::UseCase {
        main_phone_number_id: id.clone(),
        ..Default::default()
    });
    assert_eq!(
        reason(&stranger.await.unwrap_err()),
        "MAIN_NUMBER_NOT_ASSIGNED"
    );
    let number = shown.phone_number_ids[0].clone();
    let named = update(pb::UseCase {
        sender_policy: main,
        sticky_sender: Some(false),
        main_phone_number_id: number.clone(),
        ..Default::default()
    });
    let named = named.await.unwrap();
    assert_eq!(
        (named.sender_policy, named.sticky_sender),
        (main, Some(false))
    );
    assert_eq!(named.main_phone_number_id, number);
    let unassign = pb::UnassignPhoneNumberRequest {
        use_case_id: id.clone(),
        phone_number_id: number.clone(),
    };
    let refused = app.use_cases().unassign_phone_number(unassign).await;
    assert_eq!(reason(&refused.unwrap_err()), "PHONE_NUMBER_IS_MAIN");
    warm_up_goes_over_the_wire(&app, &number).await;

    let pause = pb::PauseUseCaseRequest {
        use_case_id: id.clone(),
        reason: "x".repeat(501),
    };
    let refused = use_cases.pause_use_case(pause.clone()).await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["reason"]);
    let reason = "x".repeat(500);
    let pause = pb::PauseUseCaseRequest { reason, ..pause };
    let paused = use_cases.pause_use_case(pause.clone()).await.unwrap();
    let paused = paused.into_inner().use_case.unwrap().pause.unwrap();
    assert_eq!(paused.reason, pause.reason);
    let sent = app.send_stored(|_| ()).await.unwrap();
    let waits = app.get(&sent.id).await;
    assert_eq!(waits.status(), VoicemailStatus::Accepted);
    assert!(
        waits.status_detail.contains("its use case is paused"),
        "{}",
        waits.status_detail
    );
    let resume = pb::ResumeUseCaseRequest {
        use_case_id: id.clone(),
    };
    use_cases.resume_use_case(resume).await.unwrap();
    app.wait_for(&sent.id, VoicemailStatus::Delivered).await;
}

async fn warm_up_goes_over_the_wire(app: &TestApp, number: &str) {
    let step = |from_day, daily_cap| pb::WarmUpStep {
        from_day,
        daily_cap,
    };
    let update = async |warm_up: Vec<pb::WarmUpStep>, daily_cap| {
        let request = pb::UpdatePhoneNumberRequest {
            phone_number: Some(pb::PhoneNumber {
                id: number.to_owned(),
                warm_up,
                daily_cap,
                ..Default::default()
            }),
            update_mask: None,
        };
        let answer = app.telephony().update_phone_number(request).await;
        answer.map(|answer| answer.into_inner().phone_number.unwrap())
    };
    let refused = update(vec![step(1, 5)], 1_000_001).await.unwrap_err();
    assert_eq!(
        bad_fields(&refused),
        ["phone_number.daily_cap", "phone_number.warm_up"]
    );
    let steps = vec![step(0, 20), step(3, 50), step(7, 0)];
    let changed = update(steps.clone(), 1_000_000).await.unwrap();
    assert_eq!((changed.warm_up, changed.daily_cap), (steps, 1_000_000));
}
