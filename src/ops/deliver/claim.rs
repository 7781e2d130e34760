//! Claim what is due: what has expired, what a dead worker left or is to be asked about, and what
//! waits, use case by use case in turn, as far as the limits of its setup allow.

use std::collections::HashMap;

use super::Delivering;
use super::limits::Allowance;
use crate::domain::delivery::{Context, Delivery};
use crate::domain::ids::{LeaseToken, SetupId, UseCaseId};
use crate::domain::room::Room;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::domain::turns::{Lane, Turns};
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

/// What a worker remembers from claim to claim: an order, and nothing that counts.
#[derive(Debug, Clone, Default)]
pub struct Round {
    turns: Turns,
    /// Where a queue of more than [`LANES_MAX`] lanes is read on.
    after: Option<UseCaseId>,
}

/// What a claim did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    pub tasks: Vec<Task>,
    /// Rows that came to an end by the clock alone.
    pub ended: Vec<Delivery>,
    /// The store's time.
    pub now: Option<Time>,
    /// When there is more to do, as far as is known.
    pub next: Option<Time>,
}

impl Claimed {
    /// Did it find anything? Then there may be more.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.ended.is_empty()
    }

    /// There is something to do at `time`.
    fn look_at(&mut self, time: Option<Time>) {
        self.next = [self.next, time].into_iter().flatten().min();
    }
}

/// Lanes that one claim looks at.
const LANES_MAX: i64 = 10_000;
/// Rows that one claim ends because their time has run out.
const EXPIRED_AT_ONCE: i64 = 100;

pub fn claim(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    round: &mut Round,
    mut room: Room,
    token: LeaseToken,
) -> Result<Claimed> {
    let now = tx.now()?;
    let mut claimed = Claimed {
        now: Some(now),
        ..Claimed::default()
    };
    for mut delivery in tx.expired(EXPIRED_AT_ONCE)? {
        let guard = Guard::of(&delivery);
        delivery.expire(now).map_err(refused)?;
        tx.save_delivery(guard, &delivery)?;
        claimed.ended.push(delivery);
    }
    // Neither what is to be asked about nor what waits can keep the other from its turn.
    let half = i64::try_from(room.free().div_ceil(2)).unwrap_or(i64::MAX);
    for delivery in tx.due_timers(half)? {
        let setup = delivery.setup_id;
        if timer(tx, delivering, delivery, token, &mut claimed)? {
            room.take(setup);
        }
    }
    let timers = claimed.tasks.len();
    waiting(tx, delivering, round, &mut room, token, &mut claimed)?;
    if timers == 0 {
        claimed.look_at(tx.next_timer()?);
    }
    Ok(claimed)
}

/// A row in SENDING or SENT whose time has come. Says whether it became a task.
fn timer(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    mut delivery: Delivery,
    token: LeaseToken,
    claimed: &mut Claimed,
) -> Result<bool> {
    let now = tx.now()?;
    let guard = Guard::of(&delivery);
    let lease_end = now.plus(delivering.lease);
    let context = Context {
        rules: &delivering.rules,
        now,
        chance: 0.5,
    };
    let kind = match delivery.status {
        Status::Sending => {
            delivery.lease(token, lease_end);
            Some(TaskKind::Rescue)
        }
        Status::Sent if delivery.is_past_deadline(context) => {
            delivery.no_word(now).map_err(refused)?;
            None
        }
        Status::Sent => {
            delivery.lease(token, lease_end);
            Some(TaskKind::Ask)
        }
        Status::Accepted
        | Status::Delivered
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
        None => claimed.ended.push(delivery),
    }
    Ok(kind.is_some())
}

/// Takes what waits, lane by lane in turn, until there is no more or no more room.
fn waiting(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    round: &mut Round,
    room: &mut Room,
    token: LeaseToken,
    claimed: &mut Claimed,
) -> Result<()> {
    let now = tx.now()?;
    let lanes = tx.lanes(round.after, LANES_MAX)?;
    let is_cut = i64::try_from(lanes.len()).unwrap_or(i64::MAX) >= LANES_MAX;
    round.after = lanes.last().filter(|_| is_cut).map(|lane| lane.use_case_id);
    round.turns.keep(&lanes);
    let (mut due, later): (Vec<Lane>, Vec<Lane>) =
        lanes.into_iter().partition(|lane| lane.next_time <= now);
    if due.is_empty() {
        claimed.look_at(later.iter().map(|lane| lane.next_time).min());
        return Ok(());
    }
    let mut allowances = allowances(tx, delivering, &due, claimed)?;
    due.retain(|lane| allowances.contains_key(&lane.setup_id));
    while room.free() > 0
        && let Some(at) = round.turns.next(&due)
    {
        let lane = due[at];
        let share = (room.free() / due.len()).max(1);
        let asked = match allowances.get_mut(&lane.setup_id) {
            Some(allowance) => allowance.grant(tx, share, room.free_for(lane.setup_id))?,
            None => 0,
        };
        let taken = match asked {
            0 => 0,
            asked => take(tx, delivering, &lane, asked, token, claimed)?,
        };
        if let Some(allowance) = allowances.get_mut(&lane.setup_id) {
            allowance.used(taken);
        }
        for _ in 0..taken {
            room.take(lane.setup_id);
        }
        if taken > 0 {
            round.turns.served(&lane);
        }
        if taken < asked || asked == 0 {
            due.swap_remove(at);
        }
    }
    for (setup, allowance) in &allowances {
        allowance.save(tx, *setup)?;
        claimed.look_at(allowance.look_again());
    }
    claimed.look_at(later.iter().map(|lane| lane.next_time).min());
    Ok(())
}

/// What the setups of these lanes allow; those that may not send at all are left out.
fn allowances(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    due: &[Lane],
    claimed: &mut Claimed,
) -> Result<HashMap<SetupId, Allowance>> {
    let now = tx.now()?;
    let breakers = tx.breakers()?;
    let mut allowances = HashMap::new();
    for setup in tx.setups_of(due)? {
        if setup.why_waiting().is_some() {
            continue;
        }
        match Allowance::of(&setup, &delivering.known(&setup.carriers), &breakers, now) {
            Ok(allowance) => {
                allowances.insert(setup.id, allowance);
            }
            Err(look_again) => claimed.look_at(look_again),
        }
    }
    Ok(allowances)
}

/// Claims up to `limit` of a lane; says how many there were.
fn take(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    lane: &Lane,
    limit: usize,
    token: LeaseToken,
    claimed: &mut Claimed,
) -> Result<usize> {
    let now = tx.now()?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = tx.due_in_lane(lane.use_case_id, limit)?;
    let taken = rows.len();
    for mut delivery in rows {
        let guard = Guard::of(&delivery);
        delivery
            .claim(token, now.plus(delivering.lease))
            .map_err(refused)?;
        tx.save_delivery(guard, &delivery)?;
        let kind = TaskKind::Send;
        claimed.tasks.push(Task { delivery, kind });
    }
    Ok(taken)
}

pub(in crate::ops) fn refused(refused: crate::domain::status::Refused) -> OpError {
    OpError::Internal(refused.to_string())
}
