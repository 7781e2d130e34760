//! The bell between who has work and who does it, within one process.

use std::sync::Arc;

use tokio::sync::Notify;

/// Rings the worker of this process; clones ring the same bell.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Wakes it, now or as soon as it waits.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits to be woken.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}
