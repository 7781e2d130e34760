//! What may be done about a hand-over whose outcome is unknown: a crash, a timeout after the
//! bytes left, a connection reset. Nothing is ever sent again blindly.

use std::time::Duration;

use super::time::Time;

/// What a carrier allows for one hand-over in doubt. Each carrier's file says where it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoubtTraits {
    /// The same request under the same key is known as a repeat for this long after the
    /// hand-over was stored (the vendor's key memory less a margin). `None`: not repeatable.
    pub repeatable_for: Option<Duration>,
    /// The carrier can be asked what became of it.
    pub askable: bool,
}

/// The next step for a hand-over in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send the stored request again, byte for byte, under the same key.
    Repeat,
    /// Ask, then decide.
    Ask,
    /// Neither is possible: UNCONFIRMED, never again.
    GiveUp,
}

/// Judged anew before each step, because the carrier's memory runs out.
pub fn next_step(traits: DoubtTraits, handed_over: Time, now: Time) -> Step {
    match traits.repeatable_for {
        Some(memory) if now.since(handed_over) < memory => Step::Repeat,
        _ if traits.askable => Step::Ask,
        _ => Step::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_allowed_only_within_the_carriers_memory() {
        let start = Time::from_micros(1_000_000);
        let hour = Duration::from_secs(3_600);
        let traits = |askable| DoubtTraits {
            repeatable_for: Some(hour),
            askable,
        };
        let micro = Duration::from_micros(1);
        assert_eq!(
            next_step(traits(false), start, start.plus(hour).minus(micro)),
            Step::Repeat
        );
        assert_eq!(
            next_step(traits(false), start, start.plus(hour)),
            Step::GiveUp
        );
        assert_eq!(next_step(traits(true), start, start.plus(hour)), Step::Ask);
    }

    #[test]
    fn what_can_neither_be_repeated_nor_asked_is_given_up_at_once() {
        let now = Time::EPOCH;
        assert_eq!(
            next_step(
                DoubtTraits {
                    repeatable_for: None,
                    askable: false
                },
                now,
                now
            ),
            Step::GiveUp
        );
        assert_eq!(
            next_step(
                DoubtTraits {
                    repeatable_for: None,
                    askable: true
                },
                now,
                now
            ),
            Step::Ask
        );
    }
}
