//! What the store counts against caps: hand-overs that may have been sent, by recipient and by sender.

use crate::domain::ids::{HandOverId, PhoneNumberId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Time;
use crate::domain::use_case::Purpose;
use crate::storage::Result;

/// What counts against caps. Between a count and the write that makes it untrue stands a lock, so that
/// two workers never take the same last place. Locks are taken in this order: the voicemail's row, the
/// recipient, numbers.
pub trait CountingStore {
    /// Nobody else counts this recipient of the workspace until the unit of work ends. On SQLite a write
    /// has the whole database to itself, so there it makes no difference.
    fn lock_recipient(&mut self, workspace: WorkspaceId, recipient: &PhoneNumber) -> Result<()>;
    /// Nobody else counts these numbers, which are locked in the order of their ids, until the unit of work
    /// ends; on SQLite as above.
    fn lock_numbers(&mut self, ids: &[PhoneNumberId]) -> Result<()>;
    /// When the hand-overs to a recipient began to count, newest first, at most `at_most`.
    fn counted(
        &mut self,
        workspace: WorkspaceId,
        filter: &CountedFilter,
        at_most: i64,
    ) -> Result<Vec<Time>>;
    /// When the `nth` newest hand-over (from 1) from a number began to count, of those after `since`;
    /// `None`: there are fewer.
    fn nth_counted_of_sender(
        &mut self,
        sender: PhoneNumberId,
        nth: u32,
        since: Time,
    ) -> Result<Option<Time>>;
    /// How the database would count: for the tests of indexes.
    fn explain_counting(
        &mut self,
        workspace: WorkspaceId,
        filter: &CountedFilter,
        sender: PhoneNumberId,
    ) -> Result<Vec<String>>;
}

/// Which hand-overs to a recipient are counted: all that began to count after `since`, of the use cases of
/// this entity, deleted ones too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedFilter {
    pub recipient: PhoneNumber,
    pub entity_name: String,
    /// None: whatever the use case's purpose.
    pub purpose: Option<Purpose>,
    pub since: Time,
    /// Left out: the one that is about to be repeated.
    pub except: Option<HandOverId>,
}
