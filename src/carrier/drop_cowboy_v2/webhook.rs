//! The signed webhooks of a Drop Cowboy account: whether a call is the vendor's, and what it says.

use std::time::Duration;

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::read_result;
use crate::carrier::notice::Fields;
use crate::carrier::{Event, Notice, NoticeFault};
use crate::domain::time::Time;
use crate::domain::word::Said;
use crate::secret::Secret;

/// A signature's time may be off by this much (webhooks.md).
const SKEW_MAX: Duration = Duration::from_secs(300);

/// Good under any of the secrets; without one there is no door.
pub(super) fn check_signature(notice: &Notice, secrets: &[Secret]) -> Result<(), NoticeFault> {
    if secrets.is_empty() {
        return Err(NoticeFault::NoDoor);
    }
    let hex = notice.signature.value.strip_prefix("sha256=");
    let tag = hex.and_then(from_hex).ok_or(NoticeFault::Signature)?;
    let is_by = |secret: &Secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
            .expect("HMAC takes keys of any length");
        mac.update(notice.signature.timestamp.as_bytes());
        mac.update(b".");
        mac.update(&notice.body);
        // In constant time.
        mac.verify_slice(&tag).is_ok()
    };
    match notice.signature.version == "v1" && secrets.iter().any(is_by) {
        true => Ok(()),
        false => Err(NoticeFault::Signature),
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

pub(super) fn check_time(timestamp: &str, now: Time) -> Result<(), NoticeFault> {
    let seconds: i64 = timestamp.parse().map_err(|_| NoticeFault::Time)?;
    let signed = Time::from_seconds_and_nanos(seconds, 0).ok_or(NoticeFault::Time)?;
    match now.since(signed) <= SKEW_MAX && signed.since(now) <= SKEW_MAX {
        true => Ok(()),
        false => Err(NoticeFault::Time),
    }
}

/// The vendor's are UUIDs.
const EVENT_ID_BYTES_MAX: usize = 256;

pub(super) fn read_event(body: &[u8]) -> Option<Event> {
    let Value::Object(mut object) = serde_json::from_slice(body).ok()? else {
        return None;
    };
    let id = object.get("event_id")?.as_str()?.to_owned();
    if id.len() > EVENT_ID_BYTES_MAX || id.contains('\0') {
        return None;
    }
    let Some(Value::Object(data)) = object.remove("data") else {
        return None;
    };
    let mut word = read_result(&Fields::of(data));
    // Other events of the account, on the same hook, say nothing about a voicemail.
    if !matches!(object.get("event").and_then(Value::as_str), Some(kind) if kind.starts_with("contact.rvm."))
    {
        word.said = Said::Nothing;
    }
    Some(Event {
        id,
        reference: word.words.reference.clone(),
        word,
    })
}
