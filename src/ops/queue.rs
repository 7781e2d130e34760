//! The bound of the queue of waiting voicemails.

use std::sync::Mutex;
use std::time::Duration;

use super::error::{OpError, Result};
use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::storage::Tx;

/// A count from the database serves for this long; in between the accepts of this process are
/// added. So one process may pass the bound by the calls that it has in progress at once, and
/// several by what they accept within this time.
const COUNT_SERVES: Duration = Duration::from_secs(10);
/// A full queue is counted again at most this often, because counting a long one is dear.
const FULL_COUNT_EVERY: Duration = Duration::from_secs(1);

/// Holds the number of waiting voicemails within `allowed`.
#[derive(Debug)]
pub struct QueueGauge {
    allowed: u64,
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    waiting: u64,
    counted: Time,
}

impl QueueGauge {
    pub fn new(allowed: u64) -> QueueGauge {
        QueueGauge {
            allowed,
            seen: Mutex::new(None),
        }
    }

    /// Is there room for one more? Says so without taking it.
    pub fn check(&self, tx: &mut dyn Tx, workspace: WorkspaceId) -> Result<()> {
        let now = tx.now()?;
        let last = *self.lock();
        let stale = match last {
            None => true,
            Some(seen) => {
                let age = now.since(seen.counted);
                age >= COUNT_SERVES || (seen.waiting >= self.allowed && age >= FULL_COUNT_EVERY)
            }
        };
        let waiting = match (last, stale) {
            (Some(seen), false) => seen.waiting,
            _ => {
                let at_most = i64::try_from(self.allowed).unwrap_or(i64::MAX);
                let waiting = tx.count_waiting(workspace, at_most)?.unsigned_abs();
                *self.lock() = Some(Seen {
                    waiting,
                    counted: now,
                });
                waiting
            }
        };
        match waiting >= self.allowed {
            true => Err(OpError::QueueFull {
                allowed: self.allowed,
            }),
            false => Ok(()),
        }
    }

    /// One more waits.
    pub fn add(&self) {
        if let Some(seen) = self.lock().as_mut() {
            seen.waiting += 1;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Seen>> {
        // A panic elsewhere leaves a count that is at worst stale.
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
