//! Workers that die, leases that end, and carriers that break off.

use std::time::Duration;

use ringless::carrier::Registry;
use ringless::domain::attempt::{Answer, CarrierWords, Outcome, OutcomeKind};
use ringless::domain::failure::FailureReason;
use ringless::domain::status::{End, Status};
use ringless::ops::deliver::{CallPlan, NextMove, Task, begin, record_outcome};

use crate::support::Engine;
use crate::support::data::{LEASE, Scene};
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
);

/// The attempt is written; the call may have begun.
async fn begin_one(scene: &Scene, task: &Task) -> CallPlan {
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

async fn record(scene: &Scene, plan: &CallPlan, outcome: Outcome) {
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
        .unwrap();
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
                let round = runner.claim(3).await.unwrap();
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
    let claimed = without.claim(10).await.unwrap();
    assert!(claimed.tasks.is_empty());
    let voicemail = scene.get(id).await;
    assert_eq!(voicemail.status, Status::Accepted);
    assert!(
        voicemail.status_detail.contains("configuration"),
        "{}",
        voicemail.status_detail
    );
    // A start with the carrier back lets it go.
    scene.runner().start().await.unwrap();
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
