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
    memory_max: u64,
    uploads_max: u64,
    spool_dir: PathBuf,
    memory_used: AtomicU64,
    uploads: AtomicU64,
    spooled: AtomicU64,
}

impl Inner {
    fn take_memory(&self, bytes: u64) -> bool {
        let within = |used: u64| (used + bytes <= self.memory_max).then_some(used + bytes);
        self.memory_used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, within)
            .is_ok()
    }
}

impl Uploads {
    pub fn new(memory_bytes: u64, spool_bytes: u64, spool_dir: PathBuf) -> Uploads {
        Uploads(Arc::new(Inner {
            memory_max: memory_bytes,
            uploads_max: (memory_bytes + spool_bytes) / BYTES_MAX,
            spool_dir,
            memory_used: AtomicU64::new(0),
            uploads: AtomicU64::new(0),
            spooled: AtomicU64::new(0),
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
                memory: 0,
            }),
            Err(_) => Err(self.refusal()),
        }
    }

    /// A meter for a message that is read whole before anybody sees it.
    pub fn meter(&self) -> Meter {
        Meter {
            uploads: self.clone(),
            taken: AtomicU64::new(0),
        }
    }

    fn refusal(&self) -> OpError {
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
        self.0.memory_used.load(Ordering::Relaxed)
    }

    /// Uploads that went to the spool so far.
    pub fn spooled(&self) -> u64 {
        self.0.spooled.load(Ordering::Relaxed)
    }
}

/// Counts the bytes of one message that is read whole, against the memory budget; given back when
/// it is dropped.
#[derive(Debug)]
pub struct Meter {
    uploads: Uploads,
    taken: AtomicU64,
}

impl Meter {
    pub fn take(&self, bytes: u64) -> Result<()> {
        if self.uploads.0.take_memory(bytes) {
            self.taken.fetch_add(bytes, Ordering::SeqCst);
            return Ok(());
        }
        Err(self.uploads.refusal())
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let taken = self.taken.load(Ordering::SeqCst);
        self.uploads
            .0
            .memory_used
            .fetch_sub(taken, Ordering::SeqCst);
    }
}

/// The room of one upload, given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    uploads: Uploads,
    memory: u64,
}

impl Reservation {
    /// Takes `bytes` of the memory budget; `false` where it is used up.
    pub(super) fn take_memory(&mut self, bytes: u64) -> bool {
        let is_taken = self.uploads.0.take_memory(bytes);
        if is_taken {
            self.memory += bytes;
        }
        is_taken
    }

    /// Where its bytes go once the memory is used up.
    pub(super) fn spool_folder(&self) -> PathBuf {
        self.uploads.0.spooled.fetch_add(1, Ordering::Relaxed);
        self.uploads.0.spool_dir.clone()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.uploads
            .0
            .memory_used
            .fetch_sub(self.memory, Ordering::SeqCst);
        self.uploads.0.uploads.fetch_sub(1, Ordering::SeqCst);
    }
}
