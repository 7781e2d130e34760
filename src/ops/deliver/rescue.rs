//! What is left of a call that was not made, or of a worker that died during one.

use std::time::Duration;

use super::begin::{NextMove, done, plan_call, plan_question, put_back, wait_for_carrier};
use super::claim::refused;
use super::gated::{self, Allowed};
use super::{Delivering, Task};
use crate::domain::attempt::{Attempt, CarrierWords, OutcomeKind};
use crate::domain::delivery::{Context, Delivery};
use crate::domain::doubt::Step;
use crate::domain::room::Kind;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::ops::error::Result;
use crate::storage::{AttemptEnd, Guard, Lock, Tx};

/// The answer to [`begin`](super::begin)'s commit was lost, or it came too late for a call: whatever was written,
/// no call was made, and only the worker that holds the task knows it. It may be tried again `wait` from now.
pub fn never_called(tx: &mut dyn Tx, task: &Task, wait: Duration) -> Result<()> {
    let now = tx.now()?;
    let held = &task.delivery;
    let current = tx.find_delivery(held.workspace_id, held.voicemail_id, Lock::Change)?;
    let ours = current.filter(|row| Guard::of(row) == Guard::of(held));
    let Some(mut delivery) = ours.filter(|row| row.status == Status::Sending) else {
        return Ok(());
    };
    let guard = Guard::of(&delivery);
    let attempts = tx.find_attempts(delivery.voicemail_id)?;
    // An open attempt from before the claim is another worker's, and its call may have been made.
    let ours =
        |attempt: &&Attempt| attempt.end_time.is_none() && attempt.number > held.attempt_count;
    if let Some(open) = attempts.last().filter(ours) {
        end_uncalled(tx, &delivery, open.number, now)?;
    }
    match task.kind {
        Kind::Send => {
            let why = "the call was not made; it is tried again".to_owned();
            delivery.put_back(why, wait, now).map_err(refused)?;
        }
        // An earlier call is in doubt: it is looked at anew, as after a lease's end.
        Kind::Rescue | Kind::Ask => {
            delivery.lease_token = None;
            delivery.next_time = Some(now.plus(wait));
        }
    }
    Ok(tx.save_delivery(guard, &delivery)?)
}

/// The attempt was written down, and its call never made.
fn end_uncalled(tx: &mut dyn Tx, delivery: &Delivery, number: i32, now: Time) -> Result<()> {
    let end = AttemptEnd {
        end_time: now,
        outcome: OutcomeKind::TryAgain,
        failure_reason: None,
        words: CarrierWords::new("", "", "the call was not made"),
    };
    tx.end_attempt(delivery.voicemail_id, number, &end)?;
    // It is the call of the hand-over that had its turn last.
    if let Some(mut hand_over) = tx.last_hand_over(delivery.voicemail_id)? {
        hand_over.give_back();
        tx.save_hand_over(&hand_over)?;
    }
    Ok(())
}

/// A row in SENDING that nobody holds. Without an attempt that was begun and not ended, and without
/// a doubt from before, it is certain that nothing left: it goes back. Otherwise the carrier's
/// traits say what may be done.
pub(super) fn rescue(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    mut delivery: Delivery,
    context: Context<'_>,
) -> Result<NextMove> {
    let guard = Guard::of(&delivery);
    let attempts = tx.find_attempts(delivery.voicemail_id)?;
    let open = attempts
        .last()
        .filter(|attempt| attempt.end_time.is_none())
        .map(|attempt| (attempt.number, attempt.start_time));
    let known = tx.last_hand_over(delivery.voicemail_id)?;
    // One that the carrier did not try is over: nothing is in doubt about it.
    let known = known.filter(|hand_over| !hand_over.is_void);
    let mut hand_over = match (open, known) {
        (Some(_), Some(hand_over)) => hand_over,
        (None, Some(hand_over)) if hand_over.is_in_doubt() => hand_over,
        (open, _) => {
            if let Some((number, _)) = open {
                end_uncalled(tx, &delivery, number, context.now)?;
            }
            let why =
                "its worker ended before the hand-over began; it is handed over again".to_owned();
            delivery
                .put_back(why, Duration::ZERO, context.now)
                .map_err(refused)?;
            return done(tx, guard, delivery);
        }
    };
    if let Some((number, _)) = open.filter(|_| hand_over.request.is_empty()) {
        // The carrier had yet to be given the audio, so there was no request to be made.
        end_uncalled(tx, &delivery, number, context.now)?;
        let why = "its worker ended while the audio was handed over; it is handed over again";
        return put_back(tx, guard, delivery, why.to_owned(), Duration::ZERO, context);
    }
    if let Some((number, _)) = open {
        let words = CarrierWords::new("", "", "the worker ended during the call");
        let end = AttemptEnd {
            end_time: context.now,
            outcome: OutcomeKind::Unknown,
            failure_reason: None,
            words,
        };
        tx.end_attempt(delivery.voicemail_id, number, &end)?;
        hand_over.doubt(context.now);
        tx.save_hand_over(&hand_over)?;
    }
    let Some(carrier) = delivering.registry.find(&hand_over.carrier) else {
        return wait_for_carrier(tx, guard, delivery, &hand_over, context);
    };
    let traits = carrier.doubt_traits(&delivery.recipient, &hand_over.reference);
    let traits = match gated::in_doubt(tx, delivering, &delivery, &hand_over, traits, context)? {
        Allowed::By(traits) => traits,
        Allowed::RepeatFrom(time) => {
            delivery.status_detail = format!(
                "the outcome of the hand-over is unknown; the same request is sent again under the same key at {time}, when the recipient's window is open"
            );
            delivery.lease_token = None;
            delivery.next_time = Some(time);
            return done(tx, guard, delivery);
        }
    };
    match delivery.next_step(&hand_over, traits, context) {
        Step::Repeat => plan_call(tx, delivering, guard, delivery, hand_over, false, context),
        Step::Ask => {
            // A call that broke off a moment ago may still arrive, and "never received" would not be true
            // for long. Its lease would have outlasted it.
            let arrived = open.map_or(context.now, |(_, start)| start.plus(delivering.lease));
            if arrived <= context.now {
                return plan_question(tx, delivering, delivery, hand_over, context);
            }
            delivery.lease_token = None;
            delivery.next_time = Some(arrived);
            done(tx, guard, delivery)
        }
        Step::Wait => {
            delivery
                .wait_in_doubt(&hand_over, traits, None, context)
                .map_err(refused)?;
            done(tx, guard, delivery)
        }
        Step::GiveUp => {
            delivery
                .give_up(&CarrierWords::default(), context.now)
                .map_err(refused)?;
            done(tx, guard, delivery)
        }
    }
}
