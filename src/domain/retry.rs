//! How long to wait before another try, and when to give up.
//!
//! The waits, each times an even draw from 0.8 to 1.2:
//!
//! | after try | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 |
//! |---|---|---|---|---|---|---|---|---|
//! | wait | 5 s | 30 s | 2 min | 10 min | 30 min | 1 h | 2 h | none: given up |
//!
//! A wait that the carrier asks for replaces ours, held within 1 s to 1 h; it uses up a try all
//! the same, so that a carrier which always says "too fast" comes to an end too.

use std::time::Duration;

/// A carrier's own wish is held within these.
pub const CARRIER_WAIT_MIN: Duration = Duration::from_secs(1);
pub const CARRIER_WAIT_MAX: Duration = Duration::from_secs(3_600);

/// The waits between tries; one try more than there are waits is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub waits: Vec<Duration>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            waits: [5, 30, 120, 600, 1_800, 3_600, 7_200]
                .map(Duration::from_secs)
                .to_vec(),
        }
    }
}

impl Policy {
    /// The wait after `tries` tries that came to a passing error, or `None`: give up.
    /// `chance` is an even draw from 0 to 1.
    pub fn wait(
        &self,
        tries: u32,
        carrier_wait: Option<Duration>,
        chance: f64,
    ) -> Option<Duration> {
        let index = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
        let ours = *self.waits.get(index)?;
        Some(match carrier_wait {
            Some(wait) => wait.clamp(CARRIER_WAIT_MIN, CARRIER_WAIT_MAX),
            None => spread(ours, chance),
        })
    }
}

/// `wait` times 0.8 to 1.2, so that what failed together does not come back together.
pub fn spread(wait: Duration, chance: f64) -> Duration {
    wait.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_the_one_written_out_above() {
        let policy = Policy::default();
        let middle: Vec<u64> = (1..=7)
            .filter_map(|tries| policy.wait(tries, None, 0.5))
            .map(|w| w.as_secs())
            .collect();
        assert_eq!(middle, [5, 30, 120, 600, 1_800, 3_600, 7_200]);
        assert_eq!(policy.wait(8, None, 0.5), None);
        assert_eq!(policy.wait(u32::MAX, None, 0.5), None);
    }

    #[test]
    fn every_wait_is_within_a_fifth_of_its_middle() {
        let policy = Policy::default();
        for tries in 1..=7 {
            let middle = policy.waits[tries as usize - 1];
            for step in 0..=100 {
                let wait = policy
                    .wait(tries, None, f64::from(step) / 100.0)
                    .expect("tries are left");
                assert!(
                    wait >= middle.mul_f64(0.8) && wait <= middle.mul_f64(1.2),
                    "{wait:?}"
                );
            }
            assert_eq!(policy.wait(tries, None, -1.0), Some(middle.mul_f64(0.8)));
            assert_eq!(policy.wait(tries, None, 2.0), Some(middle.mul_f64(1.2)));
        }
    }

    #[test]
    fn a_carriers_own_wait_replaces_ours_within_its_borders() {
        let policy = Policy::default();
        let wait = |ms| {
            policy
                .wait(1, Some(Duration::from_millis(ms)), 0.9)
                .map(|w| w.as_millis())
        };
        assert_eq!(wait(0), Some(1_000));
        assert_eq!(wait(999), Some(1_000));
        assert_eq!(wait(1_001), Some(1_001));
        assert_eq!(wait(2_000), Some(2_000));
        assert_eq!(wait(3_600_000), Some(3_600_000));
        assert_eq!(wait(3_600_001), Some(3_600_000));
        assert_eq!(policy.wait(8, Some(Duration::from_secs(2)), 0.5), None);
    }
}
