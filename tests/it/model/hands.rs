//! The worker's way from claim to record, one step at a time: what `Runner` in
//! `src/worker/run.rs` does next, does a task here next. Only that here it can be stopped, cut off
//! or overtaken between any two of them.

use std::time::Duration;

use ringless::domain::attempt::{Answer, Outcome};
use ringless::ops::deliver::{CallPlan, NextMove, QuestionPlan, Recorded, Task};

use super::carriers::Received;
use super::history::{Commit, Reply};
use super::play::Play;
use super::rules::{self, Broken};
use crate::support::data::LEASE;

const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A task in somebody's hands.
pub struct Hand {
    pub worker: usize,
    pub task: Task,
    pub at: At,
}

/// How far a task is.
pub enum At {
    Claimed,
    /// Its attempt is written; by its own clock it began then.
    Begun(CallPlan, Duration),
    /// It has looked at its clock a last time and is about to call.
    Calling(CallPlan),
    Called(CallPlan, Outcome),
    Asking(QuestionPlan),
    Answered(QuestionPlan, Answer),
    /// Beginning failed, or came too late for a call: it says that none was made.
    NotCalled,
}

/// What was recorded, by whom.
pub struct Told {
    pub worker: usize,
    pub plan: CallPlan,
    pub outcome: Outcome,
}

impl Play<'_> {
    pub(super) async fn claim(
        &mut self,
        worker: usize,
        limit: usize,
        commit: Commit,
    ) -> Result<(), Broken> {
        self.tell(|_| format!("worker {worker} claims up to {limit}{commit}"));
        let unit = (commit, self.ids.as_slice());
        let done = self.stage.claim(unit, &self.processes[worker], limit).await;
        let claimed = self.see(done)?;
        let tasks = claimed.map(|claimed| claimed.tasks).unwrap_or_default();
        for task in &tasks {
            self.tell(|play| {
                let voicemail = play.number_of(task.delivery.voicemail_id);
                format!("    it holds voicemail {voicemail}, {:?}", task.kind)
            });
        }
        self.hands.extend(tasks.into_iter().map(|task| Hand {
            worker,
            task,
            at: At::Claimed,
        }));
        Ok(())
    }

    /// The task in this hand takes its next step, and stays in the hand where more is to do.
    pub(super) async fn go_on(
        &mut self,
        hand: usize,
        reply: Reply,
        commit: Commit,
        asleep: bool,
    ) -> Result<(), Broken> {
        let Hand { worker, task, at } = self.hands.swap_remove(hand);
        let next = match at {
            At::Claimed => self.begin_call(worker, &task, commit).await?,
            At::Begun(plan, began) => {
                // The call ends before another worker may take over.
                if self.passed + CALL_TIMEOUT > began + LEASE * 3 / 4 {
                    Some(At::NotCalled)
                } else if asleep {
                    Some(At::Calling(plan))
                } else {
                    Some(self.call(worker, plan, reply)?)
                }
            }
            At::Calling(plan) => Some(self.call(worker, plan, reply)?),
            At::Called(plan, outcome) => {
                let told = Told {
                    worker,
                    plan,
                    outcome,
                };
                self.record(told, commit).await?
            }
            At::Asking(plan) => Some(self.ask(worker, plan, reply)),
            At::Answered(plan, answer) => self.settle(worker, plan, answer, commit).await?,
            At::NotCalled => {
                self.tell(|_| format!("worker {worker} says that it made no call{commit}"));
                let unit = (commit, self.ids.as_slice());
                let done = self.stage.never_called(unit, &task).await;
                self.see(done)?.is_none().then_some(At::NotCalled)
            }
        };
        self.hands.extend(next.map(|at| Hand { worker, task, at }));
        Ok(())
    }

    async fn begin_call(
        &mut self,
        worker: usize,
        task: &Task,
        commit: Commit,
    ) -> Result<Option<At>, Broken> {
        let voicemail = self.number_of(task.delivery.voicemail_id);
        let before = self.rows[voicemail].delivery.clone();
        self.tell(|_| format!("worker {worker} begins with voicemail {voicemail}{commit}"));
        let unit = (commit, self.ids.as_slice());
        let done = self.stage.begin(unit, &self.processes[worker], task).await;
        let begun = self.see(done)?;
        let (what, next) = match begun {
            None => return Ok(Some(At::NotCalled)),
            Some(NextMove::Done(_)) => ("nothing is to be done", None),
            Some(NextMove::Lost) => ("it is not its own any more", None),
            Some(NextMove::Ask(plan)) => ("it may ask", Some(At::Asking(plan))),
            Some(NextMove::Call(plan)) => {
                let is_ours = before.lease_token == task.delivery.lease_token
                    && before.next_time.is_some_and(|end| end > self.now());
                if !is_ours {
                    return Err("a call was begun under a lease that was lost".to_owned());
                }
                ("it may call", Some(At::Begun(plan, self.passed)))
            }
        };
        self.tell(|_| format!("    {what}"));
        Ok(next)
    }

    fn call(&mut self, worker: usize, plan: CallPlan, reply: Reply) -> Result<At, Broken> {
        let begun = &plan.begun;
        let voicemail = self.number_of(begun.delivery.voicemail_id);
        let row = &self.rows[voicemail];
        let written = row
            .attempts
            .iter()
            .find(|a| a.number == plan.attempt_number);
        if written.is_none_or(|attempt| attempt.carrier != begun.hand_over.carrier) {
            return Err("a call was made whose attempt is not written".to_owned());
        }
        let is_late = row.delivery.lease_token != begun.delivery.lease_token
            || row.delivery.next_time.is_none_or(|end| end <= self.now());
        let call = Received {
            voicemail,
            carrier: &begun.hand_over.carrier,
            key: begun.hand_over.id,
            request: &begun.hand_over.request,
            at: self.passed,
            is_late,
        };
        let outcome = self.truth.receive(&call, reply)?;
        let outcome = self.stage.understood(outcome);
        self.tally.late_calls += usize::from(is_late);
        self.tell(|play| {
            let (carrier, number) = (&begun.hand_over.carrier, plan.attempt_number);
            let late = if is_late { " after its lease" } else { "" };
            let drops = play.truth.drops(voicemail);
            format!(
                "worker {worker} makes call {number} of voicemail {voicemail}{late}: `{carrier}` {reply:?}, {outcome:?} (dropped: {drops})",
            )
        });
        self.everything_is_true()?;
        Ok(At::Called(plan, outcome))
    }

    /// Gives what is to be done again where the record was not heard.
    pub(super) async fn record(
        &mut self,
        told: Told,
        commit: Commit,
    ) -> Result<Option<At>, Broken> {
        let (worker, plan, outcome) = (told.worker, &told.plan, &told.outcome);
        let voicemail = self.number_of(plan.begun.delivery.voicemail_id);
        let (number, kind) = (plan.attempt_number, outcome.kind().as_str());
        self.tell(|_| {
            format!(
                "worker {worker} records {kind} for call {number} of voicemail {voicemail}{commit}"
            )
        });
        let unit = (commit, self.ids.as_slice());
        let process = &self.processes[worker];
        let recording = self.stage.record_outcome(unit, process, plan, outcome);
        let done = recording.await;
        let was_committed = done.rows.is_some();
        let recorded = self.see(done)?;
        self.tell_recorded(recorded.as_ref());
        if was_committed {
            rules::recorded(&self.rows[voicemail], number, outcome)?;
        }
        match recorded {
            None => Ok(Some(At::Called(told.plan, told.outcome))),
            Some(recorded) => {
                self.tally.recorded(&recorded);
                self.told.push(told);
                Ok(None)
            }
        }
    }

    fn ask(&mut self, worker: usize, plan: QuestionPlan, reply: Reply) -> At {
        let hand_over = &plan.begun.hand_over;
        let registry = &self.processes[worker].registry;
        let recipient = &plan.begun.delivery.recipient;
        let is_askable = registry.find(&hand_over.carrier).is_some_and(|carrier| {
            carrier
                .doubt_traits(recipient, &hand_over.reference)
                .askable
        });
        let answer = match is_askable {
            true => self.truth.answer(hand_over.id, reply),
            false => Answer::NoAnswer,
        };
        self.tell(|_| format!("worker {worker} asks `{}`: {answer:?}", hand_over.carrier));
        At::Answered(plan, answer)
    }

    async fn settle(
        &mut self,
        worker: usize,
        plan: QuestionPlan,
        answer: Answer,
        commit: Commit,
    ) -> Result<Option<At>, Broken> {
        self.tell(|_| format!("worker {worker} records the answer {answer:?}{commit}"));
        let unit = (commit, self.ids.as_slice());
        let process = &self.processes[worker];
        let recording = self.stage.record_answer(unit, process, &plan, &answer);
        let done = recording.await;
        let was_committed = done.rows.is_some();
        let recorded = self.see(done)?;
        self.tell_recorded(recorded.as_ref());
        if was_committed {
            let voicemail = self.number_of(plan.begun.delivery.voicemail_id);
            rules::answered(&self.rows[voicemail], &answer)?;
        }
        Ok(match recorded {
            None => Some(At::Answered(plan, answer)),
            Some(_) => None,
        })
    }

    fn tell_recorded(&mut self, recorded: Option<&Recorded>) {
        let what = match recorded {
            None | Some(Recorded::Moved(_)) => return,
            Some(Recorded::Again) => "it was recorded before",
            Some(Recorded::Late { contradicts: true }) => "it is late, and contradicts",
            Some(Recorded::Late { contradicts: false }) => "it is late",
        };
        self.tell(|_| format!("    {what}"));
    }
}
