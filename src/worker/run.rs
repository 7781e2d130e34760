//! One task from claim to record: begin, call or ask, record. Between the database's units of work
//! and the carrier's call nothing is held but the lease.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::time::Instant;
use tracing::Instrument;

use super::audio::AudioReader;
use crate::carrier::{AudioWay, Call, Carrier, Question, Upload};
use crate::chance::even_draw;
use crate::config::WorkerConfig;
use crate::crash;
use crate::domain::attempt::{Answer, CarrierWords, Outcome};
use crate::domain::breaker::{Failures, Sign};
use crate::domain::delivery::Delivery;
use crate::domain::failure::FailureReason;
use crate::gather::{Gather, Most};
use crate::ops::Result;
use crate::ops::deliver::{
    self, CallPlan, Called, Delivering, NextMove, QuestionPlan, Recorded, Round, Task,
};
use crate::ops::error::OpError;
use crate::storage::{Error, Store};
use crate::telemetry::Metrics;

/// An even draw from 0 to 1.
pub type Chance = fn() -> f64;

pub struct Runner {
    pub store: Store,
    pub delivering: Delivering,
    pub call_timeout: Duration,
    /// Between two renewals of the lease of a call under way.
    pub renew_every: Duration,
    pub metrics: Metrics,
    pub chance: Chance,
    /// The order in which use cases have their turns.
    pub(super) round: Mutex<Round>,
    /// When everything that may be due is looked at next, and not only more of what was.
    pub(super) next_look: Mutex<Instant>,
    /// Calls that are answered at the same time are recorded together.
    records: Gather<Called, Option<Recorded>>,
    audio: AudioReader,
    failures: Mutex<Failures>,
}

/// What came of giving a carrier the audio.
enum Uploaded {
    /// The request is made; the lease counts from then.
    Ready(Box<CallPlan>, Instant),
    /// The row is not ours any more.
    Lost,
    /// The database was away, or its answer was lost.
    Unwritten,
    /// It did not take it; of the message nothing has left.
    Not(Outcome, CarrierWords),
}

/// Units of work that record at once, and calls that one of them records.
const RECORDING_MAX: usize = 2;
const TOGETHER_MAX: usize = 256;

/// What a call came to is known and must not be lost: recording it is tried for this long.
const RECORD_FOR: Duration = Duration::from_secs(600);
/// Between two tries, at most.
const RECORD_WAIT_MAX: Duration = Duration::from_secs(5);

impl Runner {
    pub fn new(
        store: Store,
        delivering: Delivering,
        config: &WorkerConfig,
        metrics: Metrics,
    ) -> Runner {
        Runner {
            renew_every: delivering.lease / 3,
            records: records(&store, &delivering),
            audio: AudioReader::new(&store),
            store,
            delivering,
            call_timeout: config.call_timeout,
            metrics,
            chance: even_draw,
            round: Mutex::default(),
            next_look: Mutex::new(Instant::now()),
            failures: Mutex::default(),
        }
    }

    /// Runs a task to its end. What fails is logged, and the row is rescued when its lease ends.
    pub async fn run(&self, task: Task) {
        self.logged(&task, self.begin_alone(&task)).await;
    }

    /// Runs one that has begun to its end. Its lease is counted from within the unit of work that began it, so
    /// `started`, an instant before that, is no later.
    pub async fn go_on(&self, task: Task, next: NextMove, started: Instant) {
        self.logged(&task, self.take(&task, next, started)).await;
    }

    async fn logged(&self, task: &Task, work: impl Future<Output = Result<()>>) {
        let span = tracing::info_span!("delivery", voicemail.id = %task.delivery.voicemail_id);
        async {
            if let Err(error) = work.await {
                tracing::warn!(error = %error, "a delivery could not go on; it is looked at again when its lease ends");
            }
        }
        .instrument(span)
        .await;
    }

    async fn begin_alone(&self, task: &Task) -> Result<()> {
        let (delivering, held) = (self.delivering.clone(), task.clone());
        let chance = (self.chance)();
        // The lease is counted from within the unit of work, so this instant is no later.
        let started = Instant::now();
        let begun = self
            .store
            .write(move |tx| {
                let begun = deliver::begin(tx, &delivering, &held, chance);
                crash::after("begin.written", begun)
            })
            .await;
        crash::point("begin.committed");
        match begun {
            Ok(next) => self.take(task, next, started).await,
            // It may have been written, and no call was made: only we know. What fails for another
            // reason would fail again, so it waits for its lease's end.
            Err(OpError::Storage(error @ (Error::Unavailable(_) | Error::CommitUnknown(_)))) => {
                tracing::warn!(error = %error, "a call could not be begun");
                self.never_called(task, Duration::ZERO).await
            }
            Err(error) => Err(error),
        }
    }

    async fn take(&self, task: &Task, next: NextMove, started: Instant) -> Result<()> {
        match next {
            NextMove::Call(plan) => self.call(task, plan, started).await,
            NextMove::Ask(plan) => self.ask(plan).await,
            NextMove::Done(delivery) => {
                self.note_end(&delivery);
                Ok(())
            }
            NextMove::Lost => Ok(()),
        }
    }

    /// Whatever was written of it, no call was made: another worker may have it `wait` from now.
    pub(super) async fn never_called(&self, task: &Task, wait: Duration) -> Result<()> {
        self.persist(|| {
            let task = task.clone();
            self.store
                .write(move |tx| deliver::never_called(tx, &task, wait))
        })
        .await
    }

    async fn call(&self, task: &Task, plan: CallPlan, started: Instant) -> Result<()> {
        let name = plan.begun.hand_over.carrier.clone();
        let Some(carrier) = self.delivering.registry.find(&name) else {
            return Err(OpError::Internal(format!(
                "carrier `{name}` went away in the middle"
            )));
        };
        if self.is_too_late(started) {
            return self.never_called(task, Duration::ZERO).await;
        }
        let (plan, started) = match plan.needs_upload() {
            false => (plan, started),
            true => match self.upload(carrier.as_ref(), &plan).await? {
                Uploaded::Ready(plan, started) => (*plan, started),
                Uploaded::Lost => return Ok(()),
                Uploaded::Unwritten => return self.never_called(task, Duration::ZERO).await,
                Uploaded::Not(outcome, words) => {
                    return self.record(plan, outcome, words).await;
                }
            },
        };
        if self.is_too_late(started) {
            return self.never_called(task, Duration::ZERO).await;
        }
        let audio = match carrier.audio_way() {
            AudioWay::InCall => match self.audio.read(plan.begun.delivery.audio_id).await {
                Ok(Some(audio)) => audio,
                Ok(None) => {
                    tracing::error!("the audio of a voicemail is gone");
                    return self.never_called(task, self.delivering.lease).await;
                }
                Err(error) => {
                    tracing::warn!(error = %error, "a call could not be begun");
                    return self.never_called(task, Duration::ZERO).await;
                }
            },
            AudioWay::Link | AudioWay::Upload => Bytes::new(),
        };
        let call = Call {
            hand_over_id: plan.begun.hand_over.id,
            attempt_number: plan.attempt_number,
            request: plan.begun.hand_over.request.clone(),
            message: plan.begun.message.clone(),
            audio,
            now: plan.begun.now,
        };
        crash::point("call.ready");
        let called = tokio::time::timeout(self.call_timeout, carrier.hand_over(call));
        let called = async {
            called.await.unwrap_or_else(|_| {
                let words = "no answer within the time limit of the call";
                (Outcome::Unknown, CarrierWords::new("", "", words))
            })
        };
        let (outcome, words) = self.holding(&plan.begun.delivery, called).await;
        crash::point("call.answered");
        self.record(plan, outcome, words).await
    }

    /// The call ends before another worker may take over, also where a commit was slow.
    fn is_too_late(&self, started: Instant) -> bool {
        Instant::now() + self.call_timeout > started + self.delivering.lease * 3 / 4
    }

    /// Gives the carrier the audio that it has yet to be given; nothing of the message itself leaves.
    async fn upload(&self, carrier: &dyn Carrier, plan: &CallPlan) -> Result<Uploaded> {
        let begun = &plan.begun;
        let audio = self.audio.read(begun.delivery.audio_id).await?;
        let gone = || OpError::Internal("the audio of a voicemail is gone".to_owned());
        let upload = Upload {
            sha256: begun.message.audio_sha256,
            audio: audio.ok_or_else(gone)?,
            now: begun.now,
        };
        let given = tokio::time::timeout(self.call_timeout, carrier.upload(upload));
        let given = async {
            given.await.unwrap_or_else(|_| {
                let outcome = Outcome::TryAgain {
                    reason: FailureReason::CarrierTimeout,
                    wait: None,
                };
                let words = "the audio was not taken within the time limit of a call";
                Err((outcome, CarrierWords::new("", "", words)))
            })
        };
        let reference = match self.holding(&begun.delivery, given).await {
            Ok(reference) => reference,
            Err((outcome, words)) => return Ok(Uploaded::Not(outcome, words)),
        };
        let started = Instant::now();
        let (delivering, known) = (self.delivering.clone(), plan.clone());
        let ready = self
            .store
            .write(move |tx| {
                let ready = deliver::uploaded(tx, &delivering, &known, &reference);
                crash::after("given.written", ready)
            })
            .await;
        crash::point("given.committed");
        match ready {
            Ok(Some(plan)) => Ok(Uploaded::Ready(Box::new(plan), started)),
            Ok(None) => Ok(Uploaded::Lost),
            // It may have been written, and no call was made: only we know.
            Err(OpError::Storage(error @ (Error::Unavailable(_) | Error::CommitUnknown(_)))) => {
                tracing::warn!(error = %error, "a call could not be begun");
                Ok(Uploaded::Unwritten)
            }
            Err(error) => Err(error),
        }
    }

    async fn record(&self, plan: CallPlan, outcome: Outcome, words: CarrierWords) -> Result<()> {
        let name = &plan.begun.hand_over.carrier;
        self.metrics.attempt(name, outcome.kind());
        tracing::debug!(carrier.name = %name, attempt.number = plan.attempt_number, outcome = ?outcome.kind(), "carrier answered");
        let called = Called {
            plan,
            outcome,
            words,
            chance: (self.chance)(),
        };
        let recorded = async {
            match self.records.go(called.clone()).await.flatten() {
                Some(recorded) => Ok(recorded),
                None => self.record_alone(&called).await,
            }
        };
        let Called { plan, outcome, .. } = &called;
        let recorded = self.holding(&plan.begun.delivery, recorded).await?;
        self.note(crash::after("record.committed", recorded));
        self.note_sign(plan, outcome).await
    }

    /// It could not be recorded with others, or is not ours any more.
    async fn record_alone(&self, called: &Called) -> Result<Recorded> {
        self.persist(|| {
            let (called, delivering) = (called.clone(), self.delivering.clone());
            self.store.write(move |tx| {
                let Called {
                    plan,
                    outcome,
                    words,
                    chance,
                } = &called;
                let recorded =
                    deliver::record_outcome(tx, &delivering, plan, outcome, words, *chance);
                crash::after("record.written", recorded)
            })
        })
        .await
    }

    /// What the call says about the carrier itself.
    async fn note_sign(&self, plan: &CallPlan, outcome: &Outcome) -> Result<()> {
        let carrier = plan.begun.hand_over.carrier.clone();
        let voicemail = plan.begun.delivery.voicemail_id;
        let sign = Sign::of(outcome);
        let trips = locked(&self.failures).note(&carrier, voicemail, sign);
        let is_trial = plan.is_trial;
        if !is_trial && !trips {
            return Ok(());
        }
        let name = carrier.clone();
        let written = self.store.write(move |tx| {
            let written = match is_trial {
                true => deliver::end_trial(tx, &name, sign),
                false => deliver::trip(tx, &name),
            };
            crash::after("sign.written", written)
        });
        let has_changed = crash::after("sign.committed", written.await?);
        match (has_changed, is_trial) {
            (false, _) => {}
            (true, true) => tracing::info!(carrier.name = %carrier, "the carrier answers again"),
            (true, false) => {
                tracing::error!(carrier.name = %carrier, "the carrier fails again and again; its queue waits, and it is tried now and then");
            }
        }
        Ok(())
    }

    /// Renews the lease while `work` goes on. Where the lease is lost all the same, what comes of
    /// the work is refused when it is recorded.
    async fn holding<T>(&self, delivery: &Delivery, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        let mut next = Instant::now() + self.renew_every;
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep_until(next) => {}
            }
            next = Instant::now() + self.renew_every;
            let (delivering, held) = (self.delivering.clone(), delivery.clone());
            let renewed = self
                .store
                .write(move |tx| deliver::renew(tx, &delivering, &held));
            tokio::select! {
                done = &mut work => return done,
                renewed = renewed => match renewed {
                    Ok(true) => {}
                    Ok(false) => tracing::warn!("the lease of a call under way was lost"),
                    Err(error) => tracing::warn!(error = %error, "the lease of a call under way could not be renewed"),
                }
            }
        }
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
        let recipient = &plan.begun.delivery.recipient;
        let is_askable = carrier
            .doubt_traits(recipient, &plan.begun.hand_over.reference)
            .askable;
        let asked = async {
            match is_askable {
                true => carrier.ask(question).await,
                false => (Answer::NoAnswer, CarrierWords::default()),
            }
        };
        crash::point("ask.ready");
        let asked = tokio::time::timeout(self.call_timeout, asked);
        let asked = self.holding(&plan.begun.delivery, asked).await;
        crash::point("ask.answered");
        let (answer, words) = match asked {
            Ok(answered) => answered,
            Err(_) => (Answer::NoAnswer, CarrierWords::default()),
        };
        let chance = (self.chance)();
        let recorded = self.persist(|| {
            let (plan, answer, words) = (plan.clone(), answer.clone(), words.clone());
            let delivering = self.delivering.clone();
            self.store.write(move |tx| {
                let recorded =
                    deliver::record_answer(tx, &delivering, &plan, &answer, &words, chance);
                crash::after("answer.written", recorded)
            })
        });
        self.note(crash::after("answer.committed", recorded.await?));
        Ok(())
    }

    /// Does it again for as long as only the database stands in the way. Whatever is done so is
    /// guarded, so that a repeat after a lost answer, or after the lease, does no harm.
    async fn persist<T, F>(&self, work: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let give_up = Instant::now() + RECORD_FOR;
        let mut wait = Duration::from_millis(100);
        loop {
            match work().await {
                Err(OpError::Storage(error)) if Instant::now() < give_up => {
                    tracing::warn!(error = %error, "what came of a call could not be written; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RECORD_WAIT_MAX);
                }
                done => return done,
            }
        }
    }

    fn note(&self, recorded: Recorded) {
        match recorded {
            Recorded::Moved(delivery) => self.note_end(&delivery),
            Recorded::Late { contradicts: true } => self.metrics.late_outcome(),
            Recorded::Late { contradicts: false } | Recorded::Again => {}
        }
    }

    pub(super) fn note_end(&self, delivery: &Delivery) {
        if delivery.status.is_end() {
            self.metrics.ended(delivery.status, delivery.failure_reason);
        } else if let Some(gate) = delivery.hold_gate {
            self.metrics.held(gate);
        }
    }
}

/// Records what calls came to, many in one unit of work. `None`: it is to be recorded alone.
fn records(store: &Store, delivering: &Delivering) -> Gather<Called, Option<Recorded>> {
    let (store, delivering) = (store.clone(), delivering.clone());
    Gather::new(
        RECORDING_MAX,
        Most::count(TOGETHER_MAX),
        move |called: Vec<Called>| {
            let (store, delivering) = (store.clone(), delivering.clone());
            let count = called.len();
            async move {
                let recorded = store.write(move |tx| {
                    let recorded = deliver::record_together(tx, &delivering, &called);
                    crash::after("record.written", recorded)
                });
                recorded.await.unwrap_or_else(|error: OpError| {
                tracing::warn!(error = %error, "what came of calls could not be written together; each is written alone");
                (0..count).map(|_| None).collect()
            })
            }
        },
    )
}

/// A panic elsewhere leaves an order or a count that is at worst old.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
