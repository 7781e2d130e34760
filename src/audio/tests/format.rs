//! Other formats are told by their magic bytes, also where an MP3 is inside.

use super::*;

#[test]
fn other_formats_are_named_and_refused_even_with_an_mp3_inside() {
    let adts = [b"\xFF\xF1\x50\x80\x02\x1F\xFC".as_slice(), &[0; 9]]
        .concat()
        .repeat(2);
    for (magic, found) in [
        (b"RIFF\x24\x00\x00\x00WAVEfmt ".as_slice(), Found::Riff),
        (b"RIFX\x24\x00\x00\x00WAVE", Found::Riff),
        (b"RF64\xFF\xFF\xFF\xFFWAVE", Found::Riff),
        (b"OggS\0\x02", Found::Ogg),
        (b"fLaC\0\0\0\x22", Found::Flac),
        (b"\0\0\0\x18ftypM4A ", Found::Mp4),
        (adts.as_slice(), Found::Adts),
        (b"ADIF", Found::Adif),
        (b"#!AMR\n", Found::Amr),
        (b"#!AMR-WB\n", Found::Amr),
        (b"FORM\0\0\0\0AIFF", Found::Aiff),
        (b"FORM\0\0\0\0AIFC", Found::Aiff),
        (b"caff\0\x01", Found::Caf),
        (b"\0\0\x01\xBA\x44", Found::MpegProgramStream),
        (b"PK\x03\x04", Found::Zip),
    ] {
        assert_eq!(verdict(magic), not_mp3(found), "{found:?} alone");
        assert_eq!(
            verdict(&[magic, &fifteen_seconds()].concat()),
            not_mp3(found),
            "{found:?} with an MP3 inside"
        );
        let tagged = [id3v2(3, 0, b"title"), magic.to_vec(), fifteen_seconds()].concat();
        assert_eq!(
            verdict(&tagged),
            not_mp3(found),
            "{found:?} behind an ID3 tag"
        );
    }
}

#[test]
fn another_format_is_refused_in_the_first_piece() {
    let mut judge = Judge::new();
    assert_eq!(
        judge.push(&[b"OggS".as_slice(), &[0; 60]].concat()),
        Err(Refusal::NotMp3 { found: Found::Ogg })
    );
}

#[test]
fn a_lone_adts_sync_word_is_junk() {
    assert_eq!(
        verdict(
            &[
                b"\xFF\xF1\x50\x80\x02\x1F\xFC".as_slice(),
                &fifteen_seconds()
            ]
            .concat()
        ),
        FIFTEEN_SECONDS
    );
}

#[test]
fn what_has_no_frames_is_named_where_it_is_clear() {
    for (bytes, found) in [
        (
            "Hello, this is no audio at all.\n".repeat(100).as_bytes(),
            Found::Text,
        ),
        (
            "Grüße, aus dem Text: ßßßßßßßßßßßßßßßßßßßßßßßßßßßßßßßßßßßßßß".as_bytes(),
            Found::Text,
        ),
        (b"\xFF\xD8\xFF\xE0\0\x10JFIF\0", Found::Jpeg),
        (b"\x89PNG\r\n\x1A\n\0", Found::Png),
        (b"%PDF-1.7\n\0", Found::Pdf),
        (b"\x1A\x45\xDF\xA3\x01", Found::WebM),
        (b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", Found::Asf),
        (b"\0\0\0\0", Found::NoFrames),
        (b"\xFF\xFB", Found::NoFrames),
    ] {
        assert_eq!(verdict(bytes), not_mp3(found));
    }
}

#[test]
fn text_before_an_mp3_is_junk_like_any_other() {
    let answer = "ICY 200 OK\r\nicy-notice1: This stream requires a player, and these lines come before its frames.\r\n\r\n";
    assert_eq!(
        verdict(&[answer.as_bytes(), &fifteen_seconds()].concat()),
        FIFTEEN_SECONDS
    );
}
