//! After a restore from a backup. What was sent since the backup was taken is ACCEPTED or SENDING
//! again in it, so everything that may have been sent is put aside first; carriers that can be asked
//! are asked; the rest is let go or closed at the operator's word.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::deliver::{self, Delivering};
use super::error::{OpError, Result};
use super::suppressions;
use crate::carrier::Question;
use crate::domain::attempt::{Answer, CarrierWords, OutcomeKind};
use crate::domain::delivery::{Context, Delivery, Others};
use crate::domain::hand_over::HandOver;
use crate::domain::ids::{HandOverId, LeaseToken, VoicemailId};
use crate::domain::status::{End, Status};
use crate::storage::{AttemptEnd, Error, Guard, Lock, Store, Tx};

/// Rows in one unit of work, so that it stays a short one.
const AT_ONCE: i64 = 500;
/// Questions under way at the same time.
pub const QUESTIONS_AT_ONCE: usize = 16;
/// A carrier that gave no answer so often in a row is not asked any more in this run.
const SILENT_AFTER: u32 = 32;

const HELD: &str = "held after a restore from a backup, because it may have been sent already; `ringless recover` lets it go or closes it";

/// What the carriers said about what was held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// The carrier knows how it ended, or has it.
    pub settled: usize,
    /// The carrier never got it. It is held all the same, because it may have been cancelled since
    /// the backup, unless the operator said that such ones are to be sent.
    pub never_received: usize,
    /// No carrier can say.
    pub unknown: usize,
}

/// What becomes of one that the carrier never got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeverReceived {
    Hold,
    Release,
}

/// What came of one question.
enum Found {
    Settled,
    NeverReceived,
    Unknown,
}

/// The operator's word on what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It may be sent, be it a second time.
    Release,
    /// It is not sent again and ends UNCONFIRMED.
    Close,
}

/// Puts everything aside that may have been sent; says how many.
pub async fn hold(store: &Store) -> Result<usize> {
    let mut all = 0;
    loop {
        let held = store
            .write(|tx| Ok::<_, OpError>(tx.hold_maybe_sent(HELD, AT_ONCE)?))
            .await?;
        all += held;
        if held == 0 {
            return Ok(all);
        }
    }
}

/// Who asks, and of whom nothing more is expected.
#[derive(Clone)]
pub struct Asking {
    pub store: Store,
    pub delivering: Delivering,
    pub call_timeout: Duration,
    pub never_received: NeverReceived,
    pub questions_at_once: usize,
    /// By carrier: how often in a row it gave no answer.
    pub silent: Arc<Mutex<HashMap<String, u32>>>,
}

/// Asks the carriers about all that is held. `progress` hears how many were looked at so far.
pub async fn ask(asking: &Asking, mut progress: impl FnMut(usize)) -> Result<Asked> {
    let mut asked = Asked::default();
    let mut looked_at = 0;
    let mut after: Option<VoicemailId> = None;
    loop {
        let held = asking
            .store
            .read(move |tx| Ok::<_, OpError>(tx.held(after, AT_ONCE)?))
            .await?;
        if held.last.is_none() {
            return Ok(asked);
        }
        after = held.last;
        for rows in held.rows.chunks(asking.questions_at_once) {
            let mut questions = JoinSet::new();
            for delivery in rows {
                let (asking, delivery) = (asking.clone(), delivery.clone());
                questions.spawn(async move { asking.settle(&delivery).await });
            }
            while let Some(found) = questions.join_next().await {
                let found = found.map_err(|error| OpError::Internal(error.to_string()))?;
                match found? {
                    Found::Settled => asked.settled += 1,
                    Found::NeverReceived => asked.never_received += 1,
                    Found::Unknown => asked.unknown += 1,
                }
            }
            looked_at += rows.len();
            progress(looked_at);
        }
    }
}

/// Lets go or closes all that is held; says how many. What has expired while it was held is closed
/// in any case: it may have been sent before the restore, and is not sent now.
pub async fn decide(store: &Store, word: Word) -> Result<usize> {
    let mut all = 0;
    let mut after: Option<VoicemailId> = None;
    loop {
        let (decided, last) = store
            .write(move |tx| {
                let now = tx.now()?;
                let held = tx.held(after, AT_ONCE)?;
                let count = held.rows.len();
                for mut delivery in held.rows {
                    let guard = Guard::of(&delivery);
                    let decided = match word {
                        Word::Release if delivery.expire_time > now => delivery.release(now),
                        Word::Release | Word::Close => delivery.close(now),
                    };
                    if let Err(refused) = decided {
                        // It has gone on by itself since, so there is nothing to decide.
                        tracing::warn!(voicemail.id = %delivery.voicemail_id, error = %refused, "a held voicemail is left as it is");
                        continue;
                    }
                    tx.save_delivery(guard, &delivery)?;
                    end_earlier_call(tx, delivery.voicemail_id)?;
                }
                Ok::<_, OpError>((count, held.last))
            })
            .await?;
        all += decided;
        if last.is_none() {
            return Ok(all);
        }
        after = last;
    }
}

/// What was under way when the backup was taken is over, and the decision was made in spite of the
/// doubt about it.
fn end_earlier_call(tx: &mut dyn Tx, voicemail: VoicemailId) -> Result<()> {
    let now = tx.now()?;
    let attempts = tx.find_attempts(voicemail)?;
    for open in attempts.iter().filter(|attempt| attempt.end_time.is_none()) {
        let end = AttemptEnd {
            end_time: now,
            outcome: OutcomeKind::Unknown,
            failure_reason: None,
            words: CarrierWords::new("", "", "under way when the backup was taken"),
        };
        tx.end_attempt(voicemail, open.number, &end)?;
    }
    if let Some(mut hand_over) = tx.last_hand_over(voicemail)?
        && hand_over.is_in_doubt()
    {
        hand_over.doubt_time = None;
        tx.save_hand_over(&hand_over)?;
    }
    Ok(())
}

impl Asking {
    /// Asks every carrier that may have it. It was never received only where all of them say so.
    async fn settle(&self, delivery: &Delivery) -> Result<Found> {
        let held = delivery.clone();
        let plans = self.store.read(move |tx| hand_overs(tx, &held)).await?;
        let mut all_deny = !plans.is_empty();
        for (hand_over, question) in plans {
            let (answer, words) = self.question(&hand_over, question).await;
            match answer {
                Answer::NoAnswer => all_deny = false,
                Answer::NeverReceived => {}
                // It said that it did not try; that says nothing about later hand-overs.
                Answer::Ended(End::Because(_)) | Answer::Pending { .. } if hand_over.is_void => {}
                Answer::Ended(_) | Answer::Pending { .. } => {
                    let (delivering, held) = (self.delivering.clone(), delivery.clone());
                    let record = move |tx: &mut dyn Tx| {
                        record(tx, &delivering, &held, hand_over, &answer, &words)
                    };
                    return unless_changed(self.store.write(record).await, Found::Settled);
                }
            }
        }
        if !all_deny {
            return Ok(Found::Unknown);
        }
        if self.never_received == NeverReceived::Release {
            let held = delivery.clone();
            let released = self.store.write(move |tx| release(tx, &held)).await;
            return unless_changed(released, Found::NeverReceived);
        }
        Ok(Found::NeverReceived)
    }

    /// No answer from a carrier that can't be asked, or that has been silent for long.
    async fn question(&self, hand_over: &HandOver, question: Question) -> (Answer, CarrierWords) {
        let no_answer = || (Answer::NoAnswer, CarrierWords::default());
        let name = &hand_over.carrier;
        let recipient = &question.message.recipient;
        let Some(carrier) = self.delivering.registry.find(name) else {
            return no_answer();
        };
        let is_askable = carrier
            .doubt_traits(recipient, &hand_over.reference)
            .askable;
        let silent = || self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_askable || silent().get(name).copied().unwrap_or(0) >= SILENT_AFTER {
            return no_answer();
        }
        let asked = tokio::time::timeout(self.call_timeout, carrier.ask(question)).await;
        let (answer, words) = asked.unwrap_or_else(|_| no_answer());
        let mut silent = silent();
        match answer {
            Answer::NoAnswer => *silent.entry(name.clone()).or_default() += 1,
            _ => {
                silent.remove(name);
            }
        }
        (answer, words)
    }
}

/// A row that was changed meanwhile, such as by a cancel, is somebody else's affair.
fn unless_changed(done: Result<()>, found: Found) -> Result<Found> {
    match done {
        Ok(()) => Ok(found),
        Err(OpError::Storage(Error::Guard { .. })) => Ok(Found::Unknown),
        Err(error) => Err(error),
    }
}

fn release(tx: &mut dyn Tx, held: &Delivery) -> Result<()> {
    let now = tx.now()?;
    let mut delivery = held.clone();
    delivery.release(now).map_err(deliver::refused)?;
    tx.save_delivery(Guard::of(held), &delivery)?;
    end_earlier_call(tx, held.voicemail_id)?;
    // None of the carriers ever got it.
    for mut hand_over in tx.hand_overs(held.voicemail_id)? {
        hand_over.give_back();
        tx.save_hand_over(&hand_over)?;
    }
    Ok(())
}

/// The hand-overs that carriers may know, with the question about each: those that the backup holds,
/// and for each other carrier of the setup its first one, which has the id that it had then, because
/// that is derived.
fn hand_overs(tx: &mut dyn Tx, delivery: &Delivery) -> Result<Vec<(HandOver, Question)>> {
    let now = tx.now()?;
    let message = deliver::message(tx, delivery)?;
    let mut hand_overs = tx.hand_overs(delivery.voicemail_id)?;
    let setup = tx.find_setup(delivery.workspace_id, delivery.setup_id, Lock::None)?;
    for name in setup.map_or(Vec::new(), |setup| setup.carriers) {
        if hand_overs.iter().any(|known| known.carrier == name) {
            continue;
        }
        let turn = hand_overs.last().map_or(1, |last| last.turn + 1);
        hand_overs.push(HandOver {
            id: HandOverId::derive(delivery.voicemail_id, &name, 1),
            workspace_id: delivery.workspace_id,
            voicemail_id: delivery.voicemail_id,
            number: 1,
            carrier: name,
            // It is known no more.
            request: Vec::new(),
            token_hash: None,
            reference: String::new(),
            doubt_time: None,
            asks: 0,
            create_time: now,
            turn,
            refused_round: None,
            is_void: false,
            recipient: delivery.recipient.clone(),
            sender_id: Some(delivery.sender_id),
            // It counts once the carrier says that it has it.
            counts_time: None,
        });
    }
    let question = |hand_over: &HandOver| Question {
        hand_over_id: hand_over.id,
        attempt_number: delivery.attempt_count.max(1),
        reference: hand_over.reference.clone(),
        message: message.clone(),
        now,
    };
    let with_questions = hand_overs.into_iter().map(|hand_over| {
        let question = question(&hand_over);
        (hand_over, question)
    });
    Ok(with_questions.collect())
}

/// The carrier has it, or knows how it ended.
fn record(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    held: &Delivery,
    mut hand_over: HandOver,
    answer: &Answer,
    words: &CarrierWords,
) -> Result<()> {
    let now = tx.now()?;
    let mut delivery = held.clone();
    if let Answer::Ended(end) = answer {
        suppressions::told_by_carrier(tx, held, &hand_over.carrier, end.reason())?;
    }
    let known = tx.hand_overs(held.voicemail_id)?;
    if !known.iter().any(|known| known.id == hand_over.id) {
        tx.insert_hand_over(&hand_over)?;
    }
    let context = Context {
        rules: &delivering.rules,
        now,
        chance: 0.5,
        others: Others::None,
    };
    let traits = delivering.traits(&hand_over, &delivery.recipient);
    if delivery.status == Status::Accepted {
        delivery
            .claim(LeaseToken::generate(), now)
            .map_err(deliver::refused)?;
    }
    delivery.held = false;
    delivery.carrier.clone_from(&hand_over.carrier);
    delivery
        .record_answer(&mut hand_over, answer, words, traits, context)
        .map_err(deliver::refused)?;
    tx.save_hand_over(&hand_over)?;
    Ok(tx.save_delivery(Guard::of(held), &delivery)?)
}
