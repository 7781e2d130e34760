//! Where histories are played: a real store, and the product's own steps on it, each one unit of
//! work. This is the only file that knows how the steps are called. It also knows a few flaws to
//! build into them, so that the checker can be seen to find what it is there to find.

use std::time::Duration;

use ringless::carrier::Registry;
use ringless::clock::ManualClock;
use ringless::domain::attempt::{Answer, Attempt, CarrierWords, Outcome};
use ringless::domain::delivery::{Delivery, Rules};
use ringless::domain::failure::FailureReason;
use ringless::domain::hand_over::HandOver;
use ringless::domain::ids::{HandOverId, LeaseToken, VoicemailId};
use ringless::domain::retry;
use ringless::domain::room::Room;
use ringless::domain::status::End;
use ringless::domain::voicemail::Audio;
use ringless::domain::word::{Said, Word};
use ringless::ops::deliver::{
    self, CallPlan, Claimed, Delivering, Heard, NextMove, QuestionPlan, Recorded, Round, Task,
};
use ringless::ops::queue::QueueGauge;
use ringless::ops::send_voicemail::{self, Accepted, Accepting, AudioInput};
use ringless::ops::setups::{self, SetupChange};
use ringless::ops::{OpError, voicemails};
use ringless::storage::{Error, Lock, Tx};

use super::carriers::configured;
use super::history::{Carriers, Commit, Kind};
use crate::support::data::{LEASE, Scene, WORKSPACE};
use crate::support::scripted::{NEITHER, Scripted};
use crate::support::{Engine, TestStore};

/// What can be built into the steps to see that the checker finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A record does not ask whose lease it is.
    TokenIgnored,
    /// A call is begun by whoever once claimed the row.
    LeaseIgnored,
    /// A carrier that can neither be repeated to nor be asked is said to know repeats.
    BlindRepeat,
    /// A connection that broke is taken for a refusal.
    BreakIsRefusal,
    /// The call is made though the attempt was not written.
    AttemptUnwritten,
    /// A word that nobody understands is taken for a failure.
    RiddleIsFailure,
}

/// A voicemail as the store has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub delivery: Delivery,
    pub attempts: Vec<Attempt>,
    pub hand_over: Option<HandOver>,
}

/// What came of a unit of work: what its caller hears, and the rows as they stand then, where the
/// unit changed anything.
pub struct Done<T> {
    pub heard: Result<T, OpError>,
    pub rows: Option<Vec<Row>>,
}

/// A store with a setup of two carriers and a use case. Histories are played on it one after the
/// other.
pub struct Stage {
    scene: Scene,
    audio: Audio,
    pub flaw: Option<Flaw>,
}

/// Fewer tries and longer waits than the program's own: they keep the end of a history short.
fn rules() -> Rules {
    let seconds = |waits: &[u64]| waits.iter().copied().map(Duration::from_secs).collect();
    Rules {
        retry: retry::Policy {
            waits: seconds(&[5, 30, 600, 6 * 3_600]),
        },
        ask_waits: seconds(&[30, 600, 6 * 3_600]),
        no_sender_wait: Duration::from_secs(2 * 3_600),
        ..Rules::default()
    }
}

impl Stage {
    pub async fn new(engine: Engine, flaw: Option<Flaw>) -> Stage {
        let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
        let first = scene.accept("+12125550100").await;
        let audio = scene.get(first).await.audio;
        let stage = Stage { scene, audio, flaw };
        stage.clear();
        stage
    }

    pub fn clock(&self) -> &ManualClock {
        &self.scene.test.clock
    }

    pub fn store(&self) -> &TestStore {
        &self.scene.test
    }

    /// Takes everything off the queue that an earlier history left there because it failed.
    pub fn clear(&self) {
        let sql =
            "UPDATE voicemails SET status = 8, next_time = NULL, lease_token = NULL, held = false";
        self.scene.test.database.sql(sql, sql);
    }

    /// What a worker's process has, with these carriers in its configuration.
    pub fn process(&self, carriers: Carriers, kinds: [Kind; 2]) -> Delivering {
        Delivering {
            registry: configured(carriers, self.claimed(kinds)),
            rules: rules(),
            gates: self.scene.gates.clone(),
            lease: LEASE,
            doors: None,
        }
    }

    fn claimed(&self, kinds: [Kind; 2]) -> [Kind; 2] {
        kinds.map(|kind| match (kind, self.flaw) {
            (Kind::Neither, Some(Flaw::BlindRepeat)) => Kind::Repeatable,
            (kind, _) => kind,
        })
    }

    /// One unit of work, its commit as told, and the rows of these voicemails after it.
    async fn unit<T: Send + 'static>(
        &self,
        commit: Commit,
        ids: &[VoicemailId],
        work: impl FnOnce(&mut dyn Tx) -> Result<T, OpError> + Send + 'static,
    ) -> Done<T> {
        let ids = ids.to_vec();
        let done = self.scene.test.store.write(move |tx| {
            let value = work(tx)?;
            match commit {
                Commit::RolledBack => Err(lost()),
                Commit::Heard | Commit::Unheard => Ok((value, rows(tx, &ids)?)),
            }
        });
        match (done.await, commit) {
            (Ok((value, rows)), Commit::Heard) => Done {
                heard: Ok(value),
                rows: Some(rows),
            },
            (Ok((_, rows)), _) => Done {
                heard: Err(lost()),
                rows: Some(rows),
            },
            (Err(error), _) => Done {
                heard: Err(error),
                rows: None,
            },
        }
    }

    /// A new voicemail that expires after so many seconds.
    pub async fn accept(
        &self,
        kinds: [Kind; 2],
        recipient: usize,
        expire_after: u64,
    ) -> VoicemailId {
        let mut draft = self.scene.draft(&format!("+1212555010{recipient}"));
        draft.audio_id = Some(self.audio.id);
        let registry = configured(Carriers::FirstThenSecond, kinds);
        let gates = self.scene.gates.clone();
        let accepted = self.scene.test.store.write(move |tx| {
            let accepting = Accepting {
                workspace: WORKSPACE,
                registry: &registry,
                gates: &gates,
                queue: &QueueGauge::new(1_000),
                expire_after: Duration::from_secs(expire_after),
            };
            send_voicemail::accept(tx, &draft, &AudioInput::Named, &accepting)
        });
        match accepted.await {
            Ok(Accepted::New(voicemail)) => voicemail.id,
            other => panic!("{other:?}"),
        }
    }

    pub async fn rows(&self, ids: &[VoicemailId]) -> Vec<Row> {
        let ids = ids.to_vec();
        let read = self.scene.test.store.read(move |tx| rows(tx, &ids));
        read.await.unwrap()
    }

    // --- the worker's steps ---

    pub async fn claim(
        &self,
        (commit, ids): (Commit, &[VoicemailId]),
        process: &Delivering,
        limit: usize,
    ) -> Done<Claimed> {
        let process = process.clone();
        let token = LeaseToken::generate();
        self.unit(commit, ids, move |tx| {
            deliver::claim(tx, &process, &mut Round::default(), Room::new(limit), token)
        })
        .await
    }

    pub async fn begin(
        &self,
        (commit, ids): (Commit, &[VoicemailId]),
        process: &Delivering,
        task: &Task,
    ) -> Done<NextMove> {
        let (process, mut task, flaw) = (process.clone(), task.clone(), self.flaw);
        if let (Some(Flaw::AttemptUnwritten), Commit::Heard) = (flaw, commit) {
            let (said, hears) = std::sync::mpsc::channel();
            let begin = move |tx: &mut dyn Tx| {
                said.send(deliver::begin(tx, &process, &task, 0.5)).unwrap();
                Err::<(), _>(lost())
            };
            drop(self.scene.test.store.write(begin).await);
            return Done {
                heard: hears.recv().unwrap(),
                rows: None,
            };
        }
        self.unit(commit, ids, move |tx| {
            if flaw == Some(Flaw::LeaseIgnored) {
                steal(tx, &mut task.delivery)?;
            }
            deliver::begin(tx, &process, &task, 0.5)
        })
        .await
    }

    pub async fn never_called(
        &self,
        (commit, ids): (Commit, &[VoicemailId]),
        task: &Task,
    ) -> Done<()> {
        let task = task.clone();
        self.unit(commit, ids, move |tx| {
            deliver::never_called(tx, &task, std::time::Duration::ZERO)
        })
        .await
    }

    /// What the carrier's adapter makes of what the carrier did.
    pub fn understood(&self, outcome: Outcome) -> Outcome {
        match (outcome, self.flaw) {
            (Outcome::Unknown, Some(Flaw::BreakIsRefusal)) => Outcome::TryAgain {
                reason: FailureReason::CarrierTimeout,
                wait: None,
            },
            (outcome, _) => outcome,
        }
    }

    pub async fn record_outcome(
        &self,
        (commit, ids): (Commit, &[VoicemailId]),
        process: &Delivering,
        plan: &CallPlan,
        outcome: &Outcome,
    ) -> Done<Recorded> {
        let (process, mut plan) = (process.clone(), plan.clone());
        let (outcome, flaw) = (outcome.clone(), self.flaw);
        self.unit(commit, ids, move |tx| {
            if flaw == Some(Flaw::TokenIgnored) {
                steal(tx, &mut plan.begun.delivery)?;
            }
            let words = CarrierWords::new("", "", "the carrier's words");
            deliver::record_outcome(tx, &process, &plan, &outcome, &words, 0.5)
        })
        .await
    }

    pub async fn record_answer(
        &self,
        (commit, ids): (Commit, &[VoicemailId]),
        process: &Delivering,
        plan: &QuestionPlan,
        answer: &Answer,
    ) -> Done<Recorded> {
        let (process, plan, answer) = (process.clone(), plan.clone(), answer.clone());
        self.unit(commit, ids, move |tx| {
            let words = CarrierWords::default();
            deliver::record_answer(tx, &process, &plan, &answer, &words, 0.5)
        })
        .await
    }

    /// A carrier's word by itself. Of a hand-over that is not known, because its writing was not committed,
    /// nobody can speak.
    pub async fn hear(
        &self,
        (commit, ids): (Commit, &[VoicemailId]),
        process: &Delivering,
        key: HandOverId,
        said: Said,
    ) -> Done<Option<Heard>> {
        let process = process.clone();
        let said = match (said, self.flaw) {
            (Said::Unheard, Some(Flaw::RiddleIsFailure)) => {
                Said::Ended(End::Because(FailureReason::CarrierUnknown))
            }
            (said, _) => said,
        };
        self.unit(commit, ids, move |tx| {
            let Some(hand_over) = tx.find_hand_over(key)? else {
                return Ok(None);
            };
            let word = Word {
                words: CarrierWords::new("", "said", "by itself"),
                ..Word::of(said)
            };
            deliver::hear(tx, &process, &hand_over, &word, 0.5).map(Some)
        })
        .await
    }

    /// What a process does at its start where it is certain to be alone.
    pub async fn end_all_leases(&self, ids: &[VoicemailId]) -> Done<usize> {
        self.unit(Commit::Heard, ids, |tx| Ok(tx.end_all_leases()?))
            .await
    }

    // --- what people do ---

    pub async fn cancel(
        &self,
        (commit, ids): (Commit, &[VoicemailId]),
        id: VoicemailId,
    ) -> Done<()> {
        self.unit(commit, ids, move |tx| {
            voicemails::cancel(tx, WORKSPACE, id).map(|_| ())
        })
        .await
    }

    /// Refused, which is nothing to us, where there is nothing to suspend.
    pub async fn suspend(&self) {
        let (setup, known) = (self.scene.setup_id, self.all());
        let suspend = move |tx: &mut dyn Tx| setups::suspend(tx, WORKSPACE, setup, "", &known);
        drop(self.scene.test.store.write(suspend).await);
    }

    pub async fn resume(&self) {
        let (setup, known) = (self.scene.setup_id, self.all());
        let resume = move |tx: &mut dyn Tx| setups::resume(tx, WORKSPACE, setup, &known);
        drop(self.scene.test.store.write(resume).await);
    }

    /// The setup has these carriers and is approved.
    pub async fn set_carriers(&self, carriers: Carriers) {
        let (setup, known) = (self.scene.setup_id, self.all());
        let names = carriers.names().iter().map(|name| (*name).to_owned());
        let change = SetupChange {
            carriers: Some(names.collect()),
            ..SetupChange::default()
        };
        let set = self.scene.test.store.write(move |tx| {
            let changed = setups::update(tx, WORKSPACE, setup, &change, &known)?;
            match changed.status {
                ringless::domain::telephony::SetupStatus::Suspended => {
                    setups::resume(tx, WORKSPACE, setup, &known)
                }
                _ => setups::approve(tx, WORKSPACE, setup, &known),
            }
        });
        set.await.unwrap();
    }

    fn all(&self) -> Registry {
        configured(Carriers::FirstThenSecond, [Kind::Neither; 2])
    }
}

/// An error that comes from outside: the answer to a commit was lost.
fn lost() -> OpError {
    Error::CommitUnknown("the history says so".to_owned()).into()
}

/// Is it the error that the history asked for?
pub fn is_asked_for(error: &OpError) -> bool {
    matches!(error, OpError::Storage(Error::CommitUnknown(_)))
}

fn rows(tx: &mut dyn Tx, ids: &[VoicemailId]) -> Result<Vec<Row>, OpError> {
    ids.iter()
        .map(|id| {
            let delivery = tx.find_delivery(WORKSPACE, *id, Lock::None)?;
            Ok(Row {
                delivery: delivery.expect("nobody deletes a voicemail"),
                attempts: tx.find_attempts(*id)?,
                hand_over: tx.last_hand_over(*id)?,
            })
        })
        .collect()
}

/// Makes an old lease look like the one that holds the row.
fn steal(tx: &mut dyn Tx, held: &mut Delivery) -> Result<(), OpError> {
    let current = tx.find_delivery(WORKSPACE, held.voicemail_id, Lock::None)?;
    if let Some(current) = current.filter(|row| row.status == held.status) {
        held.lease_token = current.lease_token;
    }
    Ok(())
}
