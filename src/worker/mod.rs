//! The delivery loop: claim what is due, as much as there are permits, and let each task run its
//! course. Woken by an accept, by the next due time, and by a poll as a fallback.

mod audio;
mod housekeeping;
mod run;
mod start;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use housekeeping::Housekeeping;
pub use run::Runner;

use crate::config::WorkerConfig;
use crate::domain::ids::SetupId;
use crate::domain::room::{Kind, Room};
use crate::ops;
use crate::ops::deliver::{Started, Task};
use crate::readiness::Readiness;
use crate::wake::Wake;

/// Between two rounds that failed.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Between two rounds of which the first found nothing.
const PAUSE_MIN: Duration = Duration::from_millis(5);

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
        let room = Arc::new(Mutex::new(Room::new(self.config.in_flight_max)));
        let mut tasks = JoinSet::new();
        let mut backoff = BACKOFF_FIRST;
        self.start().await;
        while !*stop.borrow() {
            let wait = match self.round(&room, &mut tasks).await {
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

    /// Claims as many as there is room for. Says how long to wait if nothing wakes it.
    async fn round(
        &self,
        room: &Arc<Mutex<Room>>,
        tasks: &mut JoinSet<()>,
    ) -> ops::Result<Duration> {
        while tasks.try_join_next().is_some() {}
        let now = locked(room).clone();
        if now.free() == 0 {
            return Ok(self.config.poll);
        }
        let instant = Instant::now();
        let Started { claimed, begun } = self.runner.start_due(now).await?;
        let is_empty = claimed.is_empty() && begun.is_empty();
        let mut wait = match (claimed.now, claimed.next) {
            (Some(now), Some(next)) => next.since(now).min(self.config.poll),
            _ => self.config.poll,
        };
        if !claimed.is_whole {
            wait = wait.min(self.runner.until_look());
        }
        for task in claimed.tasks {
            let place = Place::take(room, &task);
            let runner = self.runner.clone();
            tasks.spawn(async move {
                let _place = place;
                runner.run(task).await;
            });
        }
        for (task, next) in begun {
            let place = Place::take(room, &task);
            let runner = self.runner.clone();
            tasks.spawn(async move {
                let _place = place;
                runner.go_on(task, next, instant).await;
            });
        }
        // Where something was found there may be more. Where nothing was, what is due may be locked by
        // another worker: it is looked at again, but not without a pause.
        Ok(if is_empty {
            wait.max(PAUSE_MIN)
        } else {
            Duration::ZERO
        })
    }
}

/// A task's place in the room, given back when the task ends, however it ends.
struct Place {
    room: Arc<Mutex<Room>>,
    setup: SetupId,
    kind: Kind,
}

impl Place {
    fn take(room: &Arc<Mutex<Room>>, task: &Task) -> Place {
        let (setup, kind) = (task.delivery.setup_id, task.kind);
        locked(room).take(setup, kind);
        Place {
            room: room.clone(),
            setup,
            kind,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.room).give_back(self.setup, self.kind);
    }
}

/// A panic elsewhere leaves counts that are right, because each is changed in one step.
fn locked(room: &Mutex<Room>) -> MutexGuard<'_, Room> {
    room.lock().unwrap_or_else(PoisonError::into_inner)
}
