//! CheckRecipient: what every gate would say, without sending anything.

use std::time::Duration;

use super::deliver::senders::{self, Asked};
use super::error::{OpError, Resource, Result, Violation};
use super::gates::{self, LOOK_AGAIN, Subject};
use super::send_voicemail::SCHEDULE_AHEAD_MAX;
use super::setups;
use crate::carrier::Registry;
use crate::domain::gate::{Findings, Rules};
use crate::domain::ids::{AudioId, UseCaseId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Time;
use crate::domain::use_case::Channel;
use crate::storage::{Lock, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRequest {
    pub use_case_id: UseCaseId,
    pub recipient: PhoneNumber,
    pub time_zone: Option<String>,
    pub postal_code: Option<String>,
    /// None: the audio is not judged.
    pub audio_id: Option<AudioId>,
    /// None: now.
    pub send_time: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub found: Findings,
}

pub fn check(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    rules: &Rules,
    registry: &Registry,
    request: &CheckRequest,
) -> Result<Checked> {
    let now = tx.now()?;
    let latest = now.plus(SCHEDULE_AHEAD_MAX);
    // Clocks differ a little, and a time in the past means now, as it does for a send.
    let send_time = request.send_time.unwrap_or(now).max(now);
    if send_time > latest {
        let why = format!(
            "it is {send_time}; at most 90 days ahead are allowed, that is {latest}. Give an earlier one or none"
        );
        return Err(OpError::InvalidFields(vec![Violation::field(
            "send_time",
            why,
        )]));
    }
    let id = request.use_case_id;
    let use_case = tx
        .find_use_case(workspace, id, Lock::None)?
        .ok_or(OpError::NotFound(Resource::UseCase, id.uuid()))?;
    let audio_length = match request.audio_id {
        None => None,
        Some(id) => {
            let audio = tx.find_audio(workspace, id)?;
            let audio = audio.ok_or(OpError::NotFound(Resource::Audio, id.uuid()))?;
            Some(Duration::from_millis(audio.duration_ms.into()))
        }
    };
    if use_case.channel != Channel::RinglessVoicemail {
        return Err(OpError::WrongChannel {
            use_case_id: use_case.id,
            channel: use_case.channel,
        });
    }
    let setup = setups::find(tx, workspace, use_case.setup_id, Lock::None)?;
    let subject = Subject {
        workspace,
        use_case: &use_case,
        setup: &setup,
        recipient: &request.recipient,
        time_zone: request.time_zone.as_deref(),
        postal_code: request.postal_code.as_deref(),
        audio_length,
        send_time,
        expire_time: None,
    };
    let mut found = gates::check(tx, rules, registry, &subject)?;
    let asked = Asked {
        recipient: &request.recipient,
        voicemail: None,
        current: None,
        wait: LOOK_AGAIN,
        time: send_time,
    };
    let sender = senders::choose_now(tx, &setup.carriers, &use_case, asked)?;
    found
        .findings
        .push(senders::finding(&sender, send_time, LOOK_AGAIN));
    Ok(Checked { found })
}
