//! Claim what is due: one query over `next_time` finds what waits for its time, what a dead worker
//! left, what is to be asked about, and what has run out.

use std::collections::HashMap;

use super::{Delivering, NotReady, readiness};
use crate::domain::delivery::{Context, Delivery};
use crate::domain::ids::{LeaseToken, SetupId};
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::ops::error::{OpError, Result};
use crate::storage::{Guard, Tx};

/// A row that this worker holds until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub delivery: Delivery,
    pub kind: TaskKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// It was ACCEPTED: hand it over.
    Send,
    /// It was SENDING and nobody holds it (any more): find out what may be done.
    Rescue,
    /// It is SENT: ask the carrier.
    Ask,
}

/// What a claim did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    pub tasks: Vec<Task>,
    /// Rows that came to an end by the clock alone.
    pub ended: Vec<Delivery>,
    /// Rows looked at; as many as asked for means that there may be more.
    pub rows: usize,
}

pub fn claim(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    limit: i64,
    token: LeaseToken,
) -> Result<Claimed> {
    let now = tx.now()?;
    let due = tx.due(limit)?;
    let mut claimed = Claimed {
        rows: due.len(),
        ..Claimed::default()
    };
    let mut waits: HashMap<SetupId, Option<NotReady>> = HashMap::new();
    for mut delivery in due {
        let guard = Guard::of(&delivery);
        let kind = match delivery.status {
            Status::Accepted if delivery.expire_time <= now => {
                delivery.expire(now).map_err(refused)?;
                None
            }
            Status::Accepted => {
                let why_not = match waits.get(&delivery.setup_id) {
                    Some(known) => known.clone(),
                    None => {
                        let why_not = readiness(tx, &delivery, delivering)?.err();
                        waits.insert(delivery.setup_id, why_not.clone());
                        why_not
                    }
                };
                take(
                    &mut delivery,
                    why_not,
                    (token, now.plus(delivering.lease)),
                    delivering,
                    now,
                )?
            }
            Status::Sending => {
                delivery.lease(token, now.plus(delivering.lease));
                Some(TaskKind::Rescue)
            }
            Status::Sent => {
                let context = Context {
                    rules: &delivering.rules,
                    now,
                    chance: 0.5,
                };
                if delivery.is_past_deadline(context) {
                    delivery.no_word(now).map_err(refused)?;
                    None
                } else {
                    delivery.lease(token, now.plus(delivering.lease));
                    Some(TaskKind::Ask)
                }
            }
            Status::Delivered
            | Status::NotDelivered
            | Status::Failed
            | Status::Skipped
            | Status::Cancelled
            | Status::Unconfirmed => {
                tracing::error!(voicemail.id = %delivery.voicemail_id, status = %delivery.status, "an ended voicemail was due; it is taken off the queue");
                delivery.next_time = None;
                None
            }
        };
        tx.save_delivery(guard, &delivery)?;
        match kind {
            Some(kind) => claimed.tasks.push(Task { delivery, kind }),
            None if delivery.status.is_end() => claimed.ended.push(delivery),
            None => {}
        }
    }
    Ok(claimed)
}

/// Claims a waiting one, or puts it aside where its setup can't send, or off where this process can't.
fn take(
    delivery: &mut Delivery,
    why_not: Option<NotReady>,
    claim: (LeaseToken, Time),
    delivering: &Delivering,
    now: Time,
) -> Result<Option<TaskKind>> {
    match why_not {
        Some(NotReady::Setup(why)) => delivery.hold(why),
        Some(NotReady::Here(why)) => {
            delivery.look_again(why, delivering.rules.no_sender_wait, now);
        }
        None => {
            let (token, until) = claim;
            delivery.claim(token, until).map_err(refused)?;
            return Ok(Some(TaskKind::Send));
        }
    }
    Ok(None)
}

pub(super) fn refused(refused: crate::domain::status::Refused) -> OpError {
    OpError::Internal(refused.to_string())
}
