use std::time::Duration;

use super::*;
use crate::domain::failure::FailureReason;

fn at(seconds: u64) -> Time {
    Time::EPOCH.plus(Duration::from_secs(seconds))
}

fn counted() -> HandOver {
    HandOver {
        id: HandOverId::generate(),
        workspace_id: WorkspaceId::DEFAULT,
        voicemail_id: VoicemailId::generate(),
        recipient: PhoneNumber::from_stored("+12125550100".to_owned()),
        sender_id: Some(PhoneNumberId::generate()),
        number: 1,
        carrier: "vendor".to_owned(),
        request: Vec::new(),
        token_hash: None,
        reference: String::new(),
        doubt_time: None,
        asks: 0,
        create_time: at(0),
        turn: 1,
        refused_round: None,
        is_void: false,
        counts_time: Some(at(1)),
    }
}

fn in_doubt() -> HandOver {
    HandOver {
        doubt_time: Some(at(2)),
        ..counted()
    }
}

fn given_back() -> HandOver {
    HandOver {
        counts_time: None,
        ..counted()
    }
}

const NOW: u64 = 9;

/// Since when it counts after `step`: as before, from now on, or not at all.
fn after(mut hand_over: HandOver, step: impl Fn(&mut HandOver)) -> Option<u64> {
    step(&mut hand_over);
    hand_over
        .counts_time
        .map(|time| time.since(Time::EPOCH).as_secs())
}

#[test]
fn a_call_counts_from_its_beginning_and_so_does_the_repeat_of_one_in_doubt() {
    let begin = |hand_over: &mut HandOver| hand_over.count(at(NOW));
    assert_eq!(after(given_back(), begin), Some(NOW));
    assert_eq!(after(counted(), begin), Some(NOW));
    assert_eq!(after(in_doubt(), begin), Some(NOW));
    let unheard_of = HandOver {
        counts_time: None,
        ..in_doubt()
    };
    assert_eq!(after(unheard_of, begin), Some(NOW));
    assert_eq!(after(counted(), HandOver::give_back), None);
    assert_eq!(after(in_doubt(), HandOver::give_back), Some(1));
}

#[test]
fn an_outcome_gives_back_what_was_certainly_not_sent() {
    use FailureReason::{CarrierAmbiguous, CarrierAuth, InvalidNumber, MailboxFull, NotMobile};
    let try_again = Outcome::TryAgain {
        reason: FailureReason::Busy,
        wait: None,
    };
    let rejected = |reason| Outcome::Rejected { reason };
    for (outcome, was_counted, was_in_doubt, was_given_back) in [
        (Outcome::Delivered, Some(1), Some(1), Some(NOW)),
        (
            Outcome::Taken { ask_after: None },
            Some(1),
            Some(1),
            Some(NOW),
        ),
        (Outcome::Unknown, Some(1), Some(1), Some(NOW)),
        (try_again, None, Some(1), None),
        (rejected(CarrierAuth), None, Some(1), None),
        (rejected(InvalidNumber), None, Some(1), None),
        (rejected(NotMobile), None, Some(1), None),
        // The mailbox was tried.
        (rejected(MailboxFull), Some(1), Some(1), Some(NOW)),
        (rejected(CarrierAmbiguous), Some(1), Some(1), Some(NOW)),
    ] {
        let weigh = |hand_over: &mut HandOver| hand_over.weigh_outcome(&outcome, at(NOW));
        assert_eq!(after(counted(), weigh), was_counted, "{outcome:?}");
        assert_eq!(after(in_doubt(), weigh), was_in_doubt, "{outcome:?}");
        assert_eq!(after(given_back(), weigh), was_given_back, "{outcome:?}");
    }
}

/// Every end there is, with what it does to one that counted and to one that was given back.
fn ends() -> Vec<(End, Option<u64>, Option<u64>)> {
    let of = |reason: FailureReason| match reason.ends_as() {
        Status::Failed | Status::Skipped => (None, None),
        _ => (Some(1), Some(NOW)),
    };
    let because = FailureReason::ALL.iter().map(|reason| {
        let (counted, given_back) = of(*reason);
        (End::Because(*reason), counted, given_back)
    });
    let delivered = (End::Delivered, Some(1), Some(NOW));
    because.chain([delivered]).collect()
}

#[test]
fn a_carriers_word_gives_back_what_failed_or_was_skipped() {
    let mut all: Vec<(Effect, Option<u64>, Option<u64>)> = ends()
        .into_iter()
        .map(|(end, counted, given_back)| (Effect::End(end), counted, given_back))
        .collect();
    all.extend([
        (Effect::Take, Some(1), Some(NOW)),
        (Effect::GoBack(FailureReason::CarrierAuth), None, None),
        (Effect::Keep, Some(1), None),
        (Effect::Contradict, Some(1), None),
    ]);
    for (effect, was_counted, was_given_back) in all {
        let weigh = |hand_over: &mut HandOver| hand_over.weigh_word(effect, at(NOW));
        assert_eq!(after(counted(), weigh), was_counted, "{effect:?}");
        // The word is about this hand-over, so a doubt about it is over.
        assert_eq!(after(in_doubt(), weigh), was_counted, "{effect:?}");
        assert_eq!(after(given_back(), weigh), was_given_back, "{effect:?}");
    }
}

#[test]
fn an_answer_gives_back_what_was_never_received() {
    let weigh = |answer: Answer, status, hand_over| {
        after(hand_over, |hand_over| {
            hand_over.weigh_answer(&answer, status, at(NOW))
        })
    };
    for (end, was_counted, was_given_back) in ends() {
        for status in [Status::Sending, Status::Sent, Status::Unconfirmed] {
            let answer = Answer::Ended(end);
            assert_eq!(
                weigh(answer.clone(), status, counted()),
                was_counted,
                "{end:?}"
            );
            assert_eq!(
                weigh(answer.clone(), status, in_doubt()),
                was_counted,
                "{end:?}"
            );
            assert_eq!(
                weigh(answer, status, given_back()),
                was_given_back,
                "{end:?}"
            );
        }
    }
    let pending = Answer::Pending { again_after: None };
    let never = Answer::NeverReceived;
    for (answer, status, expected) in [
        (pending.clone(), Status::Sending, Some(1)),
        (pending, Status::Sent, Some(1)),
        (never.clone(), Status::Sending, None),
        // It had said that it has it.
        (never, Status::Sent, Some(1)),
        (Answer::NoAnswer, Status::Sending, Some(1)),
        (Answer::NoAnswer, Status::Sent, Some(1)),
    ] {
        assert_eq!(
            weigh(answer.clone(), status, in_doubt()),
            expected,
            "{answer:?} {status}"
        );
    }
}
