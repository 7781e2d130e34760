//! GetVoicemail, UpdateVoicemail and CancelVoicemail.

use std::time::Duration;

use super::deliver::NO_CARRIER;
use super::error::{OpError, Resource, Result, Violation};
use super::setups;
use super::times::{due_time, expire_fault, schedule_fault};
use crate::carrier::Registry;
use crate::domain::ids::{VoicemailId, WorkspaceId};
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::domain::voicemail::Voicemail;
use crate::storage::{Guard, Lock, Tx};

pub fn get(tx: &mut dyn Tx, workspace: WorkspaceId, id: VoicemailId) -> Result<Voicemail> {
    tx.find_voicemail(workspace, id)?
        .ok_or(OpError::NotFound(Resource::Voicemail, id.uuid()))
}

/// As it is shown by itself: one that waits for its setup or its use case says so.
pub fn explained(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: VoicemailId,
    registry: &Registry,
) -> Result<Voicemail> {
    let mut voicemail = get(tx, workspace, id)?;
    let now = tx.now()?;
    // One that is held says so itself, and waits for an operator whatever its setup does.
    let row = tx.find_delivery(workspace, id, Lock::None)?;
    if voicemail.status == Status::Accepted && !row.is_some_and(|row| row.held) {
        let why = match tx.find_setup(workspace, voicemail.setup_id, Lock::None)? {
            None => None,
            Some(setup) => {
                let breakers = tx.breakers()?;
                let is_known = setup
                    .carriers
                    .iter()
                    .any(|name| registry.find(name).is_some());
                let why = setups::shown(setup, registry, &breakers).why_waiting();
                why.or_else(|| (!is_known).then(|| NO_CARRIER.to_owned()))
            }
        };
        let why = match why {
            Some(why) => Some(why),
            None => tx
                .find_use_case(workspace, voicemail.use_case_id, Lock::None)?
                .and_then(|use_case| use_case.why_waiting().or(use_case.why_full(now))),
        };
        voicemail.status_detail = why.unwrap_or(voicemail.status_detail);
    }
    if let Some(why) = suppressed_on_its_way(tx, &voicemail)? {
        let detail = std::mem::take(&mut voicemail.status_detail);
        voicemail.status_detail = match detail.is_empty() {
            true => why,
            false => format!("{detail}; {why}"),
        };
    }
    Ok(voicemail)
}

/// A suppression stops what waits. Of one that came while a carrier had the message, or may have had it,
/// the voicemail says so.
fn suppressed_on_its_way(tx: &mut dyn Tx, voicemail: &Voicemail) -> Result<Option<String>> {
    let Some(left) = voicemail.attempts.first().map(|attempt| attempt.start_time) else {
        return Ok(None);
    };
    if matches!(voicemail.status, Status::Accepted | Status::Skipped) {
        return Ok(None);
    }
    let workspace = voicemail.workspace_id;
    let all = tx.suppressions_of(workspace, &voicemail.recipient)?;
    let came_meanwhile = |time| time > left && voicemail.end_time.is_none_or(|end| time < end);
    let mut meanwhile = all.into_iter().filter(|it| came_meanwhile(it.create_time));
    let Some(use_case) = tx.find_use_case(workspace, voicemail.use_case_id, Lock::None)? else {
        return Ok(None);
    };
    let found = meanwhile.find(|it| it.scope.covers(&use_case.entity_name, use_case.id));
    Ok(found.map(|it| {
        let what = it.reason.detail(it.create_time);
        format!("{what}, when a carrier had the message already, or may have had it")
    }))
}

/// The times that a caller changes; `Some(None)` takes one back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimesChange {
    pub schedule_time: Option<Option<Time>>,
    pub expire_time: Option<Option<Time>>,
}

/// Changes when it leaves and expires, while it waits for its first attempt. What it was asked for under
/// its request id stays as it was, so that a repeat of the send is still known as one.
pub fn update(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: VoicemailId,
    change: TimesChange,
    expire_after: Duration,
) -> Result<Voicemail> {
    let mut delivery = tx
        .find_delivery(workspace, id, Lock::Change)?
        .ok_or(OpError::NotFound(Resource::Voicemail, id.uuid()))?;
    if !delivery.may_change_times() {
        return Err(OpError::NotUpdatable {
            voicemail_id: id,
            status: delivery.status,
        });
    }
    let now = tx.now()?;
    let schedule = match change.schedule_time {
        None => get(tx, workspace, id)?.schedule_time,
        Some(schedule) => schedule,
    };
    let due = match change.schedule_time {
        None => delivery.due_time,
        // What may leave already was first allowed to when it was.
        Some(schedule) if schedule.is_none_or(|time| time <= now) => delivery.due_time.min(now),
        Some(schedule) => due_time(schedule, now),
    };
    // A window may have made it due later than the caller wants it.
    let start = due_time(schedule, now);
    let expire = match change.expire_time {
        None => delivery.expire_time,
        Some(expire) => expire.unwrap_or(start.plus(expire_after)),
    };
    OpError::unless_empty(update_faults(change, start, expire, now))?;
    delivery.set_times(due, expire, change.schedule_time.is_some());
    tx.save_times(&delivery, schedule)?;
    get(tx, workspace, id)
}

fn update_faults(change: TimesChange, start: Time, expire: Time, now: Time) -> Vec<Violation> {
    const AT: &str = "voicemail.";
    let late = change
        .schedule_time
        .flatten()
        .and_then(|schedule| schedule_fault(AT, schedule, now));
    let early = match change.expire_time {
        // The one that it has is no longer after the new schedule_time.
        None => (expire <= start).then(|| {
            Violation::field(
                format!("{AT}schedule_time"),
                format!("the voicemail would leave at {start} and expires at {expire}. Give a later expire_time with it"),
            )
        }),
        Some(_) => expire_fault(AT, expire, start),
    };
    late.into_iter().chain(early).collect()
}

/// Wins only from ACCEPTED; cancelling a cancelled one answers as the first time.
pub fn cancel(tx: &mut dyn Tx, workspace: WorkspaceId, id: VoicemailId) -> Result<Voicemail> {
    let mut delivery = tx
        .find_delivery(workspace, id, Lock::Change)?
        .ok_or(OpError::NotFound(Resource::Voicemail, id.uuid()))?;
    if delivery.status != Status::Cancelled {
        let guard = Guard::of(&delivery);
        let now = tx.now()?;
        delivery
            .cancel(now)
            .map_err(|refused| OpError::NotCancellable {
                voicemail_id: id,
                status: refused.from,
            })?;
        tx.save_delivery(guard, &delivery)?;
    }
    get(tx, workspace, id)
}
