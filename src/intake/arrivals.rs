//! When the last byte of a call's request came. A message is seen only once it is whole, so a slow
//! caller in the middle of one would look silent; the HTTP body below knows better.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Shared between the body, which notes, and the reader, which asks.
#[derive(Debug, Clone)]
pub struct Arrivals {
    start: Instant,
    /// Milliseconds from `start` to the last byte.
    last_ms: Arc<AtomicU64>,
}

impl Arrivals {
    pub fn new() -> Arrivals {
        Arrivals {
            start: Instant::now(),
            last_ms: Arc::new(AtomicU64::new(0)),
        }
    }

    pub fn note(&self) {
        let passed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(passed, Ordering::Relaxed);
    }

    pub fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Arrivals::new()
    }
}
