//! Voicemails, audio, filters and the report.

use super::{Fields, gates, to_duration, to_timestamp};
use crate::domain::attempt::Attempt;
use crate::domain::failure::FailureReason;
use crate::domain::gate::Rules;
use crate::domain::ids::{AudioId, SetupId, UseCaseId};
use crate::domain::labels;
use crate::domain::phone::PhoneRules;
use crate::domain::report::{Dimension, Group, SPAN_MAX, Tally};
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::domain::voicemail::{Audio, Voicemail};
use crate::grpc::pb;
use crate::ops::batch::Recipient;
use crate::ops::error::Result;
use crate::ops::report::{Report, ReportRequest};
use crate::ops::send_voicemail::Draft;
use crate::storage::VoicemailFilter;

/// A draft, or what is wrong with its fields.
pub fn draft(metadata: pb::SendVoicemailMetadata, rules: &Rules) -> Recipient {
    let mut fields = Fields::default();
    let use_case_id = fields.id(
        "metadata.use_case_id",
        &metadata.use_case_id,
        UseCaseId::parse,
    );
    let recipient = fields.phone(
        "metadata.recipient_phone_number",
        &metadata.recipient_phone_number,
        &rules.numbers,
    );
    let audio_id = fields.optional_id("metadata.audio_id", &metadata.audio_id, AudioId::parse);
    let request_id = fields.request_id("metadata.request_id", &metadata.request_id);
    let schedule_time = fields.time("metadata.schedule_time", metadata.schedule_time.as_ref());
    let expire_time = fields.time("metadata.expire_time", metadata.expire_time.as_ref());
    for fault in labels::faults(&metadata.labels) {
        fields.bad("metadata.labels", fault);
    }
    let (zone, code) = (&metadata.time_zone, &metadata.postal_code);
    let time_zone = gates::time_zone(&mut fields, "metadata.time_zone", zone, rules);
    let postal_code = gates::postal_code(&mut fields, "metadata.postal_code", code, rules);
    let violations = fields.into_violations();
    match (use_case_id, recipient) {
        (Some(use_case_id), Some(recipient)) if violations.is_empty() => Recipient::Good(Draft {
            use_case_id,
            recipient,
            audio_id,
            request_id,
            schedule_time,
            expire_time,
            labels: metadata.labels,
            time_zone,
            postal_code,
            validate_only: metadata.validate_only,
        }),
        _ => Recipient::Bad {
            violations,
            schedule_time,
            expire_time,
        },
    }
}

/// A voicemail that was only judged has no id and no create_time.
pub fn to_voicemail(voicemail: Voicemail, is_stored: bool) -> pb::Voicemail {
    let stored_time = |time: Time| is_stored.then(|| to_timestamp(time));
    let hold = |hold| gates::to_hold(hold, &voicemail.status_detail);
    pb::Voicemail {
        hold: voicemail.hold.map(hold),
        id: if is_stored {
            voicemail.id.to_string()
        } else {
            String::new()
        },
        use_case_id: voicemail.use_case_id.to_string(),
        setup_id: voicemail.setup_id.to_string(),
        sender_phone_number: voicemail.sender.e164().to_owned(),
        recipient_phone_number: voicemail.recipient.e164().to_owned(),
        status: voicemail.status as i32,
        failure_reason: voicemail.failure_reason.map_or(0, |reason| reason as i32),
        status_detail: voicemail.status_detail,
        simulated: voicemail.simulated,
        audio: Some(to_audio(voicemail.audio)),
        attempts: voicemail.attempts.into_iter().map(to_attempt).collect(),
        labels: voicemail.labels,
        request_id: voicemail.request_id.unwrap_or_default(),
        batch_id: voicemail.batch_id.unwrap_or_default(),
        create_time: stored_time(voicemail.create_time),
        update_time: stored_time(voicemail.update_time),
        schedule_time: voicemail.schedule_time.map(to_timestamp),
        expire_time: Some(to_timestamp(voicemail.expire_time)),
        due_time: Some(to_timestamp(voicemail.due_time)),
        sent_time: voicemail.sent_time.map(to_timestamp),
        end_time: voicemail.end_time.map(to_timestamp),
        time_zone: voicemail.time_zone.unwrap_or_default(),
        postal_code: voicemail.postal_code.unwrap_or_default(),
        gate_checks: (voicemail.gate_checks.into_iter())
            .map(gates::to_gate_check)
            .collect(),
    }
}

/// Audio that was judged and not stored has no id and no create_time.
pub fn to_audio(audio: Audio) -> pb::Audio {
    let is_stored = audio.create_time != Time::EPOCH;
    pb::Audio {
        id: if is_stored {
            audio.id.to_string()
        } else {
            String::new()
        },
        sha256: crate::domain::hex(&audio.sha256),
        size_bytes: i64::try_from(audio.size_bytes).unwrap_or(i64::MAX),
        duration: Some(to_duration(std::time::Duration::from_millis(
            audio.duration_ms.into(),
        ))),
        create_time: is_stored.then(|| to_timestamp(audio.create_time)),
    }
}

fn to_attempt(attempt: Attempt) -> pb::Attempt {
    pb::Attempt {
        number: attempt.number,
        carrier: attempt.carrier,
        start_time: Some(to_timestamp(attempt.start_time)),
        end_time: attempt.end_time.map(to_timestamp),
        outcome: attempt.outcome.map_or(0, |outcome| outcome as i32),
        failure_reason: attempt.failure_reason.map_or(0, |reason| reason as i32),
        carrier_reference: attempt.carrier_reference,
        carrier_code: attempt.carrier_code,
        carrier_detail: attempt.carrier_detail,
        late_outcome: attempt.late_outcome,
        cost: attempt.cost.map(|cost| pb::Cost {
            micros: cost.micros,
            currency_code: cost.currency,
        }),
    }
}

/// The filters that ListVoicemails and GetDeliveryReport share.
macro_rules! shared_filter {
    ($fields:expr, $request:expr, $rules:expr) => {{
        let fields: &mut Fields = $fields;
        let request_id = fields.request_id("request_id", &$request.request_id);
        for fault in labels::faults(&$request.labels) {
            fields.bad("labels", fault);
        }
        VoicemailFilter {
            use_case_id: fields.optional_id("use_case_id", &$request.use_case_id, UseCaseId::parse),
            setup_id: fields.optional_id("setup_id", &$request.setup_id, SetupId::parse),
            statuses: fields.codes("statuses", &$request.statuses, Status::from_code),
            failure_reasons: fields.codes(
                "failure_reasons",
                &$request.failure_reasons,
                FailureReason::from_code,
            ),
            recipient: fields.optional_phone(
                "recipient_phone_number",
                &$request.recipient_phone_number,
                $rules,
            ),
            sender: fields.optional_phone(
                "sender_phone_number",
                &$request.sender_phone_number,
                $rules,
            ),
            request_id,
            labels: $request.labels.clone(),
            batch_id: fields.optional_batch_id("batch_id", &$request.batch_id),
            create_time_from: None,
            create_time_to: None,
            end_time_from: fields.time("end_time_from", $request.end_time_from.as_ref()),
            end_time_to: fields.time("end_time_to", $request.end_time_to.as_ref()),
            update_time_from: fields.time("update_time_from", $request.update_time_from.as_ref()),
        }
    }};
}

pub fn filter(
    fields: &mut Fields,
    request: &pb::ListVoicemailsRequest,
    rules: &PhoneRules,
) -> VoicemailFilter {
    let filter = shared_filter!(fields, request, rules);
    VoicemailFilter {
        create_time_from: fields.time("create_time_from", request.create_time_from.as_ref()),
        create_time_to: fields.time("create_time_to", request.create_time_to.as_ref()),
        ..filter
    }
}

pub fn report_request(
    request: &pb::GetDeliveryReportRequest,
    rules: &PhoneRules,
) -> Result<ReportRequest> {
    let mut fields = Fields::default();
    let filter = shared_filter!(&mut fields, request, rules);
    for (field, time) in [
        ("start_time", &request.start_time),
        ("end_time", &request.end_time),
    ] {
        if time.is_none() {
            fields.bad(
                field,
                "it is missing; a report covers [start_time, end_time) of at most 400 days",
            );
        }
    }
    let start = fields.time("start_time", request.start_time.as_ref());
    let end = fields.time("end_time", request.end_time.as_ref());
    if let (Some(start), Some(end)) = (start, end) {
        if end <= start {
            fields.bad(
                "end_time",
                format!("it is {end}; it must be after start_time, {start}"),
            );
        } else if end.since(start) > SPAN_MAX {
            fields.bad(
                "end_time",
                format!(
                    "it is {end}; at most 400 days after start_time are allowed, that is {}",
                    start.plus(SPAN_MAX)
                ),
            );
        }
    }
    let dimensions = dimensions(&mut fields, &request.group_by);
    let name = match request.time_zone.as_str() {
        "" => "UTC",
        name => name,
    };
    let time_zone = jiff::tz::TimeZone::get(name).ok();
    if time_zone.is_none() {
        fields.bad(
            "time_zone",
            "it is no IANA time zone; give one such as America/New_York, or none for UTC",
        );
    }
    let request = time_zone.map(|time_zone| ReportRequest {
        filter: VoicemailFilter {
            create_time_from: start,
            create_time_to: end,
            ..filter
        },
        dimensions,
        time_zone,
        include_simulated: request.include_simulated,
    });
    fields.finish(request)
}

fn dimensions(fields: &mut Fields, numbers: &[i32]) -> Vec<Dimension> {
    let from_code = |code| match pb::ReportDimension::try_from(i32::from(code)) {
        Ok(pb::ReportDimension::UseCase) => Some(Dimension::UseCase),
        Ok(pb::ReportDimension::Setup) => Some(Dimension::Setup),
        Ok(pb::ReportDimension::Sender) => Some(Dimension::Sender),
        Ok(pb::ReportDimension::Carrier) => Some(Dimension::Carrier),
        Ok(pb::ReportDimension::FailureReason) => Some(Dimension::FailureReason),
        Ok(pb::ReportDimension::Day) => Some(Dimension::Day),
        Ok(pb::ReportDimension::Hour) => Some(Dimension::Hour),
        Ok(pb::ReportDimension::Unspecified) | Err(_) => None,
    };
    let dimensions = fields.codes("group_by", numbers, from_code);
    let count = |wanted| dimensions.iter().filter(|d| **d == wanted).count();
    if dimensions.iter().any(|dimension| count(*dimension) > 1) {
        fields.bad("group_by", "a dimension stands here twice. Name each once");
    }
    if count(Dimension::Day) > 0 && count(Dimension::Hour) > 0 {
        fields.bad(
            "group_by",
            "DAY and HOUR stand here together. Take one of them",
        );
    }
    dimensions
}

pub fn to_report(report: Report) -> pb::GetDeliveryReportResponse {
    pb::GetDeliveryReportResponse {
        groups: report
            .groups
            .iter()
            .map(|(group, tally)| to_group(group, tally))
            .collect(),
        total: Some(to_group(&Group::default(), &report.total)),
    }
}

fn to_group(group: &Group, tally: &Tally) -> pb::DeliveryReportGroup {
    pb::DeliveryReportGroup {
        use_case_id: group
            .use_case_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        setup_id: group.setup_id.map(|id| id.to_string()).unwrap_or_default(),
        sender_phone_number: group.sender.clone().unwrap_or_default(),
        carrier: group.carrier.clone().unwrap_or_default(),
        failure_reason: group
            .failure_reason
            .flatten()
            .map_or(0, |reason| reason as i32),
        period_start_time: group
            .period_start_us
            .map(|us| to_timestamp(Time::from_micros(us))),
        status_counts: Status::ALL
            .into_iter()
            .filter(|status| tally.count(*status) > 0)
            .map(|status| pb::StatusCount {
                status: status as i32,
                count: tally.count(status),
            })
            .collect(),
        total: tally.total(),
        in_flight: tally.in_flight(),
        unconfirmed: tally.count(Status::Unconfirmed),
        delivery_rate: tally.delivery_rate(),
        median_delivery_time: tally.percentile(0.5).map(to_duration),
        p95_delivery_time: tally.percentile(0.95).map(to_duration),
    }
}
