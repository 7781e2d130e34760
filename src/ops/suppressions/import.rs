//! A CSV file of numbers to suppress: its columns, and what each line asks for. What is said of a bad
//! line never repeats what stands in it, which may be a number.

use csv_core::{ReadRecordResult, Reader};

use super::NewSuppression;
use crate::domain::names::check_line;
use crate::domain::phone::PhoneRules;
use crate::domain::suppression::{LINE_MAX, Scope, SuppressionReason};
use crate::domain::time::Time;

/// Lines of one transaction.
pub const BATCH_LINES_MAX: usize = 1_000;
/// Bytes of a line.
pub const LINE_BYTES_MAX: usize = 4 * 1_024;
/// Columns of a file.
pub const COLUMNS_MAX: usize = 64;

/// The columns that are read, by the names that they have where nothing else is said.
pub const COLUMN_NAMES: [&str; 4] = ["phone_number", "reason", "note", "expire_time"];

/// What holds for every line that does not say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    pub scope: Scope,
    /// None: each line has to have one.
    pub reason: Option<SuppressionReason>,
    pub source: String,
    pub actor: String,
    pub expire_time: Option<Time>,
}

/// Where in a line each column stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    count: usize,
    phone_number: usize,
    reason: Option<usize>,
    note: Option<usize>,
    expire_time: Option<usize>,
}

impl Columns {
    /// Finds them in the header row. `names` are those of [`COLUMN_NAMES`] as the file has them. Other
    /// columns are passed over.
    pub fn find(header: &[String], names: &[String; 4]) -> Result<Columns, String> {
        let place = |name: &str| -> Result<Option<usize>, String> {
            let is_it = |given: &String| given.trim().eq_ignore_ascii_case(name);
            let mut found = header.iter().enumerate().filter(|(_, given)| is_it(given));
            match (found.next(), found.next()) {
                (_, Some(_)) => Err(format!("the header row has `{name}` twice")),
                (first, None) => Ok(first.map(|(at, _)| at)),
            }
        };
        let [phone_number, reason, note, expire_time] = names;
        let missing = || {
            format!(
                "the header row has no column `{phone_number}`; give one, or say by `columns` which it is"
            )
        };
        Ok(Columns {
            count: header.len(),
            phone_number: place(phone_number)?.ok_or_else(missing)?,
            reason: place(reason)?,
            note: place(note)?,
            expire_time: place(expire_time)?,
        })
    }

    /// What a line asks for, or what is wrong with it.
    pub fn read(
        &self,
        fields: &[String],
        defaults: &Defaults,
        rules: &PhoneRules,
        now: Time,
    ) -> Result<NewSuppression, String> {
        if fields.len() > self.count {
            return Err(format!(
                "it has {} fields, and the header row has {}; put quotes around a field that holds a comma",
                fields.len(),
                self.count
            ));
        }
        // A line may end early: what is missing is empty.
        let field = |at: usize| fields.get(at).map_or("", |field| field.trim());
        let number = field(self.phone_number);
        let phone_number = rules
            .parse(number)
            .map_err(|error| format!("phone_number: {error}"))?;
        let reason = match self.reason.map_or("", field) {
            "" => defaults.reason.ok_or_else(|| {
                format!(
                    "reason: it is missing, and the import has no default; {}",
                    reasons()
                )
            })?,
            text => SuppressionReason::parse(text)
                .ok_or_else(|| format!("reason: it is unknown; {}", reasons()))?,
        };
        let note = self.note.map_or("", field);
        check_line(note, LINE_MAX).map_err(|fault| format!("note: {fault}"))?;
        let expire_time = match self.expire_time.map_or("", field) {
            "" => defaults.expire_time,
            text => Some(time(text).ok_or_else(|| "expire_time: it is no time; give RFC 3339 such as 2027-01-31T00:00:00Z, or a day".to_owned())?),
        };
        if expire_time.is_some_and(|end| end <= now) {
            return Err("expire_time: it is over already".to_owned());
        }
        Ok(NewSuppression {
            phone_number,
            scope: defaults.scope.clone(),
            reason,
            source: defaults.source.clone(),
            actor: defaults.actor.clone(),
            note: note.to_owned(),
            expire_time,
        })
    }
}

fn reasons() -> String {
    let names: Vec<&str> = SuppressionReason::ALL
        .iter()
        .map(|it| it.as_str())
        .collect();
    format!("give one of {}", names.join(", "))
}

/// RFC 3339, or a day, which is its first moment in UTC.
fn time(text: &str) -> Option<Time> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(Time::from_micros(instant.as_microsecond()));
    }
    let day: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
    let start = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Time::from_micros(start.timestamp().as_microsecond()))
}

/// Cuts lines into fields (RFC 4180). A line holds no line end; an open quote ends with it, so that it costs
/// this line and none of those behind it.
#[derive(Debug)]
pub struct LineCutter {
    /// Its table takes longer to make than a line to read.
    reader: Reader,
}

impl LineCutter {
    pub fn new() -> LineCutter {
        LineCutter {
            reader: Reader::new(),
        }
    }

    pub fn fields(&mut self, line: &[u8]) -> Result<Vec<String>, String> {
        let text = std::str::from_utf8(line).map_err(|_| "it is no UTF-8".to_owned())?;
        if text.is_empty() {
            return Ok(vec![String::new()]);
        }
        let input = format!("{text}\n");
        // No field is longer than the line; each has an end.
        let mut output = vec![0; input.len()];
        let mut ends = [0; COLUMNS_MAX + 1];
        self.reader.reset();
        let (result, read, _, count) =
            (self.reader).read_record(input.as_bytes(), &mut output, &mut ends);
        match result {
            ReadRecordResult::Record if read < input.len() => {
                return Err("it has a carriage return within; end lines with LF or CRLF".to_owned());
            }
            ReadRecordResult::Record if count <= COLUMNS_MAX => {}
            ReadRecordResult::Record | ReadRecordResult::OutputEndsFull => {
                return Err(format!("it has more than {COLUMNS_MAX} fields"));
            }
            _ => return Err("a quote is opened and not closed".to_owned()),
        }
        let mut start = 0;
        let mut fields = Vec::with_capacity(count);
        for end in &ends[..count] {
            // Cut at characters of one byte each, so it stays UTF-8.
            fields.push(String::from_utf8_lossy(&output[start..*end]).into_owned());
            start = *end;
        }
        Ok(fields)
    }
}

impl Default for LineCutter {
    fn default() -> Self {
        LineCutter::new()
    }
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
