//! How many voicemails may leave from one number within 24 hours: its own cap, and, while it is new,
//! a cap that grows with its age. A number that sends much from its first day on is taken for a robot.

use std::time::Duration;

use super::time::Time;

/// Hand-overs from one number within 24 hours that a cap may allow.
pub const DAILY_CAP_MAX: i32 = 1_000_000;
/// Steps of one warm-up.
pub const STEPS_MAX: usize = 20;
/// The day, counted from 0, that a step may begin with.
pub const FROM_DAY_MAX: i32 = 3_650;
/// What a daily cap is counted over. It rolls, so that midnight does not double it.
pub const WINDOW: Duration = Duration::from_secs(24 * 3_600);

const DAY_SECONDS: u64 = 24 * 3_600;

/// The caps of one number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberCaps {
    /// 0: none.
    pub daily_cap: i32,
    /// In the order of their days.
    pub warm_up: Vec<WarmUpStep>,
    /// From when on its age is counted; none: from its creation.
    pub warm_up_start_time: Option<Time>,
}

/// From this day of its age on the number may send so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmUpStep {
    pub from_day: i32,
    /// 0: the warm-up is over.
    pub daily_cap: i32,
}

/// Why steps are no warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WarmUpFault {
    #[error("it has {steps} steps; at most {STEPS_MAX} are allowed. Leave some out")]
    TooMany { steps: usize },
    #[error(
        "its first step is from day {from_day}; it must be from day 0. Say what holds at first"
    )]
    NotFromTheStart { from_day: i32 },
    #[error(
        "a step from day {from_day} comes behind one from day {before}; days must rise. Put the steps in order, each day once"
    )]
    NotRising { before: i32, from_day: i32 },
    #[error("a step is from day {from_day}; allowed are 0 to {FROM_DAY_MAX}")]
    TooLate { from_day: i32 },
    #[error(
        "the daily_cap of a step is {daily_cap}; allowed are 0 to {DAILY_CAP_MAX}, and 0 means no limit from that day on"
    )]
    CapOutOfRange { daily_cap: i32 },
}

/// Steps begin with day 0, and their days rise.
pub fn check_steps(steps: &[WarmUpStep]) -> Result<(), WarmUpFault> {
    if steps.len() > STEPS_MAX {
        return Err(WarmUpFault::TooMany { steps: steps.len() });
    }
    let mut before: Option<i32> = None;
    for WarmUpStep {
        from_day,
        daily_cap,
    } in steps.iter().copied()
    {
        match before {
            None if from_day != 0 => return Err(WarmUpFault::NotFromTheStart { from_day }),
            Some(before) if from_day <= before => {
                return Err(WarmUpFault::NotRising { before, from_day });
            }
            None | Some(_) => {}
        }
        if from_day > FROM_DAY_MAX {
            return Err(WarmUpFault::TooLate { from_day });
        }
        if !(0..=DAILY_CAP_MAX).contains(&daily_cap) {
            return Err(WarmUpFault::CapOutOfRange { daily_cap });
        }
        before = Some(from_day);
    }
    Ok(())
}

impl NumberCaps {
    /// When its age brings another step; `None`: no more.
    pub fn next_step_time(&self, create_time: Time, now: Time) -> Option<Time> {
        let start = self.warm_up_start_time.unwrap_or(create_time);
        let begins = |step: &WarmUpStep| {
            let days = u64::try_from(step.from_day).unwrap_or(0);
            start.plus(Duration::from_secs(days * DAY_SECONDS))
        };
        self.warm_up.iter().map(begins).find(|begins| *begins > now)
    }

    /// How many may leave within 24 hours, the smaller of its own cap and that of its age; `None`: any
    /// number.
    pub fn in_force(&self, create_time: Time, now: Time) -> Option<u32> {
        let start = self.warm_up_start_time.unwrap_or(create_time);
        // Before its start it is as on its first day.
        let age_days = now.since(start).as_secs() / DAY_SECONDS;
        let reached = |step: &&WarmUpStep| u64::try_from(step.from_day).unwrap_or(0) <= age_days;
        let step = self.warm_up.iter().rfind(reached);
        let cap = |cap: i32| u32::try_from(cap).ok().filter(|cap| *cap > 0);
        let of_age = step.and_then(|step| cap(step.daily_cap));
        [cap(self.daily_cap), of_age].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(steps: &[(i32, i32)]) -> Vec<WarmUpStep> {
        let step = |(from_day, daily_cap): &(i32, i32)| WarmUpStep {
            from_day: *from_day,
            daily_cap: *daily_cap,
        };
        steps.iter().map(step).collect()
    }

    fn after(seconds: u64) -> Time {
        Time::EPOCH.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_step_holds_from_the_very_second_of_its_day() {
        let caps = NumberCaps {
            daily_cap: 0,
            warm_up: steps(&[(0, 20), (3, 50), (7, 200), (30, 0)]),
            warm_up_start_time: None,
        };
        let day = DAY_SECONDS;
        for (age, cap) in [
            (0, Some(20)),
            (3 * day - 1, Some(20)),
            (3 * day, Some(50)),
            (7 * day - 1, Some(50)),
            (7 * day, Some(200)),
            (30 * day - 1, Some(200)),
            (30 * day, None),
        ] {
            assert_eq!(caps.in_force(after(5), after(5 + age)), cap, "{age} s");
        }
        for (age, next) in [
            (0, Some(3 * day)),
            (3 * day - 1, Some(3 * day)),
            (3 * day, Some(7 * day)),
            (30 * day - 1, Some(30 * day)),
            (30 * day, None),
        ] {
            let next = next.map(|next| after(5 + next));
            let found = caps.next_step_time(after(5), after(5 + age));
            assert_eq!(found, next, "{age} s");
        }
        // Its age may be counted from another day, which may be to come.
        let later = NumberCaps {
            warm_up_start_time: Some(after(10 * day)),
            ..caps
        };
        assert_eq!(later.in_force(Time::EPOCH, after(9 * day)), Some(20));
        assert_eq!(later.in_force(Time::EPOCH, after(13 * day)), Some(50));
    }

    #[test]
    fn the_smaller_cap_counts() {
        let caps = |daily_cap, cap| NumberCaps {
            daily_cap,
            warm_up: steps(&[(0, cap)]),
            warm_up_start_time: None,
        };
        for (daily_cap, of_age, cap) in [
            (0, 0, None),
            (0, 1, Some(1)),
            (1, 0, Some(1)),
            (5, 6, Some(5)),
            (6, 5, Some(5)),
        ] {
            let found = caps(daily_cap, of_age).in_force(Time::EPOCH, Time::EPOCH);
            assert_eq!(found, cap, "{daily_cap} {of_age}");
        }
        let none = NumberCaps::default().in_force(Time::EPOCH, Time::EPOCH);
        assert_eq!(none, None);
    }

    #[test]
    fn steps_begin_with_day_0_and_rise() {
        use WarmUpFault::{CapOutOfRange, NotFromTheStart, NotRising, TooLate, TooMany};
        let many = |count: i32| (0..count).map(|day| (day, 1)).collect::<Vec<_>>();
        for (given, expected) in [
            (vec![], Ok(())),
            (many(19), Ok(())),
            (many(20), Ok(())),
            (many(21), Err(TooMany { steps: 21 })),
            (vec![(1, 5)], Err(NotFromTheStart { from_day: 1 })),
            (vec![(-1, 5)], Err(NotFromTheStart { from_day: -1 })),
            (
                vec![(0, 5), (0, 6)],
                Err(NotRising {
                    before: 0,
                    from_day: 0,
                }),
            ),
            (vec![(0, 5), (3_650, 6)], Ok(())),
            (vec![(0, 5), (3_651, 6)], Err(TooLate { from_day: 3_651 })),
            (vec![(0, -1)], Err(CapOutOfRange { daily_cap: -1 })),
            (vec![(0, 999_999)], Ok(())),
            (vec![(0, 1_000_000)], Ok(())),
            (
                vec![(0, 1_000_001)],
                Err(CapOutOfRange {
                    daily_cap: 1_000_001,
                }),
            ),
        ] {
            assert_eq!(check_steps(&steps(&given)), expected, "{given:?}");
        }
    }
}
