//! Workers that die, leases that end, and carriers that break off.

use std::sync::Arc;
use std::time::Duration;

use ringless::carrier::{Carrier, Registry};
use ringless::domain::attempt::{Answer, CarrierWords, Outcome, OutcomeKind};
use ringless::domain::failure::FailureReason;
use ringless::domain::room::Room;
use ringless::domain::status::{End, Status};
use ringless::ops::deliver::{
    CallPlan, NextMove, Recorded, Task, begin, never_called, record_outcome,
};
use ringless::ops::setups::{self, SetupChange};
use ringless::ops::voicemails;

use crate::support::Engine;
use crate::support::data::{LEASE, Scene, WORKSPACE};
use crate::support::scripted::{ASKABLE, NEITHER, REPEATABLE, Scripted};

crate::on_both_databases!(
    a_worker_that_died_before_the_call_leaves_nothing_in_doubt,
    a_worker_that_died_in_the_call_of_a_repeatable_carrier_is_repeated_byte_for_byte,
    a_worker_that_died_in_the_call_of_an_askable_carrier_is_asked_about,
    a_worker_that_died_in_the_call_of_any_other_carrier_is_never_repeated,
    an_unknown_outcome_is_settled_as_the_carrier_allows,
    a_late_answer_goes_to_its_attempt_and_nowhere_else,
    a_late_word_settles_an_unconfirmed_one,
    a_lost_lease_begins_no_call,
    two_workers_never_claim_the_same_row,
    a_carrier_gone_from_the_configuration_holds_its_queue,
    a_sole_owner_rescues_at_its_start,
    a_call_that_was_never_made_leaves_nothing_in_doubt,
    recording_twice_is_recording_once,
    a_row_that_cannot_be_read_does_not_stop_the_others,
    a_carrier_that_left_the_setup_gets_no_more_tries,
);

/// The attempt is written; the call may have begun.
pub async fn begin_one(scene: &Scene, task: &Task) -> CallPlan {
    let (delivering, task) = (scene.runner().delivering.clone(), task.clone());
    let next = scene
        .test
        .store
        .write(move |tx| begin(tx, &delivering, &task, 0.5))
        .await
        .unwrap();
    match next {
        NextMove::Call(plan) => plan,
        other => panic!("{other:?}"),
    }
}

pub async fn record(scene: &Scene, plan: &CallPlan, outcome: Outcome) -> Recorded {
    let (delivering, plan) = (scene.runner().delivering.clone(), plan.clone());
    scene
        .test
        .store
        .write(move |tx| {
            record_outcome(
                tx,
                &delivering,
                &plan,
                &outcome,
                &CarrierWords::new("", "", "late"),
                0.5,
            )
        })
        .await
        .unwrap()
}

async fn a_worker_that_died_before_the_call_leaves_nothing_in_doubt(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    scene.claim_one().await;
    assert_eq!(scene.get(id).await.status, Status::Sending);
    scene.advance(LEASE - Duration::from_micros(1));
    scene.work().await;
    assert!(scene.carrier.given().is_empty(), "the lease still holds");
    scene.advance(Duration::from_micros(1));
    scene.work().await;
    let voicemail = scene.get(id).await;
    assert_eq!(voicemail.status, Status::Delivered);
    assert_eq!(
        (voicemail.attempts.len(), scene.carrier.given().len()),
        (1, 1)
    );
}

async fn a_worker_that_died_in_the_call_of_a_repeatable_carrier_is_repeated_byte_for_byte(
    engine: Engine,
) {
    let scene = Scene::new(engine, Scripted::new(REPEATABLE, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    let plan = begin_one(&scene, &task).await;
    scene.advance(LEASE);
    scene.work().await;
    let voicemail = scene.get(id).await;
    assert_eq!(voicemail.status, Status::Delivered);
    let outcomes: Vec<_> = voicemail.attempts.iter().map(|a| a.outcome).collect();
    assert_eq!(
        outcomes,
        [Some(OutcomeKind::Unknown), Some(OutcomeKind::Delivered)]
    );
    let given = scene.carrier.given();
    assert_eq!(given.len(), 1);
    assert_eq!(
        (given[0].hand_over_id, &given[0].request),
        (plan.begun.hand_over.id, &plan.begun.hand_over.request)
    );
}

async fn a_worker_that_died_in_the_call_of_an_askable_carrier_is_asked_about(engine: Engine) {
    for (answer, status, calls) in [
        (Answer::Ended(End::Delivered), Status::Delivered, 0),
        (Answer::Pending { again_after: None }, Status::Sent, 0),
        (Answer::NoAnswer, Status::Sending, 0),
        (Answer::NeverReceived, Status::Accepted, 0),
    ] {
        let scene = Scene::new(engine, Scripted::new(ASKABLE, []).answering([answer])).await;
        let id = scene.accept("+12125550100").await;
        let task = scene.claim_one().await;
        begin_one(&scene, &task).await;
        scene.advance(LEASE);
        scene.work().await;
        assert_eq!(scene.get(id).await.status, status);
        assert_eq!(
            (scene.carrier.asked(), scene.carrier.given().len()),
            (1, calls)
        );
    }
}

async fn a_worker_that_died_in_the_call_of_any_other_carrier_is_never_repeated(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    begin_one(&scene, &task).await;
    scene.advance(LEASE);
    scene.work().await;
    let voicemail = scene.get(id).await;
    assert_eq!(
        (voicemail.status, voicemail.failure_reason),
        (Status::Unconfirmed, Some(FailureReason::CarrierAmbiguous))
    );
    assert!(scene.carrier.given().is_empty());
    scene.advance_seconds(1_000_000);
    scene.work().await;
    assert!(scene.carrier.given().is_empty());
}

async fn an_unknown_outcome_is_settled_as_the_carrier_allows(engine: Engine) {
    for (traits, calls, asked) in [(REPEATABLE, 2, 0), (ASKABLE, 1, 1)] {
        let carrier =
            Scripted::new(traits, [Outcome::Unknown]).answering([Answer::Ended(End::Delivered)]);
        let scene = Scene::new(engine, carrier).await;
        let id = scene.accept("+12125550100").await;
        scene.work().await;
        assert_eq!(scene.get(id).await.status, Status::Sending);
        scene.advance_seconds(5);
        scene.work().await;
        assert_eq!(scene.get(id).await.status, Status::Delivered);
        assert_eq!(
            (scene.carrier.given().len(), scene.carrier.asked()),
            (calls, asked)
        );
    }
    let scene = Scene::new(engine, Scripted::new(NEITHER, [Outcome::Unknown])).await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Unconfirmed);
    assert_eq!(scene.carrier.given().len(), 1);
}

async fn a_late_answer_goes_to_its_attempt_and_nowhere_else(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(REPEATABLE, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    let slow = begin_one(&scene, &task).await;
    scene.advance(LEASE);
    scene.work().await;
    let before = scene.get(id).await;
    assert_eq!(before.status, Status::Delivered);
    record(
        &scene,
        &slow,
        Outcome::Rejected {
            reason: FailureReason::MailboxFull,
        },
    )
    .await;
    let after = scene.get(id).await;
    assert_eq!(
        (after.status, after.end_time, after.failure_reason),
        (before.status, before.end_time, None)
    );
    assert!(
        after.attempts[0].late_outcome.contains("late"),
        "{:?}",
        after.attempts[0]
    );
    assert_eq!(after.attempts[1], before.attempts[1]);
}

async fn a_late_word_settles_an_unconfirmed_one(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    let slow = begin_one(&scene, &task).await;
    scene.advance(LEASE);
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Unconfirmed);
    record(&scene, &slow, Outcome::Delivered).await;
    let voicemail = scene.get(id).await;
    assert_eq!(
        (voicemail.status, voicemail.failure_reason),
        (Status::Delivered, None)
    );
}

async fn a_lost_lease_begins_no_call(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(REPEATABLE, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    // Stopped for longer than the lease, and nobody has taken over yet.
    scene.advance(LEASE);
    scene.runner().run(task.clone()).await;
    assert!(scene.carrier.given().is_empty());
    // Somebody has taken over: the token is another one.
    let next = scene.claim_one().await;
    scene.runner().run(task).await;
    assert!(scene.carrier.given().is_empty());
    scene.runner().run(next).await;
    scene.work().await;
    assert_eq!(
        (scene.carrier.given().len(), scene.get(id).await.status),
        (1, Status::Delivered)
    );
}

async fn two_workers_never_claim_the_same_row(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(scene.accept("+12125550100").await);
    }
    let runners: Vec<_> = (0..4).map(|_| scene.runner()).collect();
    let mut workers = tokio::task::JoinSet::new();
    for runner in runners {
        workers.spawn(async move {
            let mut claimed = Vec::new();
            loop {
                let round = runner.claim(Room::new(3)).await.unwrap();
                if round.tasks.is_empty() {
                    return claimed;
                }
                claimed.extend(
                    round
                        .tasks
                        .into_iter()
                        .map(|task| task.delivery.voicemail_id),
                );
            }
        });
    }
    let mut claimed: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    claimed.sort();
    ids.sort();
    assert_eq!(claimed, ids);
}

async fn a_carrier_gone_from_the_configuration_holds_its_queue(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let without = scene.runner_with(Registry::of([]));
    let claimed = without.claim(Room::new(10)).await.unwrap();
    assert!(claimed.is_empty());
    let voicemail = scene
        .test
        .store
        .read(move |tx| voicemails::explained(tx, WORKSPACE, id, &Registry::of([])))
        .await
        .unwrap();
    assert_eq!(voicemail.status, Status::Accepted);
    assert!(
        voicemail.status_detail.contains("configuration"),
        "{}",
        voicemail.status_detail
    );
    // It was only passed over: another worker, which has the carrier, sends it.
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Delivered);
}

async fn a_sole_owner_rescues_at_its_start(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(REPEATABLE, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    begin_one(&scene, &task).await;
    scene.runner().start().await.unwrap();
    scene.work().await;
    // On Postgres another process may hold the lease, so there it is waited for.
    let wanted = match engine {
        Engine::Sqlite => Status::Delivered,
        Engine::Postgres => Status::Sending,
    };
    assert_eq!(scene.get(id).await.status, wanted);
}

async fn a_call_that_was_never_made_leaves_nothing_in_doubt(engine: Engine) {
    // Of a carrier that may not be sent the same message twice.
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    begin_one(&scene, &task).await;
    // The answer to that commit was lost, so the worker made no call and says so.
    let said = task.clone();
    scene
        .test
        .store
        .write(move |tx| never_called(tx, &said, std::time::Duration::ZERO))
        .await
        .unwrap();
    let voicemail = scene.get(id).await;
    assert_eq!(voicemail.status, Status::Accepted);
    assert_eq!(voicemail.attempts[0].outcome, Some(OutcomeKind::TryAgain));
    // Said twice, or after another worker took it, it changes nothing.
    let next = scene.claim_one().await;
    scene
        .test
        .store
        .write(move |tx| never_called(tx, &task, std::time::Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(scene.get(id).await.status, Status::Sending);
    scene.runner().run(next).await;
    assert_eq!(
        (scene.get(id).await.status, scene.carrier.given().len()),
        (Status::Delivered, 1)
    );
}

async fn recording_twice_is_recording_once(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    let plan = begin_one(&scene, &task).await;
    assert!(matches!(
        record(&scene, &plan, Outcome::Delivered).await,
        Recorded::Moved(_)
    ));
    let first = scene.get(id).await;
    assert_eq!(
        record(&scene, &plan, Outcome::Delivered).await,
        Recorded::Again
    );
    assert_eq!(scene.get(id).await, first);
    let full = Outcome::Rejected {
        reason: FailureReason::MailboxFull,
    };
    assert_eq!(
        record(&scene, &plan, full).await,
        Recorded::Late { contradicts: true }
    );
}

async fn a_row_that_cannot_be_read_does_not_stop_the_others(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let odd = scene.accept("+12125550100").await;
    scene.advance_seconds(1);
    let good = scene.accept("+12125550101").await;
    // A status of a newer program, on the row that is due first.
    let sql = "UPDATE voicemails SET status = 99 WHERE recipient = '+12125550100'";
    scene.test.database.sql(sql, sql);
    scene.work().await;
    assert_eq!(scene.get(good).await.status, Status::Delivered);
    let sql = "UPDATE voicemails SET status = 1 WHERE recipient = '+12125550100'";
    scene.test.database.sql(sql, sql);
    scene.advance_seconds(600);
    scene.work().await;
    assert_eq!(scene.get(odd).await.status, Status::Delivered);
}

async fn a_carrier_that_left_the_setup_gets_no_more_tries(engine: Engine) {
    let again = Outcome::TryAgain {
        reason: FailureReason::CarrierTimeout,
        wait: None,
    };
    let scene = Scene::new(engine, Scripted::new(NEITHER, [again])).await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    let other = Scripted::new(NEITHER, []);
    let both = Registry::of([
        (
            "vendor".to_owned(),
            Arc::new(scene.carrier.clone()) as Arc<dyn Carrier>,
        ),
        (
            "other".to_owned(),
            Arc::new(other.clone()) as Arc<dyn Carrier>,
        ),
    ]);
    let (setup, known) = (scene.setup_id, both.clone());
    let change = SetupChange {
        carriers: Some(vec!["other".to_owned()]),
        ..SetupChange::default()
    };
    scene
        .test
        .store
        .write(move |tx| {
            setups::update(tx, WORKSPACE, setup, &change, &known)?;
            setups::approve(tx, WORKSPACE, setup, &known)
        })
        .await
        .unwrap();
    scene.advance_seconds(5);
    let runner = scene.runner_with(both);
    for task in runner.claim(Room::new(5)).await.unwrap().tasks {
        runner.run(task).await;
    }
    let voicemail = scene.get(id).await;
    assert_eq!(voicemail.status, Status::Delivered);
    let carriers: Vec<&str> = voicemail
        .attempts
        .iter()
        .map(|a| a.carrier.as_str())
        .collect();
    assert_eq!(carriers, ["vendor", "other"]);
    // A new hand-over with a key of its own, from the same sender.
    let (first, second) = (&scene.carrier.given()[0], &other.given()[0]);
    assert_ne!(first.hand_over_id, second.hand_over_id);
    assert_eq!(first.sender, second.sender);
}
