//! What every table says of itself, and what is said of one that is wrong.

use jiff::civil::Date;

/// Bytes of a table; the embedded ones have less than 40 KiB each.
pub const TABLE_BYTES_MAX: usize = 1_024 * 1_024;
/// Bytes of a table's version, which stands in the evidence of each judgement.
pub const VERSION_BYTES_MAX: usize = 64;

/// Why a text is no table: the line or the key, what is allowed, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct TableFault {
    at: String,
    why: String,
}

impl TableFault {
    pub fn at(place: impl Into<String>, why: impl Into<String>) -> TableFault {
        TableFault {
            at: place.into(),
            why: why.into(),
        }
    }

    pub fn line(number: usize, why: impl Into<String>) -> TableFault {
        TableFault::at(format!("line {number}"), why)
    }
}

/// Which table it is and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub version: String,
    pub source: String,
    pub date: String,
}

impl Head {
    pub fn new(version: String, source: String, date: String) -> Result<Head, TableFault> {
        match version.len() {
            1..=VERSION_BYTES_MAX => (),
            length => {
                return Err(TableFault::at(
                    "version",
                    format!("it has {length} bytes; allowed are 1 to {VERSION_BYTES_MAX}"),
                ));
            }
        }
        if source.is_empty() {
            return Err(TableFault::at(
                "source",
                "it is empty; say where the data is from",
            ));
        }
        if date.parse::<Date>().is_err() {
            return Err(TableFault::at(
                "date",
                format!("`{date}` is no day; give YYYY-MM-DD"),
            ));
        }
        Ok(Head {
            version,
            source,
            date,
        })
    }
}

/// A CSV table: `# key: value` lines above, a line that names the columns, and one row a line. No field has a
/// comma or a quotation mark in it.
pub struct Csv<'a, const COLUMNS: usize> {
    pub head: Head,
    /// Each with the number of its line.
    pub rows: Vec<(usize, [&'a str; COLUMNS])>,
}

impl<'a, const COLUMNS: usize> Csv<'a, COLUMNS> {
    pub fn parse(text: &'a str, columns: [&str; COLUMNS]) -> Result<Self, TableFault> {
        check_size(text)?;
        let mut said: [Option<&str>; 3] = [None; 3];
        let mut rows = Vec::new();
        let mut is_named = false;
        for (line, number) in text.lines().map(str::trim_end).zip(1..) {
            if let Some(comment) = line.strip_prefix('#') {
                for (key, value) in ["version", "source", "date"].iter().zip(&mut said) {
                    let rest = comment.trim_start().strip_prefix(key);
                    if let Some(text) = rest.and_then(|rest| rest.strip_prefix(':')) {
                        value.get_or_insert(text.trim());
                    }
                }
            } else if !is_named {
                if line != columns.join(",") {
                    return Err(TableFault::line(
                        number,
                        format!("the columns are not named; write `{}`", columns.join(",")),
                    ));
                }
                is_named = true;
            } else if !line.is_empty() {
                let fields: Vec<&str> = line.split(',').collect();
                let count = fields.len();
                let row = fields.try_into().map_err(|_| {
                    let wanted = columns.join(",");
                    TableFault::line(
                        number,
                        format!("it has {count} fields; the columns are `{wanted}`"),
                    )
                })?;
                rows.push((number, row));
            }
        }
        let [version, source, date] = said.map(|value| value.unwrap_or_default().to_owned());
        Ok(Csv {
            head: Head::new(version, source, date)?,
            rows,
        })
    }
}

/// Bounded before it is read.
pub fn check_size(text: &str) -> Result<(), TableFault> {
    match text.len() {
        0..=TABLE_BYTES_MAX => Ok(()),
        length => Err(TableFault::at(
            "the table",
            format!("it has {length} bytes; at most {TABLE_BYTES_MAX} are allowed"),
        )),
    }
}

/// What is wrong with a TOML text in one line: the library's own is several lines with a drawing.
pub fn toml_fault(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let at = line
        .map(|line| format!("line {line}: "))
        .unwrap_or_default();
    format!("{at}{}", error.message().replace('\n', " "))
}

/// A TOML table, read into its own form.
pub fn from_toml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, TableFault> {
    check_size(text)?;
    toml::from_str(text).map_err(|error| TableFault::at("the table", toml_fault(text, &error)))
}

/// Two upper-case letters: the code of a state, a province or a country.
pub fn is_code(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}
