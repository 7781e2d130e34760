//! When the law lets a message arrive: the federal hours, and what states say besides.

use std::collections::BTreeMap;

use jiff::civil::Weekday;
use serde::Deserialize;
use toml::Value;

use super::area_codes::unknown_zone;
use super::head::{Head, TableFault, from_toml, is_code};
use crate::domain::hours::Hours;
use crate::domain::zone::Zone;

/// The federal hours and the rows of the states that have their own.
#[derive(Debug, Clone)]
pub struct SendHours {
    head: Head,
    pub federal: Hours,
    pub states: BTreeMap<String, StateHours>,
}

/// What one state says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateHours {
    pub mon_fri: DayHours,
    pub sat: DayHours,
    pub sun: DayHours,
    /// On a holiday they hold together with those of its weekday.
    pub holidays: DayHours,
    /// The clock that they are of, where it is not the recipient's.
    pub zone: Option<Zone>,
}

/// What a state says of one kind of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayHours {
    /// Nothing: the federal hours stand alone.
    Unsaid,
    Within(Hours),
    /// Nothing may arrive.
    Closed,
}

impl DayHours {
    /// What is left of `hours`; `None`: nothing.
    pub fn narrow(self, hours: Hours) -> Option<Hours> {
        match self {
            DayHours::Unsaid => Some(hours),
            DayHours::Within(own) => hours.and(own),
            DayHours::Closed => None,
        }
    }
}

impl StateHours {
    pub fn on(&self, weekday: Weekday) -> DayHours {
        match weekday {
            Weekday::Saturday => self.sat,
            Weekday::Sunday => self.sun,
            _ => self.mon_fri,
        }
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    source: String,
    date: String,
    federal: FederalRow,
    #[serde(default)]
    states: BTreeMap<String, StateRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FederalRow {
    hours: Value,
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateRow {
    mon_fri: Option<Value>,
    sat: Option<Value>,
    sun: Option<Value>,
    holidays: Option<Value>,
    time_zone: Option<String>,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "note")]
    _note: Option<String>,
}

impl SendHours {
    pub fn parse(text: &str) -> Result<SendHours, TableFault> {
        let file: File = from_toml(text)?;
        let key = "federal.hours";
        let federal = match day_hours(key, Some(&file.federal.hours))? {
            DayHours::Within(hours) => hours,
            _ => {
                return Err(TableFault::at(
                    key,
                    "hours are needed; give two times, such as [\"08:00\", \"21:00\"]",
                ));
            }
        };
        let states = file
            .states
            .iter()
            .map(|(code, row)| Ok((code.clone(), state_hours(code, row)?)))
            .collect::<Result<_, TableFault>>()?;
        Ok(SendHours {
            head: Head::new(file.version, file.source, file.date)?,
            federal,
            states,
        })
    }

    pub fn head(&self) -> &Head {
        &self.head
    }
}

fn state_hours(code: &str, row: &StateRow) -> Result<StateHours, TableFault> {
    if !is_code(code) {
        return Err(TableFault::at(
            format!("states.{code}"),
            "this is no state; give two letters such as `FL`",
        ));
    }
    let of_day =
        |day: &str, said: &Option<Value>| day_hours(&format!("states.{code}.{day}"), said.as_ref());
    let zone = row.time_zone.as_deref().map(|name| {
        let at = || format!("states.{code}.time_zone");
        Zone::find(name).ok_or_else(|| TableFault::at(at(), unknown_zone(name)))
    });
    Ok(StateHours {
        mon_fri: of_day("mon_fri", &row.mon_fri)?,
        sat: of_day("sat", &row.sat)?,
        sun: of_day("sun", &row.sun)?,
        holidays: of_day("holidays", &row.holidays)?,
        zone: zone.transpose()?,
    })
}

fn day_hours(key: &str, said: Option<&Value>) -> Result<DayHours, TableFault> {
    let two_times = |values: &[Value]| match values {
        [Value::String(from), Value::String(to)] => Some((from.clone(), to.clone())),
        _ => None,
    };
    match said {
        None => Ok(DayHours::Unsaid),
        Some(Value::String(word)) if word == "none" => Ok(DayHours::Closed),
        Some(Value::Array(values)) if two_times(values).is_some() => {
            let (from, to) = two_times(values).unwrap_or_default();
            let hours = Hours::parse(&from, &to).map_err(|why| TableFault::at(key, why))?;
            Ok(DayHours::Within(hours))
        }
        Some(other) => Err(TableFault::at(
            key,
            format!(
                "`{other}` are no hours; give two times, such as [\"08:00\", \"20:00\"], or \"none\" where nothing may arrive, or leave the key out where the federal hours stand alone"
            ),
        )),
    }
}
