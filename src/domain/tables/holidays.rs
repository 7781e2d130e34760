//! Legal holidays, as rules that hold for every year.

use jiff::civil::{Date, Weekday};
use serde::Deserialize;
use toml::Value;

use super::head::{Head, TableFault, from_toml};

#[derive(Debug, Clone)]
pub struct Holidays {
    head: Head,
    holidays: Vec<Holiday>,
}

#[derive(Debug, Clone)]
struct Holiday {
    name: String,
    rule: Rule,
}

/// When a holiday is.
#[derive(Debug, Clone)]
enum Rule {
    /// On one day of each year; where it is observed and falls on a Saturday or a Sunday, on the Friday before or
    /// the Monday after as well.
    Day {
        month: i8,
        day: i8,
        is_observed: bool,
    },
    /// On the nth of a weekday in a month.
    Nth {
        month: i8,
        weekday: Weekday,
        nth: i8,
    },
    /// On the last of a weekday in a month.
    Last { month: i8, weekday: Weekday },
    /// On these days and no others.
    Dates(Vec<Date>),
}

impl Rule {
    fn is_on(&self, date: Date) -> bool {
        match self {
            Rule::Day {
                month,
                day,
                is_observed,
            } => {
                let is_day = |date: Date| (date.month(), date.day()) == (*month, *day);
                let observed = || match date.weekday() {
                    Weekday::Friday => date.tomorrow().is_ok_and(is_day),
                    Weekday::Monday => date.yesterday().is_ok_and(is_day),
                    _ => false,
                };
                is_day(date) || (*is_observed && observed())
            }
            Rule::Nth {
                month,
                weekday,
                nth,
            } => {
                date.month() == *month
                    && (date.day() - 1) / 7 + 1 == *nth
                    && date.weekday() == *weekday
            }
            Rule::Last { month, weekday } => {
                date.month() == *month
                    && date.day() + 7 > date.days_in_month()
                    && date.weekday() == *weekday
            }
            Rule::Dates(dates) => dates.contains(&date),
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
    #[serde(default)]
    holidays: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    day: Option<String>,
    observed: Option<bool>,
    month: Option<i64>,
    weekday: Option<String>,
    nth: Option<Value>,
    dates: Option<Vec<String>>,
}

impl Holidays {
    pub fn parse(text: &str) -> Result<Holidays, TableFault> {
        let file: File = from_toml(text)?;
        let holidays = file
            .holidays
            .into_iter()
            .map(|row| match rule(&row) {
                Ok(rule) => Ok(Holiday {
                    name: row.name,
                    rule,
                }),
                Err(why) => Err(TableFault::at(format!("holiday `{}`", row.name), why)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Holidays {
            head: Head::new(file.version, file.source, file.date)?,
            holidays,
        })
    }

    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The name of the holiday that this day is.
    pub fn on(&self, date: Date) -> Option<&str> {
        let holiday = self.holidays.iter().find(|it| it.rule.is_on(date));
        holiday.map(|it| it.name.as_str())
    }
}

fn rule(row: &Row) -> Result<Rule, String> {
    match row {
        Row {
            day: Some(day),
            observed,
            month: None,
            weekday: None,
            nth: None,
            dates: None,
            ..
        } => day_rule(day, observed.unwrap_or(false)),
        Row {
            day: None,
            observed: None,
            month: Some(month),
            weekday: Some(weekday),
            nth: Some(nth),
            dates: None,
            ..
        } => weekday_rule(*month, weekday, nth),
        Row {
            day: None,
            observed: None,
            month: None,
            weekday: None,
            nth: None,
            dates: Some(dates),
            ..
        } => {
            let parse = |text: &String| {
                let date = text.parse::<Date>();
                date.map_err(|_| format!("`{text}` is no day; give YYYY-MM-DD"))
            };
            dates.iter().map(parse).collect::<Result<_, _>>().map(Rule::Dates)
        }
        _ => Err("its keys don't go together; give `day` and if need be `observed`, or `month`, `weekday` and `nth`, or `dates`".to_owned()),
    }
}

fn day_rule(day: &str, is_observed: bool) -> Result<Rule, String> {
    // Read as a day of a leap year, so that 29 February is one.
    let is_short = day.len() == 5;
    match format!("2000-{day}").parse::<Date>() {
        Ok(date) if is_short => Ok(Rule::Day {
            month: date.month(),
            day: date.day(),
            is_observed,
        }),
        _ => Err(format!(
            "day = `{day}` is no day of a year; give MM-DD, such as `07-04`"
        )),
    }
}

fn weekday_rule(month: i64, weekday: &str, nth: &Value) -> Result<Rule, String> {
    let month = i8::try_from(month)
        .ok()
        .filter(|month| (1..=12).contains(month))
        .ok_or_else(|| format!("month = {month} is no month; allowed are 1 to 12"))?;
    let weekday = match weekday {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        other => {
            return Err(format!(
                "weekday = `{other}` is no weekday; allowed are `monday` to `sunday`"
            ));
        }
    };
    match nth {
        Value::Integer(nth @ 1..=5) => Ok(Rule::Nth {
            month,
            weekday,
            nth: i8::try_from(*nth).unwrap_or(5),
        }),
        Value::String(word) if word == "last" => Ok(Rule::Last { month, weekday }),
        other => Err(format!(
            "nth = {other} is not allowed; give 1 to 5, or \"last\""
        )),
    }
}
