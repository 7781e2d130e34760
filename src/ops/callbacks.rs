//! What carriers say over HTTP: callbacks under a hand-over's token, and events of an account's
//! webhook. Each is kept as it came before it is read.

use std::time::Duration;

use super::deliver::{Delivering, Heard, hear};
use super::error::Result;
use crate::carrier::{Carrier, Event, Notice};
use crate::domain::hand_over::HandOver;
use crate::domain::phone::PhoneNumber;
use crate::domain::word::Said;
use crate::storage::{NewCallback, Tx, UnreadCallback};

/// Callbacks of one hand-over that are kept. Later ones are read all the same.
pub const KEPT_MAX: i32 = 50;
/// One that was kept and not read for so long was left by a process that died, or by a fault.
pub const UNREAD_AFTER: Duration = Duration::from_secs(30);
/// Callbacks that one sweep reads in one unit of work.
pub const UNREAD_AT_ONCE: i64 = 100;
/// How long a webhook's events are kept, and known again.
pub const EVENTS_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Events that one sweep drops in one unit of work.
pub const EVENTS_DROPPED_AT_ONCE: i64 = 1_000;
/// A hand-over is matched to a webhook's event by its number for so long.
const OPEN_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A callback whose token is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub hand_over: HandOver,
    /// None where it is not kept: it said nothing at all, or there are [`KEPT_MAX`] already.
    pub number: Option<i32>,
}

/// Finds the hand-over of a token and keeps what came. `None`: the token is not known.
pub fn keep(
    tx: &mut dyn Tx,
    carrier: &str,
    token_hash: &[u8; 32],
    notice: &Notice,
) -> Result<Option<Kept>> {
    let Some(hand_over) = tx.hand_over_by_token(carrier, token_hash)? else {
        return Ok(None);
    };
    let number = match notice.is_empty() {
        true => None,
        false => {
            let callback = NewCallback {
                content_type: notice.content_type.chars().take(256).collect(),
                query: notice.query.clone(),
                body: notice.body.clone(),
            };
            tx.keep_callback(&hand_over, &callback, KEPT_MAX)?
        }
    };
    Ok(Some(Kept { hand_over, number }))
}

/// Reads what was kept.
pub fn read(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    carrier: &dyn Carrier,
    kept: &Kept,
    notice: &Notice,
    chance: f64,
) -> Result<(Said, Heard)> {
    let word = carrier.read_callback(notice);
    let heard = hear(tx, delivering, &kept.hand_over, &word, chance)?;
    if let Some(number) = kept.number {
        tx.set_callback_said(kept.hand_over.id, number, word.said.as_str())?;
    }
    Ok((word.said, heard))
}

/// Callbacks that were kept and never read, oldest first.
///
/// Those of carriers that are not in the configuration wait for a process that has them.
pub fn left_over(tx: &mut dyn Tx, delivering: &Delivering) -> Result<Vec<UnreadCallback>> {
    let before = tx.now()?.minus(UNREAD_AFTER);
    let carriers: Vec<String> = delivering.registry.names().map(str::to_owned).collect();
    Ok(tx.unread_callbacks(&carriers, before, UNREAD_AT_ONCE)?)
}

/// Reads one that was left over. `None`: its carrier or its hand-over is gone.
pub fn read_left_over(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    unread: &UnreadCallback,
    chance: f64,
) -> Result<Option<(Said, Heard)>> {
    let carrier = delivering.registry.find(&unread.carrier);
    let hand_over = tx.find_hand_over(unread.hand_over_id)?;
    let (Some(carrier), Some(hand_over)) = (carrier, hand_over) else {
        return Ok(None);
    };
    let notice = Notice {
        query: unread.callback.query.clone(),
        content_type: unread.callback.content_type.clone(),
        body: unread.callback.body.clone(),
        ..Notice::default()
    };
    let kept = Kept {
        hand_over,
        number: Some(unread.number),
    };
    read(tx, delivering, carrier.as_ref(), &kept, &notice, chance).map(Some)
}

/// One that can't be read, for a reason that would be there the next time too, is not looked at again.
pub fn give_up(tx: &mut dyn Tx, unread: &UnreadCallback) -> Result<()> {
    Ok(tx.set_callback_said(unread.hand_over_id, unread.number, "unreadable")?)
}

/// What came of an account's event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It can't be told which hand-over it is about; it is kept.
    Unmatched,
    Heard(Heard),
}

/// Keeps an event of an account's webhook as it came; `false` where it came before and was heard.
pub fn keep_event(tx: &mut dyn Tx, carrier: &str, event_id: &str, body: &[u8]) -> Result<bool> {
    Ok(tx.keep_webhook_event(carrier, event_id, body)?)
}

/// Hears an event that was kept. It is matched by the carrier's own id where that is known, and by the
/// number only where exactly one hand-over to it is open on this account.
pub fn hear_event(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    carrier: &str,
    event: &Event,
    chance: f64,
) -> Result<Told> {
    let (hand_over, is_certain) = match_event(tx, carrier, event)?;
    let mut word = event.word.clone();
    if !is_certain && matches!(word.said, Said::NotTried(_)) {
        // Another message to the same number, of some other user of the account, would be sent again here.
        word.said = Said::Unheard;
    }
    let id = hand_over.as_ref().map(|hand_over| hand_over.id);
    tx.set_webhook_event_said(carrier, &event.id, id, word.said.as_str())?;
    match hand_over {
        None => Ok(Told::Unmatched),
        Some(hand_over) => Ok(Told::Heard(hear(
            tx, delivering, &hand_over, &word, chance,
        )?)),
    }
}

/// Whether it is certain: a number may have had another message by the same account, which is none of ours.
fn match_event(tx: &mut dyn Tx, carrier: &str, event: &Event) -> Result<(Option<HandOver>, bool)> {
    if !event.reference.is_empty() {
        let mut known = tx.hand_overs_by_reference(carrier, &event.reference)?;
        if known.len() == 1 {
            return Ok((known.pop(), true));
        }
    }
    let Some(recipient) = &event.word.recipient else {
        return Ok((None, false));
    };
    let since = tx.now()?.minus(OPEN_FOR);
    let recipient = PhoneNumber::from_carrier(recipient);
    let mut open = tx.open_hand_overs(carrier, &recipient, since)?;
    match open.len() {
        1 => Ok((open.pop(), false)),
        _ => Ok((None, false)),
    }
}
