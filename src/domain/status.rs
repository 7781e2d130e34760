//! Where a voicemail stands, and the only place that says how that moves.

use std::fmt;

use super::failure::FailureReason;

/// Where a voicemail stands. The numbers are those of the proto enum `VoicemailStatus` and of
/// the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum Status {
    /// Durable here, waiting for its time or for another try.
    Accepted = 1,
    /// Claimed by a worker: being handed over, or in doubt whether it was.
    Sending = 2,
    /// The carrier has it; the outcome is not known yet.
    Sent = 3,
    /// The carrier says that it is in the mailbox.
    Delivered = 4,
    /// Tried; the mailbox did not take it.
    NotDelivered = 5,
    /// Certainly not delivered: refused, or every try used up.
    Failed = 6,
    /// Not tried on purpose.
    Skipped = 7,
    /// Taken back by the caller before it left.
    Cancelled = 8,
    /// May have been delivered. Never sent again by itself; late word may still settle it.
    Unconfirmed = 9,
}

impl Status {
    pub const ALL: [Status; 9] = [
        Status::Accepted,
        Status::Sending,
        Status::Sent,
        Status::Delivered,
        Status::NotDelivered,
        Status::Failed,
        Status::Skipped,
        Status::Cancelled,
        Status::Unconfirmed,
    ];

    pub fn from_code(code: i16) -> Option<Status> {
        Status::ALL
            .into_iter()
            .find(|status| *status as i16 == code)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Accepted => "ACCEPTED",
            Status::Sending => "SENDING",
            Status::Sent => "SENT",
            Status::Delivered => "DELIVERED",
            Status::NotDelivered => "NOT_DELIVERED",
            Status::Failed => "FAILED",
            Status::Skipped => "SKIPPED",
            Status::Cancelled => "CANCELLED",
            Status::Unconfirmed => "UNCONFIRMED",
        }
    }

    /// Nothing more is done for it by ourselves.
    pub fn is_end(self) -> bool {
        match self {
            Status::Accepted | Status::Sending | Status::Sent => false,
            Status::Delivered
            | Status::NotDelivered
            | Status::Failed
            | Status::Skipped
            | Status::Cancelled
            | Status::Unconfirmed => true,
        }
    }

    /// On its way: counted as `in_flight`, and what keeps a use case from being deleted.
    pub fn is_in_flight(self) -> bool {
        !self.is_end()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a voicemail ended, in a carrier's word or in ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Delivered,
    /// The reason decides between NOT_DELIVERED, FAILED, SKIPPED and UNCONFIRMED.
    Because(FailureReason),
}

impl End {
    pub fn status(self) -> Status {
        match self {
            End::Delivered => Status::Delivered,
            End::Because(reason) => reason.ends_as(),
        }
    }

    pub fn reason(self) -> Option<FailureReason> {
        match self {
            End::Delivered => None,
            End::Because(reason) => Some(reason),
        }
    }
}

/// What can happen to a voicemail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A worker claimed it to hand it over.
    Claimed,
    /// It is certain that the carrier does not have it: a passing error, a lease that ended
    /// before the call began, or a call that was never made.
    PutBack,
    /// The carrier took it and will say later how it went.
    Taken,
    /// The carrier's word, during the hand-over, from an answer to our question, or late.
    Word(End),
    /// Our own decision while it waits: expired, opted out, cap.
    Skipped(FailureReason),
    /// The outcome of the hand-over can't be learned and the call must not be repeated.
    InDoubt,
    /// The carrier had it and no word came by the deadline.
    NoWord,
    /// The carrier had taken it and says for certain that it did not try (an account fault).
    NotTried,
    /// The caller took it back.
    Cancelled,
}

/// A move that the table does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a voicemail that is {from} can't be moved by {event:?}")]
pub struct Refused {
    pub from: Status,
    pub event: Event,
}

/// The table of the contract: the status after `event`, or a refusal. Every change of a status
/// goes through here, and the write behind it names `from` in its WHERE.
pub fn apply(from: Status, event: Event) -> Result<Status, Refused> {
    use Status::{Accepted, Cancelled, Sending, Sent, Skipped, Unconfirmed};
    let refused = Err(Refused { from, event });
    match event {
        Event::Claimed => match from {
            Accepted => Ok(Sending),
            _ => refused,
        },
        Event::PutBack => match from {
            Sending => Ok(Accepted),
            _ => refused,
        },
        Event::Taken => match from {
            Sending => Ok(Sent),
            _ => refused,
        },
        Event::Word(end) => match (from, end.status()) {
            (Sending | Sent, to) => Ok(to),
            // Late word settles what we could not confirm; another "don't know" is no word.
            (Unconfirmed, to) if to != Unconfirmed => Ok(to),
            _ => refused,
        },
        Event::Skipped(reason) => match (from, reason.ends_as()) {
            (Accepted | Sending, Skipped) => Ok(Skipped),
            _ => refused,
        },
        Event::InDoubt => match from {
            Sending => Ok(Unconfirmed),
            _ => refused,
        },
        Event::NoWord => match from {
            Sent => Ok(Unconfirmed),
            _ => refused,
        },
        Event::NotTried => match from {
            Sent => Ok(Accepted),
            _ => refused,
        },
        Event::Cancelled => match from {
            Accepted => Ok(Cancelled),
            _ => refused,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn every_event() -> Vec<Event> {
        let mut events = vec![
            Event::Claimed,
            Event::PutBack,
            Event::Taken,
            Event::Word(End::Delivered),
            Event::InDoubt,
            Event::NoWord,
            Event::NotTried,
            Event::Cancelled,
        ];
        for reason in FailureReason::ALL {
            events.push(Event::Word(End::Because(*reason)));
            events.push(Event::Skipped(*reason));
        }
        events
    }

    /// The table of the contract, written out a second time by hand.
    const ALLOWED: [(Status, &[Status]); 9] = {
        use Status::*;
        [
            (Accepted, &[Sending, Skipped, Cancelled]),
            (
                Sending,
                &[
                    Accepted,
                    Sent,
                    Delivered,
                    NotDelivered,
                    Failed,
                    Skipped,
                    Unconfirmed,
                ],
            ),
            (
                Sent,
                &[
                    Delivered,
                    NotDelivered,
                    Failed,
                    Skipped,
                    Unconfirmed,
                    Accepted,
                ],
            ),
            (Delivered, &[]),
            (NotDelivered, &[]),
            (Failed, &[]),
            (Skipped, &[]),
            (Cancelled, &[]),
            (Unconfirmed, &[Delivered, NotDelivered, Failed, Skipped]),
        ]
    };

    #[test]
    fn every_pair_of_the_contract_can_be_reached_and_no_other() {
        for (from, allowed) in ALLOWED {
            let reached: BTreeSet<Status> = every_event()
                .into_iter()
                .filter_map(|event| apply(from, event).ok())
                .collect();
            assert_eq!(reached, allowed.iter().copied().collect(), "from {from}");
        }
    }

    #[test]
    fn each_event_moves_exactly_the_statuses_it_is_meant_for() {
        use Status::*;
        let table: [(Event, &[(Status, Status)]); 12] = [
            (Event::Claimed, &[(Accepted, Sending)]),
            (Event::PutBack, &[(Sending, Accepted)]),
            (Event::Taken, &[(Sending, Sent)]),
            (
                Event::Word(End::Delivered),
                &[
                    (Sending, Delivered),
                    (Sent, Delivered),
                    (Unconfirmed, Delivered),
                ],
            ),
            (
                Event::Word(End::Because(FailureReason::MailboxFull)),
                &[
                    (Sending, NotDelivered),
                    (Sent, NotDelivered),
                    (Unconfirmed, NotDelivered),
                ],
            ),
            (
                Event::Word(End::Because(FailureReason::CarrierAmbiguous)),
                &[(Sending, Unconfirmed), (Sent, Unconfirmed)],
            ),
            (
                Event::Skipped(FailureReason::Expired),
                &[(Accepted, Skipped), (Sending, Skipped)],
            ),
            (Event::Skipped(FailureReason::MailboxFull), &[]),
            (Event::InDoubt, &[(Sending, Unconfirmed)]),
            (Event::NoWord, &[(Sent, Unconfirmed)]),
            (Event::NotTried, &[(Sent, Accepted)]),
            (Event::Cancelled, &[(Accepted, Cancelled)]),
        ];
        for (event, moves) in table {
            for from in Status::ALL {
                let wanted = moves.iter().find(|(at, _)| *at == from).map(|(_, to)| *to);
                assert_eq!(apply(from, event).ok(), wanted, "{from} by {event:?}");
            }
        }
    }

    #[test]
    fn only_unconfirmed_among_the_ends_can_be_left() {
        for from in Status::ALL
            .into_iter()
            .filter(|s| s.is_end() && *s != Status::Unconfirmed)
        {
            for event in every_event() {
                assert_eq!(apply(from, event), Err(Refused { from, event }));
            }
        }
    }

    #[test]
    fn a_status_reads_back_from_its_number() {
        for status in Status::ALL {
            assert_eq!(Status::from_code(status as i16), Some(status));
        }
        assert_eq!(Status::from_code(0), None);
        assert_eq!(Status::from_code(10), None);
    }
}
