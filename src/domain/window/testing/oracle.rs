//! Is a window open at one instant? The rules read once more, in whole numbers of microseconds, without a thought for
//! speed and with none of the product's code but its zones.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::world::{Minutes, World};
use super::{DAY, HOUR, MINUTE};
use crate::domain::place::Place;
use crate::domain::time::Time;
use crate::domain::window::{AHEAD_MAX, WindowRule};
use crate::domain::zone::Zone;

pub struct Oracle<'a> {
    world: &'a World,
    rule: &'a WindowRule,
    now: i64,
    margin: i64,
    clocks: Vec<Clock<'a>>,
}

/// A clock as stretches of time in which it is not set, and what is held by it.
struct Clock<'a> {
    stretches: Vec<Stretch>,
    is_of_place: bool,
    states: Vec<&'a str>,
}

/// From one setting of a clock to the next: what it shows is the instant and an offset.
struct Stretch {
    start: i64,
    end: i64,
    offset: i64,
}

impl<'a> Oracle<'a> {
    pub fn new(world: &'a World, place: &'a Place, rule: &'a WindowRule, now: Time) -> Oracle<'a> {
        let from = now.micros() - 3 * DAY;
        let to = now.plus(AHEAD_MAX).micros() + 3 * DAY;
        let held = |code: &&str| rule.states && world.states.contains_key(*code);
        let states: Vec<&str> = place
            .states
            .iter()
            .map(String::as_str)
            .filter(held)
            .collect();
        let own_zone = |code: &str| world.states[code].zone.as_deref();
        let here: Vec<&str> = states
            .iter()
            .copied()
            .filter(|code| own_zone(code).is_none())
            .collect();
        let mut clocks = Vec::new();
        if rule.federal || rule.own_hours.is_some() || !here.is_empty() {
            clocks.extend(place.zones.iter().map(|zone| Clock {
                stretches: stretches(zone.rules(), from, to),
                is_of_place: true,
                states: here.clone(),
            }));
        }
        for code in states {
            if let Some(name) = own_zone(code) {
                let zone = Zone::find(name).expect("a zone");
                clocks.push(Clock {
                    stretches: stretches(zone.rules(), from, to),
                    is_of_place: false,
                    states: vec![code],
                });
            }
        }
        Oracle {
            world,
            rule,
            now: now.micros(),
            margin: i64::try_from(rule.margin.as_micros()).expect("a few hours"),
            clocks,
        }
    }

    /// Is it open at `at` on every clock?
    ///
    /// A clock is open where these hold of the day that it shows: it has shown the end of the hours, less the margin, at no
    /// time until now; it will not show their beginning, and the margin more, at any time to come; and the same without the
    /// margin, of what it will have shown a margin from now and what it is to show from a margin ago.
    pub fn is_open(&self, at: i64) -> bool {
        self.clocks.iter().all(|clock| {
            let day = clock.shown(at).div_euclid(DAY);
            let Some((from, to)) = self.minutes(clock, day) else {
                return false;
            };
            let (opens, closes) = (day * DAY + from * MINUTE, day * DAY + to * MINUTE);
            let margin = self.margin;
            !clock.has_shown(closes - margin, at)
                && !clock.has_shown(closes, at + margin)
                && !clock.will_show(opens + margin, at)
                && !clock.will_show(opens, at - margin)
        })
    }

    /// The minutes of a day, counted from 1970, that all rules of a clock leave.
    fn minutes(&self, clock: &Clock<'_>, day: i64) -> Minutes {
        let mut left = (0, 1_440);
        let mut narrow = |(from, to): (i64, i64)| left = (left.0.max(from), left.1.min(to));
        if clock.is_of_place {
            if self.rule.federal {
                narrow(self.world.federal);
            }
            if let Some(own) = self.rule.own_hours {
                narrow((own.from_minute().into(), own.to_minute().into()));
            }
        }
        // 1 January 1970 was a Thursday.
        let kind = match (day + 3).rem_euclid(7) {
            5 => 1,
            6 => 2,
            _ => 0,
        };
        let is_holiday = self.world.holidays.contains(&date_of(day));
        for code in &clock.states {
            let days = &self.world.states[*code].days;
            for said in [days[kind], days[3].filter(|_| is_holiday)]
                .into_iter()
                .flatten()
            {
                narrow(said?);
            }
        }
        (left.0 < left.1).then_some(left)
    }

    /// Every instant from now to `end` at which the answer could change: where a clock shows a border of a day's hours, or
    /// does so a margin before or after; where a clock is set; and where a day begins.
    pub fn candidates(&self, end: i64) -> Vec<i64> {
        let mut all = Vec::new();
        for clock in &self.clocks {
            let near = clock.stretches.iter();
            let near = near.filter(|it| it.end > self.now - DAY && it.start < end + DAY);
            for stretch in near {
                all.extend([
                    stretch.start,
                    stretch.start + self.margin,
                    stretch.start - self.margin,
                ]);
                let first = (self.now.max(stretch.start) - DAY + stretch.offset).div_euclid(DAY);
                let last = (end.min(stretch.end) + DAY + stretch.offset).div_euclid(DAY);
                for day in first..=last {
                    let (from, to) = self.minutes(clock, day).unwrap_or((0, 1_440));
                    for shown in [0, from * MINUTE, to * MINUTE] {
                        let at = day * DAY + shown - stretch.offset;
                        all.extend([at, at - self.margin, at + self.margin]);
                    }
                }
            }
        }
        all
    }
}

impl Clock<'_> {
    fn shown(&self, at: i64) -> i64 {
        let now = self
            .stretches
            .iter()
            .find(|it| (it.start..it.end).contains(&at));
        at + now.expect("within the years of the cases").offset
    }

    /// Has it shown `local` or later, at `at` or before?
    fn has_shown(&self, local: i64, at: i64) -> bool {
        self.stretches
            .iter()
            .filter(|it| it.start <= at && it.end > at - 30 * HOUR)
            .any(|it| it.end.min(at + 1) + it.offset > local)
    }

    /// Does it show what is before `local` at `at`, or that or `local` itself later?
    fn will_show(&self, local: i64, at: i64) -> bool {
        self.shown(at) < local
            || self.stretches.iter().any(|it| {
                it.start > at && it.start < at + 30 * HOUR && it.start + it.offset <= local
            })
    }
}

fn stretches(zone: &TimeZone, from: i64, to: i64) -> Vec<Stretch> {
    let timestamp =
        |micros| Timestamp::from_microsecond(micros).expect("within the years of the cases");
    let changes = zone
        .following(timestamp(from))
        .map(|change| change.timestamp().as_microsecond());
    let mut borders = vec![from];
    borders.extend(changes.take_while(|change| *change < to));
    borders.push(to);
    let between = borders.windows(2).map(|pair| Stretch {
        start: pair[0],
        end: pair[1],
        offset: i64::from(zone.to_offset(timestamp(pair[0])).seconds()) * 1_000_000,
    });
    between.collect()
}

fn date_of(day: i64) -> Date {
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch.saturating_add(jiff::SignedDuration::from_hours(24 * day))
}
