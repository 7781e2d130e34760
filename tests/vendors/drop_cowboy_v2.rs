//! Drop Cowboy v2, played: the one vendor that knows a repeat by its key. Its 202 says nothing: bad
//! credentials, numbers and recordings are reported afterwards, by a callback that is posted once.
//!
//! Guesses, where the descriptions are silent: the code of a number that is none (4004), the shape of
//! lines, one signing secret for the whole account, and that unknown fields are passed over.

mod account;
pub mod hooks;
mod media;

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use hooks::Hooks;

use super::call::{Call, Kind};
use super::desk::{Common, Desk, Dialect, Story, lock};
use super::fields::{Fields, PhoneForm};
use super::play::{Answer, Fate, Outcome, Play};
use super::record::{Known, Source, Taken, hex};
use super::{Played, not_allowed, not_found};

#[derive(Clone)]
pub struct Settings {
    pub common: Common,
    pub key: String,
    pub secret: String,
    /// Only some plans may name a recording by its link; others get failure 3014.
    pub audio_url_allowed: bool,
    /// A new account: other numbers than the simulator's get failure 3040.
    pub test_numbers_only: bool,
    /// The account's line, and a number on it.
    pub line_id: String,
    pub line_number: String,
    /// Of the signed webhooks.
    pub signing_secret: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            common: Common::default(),
            key: "played-dropcowboy-key".to_owned(),
            secret: "played-dropcowboy-secret".to_owned(),
            audio_url_allowed: true,
            test_numbers_only: false,
            line_id: "0f7b1d3c-5a52-4a0e-9c61-6d1f3b8e2a10".to_owned(),
            line_number: "+12125550100".to_owned(),
            signing_secret: "played-dropcowboy-signing-secret".to_owned(),
        }
    }
}

pub struct DropCowboyV2 {
    pub desk: Arc<Desk>,
    pub hooks: Arc<Hooks>,
    settings: Settings,
    /// Asking whether a key is known and taking the message are one step.
    one_at_a_time: Mutex<()>,
}

impl DropCowboyV2 {
    pub async fn start(settings: Settings) -> io::Result<Played<DropCowboyV2>> {
        let common = settings.common.clone();
        let hooks = Arc::new(Hooks::new(&settings.signing_secret));
        let words = Words {
            hooks: hooks.clone(),
        };
        Played::start("drop_cowboy_v2", common, words, |desk| {
            let vendor = Arc::new(DropCowboyV2 {
                desk,
                hooks,
                settings,
                one_at_a_time: Mutex::default(),
            });
            (vendor.clone(), router(vendor))
        })
        .await
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.desk.addr)
    }

    /// Reads a call other than a send. These judge credentials at once.
    async fn read(&self, request: Request, kind: Kind) -> Result<Call, Response> {
        let call = self.desk.read(request).await?;
        self.desk.wrongs_of(&call, &call.outside(kind));
        match self.has_credentials(&call) {
            Some(true) => Ok(call),
            _ => {
                self.desk
                    .wrong(&call, "the credentials are not the account's");
                Err(error(401, "Unauthorized", "invalid credentials"))
            }
        }
    }

    /// None: there are none at all.
    fn has_credentials(&self, call: &Call) -> Option<bool> {
        let given = (call.header("x-key"), call.header("x-secret"));
        match given {
            (None, None) => None,
            (key, secret) => {
                let is_key = key == Some(&self.settings.key);
                Some(is_key && secret == Some(&self.settings.secret))
            }
        }
    }
}

fn router(vendor: Arc<DropCowboyV2>) -> Router {
    let desk = vendor.desk.clone();
    let hook = "/register/public/webhooks/{id}";
    Router::new()
        .route("/rvm", post(send))
        .route("/media/public/media", post(media::create))
        .route("/media/public/media/{id}/complete", post(media::complete))
        .route("/media/public/media/{id}/policy", get(media::policy))
        .route("/storage/{file}", put(media::put_bytes))
        .route(
            "/phone/public/lines",
            get(account::lines).post(account::create_line),
        )
        .route("/phone/public/lines/{id}/numbers", get(account::numbers))
        .route("/integration/public/byoc", get(account::byoc))
        .route(
            "/register/public/integration-readiness",
            get(account::readiness),
        )
        .route("/register/public/webhooks", post(account::create_hook))
        .route(hook, put(account::change_hook))
        .route(hook, delete(account::delete_hook))
        .route(&format!("{hook}/rotate-secret"), post(account::rotate))
        .route(
            "/register/public/account/webhook-signing-secret",
            get(account::secret),
        )
        .with_state(vendor)
        .merge(Router::new().fallback(not_found).with_state(desk.clone()))
        .method_not_allowed_fallback(move |request: Request| not_allowed(desk.clone(), request))
}

/// All answers but those of `/rvm` are wrapped so.
fn wrapped(status: u16, data: Value) -> Response {
    let body = json!({ "data": data, "meta": { "request_id": Uuid::new_v4().to_string() } });
    Answer::json(status, &body).response()
}

fn error(status: u16, title: &str, detail: &str) -> Response {
    error_answer(status, title, detail).response()
}

fn error_answer(status: u16, title: &str, detail: &str) -> Answer {
    let request_id = Uuid::new_v4().to_string();
    let body = json!({
        "title": title, "detail": detail, "code": status, "meta": { "request_id": request_id },
    });
    Answer::json(status, &body).header("x-request-id", &request_id)
}

async fn send(State(vendor): State<Arc<DropCowboyV2>>, request: Request) -> Response {
    let desk = &vendor.desk;
    let call = match desk.open(request).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    desk.wrongs_of(&call, &call.outside(Kind::Json));
    let Some(has_credentials) = vendor.has_credentials(&call) else {
        desk.wrong(&call, "there are no credentials");
        return error(401, "Unauthorized", "x-key and x-secret are missing");
    };
    if !call.fields.is_object() {
        desk.wrong(&call, "the body is no JSON object");
        return error(400, "Bad Request", "the body is not valid JSON");
    }
    let (mut taken, mut failure) = vendor.judge(&call);
    if !has_credentials {
        desk.wrong(&call, "the credentials are not the account's");
        failure = Some(failed(3007, "invalid credentials"));
    }
    let play = desk.play_of(&taken.recipient);
    let (answer, story) = {
        let _step = lock(&vendor.one_at_a_time);
        match vendor.key(&call, has_credentials, &mut taken) {
            Key::Fresh => vendor.take(&play, taken, failure),
            Key::Bad => vendor.take(&play, taken, Some(failed(3028, "invalid Idempotency-Key"))),
            Key::Other => {
                let text = "Idempotency-Key reused with a different request";
                vendor.take(&play, taken, Some(failed(3027, text)))
            }
            Key::Same(id) => (queued_as(&id), None),
        }
    };
    desk.finish(&play, answer, story).await
}

enum Key {
    Fresh,
    Same(String),
    Other,
    Bad,
}

fn queued_as(id: &str) -> Answer {
    Answer::json(202, &json!({ "status": "queued", "message_id": id }))
}

impl DropCowboyV2 {
    fn take(&self, play: &Play, taken: Taken, failure: Option<Outcome>) -> (Answer, Option<Story>) {
        let answer = queued_as(&taken.id);
        (answer, self.desk.take(play, taken, failure))
    }

    /// What the key says of this request; a new one is put into the message, to be remembered with it.
    fn key(&self, call: &Call, has_credentials: bool, taken: &mut Taken) -> Key {
        let Some(raw) = call.headers.get("idempotency-key") else {
            self.desk.wrong(call, "there is no Idempotency-Key");
            return Key::Fresh;
        };
        let is_printable = |b: &u8| (0x20..0x7f).contains(b);
        let is_good = (1..=255).contains(&raw.len()) && raw.as_bytes().iter().all(is_printable);
        let key = String::from_utf8_lossy(raw.as_bytes()).into_owned();
        taken.key = Some(key.clone());
        if !is_good {
            self.desk.wrong(
                call,
                "the Idempotency-Key is not 1 to 255 printable characters",
            );
            return Key::Bad;
        }
        if !has_credentials {
            // Keys are an account's, and this is nobody's.
            return Key::Fresh;
        }
        let print = fingerprint(call);
        match self.desk.book.known(&key, &print, self.desk.now_us()) {
            Known::No => {
                taken.fingerprint = Some(print);
                Key::Fresh
            }
            Known::Same(id) => Key::Same(id),
            Known::Other => {
                self.desk
                    .wrong(call, "the Idempotency-Key came before with another request");
                Key::Other
            }
        }
    }

    /// The message, and the failure that will be reported of it.
    fn judge(&self, call: &Call) -> (Taken, Option<Outcome>) {
        let mut fields = Fields::new(&call.fields);
        let mut failure = None;
        let mut fail = |code, text: &str| {
            failure.get_or_insert_with(|| failed(code, text));
        };
        if fields.has("contact_id") {
            fields.wrong("`contact_id` is not played; send `to`");
            fields.text("contact_id");
        }
        let recipient = fields.need_phone("to", PhoneForm::E164);
        if !PhoneForm::E164.admits(&recipient) {
            fail(4004, "number not reachable");
        }
        let source = self.source(&mut fields, &mut fail);
        let line = fields.text("phone_line_id");
        if line.is_some_and(|line| line != self.settings.line_id) {
            fields.wrong("`phone_line_id` is none of the account's lines");
            fail(4010, "no phone line");
        }
        let caller_id = fields.phone("caller_id", PhoneForm::E164);
        if let Some(byoc) = fields.object("byoc") {
            let mut byoc = Fields::new(&byoc);
            byoc.text("sti_orig_id");
            byoc.one_of("sti_attestation", &["A", "B", "C"]);
            byoc.end().into_iter().for_each(|text| fields.wrong(text));
        }
        let foreign_id = fields.text("foreign_id");
        let callback_url = fields.web_address("callback_url");
        fields.text_up_to("postal_code", 10);
        fields.text("brand_id");
        let is_test = self.desk.dialect.simulated(&recipient).is_some();
        if self.settings.test_numbers_only && !is_test {
            fail(3040, "test numbers only");
        }
        self.desk.wrongs_of(call, &fields.end());
        let taken = Taken {
            number: 0,
            id: Uuid::new_v4().to_string(),
            recipient,
            sender: caller_id.unwrap_or_else(|| self.settings.line_number.clone()),
            callback_url,
            foreign_id,
            key: None,
            fingerprint: None,
            source,
            at_us: self.desk.now_us(),
        };
        (taken, failure)
    }

    fn source(&self, fields: &mut Fields, fail: &mut impl FnMut(u32, &str)) -> Source {
        let spoken = fields.present(&["tts_body", "voice_id"]).len();
        let media = fields.text("media_id");
        let link = fields.web_address("audio_url");
        if let Some(text) = fields.text("tts_body")
            && text.chars().count() > 1_200
        {
            fields.wrong("`tts_body` is longer than 1,200 characters");
            fail(3021, "text too long");
        }
        fields.text("voice_id");
        match (media, link, spoken) {
            (Some(id), None, 0) => match self.desk.book.find_upload(&id) {
                Some(sha256) => Source::Upload(sha256),
                None => {
                    fields.wrong(format!("there is no completed media `{id}`"));
                    Source::Missing(id)
                }
            },
            (None, Some(url), 0) => {
                if !self.settings.audio_url_allowed {
                    fail(3014, "audio_url not allowed");
                }
                Source::Link(url)
            }
            (None, None, 2) => Source::Spoken,
            (None, None, 1) => {
                fields.wrong("`tts_body` and `voice_id` go together");
                fail(3015, "tts fields incomplete");
                Source::Spoken
            }
            _ => {
                fields.wrong("needs exactly one of media_id, tts_body with voice_id, audio_url");
                fail(3001, "audio unusable");
                Source::Missing(String::new())
            }
        }
    }
}

/// Of the route and the fields; their order in the body is nothing.
fn fingerprint(call: &Call) -> String {
    let text = format!("{} {}\n{}", call.method, call.path, sorted(&call.fields));
    hex(&Sha256::digest(text))
}

fn sorted(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut members: Vec<String> = map
                .iter()
                .map(|(name, value)| format!("{}:{}", json!(name), sorted(value)))
                .collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

fn failed(code: u32, reason: &str) -> Outcome {
    Outcome::new("failure").code(code).reason(reason)
}

/// How Drop Cowboy says things; one place for both results, so that they agree.
struct Words {
    hooks: Arc<Hooks>,
}

/// An id that belongs to the message but is not its `message_id`, which results never have.
fn other_id(taken: &Taken, what: &str) -> String {
    let hash = Sha256::digest(format!("{what} {}", taken.id));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}

impl Dialect for Words {
    fn outcome(&self, fate: Fate) -> Outcome {
        match fate {
            Fate::Delivered => Outcome::new("success").reason("Success").delivered(),
            Fate::MailboxFull => failed(4002, "mailbox full"),
            Fate::NoMailbox => failed(4001, "mailbox not set up"),
            Fate::NotDetected => failed(4000, "voicemail not detected"),
            Fate::Unreachable | Fate::InvalidNumber => failed(4004, "number not reachable"),
            Fate::NoAnswer | Fate::AnswerSupervision => failed(4005, "no answer"),
            Fate::Busy => failed(4006, "busy"),
            // There is no code for a landline; it is not reached by a mobile carrier's voicemail.
            Fate::NotMobile => failed(4004, "number not reachable"),
            Fate::Dnc => failed(4016, "internal DNC").field("dnc", json!(true)),
            Fate::BadAudio => failed(3001, "audio unusable"),
            Fate::NoFunds => failed(3000, "insufficient funds"),
            Fate::BadAccount => failed(3007, "invalid credentials"),
            Fate::Unheard => Outcome::new("rerouted").code(9999).passing(),
        }
    }

    fn simulated(&self, recipient: &str) -> Option<Outcome> {
        let last = recipient.strip_prefix("+1555001")?;
        Some(match last {
            "0001" => self.outcome(Fate::Delivered),
            "0002" => self.outcome(Fate::NotDetected),
            "0004" => self.outcome(Fate::NoAnswer),
            "0005" => self.outcome(Fate::Busy),
            "0006" => self.outcome(Fate::Unreachable),
            "0090" => self.outcome(Fate::Dnc),
            "0091" => failed(4017, "known litigator"),
            "0092" => failed(4019, "reassigned number"),
            "0093" => failed(4021, "reassigned numbers database error"),
            "0094" => failed(6000, "carrier denied use case"),
            "0095" => failed(6002, "pool suspended"),
            "0097" => failed(4013, "too many attempts"),
            "0098" => failed(6005, "opt-in revoked"),
            "0099" => failed(6011, "opt-in missing"),
            _ => return None,
        })
    }

    fn audio_failed(&self, why: &str) -> Outcome {
        failed(3001, &format!("audio unusable: {why}"))
    }

    fn refusal(&self, text: &str) -> Answer {
        error_answer(400, "Bad Request", text)
    }

    fn payload(&self, taken: &Taken, outcome: &Outcome, now_us: i64) -> Map<String, Value> {
        let cost = if outcome.is_delivered { 0.035 } else { 0.0 };
        let fields = json!({
            "drop_id": other_id(taken, "drop"),
            "team_id": "b0b5d5a1-37f1-4f4b-9d9e-6c2f0f0a7e11",
            "session_id": other_id(taken, "session"),
            "log_id": other_id(taken, "log"),
            "contact_id": other_id(taken, "contact"),
            "phone_number": taken.recipient,
            "caller_id": taken.sender,
            "product_code": "rvm",
            "status": outcome.status,
            "reason": outcome.reason,
            "reason_code": outcome.code,
            "quantity": 1,
            "product_cost": cost,
            "compliance_fee": 0.0,
            "tts_fee": 0.0,
            "dnc": false,
            "attempt_date": iso(now_us),
            "foreign_id": taken.foreign_id,
            "proof_of_delivery_url": proof(taken, outcome),
        });
        match fields {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn besides(&self, desk: &Arc<Desk>, taken: &Taken, outcome: &Outcome) {
        // Nobody's credentials have no account with webhooks.
        if outcome.code != 3007 {
            self.hooks.announce(desk, taken, outcome);
        }
    }
}

/// Of the recording of a drop; there is one for these codes only.
fn proof(taken: &Taken, outcome: &Outcome) -> Option<String> {
    let has_proof = matches!(outcome.code, 0 | 4001 | 4002);
    has_proof.then(|| format!("http://127.0.0.1:9/proof/{}.mp3", other_id(taken, "drop")))
}

pub(super) fn iso(now_us: i64) -> String {
    jiff::Timestamp::from_microsecond(now_us).map_or_else(|_| String::new(), |t| t.to_string())
}
