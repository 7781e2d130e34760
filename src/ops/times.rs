//! The rules about the times of a voicemail that depend on today's: for a send, a batch and an update.

use std::time::Duration;

use super::error::Violation;
use crate::domain::time::Time;

/// How far ahead `schedule_time` may be.
pub const SCHEDULE_AHEAD_MAX: Duration = Duration::from_secs(90 * 24 * 3_600);

/// The faults of a send's times: also for a draft whose other fields are bad. `at` is the path before the
/// fields' names.
pub fn time_faults(
    at: &str,
    schedule: Option<Time>,
    expire: Option<Time>,
    now: Time,
) -> Vec<Violation> {
    let late = schedule.and_then(|schedule| schedule_fault(at, schedule, now));
    let start = due_time(schedule, now);
    let early = expire.and_then(|expire| expire_fault(at, expire, start));
    late.into_iter().chain(early).collect()
}

/// When a voicemail is due that is to leave at `schedule`; a time in the past means now.
pub fn due_time(schedule: Option<Time>, now: Time) -> Time {
    schedule.map_or(now, |time| time.max(now))
}

pub fn schedule_fault(at: &str, schedule: Time, now: Time) -> Option<Violation> {
    let latest = now.plus(SCHEDULE_AHEAD_MAX);
    (schedule > latest).then(|| {
        Violation::field(
            format!("{at}schedule_time"),
            format!("it is {schedule}; at most 90 days ahead are allowed, that is {latest}. Send it later"),
        )
    })
}

/// `start`: when the voicemail is due.
pub fn expire_fault(at: &str, expire: Time, start: Time) -> Option<Violation> {
    (expire <= start).then(|| {
        Violation::field(
            format!("{at}expire_time"),
            format!("it is {expire}; it must be after {start}, when the voicemail is due. Give a later one or none"),
        )
    })
}
