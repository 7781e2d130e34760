//! Calling back: in the vendor's own shape or another one, now, later, or when a test says so.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Map, Value};

use super::client::Bounds;
use super::desk::{Desk, lock};
use super::play::{Manner, Outcome, Says, When, Word};
use super::record::{Said, Taken};

/// Vendors wait this long for our answer.
const BOUNDS: Bounds = Bounds {
    within: Duration::from_secs(10),
    bytes_max: 64 * 1024,
};
const HELD_MAX: usize = 100_000;

/// A callback that waits for the test's word. It may be said more than once, and in any order.
#[derive(Debug, Clone)]
pub struct Held {
    pub taken: Taken,
    pub word: Word,
}

/// A callback as it goes out.
struct Post {
    method: Method,
    url: String,
    content_type: Option<String>,
    body: Vec<u8>,
}

impl Desk {
    /// All callbacks that are held, in the order they came to be; they are held no longer.
    pub fn held(&self) -> Vec<Held> {
        std::mem::take(&mut *lock(&self.held))
    }

    /// How many wait, without taking them.
    pub fn held_count(&self) -> usize {
        lock(&self.held).len()
    }

    /// Says all that is held, one after the other.
    pub async fn release(self: &Arc<Self>) -> Vec<Said> {
        let mut said = Vec::new();
        for held in self.held() {
            said.extend(self.say(&held).await);
        }
        said
    }

    /// Makes this callback now, and tells what came back: one entry for each post.
    pub async fn say(self: &Arc<Self>, held: &Held) -> Vec<Said> {
        let Held { taken, word } = held;
        let outcome = self.outcome_of(word);
        if let Some(outcome) = &outcome {
            self.settle(taken, outcome);
        }
        let mut all = Vec::new();
        for _ in 0..word.times {
            let Some(post) = self.post(taken, word, outcome.as_ref()) else {
                break;
            };
            all.push(self.send(taken.number, &post).await);
            for wait in &self.common.again_after {
                let is_heard = all.last().is_some_and(|s| !self.dialect.wants_again(s));
                if is_heard {
                    break;
                }
                tokio::time::sleep(*wait).await;
                all.push(self.send(taken.number, &post).await);
            }
        }
        all
    }

    pub(super) async fn say_word(self: &Arc<Self>, taken: &Taken, word: Word) {
        match word.when {
            When::Usual => tokio::time::sleep(self.common.word_after).await,
            When::After(wait) => tokio::time::sleep(wait).await,
            When::BeforeAnswer => {}
            When::Held => {
                let taken = taken.clone();
                let mut held = lock(&self.held);
                assert!(held.len() < HELD_MAX, "no more than {HELD_MAX} held words");
                held.push(Held { taken, word });
                return;
            }
        }
        let taken = taken.clone();
        self.say(&Held { taken, word }).await;
    }

    fn outcome_of(&self, word: &Word) -> Option<Outcome> {
        match &word.says {
            Says::Fate(fate) => Some(self.dialect.outcome(*fate)),
            Says::Outcome(outcome) => Some(outcome.clone()),
            Says::Nothing | Says::Bytes { .. } => None,
        }
    }

    /// None where the message came without an address to call back.
    fn post(&self, taken: &Taken, word: &Word, outcome: Option<&Outcome>) -> Option<Post> {
        let url = taken.callback_url.as_deref()?;
        let url = match word.is_forged {
            true => forge(url),
            false => url.to_owned(),
        };
        let manner = match word.manner {
            Manner::Usual => self.dialect.manner(),
            manner => manner,
        };
        let mut post = Post {
            method: match manner {
                Manner::GetQuery => Method::GET,
                _ => Method::POST,
            },
            url,
            content_type: None,
            body: Vec::new(),
        };
        if let Says::Bytes { content_type, body } = &word.says {
            post.content_type.clone_from(content_type);
            post.body.clone_from(body);
        }
        if let Some(outcome) = outcome {
            let mut fields = self.dialect.payload(taken, outcome, self.now_us());
            fields.extend(outcome.extra.clone());
            put(&mut post, manner, &fields);
        }
        Some(post)
    }

    async fn send(&self, number: u64, post: &Post) -> Said {
        let content_type = post.content_type.iter();
        let headers: Vec<(&str, &str)> =
            content_type.map(|t| ("content-type", t.as_str())).collect();
        let body = Bytes::from(post.body.clone());
        let method = post.method.clone();
        let heard = self
            .client
            .call(method, &post.url, &headers, body, BOUNDS)
            .await;
        let (status, answer) = match heard {
            Ok(heard) => (Some(heard.status), heard.text()),
            Err(why) => (None, why),
        };
        let said = Said {
            number,
            method: post.method.to_string(),
            url: post.url.clone(),
            body: String::from_utf8_lossy(&post.body).into_owned(),
            status,
            answer,
            at_us: self.now_us(),
        };
        self.book.said(said.clone());
        said
    }
}

fn put(post: &mut Post, manner: Manner, fields: &Map<String, Value>) {
    let form = || {
        let texts = fields.iter().map(|(name, value)| match value {
            Value::String(text) => (name, text.clone()),
            other => (name, other.to_string()),
        });
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(texts)
            .finish()
    };
    match manner {
        Manner::Usual | Manner::PostJson => {
            post.content_type = Some("application/json".to_owned());
            post.body = Value::Object(fields.clone()).to_string().into_bytes();
        }
        Manner::PostForm => {
            post.content_type = Some("application/x-www-form-urlencoded".to_owned());
            post.body = form().into_bytes();
        }
        Manner::PostQuery | Manner::GetQuery => {
            let joint = if post.url.contains('?') { '&' } else { '?' };
            post.url = format!("{}{joint}{}", post.url, form());
        }
    }
}

/// The same address with another token of the same alphabet and length: the token backwards.
fn forge(url: &str) -> String {
    let end = url.find('?').unwrap_or(url.len());
    let start = url[..end].rfind('/').map_or(0, |at| at + 1);
    let token: String = url[start..end].chars().rev().collect();
    format!("{}{token}{}", &url[..start], &url[end..])
}
