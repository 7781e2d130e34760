//! Carriers that fail again and again, or refuse our account: breakers and pauses.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use ringless::domain::attempt::{Answer, Outcome};
use ringless::domain::breaker::FAILURES_TO_TRIP;
use ringless::domain::failure::FailureReason;
use ringless::domain::room::Room;
use ringless::domain::status::{End, Status};
use ringless::domain::telephony::{Pause, PauseReason};
use ringless::ops::setups::SetupChange;

use crate::fair_queue::{change, resume, setup};
use crate::support::Engine;
use crate::support::data::Scene;
use crate::support::scripted::{ASKABLE, NEITHER, Scripted};

crate::on_both_databases!(
    a_carrier_that_fails_again_and_again_is_left_alone_and_tried_now_and_then,
    a_trial_that_fails_lengthens_the_wait,
    resuming_tries_a_failing_carrier_at_once,
    one_message_that_fails_again_and_again_trips_nothing,
    a_fault_of_the_account_pauses_the_setup_until_it_is_resumed,
    a_fault_of_the_account_that_ends_a_voicemail_pauses_the_setup_too,
    other_carriers_end_a_pause,
);

fn open_gate() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(1_000))
}

const FAILING: Outcome = Outcome::TryAgain {
    reason: FailureReason::CarrierTimeout,
    wait: None,
};

/// As many voicemails as trip the breaker, and one more, over a carrier that fails `calls` times.
async fn tripped(engine: Engine, calls: usize, gate: &Arc<Semaphore>) -> Scene {
    let carrier = Scripted::new(NEITHER, vec![FAILING; calls]).waiting_at(gate);
    let scene = Scene::new(engine, carrier).await;
    let runner = scene.runner();
    for _ in 0..=FAILURES_TO_TRIP {
        scene.accept("+12125550100").await;
    }
    for _ in 0..FAILURES_TO_TRIP {
        let task = runner.claim(Room::new(1)).await.unwrap().tasks.pop();
        runner.run(task.expect("one is due")).await;
    }
    assert_eq!(scene.carrier.given().len(), FAILURES_TO_TRIP);
    scene
}

async fn a_carrier_that_fails_again_and_again_is_left_alone_and_tried_now_and_then(engine: Engine) {
    let gate = Arc::new(Semaphore::new(FAILURES_TO_TRIP));
    let scene = tripped(engine, FAILURES_TO_TRIP, &gate).await;
    let since = scene.test.clock.now();
    let paused = Some(Pause {
        reason: PauseReason::CarrierFailing,
        carrier: "vendor".to_owned(),
        since,
    });
    assert_eq!(setup(&scene).await.pause, paused);
    // Not even those whose own next try has come.
    scene.advance(Duration::from_secs(5) - Duration::from_micros(1));
    let claimed = scene.runner().claim(Room::new(10)).await.unwrap();
    assert!(claimed.is_empty());
    assert_eq!(claimed.next, Some(since.plus(Duration::from_secs(5))));
    scene.advance(Duration::from_micros(1));
    // One call tries it, whoever makes it; the others wait for what it says.
    let (one, other) = (scene.runner(), scene.runner());
    let mut first = one.claim(Room::new(10)).await.unwrap().tasks;
    let second = other.claim(Room::new(10)).await.unwrap().tasks;
    assert_eq!((first.len(), second.len()), (1, 1));
    let trial = tokio::spawn(async move { one.run(first.pop().unwrap()).await });
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while scene.carrier.given().len() == FAILURES_TO_TRIP {
        assert!(tokio::time::Instant::now() < deadline, "never tried");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for task in second {
        other.run(task).await;
    }
    assert!(other.claim(Room::new(10)).await.unwrap().is_empty());
    assert_eq!(scene.carrier.given().len(), FAILURES_TO_TRIP + 1);
    gate.add_permits(1_000);
    trial.await.unwrap();
    assert_eq!(setup(&scene).await.pause, None);
    scene.advance_seconds(60);
    scene.work().await;
    assert_eq!(
        scene
            .test
            .database
            .count("SELECT count(*) FROM voicemails WHERE status = 4"),
        i64::try_from(FAILURES_TO_TRIP + 1).unwrap()
    );
}

async fn a_trial_that_fails_lengthens_the_wait(engine: Engine) {
    let scene = tripped(engine, FAILURES_TO_TRIP + 1, &open_gate()).await;
    scene.advance_seconds(5);
    scene.work().await;
    let calls = FAILURES_TO_TRIP + 1;
    assert_eq!(scene.carrier.given().len(), calls);
    scene.advance(Duration::from_secs(10) - Duration::from_micros(1));
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), calls);
    assert!(setup(&scene).await.pause.is_some());
    scene.advance(Duration::from_micros(1));
    scene.work().await;
    assert!(scene.carrier.given().len() > calls);
    assert_eq!(setup(&scene).await.pause, None);
}

async fn resuming_tries_a_failing_carrier_at_once(engine: Engine) {
    let scene = tripped(engine, FAILURES_TO_TRIP, &open_gate()).await;
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), FAILURES_TO_TRIP);
    resume(&scene).await;
    scene.work().await;
    assert_eq!(setup(&scene).await.pause, None);
    assert!(scene.carrier.given().len() > FAILURES_TO_TRIP);
}

async fn one_message_that_fails_again_and_again_trips_nothing(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, vec![FAILING; 8])).await;
    let id = scene.accept("+12125550100").await;
    let runner = scene.runner();
    for _ in 0..8 {
        for task in runner.claim(Room::new(1)).await.unwrap().tasks {
            runner.run(task).await;
        }
        scene.advance_seconds(10_000);
    }
    assert_eq!(scene.get(id).await.status, Status::Failed);
    assert_eq!(setup(&scene).await.pause, None);
}

async fn a_fault_of_the_account_pauses_the_setup_until_it_is_resumed(engine: Engine) {
    for (reason, shown) in [
        (FailureReason::CarrierAuth, PauseReason::CarrierAuth),
        (
            FailureReason::InsufficientFunds,
            PauseReason::InsufficientFunds,
        ),
    ] {
        let outcomes = [Outcome::Rejected { reason }];
        let scene = Scene::new(engine, Scripted::new(NEITHER, outcomes)).await;
        let ids = [
            scene.accept("+12125550100").await,
            scene.accept("+12125550101").await,
        ];
        let since = scene.test.clock.now();
        let runner = scene.runner();
        for task in runner.claim(Room::new(1)).await.unwrap().tasks {
            runner.run(task).await;
        }
        scene.advance_seconds(1_000);
        scene.work().await;
        assert_eq!(scene.carrier.given().len(), 1);
        for id in ids {
            assert_eq!(scene.get(id).await.status, Status::Accepted);
        }
        let paused = Some(Pause {
            reason: shown,
            carrier: "vendor".to_owned(),
            since,
        });
        assert_eq!(setup(&scene).await.pause, paused);
        assert_eq!(resume(&scene).await.pause, None);
        scene.work().await;
        for id in ids {
            assert_eq!(scene.get(id).await.status, Status::Delivered);
        }
    }
}

async fn a_fault_of_the_account_that_ends_a_voicemail_pauses_the_setup_too(engine: Engine) {
    let funds = End::Because(FailureReason::InsufficientFunds);
    let taken = [Outcome::Taken { ask_after: None }];
    let carrier = Scripted::new(ASKABLE, taken).answering([Answer::Ended(funds)]);
    let scene = Scene::new(engine, carrier).await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Sent);
    scene.advance_seconds(1_000);
    scene.work().await;
    assert_eq!(scene.carrier.asked(), 1);
    assert_eq!(scene.get(id).await.status, Status::Failed);
    let pause = setup(&scene).await.pause.unwrap();
    assert_eq!(pause.reason, PauseReason::InsufficientFunds);
    let behind = scene.accept("+12125550101").await;
    scene.work().await;
    assert_eq!(scene.get(behind).await.status, Status::Accepted);
}

async fn other_carriers_end_a_pause(engine: Engine) {
    let outcomes = [Outcome::Rejected {
        reason: FailureReason::CarrierAuth,
    }];
    let scene = Scene::new(engine, Scripted::new(NEITHER, outcomes)).await;
    scene.accept("+12125550100").await;
    scene.work().await;
    assert!(setup(&scene).await.pause.is_some());
    let renamed = SetupChange {
        display_name: Some("renamed".to_owned()),
        ..SetupChange::default()
    };
    assert!(change(&scene, renamed).await.pause.is_some());
    let one: Arc<dyn ringless::carrier::Carrier> = Arc::new(scene.carrier.clone());
    let mut scene = scene;
    scene.registry = ringless::carrier::Registry::of([("other".to_owned(), one)]);
    let other = SetupChange {
        carriers: Some(vec!["other".to_owned()]),
        ..SetupChange::default()
    };
    assert_eq!(change(&scene, other).await.pause, None);
}
