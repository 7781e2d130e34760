//! Does it sound? Valid headers can stand around noise. Decoding everything would cost more than all the rest of the judgement, and a
//! hostile upload chooses what it costs; so a bounded sample is decoded.

use super::header::Header;
use super::minimp3::{Decoder, RESERVOIR_BYTES_MAX};
use super::refusal::{Damage, Refusal};
use super::walk::Frame;

/// How many places of the file are tried, one in each of as many equal parts.
const PLACES: usize = 20;

/// Frames decoded at each place: one to lead in, and the one that is judged.
const DECODED_PER_PLACE: usize = 2;

/// The most frames that are decoded in all.
pub const DECODED_MAX: usize = 48;
const _: () = assert!(PLACES * DECODED_PER_PLACE <= DECODED_MAX);

/// Of the judged frames, so many in a hundred must give samples.
const SOUNDING_PERCENT_MIN: usize = 80;

/// Decodes the sample of `frames`, which stand in `bytes`. The hash of the bytes chooses the places, so that the same upload is always
/// judged alike, and nobody can prepare only the frames that will be looked at.
pub fn check(frames: &[Frame], bytes: &[u8], sha256: &[u8; 32]) -> Result<(), Refusal> {
    let mut decoder = Decoder::new();
    let mut judged = 0;
    let mut sounding = 0;
    for place in places(frames.len(), sha256) {
        judged += 1;
        if sounds(&mut decoder, frames, place, bytes) {
            sounding += 1;
        }
    }
    if sounding * 100 < judged * SOUNDING_PERCENT_MIN {
        return Err(Refusal::Corrupt {
            damage: Damage::NoSound { judged, sounding },
        });
    }
    Ok(())
}

/// How many of all frames but the first sound when each is judged as the sample would judge it.
#[cfg(test)]
pub fn sounding_places(frames: &[Frame], bytes: &[u8]) -> usize {
    let mut decoder = Decoder::new();
    (1..frames.len())
        .filter(|place| sounds(&mut decoder, frames, *place, bytes))
        .count()
}

/// The indexes of the frames to judge. The first frame is never one: it has none before it to lead in.
fn places(frame_count: usize, sha256: &[u8; 32]) -> impl Iterator<Item = usize> {
    (0..PLACES).zip(sha256).filter_map(move |(part, chance)| {
        let from = (part * frame_count / PLACES).max(1);
        let to = (part + 1) * frame_count / PLACES;
        (from < to).then(|| from + (to - from) * usize::from(*chance) / 256)
    })
}

/// Whether the frame at `place` gives samples after the one before it. A Layer III frame borrows bits from the main data of frames
/// before it, at low bit rates from more than twenty; those are put into the decoder's reservoir as they are, which costs nothing.
fn sounds(decoder: &mut Decoder, frames: &[Frame], place: usize, bytes: &[u8]) -> bool {
    let lead_in = &frames[place - 1];
    let mut reservoir = [0; RESERVOIR_BYTES_MAX];
    let free = fill_reservoir(&mut reservoir, &frames[..place - 1], bytes);
    decoder.prime(&lead_in.header, &reservoir[free..]);
    decoder.decode(frame_bytes(lead_in, bytes));
    decoder.decode(frame_bytes(&frames[place], bytes)) > 0
}

/// Fills the reservoir from its end with the main data of the last of `frames`, and says how many bytes at its beginning stay free.
fn fill_reservoir(
    reservoir: &mut [u8; RESERVOIR_BYTES_MAX],
    frames: &[Frame],
    bytes: &[u8],
) -> usize {
    let mut free = RESERVOIR_BYTES_MAX;
    // Each frame has at least one byte of main data, so this ends after 511 frames at the latest; usually after two to ten.
    for frame in frames.iter().rev().take(RESERVOIR_BYTES_MAX) {
        let main_data = main_data(&frame.header, frame_bytes(frame, bytes));
        let count = main_data.len().min(free);
        reservoir[free - count..free].copy_from_slice(&main_data[main_data.len() - count..]);
        free -= count;
        if free == 0 {
            break;
        }
    }
    free
}

fn main_data<'a>(header: &Header, frame: &'a [u8]) -> &'a [u8] {
    frame.get(header.main_data_offset()..).unwrap_or(&[])
}

/// The frame's bytes; empty (which never sounds) where `bytes` are not those that were walked.
fn frame_bytes<'a>(frame: &Frame, bytes: &'a [u8]) -> &'a [u8] {
    let start = frame.offset as usize;
    bytes
        .get(start..start + frame.header.frame_bytes())
        .unwrap_or(&[])
}
