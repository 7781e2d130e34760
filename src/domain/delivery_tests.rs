use super::*;
use crate::domain::doubt::Step;
use crate::domain::ids::HandOverId;

#[path = "delivery_hold_tests.rs"]
mod holds;

const SECOND: Duration = Duration::from_secs(1);

fn rules() -> Rules {
    Rules::default()
}

fn at(seconds: u64) -> Time {
    Time::EPOCH.plus(Duration::from_secs(1_000_000 + seconds))
}

fn context(rules: &Rules, now: Time) -> Context<'_> {
    Context {
        rules,
        now,
        chance: 0.5,
        others: Others::None,
    }
}

fn accepted() -> Delivery {
    let sender = PhoneNumber::from_stored("+12125550150".to_owned());
    Delivery {
        voicemail_id: VoicemailId::generate(),
        workspace_id: WorkspaceId::DEFAULT,
        use_case_id: UseCaseId::generate(),
        setup_id: SetupId::generate(),
        sender_id: PhoneNumberId::generate(),
        sender: sender.clone(),
        recipient: PhoneNumber::from_stored("+12125550100".to_owned()),
        audio_id: AudioId::generate(),
        status: Status::Accepted,
        failure_reason: None,
        status_detail: String::new(),
        simulated: false,
        create_time: at(0),
        due_time: at(0),
        expire_time: at(72 * 3_600),
        sent_time: None,
        end_time: None,
        next_time: Some(at(0)),
        held: false,
        lease_token: None,
        tries: 0,
        attempt_count: 0,
        carrier: String::new(),
        latency_bucket: None,
        hold_gate: None,
        time_zone: None,
        postal_code: None,
    }
}

fn sending() -> (Delivery, HandOver) {
    let mut delivery = accepted();
    delivery
        .claim(LeaseToken::generate(), at(60))
        .expect("it was accepted");
    delivery.begin_attempt("vendor", false, at(60));
    let hand_over = HandOver {
        id: HandOverId::generate(),
        number: 1,
        workspace_id: delivery.workspace_id,
        voicemail_id: delivery.voicemail_id,
        carrier: "vendor".to_owned(),
        request: Vec::new(),
        reference: String::new(),
        doubt_time: None,
        asks: 0,
        create_time: at(0),
        turn: 1,
        refused_round: None,
        token_hash: None,
        is_void: false,
        recipient: delivery.recipient.clone(),
        sender_id: Some(delivery.sender_id),
        counts_time: None,
    };
    (delivery, hand_over)
}

const NEITHER: DoubtTraits = DoubtTraits::NONE;
const ASKABLE: DoubtTraits = DoubtTraits {
    askable: true,
    ..DoubtTraits::NONE
};
const REPEATABLE: DoubtTraits = DoubtTraits {
    repeatable_for: Some(Duration::from_secs(3_600)),
    ..DoubtTraits::NONE
};

fn record(
    delivery: &mut Delivery,
    hand_over: &mut HandOver,
    outcome: &Outcome,
    traits: DoubtTraits,
    now: Time,
) {
    let rules = rules();
    delivery
        .record(
            hand_over,
            outcome,
            &CarrierWords::default(),
            traits,
            context(&rules, now),
        )
        .expect("the move is allowed");
}

#[test]
fn a_delivered_one_ends_with_its_latency_and_without_a_lease() {
    let (mut delivery, mut hand_over) = sending();
    record(
        &mut delivery,
        &mut hand_over,
        &Outcome::Delivered,
        NEITHER,
        at(2),
    );
    assert_eq!(delivery.status, Status::Delivered);
    assert_eq!(
        (delivery.end_time, delivery.next_time, delivery.lease_token),
        (Some(at(2)), None, None)
    );
    assert_eq!(delivery.latency_bucket, Some(bucket_of(2 * SECOND)));
}

#[test]
fn passing_errors_wait_by_the_schedule_and_then_end_as_retries_exhausted() {
    let (mut delivery, mut hand_over) = sending();
    let again = Outcome::TryAgain {
        reason: FailureReason::CarrierTimeout,
        wait: None,
    };
    for (index, wait) in rules().retry.waits.iter().enumerate() {
        record(&mut delivery, &mut hand_over, &again, NEITHER, at(0));
        assert_eq!(delivery.status, Status::Accepted, "after try {}", index + 1);
        assert_eq!(delivery.next_time, Some(at(0).plus(*wait)));
        delivery
            .claim(LeaseToken::generate(), at(60))
            .expect("it is accepted again");
    }
    record(&mut delivery, &mut hand_over, &again, NEITHER, at(0));
    assert_eq!(delivery.status, Status::Failed);
    assert_eq!(
        delivery.failure_reason,
        Some(FailureReason::RetriesExhausted)
    );
    assert_eq!(delivery.tries, 8);
}

#[test]
fn a_wait_never_passes_the_expire_time() {
    let (mut delivery, mut hand_over) = sending();
    delivery.expire_time = at(3);
    let again = Outcome::TryAgain {
        reason: FailureReason::CarrierTimeout,
        wait: None,
    };
    record(&mut delivery, &mut hand_over, &again, NEITHER, at(1));
    assert_eq!(delivery.next_time, Some(at(3)));
    delivery.expire(at(3)).expect("it waits");
    assert_eq!(
        (delivery.status, delivery.failure_reason),
        (Status::Skipped, Some(FailureReason::Expired))
    );
}

#[test]
fn an_unknown_outcome_is_never_resent_blindly() {
    let (mut delivery, mut hand_over) = sending();
    record(
        &mut delivery,
        &mut hand_over,
        &Outcome::Unknown,
        NEITHER,
        at(1),
    );
    assert_eq!(delivery.status, Status::Unconfirmed);
    assert_eq!(
        delivery.failure_reason,
        Some(FailureReason::CarrierAmbiguous)
    );

    for traits in [ASKABLE, REPEATABLE] {
        let (mut delivery, mut hand_over) = sending();
        record(
            &mut delivery,
            &mut hand_over,
            &Outcome::Unknown,
            traits,
            at(1),
        );
        assert_eq!(
            (delivery.status, delivery.lease_token),
            (Status::Sending, None)
        );
        assert!(hand_over.is_in_doubt());
        assert!(delivery.next_time > Some(at(1)));
    }
}

#[test]
fn a_refused_repeat_leaves_the_first_call_in_doubt() {
    let (mut delivery, mut hand_over) = sending();
    record(
        &mut delivery,
        &mut hand_over,
        &Outcome::Unknown,
        REPEATABLE,
        at(1),
    );
    let again = Outcome::TryAgain {
        reason: FailureReason::CarrierTimeout,
        wait: None,
    };
    record(&mut delivery, &mut hand_over, &again, REPEATABLE, at(10));
    assert_eq!(delivery.status, Status::Sending);
    // One microsecond before the carrier forgets the key, and then at it.
    record(
        &mut delivery,
        &mut hand_over,
        &again,
        REPEATABLE,
        at(3_600).minus(Duration::from_micros(1)),
    );
    assert_eq!(delivery.status, Status::Sending);
    record(&mut delivery, &mut hand_over, &again, REPEATABLE, at(3_600));
    assert_eq!(delivery.status, Status::Unconfirmed);
}

#[test]
fn an_answer_settles_a_hand_over_in_doubt() {
    let rules = rules();
    let ask = |answer: Answer| {
        let (mut delivery, mut hand_over) = sending();
        record(
            &mut delivery,
            &mut hand_over,
            &Outcome::Unknown,
            ASKABLE,
            at(1),
        );
        delivery
            .record_answer(
                &mut hand_over,
                &answer,
                &CarrierWords::default(),
                ASKABLE,
                context(&rules, at(9)),
            )
            .expect("the move is allowed");
        (delivery.status, hand_over.is_in_doubt())
    };
    assert_eq!(ask(Answer::Ended(End::Delivered)).0, Status::Delivered);
    assert_eq!(ask(Answer::Pending { again_after: None }).0, Status::Sent);
    assert_eq!(ask(Answer::NeverReceived), (Status::Accepted, false));
    assert_eq!(ask(Answer::NoAnswer), (Status::Sending, true));
}

#[test]
fn a_sent_one_is_asked_about_until_its_deadline() {
    let rules = rules();
    let (mut delivery, mut hand_over) = sending();
    record(
        &mut delivery,
        &mut hand_over,
        &Outcome::Taken {
            ask_after: Some(5 * SECOND),
        },
        ASKABLE,
        at(1),
    );
    assert_eq!(
        (delivery.status, delivery.next_time),
        (Status::Sent, Some(at(6)))
    );
    let mut now = at(6);
    for wait in [60, 300, 900, 3_600, 3_600] {
        delivery
            .record_answer(
                &mut hand_over,
                &Answer::NoAnswer,
                &CarrierWords::default(),
                ASKABLE,
                context(&rules, now),
            )
            .expect("it stays");
        assert_eq!(
            delivery.next_time,
            Some(now.plus(Duration::from_secs(wait)))
        );
        now = delivery.next_time.expect("just read");
    }
    let deadline = at(1).plus(rules.no_word_deadline);
    assert!(!delivery.is_past_deadline(context(&rules, deadline.minus(Duration::from_micros(1)))));
    assert!(delivery.is_past_deadline(context(&rules, deadline)));
    delivery.no_word(deadline).expect("it was sent");
    assert_eq!(
        (delivery.status, delivery.failure_reason),
        (Status::Unconfirmed, Some(FailureReason::CarrierNoCallback))
    );
}

#[test]
fn a_sent_one_that_cannot_be_asked_about_waits_for_its_deadline() {
    let (mut delivery, mut hand_over) = sending();
    record(
        &mut delivery,
        &mut hand_over,
        &Outcome::Taken {
            ask_after: Some(SECOND),
        },
        NEITHER,
        at(1),
    );
    assert_eq!(
        delivery.next_time,
        Some(at(1).plus(rules().no_word_deadline))
    );
}

#[test]
fn an_operator_lets_go_or_closes_what_was_held() {
    for held in [accepted(), sending().0] {
        let mut released = Delivery {
            held: true,
            lease_token: None,
            next_time: None,
            ..held
        };
        let mut closed = released.clone();
        released.release(at(1)).expect("it was held");
        assert_eq!(
            (released.status, released.held, released.next_time),
            (Status::Accepted, false, Some(at(1)))
        );
        assert_eq!(released.lease_token, None);
        closed.close(at(1)).expect("it was held");
        assert_eq!(
            (closed.status, closed.held, closed.failure_reason),
            (
                Status::Unconfirmed,
                false,
                Some(FailureReason::CarrierAmbiguous)
            )
        );
    }
}

#[test]
fn a_fault_of_the_account_is_no_end_and_uses_up_no_try() {
    for reason in [FailureReason::CarrierAuth, FailureReason::InsufficientFunds] {
        let (mut delivery, mut hand_over) = sending();
        record(
            &mut delivery,
            &mut hand_over,
            &Outcome::Rejected { reason },
            NEITHER,
            at(1),
        );
        assert_eq!(
            (delivery.status, delivery.tries, delivery.next_time),
            (Status::Accepted, 0, Some(at(1)))
        );
    }
}

#[test]
fn what_has_left_cannot_be_cancelled() {
    let (mut delivery, _) = sending();
    assert!(delivery.cancel(at(1)).is_err());
    let mut waiting = accepted();
    waiting.cancel(at(1)).expect("it waits");
    assert_eq!(
        (waiting.status, waiting.next_time, waiting.end_time),
        (Status::Cancelled, None, Some(at(1)))
    );
}

#[test]
fn a_repeat_that_is_refused_for_the_account_settles_nothing_and_one_for_the_recipient_does() {
    let refuse = |reason| {
        let (mut delivery, mut hand_over) = sending();
        record(
            &mut delivery,
            &mut hand_over,
            &Outcome::Unknown,
            REPEATABLE,
            at(1),
        );
        record(
            &mut delivery,
            &mut hand_over,
            &Outcome::Rejected { reason },
            REPEATABLE,
            at(9),
        );
        delivery.status
    };
    for reason in [
        FailureReason::CarrierAuth,
        FailureReason::InsufficientFunds,
        FailureReason::SenderSuspended,
    ] {
        assert_eq!(refuse(reason), Status::Sending, "{reason:?}");
    }
    assert_eq!(refuse(FailureReason::MailboxFull), Status::NotDelivered);
    assert_eq!(refuse(FailureReason::InvalidNumber), Status::Failed);
}

#[test]
fn the_deadline_of_a_doubt_begins_with_the_doubt() {
    let rules = rules();
    let (mut delivery, mut hand_over) = sending();
    // It waited for long after its hand-over was stored, and then broke off.
    let late = at(30 * 3_600);
    record(
        &mut delivery,
        &mut hand_over,
        &Outcome::Unknown,
        ASKABLE,
        late,
    );
    assert_eq!(delivery.status, Status::Sending);
    let end = late.plus(rules.no_word_deadline);
    let step = |now| delivery.next_step(&hand_over, ASKABLE, context(&rules, now));
    assert_eq!(step(end.minus(Duration::from_micros(1))), Step::Ask);
    assert_eq!(step(end), Step::GiveUp);
}

#[test]
fn a_fault_of_the_account_lets_nothing_go_that_the_operator_is_to_decide_about() {
    let rules = rules();
    for held in [false, true] {
        let (mut delivery, mut hand_over) = sending();
        if held {
            delivery.held = true;
            delivery.next_time = None;
        }
        let effect = Effect::GoBack(FailureReason::InsufficientFunds);
        let words = CarrierWords::default();
        let context = context(&rules, at(61));
        delivery
            .hear(&mut hand_over, effect, &words, DoubtTraits::NONE, context)
            .expect("it is under way");
        assert_eq!(delivery.status, Status::Accepted);
        assert!(hand_over.is_void);
        assert_eq!((delivery.held, delivery.next_time.is_none()), (held, held));
    }
}
