//! VoiceDrop, played: knows no repeat and can't be asked. Its 200 has no id, its callbacks are
//! unsigned, and one send brings several of them.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::call::{Call, Kind};
use super::desk::{Common, Desk, Dialect, lock};
use super::fields::{Fields, PhoneForm, last_ten};
use super::play::{Answer, Fate, Outcome};
use super::record::{Source, Taken};
use super::{Played, not_allowed, not_found};

#[derive(Clone)]
pub struct Settings {
    pub common: Common,
    pub auth_key: String,
    /// How `to` and `from` have to be written; the vendor's documents and its behaviour disagree.
    pub phone_form: PhoneForm,
    /// The account's sender numbers. Empty: any number is taken for verified.
    pub verified: Vec<String>,
    pub voice_units: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            common: Common::default(),
            auth_key: "played-voicedrop-key".to_owned(),
            phone_form: PhoneForm::E164,
            verified: Vec::new(),
            voice_units: 1_000,
        }
    }
}

pub struct VoiceDrop {
    desk: Arc<Desk>,
    settings: Settings,
    do_not_call: Mutex<HashSet<String>>,
}

/// Where its uploads lie, under its own address.
const UPLOADS: &str = "/converted_audio_files/";
const DO_NOT_CALL_MAX: usize = 10_000;

impl VoiceDrop {
    pub async fn start(settings: Settings) -> io::Result<Played<VoiceDrop>> {
        let common = settings.common.clone();
        Played::start("voicedrop", common, Words, |desk| {
            let vendor = Arc::new(VoiceDrop {
                desk,
                settings,
                do_not_call: Mutex::default(),
            });
            (vendor.clone(), router(vendor))
        })
        .await
    }

    /// The base URL that a client is configured with.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.desk.addr)
    }

    /// Reads a call other than a send, with its credentials judged.
    async fn read(&self, request: Request, kind: Kind) -> Result<Call, Response> {
        let call = self.desk.read(request).await?;
        self.desk.wrongs_of(&call, &call.outside(kind));
        match self.is_known(&call) {
            true => Ok(call),
            false => Err(unauthorized()),
        }
    }

    fn is_known(&self, call: &Call) -> bool {
        let is_known = call.header("auth-key") == Some(&self.settings.auth_key);
        if !is_known {
            self.desk
                .wrong(call, "the header auth-key is not the account's");
        }
        is_known
    }

    fn is_verified(&self, number: &str) -> bool {
        let verified = &self.settings.verified;
        verified.is_empty() || verified.iter().any(|v| last_ten(v) == last_ten(number))
    }

    fn source(&self, url: &str) -> Source {
        let own = format!("http://{}{UPLOADS}", self.desk.addr);
        match url.strip_prefix(&own) {
            Some(file) => match self.desk.book.find_upload(file) {
                Some(sha256) => Source::Upload(sha256),
                None => Source::Missing(url.to_owned()),
            },
            None => Source::Link(url.to_owned()),
        }
    }

    /// The message, or what is wrong with the request.
    fn judge(&self, call: &Call) -> (Taken, Vec<String>) {
        let mut fields = Fields::new(&call.fields);
        let recipient = fields.need_phone("to", self.settings.phone_form);
        let sender = fields.need_phone("from", self.settings.phone_form);
        fields.flag("validate_recipient_phone");
        let callback_url = fields.web_address("send_status_to_webhook");
        let spoken = fields.present(&["voice_clone_id", "script"]).len();
        fields.text("voice_clone_id");
        fields.text("script");
        let source = match (fields.web_address("recording_url"), spoken) {
            (Some(url), 0) => self.source(&url),
            (None, 2) => Source::Spoken,
            _ => {
                fields.wrong("needs either `recording_url`, or `voice_clone_id` and `script`");
                Source::Missing(String::new())
            }
        };
        let mut wrongs = call.outside(Kind::Json);
        wrongs.extend(fields.end());
        let taken = Taken {
            number: 0,
            id: Uuid::new_v4().to_string(),
            recipient,
            sender,
            callback_url,
            foreign_id: None,
            key: None,
            fingerprint: None,
            source,
            at_us: self.desk.now_us(),
        };
        (taken, wrongs)
    }
}

fn router(vendor: Arc<VoiceDrop>) -> Router {
    let desk = vendor.desk.clone();
    Router::new()
        .route("/v1/ringless_voicemail", post(send))
        .route("/v1/upload-static-audio", post(upload))
        .route("/v1/profile", get(profile))
        .route("/v1/add-to-dnc-list", post(add_to_dnc_list))
        .route("/v1/phone-validations", post(phone_validations))
        .route(&format!("{UPLOADS}{{file}}"), get(uploaded))
        .with_state(vendor)
        .merge(Router::new().fallback(not_found).with_state(desk.clone()))
        .method_not_allowed_fallback(move |request: Request| not_allowed(desk.clone(), request))
}

fn unauthorized() -> Response {
    error(401, "Unauthorized").response()
}

fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"status": "error", "message": message}))
}

fn success(message: Value) -> Answer {
    Answer::json(200, &json!({"status": "success", "message": message}))
}

async fn send(State(vendor): State<Arc<VoiceDrop>>, request: Request) -> Response {
    let desk = &vendor.desk;
    let call = match desk.open(request).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    let (taken, wrongs) = vendor.judge(&call);
    let play = desk.play_of(&taken.recipient);
    let is_wrong = desk.wrongs_of(&call, &wrongs);
    if !vendor.is_known(&call) {
        return unauthorized();
    }
    if is_wrong {
        return error(400, "Invalid payload").response();
    }
    if !vendor.is_verified(&taken.sender) {
        return error(200, "from number is not verified").response();
    }
    let is_barred = lock(&vendor.do_not_call).contains(&last_ten(&taken.recipient));
    let forced = is_barred.then(|| Words.outcome(Fate::Dnc));
    let story = desk.take(&play, taken, forced);
    let queued = success(json!("Your ringless voicemail has been queued"));
    desk.finish(&play, queued, story).await
}

async fn upload(State(vendor): State<Arc<VoiceDrop>>, request: Request) -> Response {
    let call = match vendor.read(request, Kind::Multipart).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    let bytes = match call.parts().await {
        Ok(parts) => match parts.as_slice() {
            [(name, kind, bytes)]
                if name == "file" && kind.as_deref() == Some("audio/mpeg") && !bytes.is_empty() =>
            {
                bytes.clone()
            }
            _ => {
                let text = "needs exactly one part `file`, of type audio/mpeg, that is not empty";
                vendor.desk.wrong(&call, text);
                return error(400, "Invalid file").response();
            }
        },
        Err(why) => {
            vendor.desk.wrong(&call, &why);
            return error(400, "Invalid file").response();
        }
    };
    let file = format!("{}.mp3", Uuid::new_v4());
    vendor.desk.book.upload(&file, &bytes);
    let url = format!("http://{}{UPLOADS}{file}", vendor.desk.addr);
    success(json!({ "recording_url": url })).response()
}

async fn uploaded(State(vendor): State<Arc<VoiceDrop>>, Path(file): Path<String>) -> Response {
    let book = &vendor.desk.book;
    let sound = book.find_upload(&file).and_then(|s| book.sound(&s));
    match sound {
        Some(bytes) => Answer::new(200)
            .header("content-type", "audio/mpeg")
            .body(bytes)
            .response(),
        None => Answer::text(404, "no such file").response(),
    }
}

async fn profile(State(vendor): State<Arc<VoiceDrop>>, request: Request) -> Response {
    if let Err(response) = vendor.read(request, Kind::None).await {
        return response;
    }
    let verified: Vec<String> = vendor
        .settings
        .verified
        .iter()
        .map(|v| last_ten(v))
        .collect();
    let body = json!({
        "all_user_data": { "verified_phone_numbers": verified },
        "subscription": { "voice_units_remaining": vendor.settings.voice_units },
    });
    Answer::json(200, &body).response()
}

async fn add_to_dnc_list(State(vendor): State<Arc<VoiceDrop>>, request: Request) -> Response {
    let call = match vendor.read(request, Kind::Json).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    let mut fields = Fields::new(&call.fields);
    let phone = fields.need_phone("phone", PhoneForm::TenDigits);
    if vendor.desk.wrongs_of(&call, &fields.end()) {
        return error(400, "Invalid payload").response();
    }
    let mut barred = lock(&vendor.do_not_call);
    if barred.len() < DO_NOT_CALL_MAX {
        barred.insert(phone);
    }
    success(json!("Phone number added to DNC list")).response()
}

async fn phone_validations(State(vendor): State<Arc<VoiceDrop>>, request: Request) -> Response {
    let call = match vendor.read(request, Kind::Json).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    let mut fields = Fields::new(&call.fields);
    let numbers = fields.texts("prospect_phone_numbers");
    for number in numbers.iter().filter(|n| !PhoneForm::Any.admits(n)) {
        fields.wrong(format!("`{number}` is no phone number"));
    }
    if vendor.desk.wrongs_of(&call, &fields.end()) {
        return error(400, "Invalid payload").response();
    }
    let validated = numbers.iter().map(|number| {
        json!({
            "phone": number, "valid": true, "active": true, "line_type": "mobile", "VOIP": false,
            "carrier": "Played Wireless", "timezone": "America/New_York", "zip_code": "10001",
            "region": "NY", "risky": false, "prepaid": false,
            "do_not_call": lock(&vendor.do_not_call).contains(&last_ten(number)),
        })
    });
    let validated: Vec<Value> = validated.collect();
    Answer::json(200, &json!({ "phones_validated": validated })).response()
}

/// How VoiceDrop says things.
struct Words;

impl Dialect for Words {
    fn outcome(&self, fate: Fate) -> Outcome {
        let not_delivered = || Outcome::new("not-delivered");
        match fate {
            Fate::Delivered => Outcome::new("delivered").delivered(),
            Fate::MailboxFull => not_delivered().reason("mailbox full"),
            Fate::NoMailbox => not_delivered().reason("no voicemail box set up"),
            Fate::NotDetected => not_delivered().reason("voicemail not detected"),
            Fate::Unreachable => not_delivered().reason("unreachable"),
            Fate::NoAnswer => not_delivered().reason("no answer"),
            Fate::Busy => not_delivered().reason("busy"),
            Fate::AnswerSupervision => not_delivered().field("extra_status_info", json!("FAS")),
            Fate::InvalidNumber => Outcome::new("failed").reason("invalid number"),
            Fate::NotMobile => Outcome::new("skipped").reason("landline"),
            Fate::Dnc => Outcome::new("skipped").reason("number is on the DNC list"),
            Fate::BadAudio => Outcome::new("failed").reason("recording could not be processed"),
            Fate::NoFunds => Outcome::new("failed").reason("insufficient voice units"),
            Fate::BadAccount => Outcome::new("failed").reason("account suspended"),
            Fate::Unheard => Outcome::new("rerouted").passing(),
        }
    }

    fn preface(&self) -> Option<Outcome> {
        let scheduled = Outcome::new("scheduled").passing();
        Some(scheduled.field("extra_status_info", json!("pending")))
    }

    fn audio_failed(&self, why: &str) -> Outcome {
        Outcome::new("failed").reason(&format!("recording could not be fetched: {why}"))
    }

    fn refusal(&self, text: &str) -> Answer {
        error(200, text)
    }

    fn payload(&self, taken: &Taken, outcome: &Outcome, _now_us: i64) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: &str| fields.insert(name.to_owned(), json!(value));
        put("status", &outcome.status);
        put("voice_drop_id", &taken.id);
        // Seen in the wild without the plus sign.
        put("sent_to", &format!("1{}", last_ten(&taken.recipient)));
        put("sent_from", &format!("1{}", last_ten(&taken.sender)));
        put("message", "Your ringless voicemail has been queued");
        if !outcome.reason.is_empty() {
            put("reason", &outcome.reason);
        }
        fields
    }
}
