//! GetVoicemail and CancelVoicemail.

use super::deliver::NO_CARRIER;
use super::error::{OpError, Resource, Result};
use super::setups;
use crate::carrier::Registry;
use crate::domain::ids::{VoicemailId, WorkspaceId};
use crate::domain::status::Status;
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
    Ok(voicemail)
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
