//! Slybroadcast (MobileSphere). It answers everything with HTTP 200 and says in the body how it went;
//! it knows no repeat, and can be asked about a message once its `session_id` is known.
//! docs/carriers/slybroadcast.md tells where each of this is from.
//!
//! | reply to a submission (JSON or text, in any case) | outcome |
//! |---|---|
//! | `OK` with a `session_id` | Taken |
//! | `OK` without one | Taken; it can't be asked about then |
//! | `ERROR`, by its text: credentials, no messages left, audio, … | Rejected (`carrier_unknown` where it says nothing known) |
//! | 200 that is neither | Unknown |
//! | all others, and none | as in `reply.rs` |
//!
//! | callback's `var`, or the answer to a question | said |
//! |---|---|
//! | third value `OK` | DELIVERED |
//! | any other with a reason beside it, or that begins with `fail` or `error` | by the reason (NOT_DELIVERED `voicemail_not_detected` where it says nothing known). Of our account: FAILED, and the setup pauses; nothing says that it was not tried |
//! | `pending`, `scheduled`, `queued`, `processing`, `sending` or `retr…`, whatever stands beside it | it does not know yet |
//! | any other | unheard: it changes nothing and is kept |
//! | no `var`: to a question | it does not know yet; "not found" is no proof that it never had it |

mod spoken;

use std::sync::Arc;

use hyper::Method;
use serde::Deserialize;

use self::spoken::{Spoken, answer, read_callback, remaining};
use super::http::Reply;
use super::reply::{Outcomes, of_nonsense, of_status, refusal, words};
use super::settings::{Account, Defaults, NumberFormat, Place, Split, account_name, read, secret};
use super::text::shown;
use super::{AudioWay, BoxFuture, Call, Carrier, Finding, Message, Notice, Particulars, Question};
use crate::domain::attempt::{Answer, CarrierWords, Outcome};
use crate::domain::doubt::DoubtTraits;
use crate::domain::failure::FailureReason;
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Time;
use crate::domain::word::Word;
use crate::secret::{Secret, SecretSource};

const DEFAULTS: Defaults = Defaults {
    base_url: "https://www.slybroadcast.com/gateway/vmb.json.php",
    number_format: NumberFormat::National,
    takes_uploads: false,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// The account's e-mail address.
    uid: Option<String>,
    password: Option<SecretSource>,
    /// Slybroadcast leaves landlines alone.
    #[serde(default)]
    mobile_only: bool,
}

pub struct Slybroadcast {
    account: Account,
    uid: String,
    password: Secret,
    mobile_only: bool,
}

pub fn open(place: &Place, table: toml::Table) -> Result<Arc<dyn Carrier>, String> {
    let Split { common, own } = read::<Own>(table)?;
    Ok(Arc::new(Slybroadcast {
        account: common.check(place, &DEFAULTS)?,
        uid: own
            .uid
            .filter(|uid| !uid.is_empty())
            .ok_or("uid is missing; it is the account's e-mail address")?,
        password: secret("password", own.password.as_ref())?,
        mobile_only: own.mobile_only,
    }))
}

impl Slybroadcast {
    /// A form with the credentials, which belong into this API's body and not into the database.
    async fn call(&self, form: &[u8]) -> Result<Reply, Outcomes> {
        let ask = self.account.ask(Method::POST, "")?;
        let mut body = String::from_utf8_lossy(form).into_owned();
        body.push('&');
        let credentials = [
            ("c_uid", self.uid.as_str()),
            ("c_password", self.password.expose()),
        ];
        form_urlencoded::Serializer::for_suffix(&mut body, form.len() + 1)
            .extend_pairs(credentials);
        let ask = ask.body("application/x-www-form-urlencoded", body);
        self.account.call(ask).await
    }

    async fn send(&self, call: Call) -> Outcomes {
        match self.call(&call.request).await {
            Ok(reply) => taken_or_not(&reply, call.now),
            Err(outcomes) => outcomes,
        }
    }

    async fn question(&self, question: Question) -> (Answer, CarrierWords) {
        let number = self.account.number_format.of(&question.message.recipient);
        let asked = form(&[
            ("c_option", "callstatus"),
            ("session_id", &question.reference),
            ("c_phone", &number),
        ]);
        match self.call(&asked).await {
            Ok(reply) if reply.status == 200 => answer(&reply),
            Ok(reply) => (Answer::NoAnswer, words(&reply.status.to_string(), "")),
            Err((_, words)) => (Answer::NoAnswer, words),
        }
    }

    async fn look(&self) -> Vec<Finding> {
        let reply = match self.call(&form(&[("c_option", "user_verify")])).await {
            Ok(reply) => reply,
            Err((_, words)) => return vec![Finding::bad(format!("no answer: {}", words.detail))],
        };
        let mut findings = match Spoken::of(&reply) {
            Spoken::Ok { .. } => vec![Finding::good("the credentials are accepted")],
            Spoken::Error(text) => {
                return vec![Finding::bad(format!(
                    "the account is refused: {}",
                    shown(&text)
                ))];
            }
            Spoken::Neither => {
                return vec![Finding::bad(format!(
                    "the answer ({}) can't be read; is base_url right?",
                    reply.status
                ))];
            }
        };
        let left = match self.call(&form(&[("remain_message", "1")])).await {
            Ok(reply) => remaining(&reply),
            Err(_) => None,
        };
        findings.push(match left {
            Some(left) if left > 0 => Finding::good(format!("{left} messages are left")),
            Some(_) => Finding::bad("no messages are left; buy some"),
            None => Finding::note("it is not told how many messages are left"),
        });
        findings.push(Finding::note(
            "this API does not tell which numbers may send",
        ));
        findings
    }
}

fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
        .into_bytes()
}

fn taken_or_not(reply: &Reply, now: Time) -> Outcomes {
    if let Some(outcomes) = of_status(reply, "", now) {
        return outcomes;
    }
    match Spoken::of(reply) {
        Spoken::Ok { session_id } => (
            Outcome::Taken { ask_after: None },
            CarrierWords::new(&session_id, "OK", ""),
        ),
        Spoken::Error(text) => {
            let reason = refusal(&text).unwrap_or(FailureReason::CarrierUnknown);
            (Outcome::Rejected { reason }, words("ERROR", &text))
        }
        Spoken::Neither => of_nonsense(reply),
    }
}

impl Carrier for Slybroadcast {
    fn may_have_health_information(&self) -> bool {
        self.account.may_have_health_information
    }

    fn audio_way(&self) -> AudioWay {
        AudioWay::Link
    }

    fn account(&self) -> String {
        account_name(&["slybroadcast", &self.account.base_url, &self.uid])
    }

    /// One number to a submission, so that its `session_id` names one message.
    fn request(&self, message: &Message, particulars: &Particulars) -> Vec<u8> {
        let number = |number| self.account.number_format.of(number);
        let (recipient, sender) = (number(&message.recipient), number(&message.sender));
        let mut fields = vec![
            ("c_method", "new_campaign"),
            ("c_phone", recipient.as_str()),
            ("c_callerID", sender.as_str()),
            ("c_url", particulars.audio.as_str()),
            ("c_audio", "mp3"),
            ("c_date", "now"),
            ("c_dispo_url", particulars.callback_url.as_str()),
        ];
        if self.mobile_only {
            fields.push(("mobile_only", "1"));
        }
        form(&fields)
    }

    fn doubt_traits(&self, _recipient: &PhoneNumber, reference: &str) -> DoubtTraits {
        DoubtTraits {
            repeatable_for: None,
            askable: !reference.is_empty(),
            word_comes: true,
        }
    }

    fn hand_over(&self, call: Call) -> BoxFuture<'_, Outcomes> {
        Box::pin(self.send(call))
    }

    fn ask(&self, question: Question) -> BoxFuture<'_, (Answer, CarrierWords)> {
        Box::pin(self.question(question))
    }

    fn read_callback(&self, notice: &Notice) -> Word {
        read_callback(notice)
    }

    /// Anything else and it calls again.
    fn acknowledgement(&self) -> &'static str {
        "OK"
    }

    fn check(&self, _senders: &[PhoneNumber]) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(self.look())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::reply::tests::reply;

    #[test]
    fn each_answer_to_a_submission_has_its_outcome() {
        use FailureReason::*;
        let outcome = |body: &str| taken_or_not(&reply(200, &[], body), Time::EPOCH);
        for body in [
            r#"{"new_campaign":"OK","session_id":"12","number_of_phone":1}"#,
            r#"{"New_Campaign":"ok","session_id":12}"#,
            "OK\nsession_id=12\nnumber of phone=1\n",
            "ok\r\nSession_ID = 12\r\n",
            "OK session_id=12 number of phone=1",
            r#"{"new_campaign":"OK","session_id":"12","error":false}"#,
        ] {
            let (taken, words) = outcome(body);
            assert_eq!(taken, Outcome::Taken { ask_after: None }, "{body}");
            assert_eq!(words.reference, "12", "{body}");
        }
        let rejected = |reason| Outcome::Rejected { reason };
        for (body, expected) in [
            ("ERROR\nc_uid: required", rejected(CarrierAuth)),
            (
                r#"{"ERROR":"Bad Audio, can't download"}"#,
                rejected(AudioUnfetchable),
            ),
            ("ERROR: no remaining messages", rejected(InsufficientFunds)),
            ("ERROR\nInvalid username or password", rejected(CarrierAuth)),
            ("OKAY", Outcome::Unknown),
            ("ERROR\nc_phone: invalid", rejected(CarrierUnknown)),
            (
                r#"{"ERROR":"No remaining messages"}"#,
                rejected(InsufficientFunds),
            ),
            ("<html>maintenance</html>", Outcome::Unknown),
            ("", Outcome::Unknown),
        ] {
            assert_eq!(outcome(body).0, expected, "{body}");
        }
        let broken = taken_or_not(&reply(502, &[], "OK"), Time::EPOCH).0;
        assert_eq!(broken, Outcome::Unknown);
    }
}
