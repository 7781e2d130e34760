//! Who sends: policies, caps of numbers, and that a number's last place is taken once.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use ringless::domain::attempt::Outcome;
use ringless::domain::ids::{PhoneNumberId, VoicemailId};
use ringless::domain::room::Room;
use ringless::domain::sender::SenderPolicy;
use ringless::domain::status::Status;
use ringless::domain::telephony::NumberStatus;
use ringless::domain::use_case::UseCase;
use ringless::domain::warm_up::WarmUpStep;
use ringless::ops::OpError;
use ringless::ops::phone_numbers::{self, NumberChange};
use ringless::ops::use_cases::{self, UseCaseChange};
use ringless::ops::voicemails;
use ringless::storage::Tx;

use crate::counting::passing;
use crate::support::Engine;
use crate::support::data::{SENDERS, Scene, WORKSPACE};
use crate::support::scripted::{NEITHER, Scripted};

crate::on_both_databases!(
    two_workers_never_take_a_numbers_last_place,
    a_number_has_room_again_to_the_microsecond,
    a_number_whose_cap_is_reached_is_passed_over_and_a_fixed_one_is_waited_for,
    a_cap_that_is_raised_is_noticed_within_a_minute,
    a_warm_up_lets_more_through_as_the_number_ages,
    a_main_number_never_becomes_another,
    a_use_case_sends_by_its_policy,
);

const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn change_number(scene: &Scene, id: PhoneNumberId, change: NumberChange) {
    let update = move |tx: &mut dyn Tx| phone_numbers::update(tx, WORKSPACE, id, &change);
    scene.test.store.write(update).await.unwrap();
}

async fn cap(scene: &Scene, id: PhoneNumberId, daily_cap: i32) {
    let change = NumberChange {
        daily_cap: Some(daily_cap),
        ..NumberChange::default()
    };
    change_number(scene, id, change).await;
}

async fn change(scene: &Scene, change: UseCaseChange) -> Result<UseCase, OpError> {
    let (id, registry) = (scene.use_case_id, scene.registry.clone());
    let update = move |tx: &mut dyn Tx| use_cases::update(tx, WORKSPACE, id, change, &registry);
    scene.test.store.write(update).await
}

async fn set_status(scene: &Scene, id: PhoneNumberId, status: NumberStatus) {
    let set = move |tx: &mut dyn Tx| phone_numbers::set_status(tx, WORKSPACE, id, status);
    scene.test.store.write(set).await.unwrap();
}

async fn unassign(scene: &Scene, number: PhoneNumberId) -> Result<UseCase, OpError> {
    let id = scene.use_case_id;
    let unassign = move |tx: &mut dyn Tx| use_cases::unassign(tx, WORKSPACE, id, number);
    scene.test.store.write(unassign).await
}

async fn explained(scene: &Scene, id: VoicemailId) -> String {
    let registry = scene.registry.clone();
    let explain = move |tx: &mut dyn Tx| voicemails::explained(tx, WORKSPACE, id, &registry);
    scene.test.store.read(explain).await.unwrap().status_detail
}

fn senders(scene: &Scene) -> Vec<String> {
    let given = scene.carrier.given();
    given.iter().map(|it| it.sender.e164().to_owned()).collect()
}

async fn two_workers_never_take_a_numbers_last_place(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let cap_of_each = 2;
    for id in &scene.number_ids {
        cap(&scene, *id, cap_of_each).await;
    }
    for at in 0..40 {
        scene.accept(&format!("+121255501{at:02}")).await;
    }
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let runner = Arc::new(scene.runner());
        workers.spawn(async move {
            loop {
                let claimed = runner.claim(Room::new(8)).await.unwrap();
                if claimed.is_empty() {
                    return;
                }
                let mut calls = JoinSet::new();
                for task in claimed.tasks {
                    let runner = runner.clone();
                    calls.spawn(async move { runner.run(task).await });
                }
                calls.join_all().await;
            }
        });
    }
    workers.join_all().await;
    let mut given = senders(&scene);
    given.sort();
    let each = |sender: &str| given.iter().filter(|it| *it == sender).count();
    assert_eq!(SENDERS.map(each), [2, 2], "{given:?}");
    let delivered = scene
        .test
        .database
        .count("SELECT count(*) FROM voicemails WHERE status = 4");
    assert_eq!(delivered, 4);
}

async fn a_number_has_room_again_to_the_microsecond(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    unassign(&scene, scene.number_ids[1]).await.unwrap();
    cap(&scene, scene.number_ids[0], 2).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(scene.accept("+12125550101").await);
        scene.work().await;
        scene.advance_seconds(600);
    }
    for _ in 0..2 {
        ids.push(scene.accept("+12125550102").await);
    }
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 2);
    // Those that were never looked at say so too.
    for id in &ids[2..] {
        let why = explained(&scene, *id).await;
        assert!(why.contains("has reached its cap of 24 hours"), "{why}");
    }
    scene.advance(DAY - Duration::from_secs(1_200) - Duration::from_micros(1));
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 2);
    scene.advance(Duration::from_micros(1));
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 3);
    scene.advance_seconds(600);
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 4);
    assert_eq!(scene.get(ids[3]).await.status, Status::Delivered);
}

async fn a_number_whose_cap_is_reached_is_passed_over_and_a_fixed_one_is_waited_for(
    engine: Engine,
) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [passing()])).await;
    cap(&scene, scene.number_ids[0], 1).await;
    // Its first hand-over fixes its sender; nothing was sent, so the number has room again.
    let fixed = scene.accept("+12125550101").await;
    scene.work().await;
    let second = scene.accept("+12125550102").await;
    scene.work().await;
    // Both were accepted with the number of their area code, and the third one has to take another.
    let third = scene.accept("+12125550103").await;
    scene.work().await;
    assert_eq!(senders(&scene), [SENDERS[0], SENDERS[0], SENDERS[1]]);
    scene.advance_seconds(600);
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 3);
    let waiting = scene.get(fixed).await;
    assert_eq!(waiting.status, Status::Accepted);
    assert!(
        waiting
            .status_detail
            .contains("the number that it was first sent from"),
        "{}",
        waiting.status_detail
    );
    scene.advance(DAY - Duration::from_secs(600));
    scene.work().await;
    assert_eq!(senders(&scene)[3], SENDERS[0]);
    for id in [fixed, second, third] {
        assert_eq!(scene.get(id).await.status, Status::Delivered);
    }
}

async fn a_cap_that_is_raised_is_noticed_within_a_minute(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    unassign(&scene, scene.number_ids[1]).await.unwrap();
    cap(&scene, scene.number_ids[0], 1).await;
    for _ in 0..2 {
        scene.accept("+12125550101").await;
    }
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 1);
    cap(&scene, scene.number_ids[0], 2).await;
    scene.advance_seconds(59);
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 1);
    scene.advance_seconds(1);
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 2);
}

async fn a_warm_up_lets_more_through_as_the_number_ages(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    unassign(&scene, scene.number_ids[1]).await.unwrap();
    let step = |from_day, daily_cap| WarmUpStep {
        from_day,
        daily_cap,
    };
    let warm_up = NumberChange {
        warm_up: Some(vec![step(0, 1), step(1, 3)]),
        ..NumberChange::default()
    };
    change_number(&scene, scene.number_ids[0], warm_up).await;
    scene.advance_seconds(600);
    for at in 0..5 {
        scene.accept(&format!("+1212555010{at}")).await;
    }
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 1);
    // On its second day, ten minutes before the first one has left the window.
    scene.advance(DAY - Duration::from_secs(601));
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 1);
    scene.advance_seconds(1);
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 3);
}

async fn a_main_number_never_becomes_another(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let [other, main] = [scene.number_ids[0], scene.number_ids[1]];
    let named = |number| UseCaseChange {
        sender_policy: Some(SenderPolicy::Main),
        main: Some(Some(number)),
        ..UseCaseChange::default()
    };
    let no_number = UseCaseChange {
        sender_policy: Some(SenderPolicy::Main),
        ..UseCaseChange::default()
    };
    let refused = change(&scene, no_number).await.unwrap_err();
    assert!(matches!(refused, OpError::InvalidFields(_)), "{refused:?}");
    let refused = change(&scene, named(PhoneNumberId::generate())).await;
    assert!(
        matches!(refused, Err(OpError::MainNumberNotAssigned { .. })),
        "{refused:?}"
    );
    // It shares no area code with the recipient, unlike the other one.
    let waiting = scene.accept("+12125550100").await;
    assert_eq!(scene.get(waiting).await.sender.e164(), SENDERS[0]);
    change(&scene, named(main)).await.unwrap();
    let refused = unassign(&scene, main).await;
    assert!(
        matches!(refused, Err(OpError::PhoneNumberIsMain { .. })),
        "{refused:?}"
    );
    set_status(&scene, main, NumberStatus::Inactive).await;
    let refused = scene.try_accept(scene.draft("+12125550101"), 1).await;
    assert!(
        matches!(refused, Err(OpError::MainNumberInactive { .. })),
        "{refused:?}"
    );
    scene.work().await;
    assert_eq!(scene.carrier.given(), []);
    let why = scene.get(waiting).await.status_detail;
    assert!(why.contains("main number"), "{why}");
    set_status(&scene, main, NumberStatus::Active).await;
    scene.advance_seconds(60);
    scene.work().await;
    assert_eq!(senders(&scene), [SENDERS[1]]);
    // Under another policy it may go.
    let loose = UseCaseChange {
        sender_policy: Some(SenderPolicy::LeastRecent),
        main: Some(None),
        ..UseCaseChange::default()
    };
    change(&scene, loose).await.unwrap();
    unassign(&scene, main).await.unwrap();
    unassign(&scene, other).await.unwrap();
}

async fn a_use_case_sends_by_its_policy(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [Outcome::Delivered])).await;
    let sender = async |recipient: &str| {
        scene.advance_seconds(1);
        let id = scene.accept(recipient).await;
        scene.get(id).await.sender.e164().to_owned()
    };
    assert_eq!(sender("+12125550100").await, SENDERS[0]);
    assert_eq!(sender("+12125550101").await, SENDERS[0]);
    let idle = UseCaseChange {
        sender_policy: Some(SenderPolicy::LeastRecent),
        ..UseCaseChange::default()
    };
    change(&scene, idle).await.unwrap();
    assert_eq!(sender("+12125550102").await, SENDERS[1]);
    assert_eq!(sender("+12125550103").await, SENDERS[0]);
    // Each recipient keeps its own, until that is switched off.
    assert_eq!(sender("+12125550103").await, SENDERS[0]);
    assert_eq!(sender("+12125550102").await, SENDERS[1]);
    let loose = UseCaseChange {
        is_sticky: Some(false),
        ..UseCaseChange::default()
    };
    change(&scene, loose).await.unwrap();
    assert_eq!(sender("+12125550102").await, SENDERS[0]);
}
