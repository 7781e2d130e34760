//! Other formats, told by the bytes they begin with.

use super::header;
use super::refusal::Found;

/// How many bytes are looked at. Text is taken for text where all of these are printable.
pub const MAGIC_BYTES: usize = 64;

/// An ADTS header without its checksum.
const ADTS_HEADER_BYTES: usize = 7;

/// The most bytes that telling a format can wait for: the longest ADTS frame and the header behind it.
pub const NEEDED_BYTES_MAX: usize = 8_191 + ADTS_HEADER_BYTES;

pub enum Format {
    /// Certainly another format.
    Other(Found),
    /// May be an MP3. Should no frame ever be found, this names what it probably is.
    Open(Found),
    /// Not known before more bytes are there (8,198 at most).
    NeedsMore,
}

/// What begins here, behind the tags in front. `is_end` says that no more bytes follow `bytes`.
pub fn tell(bytes: &[u8], is_end: bool) -> Format {
    if bytes.len() < MAGIC_BYTES && !is_end {
        return Format::NeedsMore;
    }
    let bytes_at_4 = bytes.get(4..).unwrap_or(&[]);
    let bytes_at_8 = bytes.get(8..).unwrap_or(&[]);
    let found = match bytes {
        [b'R', b'I', b'F', b'F' | b'X', ..] | [b'R', b'F', b'6', b'4', ..] => Found::Riff,
        [b'O', b'g', b'g', b'S', ..] => Found::Ogg,
        [b'f', b'L', b'a', b'C', ..] => Found::Flac,
        [b'A', b'D', b'I', b'F', ..] => Found::Adif,
        [b'#', b'!', b'A', b'M', b'R', ..] => Found::Amr,
        [b'F', b'O', b'R', b'M', ..] if bytes_at_8.starts_with(b"AIF") => Found::Aiff,
        [b'c', b'a', b'f', b'f', ..] => Found::Caf,
        [0, 0, 1, 0xBA, ..] => Found::MpegProgramStream,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Found::Zip,
        _ if bytes_at_4.starts_with(b"ftyp") => Found::Mp4,
        _ => return tell_adts(bytes, is_end),
    };
    Format::Other(found)
}

/// Two ADTS headers, the second where the first says, or one whose frame is all there is. The sync word alone would also fit a stray
/// byte pair before an MP3.
fn tell_adts(bytes: &[u8], is_end: bool) -> Format {
    let Some(frame_bytes) = adts_frame_bytes(bytes) else {
        return Format::Open(guess(bytes));
    };
    let needed = frame_bytes + ADTS_HEADER_BYTES;
    if bytes.len() < needed && !is_end {
        return Format::NeedsMore;
    }
    let next = bytes.get(frame_bytes..).unwrap_or(&[]);
    let is_followed = adts_frame_bytes(next).is_some()
        && next[1] == bytes[1]
        && next[2] & 0xFC == bytes[2] & 0xFC;
    if next.is_empty() || is_followed {
        Format::Other(Found::Adts)
    } else {
        Format::Open(guess(bytes))
    }
}

fn adts_frame_bytes(bytes: &[u8]) -> Option<usize> {
    let header: &[u8; ADTS_HEADER_BYTES] = bytes.first_chunk()?;
    let length = usize::from(header[3] & 3) << 11
        | usize::from(header[4]) << 3
        | usize::from(header[5]) >> 5;
    let is_sync = header[0] == 0xFF && header[1] & 0xF6 == 0xF0;
    (is_sync && length >= ADTS_HEADER_BYTES).then_some(length)
}

/// Names for what has no place among the formats refused at sight, because an MP3 may still follow it.
fn guess(bytes: &[u8]) -> Found {
    if header::is_free_format(bytes) {
        return Found::FreeFormat;
    }
    match bytes {
        [] => Found::TagOnly,
        [0x1A, 0x45, 0xDF, 0xA3, ..] => Found::WebM,
        [0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, ..] => Found::Asf,
        [0xFF, 0xD8, 0xFF, ..] => Found::Jpeg,
        [0x89, b'P', b'N', b'G', ..] => Found::Png,
        [b'%', b'P', b'D', b'F', ..] => Found::Pdf,
        _ if is_text(&bytes[..bytes.len().min(MAGIC_BYTES)]) => Found::Text,
        _ => Found::NoFrames,
    }
}

/// UTF-8 without control characters other than white space. A character cut in two at the end is let pass.
fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty()
        && !valid
            .chars()
            .any(|char| char.is_control() && !char.is_whitespace())
}
