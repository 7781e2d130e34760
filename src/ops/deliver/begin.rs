//! Begin a call: the last look before anything leaves. The row must still be ours; the hand-over
//! and the attempt are written down; only then may the worker call the carrier.

use std::time::Duration;

use super::breaker::{Way, way};
use super::claim::refused;
use super::request::{hand_over_to, message};
use super::{Delivering, Task, readiness};
use crate::carrier::Message;
use crate::domain::attempt::{Attempt, CarrierWords, OutcomeKind};
use crate::domain::delivery::{Context, Delivery, Others};
use crate::domain::doubt::Step;
use crate::domain::hand_over::HandOver;
use crate::domain::room::Kind;
use crate::domain::sender;
use crate::domain::status::Status;
use crate::domain::telephony::Setup;
use crate::domain::time::Time;
use crate::domain::use_case::Purpose;
use crate::ops::error::{OpError, Result};
use crate::storage::{AttemptEnd, Guard, Lock, NewAttempt, Tx};

/// One whose carrier's breaker is open is looked at again after this long at most.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(30);

/// What the worker does next with a task.
#[derive(Debug)]
pub enum NextMove {
    Call(CallPlan),
    Ask(QuestionPlan),
    /// Nothing is left to do: it was put back, put aside or ended, as it now stands.
    Done(Box<Delivery>),
    /// Another worker or the caller was faster; it is not ours any more.
    Lost,
}

/// A row and its hand-over, as they were written last.
#[derive(Debug, Clone)]
pub struct Begun {
    pub delivery: Delivery,
    pub hand_over: HandOver,
    pub message: Message,
    pub now: Time,
}

#[derive(Debug, Clone)]
pub struct CallPlan {
    pub begun: Begun,
    pub attempt_number: i32,
    /// The carrier's breaker is open, and this call finds out whether it answers again.
    pub is_trial: bool,
}

impl CallPlan {
    /// The carrier has yet to be given the audio; the request is made after that.
    pub fn needs_upload(&self) -> bool {
        self.begun.hand_over.request.is_empty()
    }
}

#[derive(Debug, Clone)]
pub struct QuestionPlan {
    pub begun: Begun,
}

pub fn begin(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    task: &Task,
    chance: f64,
) -> Result<NextMove> {
    let now = tx.now()?;
    let held = &task.delivery;
    let current = tx.find_delivery(held.workspace_id, held.voicemail_id, Lock::Change)?;
    let Some(delivery) = current.filter(|row| Guard::of(row) == Guard::of(held)) else {
        return Ok(NextMove::Lost);
    };
    if delivery.next_time.is_none_or(|lease_end| lease_end <= now) {
        return Ok(NextMove::Lost);
    }
    let context = Context {
        rules: &delivering.rules,
        now,
        chance,
        others: Others::None,
    };
    match task.kind {
        Kind::Send => send(tx, delivering, delivery, context),
        Kind::Rescue => rescue(tx, delivering, delivery, context),
        Kind::Ask => {
            let hand_over = hand_over_of(tx, &delivery)?;
            plan_question(tx, delivering, delivery, hand_over, context)
        }
    }
}

fn send(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    mut delivery: Delivery,
    context: Context<'_>,
) -> Result<NextMove> {
    let guard = Guard::of(&delivery);
    if delivery.expire_time <= context.now {
        let why = "its expire_time has passed".to_owned();
        return put_back(tx, guard, delivery, why, Duration::ZERO, context);
    }
    let setup = match readiness(tx, &delivery, delivering)? {
        Ok(setup) => setup,
        // Its lane is passed over until its setup may send again.
        Err(why) => return put_back(tx, guard, delivery, why, Duration::ZERO, context),
    };
    let known = tx.hand_overs(delivery.voicemail_id)?;
    let no_sender_wait = context.rules.no_sender_wait;
    // The sender stays what it was once the first hand-over has begun.
    if known.is_empty() && !choose_sender_again(tx, delivering, &mut delivery, &setup)? {
        let why = "its use case has no active phone number that may send it; it waits for one";
        return put_back(tx, guard, delivery, why.to_owned(), no_sender_wait, context);
    }
    let lease_end = context.now.plus(delivering.lease);
    let breakers = tx.breakers()?;
    let mut closed_until: Option<Time> = None;
    let allowed = allowed_carriers(tx, delivering, &delivery, &setup)?;
    for name in in_this_round(&allowed, &known, &delivery) {
        let way = way(tx, name, &breakers, lease_end)?;
        if let Way::Closed(until) = way {
            closed_until = Some(closed_until.map_or(until, |other| other.min(until)));
            continue;
        }
        let hand_over = hand_over_to(tx, delivering, &delivery, name, &known, context.now)?;
        let is_trial = way == Way::Trial;
        return plan_call(
            tx, delivering, guard, delivery, hand_over, is_trial, context,
        );
    }
    match closed_until {
        Some(until) => put_off(tx, guard, delivery, until, context),
        None => {
            let why = "no carrier of its setup may be used for it: its sender's number is not allowed with them, or its use case is about health care and they may not have health information; it waits";
            put_back(tx, guard, delivery, why.to_owned(), no_sender_wait, context)
        }
    }
}

/// Those of the carriers that have not refused it in this round; all, where all have.
fn in_this_round<'a>(
    allowed: &'a [String],
    known: &[HandOver],
    delivery: &Delivery,
) -> Vec<&'a String> {
    let has_refused = |name: &String| {
        known.iter().any(|hand_over| {
            hand_over.carrier == *name && hand_over.refused_round == Some(delivery.tries)
        })
    };
    let left: Vec<&String> = allowed.iter().filter(|name| !has_refused(name)).collect();
    match left.is_empty() {
        true => allowed.iter().collect(),
        false => left,
    }
}

/// No call is made; it waits.
fn put_back(
    tx: &mut dyn Tx,
    guard: Guard,
    mut delivery: Delivery,
    why: String,
    wait: Duration,
    context: Context<'_>,
) -> Result<NextMove> {
    delivery.put_back(why, wait, context.now).map_err(refused)?;
    done(tx, guard, delivery)
}

/// The breaker of its carrier is open until then.
fn put_off(
    tx: &mut dyn Tx,
    guard: Guard,
    delivery: Delivery,
    until: Time,
    context: Context<'_>,
) -> Result<NextMove> {
    let why = "its carrier fails again and again; it waits until the carrier answers".to_owned();
    // The trial may succeed long before.
    let wait = until.since(context.now).min(LOOK_AGAIN_MAX);
    put_back(tx, guard, delivery, why, wait, context)
}

/// Writes what became of it; nothing is left to do.
fn done(tx: &mut dyn Tx, guard: Guard, delivery: Delivery) -> Result<NextMove> {
    tx.save_delivery(guard, &delivery)?;
    Ok(NextMove::Done(Box::new(delivery)))
}

/// The answer to [`begin`]'s commit was lost, or it came too late for a call: whatever was written,
/// no call was made, and only the worker that holds the task knows it.
pub fn never_called(tx: &mut dyn Tx, task: &Task) -> Result<()> {
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
            delivery
                .put_back(why, Duration::ZERO, now)
                .map_err(refused)?;
        }
        // An earlier call is in doubt: it is looked at anew, as after a lease's end.
        Kind::Rescue | Kind::Ask => {
            delivery.lease_token = None;
            delivery.next_time = Some(now);
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
    Ok(())
}

/// A row in SENDING that nobody holds. Without an attempt that was begun and not ended, and without
/// a doubt from before, it is certain that nothing left: it goes back. Otherwise the carrier's
/// traits say what may be done.
fn rescue(
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
    match delivery.next_step(
        &hand_over,
        carrier.doubt_traits(&delivery.recipient, &hand_over.reference),
        context,
    ) {
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
            let traits = delivering.traits(&hand_over, &delivery.recipient);
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

/// Writes the attempt down and renews the lease; the call may begin once this is committed.
fn plan_call(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    guard: Guard,
    mut delivery: Delivery,
    hand_over: HandOver,
    is_trial: bool,
    context: Context<'_>,
) -> Result<NextMove> {
    let Some(carrier) = delivering.registry.find(&hand_over.carrier) else {
        return wait_for_carrier(tx, guard, delivery, &hand_over, context);
    };
    let message = message(tx, &delivery)?;
    delivery.begin_attempt(
        &hand_over.carrier,
        carrier.is_simulated(),
        context.now.plus(delivering.lease),
    );
    tx.save_delivery(guard, &delivery)?;
    let attempt_number = delivery.attempt_count;
    tx.insert_attempt(&NewAttempt {
        voicemail_id: delivery.voicemail_id,
        number: attempt_number,
        workspace_id: delivery.workspace_id,
        hand_over_id: hand_over.id,
        carrier: hand_over.carrier.clone(),
        start_time: context.now,
    })?;
    let begun = Begun {
        delivery,
        hand_over,
        message,
        now: context.now,
    };
    Ok(NextMove::Call(CallPlan {
        begun,
        attempt_number,
        is_trial,
    }))
}

fn plan_question(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: Delivery,
    hand_over: HandOver,
    context: Context<'_>,
) -> Result<NextMove> {
    if delivering.registry.find(&hand_over.carrier).is_none() {
        return wait_for_carrier(tx, Guard::of(&delivery), delivery, &hand_over, context);
    }
    let message = message(tx, &delivery)?;
    let begun = Begun {
        delivery,
        hand_over,
        message,
        now: context.now,
    };
    Ok(NextMove::Ask(QuestionPlan { begun }))
}

/// The carrier that has it, or may have it, is not in this process's configuration. Nothing else may
/// be done with it; it is looked at again now and then, until its deadline.
fn wait_for_carrier(
    tx: &mut dyn Tx,
    guard: Guard,
    mut delivery: Delivery,
    hand_over: &HandOver,
    context: Context<'_>,
) -> Result<NextMove> {
    let is_too_long = |since| context.now.since(since) >= context.rules.no_word_deadline;
    if guard.status == Status::Sending && hand_over.doubt_time.is_some_and(is_too_long) {
        delivery
            .give_up(&CarrierWords::default(), context.now)
            .map_err(refused)?;
    } else {
        delivery.status_detail = format!(
            "carrier `{}` is not in the configuration; it waits",
            hand_over.carrier
        );
        delivery.lease_token = None;
        delivery.next_time = Some(context.now.plus(context.rules.no_sender_wait));
    }
    done(tx, guard, delivery)
}

/// Before the first hand-over the sender is chosen again where it may not send any more.
fn choose_sender_again(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &mut Delivery,
    setup: &Setup,
) -> Result<bool> {
    let carriers = delivering.known(&setup.carriers);
    let candidates = tx.sender_candidates(delivery.use_case_id, &carriers)?;
    if candidates
        .iter()
        .any(|candidate| candidate.id == delivery.sender_id)
    {
        return Ok(true);
    }
    match sender::choose(&candidates, &delivery.recipient, None) {
        Err(_) => Ok(false),
        Ok(chosen) => {
            delivery.sender_id = chosen.id;
            delivery.sender = chosen.number.clone();
            tx.save_sender(delivery)?;
            Ok(true)
        }
    }
}

/// The carriers of the setup that are configured and may be used for it, in order: the sender's number
/// allows them, and they may have health information where it is about that.
pub(super) fn allowed_carriers(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    setup: &Setup,
) -> Result<Vec<String>> {
    let sender = tx.find_number(delivery.workspace_id, delivery.sender_id, Lock::None)?;
    let allows = |name: &String| sender.as_ref().is_some_and(|number| number.allows(name));
    let mut known = delivering.known(&setup.carriers);
    known.retain(allows);
    let may_have_it = |name: &String| delivering.registry.may_have_health_information(name);
    if !known.iter().all(may_have_it) && is_about_health_care(tx, delivery)? {
        known.retain(may_have_it);
    }
    Ok(known)
}

/// One whose use case can't be found is taken for it.
fn is_about_health_care(tx: &mut dyn Tx, delivery: &Delivery) -> Result<bool> {
    let use_case = tx.find_use_case(delivery.workspace_id, delivery.use_case_id, Lock::None)?;
    Ok(use_case.is_none_or(|it| it.purpose == Some(Purpose::Healthcare)))
}

/// The worker still works on it: its lease is counted anew. `false`: it was lost.
pub fn renew(tx: &mut dyn Tx, delivering: &Delivering, delivery: &Delivery) -> Result<bool> {
    let until = tx.now()?.plus(delivering.lease);
    Ok(tx.renew_lease(Guard::of(delivery), until)?)
}

fn hand_over_of(tx: &mut dyn Tx, delivery: &Delivery) -> Result<HandOver> {
    tx.last_hand_over(delivery.voicemail_id)?.ok_or_else(|| {
        OpError::Internal(format!(
            "voicemail {} is SENT without a hand-over",
            delivery.voicemail_id
        ))
    })
}
