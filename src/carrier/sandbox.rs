//! The embedded carrier: deterministic, no network. It drops what it delivers into a folder, so
//! that one can listen to it, and plays every outcome by the recipient's last two digits.
//!
//! | last two digits | reply -> outcome |
//! |---|---|
//! | 00-49, and all not named below | dropped -> DELIVERED |
//! | 50 to 55 | mailbox full, no mailbox, voicemail not detected, unreachable, no answer, busy -> NOT_DELIVERED |
//! | 60, 63 | invalid number, audio rejected -> FAILED |
//! | 61, 62 | not mobile, carrier DNC -> SKIPPED |
//! | 70 | attempts 1 and 2 a passing error, then as 00 |
//! | 71 | always a passing error -> FAILED RETRIES_EXHAUSTED in the end |
//! | 72 | attempt 1 "too fast, wait 2 s", then as 00 |
//! | 80 | taken -> SENT; asked, it never knows -> UNCONFIRMED at the deadline |
//! | 81 | dropped, and the connection breaks; not repeatable, not askable -> UNCONFIRMED |
//! | 90 | taken and dropped -> SENT; asked from 5 s after the drop -> DELIVERED |
//! | not fictional | FAILED `simulated_carrier`, so that nobody takes a rehearsal for the real thing |
//!
//! Repeatable for ever and askable (81 excepted): a voicemail id is dropped once, however often
//! it is handed over, also across a crash in the middle. What it does depends only on the
//! attempt's number and the drop's time, never on this process's memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::settings::{Place, from_table};
use super::{BoxFuture, Call, Carrier, Finding, Message, Particulars, Question};
use crate::carrier::sandbox::mailbox::Mailboxes;
use crate::domain::attempt::{Answer, CarrierWords, Outcome};
use crate::domain::doubt::DoubtTraits;
use crate::domain::failure::FailureReason;
use crate::domain::phone::PhoneNumber;
use crate::domain::status::End;

pub mod mailbox;

/// Code 90: from the drop to the word that it was delivered.
const WORD_AFTER: Duration = Duration::from_secs(5);
/// Code 72: the wait that the carrier asks for.
const TOO_FAST_WAIT: Duration = Duration::from_secs(2);

pub struct Sandbox {
    mailboxes: Arc<Mailboxes>,
}

/// It has no settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {}

pub fn open(place: &Place, table: toml::Table) -> Result<Arc<dyn Carrier>, String> {
    let Own {} = from_table(table)?;
    Ok(Arc::new(Sandbox::new(&place.data_dir)))
}

/// What a recipient's number plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Deliver,
    Reject(FailureReason),
    /// This many passing errors first.
    PassingErrors(i32),
    TooFastOnce,
    NeverAWord,
    BreaksAfterDrop,
    WordLater,
}

fn script(recipient: &PhoneNumber) -> Script {
    use FailureReason::{
        AudioRejected, Busy, CarrierDnc, InvalidNumber, MailboxFull, NoAnswer, NoMailbox,
        NotMobile, SimulatedCarrier, Unreachable, VoicemailNotDetected,
    };
    if !recipient.is_fictional() {
        return Script::Reject(SimulatedCarrier);
    }
    match recipient.last_two_digits() {
        50 => Script::Reject(MailboxFull),
        51 => Script::Reject(NoMailbox),
        52 => Script::Reject(VoicemailNotDetected),
        53 => Script::Reject(Unreachable),
        54 => Script::Reject(NoAnswer),
        55 => Script::Reject(Busy),
        60 => Script::Reject(InvalidNumber),
        61 => Script::Reject(NotMobile),
        62 => Script::Reject(CarrierDnc),
        63 => Script::Reject(AudioRejected),
        70 => Script::PassingErrors(2),
        71 => Script::PassingErrors(i32::MAX),
        72 => Script::TooFastOnce,
        80 => Script::NeverAWord,
        81 => Script::BreaksAfterDrop,
        90 => Script::WordLater,
        _ => Script::Deliver,
    }
}

impl Sandbox {
    /// Drops go to `DATA_DIR/mailboxes`.
    pub fn new(data_dir: &Path) -> Sandbox {
        Sandbox {
            mailboxes: Arc::new(Mailboxes::new(folder(data_dir))),
        }
    }

    async fn play(&self, call: Call) -> (Outcome, CarrierWords) {
        let words = |code: &str, detail: &str| {
            CarrierWords::new(&call.message.voicemail_id.to_string(), code, detail)
        };
        let number = format!("{:02}", call.message.recipient.last_two_digits());
        let passing = Outcome::TryAgain {
            reason: FailureReason::CarrierTimeout,
            wait: None,
        };
        match script(&call.message.recipient) {
            Script::Reject(reason) => {
                let detail = format!("the sandbox plays {} for this number", reason.as_str());
                (Outcome::Rejected { reason }, words(&number, &detail))
            }
            Script::PassingErrors(count) if call.attempt_number <= count => {
                (passing, words(&number, "the sandbox plays a passing error"))
            }
            Script::TooFastOnce if call.attempt_number == 1 => {
                let reason = FailureReason::CarrierRateLimited;
                let wait = Some(TOO_FAST_WAIT);
                (
                    Outcome::TryAgain { reason, wait },
                    words(&number, "too fast, wait 2 s"),
                )
            }
            Script::NeverAWord => (Outcome::Taken { ask_after: None }, words(&number, "")),
            played @ (Script::Deliver
            | Script::PassingErrors(_)
            | Script::TooFastOnce
            | Script::BreaksAfterDrop
            | Script::WordLater) => {
                let words = words(&number, "");
                match self.drop_audio(call).await {
                    Err(error) => {
                        // It may have been dropped before the error; a repeat finds out.
                        tracing::warn!(error = %error, "the sandbox could not finish a drop");
                        (
                            Outcome::Unknown,
                            CarrierWords::new("", "", "the drop could not be finished"),
                        )
                    }
                    Ok(()) => match played {
                        Script::BreaksAfterDrop => (
                            Outcome::Unknown,
                            CarrierWords::new("", "", "the connection broke before the answer"),
                        ),
                        Script::WordLater => (
                            Outcome::Taken {
                                ask_after: Some(WORD_AFTER),
                            },
                            words,
                        ),
                        _ => (Outcome::Delivered, words),
                    },
                }
            }
        }
    }

    async fn drop_audio(&self, call: Call) -> std::io::Result<()> {
        let mailboxes = self.mailboxes.clone();
        tokio::task::spawn_blocking(move || {
            mailboxes.drop_once(&call.message, &call.audio, call.now)
        })
        .await
        .map_err(std::io::Error::other)?
    }

    async fn answer(&self, question: Question) -> Answer {
        let mailboxes = self.mailboxes.clone();
        let id = question.message.voicemail_id;
        let found = tokio::task::spawn_blocking(move || mailboxes.find(id)).await;
        let Ok(Ok(dropped)) = found else {
            return Answer::NoAnswer;
        };
        match (script(&question.message.recipient), dropped) {
            (Script::NeverAWord, _) => Answer::Pending { again_after: None },
            (Script::WordLater, Some(time)) => match question.now.since(time) {
                passed if passed >= WORD_AFTER => Answer::Ended(End::Delivered),
                passed => Answer::Pending {
                    again_after: Some(WORD_AFTER - passed),
                },
            },
            (_, Some(_)) => Answer::Ended(End::Delivered),
            (_, None) => Answer::NeverReceived,
        }
    }
}

/// Where the drops of a data folder lie.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("mailboxes")
}

impl Carrier for Sandbox {
    fn is_simulated(&self) -> bool {
        true
    }

    fn request(&self, message: &Message, _particulars: &Particulars) -> Vec<u8> {
        serde_json::json!({
            "voicemail_id": message.voicemail_id.to_string(),
            "from": message.sender.e164(),
            "to": message.recipient.e164(),
            "sha256": crate::domain::hex(&message.audio_sha256),
        })
        .to_string()
        .into_bytes()
    }

    fn doubt_traits(&self, recipient: &PhoneNumber, _reference: &str) -> DoubtTraits {
        match script(recipient) {
            Script::BreaksAfterDrop => DoubtTraits::NONE,
            _ => DoubtTraits {
                repeatable_for: Some(Duration::MAX),
                askable: true,
                word_comes: false,
            },
        }
    }

    fn hand_over(&self, call: Call) -> BoxFuture<'_, (Outcome, CarrierWords)> {
        Box::pin(self.play(call))
    }

    fn ask(&self, question: Question) -> BoxFuture<'_, (Answer, CarrierWords)> {
        Box::pin(async move { (self.answer(question).await, CarrierWords::default()) })
    }

    fn check(&self, _senders: &[PhoneNumber]) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(async {
            vec![Finding::good(
                "the sandbox is in this program and needs nothing; it delivers to fictional numbers alone",
            )]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{HandOverId, VoicemailId};
    use crate::domain::time::Time;

    fn message(recipient: &str) -> Message {
        Message {
            voicemail_id: VoicemailId::generate(),
            sender: PhoneNumber::from_stored("+12125550150".to_owned()),
            recipient: PhoneNumber::from_stored(recipient.to_owned()),
            audio_sha256: [7; 32],
        }
    }

    async fn call(sandbox: &Sandbox, message: &Message, attempt_number: i32) -> Outcome {
        let call = Call {
            hand_over_id: HandOverId::generate(),
            attempt_number,
            request: Vec::new(),
            message: message.clone(),
            audio: b"sound".to_vec().into(),
            now: Time::from_micros(1_000_000),
        };
        sandbox.hand_over(call).await.0
    }

    async fn ask(sandbox: &Sandbox, message: &Message, now_us: i64) -> Answer {
        let question = Question {
            hand_over_id: HandOverId::generate(),
            attempt_number: 1,
            reference: String::new(),
            message: message.clone(),
            now: Time::from_micros(now_us),
        };
        sandbox.ask(question).await.0
    }

    #[tokio::test]
    async fn every_number_plays_its_line_of_the_table() {
        use FailureReason::*;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sandbox = Sandbox::new(folder.path());
        let rejects = [
            (50, MailboxFull),
            (51, NoMailbox),
            (52, VoicemailNotDetected),
            (53, Unreachable),
            (54, NoAnswer),
            (55, Busy),
            (60, InvalidNumber),
            (61, NotMobile),
            (62, CarrierDnc),
            (63, AudioRejected),
        ];
        for last in 0..100_u8 {
            let message = message(&format!("+121255501{last:02}"));
            let outcome = call(&sandbox, &message, 1).await;
            let wanted = match (rejects.iter().find(|(code, _)| *code == last), last) {
                (Some((_, reason)), _) => Outcome::Rejected { reason: *reason },
                (None, 70 | 71) => Outcome::TryAgain {
                    reason: CarrierTimeout,
                    wait: None,
                },
                (None, 72) => Outcome::TryAgain {
                    reason: CarrierRateLimited,
                    wait: Some(TOO_FAST_WAIT),
                },
                (None, 80) => Outcome::Taken { ask_after: None },
                (None, 81) => Outcome::Unknown,
                (None, 90) => Outcome::Taken {
                    ask_after: Some(WORD_AFTER),
                },
                (None, _) => Outcome::Delivered,
            };
            assert_eq!(outcome, wanted, "{last}");
            let is_dropped = sandbox
                .mailboxes
                .find(message.voicemail_id)
                .expect("readable")
                .is_some();
            assert_eq!(
                is_dropped,
                matches!(last, 81 | 90) || outcome == Outcome::Delivered,
                "{last}"
            );
        }
        let real = message("+12125551234");
        assert_eq!(
            call(&sandbox, &real, 1).await,
            Outcome::Rejected {
                reason: SimulatedCarrier
            }
        );
    }

    #[tokio::test]
    async fn passing_errors_end_after_their_number_of_attempts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sandbox = Sandbox::new(folder.path());
        let (two, ever, fast) = (
            message("+12125550170"),
            message("+12125550171"),
            message("+12125550172"),
        );
        assert!(matches!(
            call(&sandbox, &two, 2).await,
            Outcome::TryAgain { .. }
        ));
        assert_eq!(call(&sandbox, &two, 3).await, Outcome::Delivered);
        assert!(matches!(
            call(&sandbox, &ever, 1_000).await,
            Outcome::TryAgain { .. }
        ));
        assert_eq!(call(&sandbox, &fast, 2).await, Outcome::Delivered);
    }

    #[tokio::test]
    async fn it_answers_from_the_drop_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sandbox = Sandbox::new(folder.path());
        let (later, never, plain) = (
            message("+12125550190"),
            message("+12125550180"),
            message("+12125550100"),
        );
        assert_eq!(ask(&sandbox, &plain, 0).await, Answer::NeverReceived);
        for message in [&later, &never, &plain] {
            call(&sandbox, message, 1).await;
        }
        // Another process sees the same.
        let other = Sandbox::new(folder.path());
        assert_eq!(
            ask(&other, &later, 5_999_999).await,
            Answer::Pending {
                again_after: Some(Duration::from_micros(1))
            }
        );
        assert_eq!(
            ask(&other, &later, 6_000_000).await,
            Answer::Ended(End::Delivered)
        );
        assert_eq!(
            ask(&other, &never, i64::MAX).await,
            Answer::Pending { again_after: None }
        );
        assert_eq!(ask(&other, &plain, 0).await, Answer::Ended(End::Delivered));
    }

    #[test]
    fn only_81_can_be_neither_repeated_nor_asked() {
        let sandbox = Sandbox::new(Path::new("unused"));
        for last in 0..100 {
            let traits = sandbox.doubt_traits(
                &PhoneNumber::from_stored(format!("+121255501{last:02}")),
                "",
            );
            assert_eq!(traits.askable, last != 81);
            assert_eq!(traits.repeatable_for.is_some(), last != 81);
        }
    }
}
