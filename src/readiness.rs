//! Is this process fit to be called? Asked of the database every second, told to /readyz, to
//! `grpc.health.v1` and to the metrics. Nothing of it is constant.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::config::Roles;
use crate::storage::{Error, Store};
use crate::telemetry::Metrics;

/// What `grpc.health.v1` is asked about: the process, each service, and the worker.
const HEALTH_SERVICES: [&str; 6] = [
    "",
    "ringless.v1.ConsentService",
    "ringless.v1.SuppressionService",
    "ringless.v1.TelephonyService",
    "ringless.v1.UseCaseService",
    "ringless.v1.VoicemailService",
];
const HEALTH_WORKER: &str = "ringless.worker";

/// Between two looks at the database.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A look that takes longer counts as a no.
const LOOK_TIMEOUT: Duration = Duration::from_secs(6);

/// After a write that the database refused this process says so for as long; then a call may try again.
const REFUSED_FOR: Duration = Duration::from_secs(3);

/// What is known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// `None`: the database answers and its schema is this program's; else why not.
    pub database_fault: Option<&'static str>,
    pub draining: bool,
    /// No calls are taken any more.
    pub closed: bool,
    /// The worker loop runs here and has not failed.
    pub worker: bool,
    /// Carriers whose breakers are open: their queues wait. This process is ready all the same.
    pub failing_carriers: Vec<String>,
}

impl State {
    pub fn is_ready(&self) -> bool {
        self.database_fault.is_none() && !self.draining
    }
}

/// Shared by everything that tells or asks.
#[derive(Clone)]
pub struct Readiness {
    state: Arc<watch::Sender<State>>,
    /// When the worker's last good round was.
    worker_round: Arc<Mutex<Option<Instant>>>,
    /// A worker that was silent for longer counts as dead.
    worker_silence: Duration,
}

impl Readiness {
    pub fn new(worker_silence: Duration) -> Readiness {
        let start = State {
            database_fault: Some("not looked at yet"),
            draining: false,
            closed: false,
            worker: false,
            failing_carriers: Vec::new(),
        };
        Readiness {
            state: Arc::new(watch::Sender::new(start)),
            worker_round: Arc::default(),
            worker_silence,
        }
    }

    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// From here on this process says that it is not ready.
    pub fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
    }

    /// The last thing to be said: whoever watches the health of a service is let go.
    pub fn close(&self) {
        self.state.send_modify(|state| state.closed = true);
    }

    /// The worker's word after each round: did the database serve it?
    pub fn worker_round(&self, is_good: bool) {
        *self.last_round() = is_good.then(Instant::now);
    }

    fn last_round(&self) -> MutexGuard<'_, Option<Instant>> {
        // A panic elsewhere leaves an instant that is at worst old.
        self.worker_round
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the database until the task is ended.
    pub async fn keep_looking(self, store: Store, metrics: Metrics) {
        loop {
            self.look(&store).await;
            let state = self.state();
            metrics.ready(state.is_ready());
            metrics.failing(&state.failing_carriers);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn look(&self, store: &Store) {
        let looked = tokio::time::timeout(LOOK_TIMEOUT, look_at(store)).await;
        let (fault, failing) = match looked.unwrap_or(Err("the database does not answer in time")) {
            Ok(failing) => (None, Some(failing)),
            Err(fault) => (Some(fault), None),
        };
        let last_round = *self.last_round();
        let worker = last_round.is_some_and(|at| at.elapsed() < self.worker_silence);
        self.state.send_if_modified(|state| {
            if state.database_fault != fault {
                match fault {
                    Some(why) => tracing::warn!(reason = why, "not ready"),
                    None => tracing::info!("the database answers"),
                }
            }
            let after = State {
                database_fault: fault,
                draining: state.draining,
                closed: state.closed,
                worker,
                // What the database can't say now is as it was.
                failing_carriers: failing.unwrap_or_else(|| state.failing_carriers.clone()),
            };
            let changed = *state != after;
            *state = after;
            changed
        });
    }

    /// Passes every change on to the health service until the task is ended.
    pub async fn tell_health(self, mut health: HealthReporter, roles: Roles) {
        let mut changes = self.state.subscribe();
        loop {
            let state = changes.borrow_and_update().clone();
            if state.closed {
                // A stream of Health.Watch would keep its connection open for ever.
                for service in HEALTH_SERVICES.into_iter().chain([HEALTH_WORKER]) {
                    health.clear_service_status(service).await;
                }
                return;
            }
            let word = |is_serving| {
                if is_serving {
                    ServingStatus::Serving
                } else {
                    ServingStatus::NotServing
                }
            };
            for service in HEALTH_SERVICES {
                let is_here = service.is_empty() || roles.api;
                health
                    .set_service_status(service, word(state.is_ready() && is_here))
                    .await;
            }
            let worker = roles.worker && state.worker && state.is_ready();
            health.set_service_status(HEALTH_WORKER, word(worker)).await;
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

/// The carriers that fail, or why the database can't be worked with.
async fn look_at(store: &Store) -> Result<Vec<String>, &'static str> {
    let pinged = store.read::<_, Error, _>(|tx| tx.ping()).await;
    pinged.map_err(|_| "the database does not answer, or takes no writes")?;
    if store
        .writes_refused_at()
        .is_some_and(|at| at.elapsed() < REFUSED_FOR)
    {
        return Err(
            "the database takes no writes: its disk is full, or another program has locked it",
        );
    }
    match store.schema_difference().await {
        Ok(difference) if difference == Default::default() => {}
        Ok(_) => return Err("the database's schema is not this program's"),
        Err(_) => return Err("the database's schema can't be read"),
    }
    let breakers = store.read::<_, Error, _>(|tx| tx.breakers()).await;
    let breakers = breakers.map_err(|_| "the database does not answer")?;
    Ok(breakers
        .into_iter()
        .map(|breaker| breaker.carrier)
        .collect())
}
