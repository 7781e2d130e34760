//! Drop Cowboy's second API. It knows a repeat by its `Idempotency-Key` for 24 hours, checks nothing
//! before it answers 202, and says afterwards what became of a message: by one callback without a
//! signature, and by the account's signed webhooks. docs/carriers/drop_cowboy_v2.md tells where each of
//! this is from.
//!
//! | reply to `POST /rvm` | outcome |
//! |---|---|
//! | 2xx with `status: "queued"` | Taken; `message_id` is its reference until a result names another |
//! | 2xx with another `status`, or none | Unknown: the same request under the same key finds out |
//! | all others, and none | as in `reply.rs` |
//!
//! | result's `reason_code` | said |
//! |---|---|
//! | 0, or none, with `status` = `success` | DELIVERED |
//! | 3000, 3007 | not tried: it waits for the account (`insufficient_funds`, `carrier_auth`) |
//! | 3001 | FAILED `audio_rejected` |
//! | 3014, 4010 | FAILED `peer_config` |
//! | 3027 | UNCONFIRMED `carrier_ambiguous`: the key came before with another body, so an earlier call was taken |
//! | 4000, 4001, 4002, 4004, 4005, 4006 | NOT_DELIVERED: voicemail not detected, no mailbox, mailbox full, unreachable, no answer, busy |
//! | 4008 | FAILED `spam_blocked` |
//! | 3040, 4013, 4016, 4017, 4019 | SKIPPED: refused recipient, frequency cap, internal DNC, litigator, reassigned |
//! | 6000, 6001, 6002 | FAILED `sender_suspended` |
//! | 6003 | FAILED `sender_not_verified` |
//! | 6004, 6006, 6011; 6005 | SKIPPED: consent missing; consent revoked |
//! | another code with `status` = `failure` | SKIPPED `carrier_dnc` with `dnc`, else FAILED `carrier_unknown` |
//! | another `status`, or `success` with another code | unheard: it changes nothing and is kept |

mod webhook;

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::drop_cowboy_v1::{CURRENCY, FEES};
use super::http::{Ask, Reply};
use super::notice::Fields;
use super::reply::{Outcomes, of_no_reply, of_nonsense, of_status, of_upload, refusal, words};
use super::settings::{
    Account, AudioSetting, Defaults, NumberFormat, Place, Split, account_name, read, secret,
};
use super::text::shown;
use super::{
    AudioWay, BoxFuture, Call, Carrier, Event, Finding, Message, Notice, NoticeFault, Particulars,
    Upload,
};
use crate::domain::attempt::{CarrierWords, Outcome};
use crate::domain::doubt::DoubtTraits;
use crate::domain::failure::FailureReason;
use crate::domain::phone::PhoneNumber;
use crate::domain::status::End;
use crate::domain::time::Time;
use crate::domain::word::{Cost, Said, Word};
use crate::secret::{Secret, SecretSource};

const DEFAULTS: Defaults = Defaults {
    base_url: "https://api-v2.dropcowboy.com",
    number_format: NumberFormat::E164,
    takes_uploads: true,
};

/// Keys are remembered for 24 h (idempotency.md); the hour is for the way, and for clocks.
const REPEATABLE_FOR: Duration = Duration::from_secs(23 * 3_600);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    key: Option<SecretSource>,
    secret: Option<SecretSource>,
    /// Of the account's signed webhooks; while it is rotated, the new one and the old one.
    #[serde(default)]
    signing_secrets: Vec<SecretSource>,
    /// The line whose numbers are sent from; left out: the account's default line.
    phone_line_id: Option<String>,
    brand_id: Option<String>,
}

/// Signing secrets that may be good at the same time.
const SIGNING_SECRETS_MAX: usize = 4;

pub struct DropCowboyV2 {
    account: Account,
    key: Secret,
    secret: Secret,
    signing_secrets: Vec<Secret>,
    phone_line_id: Option<String>,
    brand_id: Option<String>,
}

pub fn open(place: &Place, table: toml::Table) -> Result<Arc<dyn Carrier>, String> {
    let Split { common, own } = read::<Own>(table)?;
    if own.signing_secrets.len() > SIGNING_SECRETS_MAX {
        return Err(format!(
            "signing_secrets has {}; at most {SIGNING_SECRETS_MAX} are allowed",
            own.signing_secrets.len()
        ));
    }
    let signing_secrets = own.signing_secrets.iter();
    Ok(Arc::new(DropCowboyV2 {
        account: common.check(place, &DEFAULTS)?,
        key: secret("key", own.key.as_ref())?,
        secret: secret("secret", own.secret.as_ref())?,
        signing_secrets: signing_secrets
            .map(|source| source.read("signing_secrets"))
            .collect::<Result<_, _>>()?,
        phone_line_id: own.phone_line_id,
        brand_id: own.brand_id,
    }))
}

impl DropCowboyV2 {
    fn ask(&self, method: Method, path: &str) -> Result<Ask, Outcomes> {
        let ask = self.account.ask(method, path)?;
        Ok(ask
            .secret("x-key", self.key.expose())
            .secret("x-secret", self.secret.expose()))
    }

    async fn send(&self, call: Call) -> Outcomes {
        let sent = async {
            let ask = self
                .ask(Method::POST, "/rvm")?
                .header("idempotency-key", &call.hand_over_id.to_string());
            self.account
                .call(ask.body("application/json", call.request))
                .await
        };
        match sent.await {
            Ok(reply) => taken_or_not(&reply, call.now),
            Err(outcomes) => outcomes,
        }
    }

    /// Creates the recording, puts its bytes to the address that comes back, and completes it.
    async fn give(&self, upload: Upload) -> Result<String, Outcomes> {
        let name = format!("ringless-{}", crate::domain::hex(&upload.sha256[..8]));
        let wanted = json!({ "name": name, "type": "rvm", "signed_upload": true });
        let created = self
            .post("/media/public/media", &wanted, upload.now)
            .await?;
        let media_id = created.get("media_id").and_then(Value::as_str);
        let mp3 = created
            .get("upload")
            .map(|it| it["mp3"].clone())
            .unwrap_or_default();
        let (Some(media_id), Some(url)) = (media_id, mp3["url"].as_str()) else {
            let text = "the answer to the upload names no place for it";
            return Err((
                Outcome::TryAgain {
                    reason: FailureReason::CarrierTimeout,
                    wait: None,
                },
                words("", text),
            ));
        };
        // The address is signed for this type, and must not be given the API's headers.
        let kind = mp3["content_type"].as_str().unwrap_or("audio/mpeg");
        let put = Ask::new(Method::PUT, url).map_err(|no_reply| of_no_reply(&no_reply))?;
        let put = self.account.call(put.body(kind, upload.audio)).await?;
        // What a storage says may hold signatures, so its text is left out.
        if let Some(outcomes) = of_status(&put, "", upload.now) {
            // It is about a place for bytes, so it says nothing about our account.
            let reason = FailureReason::CarrierUnknown;
            return Err(match outcomes.0 {
                Outcome::Rejected { .. } => (Outcome::Rejected { reason }, outcomes.1),
                _ => outcomes,
            });
        }
        let path = format!("/media/public/media/{media_id}/complete");
        self.post(&path, &json!({}), upload.now).await?;
        Ok(media_id.to_owned())
    }

    /// What `data` holds of the answer.
    async fn post(
        &self,
        path: &str,
        body: &Value,
        now: Time,
    ) -> Result<Map<String, Value>, Outcomes> {
        let ask = self.ask(Method::POST, path)?;
        let reply = self
            .account
            .call(ask.body("application/json", body.to_string()))
            .await?;
        if let Some(outcomes) = of_status(&reply, &detail_of(&reply), now) {
            return Err(outcomes);
        }
        Ok(data_of(&reply))
    }

    async fn look(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        match self.get("/register/public/integration-readiness").await {
            Err(said) => return vec![Finding::bad(said)],
            Ok(data) => {
                findings.push(Finding::good("the credentials are accepted"));
                findings.push(match data.get("test_numbers_only").and_then(Value::as_bool) {
                    Some(true) => Finding::bad("the account may send to the simulator's numbers only; finish its registration"),
                    Some(false) => Finding::good("the account may send to any number"),
                    None => Finding::note("it is not told whether the account may send to any number"),
                });
                let may_link = data.get("audio_url_allowed").and_then(Value::as_bool);
                findings.extend(match (self.account.audio, may_link) {
                    (AudioSetting::Link, Some(false)) => Some(Finding::bad(
                        "the account may not send audio by a link; set audio = \"upload\"",
                    )),
                    (AudioSetting::Link, Some(true)) => {
                        Some(Finding::good("the account may send audio by a link"))
                    }
                    (AudioSetting::Link, None) => Some(Finding::note(
                        "it is not told whether the account may send audio by a link",
                    )),
                    (AudioSetting::Upload, _) => None,
                });
            }
        }
        findings.extend(self.look_at_line().await);
        findings.push(match self.signing_secrets.is_empty() {
            true => Finding::note(
                "no signing_secrets: the account's webhook is not listened to, callbacks alone are",
            ),
            false => Finding::note(
                "the account's webhook is listened to on /webhooks/ and this carrier's name",
            ),
        });
        findings.push(Finding::note("this API does not tell the balance"));
        findings
    }

    async fn look_at_line(&self) -> Option<Finding> {
        let wanted = self.phone_line_id.as_ref()?;
        Some(match self.get_text("/phone/public/lines").await {
            Err(said) => Finding::bad(said),
            Ok(text) if text.contains(wanted.as_str()) => {
                Finding::good("phone_line_id is one of the account's lines")
            }
            Ok(_) => Finding::bad("phone_line_id is none of the account's lines"),
        })
    }

    async fn get(&self, path: &str) -> Result<Map<String, Value>, String> {
        self.reply_to(path).await.map(|reply| data_of(&reply))
    }

    async fn get_text(&self, path: &str) -> Result<String, String> {
        self.reply_to(path).await.map(|reply| reply.text())
    }

    async fn reply_to(&self, path: &str) -> Result<Reply, String> {
        let asked = async {
            let ask = self.ask(Method::GET, path)?;
            self.account.call(ask).await
        };
        match asked.await {
            Ok(reply) if reply.status == 200 => Ok(reply),
            Ok(reply) => Err(format!(
                "{path} answers {}: {}",
                reply.status,
                shown(&detail_of(&reply))
            )),
            Err((_, words)) => Err(format!("no answer: {}", words.detail)),
        }
    }
}

/// All answers but those of `/rvm` have it.
fn data_of(reply: &Reply) -> Map<String, Value> {
    match reply.object().unwrap_or_default().remove("data") {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    }
}

/// An error's text, with the vendor's id of the request, by which its support finds it.
fn detail_of(reply: &Reply) -> String {
    let object = reply.object().unwrap_or_default();
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let what = text("detail").or(text("title")).unwrap_or_default();
    match reply.header("x-request-id") {
        Some(id) => format!("{what} (request {id})"),
        None => what.to_owned(),
    }
}

fn taken_or_not(reply: &Reply, now: Time) -> Outcomes {
    let text = detail_of(reply);
    if let Some((outcome, said)) = of_status(reply, &text, now) {
        let code = reply.object().and_then(|object| {
            let code = object.get("code")?;
            Some(code.as_str().map_or(code.to_string(), str::to_owned))
        });
        // A refusal whose text means nothing here may have a number that does.
        let reason = code
            .as_deref()
            .and_then(|code| code.parse().ok())
            .and_then(reason_of);
        let outcome = match (outcome, reason.filter(|_| refusal(&text).is_none())) {
            (
                Outcome::Rejected {
                    reason: FailureReason::CarrierUnknown,
                },
                Some(reason),
            ) => Outcome::Rejected { reason },
            (outcome, _) => outcome,
        };
        let said = match code {
            Some(code) => CarrierWords::new("", &code, &said.detail),
            None => said,
        };
        return (outcome, said);
    }
    let object = reply.object().unwrap_or_default();
    let reference = object.get("message_id").and_then(Value::as_str);
    match object.get("status").and_then(Value::as_str) {
        Some("queued") => (
            Outcome::Taken { ask_after: None },
            CarrierWords::new(reference.unwrap_or_default(), "", ""),
        ),
        _ => of_nonsense(reply),
    }
}

/// What a number of the vendor's table means, but for those that are no reason of ours.
fn reason_of(code: i64) -> Option<FailureReason> {
    use FailureReason::*;
    Some(match code {
        3000 => InsufficientFunds,
        3001 => AudioRejected,
        3007 => CarrierAuth,
        3014 | 4010 => PeerConfig,
        3027 => CarrierAmbiguous,
        3040 => CarrierRefusedRecipient,
        4000 => VoicemailNotDetected,
        4001 => NoMailbox,
        4002 => MailboxFull,
        4004 => Unreachable,
        4005 => NoAnswer,
        4006 => Busy,
        4008 => SpamBlocked,
        4013 => FrequencyCap,
        4016 => InternalDnc,
        4017 => KnownLitigator,
        4019 => ReassignedNumber,
        6000..=6002 => SenderSuspended,
        6003 => SenderNotVerified,
        6004 | 6006 | 6011 => ConsentMissing,
        6005 => ConsentRevoked,
        _ => return None,
    })
}

/// A result, in a callback or in a webhook's `data`.
fn read_result(fields: &Fields) -> Word {
    let status = fields.text("status").unwrap_or_default();
    let code = fields.text("reason_code").unwrap_or_default();
    let number = code.parse::<i64>().ok();
    let because = |reason| Said::Ended(End::Because(reason));
    let said = match (status.to_lowercase().as_str(), number) {
        ("success", None | Some(0)) => Said::Ended(End::Delivered),
        ("failure", number) => match number.and_then(reason_of) {
            Some(reason) if reason.is_account_fault() => Said::NotTried(reason),
            Some(reason) => because(reason),
            None if fields.is_true("dnc") => because(FailureReason::CarrierDnc),
            None => because(FailureReason::CarrierUnknown),
        },
        _ => Said::Unheard,
    };
    let text = shown(&fields.text("reason").unwrap_or_default());
    let reference = fields.text("drop_id").unwrap_or_default();
    Word {
        said,
        words: CarrierWords::new(&reference, &code, &text),
        cost: fields.sum_micros(&FEES).map(|micros| Cost {
            micros,
            currency: CURRENCY.to_owned(),
        }),
        recipient: fields.first_of(&["phone_number", "to"]),
    }
}

impl Carrier for DropCowboyV2 {
    fn may_have_health_information(&self) -> bool {
        self.account.may_have_health_information
    }

    fn audio_way(&self) -> AudioWay {
        self.account.audio_way()
    }

    fn account(&self) -> String {
        account_name(&["drop_cowboy_v2", &self.account.base_url, self.key.expose()])
    }

    fn request(&self, message: &Message, particulars: &Particulars) -> Vec<u8> {
        let number = |number| self.account.number_format.of(number);
        let mut request = json!({
            "to": number(&message.recipient),
            // Accounts without numbers of their own pass it over.
            "caller_id": number(&message.sender),
            "foreign_id": particulars.hand_over_id.to_string(),
            "callback_url": particulars.callback_url,
        });
        let audio = match self.account.audio {
            AudioSetting::Link => "audio_url",
            AudioSetting::Upload => "media_id",
        };
        request[audio] = json!(particulars.audio);
        if let Some(line) = &self.phone_line_id {
            request["phone_line_id"] = json!(line);
        }
        if let Some(brand_id) = &self.brand_id {
            request["brand_id"] = json!(brand_id);
        }
        request.to_string().into_bytes()
    }

    fn doubt_traits(&self, _recipient: &PhoneNumber, _reference: &str) -> DoubtTraits {
        DoubtTraits {
            repeatable_for: Some(REPEATABLE_FOR),
            askable: false,
            word_comes: true,
        }
    }

    fn hand_over(&self, call: Call) -> BoxFuture<'_, Outcomes> {
        Box::pin(self.send(call))
    }

    fn upload(&self, upload: Upload) -> BoxFuture<'_, Result<String, Outcomes>> {
        Box::pin(async move { self.give(upload).await.map_err(of_upload) })
    }

    fn read_callback(&self, notice: &Notice) -> Word {
        let fields = notice.fields();
        match fields.is_empty() {
            true => Word::of(Said::Nothing),
            false => read_result(&fields),
        }
    }

    fn check_signature(&self, notice: &Notice) -> Result<(), NoticeFault> {
        webhook::check_signature(notice, &self.signing_secrets)
    }

    fn read_webhook(&self, notice: &Notice, now: Time) -> Result<Event, NoticeFault> {
        self.check_signature(notice)?;
        webhook::check_time(&notice.signature.timestamp, now)?;
        webhook::read_event(&notice.body).ok_or(NoticeFault::Unreadable)
    }

    fn check(&self, _senders: &[PhoneNumber]) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(self.look())
    }
}

#[cfg(test)]
mod tests;
