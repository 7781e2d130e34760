//! What has to be done now and then, apart from the delivery loop so that it holds nothing up:
//! letting go what was held for a setup that may send again, and dropping audio that nobody uses.

use std::time::Duration;

use tokio::time::Instant;

use crate::ops::{OpError, Result, audio};
use crate::storage::{Store, Tx};
use crate::wake::Wake;

/// Between two looks for audio that nobody uses.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Held rows that are let go in one unit of work, so that it stays a short one.
const RELEASED_AT_ONCE: i64 = 1_000;

pub struct Housekeeping {
    pub store: Store,
    pub wake: Wake,
    /// Between two looks for what may go on.
    pub every: Duration,
}

impl Housekeeping {
    /// Until the task is ended.
    pub async fn run(self) {
        let mut next_sweep = Instant::now();
        loop {
            if let Err(error) = self.release().await {
                tracing::warn!(error = %error, "what was held could not be looked at");
            }
            if Instant::now() >= next_sweep {
                next_sweep = Instant::now() + SWEEP_EVERY;
                match self.sweep().await {
                    Ok(0) => {}
                    Ok(dropped) => tracing::info!(dropped, "audio that nobody used was dropped"),
                    Err(error) => {
                        tracing::warn!(error = %error, "unused audio could not be looked for");
                    }
                }
            }
            tokio::time::sleep(self.every).await;
        }
    }

    /// Lets what was held for setups that may send go on, batch by batch; says how many.
    pub async fn release(&self) -> Result<usize> {
        let mut all = 0;
        loop {
            let release = |tx: &mut dyn Tx| Ok::<_, OpError>(tx.release_held(RELEASED_AT_ONCE)?);
            let released = self.store.write(release).await?;
            all += released;
            if released > 0 {
                self.wake.wake();
            }
            if i64::try_from(released).unwrap_or(0) < RELEASED_AT_ONCE {
                return Ok(all);
            }
        }
    }

    /// Drops audio that nobody uses, batch by batch; says how many.
    async fn sweep(&self) -> Result<usize> {
        let mut all = 0;
        loop {
            let dropped = self.store.write(audio::drop_unused).await?;
            all += dropped;
            if i64::try_from(dropped).unwrap_or(0) < audio::DROPPED_AT_ONCE {
                return Ok(all);
            }
        }
    }
}
