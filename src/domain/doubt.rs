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
    /// The carrier says by itself what became of it, so waiting for that is of use.
    pub word_comes: bool,
}

impl DoubtTraits {
    /// Nothing may be done, and nothing more is heard.
    pub const NONE: DoubtTraits = DoubtTraits {
        repeatable_for: None,
        askable: false,
        word_comes: false,
    };
}

/// The next step for a hand-over in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send the stored request again, byte for byte, under the same key.
    Repeat,
    /// Ask, then decide.
    Ask,
    /// Wait for the carrier's own word.
    Wait,
    /// Nothing is possible (any more): UNCONFIRMED, never again.
    GiveUp,
}

/// Judged anew before each step, because the carrier's memory runs out.
pub fn next_step(traits: DoubtTraits, handed_over: Time, now: Time) -> Step {
    match traits.repeatable_for {
        Some(memory) if now.since(handed_over) < memory => Step::Repeat,
        _ if traits.askable => Step::Ask,
        _ if traits.word_comes => Step::Wait,
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
        let traits = |askable, word_comes| DoubtTraits {
            repeatable_for: Some(hour),
            askable,
            word_comes,
        };
        let micro = Duration::from_micros(1);
        let just_within = start.plus(hour).minus(micro);
        let over = start.plus(hour);
        for (askable, word_comes, then) in [
            (false, false, Step::GiveUp),
            (false, true, Step::Wait),
            (true, false, Step::Ask),
            (true, true, Step::Ask),
        ] {
            let traits = traits(askable, word_comes);
            assert_eq!(next_step(traits, start, just_within), Step::Repeat);
            assert_eq!(next_step(traits, start, over), then);
        }
    }

    #[test]
    fn what_can_neither_be_repeated_nor_asked_nor_waited_for_is_given_up_at_once() {
        let now = Time::EPOCH;
        assert_eq!(next_step(DoubtTraits::NONE, now, now), Step::GiveUp);
        for (askable, word_comes, step) in [(true, false, Step::Ask), (false, true, Step::Wait)] {
            let traits = DoubtTraits {
                askable,
                word_comes,
                ..DoubtTraits::NONE
            };
            assert_eq!(next_step(traits, now, now), step);
        }
    }
}
