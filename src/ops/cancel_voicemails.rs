//! CancelVoicemails: all that wait of a batch, a use case, a setup or a label are taken back.
//!
//! They are gone through newest first, a page a transaction, so that nobody else waits for long. A row
//! that somebody else has locked, a worker that claims it for one, is passed over and met again in the
//! next round; what has become SENDING by then is too late.

use super::error::{OpError, Resource, Result};
use crate::domain::ids::{VoicemailId, WorkspaceId};
use crate::domain::status::{Event, Status, apply};
use crate::domain::time::Time;
use crate::storage::{Lock, Page, Tx, VoicemailFilter};

/// Rows that one transaction ends.
pub const PAGE_MAX: usize = 500;

/// A place in the order that the rows are gone through in.
type Place = (Time, uuid::Uuid);

/// What one transaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub cancelled: usize,
    /// Rows that were locked, or left in between.
    pub passed_over: usize,
    /// Where the next page begins; none: this was the last.
    pub next: Option<Place>,
}

/// What is left beside those that were cancelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Others {
    /// SENDING or SENT.
    pub too_late: i64,
    /// Ended in another way.
    pub ended: i64,
}

/// What the filter names has to be there: a slip in an id must not look like a success.
pub fn check(tx: &mut dyn Tx, workspace: WorkspaceId, filter: &VoicemailFilter) -> Result<()> {
    if let Some(id) = filter.use_case_id
        && tx.find_use_case(workspace, id, Lock::None)?.is_none()
    {
        return Err(OpError::NotFound(Resource::UseCase, id.uuid()));
    }
    if let Some(id) = filter.setup_id
        && tx.find_setup(workspace, id, Lock::None)?.is_none()
    {
        return Err(OpError::NotFound(Resource::Setup, id.uuid()));
    }
    if let Some(batch_id) = &filter.batch_id
        && tx.find_batch(workspace, batch_id, Lock::None)?.is_none()
    {
        let batch_id = batch_id.clone();
        return Err(OpError::BatchNotFound { batch_id });
    }
    Ok(())
}

/// Cancels a page of those that wait.
pub fn step(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    filter: &VoicemailFilter,
    after: Option<Place>,
) -> Result<Step> {
    let ended = apply(Status::Accepted, Event::Cancelled)
        .map_err(|refused| OpError::Internal(refused.to_string()))?;
    let limit = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    let found = tx.waiting_matches(workspace, filter, Page { limit, after })?;
    let ids: Vec<VoicemailId> = found.iter().map(|(_, id)| *id).collect();
    let cancelled = match ids.is_empty() {
        true => 0,
        false => tx.end_waiting(&ids, ended)?,
    };
    let last = found.last().filter(|_| found.len() == PAGE_MAX);
    Ok(Step {
        cancelled,
        passed_over: found.len() - cancelled,
        next: last.map(|(time, id)| (*time, id.uuid())),
    })
}

/// Counts what was not there to be cancelled any more.
pub fn others(tx: &mut dyn Tx, workspace: WorkspaceId, filter: &VoicemailFilter) -> Result<Others> {
    let mut count = |is: fn(Status) -> bool| {
        let statuses = Status::ALL.into_iter().filter(|status| is(*status));
        let filter = VoicemailFilter {
            statuses: statuses.collect(),
            ..filter.clone()
        };
        tx.count_voicemails(workspace, &filter)
    };
    Ok(Others {
        too_late: count(|status| status.is_in_flight() && status != Status::Accepted)?,
        ended: count(|status| !status.is_in_flight() && status != Status::Cancelled)?,
    })
}
