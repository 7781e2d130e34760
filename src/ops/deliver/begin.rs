//! Begin a call: the last look before anything leaves. The row must still be ours; the hand-over
//! and the attempt are written down; only then may the worker call the carrier.

use std::time::Duration;

use super::breaker::{Way, way};
use super::claim::refused;
use super::request::{hand_over_to, message};
use super::rescue::rescue;
use super::senders::{self, SenderVerdict, judge_sender, note_full, take_sender};
use super::{Delivering, Task, gated, readiness, use_case_of};
use crate::carrier::Message;
use crate::domain::attempt::CarrierWords;
use crate::domain::delivery::{Context, Delivery, Others};
use crate::domain::hand_over::HandOver;
use crate::domain::room::Kind;
use crate::domain::status::Status;
use crate::domain::telephony::Setup;
use crate::domain::time::Time;
use crate::domain::use_case::Purpose;
use crate::ops::error::{OpError, Result};
use crate::storage::{Guard, Lock, NewAttempt, Tx};

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
    let use_case = use_case_of(tx, &delivery)?;
    if let Some(why) = use_case.why_waiting() {
        // Its lane is passed over until it is resumed.
        return put_back(tx, guard, delivery, why, Duration::ZERO, context);
    }
    let known = tx.hand_overs(delivery.voicemail_id)?;
    let no_sender_wait = context.rules.no_sender_wait;
    let mut found = gated::ask(tx, delivering, &delivery, &use_case, &setup)?;
    let sender = judge_sender(tx, delivering, &delivery, (&use_case, &setup), &known)?;
    let finding = senders::finding(&sender, context.now, no_sender_wait);
    found.findings.push(finding);
    if let Some(decisive) = found.decisive() {
        note_full(tx, &use_case, &sender, decisive)?;
        return gated::stop(tx, guard, delivery, &found, decisive, context.now);
    }
    if let SenderVerdict::Good(choice) = &sender {
        take_sender(tx, &mut delivery, choice)?;
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
        tx.keep_gate_check(delivery.workspace_id, delivery.voicemail_id, &found)?;
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
pub(super) fn put_back(
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
pub(super) fn done(tx: &mut dyn Tx, guard: Guard, delivery: Delivery) -> Result<NextMove> {
    tx.save_delivery(guard, &delivery)?;
    Ok(NextMove::Done(Box::new(delivery)))
}

/// Writes the attempt down and renews the lease; the call may begin once this is committed.
pub(super) fn plan_call(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    guard: Guard,
    mut delivery: Delivery,
    mut hand_over: HandOver,
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
    // From now on it may have been sent; a new one counts since it was made, which is now.
    let before = hand_over.counts_time;
    hand_over.count(context.now);
    if hand_over.counts_time != before {
        hand_over.recipient.clone_from(&delivery.recipient);
        hand_over.sender_id = Some(delivery.sender_id);
        tx.save_hand_over(&hand_over)?;
    }
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

pub(super) fn plan_question(
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
pub(super) fn wait_for_carrier(
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
