//! Hear what a carrier says by itself of a hand-over: early, late, twice, or against what is known.

use super::Delivering;
use super::claim::refused;
use super::record::pause_where_due;
use crate::domain::attempt::Attempt;
use crate::domain::delivery::{Context, Delivery, HandOver, Others};
use crate::domain::failure::FailureReason;
use crate::domain::phone::last_ten;
use crate::domain::status::{End, Status};
use crate::domain::word::{About, Effect, Said, Word, effect};
use crate::ops::error::Result;
use crate::storage::{Guard, Lock, Tx};

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
    let said = match names_another(&delivery, word) {
        true => Said::Unheard,
        false => word.said,
    };
    let effect = effect(delivery.status, delivery.failure_reason, said, about);
    hand_over.name(&word.words);
    note(tx, &delivery, &hand_over, word, said, effect)?;
    match effect {
        Effect::Contradict => return Ok(Heard::Contradicts),
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
    if let Effect::GoBack(reason) = effect {
        pause_where_due(tx, &after, &hand_over.carrier, Some(reason), now)?;
    }
    forget_upload_where_due(tx, delivering, &after, &hand_over, effect)?;
    Ok(Heard::Moved(Box::new(after)))
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
    hand_over: &HandOver,
    word: &Word,
    said: Said,
    effect: Effect,
) -> Result<()> {
    let Some(mut attempt) = tx.last_attempt(hand_over)? else {
        return Ok(());
    };
    if word.cost.is_some() {
        attempt.cost.clone_from(&word.cost);
    }
    match effect {
        Effect::Contradict => attempt.late_outcome = late_text(word, said),
        Effect::End(end) => attempt.hear(&word.words, end.reason()),
        Effect::GoBack(reason) => attempt.hear(&word.words, Some(reason)),
        Effect::Take => attempt.hear(&word.words, None),
        Effect::Keep => keep(&mut attempt, delivery, word, said),
    }
    Ok(tx.save_words(delivery.voicemail_id, &attempt)?)
}

/// After an end a repeat changes nothing, and neither does a probe at any time.
fn keep(attempt: &mut Attempt, delivery: &Delivery, word: &Word, said: Said) {
    if !delivery.status.is_end() && said != Said::Nothing && !word.words.is_empty() {
        attempt.hear(&word.words, None);
    }
}

fn late_text(word: &Word, said: Said) -> String {
    let what = match said {
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

/// Audio that the carrier does not find (any more), or does not take, is given to it anew next time.
fn forget_upload_where_due(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    hand_over: &HandOver,
    effect: Effect,
) -> Result<()> {
    use FailureReason::{AudioRejected, AudioUnfetchable};
    let is_about_audio = matches!(
        effect,
        Effect::End(End::Because(AudioRejected | AudioUnfetchable))
    );
    match delivering.registry.find(&hand_over.carrier) {
        Some(carrier) if is_about_audio => {
            Ok(tx.forget_upload(&carrier.account(), delivery.audio_id)?)
        }
        _ => Ok(()),
    }
}
