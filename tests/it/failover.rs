//! A setup with two carriers: who is tried when, and who never.

use std::sync::Arc;
use std::time::Duration;

use ringless::carrier::{Carrier, Registry};
use ringless::domain::attempt::Outcome;
use ringless::domain::breaker::Breaker;
use ringless::domain::failure::FailureReason;
use ringless::domain::ids::VoicemailId;
use ringless::domain::status::Status;
use ringless::ops::setups;

use crate::support::Engine;
use crate::support::data::{Scene, WORKSPACE};
use crate::support::scripted::{ASKABLE, NEITHER, Scripted};

crate::on_both_databases!(
    what_the_first_did_not_take_goes_to_the_second_at_once,
    waits_stand_between_rounds_and_each_round_goes_through_all,
    what_is_in_doubt_with_the_first_never_goes_to_the_second,
    what_the_first_never_received_goes_to_the_second,
    a_refusal_of_the_way_goes_on_and_one_of_the_recipient_does_not,
    where_all_refuse_the_way_it_fails,
    one_that_refused_is_tried_again_where_another_may_take_it,
    one_that_is_left_alone_is_passed_over,
);

fn busy() -> Outcome {
    Outcome::TryAgain {
        reason: FailureReason::CarrierTimeout,
        wait: None,
    }
}

fn refused(reason: FailureReason) -> Outcome {
    Outcome::Rejected { reason }
}

/// The scene's carrier first, and another behind it.
async fn with_second(engine: Engine, first: Scripted, second: &Scripted) -> Scene {
    let mut scene = Scene::new(engine, first).await;
    let first: Arc<dyn Carrier> = Arc::new(scene.carrier.clone());
    let second: Arc<dyn Carrier> = Arc::new(second.clone());
    let both = Registry::of([("vendor".to_owned(), first), ("other".to_owned(), second)]);
    let (setup, known) = (scene.setup_id, both.clone());
    let change = setups::SetupChange {
        carriers: Some(vec!["vendor".to_owned(), "other".to_owned()]),
        ..setups::SetupChange::default()
    };
    let changed = scene.test.store.write(move |tx| {
        setups::update(tx, WORKSPACE, setup, &change, &known)?;
        setups::approve(tx, WORKSPACE, setup, &known)
    });
    changed.await.unwrap();
    scene.registry = both;
    scene
}

/// The carriers of its attempts, in their order.
async fn tried(scene: &Scene, id: VoicemailId) -> Vec<String> {
    let attempts = scene.get(id).await.attempts;
    attempts
        .into_iter()
        .map(|attempt| attempt.carrier)
        .collect()
}

async fn what_the_first_did_not_take_goes_to_the_second_at_once(engine: Engine) {
    let second = Scripted::new(NEITHER, []);
    let scene = with_second(engine, Scripted::new(NEITHER, [busy()]), &second).await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Delivered);
    assert_eq!(tried(&scene, id).await, ["vendor", "other"]);
    // A hand-over of its own, with a key of its own, from the same sender.
    let (one, other) = (&scene.carrier.given()[0], &second.given()[0]);
    assert_ne!(one.hand_over_id, other.hand_over_id);
    assert_eq!(one.sender, other.sender);
    assert_eq!(other.attempt_number, 2);
}

async fn waits_stand_between_rounds_and_each_round_goes_through_all(engine: Engine) {
    let second = Scripted::new(NEITHER, [busy(), busy()]);
    let first = Scripted::new(NEITHER, [busy(), busy()]);
    let scene = with_second(engine, first, &second).await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    let calls = || (scene.carrier.given().len(), second.given().len());
    assert_eq!(calls(), (1, 1));
    for (wait, after) in [(5, (2, 2)), (30, (3, 2))] {
        let before = calls();
        scene.advance(Duration::from_secs(wait) - Duration::from_micros(1));
        scene.work().await;
        assert_eq!(calls(), before, "a microsecond early");
        scene.advance(Duration::from_micros(1));
        scene.work().await;
        assert_eq!(calls(), after);
    }
    let order = ["vendor", "other", "vendor", "other", "vendor"];
    assert_eq!(tried(&scene, id).await, order);
    assert_eq!(scene.get(id).await.status, Status::Delivered);
    // Each carrier knows it under one key, in every round.
    for given in [scene.carrier.given(), second.given()] {
        let first = (&given[0].hand_over_id, &given[0].request);
        assert!(
            given
                .iter()
                .all(|call| (&call.hand_over_id, &call.request) == first)
        );
    }
}

async fn what_is_in_doubt_with_the_first_never_goes_to_the_second(engine: Engine) {
    for traits in [NEITHER, ASKABLE] {
        let second = Scripted::new(NEITHER, []);
        let first = Scripted::new(traits, [Outcome::Unknown]);
        let scene = with_second(engine, first, &second).await;
        let id = scene.accept("+12125550100").await;
        for _ in 0..30 {
            scene.work().await;
            scene.advance_seconds(3_600);
        }
        assert_eq!(scene.get(id).await.status, Status::Unconfirmed);
        assert_eq!(tried(&scene, id).await, ["vendor"]);
        assert!(second.given().is_empty());
    }
}

async fn what_the_first_never_received_goes_to_the_second(engine: Engine) {
    use ringless::domain::attempt::Answer;
    let second = Scripted::new(NEITHER, []);
    let first = Scripted::new(ASKABLE, [Outcome::Unknown]).answering([Answer::NeverReceived]);
    let scene = with_second(engine, first, &second).await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    scene.advance_seconds(60);
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Delivered);
    assert_eq!(tried(&scene, id).await, ["vendor", "other"]);
}

async fn a_refusal_of_the_way_goes_on_and_one_of_the_recipient_does_not(engine: Engine) {
    for (reason, status, calls) in [
        (FailureReason::SenderNotVerified, Status::Delivered, 1),
        (FailureReason::NotMobile, Status::Skipped, 0),
        (FailureReason::MailboxFull, Status::NotDelivered, 0),
    ] {
        let second = Scripted::new(NEITHER, []);
        let first = Scripted::new(NEITHER, [refused(reason)]);
        let scene = with_second(engine, first, &second).await;
        let id = scene.accept("+12125550100").await;
        scene.work().await;
        assert_eq!(scene.get(id).await.status, status, "{reason:?}");
        assert_eq!(second.given().len(), calls, "{reason:?}");
    }
}

async fn where_all_refuse_the_way_it_fails(engine: Engine) {
    let second = Scripted::new(NEITHER, [refused(FailureReason::SenderSuspended)]);
    let first = Scripted::new(NEITHER, [refused(FailureReason::SenderNotVerified)]);
    let scene = with_second(engine, first, &second).await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    let voicemail = scene.get(id).await;
    assert_eq!(
        (voicemail.status, voicemail.failure_reason),
        (Status::Failed, Some(FailureReason::SenderSuspended))
    );
    assert_eq!(tried(&scene, id).await, ["vendor", "other"]);
}

async fn one_that_refused_is_tried_again_where_another_may_take_it(engine: Engine) {
    let second = Scripted::new(NEITHER, [refused(FailureReason::SenderNotVerified)]);
    let scene = with_second(engine, Scripted::new(NEITHER, [busy()]), &second).await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Accepted);
    scene.advance_seconds(5);
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Delivered);
    assert_eq!(tried(&scene, id).await, ["vendor", "other", "vendor"]);
}

async fn one_that_is_left_alone_is_passed_over(engine: Engine) {
    let second = Scripted::new(NEITHER, [busy()]);
    let scene = with_second(engine, Scripted::new(NEITHER, []), &second).await;
    let id = scene.accept("+12125550100").await;
    let opened = scene.test.write(|tx| {
        let now = tx.now()?;
        tx.open_breaker(&Breaker::open("vendor", now))
    });
    assert!(opened.await);
    scene.work().await;
    assert_eq!(tried(&scene, id).await, ["other"]);
    // The round is over: the schedule's wait stands before the next one, and by then the first
    // carrier's trial is due.
    assert_eq!(scene.get(id).await.status, Status::Accepted);
    scene.advance_seconds(5);
    scene.work().await;
    assert_eq!(tried(&scene, id).await, ["other", "vendor"]);
    assert_eq!(scene.get(id).await.status, Status::Delivered);
}
