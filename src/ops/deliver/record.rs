//! Record what a call or a question came to: state and attempt in one write, guarded by the lease.

use super::begin::allowed_carriers;
use super::claim::refused;
use super::request::forget_upload_where_due;
use super::{Begun, CallPlan, Delivering, QuestionPlan};
use crate::domain::attempt::{Answer, Attempt, CarrierWords, Outcome, OutcomeKind};
use crate::domain::breaker::Breaker;
use crate::domain::delivery::{Context, Delivery, Others};
use crate::domain::doubt::DoubtTraits;
use crate::domain::failure::FailureReason;
use crate::domain::hand_over::HandOver;
use crate::domain::ids::{LeaseToken, VoicemailId};
use crate::domain::status::Status;
use crate::domain::telephony::{Pause, PauseReason, Setup};
use crate::domain::time::Time;
use crate::ops::error::Result;
use crate::ops::suppressions;
use crate::storage::{AttemptEnd, Error, Guard, Lock, Tx};

/// What recording did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It moved the voicemail, which now stands so.
    Moved(Box<Delivery>),
    /// It was recorded before: only the answer to that commit was lost.
    Again,
    /// The row was not ours any more. `contradicts`: the word is kept as the attempt's late outcome.
    Late { contradicts: bool },
}

pub fn record_outcome(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    plan: &CallPlan,
    outcome: &Outcome,
    words: &CarrierWords,
    chance: f64,
) -> Result<Recorded> {
    let now = tx.now()?;
    let Begun {
        delivery: before,
        hand_over,
        ..
    } = &plan.begun;
    let was_not_taken = match outcome {
        Outcome::TryAgain { .. } => true,
        Outcome::Rejected { reason } => reason.is_about_the_way(),
        Outcome::Delivered | Outcome::Taken { .. } | Outcome::Unknown => false,
    };
    let context = Context {
        rules: &delivering.rules,
        now,
        chance,
        others: match was_not_taken {
            true => others(tx, delivering, before, hand_over)?,
            false => Others::None,
        },
    };
    let end = AttemptEnd {
        end_time: now,
        outcome: outcome.kind(),
        failure_reason: outcome.failure_reason(),
        words: words.clone(),
    };
    let (mut after, mut hand_over) = (before.clone(), hand_over.clone());
    hand_over.name(words);
    let traits = delivering.traits(&hand_over, &before.recipient);
    after
        .record(&mut hand_over, outcome, words, traits, context)
        .map_err(refused)?;
    // The voicemail's row is locked before its attempt's, as everywhere.
    match tx.save_delivery(Guard::of(before), &after) {
        Ok(()) => {
            tx.end_attempt_together(before.voicemail_id, plan.attempt_number, &end)?;
            if hand_over != plan.begun.hand_over {
                tx.save_hand_over(&hand_over)?;
            }
            note_failure(tx, delivering, plan, outcome)?;
            Ok(Recorded::Moved(Box::new(after)))
        }
        // The lease was lost, or a word of the carrier ended it meanwhile.
        Err(Error::Guard { .. }) => late(
            tx,
            delivering,
            plan,
            &end,
            (outcome, words),
            (traits, context),
        ),
        Err(error) => Err(error.into()),
    }
}

/// None also where it can't be read: what a call came to is written down all the same.
fn setup_of(tx: &mut dyn Tx, delivery: &Delivery) -> Result<Option<Setup>> {
    match tx.find_setup(delivery.workspace_id, delivery.setup_id, Lock::None) {
        Err(Error::Inconsistent { .. }) => Ok(None),
        found => Ok(found?),
    }
}

/// What the other carriers of its setup can do for a voicemail that this one did not take.
fn others(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    hand_over: &HandOver,
) -> Result<Others> {
    let Some(setup) = setup_of(tx, delivery)? else {
        return Ok(Others::None);
    };
    let mut names = allowed_carriers(tx, delivering, delivery, &setup)?;
    names.retain(|name| *name != hand_over.carrier);
    if names.is_empty() {
        return Ok(Others::None);
    }
    let (now, breakers) = (tx.now()?, tx.breakers()?);
    let known = tx.hand_overs(delivery.voicemail_id)?;
    let attempts = tx.find_attempts(delivery.voicemail_id)?;
    let had_its_turn = |name: &String| {
        let refused = |known: &&HandOver| known.refused_round == Some(delivery.tries);
        known
            .iter()
            .filter(refused)
            .any(|known| known.carrier == *name)
    };
    let is_closed = |name: &String| {
        let later = |breaker: &&Breaker| breaker.next_trial_time > now;
        (breakers.iter().filter(later)).any(|breaker| breaker.carrier == *name)
    };
    let may_take_it = |name: &String| {
        let last = attempts
            .iter()
            .rfind(|attempt| attempt.carrier == *name)
            .and_then(|attempt| attempt.outcome);
        !had_its_turn(name) || last == Some(OutcomeKind::TryAgain)
    };
    let is_left = |name: &String| !had_its_turn(name) && !is_closed(name);
    Ok(
        match (names.iter().any(is_left), names.iter().any(may_take_it)) {
            (true, _) => Others::Left,
            (false, true) => Others::NextRound,
            (false, false) => Others::None,
        },
    )
}

fn note_failure(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    plan: &CallPlan,
    outcome: &Outcome,
) -> Result<()> {
    let (begun, reason) = (&plan.begun, outcome.failure_reason());
    let carrier = &begun.hand_over.carrier;
    note_reason(tx, delivering, &begun.delivery, carrier, reason, begun.now)
}

/// What a failure means beyond its own voicemail. `began`: when the call began that it is about.
pub(super) fn note_reason(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    carrier: &str,
    reason: Option<FailureReason>,
    began: Time,
) -> Result<()> {
    pause_where_due(tx, delivery, carrier, reason, began)?;
    suppressions::told_by_carrier(tx, delivery, carrier, reason)?;
    forget_upload_where_due(tx, delivering, carrier, delivery.audio_id, reason)
}

/// A fault of our account is every message's: the setup's queue stops. Word about a call that began
/// before the setup was last changed (resumed, above all) may be about what has been mended since: the
/// next call finds out.
fn pause_where_due(
    tx: &mut dyn Tx,
    delivery: &Delivery,
    carrier: &str,
    reason: Option<FailureReason>,
    began: Time,
) -> Result<()> {
    let Some(reason) = reason.and_then(PauseReason::of) else {
        return Ok(());
    };
    let has_it = |setup: Setup| setup.carriers.iter().any(|name| name == carrier);
    // One that the setup no longer has does not concern it.
    let is_due = |setup: Setup| began >= setup.update_time && has_it(setup);
    if !setup_of(tx, delivery)?.is_some_and(is_due) {
        return Ok(());
    }
    let pause = Pause {
        reason,
        carrier: carrier.to_owned(),
        since: tx.now()?,
    };
    if tx.pause_setup(delivery.setup_id, &pause)? {
        tracing::error!(
            setup.id = %delivery.setup_id,
            carrier.name = %pause.carrier,
            reason = reason.as_str(),
            "a carrier refuses our account; the setup is paused until it is resumed"
        );
    }
    Ok(())
}

/// An answer that comes after the lease was lost. It goes to its attempt, and to the voicemail only as
/// far as it says what nobody else can know by now: see [`counts`].
fn late(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    plan: &CallPlan,
    end: &AttemptEnd,
    (outcome, words): (&Outcome, &CarrierWords),
    (traits, context): (DoubtTraits, Context<'_>),
) -> Result<Recorded> {
    let before = &plan.begun.delivery;
    let id = before.voicemail_id;
    let current = tx.find_delivery(before.workspace_id, id, Lock::Change)?;
    // As it stands by now: the carrier may have spoken of it meanwhile.
    let known = tx.find_hand_over(plan.begun.hand_over.id)?;
    let mut hand_over = known.unwrap_or_else(|| plan.begun.hand_over.clone());
    if hand_over.reference.is_empty() && !words.reference.is_empty() {
        hand_over.name(words);
        tx.save_hand_over(&hand_over)?;
    }
    let attempts = tx.find_attempts(id)?;
    let was_open = tx.end_attempt(id, plan.attempt_number, end)?;
    if was_open {
        note_failure(tx, delivering, plan, outcome)?;
    } else {
        let mut same = (attempts.iter()).filter(|attempt| attempt.number == plan.attempt_number);
        if let Some(known) = same.next()
            && is_known(tx, known, id, outcome, words)?
        {
            return Ok(Recorded::Again);
        }
        let text = format!("{} {}", outcome.kind().as_str(), words.detail);
        tx.set_late_outcome(id, plan.attempt_number, text.trim())?;
    }
    // Of what was in doubt since, this is the answer.
    hand_over.doubt_time = plan.begun.hand_over.doubt_time;
    tracing::warn!(
        voicemail.id = %id,
        attempt.number = plan.attempt_number,
        "an answer came after the lease was lost"
    );
    let mut others = (attempts.iter()).filter(|attempt| attempt.number != plan.attempt_number);
    let another_may_have_it = others.any(may_have_it);
    // The carrier said that it did not try, so its "taken" from before that counts no more.
    let is_over = hand_over.is_void && *outcome != Outcome::Delivered;
    let counts =
        |row: &Delivery| !is_over && counts(row.status, outcome, was_open, another_may_have_it);
    let Some(mut current) = current.filter(counts) else {
        if matches!(outcome, Outcome::Delivered | Outcome::Taken { .. }) && !is_over {
            // It was sent after all, whatever it stands at.
            hand_over.weigh_outcome(outcome, context.now);
            tx.save_hand_over(&hand_over)?;
        }
        return Ok(Recorded::Late {
            contradicts: !was_open,
        });
    };
    let guard = Guard::of(&current);
    if guard.status == Status::Accepted {
        // It may have had another carrier's turn since; now it stands at this one again.
        let last = tx.last_hand_over(id)?;
        hand_over.turn = last.map_or(hand_over.turn, |last| match last.id == hand_over.id {
            true => last.turn,
            false => last.turn + 1,
        });
        current.carrier.clone_from(&hand_over.carrier);
        current
            .claim(LeaseToken::generate(), context.now)
            .map_err(refused)?;
    }
    current
        .record(&mut hand_over, outcome, words, traits, context)
        .map_err(refused)?;
    tx.save_delivery(guard, &current)?;
    match guard.status {
        Status::Sending | Status::Accepted => tx.save_hand_over(&hand_over)?,
        // What was in doubt stays written; what counts is what it came to.
        _ => save_count(tx, &hand_over)?,
    }
    Ok(Recorded::Moved(Box::new(current)))
}

/// Is this what stands at the attempt already? It was recorded before, or the carrier spoke of it by
/// itself before the call returned, and an answer that says no more than that adds its reference alone.
fn is_known(
    tx: &mut dyn Tx,
    known: &Attempt,
    id: VoicemailId,
    outcome: &Outcome,
    words: &CarrierWords,
) -> Result<bool> {
    let is_taken = known.outcome == Some(OutcomeKind::Taken);
    if is_taken && matches!(outcome, Outcome::Taken { .. } | Outcome::Unknown) {
        if !words.reference.is_empty() && known.carrier_reference != words.reference {
            let mut named = known.clone();
            named.carrier_reference.clone_from(&words.reference);
            tx.save_words(id, &named)?;
        }
        return Ok(true);
    }
    Ok(known.outcome == Some(outcome.kind()) && known.failure_reason == outcome.failure_reason())
}

/// Does a late answer move a voicemail that stands so by now?
fn counts(status: Status, outcome: &Outcome, was_open: bool, another_may_have_it: bool) -> bool {
    match status {
        // Whoever took it over has not begun, or it would have closed the attempt: nothing was
        // decided without this answer, and the lease that it was taken over with ends here.
        Status::Sending if was_open => true,
        // That it is delivered is true whoever else works on it.
        Status::Sending | Status::Sent => *outcome == Outcome::Delivered,
        // The carrier was asked, and said "never received" before the bytes arrived: it must not be
        // sent again now.
        Status::Accepted => matches!(
            outcome,
            Outcome::Delivered | Outcome::Taken { .. } | Outcome::Unknown
        ),
        Status::Unconfirmed => settles(outcome, another_may_have_it),
        Status::Delivered
        | Status::NotDelivered
        | Status::Failed
        | Status::Skipped
        | Status::Cancelled => false,
    }
}

/// Does the answer to one call settle a voicemail that is UNCONFIRMED? A refusal that is not about
/// the message says nothing about another call, which the carrier may have taken.
fn settles(outcome: &Outcome, another_may_have_it: bool) -> bool {
    match outcome {
        Outcome::Delivered => true,
        Outcome::Rejected { reason } => {
            reason.ends_as() != Status::Unconfirmed
                && !(reason.is_about_the_way() && another_may_have_it)
        }
        Outcome::Taken { .. } | Outcome::TryAgain { .. } | Outcome::Unknown => false,
    }
}

/// May the carrier have the message from this call?
fn may_have_it(attempt: &Attempt) -> bool {
    match attempt.outcome {
        Some(OutcomeKind::TryAgain) => false,
        Some(OutcomeKind::Rejected) => {
            (attempt.failure_reason).is_none_or(|reason| reason.ends_as() == Status::Unconfirmed)
        }
        Some(OutcomeKind::Delivered | OutcomeKind::Taken | OutcomeKind::Unknown) | None => true,
    }
}

pub fn record_answer(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    plan: &QuestionPlan,
    answer: &Answer,
    words: &CarrierWords,
    chance: f64,
) -> Result<Recorded> {
    let now = tx.now()?;
    let Begun {
        delivery: before,
        hand_over,
        ..
    } = &plan.begun;
    let context = Context {
        rules: &delivering.rules,
        now,
        chance,
        others: match answer {
            Answer::NeverReceived => others(tx, delivering, before, hand_over)?,
            Answer::Ended(_) | Answer::Pending { .. } | Answer::NoAnswer => Others::None,
        },
    };
    let (mut after, mut hand_over) = (before.clone(), hand_over.clone());
    let traits = delivering.traits(&hand_over, &before.recipient);
    after
        .record_answer(&mut hand_over, answer, words, traits, context)
        .map_err(refused)?;
    match tx.save_delivery(Guard::of(before), &after) {
        Ok(()) => {
            tx.save_hand_over(&hand_over)?;
            note_answer(tx, delivering, &after, &hand_over, (answer, words))?;
            Ok(Recorded::Moved(Box::new(after)))
        }
        Err(Error::Guard { .. }) => {
            late_answer(tx, delivering, plan, (answer, words), (traits, context))
        }
        Err(error) => Err(error.into()),
    }
}

/// How it ended, in the carrier's words, stands beside the call that it is about.
fn note_answer(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    hand_over: &HandOver,
    (answer, words): (&Answer, &CarrierWords),
) -> Result<()> {
    let Answer::Ended(end) = answer else {
        return Ok(());
    };
    let mut began = hand_over.create_time;
    if let Some(mut attempt) = tx.last_attempt(hand_over)? {
        began = attempt.start_time;
        attempt.hear(words, end.reason());
        tx.save_words(hand_over.voicemail_id, &attempt)?;
    }
    note_reason(
        tx,
        delivering,
        delivery,
        &hand_over.carrier,
        end.reason(),
        began,
    )
}

/// Somebody else knows better by now, and a carrier that can be asked can be asked again: but nobody
/// asks about an UNCONFIRMED one any more, so how it ended settles it.
fn late_answer(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    plan: &QuestionPlan,
    (answer, words): (&Answer, &CarrierWords),
    (traits, context): (DoubtTraits, Context<'_>),
) -> Result<Recorded> {
    let before = &plan.begun.delivery;
    let current = tx.find_delivery(before.workspace_id, before.voicemail_id, Lock::Change)?;
    let unconfirmed = current.filter(|row| row.status == Status::Unconfirmed);
    let is_word = matches!(answer, Answer::Ended(end) if end.status() != Status::Unconfirmed);
    let Some(mut current) = unconfirmed.filter(|_| is_word) else {
        return Ok(Recorded::Late { contradicts: false });
    };
    let guard = Guard::of(&current);
    let mut hand_over = plan.begun.hand_over.clone();
    current
        .record_answer(&mut hand_over, answer, words, traits, context)
        .map_err(refused)?;
    tx.save_delivery(guard, &current)?;
    save_count(tx, &hand_over)?;
    note_answer(tx, delivering, &current, &hand_over, (answer, words))?;
    Ok(Recorded::Moved(Box::new(current)))
}

/// Writes since when it counts, and leaves the rest as it stands by now.
fn save_count(tx: &mut dyn Tx, hand_over: &HandOver) -> Result<()> {
    let Some(known) = tx.find_hand_over(hand_over.id)? else {
        return Ok(());
    };
    let counted = HandOver {
        counts_time: hand_over.counts_time,
        ..known
    };
    Ok(tx.save_hand_over(&counted)?)
}
