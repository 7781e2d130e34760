//! The product's verbs, one file each or one per noun. Every function here runs within one unit
//! of work of the store, reads like the rule it carries out, and never sees tonic or diesel.

pub mod audio;
pub mod batch;
pub mod callbacks;
pub mod cancel_voicemails;
pub mod check_recipient;
pub mod consents;
pub mod deliver;
pub mod error;
pub mod fingerprint;
pub mod gates;
pub mod phone_numbers;
pub mod queue;
pub mod recover;
pub mod report;
pub mod route;
pub mod seed;
pub mod send_together;
pub mod send_voicemail;
pub mod setups;
pub mod suppressions;
pub mod times;
pub mod use_cases;
pub mod voicemails;

pub use error::{OpError, Result, Violation};
