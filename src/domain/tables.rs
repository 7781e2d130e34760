//! What the law and geography say, as data: where the numbers of an area code and the people of a ZIP code may
//! be, when a message may arrive there, and which days are holidays. Each table has a version, a source and a
//! date, comes with the program, and can be replaced by the operator's file (docs/tables.md).

pub mod area_codes;
pub mod head;
pub mod holidays;
pub mod postal_codes;
pub mod send_hours;

use std::fmt;
use std::sync::{Arc, LazyLock};

pub use area_codes::AreaCodes;
pub use head::{TABLE_BYTES_MAX, TableFault, toml_fault};
pub use holidays::Holidays;
pub use postal_codes::PostalCodes;
pub use send_hours::SendHours;

use super::phone::PhoneNumber;
use super::place::{Place, PlaceSource};
use super::zone::Zone;

/// The four tables that a judgement goes by.
#[derive(Clone)]
pub struct Tables {
    pub area_codes: AreaCodes,
    pub postal_codes: PostalCodes,
    pub send_hours: SendHours,
    pub holidays: Holidays,
}

static EMBEDDED: LazyLock<Arc<Tables>> = LazyLock::new(|| {
    let tables = || {
        Ok::<_, TableFault>(Tables {
            area_codes: AreaCodes::parse(include_str!("../../tables/area_codes.csv"))?,
            postal_codes: PostalCodes::parse(include_str!("../../tables/postal_codes.csv"))?,
            send_hours: SendHours::parse(include_str!("../../tables/send_hours.toml"))?,
            holidays: Holidays::parse(include_str!("../../tables/holidays.toml"))?,
        })
    };
    Arc::new(tables().expect("the embedded tables are right: a test reads them"))
});

impl Tables {
    /// Those that come with the program, read once.
    pub fn embedded() -> Arc<Tables> {
        Arc::clone(&EMBEDDED)
    }

    /// The versions of all four in short, for evidence.
    pub fn version(&self) -> String {
        format!(
            "hours {}, holidays {}, area codes {}, postal codes {}",
            self.send_hours.head().version,
            self.holidays.head().version,
            self.area_codes.head().version,
            self.postal_codes.head().version
        )
    }

    /// Where the recipient may be.
    ///
    /// The zones are those of what is known best: the stated zone, else the postal code, else all of the area
    /// code, else all of the country, else those that the table gives a number of which nothing is known. What is
    /// stated and not known (a ZIP code that is in no table) is passed over. The states are those of the area code
    /// *and* that of the postal code: Florida presumes that a number of its area codes reached a resident of
    /// Florida, and the person may have moved.
    pub fn place(
        &self,
        recipient: &PhoneNumber,
        time_zone: Option<&str>,
        postal_code: Option<&str>,
    ) -> Place {
        let stated = time_zone.and_then(Zone::find);
        let postal = postal_code.and_then(|code| self.postal_codes.find(code));
        let (area, area_source) = self.area_codes.of(recipient);
        let mut states = area.states.clone();
        if let Some(postal) = &postal {
            let is_new = |state: &&String| !area.states.contains(state);
            states.extend(postal.states.iter().filter(is_new).cloned());
        }
        let (zones, source) = match (stated, postal) {
            (Some(zone), _) => (vec![zone], PlaceSource::StatedZone),
            (None, Some(postal)) => (postal.zones, PlaceSource::PostalCode),
            (None, None) => (area.zones.clone(), area_source),
        };
        Place {
            zones,
            states,
            source,
        }
    }

    /// Is this a time zone that a caller may state?
    pub fn check_time_zone(&self, name: &str) -> Result<(), String> {
        match Zone::find(name) {
            Some(_) => Ok(()),
            None => Err(format!(
                "`{}` is no time zone; give one of the IANA database, such as `America/New_York`, or leave it out",
                shown(name)
            )),
        }
    }

    /// Is this written as a ZIP code? Whether it is in the table is not asked: new ones come up.
    pub fn check_postal_code(&self, code: &str) -> Result<(), String> {
        match postal_codes::zip(code) {
            Some(_) => Ok(()),
            None => Err(format!(
                "`{}` is no US ZIP code; give five digits, such as `33101`, or nine, such as `33101-1234`, or leave it out",
                shown(code)
            )),
        }
    }
}

/// What was given, short enough for an error text.
fn shown(given: &str) -> String {
    given.chars().take(32).collect()
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tables({})", self.version())
    }
}

#[cfg(test)]
#[path = "tables/tests.rs"]
mod tests;
