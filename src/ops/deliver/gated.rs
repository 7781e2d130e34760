//! The gates within a worker's steps: before a hand-over, and before the repeat of one in doubt.

use std::time::Duration;

use super::Delivering;
use super::begin::{NextMove, done};
use super::claim::refused;
use crate::domain::delivery::{Context, Delivery};
use crate::domain::doubt::DoubtTraits;
use crate::domain::gate::{Finding, Findings, Verdict};
use crate::domain::hand_over::HandOver;
use crate::domain::telephony::Setup;
use crate::domain::time::Time;
use crate::domain::use_case::UseCase;
use crate::ops::error::{OpError, Result};
use crate::ops::gates::{self, Repeat, Subject};
use crate::storage::{Guard, Lock, Tx};

/// Asks all gates but the sender's.
pub(super) fn ask(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    use_case: &UseCase,
    setup: &Setup,
) -> Result<Findings> {
    let audio = tx.find_audio(delivery.workspace_id, delivery.audio_id)?;
    let audio = audio.ok_or_else(|| {
        OpError::Internal(format!(
            "the audio of voicemail {} is gone",
            delivery.voicemail_id
        ))
    })?;
    let subject = Subject {
        audio_length: Some(Duration::from_millis(audio.duration_ms.into())),
        ..subject(delivery, use_case, setup, tx.now()?)
    };
    gates::check(tx, &delivering.gates, &delivering.registry, &subject)
}

/// It may not be handed over now: it is held or ends, and what the gates found is kept with it.
pub(super) fn stop(
    tx: &mut dyn Tx,
    guard: Guard,
    mut delivery: Delivery,
    found: &Findings,
    decisive: &Finding,
    now: Time,
) -> Result<NextMove> {
    tx.keep_gate_check(delivery.workspace_id, delivery.voicemail_id, found)?;
    let why = decisive.why.clone();
    match decisive.verdict {
        Verdict::Hold { until } => delivery.hold(decisive.gate, why, until, now),
        Verdict::Refuse { reason } => delivery.refuse(reason, why, now),
        Verdict::Pass => Ok(()),
    }
    .map_err(refused)?;
    done(tx, guard, delivery)
}

/// What may be done in doubt, now that a repeat may be what delivers the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    By(DoubtTraits),
    /// It may be repeated, and not before this time.
    RepeatFrom(Time),
}

pub(super) fn in_doubt(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    hand_over: &HandOver,
    traits: DoubtTraits,
    context: Context<'_>,
) -> Result<Allowed> {
    let Some(memory) = traits.repeatable_for else {
        return Ok(Allowed::By(traits));
    };
    let no_repeat = DoubtTraits {
        repeatable_for: None,
        ..traits
    };
    Ok(match may_repeat(tx, delivering, delivery, context.now)? {
        Repeat::Yes => Allowed::By(traits),
        Repeat::No => Allowed::By(no_repeat),
        Repeat::From(time) => {
            let doubted = hand_over.doubt_time.unwrap_or(context.now);
            let is_known_then = time.since(hand_over.create_time) < memory;
            let is_awaited_then = time.since(doubted) < context.rules.no_word_deadline;
            match is_known_then && is_awaited_then {
                true => Allowed::RepeatFrom(time),
                false => Allowed::By(no_repeat),
            }
        }
    })
}

fn may_repeat(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    now: Time,
) -> Result<Repeat> {
    let workspace = delivery.workspace_id;
    let use_case = tx.find_use_case(workspace, delivery.use_case_id, Lock::None)?;
    let setup = tx.find_setup(workspace, delivery.setup_id, Lock::None)?;
    match (use_case, setup) {
        (Some(use_case), Some(setup)) => {
            let subject = subject(delivery, &use_case, &setup, now);
            gates::may_repeat(tx, &delivering.gates, &delivering.registry, &subject)
        }
        // What holds for it can't be known.
        _ => Ok(Repeat::No),
    }
}

fn subject<'a>(
    delivery: &'a Delivery,
    use_case: &'a UseCase,
    setup: &'a Setup,
    now: Time,
) -> Subject<'a> {
    Subject {
        workspace: delivery.workspace_id,
        use_case,
        setup,
        recipient: &delivery.recipient,
        time_zone: delivery.time_zone.as_deref(),
        postal_code: delivery.postal_code.as_deref(),
        audio_length: None,
        send_time: now,
        expire_time: Some(delivery.expire_time),
    }
}
