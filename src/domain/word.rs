//! What a carrier says by itself of a message that it was given, and what that does to a voicemail.
//! Such words come late, twice, in any order, and before the call that they are about has returned.

use super::attempt::CarrierWords;
use super::failure::FailureReason;
use super::status::{End, Status};

/// What was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It has come to an end.
    Ended(End),
    /// The carrier has it and does not know yet.
    Pending,
    /// The carrier had taken it and certainly did not try: our account is at fault.
    NotTried(FailureReason),
    /// Words that no document has. They change nothing, and are kept.
    Unheard,
    /// Nothing: a probe.
    Nothing,
}

impl Said {
    /// As it stands in the database and in a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Said::Ended(End::Delivered) => "delivered",
            Said::Ended(End::Because(_)) => "ended",
            Said::Pending => "pending",
            Said::NotTried(_) => "not_tried",
            Said::Unheard => "unheard",
            Said::Nothing => "nothing",
        }
    }
}

/// A carrier's word, as its adapter read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub said: Said,
    /// The carrier's own id, code and text.
    pub words: CarrierWords,
    /// What it charged, where it says so.
    pub cost: Option<Cost>,
    /// The number that it speaks of, where it names one, in its own spelling.
    pub recipient: Option<String>,
}

impl Word {
    pub fn of(said: Said) -> Word {
        Word {
            said,
            words: CarrierWords::default(),
            cost: None,
            recipient: None,
        }
    }
}

/// What a carrier charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// Millionths of the currency's unit.
    pub micros: i64,
    /// ISO 4217, such as `USD`.
    pub currency: String,
}

/// The hand-over that a word is about, beside the voicemail as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The voicemail stands at this one.
    pub is_current: bool,
    /// The carrier said before that it did not try.
    pub is_void: bool,
}

/// What a word does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It ends the voicemail.
    End(End),
    /// The carrier has it: SENT.
    Take,
    /// It waits again, for its account to be mended; the next hand-over is a new one.
    GoBack(FailureReason),
    /// Nothing new.
    Keep,
    /// It contradicts the first end, which stands: kept beside it, and counted.
    Contradict,
}

/// What `said` does to a voicemail that stands so.
pub fn effect(status: Status, reason: Option<FailureReason>, said: Said, about: About) -> Effect {
    let is_open = about.is_current && !about.is_void;
    match said {
        Said::Nothing | Said::Unheard => Effect::Keep,
        Said::Ended(End::Delivered) => delivered(status),
        Said::Ended(end @ End::Because(why)) => match status {
            Status::Sending | Status::Sent if is_open => Effect::End(end),
            Status::Unconfirmed if is_open && end.status() != Status::Unconfirmed => {
                Effect::End(end)
            }
            // About an earlier hand-over, of which it was certain already, or no news.
            Status::Accepted
            | Status::Sending
            | Status::Sent
            | Status::Unconfirmed
            | Status::Cancelled => Effect::Keep,
            Status::Delivered => Effect::Contradict,
            Status::NotDelivered | Status::Failed | Status::Skipped => {
                match (reason == Some(why), is_open) {
                    (false, true) => Effect::Contradict,
                    (true, _) | (_, false) => Effect::Keep,
                }
            }
        },
        Said::Pending => match status {
            Status::Sending if is_open => Effect::Take,
            // Whatever its call came to, it must not be sent again now.
            Status::Accepted if !about.is_void => Effect::Take,
            Status::Accepted
            | Status::Sending
            | Status::Sent
            | Status::Delivered
            | Status::NotDelivered
            | Status::Failed
            | Status::Skipped
            | Status::Cancelled
            | Status::Unconfirmed => Effect::Keep,
        },
        Said::NotTried(why) => match status {
            Status::Sending | Status::Sent if is_open => Effect::GoBack(why),
            // It was not sent, and is not any more: its time has passed.
            Status::Unconfirmed if is_open => Effect::End(End::Because(why)),
            Status::Delivered => Effect::Contradict,
            Status::Accepted
            | Status::Sending
            | Status::Sent
            | Status::NotDelivered
            | Status::Failed
            | Status::Skipped
            | Status::Cancelled
            | Status::Unconfirmed => Effect::Keep,
        },
    }
}

/// That it lies in the mailbox is true whichever hand-over brought it there.
fn delivered(status: Status) -> Effect {
    match status {
        Status::Accepted | Status::Sending | Status::Sent | Status::Unconfirmed => {
            Effect::End(End::Delivered)
        }
        Status::Delivered => Effect::Keep,
        Status::NotDelivered | Status::Failed | Status::Skipped | Status::Cancelled => {
            Effect::Contradict
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureReason::{CarrierAmbiguous, CarrierAuth, MailboxFull, NoMailbox, NotMobile};

    const OPEN: About = About {
        is_current: true,
        is_void: false,
    };
    const VOID: About = About {
        is_current: true,
        is_void: true,
    };
    const EARLIER: About = About {
        is_current: false,
        is_void: false,
    };

    /// Every status with every word about the hand-over that it stands at.
    #[test]
    fn the_table_for_the_hand_over_at_hand() {
        use Status::*;
        let delivered = Said::Ended(End::Delivered);
        let full = Said::Ended(End::Because(MailboxFull));
        let doubt = Said::Ended(End::Because(CarrierAmbiguous));
        let not_tried = Said::NotTried(CarrierAuth);
        let end = |said| match said {
            Said::Ended(end) => Effect::End(end),
            _ => unreachable!("ends only"),
        };
        let (keep, contradict, take) = (Effect::Keep, Effect::Contradict, Effect::Take);
        let back = Effect::GoBack(CarrierAuth);
        for (status, reason, expected) in [
            (Accepted, None, [end(delivered), keep, keep, take, keep]),
            (
                Sending,
                None,
                [end(delivered), end(full), end(doubt), take, back],
            ),
            (
                Sent,
                None,
                [end(delivered), end(full), end(doubt), keep, back],
            ),
            (
                Unconfirmed,
                Some(CarrierAmbiguous),
                [
                    end(delivered),
                    end(full),
                    keep,
                    keep,
                    Effect::End(End::Because(CarrierAuth)),
                ],
            ),
            (
                Delivered,
                None,
                [keep, contradict, contradict, keep, contradict],
            ),
            (
                NotDelivered,
                Some(MailboxFull),
                [contradict, keep, contradict, keep, keep],
            ),
            (
                NotDelivered,
                Some(NoMailbox),
                [contradict, contradict, contradict, keep, keep],
            ),
            (
                Skipped,
                Some(NotMobile),
                [contradict, contradict, contradict, keep, keep],
            ),
            (Cancelled, None, [contradict, keep, keep, keep, keep]),
        ] {
            let words = [delivered, full, doubt, Said::Pending, not_tried];
            for (said, expected) in words.into_iter().zip(expected) {
                let found = effect(status, reason, said, OPEN);
                assert_eq!(found, expected, "{status} {reason:?} {said:?}");
            }
            for said in [Said::Nothing, Said::Unheard] {
                assert_eq!(effect(status, reason, said, OPEN), keep);
            }
        }
    }

    #[test]
    fn of_another_hand_over_only_that_it_is_delivered_or_taken_counts() {
        for about in [EARLIER, VOID] {
            for status in Status::ALL {
                let failed = effect(status, None, Said::Ended(End::Because(MailboxFull)), about);
                match status {
                    Status::Delivered => assert_eq!(failed, Effect::Contradict),
                    _ => assert_eq!(failed, Effect::Keep, "{status}"),
                }
                let delivered = effect(status, None, Said::Ended(End::Delivered), about);
                let is_open = !status.is_end() || status == Status::Unconfirmed;
                assert_eq!(
                    delivered == Effect::End(End::Delivered),
                    is_open,
                    "{status}"
                );
            }
        }
        // A carrier that did not take it, as its answer said, has it all the same.
        let pending = |about| effect(Status::Accepted, None, Said::Pending, about);
        assert_eq!(pending(EARLIER), Effect::Take);
        assert_eq!(pending(VOID), Effect::Keep);
    }
}
