//! Phone numbers in E.164. Only [`PhoneRules::parse`] makes one from what a caller wrote, and
//! printing one for a log shows its last two digits only, because a recipient's number is
//! health information.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// A number in E.164: `+`, country code, national number; at most 15 digits (ITU-T E.164, 6.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(String);

/// Why a text is no phone number that this service takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    #[error("a phone number is missing; give one in E.164 such as +12125550123")]
    Missing,
    #[error(
        "what was given ({length} characters) is no valid phone number; give one in E.164 such as +12125550123 (without a + it is read as a number of {default_country})"
    )]
    Invalid {
        length: usize,
        default_country: String,
    },
    #[error(
        "the number is of country {country}; allowed are {allowed}. The operator can allow more under `[numbers] allowed_countries`"
    )]
    CountryNotAllowed { country: String, allowed: String },
}

/// Which numbers are taken: configuration `[numbers]`.
#[derive(Debug, Clone)]
pub struct PhoneRules {
    default_region: namba::Region,
    allowed: Vec<namba::Region>,
    also_valid: Vec<Range>,
    us_blocks: Arc<Blocks>,
}

/// Which blocks of a thousand numbers of the North American plan, its smallest unit (47 CFR 52.20), are valid in the US, as far
/// as that has been asked. To ask for a number takes some 40 µs, a hundred times as long as to look here.
struct Blocks {
    /// By area code: two bits for each of its blocks.
    areas: Box<[OnceLock<Box<[AtomicU8]>>]>,
}

const AREAS: usize = 1_000;
/// By the four digits behind the area code.
const BLOCKS_OF_AREA: usize = 10_000;
const VALID: u8 = 0b01;
const NOT_VALID: u8 = 0b10;

impl Blocks {
    fn none_asked() -> Blocks {
        Blocks {
            areas: (0..AREAS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Of ten digits. `ask` where nobody has asked for one of its block before.
    fn is_valid(&self, national: &str, ask: impl FnOnce() -> bool) -> bool {
        let Some((bits, shift)) = self.place(national) else {
            return ask();
        };
        match (bits.load(Relaxed) >> shift) & (VALID | NOT_VALID) {
            VALID => true,
            NOT_VALID => false,
            _ => {
                let is_valid = ask();
                let told = if is_valid { VALID } else { NOT_VALID };
                bits.fetch_or(told << shift, Relaxed);
                is_valid
            }
        }
    }

    /// Where the bits of its block are, and how far from the lowest.
    fn place(&self, national: &str) -> Option<(&AtomicU8, usize)> {
        let area: usize = national.get(..3)?.parse().ok()?;
        let block: usize = national.get(3..7)?.parse().ok()?;
        let none_asked = || (0..BLOCKS_OF_AREA / 4).map(|_| AtomicU8::new(0)).collect();
        let blocks = self.areas.get(area)?.get_or_init(none_asked);
        Some((blocks.get(block / 4)?, block % 4 * 2))
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blocks")
    }
}

/// Numbers that pass whatever the rules say: one, or all that begin so.
#[derive(Debug, Clone)]
struct Range {
    start: String,
    is_open: bool,
}

/// Digits that the beginning of a range needs, so that none covers a country.
const RANGE_DIGITS_MIN: usize = 5;

impl Range {
    fn parse(text: &str) -> Option<Range> {
        let (start, is_open) = match text.strip_suffix('*') {
            Some(start) => (start, true),
            None => (text, false),
        };
        let digits = start.strip_prefix('+')?;
        let is_number = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        let shortest = if is_open { RANGE_DIGITS_MIN } else { 8 };
        let is_good = is_number && (shortest..=15).contains(&digits.len());
        is_good.then(|| Range {
            start: start.to_owned(),
            is_open,
        })
    }

    fn covers(&self, e164: &str) -> bool {
        match self.is_open {
            true => e164.starts_with(&self.start),
            false => e164 == self.start,
        }
    }
}

/// Characters of a number as written, with its spaces and brackets; more is refused unread.
const TEXT_MAX: usize = 64;

impl PhoneRules {
    /// Countries are ISO 3166-1 alpha-2 codes in upper case; an unknown one is given back.
    pub fn new(default_country: &str, allowed: &[String]) -> Result<PhoneRules, String> {
        let region = |code: &str| namba::Region::new(code).map_err(|_| code.to_owned());
        Ok(PhoneRules {
            default_region: region(default_country)?,
            allowed: allowed
                .iter()
                .map(|c| region(c))
                .collect::<Result<_, _>>()?,
            also_valid: Vec::new(),
            us_blocks: Arc::new(Blocks::none_asked()),
        })
    }

    /// With these numbers besides, such as those of a carrier's simulator, which are no valid numbers:
    /// `+15550010001`, or `+1555001*` for all that begin so. What is no such range is given back.
    pub fn also_valid(self, ranges: &[String]) -> Result<PhoneRules, String> {
        let parse = |text: &String| Range::parse(text).ok_or_else(|| text.clone());
        Ok(PhoneRules {
            also_valid: ranges.iter().map(parse).collect::<Result<_, _>>()?,
            ..self
        })
    }

    /// Reads `+1 (212) 555-0123`, `212 555 0123` and the like, by Google's rules for each
    /// country. The fictional +1 NPA 555 01xx (ATIS-0300115) pass whatever the rules say.
    pub fn parse(&self, text: &str) -> Result<PhoneNumber, PhoneError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(PhoneError::Missing);
        }
        let invalid = || PhoneError::Invalid {
            length: text.chars().count(),
            default_country: self.default_region.as_str().to_owned(),
        };
        if text.len() > TEXT_MAX {
            return Err(invalid());
        }
        if let Some(number) = self.listed(text) {
            return Ok(number);
        }
        let parsed = namba::parse_in(self.default_region, text).map_err(|_| invalid())?;
        if parsed.extension().is_some() {
            return Err(invalid());
        }
        let number = PhoneNumber(parsed.format(namba::Format::E164).to_string());
        if number.is_fictional() {
            return match self.allowed.iter().any(|r| r.as_str() == "US") {
                true => Ok(number),
                false => Err(self.not_allowed("US")),
            };
        }
        // Of the countries of +1 the US comes first, so `region` would say the same, after many times the work:
        // a batch has thousands of numbers.
        let us = self.allowed.iter().find(|region| region.as_str() == "US");
        if let (Some(us), Some(national)) = (us, number.nanp())
            && self
                .us_blocks
                .is_valid(national, || parsed.is_valid_for(*us))
        {
            return Ok(number);
        }
        match parsed.region() {
            Some(region) if self.allowed.contains(&region) => {
                if parsed.is_valid_for(region) {
                    Ok(number)
                } else {
                    Err(invalid())
                }
            }
            Some(region) if parsed.is_valid_for(region) => Err(self.not_allowed(region.as_str())),
            _ => Err(invalid()),
        }
    }

    /// The number, where it is written in E.164 (spaces and the like left out) and listed.
    fn listed(&self, text: &str) -> Option<PhoneNumber> {
        let is_filling = |c: char| matches!(c, ' ' | '-' | '.' | '(' | ')');
        let e164: String = text.chars().filter(|c| !is_filling(*c)).collect();
        let digits = e164.strip_prefix('+')?;
        let is_number =
            (8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let is_listed = is_number && self.also_valid.iter().any(|range| range.covers(&e164));
        is_listed.then_some(PhoneNumber(e164))
    }

    /// The countries that numbers may be of, for people.
    pub fn allowed_countries(&self) -> String {
        let allowed: Vec<&str> = self.allowed.iter().map(|r| r.as_str()).collect();
        allowed.join(", ")
    }

    fn not_allowed(&self, country: &str) -> PhoneError {
        PhoneError::CountryNotAllowed {
            country: country.to_owned(),
            allowed: self.allowed_countries(),
        }
    }
}

impl PhoneNumber {
    /// A number that this service has stored, so it was parsed once.
    pub fn from_stored(e164: String) -> PhoneNumber {
        PhoneNumber(e164)
    }

    /// A number as a carrier writes it, who may leave out the plus sign, or the 1 of the North American
    /// plan too: to look for it among ours, not to send to it.
    pub fn from_carrier(text: &str) -> PhoneNumber {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let is_national = !text.trim_start().starts_with('+') && digits.len() == 10;
        PhoneNumber(format!("+{}{digits}", if is_national { "1" } else { "" }))
    }

    /// The whole number. For carriers, storage and the caller; never for a log line.
    pub fn e164(&self) -> &str {
        &self.0
    }

    /// The three digits after +1; `None` outside the North American plan.
    pub fn area_code(&self) -> Option<&str> {
        self.nanp().map(|national| &national[..3])
    }

    /// +1 NPA 555 0100 to 0199, set aside for fiction.
    pub fn is_fictional(&self) -> bool {
        self.nanp().is_some_and(|national| {
            matches!(national.as_bytes()[0], b'2'..=b'9') && &national[3..8] == "55501"
        })
    }

    /// The last two digits as a number from 0 to 99.
    pub fn last_two_digits(&self) -> u8 {
        let tail = self.0.len().saturating_sub(2);
        self.0[tail..].parse().unwrap_or(0)
    }

    /// The ten digits behind +1.
    fn nanp(&self) -> Option<&str> {
        self.0
            .strip_prefix("+1")
            .filter(|national| national.len() == 10)
    }
}

/// The last ten digits, by which numbers of the North American plan are the same however a carrier
/// writes them.
pub fn last_ten(text: &str) -> String {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_digit).collect();
    digits[digits.len().saturating_sub(10)..].iter().collect()
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+…{:02}", self.last_two_digits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us() -> PhoneRules {
        PhoneRules::new("US", &["US".to_owned()]).expect("US is a country")
    }

    #[test]
    fn usual_spellings_become_e164() {
        for text in [
            "+1 212-555-0123",
            "(212) 555-0123",
            "2125550123",
            "1 212 555 0123",
            " +12125550123 ",
        ] {
            assert_eq!(
                us().parse(text).map(|n| n.e164().to_owned()),
                Ok("+12125550123".to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_the_plan_says_of_a_number_it_says_of_its_block() {
        let us = namba::Region::new("US").expect("a country");
        let is_valid = |national: u64| {
            let parsed = namba::parse_in(us, &format!("+1{national}"));
            parsed.is_ok_and(|parsed| parsed.is_valid_for(us))
        };
        let (mut valid, mut not_valid) = (0, 0);
        // All over the plan, and all blocks of two exchanges with rules of their own.
        let spread = (0..300).map(|n| 2_000_000 + n * 26_681 % 8_000_000);
        let peculiar = (3_052_000..3_052_010).chain(5_056_000..5_056_010);
        for block in spread.chain(peculiar) {
            let first = is_valid(block * 1_000);
            assert_eq!(is_valid(block * 1_000 + 999), first, "{block}");
            match first {
                true => valid += 1,
                false => not_valid += 1,
            }
        }
        assert!(valid > 50 && not_valid > 50, "{valid}, {not_valid}");
    }

    #[test]
    fn what_was_asked_of_a_block_is_not_asked_again() {
        let blocks = Blocks::none_asked();
        let never = || -> bool { panic!("it is known") };
        // Four blocks share a byte.
        for (national, is_valid) in [
            ("2125550123", true),
            ("2125551123", false),
            ("2125552123", true),
            ("2125553123", false),
            ("9999999999", true),
        ] {
            assert_eq!(blocks.is_valid(national, || is_valid), is_valid);
            assert_eq!(blocks.is_valid(national, never), is_valid);
        }
        assert!(blocks.is_valid("2125550999", never));
        assert!(!blocks.is_valid("2125553000", never));
        assert!(blocks.is_valid("212", || true), "no block");
    }

    #[test]
    fn what_is_no_number_is_refused_without_being_repeated() {
        for text in [
            "abc",
            "+1",
            "+1212555012",
            "+121255501234",
            "911",
            "+1 112 555 0123",
            "+12125550123 ext. 5",
        ] {
            let refused = us().parse(text).expect_err(text);
            assert!(
                matches!(refused, PhoneError::Invalid { .. }),
                "{text}: {refused:?}"
            );
        }
        let refused = us()
            .parse("+1 987 654 321")
            .expect_err("a digit is missing");
        assert!(!refused.to_string().contains("987"), "{refused}");
        assert_eq!(us().parse("  "), Err(PhoneError::Missing));
        assert!(us().parse(&"1".repeat(10_000)).is_err());
    }

    #[test]
    fn every_fictional_number_passes() {
        for code in [200, 212, 415, 555, 800, 999] {
            for last in 0..100 {
                let text = format!("+1{code}55501{last:02}");
                assert!(us().parse(&text).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn a_country_is_taken_only_where_it_is_allowed() {
        let berlin = "+4930123456";
        assert!(
            matches!(us().parse(berlin), Err(PhoneError::CountryNotAllowed { country, .. }) if country == "DE")
        );
        let rules =
            PhoneRules::new("US", &["US".to_owned(), "DE".to_owned()]).expect("both are countries");
        assert!(rules.parse(berlin).is_ok());
        // Toronto shares +1 with the US and is another country all the same.
        assert!(
            matches!(us().parse("+14162345678"), Err(PhoneError::CountryNotAllowed { country, .. }) if country == "CA")
        );
        let canada = PhoneRules::new("CA", &["CA".to_owned()]).expect("a country");
        assert!(matches!(
            canada.parse("+12125550123"),
            Err(PhoneError::CountryNotAllowed { .. })
        ));
    }

    #[test]
    fn listed_ranges_pass_and_nothing_else_does() {
        let ranges = |ranges: &[&str]| {
            let ranges: Vec<String> = ranges.iter().map(|it| (*it).to_owned()).collect();
            us().also_valid(&ranges)
        };
        assert!(us().parse("+15550010001").is_err());
        let rules = ranges(&["+1555001*", "+12025550100"]).expect("ranges");
        for (text, e164) in [
            ("+15550010001", "+15550010001"),
            ("+1 (555) 001-0099", "+15550010099"),
            ("+12125550123", "+12125550123"),
        ] {
            assert_eq!(rules.parse(text).expect(text).e164(), e164);
        }
        for text in [
            "5550010001",
            "+15550020001",
            "+1555001",
            "+1555001000100010001",
            "+1555001x",
        ] {
            assert!(rules.parse(text).is_err(), "{text}");
        }
        for (text, is_range) in [
            ("+15550*", true),
            ("+1555*", false),
            ("+12345678", true),
            ("+1234567", false),
            ("+123456789012345", true),
            ("+1234567890123456", false),
            ("1555001*", false),
            ("+0555001*", false),
            ("+1555*001*", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(ranges(&[text]).is_ok(), is_range, "{text}");
        }
    }

    #[test]
    fn a_number_is_known_however_a_carrier_writes_it() {
        for text in [
            "+12125550123",
            "12125550123",
            "2125550123",
            " +1 (212) 555-0123",
        ] {
            let number = PhoneNumber::from_carrier(text);
            assert_eq!(number.e164(), "+12125550123", "{text}");
        }
        let abroad = PhoneNumber::from_carrier("+442079460123");
        assert_eq!(abroad.e164(), "+442079460123");
    }

    #[test]
    fn a_number_prints_as_its_last_two_digits() {
        let number = us().parse("+12125550123").expect("valid");
        assert_eq!(format!("{number:?}"), "+…23");
        assert_eq!(number.area_code(), Some("212"));
        assert_eq!(number.last_two_digits(), 23);
        assert!(number.is_fictional());
        assert!(!us().parse("+12125551123").expect("valid").is_fictional());
    }
}
