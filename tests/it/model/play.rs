//! Plays a history: workers with tasks in their hands, carriers with the truth, and the rules asked
//! after every step.

use std::time::Duration;

use ringless::domain::ids::{HandOverId, VoicemailId};
use ringless::domain::status::Status;
use ringless::domain::time::Time;
use ringless::domain::word::Said;
use ringless::ops::OpError;
use ringless::ops::deliver::Delivering;

use super::carriers::{PUT_BACK_MAX, Truth};
use super::hands::{Hand, Told};
use super::history::{Carriers, Commit, History, Step, WORKERS};
use super::rules::{self, Broken};
use super::stage::{Done, Row, Stage, is_asked_for};
use super::tally::Tally;
use crate::support::START_US;

/// Rounds in which everything has to come to an end once nothing stands in the way any more.
const ROUNDS_MAX: usize = 400;

/// Why a history failed, and what happened in it until then.
#[derive(Debug)]
pub struct Fault {
    pub broken: Broken,
    pub tale: Vec<String>,
}

pub struct Play<'a> {
    pub(super) stage: &'a Stage,
    pub(super) history: &'a History,
    pub(super) ids: Vec<VoicemailId>,
    pub(super) rows: Vec<Row>,
    pub(super) truth: Truth,
    pub(super) processes: Vec<Delivering>,
    pub(super) hands: Vec<Hand>,
    pub(super) told: Vec<Told>,
    /// Time that really passed since the beginning.
    pub(super) passed: Duration,
    put_back: Duration,
    pub(super) tally: Tally,
    tale: Option<Vec<String>>,
}

/// Plays a history to its end. The tale costs time, so it is told where somebody wants it.
pub async fn play(stage: &Stage, history: &History, with_tale: bool) -> Result<Tally, Fault> {
    let mut play = Play::begin(stage, history, with_tale).await;
    match play.run().await {
        Ok(()) => Ok(play.tally),
        Err(broken) => {
            stage.clear();
            Err(Fault {
                broken,
                tale: play.tale.unwrap_or_default(),
            })
        }
    }
}

impl<'a> Play<'a> {
    async fn begin(stage: &'a Stage, history: &'a History, with_tale: bool) -> Play<'a> {
        stage.clock().set(Time::from_micros(START_US));
        stage.set_carriers(Carriers::FirstThenSecond).await;
        let kinds = history.cast.carriers;
        let mut ids = Vec::new();
        for (at, expire_after) in history.cast.expire_after.iter().enumerate() {
            ids.push(stage.accept(kinds, at, *expire_after).await);
        }
        let process = stage.process(Carriers::FirstThenSecond, kinds);
        Play {
            rows: stage.rows(&ids).await,
            truth: Truth::new(kinds, ids.len()),
            processes: vec![process; WORKERS],
            hands: Vec::new(),
            told: Vec::new(),
            passed: Duration::ZERO,
            put_back: Duration::ZERO,
            tally: Tally::default(),
            tale: with_tale.then(Vec::new),
            stage,
            history,
            ids,
        }
    }

    async fn run(&mut self) -> Result<(), Broken> {
        for step in &self.history.steps {
            self.step(*step).await?;
        }
        self.tell(|_| "time runs on until nothing is due".to_owned());
        self.run_out().await?;
        for row in &self.rows {
            rules::at_the_end(row)?;
        }
        self.tally.ended(&self.rows, &self.truth);
        Ok(())
    }

    /// Every task goes on to its end, and time from one due row to the next.
    async fn run_out(&mut self) -> Result<(), Broken> {
        for _ in 0..ROUNDS_MAX {
            while !self.hands.is_empty() {
                let reply = self.history.cast.ending;
                self.go_on(0, reply, Commit::Heard, false).await?;
            }
            self.claim(0, 10, Commit::Heard).await?;
            if !self.hands.is_empty() {
                continue;
            }
            match self.next_due() {
                None => return Ok(()),
                Some(due) => self.wait(due.since(self.now())),
            }
        }
        Err("it does not come to an end".to_owned())
    }

    async fn step(&mut self, step: Step) -> Result<(), Broken> {
        match step {
            Step::Claim {
                worker,
                limit,
                commit,
            } => return self.claim(worker, limit, commit).await,
            Step::GoOn {
                hand,
                reply,
                commit,
                asleep,
            } => {
                if let Some(hand) = hand.checked_rem(self.hands.len()) {
                    return self.go_on(hand, reply, commit, asleep).await;
                }
            }
            Step::TellAgain { told, commit } => {
                if let Some(told) = told.checked_rem(self.told.len()) {
                    let told = self.told.swap_remove(told);
                    return self.record(told, commit).await.map(|_| ());
                }
            }
            Step::Say {
                voicemail,
                key,
                says,
                commit,
            } => {
                let voicemail = voicemail % self.ids.len();
                if let Some((key, said)) = self.truth.word(voicemail, key, says) {
                    return self.hear(voicemail, key, said, commit).await;
                }
            }
            Step::Die { hand } => {
                if let Some(hand) = hand.checked_rem(self.hands.len()) {
                    let hand = self.hands.swap_remove(hand);
                    self.tell(|play| format!("{} ends in the middle", play.name(&hand)));
                }
            }
            Step::Crash { worker } => {
                self.hands.retain(|hand| hand.worker != worker);
                self.told.retain(|told| told.worker != worker);
                self.tell(|_| format!("worker {worker} dies"));
            }
            Step::Restart => {
                self.hands.clear();
                self.told.clear();
                self.tell(|_| "all workers die, and one begins anew, alone".to_owned());
                let ended = self.stage.end_all_leases(&self.ids).await;
                self.see(ended)?;
            }
            Step::Wait { seconds } => self.wait(Duration::from_secs(seconds)),
            Step::WaitUntilDue => {
                if let Some(due) = self.next_due() {
                    self.wait(due.since(self.now()));
                }
            }
            Step::Jump { seconds } => self.jump(seconds),
            step => return self.people(step).await,
        }
        Ok(())
    }

    /// A carrier speaks by itself, and somebody's process hears it.
    async fn hear(
        &mut self,
        voicemail: usize,
        key: HandOverId,
        said: Said,
        commit: Commit,
    ) -> Result<(), Broken> {
        self.tell(|_| format!("a carrier says of voicemail {voicemail}: {said:?}{commit}"));
        let process = self.processes[0].clone();
        let stage = self.stage;
        let done = stage.hear((commit, &self.ids), &process, key, said).await;
        if self.see(done)?.is_some() {
            rules::heard(&self.rows[voicemail], said)?;
        }
        Ok(())
    }

    /// What people do, and what is done for them.
    async fn people(&mut self, step: Step) -> Result<(), Broken> {
        match step {
            Step::Cancel { voicemail, commit } => {
                let id = self.ids[voicemail % self.ids.len()];
                self.tell(|_| format!("voicemail {voicemail} is cancelled{commit}"));
                let done = self.stage.cancel((commit, &self.ids), id).await;
                let refused = matches!(done.heard, Err(OpError::NotCancellable { .. }));
                if !refused {
                    self.see(done)?;
                }
            }
            Step::Suspend => {
                self.tell(|_| "the setup is suspended".to_owned());
                self.stage.suspend().await;
            }
            Step::Resume => {
                self.tell(|_| "the setup is resumed".to_owned());
                self.stage.resume().await;
            }
            Step::SetCarriers { carriers } => {
                self.tell(|_| format!("the setup has {carriers:?}"));
                self.stage.set_carriers(carriers).await;
            }
            Step::Configure { worker, carriers } => {
                self.tell(|_| format!("worker {worker} has {carriers:?}"));
                self.processes[worker] = self.stage.process(carriers, self.history.cast.carriers);
            }
            step => unreachable!("{step:?} is no people's step"),
        }
        Ok(())
    }

    // --- time ---

    pub(super) fn now(&self) -> Time {
        self.stage.clock().now()
    }

    /// When something comes that is not there yet. What is due and passed over, because its setup
    /// can't send, is not waited for: it expires.
    fn next_due(&self) -> Option<Time> {
        let now = self.now();
        let due = self.rows.iter().filter_map(|row| {
            let it = &row.delivery;
            match it.next_time {
                Some(time) if it.status == Status::Accepted && time <= now => Some(it.expire_time),
                next => next,
            }
        });
        due.min()
    }

    fn wait(&mut self, time: Duration) {
        self.passed += time;
        self.stage.clock().advance(time);
        self.tell(|_| format!("{time:?} pass"));
    }

    /// Backward at most as far as the carriers' margin allows.
    fn jump(&mut self, seconds: i64) {
        let by = Duration::from_secs(seconds.unsigned_abs());
        if seconds > 0 {
            self.stage.clock().advance(by);
        } else if self.put_back + by <= PUT_BACK_MAX {
            self.put_back += by;
            self.stage.clock().set(self.now().minus(by));
        } else {
            return;
        }
        self.tally.jumps += 1;
        self.tell(|_| format!("the clock jumps by {seconds} s"));
    }

    // --- what is looked at after each step ---

    /// Holds what a unit of work did against the rules. `None`: its caller heard the error that the
    /// history asked for. Any other error is one of ours.
    pub(super) fn see<T>(&mut self, done: Done<T>) -> Result<Option<T>, Broken> {
        if let Some(rows) = done.rows {
            self.tell_changes(&rows);
            for (before, after) in self.rows.iter().zip(&rows) {
                rules::change(before, after)?;
            }
            self.rows = rows;
            for row in &self.rows {
                rules::row(row)?;
            }
            self.everything_is_true()?;
        }
        match done.heard {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_asked_for(&error) => Ok(None),
            Err(error) => Err(format!("a step failed by itself: {error}")),
        }
    }

    pub(super) fn everything_is_true(&self) -> Result<(), Broken> {
        for (voicemail, row) in self.rows.iter().enumerate() {
            rules::truth(row, &self.truth, voicemail)?;
        }
        Ok(())
    }

    // --- the tale ---

    pub(super) fn tell(&mut self, line: impl FnOnce(&Play<'_>) -> String) {
        if self.tale.is_some() {
            // Before the beginning too, where the clock was put back.
            let at = (self.now().micros() - START_US) as f64 / 1e6;
            let line = format!("{at:>9.1} s  {}", line(self));
            self.tale.get_or_insert_default().push(line);
        }
    }

    fn tell_changes(&mut self, rows: &[Row]) {
        if self.tale.is_none() {
            return;
        }
        let changes: Vec<String> = (self.rows.iter().zip(rows).enumerate())
            .filter(|(_, (before, after))| before.delivery.status != after.delivery.status)
            .map(|(voicemail, (before, after))| {
                let reason = after.delivery.failure_reason;
                let why = reason.map_or(String::new(), |reason| format!(", {}", reason.as_str()));
                let (was, is) = (before.delivery.status, after.delivery.status);
                format!("    voicemail {voicemail}: {was} -> {is}{why}")
            })
            .collect();
        for change in changes {
            self.tell(|_| change);
        }
    }

    fn name(&self, hand: &Hand) -> String {
        let voicemail = self.number_of(hand.task.delivery.voicemail_id);
        format!("worker {}'s task for voicemail {voicemail}", hand.worker)
    }

    pub(super) fn number_of(&self, id: VoicemailId) -> usize {
        let at = self.ids.iter().position(|known| *known == id);
        at.expect("only the voicemails of this history are on the queue")
    }
}
