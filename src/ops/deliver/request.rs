//! Hand-overs and their requests: what is stored before the first call, so that a repeat is the same.

use super::Delivering;
use super::begin::CallPlan;
use crate::carrier::{AudioWay, Carrier, Message, Particulars};
use crate::domain::delivery::Delivery;
use crate::domain::failure::FailureReason;
use crate::domain::hand_over::HandOver;
use crate::domain::ids::{AudioId, HandOverId};
use crate::domain::time::Time;
use crate::ops::error::{OpError, Result};
use crate::storage::{Guard, Tx};

/// The hand-over to this carrier that is known, or a new one: it has its turn now. The carrier
/// certainly does not have it, so a known one goes on under its key, unless it is void.
pub(super) fn hand_over_to(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    name: &str,
    known: &[HandOver],
    now: Time,
) -> Result<HandOver> {
    let last_turn = known.last().map_or(0, |hand_over| hand_over.turn);
    let of_carrier = known.iter().filter(|hand_over| hand_over.carrier == name);
    let last = of_carrier.max_by_key(|hand_over| hand_over.number);
    if let Some(hand_over) = last.filter(|hand_over| !hand_over.is_void) {
        let mut hand_over = hand_over.clone();
        if hand_over.turn < last_turn {
            hand_over.turn = last_turn + 1;
            tx.save_hand_over(&hand_over)?;
        }
        if hand_over.request.is_empty() {
            make_request(tx, delivering, delivery, &mut hand_over)?;
            tx.save_request(&hand_over)?;
        }
        return Ok(hand_over);
    }
    let number = last.map_or(1, |hand_over| hand_over.number + 1);
    let mut hand_over = HandOver {
        id: HandOverId::derive(delivery.voicemail_id, name, number),
        workspace_id: delivery.workspace_id,
        voicemail_id: delivery.voicemail_id,
        number,
        carrier: name.to_owned(),
        request: Vec::new(),
        token_hash: None,
        reference: String::new(),
        doubt_time: None,
        asks: 0,
        create_time: now,
        turn: last_turn + 1,
        refused_round: None,
        is_void: false,
        recipient: delivery.recipient.clone(),
        sender_id: Some(delivery.sender_id),
        // Its call is planned in the same unit of work.
        counts_time: Some(now),
    };
    make_request(tx, delivering, delivery, &mut hand_over)?;
    tx.insert_hand_over(&hand_over)?;
    Ok(hand_over)
}

/// Makes the request of a hand-over, with a token of its own. It stays empty where the carrier has yet
/// to be given the audio.
fn make_request(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    delivery: &Delivery,
    hand_over: &mut HandOver,
) -> Result<()> {
    let carrier = carrier_of(delivering, &hand_over.carrier)?;
    let audio = match (carrier.audio_way(), &delivering.doors) {
        (AudioWay::InCall, _) => Some(String::new()),
        (AudioWay::Upload, _) => tx.find_upload(&carrier.account(), delivery.audio_id)?,
        (AudioWay::Link, Some(doors)) => {
            // It may be handed over until it expires, and be fetched until no word is waited for any more.
            let now = tx.now()?;
            let last_call = delivery.expire_time.max(now);
            let until = last_call.plus(delivering.rules.no_word_deadline);
            Some(doors.audio_url(delivery.voicemail_id, until))
        }
        (AudioWay::Link, None) => {
            let why = format!(
                "carrier `{}` fetches audio, and there is no public URL",
                hand_over.carrier
            );
            return Err(OpError::Internal(why));
        }
    };
    let Some(audio) = audio else {
        return Ok(());
    };
    let mut callback_url = String::new();
    if let Some(doors) = &delivering.doors {
        let token = doors.new_token(&hand_over.carrier);
        callback_url = doors.callback_url(&hand_over.carrier, &token);
        hand_over.token_hash = Some(token.hash());
    }
    let particulars = Particulars {
        hand_over_id: hand_over.id,
        callback_url,
        audio,
    };
    hand_over.request = carrier.request(&message(tx, delivery)?, &particulars);
    Ok(())
}

fn carrier_of<'d>(delivering: &'d Delivering, name: &str) -> Result<&'d dyn Carrier> {
    match delivering.registry.find(name) {
        Some(carrier) => Ok(carrier.as_ref()),
        None => Err(OpError::Internal(format!(
            "carrier `{name}` went away in the middle"
        ))),
    }
}

/// The carrier has been given the audio, and names it so from now on: the request can be made. `None`:
/// the row is not ours any more.
pub fn uploaded(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    plan: &CallPlan,
    reference: &str,
) -> Result<Option<CallPlan>> {
    let mut begun = plan.begun.clone();
    let account = carrier_of(delivering, &begun.hand_over.carrier)?.account();
    tx.remember_upload(&account, begun.delivery.audio_id, reference)?;
    let guard = Guard::of(&begun.delivery);
    begun.now = tx.now()?;
    begun.delivery.next_time = Some(begun.now.plus(delivering.lease));
    if !tx.renew_lease(guard, begun.now.plus(delivering.lease))? {
        return Ok(None);
    }
    make_request(tx, delivering, &begun.delivery, &mut begun.hand_over)?;
    if begun.hand_over.request.is_empty() {
        // Somebody found in this moment that the carrier does not take it.
        return Ok(None);
    }
    tx.save_request(&begun.hand_over)?;
    Ok(Some(CallPlan {
        begun,
        ..plan.clone()
    }))
}

pub(in crate::ops) fn message(tx: &mut dyn Tx, delivery: &Delivery) -> Result<Message> {
    let audio = tx
        .find_audio(delivery.workspace_id, delivery.audio_id)?
        .ok_or_else(|| {
            OpError::Internal(format!(
                "the audio of voicemail {} is gone",
                delivery.voicemail_id
            ))
        })?;
    Ok(Message {
        voicemail_id: delivery.voicemail_id,
        sender: delivery.sender.clone(),
        recipient: delivery.recipient.clone(),
        audio_sha256: audio.sha256,
    })
}

/// Audio that the carrier does not find (any more), or does not take, is given to it anew the next time.
pub(super) fn forget_upload_where_due(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    carrier: &str,
    audio: AudioId,
    reason: Option<FailureReason>,
) -> Result<()> {
    use FailureReason::{AudioRejected, AudioUnfetchable};
    match delivering.registry.find(carrier) {
        Some(carrier) if matches!(reason, Some(AudioRejected | AudioUnfetchable)) => {
            Ok(tx.forget_upload(&carrier.account(), audio)?)
        }
        _ => Ok(()),
    }
}
