//! Claim what is due: what has expired, what a dead worker left or is to be asked about, and what
//! waits, use case by use case in turn, as far as the limits of its setup allow.

use std::collections::HashMap;

use super::Delivering;
use super::limits::Allowance;
use crate::domain::delivery::{Context, Delivery, Others};
use crate::domain::ids::{LeaseToken, SetupId, UseCaseId};
use crate::domain::room::{Kind, Room};
use crate::domain::time::Time;
use crate::domain::turns::{Lane, Turns};
use crate::ops::error::{OpError, Result};
use crate::storage::{Guard, Tx};

/// A row that this worker holds until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub delivery: Delivery,
    pub kind: Kind,
}

/// What a worker remembers from claim to claim: an order, and nothing that counts.
#[derive(Debug, Clone, Default)]
pub struct Round {
    turns: Turns,
    /// Where a queue of more than [`LANES_MAX`] lanes is read on.
    after: Option<UseCaseId>,
    /// Counts the claims: where there is little room, each kind is the first in every third one.
    claims: usize,
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
/// Lanes that one claim tries to take from.
const TRIES_MAX: usize = 256;
/// Rows that one claim ends because their time has run out.
const EXPIRED_AT_ONCE: i64 = 100;
const KINDS: [Kind; 3] = [Kind::Rescue, Kind::Ask, Kind::Send];

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
    claimed.look_at(tx.next_expiry()?);
    round.claims = round.claims.wrapping_add(1);
    for step in 0..KINDS.len() {
        match KINDS[(round.claims + step) % KINDS.len()] {
            Kind::Rescue => rescues(tx, delivering, &mut room, token, &mut claimed)?,
            Kind::Ask => questions(tx, delivering, &mut room, token, &mut claimed)?,
            Kind::Send => waiting(tx, delivering, round, &mut room, token, &mut claimed)?,
        }
    }
    Ok(claimed)
}

/// Rows in SENDING that nobody holds, as far as there is room. Where there is none, the end of
/// a task is the time to look again.
fn rescues(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    room: &mut Room,
    token: LeaseToken,
    claimed: &mut Claimed,
) -> Result<()> {
    let free = room.free_for_kind(Kind::Rescue);
    if free == 0 {
        return Ok(());
    }
    let lease_end = tx.now()?.plus(delivering.lease);
    for mut delivery in tx.due_rescues(limit(free))? {
        let guard = Guard::of(&delivery);
        delivery.lease(token, lease_end);
        tx.save_delivery(guard, &delivery)?;
        room.take(delivery.setup_id, Kind::Rescue);
        claimed.tasks.push(Task {
            delivery,
            kind: Kind::Rescue,
        });
    }
    claimed.look_at(tx.next_rescue()?);
    Ok(())
}

/// Rows in SENT that are to be asked about. Past its deadline one is asked about for the last time,
/// or ended where the carrier can't be asked.
fn questions(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    room: &mut Room,
    token: LeaseToken,
    claimed: &mut Claimed,
) -> Result<()> {
    let free = room.free_for_kind(Kind::Ask);
    if free == 0 {
        return Ok(());
    }
    let now = tx.now()?;
    let context = Context {
        rules: &delivering.rules,
        now,
        chance: 0.5,
        others: Others::None,
    };
    for mut delivery in tx.due_questions(limit(free))? {
        let guard = Guard::of(&delivery);
        if delivery.is_past_deadline(context) && !can_be_asked(tx, delivering, &delivery)? {
            delivery.no_word(now).map_err(refused)?;
            tx.save_delivery(guard, &delivery)?;
            claimed.ended.push(delivery);
            continue;
        }
        delivery.lease(token, now.plus(delivering.lease));
        tx.save_delivery(guard, &delivery)?;
        room.take(delivery.setup_id, Kind::Ask);
        claimed.tasks.push(Task {
            delivery,
            kind: Kind::Ask,
        });
    }
    claimed.look_at(tx.next_question()?);
    Ok(())
}

fn can_be_asked(tx: &mut dyn Tx, delivering: &Delivering, delivery: &Delivery) -> Result<bool> {
    let hand_over = tx.last_hand_over(delivery.voicemail_id)?;
    let traits = |hand_over| delivering.traits(&hand_over, &delivery.recipient);
    Ok(hand_over.is_some_and(|hand_over| traits(hand_over).askable))
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
    let open = lanes.into_iter().filter(|lane| !lane.is_paused);
    let (mut due, later): (Vec<Lane>, Vec<Lane>) = open.partition(|lane| lane.next_time <= now);
    if due.is_empty() {
        claimed.look_at(later.iter().map(|lane| lane.next_time).min());
        return Ok(());
    }
    let mut allowances = allowances(tx, delivering, &due, claimed)?;
    due.retain(|lane| allowances.contains_key(&lane.setup_id));
    let mut tries = 0;
    while room.free() > 0
        && let Some(at) = round.turns.next(&due)
    {
        if tries == TRIES_MAX {
            claimed.look_at(Some(now));
            break;
        }
        tries += 1;
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
            room.take(lane.setup_id, Kind::Send);
        }
        match asked {
            // Its setup can have no more, so none of its lanes can.
            0 => due.retain(|other| other.setup_id != lane.setup_id),
            _ => {
                round.turns.served(&lane);
                if taken < asked {
                    due.swap_remove(at);
                }
            }
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

/// Claims up to `wanted` of a lane; says how many there were.
fn take(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    lane: &Lane,
    wanted: usize,
    token: LeaseToken,
    claimed: &mut Claimed,
) -> Result<usize> {
    let now = tx.now()?;
    let rows = tx.due_in_lane(lane.use_case_id, limit(wanted))?;
    let taken = rows.len();
    for mut delivery in rows {
        let guard = Guard::of(&delivery);
        delivery
            .claim(token, now.plus(delivering.lease))
            .map_err(refused)?;
        tx.save_delivery(guard, &delivery)?;
        claimed.tasks.push(Task {
            delivery,
            kind: Kind::Send,
        });
    }
    Ok(taken)
}

fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

pub(in crate::ops) fn refused(refused: crate::domain::status::Refused) -> OpError {
    OpError::Internal(refused.to_string())
}
