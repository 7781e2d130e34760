//! GetVoicemail and CancelVoicemail.

use super::error::{OpError, Resource, Result};
use crate::domain::ids::{VoicemailId, WorkspaceId};
use crate::domain::status::Status;
use crate::domain::voicemail::Voicemail;
use crate::storage::{Guard, Lock, Tx};

pub fn get(tx: &mut dyn Tx, workspace: WorkspaceId, id: VoicemailId) -> Result<Voicemail> {
    tx.find_voicemail(workspace, id)?
        .ok_or(OpError::NotFound(Resource::Voicemail, id.uuid()))
}

/// Wins only from ACCEPTED; cancelling a cancelled one answers as the first time.
pub fn cancel(tx: &mut dyn Tx, workspace: WorkspaceId, id: VoicemailId) -> Result<Voicemail> {
    let mut delivery = tx
        .find_delivery(workspace, id, Lock::Update)?
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
