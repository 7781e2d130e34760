//! The bound of the queue of waiting voicemails.

use std::sync::Mutex;
use std::time::Duration;

use super::error::{OpError, Result};
use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::storage::Tx;

/// A count from the database serves for this long, one of a long queue for longer; in between the
/// accepts of this process are added. So one process may pass the bound by the calls that it has in
/// progress at once, and several by what they accept within this time.
const COUNT_SERVES: Duration = Duration::from_secs(10);
/// A full queue is counted again at most this often.
const FULL_COUNT_EVERY: Duration = Duration::from_secs(1);
/// Counting takes time by the number of rows, some 50 ms a million, be they due or scheduled for months
/// ahead. So both waits grow by themselves with each further number of this many rows that wait, and
/// counting takes less than a hundredth of the time however many there are.
const WAITS_GROW_EVERY: u64 = 100_000;
/// They grow up to this many times.
const WAITS_GROW_MAX: u64 = 30;

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
                let every = match seen.waiting >= self.allowed {
                    true => FULL_COUNT_EVERY,
                    false => COUNT_SERVES,
                };
                now.since(seen.counted) >= every * times_longer(seen.waiting)
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

/// How many times longer a count of so many rows serves.
fn times_longer(waiting: u64) -> u32 {
    let times = (1 + waiting / WAITS_GROW_EVERY).min(WAITS_GROW_MAX);
    u32::try_from(times).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_queue_is_counted_less_often() {
        for (waiting, times) in [
            (0, 1),
            (99_999, 1),
            (100_000, 2),
            (1_000_000, 11),
            (2_899_999, 29),
            (2_900_000, 30),
            (10_000_000, 30),
        ] {
            assert_eq!(times_longer(waiting), times, "{waiting}");
        }
    }
}
