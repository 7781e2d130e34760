//! What has to be done now and then, apart from the delivery loop so that it holds nothing up:
//! dropping audio that nobody uses, old events of webhooks, and the breakers of carriers that nobody uses; adding up
//! what has ended, for the reports.
//! Of all processes on a database one does it at a time.

use std::time::Duration;

use crate::ops::{OpError, Result, audio, callbacks};
use crate::storage::{Store, Tx};

/// Between two looks whether a sweep is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Between two sweeps, over all processes.
pub const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Between two rounds of adding up what has ended: a report reads one by one what has not been added up.
const FOLD_EVERY: Duration = Duration::from_secs(50);
/// Ends that are added up in one unit of work, so that it stays a short one.
const FOLDED_AT_ONCE: i64 = 2_000;

/// The breaker of a carrier that nothing was to be sent with for so long is closed.
const BREAKER_FORGOTTEN: Duration = Duration::from_secs(24 * 3_600);

pub struct Housekeeping {
    pub store: Store,
}

impl Housekeeping {
    /// Until the task is ended.
    pub async fn run(self) {
        loop {
            match self.sweep().await {
                Ok(0) => {}
                Ok(dropped) => tracing::info!(dropped, "audio that nobody used was dropped"),
                Err(error) => {
                    tracing::warn!(error = %error, "unused audio could not be looked for")
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Drops audio that nobody uses, batch by batch, where it is time and no other process does it;
    /// says how many. What a process that dies leaves is dropped by the next sweep.
    pub async fn sweep(&self) -> Result<usize> {
        // What fails here holds nothing else up, and is tried again.
        if let Err(error) = self.sweep_webhook_events().await {
            tracing::warn!(error = %error, "old events of webhooks could not be dropped");
        }
        if let Err(error) = self.fold_ended().await {
            tracing::warn!(error = %error, "what has ended could not be added up for the reports");
        }
        let take = |tx: &mut dyn Tx| Ok::<_, OpError>(tx.take_sweep("unused_audio", SWEEP_EVERY)?);
        if !self.store.write(take).await? {
            return Ok(0);
        }
        let forget = |tx: &mut dyn Tx| {
            let before = tx.now()?.minus(BREAKER_FORGOTTEN);
            Ok::<_, OpError>(tx.forget_breakers(before)?)
        };
        self.store.write(forget).await?;
        let mut all = 0;
        loop {
            let dropped = self.store.write(audio::drop_unused).await?;
            all += dropped;
            if i64::try_from(dropped).unwrap_or(0) < audio::DROPPED_AT_ONCE {
                return Ok(all);
            }
        }
    }

    /// Adds up what has ended since the last time, for the reports.
    pub async fn fold_ended(&self) -> Result<()> {
        let take = |tx: &mut dyn Tx| Ok::<_, OpError>(tx.take_sweep("ended_changes", FOLD_EVERY)?);
        if !self.store.write(take).await? {
            return Ok(());
        }
        // Each round begins behind the one before: what was taken away there would have to be passed by again
        // for as long as an old snapshot of Postgres still sees it.
        let mut after = 0;
        loop {
            let fold =
                move |tx: &mut dyn Tx| Ok::<_, OpError>(tx.fold_ended(after, FOLDED_AT_ONCE)?);
            let folded = self.store.write(fold).await?;
            after = folded.last;
            if i64::try_from(folded.changes).unwrap_or(0) < FOLDED_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// They are kept for as long as a repeat of one is known again.
    async fn sweep_webhook_events(&self) -> Result<()> {
        let take =
            |tx: &mut dyn Tx| Ok::<_, OpError>(tx.take_sweep("webhook_events", SWEEP_EVERY)?);
        if !self.store.write(take).await? {
            return Ok(());
        }
        loop {
            let drop_old = |tx: &mut dyn Tx| {
                let before = tx.now()?.minus(callbacks::EVENTS_KEPT);
                let most = callbacks::EVENTS_DROPPED_AT_ONCE;
                Ok::<_, OpError>(tx.drop_webhook_events(before, most)?)
            };
            let dropped = self.store.write(drop_old).await?;
            if i64::try_from(dropped).unwrap_or(0) < callbacks::EVENTS_DROPPED_AT_ONCE {
                return Ok(());
            }
        }
    }
}
