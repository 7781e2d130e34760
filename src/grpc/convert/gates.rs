//! Gates: what is asked of them, and what they found.

use super::{Fields, to_timestamp};
use crate::domain::gate::{Finding, GateCheck, Rules, Verdict};
use crate::domain::ids::{AudioId, UseCaseId};
use crate::domain::voicemail::Hold;
use crate::grpc::pb;
use crate::ops::check_recipient::{CheckRequest, Checked};
use crate::ops::error::Result;

/// An IANA time zone, or none.
pub fn time_zone(fields: &mut Fields, field: &str, text: &str, rules: &Rules) -> Option<String> {
    checked(fields, field, text, |text| {
        rules.tables.check_time_zone(text)
    })
}

/// A US ZIP code, or none.
pub fn postal_code(fields: &mut Fields, field: &str, text: &str, rules: &Rules) -> Option<String> {
    checked(fields, field, text, |text| {
        rules.tables.check_postal_code(text)
    })
}

fn checked(
    fields: &mut Fields,
    field: &str,
    text: &str,
    check: impl Fn(&str) -> std::result::Result<(), String>,
) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    match check(text) {
        Ok(()) => Some(text.to_owned()),
        Err(why) => {
            fields.bad(field, why);
            None
        }
    }
}

pub fn check_request(request: &pb::CheckRecipientRequest, rules: &Rules) -> Result<CheckRequest> {
    let mut fields = Fields::default();
    let use_case_id = fields.id("use_case_id", &request.use_case_id, UseCaseId::parse);
    let recipient = fields.phone(
        "recipient_phone_number",
        &request.recipient_phone_number,
        &rules.numbers,
    );
    let time_zone = time_zone(&mut fields, "time_zone", &request.time_zone, rules);
    let postal_code = postal_code(&mut fields, "postal_code", &request.postal_code, rules);
    let audio_id = fields.optional_id("audio_id", &request.audio_id, AudioId::parse);
    let send_time = fields.time("send_time", request.send_time.as_ref());
    let request = match (use_case_id, recipient) {
        (Some(use_case_id), Some(recipient)) => Some(CheckRequest {
            use_case_id,
            recipient,
            time_zone,
            postal_code,
            audio_id,
            send_time,
        }),
        _ => None,
    };
    fields.finish(request)
}

pub fn to_checked(checked: Checked) -> pb::CheckRecipientResponse {
    let verdict = match checked.found.decisive() {
        None => Verdict::Pass,
        Some(finding) => finding.verdict,
    };
    let hold_until = match verdict {
        Verdict::Hold { until } => Some(to_timestamp(until)),
        Verdict::Pass | Verdict::Refuse { .. } => None,
    };
    pb::CheckRecipientResponse {
        verdict: verdict.kind() as i32,
        findings: checked.found.findings.into_iter().map(to_finding).collect(),
        hold_until,
        rules_version: checked.found.rules_version,
    }
}

pub fn to_hold(hold: Hold, why: &str) -> pb::GateHold {
    pb::GateHold {
        gate: hold.gate as i32,
        why: why.to_owned(),
        hold_until: Some(to_timestamp(hold.until)),
    }
}

pub fn to_gate_check(check: GateCheck) -> pb::GateCheck {
    let verdict = match check.found.decisive() {
        None => Verdict::Pass,
        Some(finding) => finding.verdict,
    };
    pb::GateCheck {
        number: check.number,
        check_time: Some(to_timestamp(check.time)),
        last_time: Some(to_timestamp(check.last_time)),
        verdict: verdict.kind() as i32,
        findings: check.found.findings.into_iter().map(to_finding).collect(),
        rules_version: check.found.rules_version,
    }
}

fn to_finding(finding: Finding) -> pb::GateFinding {
    let (failure_reason, hold_until) = match finding.verdict {
        Verdict::Pass => (0, None),
        Verdict::Hold { until } => (0, Some(to_timestamp(until))),
        Verdict::Refuse { reason } => (reason as i32, None),
    };
    let input = |(name, value)| pb::GateInput { name, value };
    pb::GateFinding {
        gate: finding.gate as i32,
        verdict: finding.verdict.kind() as i32,
        failure_reason,
        hold_until,
        why: finding.why,
        inputs: finding.inputs.into_iter().map(input).collect(),
    }
}
