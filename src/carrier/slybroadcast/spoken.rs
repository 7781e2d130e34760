//! What Slybroadcast's gateway says: answers in JSON or in lines of text, and one line of six values
//! for how a message ended. The table is at the head of the adapter.

use crate::carrier::Notice;
use crate::carrier::http::Reply;
use crate::carrier::notice::Fields;
use crate::carrier::text::{reason_in, shown};
use crate::domain::attempt::{Answer, CarrierWords};
use crate::domain::failure::FailureReason;
use crate::domain::status::End;
use crate::domain::word::{Said, Word};

/// An answer in either of the gateway's two shapes.
pub(super) enum Spoken {
    Ok { session_id: String },
    Error(String),
    Neither,
}

impl Spoken {
    pub(super) fn of(reply: &Reply) -> Spoken {
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
        match fields.text("error") {
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

/// The answer to a question: the line that a callback has, or the word that there is none yet.
pub(super) fn answer(reply: &Reply) -> (Answer, CarrierWords) {
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

pub(super) fn remaining(reply: &Reply) -> Option<i64> {
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

pub(super) fn read_callback(notice: &Notice) -> Word {
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
