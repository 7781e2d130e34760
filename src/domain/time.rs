//! An instant in UTC microseconds: the precision that both databases keep, so that what
//! was stored equals what is read, and page tokens lose nothing.

use std::fmt;
use std::time::Duration;

/// Microseconds since 1970-01-01T00:00:00Z. Finer parts are cut, never rounded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// 9999-12-31T23:59:59.999999Z, the last instant that `google.protobuf.Timestamp` allows.
const MICROS_MAX: i64 = 253_402_300_799_999_999;
/// 0001-01-01T00:00:00Z, the first one.
const MICROS_MIN: i64 = -62_135_596_800_000_000;

impl Time {
    pub const EPOCH: Time = Time(0);
    pub const LAST: Time = Time(MICROS_MAX);

    /// Held within the years 1 to 9999.
    pub fn from_micros(micros: i64) -> Time {
        Time(micros.clamp(MICROS_MIN, MICROS_MAX))
    }

    pub fn micros(self) -> i64 {
        self.0
    }

    /// `None` outside the years 1 to 9999, or where `nanos` is not in 0..1e9.
    pub fn from_seconds_and_nanos(seconds: i64, nanos: i32) -> Option<Time> {
        if !(0..1_000_000_000).contains(&nanos) {
            return None;
        }
        let micros = seconds
            .checked_mul(1_000_000)?
            .checked_add(i64::from(nanos) / 1_000)?;
        (MICROS_MIN..=MICROS_MAX)
            .contains(&micros)
            .then_some(Time(micros))
    }

    pub fn seconds_and_nanos(self) -> (i64, i32) {
        let nanos = self.0.rem_euclid(1_000_000) * 1_000;
        (
            self.0.div_euclid(1_000_000),
            i32::try_from(nanos).unwrap_or(0),
        )
    }

    pub fn plus(self, wait: Duration) -> Time {
        let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        Time::from_micros(self.0.saturating_add(micros))
    }

    pub fn minus(self, wait: Duration) -> Time {
        let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        Time::from_micros(self.0.saturating_sub(micros))
    }

    /// The time that passed since `earlier`; zero where `earlier` is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_cut_to_microseconds() {
        let time = Time::from_seconds_and_nanos(1, 1_999).expect("in range");
        assert_eq!(time.micros(), 1_000_001);
        assert_eq!(time.seconds_and_nanos(), (1, 1_000));
    }

    #[test]
    fn the_borders_of_a_protobuf_timestamp_are_held() {
        assert!(Time::from_seconds_and_nanos(253_402_300_799, 999_999_999).is_some());
        assert!(Time::from_seconds_and_nanos(253_402_300_800, 0).is_none());
        assert!(Time::from_seconds_and_nanos(-62_135_596_800, 0).is_some());
        assert!(Time::from_seconds_and_nanos(-62_135_596_801, 999_999_999).is_none());
        assert!(Time::from_seconds_and_nanos(0, 1_000_000_000).is_none());
        assert!(Time::from_seconds_and_nanos(0, -1).is_none());
    }

    #[test]
    fn a_time_before_1970_splits_into_whole_seconds_below_it() {
        assert_eq!(Time::from_micros(-1).seconds_and_nanos(), (-1, 999_999_000));
    }
}
