//! The one place that reads the time.
//!
//! Every store call takes the time from one clock: in production the database's own on Postgres,
//! so that leases of many machines compare, and the host's on SQLite, whose database lives in
//! this process; in tests an instant that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use crate::domain::time::Time;

/// Where the store takes its time from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The database's own clock.
    #[default]
    Database,
    /// A clock that a test turns by hand.
    Manual(ManualClock),
}

/// The host's clock. Only the SQLite store and the random seed of waits ask for it.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the place that reads the clock"
)]
pub fn system_now() -> Time {
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Time::EPOCH.plus(since_1970)
}

/// Stands still until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    pub fn new(start: Time) -> ManualClock {
        ManualClock(Arc::new(AtomicI64::new(start.micros())))
    }

    pub fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }

    pub fn advance(&self, by: std::time::Duration) {
        self.0.store(self.now().plus(by).micros(), Ordering::SeqCst);
    }

    /// Puts it to an instant, which may be an earlier one.
    pub fn set(&self, time: Time) {
        self.0.store(time.micros(), Ordering::SeqCst);
    }
}
