//! Drop Cowboy v1, played: credentials in the body, no id in the answer, the caller's `foreign_id`
//! in an unsigned callback. ringlessvoicemail.net has the same shape.
//!
//! Guesses, where the descriptions are silent: refusals are `{"status":"error","message":…}`, 401 for
//! credentials and 400 for fields; reasons are free text.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::call::{Call, Kind};
use super::desk::{Common, Desk, Dialect};
use super::drop_cowboy_v2::iso;
use super::fields::{Fields, PhoneForm};
use super::play::{Answer, Fate, Outcome};
use super::record::{Source, Taken};
use super::{Played, not_allowed, not_found};

#[derive(Clone)]
pub struct Settings {
    pub common: Common,
    pub team_id: String,
    pub secret: String,
    pub brand_id: String,
    /// Recordings that were uploaded and approved by hand: their ids, and their sound.
    pub recordings: Vec<(String, Vec<u8>)>,
    /// Only some accounts may name a recording by its link.
    pub audio_url_allowed: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            common: Common::default(),
            team_id: "5c0f2a52-51f5-4a3d-9f6e-0a4a39a6f7b1".to_owned(),
            secret: "played-dropcowboy-v1-secret".to_owned(),
            brand_id: "b2c4f0de-8f6a-4ac8-8d3d-0f1d5a4ce9a3".to_owned(),
            recordings: Vec::new(),
            audio_url_allowed: true,
        }
    }
}

pub struct DropCowboyV1 {
    desk: Arc<Desk>,
    settings: Settings,
}

impl DropCowboyV1 {
    pub async fn start(settings: Settings) -> io::Result<Played<DropCowboyV1>> {
        let common = settings.common.clone();
        Played::start("drop_cowboy_v1", common, Words, |desk| {
            for (id, bytes) in &settings.recordings {
                desk.book.upload(id, &bytes.clone().into());
            }
            let vendor = Arc::new(DropCowboyV1 { desk, settings });
            (vendor.clone(), router(vendor))
        })
        .await
    }

    /// The base URL that a client is configured with.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.desk.addr)
    }

    fn is_known(&self, team_id: &str, secret: &str) -> bool {
        team_id == self.settings.team_id && secret == self.settings.secret
    }

    /// The message, or what is wrong with the request; and whether its credentials are good.
    fn judge(&self, call: &Call) -> (Taken, Vec<String>, bool) {
        let mut fields = Fields::new(&call.fields);
        let team_id = fields.need_text("team_id");
        let secret = fields.need_text("secret");
        if fields
            .text("brand_id")
            .is_some_and(|b| b != self.settings.brand_id)
        {
            fields.wrong("`brand_id` is none of the account's");
        }
        let recipient = fields.need_phone("phone_number", PhoneForm::E164);
        if !fields.has("foreign_id") {
            fields.wrong("`foreign_id` is missing");
        }
        let foreign_id = fields.text_up_to("foreign_id", 256);
        let source = self.source(&mut fields);
        let sides = fields.present(&["forwarding_number", "caller_id", "pool_id", "phone_ivr_id"]);
        if sides.is_empty() {
            fields.wrong("needs forwarding_number, caller_id, pool_id or phone_ivr_id");
        }
        let forwarding = fields.phone("forwarding_number", PhoneForm::E164);
        let caller_id = fields.phone("caller_id", PhoneForm::E164);
        fields.text("pool_id");
        fields.text("phone_ivr_id");
        fields.text_up_to("postal_code", 10);
        let callback_url = fields.web_address("callback_url");
        fields.text("privacy");
        fields.text("status_format");
        fields.object("byoc");
        let mut wrongs = call.outside(Kind::Json);
        wrongs.extend(fields.end());
        let taken = Taken {
            number: 0,
            id: Uuid::new_v4().to_string(),
            recipient,
            sender: caller_id.or(forwarding).unwrap_or_default(),
            callback_url,
            foreign_id,
            key: None,
            fingerprint: None,
            source,
            at_us: self.desk.now_us(),
        };
        (taken, wrongs, self.is_known(&team_id, &secret))
    }

    fn source(&self, fields: &mut Fields) -> Source {
        let spoken = fields.present(&["voice_id", "tts_body"]).len();
        let recording = fields.text("recording_id");
        let has_type = fields.one_of("audio_type", &["mp3", "wav"]).is_some();
        let link = fields.web_address("audio_url");
        fields.text("voice_id");
        fields.text("tts_body");
        match (recording, link, spoken, has_type) {
            (Some(id), None, 0, false) => match self.desk.book.find_upload(&id) {
                Some(sha256) => Source::Upload(sha256),
                None => {
                    fields.wrong(format!("there is no recording `{id}`"));
                    Source::Missing(id)
                }
            },
            (None, Some(url), 0, true) => Source::Link(url),
            (None, None, 2, false) => Source::Spoken,
            _ => {
                let text = "needs exactly one of recording_id, voice_id with tts_body, audio_url with audio_type";
                fields.wrong(text);
                Source::Missing(String::new())
            }
        }
    }
}

fn router(vendor: Arc<DropCowboyV1>) -> Router {
    let desk = vendor.desk.clone();
    Router::new()
        .route("/v1/rvm", post(send))
        .route("/v1/recording", get(recordings))
        .route("/v1/media", get(recordings))
        .route("/v1/brand", get(brands))
        .route("/v1/pool", get(pools))
        .with_state(vendor)
        .merge(Router::new().fallback(not_found).with_state(desk.clone()))
        .method_not_allowed_fallback(move |request: Request| not_allowed(desk.clone(), request))
}

fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({ "status": "error", "message": message }))
}

async fn send(State(vendor): State<Arc<DropCowboyV1>>, request: Request) -> Response {
    let desk = &vendor.desk;
    let call = match desk.open(request).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    let (taken, wrongs, is_known) = vendor.judge(&call);
    let play = desk.play_of(&taken.recipient);
    let is_wrong = desk.wrongs_of(&call, &wrongs);
    if !is_known {
        desk.wrong(&call, "the credentials are not the account's");
        return error(401, "invalid team_id or secret").response();
    }
    if is_wrong {
        return error(400, "invalid request").response();
    }
    if matches!(taken.source, Source::Link(_)) && !vendor.settings.audio_url_allowed {
        return error(403, "audio_url is not approved for this account").response();
    }
    let story = desk.take(&play, taken, None);
    let queued = Answer::json(200, &json!({ "status": "queued" }));
    desk.finish(&play, queued, story).await
}

/// A list, for whoever has the credentials in the headers.
async fn list(
    vendor: &DropCowboyV1,
    request: Request,
    query: Option<&str>,
    items: Value,
) -> Response {
    let call = match vendor.desk.read(request).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    if call.query.is_some() && call.query.as_deref() != query {
        vendor.desk.wrong(&call, "the query means nothing here");
    }
    let header = |name: &str| call.header(name).unwrap_or_default().to_owned();
    if !vendor.is_known(&header("x-team-id"), &header("x-secret")) {
        vendor
            .desk
            .wrong(&call, "the credentials are not the account's");
        return error(401, "invalid team_id or secret").response();
    }
    Answer::json(200, &items).response()
}

async fn recordings(State(vendor): State<Arc<DropCowboyV1>>, request: Request) -> Response {
    let items = vendor.settings.recordings.iter();
    let items: Vec<Value> = items
        .map(|(id, _)| json!({ "recording_id": id, "name": "played", "api_allowed": true }))
        .collect();
    list(&vendor, request, Some("api_allowed=true"), json!(items)).await
}

async fn brands(State(vendor): State<Arc<DropCowboyV1>>, request: Request) -> Response {
    let items = json!([{ "brand_id": vendor.settings.brand_id, "company_name": "Played" }]);
    list(&vendor, request, None, items).await
}

async fn pools(State(vendor): State<Arc<DropCowboyV1>>, request: Request) -> Response {
    list(&vendor, request, None, json!([])).await
}

/// How Drop Cowboy v1 says things: two statuses, and text.
struct Words;

fn failed(reason: &str) -> Outcome {
    Outcome::new("failure").reason(reason)
}

impl Dialect for Words {
    fn outcome(&self, fate: Fate) -> Outcome {
        match fate {
            Fate::Delivered => Outcome::new("success").delivered(),
            Fate::MailboxFull => failed("Mailbox full"),
            Fate::NoMailbox => failed("Mailbox not set up"),
            Fate::NotDetected => failed("Voicemail not detected"),
            Fate::Unreachable => failed("Number not reachable"),
            Fate::NoAnswer | Fate::AnswerSupervision => failed("No answer"),
            Fate::Busy => failed("Busy"),
            Fate::InvalidNumber => failed("Invalid number"),
            Fate::NotMobile => failed("Not a mobile number"),
            Fate::Dnc => failed("Do not call").field("dnc", json!(true)),
            Fate::BadAudio => failed("Audio unusable"),
            Fate::NoFunds => failed("Insufficient funds"),
            Fate::BadAccount => failed("Account suspended"),
            Fate::Unheard => Outcome::new("rerouted").passing(),
        }
    }

    fn audio_failed(&self, why: &str) -> Outcome {
        failed(&format!("Audio unusable: {why}"))
    }

    fn refusal(&self, text: &str) -> Answer {
        error(200, text)
    }

    fn payload(&self, taken: &Taken, outcome: &Outcome, now_us: i64) -> Map<String, Value> {
        let cost = if outcome.is_delivered { 0.04 } else { 0.0 };
        let fields = json!({
            "drop_id": taken.id,
            "phone_number": taken.recipient,
            "attempt_date": iso(now_us),
            "status": outcome.status,
            "reason": outcome.reason,
            "dnc": false,
            "spam": false,
            "product_cost": cost,
            "compliance_fee": 0.0,
            "tts_fee": 0.0,
            "network": { "name": "Played Wireless", "type": "mobile" },
            "foreign_id": taken.foreign_id,
        });
        match fields {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}
