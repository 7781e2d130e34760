//! Sender numbers: create, get, list, update, delete, activate, deactivate.

use super::error::{OpError, Resource, Result};
use super::fingerprint::Fingerprint;
use super::setups::{find_created, note_created};
use crate::domain::ids::{PhoneNumberId, SetupId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::telephony::{NumberStatus, SenderNumber, Setup};
use crate::domain::time::Time;
use crate::domain::warm_up::{NumberCaps, WarmUpStep};
use crate::storage::{Error, Lock, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNumber {
    pub setup_id: SetupId,
    pub number: PhoneNumber,
    pub display_name: String,
    pub carriers: Vec<String>,
    pub caps: NumberCaps,
    pub request_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberChange {
    pub display_name: Option<String>,
    pub carriers: Option<Vec<String>>,
    pub daily_cap: Option<i32>,
    pub warm_up: Option<Vec<WarmUpStep>>,
    pub warm_up_start_time: Option<Option<Time>>,
}

const KIND: &str = "phone_number";

/// ACTIVE at once.
pub fn create(tx: &mut dyn Tx, workspace: WorkspaceId, new: &NewNumber) -> Result<SenderNumber> {
    let content = content(new);
    if let Some(known) = find_created(tx, workspace, KIND, new.request_id.as_deref(), &content)? {
        return get(tx, workspace, known.into());
    }
    let setup = super::setups::find(tx, workspace, new.setup_id, Lock::Present)?;
    check_carriers(&new.carriers, &setup)?;
    let now = tx.now()?;
    let number = SenderNumber {
        id: PhoneNumberId::generate(),
        workspace_id: workspace,
        setup_id: new.setup_id,
        number: new.number.clone(),
        display_name: new.display_name.clone(),
        status: NumberStatus::Active,
        carriers: new.carriers.clone(),
        caps: new.caps.clone(),
        create_time: now,
        update_time: now,
    };
    note_created(
        tx,
        workspace,
        KIND,
        new.request_id.as_deref(),
        number.id.uuid(),
        content,
    )?;
    tx.insert_number(&number).map_err(|error| match error {
        Error::Conflict(_) => OpError::PhoneNumberExists,
        other => other.into(),
    })?;
    Ok(number)
}

/// What must be the same for a repeat.
fn content(new: &NewNumber) -> Vec<u8> {
    let start = Fingerprint::default()
        .part(new.setup_id.uuid())
        .part(new.number.e164())
        .part(&new.display_name);
    let content = (new.carriers.iter()).fold(start, |hash, name| hash.part(name));
    // One without caps is what it was before there were any. No carrier's name is a number.
    let content = match new.caps == NumberCaps::default() {
        true => content,
        false => content
            .part(new.caps.daily_cap.to_be_bytes())
            .optional((new.caps.warm_up_start_time).map(|time| time.micros().to_be_bytes())),
    };
    let step = |hash: Fingerprint, step: &WarmUpStep| {
        hash.part(step.from_day.to_be_bytes())
            .part(step.daily_cap.to_be_bytes())
    };
    (new.caps.warm_up.iter()).fold(content, step).finish()
}

pub fn get(tx: &mut dyn Tx, workspace: WorkspaceId, id: PhoneNumberId) -> Result<SenderNumber> {
    find(tx, workspace, id, Lock::None)
}

pub fn update(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: PhoneNumberId,
    change: &NumberChange,
) -> Result<SenderNumber> {
    let mut number = find(tx, workspace, id, Lock::Change)?;
    if let Some(display_name) = &change.display_name {
        number.display_name.clone_from(display_name);
    }
    if let Some(carriers) = &change.carriers {
        let setup = super::setups::find(tx, workspace, number.setup_id, Lock::Present)?;
        check_carriers(carriers, &setup)?;
        number.carriers.clone_from(carriers);
    }
    if let Some(daily_cap) = change.daily_cap {
        number.caps.daily_cap = daily_cap;
    }
    if let Some(warm_up) = &change.warm_up {
        number.caps.warm_up.clone_from(warm_up);
    }
    if let Some(start) = change.warm_up_start_time {
        number.caps.warm_up_start_time = start;
    }
    save(tx, number)
}

/// Refused while a use case has it.
pub fn delete(tx: &mut dyn Tx, workspace: WorkspaceId, id: PhoneNumberId) -> Result<()> {
    find(tx, workspace, id, Lock::Whole)?;
    if tx.is_number_assigned(id)? {
        return Err(OpError::PhoneNumberInUse {
            phone_number_id: id,
        });
    }
    let now = tx.now()?;
    Ok(tx.delete_number(id, now)?)
}

/// Safe to repeat. Voicemails whose first hand-over is still to come are sent from another number
/// where this one is deactivated.
pub fn set_status(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: PhoneNumberId,
    status: NumberStatus,
) -> Result<SenderNumber> {
    let mut number = find(tx, workspace, id, Lock::Change)?;
    if number.status == status {
        return Ok(number);
    }
    number.status = status;
    save(tx, number)
}

pub fn find(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: PhoneNumberId,
    lock: Lock,
) -> Result<SenderNumber> {
    tx.find_number(workspace, id, lock)?
        .ok_or(OpError::NotFound(Resource::PhoneNumber, id.uuid()))
}

fn save(tx: &mut dyn Tx, mut number: SenderNumber) -> Result<SenderNumber> {
    number.update_time = tx.now()?;
    tx.update_number(&number)?;
    Ok(number)
}

/// A number can be narrowed to carriers that its setup has.
fn check_carriers(carriers: &[String], setup: &Setup) -> Result<()> {
    match carriers.iter().find(|name| !setup.carriers.contains(name)) {
        None => Ok(()),
        Some(unknown) => Err(OpError::UnknownCarrier {
            name: unknown.clone(),
            known: setup.carriers.join(", "),
        }),
    }
}
