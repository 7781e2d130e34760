//! How often a recipient may be sent something: caps on counted attempts, each held both in a rolling
//! window and on the recipient's local days.

use std::time::Duration;

use super::time::Time;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// At most `max` attempts within `days`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapLimit {
    pub max: u32,
    /// 1 or more.
    pub days: u32,
}

/// What the caps say of one more attempt now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CapVerdict {
    /// It may be made. `used`: how many count already, for each limit in their order.
    Free { used: Vec<u32> },
    /// It may not. `limit` is the one that frees last, `used` what counts against it, and from `frees` on
    /// all limits hold again.
    Full {
        limit: CapLimit,
        used: u32,
        frees: Time,
    },
}

/// May one more attempt be made at `now`, where `uses` is when each earlier one began to count, newest
/// first? As many of them as the largest `max` are enough.
///
/// Each limit holds twice: over the last `days` times 24 hours, and over the recipient's local days, today
/// included, in every zone that the recipient may be in. `day_starts(n)` gives the local midnights, one
/// for each zone, with which the day `n` days back began (0: today). `frees(use, days)` gives the first
/// instant at which in every zone `days` local midnights have passed since the use.
pub fn judge(
    uses: &[Time],
    limits: &[CapLimit],
    day_starts: impl Fn(u32) -> Vec<Time>,
    frees: impl Fn(Time, u32) -> Time,
    now: Time,
) -> CapVerdict {
    let mut counts = Vec::with_capacity(limits.len());
    let mut full: Option<(CapLimit, u32, Time)> = None;
    for limit in limits {
        let days = limit.days.max(1);
        let rolling = count(uses, |used| used.plus(DAY * days) > now);
        let local = day_starts(days - 1)
            .into_iter()
            .map(|start| count(uses, |used| used >= start))
            .max();
        let used = rolling.max(local.unwrap_or(0));
        counts.push(used);
        if used < limit.max {
            continue;
        }
        let frees = match limit.max.checked_sub(1) {
            // The use that has to leave the window before another one fits in.
            Some(at) => uses
                .get(at as usize)
                .map_or(now, |last| last.plus(DAY * days).max(frees(*last, days))),
            // It never holds.
            None => Time::from_micros(i64::MAX),
        };
        if full.is_none_or(|(_, _, later)| frees > later) {
            full = Some((*limit, used, frees));
        }
    }
    match full {
        None => CapVerdict::Free { used: counts },
        Some((limit, used, frees)) => CapVerdict::Full { limit, used, frees },
    }
}

fn count(uses: &[Time], is_within: impl Fn(Time) -> bool) -> u32 {
    let within = uses.iter().filter(|used| is_within(**used)).count();
    u32::try_from(within).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "caps_tests.rs"]
mod tests;
