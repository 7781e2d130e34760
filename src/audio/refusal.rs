//! Why an upload is refused: what was measured, what the rule is, and how to mend it.

use std::fmt;
use std::time::Duration;

/// One variant per reason a caller can do something about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "no audio was sent; an MP3 of 10 to 60 s is needed. Send its bytes in chunks after the metadata"
    )]
    Missing,
    #[error(
        "the audio is not an MP3: {found}; MPEG audio layer III is needed. Convert it to MP3 and send again"
    )]
    NotMp3 { found: Found },
    #[error("the MP3 is damaged: {damage}. Export it again from the original recording")]
    Corrupt { damage: Damage },
    #[error("audio is {} s long; 10 to 60 s are allowed. Send a longer recording", seconds(*.duration))]
    TooShort { duration: Duration },
    #[error(
        "audio is longer than 60 s: {} s had been counted when it was refused; 10 to 60 s are allowed. Shorten it and send again",
        seconds(*.counted)
    )]
    TooLong {
        /// The sum up to the frame that passed the limit; the rest is not looked at.
        counted: Duration,
    },
    #[error(
        "audio is larger than {limit_bytes} bytes, the most that is allowed. Use a lower bit rate (64 kbit/s mono is plenty for speech) or remove pictures from its tags"
    )]
    TooLarge {
        /// The most bytes allowed. The true size is not known: the rest of the upload is not awaited.
        limit_bytes: u64,
    },
}

impl Refusal {
    /// The parts of the text that vary, by name.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Refusal::Missing => Vec::new(),
            Refusal::NotMp3 { found } => vec![("found", found.name().to_owned())],
            Refusal::Corrupt { damage } => damage.metadata(),
            Refusal::TooShort { duration } => {
                vec![
                    ("duration_ms", duration.as_millis().to_string()),
                    ("duration_ms_min", "10000".to_owned()),
                ]
            }
            Refusal::TooLong { counted } => {
                vec![
                    ("duration_ms", counted.as_millis().to_string()),
                    ("duration_ms_max", "60300".to_owned()),
                ]
            }
            Refusal::TooLarge { limit_bytes } => vec![("size_bytes_max", limit_bytes.to_string())],
        }
    }
}

/// What was found instead of an MP3, where that is clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing that can be named: no three frame headers in a row anywhere.
    NoFrames,
    /// A tag in front, and the upload ended in it or right behind it.
    TagOnly,
    Riff,
    Ogg,
    Flac,
    Mp4,
    Adts,
    Adif,
    Amr,
    Aiff,
    Caf,
    MpegProgramStream,
    Zip,
    Text,
    LayerI,
    LayerII,
    FreeFormat,
    WebM,
    Asf,
    Jpeg,
    Png,
    Pdf,
}

impl Found {
    /// A stable, short name for machines.
    pub fn name(self) -> &'static str {
        match self {
            Found::NoFrames => "unknown",
            Found::TagOnly => "id3v2-tag-only",
            Found::Riff => "riff-wave",
            Found::Ogg => "ogg",
            Found::Flac => "flac",
            Found::Mp4 => "mp4",
            Found::Adts => "aac-adts",
            Found::Adif => "aac-adif",
            Found::Amr => "amr",
            Found::Aiff => "aiff",
            Found::Caf => "caf",
            Found::MpegProgramStream => "mpeg-ps",
            Found::Zip => "zip",
            Found::Text => "text",
            Found::LayerI => "mpeg-layer-1",
            Found::LayerII => "mpeg-layer-2",
            Found::FreeFormat => "mpeg-free-format",
            Found::WebM => "webm",
            Found::Asf => "asf-wma",
            Found::Jpeg => "jpeg",
            Found::Png => "png",
            Found::Pdf => "pdf",
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Found::NoFrames => "no MP3 frames were found in it",
            Found::TagOnly => "nothing was found behind its ID3 tag",
            Found::Riff => "it is a RIFF/WAVE file",
            Found::Ogg => "it is an Ogg file",
            Found::Flac => "it is a FLAC file",
            Found::Mp4 => "it is an MP4 or M4A file",
            Found::Adts => "it is an AAC stream (ADTS)",
            Found::Adif => "it is an AAC file (ADIF)",
            Found::Amr => "it is an AMR file",
            Found::Aiff => "it is an AIFF file",
            Found::Caf => "it is a Core Audio file (CAF)",
            Found::MpegProgramStream => "it is an MPEG program stream",
            Found::Zip => "it is a ZIP archive",
            Found::Text => "it is text",
            Found::LayerI => "it is MPEG audio layer I",
            Found::LayerII => "it is MPEG audio layer II (MP2)",
            Found::FreeFormat => "it is MPEG audio of free format (no bit rate in its headers)",
            Found::WebM => "it is a WebM or Matroska file",
            Found::Asf => "it is an ASF or WMA file",
            Found::Jpeg => "it is a JPEG picture",
            Found::Png => "it is a PNG picture",
            Found::Pdf => "it is a PDF document",
        })
    }
}

/// What is wrong with an MP3 that is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Bytes that are no tag and no frame stand before the first frame.
    JunkBefore { bytes: u64, allowed_bytes: u64 },
    /// Bytes that are no tag and no frame stand between and behind the frames.
    JunkWithin { bytes: u64, allowed_bytes: u64 },
    /// The headers are there, but what is between them can't be decoded.
    NoSound { judged: usize, sounding: usize },
}

impl Damage {
    fn metadata(self) -> Vec<(&'static str, String)> {
        match self {
            Damage::JunkBefore {
                bytes,
                allowed_bytes,
            } => vec![
                ("damage", "junk-before".to_owned()),
                ("junk_bytes", bytes.to_string()),
                ("junk_bytes_max", allowed_bytes.to_string()),
            ],
            Damage::JunkWithin {
                bytes,
                allowed_bytes,
            } => vec![
                ("damage", "junk-within".to_owned()),
                ("junk_bytes", bytes.to_string()),
                ("junk_bytes_max", allowed_bytes.to_string()),
            ],
            Damage::NoSound { judged, sounding } => vec![
                ("damage", "no-sound".to_owned()),
                ("frames_judged", judged.to_string()),
                ("frames_sounding", sounding.to_string()),
            ],
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::JunkBefore {
                bytes,
                allowed_bytes,
            } => {
                write!(
                    out,
                    "{bytes} bytes before its first frame are no audio; at most {allowed_bytes} may be"
                )
            }
            Damage::JunkWithin {
                bytes,
                allowed_bytes,
            } => {
                write!(
                    out,
                    "{bytes} bytes between and after its frames are no audio; at most {allowed_bytes} may be"
                )
            }
            Damage::NoSound { judged, sounding } => {
                write!(
                    out,
                    "only {sounding} of {judged} sampled frames can be decoded; 80 % must be"
                )
            }
        }
    }
}

/// Seconds, cut to the millisecond, without zeros at the end that say nothing: `74.1`, `60.312`, `9.0`.
fn seconds(duration: Duration) -> String {
    let text = format!("{}.{:03}", duration.as_secs(), duration.subsec_millis());
    let short = text.trim_end_matches('0');
    if short.ends_with('.') {
        format!("{short}0")
    } else {
        short.to_owned()
    }
}
