//! A voicemail's hand-over to one carrier, of which each call is an attempt.

use super::attempt::CarrierWords;
use super::ids::{HandOverId, VoicemailId, WorkspaceId};
use super::time::Time;

/// A voicemail given to one carrier account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// Also the key that the carrier is told.
    pub id: HandOverId,
    pub workspace_id: WorkspaceId,
    pub voicemail_id: VoicemailId,
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
