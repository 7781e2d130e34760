//! Which bytes are frames, and how long they last.

use super::*;
use crate::audio::header::{ANY_FRAME_BYTES_MAX, FRAME_BYTES_MAX, Header, Layer, TICKS_PER_SECOND};
use crate::audio::minimp3::Decoder;

/// All headers with a sync word: three bytes of them matter, and of the last the channel mode.
fn all_headers() -> impl Iterator<Item = Header> {
    let words = (0..=0x1F_u8).flat_map(|low| (0..=255_u8).map(move |third| (0xE0 | low, third)));
    words
        .flat_map(|(second, third)| [0x00, 0x40, 0xC0].map(|fourth| [0xFF, second, third, fourth]))
        .filter_map(|bytes| Header::parse(&bytes))
}

#[test]
fn minimp3_reads_every_header_as_we_do() {
    let mut count = 0;
    for header in all_headers().filter(|header| header.layer() == Layer::Three) {
        let mut frame = vec![0; header.frame_bytes()];
        frame[..4].copy_from_slice(&header.bytes());
        assert!(Decoder::new().confirms(&header, &frame), "{header:?}");
        count += 1;
    }
    // 3 versions, 2 checksum bits, 14 bit rates, 3 sampling rates, 2 padding bits, 2 private bits, 3 fourth bytes.
    assert_eq!(count, 3 * 2 * 14 * 3 * 2 * 2 * 3);
}

#[test]
fn minimp3_confirms_no_frame_that_is_not_exactly_as_long_as_its_header_says() {
    let frame = silent_frame(24_000);
    let header = Header::parse(&frame).expect("a frame begins with a header");
    let longer = [frame.as_slice(), &[0]].concat();
    assert!(!Decoder::new().confirms(&header, &frame[..frame.len() - 1]));
    assert!(!Decoder::new().confirms(&header, &longer));
    assert_eq!(Decoder::new().decode(&frame[..frame.len() - 1]), 0);
    assert_eq!(Decoder::new().decode(&longer), 0);
    assert_eq!(Decoder::new().decode(b""), 0);
    assert_eq!(Decoder::new().decode(&frame), 576);
}

#[test]
fn the_longest_frames_are_as_long_as_the_limits_say() {
    let longest = |layer_iii_only: bool| {
        let headers =
            all_headers().filter(|header| !layer_iii_only || header.layer() == Layer::Three);
        headers.map(|header| header.frame_bytes()).max()
    };
    assert_eq!(longest(true), Some(FRAME_BYTES_MAX));
    assert_eq!(longest(false), Some(ANY_FRAME_BYTES_MAX));
}

#[test]
fn ticks_are_whole_at_every_rate() {
    for header in all_headers() {
        assert_eq!(TICKS_PER_SECOND % u64::from(header.hz()), 0);
        assert_eq!(
            header.ticks() * u64::from(header.hz()),
            u64::from(header.samples()) * TICKS_PER_SECOND
        );
    }
}

#[test]
fn sound_starts_where_three_headers_chain_and_not_where_two_do() {
    let stray = silent_frame(48_000);
    let two_strays = [stray.repeat(2), b"x".to_vec(), fifteen_seconds()].concat();
    assert_eq!(verdict(&two_strays), FIFTEEN_SECONDS);
    let three_strays = [stray.repeat(3), b"x".to_vec(), fifteen_seconds()].concat();
    assert_eq!(verdict(&three_strays), Ok(15_072_000_000));
}

#[test]
fn two_frames_alone_are_no_mp3_and_three_are_one_too_short() {
    assert_eq!(verdict(&silent_mp3(24_000, 2)), not_mp3(Found::NoFrames));
    let duration = std::time::Duration::from_millis(72);
    assert_eq!(
        verdict(&silent_mp3(24_000, 3)),
        Err(Refusal::TooShort { duration })
    );
}

#[test]
fn after_a_gap_the_chain_needs_three_frames_again() {
    let between = |frames: usize| {
        let stray = silent_mp3(48_000, frames);
        verdict(
            &[
                silent_mp3(24_000, 300),
                junk(50),
                stray,
                junk(50),
                silent_mp3(24_000, 325),
            ]
            .concat(),
        )
    };
    assert_eq!(between(1), FIFTEEN_SECONDS);
    assert_eq!(between(2), FIFTEEN_SECONDS);
    assert_eq!(between(3), Ok(15_072_000_000));
}

#[test]
fn after_a_gap_one_or_two_frames_count_where_they_are_all_that_remain() {
    let last = |frames: usize, behind: &[u8]| {
        verdict(
            &[
                fifteen_seconds(),
                junk(500),
                silent_mp3(24_000, frames),
                behind.to_vec(),
            ]
            .concat(),
        )
    };
    assert_eq!(last(1, b""), Ok(15_024_000_000));
    assert_eq!(last(2, b""), Ok(15_048_000_000));
    assert_eq!(last(2, &silent_frame(24_000)[..20]), Ok(15_048_000_000));
    assert_eq!(last(1, &silent_frame(24_000)[..20]), Ok(15_024_000_000));
    assert_eq!(last(2, b"x"), FIFTEEN_SECONDS);
    assert_eq!(last(1, &id3v1()), Ok(15_024_000_000));
    assert_eq!(last(2, &id3v1()), Ok(15_048_000_000));
    assert_eq!(last(2, &ape(2_000, true, b"x")), Ok(15_048_000_000));
    assert_eq!(last(2, &ape(1_000, false, b"x")), Ok(15_048_000_000));
    assert_eq!(
        last(2, &[lyrics3_v2("la"), id3v1()].concat()),
        Ok(15_048_000_000)
    );
}

#[test]
fn a_truncated_last_frame_is_ignored_and_is_no_junk() {
    let frame = silent_frame(24_000);
    for kept in 1..frame.len() {
        assert_eq!(
            verdict(&[&fifteen_seconds(), &frame[..kept]].concat()),
            FIFTEEN_SECONDS,
            "{kept} bytes kept"
        );
        let tagged = [&fifteen_seconds(), &frame[..kept], &id3v1()].concat();
        assert_eq!(
            verdict(&tagged),
            FIFTEEN_SECONDS,
            "{kept} bytes kept before a tag"
        );
    }
    // With junk up to its limit, so that a single byte of the frame counted as junk would be refused.
    let allowed = [
        silent_mp3(24_000, 300),
        junk(65_536),
        silent_mp3(24_000, 325),
    ]
    .concat();
    for end in [Vec::new(), id3v1(), ape(2_000, true, b"x")] {
        assert_eq!(
            verdict(&[&allowed, &frame[..20], &end].concat()),
            FIFTEEN_SECONDS
        );
    }
}

#[test]
fn rate_and_channels_may_change_in_mid_file() {
    let stereo: Vec<u8> = {
        let mut frame = silent_frame(24_000);
        frame[3] = 0x00;
        frame.repeat(100)
    };
    let bytes = [
        silent_mp3(24_000, 525),
        stereo,
        silent_mp3(48_000, 50),
        silent_mp3(8_000, 50),
    ]
    .concat();
    assert_eq!(
        verdict(&bytes),
        Ok(15_000_000_000 + 1_200_000_000 + 3_600_000_000)
    );
}

#[test]
fn a_bit_rate_that_changes_with_every_frame_is_one_chain() {
    let bytes: Vec<u8> = (0..625_u32)
        .flat_map(|number| frame(24_000, (number % 14 + 1) as u8))
        .collect();
    assert_eq!(verdict(&bytes), FIFTEEN_SECONDS);
}

#[test]
fn a_xing_info_or_vbri_header_does_not_count_and_is_not_believed() {
    let with_mark = |hz: u32, at: usize, mark: &[u8]| {
        let mut first = frame(hz, 10);
        first[at..at + mark.len()].copy_from_slice(mark);
        // What such a header claims: flags, then four billion frames.
        first[at + 4..at + 12].copy_from_slice(&[0, 0, 0, 1, 0xEE, 0xEE, 0xEE, 0xEE]);
        first
    };
    for mark in [b"Xing", b"Info"] {
        assert_eq!(
            verdict(&[with_mark(24_000, 4 + 9, mark), fifteen_seconds()].concat()),
            FIFTEEN_SECONDS
        );
        let mpeg_1 = [with_mark(48_000, 4 + 17, mark), silent_mp3(48_000, 625)].concat();
        assert_eq!(verdict(&mpeg_1), FIFTEEN_SECONDS);
    }
    assert_eq!(
        verdict(&[with_mark(24_000, 4 + 32, b"VBRI"), fifteen_seconds()].concat()),
        FIFTEEN_SECONDS
    );
}

#[test]
fn a_xing_mark_behind_a_checksum_is_found_too() {
    for at in [4 + 9, 4 + 2 + 9] {
        let mut first = frame(24_000, 10);
        first[1] &= 0xFE;
        first[at..at + 4].copy_from_slice(b"Xing");
        let mut sound = silent_frame(24_000);
        sound[1] &= 0xFE;
        assert_eq!(
            verdict(&[first, sound.repeat(625)].concat()),
            FIFTEEN_SECONDS
        );
    }
}

#[test]
fn only_the_first_frame_can_be_a_xing_header() {
    let mut xing = frame(24_000, 10);
    xing[13..17].copy_from_slice(b"Xing");
    let bytes = [
        silent_mp3(24_000, 300),
        xing.clone(),
        silent_mp3(24_000, 324),
    ]
    .concat();
    assert_eq!(verdict(&bytes), FIFTEEN_SECONDS);
    let concatenated = [
        xing.clone(),
        silent_mp3(24_000, 300),
        xing,
        silent_mp3(24_000, 324),
    ]
    .concat();
    assert_eq!(verdict(&concatenated), FIFTEEN_SECONDS);
}

#[test]
fn free_format_and_the_other_layers_are_not_mp3() {
    let frames = |header: &[u8; 4]| {
        let bytes = Header::parse(header).map_or(417, |header| header.frame_bytes());
        let mut frame = header.to_vec();
        frame.resize(bytes, 0);
        verdict(&frame.repeat(500))
    };
    assert_eq!(frames(b"\xFF\xFD\x90\x00"), not_mp3(Found::LayerII));
    assert_eq!(frames(b"\xFF\xF5\x90\x00"), not_mp3(Found::LayerII));
    assert_eq!(frames(b"\xFF\xFF\x90\x00"), not_mp3(Found::LayerI));
    assert_eq!(frames(b"\xFF\xFB\x00\x00"), not_mp3(Found::FreeFormat));
    assert_eq!(frames(b"\xFF\xF9\x90\x00"), not_mp3(Found::NoFrames));
    assert_eq!(frames(b"\xFF\xEB\x90\x00"), not_mp3(Found::NoFrames));
    assert_eq!(frames(b"\xFF\xFB\xF0\x00"), not_mp3(Found::NoFrames));
    assert_eq!(frames(b"\xFF\xFB\x9C\x00"), not_mp3(Found::NoFrames));
}

#[test]
fn much_junk_without_any_chain_is_not_mp3() {
    assert_eq!(verdict(&junk(300_000)), not_mp3(Found::NoFrames));
}
