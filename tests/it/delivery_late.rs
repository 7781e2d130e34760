//! Answers that come after their lease.

use std::time::Duration;

use ringless::domain::attempt::{Answer, CarrierWords, Outcome, OutcomeKind};
use ringless::domain::failure::FailureReason;
use ringless::domain::room::Room;
use ringless::domain::status::{End, Status};
use ringless::ops::deliver::{NextMove, QuestionPlan, begin, record_answer};

use crate::delivery_in_doubt::{begin_one, record};
use crate::support::Engine;
use crate::support::data::{LEASE, Scene};
use crate::support::scripted::{ASKABLE, NEITHER, REPEATABLE, Scripted};

crate::on_both_databases!(
    an_answer_counts_where_the_one_who_took_over_has_not_begun,
    a_refusal_of_the_way_does_not_settle_what_another_call_left_open,
    a_refusal_of_the_only_call_settles_an_unconfirmed_one,
    a_word_that_nobody_knows_is_kept_with_its_attempt,
    an_answer_to_a_question_settles_an_unconfirmed_one,
    what_is_known_to_be_delivered_or_taken_is_not_sent_again,
);

const NO_ACCOUNT: Outcome = Outcome::Rejected {
    reason: FailureReason::CarrierAuth,
};

async fn an_answer_counts_where_the_one_who_took_over_has_not_begun(engine: Engine) {
    let again = Outcome::TryAgain {
        reason: FailureReason::CarrierTimeout,
        wait: None,
    };
    for (outcome, status) in [
        (Outcome::Delivered, Status::Delivered),
        (Outcome::Taken { ask_after: None }, Status::Sent),
        (Outcome::Unknown, Status::Unconfirmed),
        (again, Status::Accepted),
    ] {
        let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
        let id = scene.accept("+12125550100").await;
        let task = scene.claim_one().await;
        let slow = begin_one(&scene, &task).await;
        scene.advance(LEASE);
        let rescue = scene.claim_one().await;
        record(&scene, &slow, outcome).await;
        assert_eq!(scene.get(id).await.status, status);
        // Whoever took over comes too late, and makes no call.
        scene.runner().run(rescue).await;
        let voicemail = scene.get(id).await;
        assert_eq!((voicemail.status, voicemail.attempts.len()), (status, 1));
        assert!(scene.carrier.given().is_empty());
    }
}

async fn a_refusal_of_the_way_does_not_settle_what_another_call_left_open(engine: Engine) {
    // The repeat may have been dropped: nobody heard.
    let scene = Scene::new(engine, Scripted::new(REPEATABLE, [Outcome::Unknown])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    let slow = begin_one(&scene, &task).await;
    scene.advance(LEASE);
    let next = scene.claim_one().await;
    scene.runner().run(next).await;
    scene.advance_seconds(3_600);
    let repeat = scene.claim_one().await;
    scene.runner().run(repeat).await;
    let before = scene.get(id).await;
    assert_eq!(before.status, Status::Unconfirmed);
    record(&scene, &slow, NO_ACCOUNT).await;
    let after = scene.get(id).await;
    assert_eq!(after.status, Status::Unconfirmed);
    assert!(after.attempts[0].late_outcome.contains("REJECTED"));
    scene.advance_seconds(1_000_000);
    assert!(scene.runner().claim(Room::new(1)).await.unwrap().is_empty());
}

async fn a_refusal_of_the_only_call_settles_an_unconfirmed_one(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    let slow = begin_one(&scene, &task).await;
    scene.advance(LEASE);
    scene.work().await;
    record(&scene, &slow, NO_ACCOUNT).await;
    let voicemail = scene.get(id).await;
    assert_eq!(
        (voicemail.status, voicemail.failure_reason),
        (Status::Failed, Some(FailureReason::CarrierAuth))
    );
}

async fn a_word_that_nobody_knows_is_kept_with_its_attempt(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    let slow = begin_one(&scene, &task).await;
    scene.advance(LEASE);
    scene.work().await;
    let reason = FailureReason::CarrierAmbiguous;
    record(&scene, &slow, Outcome::Rejected { reason }).await;
    let voicemail = scene.get(id).await;
    assert_eq!(voicemail.status, Status::Unconfirmed);
    assert!(voicemail.attempts[0].late_outcome.contains("REJECTED"));
}

async fn an_answer_to_a_question_settles_an_unconfirmed_one(engine: Engine) {
    let taken = Outcome::Taken { ask_after: None };
    let scene = Scene::new(engine, Scripted::new(ASKABLE, [taken])).await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    scene.advance_seconds(30);
    let question = begin_question(&scene).await;
    // Nobody hears of it until the deadline has passed.
    scene.advance(Duration::from_secs(24 * 3_600));
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Unconfirmed);
    let delivering = scene.runner().delivering.clone();
    let answer = Answer::Ended(End::Delivered);
    let recorded = scene.test.store.write(move |tx| {
        let words = CarrierWords::default();
        record_answer(tx, &delivering, &question, &answer, &words, 0.5)
    });
    recorded.await.unwrap();
    let voicemail = scene.get(id).await;
    assert_eq!(
        (voicemail.status, voicemail.attempts[0].outcome),
        (Status::Delivered, Some(OutcomeKind::Taken))
    );
}

async fn begin_question(scene: &Scene) -> QuestionPlan {
    let (delivering, task) = (scene.runner().delivering.clone(), scene.claim_one().await);
    let begun = scene
        .test
        .store
        .write(move |tx| begin(tx, &delivering, &task, 0.5));
    match begun.await.unwrap() {
        NextMove::Ask(plan) => plan,
        other => panic!("{other:?}"),
    }
}

async fn what_is_known_to_be_delivered_or_taken_is_not_sent_again(engine: Engine) {
    for (outcome, status) in [
        (Outcome::Delivered, Status::Delivered),
        (Outcome::Taken { ask_after: None }, Status::Sent),
    ] {
        // The bytes left after the carrier had been asked, and had truly said that it had nothing.
        let carrier = Scripted::new(ASKABLE, []).answering([Answer::NeverReceived]);
        let scene = Scene::new(engine, carrier).await;
        let id = scene.accept("+12125550100").await;
        let task = scene.claim_one().await;
        let slow = begin_one(&scene, &task).await;
        scene.advance(LEASE);
        scene.work().await;
        assert_eq!(scene.get(id).await.status, Status::Accepted);
        record(&scene, &slow, outcome).await;
        assert_eq!(scene.get(id).await.status, status);
        scene.advance_seconds(3_600);
        scene.work().await;
        assert!(scene.carrier.given().is_empty(), "it is not sent again");
    }
}
