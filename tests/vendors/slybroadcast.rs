//! Slybroadcast, played: always HTTP 200, in text or in JSON by the endpoint; no repeat is known, but
//! a session can be asked about. It fetches the recording before it answers, and posts `var` until
//! it hears `OK`.
//!
//! Guesses, where the descriptions are silent: a session that has no result yet answers
//! `no result yet`, the JSON of the account's queries mirrors their text, and the order of
//! complaints is that of the fields.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::call::{Call, Kind};
use super::desk::{Common, Desk, Dialect, lock};
use super::fetch::fetch;
use super::fields::{Fields, PhoneForm, last_ten};
use super::play::{Answer, Ending, Fate, Manner, Outcome};
use super::record::{Said, Source, Taken};
use super::{Played, not_allowed, not_found};

#[derive(Clone)]
pub struct Settings {
    pub common: Common,
    pub uid: String,
    pub password: String,
    pub phone_form: PhoneForm,
    /// Recordings of the account: their names, and their sound.
    pub recordings: Vec<(String, Vec<u8>)>,
    pub messages_left: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            common: Common::default(),
            uid: "played@example.com".to_owned(),
            password: "played-slybroadcast-password".to_owned(),
            phone_form: PhoneForm::Any,
            recordings: Vec::new(),
            messages_left: 1_000,
        }
    }
}

pub struct Slybroadcast {
    desk: Arc<Desk>,
    settings: Settings,
    stopped: Mutex<HashSet<String>>,
}

/// The two faces of the one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Face {
    Text,
    Json,
}

const TEXT: &str = "/gateway/vmb.php";
pub const JSON: &str = "/gateway/vmb.json.php";
const STOPPED_MAX: usize = 10_000;

impl Slybroadcast {
    pub async fn start(settings: Settings) -> io::Result<Played<Slybroadcast>> {
        let common = settings.common.clone();
        Played::start("slybroadcast", common, Words, |desk| {
            for (name, bytes) in &settings.recordings {
                desk.book.upload(name, &bytes.clone().into());
            }
            let vendor = Arc::new(Slybroadcast {
                desk,
                settings,
                stopped: Mutex::default(),
            });
            (vendor.clone(), router(vendor))
        })
        .await
    }

    pub fn text_url(&self) -> String {
        format!("http://{}{TEXT}", self.desk.addr)
    }

    pub fn json_url(&self) -> String {
        format!("http://{}{JSON}", self.desk.addr)
    }
}

fn router(vendor: Arc<Slybroadcast>) -> Router {
    let desk = vendor.desk.clone();
    Router::new()
        .route(TEXT, post(gateway))
        .route(JSON, post(gateway))
        .with_state(vendor)
        .merge(Router::new().fallback(not_found).with_state(desk.clone()))
        .method_not_allowed_fallback(move |request: Request| not_allowed(desk.clone(), request))
}

impl Face {
    fn error(self, text: &str) -> Answer {
        match self {
            Face::Text => Answer::text(200, format!("ERROR\n{text}\n")),
            Face::Json => Answer::json(200, &json!({ "ERROR": text })),
        }
    }

    fn ok(self, what: &str) -> Answer {
        match self {
            Face::Text => Answer::text(200, "OK\n"),
            Face::Json => Answer::json(200, &json!({ what: "OK" })),
        }
    }
}

/// One address for all calls: what it is stands in the fields.
async fn gateway(State(vendor): State<Arc<Slybroadcast>>, request: Request) -> Response {
    let desk = &vendor.desk;
    let face = match request.uri().path() {
        JSON => Face::Json,
        _ => Face::Text,
    };
    let call = match desk.open(request).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    desk.wrongs_of(&call, &call.outside(Kind::Form));
    let mut fields = Fields::new(&call.fields);
    let uid = fields.need_text("c_uid");
    let password = fields.need_text("c_password");
    let is_known = uid == vendor.settings.uid && password == vendor.settings.password;
    if !is_known {
        fields.wrong("the credentials are not the account's");
        desk.wrongs_of(&call, &fields.faults());
        let missing = if uid.is_empty() {
            "c_uid: required"
        } else {
            "c_password: invalid"
        };
        return face.error(missing).response();
    }
    if let Some(option) = fields.text("c_option") {
        return vendor.query(face, &call, fields, &option).response();
    }
    if fields.has("remain_message") {
        fields.one_of("remain_message", &["1"]);
        desk.wrongs_of(&call, &fields.end());
        return vendor.remaining(face).response();
    }
    vendor.send(face, call, fields).await
}

impl Slybroadcast {
    async fn send(&self, face: Face, call: Call, mut fields: Fields) -> Response {
        let desk = &self.desk;
        let method = fields.one_of("c_method", &["new_campaign"]);
        if face == Face::Json && method.is_none() {
            fields.wrong("`c_method` is missing");
        }
        let taken = self.judge(&mut fields);
        let mut play = desk.play_of(&taken.recipient);
        if let Ending::Refusal(text) = &play.ending {
            play.ending = Ending::Answer(face.error(text));
        }
        let wrongs = fields.end();
        desk.wrongs_of(&call, &wrongs);
        if let Some(first) = wrongs.first() {
            return face.error(&complaint(first)).response();
        }
        // Unlike the others it wants the recording at once.
        let has_sound = match &taken.source {
            _ if !play.takes => Ok(Default::default()),
            Source::Link(url) => {
                let number = desk.book.with(|record| record.taken.len() as u64);
                fetch(&desk.client, url, desk.common.fetching, number).await
            }
            Source::Missing(what) => Err(what.clone()),
            Source::Upload(_) | Source::Spoken => Ok(Default::default()),
        };
        let taken = match (has_sound, taken.source.clone()) {
            (Err(_), _) => return face.error("Bad Audio, can't download").response(),
            (Ok(bytes), Source::Link(_)) if play.takes => Taken {
                source: Source::Upload(desk.book.keep_sound(&bytes)),
                ..taken
            },
            (Ok(_), _) => taken,
        };
        let session = taken.id.clone();
        let story = desk.take(&play, taken, None);
        let answer = match face {
            Face::Text => Answer::text(
                200,
                format!("OK\nsession_id={session}\nnumber of phone=1\n"),
            ),
            Face::Json => Answer::json(
                200,
                &json!({ "new_campaign": "OK", "session_id": session, "number_of_phone": 1 }),
            ),
        };
        desk.finish(&play, answer, story).await
    }

    fn judge(&self, fields: &mut Fields) -> Taken {
        let recipient = fields.need_phone("c_phone", self.settings.phone_form);
        let sender = fields.need_phone("c_callerID", self.settings.phone_form);
        let date = fields.need_text("c_date");
        if date != "now" && !is_date(&date) {
            fields.wrong(format!(
                "`c_date` is `{date}`, neither now nor YYYY-MM-DD HH:MM:SS"
            ));
        }
        if let Some(end) = fields.text("c_endtime")
            && !is_time(&end)
        {
            fields.wrong(format!("`c_endtime` is `{end}`, not HH:MM:SS"));
        }
        fields.one_of("mobile_only", &["1"]);
        fields.text("c_title");
        let callback_url = fields.web_address("c_dispo_url");
        let source = self.source(fields);
        Taken {
            number: 0,
            id: session_id(),
            recipient,
            sender,
            callback_url,
            foreign_id: None,
            key: None,
            fingerprint: None,
            source,
            at_us: self.desk.now_us(),
        }
    }

    fn source(&self, fields: &mut Fields) -> Source {
        let url = fields.web_address("c_url");
        let kind = fields.one_of("c_audio", &["wav", "mp3", "m4a"]);
        let own = fields.text("c_record_audio");
        let system = fields.text("c_sys_audio_name");
        match (url, kind, own, system) {
            (Some(url), Some(_), None, None) => Source::Link(url),
            (None, None, Some(name), None) => match self.desk.book.find_upload(&name) {
                Some(sha256) => Source::Upload(sha256),
                None => Source::Missing(name),
            },
            (None, None, None, Some(_)) => Source::Spoken,
            _ => {
                fields.wrong(
                    "needs exactly one of c_url with c_audio, c_record_audio, c_sys_audio_name",
                );
                Source::Missing(String::new())
            }
        }
    }

    fn query(&self, face: Face, call: &Call, mut fields: Fields, option: &str) -> Answer {
        if option == "user_verify" {
            self.desk.wrongs_of(call, &fields.end());
            return face.ok(option);
        }
        let session = fields.text("session_id");
        let phone = match option {
            "callstatus" => Some(fields.need_phone("c_phone", PhoneForm::Any)),
            "campaign_result" | "pause" | "run" | "stop" => None,
            _ => {
                fields.wrong(format!("`c_option` is `{option}`"));
                None
            }
        };
        self.desk.wrongs_of(call, &fields.end());
        let Some(session) = session else {
            self.desk.wrong(call, "`session_id` is missing");
            return face.error("session_id: required");
        };
        let of_session = |taken: &&Taken| taken.id == session;
        let find = |taken: &[Taken]| taken.iter().find(of_session).cloned();
        let is_same = |taken: &Taken| {
            let wanted = phone.as_deref().map(last_ten);
            wanted.is_none_or(|phone| phone == last_ten(&taken.recipient))
        };
        let taken = self
            .desk
            .book
            .with(|record| find(&record.taken))
            .filter(is_same);
        let Some(taken) = taken else {
            return face.error("session_id: invalid or not found");
        };
        match option {
            "callstatus" | "campaign_result" => self.result(face, option, &taken),
            _ => self.control(face, option, &taken),
        }
    }

    fn result(&self, face: Face, option: &str, taken: &Taken) -> Answer {
        let outcome = self.desk.book.find_end(taken.number);
        let now_us = self.desk.now_us();
        match (option, outcome, face) {
            ("callstatus", None, _) => face.error("no result yet"),
            ("callstatus", Some(outcome), Face::Text) => {
                Answer::text(200, format!("var={}\n", var(taken, &outcome, now_us)))
            }
            ("callstatus", Some(outcome), Face::Json) => {
                Answer::json(200, &json!({ "var": var(taken, &outcome, now_us) }))
            }
            (_, outcome, Face::Text) => {
                let line = outcome.map(|o| format!("var={}\n", var(taken, &o, now_us)));
                Answer::text(200, line.unwrap_or_default())
            }
            (_, outcome, Face::Json) => {
                let row = |outcome: Outcome| {
                    json!({
                        "to phone": last_ten(&taken.recipient), "dial status": outcome.status,
                        "fail reason": outcome.reason, "delivery time": eastern(now_us),
                        "carrier": carrier(&outcome),
                    })
                };
                let rows: Vec<Value> = outcome.map(row).into_iter().collect();
                Answer::json(200, &json!(rows))
            }
        }
    }

    fn control(&self, face: Face, option: &str, taken: &Taken) -> Answer {
        let is_over = self.desk.book.find_end(taken.number).is_some();
        let mut stopped = lock(&self.stopped);
        if is_over || stopped.contains(&taken.id) {
            return face.error("session_id: already finished");
        }
        if option == "stop" && stopped.len() < STOPPED_MAX {
            stopped.insert(taken.id.clone());
        }
        face.ok(option)
    }

    fn remaining(&self, face: Face) -> Answer {
        let left = self.settings.messages_left;
        match face {
            Face::Text => Answer::text(
                200,
                format!("remaining messages={left}\npending messages=0\n"),
            ),
            Face::Json => Answer::json(
                200,
                &json!({ "remaining messages": left, "pending messages": 0 }),
            ),
        }
    }
}

/// Digits only, as the vendor's are.
fn session_id() -> String {
    (Uuid::new_v4().as_u128() % 10_000_000_000).to_string()
}

/// The vendor's way to complain: the field, then a word.
fn complaint(wrong: &str) -> String {
    let field = wrong.split('`').nth(1).unwrap_or("request");
    match wrong.ends_with("is missing") {
        true => format!("{field}: required"),
        false => format!("{field}: invalid"),
    }
}

fn is_time(text: &str) -> bool {
    let is_shape = text.len() == 8 && text.bytes().filter(|b| *b == b':').count() == 2;
    is_shape && text.parse::<jiff::civil::Time>().is_ok()
}

fn is_date(text: &str) -> bool {
    match text.split_once(' ') {
        Some((day, time)) => day.parse::<jiff::civil::Date>().is_ok() && is_time(time),
        None => false,
    }
}

/// US Eastern, as all its times are.
fn eastern(now_us: i64) -> String {
    let zoned = jiff::Timestamp::from_microsecond(now_us)
        .ok()
        .and_then(|time| time.in_tz("America/New_York").ok());
    zoned.map_or_else(String::new, |z| z.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

fn carrier(outcome: &Outcome) -> &'static str {
    match outcome.is_delivered {
        true => "Played Wireless:6006 - svr/2",
        false => "",
    }
}

fn var(taken: &Taken, outcome: &Outcome, now_us: i64) -> String {
    let time = eastern(now_us);
    let values = [
        taken.id.as_str(),
        &last_ten(&taken.recipient),
        &outcome.status,
        &outcome.reason,
        &time,
        carrier(outcome),
    ];
    let quoted = values.map(|value| format!("\"{value}\""));
    quoted.join("|")
}

/// How Slybroadcast says things: OK, or a reason.
struct Words;

fn failed(reason: &str) -> Outcome {
    Outcome::new("Failed").reason(reason)
}

impl Dialect for Words {
    fn outcome(&self, fate: Fate) -> Outcome {
        match fate {
            Fate::Delivered => Outcome::new("OK").delivered(),
            Fate::MailboxFull => failed("Mailbox full"),
            Fate::NoMailbox => failed("Mailbox not set up"),
            Fate::NotDetected => failed("Unable to detect voicemail"),
            Fate::Unreachable => failed("Disconnected number"),
            Fate::InvalidNumber => failed("Invalid number"),
            Fate::NoAnswer | Fate::AnswerSupervision => failed("No answer"),
            Fate::Busy => failed("Busy"),
            Fate::NotMobile => failed("Not a mobile number"),
            Fate::Dnc => failed("Do not call"),
            Fate::BadAudio => failed("Bad audio"),
            Fate::NoFunds => failed("No remaining messages"),
            Fate::BadAccount => failed("Account suspended"),
            Fate::Unheard => Outcome::new("Rerouted").passing(),
        }
    }

    fn audio_failed(&self, _why: &str) -> Outcome {
        failed("Bad Audio, can't download")
    }

    fn refusal(&self, text: &str) -> Answer {
        Face::Json.error(text)
    }

    fn payload(&self, taken: &Taken, outcome: &Outcome, now_us: i64) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("var".to_owned(), json!(var(taken, outcome, now_us)));
        fields
    }

    fn manner(&self) -> Manner {
        Manner::PostForm
    }

    fn wants_again(&self, said: &Said) -> bool {
        said.answer.trim() != "OK"
    }
}
