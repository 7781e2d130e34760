//! A voicemail's hand-over to one carrier, of which each call is an attempt.

use super::attempt::{Answer, CarrierWords, Outcome};
use super::ids::{HandOverId, PhoneNumberId, VoicemailId, WorkspaceId};
use super::phone::PhoneNumber;
use super::status::{End, Status};
use super::time::Time;
use super::word::Effect;

/// A voicemail given to one carrier account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// Also the key that the carrier is told.
    pub id: HandOverId,
    pub workspace_id: WorkspaceId,
    pub voicemail_id: VoicemailId,
    pub recipient: PhoneNumber,
    /// None: it was made by a version that did not keep it.
    pub sender_id: Option<PhoneNumberId>,
    /// From 1, over the hand-overs of the voicemail to this carrier.
    pub number: i32,
    pub carrier: String,
    /// The full request; a repeat sends it byte for byte. Empty until the carrier has been given the
    /// audio that the request names.
    pub request: Vec<u8>,
    /// Of the token under which the carrier speaks of it; none where it has no door to us.
    pub token_hash: Option<[u8; 32]>,
    /// The carrier's own id, once known.
    pub reference: String,
    /// Since when the outcome of one of its calls is unknown.
    pub doubt_time: Option<Time>,
    /// Questions asked about it so far.
    pub asks: i32,
    pub create_time: Time,
    /// From 1, in the order in which hand-overs had their turns. The greatest is what the voicemail
    /// stands at.
    pub turn: i32,
    /// The round (as counted by [`tries`](super::delivery::Delivery::tries)) in which the carrier certainly did not take it.
    pub refused_round: Option<i32>,
    /// The carrier had taken it and did not try. What comes next is another hand-over, under a new key.
    pub is_void: bool,
    /// Since when it counts as an attempt against caps; none: it is certain that nothing was sent by it.
    pub counts_time: Option<Time>,
}

impl HandOver {
    /// The outcome of one of its calls is unknown.
    pub fn is_in_doubt(&self) -> bool {
        self.doubt_time.is_some()
    }

    /// Notes what the carrier calls it.
    pub fn name(&mut self, words: &CarrierWords) {
        if !words.reference.is_empty() {
            self.reference.clone_from(&words.reference);
        }
    }

    /// A call's outcome is unknown from `now` on, or was before.
    pub fn doubt(&mut self, now: Time) {
        self.doubt_time.get_or_insert(now);
    }
}

/// What counts against caps. A hand-over counts from the moment in which a call of it begins, because
/// from then on it may be sent, and is given back only where it is certain that nothing was.
impl HandOver {
    /// A call begins. The repeat of one in doubt is no new attempt, but may be what delivers it: it counts once,
    /// and since then.
    pub fn count(&mut self, now: Time) {
        self.counts_time = Some(now);
    }

    /// Nothing was sent by a call, nor by an earlier one, unless that is in doubt.
    pub fn give_back(&mut self) {
        if !self.is_in_doubt() {
            self.counts_time = None;
        }
    }

    /// What a call came to.
    pub fn weigh_outcome(&mut self, outcome: &Outcome, now: Time) {
        match outcome {
            Outcome::TryAgain { .. } => self.give_back(),
            Outcome::Rejected { reason } if is_unsent(End::Because(*reason)) => self.give_back(),
            Outcome::Rejected { .. }
            | Outcome::Delivered
            | Outcome::Taken { .. }
            | Outcome::Unknown => self.count_after_all(now),
        }
    }

    /// What the carrier said when it was asked about a voicemail that stood so.
    pub fn weigh_answer(&mut self, answer: &Answer, status: Status, now: Time) {
        match answer {
            Answer::Ended(end) => self.weigh_end(*end, now),
            Answer::Pending { .. } => self.count_after_all(now),
            Answer::NeverReceived if status == Status::Sending => self.counts_time = None,
            // It had taken it, and contradicts itself.
            Answer::NeverReceived | Answer::NoAnswer => {}
        }
    }

    /// What the carrier said by itself.
    pub fn weigh_word(&mut self, effect: Effect, now: Time) {
        match effect {
            Effect::End(end) => self.weigh_end(end, now),
            Effect::Take => self.count_after_all(now),
            Effect::GoBack(_) => self.counts_time = None,
            Effect::Keep | Effect::Contradict => {}
        }
    }

    fn weigh_end(&mut self, end: End, now: Time) {
        match is_unsent(end) {
            true => self.counts_time = None,
            false => self.count_after_all(now),
        }
    }

    /// It was sent, or may have been, also where it was taken for certain before that it was not.
    fn count_after_all(&mut self, now: Time) {
        self.counts_time.get_or_insert(now);
    }
}

/// Does this end say that nothing was put into a mailbox, nor tried to be?
fn is_unsent(end: End) -> bool {
    matches!(end.status(), Status::Failed | Status::Skipped)
}

#[cfg(test)]
#[path = "hand_over_tests.rs"]
mod tests;
