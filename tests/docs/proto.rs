//! What the protos' comments claim, as far as the program can be asked.

use prost::Message;
use prost_types::{EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use ringless::domain::failure::FailureReason;
use ringless::domain::phone::PhoneRules;
use ringless::grpc::pb::FILE_DESCRIPTOR_SET;

use crate::{code_spans, files, text};

/// The files of the package, comments included.
pub fn descriptors() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    set.file
        .into_iter()
        .filter(|file| file.package() == "ringless.v1")
        .collect()
}

/// The values of an enum in their order, each with its comment.
pub fn enum_comments(name: &str) -> Vec<(String, String)> {
    /// Fields of descriptor.proto: FileDescriptorProto.enum_type, EnumDescriptorProto.value.
    const PATH: (i32, i32) = (5, 2);
    let files = descriptors();
    let place = |file: &FileDescriptorProto| file.enum_type.iter().position(|e| e.name() == name);
    let file = files.iter().find(|file| place(file).is_some()).unwrap();
    let at = i32::try_from(place(file).unwrap()).unwrap();
    let described: &EnumDescriptorProto = &file.enum_type[at as usize];
    let locations = &file.source_code_info.as_ref().unwrap().location;
    let comment = |value: i32| {
        let path = [PATH.0, at, PATH.1, value];
        let found = locations.iter().find(|location| location.path == path);
        found
            .unwrap()
            .leading_comments()
            .lines()
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let values = described.value.iter().enumerate();
    values
        .map(|(n, value)| (value.name().to_owned(), comment(i32::try_from(n).unwrap())))
        .collect()
}

#[test]
fn each_failure_reason_says_the_end_it_comes_with() {
    let commented = enum_comments("FailureReason");
    assert_eq!(commented.len(), FailureReason::ALL.len() + 1);
    for (reason, (name, comment)) in FailureReason::ALL.iter().zip(&commented[1..]) {
        assert_eq!(
            *name,
            format!("FAILURE_REASON_{}", reason.as_str().to_uppercase())
        );
        let words: Vec<&str> = comment
            .split(|c: char| !c.is_ascii_alphabetic() && c != '_')
            .collect();
        let ends: Vec<&str> = words
            .windows(3)
            .filter(|w| w[0].eq_ignore_ascii_case("comes") && w[1] == "with")
            .map(|w| w[2])
            .collect();
        assert_eq!(ends, [reason.ends_as().as_str()], "{name}: {comment}");
    }
}

/// A comment that shows right and wrong spellings of a phone number.
#[test]
fn phone_numbers_are_taken_and_refused_as_the_comments_say() {
    let rules = PhoneRules::new("US", &["US".to_owned()]).unwrap();
    let mut shown = 0;
    for path in files("proto", ".proto") {
        let joined: Vec<String> = text(&path)
            .lines()
            .map(|line| line.trim().trim_start_matches("//").trim().to_owned())
            .collect();
        let joined = joined.join(" ");
        for (at, _) in joined.match_indices("Taken: ") {
            let rest = &joined[at..];
            let (taken, rest) = rest
                .split_once("Refused: ")
                .unwrap_or_else(|| panic!("{path}: {rest:.80}"));
            let refused = rest.split_once(" (INVALID").unwrap().0;
            for number in code_spans(taken) {
                assert!(rules.parse(number).is_ok(), "{path}: `{number}` is refused");
            }
            for number in code_spans(refused) {
                assert!(rules.parse(number).is_err(), "{path}: `{number}` is taken");
            }
            shown += 1;
        }
    }
    assert!(shown >= 4, "{shown}");
}
