//! SendVoicemail and CreateVoicemail: from what a caller asks for to a durable voicemail.
//!
//! [`judge`] says everything that can be said before any audio has come; [`accept`] says it again
//! inside the one transaction that stores the audio, the voicemail and its request id. Errors come
//! in the order of the contract: bad fields, what is not found, preconditions, audio.

use std::time::Duration;

use super::error::{OpError, Resource, Result, Violation};
use super::fingerprint::Fingerprint;
use super::gates;
use super::queue::QueueGauge;
use super::setups::check_purpose;
use crate::carrier::Registry;
use crate::domain::gate;
use crate::domain::ids::{AudioId, UseCaseId, VoicemailId, WorkspaceId};
use crate::domain::labels::Labels;
use crate::domain::phone::PhoneNumber;
use crate::domain::sender::{Candidate, NoSender, Wanted, choose};
use crate::domain::status::Status;
use crate::domain::telephony::{Setup, SetupStatus};
use crate::domain::time::Time;
use crate::domain::use_case::{Channel, UseCase};
use crate::domain::voicemail::{Audio, Voicemail};
use crate::storage::{Lock, NewVoicemail, Tx};

/// How far ahead `schedule_time` may be.
pub const SCHEDULE_AHEAD_MAX: Duration = Duration::from_secs(90 * 24 * 3_600);

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

/// What accepting needs besides the draft.
pub struct Accepting<'a> {
    pub workspace: WorkspaceId,
    pub registry: &'a Registry,
    pub gates: &'a gate::Rules,
    pub queue: &'a QueueGauge,
    /// From schedule_time, or from now, to the expire_time of a call that gives none.
    pub expire_after: Duration,
}

/// What is known before any audio has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// Go on; the audio that `audio_id` names.
    Fresh(Option<Audio>),
    /// The request id is known and all but the audio agrees: its voicemail as it stands.
    Repeat(Box<Voicemail>),
}

/// The audio of a call.
#[derive(Debug)]
pub enum AudioInput {
    Stored(Audio),
    /// It passed the check; `bytes` are none where nothing is to be stored.
    New {
        audio: Audio,
        bytes: Vec<u8>,
    },
}

impl AudioInput {
    fn audio(&self) -> &Audio {
        match self {
            AudioInput::Stored(audio) | AudioInput::New { audio, .. } => audio,
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
pub fn judge(tx: &mut dyn Tx, draft: &Draft, accepting: &Accepting<'_>) -> Result<Judged> {
    if let Some(repeat) = find_repeat(tx, draft, accepting.workspace)? {
        if let Some(id) = draft.audio_id {
            let named = tx.find_audio(accepting.workspace, id)?;
            let same = named.is_some_and(|audio| audio.sha256 == repeat.audio.sha256);
            if !same {
                return Err(reused(draft));
            }
        }
        return Ok(Judged::Repeat(Box::new(repeat)));
    }
    let now = tx.now()?;
    OpError::unless_empty(time_faults(draft.schedule_time, draft.expire_time, now))?;
    let (use_case, audio) = find_named(tx, draft, accepting.workspace, Lock::None)?;
    let setup = check_preconditions(tx, &use_case, accepting, Lock::None)?;
    choose_sender(tx, draft, &use_case, &setup)?;
    accepting.queue.check(tx, accepting.workspace)?;
    Ok(Judged::Fresh(audio))
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
        return same_audio(draft, known, input);
    }
    let now = tx.now()?;
    OpError::unless_empty(time_faults(draft.schedule_time, draft.expire_time, now))?;
    let (use_case, _) = find_named(tx, draft, accepting.workspace, Lock::Present)?;
    let setup = check_preconditions(tx, &use_case, accepting, Lock::Present)?;
    let sender = choose_sender(tx, draft, &use_case, &setup)?;
    accepting.queue.check(tx, accepting.workspace)?;
    let simulated = accepting.registry.all_simulated(&setup.carriers);
    let mut voicemail = make(draft, &use_case, &sender, simulated, input, accepting, now);
    if draft.validate_only {
        return Ok(Accepted::Judged(voicemail));
    }
    voicemail.audio = match input {
        AudioInput::Stored(audio) => {
            tx.touch_audio(audio.id)?;
            audio.clone()
        }
        AudioInput::New { audio, bytes } => {
            let fresh = Audio {
                create_time: now,
                ..audio.clone()
            };
            tx.put_audio(accepting.workspace, &fresh, bytes)?
        }
    };
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
        Some(known) => same_audio(draft, known, input),
        None => Err(OpError::Internal(
            "a voicemail was neither stored nor found".to_owned(),
        )),
    }
}

/// The rules about times that depend on today's: also for a draft whose other fields are bad.
pub fn time_faults(schedule: Option<Time>, expire: Option<Time>, now: Time) -> Vec<Violation> {
    let mut faults = Vec::new();
    let latest = now.plus(SCHEDULE_AHEAD_MAX);
    if let Some(schedule) = schedule.filter(|time| *time > latest) {
        faults.push(Violation::field(
            "metadata.schedule_time",
            format!("it is {schedule}; at most 90 days ahead are allowed, that is {latest}. Send it later"),
        ));
    }
    let start = due_time(schedule, now);
    if let Some(expire) = expire.filter(|time| *time <= start) {
        faults.push(Violation::field(
            "metadata.expire_time",
            format!("it is {expire}; it must be after {start}, when the voicemail is due. Give a later one or none"),
        ));
    }
    faults
}

fn due_time(schedule: Option<Time>, now: Time) -> Time {
    // A time in the past means now.
    schedule.map_or(now, |time| time.max(now))
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
fn content(draft: &Draft) -> Vec<u8> {
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

fn same_audio(draft: &Draft, known: Voicemail, input: &AudioInput) -> Result<Accepted> {
    match known.audio.sha256 == input.audio().sha256 {
        true => Ok(Accepted::Known(known)),
        false => Err(reused(draft)),
    }
}

fn reused(draft: &Draft) -> OpError {
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

fn check_preconditions(
    tx: &mut dyn Tx,
    use_case: &UseCase,
    accepting: &Accepting<'_>,
    lock: Lock,
) -> Result<Setup> {
    if use_case.channel != Channel::RinglessVoicemail {
        return Err(OpError::WrongChannel {
            use_case_id: use_case.id,
            channel: use_case.channel,
        });
    }
    let setup = tx
        .find_setup(accepting.workspace, use_case.setup_id, lock)?
        .ok_or(OpError::NotFound(Resource::Setup, use_case.setup_id.uuid()))?;
    match setup.status {
        SetupStatus::Approved => {}
        SetupStatus::Pending | SetupStatus::Suspended => {
            return Err(OpError::SetupNotApproved {
                setup_id: setup.id,
                status: setup.status,
            });
        }
    }
    check_purpose(&setup, use_case.purpose, accepting.registry)?;
    let purpose = gates::purpose_of(use_case);
    match gates::may_send_for(purpose, accepting.gates, &setup, accepting.registry) {
        true => Ok(setup),
        false => Err(OpError::PurposeNotChosen {
            setup_id: setup.id,
            purpose,
        }),
    }
}

fn choose_sender(
    tx: &mut dyn Tx,
    draft: &Draft,
    use_case: &UseCase,
    setup: &Setup,
) -> Result<Candidate> {
    let candidates = tx.sender_candidates(use_case.id, &setup.carriers)?;
    let last = tx.last_sender(use_case.workspace_id, use_case.id, &draft.recipient, None)?;
    let use_case_id = use_case.id;
    let wanted = Wanted {
        recipient: &draft.recipient,
        last_sender: last.as_ref(),
        current: None,
        plan: use_case.senders,
    };
    // Caps are not looked at yet: by the time it is handed over there may be room.
    match choose(&candidates, wanted) {
        Ok(choice) => Ok(choice.candidate),
        Err(NoSender::MainMayNotSend) => Err(OpError::MainNumberInactive {
            use_case_id,
            phone_number_id: use_case.senders.main,
        }),
        Err(NoSender::NoActiveNumber | NoSender::AllCapped { .. }) => {
            Err(OpError::NoActivePhoneNumber { use_case_id })
        }
        Err(NoSender::OnlyTheRecipient) => Err(OpError::SenderIsRecipient { use_case_id }),
    }
}

fn make(
    draft: &Draft,
    use_case: &UseCase,
    sender: &Candidate,
    simulated: bool,
    input: &AudioInput,
    accepting: &Accepting<'_>,
    now: Time,
) -> Voicemail {
    let due_time = due_time(draft.schedule_time, now);
    Voicemail {
        id: VoicemailId::generate(),
        workspace_id: accepting.workspace,
        use_case_id: use_case.id,
        setup_id: use_case.setup_id,
        sender_id: sender.id,
        sender: sender.number.clone(),
        recipient: draft.recipient.clone(),
        status: Status::Accepted,
        failure_reason: None,
        status_detail: String::new(),
        hold: None,
        simulated,
        audio: input.audio().clone(),
        attempts: Vec::new(),
        gate_checks: Vec::new(),
        labels: draft.labels.clone(),
        request_id: draft.request_id.clone(),
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
