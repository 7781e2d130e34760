//! A time zone of the IANA database, as it comes with the program: the same on every host, and known
//! without reading a file.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use super::time::Time;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Bytes of a zone's name as a caller writes it; more is refused unread.
const NAME_BYTES_MAX: usize = 64;
/// No clock is further from UTC, nor set twice in this time.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A zone that exists. A clone is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// What a local time stands for that the clock shows twice, where it is set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    First,
    Second,
}

impl Zone {
    /// By its name, such as `America/New_York`; `None`: there is no such zone.
    pub fn find(name: &str) -> Option<Zone> {
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let zone = DATABASE.get(name).ok()?;
        let is_known = !zone.is_unknown() && zone.iana_name().is_some();
        is_known.then_some(Zone(zone))
    }

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    pub(in crate::domain) fn rules(&self) -> &TimeZone {
        &self.0
    }

    /// What the clock shows there.
    pub fn local(&self, at: Time) -> DateTime {
        self.0.to_datetime(timestamp(at))
    }

    /// When the clock there shows this. A time that it leaves out, because it is set forward over it, is the
    /// instant of setting it.
    ///
    /// Told by the offsets of a day before and a day after, since no clock is set twice in that time. Jiff's own
    /// answer is wrong about the last change that a zone's file lists where the rule for all years to come differs
    /// from what held before it: in Nuuk the evening of 28 October 2023 would have had an hour twice.
    pub fn instant(&self, local: DateTime, reading: Reading) -> Time {
        // As if it were UTC; Time holds it within what jiff tells.
        let shown = Offset::UTC.to_timestamp(local).unwrap_or(Timestamp::MAX);
        let shown = time(shown);
        let before = self.offset(shown.minus(DAY));
        let after = self.offset(shown.plus(DAY));
        let first = earlier_by(shown, before);
        if before == after {
            return first;
        }
        let second = earlier_by(shown, after);
        match (
            self.offset(first) == before,
            self.offset(second) == after,
            reading,
        ) {
            (true, true, Reading::First) | (true, false, _) => first,
            (true, true, Reading::Second) | (false, true, _) => second,
            (false, false, _) => {
                // With the offset that comes after it, it lies before the change; so the change is the next one.
                let change = self.0.following(timestamp(second)).next();
                change.map_or(second, |change| time(change.timestamp()))
            }
        }
    }

    /// Seconds east of UTC.
    fn offset(&self, at: Time) -> i32 {
        self.0.to_offset(timestamp(at)).seconds()
    }

    /// The first instant of a local day.
    pub fn midnight(&self, date: Date) -> Time {
        self.instant(date.at(0, 0, 0, 0), Reading::First)
    }
}

fn earlier_by(at: Time, seconds: i32) -> Time {
    Time::from_micros(at.micros() - i64::from(seconds) * 1_000_000)
}

fn timestamp(at: Time) -> Timestamp {
    // Only the last hours of the year 9999 are beyond what jiff tells.
    Timestamp::from_microsecond(at.micros()).unwrap_or(Timestamp::MAX)
}

fn time(at: Timestamp) -> Time {
    Time::from_micros(at.as_microsecond())
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_york() -> Zone {
        Zone::find("America/New_York").expect("a zone")
    }

    fn at(text: &str) -> Time {
        let timestamp: Timestamp = text.parse().expect("an instant");
        time(timestamp)
    }

    #[test]
    fn a_zone_is_found_by_its_name_and_nothing_else_is() {
        assert_eq!(new_york().name(), "America/New_York");
        assert_eq!(
            Zone::find("america/new_york").map(|zone| zone.name().to_owned()),
            Some("America/New_York".to_owned())
        );
        for name in ["", "Napakiak", "EST5EDT4,M3.2.0", "Etc/Unknown", "../UTC"] {
            assert_eq!(Zone::find(name), None, "{name}");
        }
        assert_eq!(Zone::find(&"A".repeat(10_000)), None);
    }

    #[test]
    fn a_time_shown_twice_has_two_readings() {
        let local = jiff::civil::datetime(2026, 11, 1, 1, 30, 0, 0);
        let zone = new_york();
        assert_eq!(zone.instant(local, Reading::First), at("2026-11-01T05:30Z"));
        assert_eq!(
            zone.instant(local, Reading::Second),
            at("2026-11-01T06:30Z")
        );
    }

    #[test]
    fn a_time_left_out_is_when_the_clock_is_set() {
        for minute in [0, 1, 59] {
            let local = jiff::civil::datetime(2026, 3, 8, 2, minute, 0, 0);
            for reading in [Reading::First, Reading::Second] {
                assert_eq!(new_york().instant(local, reading), at("2026-03-08T07:00Z"));
            }
        }
    }

    #[test]
    fn the_last_change_that_a_file_lists_is_read_as_it_was() {
        // Its clock was not set that night: summer time became the time of the whole year.
        let nuuk = Zone::find("America/Nuuk").expect("a zone");
        let local = jiff::civil::datetime(2023, 10, 28, 23, 30, 0, 0);
        for reading in [Reading::First, Reading::Second] {
            assert_eq!(nuuk.instant(local, reading), at("2023-10-29T01:30Z"));
        }
    }

    #[test]
    fn a_day_begins_at_midnight_or_when_the_clock_is_set_over_it() {
        let date = jiff::civil::date(2026, 3, 8);
        assert_eq!(new_york().midnight(date), at("2026-03-08T05:00Z"));
        // Cuba sets its clock forward at midnight.
        let havana = Zone::find("America/Havana").expect("a zone");
        assert_eq!(havana.midnight(date), at("2026-03-08T05:00Z"));
        assert_eq!(havana.local(at("2026-03-08T05:00Z")).hour(), 1);
    }
}
