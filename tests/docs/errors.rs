//! docs/errors.md and the comments of error_reason.proto against what is put on the wire: code,
//! message, metadata and details of every reason.

use std::collections::BTreeMap;

use ringless::audio::{Damage, Found, Refusal};
use ringless::grpc::{DOMAIN, pb::ErrorReason, to_status};
use tonic_types::StatusExt;

use crate::error_examples::examples;
use crate::proto::enum_comments;
use crate::{cells, code_spans, text};

const PAGE: &str = "docs/errors.md";

/// A reason without its prefix.
fn word(reason: ErrorReason) -> String {
    reason
        .as_str_name()
        .trim_start_matches("ERROR_REASON_")
        .to_owned()
}

/// `INVALID_ARGUMENT` for `InvalidArgument`.
fn code_name(code: tonic::Code) -> String {
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// The table under each `### REASON`, by the row's first cell.
fn sections() -> Vec<(String, BTreeMap<String, String>)> {
    let mut sections: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    for line in text(PAGE).lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            sections.push((heading.to_owned(), BTreeMap::new()));
        } else if line.starts_with("## ") && !sections.is_empty() {
            // A group's own words follow; they hold no table of a reason.
        } else if let (Some((_, rows)), Some(row)) = (sections.last_mut(), cells(line)) {
            rows.insert(row[0].clone(), row[1..].join("|"));
        }
    }
    sections
}

#[test]
fn the_page_has_every_reason_in_the_order_of_the_enum() {
    // As it stands in the file: numbers are older than groups.
    let reasons = enum_comments("ErrorReason");
    let wanted: Vec<String> = reasons[1..]
        .iter()
        .filter_map(|(name, _)| ErrorReason::from_str_name(name))
        .map(word)
        .collect();
    assert_eq!(wanted.len(), reasons.len() - 1);
    let headings: Vec<String> = sections().into_iter().map(|(heading, _)| heading).collect();
    assert_eq!(headings, wanted);
    let shown: Vec<String> = examples()
        .into_iter()
        .map(|(reason, ..)| word(reason))
        .collect();
    assert_eq!(shown, wanted);
}

#[test]
fn the_page_says_what_is_on_the_wire() {
    for ((reason, error, repeat), (heading, rows)) in examples().into_iter().zip(sections()) {
        let status = to_status(error, repeat);
        assert_eq!(word(reason), heading);
        assert_eq!(rows["Code"], code_name(status.code()), "{heading}");
        assert_eq!(rows["Example message"], status.message(), "{heading}");

        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            (heading.as_str(), DOMAIN)
        );
        let mut named: Vec<String> = rows["Metadata"]
            .split("; ")
            .filter(|entry| *entry != "none")
            .map(|entry| code_spans(entry)[0].to_owned())
            .collect();
        // What only some cases of a reason carry is said so in words.
        named.retain(|key| info.metadata.contains_key(key) || is_conditional(&heading, key));
        for key in info.metadata.keys() {
            assert!(named.contains(key), "{heading}: {key} is not on the page");
        }
        let listed = rows["Metadata"]
            .split("; ")
            .filter(|entry| *entry != "none")
            .count();
        assert_eq!(
            named.len(),
            listed,
            "{heading}: the page names what is not there"
        );

        let carried = rows.get("Also carries").map_or("", String::as_str);
        assert_eq!(
            carried.contains("`BadRequest`"),
            details.bad_request().is_some(),
            "{heading}"
        );
        assert_eq!(
            carried.contains("`RetryInfo`"),
            details.retry_info().is_some(),
            "{heading}"
        );
        if let Some(retry) = details.retry_info() {
            let seconds = format!("`RetryInfo` of {} s", retry.retry_delay.unwrap().as_secs());
            assert!(carried.contains(&seconds), "{heading}: {seconds}");
        }
        let pushback = status
            .metadata()
            .get("grpc-retry-pushback-ms")
            .map(|value| value.to_str().unwrap());
        let wanted = match details.retry_info() {
            Some(retry) => Some(retry.retry_delay.unwrap().as_millis().to_string()),
            None if reason == ErrorReason::OutcomeUnknown => Some("-1".to_owned()),
            None => None,
        };
        assert_eq!(pushback, wanted.as_deref(), "{heading}");
    }
}

/// Keys that the example of a reason does not show, because another case of it has them.
fn is_conditional(reason: &str, key: &str) -> bool {
    matches!(
        (reason, key),
        ("AUDIO_CORRUPT", "frames_judged" | "frames_sounding")
    )
}

#[test]
fn the_audio_that_is_refused_carries_the_keys_that_the_page_names() {
    let rows: BTreeMap<_, _> = sections().into_iter().collect();
    let cases: [(&str, Refusal); 4] = [
        (
            "AUDIO_CORRUPT",
            Refusal::Corrupt {
                damage: Damage::JunkBefore {
                    bytes: 2,
                    allowed_bytes: 1,
                },
            },
        ),
        (
            "AUDIO_CORRUPT",
            Refusal::Corrupt {
                damage: Damage::JunkWithin {
                    bytes: 2,
                    allowed_bytes: 1,
                },
            },
        ),
        (
            "AUDIO_CORRUPT",
            Refusal::Corrupt {
                damage: Damage::NoSound {
                    judged: 20,
                    sounding: 3,
                },
            },
        ),
        (
            "AUDIO_TOO_LARGE",
            Refusal::TooLarge {
                limit_bytes: 8_388_608,
            },
        ),
    ];
    for (reason, refusal) in cases {
        let row = &rows[reason]["Metadata"];
        for (key, value) in refusal.metadata() {
            assert!(row.contains(&format!("`{key}`")), "{reason}: {key}");
            if key == "damage" {
                assert!(row.contains(&format!("`{value}`")), "{reason}: {value}");
            }
        }
    }
}

#[test]
fn the_index_lists_every_reason_under_its_code() {
    let rows: Vec<Vec<String>> = text(PAGE)
        .lines()
        .filter_map(cells)
        .filter(|row| row.len() == 2 && row[1].starts_with('['))
        .collect();
    let mut listed = Vec::new();
    for row in rows {
        for entry in row[1].split(", ") {
            let name = entry.trim_start_matches('[').split(']').next().unwrap();
            assert_eq!(entry, format!("[{name}](#{})", name.to_lowercase()));
            listed.push((row[0].clone(), name.to_owned()));
        }
    }
    let wanted: Vec<_> = examples()
        .into_iter()
        .map(|(reason, error, repeat)| (code_name(to_status(error, repeat).code()), word(reason)))
        .collect();
    assert_eq!(listed, wanted);
}

#[test]
fn the_comments_of_the_protos_show_the_same_examples() {
    let commented = enum_comments("ErrorReason");
    for ((reason, error, repeat), (name, comment)) in examples().into_iter().zip(&commented[1..]) {
        let status = to_status(error, repeat);
        assert_eq!(reason.as_str_name(), name);
        assert!(
            comment.starts_with(&format!("{}. ", code_name(status.code()))),
            "{name}: {comment}"
        );
        let (_, shown) = comment.split_once("Example: `").unwrap();
        let shown: serde_json::Value =
            serde_json::from_str(shown.split('`').next().unwrap()).unwrap();
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(shown["reason"], info.reason);
        assert_eq!(shown["domain"], info.domain);
        let mut metadata = info.metadata.clone();
        if reason == ErrorReason::Internal {
            // Outside a call there is no id.
            metadata.insert(
                "request_id".to_owned(),
                shown["metadata"]["request_id"].as_str().unwrap().to_owned(),
            );
        }
        let wanted = match metadata.is_empty() {
            true => serde_json::Value::Null,
            false => serde_json::to_value(&metadata).unwrap(),
        };
        assert_eq!(shown["metadata"], wanted, "{name}");
    }
}

#[test]
fn every_name_for_what_was_found_is_on_the_page() {
    let rows: BTreeMap<_, _> = sections().into_iter().collect();
    let row = &rows["AUDIO_NOT_MP3"]["Metadata"];
    use Found::*;
    for found in [
        NoFrames,
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
    ] {
        assert!(
            row.contains(&format!("`{}`", found.name())),
            "{}",
            found.name()
        );
    }
}
