//! The last gate before a call: which number sends it. A number's cap is counted under the number's lock,
//! so that two workers never take its last place.

use std::time::Duration;

use super::Delivering;
use crate::domain::delivery::Delivery;
use crate::domain::gate::{Finding, Gate, Verdict};
use crate::domain::hand_over::HandOver;
use crate::domain::ids::{PhoneNumberId, VoicemailId};
use crate::domain::phone::PhoneNumber;
use crate::domain::sender::{Candidate, Choice, NoSender, SenderRule, Wanted, choose};
use crate::domain::telephony::Setup;
use crate::domain::time::Time;
use crate::domain::use_case::UseCase;
use crate::domain::warm_up::WINDOW;
use crate::ops::error::Result;
use crate::storage::{Lock, Tx};

const NONE_ACTIVE: &str =
    "its use case has no active phone number that may send it; it waits for one";
/// What waits for a number with room is looked at again after this long at most.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(60);

const MAIN_MAY_NOT_SEND: &str = "its use case's main number is not assigned, not active, or not allowed with a carrier of the setup; it waits for it";
const SENDER_IS_GONE: &str =
    "the number that it was first sent from is deleted, and it is sent from no other; it waits";
const PLACE_TAKEN: &str =
    "another voicemail took the last place of its number; it is looked at again";

/// Who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SenderVerdict {
    /// This number. Where it has a cap there is room for one more, and nobody else takes it until the unit
    /// of work ends.
    Good(Choice),
    /// None may before `until`. `is_for_all`: so it is for everything that waits in its use case.
    Wait {
        until: Time,
        why: String,
        is_for_all: bool,
    },
    /// The use case has no assigned, active number that may.
    NoneActive,
}

/// Before the first hand-over the sender is chosen again where the one that it has may not send any more,
/// or has reached its cap; after that it is fixed. Writes nothing.
pub fn judge_sender(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    (use_case, setup): (&UseCase, &Setup),
    known: &[HandOver],
) -> Result<SenderVerdict> {
    if !known.is_empty() {
        return judge_fixed(tx, delivering, delivery);
    }
    let carriers = delivering.known(&setup.carriers);
    let asked = Asked {
        recipient: &delivery.recipient,
        voicemail: Some(delivery.voicemail_id),
        current: Some(delivery.sender_id),
        wait: delivering.rules.no_sender_wait,
        time: tx.now()?,
    };
    match choose_now(tx, &carriers, use_case, asked)? {
        SenderVerdict::Good(choice) => take_place(tx, choice),
        none => Ok(none),
    }
}

/// What a sender is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub recipient: &'a PhoneNumber,
    /// None: there is none yet.
    pub voicemail: Option<VoicemailId>,
    /// The sender that it has.
    pub current: Option<PhoneNumberId>,
    /// How long to wait where a number may not send at all.
    pub wait: Duration,
    /// When it would be sent.
    pub time: Time,
}

/// Who would send it now, without taking a place.
pub fn choose_now(
    tx: &mut dyn Tx,
    carriers: &[String],
    use_case: &UseCase,
    asked: Asked<'_>,
) -> Result<SenderVerdict> {
    let now = asked.time;
    let mut candidates = tx.sender_candidates(use_case.id, carriers)?;
    for candidate in &mut candidates {
        candidate.full_until = full_until(tx, candidate, now)?;
    }
    let last_sender = tx.last_sender(
        use_case.workspace_id,
        use_case.id,
        asked.recipient,
        asked.voicemail,
    )?;
    let wanted = Wanted {
        recipient: asked.recipient,
        last_sender: last_sender.as_ref(),
        current: asked.current,
        plan: use_case.senders,
    };
    Ok(match choose(&candidates, wanted) {
        Ok(choice) => SenderVerdict::Good(choice),
        Err(NoSender::NoActiveNumber | NoSender::OnlyTheRecipient) => SenderVerdict::NoneActive,
        Err(NoSender::MainMayNotSend) => SenderVerdict::Wait {
            until: now.plus(asked.wait),
            why: MAIN_MAY_NOT_SEND.to_owned(),
            is_for_all: false,
        },
        Err(NoSender::AllCapped { frees, is_for_all }) => SenderVerdict::Wait {
            until: frees,
            is_for_all,
            why: format!(
                "each number that may send it has reached its cap of 24 hours; the first one has room again at {frees}"
            ),
        },
    })
}

/// What the gate of the sender says, for the record.
pub fn finding(verdict: &SenderVerdict, now: Time, no_sender_wait: Duration) -> Finding {
    let gate = Gate::Sender;
    match verdict {
        SenderVerdict::Good(choice) => {
            let finding = Finding::new(gate, Verdict::Pass, "a number may send it")
                .input("sender", choice.candidate.number.e164())
                .input("chosen by", choice.rule.as_str())
                .input("numbers to choose from", choice.candidates);
            match choice.capped.len() {
                0 => finding,
                capped => finding.input("of these at their cap", capped),
            }
        }
        SenderVerdict::Wait { until, why, .. } => {
            // A cap can be raised, and a place given back.
            let until = (*until).min(now.plus(LOOK_AGAIN_MAX));
            Finding::new(gate, Verdict::Hold { until }, why.clone())
        }
        SenderVerdict::NoneActive => {
            let until = now.plus(no_sender_wait);
            Finding::new(gate, Verdict::Hold { until }, NONE_ACTIVE)
        }
    }
}

/// The sender is what it was at the first hand-over, also where it has become inactive since.
fn judge_fixed(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
) -> Result<SenderVerdict> {
    let now = tx.now()?;
    let found = tx.find_number(delivery.workspace_id, delivery.sender_id, Lock::None)?;
    let Some(number) = found else {
        return Ok(SenderVerdict::Wait {
            until: now.plus(delivering.rules.no_sender_wait),
            why: SENDER_IS_GONE.to_owned(),
            is_for_all: false,
        });
    };
    let mut candidate = number.candidate(now);
    candidate.full_until = full_until(tx, &candidate, now)?;
    match candidate.full_until {
        Some(until) => Ok(SenderVerdict::Wait {
            until,
            is_for_all: false,
            why: format!(
                "the number that it was first sent from has reached its cap of 24 hours; it has room again at {until}"
            ),
        }),
        None => take_place(
            tx,
            Choice {
                candidate,
                rule: SenderRule::Fixed,
                candidates: 1,
                capped: Vec::new(),
            },
        ),
    }
}

/// The look before was without a lock, so that numbers with room are found at no cost to others. Only
/// the one that is chosen is locked, and counted again: no two units of work wait for each other's.
fn take_place(tx: &mut dyn Tx, choice: Choice) -> Result<SenderVerdict> {
    if choice.candidate.cap.is_none() {
        return Ok(SenderVerdict::Good(choice));
    }
    tx.lock_numbers(&[choice.candidate.id])?;
    let now = tx.now()?;
    Ok(match full_until(tx, &choice.candidate, now)? {
        None => SenderVerdict::Good(choice),
        Some(_) => SenderVerdict::Wait {
            until: now,
            why: PLACE_TAKEN.to_owned(),
            is_for_all: false,
        },
    })
}

/// Until when its cap is reached; `None`: there is room for one more.
fn full_until(tx: &mut dyn Tx, candidate: &Candidate, now: Time) -> Result<Option<Time>> {
    let Some(cap) = candidate.cap else {
        return Ok(None);
    };
    let last = tx.nth_counted_of_sender(candidate.id, cap, now.minus(WINDOW))?;
    let frees = last.map(|used| used.plus(WINDOW));
    Ok(frees.map(|frees| candidate.cap_until.map_or(frees, |other| other.min(frees))))
}

/// Where all that waits in its use case waits for a sender too, the use case's lane is passed over, so
/// that a queue of any length is not written again and again.
pub(super) fn note_full(
    tx: &mut dyn Tx,
    use_case: &UseCase,
    sender: &SenderVerdict,
    decisive: &Finding,
) -> Result<()> {
    match (sender, decisive.verdict) {
        (
            SenderVerdict::Wait {
                is_for_all: true, ..
            },
            Verdict::Hold { until },
        ) if decisive.gate == Gate::Sender => Ok(tx.set_senders_full(use_case.id, until)?),
        _ => Ok(()),
    }
}

/// Writes the sender down where it is another than before.
pub(super) fn take_sender(tx: &mut dyn Tx, delivery: &mut Delivery, choice: &Choice) -> Result<()> {
    if delivery.sender_id == choice.candidate.id {
        return Ok(());
    }
    delivery.sender_id = choice.candidate.id;
    delivery.sender = choice.candidate.number.clone();
    Ok(tx.save_sender(delivery)?)
}
