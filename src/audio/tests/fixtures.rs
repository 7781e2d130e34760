//! Real files: what encoders make is accepted with the exact length, what is something else is refused for the right reason.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio")
}

/// All carried audio, by file name.
pub fn all() -> BTreeMap<String, Vec<u8>> {
    let is_audio =
        |name: &str| !name.ends_with(".sh") && !name.ends_with(".md") && !name.ends_with(".csv");
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).expect("the fixtures are carried with the source") {
        let path = entry.expect("the folder can be read").path();
        let name = path
            .file_name()
            .expect("an entry has a name")
            .to_string_lossy()
            .into_owned();
        if is_audio(&name) {
            files.insert(name, std::fs::read(path).expect("a fixture can be read"));
        }
    }
    files
}

/// `reason-what.ext`: the part before the first hyphen says what must come of it, and for not_mp3 the next part what is named.
#[test]
fn every_fixture_is_judged_as_its_name_says() {
    let mut count = 0;
    for (name, bytes) in all() {
        let result = verdict(&bytes);
        let mut parts = name.split(['-', '.']);
        let is_right = match (parts.next().unwrap(), &result) {
            ("accepted", Ok(_)) | ("corrupt", Err(Refusal::Corrupt { .. })) => true,
            ("too_short" | "bench", Err(Refusal::TooShort { .. }))
            | ("too_long", Err(Refusal::TooLong { .. })) => true,
            ("not_mp3", Err(Refusal::NotMp3 { found })) => {
                found.name().replace('-', "_") == parts.next().unwrap()
            }
            _ => false,
        };
        assert!(is_right, "{name}: {result:?}");
        count += 1;
    }
    assert!(count >= 45, "only {count} fixtures were found");
}

/// ffprobe counts packets on its own; times samples over rate that is the length. Its one known slip is listed.
#[test]
fn lengths_are_exactly_those_of_another_programs_count() {
    let counts = std::fs::read_to_string(folder().join("ffprobe-counts.csv"))
        .expect("the counts are carried");
    let files = all();
    let mut checked = 0;
    for line in counts.lines() {
        let [name, hz, frames] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("not three fields: {line}")
        };
        let (hz, mut frames): (u128, u128) = (hz.parse().unwrap(), frames.parse().unwrap());
        if name == "accepted-tag-lyrics3-id3v1.mp3" {
            // ffprobe takes the Lyrics3 tag, which it does not know, for one more packet.
            frames -= 1;
        }
        let samples = if hz >= 32_000 { 1_152 } else { 576 };
        let nanos = frames * samples * 1_000_000_000 / hz;
        match verdict(&files[name]) {
            Ok(duration) => assert_eq!(duration, nanos, "{name}"),
            Err(Refusal::TooShort { duration }) => assert_eq!(duration.as_nanos(), nanos, "{name}"),
            Err(refusal) => assert!(
                matches!(refusal, Refusal::TooLong { .. }),
                "{name}: {refusal}"
            ),
        }
        checked += 1;
    }
    assert!(checked >= 25, "only {checked} lengths were compared");
}
