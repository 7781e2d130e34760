//! Judges uploaded audio while it streams: is it an MP3, from 10 to 60 seconds long, of at most 8 MiB, and does it sound?
//!
//! It believes the frames and nothing else: no tag, no Xing, Info or VBRI header, no product of bit rate and size. It never keeps the
//! upload, never decodes more than a few frames of it, and never looks at a byte more than a bounded number of times.
//!
//! [`Judge`] takes the chunks as they come and refuses as soon as it is certain; [`Walked`] is what is left at the end: size, hash,
//! length, and the sample that is decoded when all bytes are there ([`Walked::check_sound`]). To follow one upload, read `walk` (which
//! bytes are frames), then `walk::ending` (tags behind, junk, length), then `sound`. Everything unsafe is in `minimp3`.

mod format;
mod header;
mod heard;
mod minimp3;
mod refusal;
mod sound;
mod tags;
#[doc(hidden)]
pub mod testing;
#[cfg(test)]
mod tests;
mod walk;

use std::time::Duration;

use sha2::{Digest, Sha256};

pub use heard::Heard;
pub use refusal::{Damage, Found, Refusal};

/// The most bytes of audio in one upload: 8 MiB. One more is refused, at the byte that passes it.
pub const BYTES_MAX: u64 = 8_388_608;

/// The judgement of one upload, chunk by chunk. Its memory is bounded: some 25 KB of bytes that still matter, and at most 2,514 frame
/// positions (24 ms, the shortest frame, goes 2,512 times into 60.3 s).
pub struct Judge {
    walk: walk::Walk,
    hash: Sha256,
    tail: Tail,
    size_bytes: u64,
    refused: Option<Refusal>,
}

impl Judge {
    pub fn new() -> Judge {
        Judge {
            walk: walk::Walk::new(),
            hash: Sha256::new(),
            tail: Tail::default(),
            size_bytes: 0,
            refused: None,
        }
    }

    /// Takes the next bytes. After a refusal it says the same again, whatever comes.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        if let Some(refusal) = &self.refused {
            return Err(refusal.clone());
        }
        let result = self.take(chunk);
        self.refused = result.clone().err();
        result
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        // What is within the limit is judged first, so that the answer does not depend on how the upload is cut into chunks.
        let room = usize::try_from(BYTES_MAX - self.size_bytes).unwrap_or(usize::MAX);
        let within = &chunk[..chunk.len().min(room)];
        self.size_bytes += within.len() as u64;
        self.walk.push(within)?;
        if within.len() < chunk.len() {
            return Err(Refusal::TooLarge {
                limit_bytes: BYTES_MAX,
            });
        }
        self.hash.update(within);
        self.tail.push(within);
        Ok(())
    }

    /// Judges what only the end tells: the tags behind, how much junk there was, and the length.
    pub fn finish(self) -> Result<Walked, Refusal> {
        if let Some(refusal) = self.refused {
            return Err(refusal);
        }
        if self.size_bytes == 0 {
            return Err(Refusal::Missing);
        }
        let sound = self.walk.finish(self.tail.bytes(), self.size_bytes)?;
        Ok(Walked {
            sha256: self.hash.finalize().into(),
            size_bytes: self.size_bytes,
            duration: walk::to_duration(sound.ticks),
            frames: sound.frames,
        })
    }
}

impl Default for Judge {
    fn default() -> Judge {
        Judge::new()
    }
}

/// Audio that passed every rule that can be judged without decoding.
#[derive(Debug)]
pub struct Walked {
    sha256: [u8; 32],
    size_bytes: u64,
    duration: Duration,
    frames: Vec<walk::Frame>,
}

impl Walked {
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The sum of the frames' lengths, rounded down to the nanosecond.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The last rule: decodes a small sample of the frames (about a millisecond) and refuses audio whose headers stand around noise.
    /// `bytes` are the whole upload, the same that were pushed.
    pub fn check_sound(&self, bytes: &[u8]) -> Result<(), Refusal> {
        sound::check(&self.frames, bytes, &self.sha256)
    }
}

/// Judges a whole upload in one piece.
pub fn judge(bytes: &[u8]) -> Result<Walked, Refusal> {
    let mut judge = Judge::new();
    judge.push(bytes)?;
    let walked = judge.finish()?;
    walked.check_sound(bytes)?;
    Ok(walked)
}

/// The last bytes of the upload, where the tags behind the sound end.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    fn push(&mut self, chunk: &[u8]) {
        let chunk = &chunk[chunk.len().saturating_sub(tags::TAIL_BYTES)..];
        // Twice the length is let grow before the old half is dropped, so that single-byte chunks do not cost a move each.
        if self.bytes.len() + chunk.len() > 2 * tags::TAIL_BYTES {
            let surplus = self
                .bytes
                .len()
                .saturating_sub(tags::TAIL_BYTES - chunk.len());
            self.bytes.drain(..surplus);
        }
        self.bytes.extend_from_slice(chunk);
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(tags::TAIL_BYTES)..]
    }
}
