//! Tags, skipped by their own length: ID3v2 in front; ID3v1, APE and Lyrics3 behind.

/// Bytes needed to know whether an ID3v2 tag begins here and how long it is.
pub const ID3V2_HEADER_BYTES: usize = 10;

/// Bytes needed to see the beginning of any tag that may stand behind the sound.
pub const SIGNATURE_BYTES: usize = 11;

/// How much of the upload's end is kept to find the tags there. It holds ID3v1 with its extension (355 bytes), an APE footer (32), and
/// the longest Lyrics3v1 tag (5,100 and its marks), which is the only one whose beginning has to be searched.
pub const TAIL_BYTES: usize = 8_192;

/// Lyrics3v1 has no length; its text may be this long.
const LYRICS_V1_BYTES_MAX: usize = 5_100;

const APE_FOOTER_BYTES: usize = 32;
const ID3V1_BYTES: usize = 128;
const ID3V1_EXTENSION_BYTES: usize = 227;

/// The whole length of the ID3v2 tag that begins here, if one does. It may point past the end of the upload: then all that is left
/// belongs to the tag, and the audio is refused as no MP3, because no chain of frames is found outside it.
pub fn id3v2_bytes(bytes: &[u8]) -> Option<u64> {
    let header: &[u8; ID3V2_HEADER_BYTES] = bytes.first_chunk()?;
    let [b'I', b'D', b'3', version, revision, flags, size @ ..] = header else {
        return None;
    };
    if *version == 0xFF || *revision == 0xFF || size.iter().any(|byte| byte & 0x80 != 0) {
        return None;
    }
    let body = size
        .iter()
        .fold(0_u64, |sum, byte| (sum << 7) | u64::from(*byte));
    // The footer repeats the header behind the body. Only version 4 has it, but decoders (ffmpeg among them) believe the flag in all.
    let footer = if flags & 0x10 == 0 {
        0
    } else {
        ID3V2_HEADER_BYTES as u64
    };
    Some(ID3V2_HEADER_BYTES as u64 + body + footer)
}

/// Whether a trailing tag may begin here: an APE header, an APE item (APEv1 and some v2 tags have no header), Lyrics3, ID3v1.
#[inline]
pub fn may_begin(bytes: &[u8]) -> bool {
    match bytes {
        [b'A', b'P', b'E', b'T', b'A', b'G', b'E', b'X', ..] | [b'T', b'A', b'G', ..] => true,
        [b'L', ..] if bytes.starts_with(b"LYRICSBEGIN") => true,
        _ => looks_like_ape_item(bytes),
    }
}

/// Size (under 16 MiB), flags (three bits), and a key of at least two printable characters.
fn looks_like_ape_item(bytes: &[u8]) -> bool {
    let Some(
        &[
            _,
            _,
            _,
            size_high,
            flags,
            zero_1,
            zero_2,
            zero_3,
            key_1,
            key_2,
        ],
    ) = bytes.first_chunk::<10>()
    else {
        return false;
    };
    let is_key = |byte: u8| (0x20..0x7F).contains(&byte);
    is_key(key_1)
        && is_key(key_2)
        && size_high == 0
        && flags <= 7
        && (zero_1, zero_2, zero_3) == (0, 0, 0)
}

/// Where the tag begins that ends at `end`, if one does. `tail` is the end of the upload, beginning at `tail_start`.
/// A tag behind which the tail does not reach is not seen: its bytes then count as junk.
pub fn trailing_tag_start(tail: &[u8], tail_start: u64, end: u64) -> Option<u64> {
    let length = usize::try_from(end.checked_sub(tail_start)?).ok()?;
    let before = tail.get(..length)?;
    let tag_bytes = id3v1_bytes(before)
        .or_else(|| ape_bytes(before))
        .or_else(|| lyrics3_bytes(before))?;
    end.checked_sub(tag_bytes)
}

fn id3v1_bytes(before: &[u8]) -> Option<u64> {
    let (rest, tag) = before.split_last_chunk::<ID3V1_BYTES>()?;
    if !tag.starts_with(b"TAG") {
        return None;
    }
    let extension = rest.split_last_chunk::<ID3V1_EXTENSION_BYTES>();
    let is_extended = extension.is_some_and(|(_, bytes)| bytes.starts_with(b"TAG+"));
    Some(
        (ID3V1_BYTES
            + if is_extended {
                ID3V1_EXTENSION_BYTES
            } else {
                0
            }) as u64,
    )
}

fn ape_bytes(before: &[u8]) -> Option<u64> {
    let footer: &[u8; APE_FOOTER_BYTES] = before.last_chunk()?;
    let word = |at: usize| {
        u32::from_le_bytes([footer[at], footer[at + 1], footer[at + 2], footer[at + 3]])
    };
    let (version, size, flags) = (word(8), word(12), word(20));
    let is_header = flags & (1 << 29) != 0;
    if !footer.starts_with(b"APETAGEX")
        || !matches!(version, 1_000 | 2_000)
        || is_header
        || size < 32
    {
        return None;
    }
    // The size counts items and footer; a header, which only version 2 has, comes on top. Version 1 leaves the flags undefined.
    let has_header = version == 2_000 && flags & (1 << 31) != 0;
    Some(
        u64::from(size)
            + if has_header {
                APE_FOOTER_BYTES as u64
            } else {
                0
            },
    )
}

fn lyrics3_bytes(before: &[u8]) -> Option<u64> {
    if let Some(rest) = before.strip_suffix(b"LYRICS200") {
        let digits: &[u8; 6] = rest.last_chunk()?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let body = digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        return Some(body + 15);
    }
    let rest = before.strip_suffix(b"LYRICSEND")?;
    let from = rest
        .len()
        .saturating_sub(LYRICS_V1_BYTES_MAX + SIGNATURE_BYTES);
    let text = rest[from..]
        .windows(SIGNATURE_BYTES)
        .rposition(|window| window == b"LYRICSBEGIN")?;
    Some((before.len() - from - text) as u64)
}
