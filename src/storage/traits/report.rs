//! What reports are made of: the voicemails themselves, and the counts of those that have ended.

use crate::domain::ids::WorkspaceId;
use crate::domain::report::{Dimension, Grain, Periods, Slice};
use crate::storage::{Result, VoicemailFilter};

pub trait ReportStore {
    /// Counts by status and by each of `dimensions`; at most one more than
    /// [`crate::domain::report::SLICES_MAX`], which says that there are too many.
    fn report_slices(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
        dimensions: &[Dimension],
        simulated: Option<bool>,
    ) -> Result<Vec<Slice>>;

    /// The same of those that have ended, from their counts. The borders of the filter's create time are taken
    /// for whole hours, and of its other fields those count that [`Ended`] names.
    fn ended_slices(&mut self, workspace: WorkspaceId, ended: &Ended<'_>) -> Result<Vec<Slice>>;

    /// Adds changes to the counts, at most `limit` of them, in the order in which they came and beginning behind
    /// `after`; by one unit of work at a time.
    fn fold_ended(&mut self, after: i64, limit: i64) -> Result<Folded>;
}

/// Which ended voicemails are counted, and by what.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'r> {
    /// Its use case, setup, statuses, failure reasons, sender, and the borders of create time.
    pub filter: &'r VoicemailFilter,
    pub dimensions: &'r [Dimension],
    pub periods: &'r Periods,
    pub simulated: Option<bool>,
    /// One that tells apart what is asked for.
    pub grain: Grain,
}

/// What came of one round of folding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Folded {
    pub changes: usize,
    /// Behind which the next round begins.
    pub last: i64,
}
