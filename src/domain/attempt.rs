//! One call of a hand-over, and what a carrier can answer.

use std::time::Duration;

use super::failure::FailureReason;
use super::status::End;
use super::time::Time;
use super::word::Cost;

/// An attempt as stored. It is written down before the call begins, without an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1, over all hand-overs of a voicemail.
    pub number: i32,
    pub carrier: String,
    pub start_time: Time,
    pub end_time: Option<Time>,
    pub outcome: Option<OutcomeKind>,
    pub failure_reason: Option<FailureReason>,
    pub carrier_reference: String,
    pub carrier_code: String,
    pub carrier_detail: String,
    /// A word of the carrier that came after the first end and contradicts it.
    pub late_outcome: String,
    /// What the carrier charged, where it says so.
    pub cost: Option<Cost>,
}

impl Attempt {
    /// The carrier's words about it, as far as they are known.
    pub fn words(&self) -> CarrierWords {
        CarrierWords {
            reference: self.carrier_reference.clone(),
            code: self.carrier_code.clone(),
            detail: self.carrier_detail.clone(),
        }
    }

    /// Later words about it. A reference that its answer gave stays, because support asks for that; where
    /// it gave none, the word's own takes its place.
    pub fn hear(&mut self, words: &CarrierWords, reason: Option<FailureReason>) {
        if self.carrier_reference.is_empty() {
            self.carrier_reference.clone_from(&words.reference);
        }
        if !words.code.is_empty() || !words.detail.is_empty() {
            self.carrier_code.clone_from(&words.code);
            self.carrier_detail.clone_from(&words.detail);
        }
        self.failure_reason = reason.or(self.failure_reason);
    }
}

/// The numbers are those of the proto enum `AttemptOutcome` and of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum OutcomeKind {
    Delivered = 1,
    Taken = 2,
    TryAgain = 3,
    Rejected = 4,
    Unknown = 5,
}

impl OutcomeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeKind::Delivered => "DELIVERED",
            OutcomeKind::Taken => "TAKEN",
            OutcomeKind::TryAgain => "TRY_AGAIN",
            OutcomeKind::Rejected => "REJECTED",
            OutcomeKind::Unknown => "UNKNOWN",
        }
    }

    pub fn from_code(code: i16) -> Option<OutcomeKind> {
        use OutcomeKind::{Delivered, Rejected, Taken, TryAgain, Unknown};
        [Delivered, Taken, TryAgain, Rejected, Unknown]
            .into_iter()
            .find(|kind| *kind as i16 == code)
    }
}

/// What one call came to. A carrier's adapter answers the one question that matters:
/// does the carrier have the message, and may it be sent again?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the mailbox.
    Delivered,
    /// The carrier has it. `ask_after` is when asking makes sense, where the carrier can be asked.
    Taken { ask_after: Option<Duration> },
    /// It certainly does not have it, and another try may help. `wait` is the carrier's own wish.
    TryAgain {
        reason: FailureReason,
        wait: Option<Duration>,
    },
    /// It certainly will not deliver it, and another try would not help.
    Rejected { reason: FailureReason },
    /// Nobody knows: the bytes left and no answer came.
    Unknown,
}

impl Outcome {
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Outcome::Delivered => OutcomeKind::Delivered,
            Outcome::Taken { .. } => OutcomeKind::Taken,
            Outcome::TryAgain { .. } => OutcomeKind::TryAgain,
            Outcome::Rejected { .. } => OutcomeKind::Rejected,
            Outcome::Unknown => OutcomeKind::Unknown,
        }
    }

    pub fn failure_reason(&self) -> Option<FailureReason> {
        match self {
            Outcome::TryAgain { reason, .. } | Outcome::Rejected { reason } => Some(*reason),
            Outcome::Delivered | Outcome::Taken { .. } | Outcome::Unknown => None,
        }
    }
}

/// What a carrier that can be asked says of a message that it was given, or may have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has come to an end.
    Ended(End),
    /// The carrier has it and does not know yet. `again_after` is when to ask next.
    Pending { again_after: Option<Duration> },
    /// The carrier never got it: certain, so it may be handed over again.
    NeverReceived,
    /// The carrier could not be asked just now.
    NoAnswer,
}

/// Bytes of `carrier_detail`.
pub const CARRIER_DETAIL_BYTES_MAX: usize = 1_024;
/// Bytes of `carrier_reference` and `carrier_code`.
pub const CARRIER_WORD_BYTES_MAX: usize = 256;

/// The carrier's own words beside an outcome, cut to their bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CarrierWords {
    pub reference: String,
    pub code: String,
    pub detail: String,
}

impl CarrierWords {
    pub fn is_empty(&self) -> bool {
        self.reference.is_empty() && self.code.is_empty() && self.detail.is_empty()
    }

    pub fn new(reference: &str, code: &str, detail: &str) -> CarrierWords {
        CarrierWords {
            reference: cut(reference, CARRIER_WORD_BYTES_MAX),
            code: cut(code, CARRIER_WORD_BYTES_MAX),
            detail: cut(detail, CARRIER_DETAIL_BYTES_MAX),
        }
    }
}

/// At most `bytes_max` bytes, ending between two characters; NUL is left out, because Postgres
/// can't keep it in a text.
fn cut(text: &str, bytes_max: usize) -> String {
    let mut kept = String::new();
    for c in text.chars().filter(|c| *c != '\0') {
        if kept.len() + c.len_utf8() > bytes_max {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carriers_words_are_cut_between_characters() {
        for (length, kept) in [(1_023, 1_023), (1_024, 1_024), (1_025, 1_024)] {
            assert_eq!(
                CarrierWords::new("", "", &"x".repeat(length)).detail.len(),
                kept
            );
        }
        assert_eq!(
            CarrierWords::new("", "", &"ä".repeat(513)).detail.len(),
            1_024
        );
        assert_eq!(
            CarrierWords::new(&"é".repeat(129), "a\0b", "")
                .reference
                .len(),
            256
        );
        assert_eq!(CarrierWords::new("", "a\0b", "").code, "ab");
    }
}
