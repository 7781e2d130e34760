//! How much audio may be in progress over all calls.
//!
//! Each upload reserves the largest size that it may come to, so one that was admitted is never
//! refused for want of room later. Bytes stay in memory while a sixth of the memory budget lasts, and
//! go to the spool after. An upload that goes there speaks for as much of it as it may come to; where
//! no such room is left, the others fit into the rest of the memory, because the reservations together
//! never pass memory and spool.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::audio::BYTES_MAX;
use crate::ops::error::{OpError, Result};

/// What a caller that was refused is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Of the memory budget one part in so many is for bytes that are kept until the upload is whole. The rest is for messages that
/// come in, which can't go anywhere else.
const KEPT_SHARE: u64 = 6;
/// Chunks that are written to the spool at once.
const SPOOLING_MAX: usize = 8;

/// The bound over all uploads of this process.
#[derive(Debug, Clone)]
pub struct Uploads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    memory: Budget,
    /// Spoken for by uploads whose bytes go there, each as large as it may come to be.
    spool: Budget,
    uploads_max: u64,
    spool_dir: PathBuf,
    spooling: Semaphore,
    uploads: AtomicU64,
}

impl Uploads {
    pub fn new(memory_bytes: u64, spool_bytes: u64, spool_dir: PathBuf) -> Uploads {
        Uploads(Arc::new(Inner {
            memory: Budget::new(memory_bytes),
            spool: Budget::new(spool_bytes),
            uploads_max: (memory_bytes + spool_bytes) / BYTES_MAX,
            spool_dir,
            spooling: Semaphore::new(SPOOLING_MAX),
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
                spool: self.0.spool.meter(),
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
        self.take_within(bytes, self.budget.0.max)
    }

    /// The same, where no more than `max` of the budget may be used by all.
    fn take_within(&self, bytes: u64, max: u64) -> bool {
        let bounded = &self.budget.0;
        let within = |used: u64| (used + bytes <= max).then_some(used + bytes);
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
    spool: Meter,
}

impl Reservation {
    /// Takes `bytes` of the memory budget; `false` where they belong on the spool.
    pub(super) fn take_memory(&self, bytes: u64) -> bool {
        let max = self.uploads.0.memory.0.max;
        if self.memory.take_within(bytes, max / KEPT_SHARE) {
            return true;
        }
        // Where all of the spool is spoken for, the others fit into the memory.
        !self.spool.take(BYTES_MAX) && self.memory.take(bytes)
    }

    /// `None` never comes: the turns are not closed.
    pub(super) async fn turn_to_spool(&self) -> Option<SemaphorePermit<'_>> {
        self.uploads.0.spooling.acquire().await.ok()
    }

    /// Where its bytes go once the share of the memory is used up.
    pub(super) fn spool_folder(&self) -> PathBuf {
        self.uploads.0.spool_dir.clone()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.uploads.0.uploads.fetch_sub(1, Ordering::SeqCst);
    }
}
