//! MP3s for tests and benches, built frame by frame in memory. Not part of the product's interface.
//!
//! A frame whose side information and main data are all zero is valid silence: no borrowed bits, no values, every decoder gives its
//! samples.

use super::header::{HEADER_BYTES, Header};
use super::minimp3::Decoder;
use super::tags::TAIL_BYTES;
use super::walk::{Frame, Walk};
use super::{Refusal, Walked};

/// The nine sampling rates of MPEG audio, with the two header bits of the version and the two of the rate.
const RATES: [(u32, u8, u8); 9] = [
    (48_000, 0b11, 1),
    (44_100, 0b11, 0),
    (32_000, 0b11, 2),
    (24_000, 0b10, 1),
    (22_050, 0b10, 0),
    (16_000, 0b10, 2),
    (12_000, 0b00, 1),
    (11_025, 0b00, 0),
    (8_000, 0b00, 2),
];

/// One silent mono frame at this sampling rate and the lowest bit rate (32 kbit/s for MPEG-1, else 8 kbit/s).
///
/// # Panics
/// Where MPEG audio has no such sampling rate.
pub fn silent_frame(hz: u32) -> Vec<u8> {
    frame(hz, 1)
}

/// One silent mono frame at this sampling rate, with this bit-rate index (1 to 14).
///
/// # Panics
/// Where MPEG audio has no such sampling rate, or the index is none.
pub fn frame(hz: u32, bit_rate_index: u8) -> Vec<u8> {
    let (_, version, rate) = RATES
        .into_iter()
        .find(|rate| rate.0 == hz)
        .expect("the test asks for a rate of MPEG audio");
    let mut frame = vec![
        0xFF,
        0b1110_0011 | version << 3,
        bit_rate_index << 4 | rate << 2,
        0b1100_0000,
    ];
    let header = Header::parse(&frame).expect("the bit-rate index is one of 1 to 14");
    frame.resize(header.frame_bytes(), 0);
    frame
}

/// So many silent frames at this sampling rate. They last 1152 / hz each at 32 kHz and above, 576 / hz below.
pub fn silent_mp3(hz: u32, frames: usize) -> Vec<u8> {
    silent_frame(hz).repeat(frames)
}

/// A valid silent MP3 of at least so many seconds (under one frame, 36 ms, more; 1 kB per second), different for every seed. The seed
/// stands where no decoder looks: behind the first frame's side information, four bits to a byte, so that it makes no sync word.
pub fn distinct_mp3(seed: u64, seconds: u32) -> Vec<u8> {
    let mut bytes = silent_mp3(16_000, (u64::from(seconds) * 16_000).div_ceil(576) as usize);
    let ancillary_at = HEADER_BYTES + 9;
    for digit in 0..16 {
        bytes[ancillary_at + digit] = ((seed >> (4 * digit)) & 0x0F) as u8;
    }
    bytes
}

/// Bytes and numbers without pattern, the same for the same seed.
pub struct Noise {
    state: u64,
}

impl Noise {
    pub fn new(seed: u64) -> Noise {
        Noise { state: seed }
    }

    pub fn byte(&mut self) -> u8 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 56) as u8
    }

    /// A number below `limit`, which is at most 16,777,216.
    pub fn below(&mut self, limit: usize) -> usize {
        let number = u32::from_be_bytes([0, self.byte(), self.byte(), self.byte()]);
        number as usize % limit.max(1)
    }
}

/// Walks the frames of a whole upload without taking its hash, and says how many count.
pub fn walk_alone(bytes: &[u8]) -> Result<usize, Refusal> {
    let mut walk = Walk::new();
    walk.push(bytes)?;
    let tail = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
    Ok(walk.finish(tail, bytes.len() as u64)?.frames.len())
}

/// Decodes every frame that the walk counts, in order with one decoder, and says how many gave samples: what the judgement spares.
pub fn decode_all(walked: &Walked, bytes: &[u8]) -> usize {
    let mut decoder = Decoder::new();
    let frame = |frame: &Frame| &bytes[frame.offset as usize..frame.end() as usize];
    walked
        .frames
        .iter()
        .filter(|counted| decoder.decode(frame(counted)) > 0)
        .count()
}

/// The inputs that were thought up to make a judge work too hard, each of exactly `size` bytes.
pub fn hostile_inputs(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let tiny = silent_frame(24_000);
    let broken_chain = [tiny.repeat(3), b"x".to_vec()].concat();
    // A first region whose every third byte begins a header, a second one where the frames of the first end, and a third that has
    // none: chains of two everywhere, and of three nowhere. 417 bytes is the length that FF FB 90 tells, and a multiple of three.
    let pairs = [b"\xFF\xFB\x90".repeat(2 * 417 / 3), vec![0; 417]].concat();
    let lone_frames = [silent_frame(24_000), b"TAGxxxxxxxxxx".to_vec()].concat();
    let opening = silent_mp3(24_000, 420);
    let mut noise = Noise::new(1);
    let random = std::iter::repeat_with(|| noise.byte());
    let fill = |unit: &[u8]| unit.iter().copied().cycle().take(size).collect::<Vec<u8>>();
    let after_opening = |unit: &[u8]| {
        opening
            .iter()
            .chain(unit.iter().cycle())
            .copied()
            .take(size)
            .collect::<Vec<u8>>()
    };
    vec![
        ("all FF", fill(b"\xFF")),
        ("sync words every two bytes", fill(b"\xFF\xFB")),
        ("headers every four bytes", fill(b"\xFF\xFB\x90\x64")),
        (
            "layer II headers every four bytes",
            fill(b"\xFF\xFD\x90\x64"),
        ),
        ("chains of two, none of three", fill(&pairs)),
        (
            "free-format headers and zeros",
            fill(&[b"\xFF\xFB\x00\x00".as_slice(), &[0; 60]].concat()),
        ),
        ("tiny frames", fill(&tiny)),
        ("chain broken every third frame", fill(&broken_chain)),
        ("empty ID3v2 tags", fill(b"ID3\x04\x00\x00\x00\x00\x00\x00")),
        (
            "an ID3v2 length past the end",
            fill(b"ID3\x04\x00\x00\x7F\x7F\x7F\x7F\xFF\xFB\x90\x64"),
        ),
        ("zeros", fill(&[0])),
        ("random bytes", random.take(size).collect()),
        ("10 s, then chains of two", after_opening(&pairs)),
        ("10 s, then APE headers", after_opening(b"APETAGEX\xFF")),
        (
            "10 s, then single frames before TAG",
            after_opening(&lone_frames),
        ),
    ]
}
