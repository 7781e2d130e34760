//! What the carrier client and the recording carrier say to each other, and what is recorded.
//!
//! One connection is one exchange. The carrier says `ready`, so that a client knows that nothing of
//! its own has left as long as it has not read that; the client sends a line of JSON and a body; the
//! carrier answers one line.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::played::{DROP_COWBOY, VOICEDROP};

/// What callers send over. The first three are of the recording carrier: the kinds that a doubt can be
/// about. The others are of played vendors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Knows a repeat by its key: the same key is dropped once.
    Repeatable,
    /// Can't be asked and knows no repeat: each request that it takes is a drop.
    Once,
    /// Knows no repeat either, but can be asked. It takes first and says later how it ended.
    Askable,
    /// Knows no repeat and can't be asked, but calls back.
    VoiceDrop,
    /// Knows a repeat by its key, and calls back.
    DropCowboy,
    /// VoiceDrop, and Drop Cowboy where VoiceDrop certainly did not take it.
    Both,
}

impl Account {
    pub fn as_str(self) -> &'static str {
        match self {
            Account::Repeatable => "repeatable",
            Account::Once => "once",
            Account::Askable => "askable",
            Account::VoiceDrop => "voicedrop",
            Account::DropCowboy => "drop_cowboy",
            Account::Both => "both",
        }
    }

    /// The carriers of its setup.
    pub fn carriers(self) -> Vec<String> {
        match self {
            Account::Both => vec![VOICEDROP.to_owned(), DROP_COWBOY.to_owned()],
            other => vec![other.as_str().to_owned()],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    HandOver,
    Ask,
}

/// The client's first line; `bytes` of body follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Header {
    pub account: Account,
    pub verb: Verb,
    pub key: String,
    pub voicemail: String,
    pub attempt: i32,
    pub bytes: usize,
}

/// What a request came to at the carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A message lies in the mailbox. Two of these for one voicemail is the fault that all this is about.
    Drop,
    /// A repeat, known by its key; nothing more was dropped.
    Repeat,
    /// It was asked and said "never received". That is certain, so whatever comes later from that attempt, or
    /// from an earlier one, is refused.
    Never,
    /// Refused for that reason.
    Refused,
    /// It came to a vendor under a key; what came of it stands in other lines.
    Request,
}

/// One line of the carrier's record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub what: What,
    pub account: Account,
    pub key: String,
    pub voicemail: String,
    pub attempt: i32,
    pub sha256: String,
}

pub mod word {
    pub const READY: &str = "ready";
    pub const DROPPED: &str = "dropped";
    pub const TAKEN: &str = "taken";
    pub const BUSY: &str = "busy";
    pub const DELIVERED: &str = "delivered";
    pub const PENDING: &str = "pending";
    pub const NEVER: &str = "never";
}

/// The record as it stands. A torn last line is what a killed carrier had not answered.
pub fn read_record(path: &Path) -> anyhow::Result<Vec<Line>> {
    let text = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let whole = text
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    text[..whole]
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| Ok(serde_json::from_slice(line)?))
        .collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
