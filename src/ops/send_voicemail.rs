//! SendVoicemail and CreateVoicemail: from what a caller asks for to a durable voicemail.
//!
//! [`judge`] says everything that can be said before any audio has come; [`accept`] says it again
//! inside the one transaction that stores the audio, the voicemail and its request id. Errors come
//! in the order of the contract: bad fields, what is not found, preconditions, audio.

use std::time::Duration;

use super::error::{OpError, Resource, Result, Violation};
use super::fingerprint::Fingerprint;
use super::queue::QueueGauge;
use super::route::Route;
use super::times::due_time;
use crate::audio::Refusal;
use crate::carrier::Registry;
use crate::domain::gate;
use crate::domain::ids::{AudioId, UseCaseId, VoicemailId, WorkspaceId};
use crate::domain::labels::Labels;
use crate::domain::phone::PhoneNumber;
use crate::domain::sender::Candidate;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::domain::use_case::UseCase;
use crate::domain::voicemail::{Audio, Voicemail};
use crate::storage::{Lock, NewVoicemail, Tx};

pub use super::times::{SCHEDULE_AHEAD_MAX, time_faults};

/// What a caller asks for, every field well-formed by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub use_case_id: UseCaseId,
    pub recipient: PhoneNumber,
    pub audio_id: Option<AudioId>,
    pub request_id: Option<String>,
    pub schedule_time: Option<Time>,
    pub expire_time: Option<Time>,
    pub labels: Labels,
    /// Where the recipient is, as far as the caller knows.
    pub time_zone: Option<String>,
    pub postal_code: Option<String>,
    pub validate_only: bool,
}

impl Draft {
    /// What is wrong with its times.
    pub fn time_faults(&self, now: Time) -> Vec<Violation> {
        time_faults("metadata.", self.schedule_time, self.expire_time, now)
    }
}

/// What accepting needs besides the draft.
pub struct Accepting<'a> {
    pub workspace: WorkspaceId,
    pub registry: &'a Registry,
    pub gates: &'a gate::Rules,
    pub queue: &'a QueueGauge,
    /// From schedule_time, or from now, to the expire_time of a call that gives none.
    pub expire_after: Duration,
}

/// The audio of a call.
#[derive(Debug)]
pub enum AudioInput {
    /// What `audio_id` names.
    Named,
    /// It passed the check; `bytes` are none where nothing is to be stored. Is it `known`? Then it likely is stored by now.
    New {
        audio: Audio,
        bytes: Vec<u8>,
        known: bool,
    },
}

impl AudioInput {
    /// Bytes that there are to store, as far as is known before.
    pub fn new_bytes(&self) -> u64 {
        match self {
            AudioInput::New {
                audio,
                known: false,
                ..
            } => audio.size_bytes,
            AudioInput::New { known: true, .. } | AudioInput::Named => 0,
        }
    }

    /// Of the two that there may be, the one of this call.
    pub(super) fn choose<'a>(&'a self, named: Option<&'a Audio>) -> Result<&'a Audio> {
        match (self, named) {
            (AudioInput::New { audio, .. }, _) => Ok(audio),
            (AudioInput::Named, Some(audio)) => Ok(audio),
            (AudioInput::Named, None) => Err(Refusal::Missing.into()),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored by this call: a worker should be woken.
    New(Voicemail),
    /// Stored by an earlier call with this request id, as it stands today.
    Known(Voicemail),
    /// As it would be; nothing was stored.
    Judged(Voicemail),
}

/// All that can be judged without audio.
pub fn judge(tx: &mut dyn Tx, draft: &Draft, accepting: &Accepting<'_>) -> Result<()> {
    if let Some(known) = find_repeat(tx, draft, accepting.workspace)? {
        if draft.audio_id.is_some() {
            same_audio(tx, draft, known, &AudioInput::Named, accepting.workspace)?;
        }
        return Ok(());
    }
    let now = tx.now()?;
    OpError::unless_empty(draft.time_faults(now))?;
    let (use_case, _) = find_named(tx, draft, accepting.workspace, Lock::None)?;
    let route = Route::find(tx, use_case, accepting, Lock::None)?;
    choose_sender(tx, draft, &route)?;
    accepting.queue.check(tx, accepting.workspace)
}

/// Stores the voicemail, or answers with the one that its request id stands for. With
/// `validate_only` the voicemail is made and not stored, and has no id.
pub fn accept(
    tx: &mut dyn Tx,
    draft: &Draft,
    input: &AudioInput,
    accepting: &Accepting<'_>,
) -> Result<Accepted> {
    if let Some(known) = find_repeat(tx, draft, accepting.workspace)? {
        return same_audio(tx, draft, known, input, accepting.workspace);
    }
    let now = tx.now()?;
    OpError::unless_empty(draft.time_faults(now))?;
    let (use_case, named) = find_named(tx, draft, accepting.workspace, Lock::Present)?;
    let route = Route::find(tx, use_case, accepting, Lock::Present)?;
    let sender = choose_sender(tx, draft, &route)?;
    accepting.queue.check(tx, accepting.workspace)?;
    let audio = input.choose(named.as_ref())?;
    let mut voicemail = make(draft, &route, &sender, audio, accepting, now);
    if draft.validate_only {
        return Ok(Accepted::Judged(voicemail));
    }
    match input {
        AudioInput::Named => tx.touch_audio(voicemail.audio.id)?,
        AudioInput::New { audio, bytes, .. } => {
            let fresh = Audio {
                create_time: now,
                ..audio.clone()
            };
            voicemail.audio = tx.put_audio(accepting.workspace, &fresh, bytes)?;
        }
    }
    let new = NewVoicemail {
        voicemail,
        request_hash: content(draft),
    };
    if tx.insert_voicemail(&new)? {
        accepting.queue.add();
        return Ok(Accepted::New(new.voicemail));
    }
    // Another call with this request id was faster by a moment.
    match find_repeat(tx, draft, accepting.workspace)? {
        Some(known) => same_audio(tx, draft, known, input, accepting.workspace),
        None => Err(OpError::Internal(
            "a voicemail was neither stored nor found".to_owned(),
        )),
    }
}

fn find_repeat(
    tx: &mut dyn Tx,
    draft: &Draft,
    workspace: WorkspaceId,
) -> Result<Option<Voicemail>> {
    let Some(request_id) = &draft.request_id else {
        return Ok(None);
    };
    match tx.find_request(workspace, request_id)? {
        None => Ok(None),
        Some((voicemail, hash)) if hash == content(draft) => Ok(Some(voicemail)),
        Some(_) => Err(reused(draft)),
    }
}

/// What must be the same for a repeat, besides the audio's SHA-256. Times count as they were
/// given, because a default would differ from call to call.
pub(super) fn content(draft: &Draft) -> Vec<u8> {
    let micros = |time: Option<Time>| time.map(|t| t.micros().to_be_bytes());
    let start = Fingerprint::default()
        .part(draft.use_case_id.uuid())
        .part(draft.recipient.e164())
        .optional(micros(draft.schedule_time))
        .optional(micros(draft.expire_time));
    let hash = draft
        .labels
        .iter()
        .fold(start, |hash, (key, value)| hash.part(key).part(value));
    let place = (&draft.time_zone, &draft.postal_code);
    match place {
        // As it was before there were places.
        (None, None) => hash,
        (time_zone, postal_code) => hash
            .optional(time_zone.as_ref())
            .optional(postal_code.as_ref()),
    }
    .finish()
}

fn same_audio(
    tx: &mut dyn Tx,
    draft: &Draft,
    known: Voicemail,
    input: &AudioInput,
    workspace: WorkspaceId,
) -> Result<Accepted> {
    let named = match draft.audio_id {
        Some(id) => tx.find_audio(workspace, id)?,
        None => None,
    };
    match input.choose(named.as_ref()) {
        Ok(audio) if audio.sha256 == known.audio.sha256 => Ok(Accepted::Known(known)),
        _ => Err(reused(draft)),
    }
}

pub(super) fn reused(draft: &Draft) -> OpError {
    OpError::RequestIdReused {
        request_id: draft.request_id.clone().unwrap_or_default(),
    }
}

fn find_named(
    tx: &mut dyn Tx,
    draft: &Draft,
    workspace: WorkspaceId,
    lock: Lock,
) -> Result<(UseCase, Option<Audio>)> {
    let use_case = tx
        .find_use_case(workspace, draft.use_case_id, lock)?
        .ok_or(OpError::NotFound(
            Resource::UseCase,
            draft.use_case_id.uuid(),
        ))?;
    let audio = match draft.audio_id {
        None => None,
        Some(id) => Some(
            tx.find_audio(workspace, id)?
                .ok_or(OpError::NotFound(Resource::Audio, id.uuid()))?,
        ),
    };
    Ok((use_case, audio))
}

fn choose_sender(tx: &mut dyn Tx, draft: &Draft, route: &Route) -> Result<Candidate> {
    let use_case = &route.use_case;
    let last = tx.last_sender(use_case.workspace_id, use_case.id, &draft.recipient, None)?;
    route.sender(&draft.recipient, last.as_ref())
}

/// The voicemail that comes of a draft.
pub(super) fn make(
    draft: &Draft,
    route: &Route,
    sender: &Candidate,
    audio: &Audio,
    accepting: &Accepting<'_>,
    now: Time,
) -> Voicemail {
    let due_time = due_time(draft.schedule_time, now);
    Voicemail {
        id: VoicemailId::generate(),
        workspace_id: accepting.workspace,
        use_case_id: route.use_case.id,
        setup_id: route.use_case.setup_id,
        sender_id: sender.id,
        sender: sender.number.clone(),
        recipient: draft.recipient.clone(),
        status: Status::Accepted,
        failure_reason: None,
        status_detail: String::new(),
        hold: None,
        simulated: route.simulated,
        audio: audio.clone(),
        attempts: Vec::new(),
        gate_checks: Vec::new(),
        labels: draft.labels.clone(),
        request_id: draft.request_id.clone(),
        batch_id: None,
        create_time: now,
        update_time: now,
        schedule_time: draft.schedule_time,
        expire_time: draft
            .expire_time
            .unwrap_or(due_time.plus(accepting.expire_after)),
        due_time,
        sent_time: None,
        end_time: None,
        time_zone: draft.time_zone.clone(),
        postal_code: draft.postal_code.clone(),
    }
}
