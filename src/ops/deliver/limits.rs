//! What a setup allows within one claim: its pace, its bound of hand-overs under way, and the
//! breakers of its carriers. All of it is counted in the database, so that any number of workers
//! keeps to it together.

use std::time::Duration;

use crate::domain::breaker::Breaker;
use crate::domain::ids::SetupId;
use crate::domain::pace::Slots;
use crate::domain::telephony::Setup;
use crate::domain::time::Time;
use crate::ops::error::Result;
use crate::storage::Tx;

/// A setup that is full, or whose starts another worker counts just now, is looked at again so soon.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Allowance {
    setup: Setup,
    now: Time,
    /// All carriers fail, and one call may try.
    is_trial: bool,
    /// Counted under a lock, once, when the setup's first turn comes.
    counted: Option<Counted>,
    taken: usize,
    look_again: Option<Time>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    slots: Option<Slots>,
    left: usize,
}

impl Allowance {
    /// `Err`: nothing may start before that time; none: not as long as this process runs so.
    pub fn of(
        setup: &Setup,
        known: &[String],
        breakers: &[Breaker],
        now: Time,
    ) -> std::result::Result<Allowance, Option<Time>> {
        let breaker_of = |name: &String| breakers.iter().find(|breaker| breaker.carrier == *name);
        let is_any_closed = known.iter().any(|name| breaker_of(name).is_none());
        let next_trial = known
            .iter()
            .filter_map(breaker_of)
            .map(|breaker| breaker.next_trial_time)
            .min();
        let is_trial = match (is_any_closed, next_trial) {
            (true, _) => false,
            (false, Some(time)) if time <= now => true,
            (false, later) => return Err(later),
        };
        Ok(Allowance {
            setup: setup.clone(),
            now,
            is_trial,
            counted: None,
            taken: 0,
            look_again: None,
        })
    }

    /// How many of `wanted` may start now, where this process has room for `room`.
    pub fn grant(&mut self, tx: &mut dyn Tx, wanted: usize, room: usize) -> Result<usize> {
        let counted = match self.counted {
            Some(counted) => counted,
            None => self.count(tx)?,
        };
        self.counted = Some(counted);
        let granted = counted.left.saturating_sub(self.taken);
        if granted == 0 {
            self.look_again = Some(match counted.slots {
                Some(slots) if slots.free() <= self.taken => slots.next(self.taken),
                _ => self.now.plus(LOOK_AGAIN),
            });
        }
        Ok(granted.min(wanted).min(room))
    }

    fn count(&self, tx: &mut dyn Tx) -> Result<Counted> {
        let mut left = if self.is_trial { 1 } else { usize::MAX };
        let mut slots = None;
        if self.setup.starts_per_minute > 0 || self.setup.in_flight_max > 0 {
            let Some(starts) = tx.count_starts(self.setup.id)? else {
                return Ok(Counted { slots, left: 0 });
            };
            if self.setup.in_flight_max > 0 {
                let free = i64::from(self.setup.in_flight_max) - starts.under_way;
                left = left.min(usize::try_from(free).unwrap_or(0));
            }
            slots = Slots::of(self.setup.starts_per_minute, starts.next_start, self.now);
            if let Some(slots) = slots {
                left = left.min(slots.free());
            }
        }
        Ok(Counted { slots, left })
    }

    pub fn used(&mut self, taken: usize) {
        self.taken += taken;
    }

    /// Writes down the slots that were taken.
    pub fn save(&self, tx: &mut dyn Tx, setup: SetupId) -> Result<()> {
        let slots = self.counted.and_then(|counted| counted.slots);
        match (slots, self.taken) {
            (Some(slots), taken) if taken > 0 => Ok(tx.set_next_start(setup, slots.next(taken))?),
            _ => Ok(()),
        }
    }

    /// When there may be more, where a limit kept something from starting.
    pub fn look_again(&self) -> Option<Time> {
        self.look_again
    }
}
