//! Which parts of a report are read from the counts of ended voicemails, and which from the voicemails themselves.

use super::ReportRequest;
use crate::domain::report::{Dimension, Grain, HoursAhead, Periods};
use crate::domain::time::Time;
use crate::storage::VoicemailFilter;

/// A part of the time that a report covers; where a border is missing it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// None: from the voicemails themselves. Else its borders are whole hours, or whole days.
    pub grain: Option<Grain>,
    pub from: Option<Time>,
    pub to: Option<Time>,
}

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// The parts, in order. They cover what the request covers, and no two of them the same.
pub fn of(request: &ReportRequest) -> Vec<Piece> {
    let filter = &request.filter;
    let (from, to) = (filter.create_time_from, filter.create_time_to);
    let mut pieces = Pieces(Vec::new());
    let Some(grain) = grain_of(request) else {
        pieces.add(None, from, to);
        return pieces.0;
    };
    let (first, last) = (from.map(|t| up(t, HOUR)), to.map(|t| down(t, HOUR)));
    if is_empty(first, last) {
        pieces.add(None, from, to);
        return pieces.0;
    }
    if from.is_some() {
        pieces.add(None, from, first);
    }
    let by_hour = Some(grain.by_hour());
    let days = (first.map(|t| up(t, DAY)), last.map(|t| down(t, DAY)));
    if grain.by_hour() == grain || is_empty(days.0, days.1) {
        pieces.add(by_hour, first, last);
    } else {
        if first.is_some() {
            pieces.add(by_hour, first, days.0);
        }
        pieces.add(Some(grain), days.0, days.1);
        if last.is_some() {
            pieces.add(by_hour, days.1, last);
        }
    }
    if to.is_some() {
        pieces.add(None, last, to);
    }
    pieces.0
}

/// The coarsest grain that tells apart what is asked for; none: the counts do not.
fn grain_of(request: &ReportRequest) -> Option<Grain> {
    let is_by_time = |dimension: &Dimension| matches!(dimension, Dimension::Day | Dimension::Hour);
    let by_time = request.dimensions.iter().any(is_by_time);
    if is_finer(&request.filter) || (by_time && hours_ahead(request).is_none()) {
        return None;
    }
    let by_sender = request.dimensions.contains(&Dimension::Sender);
    Some(
        match (by_sender || request.filter.sender.is_some(), by_time) {
            (false, true) => Grain::Hour,
            (false, false) => Grain::Day,
            (true, true) => Grain::HourAndSender,
            (true, false) => Grain::DayAndSender,
        },
    )
}

/// Does it ask for what is not counted apart?
fn is_finer(filter: &VoicemailFilter) -> bool {
    // Each field is named, so that a new one has to be thought of here.
    let VoicemailFilter {
        use_case_id: _,
        setup_id: _,
        statuses: _,
        failure_reasons: _,
        recipient,
        sender: _,
        request_id,
        labels,
        batch_id,
        create_time_from: _,
        create_time_to: _,
        end_time_from,
        end_time_to,
        update_time_from,
    } = filter;
    recipient.is_some()
        || request_id.is_some()
        || !labels.is_empty()
        || batch_id.is_some()
        || end_time_from.is_some()
        || end_time_to.is_some()
        || update_time_from.is_some()
}

/// How its counts are put together by time, where it is read from counts.
pub fn periods(request: &ReportRequest) -> Periods {
    if request.dimensions.contains(&Dimension::Day) {
        return Periods::Days(hours_ahead(request).unwrap_or_default());
    }
    match request.dimensions.contains(&Dimension::Hour) {
        true => Periods::Hours,
        false => Periods::All,
    }
}

/// How many hours the zone is ahead of UTC; `None`: these are not whole ones throughout the report, or it has no borders, and
/// long ago every zone had its local time.
fn hours_ahead(request: &ReportRequest) -> Option<Vec<HoursAhead>> {
    let instant = |time: Option<Time>| jiff::Timestamp::from_microsecond(time?.micros()).ok();
    let from = instant(request.filter.create_time_from)?;
    let to = instant(request.filter.create_time_to)?;
    let zone = &request.time_zone;
    let whole = |seconds: i64| (seconds % 3_600 == 0).then_some(seconds / 3_600);
    let mut ahead = vec![HoursAhead {
        from_hour: from.as_second().div_euclid(3_600),
        hours: whole(zone.to_offset(from).seconds().into())?,
    }];
    for change in zone
        .following(from)
        .take_while(|change| change.timestamp() < to)
    {
        ahead.push(HoursAhead {
            from_hour: whole(change.timestamp().as_second())?,
            hours: whole(change.offset().seconds().into())?,
        });
    }
    Some(ahead)
}

struct Pieces(Vec<Piece>);

impl Pieces {
    /// Unless there is nothing in it.
    fn add(&mut self, grain: Option<Grain>, from: Option<Time>, to: Option<Time>) {
        if !is_empty(from, to) {
            self.0.push(Piece { grain, from, to });
        }
    }
}

fn is_empty(from: Option<Time>, to: Option<Time>) -> bool {
    matches!((from, to), (Some(from), Some(to)) if from >= to)
}

/// The first whole unit that begins no earlier.
fn up(time: Time, unit: i64) -> Time {
    let rest = time.micros().rem_euclid(unit);
    Time::from_micros(time.micros() + (unit - rest) % unit)
}

/// The last whole unit that begins no later.
fn down(time: Time, unit: i64) -> Time {
    Time::from_micros(time.micros() - time.micros().rem_euclid(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        let instant: jiff::Timestamp = text.parse().expect("a time");
        Time::from_micros(instant.as_microsecond())
    }

    fn pieces(
        dimensions: &[Dimension],
        zone: &str,
        from: &str,
        to: &str,
    ) -> Vec<(Option<Grain>, String, String)> {
        let request = ReportRequest {
            filter: VoicemailFilter {
                create_time_from: Some(time(from)),
                create_time_to: Some(time(to)),
                ..VoicemailFilter::default()
            },
            dimensions: dimensions.to_vec(),
            time_zone: jiff::tz::TimeZone::get(zone).expect("a zone"),
            include_simulated: false,
        };
        let show = |time: Option<Time>| time.expect("a border").to_string();
        let pieces = of(&request).into_iter();
        pieces
            .map(|piece| (piece.grain, show(piece.from), show(piece.to)))
            .collect()
    }

    fn grains(dimensions: &[Dimension], zone: &str, from: &str, to: &str) -> Vec<Option<Grain>> {
        let pieces = pieces(dimensions, zone, from, to);
        pieces.into_iter().map(|(grain, _, _)| grain).collect()
    }

    #[test]
    fn whole_hours_are_read_from_the_counts_and_the_rest_around_them_is_not() {
        let cut = pieces(
            &[],
            "UTC",
            "2026-11-23T10:59:59.999999Z",
            "2026-11-23T13:00:00.000001Z",
        );
        let [first, middle, last] = &cut[..] else {
            panic!("{cut:?}")
        };
        assert_eq!((first.0, first.2.as_str()), (None, "2026-11-23T11:00:00Z"));
        assert_eq!(middle.0, Some(Grain::Hour));
        assert_eq!(middle.1, "2026-11-23T11:00:00Z");
        assert_eq!(middle.2, "2026-11-23T13:00:00Z");
        assert_eq!((last.0, last.1.as_str()), (None, "2026-11-23T13:00:00Z"));
        let whole = grains(&[], "UTC", "2026-11-23T10:00:00Z", "2026-11-23T13:00:00Z");
        assert_eq!(whole, [Some(Grain::Hour)]);
        let within = grains(&[], "UTC", "2026-11-23T10:00:01Z", "2026-11-23T10:59:00Z");
        assert_eq!(within, [None]);
    }

    #[test]
    fn by_sender_whole_days_are_read_and_the_hours_around_them() {
        let sender = [Dimension::Sender];
        let fine = Some(Grain::HourAndSender);
        let month = grains(
            &sender,
            "UTC",
            "2026-11-01T05:00:00Z",
            "2026-12-01T05:00:00Z",
        );
        assert_eq!(month, [fine, Some(Grain::DayAndSender), fine]);
        let day = grains(
            &sender,
            "UTC",
            "2026-11-01T00:00:00Z",
            "2026-11-02T00:00:00Z",
        );
        assert_eq!(day, [Some(Grain::DayAndSender)]);
        let hours = grains(
            &sender,
            "UTC",
            "2026-11-01T05:00:00Z",
            "2026-11-02T05:00:00Z",
        );
        assert_eq!(hours, [fine]);
    }

    #[test]
    fn by_no_time_whole_days_are_read_and_the_hours_around_them() {
        let (from, to) = ("2026-11-01T05:00:00Z", "2026-12-01T00:00:00Z");
        let whole = [Some(Grain::Hour), Some(Grain::Day)];
        assert_eq!(grains(&[], "UTC", from, to), whole);
        assert_eq!(
            grains(&[Dimension::Day], "UTC", from, to),
            [Some(Grain::Hour)]
        );
    }

    #[test]
    fn a_zone_is_counted_by_while_its_hours_are_those_of_utc() {
        let by = |zone, from, to| grains(&[Dimension::Hour], zone, from, to);
        let (from, to) = ("2026-10-01T00:00:00Z", "2026-12-01T00:00:00Z");
        assert_eq!(by("America/New_York", from, to), [Some(Grain::Hour)]);
        assert_eq!(by("Asia/Kolkata", from, to), [None]);
        // Lord Howe goes from +10:30 to +11 for the summer.
        assert_eq!(by("Australia/Lord_Howe", from, to), [None]);
        let summer = by("Australia/Lord_Howe", "2026-10-10T00:00:00Z", to);
        assert_eq!(summer, [Some(Grain::Hour)]);
    }

    #[test]
    fn days_are_those_of_the_zone_on_both_sides_of_a_change_of_its_clocks() {
        let periods = |zone, from, to| {
            periods(&ReportRequest {
                filter: VoicemailFilter {
                    create_time_from: Some(time(from)),
                    create_time_to: Some(time(to)),
                    ..VoicemailFilter::default()
                },
                dimensions: vec![Dimension::Day],
                time_zone: jiff::tz::TimeZone::get(zone).expect("a zone"),
                include_simulated: false,
            })
        };
        let hour = |text| time(text).micros() / HOUR;
        let ahead = |text, hours| HoursAhead {
            from_hour: hour(text),
            hours,
        };
        let (from, to) = ("2026-10-20T00:00:00Z", "2026-11-20T00:00:00Z");
        assert_eq!(
            periods("America/New_York", from, to),
            Periods::Days(vec![ahead(from, -4), ahead("2026-11-01T06:00:00Z", -5)])
        );
        assert_eq!(
            periods("UTC", from, to),
            Periods::Days(vec![ahead(from, 0)])
        );
    }
}
