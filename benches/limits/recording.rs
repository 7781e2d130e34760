//! MP3s that are measured with: the frames of a fixture again and again, behind a tag that differs.

use prost::bytes::{BufMut, Bytes, BytesMut};

/// Of one message of an upload.
pub const CHUNK_BYTES: usize = 64 * 1_024;

const ONE_SECOND: &[u8] = include_bytes!("../../tests/fixtures/audio/bench-44100-64k-mono-1s.mp3");
/// The fixture lasts 1.02 s.
const REPEATS_IN_30_S: usize = 29;
const REPEATS_IN_58_S: usize = 57;
/// What a frame of an ID3v2 tag has before its content, and the tag before its frames.
const TAG_HEAD_BYTES: usize = 10;

/// One recording, whose bytes all its copies share.
#[derive(Debug, Clone)]
pub struct Recording {
    frames: Bytes,
}

impl Recording {
    /// 30 s at 64 kbit/s: 242 kB.
    pub fn of_30_s() -> Recording {
        Recording {
            frames: ONE_SECOND.repeat(REPEATS_IN_30_S).into(),
        }
    }

    /// Just under a minute, with a picture in front that makes it as large as an upload may be.
    pub fn as_large_as_allowed() -> Recording {
        let sound = ONE_SECOND.repeat(REPEATS_IN_58_S);
        let most = usize::try_from(ringless::audio::BYTES_MAX).unwrap_or(usize::MAX);
        let picture = most.saturating_sub(sound.len() + 2 * TAG_HEAD_BYTES);
        let tag = tag(*b"APIC", &vec![0x55; picture]);
        Recording {
            frames: [&tag[..], &sound].concat().into(),
        }
    }

    pub fn size_bytes(&self) -> usize {
        self.frames.len()
    }

    /// The recording as it is, in chunks.
    pub fn chunks(&self) -> Vec<Bytes> {
        cut(&self.frames, 0, CHUNK_BYTES)
    }

    /// The same in pieces of another size.
    pub fn pieces(&self, size: usize) -> Vec<Bytes> {
        cut(&self.frames, 0, size)
    }

    /// The same sound behind a tag that says `what`, so that its hash is another one; only the first chunk is made anew.
    pub fn chunks_that_say(&self, what: &str) -> Vec<Bytes> {
        // The encoding of the text, an empty description and its end.
        let tag = tag(*b"TXXX", &[&[0, 0], what.as_bytes()].concat());
        let from_frames = CHUNK_BYTES.saturating_sub(tag.len()).min(self.frames.len());
        let mut first = BytesMut::with_capacity(CHUNK_BYTES);
        first.put_slice(&tag);
        first.put_slice(&self.frames[..from_frames]);
        let mut chunks = vec![first.freeze()];
        chunks.extend(cut(&self.frames, from_frames, CHUNK_BYTES));
        chunks
    }
}

fn cut(bytes: &Bytes, from: usize, size: usize) -> Vec<Bytes> {
    (from..bytes.len())
        .step_by(size)
        .map(|start| bytes.slice(start..bytes.len().min(start + size)))
        .collect()
}

/// An ID3v2.4 tag of one frame.
fn tag(frame: [u8; 4], content: &[u8]) -> Vec<u8> {
    let mut tag = b"ID3\x04\x00\x00".to_vec();
    tag.extend(seven_bits_each(TAG_HEAD_BYTES + content.len()));
    tag.extend(frame);
    tag.extend(seven_bits_each(content.len()));
    tag.extend([0, 0]);
    tag.extend(content);
    tag
}

/// Sizes in a tag leave the highest bit of each byte clear.
fn seven_bits_each(size: usize) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| u8::try_from(size >> shift & 0x7F).unwrap_or(0))
}
