//! Where a recipient may be: time zones and states, as far as they are known.

use super::time::Time;
use super::zone::Zone;

/// What the windows and the days of a recipient are judged by. [`super::tables::Tables::place`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Every zone that the recipient may be in; at least one.
    pub zones: Vec<Zone>,
    /// Every state whose law may hold.
    pub states: Vec<String>,
    pub source: PlaceSource,
}

/// What the zones were known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlaceSource {
    /// The caller named the zone.
    StatedZone,
    /// The caller named the postal code.
    PostalCode,
    AreaCode,
    /// The calling code alone.
    Country,
    /// Nothing: the zones are those that the table gives such numbers.
    Unknown,
}

impl PlaceSource {
    pub fn as_str(self) -> &'static str {
        match self {
            PlaceSource::StatedZone => "STATED_ZONE",
            PlaceSource::PostalCode => "POSTAL_CODE",
            PlaceSource::AreaCode => "AREA_CODE",
            PlaceSource::Country => "COUNTRY",
            PlaceSource::Unknown => "UNKNOWN",
        }
    }
}

impl Place {
    /// For each zone the first instant of the local day that is `days_back` days before today.
    pub fn local_day_starts(&self, now: Time, days_back: u32) -> Vec<Time> {
        let start = |zone: &Zone| midnight(zone, now, -i64::from(days_back));
        self.zones.iter().map(start).collect()
    }

    /// When in every zone the local day of `instant` is over, and `days` - 1 more: the latest first instant of the
    /// local day that is `days` days after it.
    pub fn next_local_midnight_after(&self, instant: Time, days: u32) -> Time {
        let midnights = self.zones.iter();
        midnights
            .map(|zone| midnight(zone, instant, i64::from(days)))
            .max()
            .unwrap_or(instant)
    }
}

/// The first instant of the local day so many days from that of `instant`.
fn midnight(zone: &Zone, instant: Time, days: i64) -> Time {
    let date = zone.local(instant).date();
    zone.midnight(date.saturating_add(jiff::SignedDuration::from_hours(24 * days)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(zones: &[&str]) -> Place {
        Place {
            zones: zones.iter().filter_map(|name| Zone::find(name)).collect(),
            states: Vec::new(),
            source: PlaceSource::Unknown,
        }
    }

    fn at(text: &str) -> Time {
        let timestamp: jiff::Timestamp = text.parse().expect("an instant");
        Time::from_micros(timestamp.as_microsecond())
    }

    #[test]
    fn a_local_day_begins_at_each_zones_own_midnight() {
        let both = place(&["America/New_York", "America/Los_Angeles"]);
        // 1:30 in New York, and still yesterday in Los Angeles.
        let now = at("2026-11-25T06:30Z");
        assert_eq!(
            both.local_day_starts(now, 0),
            [at("2026-11-25T05:00Z"), at("2026-11-24T08:00Z")]
        );
        assert_eq!(
            both.local_day_starts(now, 6),
            [at("2026-11-19T05:00Z"), at("2026-11-18T08:00Z")]
        );
    }

    #[test]
    fn a_day_with_a_clock_change_has_23_or_25_hours() {
        let new_york = place(&["America/New_York"]);
        for (noon, start, end) in [
            (
                "2026-03-08T16:00Z",
                "2026-03-08T05:00Z",
                "2026-03-09T04:00Z",
            ),
            (
                "2026-11-01T17:00Z",
                "2026-11-01T04:00Z",
                "2026-11-02T05:00Z",
            ),
        ] {
            assert_eq!(new_york.local_day_starts(at(noon), 0), [at(start)]);
            assert_eq!(new_york.next_local_midnight_after(at(noon), 1), at(end));
        }
    }

    #[test]
    fn a_cap_frees_once_the_day_is_over_in_every_zone() {
        let both = place(&["America/New_York", "America/Los_Angeles"]);
        let sent = at("2026-11-25T06:30Z");
        assert_eq!(
            both.next_local_midnight_after(sent, 1),
            at("2026-11-26T05:00Z")
        );
        // Los Angeles is the later one in the afternoon.
        let sent = at("2026-11-25T20:00Z");
        assert_eq!(
            both.next_local_midnight_after(sent, 1),
            at("2026-11-26T08:00Z")
        );
        assert_eq!(
            both.next_local_midnight_after(sent, 7),
            at("2026-12-02T08:00Z")
        );
    }
}
