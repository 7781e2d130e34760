//! The gates that a voicemail passes at the moment of sending, in their fixed order, and what they
//! found. Each time they are asked, what each one said, and from what, is kept with the voicemail.

use std::fmt;
use std::sync::Arc;

use super::failure::FailureReason;
use super::phone::PhoneRules;
use super::profile::Profiles;
use super::tables::Tables;
use super::time::Time;

/// What the gates judge by: the operator's choices and the tables of rules.
#[derive(Debug, Clone)]
pub struct Rules {
    pub numbers: PhoneRules,
    pub profiles: Profiles,
    pub tables: Arc<Tables>,
}

/// In the order in which they are asked. The numbers are those of the proto enum `Gate` and of the
/// database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum Gate {
    /// Is it a number that this service may send to?
    Recipient = 1,
    /// Has it been suppressed?
    Suppression = 2,
    /// Has the operator chosen what holds for the use case's purpose?
    Purpose = 3,
    /// Is there the consent that the purpose needs?
    Consent = 4,
    /// Is the audio no longer than the purpose allows?
    Audio = 5,
    /// Has the recipient had as many as the purpose allows?
    Cap = 6,
    /// Is it an hour at which the recipient may be sent something?
    Window = 7,
    /// Is there a number to send it from?
    Sender = 8,
}

impl Gate {
    pub const ALL: [Gate; 8] = [
        Gate::Recipient,
        Gate::Suppression,
        Gate::Purpose,
        Gate::Consent,
        Gate::Audio,
        Gate::Cap,
        Gate::Window,
        Gate::Sender,
    ];

    pub fn from_code(code: i16) -> Option<Gate> {
        Gate::ALL.into_iter().find(|gate| *gate as i16 == code)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Gate::Recipient => "RECIPIENT",
            Gate::Suppression => "SUPPRESSION",
            Gate::Purpose => "PURPOSE",
            Gate::Consent => "CONSENT",
            Gate::Audio => "AUDIO",
            Gate::Cap => "CAP",
            Gate::Window => "WINDOW",
            Gate::Sender => "SENDER",
        }
    }

    /// Why a voicemail ends that this gate held until its time ran out.
    pub fn expires_as(self) -> FailureReason {
        match self {
            Gate::Window => FailureReason::QuietHoursExpired,
            Gate::Cap => FailureReason::FrequencyCap,
            Gate::Recipient
            | Gate::Suppression
            | Gate::Purpose
            | Gate::Consent
            | Gate::Audio
            | Gate::Sender => FailureReason::Expired,
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a gate says, or all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be sent, as far as this gate is concerned.
    Pass,
    /// Not now; `until` is when it is asked again.
    Hold { until: Time },
    /// Not at all: it ends SKIPPED for this reason.
    Refuse { reason: FailureReason },
}

impl Verdict {
    pub fn kind(self) -> VerdictKind {
        match self {
            Verdict::Pass => VerdictKind::Pass,
            Verdict::Hold { .. } => VerdictKind::Hold,
            Verdict::Refuse { .. } => VerdictKind::Refuse,
        }
    }
}

/// The numbers are those of the proto enum `GateVerdict` and of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum VerdictKind {
    Pass = 1,
    Hold = 2,
    Refuse = 3,
}

impl VerdictKind {
    pub fn from_code(code: i16) -> Option<VerdictKind> {
        [VerdictKind::Pass, VerdictKind::Hold, VerdictKind::Refuse]
            .into_iter()
            .find(|kind| *kind as i16 == code)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            VerdictKind::Pass => "PASS",
            VerdictKind::Hold => "HOLD",
            VerdictKind::Refuse => "REFUSE",
        }
    }
}

/// What one gate found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub gate: Gate,
    pub verdict: Verdict,
    /// A sentence for people.
    pub why: String,
    /// What it judged by, in the order in which it is shown. Never the recipient's number, which stands
    /// at the voicemail.
    pub inputs: Vec<(String, String)>,
}

impl Finding {
    pub fn new(gate: Gate, verdict: Verdict, why: impl Into<String>) -> Finding {
        Finding {
            gate,
            verdict,
            why: why.into(),
            inputs: Vec::new(),
        }
    }

    pub fn input(mut self, name: &str, value: impl fmt::Display) -> Finding {
        self.inputs.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn inputs(mut self, inputs: impl IntoIterator<Item = (String, String)>) -> Finding {
        self.inputs.extend(inputs);
        self
    }
}

/// What all gates found at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    pub findings: Vec<Finding>,
    /// The versions of the tables that were judged by.
    pub rules_version: String,
}

impl Findings {
    /// The finding that decides: the first refusal, else the hold that lasts longest; none: it may be
    /// sent.
    pub fn decisive(&self) -> Option<&Finding> {
        let refusal = |finding: &&Finding| matches!(finding.verdict, Verdict::Refuse { .. });
        let hold_end = |finding: &&Finding| match finding.verdict {
            Verdict::Hold { until } => Some(until),
            Verdict::Pass | Verdict::Refuse { .. } => None,
        };
        self.findings.iter().find(refusal).or_else(|| {
            // The first of those that last as long: `max_by_key` would take the last.
            self.findings
                .iter()
                .rev()
                .filter(|finding| hold_end(finding).is_some())
                .max_by_key(hold_end)
        })
    }
}

/// What is kept of one look at the gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateCheck {
    /// From 1, in order; where there were very many, those in the middle are gone.
    pub number: i32,
    pub time: Time,
    /// When the gates last said the same again, for the same reason; `time` where they were asked once.
    pub last_time: Time,
    pub found: Findings,
}

/// Looks at the gates that are kept of a voicemail: the first one, and the latest.
pub const CHECKS_KEPT: i32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(gate: Gate, verdict: Verdict) -> Finding {
        Finding::new(gate, verdict, "")
    }

    fn decided(findings: Vec<Finding>) -> Option<(Gate, VerdictKind)> {
        let found = Findings {
            findings,
            rules_version: String::new(),
        };
        let decisive = found.decisive();
        decisive.map(|finding| (finding.gate, finding.verdict.kind()))
    }

    #[test]
    fn a_refusal_comes_before_a_hold_and_the_longest_hold_before_shorter_ones() {
        let hold = |at| Verdict::Hold {
            until: Time::from_micros(at),
        };
        let refuse = Verdict::Refuse {
            reason: FailureReason::InternalDnc,
        };
        let (cap, window, sender) = (Gate::Cap, Gate::Window, Gate::Sender);
        assert_eq!(decided(vec![finding(cap, Verdict::Pass)]), None);
        assert_eq!(
            decided(vec![finding(cap, hold(5)), finding(window, hold(9))]),
            Some((window, VerdictKind::Hold))
        );
        assert_eq!(
            decided(vec![finding(cap, hold(9)), finding(window, hold(9))]),
            Some((cap, VerdictKind::Hold))
        );
        assert_eq!(
            decided(vec![finding(cap, hold(9)), finding(sender, refuse)]),
            Some((sender, VerdictKind::Refuse))
        );
    }

    #[test]
    fn gates_and_verdicts_read_back_from_their_numbers() {
        for (at, gate) in Gate::ALL.into_iter().enumerate() {
            assert_eq!(gate as usize, at + 1);
            assert_eq!(Gate::from_code(gate as i16), Some(gate));
            assert!(gate.expires_as().ends_as() == crate::domain::status::Status::Skipped);
        }
        assert_eq!(Gate::from_code(9), None);
        assert_eq!(VerdictKind::from_code(3), Some(VerdictKind::Refuse));
        assert_eq!(VerdictKind::from_code(0), None);
    }
}
