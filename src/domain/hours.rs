//! A stretch of a day, by the clock on the wall.

use std::fmt;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// From one minute of a day to another one of the same day, which is not included: `08:00` to `21:00`. Never
/// empty, and never over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hours {
    from: u16,
    to: u16,
}

impl Hours {
    pub const ALL_DAY: Hours = Hours { from: 0, to: DAY };

    /// Of two times `HH:MM`, from `00:00` to `24:00`.
    pub fn parse(from: &str, to: &str) -> Result<Hours, String> {
        let minute = |text: &str| {
            minute_of(text).ok_or_else(|| {
                let shown: String = text.chars().take(16).collect();
                format!("`{shown}` is no time of a day; give HH:MM, 00:00 to 24:00")
            })
        };
        match (minute(from)?, minute(to)?) {
            (first, last) if first < last => Ok(Hours {
                from: first,
                to: last,
            }),
            _ => Err(format!(
                "`{from}` to `{to}` is no stretch of a day; the first time must be before the second, and both of one day"
            )),
        }
    }

    /// The minute of the day at which it begins, 0 to 1439.
    pub fn from_minute(self) -> u16 {
        self.from
    }

    /// The first minute of the day after it, 1 to 1440.
    pub fn to_minute(self) -> u16 {
        self.to
    }

    /// What both have; `None`: nothing.
    pub fn and(self, other: Hours) -> Option<Hours> {
        let both = Hours {
            from: self.from.max(other.from),
            to: self.to.min(other.to),
        };
        (both.from < both.to).then_some(both)
    }

    /// Does it end where the next day begins?
    pub fn reaches_midnight(self) -> bool {
        self.to == DAY
    }
}

/// `08:30` is 510.
fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| {
        let is_two = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        is_two.then(|| part.parse::<u16>().ok())?
    };
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    let of_day = hour * 60 + minute;
    (minute < 60 && of_day <= DAY).then_some(of_day)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(
            f,
            "{:02}:{:02} to {:02}:{:02}",
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_written_as_they_are_read() {
        for (from, to) in [
            ("08:00", "21:00"),
            ("00:00", "24:00"),
            ("00:00", "00:01"),
            ("23:59", "24:00"),
        ] {
            let hours = Hours::parse(from, to).expect(from);
            assert_eq!(hours.to_string(), format!("{from} to {to}"));
        }
    }

    #[test]
    fn what_is_no_stretch_of_a_day_is_refused() {
        for (from, to, said) in [
            ("8:00", "21:00", "HH:MM"),
            ("08:00", "24:01", "`24:01`"),
            ("08:60", "21:00", "`08:60`"),
            ("+8:00", "21:00", "HH:MM"),
            ("", "21:00", "HH:MM"),
            ("08:00", "08:00", "must be before"),
            ("21:00", "08:00", "must be before"),
        ] {
            let fault = Hours::parse(from, to).expect_err(from);
            assert!(fault.contains(said), "{from} {to}: {fault}");
        }
    }

    #[test]
    fn two_stretches_have_their_overlap_in_common() {
        let hours = |from, to| Hours::parse(from, to).expect("hours");
        let day = hours("08:00", "20:00");
        assert_eq!(
            day.and(hours("09:00", "21:00")),
            Some(hours("09:00", "20:00"))
        );
        assert_eq!(day.and(Hours::ALL_DAY), Some(day));
        assert_eq!(day.and(hours("20:00", "21:00")), None);
        assert_eq!(
            day.and(hours("19:59", "21:00")),
            Some(hours("19:59", "20:00"))
        );
    }
}
