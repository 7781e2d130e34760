//! A hash of what was asked for, to tell a repeat under one request id from a mistake.

use sha2::{Digest, Sha256};

/// Parts are hashed with their lengths, so that no two lists of parts look alike.
#[derive(Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    #[must_use]
    pub fn part(mut self, part: impl AsRef<[u8]>) -> Fingerprint {
        let bytes = part.as_ref();
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// A part that may be missing, which differs from an empty one.
    #[must_use]
    pub fn optional(self, part: Option<impl AsRef<[u8]>>) -> Fingerprint {
        match part {
            Some(part) => self.part([1]).part(part),
            None => self.part([0]),
        }
    }

    pub fn finish(self) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_parts_look_alike() {
        let hash = |parts: &[&str]| {
            parts
                .iter()
                .fold(Fingerprint::default(), |f, part| f.part(part))
                .finish()
        };
        assert_eq!(hash(&["a", "b"]), hash(&["a", "b"]));
        assert_ne!(hash(&["ab"]), hash(&["a", "b"]));
        assert_ne!(hash(&["a", "b"]), hash(&["b", "a"]));
        let missing = Fingerprint::default().optional(None::<&str>).finish();
        assert_ne!(missing, Fingerprint::default().optional(Some("")).finish());
    }
}
