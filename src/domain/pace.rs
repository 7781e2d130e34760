//! How many voicemails of a setup may start now: its starts per minute, spread evenly.
//!
//! The setup's row holds the time of its next free slot; a claim takes slots from there on, under
//! a lock, so that any number of workers keeps one pace. After a pause there is one slot at once
//! and then one each interval: nothing is saved up for a burst.

use std::time::Duration;

use super::time::Time;

/// `starts_per_minute` and `in_flight_max` at most; 0 is no limit.
pub const STARTS_PER_MINUTE_MAX: i32 = 60_000;
pub const IN_FLIGHT_MAX: i32 = 10_000;
/// Slots that were missed because claims come in rounds are made up for, this far back.
const CATCH_UP: Duration = Duration::from_millis(200);
/// A setup that started nothing for this long beyond its slot has paused: nothing is made up for.
const PAUSED_AFTER: Duration = Duration::from_secs(1);

/// The slots of a setup, as they stand now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    first: Time,
    interval: Duration,
    now: Time,
}

impl Slots {
    /// `None`: the setup has no pace.
    pub fn of(starts_per_minute: i32, next_start: Time, now: Time) -> Option<Slots> {
        let per_minute = u32::try_from(starts_per_minute).ok().filter(|n| *n > 0)?;
        let behind = now.since(next_start);
        let first = match behind > PAUSED_AFTER {
            true => now,
            false => next_start.max(now.minus(CATCH_UP)),
        };
        Some(Slots {
            first,
            interval: Duration::from_secs(60) / per_minute,
            now,
        })
    }

    /// How many may start now.
    pub fn free(&self) -> usize {
        if self.first > self.now {
            return 0;
        }
        let passed = self.now.since(self.first).as_nanos() / self.interval.as_nanos().max(1);
        usize::try_from(passed)
            .unwrap_or(usize::MAX)
            .saturating_add(1)
    }

    /// The next free slot once `taken` have started.
    pub fn next(&self, taken: usize) -> Time {
        self.first
            .plus(self.interval * u32::try_from(taken).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_micros(1_000_000_000).plus(Duration::from_millis(ms))
    }

    /// How many start in each second where a claim comes every `round_ms`.
    fn starts(per_minute: i32, round_ms: u64, seconds: u64) -> Vec<usize> {
        let mut next = Time::EPOCH;
        let mut counts = vec![0; usize::try_from(seconds).expect("few")];
        for ms in (0..seconds * 1_000).step_by(usize::try_from(round_ms).expect("few")) {
            let slots = Slots::of(per_minute, next, at(ms)).expect("a pace");
            let taken = slots.free();
            if taken > 0 {
                next = slots.next(taken);
            }
            counts[usize::try_from(ms / 1_000).expect("few")] += taken;
        }
        counts
    }

    #[test]
    fn every_second_has_its_share_and_the_first_no_burst() {
        assert_eq!(starts(60, 10, 3), [1, 1, 1]);
        assert_eq!(starts(600, 10, 3), [10, 10, 10]);
        assert_eq!(starts(6_000, 50, 3), [96, 100, 100]);
        // One each five seconds.
        assert_eq!(starts(12, 100, 6), [1, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn what_was_missed_is_made_up_for_a_little_and_after_a_pause_not_at_all() {
        let slots = |late_ms| Slots::of(6_000, at(0), at(late_ms)).expect("a pace");
        assert_eq!(slots(0).free(), 1);
        assert_eq!(slots(9).free(), 1);
        assert_eq!(slots(10).free(), 2);
        assert_eq!(slots(200).free(), 21);
        assert_eq!(slots(1_000).free(), 21);
        assert_eq!(slots(1_001).free(), 1);
        assert_eq!(slots(20).next(2), at(20));
    }

    #[test]
    fn before_the_next_slot_nothing_starts_and_without_a_pace_nothing_is_counted() {
        assert_eq!(Slots::of(60, at(1), at(0)).expect("a pace").free(), 0);
        assert_eq!(Slots::of(0, at(0), at(0)), None);
        assert_eq!(Slots::of(-1, at(0), at(0)), None);
    }
}
