//! Audio whose sound was found good: a campaign sends the same bytes again and again, and need not decode them each time.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Refusal, Walked};

/// The last so many, by their SHA-256: 64 bytes each.
const HEARD_MAX: usize = 4_096;

/// The sound sample, taken once of the same bytes as long as they are remembered.
#[derive(Debug, Default)]
pub struct Heard(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    hashes: HashSet<[u8; 32]>,
    /// The oldest first.
    in_order: VecDeque<[u8; 32]>,
}

impl Heard {
    /// As [`Walked::check_sound`], which depends on the bytes alone. Were they known?
    pub fn check_sound(&self, walked: &Walked, bytes: &[u8]) -> Result<bool, Refusal> {
        let sha256 = walked.sha256();
        if self.lock().hashes.contains(&sha256) {
            return Ok(true);
        }
        walked.check_sound(bytes)?;
        self.lock().add(sha256);
        Ok(false)
    }

    /// A panic elsewhere leaves at worst one that is not remembered.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn add(&mut self, sha256: [u8; 32]) {
        if !self.hashes.insert(sha256) {
            return;
        }
        self.in_order.push_back(sha256);
        if self.in_order.len() > HEARD_MAX
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Judge;
    use crate::audio::testing::{Noise, distinct_mp3, frame};

    fn walk(bytes: &[u8]) -> Walked {
        let mut judge = Judge::new();
        judge.push(bytes).expect("frames");
        judge.finish().expect("frames")
    }

    fn hash(number: usize) -> [u8; 32] {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        hash
    }

    #[test]
    fn the_last_4096_are_remembered() {
        for (more, is_first_known) in [(4_094, true), (4_095, true), (4_096, false)] {
            let mut known = Known::default();
            for number in 0..=more {
                known.add(hash(number));
                known.add(hash(number));
            }
            assert_eq!(known.hashes.contains(&hash(0)), is_first_known, "{more}");
            assert!(known.hashes.contains(&hash(more)));
            assert_eq!(known.hashes.len(), known.in_order.len());
            assert!(known.hashes.len() <= HEARD_MAX);
        }
    }

    #[test]
    fn what_sounded_is_not_decoded_again() {
        let heard = Heard::default();
        let bytes = distinct_mp3(1, 12);
        let walked = walk(&bytes);
        // Bytes that are not those walked never sound.
        assert!(heard.check_sound(&walked, &[]).is_err());
        assert_eq!(heard.check_sound(&walked, &bytes).ok(), Some(false));
        assert!(
            heard.check_sound(&walked, &[]).is_ok_and(|known| known),
            "nothing is decoded"
        );
        let other = distinct_mp3(2, 12);
        assert!(heard.check_sound(&walk(&other), &[]).is_err());
    }

    #[test]
    fn noise_is_refused_each_time() {
        let heard = Heard::default();
        let mut noise = Noise::new(1);
        let frame = frame(24_000, 8);
        let mut bytes = frame.repeat(500);
        for frame in bytes.chunks_mut(frame.len()) {
            frame[4..].fill_with(|| noise.byte());
        }
        let walked = walk(&bytes);
        for _ in 0..2 {
            assert!(heard.check_sound(&walked, &bytes).is_err());
        }
    }
}
