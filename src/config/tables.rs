//! The operator's tables of area codes, ZIP codes, hours and holidays, where they take the place of the embedded ones.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::{ConfigError, Result, TablesSection};
use crate::domain::tables::{
    AreaCodes, Holidays, PostalCodes, SendHours, TABLE_BYTES_MAX, TableFault, Tables,
};

/// Those that are named, and the embedded ones for the rest.
pub fn read(section: &TablesSection) -> Result<Arc<Tables>> {
    let embedded = Tables::embedded();
    if *section == TablesSection::default() {
        return Ok(embedded);
    }
    let ours = Arc::unwrap_or_clone(embedded);
    Ok(Arc::new(Tables {
        area_codes: table(
            "area_codes",
            &section.area_codes,
            AreaCodes::parse,
            ours.area_codes,
        )?,
        postal_codes: table(
            "postal_codes",
            &section.postal_codes,
            PostalCodes::parse,
            ours.postal_codes,
        )?,
        send_hours: table(
            "send_hours",
            &section.send_hours,
            SendHours::parse,
            ours.send_hours,
        )?,
        holidays: table(
            "holidays",
            &section.holidays,
            Holidays::parse,
            ours.holidays,
        )?,
    }))
}

fn table<T>(
    key: &str,
    path: &Path,
    parse: fn(&str) -> std::result::Result<T, TableFault>,
    embedded: T,
) -> Result<T> {
    if path.as_os_str().is_empty() {
        return Ok(embedded);
    }
    let named = |why: String| ConfigError(format!("tables.{key} `{}`: {why}", path.display()));
    let text = text_of(path).map_err(|error| named(format!("it can't be read: {error}")))?;
    parse(&text).map_err(|fault| named(fault.to_string()))
}

/// One byte more than a table may have is read, so that what is too large is refused and not cut.
fn text_of(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let most = u64::try_from(TABLE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}
