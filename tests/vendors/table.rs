//! What a recipient's last two digits stand for, so that a person gets each outcome by choosing a
//! number. The first rows are those of the sandbox.

use std::time::Duration;

use serde_json::json;

use super::play::{Answer, Ending, Fate, Manner, Play, When, Word, Words};

/// For people; a test holds it against `play`.
pub const TABLE: &str = "\
last two digits of the recipient, and what comes of it (all others are delivered):
  50 mailbox full · 51 no mailbox · 52 voicemail not detected · 53 unreachable · 54 no answer · 55 busy
  56 answer supervision
  60 invalid number · 61 not mobile · 62 do not call · 63 audio rejected · 64 no funds · 65 account fault
  70 two times 500, then delivered          71 500 for ever
  72 429 with Retry-After: 2, once          73 429 without Retry-After, once
  74 refused in the vendor's way            75 connection reset, not taken
  76 200, and a body that is no JSON        77 a redirect
  80 taken, and no word ever comes          81 taken, dropped, and the connection is reset
  82 taken, dropped, and no answer comes    83 taken and dropped, and the answer is a 500
  90 delivered, said after 5 s              91 delivered, said before the send call is answered
  92 delivered, said three times            93 an unknown word, then delivered
  94 a forged word, then delivered          95 delivered as a form, after an empty probe
  96 delivered, then mailbox full";

/// `nth` counts the requests for this recipient that came before.
pub fn play(last_two: u32, nth: u32) -> Play {
    let delivered = || Word::fate(Fate::Delivered);
    let failed = || Answer::json(500, &json!({"message": "internal error"}));
    let too_fast = || Answer::json(429, &json!({"message": "too many requests"}));
    match last_two {
        50..=65 => Play::fate(fate(last_two)),
        70 if nth < 2 => Play::refusing(failed().into()),
        71 => Play::refusing(failed().into()),
        72 if nth == 0 => Play::refusing(too_fast().header("retry-after", "2").into()),
        73 if nth == 0 => Play::refusing(too_fast().into()),
        74 => Play::refusing(Ending::Refusal("this recipient is refused".to_owned())),
        75 => Play::refusing(Ending::Reset),
        76 => Play::refusing(Answer::text(200, "<html>maintenance</html>").into()),
        77 => Play::refusing(Answer::redirect(302, "http://127.0.0.1:9/elsewhere").into()),
        80 => Play::accept().words(Words::Silent(Fate::Delivered)),
        81 => Play::taking(Ending::Reset),
        82 => Play::taking(Ending::Hang),
        83 => Play::taking(failed().into()),
        90 => Play::says([delivered().when(When::After(Duration::from_secs(5)))]),
        91 => Play::says([delivered().when(When::BeforeAnswer)]),
        92 => Play::says([delivered().times(3)]),
        93 => Play::says([Word::fate(Fate::Unheard), delivered()]),
        94 => Play::says([delivered().forged(), delivered()]),
        95 => Play::says([Word::probe(), delivered().manner(Manner::PostForm)]),
        96 => Play::says([delivered(), Word::fate(Fate::MailboxFull)]),
        _ => Play::fate(Fate::Delivered),
    }
}

fn fate(last_two: u32) -> Fate {
    match last_two {
        50 => Fate::MailboxFull,
        51 => Fate::NoMailbox,
        52 => Fate::NotDetected,
        53 => Fate::Unreachable,
        54 => Fate::NoAnswer,
        55 => Fate::Busy,
        56 => Fate::AnswerSupervision,
        60 => Fate::InvalidNumber,
        61 => Fate::NotMobile,
        62 => Fate::Dnc,
        63 => Fate::BadAudio,
        64 => Fate::NoFunds,
        65 => Fate::BadAccount,
        _ => Fate::Delivered,
    }
}

/// The words alone, for a call whose way is scripted but whose outcome is not.
pub fn words(last_two: u32) -> Words {
    match play(last_two, u32::MAX).words {
        Words::Usual => Words::Fate(Fate::Delivered),
        words => words,
    }
}
