//! The end of the walk: where the sound ends, what of it counts, and whether junk and length are within their limits.

use super::super::refusal::{Damage, Refusal};
use super::super::tags;
use super::{Frame, JUNK_WITHIN_BYTES_MAX, TICKS_MAX, TICKS_MIN, Walk, to_duration};

/// What a walk that found nothing to refuse leaves behind: the counted frames, and the sum of their lengths.
pub struct Sound {
    pub frames: Vec<Frame>,
    pub ticks: u64,
}

impl Walk {
    /// Judges what only the end tells. `tail` holds the last bytes of the upload, `size` is its whole length.
    pub fn finish(mut self, tail: &[u8], size: u64) -> Result<Sound, Refusal> {
        let sound_end = self.sound_end(tail, size);
        self.cut_at(sound_end);
        if let Some(left) = sound_end.checked_sub(self.position) {
            let kept = std::mem::take(&mut self.kept);
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            self.run(&kept[self.kept_from..][..left], true)?;
        }
        self.count_last_frames(sound_end);
        let Some(first) = self.frames.first() else {
            return Err(Refusal::NotMp3 { found: self.guess });
        };
        // Before the junk: behind what made it too long nothing was looked at any more.
        if self.ticks > TICKS_MAX {
            return Err(Refusal::TooLong {
                counted: to_duration(self.ticks),
            });
        }
        let frame_bytes: u64 = self
            .frames
            .iter()
            .map(|frame| frame.end() - frame.start())
            .sum();
        let junk_bytes = sound_end - first.start() - frame_bytes - self.cut_frame_bytes;
        if junk_bytes > JUNK_WITHIN_BYTES_MAX && junk_bytes * 10 > size {
            let allowed_bytes = JUNK_WITHIN_BYTES_MAX.max(size / 10);
            return Err(Refusal::Corrupt {
                damage: Damage::JunkWithin {
                    bytes: junk_bytes,
                    allowed_bytes,
                },
            });
        }
        if self.ticks < TICKS_MIN {
            return Err(Refusal::TooShort {
                duration: to_duration(self.ticks),
            });
        }
        if self.first_is_vbr_header {
            self.frames.remove(0);
        }
        Ok(Sound {
            frames: self.frames,
            ticks: self.ticks,
        })
    }

    /// Where the tags at the end begin.
    fn sound_end(&self, tail: &[u8], size: u64) -> u64 {
        let tail_start = size - tail.len() as u64;
        let mut end = size;
        while let Some(start) = tags::trailing_tag_start(tail, tail_start, end) {
            if start < self.front_end || start == end || self.runs_across(start) {
                break;
            }
            end = start;
        }
        end
    }

    /// Whether frames chain without a gap across this place. A tag that claims to begin there lies about its length, and skipping it
    /// would hide sound that every player plays; so such a tag is not believed and its bytes are junk.
    fn runs_across(&self, place: u64) -> bool {
        let before = self.frames.partition_point(|frame| frame.start() < place);
        let Some(last) = before.checked_sub(1).map(|at| &self.frames[at]) else {
            return false;
        };
        let next = self.frames.get(before);
        place <= last.end() && next.is_some_and(|next| next.start() == last.end())
    }

    /// Takes back the frames that turn out to reach into a tag at the end. The first of them is a frame that the tag cuts off where it
    /// begins before it.
    fn cut_at(&mut self, sound_end: u64) {
        let kept = self
            .frames
            .partition_point(|frame| frame.end() <= sound_end);
        let Some(first_cut) = self.frames.get(kept) else {
            return;
        };
        self.cut_frame_bytes = sound_end.saturating_sub(first_cut.start());
        self.frames.truncate(kept);
        self.first_is_vbr_header &= !self.frames.is_empty();
        let counted = self
            .frames
            .iter()
            .skip(usize::from(self.first_is_vbr_header));
        self.ticks = counted.map(|frame| frame.header.ticks()).sum();
    }

    /// Adds the one or two frames after a gap that end exactly where the sound does, unless other frames were found in their place.
    fn count_last_frames(&mut self, sound_end: u64) {
        let Some(noted) = self
            .last_frames
            .take()
            .filter(|noted| noted.end == sound_end)
        else {
            return;
        };
        let is_free = self
            .frames
            .last()
            .is_some_and(|last| last.end() <= noted.first.start());
        if is_free && self.cut_frame_bytes == 0 {
            for frame in [Some(noted.first), noted.second].into_iter().flatten() {
                self.ticks += frame.header.ticks();
                self.frames.push(frame);
            }
        }
    }
}
