//! Many deliveries in one unit of work.

use crate::domain::delivery::Delivery;
use crate::domain::ids::{VoicemailId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::storage::Result;

/// The steps of a delivery are written for one voicemail. Where a unit of work takes many at once, what they read is read
/// once or for all together, and what they write is written for all together at its end: nothing else about them changes.
pub trait TogetherStore {
    /// From now on this unit of work remembers setups, use cases, numbers, audio and breakers that it has read, and the
    /// voicemails that it has locked. What it writes of those voicemails is put off until something else that might read
    /// it is asked for, or until the unit of work ends; two writes of one voicemail become one.
    fn together(&mut self);
    /// Locks these voicemails, in the order of their ids.
    fn lock_deliveries(&mut self, ids: &[VoicemailId]) -> Result<()>;
    /// A voicemail that this unit of work has locked, as it is by now.
    fn locked_delivery(&self, id: VoicemailId) -> Option<Delivery>;
    /// Reads for all of these locked voicemails what the step before a hand-over asks for.
    fn look_ahead(&mut self, ids: &[VoicemailId]) -> Result<()>;
    /// Locks these recipients, in an order that is the same everywhere, until the unit of work ends.
    fn lock_recipients(&mut self, recipients: &[(WorkspaceId, PhoneNumber)]) -> Result<()>;
}
