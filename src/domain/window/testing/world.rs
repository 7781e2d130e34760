//! Tables, embedded or by chance, once as the product reads them and once as plain numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::civil::{Date, Weekday, date};
use toml::{Table, Value};

use super::{Chance, hours};
use crate::domain::tables::{Holidays, SendHours, Tables};

pub const STATES: [&str; 8] = ["FL", "AL", "MS", "PA", "TX", "RI", "CT", "CA"];
const KINDS: [&str; 4] = ["mon_fri", "sat", "sun", "holidays"];
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Minutes of a day; `None`: no time of it.
pub type Minutes = Option<(i64, i64)>;

pub struct World {
    pub tables: Tables,
    pub federal: (i64, i64),
    pub states: BTreeMap<String, PlainState>,
    pub holidays: BTreeSet<Date>,
    /// The tables as they are written, to show with a fault.
    pub text: String,
}

/// Of each kind of day what is said, if anything is.
pub struct PlainState {
    pub days: [Option<Minutes>; 4],
    pub zone: Option<String>,
}

impl World {
    pub fn embedded() -> World {
        World::of(
            include_str!("../../../../tables/send_hours.toml"),
            include_str!("../../../../tables/holidays.toml"),
            "the embedded tables",
        )
    }

    pub fn random(chance: &mut Chance) -> World {
        let head = "version = 'x'\nsource = 'chance'\ndate = '2026-01-01'\n";
        let hours_text = format!("{head}{}", random_hours(chance));
        let holidays_text = format!("{head}{}", random_holidays(chance));
        World::of(
            &hours_text,
            &holidays_text,
            &format!("{hours_text}{holidays_text}"),
        )
    }

    fn of(hours_text: &str, holidays_text: &str, text: &str) -> World {
        let embedded = Tables::embedded();
        let hours: Table = hours_text.parse().expect("it is TOML");
        let states = hours.get("states").and_then(Value::as_table);
        let states = states.into_iter().flatten().map(|(code, row)| {
            let days = KINDS.map(|kind| row.get(kind).map(minutes));
            let zone = row.get("time_zone").and_then(Value::as_str);
            let zone = zone.map(str::to_owned);
            (code.clone(), PlainState { days, zone })
        });
        World {
            tables: Tables {
                send_hours: SendHours::parse(hours_text).expect("a table"),
                holidays: Holidays::parse(holidays_text).expect("a table"),
                area_codes: embedded.area_codes.clone(),
                postal_codes: embedded.postal_codes.clone(),
            },
            federal: minutes(&hours["federal"]["hours"]).expect("hours"),
            states: states.collect(),
            holidays: listed(&holidays_text.parse().expect("it is TOML")),
            text: text.to_owned(),
        }
    }
}

fn minutes(said: &Value) -> Minutes {
    let times = said.as_array()?;
    let minute = |time: &Value| {
        let text = time.as_str().unwrap_or_default();
        let number = |part: &str| part.parse::<i64>().unwrap_or_default();
        number(&text[..2]) * 60 + number(&text[3..])
    };
    Some((minute(&times[0]), minute(&times[1])))
}

/// Every holiday of the years that instants are of, and of one more at both ends.
fn listed(table: &Table) -> BTreeSet<Date> {
    let mut all = BTreeSet::new();
    let rows = table.get("holidays").and_then(Value::as_array);
    for row in rows.into_iter().flatten() {
        let text = |key: &str| row.get(key).and_then(Value::as_str);
        for day in row
            .get("dates")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            all.extend(day.as_str().and_then(|day| day.parse::<Date>().ok()));
        }
        for year in 2006..=2040 {
            if let Some(Ok(day)) = text("day").map(|day| format!("{year}-{day}").parse::<Date>()) {
                all.insert(day);
                let is_observed = row.get("observed").and_then(Value::as_bool) == Some(true);
                if is_observed && day.weekday() == Weekday::Saturday {
                    all.extend(day.yesterday());
                }
                if is_observed && day.weekday() == Weekday::Sunday {
                    all.extend(day.tomorrow());
                }
            }
            if let Some(name) = text("weekday") {
                let month = row["month"].as_integer().unwrap_or(1);
                let first = date(year, i8::try_from(month).unwrap_or(1), 1);
                let days: Vec<Date> = first
                    .series(jiff::Span::new().days(1))
                    .take_while(|day| day.month() == first.month())
                    .filter(|day| WEEKDAYS[day.weekday().to_monday_zero_offset() as usize] == name)
                    .collect();
                let nth = row["nth"].as_integer().map(|nth| nth as usize - 1);
                all.extend(days.get(nth.unwrap_or(days.len() - 1)));
            }
        }
    }
    all
}

fn random_hours(chance: &mut Chance) -> String {
    let row = |chance: &mut Chance| {
        let hours = hours(chance);
        let text = |minute: u16| format!("'{:02}:{:02}'", minute / 60, minute % 60);
        format!(
            "[{}, {}]",
            text(hours.from_minute()),
            text(hours.to_minute())
        )
    };
    let mut text = String::new();
    let federal = match chance.percent(50) {
        true => "['08:00', '21:00']".to_owned(),
        false => row(chance),
    };
    let _ = writeln!(text, "[federal]\nhours = {federal}\nsource = 'chance'");
    for code in STATES {
        if chance.percent(20) {
            continue;
        }
        let _ = writeln!(text, "[states.{code}]\nsource = 'chance'");
        for kind in KINDS {
            let said = match chance.between(0, 20) {
                0..3 => continue,
                3..5 => "'none'".to_owned(),
                5..10 => "['08:00', '20:00']".to_owned(),
                _ => row(chance),
            };
            let _ = writeln!(text, "{kind} = {said}");
        }
        if chance.percent(15) {
            let zone = chance.one_of(&super::USUAL_ZONES);
            let _ = writeln!(text, "time_zone = '{zone}'");
        }
    }
    text
}

fn random_holidays(chance: &mut Chance) -> String {
    let mut text = String::new();
    for number in 0..chance.between(0, 12) {
        let (month, day) = (chance.between(1, 13), chance.between(1, 29));
        let _ = writeln!(text, "[[holidays]]\nname = 'holiday {number}'");
        let _ = match chance.between(0, 4) {
            0 => writeln!(text, "dates = ['2026-{month:02}-{day:02}']"),
            1 => {
                let nth = *chance.one_of(&["1", "2", "3", "4", "'last'"]);
                let weekday = *chance.one_of(&WEEKDAYS);
                writeln!(text, "month = {month}\nweekday = '{weekday}'\nnth = {nth}")
            }
            _ => {
                let observed = chance.percent(50);
                writeln!(text, "day = '{month:02}-{day:02}'\nobserved = {observed}")
            }
        };
    }
    text
}
