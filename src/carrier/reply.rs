//! What HTTP itself says of a hand-over, the same for every carrier: the rest is in their own tables.
//!
//! | reply | outcome |
//! |---|---|
//! | no connection, or it closed before anything was written | TryAgain `carrier_timeout` |
//! | broken off, or no answer in time, after something had left | Unknown |
//! | 401 | Rejected `carrier_auth` |
//! | 403 | Rejected, by the text (`carrier_auth` where it says nothing known) |
//! | 402 | Rejected `insufficient_funds` |
//! | 413 | Rejected `audio_rejected` |
//! | 429 | TryAgain `carrier_rate_limited`, after `Retry-After` |
//! | other 4xx but 408 and 409 | Rejected, by the text (`carrier_unknown` where it says nothing known) |
//! | 408, 409, 3xx, 5xx | Unknown: something may have been done before it was said |
//!
//! Two carriers put a `status` into a 2xx:
//!
//! | `status`, in any case | outcome |
//! |---|---|
//! | `success`, `queued`, `scheduled`, `pending`, `processing`, `accepted`, `ok` | Taken |
//! | begins with `fail`, `error`, `invalid`, `reject`, `denied` or `refused` | Rejected, by the text |
//! | any other | Unknown |

use std::time::Duration;

use super::http::{NoReply, Reply};
use super::text::{reason_in, shown, speaks_of_account};
use crate::domain::attempt::{CarrierWords, Outcome};
use crate::domain::failure::FailureReason;
use crate::domain::status::Status;
use crate::domain::time::Time;

pub type Outcomes = (Outcome, CarrierWords);

/// Of a call that had no answer.
pub fn of_no_reply(no_reply: &NoReply) -> Outcomes {
    let outcome = match no_reply {
        NoReply::NotSent(_) => Outcome::TryAgain {
            reason: FailureReason::CarrierTimeout,
            wait: None,
        },
        NoReply::Broken(_) => Outcome::Unknown,
    };
    (outcome, CarrierWords::new("", "", &shown(no_reply.text())))
}

/// Of an answer whose status alone decides; none where it is a 2xx. `text` is the carrier's reason,
/// as found in its body.
pub fn of_status(reply: &Reply, text: &str, now: Time) -> Option<Outcomes> {
    use FailureReason::{
        AudioRejected, CarrierAuth, CarrierRateLimited, CarrierUnknown, InsufficientFunds,
    };
    let rejected = |reason| Outcome::Rejected { reason };
    let outcome = match reply.status {
        200..=299 => return None,
        401 => rejected(CarrierAuth),
        403 => rejected(refusal(text).unwrap_or(CarrierAuth)),
        402 => rejected(InsufficientFunds),
        413 => rejected(AudioRejected),
        429 => Outcome::TryAgain {
            reason: CarrierRateLimited,
            wait: retry_after(reply, now),
        },
        400..=499 if !matches!(reply.status, 408 | 409) => {
            rejected(refusal(text).unwrap_or(CarrierUnknown))
        }
        _ => Outcome::Unknown,
    };
    Some((outcome, words(&reply.status.to_string(), text)))
}

/// Of the status word that carriers put into a 2xx. A word that says neither is no promise of either kind.
pub fn of_status_word(status: &str, text: &str) -> Outcomes {
    const TAKEN: [&str; 7] = [
        "success",
        "queued",
        "scheduled",
        "pending",
        "processing",
        "accepted",
        "ok",
    ];
    const REFUSED: [&str; 6] = ["fail", "error", "invalid", "reject", "denied", "refused"];
    let word = status.trim().to_lowercase();
    if TAKEN.contains(&word.as_str()) {
        return (Outcome::Taken { ask_after: None }, CarrierWords::default());
    }
    let outcome = match REFUSED.iter().any(|refused| word.starts_with(refused)) {
        true => Outcome::Rejected {
            reason: refusal(text).unwrap_or(FailureReason::CarrierUnknown),
        },
        false => Outcome::Unknown,
    };
    (outcome, words(status, text))
}

/// A reason that the refusal of a request can have: nobody was called yet, and pace is no refusal.
pub fn refusal(text: &str) -> Option<FailureReason> {
    if speaks_of_account(text) {
        return Some(FailureReason::CarrierAuth);
    }
    let can_be = |reason: &FailureReason| {
        *reason != FailureReason::CarrierRateLimited && reason.ends_as() != Status::NotDelivered
    };
    reason_in(text).filter(can_be)
}

/// An answer that is no answer: the request may have been taken.
pub fn of_nonsense(reply: &Reply) -> Outcomes {
    let detail = "the answer can't be read";
    (
        Outcome::Unknown,
        CarrierWords::new("", &reply.status.to_string(), detail),
    )
}

/// Of an upload nothing has left that could ring or lie in a mailbox, so it may be tried again.
pub fn of_upload((outcome, words): Outcomes) -> Outcomes {
    let outcome = match outcome {
        Outcome::Unknown => Outcome::TryAgain {
            reason: FailureReason::CarrierTimeout,
            wait: None,
        },
        other => other,
    };
    (outcome, words)
}

/// Code and text, with no phone number in them.
pub fn words(code: &str, text: &str) -> CarrierWords {
    CarrierWords::new("", &shown(code), &shown(text))
}

/// The carrier's wish: seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(reply: &Reply, now: Time) -> Option<Duration> {
    let text = reply.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let date = Time::from_micros(date.timestamp().as_microsecond());
    Some(date.since(now))
}

#[cfg(test)]
pub mod tests {
    use hyper::HeaderMap;

    use super::*;

    pub fn reply(status: u16, headers: &[(&'static str, &str)], body: &str) -> Reply {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header's value"));
        }
        Reply {
            status,
            headers: map,
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn a_status_word_is_a_promise_a_refusal_or_neither() {
        use FailureReason::*;
        let rejected = |reason| Outcome::Rejected { reason };
        for (word, text, outcome) in [
            (
                "success",
                "audio queued",
                Outcome::Taken { ask_after: None },
            ),
            (" Queued", "", Outcome::Taken { ask_after: None }),
            ("OK", "", Outcome::Taken { ask_after: None }),
            ("error", "hm", rejected(CarrierUnknown)),
            ("Failed", "landline", rejected(NotMobile)),
            ("invalid_request", "", rejected(CarrierUnknown)),
            ("rejected", "rate limit", rejected(CarrierUnknown)),
            ("created", "landline", Outcome::Unknown),
            ("", "", Outcome::Unknown),
        ] {
            assert_eq!(of_status_word(word, text).0, outcome, "{word} {text}");
        }
    }

    const NOW: Time = Time::EPOCH;

    #[test]
    fn each_line_of_the_table() {
        use FailureReason::*;
        let rejected = |reason| Some(Outcome::Rejected { reason });
        let of = |status, text| of_status(&reply(status, &[], ""), text, NOW).map(|it| it.0);
        for (status, outcome) in [
            (200, None),
            (202, None),
            (301, Some(Outcome::Unknown)),
            (303, Some(Outcome::Unknown)),
            (400, rejected(CarrierUnknown)),
            (401, rejected(CarrierAuth)),
            (402, rejected(InsufficientFunds)),
            (403, rejected(CarrierAuth)),
            (408, Some(Outcome::Unknown)),
            (409, Some(Outcome::Unknown)),
            (413, rejected(AudioRejected)),
            (422, rejected(CarrierUnknown)),
            (500, Some(Outcome::Unknown)),
            (503, Some(Outcome::Unknown)),
        ] {
            assert_eq!(of(status, ""), outcome, "{status}");
        }
        assert_eq!(of(400, "landline"), rejected(NotMobile));
        assert_eq!(of(400, "rate limit"), rejected(CarrierUnknown));
        assert_eq!(of(403, "on the DNC list"), rejected(CarrierDnc));
        // Nobody has been called.
        assert_eq!(of(400, "system busy"), rejected(CarrierUnknown));
        for text in [
            "Wrong password",
            "Your account has been suspended",
            "invalid auth-key",
        ] {
            assert_eq!(of(400, text), rejected(CarrierAuth), "{text}");
        }
        assert_eq!(
            of(400, "not enough voice units"),
            rejected(InsufficientFunds)
        );
        let not_sent = of_no_reply(&NoReply::NotSent("no route".to_owned())).0;
        assert!(matches!(
            not_sent,
            Outcome::TryAgain {
                reason: CarrierTimeout,
                wait: None
            }
        ));
        let broken = of_no_reply(&NoReply::Broken("reset".to_owned())).0;
        assert_eq!(broken, Outcome::Unknown);
    }

    #[test]
    fn a_wish_to_wait_is_read_as_seconds_or_as_a_date() {
        let wait = |value: &str| {
            let reply = reply(429, &[("retry-after", value)], "");
            match of_status(&reply, "", Time::from_micros(784_111_777_000_000)) {
                Some((Outcome::TryAgain { wait, .. }, _)) => wait,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(wait("2"), Some(Duration::from_secs(2)));
        let in_ten = "Sun, 06 Nov 1994 08:49:47 GMT";
        assert_eq!(wait(in_ten), Some(Duration::from_secs(10)));
        let past = "Sun, 06 Nov 1994 08:49:27 GMT";
        assert_eq!(wait(past), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
    }
}
