//! The state and the time zone of US ZIP codes.

use super::area_codes::unknown_zone;
use super::head::{Csv, Head, TableFault, is_code};
use crate::domain::zone::Zone;

/// Ranges of ZIP codes, sorted, none over another.
#[derive(Debug, Clone)]
pub struct PostalCodes {
    head: Head,
    ranges: Vec<Range>,
}

/// ZIP codes from one to another, both included.
#[derive(Debug, Clone)]
struct Range {
    from: u32,
    to: u32,
    state: String,
    zone: Zone,
}

/// Where a ZIP code is, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostalPlace {
    pub states: Vec<String>,
    pub zones: Vec<Zone>,
}

impl PostalCodes {
    pub fn parse(text: &str) -> Result<PostalCodes, TableFault> {
        let csv = Csv::parse(text, ["from", "to", "state", "zone"])?;
        let mut ranges: Vec<Range> = Vec::with_capacity(csv.rows.len());
        for (line, [from, to, state, zone]) in csv.rows {
            let fault = |why: String| TableFault::line(line, why);
            let five = |text: &str| {
                let is_five = text.len() == 5;
                zip(text)
                    .filter(|_| is_five)
                    .ok_or_else(|| fault(format!("`{text}` is no ZIP code; give its five digits")))
            };
            let range = Range {
                from: five(from)?,
                to: five(to)?,
                state: state.to_owned(),
                zone: Zone::find(zone).ok_or_else(|| fault(unknown_zone(zone)))?,
            };
            if range.to < range.from {
                return Err(fault(format!(
                    "it goes from {from} to {to}; the first ZIP code must not be above the last"
                )));
            }
            if ranges.last().is_some_and(|last| last.to >= range.from) {
                return Err(fault(format!(
                    "it begins at {from}, which is not above the range before it; sort the ranges, and let none lie over another"
                )));
            }
            if !is_code(state) {
                return Err(fault(format!(
                    "`{state}` is no state; give two letters such as `FL`"
                )));
            }
            ranges.push(range);
        }
        Ok(PostalCodes {
            head: csv.head,
            ranges,
        })
    }

    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Where this ZIP code is. One that is not in the table may be wherever those with its first three digits are;
    /// `None`: there are none, or it is no ZIP code.
    pub fn find(&self, code: &str) -> Option<PostalPlace> {
        let zip = zip(code)?;
        let prefix = zip / 100 * 100;
        let first = self.ranges.partition_point(|range| range.to < prefix);
        let near = self.ranges[first..]
            .iter()
            .take_while(|range| range.from < prefix + 100);
        let its_own = near
            .clone()
            .find(|range| (range.from..=range.to).contains(&zip));
        let mut place = PostalPlace {
            states: Vec::new(),
            zones: Vec::new(),
        };
        for range in near.filter(|range| its_own.is_none_or(|own| own.from == range.from)) {
            if !place.states.contains(&range.state) {
                place.states.push(range.state.clone());
            }
            if !place.zones.contains(&range.zone) {
                place.zones.push(range.zone.clone());
            }
        }
        (!place.zones.is_empty()).then_some(place)
    }
}

/// `12345` or `12345-6789` as the number of its first five digits.
pub fn zip(text: &str) -> Option<u32> {
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let five = match text.split_once('-') {
        Some((five, four)) if four.len() == 4 && is_number(four) => five,
        Some(_) => return None,
        None => text,
    };
    let is_zip = five.len() == 5 && is_number(five);
    is_zip.then(|| five.parse().ok())?
}
