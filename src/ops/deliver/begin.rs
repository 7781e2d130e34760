//! Begin a call: the last look before anything leaves. The row must still be ours; the hand-over
//! and the attempt are written down; only then may the worker call the carrier.

use super::claim::refused;
use super::{Delivering, Task, TaskKind, readiness};
use crate::carrier::Message;
use crate::domain::attempt::{CarrierWords, OutcomeKind};
use crate::domain::delivery::{Context, Delivery, HandOver};
use crate::domain::doubt::Step;
use crate::domain::ids::HandOverId;
use crate::domain::sender;
use crate::domain::telephony::Setup;
use crate::domain::time::Time;
use crate::ops::error::{OpError, Result};
use crate::storage::{AttemptEnd, Guard, Lock, NewAttempt, Tx};

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
    let current = tx.find_delivery(held.workspace_id, held.voicemail_id, Lock::Update)?;
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
    };
    match task.kind {
        TaskKind::Send => send(tx, delivering, delivery, context),
        TaskKind::Rescue => rescue(tx, delivering, delivery, context),
        TaskKind::Ask => {
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
    let setup = match readiness(tx, &delivery, delivering)? {
        Ok(setup) => setup,
        Err(why) => {
            delivery
                .put_back(String::new(), std::time::Duration::ZERO, context.now)
                .map_err(refused)?;
            delivery.hold(why);
            tx.save_delivery(guard, &delivery)?;
            return Ok(NextMove::Done(Box::new(delivery)));
        }
    };
    let known = tx.last_hand_over(delivery.voicemail_id)?;
    let hand_over = match known {
        Some(known) => known,
        None => {
            if !choose_sender_again(tx, &mut delivery, &setup)? {
                let why =
                    "its use case has no active phone number that may send it; it waits for one"
                        .to_owned();
                delivery
                    .put_back(why, context.rules.no_sender_wait, context.now)
                    .map_err(refused)?;
                tx.save_delivery(guard, &delivery)?;
                return Ok(NextMove::Done(Box::new(delivery)));
            }
            match new_hand_over(tx, delivering, &delivery, &setup, context.now)? {
                Some(hand_over) => hand_over,
                None => {
                    let why = "its sender's number may not be used with any carrier of the setup; it waits".to_owned();
                    delivery
                        .put_back(why, context.rules.no_sender_wait, context.now)
                        .map_err(refused)?;
                    tx.save_delivery(guard, &delivery)?;
                    return Ok(NextMove::Done(Box::new(delivery)));
                }
            }
        }
    };
    plan_call(tx, delivering, guard, delivery, hand_over, context)
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
        .map(|attempt| attempt.number);
    let known = tx.last_hand_over(delivery.voicemail_id)?;
    let mut hand_over = match (open, known) {
        (Some(_), Some(hand_over)) => hand_over,
        (None, Some(hand_over)) if hand_over.in_doubt => hand_over,
        _ => {
            let why =
                "its worker ended before the hand-over began; it is handed over again".to_owned();
            delivery
                .put_back(why, std::time::Duration::ZERO, context.now)
                .map_err(refused)?;
            tx.save_delivery(guard, &delivery)?;
            return Ok(NextMove::Done(Box::new(delivery)));
        }
    };
    if let Some(number) = open {
        let words = CarrierWords::new("", "", "the worker ended during the call");
        let end = AttemptEnd {
            end_time: context.now,
            outcome: OutcomeKind::Unknown,
            failure_reason: None,
            words,
        };
        tx.end_attempt(delivery.voicemail_id, number, &end)?;
        hand_over.in_doubt = true;
        tx.save_hand_over(&hand_over)?;
    }
    let Some(carrier) = delivering.registry.find(&hand_over.carrier) else {
        return wait_for_carrier(tx, guard, delivery, &hand_over, context);
    };
    match delivery.next_step(
        &hand_over,
        carrier.doubt_traits(&delivery.recipient),
        context,
    ) {
        Step::Repeat => plan_call(tx, delivering, guard, delivery, hand_over, context),
        Step::Ask => plan_question(tx, delivering, delivery, hand_over, context),
        Step::GiveUp => {
            delivery
                .give_up(&CarrierWords::default(), context.now)
                .map_err(refused)?;
            tx.save_delivery(guard, &delivery)?;
            Ok(NextMove::Done(Box::new(delivery)))
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

/// The carrier that has it, or may have it, is gone from the configuration. Nothing else may be
/// done with it; it is looked at again now and then, until its deadline.
fn wait_for_carrier(
    tx: &mut dyn Tx,
    guard: Guard,
    mut delivery: Delivery,
    hand_over: &HandOver,
    context: Context<'_>,
) -> Result<NextMove> {
    let wait = context.rules.no_sender_wait;
    let in_doubt_too_long =
        context.now.since(hand_over.create_time) >= context.rules.no_word_deadline;
    if guard.status == crate::domain::status::Status::Sending
        && hand_over.in_doubt
        && in_doubt_too_long
    {
        delivery
            .give_up(&CarrierWords::default(), context.now)
            .map_err(refused)?;
    } else if guard.status == crate::domain::status::Status::Sending && !hand_over.in_doubt {
        delivery
            .put_back(String::new(), wait, context.now)
            .map_err(refused)?;
        delivery.hold(gone(&hand_over.carrier));
    } else {
        delivery.status_detail = gone(&hand_over.carrier);
        delivery.lease_token = None;
        delivery.next_time = Some(context.now.plus(wait));
    }
    tx.save_delivery(guard, &delivery)?;
    Ok(NextMove::Done(Box::new(delivery)))
}

fn gone(carrier: &str) -> String {
    format!("carrier `{carrier}` is not in the configuration; it waits")
}

/// Before the first hand-over the sender is chosen again where it may not send any more.
fn choose_sender_again(tx: &mut dyn Tx, delivery: &mut Delivery, setup: &Setup) -> Result<bool> {
    let candidates = tx.sender_candidates(delivery.use_case_id, &setup.carriers)?;
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

/// The first carrier of the setup that is configured and that the sender's number allows.
fn new_hand_over(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    setup: &Setup,
    now: Time,
) -> Result<Option<HandOver>> {
    let sender = tx.find_number(delivery.workspace_id, delivery.sender_id, Lock::None)?;
    let allowed = |name: &&String| sender.as_ref().is_some_and(|number| number.allows(name));
    let found = setup.carriers.iter().filter(allowed).find_map(|name| {
        delivering
            .registry
            .find(name)
            .map(|carrier| (name, carrier))
    });
    let Some((name, carrier)) = found else {
        return Ok(None);
    };
    let hand_over = HandOver {
        id: HandOverId::generate(),
        workspace_id: delivery.workspace_id,
        voicemail_id: delivery.voicemail_id,
        carrier: name.clone(),
        request: carrier.request(&message(tx, delivery)?),
        reference: String::new(),
        in_doubt: false,
        asks: 0,
        create_time: now,
    };
    tx.insert_hand_over(&hand_over)?;
    Ok(Some(hand_over))
}

fn hand_over_of(tx: &mut dyn Tx, delivery: &Delivery) -> Result<HandOver> {
    tx.last_hand_over(delivery.voicemail_id)?.ok_or_else(|| {
        OpError::Internal(format!(
            "voicemail {} is SENT without a hand-over",
            delivery.voicemail_id
        ))
    })
}

fn message(tx: &mut dyn Tx, delivery: &Delivery) -> Result<Message> {
    let audio = tx
        .find_audio(delivery.workspace_id, delivery.audio_id)?
        .ok_or_else(|| {
            OpError::Internal(format!(
                "the audio of voicemail {} is gone",
                delivery.voicemail_id
            ))
        })?;
    Ok(Message {
        voicemail_id: delivery.voicemail_id,
        sender: delivery.sender.clone(),
        recipient: delivery.recipient.clone(),
        audio_sha256: audio.sha256,
    })
}
