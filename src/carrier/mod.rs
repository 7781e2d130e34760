//! The ways out.
//!
//! | kind | repeatable | askable | gives word by |
//! |---|---|---|---|
//! | `sandbox` | yes, for ever | yes | its answer, or when asked |
//!
//! To add one: docs/add-a-carrier.md. One file here, one line in [`registry`], one page.
//!
//! A carrier never touches storage and never reads the time: what it needs comes in with the call.

pub mod registry;
pub mod sandbox;

use std::future::Future;
use std::pin::Pin;

pub use registry::Registry;

use crate::domain::attempt::{Answer, CarrierWords, Outcome};
use crate::domain::doubt::DoubtTraits;
use crate::domain::ids::{HandOverId, VoicemailId};
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Time;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is to be said to whom: all that a carrier's request is made of.
#[derive(Debug, Clone)]
pub struct Message {
    pub voicemail_id: VoicemailId,
    pub sender: PhoneNumber,
    pub recipient: PhoneNumber,
    pub audio_sha256: [u8; 32],
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
    pub audio: Vec<u8>,
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

/// A configured way out.
pub trait Carrier: Send + Sync {
    /// Its voicemails are a rehearsal.
    fn is_simulated(&self) -> bool {
        false
    }

    /// The full request, to be stored before the first call.
    fn request(&self, message: &Message) -> Vec<u8>;

    /// What may be done where the outcome of a call to this recipient is unknown.
    fn doubt_traits(&self, recipient: &PhoneNumber) -> DoubtTraits;

    /// Makes the call. Returns within the time limit that the worker sets, or is cut off there,
    /// which counts as [`Outcome::Unknown`].
    fn hand_over(&self, call: Call) -> BoxFuture<'_, (Outcome, CarrierWords)>;

    /// Asks what became of it. Called only where `doubt_traits` says that it can be asked.
    fn ask(&self, question: Question) -> BoxFuture<'_, (Answer, CarrierWords)>;
}
