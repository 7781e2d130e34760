//! Messages as JSON for `--json`, as grpcurl prints them with the protos' own field names: what has
//! its default is left out, enums by their full names, 64-bit numbers as text, times in RFC 3339,
//! lengths as seconds (`14.028s`). Fields stand in the order of the protos.

use std::collections::BTreeMap;

use prost_types::{Duration, Timestamp};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::grpc::pb;

pub use gates::checked;
use gates::{gate_check, hold};

/// A JSON value whose objects keep their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Text(String),
    Number(serde_json::Number),
    Bool(bool),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Text(text) => text.serialize(serializer),
            Json::Number(number) => number.serialize(serializer),
            Json::Bool(value) => value.serialize(serializer),
            Json::List(items) => items.serialize(serializer),
            Json::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl Json {
    /// Several lines, indented by two.
    pub fn pretty(&self) -> String {
        // Nothing in a `Json` can fail to be written: its keys are texts, its numbers finite.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// Puts an object together, leaving out what has its default.
#[derive(Default)]
struct Fields(Vec<(String, Json)>);

impl Fields {
    fn put(mut self, name: &str, value: Option<Json>) -> Fields {
        self.0.extend(value.map(|value| (name.to_owned(), value)));
        self
    }

    fn text(self, name: &str, text: &str) -> Fields {
        self.put(
            name,
            (!text.is_empty()).then(|| Json::Text(text.to_owned())),
        )
    }

    fn flag(self, name: &str, is_set: bool) -> Fields {
        self.put(name, is_set.then_some(Json::Bool(true)))
    }

    /// One that says whether it was given.
    fn optional_flag(self, name: &str, flag: Option<bool>) -> Fields {
        self.put(name, flag.map(Json::Bool))
    }

    fn int32(self, name: &str, number: i32) -> Fields {
        self.put(name, (number != 0).then(|| Json::Number(number.into())))
    }

    fn int64(self, name: &str, number: i64) -> Fields {
        self.put(name, (number != 0).then(|| Json::Text(number.to_string())))
    }

    fn double(self, name: &str, number: Option<f64>) -> Fields {
        self.put(
            name,
            number
                .and_then(serde_json::Number::from_f64)
                .map(Json::Number),
        )
    }

    /// A number that this program does not know yet stays a number.
    fn kind(self, name: &str, number: i32, known: Option<&'static str>) -> Fields {
        let value = match known {
            _ if number == 0 => None,
            Some(known) => Some(Json::Text(known.to_owned())),
            None => Some(Json::Number(number.into())),
        };
        self.put(name, value)
    }

    fn time(self, name: &str, time: Option<Timestamp>) -> Fields {
        self.put(name, time.map(|time| Json::Text(rfc3339(time))))
    }

    fn length(self, name: &str, length: Option<Duration>) -> Fields {
        self.put(name, length.map(|length| Json::Text(seconds(length))))
    }

    fn texts(self, name: &str, texts: &[String]) -> Fields {
        let items = texts.iter().cloned().map(Json::Text).collect();
        self.put(name, (!texts.is_empty()).then_some(Json::List(items)))
    }

    fn map(self, name: &str, map: &BTreeMap<String, String>) -> Fields {
        let fields = map
            .iter()
            .map(|(key, value)| (key.clone(), Json::Text(value.clone())))
            .collect();
        self.put(name, (!map.is_empty()).then_some(Json::Object(fields)))
    }

    fn done(self) -> Json {
        Json::Object(self.0)
    }
}

macro_rules! kind {
    ($kind:ident, $number:expr) => {
        pb::$kind::try_from($number)
            .ok()
            .map(|value| value.as_str_name())
    };
}

mod gates;
mod telephony;

pub use telephony::{number, setup, use_case};

pub fn voicemail(voicemail: &pb::Voicemail) -> Json {
    Fields::default()
        .text("id", &voicemail.id)
        .text("use_case_id", &voicemail.use_case_id)
        .text("setup_id", &voicemail.setup_id)
        .text("sender_phone_number", &voicemail.sender_phone_number)
        .text("recipient_phone_number", &voicemail.recipient_phone_number)
        .kind(
            "status",
            voicemail.status,
            kind!(VoicemailStatus, voicemail.status),
        )
        .kind(
            "failure_reason",
            voicemail.failure_reason,
            kind!(FailureReason, voicemail.failure_reason),
        )
        .text("status_detail", &voicemail.status_detail)
        .flag("simulated", voicemail.simulated)
        .put("audio", voicemail.audio.as_ref().map(audio))
        .put("attempts", list(&voicemail.attempts, attempt))
        .map("labels", &voicemail.labels)
        .text("request_id", &voicemail.request_id)
        .time("create_time", voicemail.create_time)
        .time("update_time", voicemail.update_time)
        .time("schedule_time", voicemail.schedule_time)
        .time("expire_time", voicemail.expire_time)
        .time("due_time", voicemail.due_time)
        .time("sent_time", voicemail.sent_time)
        .time("end_time", voicemail.end_time)
        .text("time_zone", &voicemail.time_zone)
        .text("postal_code", &voicemail.postal_code)
        .put("hold", voicemail.hold.as_ref().map(hold))
        .put("gate_checks", list(&voicemail.gate_checks, gate_check))
        .text("batch_id", &voicemail.batch_id)
        .done()
}

/// None where it is empty.
fn list<T>(items: &[T], one: fn(&T) -> Json) -> Option<Json> {
    (!items.is_empty()).then(|| Json::List(items.iter().map(one).collect()))
}

/// What CancelVoicemails did.
pub fn cancelled(done: &pb::CancelVoicemailsResponse) -> Json {
    Fields::default()
        .int64("cancelled_count", done.cancelled_count)
        .int64("too_late_count", done.too_late_count)
        .int64("ended_count", done.ended_count)
        .flag("complete", done.complete)
        .done()
}

fn attempt(attempt: &pb::Attempt) -> Json {
    Fields::default()
        .int32("number", attempt.number)
        .text("carrier", &attempt.carrier)
        .time("start_time", attempt.start_time)
        .time("end_time", attempt.end_time)
        .kind(
            "outcome",
            attempt.outcome,
            kind!(AttemptOutcome, attempt.outcome),
        )
        .kind(
            "failure_reason",
            attempt.failure_reason,
            kind!(FailureReason, attempt.failure_reason),
        )
        .text("carrier_reference", &attempt.carrier_reference)
        .text("carrier_code", &attempt.carrier_code)
        .text("carrier_detail", &attempt.carrier_detail)
        .text("late_outcome", &attempt.late_outcome)
        .put("cost", attempt.cost.as_ref().map(cost))
        .done()
}

fn cost(cost: &pb::Cost) -> Json {
    Fields::default()
        .int64("micros", cost.micros)
        .text("currency_code", &cost.currency_code)
        .done()
}

pub fn audio(audio: &pb::Audio) -> Json {
    Fields::default()
        .text("id", &audio.id)
        .text("sha256", &audio.sha256)
        .int64("size_bytes", audio.size_bytes)
        .length("duration", audio.duration)
        .time("create_time", audio.create_time)
        .done()
}

pub fn suppression(suppression: &pb::Suppression) -> Json {
    Fields::default()
        .text("id", &suppression.id)
        .text("phone_number", &suppression.phone_number)
        .put("scope", suppression.scope.as_ref().map(scope))
        .kind(
            "reason",
            suppression.reason,
            kind!(SuppressionReason, suppression.reason),
        )
        .text("source", &suppression.source)
        .text("actor", &suppression.actor)
        .text("note", &suppression.note)
        .time("create_time", suppression.create_time)
        .time("update_time", suppression.update_time)
        .time("expire_time", suppression.expire_time)
        .time("delete_time", suppression.delete_time)
        .text("delete_reason", &suppression.delete_reason)
        .text("delete_actor", &suppression.delete_actor)
        .done()
}

fn scope(scope: &pb::Scope) -> Json {
    use pb::scope::Scope as Narrowed;
    let fields = Fields::default();
    match &scope.scope {
        Some(Narrowed::EntityName(name)) => fields.text("entity_name", name),
        Some(Narrowed::UseCaseId(id)) => fields.text("use_case_id", id),
        None => fields,
    }
    .done()
}

pub fn created_suppression(answer: &pb::CreateSuppressionResponse) -> Json {
    Fields::default()
        .put("suppression", answer.suppression.as_ref().map(suppression))
        .int64("skipped_count", answer.skipped_count)
        .int64("on_its_way_count", answer.on_its_way_count)
        .done()
}

pub fn import_progress(progress: &pb::ImportProgress) -> Json {
    Fields::default()
        .int64("line_count", progress.line_count)
        .int64("added_count", progress.added_count)
        .int64("known_count", progress.known_count)
        .int64("bad_count", progress.bad_count)
        .int64("skipped_count", progress.skipped_count)
        .done()
}

pub fn consent(consent: &pb::Consent) -> Json {
    Fields::default()
        .text("id", &consent.id)
        .text("phone_number", &consent.phone_number)
        .put("scope", consent.scope.as_ref().map(scope))
        .kind("kind", consent.kind, kind!(ConsentKind, consent.kind))
        .text("text_shown", &consent.text_shown)
        .text("source", &consent.source)
        .text("actor", &consent.actor)
        .time("consent_time", consent.consent_time)
        .time("create_time", consent.create_time)
        .time("revoke_time", consent.revoke_time)
        .text("revoke_reason", &consent.revoke_reason)
        .text("revoke_actor", &consent.revoke_actor)
        .done()
}

pub fn report(report: &pb::GetDeliveryReportResponse) -> Json {
    let groups: Vec<Json> = report.groups.iter().map(group).collect();
    Fields::default()
        .put("groups", (!groups.is_empty()).then_some(Json::List(groups)))
        .put("total", report.total.as_ref().map(group))
        .done()
}

fn group(group: &pb::DeliveryReportGroup) -> Json {
    let counts: Vec<Json> = group
        .status_counts
        .iter()
        .map(|count| {
            Fields::default()
                .kind("status", count.status, kind!(VoicemailStatus, count.status))
                .int64("count", count.count)
                .done()
        })
        .collect();
    Fields::default()
        .text("use_case_id", &group.use_case_id)
        .text("setup_id", &group.setup_id)
        .text("sender_phone_number", &group.sender_phone_number)
        .text("carrier", &group.carrier)
        .kind(
            "failure_reason",
            group.failure_reason,
            kind!(FailureReason, group.failure_reason),
        )
        .time("period_start_time", group.period_start_time)
        .put(
            "status_counts",
            (!counts.is_empty()).then_some(Json::List(counts)),
        )
        .int64("total", group.total)
        .int64("in_flight", group.in_flight)
        .int64("unconfirmed", group.unconfirmed)
        .double("delivery_rate", group.delivery_rate)
        .length("median_delivery_time", group.median_delivery_time)
        .length("p95_delivery_time", group.p95_delivery_time)
        .done()
}

/// In UTC, with 0, 3, 6 or 9 digits behind the second.
pub fn rfc3339(time: Timestamp) -> String {
    match jiff::Timestamp::from_second(time.seconds) {
        Ok(second) => format!(
            "{}{}Z",
            second.strftime("%Y-%m-%dT%H:%M:%S"),
            fraction(time.nanos)
        ),
        Err(_) => format!("{}s", time.seconds),
    }
}

/// `14.028s`. Lengths here are never negative.
pub fn seconds(length: Duration) -> String {
    format!("{}{}s", length.seconds, fraction(length.nanos))
}

fn fraction(nanos: i32) -> String {
    match nanos {
        0 => String::new(),
        nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
        nanos => format!(".{nanos:09}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: i32) -> Timestamp {
        Timestamp { seconds, nanos }
    }

    #[test]
    fn times_and_lengths_have_0_3_6_or_9_digits() {
        assert_eq!(rfc3339(at(1_795_435_200, 0)), "2026-11-23T12:00:00Z");
        assert_eq!(
            rfc3339(at(1_795_435_200, 120_000_000)),
            "2026-11-23T12:00:00.120Z"
        );
        assert_eq!(
            rfc3339(at(1_795_435_200, 120_340_000)),
            "2026-11-23T12:00:00.120340Z"
        );
        assert_eq!(rfc3339(at(-1, 1)), "1969-12-31T23:59:59.000000001Z");
        assert_eq!(
            seconds(Duration {
                seconds: 14,
                nanos: 28_000_000
            }),
            "14.028s"
        );
        assert_eq!(
            seconds(Duration {
                seconds: 0,
                nanos: 0
            }),
            "0s"
        );
    }

    #[test]
    fn a_voicemail_is_written_as_grpcurl_does() {
        let sent = pb::Voicemail {
            id: "v".to_owned(),
            status: pb::VoicemailStatus::NotDelivered as i32,
            failure_reason: pb::FailureReason::MailboxFull as i32,
            simulated: true,
            audio: Some(pb::Audio {
                id: "a".to_owned(),
                size_bytes: 43_000,
                duration: Some(Duration {
                    seconds: 14,
                    nanos: 0,
                }),
                ..pb::Audio::default()
            }),
            attempts: vec![pb::Attempt {
                number: 1,
                outcome: pb::AttemptOutcome::Rejected as i32,
                ..pb::Attempt::default()
            }],
            labels: BTreeMap::from([("ward".to_owned(), "3b".to_owned())]),
            create_time: Some(at(0, 5_000)),
            ..pb::Voicemail::default()
        };
        let text = serde_json::to_string(&voicemail(&sent)).expect("JSON");
        let expected = concat!(
            r#"{"id":"v","status":"VOICEMAIL_STATUS_NOT_DELIVERED","failure_reason":"FAILURE_REASON_MAILBOX_FULL","#,
            r#""simulated":true,"audio":{"id":"a","size_bytes":"43000","duration":"14s"},"#,
            r#""attempts":[{"number":1,"outcome":"ATTEMPT_OUTCOME_REJECTED"}],"labels":{"ward":"3b"},"#,
            r#""create_time":"1970-01-01T00:00:00.000005Z"}"#
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_status_of_a_newer_server_stays_a_number() {
        let newer = pb::Setup {
            status: 99,
            ..pb::Setup::default()
        };
        assert_eq!(
            serde_json::to_string(&setup(&newer)).expect("JSON"),
            r#"{"status":99}"#
        );
    }

    #[test]
    fn a_rate_of_nothing_is_left_out_and_a_rate_of_0_is_not() {
        let rate = |rate| {
            let total = pb::DeliveryReportGroup {
                delivery_rate: rate,
                total: 2,
                ..pb::DeliveryReportGroup::default()
            };
            serde_json::to_string(&group(&total)).expect("JSON")
        };
        assert_eq!(rate(None), r#"{"total":"2"}"#);
        assert_eq!(rate(Some(0.0)), r#"{"total":"2","delivery_rate":0.0}"#);
    }
}
