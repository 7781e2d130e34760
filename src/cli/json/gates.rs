//! What the gates found.

use super::{Fields, Json, list};
use crate::grpc::pb;

pub(super) fn hold(hold: &pb::GateHold) -> Json {
    Fields::default()
        .kind("gate", hold.gate, kind!(Gate, hold.gate))
        .text("why", &hold.why)
        .time("hold_until", hold.hold_until)
        .done()
}

pub(super) fn gate_check(check: &pb::GateCheck) -> Json {
    Fields::default()
        .int32("number", check.number)
        .time("check_time", check.check_time)
        .time("last_time", check.last_time)
        .kind("verdict", check.verdict, kind!(GateVerdict, check.verdict))
        .put("findings", list(&check.findings, finding))
        .text("rules_version", &check.rules_version)
        .done()
}

fn finding(finding: &pb::GateFinding) -> Json {
    let input = |input: &pb::GateInput| {
        Fields::default()
            .text("name", &input.name)
            .text("value", &input.value)
            .done()
    };
    Fields::default()
        .kind("gate", finding.gate, kind!(Gate, finding.gate))
        .kind(
            "verdict",
            finding.verdict,
            kind!(GateVerdict, finding.verdict),
        )
        .kind(
            "failure_reason",
            finding.failure_reason,
            kind!(FailureReason, finding.failure_reason),
        )
        .time("hold_until", finding.hold_until)
        .text("why", &finding.why)
        .put("inputs", list(&finding.inputs, input))
        .done()
}

/// The answer of CheckRecipient.
pub fn checked(checked: &pb::CheckRecipientResponse) -> Json {
    Fields::default()
        .kind(
            "verdict",
            checked.verdict,
            kind!(GateVerdict, checked.verdict),
        )
        .put("findings", list(&checked.findings, finding))
        .time("hold_until", checked.hold_until)
        .text("rules_version", &checked.rules_version)
        .done()
}
