//! Where the numbers of an area code (of +1), or of another calling code, may be.

use std::collections::BTreeMap;

use super::head::{Csv, Head, TableFault, is_code};
use crate::domain::phone::PhoneNumber;
use crate::domain::place::PlaceSource;
use crate::domain::zone::Zone;

/// The row for numbers of which nothing is known.
const ANY: &str = "*";

/// By the code as it stands in the table: `212`, `+49` or `*`.
#[derive(Debug, Clone)]
pub struct AreaCodes {
    head: Head,
    areas: BTreeMap<String, Area>,
    unknown: Area,
}

/// Where a number may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// ISO 3166-1 alpha-2; of a calling code of several countries the main one.
    pub country: String,
    /// States, provinces and territories; none where the country's are of no concern.
    pub states: Vec<String>,
    /// At least one.
    pub zones: Vec<Zone>,
}

impl AreaCodes {
    pub fn parse(text: &str) -> Result<AreaCodes, TableFault> {
        let csv = Csv::parse(text, ["code", "country", "states", "zones"])?;
        let mut areas = BTreeMap::new();
        for (line, [code, country, states, zones]) in csv.rows {
            let fault = |why: String| TableFault::line(line, why);
            if !is_area(code) {
                return Err(fault(format!(
                    "`{code}` is no code; give an area code of +1 such as `212`, another calling code such as `+49`, or `*` for all else"
                )));
            }
            let area = Area {
                country: country.to_owned(),
                states: states.split_whitespace().map(str::to_owned).collect(),
                zones: zones_of(zones).map_err(fault)?,
            };
            let is_country = is_code(country) || (code == ANY && country.is_empty());
            if !is_country {
                return Err(fault(format!(
                    "`{country}` is no country; give its two letters such as `US`"
                )));
            }
            if let Some(state) = area.states.iter().find(|state| !is_code(state)) {
                return Err(fault(format!(
                    "`{state}` is no state; give two letters such as `FL`, several with spaces between them"
                )));
            }
            if areas.insert(code.to_owned(), area).is_some() {
                return Err(fault(format!(
                    "`{code}` stands twice; leave one out, or put their states and zones together"
                )));
            }
        }
        let unknown = areas.remove(ANY).ok_or_else(|| {
            TableFault::at(
                "the table",
                "the row `*` is missing: the zones of a number of which nothing is known",
            )
        })?;
        Ok(AreaCodes {
            head: csv.head,
            areas,
            unknown,
        })
    }

    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What is known of where this number may be, and by what.
    pub fn of(&self, number: &PhoneNumber) -> (&Area, PlaceSource) {
        let by_area = number.area_code().and_then(|code| self.areas.get(code));
        if let Some(area) = by_area {
            return (area, PlaceSource::AreaCode);
        }
        // A calling code has one to three digits, and none begins with another one.
        let of_country = |length| self.areas.get(number.e164().get(..=length)?);
        match (1..=3).rev().find_map(of_country) {
            Some(area) => (area, PlaceSource::Country),
            None => (&self.unknown, PlaceSource::Unknown),
        }
    }
}

/// `+1` is not among the calling codes: what it is known by are its area codes.
fn is_area(code: &str) -> bool {
    let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    match code.strip_prefix('+') {
        Some(calling) => {
            (1..=3).contains(&calling.len())
                && is_number(calling)
                && !calling.starts_with(['0', '1'])
        }
        None => {
            code == ANY || (code.len() == 3 && is_number(code) && !code.starts_with(['0', '1']))
        }
    }
}

fn zones_of(names: &str) -> Result<Vec<Zone>, String> {
    let zones: Vec<Zone> = names
        .split_whitespace()
        .map(|name| Zone::find(name).ok_or_else(|| unknown_zone(name)))
        .collect::<Result<_, _>>()?;
    match zones.is_empty() {
        true => Err(
            "it has no time zone; give at least one, several with spaces between them".to_owned(),
        ),
        false => Ok(zones),
    }
}

pub(super) fn unknown_zone(name: &str) -> String {
    format!("`{name}` is no time zone; give one of the IANA database, such as `America/New_York`")
}
