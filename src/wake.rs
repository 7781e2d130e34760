//! The bell between who has work and who does it: at once within one process, and by way of the
//! database to the others where there may be others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use crate::storage::{Bell, Error, Listener, Ring, Ringer};
use crate::telemetry::Metrics;

/// Between two rings; what comes in between is one ring.
const RING_PAUSE: Duration = Duration::from_millis(5);
/// Between two attempts to reach the database.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A ring of our own has come back by then, or it never does. Longer than the bell may take to
/// connect anew after the database was away.
const ECHO_WITHIN: Duration = Duration::from_secs(25);
/// Where it does not come back, it is tried again after this.
const DEAF_FOR: Duration = Duration::from_secs(60);

/// Rings the workers; clones ring the same bell.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    here: Notify,
    elsewhere: Notify,
}

impl Wake {
    /// Wakes the worker of this process and, where [`Wake::ring_others`] runs, those of all others:
    /// now or as soon as they wait.
    pub fn wake(&self) {
        self.0.here.notify_one();
        self.0.elsewhere.notify_one();
    }

    /// Waits to be woken.
    pub async fn woken(&self) {
        self.0.here.notified().await;
    }

    /// Passes what rings here on to all other processes, until the task is ended.
    pub async fn ring_others(self, mut ringer: Ringer) {
        let mut backoff = BACKOFF_FIRST;
        loop {
            self.0.elsewhere.notified().await;
            while let Err(error) = ringer.ring().await {
                if backoff == BACKOFF_FIRST {
                    tracing::warn!(error = %error, "other processes can't be woken now; their workers find the work at their next look");
                }
                sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
            backoff = BACKOFF_FIRST;
            sleep(RING_PAUSE).await;
        }
    }

    /// Wakes the worker of this process when another one rings, until the task is ended. Needs
    /// [`Wake::ring_others`] to run beside it: only a ring of our own that comes back is proof that
    /// rings arrive here.
    pub async fn hear_others(self, bell: Bell, metrics: Metrics) {
        let mut backoff = BACKOFF_FIRST;
        let mut is_told = false;
        loop {
            let mut is_proven = false;
            let deaf = match bell.listen().await {
                Ok(listener) => self.hear(listener, &metrics, &mut is_proven).await,
                Err(error) => Deaf::Broken(error),
            };
            metrics.hears_others(false);
            if is_proven {
                (backoff, is_told) = (BACKOFF_FIRST, false);
            }
            let wait = match deaf {
                Deaf::Broken(error) => {
                    if backoff == BACKOFF_FIRST {
                        tracing::warn!(error = %error, "other processes are not heard now; until they are, the queue is looked at every poll_seconds");
                    }
                    let wait = backoff;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                    wait
                }
                Deaf::NoEcho => {
                    if !is_told {
                        tracing::warn!(
                            "a NOTIFY to ourselves does not come back, as with a pooler that does not keep sessions; what other processes accept is found every poll_seconds only"
                        );
                    }
                    is_told = true;
                    DEAF_FOR
                }
            };
            sleep(wait).await;
        }
    }

    /// One life of a listening connection.
    async fn hear(&self, mut listener: Listener, metrics: &Metrics, is_proven: &mut bool) -> Deaf {
        // Something may have been missed while nobody listened; and the echo has to be made.
        self.wake();
        let echo_by = Instant::now() + ECHO_WITHIN;
        loop {
            let heard = match is_proven {
                true => listener.heard().await,
                false => match timeout_at(echo_by, listener.heard()).await {
                    Ok(heard) => heard,
                    Err(_) => return Deaf::NoEcho,
                },
            };
            match heard {
                Ok(Ring::Other) => self.0.here.notify_one(),
                Ok(Ring::Own) if *is_proven => {}
                Ok(Ring::Own) => {
                    *is_proven = true;
                    metrics.hears_others(true);
                    tracing::info!(
                        "other processes are heard: what they accept is looked for at once"
                    );
                }
                Err(error) => return Deaf::Broken(error),
            }
        }
    }
}

/// Why a connection hears nothing any more.
enum Deaf {
    Broken(Error),
    NoEcho,
}
