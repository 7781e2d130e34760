//! The account's webhooks: signed, tried three times, and silent for a while after that. They carry
//! no foreign_id.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::super::client::Bounds;
use super::super::desk::{Desk, lock};
use super::super::play::Outcome;
use super::super::record::{Said, Taken, hex};
use super::{other_id, proof};

pub const HOOKS_MAX: usize = 50;
/// One first try, and one after each of these waits: about a minute and five in real life.
const TRIES: u32 = 3;
const BOUNDS: Bounds = Bounds {
    within: Duration::from_secs(5),
    bytes_max: 64 * 1024,
};
/// A webhook that failed three times hears nothing of what happens in this time.
const PAUSE_US: i64 = 5 * 60 * 1_000_000;

#[derive(Debug, Clone)]
pub struct Hook {
    pub id: String,
    pub url: String,
    pub events: Vec<String>,
    paused_until_us: i64,
}

pub struct Hooks {
    list: Mutex<Vec<Hook>>,
    secret: Mutex<String>,
}

/// `X-Signature` of this body at this time.
pub fn sign(secret: &str, timestamp: i64, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

impl Hooks {
    pub fn new(secret: &str) -> Hooks {
        Hooks {
            list: Mutex::default(),
            secret: Mutex::new(secret.to_owned()),
        }
    }

    pub fn secret(&self) -> String {
        lock(&self.secret).clone()
    }

    pub fn rotate(&self) -> String {
        let secret = format!("rotated-{}", Uuid::new_v4());
        lock(&self.secret).clone_from(&secret);
        secret
    }

    /// None where there are too many.
    pub fn add(&self, url: &str, events: Vec<String>) -> Option<String> {
        let mut list = lock(&self.list);
        if list.len() >= HOOKS_MAX {
            return None;
        }
        let id = Uuid::new_v4().to_string();
        list.push(Hook {
            id: id.clone(),
            url: url.to_owned(),
            events,
            paused_until_us: 0,
        });
        Some(id)
    }

    pub fn has(&self, id: &str) -> bool {
        lock(&self.list).iter().any(|hook| hook.id == id)
    }

    pub fn change(&self, id: &str, url: &str, events: Vec<String>) -> bool {
        let mut list = lock(&self.list);
        let hook = list.iter_mut().find(|hook| hook.id == id);
        match hook {
            Some(hook) => {
                hook.url = url.to_owned();
                hook.events = events;
                true
            }
            None => false,
        }
    }

    pub fn remove(&self, id: &str) -> bool {
        let mut list = lock(&self.list);
        let before = list.len();
        list.retain(|hook| hook.id != id);
        list.len() < before
    }

    /// Tells every webhook that listens and is not paused, in the background.
    pub fn announce(self: &Arc<Self>, desk: &Arc<Desk>, taken: &Taken, outcome: &Outcome) {
        let mut kinds = vec!["contact.rvm.status"];
        if proof(taken, outcome).is_some() {
            kinds.push("contact.rvm.receipt");
        }
        let now_us = desk.now_us();
        let mut letters = Vec::new();
        for hook in lock(&self.list).iter() {
            for kind in &kinds {
                let listens = hook.events.iter().any(|event| event == kind);
                if listens && hook.paused_until_us <= now_us {
                    letters.push((hook.clone(), event(kind, taken, outcome, now_us)));
                }
            }
        }
        if letters.is_empty() {
            return;
        }
        let (hooks, desk_inside, number) = (self.clone(), desk.clone(), taken.number);
        desk.spawn(async move {
            for (hook, event) in letters {
                hooks.deliver(&desk_inside, &hook, number, &event).await;
            }
        });
    }

    async fn deliver(&self, desk: &Arc<Desk>, hook: &Hook, number: u64, event: &Value) {
        for attempt in 1..=TRIES {
            let said = self.post(desk, &hook.url, number, event, attempt).await;
            let is_passing = matches!(said.status, None | Some(408 | 429 | 500..=599));
            if !is_passing {
                return;
            }
            if attempt < TRIES {
                let waits = &desk.common.again_after;
                let wait = waits.get(attempt as usize - 1).or(waits.last());
                tokio::time::sleep(wait.copied().unwrap_or_default()).await;
            }
        }
        let until_us = desk.now_us() + PAUSE_US;
        for listed in lock(&self.list).iter_mut().filter(|h| h.id == hook.id) {
            listed.paused_until_us = until_us;
        }
    }

    /// One signed post, signed anew with the time of this attempt.
    pub async fn post(
        &self,
        desk: &Arc<Desk>,
        url: &str,
        number: u64,
        event: &Value,
        attempt: u32,
    ) -> Said {
        let body = event.to_string();
        let timestamp = desk.now_us() / 1_000_000;
        let signature = sign(&self.secret(), timestamp, body.as_bytes());
        let event_id = event["event_id"].as_str().unwrap_or_default();
        let headers = [
            ("content-type", "application/json"),
            ("x-timestamp", &timestamp.to_string()),
            ("x-signature", &signature),
            ("x-signature-version", "v1"),
            ("x-event-id", event_id),
            ("x-attempt", &attempt.to_string()),
        ];
        let sent = Bytes::from(body.clone());
        let heard = desk
            .client
            .call(Method::POST, url, &headers, sent, BOUNDS)
            .await;
        let (status, answer) = match heard {
            Ok(heard) => (Some(heard.status), heard.text()),
            Err(why) => (None, why),
        };
        let said = Said {
            number,
            method: "POST".to_owned(),
            url: url.to_owned(),
            body,
            status,
            answer,
            at_us: desk.now_us(),
        };
        desk.book.said(said.clone());
        said
    }
}

/// An event's body.
pub fn event(kind: &str, taken: &Taken, outcome: &Outcome, now_us: i64) -> Value {
    let mut data = json!({
        "team_id": "b0b5d5a1-37f1-4f4b-9d9e-6c2f0f0a7e11",
        "contact_id": other_id(taken, "contact"),
        "drop_id": other_id(taken, "drop"),
        "campaign_id": Value::Null,
        "campaign_type": "rvm",
        "status": outcome.status,
        "reason": outcome.reason,
        "reason_code": outcome.code,
        "to": taken.recipient,
        "from": taken.sender,
    });
    if kind == "contact.rvm.receipt" {
        data["proof_of_delivery_url"] = json!(proof(taken, outcome));
    }
    json!({
        "event_id": Uuid::new_v4().to_string(), "event": kind, "event_at": now_us / 1_000, "data": data,
    })
}
