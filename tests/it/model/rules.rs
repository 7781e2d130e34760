//! What must hold. Each rule is one sentence, and a history that breaks one ends with it.

use ringless::domain::attempt::{Answer, Attempt, Outcome, OutcomeKind};
use ringless::domain::failure::FailureReason;
use ringless::domain::status::{End, Status};
use ringless::domain::word::Said;

use super::carriers::Truth;
use super::stage::Row;

/// A sentence that did not hold.
pub type Broken = String;

/// The table of the contract, by hand: what may come after what.
fn may_follow(from: Status, to: Status) -> bool {
    use Status::*;
    match from {
        Accepted => matches!(to, Sending | Skipped | Cancelled),
        Sending => matches!(
            to,
            Accepted | Sent | Delivered | NotDelivered | Failed | Skipped | Unconfirmed
        ),
        Sent => matches!(
            to,
            Accepted | Delivered | NotDelivered | Failed | Skipped | Unconfirmed
        ),
        Unconfirmed => matches!(to, Delivered | NotDelivered | Failed | Skipped),
        Delivered | NotDelivered | Failed | Skipped | Cancelled => false,
    }
}

fn must(holds: bool, rule: impl FnOnce() -> Broken) -> Result<(), Broken> {
    match holds {
        true => Ok(()),
        false => Err(rule()),
    }
}

/// What one unit of work made of a voicemail.
pub fn change(before: &Row, after: &Row) -> Result<(), Broken> {
    let (was, is) = (&before.delivery, &after.delivery);
    // A late answer, or a carrier's own word, claims one that waits again and moves it in one unit of work.
    let by_word = was.status == Status::Accepted
        && was.attempt_count > 0
        && may_follow(Status::Sending, is.status);
    must(
        was.status == is.status || may_follow(was.status, is.status) || by_word,
        || format!("a voicemail went from {} to {}", was.status, is.status),
    )?;
    let expired = is.failure_reason == Some(FailureReason::Expired);
    must(
        was.status == Status::Accepted || !expired || *is == *was,
        || format!("a voicemail expired while it was {}", was.status),
    )?;
    if was.status.is_end() && was.status == is.status {
        must(is == was, || format!("an end was written again: {is:?}"))?;
    }
    attempts(before, after)
}

/// Attempts are added one at a time and never change once they have ended, but for late word.
fn attempts(before: &Row, after: &Row) -> Result<(), Broken> {
    must(after.attempts.len() <= before.attempts.len() + 1, || {
        "two attempts were begun at once".to_owned()
    })?;
    must(after.attempts.len() >= before.attempts.len(), || {
        "an attempt is gone".to_owned()
    })?;
    for (was, is) in before.attempts.iter().zip(&after.attempts) {
        // What may still come: its end, late word, and the carrier's later words and reason.
        let mut same = Attempt {
            late_outcome: was.late_outcome.clone(),
            carrier_reference: was.carrier_reference.clone(),
            carrier_code: was.carrier_code.clone(),
            carrier_detail: was.carrier_detail.clone(),
            failure_reason: was.failure_reason,
            ..is.clone()
        };
        if was.end_time.is_none() {
            same = Attempt {
                number: is.number,
                carrier: is.carrier.clone(),
                start_time: is.start_time,
                ..was.clone()
            };
        }
        must(same == *was, || {
            format!("attempt {} was written again", was.number)
        })?;
    }
    if after.attempts.len() > before.attempts.len() {
        must(after.delivery.status == Status::Sending, || {
            format!("an attempt began while it was {}", after.delivery.status)
        })?;
        must(after.delivery.lease_token.is_some(), || {
            "an attempt began without a lease".to_owned()
        })?;
    }
    Ok(())
}

/// How a voicemail stands, by itself.
pub fn row(row: &Row) -> Result<(), Broken> {
    let it = &row.delivery;
    let status = it.status;
    let numbers = row.attempts.iter().map(|attempt| attempt.number);
    must(numbers.eq(1..=it.attempt_count), || {
        "its attempts are not numbered from 1 without a gap".to_owned()
    })?;
    let open = |attempt: &&Attempt| attempt.end_time.is_none();
    let earlier = row.attempts.iter().rev().skip(1);
    must(earlier.filter(open).count() == 0, || {
        "an attempt began while an earlier one was open".to_owned()
    })?;
    let last_is_open = row.attempts.last().filter(open).is_some();
    // A late word of an earlier call may end it while a repeat is under way.
    let may_be_open = matches!(status, Status::Sending | Status::Delivered);
    must(!last_is_open || may_be_open, || {
        format!("a call is open and it is {status}")
    })?;
    let says_delivered = |attempt: &Attempt| {
        attempt.outcome == Some(OutcomeKind::Delivered)
            || attempt.late_outcome.starts_with("DELIVERED")
    };
    let is_decided = status.is_end() && status != Status::Unconfirmed;
    must(
        is_decided || !row.attempts.iter().any(says_delivered),
        || format!("it is known to be delivered, and {status}"),
    )?;
    if status.is_end() {
        must(it.next_time.is_none() && it.lease_token.is_none(), || {
            format!("it is {status} and still on the queue")
        })?;
        must(it.end_time.is_some() && !it.held, || {
            format!("it is {status} without an end_time, or held")
        })?;
        let wants_none = matches!(status, Status::Delivered | Status::Cancelled);
        must(
            match it.failure_reason {
                None => wants_none,
                Some(reason) => reason.ends_as() == status,
            },
            || format!("it is {status} because of {:?}", it.failure_reason),
        )
    } else {
        must(it.next_time.is_some(), || {
            format!("it is {status} and nobody will ever look at it")
        })?;
        must(it.end_time.is_none() && it.failure_reason.is_none(), || {
            format!("it is {status} and has an end")
        })
    }
}

/// How a voicemail stands, beside what its carriers really have.
pub fn truth(row: &Row, truth: &Truth, voicemail: usize) -> Result<(), Broken> {
    let it = &row.delivery;
    let (drops, beyond_us) = (truth.drops(voicemail), truth.is_beyond_us(voicemail));
    must(drops <= 1 || beyond_us, || {
        format!("it was dropped {drops} times")
    })?;
    match it.status {
        Status::Accepted => must(drops == 0 || beyond_us, || {
            "it is ACCEPTED, to be sent again, and was dropped".to_owned()
        }),
        Status::Sending | Status::Unconfirmed => Ok(()),
        Status::Sent => {
            let has = row.hand_over.as_ref().is_some_and(|h| truth.has(h.id));
            must(has, || "it is SENT, and no carrier has it".to_owned())?;
            let counts = (row.hand_over.as_ref()).is_some_and(|h| h.counts_time.is_some());
            must(counts, || "it is SENT and counts against no cap".to_owned())
        }
        Status::Delivered => must(drops > 0, || {
            "it is DELIVERED, and nobody dropped it".to_owned()
        }),
        Status::NotDelivered | Status::Failed | Status::Skipped | Status::Cancelled => {
            must(drops == 0 || beyond_us, || {
                format!("it is {}, and was dropped", it.status)
            })
        }
    }
}

/// What a worker recorded is kept: as the outcome of its attempt, or as late word beside it. And the
/// word that it was delivered settles what was UNCONFIRMED.
pub fn recorded(row: &Row, attempt_number: i32, outcome: &Outcome) -> Result<(), Broken> {
    let attempt = row.attempts.iter().find(|a| a.number == attempt_number);
    let is_kept = attempt.is_some_and(|attempt| {
        // The carrier said meanwhile that it has it; that nobody heard the answer says no more.
        (attempt.outcome == Some(OutcomeKind::Taken) && *outcome == Outcome::Unknown)
            || attempt.outcome == Some(outcome.kind())
            || attempt.late_outcome.contains(outcome.kind().as_str())
    });
    must(is_kept, || {
        format!(
            "the answer {} of attempt {attempt_number} was lost",
            outcome.kind().as_str()
        )
    })?;
    must(
        *outcome != Outcome::Delivered || row.delivery.status != Status::Unconfirmed,
        || "a worker recorded DELIVERED, and it is UNCONFIRMED".to_owned(),
    )
}

/// What a carrier said by itself is not lost either: delivered is delivered, whatever else is thought of
/// it, unless another end came first.
pub fn heard(row: &Row, said: Said) -> Result<(), Broken> {
    let status = row.delivery.status;
    let is_settled = status.is_end() && status != Status::Unconfirmed;
    must(said != Said::Ended(End::Delivered) || is_settled, || {
        format!("a carrier said that it is delivered, and it is {status}")
    })?;
    let may_be_sent_again = status == Status::Accepted;
    must(
        said != Said::Pending || !may_be_sent_again || is_void(row),
        || "a carrier said that it has it, and it is to be sent again".to_owned(),
    )
}

/// The carrier took it back: it had not tried.
fn is_void(row: &Row) -> bool {
    row.hand_over.as_ref().is_some_and(|it| it.is_void)
}

/// How a voicemail may stand when nothing is due any more.
pub fn at_the_end(row: &Row) -> Result<(), Broken> {
    must(row.delivery.status.is_end(), || {
        format!("nothing is due any more, and it is {}", row.delivery.status)
    })
}

/// So does the word that it was delivered where it came as the answer to a question.
pub fn answered(row: &Row, answer: &Answer) -> Result<(), Broken> {
    must(
        *answer != Answer::Ended(End::Delivered) || row.delivery.status != Status::Unconfirmed,
        || "a worker recorded the answer DELIVERED, and it is UNCONFIRMED".to_owned(),
    )
}
