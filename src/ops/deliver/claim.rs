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
use crate::domain::use_case::UseCase;
use crate::ops::error::{OpError, Result};
use crate::storage::{Guard, Lock, NextTimes, Tx};

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
    /// Lanes that had more when the last claim ended, each from where that left off.
    more: Vec<Lane>,
    goes_on: bool,
    /// Counts the claims: where there is little room, each kind is the first in every third one.
    claims: usize,
}

impl Round {
    /// The next claim takes more of what the last one left, and looks at nothing else, also where its setups can have no more by
    /// now; where nothing was left, it is as any other. To look at everything costs Postgres more the more rows have left the
    /// queue which it can't clear away yet, because another connection holds an old snapshot.
    pub fn go_on(&mut self) {
        self.goes_on = true;
    }
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
    /// Was everything looked at?
    pub is_whole: bool,
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
    let left = Due {
        lanes: std::mem::take(&mut round.more),
        is_fresh: false,
    };
    if std::mem::take(&mut round.goes_on) && !left.lanes.is_empty() {
        serve(tx, delivering, round, left, &mut room, token, &mut claimed)?;
        // A lane is left where its setup could have no more (room, pace, or its count is locked), and not where it had nothing.
        if !claimed.is_empty() || !round.more.is_empty() {
            return Ok(claimed);
        }
    }
    claimed.is_whole = true;
    let next = tx.next_times()?;
    claimed.look_at(next.expiry);
    if is_due(next.expiry, now) {
        expiries(tx, &mut claimed)?;
    }
    round.claims = round.claims.wrapping_add(1);
    for step in 0..KINDS.len() {
        match KINDS[(round.claims + step) % KINDS.len()] {
            Kind::Rescue => rescues(tx, delivering, next, &mut room, token, &mut claimed)?,
            Kind::Ask => questions(tx, delivering, next, &mut room, token, &mut claimed)?,
            Kind::Send => waiting(tx, delivering, round, &mut room, token, &mut claimed)?,
        }
    }
    Ok(claimed)
}

/// Ends what was not sent in time.
fn expiries(tx: &mut dyn Tx, claimed: &mut Claimed) -> Result<()> {
    let now = tx.now()?;
    for mut delivery in tx.expired(EXPIRED_AT_ONCE)? {
        let guard = Guard::of(&delivery);
        delivery.expire(now).map_err(refused)?;
        tx.save_delivery(guard, &delivery)?;
        claimed.ended.push(delivery);
    }
    Ok(())
}

fn is_due(time: Option<Time>, now: Time) -> bool {
    time.is_some_and(|time| time <= now)
}

/// Rows in SENDING that nobody holds, as far as there is room. Where there is none, the end of
/// a task is the time to look again.
fn rescues(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    next: NextTimes,
    room: &mut Room,
    token: LeaseToken,
    claimed: &mut Claimed,
) -> Result<()> {
    let free = room.free_for_kind(Kind::Rescue);
    if free == 0 {
        return Ok(());
    }
    let now = tx.now()?;
    if !is_due(next.rescue, now) {
        claimed.look_at(next.rescue);
        return Ok(());
    }
    let lease_end = now.plus(delivering.lease);
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
    claimed.look_at(tx.next_times()?.rescue);
    Ok(())
}

/// Rows in SENT that are to be asked about. Past its deadline one is asked about for the last time,
/// or ended where the carrier can't be asked.
fn questions(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    next: NextTimes,
    room: &mut Room,
    token: LeaseToken,
    claimed: &mut Claimed,
) -> Result<()> {
    let free = room.free_for_kind(Kind::Ask);
    if free == 0 {
        return Ok(());
    }
    let now = tx.now()?;
    if !is_due(next.question, now) {
        claimed.look_at(next.question);
        return Ok(());
    }
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
    claimed.look_at(tx.next_times()?.question);
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
    let (due, later): (Vec<Lane>, Vec<Lane>) = open.partition(|lane| lane.next_time <= now);
    claimed.look_at(later.iter().map(|lane| lane.next_time).min());
    match due.is_empty() {
        true => Ok(()),
        false => {
            let due = Due {
                lanes: due,
                is_fresh: true,
            };
            serve(tx, delivering, round, due, room, token, claimed)
        }
    }
}

/// Lanes in which something is due.
struct Due {
    lanes: Vec<Lane>,
    /// Read in this unit of work.
    is_fresh: bool,
}

/// Gives lanes their turns.
fn serve(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    round: &mut Round,
    due: Due,
    room: &mut Room,
    token: LeaseToken,
    claimed: &mut Claimed,
) -> Result<()> {
    let Due {
        lanes: mut due,
        is_fresh,
    } = due;
    let mut allowances = allowances(tx, delivering, &due, claimed)?;
    due.retain(|lane| allowances.contains_key(&lane.setup_id));
    let (mut tries, mut left) = (0, Vec::new());
    while room.free() > 0
        && let Some(at) = round.turns.next(&due)
    {
        if tries == TRIES_MAX {
            claimed.look_at(claimed.now);
            break;
        }
        tries += 1;
        if !is_fresh && !may_send(tx, &due[at])? {
            due.swap_remove(at);
            continue;
        }
        let share = (room.free() / due.len()).max(1);
        let lane = &mut due[at];
        let asked = match allowances.get_mut(&lane.setup_id) {
            Some(allowance) => allowance.grant(tx, share, room.free_for(lane.setup_id))?,
            None => 0,
        };
        let taken = match asked {
            0 => 0,
            asked => take(tx, delivering, lane, asked, token, claimed)?,
        };
        if let Some(allowance) = allowances.get_mut(&lane.setup_id) {
            allowance.used(taken);
        }
        for _ in 0..taken {
            room.take(lane.setup_id, Kind::Send);
        }
        match asked {
            // Its setup can have no more, so none of its lanes can.
            0 => {
                let full = lane.setup_id;
                left.extend(due.extract_if(.., |other| other.setup_id == full));
            }
            _ => {
                round.turns.served(lane);
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
    left.extend(due);
    round.more = left;
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

/// May the use case of a lane that was read some time ago still send?
fn may_send(tx: &mut dyn Tx, lane: &Lane) -> Result<bool> {
    let now = tx.now()?;
    let use_case = tx.find_use_case(lane.workspace_id, lane.use_case_id, Lock::None)?;
    let waits = |use_case: &UseCase| {
        use_case.why_waiting().is_some()
            || use_case.senders_full_until.is_some_and(|until| until > now)
    };
    Ok(use_case.is_some_and(|use_case| !waits(&use_case)))
}

/// Claims up to `wanted` of a lane; says how many there were.
fn take(
    tx: &mut dyn Tx,
    delivering: &Delivering,
    lane: &mut Lane,
    wanted: usize,
    token: LeaseToken,
    claimed: &mut Claimed,
) -> Result<usize> {
    let now = tx.now()?;
    let rows = tx.due_in_lane(lane.use_case_id, lane.from, limit(wanted))?;
    let taken = rows.len();
    if let Some(last) = rows.last().and_then(|row| row.next_time) {
        lane.from = last;
    }
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
