//! Values as they are typed: labels, times, and the names of enums in whatever spelling.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use prost_types::Timestamp;

use crate::grpc::pb;

/// `KEY=VALUE`; the value may hold further `=`. What a key may be is the server's to say.
pub fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("give KEY=VALUE, for example ward=3b".to_owned()),
    }
}

/// An instant: RFC 3339 with its offset.
pub fn time(text: &str) -> Result<Timestamp, String> {
    match text.parse::<jiff::Timestamp>() {
        Ok(instant) => Ok(timestamp(instant)),
        Err(_) => Err(
            "give an RFC 3339 time, for example 2026-11-23T09:30:00Z or 2026-11-23T09:30:00-05:00"
                .to_owned(),
        ),
    }
}

/// An instant, or a day, which means its first moment in a zone that is known later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Instant(jiff::Timestamp),
    Day(Date),
}

impl Moment {
    pub fn within(self, zone: &TimeZone) -> Result<Timestamp, String> {
        match self {
            Moment::Instant(instant) => Ok(timestamp(instant)),
            Moment::Day(day) => match day.to_zoned(zone.clone()) {
                Ok(start) => Ok(timestamp(start.timestamp())),
                Err(error) => Err(format!("{day} can't be placed: {error}")),
            },
        }
    }
}

pub fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(Moment::Instant(instant));
    }
    let is_day = text.len() == 10;
    match text.parse::<Date>() {
        Ok(day) if is_day => Ok(Moment::Day(day)),
        _ => Err("give an RFC 3339 time, for example 2026-11-23T09:30:00Z, or a day, for example 2026-11-23".to_owned()),
    }
}

/// The same, with a day read in UTC.
pub fn moment_utc(text: &str) -> Result<Timestamp, String> {
    moment(text)?.within(&TimeZone::UTC)
}

/// An IANA zone that this machine knows.
pub fn time_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text)
        .map_err(|_| "give an IANA zone, for example America/New_York, or UTC".to_owned())
}

pub fn timestamp(instant: jiff::Timestamp) -> Timestamp {
    // The second is cut towards zero by jiff and its rest carries the sign; protobuf's rest never does.
    let nanos = instant.as_nanosecond();
    Timestamp {
        seconds: i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or_default(),
        nanos: i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default(),
    }
}

/// A step of a warm-up, such as each in `0:20,3:50,7:200`.
pub fn warm_up_step(text: &str) -> Result<pb::WarmUpStep, String> {
    let step = text.split_once(':').and_then(|(from_day, daily_cap)| {
        Some(pb::WarmUpStep {
            from_day: from_day.parse().ok()?,
            daily_cap: daily_cap.parse().ok()?,
        })
    });
    step.ok_or_else(|| {
        "give DAY:CAP, for example 0:20,3:50,7:200, which means 20 a day at first, 50 from day 3 on"
            .to_owned()
    })
}

/// Reads the name of an enum's value, with or without its prefix, in upper or lower case, with `-` or `_`.
macro_rules! named {
    ($($(#[$doc:meta])* $read:ident: $kind:ident, $prefix:literal;)+) => {$(
        $(#[$doc])*
        pub fn $read(text: &str) -> Result<pb::$kind, String> {
            let name = text.to_ascii_uppercase().replace('-', "_");
            let full = format!("{}{}", $prefix, name.strip_prefix($prefix).unwrap_or(&name));
            match pb::$kind::from_str_name(&full) {
                Some(value) if value as i32 != 0 => Ok(value),
                _ => Err(format!("give one of: {}", allowed(|number| {
                    pb::$kind::try_from(number).ok().map(|value| value.as_str_name())
                }, $prefix))),
            }
        }
    )+};
}

named! {
    voicemail_status: VoicemailStatus, "VOICEMAIL_STATUS_";
    failure_reason: FailureReason, "FAILURE_REASON_";
    setup_status: SetupStatus, "SETUP_STATUS_";
    number_status: PhoneNumberStatus, "PHONE_NUMBER_STATUS_";
    channel: Channel, "CHANNEL_";
    purpose: Purpose, "PURPOSE_";
    suppression_reason: SuppressionReason, "SUPPRESSION_REASON_";
    scope_kind: ScopeKind, "SCOPE_KIND_";
    consent_kind: ConsentKind, "CONSENT_KIND_";
    sender_policy: SenderPolicy, "SENDER_POLICY_";
    /// What a report groups by.
    dimension: ReportDimension, "REPORT_DIMENSION_";
}

/// The values of an enum as one types them.
fn allowed(name: impl Fn(i32) -> Option<&'static str>, prefix: &str) -> String {
    let names = (1..).map_while(name).map(|name| typed(name, prefix));
    names.collect::<Vec<_>>().join(", ")
}

/// `VOICEMAIL_STATUS_NOT_DELIVERED` as `not-delivered`.
fn typed(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix)
        .unwrap_or(name)
        .to_ascii_lowercase()
        .replace('_', "-")
}

/// The numbers of enum values, as requests hold them.
pub fn numbers<T: Copy + Into<i32>>(values: &[T]) -> Vec<i32> {
    values.iter().map(|value| (*value).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_cut_at_its_first_equals_sign() {
        assert_eq!(label("ward=3b"), Ok(("ward".to_owned(), "3b".to_owned())));
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(label("a="), Ok(("a".to_owned(), String::new())));
        assert!(label("ward").is_err());
        assert!(label("=x").is_err());
    }

    #[test]
    fn a_step_of_a_warm_up_is_a_day_and_a_cap() {
        let step = |from_day, daily_cap| pb::WarmUpStep {
            from_day,
            daily_cap,
        };
        assert_eq!(warm_up_step("0:20"), Ok(step(0, 20)));
        assert_eq!(warm_up_step("30:0"), Ok(step(30, 0)));
        for text in ["", "20", ":", "3:", ":50", "3:50:7", "a:b"] {
            assert!(warm_up_step(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_needs_its_offset() {
        let noon = time("2026-11-23T12:00:00Z").expect("RFC 3339");
        assert_eq!(time("2026-11-23T07:00:00-05:00"), Ok(noon));
        assert_eq!(noon.seconds, 1_795_435_200);
        for text in ["2026-11-23T12:00:00", "2026-11-23", "tomorrow", ""] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_before_1970_keeps_a_positive_rest() {
        assert_eq!(
            time("1969-12-31T23:59:59.75Z"),
            Ok(Timestamp {
                seconds: -1,
                nanos: 750_000_000
            })
        );
    }

    #[test]
    fn a_day_begins_where_its_zone_says() {
        let zone = time_zone("America/New_York").expect("a zone");
        let day = moment("2026-11-23").expect("a day");
        assert_eq!(day.within(&zone), time("2026-11-23T05:00:00Z"));
        assert_eq!(moment_utc("2026-11-23"), time("2026-11-23T00:00:00Z"));
        for text in ["2026-11", "2026-11-23T10:00", "20261123"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn enum_values_are_read_in_any_spelling() {
        for text in [
            "not-delivered",
            "NOT_DELIVERED",
            "VOICEMAIL_STATUS_NOT_DELIVERED",
            "Not_Delivered",
        ] {
            assert_eq!(
                voicemail_status(text),
                Ok(pb::VoicemailStatus::NotDelivered),
                "{text}"
            );
        }
        assert_eq!(dimension("use-case"), Ok(pb::ReportDimension::UseCase));
        assert_eq!(
            channel("ringless-voicemail"),
            Ok(pb::Channel::RinglessVoicemail)
        );
        let refused = voicemail_status("unspecified").expect_err("not a value to ask for");
        assert_eq!(
            refused,
            "give one of: accepted, sending, sent, delivered, not-delivered, failed, skipped, cancelled, unconfirmed"
        );
    }
}
