//! Between the wire and the domain. Requests come in through [`Fields`], which collects every bad
//! field before anything is answered; resources go out through `to_…`.

pub mod batch;
pub mod consent;
pub mod gates;
pub mod suppression;
pub mod telephony;
pub mod use_case;
pub mod voicemail;

use std::time::Duration;

use prost_types::{FieldMask, Timestamp};

use crate::domain::ids::InvalidId;
use crate::domain::names::{TextFault, check_batch_id, check_name, check_request_id};
use crate::domain::phone::{PhoneError, PhoneNumber, PhoneRules};
use crate::domain::time::Time;
use crate::ops::error::{OpError, Result, Violation};

/// Reads fields and remembers what is wrong with them. Each reader gives `None` for a bad field.
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<Violation>,
}

impl Fields {
    pub fn bad(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.push(Violation::field(field, description));
    }

    pub fn extend(&mut self, violations: Vec<Violation>) {
        self.violations.extend(violations);
    }

    /// The whole request, once every field was read; else everything that is wrong.
    pub fn finish<T>(self, request: Option<T>) -> Result<T> {
        OpError::unless_empty(self.violations)?;
        request
            .ok_or_else(|| OpError::Internal("a request was refused without a reason".to_owned()))
    }

    pub fn into_violations(self) -> Vec<Violation> {
        self.violations
    }

    pub fn id<T>(
        &mut self,
        field: &str,
        text: &str,
        parse: fn(&str) -> std::result::Result<T, InvalidId>,
    ) -> Option<T> {
        if text.is_empty() {
            self.bad(field, "it is missing; give the id");
            return None;
        }
        parse(text)
            .map_err(|error| self.bad(field, error.to_string()))
            .ok()
    }

    /// Empty: not given.
    pub fn optional_id<T>(
        &mut self,
        field: &str,
        text: &str,
        parse: fn(&str) -> std::result::Result<T, InvalidId>,
    ) -> Option<T> {
        match text {
            "" => None,
            text => self.id(field, text, parse),
        }
    }

    pub fn phone(&mut self, field: &str, text: &str, rules: &PhoneRules) -> Option<PhoneNumber> {
        rules
            .parse(text)
            .map_err(|error: PhoneError| self.violations.push(Violation::phone(field, &error)))
            .ok()
    }

    /// Empty: not given.
    pub fn optional_phone(
        &mut self,
        field: &str,
        text: &str,
        rules: &PhoneRules,
    ) -> Option<PhoneNumber> {
        match text {
            "" => None,
            text => self.phone(field, text, rules),
        }
    }

    pub fn text(
        &mut self,
        field: &str,
        text: &str,
        check: impl FnOnce(&str) -> std::result::Result<(), TextFault>,
    ) -> Option<String> {
        match check(text) {
            Ok(()) => Some(text.to_owned()),
            Err(fault) => {
                self.bad(field, fault.to_string());
                None
            }
        }
    }

    /// Empty: not given.
    pub fn optional_name(&mut self, field: &str, text: &str) -> Option<String> {
        match text {
            "" => None,
            text => self.text(field, text, check_name),
        }
    }

    /// Empty: not given.
    pub fn request_id(&mut self, field: &str, text: &str) -> Option<String> {
        match text {
            "" => None,
            text => self.text(field, text, check_request_id),
        }
    }

    /// Empty: not given.
    pub fn optional_batch_id(&mut self, field: &str, text: &str) -> Option<String> {
        match text {
            "" => None,
            text => self.text(field, text, check_batch_id),
        }
    }

    pub fn time(&mut self, field: &str, time: Option<&Timestamp>) -> Option<Time> {
        let time = time?;
        let read = Time::from_seconds_and_nanos(time.seconds, time.nanos);
        if read.is_none() {
            self.bad(field, "it is no time from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z with 0 to 999,999,999 nanoseconds");
        }
        read
    }

    /// The values of a repeated enum filter; 0 and unknown numbers are refused.
    pub fn codes<T>(
        &mut self,
        field: &str,
        numbers: &[i32],
        from_code: fn(i16) -> Option<T>,
    ) -> Vec<T> {
        if numbers.len() > LIST_MAX {
            let given = numbers.len();
            self.bad(
                field,
                format!(
                    "{given} values were given; at most {LIST_MAX} are allowed. Leave some out"
                ),
            );
            return Vec::new();
        }
        let mut values = Vec::with_capacity(numbers.len());
        for (at, number) in numbers.iter().enumerate() {
            match i16::try_from(*number).ok().and_then(from_code) {
                Some(value) => values.push(value),
                None => self.bad(
                    format!("{field}[{at}]"),
                    format!(
                        "{number} is no value to filter by; name one of the enum's, not UNSPECIFIED"
                    ),
                ),
            }
        }
        values
    }

    /// 0 means 50, more than 1,000 is read as 1,000, negative is refused.
    pub fn page_size(&mut self, size: i32) -> i64 {
        match size {
            0 => PAGE_SIZE_DEFAULT,
            size if size < 0 => {
                self.bad(
                    "page_size",
                    format!(
                        "it is {size}; give 1 to {PAGE_SIZE_MAX}, or 0 for {PAGE_SIZE_DEFAULT}"
                    ),
                );
                PAGE_SIZE_DEFAULT
            }
            size => i64::from(size).min(PAGE_SIZE_MAX),
        }
    }
}

/// The one id that a request is about.
pub fn required_id<T>(
    field: &str,
    text: &str,
    parse: fn(&str) -> std::result::Result<T, InvalidId>,
) -> Result<T> {
    let mut fields = Fields::default();
    let id = fields.id(field, text, parse);
    fields.finish(id)
}

/// Values of a repeated filter, and paths of a mask.
pub const LIST_MAX: usize = 100;
/// Characters of what a caller gave that are repeated in an error.
const SHOWN_MAX: usize = 64;

/// What a caller gave, cut for an error's text.
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub const PAGE_SIZE_DEFAULT: i64 = 50;
pub const PAGE_SIZE_MAX: i64 = 1_000;

/// Which fields an update writes.
pub struct Mask {
    paths: Vec<String>,
    /// No path was given: every field that is set.
    by_content: bool,
    /// `*`: all that can be changed.
    all: bool,
}

impl Mask {
    /// Refuses paths that are unknown, output only or immutable.
    pub fn read(
        fields: &mut Fields,
        mask: Option<FieldMask>,
        changeable: &[&str],
        fixed: &[&str],
    ) -> Mask {
        let paths = mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.len() > LIST_MAX {
            let given = paths.len();
            fields.bad(
                "update_mask",
                format!("it has {given} paths; at most {LIST_MAX} are allowed. Leave some out"),
            );
            return Mask {
                paths: Vec::new(),
                by_content: false,
                all: false,
            };
        }
        let all = paths.iter().any(|path| path == "*");
        if all && paths.len() > 1 {
            fields.bad(
                "update_mask",
                "`*` stands beside other paths. Give it alone",
            );
        }
        for path in paths.iter().filter(|path| *path != "*") {
            let known = changeable.join(", ");
            if fixed.contains(&path.as_str()) {
                fields.bad(
                    "update_mask",
                    format!("`{path}` can't be changed; these can: {known}"),
                );
            } else if !changeable.contains(&path.as_str()) {
                fields.bad(
                    "update_mask",
                    format!(
                        "`{}` is no field; these can be changed: {known}",
                        shown(path)
                    ),
                );
            }
        }
        Mask {
            by_content: paths.is_empty(),
            all,
            paths,
        }
    }

    /// Is this field written? `is_set`: it has a value in the request.
    pub fn writes(&self, path: &str, is_set: bool) -> bool {
        self.all || (self.by_content && is_set) || self.paths.iter().any(|given| given == path)
    }
}

pub fn to_timestamp(time: Time) -> Timestamp {
    let (seconds, nanos) = time.seconds_and_nanos();
    Timestamp { seconds, nanos }
}

pub fn to_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_size_is_held_within_its_bounds() {
        let mut fields = Fields::default();
        for (given, read) in [
            (0, 50),
            (1, 1),
            (999, 999),
            (1_000, 1_000),
            (1_001, 1_000),
            (i32::MAX, 1_000),
        ] {
            assert_eq!(fields.page_size(given), read, "{given}");
        }
        assert!(fields.violations.is_empty());
        fields.page_size(-1);
        assert_eq!(fields.violations.len(), 1);
    }

    #[test]
    fn a_mask_writes_what_it_names() {
        let mask = |paths: &[&str]| {
            let mut fields = Fields::default();
            let mask = FieldMask {
                paths: paths.iter().map(|p| (*p).to_owned()).collect(),
            };
            let mask = Mask::read(&mut fields, Some(mask), &["a", "b"], &["id"]);
            (mask, fields.violations.len())
        };
        let (none, faults) = mask(&[]);
        assert_eq!(
            (none.writes("a", true), none.writes("a", false), faults),
            (true, false, 0)
        );
        let (all, faults) = mask(&["*"]);
        assert_eq!((all.writes("a", false), faults), (true, 0));
        let (one, faults) = mask(&["a"]);
        assert_eq!(
            (one.writes("a", false), one.writes("b", true), faults),
            (true, false, 0)
        );
        assert_eq!(mask(&["id"]).1, 1);
        assert_eq!(mask(&["c", "id"]).1, 2);
        assert_eq!(mask(&["*", "a"]).1, 1);
    }
}
