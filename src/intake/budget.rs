//! How much audio may be in progress over all calls.
//!
//! Each upload reserves the largest size that it may come to, so one that was admitted is never
//! refused for want of room later. Bytes stay in memory while the memory budget lasts and go to
//! the spool after; since the reservations together never pass memory and spool, and the spool
//! grows only while memory is used up, neither passes its own bound.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::audio::BYTES_MAX;
use crate::ops::error::{OpError, Result};

/// What a caller that was refused is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The bound over all uploads of this process.
#[derive(Debug, Clone)]
pub struct Uploads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    memory: Budget,
    uploads_max: u64,
    spool_dir: PathBuf,
    uploads: AtomicU64,
}

impl Uploads {
    pub fn new(memory_bytes: u64, spool_bytes: u64, spool_dir: PathBuf) -> Uploads {
        Uploads(Arc::new(Inner {
            memory: Budget::new(memory_bytes),
            uploads_max: (memory_bytes + spool_bytes) / BYTES_MAX,
            spool_dir,
            uploads: AtomicU64::new(0),
        }))
    }

    /// Room for one more upload of the largest size.
    pub fn admit(&self) -> Result<Reservation> {
        let uploads_max = self.0.uploads_max;
        let admitted = self
            .0
            .uploads
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |uploads| {
                (uploads < uploads_max).then_some(uploads + 1)
            });
        match admitted {
            Ok(_) => Ok(Reservation {
                uploads: self.clone(),
                memory: self.0.memory.meter(),
            }),
            Err(_) => Err(self.refusal()),
        }
    }

    /// The memory budget.
    pub fn memory(&self) -> &Budget {
        &self.0.memory
    }

    /// What is said where there is no room.
    pub fn refusal(&self) -> OpError {
        OpError::TooManyUploads {
            uploads_max: self.0.uploads_max,
            retry: RETRY_AFTER,
        }
    }

    /// Uploads in progress.
    pub fn count(&self) -> u64 {
        self.0.uploads.load(Ordering::Relaxed)
    }

    /// Bytes of uploads in memory.
    pub fn memory_used(&self) -> u64 {
        self.0.memory.used()
    }
}

/// Bytes that may be held at once, over all calls.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Bounded>);

#[derive(Debug)]
struct Bounded {
    max: u64,
    used: AtomicU64,
}

impl Budget {
    pub fn new(max: u64) -> Budget {
        let used = AtomicU64::new(0);
        Budget(Arc::new(Bounded { max, used }))
    }

    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Counts what one call holds of it.
    pub fn meter(&self) -> Meter {
        Meter {
            budget: self.clone(),
            taken: AtomicU64::new(0),
        }
    }
}

/// What one call holds of a budget; given back when it is dropped.
#[derive(Debug)]
pub struct Meter {
    budget: Budget,
    taken: AtomicU64,
}

impl Meter {
    /// `false`, and nothing taken, where the budget is used up.
    pub fn take(&self, bytes: u64) -> bool {
        let bounded = &self.budget.0;
        let within = |used: u64| (used + bytes <= bounded.max).then_some(used + bytes);
        let is_taken = bounded
            .used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, within)
            .is_ok();
        if is_taken {
            self.taken.fetch_add(bytes, Ordering::SeqCst);
        }
        is_taken
    }

    /// All that was taken is held no more.
    pub fn give_back(&self) {
        let taken = self.taken.swap(0, Ordering::SeqCst);
        self.budget.0.used.fetch_sub(taken, Ordering::SeqCst);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The room of one upload, given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    uploads: Uploads,
    memory: Meter,
}

impl Reservation {
    /// Takes `bytes` of the memory budget; `false` where it is used up.
    pub(super) fn take_memory(&self, bytes: u64) -> bool {
        self.memory.take(bytes)
    }

    /// Where its bytes go once the memory is used up.
    pub(super) fn spool_folder(&self) -> PathBuf {
        self.uploads.0.spool_dir.clone()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.uploads.0.uploads.fetch_sub(1, Ordering::SeqCst);
    }
}
