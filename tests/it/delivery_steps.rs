//! From accepted to an end, step by step, with the clock in the test's hand.

use std::time::Duration;

use ringless::domain::attempt::{Answer, Outcome, OutcomeKind};
use ringless::domain::failure::FailureReason;
use ringless::domain::room::Room;
use ringless::domain::status::{End, Status};
use ringless::domain::telephony::NumberStatus;
use ringless::ops::send_voicemail::Accepted;
use ringless::ops::{OpError, phone_numbers, setups, use_cases, voicemails};

use crate::support::Engine;
use crate::support::data::{SENDERS, Scene, WORKSPACE};
use crate::support::scripted::{ASKABLE, NEITHER, Scripted};

crate::on_both_databases!(
    an_accepted_one_is_handed_over_once_and_ends_delivered,
    passing_errors_wait_and_end_as_retries_exhausted,
    a_carriers_own_wait_replaces_ours,
    a_rejection_ends_by_its_reason,
    a_sent_one_is_asked_about_and_settled,
    a_sent_one_without_a_word_ends_unconfirmed_at_its_deadline,
    a_sent_one_is_asked_about_for_the_last_time_at_its_deadline,
    an_expired_one_is_skipped,
    a_scheduled_one_waits_for_its_time,
    a_cancelled_one_never_leaves,
    a_claimed_one_can_no_longer_be_cancelled,
    a_suspended_setup_holds_its_queue_and_resuming_lets_it_go,
    the_sender_is_chosen_again_before_the_first_hand_over,
    without_any_active_number_it_waits_for_one,
    the_last_sender_is_kept_for_a_recipient,
    a_full_queue_is_refused_and_takes_more_once_it_has_drained,
);

fn passing() -> Outcome {
    Outcome::TryAgain {
        reason: FailureReason::CarrierTimeout,
        wait: None,
    }
}

async fn an_accepted_one_is_handed_over_once_and_ends_delivered(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    scene.advance_seconds(3);
    scene.work().await;
    let voicemail = scene.get(id).await;
    assert_eq!(voicemail.status, Status::Delivered);
    assert_eq!(
        voicemail.end_time,
        Some(voicemail.create_time.plus(Duration::from_secs(3)))
    );
    assert_eq!(voicemail.attempts.len(), 1);
    let attempt = &voicemail.attempts[0];
    assert_eq!(
        (attempt.number, attempt.outcome),
        (1, Some(OutcomeKind::Delivered))
    );
    assert_eq!(
        (attempt.carrier.as_str(), attempt.carrier_reference.as_str()),
        ("vendor", "ref-1")
    );
    assert_eq!(scene.carrier.given().len(), 1);
    scene.advance_seconds(1_000_000);
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 1);
}

async fn passing_errors_wait_and_end_as_retries_exhausted(engine: Engine) {
    let scene = Scene::new(
        engine,
        Scripted::new(NEITHER, std::iter::repeat_n(passing(), 9)),
    )
    .await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    for (tries, wait) in [5, 30, 120, 600, 1_800, 3_600, 7_200]
        .into_iter()
        .enumerate()
    {
        assert_eq!(scene.get(id).await.status, Status::Accepted);
        assert_eq!(scene.carrier.given().len(), tries + 1);
        scene.advance(Duration::from_secs(wait) - Duration::from_micros(1));
        scene.work().await;
        assert_eq!(
            scene.carrier.given().len(),
            tries + 1,
            "a microsecond early"
        );
        scene.advance(Duration::from_micros(1));
        scene.work().await;
    }
    let voicemail = scene.get(id).await;
    assert_eq!(
        (voicemail.status, voicemail.failure_reason),
        (Status::Failed, Some(FailureReason::RetriesExhausted))
    );
    assert_eq!(voicemail.attempts.len(), 8);
    let numbers: Vec<i32> = voicemail.attempts.iter().map(|a| a.number).collect();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    // All calls were one hand-over: one key, one stored request, byte for byte.
    let given = scene.carrier.given();
    assert!(given.iter().all(
        |call| (call.hand_over_id, &call.request) == (given[0].hand_over_id, &given[0].request)
    ));
}

async fn a_carriers_own_wait_replaces_ours(engine: Engine) {
    let too_fast = Outcome::TryAgain {
        reason: FailureReason::CarrierRateLimited,
        wait: Some(Duration::from_secs(2)),
    };
    let scene = Scene::new(engine, Scripted::new(NEITHER, [too_fast])).await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    scene.advance(Duration::from_millis(1_999));
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Accepted);
    scene.advance(Duration::from_millis(1));
    scene.work().await;
    let voicemail = scene.get(id).await;
    assert_eq!(voicemail.status, Status::Delivered);
    assert_eq!(
        voicemail.attempts[0].failure_reason,
        Some(FailureReason::CarrierRateLimited)
    );
}

async fn a_rejection_ends_by_its_reason(engine: Engine) {
    for reason in [
        FailureReason::MailboxFull,
        FailureReason::InvalidNumber,
        FailureReason::CarrierDnc,
    ] {
        let scene = Scene::new(
            engine,
            Scripted::new(NEITHER, [Outcome::Rejected { reason }]),
        )
        .await;
        let id = scene.accept("+12125550100").await;
        scene.work().await;
        let voicemail = scene.get(id).await;
        assert_eq!(
            (voicemail.status, voicemail.failure_reason),
            (reason.ends_as(), Some(reason))
        );
        assert_eq!(voicemail.attempts[0].outcome, Some(OutcomeKind::Rejected));
    }
}

async fn a_sent_one_is_asked_about_and_settled(engine: Engine) {
    let taken = Outcome::Taken {
        ask_after: Some(Duration::from_secs(5)),
    };
    let carrier = Scripted::new(ASKABLE, [taken]).answering([
        Answer::Pending { again_after: None },
        Answer::Ended(End::Delivered),
    ]);
    let scene = Scene::new(engine, carrier).await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    let voicemail = scene.get(id).await;
    assert_eq!(
        (voicemail.status, voicemail.sent_time),
        (Status::Sent, Some(voicemail.create_time))
    );
    scene.advance_seconds(5);
    scene.work().await;
    assert_eq!(
        (scene.carrier.asked(), scene.get(id).await.status),
        (1, Status::Sent)
    );
    // The schedule's second wait: one question was asked.
    scene.advance_seconds(60);
    scene.work().await;
    assert_eq!(
        (scene.carrier.asked(), scene.get(id).await.status),
        (2, Status::Delivered)
    );
    assert_eq!(scene.carrier.given().len(), 1);
}

async fn a_sent_one_without_a_word_ends_unconfirmed_at_its_deadline(engine: Engine) {
    let scene = Scene::new(
        engine,
        Scripted::new(NEITHER, [Outcome::Taken { ask_after: None }]),
    )
    .await;
    let id = scene.accept("+12125550100").await;
    scene.work().await;
    scene.advance(Duration::from_secs(24 * 3_600) - Duration::from_micros(1));
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Sent);
    scene.advance(Duration::from_micros(1));
    scene.work().await;
    let voicemail = scene.get(id).await;
    assert_eq!(
        (voicemail.status, voicemail.failure_reason),
        (Status::Unconfirmed, Some(FailureReason::CarrierNoCallback))
    );
    assert_eq!(scene.carrier.given().len(), 1);
}

async fn an_expired_one_is_skipped(engine: Engine) {
    let scene = Scene::new(
        engine,
        Scripted::new(NEITHER, std::iter::repeat_n(passing(), 9)),
    )
    .await;
    let mut draft = scene.draft("+12125550100");
    let now = scene.test.clock.now();
    draft.expire_time = Some(now.plus(Duration::from_secs(20)));
    let Accepted::New(accepted) = scene.try_accept(draft, 1).await.unwrap() else {
        panic!("new")
    };
    scene.work().await;
    scene.advance_seconds(5);
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 2);
    scene.advance_seconds(15);
    scene.work().await;
    let voicemail = scene.get(accepted.id).await;
    assert_eq!(
        (voicemail.status, voicemail.failure_reason),
        (Status::Skipped, Some(FailureReason::Expired))
    );
    assert_eq!(scene.carrier.given().len(), 2);
}

async fn a_scheduled_one_waits_for_its_time(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let mut draft = scene.draft("+12125550100");
    let at = scene.test.clock.now().plus(Duration::from_secs(3_600));
    draft.schedule_time = Some(at);
    let Accepted::New(accepted) = scene.try_accept(draft, 1).await.unwrap() else {
        panic!("new")
    };
    assert_eq!(
        (accepted.due_time, accepted.expire_time),
        (at, at.plus(Duration::from_secs(72 * 3_600)))
    );
    scene.advance(Duration::from_secs(3_600) - Duration::from_micros(1));
    scene.work().await;
    assert!(scene.carrier.given().is_empty());
    scene.advance(Duration::from_micros(1));
    scene.work().await;
    assert_eq!(scene.get(accepted.id).await.status, Status::Delivered);
}

async fn a_cancelled_one_never_leaves(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let cancel = || {
        scene
            .test
            .store
            .write(move |tx| voicemails::cancel(tx, WORKSPACE, id))
    };
    let first = cancel().await.unwrap();
    assert_eq!(first.status, Status::Cancelled);
    scene.advance_seconds(9);
    assert_eq!(cancel().await.unwrap(), first);
    scene.work().await;
    assert!(scene.carrier.given().is_empty());
}

async fn a_claimed_one_can_no_longer_be_cancelled(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    let refused = scene
        .test
        .store
        .write(move |tx| voicemails::cancel(tx, WORKSPACE, id))
        .await;
    assert!(
        matches!(
            refused,
            Err(OpError::NotCancellable {
                status: Status::Sending,
                ..
            })
        ),
        "{refused:?}"
    );
    scene.runner().run(task).await;
    let refused = scene
        .test
        .store
        .write(move |tx| voicemails::cancel(tx, WORKSPACE, id))
        .await;
    assert!(
        matches!(
            refused,
            Err(OpError::NotCancellable {
                status: Status::Delivered,
                ..
            })
        ),
        "{refused:?}"
    );
}

async fn a_suspended_setup_holds_its_queue_and_resuming_lets_it_go(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let waiting = scene.accept("+12125550100").await;
    let under_way = scene.accept("+12125550101").await;
    let (setup, registry) = (scene.setup_id, scene.registry.clone());
    let claimed = scene.runner().claim(Room::new(4)).await.unwrap().tasks;
    scene
        .test
        .store
        .write(move |tx| setups::suspend(tx, WORKSPACE, setup, "audit", &registry))
        .await
        .unwrap();
    // Both were claimed and neither call had begun: both are put aside.
    for task in claimed {
        scene.runner().run(task).await;
    }
    scene.advance_seconds(1_000);
    scene.work().await;
    for id in [waiting, under_way] {
        let voicemail = scene.get(id).await;
        assert_eq!(voicemail.status, Status::Accepted);
        assert!(
            voicemail.status_detail.contains("SUSPENDED"),
            "{}",
            voicemail.status_detail
        );
    }
    assert!(scene.carrier.given().is_empty());
    let refused = scene.try_accept(scene.draft("+12125550102"), 1).await;
    assert!(
        matches!(refused, Err(OpError::SetupNotApproved { .. })),
        "{refused:?}"
    );

    let registry = scene.registry.clone();
    scene
        .test
        .store
        .write(move |tx| setups::resume(tx, WORKSPACE, setup, &registry))
        .await
        .unwrap();
    scene.work().await;
    for id in [waiting, under_way] {
        assert_eq!(scene.get(id).await.status, Status::Delivered);
    }
}

async fn the_sender_is_chosen_again_before_the_first_hand_over(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [passing()])).await;
    let id = scene.accept("+12125550100").await;
    let voicemail = scene.get(id).await;
    // The one that shares the recipient's area code.
    assert_eq!(voicemail.sender.e164(), SENDERS[0]);
    let chosen = voicemail.sender_id;
    scene
        .test
        .store
        .write(move |tx| phone_numbers::set_status(tx, WORKSPACE, chosen, NumberStatus::Inactive))
        .await
        .unwrap();
    scene.work().await;
    assert_eq!(scene.get(id).await.sender.e164(), SENDERS[1]);
    // Fixed from the first hand-over on, whatever comes.
    scene
        .test
        .store
        .write(move |tx| phone_numbers::set_status(tx, WORKSPACE, chosen, NumberStatus::Active))
        .await
        .unwrap();
    scene.advance_seconds(5);
    scene.work().await;
    let given: Vec<String> = scene
        .carrier
        .given()
        .iter()
        .map(|call| call.sender.e164().to_owned())
        .collect();
    assert_eq!(given, [SENDERS[1], SENDERS[1]]);
}

async fn without_any_active_number_it_waits_for_one(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let (use_case, numbers) = (scene.use_case_id, scene.number_ids.clone());
    let again = numbers[0];
    scene
        .test
        .store
        .write(move |tx| {
            for number in numbers {
                use_cases::unassign(tx, WORKSPACE, use_case, number)?;
            }
            Ok::<_, OpError>(())
        })
        .await
        .unwrap();
    scene.work().await;
    let voicemail = scene.get(id).await;
    assert_eq!(voicemail.status, Status::Accepted);
    assert!(
        voicemail.status_detail.contains("no active phone number"),
        "{}",
        voicemail.status_detail
    );
    assert!(voicemail.attempts.is_empty());
    scene
        .test
        .store
        .write(move |tx| use_cases::assign(tx, WORKSPACE, use_case, again))
        .await
        .unwrap();
    scene.advance_seconds(60);
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Delivered);
}

async fn the_last_sender_is_kept_for_a_recipient(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    // A recipient of a third area code: the longest idle number, and from then on always it.
    let first = scene.accept("+16175550100").await;
    let sender = scene.get(first).await.sender;
    for _ in 0..3 {
        scene.advance_seconds(1);
        let next = scene.accept("+16175550100").await;
        assert_eq!(scene.get(next).await.sender, sender);
    }
    // Another recipient gets the other number, which has been idle longer.
    scene.advance_seconds(1);
    let other = scene.accept("+16175550101").await;
    assert_ne!(scene.get(other).await.sender, sender);
}

async fn a_full_queue_is_refused_and_takes_more_once_it_has_drained(engine: Engine) {
    use ringless::ops::queue::QueueGauge;
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    for _ in 0..2 {
        scene.accept("+12125550100").await;
    }
    let gauge = std::sync::Arc::new(QueueGauge::new(3));
    let check = || {
        let gauge = gauge.clone();
        scene.test.store.read(move |tx| gauge.check(tx, WORKSPACE))
    };
    assert!(check().await.is_ok(), "2 wait");
    scene.accept("+12125550100").await;
    gauge.add();
    let refused = check().await;
    assert!(
        matches!(refused, Err(OpError::QueueFull { allowed: 3 })),
        "3 wait: {refused:?}"
    );
    scene.work().await;
    scene.advance_seconds(1);
    assert!(check().await.is_ok(), "none waits");
}

async fn a_sent_one_is_asked_about_for_the_last_time_at_its_deadline(engine: Engine) {
    let taken = Outcome::Taken { ask_after: None };
    let scene = Scene::new(engine, Scripted::new(ASKABLE, [taken.clone(), taken])).await;
    let one = scene.accept("+12125550100").await;
    scene.work().await;
    // No worker ran all the while, as over a weekend.
    scene.advance_seconds(3 * 24 * 3_600);
    scene.carrier.answers_next([Answer::Ended(End::Delivered)]);
    scene.work().await;
    assert_eq!(scene.get(one).await.status, Status::Delivered);
    let other = scene.accept("+12125550101").await;
    scene.work().await;
    scene.advance_seconds(24 * 3_600);
    scene.work().await;
    let voicemail = scene.get(other).await;
    assert_eq!(
        (voicemail.status, voicemail.failure_reason),
        (Status::Unconfirmed, Some(FailureReason::CarrierNoCallback))
    );
    assert_eq!(scene.carrier.asked(), 2);
}
