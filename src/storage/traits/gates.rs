//! What is kept of each look at the gates.

use crate::domain::gate::{Findings, GateCheck};
use crate::domain::ids::{VoicemailId, WorkspaceId};
use crate::storage::Result;

pub trait GateStore {
    /// Keeps what the gates found now. Where they hold it for the same reason as the last time, that one's
    /// `last_time` moves. The first one and the latest are kept,
    /// [`CHECKS_KEPT`](crate::domain::gate::CHECKS_KEPT) in all.
    fn keep_gate_check(
        &mut self,
        workspace: WorkspaceId,
        voicemail: VoicemailId,
        found: &Findings,
    ) -> Result<()>;
    /// What is kept, in order.
    fn gate_checks(&mut self, voicemail: VoicemailId) -> Result<Vec<GateCheck>>;
}
