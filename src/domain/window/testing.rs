//! Random windows, held against an oracle that shares no code with them. For tests and benches; not part of the
//! product's interface.
//!
//! The oracle (`oracle.rs`) asks of one instant whether it is open, by whole numbers and in the most simple-minded way.
//! What a judgement says of a stretch of time is checked at both of its ends, at every instant between them at which
//! anything could change, and at a few more by chance.

mod oracle;
mod world;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::{AHEAD_MAX, Window, WindowRule};
use crate::domain::hours::Hours;
use crate::domain::phone::PhoneNumber;
use crate::domain::place::{Place, PlaceSource};
use crate::domain::time::Time;
use crate::domain::zone::Zone;
use oracle::Oracle;
use world::World;

/// Cases that share a set of tables.
const CASES_OF_A_WORLD: usize = 250;
/// Instants are from 2008 to 2037.
const YEARS_BEGIN: i64 = 1_199_145_600_000_000;
const YEARS_END: i64 = 2_145_916_800_000_000;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Where people whose numbers begin with +1 are.
const USUAL_ZONES: [&str; 9] = [
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "Pacific/Honolulu",
    "America/Puerto_Rico",
    "America/Indiana/Knox",
];
/// Clocks that are set by half an hour or by two, at midnight, before it, often, or over a whole day.
const ODD_ZONES: [&str; 10] = [
    "Australia/Lord_Howe",
    "America/Havana",
    "Asia/Beirut",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Scoresbysund",
    "America/Nuuk",
    "Antarctica/Troll",
    "Asia/Gaza",
    "America/Caracas",
];

/// Numbers by chance, the same for the same seed (splitmix64).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `from` to `to`, which is not included.
    fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = u64::try_from(to - from).unwrap_or(1).max(1);
        from + i64::try_from(self.next() % span).unwrap_or(0)
    }

    fn percent(&mut self, share: i64) -> bool {
        self.between(0, 100) < share
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let count = i64::try_from(all.len()).unwrap_or(1);
        &all[usize::try_from(self.between(0, count)).unwrap_or(0)]
    }
}

/// Cases without end.
pub struct Cases {
    chance: Chance,
    world: Arc<World>,
    left: usize,
}

impl Cases {
    pub fn new(seed: u64) -> Cases {
        Cases {
            chance: Chance::new(seed),
            world: Arc::new(World::embedded()),
            left: CASES_OF_A_WORLD,
        }
    }

    pub fn next_case(&mut self) -> Case {
        if self.left == 0 {
            let is_embedded = self.chance.percent(30);
            self.world = Arc::new(match is_embedded {
                true => World::embedded(),
                false => World::random(&mut self.chance),
            });
            self.left = CASES_OF_A_WORLD;
        }
        self.left -= 1;
        let place = self.place();
        let rule = self.rule();
        let now = self.instant(&place, &rule);
        Case {
            world: Arc::clone(&self.world),
            place,
            rule,
            now,
            seed: self.chance.next(),
        }
    }

    fn place(&mut self) -> Place {
        let chance = &mut self.chance;
        if chance.percent(50) {
            let digits = chance.between(2_000_000_000, 10_000_000_000);
            let country = *chance.one_of(&["1", "1", "1", "44", "7", "61"]);
            let recipient = PhoneNumber::from_stored(format!("+{country}{digits}"));
            let zip = format!("{:05}", chance.between(0, 100_000));
            let stated = *chance.one_of(&USUAL_ZONES);
            return self.world.tables.place(
                &recipient,
                chance.percent(20).then_some(stated),
                chance.percent(40).then_some(zip.as_str()),
            );
        }
        let count = chance.between(1, 5);
        let zones = (0..count).filter_map(|_| {
            let name = match chance.percent(70) {
                true => chance.one_of(&USUAL_ZONES),
                false => chance.one_of(&ODD_ZONES),
            };
            Zone::find(name)
        });
        let zones = zones.collect();
        let count = chance.between(0, 3);
        let states = (0..count).map(|_| (*chance.one_of(&world::STATES)).to_owned());
        Place {
            zones,
            states: states.collect(),
            source: PlaceSource::Unknown,
        }
    }

    fn rule(&mut self) -> WindowRule {
        let chance = &mut self.chance;
        let margin = match chance.between(0, 8) {
            0 | 1 => 0,
            2 => chance.between(0, 4 * HOUR),
            3 => chance.between(0, 5 * MINUTE),
            4 => chance.between(0, 100) * MINUTE,
            _ => 10 * MINUTE,
        };
        WindowRule {
            own_hours: chance.percent(50).then(|| hours(chance)),
            federal: chance.percent(60),
            states: chance.percent(70),
            margin: std::time::Duration::from_micros(margin.unsigned_abs()),
        }
    }

    /// Any instant; one near a change of a clock; or one at the very border of some hours.
    fn instant(&mut self, place: &Place, rule: &WindowRule) -> Time {
        let chance = &mut self.chance;
        let any = chance.between(YEARS_BEGIN, YEARS_END);
        let zone = chance.one_of(&place.zones).rules();
        let timestamp =
            |micros| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
        let margin = i64::try_from(rule.margin.as_micros()).unwrap_or(0);
        let micros = match chance.between(0, 3) {
            0 => any,
            1 => {
                let change = zone.following(timestamp(any)).next();
                let change = change.map_or(any, |change| change.timestamp().as_microsecond());
                let near = chance.between(-4 * HOUR, 4 * HOUR);
                let exact = *chance.one_of(&[-1, 0, 1, margin, -margin]);
                change.min(YEARS_END) + *chance.one_of(&[near, near, exact])
            }
            _ => {
                let own = rule
                    .own_hours
                    .map_or(480, |own| i64::from(own.from_minute()));
                let own_to = rule
                    .own_hours
                    .map_or(1_260, |own| i64::from(own.to_minute()));
                let minute =
                    *chance.one_of(&[480, 540, 600, 720, 1_080, 1_200, 1_260, own, own_to]);
                let offset = i64::from(zone.to_offset(timestamp(any)).seconds()) * 1_000_000;
                let border = any.div_euclid(DAY) * DAY + minute * MINUTE - offset;
                border + *chance.one_of(&[0, margin, -margin]) + chance.between(-1, 2)
            }
        };
        Time::from_micros(micros)
    }
}

/// Hours by chance: mostly a day as one may think of it, else any; of whole minutes, and mostly of whole quarters.
fn hours(chance: &mut Chance) -> Hours {
    let step = *chance.one_of(&[1, 15, 15, 60]);
    let (from, to) = match chance.percent(75) {
        true => (
            chance.between(0, 660 / step) * step,
            chance.between(960 / step, 1_440 / step + 1) * step,
        ),
        false => {
            let from = chance.between(0, 1_440 / step) * step;
            (
                from,
                from + chance.between(1, (1_440 - from) / step + 1) * step,
            )
        }
    };
    let text = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
    Hours::parse(&text(from), &text(to)).unwrap_or(Hours::ALL_DAY)
}

/// Inputs of one judgement.
pub struct Case {
    world: Arc<World>,
    place: Place,
    rule: WindowRule,
    now: Time,
    seed: u64,
}

impl Case {
    pub fn judge(&self) -> Window {
        self.rule.judge(&self.world.tables, &self.place, self.now)
    }

    /// Is the judgement what the oracle says, at every instant that matters?
    pub fn check(&self, window: &Window) -> Result<(), String> {
        let oracle = Oracle::new(&self.world, &self.place, &self.rule, self.now);
        let now = self.now.micros();
        let horizon = self.now.plus(AHEAD_MAX).micros();
        // Where the judgement looks no further, nothing needs to change at its end.
        let (end, is_open, is_cut) = match window {
            Window::Open { until } => (until.micros(), true, until.micros() == horizon),
            Window::Closed { opens, .. } => match opens {
                Some(opens) => (opens.micros(), false, false),
                None => (horizon + 1, false, true),
            },
        };
        if end <= now || end > horizon + 1 {
            return Err(self.fault(window, "the end of the judgement is not ahead", end));
        }
        let mut chance = Chance::new(self.seed);
        let mut between: Vec<i64> = (0..4).map(|_| chance.between(now, end)).collect();
        between.extend(oracle.candidates(end));
        between.extend([now, end - 1]);
        between.retain(|at| (now..end).contains(at));
        if let Some(at) = between.iter().find(|at| oracle.is_open(**at) != is_open) {
            return Err(self.fault(window, "it changes before the end", *at));
        }
        if !is_cut && oracle.is_open(end) == is_open {
            return Err(self.fault(window, "it does not change at the end", end));
        }
        Ok(())
    }

    fn fault(&self, window: &Window, what: &str, at: i64) -> String {
        format!("{what}, at {}: {window:?}\n{self:?}", Time::from_micros(at))
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, rule, now) = (&self.place, &self.rule, self.now);
        write!(f, "now {now}\n{place:?}\n{rule:?}\n{}", self.world.text)
    }
}
