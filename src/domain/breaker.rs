//! A carrier that fails again and again is left alone for a while: its queue waits, and now and
//! then one call tries whether it answers again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::attempt::Outcome;
use super::failure::FailureReason;
use super::ids::VoicemailId;
use super::time::Time;

/// So many voicemails in a row, without one call that the carrier answered in between.
pub const FAILURES_TO_TRIP: usize = 5;
/// Before the first trial, doubled after each that fails.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The breaker of a carrier that is open: stored, so that all processes keep to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    pub carrier: String,
    pub since: Time,
    /// From then on one call may try.
    pub next_trial_time: Time,
    /// Trials that failed.
    pub trials: i32,
}

impl Breaker {
    pub fn open(carrier: &str, now: Time) -> Breaker {
        Breaker {
            carrier: carrier.to_owned(),
            since: now,
            next_trial_time: now.plus(FIRST_WAIT),
            trials: 0,
        }
    }

    /// A trial failed.
    pub fn failed_again(&mut self, now: Time) {
        self.trials = self.trials.saturating_add(1);
        let doublings = self.trials.clamp(0, 10).unsigned_abs();
        let wait = FIRST_WAIT * 2_u32.pow(doublings);
        self.next_trial_time = now.plus(wait.min(LONGEST_WAIT));
    }
}

/// What a call says about the carrier itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It answered as a carrier does, be it with a refusal.
    Alive,
    Failing,
    /// Nothing either way.
    None,
}

impl Sign {
    pub fn of(outcome: &Outcome) -> Sign {
        match outcome {
            Outcome::Delivered | Outcome::Taken { .. } => Sign::Alive,
            Outcome::Rejected { reason } if reason.is_account_fault() => Sign::None,
            Outcome::Rejected { .. } => Sign::Alive,
            Outcome::TryAgain {
                reason: FailureReason::CarrierRateLimited,
                ..
            } => Sign::None,
            Outcome::TryAgain { .. } | Outcome::Unknown => Sign::Failing,
        }
    }
}

/// The failures in a row that this process has seen, by carrier.
#[derive(Debug, Default)]
pub struct Failures(BTreeMap<String, BTreeSet<VoicemailId>>);

impl Failures {
    /// Notes what a call said; is it time to open the carrier's breaker? One message that fails
    /// again and again is no sign that the carrier does, so voicemails are counted, not calls.
    pub fn note(&mut self, carrier: &str, voicemail: VoicemailId, sign: Sign) -> bool {
        match sign {
            Sign::None => false,
            Sign::Alive => {
                self.0.remove(carrier);
                false
            }
            Sign::Failing => {
                let failed = self.0.entry(carrier.to_owned()).or_default();
                failed.insert(voicemail);
                let trips = failed.len() >= FAILURES_TO_TRIP;
                if trips {
                    self.0.remove(carrier);
                }
                trips
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_voicemails_in_a_row_trip_it_and_one_fewer_does_not() {
        let mut failures = Failures::default();
        let ids: Vec<_> = (0..FAILURES_TO_TRIP)
            .map(|_| VoicemailId::generate())
            .collect();
        let (last, others) = ids.split_last().expect("some");
        for id in others {
            assert!(!failures.note("a", *id, Sign::Failing));
            assert!(!failures.note("a", *id, Sign::Failing), "the same again");
            assert!(!failures.note("b", *id, Sign::None));
        }
        assert!(failures.note("a", *last, Sign::Failing));
        assert!(!failures.note("a", *last, Sign::Failing), "counted anew");
        for id in others {
            failures.note("b", *id, Sign::Failing);
        }
        failures.note("b", *last, Sign::Alive);
        assert!(!failures.note("b", *last, Sign::Failing));
    }

    #[test]
    fn the_waits_between_trials_double_up_to_the_longest() {
        let now = Time::from_micros(1);
        let mut breaker = Breaker::open("a", now);
        let mut waits = vec![breaker.next_trial_time.since(now).as_secs()];
        for _ in 0..8 {
            breaker.failed_again(now);
            waits.push(breaker.next_trial_time.since(now).as_secs());
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        breaker.trials = i32::MAX;
        breaker.failed_again(now);
        assert_eq!(breaker.next_trial_time, now.plus(LONGEST_WAIT));
        assert_eq!(breaker.since, now);
    }

    #[test]
    fn a_refusal_is_a_sign_of_life_and_a_wish_to_wait_is_none() {
        let passing = |reason| Outcome::TryAgain { reason, wait: None };
        for (outcome, sign) in [
            (Outcome::Delivered, Sign::Alive),
            (Outcome::Taken { ask_after: None }, Sign::Alive),
            (
                Outcome::Rejected {
                    reason: FailureReason::NoMailbox,
                },
                Sign::Alive,
            ),
            (
                Outcome::Rejected {
                    reason: FailureReason::CarrierAuth,
                },
                Sign::None,
            ),
            (passing(FailureReason::CarrierRateLimited), Sign::None),
            (passing(FailureReason::CarrierTimeout), Sign::Failing),
            (Outcome::Unknown, Sign::Failing),
        ] {
            assert_eq!(Sign::of(&outcome), sign, "{outcome:?}");
        }
    }
}
