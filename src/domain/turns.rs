//! Whose turn it is: workspaces in turn, and within a workspace its use cases in turn, so that a
//! batch of any size in one delays the others by no more than its share.
//!
//! A lane is the waiting voicemails of one use case. Who was served longest ago comes first.

use std::collections::HashMap;

use super::ids::{SetupId, UseCaseId, WorkspaceId};
use super::time::Time;

/// The waiting voicemails of one use case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    pub workspace_id: WorkspaceId,
    pub use_case_id: UseCaseId,
    pub setup_id: SetupId,
    /// When its first one is due.
    pub next_time: Time,
    /// When what waits of it begins, or what was left of it: what was due before is not looked at.
    pub from: Time,
    /// Its use case is paused: it has no turns.
    pub is_paused: bool,
}

/// Who was served when. The order only; what may be taken at all is counted in the database.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    count: u64,
    workspaces: HashMap<WorkspaceId, u64>,
    use_cases: HashMap<UseCaseId, u64>,
}

impl Turns {
    /// The position in `lanes` of the one whose turn it is.
    pub fn next(&self, lanes: &[Lane]) -> Option<usize> {
        let last = |lane: &Lane| {
            let workspace = self.workspaces.get(&lane.workspace_id);
            let use_case = self.use_cases.get(&lane.use_case_id);
            (
                workspace.copied().unwrap_or(0),
                use_case.copied().unwrap_or(0),
                lane.next_time,
                lane.use_case_id,
            )
        };
        (0..lanes.len()).min_by_key(|at| last(&lanes[*at]))
    }

    /// It had its turn.
    pub fn served(&mut self, lane: &Lane) {
        self.count += 1;
        self.workspaces.insert(lane.workspace_id, self.count);
        self.use_cases.insert(lane.use_case_id, self.count);
    }

    /// Forgets all but these, so that what is kept stays as small as the queue is wide.
    pub fn keep(&mut self, lanes: &[Lane]) {
        let workspaces: Vec<_> = lanes.iter().map(|lane| lane.workspace_id).collect();
        self.workspaces.retain(|id, _| workspaces.contains(id));
        let use_cases: std::collections::HashSet<_> =
            lanes.iter().map(|lane| lane.use_case_id).collect();
        self.use_cases.retain(|id, _| use_cases.contains(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(workspace: i64) -> Lane {
        Lane {
            workspace_id: WorkspaceId(workspace),
            use_case_id: UseCaseId::generate(),
            setup_id: SetupId::generate(),
            next_time: Time::EPOCH,
            from: Time::EPOCH,
            is_paused: false,
        }
    }

    /// How often each lane is served in `rounds` turns.
    fn served(lanes: &[Lane], rounds: usize) -> Vec<usize> {
        let mut turns = Turns::default();
        let mut counts = vec![0; lanes.len()];
        for _ in 0..rounds {
            let at = turns.next(lanes).expect("there are lanes");
            turns.served(&lanes[at]);
            counts[at] += 1;
        }
        counts
    }

    #[test]
    fn workspaces_share_evenly_and_so_do_the_use_cases_of_each() {
        let lanes = [lane(1), lane(1), lane(1), lane(2)];
        assert_eq!(served(&lanes, 60), [10, 10, 10, 30]);
    }

    #[test]
    fn who_comes_new_is_served_next_and_then_takes_no_more_than_the_others() {
        let (old, new) = (lane(1), lane(2));
        let mut turns = Turns::default();
        for _ in 0..1_000 {
            turns.served(&old);
        }
        let lanes = [old, new];
        let mut order = Vec::new();
        for _ in 0..4 {
            let at = turns.next(&lanes).expect("there are lanes");
            turns.served(&lanes[at]);
            order.push(at);
        }
        assert_eq!(order, [1, 0, 1, 0]);
        assert_eq!(turns.next(&[]), None);
    }

    #[test]
    fn what_has_left_the_queue_is_forgotten() {
        let lanes = [lane(1), lane(2)];
        let mut turns = Turns::default();
        turns.served(&lanes[0]);
        turns.served(&lanes[1]);
        turns.keep(&lanes[1..]);
        assert_eq!((turns.workspaces.len(), turns.use_cases.len()), (1, 1));
    }
}
