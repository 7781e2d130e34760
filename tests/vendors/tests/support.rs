//! The other side of a vendor: a recording behind a link, an ear for callbacks, and plain requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::vendors::client::{Bounds, Client, Heard};
use crate::vendors::play::Answer;
use crate::vendors::serve::{Server, bind};

/// Long enough for a busy machine; nothing waits this long where all is well.
pub const SOON: Duration = Duration::from_secs(20);

/// What a callback brought.
#[derive(Debug, Clone)]
pub struct Came {
    pub method: Method,
    pub uri: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Came {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn form(&self, name: &str) -> String {
        let mut fields = form_urlencoded::parse(&self.body);
        fields.find(|(n, _)| n == name).unwrap().1.into_owned()
    }
}

/// Serves one recording at `/audio.mp3`, and hears everything under `/callbacks/`.
pub struct Us {
    pub base: String,
    ear: Arc<Ear>,
    _server: Server,
}

pub struct Ear {
    sound: Mutex<Bytes>,
    kind: Mutex<String>,
    answers: Mutex<VecDeque<Answer>>,
    came: Mutex<Vec<Came>>,
}

impl Us {
    pub async fn start() -> Us {
        let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let ear = Arc::new(Ear {
            sound: Mutex::new(sound()),
            kind: Mutex::new("audio/mpeg".to_owned()),
            answers: Mutex::default(),
            came: Mutex::default(),
        });
        let router = Router::new().fallback(hear).with_state(ear.clone());
        Us {
            base,
            ear,
            _server: Server::start(listener, router),
        }
    }

    pub fn audio_url(&self) -> String {
        format!("{}/audio.mp3", self.base)
    }

    pub fn callback_url(&self) -> String {
        format!("{}/callbacks/vendor/abcdef0123456789", self.base)
    }

    pub fn serve(&self, sound: &[u8], kind: &str) {
        *self.ear.sound.lock().unwrap() = Bytes::copy_from_slice(sound);
        *self.ear.kind.lock().unwrap() = kind.to_owned();
    }

    /// The next callback is answered so; without, by `OK`.
    pub fn answer(&self, answer: Answer) {
        self.ear.answers.lock().unwrap().push_back(answer);
    }

    pub fn came(&self) -> Vec<Came> {
        self.ear.came.lock().unwrap().clone()
    }
}

pub fn sound() -> Bytes {
    (0..40_000_u32).map(|n| (n % 251) as u8).collect()
}

async fn hear(State(ear): State<Arc<Ear>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == "/audio.mp3" {
        let range = parts.headers.get("range").map(|v| v.to_str().unwrap());
        return audio(&ear, range);
    }
    let body = body.collect().await.unwrap().to_bytes();
    ear.came.lock().unwrap().push(Came {
        method: parts.method,
        uri: parts.uri.to_string(),
        headers: parts.headers,
        body,
    });
    let answer = ear.answers.lock().unwrap().pop_front();
    answer.unwrap_or(Answer::text(200, "OK")).response()
}

fn audio(ear: &Ear, range: Option<&str>) -> Response {
    let sound = ear.sound.lock().unwrap().clone();
    let kind = ear.kind.lock().unwrap().clone();
    let whole = Answer::new(200).header("content-type", &kind);
    let Some(range) = range else {
        return whole.body(sound).response();
    };
    let (from, to) = range
        .strip_prefix("bytes=")
        .unwrap()
        .split_once('-')
        .unwrap();
    let from: usize = from.parse().unwrap();
    let last = sound.len() - 1;
    let to = to.parse().unwrap_or(last).min(last);
    let answer = Answer {
        status: 206,
        ..whole
    };
    answer
        .header(
            "content-range",
            &format!("bytes {from}-{to}/{}", sound.len()),
        )
        .body(sound.slice(from..=to))
        .response()
}

const BOUNDS: Bounds = Bounds {
    within: Duration::from_secs(20),
    bytes_max: 64 * 1024 * 1024,
};

pub async fn call(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Heard, String> {
    Client::new()
        .call(method, url, headers, body.into(), BOUNDS)
        .await
}

pub async fn post_json(url: &str, headers: &[(&str, &str)], body: &Value) -> Heard {
    try_json(url, headers, body).await.unwrap()
}

pub async fn try_json(url: &str, headers: &[(&str, &str)], body: &Value) -> Result<Heard, String> {
    let kind = [("content-type", "application/json")];
    let headers = [headers, &kind].concat();
    call(Method::POST, url, &headers, body.to_string()).await
}

pub async fn post_form(url: &str, fields: &[(&str, &str)]) -> Heard {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    call(Method::POST, url, &kind, body).await.unwrap()
}

pub async fn get(url: &str, headers: &[(&str, &str)]) -> Heard {
    call(Method::GET, url, headers, Bytes::new()).await.unwrap()
}

pub fn json_of(heard: &Heard) -> Value {
    serde_json::from_slice(&heard.body).unwrap()
}

/// The object with these members changed; null takes one out.
pub fn with(base: &Value, changes: Value) -> Value {
    let mut changed = base.clone();
    for (name, value) in changes.as_object().unwrap() {
        changed[name] = value.clone();
    }
    let members = changed.as_object_mut().unwrap();
    members.retain(|_, value| *value != json!(null));
    changed
}
