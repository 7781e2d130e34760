//! VoiceDrop (voicedrop.ai). It gives no id when it takes a message, knows no repeat and can't be
//! asked: what became of a message is known from its callbacks alone. docs/carriers/voicedrop.md
//! tells where each of this is from.
//!
//! | reply to `POST /ringless_voicemail` | outcome |
//! |---|---|
//! | 2xx with a `status` (`success` is documented) | by that word, as in `reply.rs`; the text is `message` |
//! | 2xx that is no JSON object with a `status` | Unknown |
//! | all others, and none | as in `reply.rs` |
//!
//! | callback's `status` (its beginning, in any case) | said |
//! |---|---|
//! | `delivered` | DELIVERED |
//! | `not-delivered`, `not_delivered`, `undelivered` | NOT_DELIVERED, by the text (`voicemail_not_detected` where it says nothing known) |
//! | `fas`, or `extra_status_info` = `FAS` beside `failed` or a status that is no end | NOT_DELIVERED `answer_supervision` |
//! | `skipped` | SKIPPED, by the text (`carrier_refused_recipient`) |
//! | `failed` with a text about our account | not tried: it waits for the account |
//! | `failed` | FAILED, by the text (`carrier_unknown`) |
//! | `scheduled`, `queued`, `pending`, `processing` | taken |
//! | anything else | unheard: it changes nothing and is kept |

use std::sync::Arc;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Ask, Reply};
use super::reply::{Outcomes, of_nonsense, of_status, of_status_word, of_upload, refusal, words};
use super::settings::{Account, Defaults, NumberFormat, Place, Split, account_name, read, secret};
use super::text::{reason_in, shown};
use super::{AudioWay, BoxFuture, Call, Carrier, Finding, Message, Notice, Particulars, Upload};
use crate::domain::attempt::{CarrierWords, Outcome};
use crate::domain::doubt::DoubtTraits;
use crate::domain::failure::FailureReason;
use crate::domain::phone::{PhoneNumber, last_ten};
use crate::domain::status::{End, Status};
use crate::domain::time::Time;
use crate::domain::word::{Said, Word};
use crate::secret::{Secret, SecretSource};

const DEFAULTS: Defaults = Defaults {
    base_url: "https://api.voicedrop.ai/v1",
    number_format: NumberFormat::E164,
    takes_uploads: true,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    auth_key: Option<SecretSource>,
    /// VoiceDrop looks at the number first, and may skip it. Left out: VoiceDrop's own default.
    validate_recipient_phone: Option<bool>,
}

pub struct VoiceDrop {
    account: Account,
    auth_key: Secret,
    validate_recipient_phone: Option<bool>,
}

pub fn open(place: &Place, table: toml::Table) -> Result<Arc<dyn Carrier>, String> {
    let Split { common, own } = read::<Own>(table)?;
    Ok(Arc::new(VoiceDrop {
        account: common.check(place, &DEFAULTS)?,
        auth_key: secret("auth_key", own.auth_key.as_ref())?,
        validate_recipient_phone: own.validate_recipient_phone,
    }))
}

impl VoiceDrop {
    fn ask(&self, method: Method, path: &str) -> Result<Ask, Outcomes> {
        let ask = self.account.ask(method, path)?;
        Ok(ask.secret("auth-key", self.auth_key.expose()))
    }

    async fn send(&self, call: Call) -> Outcomes {
        let sent = async {
            let ask = self.ask(Method::POST, "/ringless_voicemail")?;
            self.account
                .call(ask.body("application/json", call.request))
                .await
        };
        match sent.await {
            Ok(reply) => taken_or_not(&reply, call.now),
            Err(outcomes) => outcomes,
        }
    }

    async fn give(&self, upload: Upload) -> Result<String, Outcomes> {
        let boundary = format!("ringless-{}", crate::domain::hex(&upload.sha256));
        let ask = self.ask(Method::POST, "/upload-static-audio")?;
        let kind = format!("multipart/form-data; boundary={boundary}");
        let reply = self
            .account
            .call(ask.body(&kind, form_of(&boundary, &upload.audio)))
            .await;
        let reply = reply.map_err(of_upload)?;
        let text = message_of(&reply);
        if let Some(outcomes) = of_status(&reply, &text, upload.now) {
            return Err(of_upload(outcomes));
        }
        let object = reply.object().unwrap_or_default();
        let url = object
            .get("message")
            .and_then(|message| message.get("recording_url"))
            .and_then(Value::as_str);
        match url {
            Some(url) => Ok(url.to_owned()),
            None => {
                // Nothing has left, so what can't be read is tried again.
                let outcome = match refusal(&text) {
                    Some(reason) => Outcome::Rejected { reason },
                    None => Outcome::TryAgain {
                        reason: FailureReason::CarrierTimeout,
                        wait: None,
                    },
                };
                Err((outcome, words(&reply.status.to_string(), &text)))
            }
        }
    }

    async fn look(&self, senders: &[PhoneNumber]) -> Vec<Finding> {
        let asked = async {
            let ask = self.ask(Method::GET, "/profile")?;
            self.account.call(ask).await
        };
        let reply = match asked.await {
            Ok(reply) => reply,
            Err((_, words)) => return vec![Finding::bad(format!("no answer: {}", words.detail))],
        };
        let Some(profile) = reply.object().filter(|_| reply.status == 200) else {
            let text = shown(&message_of(&reply));
            return vec![Finding::bad(format!(
                "the account's profile answers {}: {text}",
                reply.status
            ))];
        };
        let mut findings = vec![Finding::good("the credentials are accepted")];
        let units = &profile
            .get("subscription")
            .map(|it| it["voice_units_remaining"].clone());
        findings.push(match units.as_ref().and_then(Value::as_f64) {
            Some(units) if units > 0.0 => Finding::good(format!("{units} voice units are left")),
            Some(units) => Finding::bad(format!("{units} voice units are left; buy some")),
            None => Finding::note("the profile does not tell how many voice units are left"),
        });
        let verified = profile
            .get("all_user_data")
            .and_then(|it| it["verified_phone_numbers"].as_array().cloned());
        match verified {
            None => findings.push(Finding::note("the profile lists no verified numbers")),
            Some(verified) => {
                let known: Vec<String> = verified.iter().map(|it| last_ten(&text_of(it))).collect();
                for sender in senders {
                    let is_known = known.contains(&last_ten(sender.e164()));
                    findings.push(match is_known {
                        true => Finding::good(format!("sender {} is verified", sender.e164())),
                        false => Finding::bad(format!(
                            "sender {} is not among the account's verified numbers; verify it there",
                            sender.e164()
                        )),
                    });
                }
            }
        }
        findings
    }
}

fn taken_or_not(reply: &Reply, now: Time) -> Outcomes {
    let text = message_of(reply);
    if let Some(outcomes) = of_status(reply, &text, now) {
        return outcomes;
    }
    let status = reply
        .object()
        .and_then(|object| object.get("status").map(text_of));
    match status.as_deref() {
        Some(status) => of_status_word(status, &text),
        None => of_nonsense(reply),
    }
}

/// The text of `message`, which is an object elsewhere.
fn message_of(reply: &Reply) -> String {
    let object = reply.object().unwrap_or_default();
    object.get("message").map(text_of).unwrap_or_default()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// One part, `file`, of a form (RFC 7578).
fn form_of(boundary: &str, audio: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"message.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    [head.as_bytes(), audio, tail.as_bytes()].concat()
}

impl Carrier for VoiceDrop {
    fn may_have_health_information(&self) -> bool {
        self.account.may_have_health_information
    }

    fn audio_way(&self) -> AudioWay {
        self.account.audio_way()
    }

    fn account(&self) -> String {
        // VoiceDrop names accounts by nothing but their keys.
        let key = self.auth_key.expose();
        account_name(&["voicedrop", &self.account.base_url, key])
    }

    fn request(&self, message: &Message, particulars: &Particulars) -> Vec<u8> {
        let number = |number| self.account.number_format.of(number);
        let mut request = json!({
            "recording_url": particulars.audio,
            "to": number(&message.recipient),
            "from": number(&message.sender),
            "send_status_to_webhook": particulars.callback_url,
        });
        if let Some(validate) = self.validate_recipient_phone {
            request["validate_recipient_phone"] = json!(validate);
        }
        request.to_string().into_bytes()
    }

    fn doubt_traits(&self, _recipient: &PhoneNumber, _reference: &str) -> DoubtTraits {
        DoubtTraits {
            word_comes: true,
            ..DoubtTraits::NONE
        }
    }

    fn hand_over(&self, call: Call) -> BoxFuture<'_, Outcomes> {
        Box::pin(self.send(call))
    }

    fn upload(&self, upload: Upload) -> BoxFuture<'_, Result<String, Outcomes>> {
        Box::pin(self.give(upload))
    }

    fn read_callback(&self, notice: &Notice) -> Word {
        read_callback(notice)
    }

    fn check(&self, senders: &[PhoneNumber]) -> BoxFuture<'_, Vec<Finding>> {
        let senders = senders.to_vec();
        Box::pin(async move { self.look(&senders).await })
    }
}

fn read_callback(notice: &Notice) -> Word {
    let fields = notice.fields();
    if fields.is_empty() {
        return Word::of(Said::Nothing);
    }
    let status = fields.text("status").unwrap_or_default();
    let info = fields.text("extra_status_info").unwrap_or_default();
    // `message` is the text of the queue, whatever became of it.
    let text = fields
        .first_of(&["reason", "error", "failure_reason"])
        .unwrap_or_default();
    let detail = match text.is_empty() {
        true => &info,
        false => &text,
    };
    let reference = fields.text("voice_drop_id").unwrap_or_default();
    Word {
        said: said(&status.to_lowercase(), &info, &text),
        words: CarrierWords::new(&reference, &shown(&status), &shown(detail)),
        cost: None,
        recipient: fields.text("sent_to"),
    }
}

fn said(status: &str, info: &str, text: &str) -> Said {
    let because = |reason| Said::Ended(End::Because(reason));
    let begins = |words: &[&str]| words.iter().any(|word| status.starts_with(word));
    let known = reason_in(text);
    let of_end = |end: Status| known.filter(|reason| reason.ends_as() == end);
    if begins(&["delivered"]) {
        Said::Ended(End::Delivered)
    } else if begins(&[
        "not-delivered",
        "not_delivered",
        "not delivered",
        "undelivered",
    ]) {
        match info.eq_ignore_ascii_case("fas") {
            true => because(FailureReason::AnswerSupervision),
            false => {
                because(of_end(Status::NotDelivered).unwrap_or(FailureReason::VoicemailNotDetected))
            }
        }
    } else if begins(&["skipped"]) {
        because(of_end(Status::Skipped).unwrap_or(FailureReason::CarrierRefusedRecipient))
    } else if begins(&["fas"]) || info.eq_ignore_ascii_case("fas") {
        because(FailureReason::AnswerSupervision)
    } else if begins(&["failed"]) {
        match known {
            Some(reason) if reason.is_account_fault() => Said::NotTried(reason),
            known => because(known.unwrap_or(FailureReason::CarrierUnknown)),
        }
    } else if begins(&["scheduled", "queued", "pending", "processing"]) {
        Said::Pending
    } else {
        Said::Unheard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::reply::tests::reply;

    #[test]
    fn each_answer_to_a_send_has_its_outcome() {
        use FailureReason::*;
        let outcome = |status, body: &str| taken_or_not(&reply(status, &[], body), Time::EPOCH).0;
        let rejected = |reason| Outcome::Rejected { reason };
        for (status, body, expected) in [
            (
                200,
                r#"{"status":"success","message":"queued"}"#,
                Outcome::Taken { ask_after: None },
            ),
            (
                200,
                r#"{"status":"error","message":"from number is not verified"}"#,
                rejected(SenderNotVerified),
            ),
            (
                200,
                r#"{"status":"error","message":"hm"}"#,
                rejected(CarrierUnknown),
            ),
            (
                200,
                r#"{"status":"rerouted","message":"landline"}"#,
                Outcome::Unknown,
            ),
            (200, "<html>maintenance</html>", Outcome::Unknown),
            (200, "", Outcome::Unknown),
            (200, "{}", Outcome::Unknown),
            (
                400,
                r#"{"message":"Invalid payload"}"#,
                rejected(CarrierUnknown),
            ),
            (401, r#"{"message":"Unauthorized"}"#, rejected(CarrierAuth)),
            (500, r#"{"message":"oops"}"#, Outcome::Unknown),
        ] {
            assert_eq!(outcome(status, body), expected, "{status} {body}");
        }
    }

    fn heard(body: &str) -> Word {
        read_callback(&Notice {
            body: body.as_bytes().to_vec(),
            ..Notice::default()
        })
    }

    #[test]
    fn each_status_of_a_callback_is_read() {
        use FailureReason::*;
        let because = |reason| Said::Ended(End::Because(reason));
        for (body, said) in [
            (r#"{"status":"delivered"}"#, Said::Ended(End::Delivered)),
            (
                r#"{"status":"Delivered - ok"}"#,
                Said::Ended(End::Delivered),
            ),
            (
                r#"{"status":"not-delivered","reason":"mailbox full"}"#,
                because(MailboxFull),
            ),
            ("status=undelivered", because(VoicemailNotDetected)),
            (
                r#"{"status":"not_delivered","extra_status_info":"FAS"}"#,
                because(AnswerSupervision),
            ),
            (r#"{"status":"fas"}"#, because(AnswerSupervision)),
            (
                r#"{"status":"failed","extra_status_info":"FAS"}"#,
                because(AnswerSupervision),
            ),
            (
                r#"{"status":"scheduled","extra_status_info":"FAS"}"#,
                because(AnswerSupervision),
            ),
            (
                r#"{"status":"skipped","reason":"landline"}"#,
                because(NotMobile),
            ),
            (r#"{"status":"skipped"}"#, because(CarrierRefusedRecipient)),
            (r#"{"status":"failed"}"#, because(CarrierUnknown)),
            (
                r#"{"status":"failed","error":"insufficient voice units"}"#,
                Said::NotTried(InsufficientFunds),
            ),
            (
                r#"{"status":"scheduled","extra_status_info":"pending"}"#,
                Said::Pending,
            ),
            (r#"{"status":"rerouted"}"#, Said::Unheard),
            (r#"{"other":"field"}"#, Said::Unheard),
            ("", Said::Nothing),
        ] {
            assert_eq!(heard(body).said, said, "{body}");
        }
        let word = heard(
            r#"{"status":"failed","reason":"call to 12125550123 failed","voice_drop_id":"vd-1","sent_to":"12125550123","message":"queued"}"#,
        );
        let expected = CarrierWords::new("vd-1", "failed", "call to …23 failed");
        assert_eq!(word.words, expected);
        assert_eq!(word.recipient.as_deref(), Some("12125550123"));
    }
}
