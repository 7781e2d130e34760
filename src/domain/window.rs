//! May a message arrive now, by the clock where its recipient may be? And if not, from when on?
//!
//! A window is open when it is open in every zone of the place: the clock there lies within the federal hours, within
//! those of every state concerned, and within our own, all of them shrunk by a margin at both ends, because a carrier
//! takes minutes to put a message into its box. A state whose hours are of a zone of its own is judged by that clock.
//!
//! Where a clock is set back, an hour is shown twice; where it is set forward, one is left out. The stricter reading
//! holds: what opens within the doubled hour opens the second time, what closes within it closes the first time, and
//! the margin is kept both by the clock on the wall and by the time that passes.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Weekday};

use super::hours::Hours;
use super::place::Place;
use super::tables::Tables;
use super::tables::send_hours::{DayHours, StateHours};
use super::time::Time;
use super::zone::{Reading, Zone};

#[doc(hidden)]
pub mod testing;

/// What is taken off at both ends unless another margin is given.
pub const MARGIN: Duration = Duration::from_secs(10 * 60);
/// How far ahead an opening, or a close, is looked for.
pub const AHEAD_MAX: Duration = Duration::from_secs(15 * 24 * 3_600);

/// Which hours are held. Each day's are shrunk by the margin, also where they begin or end at midnight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRule {
    /// Hours that the operator or the purpose sets besides the law's.
    pub own_hours: Option<Hours>,
    pub federal: bool,
    pub states: bool,
    pub margin: Duration,
}

impl Default for WindowRule {
    fn default() -> Self {
        WindowRule {
            own_hours: None,
            federal: true,
            states: true,
            margin: MARGIN,
        }
    }
}

/// A judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// Until then, not included; 15 days ahead at most.
    Open { until: Time },
    Closed {
        /// The first instant at which it is open; `None`: it does not open within 15 days.
        opens: Option<Time>,
        why: String,
    },
}

/// A clock that hours are held by, and what holds by it.
#[derive(Clone, Copy)]
struct Clock<'a> {
    zone: &'a Zone,
    /// The state whose own zone this is; `None`: it is a zone of the place, where all the rest holds.
    state: Option<(&'a str, &'a StateHours)>,
}

/// The open part of one local day; the end is not included.
#[derive(Clone, Copy)]
struct Stretch {
    start: Time,
    end: Time,
    /// Where nothing is taken off and the hours reach midnight, the next day may go on.
    may_go_on: bool,
}

/// What one rule says of one day: whose rule it is, and the hours.
type Said<'a> = (&'a str, DayHours);

impl WindowRule {
    pub fn judge(&self, tables: &Tables, place: &Place, now: Time) -> Window {
        let judge = Judge {
            rule: self,
            tables,
            place,
        };
        match judge.open_until(now) {
            Some(end) => Window::Open {
                until: judge.last_of(now, end),
            },
            None => Window::Closed {
                opens: judge.opens_after(now),
                why: judge.why(now),
            },
        }
    }

    /// What a judgement goes by, for those who ask later: pairs of a name and a text. After `place` and `tables` one for each
    /// clock, with the local time, the hours that apply on that day and whose they are.
    pub fn evidence(&self, tables: &Tables, place: &Place, now: Time) -> Vec<(String, String)> {
        let judge = Judge {
            rule: self,
            tables,
            place,
        };
        let states = match place.states.is_empty() {
            true => "no state".to_owned(),
            false => place.states.join(", "),
        };
        let mut evidence = vec![
            (
                "place".to_owned(),
                format!("{states}, by {}", place.source.as_str()),
            ),
            ("tables".to_owned(), tables.version()),
        ];
        evidence.extend(judge.clocks().map(|clock| {
            let local = clock.zone.local(now);
            let mut text = format!("{} {}", weekday(local.weekday()), minute(local));
            if let Some(holiday) = tables.holidays.on(local.date()) {
                let _ = write!(text, " ({holiday})");
            }
            for (who, said) in judge.said(clock, local.date()) {
                match said {
                    DayHours::Unsaid => continue,
                    DayHours::Within(hours) => write!(text, "; {who} {hours}"),
                    DayHours::Closed => write!(text, "; {who} none"),
                }
                .unwrap_or_default();
            }
            let _ = write!(text, "{}", self.margin_text("; shrunk by "));
            (clock.zone.name().to_owned(), text)
        }));
        evidence
    }

    fn margin_text(&self, before: &str) -> String {
        let seconds = self.margin.as_secs();
        match (seconds / 60, seconds % 60) {
            (0, 0) => String::new(),
            (minutes, 0) => format!("{before}{minutes} min at both ends"),
            _ => format!("{before}{seconds} s at both ends"),
        }
    }
}

/// One judgement's inputs.
struct Judge<'a> {
    rule: &'a WindowRule,
    tables: &'a Tables,
    place: &'a Place,
}

impl<'a> Judge<'a> {
    /// The clocks by which anything is held.
    fn clocks(&self) -> impl Iterator<Item = Clock<'a>> {
        let is_held = self.rule.federal
            || self.rule.own_hours.is_some()
            || self.states().any(|(_, hours)| hours.zone.is_none());
        let zones = self.place.zones.iter().filter(move |_| is_held);
        let of_place = zones.map(|zone| Clock { zone, state: None });
        let of_states = self.states().filter_map(|(code, hours)| {
            hours.zone.as_ref().map(|zone| Clock {
                zone,
                state: Some((code, hours)),
            })
        });
        of_place.chain(of_states)
    }

    /// The rows of the states concerned.
    fn states(&self) -> impl Iterator<Item = (&'a str, &'a StateHours)> {
        let (table, place) = (&self.tables.send_hours.states, self.place);
        let concerned = place.states.iter().filter(|_| self.rule.states);
        concerned.filter_map(|code| table.get_key_value(code).map(|(c, h)| (c.as_str(), h)))
    }

    /// What each rule that is held by this clock says of a day.
    fn said(&self, clock: Clock<'a>, date: Date) -> impl Iterator<Item = Said<'a>> {
        let of_place = clock.state.is_none();
        let federal = DayHours::Within(self.tables.send_hours.federal);
        let federal = (of_place && self.rule.federal).then_some(("federal law", federal));
        let own = self.rule.own_hours.filter(|_| of_place);
        let own = own.map(|hours| ("the operator", DayHours::Within(hours)));
        let of_zone = self
            .states()
            .filter(move |(_, hours)| of_place && hours.zone.is_none());
        let weekday = date.weekday();
        let states = of_zone.chain(clock.state).flat_map(move |(code, hours)| {
            let on_weekday = hours.on(weekday);
            let may_differ = hours.holidays != DayHours::Unsaid && hours.holidays != on_weekday;
            let is_holiday = may_differ && self.tables.holidays.on(date).is_some();
            let holiday = is_holiday.then_some((code, hours.holidays));
            std::iter::once((code, on_weekday)).chain(holiday)
        });
        federal.into_iter().chain(states).chain(own)
    }

    /// The hours of a day that all rules of this clock leave.
    fn hours(&self, clock: Clock<'a>, date: Date) -> Option<Hours> {
        self.said(clock, date)
            .try_fold(Hours::ALL_DAY, |left, (_, said)| said.narrow(left))
    }

    /// The part of a local day in which this clock lets messages arrive.
    fn stretch(&self, clock: Clock<'a>, date: Date) -> Option<Stretch> {
        let hours = self.hours(clock, date)?;
        let margin = self.rule.margin;
        let at = |minute: u16| moved(date.at(0, 0, 0, 0), i64::from(minute) * 60_000_000);
        let (opens, closes) = (at(hours.from_minute()), at(hours.to_minute()));
        let start = |local| clock.zone.instant(local, Reading::Second);
        let end = |local| clock.zone.instant(local, Reading::First);
        let by_wall = i64::try_from(margin.as_micros()).unwrap_or(i64::MAX);
        let start = start(moved(opens, by_wall)).max(start(opens).plus(margin));
        let end = end(moved(closes, -by_wall)).min(end(closes).minus(margin));
        (start < end).then_some(Stretch {
            start,
            end,
            may_go_on: margin.is_zero() && hours.reaches_midnight(),
        })
    }

    /// The stretch of a clock that `at` lies in.
    fn stretch_around(&self, clock: Clock<'a>, at: Time) -> Option<Stretch> {
        let stretch = self.stretch(clock, clock.zone.local(at).date())?;
        (stretch.start <= at && at < stretch.end).then_some(stretch)
    }

    /// The first end of the stretches around `at`, where all clocks have one, and whether the window may go on
    /// behind it; `None`: it is closed.
    fn open_until(&self, at: Time) -> Option<(Time, bool)> {
        let mut first = (at.plus(AHEAD_MAX), false);
        for clock in self.clocks() {
            let stretch = self.stretch_around(clock, at)?;
            if stretch.end <= first.0 {
                first = (stretch.end, stretch.may_go_on);
            }
        }
        Some(first)
    }

    /// The end of the window that is open at `now`: of days that follow each other without a gap, the last one's.
    fn last_of(&self, now: Time, (mut end, mut may_go_on): (Time, bool)) -> Time {
        let horizon = now.plus(AHEAD_MAX);
        while may_go_on && end < horizon {
            match self.open_until(end) {
                Some((next, goes_on)) => (end, may_go_on) = (next, goes_on),
                None => break,
            }
        }
        end.min(horizon)
    }

    /// The first instant from `now` on at which all clocks are open: each in turn moves it ahead to its own next
    /// opening, until none does.
    fn opens_after(&self, now: Time) -> Option<Time> {
        let horizon = now.plus(AHEAD_MAX);
        let mut at = now;
        loop {
            let mut moved = at;
            for clock in self.clocks() {
                moved = self.next_open(clock, moved, horizon)?;
            }
            if moved == at {
                return Some(at);
            }
            at = moved;
        }
    }

    /// The first instant from `at` on at which this clock is open.
    fn next_open(&self, clock: Clock<'a>, at: Time, horizon: Time) -> Option<Time> {
        let mut date = clock.zone.local(at).date();
        while clock.zone.midnight(date) <= horizon {
            if let Some(stretch) = self.stretch(clock, date).filter(|it| at < it.end) {
                let opens = stretch.start.max(at);
                return (opens <= horizon).then_some(opens);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// Why it is closed, by the first clock and the first rule that close it.
    fn why(&self, now: Time) -> String {
        let is_closed = |clock: &Clock<'a>| self.stretch_around(*clock, now).is_none();
        let Some(clock) = self.clocks().find(is_closed) else {
            return "it is open".to_owned();
        };
        let local = clock.zone.local(now);
        let date = local.date();
        let mut text = format!("it is {} in {}; ", minute(local), clock.zone.name());
        let shrunk = self.rule.margin_text(", here shrunk by ");
        let closes = |(_, said): &Said<'_>| match said {
            DayHours::Unsaid => false,
            DayHours::Within(hours) => !self.has(*hours, local),
            DayHours::Closed => true,
        };
        match self.said(clock, date).find(closes) {
            Some((who, DayHours::Within(hours))) => {
                let _ = write!(text, "{who} allows {hours}{shrunk}");
            }
            Some((who, _)) => {
                let _ = write!(text, "{who} allows nothing on {}", self.day(who, date));
            }
            None => {
                let said = self.said(clock, date);
                let all = said.filter_map(|(who, said)| match said {
                    DayHours::Within(hours) => Some(format!("{who} {hours}")),
                    _ => None,
                });
                let all = all.collect::<Vec<_>>().join(", ");
                let _ = write!(
                    text,
                    "{all} together allow nothing now{shrunk}, by the stricter reading where a clock is set"
                );
            }
        }
        text
    }

    /// Do these hours, shrunk, have this time of day?
    fn has(&self, hours: Hours, local: DateTime) -> bool {
        let margin = self.rule.margin.as_micros();
        let minutes = |minutes: u16| u128::from(minutes) * 60_000_000;
        let of_day = local.time().duration_since(jiff::civil::Time::midnight());
        let now = u128::try_from(of_day.as_micros()).unwrap_or(0);
        minutes(hours.from_minute()) + margin <= now && now + margin < minutes(hours.to_minute())
    }

    /// `a Sunday`, or the holiday's name where that is what closes the day to this state.
    fn day(&self, state: &str, date: Date) -> String {
        let row = self.tables.send_hours.states.get(state);
        let by_weekday = row.is_some_and(|row| row.on(date.weekday()) == DayHours::Closed);
        match self.tables.holidays.on(date).filter(|_| !by_weekday) {
            Some(holiday) => format!("a holiday ({holiday})"),
            None => format!("a {}", weekday(date.weekday())),
        }
    }
}

/// A local time so many microseconds from another one, by the clock on the wall.
fn moved(local: DateTime, micros: i64) -> DateTime {
    local.saturating_add(jiff::SignedDuration::from_micros(micros))
}

fn minute(local: DateTime) -> String {
    let (date, hour, minute) = (local.date(), local.hour(), local.minute());
    format!("{date} {hour:02}:{minute:02}")
}

fn weekday(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

#[cfg(test)]
#[path = "window/tests.rs"]
mod tests;
