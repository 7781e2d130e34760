//! A voicemail and its audio as the service knows them.

use super::attempt::Attempt;
use super::failure::FailureReason;
use super::gate::{Gate, GateCheck};
use super::ids::{AudioId, PhoneNumberId, SetupId, UseCaseId, VoicemailId, WorkspaceId};
use super::labels::Labels;
use super::phone::PhoneNumber;
use super::status::Status;
use super::time::Time;

/// A voicemail as the service knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voicemail {
    pub id: VoicemailId,
    pub workspace_id: WorkspaceId,
    pub use_case_id: UseCaseId,
    pub setup_id: SetupId,
    pub sender_id: PhoneNumberId,
    pub sender: PhoneNumber,
    pub recipient: PhoneNumber,
    pub status: Status,
    pub failure_reason: Option<FailureReason>,
    pub status_detail: String,
    /// What keeps it from being sent just now, where a gate does.
    pub hold: Option<Hold>,
    /// Only the embedded sandbox carrier has it, or will.
    pub simulated: bool,
    pub audio: Audio,
    /// Read with a single voicemail only; empty in lists.
    pub attempts: Vec<Attempt>,
    /// What the gates found, each time they were asked. Read where all is asked for; else empty.
    pub gate_checks: Vec<GateCheck>,
    pub labels: Labels,
    pub request_id: Option<String>,
    /// The batch that made it.
    pub batch_id: Option<String>,
    pub create_time: Time,
    pub update_time: Time,
    /// As the caller gave it.
    pub schedule_time: Option<Time>,
    pub expire_time: Time,
    /// When it was first allowed to leave.
    pub due_time: Time,
    pub sent_time: Option<Time>,
    pub end_time: Option<Time>,
    /// Where the caller said that the recipient is: an IANA time zone.
    pub time_zone: Option<String>,
    /// And a postal code.
    pub postal_code: Option<String>,
}

/// A gate that holds a voicemail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    pub gate: Gate,
    /// When it is asked again; at the latest when the voicemail expires.
    pub until: Time,
}

/// Stored audio, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    pub id: AudioId,
    pub sha256: [u8; 32],
    pub size_bytes: u64,
    /// Cut to the millisecond.
    pub duration_ms: u32,
    pub create_time: Time,
}
