//! Every rule of the judgement, at its borders, and the inputs that try to break it.

mod assemblies;
mod ending;
mod fixtures;
mod format;
mod frames;
mod hostile;
mod limits;
mod sound;

use super::testing::{frame, silent_frame, silent_mp3};
use super::{Damage, Found, Judge, Refusal, Walked, judge};

/// The verdict in a form that can be compared: the exact length or the refusal.
fn verdict(bytes: &[u8]) -> Result<u128, Refusal> {
    judge(bytes).map(|walked| walked.duration().as_nanos())
}

/// The verdict when the upload comes in pieces of this size.
fn verdict_in_pieces(bytes: &[u8], piece_bytes: usize) -> Result<u128, Refusal> {
    let mut judge = Judge::new();
    for piece in bytes.chunks(piece_bytes) {
        judge.push(piece)?;
    }
    let walked = judge.finish()?;
    walked.check_sound(bytes)?;
    Ok(walked.duration().as_nanos())
}

/// 15.0 s of silence: 625 frames of 24 ms.
fn fifteen_seconds() -> Vec<u8> {
    silent_mp3(24_000, 625)
}

const FIFTEEN_SECONDS: Result<u128, Refusal> = Ok(15_000_000_000);

fn not_mp3(found: Found) -> Result<u128, Refusal> {
    Err(Refusal::NotMp3 { found })
}

/// Bytes without any sync word in them.
fn junk(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

/// An ID3v2 tag with this body.
fn id3v2(version: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let size = body.len();
    let size = [size >> 21, size >> 14, size >> 7, size].map(|part| (part & 0x7F) as u8);
    let footer: &[u8] = if flags & 0x10 == 0 {
        &[]
    } else {
        b"3DI\x04\0\x10\0\0\0\0"
    };
    [b"ID3".as_slice(), &[version, 0, flags], &size, body, footer].concat()
}

fn id3v1() -> Vec<u8> {
    let mut tag = b"TAG".to_vec();
    tag.resize(128, b' ');
    tag
}

/// An APE tag with one binary item. Version 2 has a header, unless it is left away.
fn ape(version: u32, with_header: bool, value: &[u8]) -> Vec<u8> {
    let item = [
        &(value.len() as u32).to_le_bytes(),
        [0, 0, 0, 0].as_slice(),
        b"Cover Art\0",
        value,
    ]
    .concat();
    let end = |flags: u32| {
        let words = [version, item.len() as u32 + 32, 1, flags, 0, 0]
            .map(u32::to_le_bytes)
            .concat();
        [b"APETAGEX".as_slice(), &words].concat()
    };
    let header = if with_header {
        end(0xA000_0000)
    } else {
        Vec::new()
    };
    [
        header,
        item.clone(),
        end(if with_header { 0x8000_0000 } else { 0 }),
    ]
    .concat()
}

fn lyrics3_v2(text: &str) -> Vec<u8> {
    let body = format!("LYRICSBEGIN{text}");
    format!("{body}{:06}LYRICS200", body.len()).into_bytes()
}

fn walked(bytes: &[u8]) -> Walked {
    judge(bytes).expect("the test's audio is accepted")
}

#[test]
fn every_chunking_gives_the_same_answer() {
    let mut uploads: Vec<Vec<u8>> = super::testing::hostile_inputs(70_000)
        .into_iter()
        .map(|input| input.1)
        .collect();
    uploads.extend(fixtures::all().into_iter().map(|fixture| fixture.1));
    uploads.push(
        [
            fifteen_seconds(),
            ape(2_000, true, &silent_mp3(24_000, 2_000)),
        ]
        .concat(),
    );
    uploads.push([fifteen_seconds(), junk(500), silent_mp3(24_000, 2), id3v1()].concat());
    uploads.push([fifteen_seconds(), lyrics3_v2("la la la"), id3v1()].concat());
    uploads.push([junk(65_537), fifteen_seconds()].concat());
    for (number, upload) in uploads.iter().enumerate() {
        let whole = verdict(upload);
        for piece_bytes in [1, 7, 1_000, 65_536] {
            assert_eq!(
                verdict_in_pieces(upload, piece_bytes),
                whole,
                "upload {number} in pieces of {piece_bytes}"
            );
        }
    }
}

#[test]
fn a_refusal_is_said_again_whatever_comes_after_it() {
    let mut judge = Judge::new();
    let first = judge.push(&[b"fLaC".as_slice(), &[0; 100]].concat());
    assert_eq!(first, Err(Refusal::NotMp3 { found: Found::Flac }));
    assert_eq!(judge.push(&fifteen_seconds()), first);
    assert_eq!(
        judge.finish().map(|walked| walked.size_bytes()),
        first.map(|()| 0)
    );
}

#[test]
fn hash_and_size_are_those_of_the_bytes() {
    use sha2::{Digest, Sha256};
    let bytes = [fifteen_seconds(), id3v1()].concat();
    let mut judge = Judge::new();
    for piece in bytes.chunks(999) {
        judge.push(piece).expect("nothing to refuse");
    }
    let walked = judge.finish().expect("nothing to refuse");
    assert_eq!(walked.sha256(), <[u8; 32]>::from(Sha256::digest(&bytes)));
    assert_eq!(walked.size_bytes(), bytes.len() as u64);
}

#[test]
fn distinct_audio_is_valid_and_differs_by_seed_alone() {
    use super::testing::distinct_mp3;
    let hashes: std::collections::BTreeSet<_> = [0, 1, 2, u64::MAX, u64::MAX - 1]
        .map(|seed| walked(&distinct_mp3(seed, 10)).sha256())
        .into();
    assert_eq!(hashes.len(), 5);
    assert_eq!(distinct_mp3(7, 12), distinct_mp3(7, 12));
    assert!(walked(&distinct_mp3(7, 12)).duration().as_secs() >= 12);
    assert!(walked(&distinct_mp3(7, 60)).duration().as_secs() >= 60);
}

#[test]
fn every_refusal_says_what_was_measured_what_the_rule_is_and_how_to_mend_it() {
    use std::time::Duration;
    let texts = [
        Refusal::Missing,
        Refusal::NotMp3 { found: Found::Ogg },
        Refusal::Corrupt {
            damage: Damage::JunkWithin {
                bytes: 70_000,
                allowed_bytes: 65_536,
            },
        },
        Refusal::TooShort {
            duration: Duration::from_micros(9_064_489),
        },
        Refusal::TooLong {
            counted: Duration::from_millis(60_336),
        },
        Refusal::TooLarge {
            limit_bytes: 8_388_608,
        },
    ]
    .map(|refusal| refusal.to_string());
    assert_eq!(
        texts,
        [
            "no audio was sent; an MP3 of 10 to 60 s is needed. Send its bytes in chunks after the metadata",
            "the audio is not an MP3: it is an Ogg file; MPEG audio layer III is needed. Convert it to MP3 and send again",
            "the MP3 is damaged: 70000 bytes between and after its frames are no audio; at most 65536 may be. Export it again from \
             the original recording",
            "audio is 9.064 s long; 10 to 60 s are allowed. Send a longer recording",
            "audio is longer than 60 s: 60.336 s had been counted when it was refused; 10 to 60 s are allowed. Shorten it and send \
             again",
            "audio is larger than 8388608 bytes, the most that is allowed. Use a lower bit rate (64 kbit/s mono is plenty for \
             speech) or remove pictures from its tags",
        ]
    );
}

#[test]
fn metadata_hold_the_parts_that_vary() {
    use std::time::Duration;
    let long = Refusal::TooLong {
        counted: Duration::from_secs(61),
    };
    assert_eq!(
        long.metadata(),
        [
            ("duration_ms", "61000".to_owned()),
            ("duration_ms_max", "60300".to_owned())
        ]
    );
    let noise = Refusal::Corrupt {
        damage: Damage::NoSound {
            judged: 20,
            sounding: 3,
        },
    };
    assert_eq!(
        noise.metadata()[1..],
        [
            ("frames_judged", "20".to_owned()),
            ("frames_sounding", "3".to_owned())
        ]
    );
    assert_eq!(
        Refusal::NotMp3 {
            found: Found::LayerII
        }
        .metadata(),
        [("found", "mpeg-layer-2".to_owned())]
    );
    assert_eq!(Refusal::Missing.metadata(), []);
}

#[test]
fn a_judge_can_move_between_threads() {
    fn moves<T: Send>() {}
    moves::<Judge>();
    moves::<Walked>();
}
