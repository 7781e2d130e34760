//! Carriers that say in free text why: the families of words that were seen, and what they mean.
//!
//! The texts of VoiceDrop, Drop Cowboy v1 and Slybroadcast are published nowhere; these families were
//! gathered from clients. What fits none has no meaning here, and the adapter falls back to what the
//! carrier's status alone says.

use crate::domain::failure::FailureReason;

/// The first family that has a word in the text counts, so what is more exact stands further up.
/// What speaks of our account holds a setup's messages back, so those words are narrow.
const FAMILIES: &[(FailureReason, &[&str])] = {
    use FailureReason::*;
    &[
        (
            MailboxFull,
            &[
                "mailbox full",
                "mailbox is full",
                "voicemail full",
                "voicemail box full",
            ],
        ),
        (
            VoicemailNotDetected,
            &[
                "not detected",
                "unable to detect",
                "could not detect",
                "undetected",
                "no voicemail detected",
            ],
        ),
        (
            NoMailbox,
            &[
                "not set up",
                "no voicemail box",
                "no mailbox",
                "no voicemail",
                "mailbox not",
                "not setup",
            ],
        ),
        (AnswerSupervision, &["answer supervision"]),
        (NoAnswer, &["no answer", "not answered", "unanswered"]),
        (Busy, &["busy"]),
        (KnownLitigator, &["litigator"]),
        (ReassignedNumber, &["reassigned"]),
        (NationalDnc, &["national dnc", "national do not call"]),
        (
            CarrierDnc,
            &[
                "dnc",
                "do not call",
                "do not contact",
                "opted out",
                "opt out",
                "unsubscribed",
                "suppression list",
                "blacklist",
                "blocklist",
            ],
        ),
        (
            NotMobile,
            &[
                "landline",
                "land line",
                "not a mobile",
                "not mobile",
                "non mobile",
                "not a cell phone",
                "voip number",
                "voip line",
                "not a wireless",
            ],
        ),
        (
            InvalidNumber,
            &[
                "invalid number",
                "invalid phone",
                "not a valid number",
                "not a valid phone",
                "not in service",
                "invalid recipient",
            ],
        ),
        (
            Unreachable,
            &[
                "disconnected",
                "unreachable",
                "not reachable",
                "out of service",
            ],
        ),
        (SpamBlocked, &["spam", "blocked"]),
        (
            SenderSuspended,
            &[
                "number suspended",
                "caller id suspended",
                "sender suspended",
                "pool suspended",
            ],
        ),
        (
            SenderNotVerified,
            &[
                "not verified",
                "unverified",
                "from number",
                "caller id",
                "callerid",
                "sender number",
            ],
        ),
        (
            InsufficientFunds,
            &[
                "insufficient fund",
                "insufficient credit",
                "insufficient balance",
                "insufficient voice units",
                "no remaining messages",
                "no messages remaining",
                "out of credit",
                "no credit",
                "not enough credit",
                "not enough voice units",
                "enough credits",
                "out of funds",
                "not enough funds",
                "no funds",
            ],
        ),
        (
            CarrierAuth,
            &[
                "account suspended",
                "account disabled",
                "account inactive",
                "account is suspended",
                "account is disabled",
                "account is inactive",
                "unauthorized",
                "invalid credentials",
                "invalid api key",
                "invalid login",
                "login failed",
                "c uid",
                "c password",
                "invalid team id",
            ],
        ),
        (
            AudioUnfetchable,
            &[
                "can't download",
                "cannot download",
                "could not be fetched",
                "could not download",
                "failed to download",
                "unable to download",
            ],
        ),
        (AudioRejected, &["bad audio", "audio", "recording"]),
        (CarrierRateLimited, &["too many requests", "rate limit"]),
    ]
};

/// What a carrier's text means, where it means anything here.
pub fn reason_in(text: &str) -> Option<FailureReason> {
    let text = folded(text);
    FAMILIES
        .iter()
        .find(|(_, words)| words.iter().any(|word| text.contains(word)))
        .map(|(reason, _)| *reason)
}

/// Does the refusal of a request speak of our credentials or our account? Only there are words so wide
/// harmless: nothing was taken, so it waits until somebody has looked.
pub fn speaks_of_account(text: &str) -> bool {
    let text = folded(text);
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let is_stopped = || has(&["suspend", "disabl", "block", "inactive", "closed"]);
    has(&[
        "password",
        "username",
        "credential",
        "authenticat",
        "auth key",
        "api token",
    ]) || text.contains("account") && is_stopped()
}

/// In lower case, with spaces where carriers also write `_` or `-`.
fn folded(text: &str) -> String {
    text.to_lowercase().replace(['_', '-'], " ")
}

/// A carrier's text as it may be shown: without phone numbers, and without addresses, which may be
/// links to audio or to our own callbacks.
pub fn shown(text: &str) -> String {
    without_numbers(&without_addresses(text))
}

fn without_addresses(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let scheme = rest[..at]
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |before| before + 1);
        // A character before the scheme may be longer than one byte.
        let scheme = (scheme..=at)
            .find(|at| rest.is_char_boundary(*at))
            .unwrap_or(at);
        clean.push_str(&rest[..scheme]);
        clean.push_str("(an address)");
        let behind = &rest[at..];
        let end = behind
            .find(|c: char| {
                c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ')' | ']' | '}')
            })
            .unwrap_or(behind.len());
        rest = &behind[end..];
    }
    clean.push_str(rest);
    clean
}

/// Digits in a row, spaces and signs between them left out, from which on they may be a phone number.
const NUMBER_DIGITS_MIN: usize = 7;

/// The text with each number of so many digits cut to its last two: carriers name the recipient
/// in their texts, and those are shown to callers and logged.
fn without_numbers(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars() {
        let goes_on = c.is_ascii_digit()
            || (!run.is_empty() && matches!(c, ' ' | '-' | '.' | '(' | ')'))
            || c == '+';
        if goes_on {
            run.push(c);
            continue;
        }
        flush(&mut run, &mut clean);
        clean.push(c);
    }
    flush(&mut run, &mut clean);
    clean
}

fn flush(run: &mut String, clean: &mut String) {
    let digits: Vec<char> = run.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < NUMBER_DIGITS_MIN {
        clean.push_str(run);
    } else {
        clean.push('…');
        clean.extend(&digits[digits.len() - 2..]);
        // What stands behind the number keeps its distance.
        if run.ends_with(' ') {
            clean.push(' ');
        }
    }
    run.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_were_seen_are_understood() {
        use FailureReason::*;
        for (text, reason) in [
            ("Mailbox full", Some(MailboxFull)),
            ("no voicemail box set up", Some(NoMailbox)),
            ("Unable to detect voicemail", Some(VoicemailNotDetected)),
            ("voicemail not detected", Some(VoicemailNotDetected)),
            ("Number is on the DNC list", Some(CarrierDnc)),
            ("National DNC", Some(NationalDnc)),
            ("landline", Some(NotMobile)),
            ("Not a mobile number", Some(NotMobile)),
            ("Disconnected number", Some(Unreachable)),
            ("invalid number", Some(InvalidNumber)),
            ("from number is not verified", Some(SenderNotVerified)),
            ("insufficient voice units", Some(InsufficientFunds)),
            ("No remaining messages", Some(InsufficientFunds)),
            ("account suspended", Some(CarrierAuth)),
            ("insufficient audio", Some(AudioRejected)),
            ("Recipient has opted-out", Some(CarrierDnc)),
            ("do_not_call", Some(CarrierDnc)),
            ("VoIP gateway timeout", None),
            ("Load balancer error", None),
            ("insufficient information on the recipient", None),
            ("the recipient's login page", None),
            ("balance of the mailbox unknown", None),
            ("Bad Audio, can't download", Some(AudioUnfetchable)),
            (
                "recording could not be fetched: 404",
                Some(AudioUnfetchable),
            ),
            ("Bad audio", Some(AudioRejected)),
            ("Invalid payload", None),
            ("", None),
        ] {
            assert_eq!(reason_in(text), reason, "{text}");
        }
    }

    #[test]
    fn an_address_in_a_text_is_left_out() {
        for (text, clean) in [
            (
                "can't fetch https://v.example/audio/a/b.mp3",
                "can't fetch (an address)",
            ),
            ("(http://a.b/c?d=e) is 404", "((an address)) is 404"),
            ("\"s3://x\", ö://y z", "\"(an address)\", ö(an address) z"),
            ("https://a https://b", "(an address) (an address)"),
            ("a:b //c", "a:b //c"),
        ] {
            assert_eq!(shown(text), clean);
        }
    }

    #[test]
    fn a_number_in_a_text_is_cut() {
        for (text, clean) in [
            ("+12125550123 is busy", "…23 is busy"),
            ("call to 1 (212) 555-0123 failed", "call to …23 failed"),
            ("to:2125550123", "to:…23"),
            ("error 4002, 7 of 100", "error 4002, 7 of 100"),
            ("123456 stays", "123456 stays"),
            ("1234567 goes", "…67 goes"),
            ("", ""),
        ] {
            assert_eq!(shown(text), clean);
        }
    }
}
