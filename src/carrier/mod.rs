//! The ways out.
//!
//! | kind | repeatable | askable | gives word by |
//! |---|---|---|---|
//! | `sandbox` | yes, for ever | yes | its answer, or when asked |
//! | `voicedrop` | no | no | callbacks |
//! | `drop_cowboy_v2` | yes, for 23 h | no | callbacks, signed webhooks |
//! | `drop_cowboy_v1` | no | no | callbacks |
//! | `slybroadcast` | no | once its `session_id` is known | callbacks, or when asked |
//!
//! To add one: docs/add-a-carrier.md. One file here, one line in [`registry`], one page.
//!
//! A carrier never touches storage and never reads the time: what it needs comes in with the call.
//! What several of them share is in [`http`] (calls), [`settings`], [`notice`] (what comes in) and
//! [`text`] (free text, read).

pub mod drop_cowboy_v1;
pub mod drop_cowboy_v2;
pub mod http;
pub mod notice;
pub mod registry;
pub mod reply;
pub mod sandbox;
pub mod settings;
pub mod slybroadcast;
pub mod text;
pub mod voicedrop;

use std::future::Future;
use std::pin::Pin;

use hyper::body::Bytes;

pub use notice::{Event, Notice, NoticeFault};
pub use registry::Registry;

use crate::domain::attempt::{Answer, CarrierWords, Outcome};
use crate::domain::doubt::DoubtTraits;
use crate::domain::ids::{HandOverId, VoicemailId};
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Time;
use crate::domain::word::{Said, Word};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is to be said to whom: all that a carrier's request is made of.
#[derive(Debug, Clone)]
pub struct Message {
    pub voicemail_id: VoicemailId,
    pub sender: PhoneNumber,
    pub recipient: PhoneNumber,
    pub audio_sha256: [u8; 32],
}

/// How a carrier comes by the audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioWay {
    /// With the call: [`Call::audio`].
    InCall,
    /// It fetches it by a link that expires.
    Link,
    /// It is given it once for all, under an id or an address of its own: [`Carrier::upload`].
    Upload,
}

/// What one hand-over brings to the request, besides the message.
#[derive(Debug, Clone)]
pub struct Particulars {
    /// Also the key for carriers that know a repeat by one.
    pub hand_over_id: HandOverId,
    /// Where the carrier says what became of it; empty where we can't be reached.
    pub callback_url: String,
    /// The link to the audio, or what the carrier's [`Carrier::upload`] answered; empty for [`AudioWay::InCall`].
    pub audio: String,
}

/// One call of a hand-over.
#[derive(Debug)]
pub struct Call {
    pub hand_over_id: HandOverId,
    /// From 1, over all hand-overs of the voicemail.
    pub attempt_number: i32,
    /// What [`Carrier::request`] made before the first call, byte for byte.
    pub request: Vec<u8>,
    pub message: Message,
    /// Empty unless it goes with the call.
    pub audio: Bytes,
    pub now: Time,
}

/// A question about a hand-over.
#[derive(Debug)]
pub struct Question {
    pub hand_over_id: HandOverId,
    pub attempt_number: i32,
    /// The carrier's own id of it; empty where it never gave one.
    pub reference: String,
    pub message: Message,
    pub now: Time,
}

/// Audio that a carrier is given once for all.
#[derive(Debug)]
pub struct Upload {
    pub sha256: [u8; 32],
    pub audio: Bytes,
    pub now: Time,
}

/// One thing that [`Carrier::check`] looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub verdict: Verdict,
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Bad,
    /// It can't be told, or is no matter of good and bad.
    Note,
}

impl Finding {
    pub fn good(what: impl Into<String>) -> Finding {
        let (verdict, what) = (Verdict::Good, what.into());
        Finding { verdict, what }
    }

    pub fn bad(what: impl Into<String>) -> Finding {
        let (verdict, what) = (Verdict::Bad, what.into());
        Finding { verdict, what }
    }

    pub fn note(what: impl Into<String>) -> Finding {
        let (verdict, what) = (Verdict::Note, what.into());
        Finding { verdict, what }
    }
}

/// A configured way out.
pub trait Carrier: Send + Sync {
    /// Its voicemails are a rehearsal.
    fn is_simulated(&self) -> bool {
        false
    }

    /// May it be given health information (45 CFR 160.103)?
    fn may_have_health_information(&self) -> bool {
        true
    }

    fn audio_way(&self) -> AudioWay {
        AudioWay::InCall
    }

    /// Names the account with the vendor, without its secrets: uploads belong to it. The same for two
    /// names of one account.
    fn account(&self) -> String {
        String::new()
    }

    /// The full request, to be stored before the first call.
    fn request(&self, message: &Message, particulars: &Particulars) -> Vec<u8>;

    /// What may be done where the outcome of a call to this recipient is unknown. `reference` is the
    /// carrier's own id of it; empty where it gave none.
    fn doubt_traits(&self, recipient: &PhoneNumber, reference: &str) -> DoubtTraits;

    /// Makes the call. Returns within the time limit that the worker sets, or is cut off there,
    /// which counts as [`Outcome::Unknown`].
    fn hand_over(&self, call: Call) -> BoxFuture<'_, (Outcome, CarrierWords)>;

    /// Asks what became of it. Called only where `doubt_traits` says that it can be asked.
    fn ask(&self, _question: Question) -> BoxFuture<'_, (Answer, CarrierWords)> {
        Box::pin(async { (Answer::NoAnswer, CarrierWords::default()) })
    }

    /// Gives the carrier the audio, and answers what a request names it by. Called only for
    /// [`AudioWay::Upload`]. An error is an outcome of the hand-over that it is for, of which nothing has
    /// left yet: [`Outcome::TryAgain`] or [`Outcome::Rejected`].
    fn upload(&self, _upload: Upload) -> BoxFuture<'_, Result<String, (Outcome, CarrierWords)>> {
        Box::pin(async { Ok(String::new()) })
    }

    /// What a callback says. It came under a token of ours, so it is about that hand-over.
    fn read_callback(&self, _notice: &Notice) -> Word {
        Word::of(Said::Nothing)
    }

    /// What the carrier wants to hear in answer to a callback.
    fn acknowledgement(&self) -> &'static str {
        ""
    }

    /// Is this call of an account's webhook signed by the carrier?
    fn check_signature(&self, _notice: &Notice) -> Result<(), NoticeFault> {
        Err(NoticeFault::NoDoor)
    }

    /// What an account's webhook says, whose signature is good.
    fn read_webhook(&self, _notice: &Notice, _now: Time) -> Result<Event, NoticeFault> {
        Err(NoticeFault::NoDoor)
    }

    /// Looks at the account: credentials, balance, and whether these senders may send.
    fn check(&self, _senders: &[PhoneNumber]) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(async { Vec::new() })
    }
}
