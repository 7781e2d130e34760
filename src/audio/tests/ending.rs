//! Tags are skipped by their own length, and an MP3 inside one is not the message.

use super::*;

#[test]
fn id3v2_tags_in_front_are_skipped_by_their_own_length() {
    let inner = silent_mp3(48_000, 1_000);
    for tag in [
        id3v2(2, 0, &inner),
        id3v2(3, 0, &inner),
        id3v2(4, 0, &inner),
        id3v2(4, 0x10, &inner),
        id3v2(7, 0, b""),
        [
            id3v2(3, 0, &inner),
            id3v2(4, 0x10, &inner),
            id3v2(2, 0, b""),
        ]
        .concat(),
        id3v2(3, 0, &vec![0xFF; 1_000_000]),
    ] {
        assert_eq!(verdict(&[tag, fifteen_seconds()].concat()), FIFTEEN_SECONDS);
    }
}

#[test]
fn an_id3v2_header_that_cannot_be_one_is_junk() {
    for header in [
        b"ID3\xFF\0\0\0\0\0\x02",
        b"ID3\x03\xFF\0\0\0\0\x02",
        b"ID3\x03\0\0\0\0\x80\x02",
    ] {
        assert_eq!(
            verdict(&[header.as_slice(), &fifteen_seconds()].concat()),
            FIFTEEN_SECONDS
        );
    }
}

#[test]
fn an_id3v2_tag_that_goes_past_the_end_leaves_no_mp3() {
    let mut bytes = id3v2(4, 0, &vec![0; 100_000]);
    bytes.truncate(10);
    bytes.extend(silent_mp3(24_000, 600));
    assert_eq!(verdict(&bytes), not_mp3(Found::TagOnly));
    assert_eq!(verdict(&id3v2(4, 0, &[0; 500])), not_mp3(Found::TagOnly));
    assert_eq!(verdict(b"ID3"), not_mp3(Found::Text));
}

#[test]
fn tags_behind_are_skipped_and_are_no_junk() {
    let picture = vec![0; 300_000];
    for tags in [
        id3v1(),
        [b"TAG+".as_slice(), &[0; 223], &id3v1()].concat(),
        ape(2_000, true, &picture),
        ape(2_000, false, &picture),
        ape(1_000, false, &picture),
        [ape(2_000, true, &picture), id3v1()].concat(),
        [lyrics3_v2("la la la"), id3v1()].concat(),
        [
            b"LYRICSBEGIN".as_slice(),
            &[b'l'; 5_100],
            b"LYRICSEND",
            &id3v1(),
        ]
        .concat(),
        [
            ape(2_000, true, &picture),
            lyrics3_v2(&"la".repeat(300)),
            id3v1(),
        ]
        .concat(),
        lyrics3_v2(&"la".repeat(100_000)),
    ] {
        assert_eq!(
            verdict(&[fifteen_seconds(), tags.clone()].concat()),
            FIFTEEN_SECONDS
        );
        // With junk up to its limit before them, so that a byte of them counted as junk would be refused.
        assert_eq!(
            verdict(&[fifteen_seconds(), junk(60_000), tags].concat()),
            FIFTEEN_SECONDS
        );
    }
}

#[test]
fn an_mp3_inside_a_tag_behind_is_not_the_message() {
    for inner_frames in [10, 1_000, 3_000] {
        let inner = silent_mp3(24_000, inner_frames);
        for tag in [
            ape(2_000, true, &inner),
            ape(2_000, false, &inner),
            ape(1_000, false, &inner),
        ] {
            let bytes = [fifteen_seconds(), tag.clone()].concat();
            assert_eq!(
                verdict(&bytes),
                FIFTEEN_SECONDS,
                "{inner_frames} frames inside"
            );
            let with_cut_frame = [
                fifteen_seconds(),
                silent_frame(24_000)[..20].to_vec(),
                tag,
                id3v1(),
            ]
            .concat();
            if inner_frames < 1_800 {
                assert_eq!(
                    verdict(&with_cut_frame),
                    FIFTEEN_SECONDS,
                    "{inner_frames} frames inside, last frame cut"
                );
            }
        }
    }
}

#[test]
fn a_tag_alone_is_no_mp3_even_with_one_inside() {
    assert_eq!(
        verdict(&ape(2_000, true, &fifteen_seconds())),
        not_mp3(Found::NoFrames)
    );
}

#[test]
fn a_tag_that_claims_sound_which_runs_on_is_not_believed() {
    // 50 s of sound, and a footer that says the last 40 are a tag: every player plays them, so they count.
    let sound = silent_mp3(24_000, 2_084);
    let mut footer = ape(2_000, false, b"");
    footer.drain(..footer.len() - 32);
    let claimed = sound.len() as u32 * 4 / 5;
    footer[12..16].copy_from_slice(&claimed.to_le_bytes());
    assert_eq!(verdict(&[sound, footer].concat()), Ok(50_016_000_000));
}

#[test]
fn a_tag_that_begins_before_the_upload_is_not_believed() {
    let mut tag = ape(2_000, false, b"x");
    let size_at = tag.len() - 20;
    tag[size_at..size_at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(verdict(&[fifteen_seconds(), tag].concat()), FIFTEEN_SECONDS);
}

#[test]
fn too_long_waits_for_the_end_only_behind_what_may_be_a_tag() {
    // Behind plain junk it is certain, and said at once.
    let mut plain = Judge::new();
    plain
        .push(&[fifteen_seconds(), junk(100)].concat())
        .expect("nothing to refuse yet");
    let counted = std::time::Duration::from_millis(60_312);
    assert_eq!(
        plain.push(&silent_mp3(24_000, 3_000)),
        Err(Refusal::TooLong { counted })
    );
    // Behind the header of an APE tag it is not: the frames may be the tag's. Here they are not, because no tag ends the upload.
    let mut doubtful = Judge::new();
    doubtful
        .push(&[fifteen_seconds(), b"APETAGEX".to_vec(), junk(24)].concat())
        .expect("nothing to refuse yet");
    doubtful
        .push(&silent_mp3(24_000, 3_000))
        .expect("not certain yet");
    assert_eq!(
        doubtful.finish().map(|walked| walked.duration()),
        Err(Refusal::TooLong { counted })
    );
}

#[test]
fn long_recordings_put_together_with_their_tags_are_too_long_and_not_damaged() {
    // 128 kbit/s, so that what is not looked at behind the limit is far more than the junk that is allowed.
    let frames: Vec<u8> = crate::audio::testing::frame(44_100, 9).repeat(1_920);
    let joined = [frames.clone(), id3v1(), frames].concat();
    assert!(
        matches!(judge(&joined), Err(Refusal::TooLong { .. })),
        "{:?}",
        judge(&joined).err()
    );
}
