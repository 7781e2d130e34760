//! One task from claim to record: begin, call or ask, record. Between the database's units of work
//! and the carrier's call nothing is held but the lease.

use std::time::Duration;

use tracing::Instrument;

use crate::carrier::{Call, Question};
use crate::config::WorkerConfig;
use crate::domain::attempt::{Answer, CarrierWords, Outcome};
use crate::domain::delivery::Delivery;
use crate::domain::ids::{AudioId, LeaseToken};
use crate::ops::deliver::{
    self, CallPlan, Claimed, Delivering, NextMove, QuestionPlan, Task, TaskKind,
};
use crate::ops::error::OpError;
use crate::ops::{Result, audio};
use crate::storage::{Error, Store};
use crate::telemetry::Metrics;

/// An even draw from 0 to 1.
pub type Chance = fn() -> f64;

pub struct Runner {
    pub store: Store,
    pub delivering: Delivering,
    pub call_timeout: Duration,
    pub metrics: Metrics,
    pub chance: Chance,
}

/// A record that failed is tried again this often: the outcome is known and must not be lost.
const RECORD_TRIES: u32 = 6;

impl Runner {
    pub fn new(
        store: Store,
        delivering: Delivering,
        config: &WorkerConfig,
        metrics: Metrics,
    ) -> Runner {
        Runner {
            store,
            delivering,
            call_timeout: config.call_timeout,
            metrics,
            chance: even_draw,
        }
    }

    /// Where no other process can hold a lease, those of an earlier one are over; and what was held
    /// for want of a carrier is looked at with today's configuration.
    pub async fn start(&self) -> Result<()> {
        let is_alone = self.store.is_sole_owner();
        self.store
            .write(move |tx| {
                let ended = if is_alone { tx.end_all_leases()? } else { 0 };
                let released = tx.release_held(None)?;
                if ended + released > 0 {
                    tracing::info!(
                        rescued = ended,
                        released,
                        "what an earlier process left is looked at"
                    );
                }
                Ok::<_, OpError>(())
            })
            .await
    }

    pub async fn claim(&self, limit: usize) -> Result<Claimed> {
        let delivering = self.delivering.clone();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let claimed = self
            .store
            .write(move |tx| deliver::claim(tx, &delivering, limit, LeaseToken::generate()))
            .await?;
        for delivery in &claimed.ended {
            self.note_end(delivery);
        }
        Ok(claimed)
    }

    /// How long until the next row is due, at most `poll`.
    pub async fn time_to_next(&self, poll: Duration) -> Result<Duration> {
        self.store
            .read(move |tx| {
                let now = tx.now()?;
                let next = tx.next_due_time()?;
                Ok(next.map_or(poll, |next| next.since(now).min(poll)))
            })
            .await
    }

    /// Runs a task to its end. What fails is logged, and the row is rescued when its lease ends.
    pub async fn run(&self, task: Task) {
        let span = tracing::info_span!("delivery", voicemail.id = %task.delivery.voicemail_id);
        async {
            if let Err(error) = self.try_run(&task).await {
                tracing::warn!(error = %error, "a delivery could not go on; it is looked at again when its lease ends");
            }
        }
        .instrument(span)
        .await;
    }

    async fn try_run(&self, task: &Task) -> Result<()> {
        let (delivering, held) = (self.delivering.clone(), task.clone());
        let chance = (self.chance)();
        // Read before the attempt is written, so that nothing can fail between that and the call.
        let audio = match task.kind {
            TaskKind::Send | TaskKind::Rescue => self.read_audio(task.delivery.audio_id).await?,
            TaskKind::Ask => Vec::new(),
        };
        let next = self
            .store
            .write(move |tx| deliver::begin(tx, &delivering, &held, chance))
            .await?;
        match next {
            NextMove::Call(plan) => self.call(plan, audio).await,
            NextMove::Ask(plan) => self.ask(plan).await,
            NextMove::Done(delivery) => {
                self.note_end(&delivery);
                Ok(())
            }
            NextMove::Lost => Ok(()),
        }
    }

    async fn read_audio(&self, id: AudioId) -> Result<Vec<u8>> {
        let audio = self.store.read(move |tx| tx.read_audio(id)).await;
        audio
            .map_err(OpError::from)?
            .ok_or_else(|| OpError::Internal("the audio of a voicemail is gone".to_owned()))
    }

    async fn call(&self, plan: CallPlan, audio: Vec<u8>) -> Result<()> {
        let name = plan.begun.hand_over.carrier.clone();
        let Some(carrier) = self.delivering.registry.find(&name) else {
            return Err(OpError::Internal(format!(
                "carrier `{name}` went away in the middle"
            )));
        };
        let call = Call {
            hand_over_id: plan.begun.hand_over.id,
            attempt_number: plan.attempt_number,
            request: plan.begun.hand_over.request.clone(),
            message: plan.begun.message.clone(),
            audio,
            now: plan.begun.now,
        };
        let (outcome, words) =
            match tokio::time::timeout(self.call_timeout, carrier.hand_over(call)).await {
                Ok(answered) => answered,
                Err(_) => (
                    Outcome::Unknown,
                    CarrierWords::new("", "", "no answer within the time limit of the call"),
                ),
            };
        self.metrics.attempt(&name, outcome.kind());
        tracing::debug!(carrier.name = %name, attempt.number = plan.attempt_number, outcome = ?outcome.kind(), "carrier answered");
        let chance = (self.chance)();
        self.record(move |store, delivering| {
            let (plan, outcome, words) = (plan.clone(), outcome.clone(), words.clone());
            async move {
                store
                    .write(move |tx| {
                        deliver::record_outcome(tx, &delivering, &plan, &outcome, &words, chance)
                    })
                    .await
            }
        })
        .await
    }

    async fn ask(&self, plan: QuestionPlan) -> Result<()> {
        let name = plan.begun.hand_over.carrier.clone();
        let Some(carrier) = self.delivering.registry.find(&name) else {
            return Err(OpError::Internal(format!(
                "carrier `{name}` went away in the middle"
            )));
        };
        let question = Question {
            hand_over_id: plan.begun.hand_over.id,
            attempt_number: plan.begun.delivery.attempt_count,
            reference: plan.begun.hand_over.reference.clone(),
            message: plan.begun.message.clone(),
            now: plan.begun.now,
        };
        let is_askable = carrier.doubt_traits(&plan.begun.delivery.recipient).askable;
        let asked = async {
            match is_askable {
                true => carrier.ask(question).await,
                false => (Answer::NoAnswer, CarrierWords::default()),
            }
        };
        let (answer, words) = match tokio::time::timeout(self.call_timeout, asked).await {
            Ok(answered) => answered,
            Err(_) => (Answer::NoAnswer, CarrierWords::default()),
        };
        let chance = (self.chance)();
        self.record(move |store, delivering| {
            let (plan, answer, words) = (plan.clone(), answer.clone(), words.clone());
            async move {
                store
                    .write(move |tx| {
                        deliver::record_answer(tx, &delivering, &plan, &answer, &words, chance)
                    })
                    .await
            }
        })
        .await
    }

    /// Writes what came of it, again where the database is away for a moment.
    async fn record<F>(&self, write: impl Fn(Store, Delivering) -> F) -> Result<()>
    where
        F: Future<Output = Result<Option<Delivery>>>,
    {
        let mut wait = Duration::from_millis(100);
        for left in (0..RECORD_TRIES).rev() {
            match write(self.store.clone(), self.delivering.clone()).await {
                Ok(moved) => {
                    if let Some(delivery) = moved {
                        self.note_end(&delivery);
                    }
                    return Ok(());
                }
                Err(OpError::Storage(Error::Unavailable(_) | Error::CommitUnknown(_)))
                    if left > 0 =>
                {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Drops audio that nobody uses.
    pub async fn sweep(&self) {
        match self.store.write(audio::drop_unused).await {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(dropped, "audio that nobody used was dropped"),
            Err(error) => tracing::warn!(error = %error, "unused audio could not be looked for"),
        }
    }

    fn note_end(&self, delivery: &Delivery) {
        if delivery.status.is_end() {
            self.metrics.ended(delivery.status, delivery.failure_reason);
        }
    }
}

/// From the operating system, through the last bits of a fresh UUID.
fn even_draw() -> f64 {
    let (_, low) = uuid::Uuid::new_v4().as_u64_pair();
    // 52 random bits, which a float holds exactly.
    (low & ((1 << 52) - 1)) as f64 / (1_u64 << 52) as f64
}
