//! What storage promises, by noun. Each method is one or a few statements within the unit of work
//! that it is called in; `Option` means "not found", and deleted rows are not found.

mod bulk;
mod carriers;
mod counting;
mod gates;
mod report;
mod suppressions;
mod together;

use std::time::Duration;

pub use bulk::{BatchMember, BulkStore, KnownRequest, StoredBatch};
pub use carriers::{CarrierStore, LinkedAudio, NewCallback, UnreadCallback};
pub use counting::{CountedFilter, CountingStore};
pub use gates::GateStore;
pub use report::{Ended, Folded, ReportStore};
pub use suppressions::{
    ConsentFilter, ConsentStore, ScopeFilter, SkipReason, SuppressionFilter, SuppressionStore,
};
pub use together::TogetherStore;

use crate::domain::attempt::{Attempt, CarrierWords, OutcomeKind};
use crate::domain::breaker::Breaker;
use crate::domain::delivery::Delivery;
use crate::domain::failure::FailureReason;
use crate::domain::hand_over::HandOver;
use crate::domain::ids::{
    AudioId, HandOverId, LeaseToken, PhoneNumberId, SetupId, UseCaseId, VoicemailId, WorkspaceId,
};
use crate::domain::labels::Labels;
use crate::domain::phone::PhoneNumber;
use crate::domain::sender::Candidate;
use crate::domain::status::Status;
use crate::domain::telephony::{NumberStatus, Pause, SenderNumber, Setup, SetupStatus};
use crate::domain::time::Time;
use crate::domain::turns::Lane;
use crate::domain::use_case::{Channel, UseCase};
use crate::domain::voicemail::{Audio, Voicemail};

use super::Result;

/// A unit of work.
pub trait Tx:
    TelephonyStore
    + UseCaseStore
    + AudioStore
    + VoicemailStore
    + BulkStore
    + ReportStore
    + QueueStore
    + DeliveryStore
    + CarrierStore
    + GateStore
    + CountingStore
    + RecoveryStore
    + SuppressionStore
    + ConsentStore
    + TogetherStore
{
    /// The store's time, the same throughout a write.
    fn now(&mut self) -> Result<Time>;

    /// A key that this service made for itself, made at the first call.
    fn service_key(&mut self, name: &str, fresh: &[u8]) -> Result<Vec<u8>>;

    /// The same, where it was made.
    fn find_service_key(&mut self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Fails where the database does not answer.
    fn ping(&mut self) -> Result<()>;
}

/// Whether a row that is read stays as it is until the unit of work ends. On SQLite a write has
/// the whole database to itself, so there it makes no difference.
///
/// Calls that only need a row to be there take `Present`. It does not get in the way of `Change`, so
/// that a setup can be suspended however many calls use it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lock {
    None,
    /// It stays there: nobody takes it `Whole`.
    Present,
    /// Nobody else changes it.
    Change,
    /// Nobody else changes it or counts on it to stay: before it is deleted.
    Whole,
}

/// A page of a list, newest first by (create_time, id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub limit: i64,
    /// The last row of the page before.
    pub after: Option<(Time, uuid::Uuid)>,
}

pub trait TelephonyStore {
    fn insert_setup(&mut self, setup: &Setup) -> Result<()>;
    fn find_setup(
        &mut self,
        workspace: WorkspaceId,
        id: SetupId,
        lock: Lock,
    ) -> Result<Option<Setup>>;
    fn list_setups(
        &mut self,
        workspace: WorkspaceId,
        statuses: &[SetupStatus],
        page: Page,
    ) -> Result<Vec<Setup>>;
    /// Writes display name, carriers, limits, pause, status and its detail where the status still is
    /// `before`.
    fn update_setup(&mut self, setup: &Setup, before: SetupStatus) -> Result<()>;
    fn delete_setup(&mut self, id: SetupId, now: Time) -> Result<()>;
    /// Has it living numbers, living use cases, or voicemails on their way?
    fn is_setup_in_use(&mut self, workspace: WorkspaceId, id: SetupId) -> Result<bool>;

    fn insert_number(&mut self, number: &SenderNumber) -> Result<()>;
    fn find_number(
        &mut self,
        workspace: WorkspaceId,
        id: PhoneNumberId,
        lock: Lock,
    ) -> Result<Option<SenderNumber>>;
    fn list_numbers(
        &mut self,
        workspace: WorkspaceId,
        filter: &NumberFilter,
        page: Page,
    ) -> Result<Vec<SenderNumber>>;
    fn update_number(&mut self, number: &SenderNumber) -> Result<()>;
    fn delete_number(&mut self, id: PhoneNumberId, now: Time) -> Result<()>;
    /// Has a living use case got it?
    fn is_number_assigned(&mut self, id: PhoneNumberId) -> Result<bool>;

    /// The create that this request id stands for: the resource's id and the content's hash.
    fn find_create_request(
        &mut self,
        workspace: WorkspaceId,
        kind: &str,
        request_id: &str,
    ) -> Result<Option<(uuid::Uuid, Vec<u8>)>>;
    fn insert_create_request(&mut self, request: &CreateRequest) -> Result<()>;
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberFilter {
    pub setup_id: Option<SetupId>,
    pub use_case_id: Option<UseCaseId>,
    pub statuses: Vec<NumberStatus>,
}

/// A create that carried a request id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    pub workspace_id: WorkspaceId,
    pub kind: &'static str,
    pub request_id: String,
    pub resource_id: uuid::Uuid,
    pub content_hash: Vec<u8>,
    pub create_time: Time,
}

pub trait UseCaseStore {
    fn insert_use_case(&mut self, use_case: &UseCase) -> Result<()>;
    fn find_use_case(
        &mut self,
        workspace: WorkspaceId,
        id: UseCaseId,
        lock: Lock,
    ) -> Result<Option<UseCase>>;
    fn list_use_cases(
        &mut self,
        workspace: WorkspaceId,
        filter: &UseCaseFilter,
        page: Page,
    ) -> Result<Vec<UseCase>>;
    fn update_use_case(&mut self, use_case: &UseCase) -> Result<()>;
    fn delete_use_case(&mut self, id: UseCaseId, now: Time) -> Result<()>;
    /// Does nothing where it is assigned already.
    fn assign_number(
        &mut self,
        workspace: WorkspaceId,
        use_case: UseCaseId,
        number: PhoneNumberId,
        now: Time,
    ) -> Result<()>;
    /// Does nothing where it is not assigned.
    fn unassign_number(&mut self, use_case: UseCaseId, number: PhoneNumberId) -> Result<()>;
    /// Notes until when its numbers have no room, where nothing is noted that is still to come.
    fn set_senders_full(&mut self, use_case: UseCaseId, until: Time) -> Result<()>;
    /// The numbers that may send for it: assigned, active, living, and allowed with one of `carriers`.
    fn sender_candidates(
        &mut self,
        use_case: UseCaseId,
        carriers: &[String],
    ) -> Result<Vec<Candidate>>;
    /// The database's own plan of that, for tests.
    fn explain_candidates(&mut self, use_case: UseCaseId) -> Result<String>;
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UseCaseFilter {
    pub setup_id: Option<SetupId>,
    pub entity_name: Option<String>,
    pub name: Option<String>,
    pub channels: Vec<Channel>,
}

/// Audio and its bytes. The bytes are reached through the last four methods only, which is the
/// room for keeping them elsewhere (object storage) one day.
pub trait AudioStore {
    fn find_audio(&mut self, workspace: WorkspaceId, id: AudioId) -> Result<Option<Audio>>;
    fn find_audio_by_hash(
        &mut self,
        workspace: WorkspaceId,
        sha256: &[u8; 32],
    ) -> Result<Option<Audio>>;
    /// Stores each, or finds the audio of the same bytes that is there already; counts as a use. Answers in their order.
    fn put_audios(
        &mut self,
        workspace: WorkspaceId,
        audios: &[(&Audio, &[u8])],
    ) -> Result<Vec<Audio>>;
    /// The same for one.
    fn put_audio(&mut self, workspace: WorkspaceId, audio: &Audio, bytes: &[u8]) -> Result<Audio>;
    /// Notes that it is used now, so that it is kept.
    fn touch_audio(&mut self, id: AudioId) -> Result<()>;
    /// `length` bytes from `offset`, fewer at the end.
    fn read_audio_part(&mut self, id: AudioId, offset: u64, length: u64) -> Result<Vec<u8>>;
    fn read_audio(&mut self, id: AudioId) -> Result<Option<Vec<u8>>>;
    /// Drops audio that no voicemail names and that was last used before `before`; at most `limit`.
    fn drop_unused_audio(&mut self, before: Time, limit: i64) -> Result<usize>;
}

pub trait VoicemailStore {
    /// `false`, and nothing written, where its request id is taken.
    fn insert_voicemail(&mut self, voicemail: &NewVoicemail) -> Result<bool>;
    /// With its attempts.
    fn find_voicemail(
        &mut self,
        workspace: WorkspaceId,
        id: VoicemailId,
    ) -> Result<Option<Voicemail>>;
    /// The voicemail of a request id, and the hash of what was asked for.
    fn find_request(
        &mut self,
        workspace: WorkspaceId,
        request_id: &str,
    ) -> Result<Option<(Voicemail, Vec<u8>)>>;
    /// Without attempts.
    fn list_voicemails(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
        page: Page,
    ) -> Result<Vec<Voicemail>>;
    /// How the database would run [`Self::list_voicemails`]: for the tests of indexes.
    fn explain_list(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
        page: Page,
    ) -> Result<String>;
    /// The sender of the newest voicemail to this recipient in this use case that was not
    /// cancelled or skipped, `except` aside.
    fn last_sender(
        &mut self,
        workspace: WorkspaceId,
        use_case: UseCaseId,
        recipient: &PhoneNumber,
        except: Option<VoicemailId>,
    ) -> Result<Option<PhoneNumber>>;
    /// Are voicemails of this use case ACCEPTED, SENDING or SENT?
    fn is_use_case_in_flight(
        &mut self,
        workspace: WorkspaceId,
        use_case: UseCaseId,
    ) -> Result<bool>;
    /// How many are ACCEPTED, counted up to `at_most`.
    fn count_waiting(&mut self, workspace: WorkspaceId, at_most: i64) -> Result<i64>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVoicemail {
    pub voicemail: Voicemail,
    pub request_hash: Vec<u8>,
}

/// All that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VoicemailFilter {
    pub use_case_id: Option<UseCaseId>,
    pub setup_id: Option<SetupId>,
    pub statuses: Vec<Status>,
    pub failure_reasons: Vec<FailureReason>,
    pub recipient: Option<PhoneNumber>,
    pub sender: Option<PhoneNumber>,
    pub request_id: Option<String>,
    pub labels: Labels,
    pub batch_id: Option<String>,
    pub create_time_from: Option<Time>,
    pub create_time_to: Option<Time>,
    pub end_time_from: Option<Time>,
    pub end_time_to: Option<Time>,
    pub update_time_from: Option<Time>,
}

/// The queue: what a worker may touch now. Rows of all workspaces.
pub trait QueueStore {
    /// The use cases after `after` that have waiting voicemails, in the order of their ids, at most `limit`;
    /// paused ones too.
    fn lanes(&mut self, after: Option<UseCaseId>, limit: i64) -> Result<Vec<Lane>>;
    /// The setups of these lanes; one that can't be read is logged and left out.
    fn setups_of(&mut self, lanes: &[Lane]) -> Result<Vec<Setup>>;
    /// Waiting voicemails of a use case that are due, not before `from`, and have not expired, longest due first. As all rows that are read for
    /// a claim they are locked for this unit of work, those that another worker has locked are passed
    /// over, and one that can't be read is put off and logged, so that it does not stop the others.
    fn due_in_lane(&mut self, use_case: UseCaseId, from: Time, limit: i64)
    -> Result<Vec<Delivery>>;
    /// Rows in SENDING whose time has come: their lease is over, or they wait in doubt.
    fn due_rescues(&mut self, limit: i64) -> Result<Vec<Delivery>>;
    /// Rows in SENT whose time has come: to be asked about, or given up.
    fn due_questions(&mut self, limit: i64) -> Result<Vec<Delivery>>;
    /// Waiting voicemails whose expire_time has passed.
    fn expired(&mut self, limit: i64) -> Result<Vec<Delivery>>;
    /// When there is something to do next but what waits in lanes.
    fn next_times(&mut self) -> Result<NextTimes>;
    /// Locks a setup while its starts are counted: its next free slot and how many of its hand-overs
    /// are under way. `None`: another worker is counting.
    fn count_starts(&mut self, setup: SetupId) -> Result<Option<Starts>>;
    fn set_next_start(&mut self, setup: SetupId, next: Time) -> Result<()>;
    /// Stops a setup's queue, unless it is stopped already.
    fn pause_setup(&mut self, setup: SetupId, pause: &Pause) -> Result<bool>;
    /// The open breakers.
    fn breakers(&mut self) -> Result<Vec<Breaker>>;
    /// Does nothing where it is open already.
    fn open_breaker(&mut self, breaker: &Breaker) -> Result<bool>;
    /// Takes the trial that is due, which keeps others from it until `until`; `false`: none is due.
    fn take_trial(&mut self, carrier: &str, until: Time) -> Result<bool>;
    fn save_trial(&mut self, breaker: &Breaker) -> Result<()>;
    fn close_breaker(&mut self, carrier: &str) -> Result<bool>;
    /// Closes the breakers whose trial has been due since before that time: nobody uses their carriers
    /// any more. Says how many.
    fn forget_breakers(&mut self, before: Time) -> Result<usize>;
    /// Takes a piece of work that one process does for all every `every`; `false`: it is not its time.
    fn take_sweep(&mut self, name: &str, every: Duration) -> Result<bool>;
    /// How the database would read the queue: for the tests of indexes.
    fn explain_queue(&mut self, use_case: UseCaseId) -> Result<Vec<String>>;
    /// SENDING rows go back to be looked at now. Only where it is certain that no other worker lives.
    fn end_all_leases(&mut self) -> Result<usize>;
}

/// A page of what is held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    pub rows: Vec<Delivery>,
    /// Where the next page begins; none: this was the last.
    pub last: Option<VoicemailId>,
}

/// What is put aside after a restore from a backup. Rows of all workspaces.
pub trait RecoveryStore {
    fn restored_counts(&mut self) -> Result<RestoredCounts>;
    /// Puts up to `limit` rows aside that may have been sent since the backup was taken (due and
    /// ACCEPTED, or SENDING), also those that can't be read; says how many.
    fn hold_maybe_sent(&mut self, why: &str, limit: i64) -> Result<usize>;
    /// Rows that are held, after `after` in the order of their ids. One that can't be read is logged
    /// and left out.
    fn held(&mut self, after: Option<VoicemailId>, limit: i64) -> Result<Held>;
    /// Connections of other processes of this program.
    fn other_processes(&mut self) -> Result<i64>;
}

/// How a restored database stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestoredCounts {
    /// ACCEPTED, and its time has come.
    pub due: i64,
    /// ACCEPTED, and its time is still to come.
    pub later: i64,
    pub sending: i64,
    pub sent: i64,
    pub held: i64,
}

/// What the worker reads and writes of a delivery. Rows of all workspaces.
pub trait DeliveryStore {
    fn find_delivery(
        &mut self,
        workspace: WorkspaceId,
        id: VoicemailId,
        lock: Lock,
    ) -> Result<Option<Delivery>>;
    /// Writes `after` where status and lease still are those of `guard`; anything but one row is
    /// [`super::Error::Guard`].
    fn save_delivery(&mut self, guard: Guard, after: &Delivery) -> Result<()>;
    /// Moves the end of a lease where status and lease still are those of `guard`; else `false`.
    fn renew_lease(&mut self, guard: Guard, until: Time) -> Result<bool>;
    /// Writes its times where it still is ACCEPTED and no attempt has begun; anything but one row is
    /// [`super::Error::Guard`].
    fn save_times(&mut self, delivery: &Delivery, schedule_time: Option<Time>) -> Result<()>;
    /// Writes the sender that was chosen anew.
    fn save_sender(&mut self, delivery: &Delivery) -> Result<()>;

    fn insert_hand_over(&mut self, hand_over: &HandOver) -> Result<()>;
    /// The hand-over of a voicemail that had its turn last.
    fn last_hand_over(&mut self, voicemail: VoicemailId) -> Result<Option<HandOver>>;
    /// All of them, in the order of their turns.
    fn hand_overs(&mut self, voicemail: VoicemailId) -> Result<Vec<HandOver>>;
    /// Writes all that changes but the request.
    fn save_hand_over(&mut self, hand_over: &HandOver) -> Result<()>;
    /// Writes the request and the token of one that had none.
    fn save_request(&mut self, hand_over: &HandOver) -> Result<()>;
    fn insert_attempt(&mut self, attempt: &NewAttempt) -> Result<()>;
    /// Writes the end of an attempt that has none; says whether it had none.
    fn end_attempt(
        &mut self,
        voicemail: VoicemailId,
        number: i32,
        end: &AttemptEnd,
    ) -> Result<bool>;
    /// The same, put off with the unit of work's other writes where it does many together.
    fn end_attempt_together(
        &mut self,
        voicemail: VoicemailId,
        number: i32,
        end: &AttemptEnd,
    ) -> Result<()>;
    fn find_attempts(&mut self, voicemail: VoicemailId) -> Result<Vec<Attempt>>;
    fn set_late_outcome(
        &mut self,
        voicemail: VoicemailId,
        number: i32,
        late_outcome: &str,
    ) -> Result<()>;
}

/// When rows of a kind come; `None` where none will.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NextTimes {
    /// The next of [`QueueStore::due_rescues`].
    pub rescue: Option<Time>,
    /// The next of [`QueueStore::due_questions`].
    pub question: Option<Time>,
    /// The next of [`QueueStore::expired`]; `None` also where it comes after more than a minute.
    pub expiry: Option<Time>,
}

/// What counts for a setup's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Starts {
    pub next_start: Time,
    pub under_way: i64,
}

/// What a row must still be for a write to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    pub voicemail_id: VoicemailId,
    pub status: Status,
    pub lease_token: Option<LeaseToken>,
}

impl Guard {
    pub fn of(delivery: &Delivery) -> Guard {
        Guard {
            voicemail_id: delivery.voicemail_id,
            status: delivery.status,
            lease_token: delivery.lease_token,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttempt {
    pub voicemail_id: VoicemailId,
    pub number: i32,
    pub workspace_id: WorkspaceId,
    pub hand_over_id: HandOverId,
    pub carrier: String,
    pub start_time: Time,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    pub end_time: Time,
    pub outcome: OutcomeKind,
    pub failure_reason: Option<FailureReason>,
    pub words: CarrierWords,
}
