//! What the store keeps of carriers that speak by themselves, fetch audio, or are given it.

use crate::domain::attempt::Attempt;
use crate::domain::hand_over::HandOver;
use crate::domain::ids::{AudioId, HandOverId, VoicemailId};
use crate::domain::phone::PhoneNumber;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::domain::voicemail::Audio;
use crate::storage::Result;

/// What carriers say by themselves, and what they were given once for all. Rows of all workspaces.
pub trait CarrierStore {
    fn find_hand_over(&mut self, id: HandOverId) -> Result<Option<HandOver>>;
    /// The hand-over to this carrier whose token has this hash; others wait who look for the same one
    /// to keep a callback.
    fn hand_over_by_token(
        &mut self,
        carrier: &str,
        token_hash: &[u8; 32],
    ) -> Result<Option<HandOver>>;
    /// Hand-overs that this carrier gave this id; at most two, which says that it names none.
    fn hand_overs_by_reference(&mut self, carrier: &str, reference: &str) -> Result<Vec<HandOver>>;
    /// Hand-overs to this carrier and recipient since `since` of which word may still come: their
    /// voicemails are SENDING, SENT or UNCONFIRMED. At most two, which says that there is more than one.
    fn open_hand_overs(
        &mut self,
        carrier: &str,
        recipient: &PhoneNumber,
        since: Time,
    ) -> Result<Vec<HandOver>>;
    /// The audio of a voicemail, and since when that has ended so that nobody needs it any more.
    fn linked_audio(&mut self, voicemail: VoicemailId) -> Result<Option<LinkedAudio>>;
    /// The last attempt of a hand-over.
    fn last_attempt(&mut self, hand_over: &HandOver) -> Result<Option<Attempt>>;
    /// Writes the carrier's words, reason and cost of an attempt.
    fn save_words(&mut self, voicemail: VoicemailId, attempt: &Attempt) -> Result<()>;

    /// Keeps a callback before it is read, and gives its number; `None`, and nothing kept, where there
    /// are `most` of the hand-over already.
    fn keep_callback(
        &mut self,
        hand_over: &HandOver,
        callback: &NewCallback,
        most: i32,
    ) -> Result<Option<i32>>;
    fn set_callback_said(&mut self, hand_over: HandOverId, number: i32, said: &str) -> Result<()>;
    /// Callbacks of these carriers that were kept before `before` and never read, oldest first.
    fn unread_callbacks(
        &mut self,
        carriers: &[String],
        before: Time,
        limit: i64,
    ) -> Result<Vec<UnreadCallback>>;

    /// Keeps a carrier's event before it is heard; `false` where it came before and was heard.
    fn keep_webhook_event(&mut self, carrier: &str, event_id: &str, body: &[u8]) -> Result<bool>;
    /// Notes what an event said, and of which hand-over, where that could be told.
    fn set_webhook_event_said(
        &mut self,
        carrier: &str,
        event_id: &str,
        hand_over: Option<HandOverId>,
        said: &str,
    ) -> Result<()>;
    /// Drops events that came before `before`; at most `limit`.
    fn drop_webhook_events(&mut self, before: Time, limit: i64) -> Result<usize>;

    /// What the account's requests name this audio by, where it was given it.
    fn find_upload(&mut self, account: &str, audio: AudioId) -> Result<Option<String>>;
    /// The first one stands.
    fn remember_upload(&mut self, account: &str, audio: AudioId, reference: &str) -> Result<()>;
    fn forget_upload(&mut self, account: &str, audio: AudioId) -> Result<()>;
}

/// What a link to a voicemail's audio leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedAudio {
    pub audio: Audio,
    pub status: Status,
    pub end_time: Option<Time>,
}

/// A callback as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCallback {
    pub content_type: String,
    pub query: String,
    pub body: Vec<u8>,
}

/// A callback that was kept and not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadCallback {
    pub hand_over_id: HandOverId,
    pub carrier: String,
    pub number: i32,
    pub callback: NewCallback,
}
