//! The delivery loop: claim what is due, as much as there are permits, and let each task run its
//! course. Woken by an accept, by the next due time, and by a poll as a fallback.

mod housekeeping;
mod run;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub use housekeeping::Housekeeping;
pub use run::Runner;

use crate::config::WorkerConfig;
use crate::ops;
use crate::readiness::Readiness;
use crate::wake::Wake;

/// Between two rounds that failed.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

pub struct Worker {
    runner: Arc<Runner>,
    config: WorkerConfig,
    wake: Wake,
    readiness: Readiness,
}

impl Worker {
    pub fn new(runner: Runner, config: WorkerConfig, wake: Wake, readiness: Readiness) -> Worker {
        Worker {
            runner: Arc::new(runner),
            config,
            wake,
            readiness,
        }
    }

    /// Runs until `stop` turns true, then waits for the tasks under way.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let permits = Arc::new(Semaphore::new(self.config.in_flight_max));
        let mut tasks = JoinSet::new();
        let mut backoff = BACKOFF_FIRST;
        self.start().await;
        while !*stop.borrow() {
            let wait = match self.round(&permits, &mut tasks).await {
                Ok(wait) => {
                    self.readiness.worker_round(true);
                    backoff = BACKOFF_FIRST;
                    wait
                }
                Err(error) => {
                    self.readiness.worker_round(false);
                    tracing::warn!(error = %error, wait_ms = backoff.as_millis() as u64, "the queue could not be read; trying again");
                    let wait = backoff;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                    wait
                }
            };
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                // A task that ended gives its permit back, and may have left more to do.
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
                () = self.wake.woken() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.readiness.worker_round(false);
        while tasks.join_next().await.is_some() {}
    }

    /// What an earlier process left is looked at anew.
    async fn start(&self) {
        if let Err(error) = self.runner.start().await {
            tracing::warn!(error = %error, "what an earlier process left could not be looked at; it is when its lease ends");
        }
    }

    /// Claims as many as there are free permits. Says how long to wait if nothing wakes it.
    async fn round(
        &self,
        permits: &Arc<Semaphore>,
        tasks: &mut JoinSet<()>,
    ) -> ops::Result<Duration> {
        while tasks.try_join_next().is_some() {}
        let free = permits.available_permits();
        if free == 0 {
            return Ok(self.config.poll);
        }
        let claimed = self.runner.claim(free).await?;
        let may_be_more = claimed.rows >= free;
        for task in claimed.tasks {
            let permit = permits.clone().acquire_owned().await;
            let runner = self.runner.clone();
            tasks.spawn(async move {
                let _permit = permit;
                runner.run(task).await;
            });
        }
        match may_be_more {
            true => Ok(Duration::ZERO),
            false => self.runner.time_to_next(self.config.poll).await,
        }
    }
}
