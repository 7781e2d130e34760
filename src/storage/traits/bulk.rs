//! What the store does for many voicemails at once: those of a batch, and those that are taken back
//! together.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::domain::ids::{AudioId, UseCaseId, VoicemailId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::storage::{Lock, NewVoicemail, Page, Result, VoicemailFilter};

pub trait BulkStore {
    /// Does nothing where a batch of that id is there.
    fn insert_batch(&mut self, batch: &StoredBatch) -> Result<()>;
    fn find_batch(
        &mut self,
        workspace: WorkspaceId,
        batch_id: &str,
        lock: Lock,
    ) -> Result<Option<StoredBatch>>;
    /// The voicemails that a batch made for these of its recipients.
    fn batch_members(
        &mut self,
        workspace: WorkspaceId,
        batch_id: &str,
        numbers: Range<i32>,
    ) -> Result<HashMap<i32, VoicemailId>>;
    fn insert_batch_members(
        &mut self,
        workspace: WorkspaceId,
        batch_id: &str,
        members: &[BatchMember],
    ) -> Result<()>;
    /// Those of these request ids that are known.
    fn find_requests(
        &mut self,
        workspace: WorkspaceId,
        request_ids: &[&str],
    ) -> Result<HashMap<String, KnownRequest>>;
    /// For each of these recipients the sender of the newest voicemail to them in this use case that was
    /// not cancelled or skipped.
    fn last_senders(
        &mut self,
        workspace: WorkspaceId,
        use_case: UseCaseId,
        recipients: &[&PhoneNumber],
    ) -> Result<HashMap<PhoneNumber, PhoneNumber>>;
    /// Inserts those whose request ids are free, and says which.
    fn insert_voicemails(&mut self, voicemails: &[NewVoicemail]) -> Result<HashSet<VoicemailId>>;

    /// Voicemails that match and are ACCEPTED, as a list pages them: each with its place in that order.
    fn waiting_matches(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
        page: Page,
    ) -> Result<Vec<(Time, VoicemailId)>>;
    /// Ends those of these that are still ACCEPTED and that nobody else has locked, in the status
    /// `ended`; says how many.
    fn end_waiting(&mut self, ids: &[VoicemailId], ended: Status) -> Result<usize>;
    fn count_voicemails(&mut self, workspace: WorkspaceId, filter: &VoicemailFilter)
    -> Result<i64>;
}

/// A batch as it was first asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    pub workspace_id: WorkspaceId,
    pub batch_id: String,
    pub content_hash: Vec<u8>,
    pub use_case_id: UseCaseId,
    pub audio_id: AudioId,
    pub recipient_count: i32,
    pub create_time: Time,
}

/// A voicemail that a batch made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchMember {
    /// The recipient's place in the call, from 0.
    pub number: i32,
    pub voicemail_id: VoicemailId,
    /// The voicemail's.
    pub create_time: Time,
}

/// What a request id stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRequest {
    pub voicemail_id: VoicemailId,
    /// Of what was asked for besides the audio.
    pub hash: Vec<u8>,
    pub audio_sha256: [u8; 32],
}
