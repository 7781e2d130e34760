//! The borders: size, length, junk, each at one less, exactly, and one more.

use super::*;
use crate::audio::BYTES_MAX;

#[test]
fn no_bytes_are_missing_audio() {
    assert_eq!(verdict(b""), Err(Refusal::Missing));
    let mut judge = Judge::new();
    judge
        .push(b"")
        .expect("an empty piece is nothing to refuse");
    assert_eq!(
        judge.finish().map(|walked| walked.size_bytes()),
        Err(Refusal::Missing)
    );
}

#[test]
fn eight_mebibytes_are_accepted_and_one_byte_more_is_refused() {
    for (size, expected) in [
        (BYTES_MAX - 1, FIFTEEN_SECONDS),
        (BYTES_MAX, FIFTEEN_SECONDS),
        (
            BYTES_MAX + 1,
            Err(Refusal::TooLarge {
                limit_bytes: BYTES_MAX,
            }),
        ),
    ] {
        let sound = fifteen_seconds();
        let tag = id3v2(4, 0, &vec![0; size as usize - sound.len() - 10]);
        let bytes = [tag, sound].concat();
        assert_eq!(bytes.len() as u64, size);
        assert_eq!(verdict(&bytes), expected, "{size} bytes");
        assert_eq!(
            verdict_in_pieces(&bytes, 65_536),
            expected,
            "{size} bytes in pieces"
        );
    }
}

#[test]
fn too_large_is_said_at_the_byte_that_passes() {
    let mut judge = Judge::new();
    let tag_without_end = id3v2(4, 0, &vec![0; BYTES_MAX as usize + 100]);
    judge
        .push(&tag_without_end[..BYTES_MAX as usize])
        .expect("this much is allowed");
    assert_eq!(
        judge.push(b"x"),
        Err(Refusal::TooLarge {
            limit_bytes: BYTES_MAX
        })
    );
}

/// 10.000 s cannot be reached at one rate; 310 frames of 24 ms and 98 of 1152 / 44100 s are 7.44 s and 2.56 s.
#[test]
fn ten_seconds_exactly_are_accepted() {
    let exact = [silent_mp3(24_000, 310), silent_mp3(44_100, 98)].concat();
    assert_eq!(verdict(&exact), Ok(10_000_000_000));
}

#[test]
fn one_frame_under_ten_seconds_is_too_short_at_every_rate() {
    for hz in [
        48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    ] {
        let samples: u64 = if hz >= 32_000 { 1_152 } else { 576 };
        let enough = (10 * u64::from(hz)).div_ceil(samples);
        let exact_nanos =
            |frames: u64| u128::from(frames * samples) * 1_000_000_000 / u128::from(hz);
        assert_eq!(
            verdict(&silent_mp3(hz, enough as usize)),
            Ok(exact_nanos(enough)),
            "{hz} Hz"
        );
        let duration = std::time::Duration::from_nanos(exact_nanos(enough - 1) as u64);
        assert_eq!(
            verdict(&silent_mp3(hz, enough as usize - 1)),
            Err(Refusal::TooShort { duration }),
            "{hz} Hz"
        );
    }
}

#[test]
fn one_frame_over_60_3_seconds_is_too_long_at_every_rate() {
    for hz in [
        48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    ] {
        let samples: u64 = if hz >= 32_000 { 1_152 } else { 576 };
        let most = 60_300 * u64::from(hz) / 1_000 / samples;
        let exact_nanos =
            |frames: u64| u128::from(frames * samples) * 1_000_000_000 / u128::from(hz);
        assert_eq!(
            verdict(&silent_mp3(hz, most as usize)),
            Ok(exact_nanos(most)),
            "{hz} Hz"
        );
        let counted = std::time::Duration::from_nanos(exact_nanos(most + 1) as u64);
        assert_eq!(
            verdict(&silent_mp3(hz, most as usize + 1)),
            Err(Refusal::TooLong { counted }),
            "{hz} Hz"
        );
    }
}

#[test]
fn sixty_and_three_tenths_of_a_second_exactly_are_accepted() {
    assert_eq!(verdict(&silent_mp3(16_000, 1_675)), Ok(60_300_000_000));
    assert_eq!(verdict(&silent_mp3(32_000, 1_675)), Ok(60_300_000_000));
}

#[test]
fn too_long_is_said_as_soon_as_the_sum_passes() {
    let mut judge = Judge::new();
    let frame = silent_frame(16_000);
    for _ in 0..1_675 {
        judge.push(&frame).expect("60.300 s are allowed");
    }
    judge
        .push(&frame[..frame.len() - 1])
        .expect("a frame counts when it is whole");
    let counted = std::time::Duration::from_millis(60_336);
    assert_eq!(judge.push(&[0]), Err(Refusal::TooLong { counted }));
}

#[test]
fn at_most_65536_bytes_of_junk_may_stand_before_the_first_frame() {
    for (bytes, expected) in [
        (65_535, FIFTEEN_SECONDS),
        (65_536, FIFTEEN_SECONDS),
        (
            65_537,
            Err(Refusal::Corrupt {
                damage: Damage::JunkBefore {
                    bytes: 65_537,
                    allowed_bytes: 65_536,
                },
            }),
        ),
    ] {
        assert_eq!(
            verdict(&[junk(bytes), fifteen_seconds()].concat()),
            expected,
            "{bytes} bytes of junk"
        );
        let tagged = [id3v2(3, 0, &[0; 300]), junk(bytes), fifteen_seconds()].concat();
        assert_eq!(
            verdict(&tagged),
            expected,
            "{bytes} bytes of junk behind a tag"
        );
    }
}

#[test]
fn at_most_65536_bytes_of_junk_may_stand_between_and_behind_the_frames_of_a_small_file() {
    for (bytes, is_accepted) in [(65_535, true), (65_536, true), (65_537, false)] {
        let refusal = Refusal::Corrupt {
            damage: Damage::JunkWithin {
                bytes,
                allowed_bytes: 65_536,
            },
        };
        let expected = if is_accepted {
            FIFTEEN_SECONDS
        } else {
            Err(refusal)
        };
        let trailing = [fifteen_seconds(), junk(bytes as usize)].concat();
        assert_eq!(verdict(&trailing), expected, "{bytes} bytes behind");
        let gaps = [
            silent_mp3(24_000, 300),
            junk(30_000),
            silent_mp3(24_000, 325),
            junk(bytes as usize - 30_000),
        ]
        .concat();
        assert_eq!(verdict(&gaps), expected, "{bytes} bytes in two places");
        let tagged = [trailing, id3v1()].concat();
        assert_eq!(verdict(&tagged), expected, "{bytes} bytes before a tag");
    }
}

#[test]
fn at_most_a_tenth_of_a_large_file_may_be_junk() {
    // 60 s at 160 kbit/s and 24 kHz are 1,200,000 bytes; with 133,333 of junk the whole is 1,333,333, and its tenth 133,333.3.
    let sound = frame(24_000, 14).repeat(2_500);
    assert_eq!(sound.len(), 1_200_000);
    for (bytes, is_accepted) in [(133_332, true), (133_333, true), (133_334, false)] {
        let result = verdict(&[sound.clone(), junk(bytes)].concat());
        let damage = Damage::JunkWithin {
            bytes: bytes as u64,
            allowed_bytes: (1_200_000 + bytes as u64) / 10,
        };
        let expected = if is_accepted {
            Ok(60_000_000_000)
        } else {
            Err(Refusal::Corrupt { damage })
        };
        assert_eq!(result, expected, "{bytes} bytes of junk");
    }
}
