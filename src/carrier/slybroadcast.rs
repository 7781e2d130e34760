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

use std::sync::Arc;

use hyper::Method;
use serde::Deserialize;

use super::http::Reply;
use super::notice::Fields;
use super::reply::{Outcomes, of_nonsense, of_status, refusal, words};
use super::settings::{Account, Defaults, NumberFormat, Place, Split, account_name, read, secret};
use super::text::{reason_in, shown};
use super::{AudioWay, BoxFuture, Call, Carrier, Finding, Message, Notice, Particulars, Question};
use crate::domain::attempt::{Answer, CarrierWords, Outcome};
use crate::domain::doubt::DoubtTraits;
use crate::domain::failure::FailureReason;
use crate::domain::phone::PhoneNumber;
use crate::domain::status::End;
use crate::domain::time::Time;
use crate::domain::word::{Said, Word};
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

/// An answer in either of the gateway's two shapes.
enum Spoken {
    Ok { session_id: String },
    Error(String),
    Neither,
}

impl Spoken {
    fn of(reply: &Reply) -> Spoken {
        match reply.object() {
            Some(object) => {
                let fields = Fields::of(
                    object
                        .into_iter()
                        .map(|(name, value)| (name.to_lowercase(), value))
                        .collect(),
                );
                Spoken::of_fields(&fields)
            }
            None => Spoken::of_lines(&reply.text()),
        }
    }

    fn of_fields(fields: &Fields) -> Spoken {
        // What was said OK to has been taken, whatever else stands there.
        let said = fields.first_of(&["new_campaign", "user_verify", "status"]);
        if said.is_some_and(|said| said.eq_ignore_ascii_case("ok")) {
            return Spoken::Ok {
                session_id: fields.text("session_id").unwrap_or_default(),
            };
        }
        match fields.text("error").filter(|text| !text.is_empty()) {
            Some(text) => Spoken::Error(text),
            None => Spoken::Neither,
        }
    }

    /// The first word decides, for spaces and line ends vary.
    fn of_lines(text: &str) -> Spoken {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_alphanumeric());
        let (first, rest) = text.split_at(end.unwrap_or(text.len()));
        match first.to_ascii_lowercase().as_str() {
            "ok" => Spoken::Ok {
                session_id: session_in(rest).unwrap_or_default(),
            },
            "error" => {
                let words = rest.trim_start_matches(':').split_whitespace();
                Spoken::Error(words.collect::<Vec<_>>().join(" "))
            }
            _ => Spoken::Neither,
        }
    }
}

fn session_in(text: &str) -> Option<String> {
    const NAME: &str = "session_id";
    // As long in bytes as the text itself.
    let at = text.to_ascii_lowercase().find(NAME)? + NAME.len();
    let value = text[at..].trim_start().strip_prefix('=')?;
    value.split_whitespace().next().map(str::to_owned)
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

/// The answer to a question: the line that a callback has, or the word that there is none yet.
fn answer(reply: &Reply) -> (Answer, CarrierWords) {
    let var = match reply.object() {
        Some(object) => Fields::of(object).text("var"),
        None => {
            let text = reply.text();
            text.strip_prefix("var=").map(str::to_owned)
        }
    };
    match var {
        Some(var) => {
            let word = read_var(&var);
            let answer = match word.said {
                Said::Ended(end) => Answer::Ended(end),
                _ => Answer::Pending { again_after: None },
            };
            (answer, word.words)
        }
        None => (
            Answer::Pending { again_after: None },
            CarrierWords::default(),
        ),
    }
}

fn remaining(reply: &Reply) -> Option<i64> {
    let text = match reply.object() {
        Some(object) => Fields::of(object).text("remaining messages")?,
        None => {
            let text = reply.text();
            let line = text
                .lines()
                .find(|line| line.trim().starts_with("remaining messages"))?;
            line.split_once('=')?.1.trim().to_owned()
        }
    };
    text.parse().ok()
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

fn read_callback(notice: &Notice) -> Word {
    let fields = notice.fields();
    if fields.is_empty() {
        return Word::of(Said::Nothing);
    }
    if let Some(var) = fields.text("var") {
        return read_var(&var);
    }
    // A shape that one client guessed at, kept for what it is worth.
    let Some(status) = fields.text("c_dispo") else {
        return Word {
            words: CarrierWords::new("", "", "no `var`"),
            ..Word::of(Said::Unheard)
        };
    };
    let reference = fields.text("c_session").unwrap_or_default();
    word(
        &reference,
        &fields.text("c_phone").unwrap_or_default(),
        &status,
        "",
    )
}

/// `session_id|phone|status|reason|time|carrier`, each perhaps in quotes.
fn read_var(var: &str) -> Word {
    let values: Vec<&str> = var
        .split('|')
        .map(|value| value.trim().trim_matches('"').trim())
        .collect();
    let value = |at: usize| values.get(at).copied().unwrap_or_default();
    word(value(0), value(1), value(2), value(3))
}

fn goes_on(status: &str) -> bool {
    let words = [
        "pending",
        "scheduled",
        "queued",
        "processing",
        "sending",
        "retr",
    ];
    words.iter().any(|word| status.starts_with(word))
}

fn word(reference: &str, phone: &str, status: &str, reason: &str) -> Word {
    let lower = status.to_lowercase();
    let is_failure = !reason.is_empty() || lower.starts_with("fail") || lower.starts_with("error");
    let text = match reason.is_empty() {
        true => status,
        false => reason,
    };
    let said = match lower.as_str() {
        "ok" => Said::Ended(End::Delivered),
        _ if goes_on(&lower) => Said::Pending,
        _ if status.is_empty() || !is_failure => Said::Unheard,
        _ => match reason_in(text) {
            Some(reason) => Said::Ended(End::Because(reason)),
            None => Said::Ended(End::Because(FailureReason::VoicemailNotDetected)),
        },
    };
    Word {
        said,
        words: CarrierWords::new(reference, &shown(status), &shown(reason)),
        cost: None,
        recipient: (!phone.is_empty()).then(|| phone.to_owned()),
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

    fn heard(body: &str) -> Word {
        read_callback(&Notice {
            body: body.as_bytes().to_vec(),
            ..Notice::default()
        })
    }

    #[test]
    fn each_callback_is_read() {
        use FailureReason::*;
        let because = |reason| Said::Ended(End::Because(reason));
        for (body, said) in [
            (
                "var=12|2125550123|OK||2026-11-25 10:00:00|Played:6006 - svr/2",
                Said::Ended(End::Delivered),
            ),
            (
                "var=%2212%22%7C%222125550123%22%7C%22OK%22%7C%22%22%7C%22%22%7C%22%22",
                Said::Ended(End::Delivered),
            ),
            (
                "var=12|2125550123|Failed|Mailbox full||",
                because(MailboxFull),
            ),
            ("var=12|2125550123|Failed|||", because(VoicemailNotDetected)),
            (
                "var=12|2125550123|Refused|who knows||",
                because(VoicemailNotDetected),
            ),
            (
                "var=12|2125550123|Failed|Do not call||",
                because(CarrierDnc),
            ),
            (
                "var=12|2125550123|Failed|No remaining messages||",
                because(InsufficientFunds),
            ),
            ("var=12|2125550123|Rerouted|||", Said::Unheard),
            ("var=12|2125550123|Pending|N/A||", Said::Pending),
            ("var=12|2125550123|Retrying|busy||", Said::Pending),
            ("var=12", Said::Unheard),
            (
                "c_session=12&c_phone=2125550123&c_dispo=OK",
                Said::Ended(End::Delivered),
            ),
            ("other=1", Said::Unheard),
            ("", Said::Nothing),
        ] {
            assert_eq!(heard(body).said, said, "{body}");
        }
        let word = heard("var=12|2125550123|OK|||");
        assert_eq!(word.words.reference, "12");
        assert_eq!(word.recipient.as_deref(), Some("2125550123"));
    }

    #[test]
    fn a_question_is_answered_by_the_same_line_or_not_yet() {
        let of = |body: &str| answer(&reply(200, &[], body)).0;
        let pending = Answer::Pending { again_after: None };
        for (body, expected) in [
            (
                "var=\"12\"|\"2125550123\"|\"OK\"|\"\"|\"\"|\"\"",
                Answer::Ended(End::Delivered),
            ),
            (
                r#"{"var":"12|2125550123|OK|||"}"#,
                Answer::Ended(End::Delivered),
            ),
            (
                r#"{"var":"12|2125550123|Failed|Busy||"}"#,
                Answer::Ended(End::Because(FailureReason::Busy)),
            ),
            ("ERROR\nno result yet", pending.clone()),
            (
                r#"{"ERROR":"session_id: invalid or not found"}"#,
                pending.clone(),
            ),
            ("<html>", pending),
        ] {
            assert_eq!(of(body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_left_is_read_from_both_shapes() {
        for (body, left) in [
            ("remaining messages=12\npending messages=0", Some(12)),
            (
                r#"{"remaining messages":12,"pending messages":0}"#,
                Some(12),
            ),
            ("ERROR", None),
        ] {
            assert_eq!(remaining(&reply(200, &[], body)), left);
        }
    }
}
