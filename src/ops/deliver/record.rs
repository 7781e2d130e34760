//! Record what a call or a question came to: state and attempt in one write, guarded by the lease.

use super::claim::refused;
use super::{Begun, CallPlan, Delivering, QuestionPlan};
use crate::domain::attempt::{Answer, CarrierWords, Outcome};
use crate::domain::delivery::{Context, Delivery};
use crate::domain::doubt::DoubtTraits;
use crate::domain::status::Status;
use crate::ops::error::Result;
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
    let context = Context {
        rules: &delivering.rules,
        now,
        chance,
    };
    let traits = traits(delivering, &plan.begun);
    let end = AttemptEnd {
        end_time: now,
        outcome: outcome.kind(),
        failure_reason: outcome.failure_reason(),
        words: words.clone(),
    };
    let was_open = tx.end_attempt(before.voicemail_id, plan.attempt_number, &end)?;
    let (mut after, mut hand_over) = (before.clone(), hand_over.clone());
    after
        .record(&mut hand_over, outcome, words, traits, context)
        .map_err(refused)?;
    match tx.save_delivery(Guard::of(before), &after) {
        Ok(()) => {
            tx.save_hand_over(&hand_over)?;
            Ok(Recorded::Moved(Box::new(after)))
        }
        // The lease was lost, or a word of the carrier ended it meanwhile.
        Err(Error::Guard { .. }) => late(tx, plan, was_open, outcome, words, (traits, context)),
        Err(error) => Err(error.into()),
    }
}

/// A late answer goes to its attempt and nowhere else, except that it settles an UNCONFIRMED one.
fn late(
    tx: &mut dyn Tx,
    plan: &CallPlan,
    attempt_was_open: bool,
    outcome: &Outcome,
    words: &CarrierWords,
    (traits, context): (DoubtTraits, Context<'_>),
) -> Result<Recorded> {
    let before = &plan.begun.delivery;
    let id = before.voicemail_id;
    if !attempt_was_open {
        let attempts = tx.find_attempts(id)?;
        let known = attempts
            .iter()
            .find(|attempt| attempt.number == plan.attempt_number);
        let is_same = known.is_some_and(|attempt| {
            attempt.outcome == Some(outcome.kind())
                && attempt.failure_reason == outcome.failure_reason()
        });
        if is_same {
            return Ok(Recorded::Again);
        }
        let text = format!("{} {}", outcome.kind().as_str(), words.detail);
        tx.set_late_outcome(id, plan.attempt_number, text.trim())?;
    }
    tracing::warn!(
        voicemail.id = %id,
        attempt.number = plan.attempt_number,
        "an answer came after the lease was lost; it is kept with its attempt"
    );
    let current = tx.find_delivery(before.workspace_id, id, Lock::Update)?;
    let unconfirmed = current.filter(|row| row.status == Status::Unconfirmed);
    let is_word = matches!(outcome, Outcome::Delivered | Outcome::Rejected { .. });
    let Some(mut current) = unconfirmed.filter(|_| is_word) else {
        return Ok(Recorded::Late {
            contradicts: !attempt_was_open,
        });
    };
    let guard = Guard::of(&current);
    let mut hand_over = plan.begun.hand_over.clone();
    current
        .record(&mut hand_over, outcome, words, traits, context)
        .map_err(refused)?;
    tx.save_delivery(guard, &current)?;
    Ok(Recorded::Moved(Box::new(current)))
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
    };
    let traits = traits(delivering, &plan.begun);
    let (mut after, mut hand_over) = (before.clone(), hand_over.clone());
    after
        .record_answer(&mut hand_over, answer, words, traits, context)
        .map_err(refused)?;
    match tx.save_delivery(Guard::of(before), &after) {
        Ok(()) => {
            tx.save_hand_over(&hand_over)?;
            Ok(Recorded::Moved(Box::new(after)))
        }
        // Somebody else knows better by now; a carrier that can be asked can be asked again.
        Err(Error::Guard { .. }) => Ok(Recorded::Late { contradicts: false }),
        Err(error) => Err(error.into()),
    }
}

/// A carrier that went from the configuration in the middle allows nothing.
fn traits(delivering: &Delivering, begun: &Begun) -> DoubtTraits {
    match delivering.registry.find(&begun.hand_over.carrier) {
        Some(carrier) => carrier.doubt_traits(&begun.delivery.recipient),
        None => DoubtTraits {
            repeatable_for: None,
            askable: false,
        },
    }
}
