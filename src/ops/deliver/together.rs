//! Many deliveries in one unit of work: claimed and begun together, and recorded together. Each goes through the same
//! steps as one alone; only how they are read and written differs (see [`TogetherStore`](crate::storage::TogetherStore)).

use std::collections::BTreeSet;

use super::claim::{Claimed, Round, Task, claim};
use super::{CallPlan, Delivering, NextMove, Recorded, begin, record_outcome, use_case_of};
use crate::domain::attempt::{CarrierWords, Outcome};
use crate::domain::delivery::Delivery;
use crate::domain::ids::{LeaseToken, PhoneNumberId, UseCaseId, VoicemailId};
use crate::domain::room::{Kind, Room};
use crate::ops::error::Result;
use crate::ops::gates;
use crate::storage::{Guard, Lock, Tx};

/// What was claimed, and what was begun of it at once.
#[derive(Debug, Default)]
pub struct Started {
    /// What is yet to be begun: rescues and questions.
    pub claimed: Claimed,
    pub begun: Vec<(Task, NextMove)>,
}

/// Claims what is due, and begins what was waiting. A voicemail that is handed over for the first time is written once
/// for both.
pub fn claim_and_begin(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    round: &mut Round,
    room: Room,
    token: LeaseToken,
    mut chance: impl FnMut() -> f64,
) -> Result<Started> {
    tx.together();
    let mut claimed = claim(tx, delivering, round, room, token)?;
    let (waiting, others) = std::mem::take(&mut claimed.tasks)
        .into_iter()
        .partition(|task: &Task| task.kind == Kind::Send);
    claimed.tasks = others;
    let waiting: Vec<Task> = waiting;
    let ids: Vec<VoicemailId> = waiting
        .iter()
        .map(|task| task.delivery.voicemail_id)
        .collect();
    if !ids.is_empty() {
        tx.look_ahead(&ids)?;
        lock_what_is_counted(tx, delivering, &waiting)?;
    }
    let mut begun = Vec::with_capacity(waiting.len());
    for task in waiting {
        let next = begin(tx, delivering, &task, chance())?;
        begun.push((task, next));
    }
    Ok(Started { claimed, begun })
}

/// What the caps of these are counted by: recipients, then numbers, each in an order that is the same everywhere. Two
/// workers that lock one by one, each in the order of its own voicemails, could wait for one another.
fn lock_what_is_counted(tx: &mut dyn Tx, delivering: &Delivering, tasks: &[Task]) -> Result<()> {
    let mut recipients = Vec::new();
    let mut numbers: BTreeSet<PhoneNumberId> = BTreeSet::new();
    let mut seen: BTreeSet<UseCaseId> = BTreeSet::new();
    for Task { delivery, .. } in tasks {
        let use_case = use_case_of(tx, delivery)?;
        let purpose = gates::purpose_of(&use_case);
        let profile = delivering.gates.profiles.find(purpose);
        if profile.is_some_and(|profile| !profile.caps.is_empty()) {
            recipients.push((delivery.workspace_id, delivery.recipient.clone()));
        }
        if seen.insert(delivery.use_case_id) {
            numbers.extend(capped_candidates(tx, delivering, delivery)?);
        }
        // After its first hand-over it keeps its number, also where that is assigned no more.
        if delivery.attempt_count > 0 {
            numbers.insert(delivery.sender_id);
        }
    }
    if !recipients.is_empty() {
        tx.lock_recipients(&recipients)?;
    }
    if !numbers.is_empty() {
        tx.lock_numbers(&numbers.into_iter().collect::<Vec<_>>())?;
    }
    Ok(())
}

fn capped_candidates(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
) -> Result<Vec<PhoneNumberId>> {
    let setup = tx.find_setup(delivery.workspace_id, delivery.setup_id, Lock::None)?;
    let Some(setup) = setup else {
        return Ok(Vec::new());
    };
    let candidates =
        tx.sender_candidates(delivery.use_case_id, &delivering.known(&setup.carriers))?;
    let capped = candidates.into_iter().filter(|number| number.cap.is_some());
    Ok(capped.map(|number| number.id).collect())
}

/// A call that has been answered.
#[derive(Debug, Clone)]
pub struct Called {
    pub plan: CallPlan,
    pub outcome: Outcome,
    pub words: CarrierWords,
    pub chance: f64,
}

/// Records what calls came to. `None` for one that is not ours any more: it is to be recorded alone, because what it then
/// does depends on what has become of it meanwhile.
pub fn record_together(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    called: &[Called],
) -> Result<Vec<Option<Recorded>>> {
    tx.together();
    let before = |called: &Called| called.plan.begun.delivery.voicemail_id;
    tx.lock_deliveries(&called.iter().map(before).collect::<Vec<_>>())?;
    let mut recorded = Vec::with_capacity(called.len());
    for Called {
        plan,
        outcome,
        words,
        chance,
    } in called
    {
        let before = &plan.begun.delivery;
        let current = tx.locked_delivery(before.voicemail_id);
        let is_ours = current.is_some_and(|row| Guard::of(&row) == Guard::of(before));
        recorded.push(match is_ours {
            true => Some(record_outcome(
                tx, delivering, plan, outcome, words, *chance,
            )?),
            false => None,
        });
    }
    Ok(recorded)
}
