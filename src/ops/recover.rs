//! After a restore from a backup. What was sent since the backup was taken is ACCEPTED or SENDING
//! again in it, so everything that may have been sent is put aside first; carriers that can be asked
//! are asked; the rest is let go or closed at the operator's word.

use std::time::Duration;

use super::deliver::{self, Delivering};
use super::error::{OpError, Result};
use crate::carrier::{Message, Question};
use crate::domain::attempt::{Answer, CarrierWords};
use crate::domain::delivery::{Context, Delivery, HandOver};
use crate::domain::ids::{HandOverId, LeaseToken, VoicemailId};
use crate::domain::status::Status;
use crate::storage::{Guard, Lock, Store, Tx};

/// Rows in one unit of work, so that it stays a short one.
const AT_ONCE: i64 = 500;

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
            .write(|tx| {
                let rows = tx.maybe_sent(AT_ONCE)?;
                let count = rows.len();
                for mut delivery in rows {
                    let guard = Guard::of(&delivery);
                    delivery.hold(HELD.to_owned());
                    tx.save_delivery(guard, &delivery)?;
                }
                Ok::<_, OpError>(count)
            })
            .await?;
        all += held;
        if held == 0 {
            return Ok(all);
        }
    }
}

/// Asks the carriers about all that is held. `progress` hears how many were looked at so far.
pub async fn ask(
    store: &Store,
    delivering: &Delivering,
    call_timeout: Duration,
    never_received: NeverReceived,
    mut progress: impl FnMut(usize),
) -> Result<Asked> {
    let mut asked = Asked::default();
    let mut looked_at = 0;
    let mut after: Option<VoicemailId> = None;
    loop {
        let rows = store
            .read(move |tx| Ok::<_, OpError>(tx.held(after, AT_ONCE)?))
            .await?;
        let Some(last) = rows.last() else {
            return Ok(asked);
        };
        after = Some(last.voicemail_id);
        for delivery in rows {
            match ask_one(store, delivering, call_timeout, never_received, delivery).await? {
                Found::Settled => asked.settled += 1,
                Found::NeverReceived => asked.never_received += 1,
                Found::Unknown => asked.unknown += 1,
            }
            looked_at += 1;
            progress(looked_at);
        }
    }
}

/// Lets go or closes all that is held; says how many.
pub async fn decide(store: &Store, word: Word) -> Result<usize> {
    let mut all = 0;
    loop {
        let decided = store
            .write(move |tx| {
                let now = tx.now()?;
                let rows = tx.held(None, AT_ONCE)?;
                let count = rows.len();
                for mut delivery in rows {
                    let guard = Guard::of(&delivery);
                    let decided = match word {
                        Word::Release => delivery.release(now),
                        Word::Close => delivery.close(now),
                    };
                    decided.map_err(deliver::refused)?;
                    tx.save_delivery(guard, &delivery)?;
                }
                Ok::<_, OpError>(count)
            })
            .await?;
        all += decided;
        if decided == 0 {
            return Ok(all);
        }
    }
}

async fn ask_one(
    store: &Store,
    delivering: &Delivering,
    call_timeout: Duration,
    never_received: NeverReceived,
    delivery: Delivery,
) -> Result<Found> {
    let (known, held) = (delivering.clone(), delivery.clone());
    let plan = store.read(move |tx| plan(tx, &known, &held)).await?;
    let Some((hand_over, question)) = plan else {
        return Ok(Found::Unknown);
    };
    let Some(carrier) = delivering.registry.find(&hand_over.carrier) else {
        return Ok(Found::Unknown);
    };
    let (answer, words) = match tokio::time::timeout(call_timeout, carrier.ask(question)).await {
        Ok(answered) => answered,
        Err(_) => (Answer::NoAnswer, CarrierWords::default()),
    };
    let delivering = delivering.clone();
    match (&answer, never_received) {
        (Answer::NoAnswer, _) => Ok(Found::Unknown),
        (Answer::NeverReceived, NeverReceived::Hold) => Ok(Found::NeverReceived),
        (Answer::NeverReceived, NeverReceived::Release) => {
            store.write(move |tx| release(tx, &delivery)).await?;
            Ok(Found::NeverReceived)
        }
        (Answer::Ended(_) | Answer::Pending { .. }, _) => {
            let record = move |tx: &mut dyn Tx| {
                record(tx, &delivering, &delivery, hand_over, &answer, &words)
            };
            store.write(record).await?;
            Ok(Found::Settled)
        }
    }
}

fn release(tx: &mut dyn Tx, held: &Delivery) -> Result<()> {
    let now = tx.now()?;
    let mut delivery = held.clone();
    delivery.release(now).map_err(deliver::refused)?;
    Ok(tx.save_delivery(Guard::of(held), &delivery)?)
}

/// The hand-over that the carrier may know, and the question about it; none where no carrier can be
/// asked.
fn plan(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
) -> Result<Option<(HandOver, Question)>> {
    let now = tx.now()?;
    let message = deliver::message(tx, delivery)?;
    let known = match tx.last_hand_over(delivery.voicemail_id)? {
        Some(hand_over) => Some(hand_over),
        None => first_hand_over(tx, delivering, delivery, &message)?,
    };
    let askable = |hand_over: &HandOver| {
        let traits = delivering.traits(&hand_over.carrier, &delivery.recipient);
        traits.askable
    };
    let Some(hand_over) = known.filter(askable) else {
        return Ok(None);
    };
    let question = Question {
        hand_over_id: hand_over.id,
        attempt_number: delivery.attempt_count.max(1),
        reference: hand_over.reference.clone(),
        message,
        now,
    };
    Ok(Some((hand_over, question)))
}

/// A first hand-over that the backup does not hold. It has the id that it had then, because that is
/// derived from the voicemail's.
fn first_hand_over(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    message: &Message,
) -> Result<Option<HandOver>> {
    let setup = tx.find_setup(delivery.workspace_id, delivery.setup_id, Lock::None)?;
    let Some(setup) = setup else {
        return Ok(None);
    };
    let carriers = deliver::allowed_carriers(tx, delivering, delivery, &setup)?;
    let Some(name) = carriers.into_iter().next() else {
        return Ok(None);
    };
    let create_time = tx.now()?;
    let carrier = delivering.registry.find(&name);
    Ok(carrier.map(|carrier| HandOver {
        id: HandOverId::derive(delivery.voicemail_id, 1),
        workspace_id: delivery.workspace_id,
        voicemail_id: delivery.voicemail_id,
        number: 1,
        carrier: name.clone(),
        request: carrier.request(message),
        reference: String::new(),
        doubt_time: None,
        asks: 0,
        create_time,
    }))
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
    if tx.last_hand_over(held.voicemail_id)?.is_none() {
        tx.insert_hand_over(&hand_over)?;
    }
    let context = Context {
        rules: &delivering.rules,
        now,
        chance: 0.5,
    };
    let traits = delivering.traits(&hand_over.carrier, &delivery.recipient);
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
