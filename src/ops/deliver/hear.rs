//! Hear what a carrier says by itself of a hand-over: early, late, twice, or against what is known.

use super::Delivering;
use super::claim::refused;
use super::record::note_reason;
use crate::domain::attempt::{Attempt, OutcomeKind};
use crate::domain::delivery::{Context, Delivery, Others};
use crate::domain::hand_over::HandOver;
use crate::domain::phone::last_ten;
use crate::domain::status::{End, Status};
use crate::domain::time::Time;
use crate::domain::word::{About, Effect, Said, Word, effect};
use crate::ops::error::Result;
use crate::ops::suppressions;
use crate::storage::{AttemptEnd, Guard, Lock, Tx};

/// What hearing it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It moved the voicemail, which now stands so.
    Moved(Box<Delivery>),
    /// It said nothing new, or nothing that is understood.
    Kept,
    /// It contradicts the first end, and is kept beside it.
    Contradicts,
}

pub fn hear(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    hand_over: &HandOver,
    word: &Word,
    chance: f64,
) -> Result<Heard> {
    let now = tx.now()?;
    let (workspace, id) = (hand_over.workspace_id, hand_over.voicemail_id);
    let Some(delivery) = tx.find_delivery(workspace, id, Lock::Change)? else {
        return Ok(Heard::Kept);
    };
    // As it stands under the voicemail's lock.
    let known = tx.find_hand_over(hand_over.id)?;
    let Some(mut hand_over) = known else {
        return Ok(Heard::Kept);
    };
    let last = tx.last_hand_over(id)?;
    let about = About {
        is_current: last.as_ref().is_some_and(|last| last.id == hand_over.id),
        is_void: hand_over.is_void,
    };
    if names_another(&delivery, word) {
        return Ok(Heard::Kept);
    }
    let effect = effect(delivery.status, delivery.failure_reason, word.said, about);
    if !matches!(word.said, Said::Unheard | Said::Nothing) {
        hand_over.name(&word.words);
    }
    let attempt = tx.last_attempt(&hand_over)?;
    if let Some(attempt) = &attempt {
        note(tx, &delivery, attempt.clone(), word, effect)?;
    }
    match effect {
        Effect::Contradict => {
            contradicted(tx, &delivery, hand_over, word, now)?;
            return Ok(Heard::Contradicts);
        }
        Effect::Keep => {
            tx.save_hand_over(&hand_over)?;
            return Ok(Heard::Kept);
        }
        Effect::End(_) | Effect::Take | Effect::GoBack(_) => {}
    }
    let context = Context {
        rules: &delivering.rules,
        now,
        chance,
        others: Others::None,
    };
    if delivery.status == Status::Accepted && !about.is_current {
        // It stands at this one again.
        hand_over.turn = last.map_or(hand_over.turn, |last| last.turn + 1);
    }
    let traits = delivering.traits(&hand_over, &delivery.recipient);
    let mut after = delivery.clone();
    after
        .hear(&mut hand_over, effect, &word.words, traits, context)
        .map_err(refused)?;
    tx.save_delivery(Guard::of(&delivery), &after)?;
    tx.save_hand_over(&hand_over)?;
    let reason = match effect {
        Effect::GoBack(reason) => Some(reason),
        Effect::End(end) => end.reason(),
        Effect::Take | Effect::Keep | Effect::Contradict => None,
    };
    let began = attempt.map_or(hand_over.create_time, |attempt| attempt.start_time);
    note_reason(tx, delivering, &after, &hand_over.carrier, reason, began)?;
    Ok(Heard::Moved(Box::new(after)))
}

/// It has ended otherwise, and stays so; but what the carrier says of the recipient is heeded, and what was
/// sent after all counts.
fn contradicted(
    tx: &mut dyn Tx,
    delivery: &Delivery,
    mut hand_over: HandOver,
    word: &Word,
    now: Time,
) -> Result<()> {
    let Said::Ended(end) = word.said else {
        return Ok(());
    };
    if hand_over.counts_time.is_none() && end == End::Delivered {
        hand_over.count(now);
        tx.save_hand_over(&hand_over)?;
    }
    suppressions::told_by_carrier(tx, delivery, &hand_over.carrier, end.reason())
}

/// A word under a token of ours that speaks of another number is a mistake of the carrier's.
fn names_another(delivery: &Delivery, word: &Word) -> bool {
    let named = word.recipient.as_deref().map(last_ten);
    named.is_some_and(|named| !named.is_empty() && named != last_ten(delivery.recipient.e164()))
}

/// The words go to the attempt that they are about: beside its outcome, or as its late outcome where
/// they contradict the end.
fn note(
    tx: &mut dyn Tx,
    delivery: &Delivery,
    mut attempt: Attempt,
    word: &Word,
    effect: Effect,
) -> Result<()> {
    if word.cost.is_some() && !matches!(word.said, Said::Unheard | Said::Nothing) {
        attempt.cost.clone_from(&word.cost);
    }
    match effect {
        Effect::Contradict => attempt.late_outcome = late_text(word),
        Effect::End(end) => attempt.hear(&word.words, end.reason()),
        Effect::GoBack(reason) => attempt.hear(&word.words, Some(reason)),
        Effect::Take => attempt.hear(&word.words, None),
        Effect::Keep => keep(&mut attempt, delivery, word),
    }
    let moves = matches!(effect, Effect::End(_) | Effect::GoBack(_) | Effect::Take);
    if moves && attempt.end_time.is_none() {
        // Its call has not returned yet. Whatever it will say, or not, the carrier has taken it.
        let end = AttemptEnd {
            end_time: tx.now()?,
            outcome: OutcomeKind::Taken,
            failure_reason: attempt.failure_reason,
            words: attempt.words(),
        };
        tx.end_attempt(delivery.voicemail_id, attempt.number, &end)?;
    }
    Ok(tx.save_words(delivery.voicemail_id, &attempt)?)
}

/// After an end a repeat changes nothing, and neither does a probe at any time.
fn keep(attempt: &mut Attempt, delivery: &Delivery, word: &Word) {
    if !delivery.status.is_end() && word.said != Said::Nothing && !word.words.is_empty() {
        attempt.hear(&word.words, None);
    }
}

fn late_text(word: &Word) -> String {
    let what = match word.said {
        Said::Ended(end) => end.status().as_str(),
        other => other.as_str(),
    };
    let words = [what, &word.words.code, &word.words.detail];
    words
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
