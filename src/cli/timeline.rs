//! One voicemail's way as a timeline: what it waited for, what the gates said and from what, each call of a
//! carrier, and how it ended, so that "why did this patient not get it" is answered by one command.

use prost_types::Timestamp;

use super::show;
use crate::grpc::pb;

/// One line, and lines that belong below it.
struct Entry {
    time: Timestamp,
    what: String,
    below: Vec<String>,
}

/// In the order of time; empty where nothing has happened that has a time.
pub fn of(voicemail: &pb::Voicemail) -> String {
    let mut entries = Vec::new();
    let mut put = |time: Option<Timestamp>, what: String, below: Vec<String>| {
        entries.extend(time.map(|time| Entry { time, what, below }));
    };
    put(voicemail.create_time, "ACCEPTED".to_owned(), Vec::new());
    for check in &voicemail.gate_checks {
        put(check.check_time, check_line(check), findings(check));
    }
    for attempt in &voicemail.attempts {
        let carrier = show::clean(&attempt.carrier);
        let began = format!("attempt {} by {carrier} begins", attempt.number);
        put(attempt.start_time, began, Vec::new());
        put(
            attempt.end_time,
            attempt_line(attempt),
            attempt_words(attempt),
        );
    }
    if let Some(hold) = &voicemail.hold {
        let line = format!("asked again: {} holds it until then", show::gate(hold.gate));
        put(hold.hold_until, line, Vec::new());
    }
    let end = show::status_and_reason(voicemail);
    put(voicemail.end_time, end, detail(voicemail));
    // What has the same time stays in the order in which it was put here.
    entries.sort_by_key(|entry| (entry.time.seconds, entry.time.nanos));
    let lines = entries.iter().flat_map(|entry| {
        let first = format!("{}  {}", exact_time(entry.time), entry.what);
        let below = entry.below.iter().map(|line| format!("    {line}"));
        std::iter::once(first).chain(below)
    });
    lines.collect::<Vec<String>>().join("\n")
}

/// To the millisecond: a whole way often takes less than a second.
fn exact_time(time: Timestamp) -> String {
    let whole = super::json::rfc3339(Timestamp { nanos: 0, ..time });
    let millis = time.nanos / 1_000_000;
    format!("{}.{millis:03}Z", whole.trim_end_matches('Z'))
}

fn check_line(check: &pb::GateCheck) -> String {
    let again = match check.last_time == check.check_time {
        true => String::new(),
        false => format!(", last at {}", show::time(check.last_time)),
    };
    let rules = match check.rules_version.as_str() {
        "" => String::new(),
        version => format!(" (rules: {})", show::clean(version)),
    };
    format!("gates: {}{again}{rules}", show::gate_verdict(check.verdict))
}

/// Those that say no first hide nothing: all are shown, with what they judged by where they did not pass.
pub fn findings(check: &pb::GateCheck) -> Vec<String> {
    check.findings.iter().map(finding).collect()
}

pub fn finding(finding: &pb::GateFinding) -> String {
    let verdict = show::gate_verdict(finding.verdict);
    let mut line = format!(
        "{:<11}  {verdict:<6}  {}",
        show::gate(finding.gate),
        show::clean(&finding.why)
    );
    let inputs: Vec<String> = finding
        .inputs
        .iter()
        .map(|input| {
            format!(
                "{}: {}",
                show::clean(&input.name),
                show::clean(&input.value)
            )
        })
        .collect();
    if !inputs.is_empty() {
        line = format!("{line} [{}]", inputs.join("; "));
    }
    line
}

fn attempt_line(attempt: &pb::Attempt) -> String {
    let reason = match show::reason(attempt.failure_reason) {
        reason if reason.is_empty() => reason,
        reason => format!(" ({reason})"),
    };
    format!(
        "attempt {}: {}{reason}",
        attempt.number,
        show::outcome(attempt.outcome)
    )
}

fn attempt_words(attempt: &pb::Attempt) -> Vec<String> {
    let words = [
        ("reference", &attempt.carrier_reference),
        ("code", &attempt.carrier_code),
        ("says", &attempt.carrier_detail),
        ("later", &attempt.late_outcome),
    ];
    let filled = words.into_iter().filter(|(_, word)| !word.is_empty());
    filled
        .map(|(name, word)| format!("{name}: {}", show::clean(word)))
        .collect()
}

fn detail(voicemail: &pb::Voicemail) -> Vec<String> {
    match voicemail.status_detail.as_str() {
        "" => Vec::new(),
        detail => vec![show::clean(detail)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp {
            seconds: 1_790_000_000 + seconds,
            nanos: 5_000_000,
        })
    }

    #[test]
    fn what_happened_stands_in_the_order_of_time() {
        let held = pb::GateFinding {
            gate: pb::Gate::Window as i32,
            verdict: pb::GateVerdict::Hold as i32,
            why: "it is 03:00".to_owned(),
            inputs: vec![pb::GateInput {
                name: "zone".to_owned(),
                value: "America/New_York".to_owned(),
            }],
            ..pb::GateFinding::default()
        };
        let check = pb::GateCheck {
            check_time: at(1),
            last_time: at(2),
            verdict: pb::GateVerdict::Hold as i32,
            findings: vec![held],
            rules_version: "hours 1".to_owned(),
            ..pb::GateCheck::default()
        };
        let attempt = pb::Attempt {
            number: 1,
            carrier: "sandbox".to_owned(),
            start_time: at(3),
            end_time: at(4),
            outcome: pb::AttemptOutcome::Taken as i32,
            carrier_code: "42".to_owned(),
            ..pb::Attempt::default()
        };
        let voicemail = pb::Voicemail {
            create_time: at(0),
            gate_checks: vec![check],
            attempts: vec![attempt],
            status: pb::VoicemailStatus::Unconfirmed as i32,
            failure_reason: pb::FailureReason::CarrierNoCallback as i32,
            status_detail: "no word came".to_owned(),
            end_time: at(9),
            ..pb::Voicemail::default()
        };
        assert_eq!(
            of(&voicemail),
            "2026-09-21T14:13:20.005Z  ACCEPTED\n\
             2026-09-21T14:13:21.005Z  gates: HOLD, last at 2026-09-21T14:13:22Z (rules: hours 1)\n    \
             WINDOW       HOLD    it is 03:00 [zone: America/New_York]\n\
             2026-09-21T14:13:23.005Z  attempt 1 by sandbox begins\n\
             2026-09-21T14:13:24.005Z  attempt 1: TAKEN\n    \
             code: 42\n\
             2026-09-21T14:13:29.005Z  UNCONFIRMED (CARRIER_NO_CALLBACK)\n    \
             no word came"
        );
    }
}
