//! Drop Cowboy's first API, which ringlessvoicemail.net has too. It gives no id when it takes a
//! message, knows no repeat and can't be asked; our own id comes back in its callbacks.
//! docs/carriers/drop_cowboy_v1.md tells where each of this is from.
//!
//! | reply to `POST /rvm` | outcome |
//! |---|---|
//! | 2xx with a `status` (`queued` is documented) | by that word, as in `reply.rs`; the text is `message` |
//! | 2xx that is no JSON object with a `status` | Unknown |
//! | all others, and none | as in `reply.rs` |
//!
//! | callback | said |
//! |---|---|
//! | `status` = `success` | DELIVERED |
//! | `failure` with `dnc` | SKIPPED `carrier_dnc` |
//! | `failure` with `spam` | FAILED `spam_blocked` |
//! | `failure` with a text about our account | FAILED by the text, and the setup pauses: nothing says that it was not tried |
//! | `failure` | by the text (NOT_DELIVERED `voicemail_not_detected` where it says nothing known) |
//! | anything else | unheard: it changes nothing and is kept |

use std::sync::Arc;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::Reply;
use super::reply::{Outcomes, of_nonsense, of_status, of_status_word};
use super::settings::{Account, Defaults, NumberFormat, Place, Split, account_name, read, secret};
use super::text::{reason_in, shown};
use super::{AudioWay, BoxFuture, Call, Carrier, Finding, Message, Notice, Particulars};
use crate::domain::attempt::CarrierWords;
use crate::domain::doubt::DoubtTraits;
use crate::domain::failure::FailureReason;
use crate::domain::phone::PhoneNumber;
use crate::domain::status::End;
use crate::domain::time::Time;
use crate::domain::word::{Cost, Said, Word};
use crate::secret::{Secret, SecretSource};

const DEFAULTS: Defaults = Defaults {
    base_url: "https://api.dropcowboy.com/v1",
    number_format: NumberFormat::E164,
    takes_uploads: false,
};

/// The fields of a callback that are amounts of money.
pub(super) const FEES: [&str; 3] = ["product_cost", "compliance_fee", "tts_fee"];
/// No page names the currency; the vendor's prices are in this one.
pub(super) const CURRENCY: &str = "USD";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    team_id: Option<String>,
    secret: Option<SecretSource>,
    /// Of the registered brand, where the account has one.
    brand_id: Option<String>,
    /// Who is rung where a recipient calls back. Without it and `pool_id` the voicemail's sender is named
    /// as the caller, which needs an account that may choose it.
    forwarding_number: Option<String>,
    /// The pool that the sender's number is taken from.
    pool_id: Option<String>,
}

pub struct DropCowboyV1 {
    account: Account,
    team_id: String,
    secret: Secret,
    brand_id: Option<String>,
    forwarding_number: Option<String>,
    pool_id: Option<String>,
}

pub fn open(place: &Place, table: toml::Table) -> Result<Arc<dyn Carrier>, String> {
    let Split { common, own } = read::<Own>(table)?;
    Ok(Arc::new(DropCowboyV1 {
        account: common.check(place, &DEFAULTS)?,
        team_id: own
            .team_id
            .filter(|id| !id.is_empty())
            .ok_or("team_id is missing; it stands in Drop Cowboy's settings of the API")?,
        secret: secret("secret", own.secret.as_ref())?,
        brand_id: own.brand_id,
        forwarding_number: own.forwarding_number,
        pool_id: own.pool_id,
    }))
}

impl DropCowboyV1 {
    /// The stored request with the credentials, which belong into this API's body and not into the database.
    fn body(&self, request: &[u8]) -> Vec<u8> {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(request) else {
            return request.to_vec();
        };
        fields.insert("team_id".to_owned(), json!(self.team_id));
        fields.insert("secret".to_owned(), json!(self.secret.expose()));
        Value::Object(fields).to_string().into_bytes()
    }

    async fn send(&self, call: Call) -> Outcomes {
        let sent = async {
            let ask = self.account.ask(Method::POST, "/rvm")?;
            let body = self.body(&call.request);
            self.account.call(ask.body("application/json", body)).await
        };
        match sent.await {
            Ok(reply) => taken_or_not(&reply, call.now),
            Err(outcomes) => outcomes,
        }
    }

    async fn list(&self, path: &str) -> Result<Reply, Outcomes> {
        let ask = self.account.ask(Method::GET, path)?;
        let ask = ask
            .header("x-team-id", &self.team_id)
            .secret("x-secret", self.secret.expose());
        self.account.call(ask).await
    }

    async fn look(&self) -> Vec<Finding> {
        let reply = match self.list("/brand").await {
            Ok(reply) => reply,
            Err((_, words)) => return vec![Finding::bad(format!("no answer: {}", words.detail))],
        };
        if reply.status != 200 {
            let text = shown(&message_of(&reply));
            return vec![Finding::bad(format!(
                "the list of brands answers {}: {text}",
                reply.status
            ))];
        }
        let mut findings = vec![Finding::good("the credentials are accepted")];
        if let Some(brand) = &self.brand_id {
            let is_known = reply.text().contains(brand.as_str());
            findings.push(match is_known {
                true => Finding::good("brand_id is one of the account's"),
                false => Finding::bad("brand_id is none of the account's brands"),
            });
        }
        findings.push(Finding::note(
            "this API tells neither the balance nor which numbers may send; audio by a link needs the vendor's approval",
        ));
        findings
    }
}

fn message_of(reply: &Reply) -> String {
    let object = reply.object().unwrap_or_default();
    let text = ["message", "error", "reason"].iter().find_map(|name| {
        let text = object.get(*name)?.as_str()?;
        Some(text.to_owned())
    });
    text.unwrap_or_default()
}

fn taken_or_not(reply: &Reply, now: Time) -> Outcomes {
    let text = message_of(reply);
    if let Some(outcomes) = of_status(reply, &text, now) {
        return outcomes;
    }
    let object = reply.object().unwrap_or_default();
    match object.get("status").and_then(Value::as_str) {
        Some(status) => of_status_word(status, &text),
        None => of_nonsense(reply),
    }
}

impl Carrier for DropCowboyV1 {
    fn may_have_health_information(&self) -> bool {
        self.account.may_have_health_information
    }

    fn audio_way(&self) -> AudioWay {
        AudioWay::Link
    }

    fn account(&self) -> String {
        account_name(&["drop_cowboy_v1", &self.account.base_url, &self.team_id])
    }

    fn request(&self, message: &Message, particulars: &Particulars) -> Vec<u8> {
        let number = |number| self.account.number_format.of(number);
        let mut request = json!({
            "phone_number": number(&message.recipient),
            "foreign_id": particulars.hand_over_id.to_string(),
            "audio_url": particulars.audio,
            "audio_type": "mp3",
            "callback_url": particulars.callback_url,
        });
        if let Some(brand_id) = &self.brand_id {
            request["brand_id"] = json!(brand_id);
        }
        if let Some(forwarding_number) = &self.forwarding_number {
            request["forwarding_number"] = json!(forwarding_number);
        }
        if let Some(pool_id) = &self.pool_id {
            request["pool_id"] = json!(pool_id);
        }
        if self.forwarding_number.is_none() && self.pool_id.is_none() {
            request["caller_id"] = json!(number(&message.sender));
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

    fn read_callback(&self, notice: &Notice) -> Word {
        read_callback(notice)
    }

    fn check(&self, _senders: &[PhoneNumber]) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(self.look())
    }
}

fn read_callback(notice: &Notice) -> Word {
    let fields = notice.fields();
    if fields.is_empty() {
        return Word::of(Said::Nothing);
    }
    let status = fields.text("status").unwrap_or_default();
    let text = fields.text("reason").unwrap_or_default();
    let said = match status.to_lowercase().as_str() {
        "success" => Said::Ended(End::Delivered),
        "failure" => failure(fields.is_true("dnc"), fields.is_true("spam"), &text),
        _ => Said::Unheard,
    };
    let code = fields.text("status_code").unwrap_or(status);
    let reference = fields.text("drop_id").unwrap_or_default();
    let cost = fields.sum_micros(&FEES).map(|micros| Cost {
        micros,
        currency: CURRENCY.to_owned(),
    });
    Word {
        said,
        words: CarrierWords::new(&reference, &code, &shown(&text)),
        cost,
        recipient: fields.text("phone_number"),
    }
}

/// Its texts are published nowhere, and every failure comes after the message was taken.
fn failure(is_dnc: bool, is_spam: bool, text: &str) -> Said {
    let because = |reason| Said::Ended(End::Because(reason));
    match reason_in(text) {
        _ if is_dnc => because(FailureReason::CarrierDnc),
        _ if is_spam => because(FailureReason::SpamBlocked),
        Some(reason) => because(reason),
        None => because(FailureReason::VoicemailNotDetected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::reply::tests::reply;
    use crate::domain::attempt::Outcome;

    #[test]
    fn each_answer_to_a_send_has_its_outcome() {
        let outcome = |status, body: &str| taken_or_not(&reply(status, &[], body), Time::EPOCH).0;
        let rejected = |reason| Outcome::Rejected { reason };
        use FailureReason::*;
        for (status, body, expected) in [
            (
                200,
                r#"{"status":"queued"}"#,
                Outcome::Taken { ask_after: None },
            ),
            (
                200,
                r#"{"status":"error","message":"recording not approved"}"#,
                rejected(AudioRejected),
            ),
            (200, "[]", Outcome::Unknown),
            (
                401,
                r#"{"status":"error","message":"no"}"#,
                rejected(CarrierAuth),
            ),
            (
                400,
                r#"{"status":"error","message":"no"}"#,
                rejected(CarrierUnknown),
            ),
            (502, "", Outcome::Unknown),
        ] {
            assert_eq!(outcome(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn each_callback_is_read() {
        use FailureReason::*;
        let because = |reason| Said::Ended(End::Because(reason));
        let heard = |body: &str| {
            read_callback(&Notice {
                body: body.as_bytes().to_vec(),
                ..Notice::default()
            })
        };
        for (body, said) in [
            (r#"{"status":"success"}"#, Said::Ended(End::Delivered)),
            (
                r#"{"status":"failure","reason":"?"}"#,
                because(VoicemailNotDetected),
            ),
            (r#"{"status":"failure","reason":"Busy"}"#, because(Busy)),
            (r#"{"status":"failure","dnc":true}"#, because(CarrierDnc)),
            (r#"{"status":"failure","spam":true}"#, because(SpamBlocked)),
            (
                r#"{"status":"failure","reason":"Insufficient funds"}"#,
                because(InsufficientFunds),
            ),
            (r#"{"status":"rerouted"}"#, Said::Unheard),
            ("", Said::Nothing),
        ] {
            assert_eq!(heard(body).said, said, "{body}");
        }
        let word = heard(
            r#"{"status":"success","drop_id":"d","product_cost":0.04,"compliance_fee":0.001,"phone_number":"+12125550123"}"#,
        );
        assert_eq!(word.words.reference, "d");
        assert_eq!(word.cost.expect("a cost").micros, 41_000);
        assert_eq!(word.recipient.as_deref(), Some("+12125550123"));
    }
}
