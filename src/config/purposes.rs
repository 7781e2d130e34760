//! `[purposes.…]`: the profiles that the operator has chosen.

use std::collections::BTreeMap;
use std::time::Duration;

use super::file::{CapSection, PurposeSection};
use super::{ConfigError, Result, within};
use crate::domain::caps::CapLimit;
use crate::domain::consent::ConsentKind;
use crate::domain::hours::Hours;
use crate::domain::profile::{Profile, Profiles};
use crate::domain::use_case::Purpose;

/// Caps of one purpose.
const CAPS_MAX: usize = 8;
/// Days that a cap may reach back.
const CAP_DAYS_MAX: u64 = 366;
/// Characters of the operator's words.
const ACKNOWLEDGE_MAX: usize = 500;

pub(super) fn profiles(sections: &BTreeMap<String, PurposeSection>) -> Result<Profiles> {
    let mut profiles = Profiles::default();
    for (name, section) in sections {
        let purpose = purpose(name)?;
        profiles.choose(purpose, profile(name, purpose, section)?);
    }
    Ok(profiles)
}

fn purpose(name: &str) -> Result<Purpose> {
    let section_of = |purpose: Purpose| purpose.as_str().to_lowercase();
    let found = Purpose::ALL.into_iter().find(|it| section_of(*it) == name);
    found.ok_or_else(|| {
        let known = Purpose::ALL.map(section_of);
        ConfigError(format!(
            "[purposes.{name}]: there is no such purpose; known are {}",
            known.join(", ")
        ))
    })
}

fn profile(name: &str, purpose: Purpose, section: &PurposeSection) -> Result<Profile> {
    let key = |key: &str| format!("purposes.{name}.{key}");
    let mut profile = Profile::of(purpose);
    if let Some(seconds) = section.audio_seconds_max {
        let seconds = within(&key("audio_seconds_max"), seconds, 10, 60)?;
        profile.audio_max = Duration::from_secs(seconds);
    }
    if let Some(caps) = &section.caps {
        profile.caps = limits(&key("caps"), caps)?;
    }
    if let Some(word) = &section.consent {
        profile.consent = consent(&key("consent"), word)?;
    }
    if let Some([open, close]) = &section.hours {
        let hours = Hours::parse(open, close)
            .map_err(|why| ConfigError(format!("{}: {why}", key("hours"))))?;
        profile.window.own_hours = Some(hours);
    }
    profile.window.federal = section.federal_hours.unwrap_or(true);
    profile.window.states = section.state_hours.unwrap_or(true);
    if let Some(minutes) = section.margin_minutes {
        let minutes = within(&key("margin_minutes"), minutes, 0, 120)?;
        profile.window.margin = Duration::from_secs(minutes * 60);
    }
    profile.acknowledged = acknowledged(&key("acknowledge"), section)?;
    let looser = profile.looser_than_default(purpose);
    if !looser.is_empty() && profile.acknowledged.is_none() {
        return Err(ConfigError(format!(
            "[purposes.{name}]: {} is looser than the law's default for this purpose. Tighten it, or say in `acknowledge = \"…\"` why that is right here; the words are kept with each voicemail",
            looser.join(", ")
        )));
    }
    Ok(profile)
}

fn limits(key: &str, caps: &[CapSection]) -> Result<Vec<CapLimit>> {
    if caps.len() > CAPS_MAX {
        return Err(ConfigError(format!(
            "{key} has {}; at most {CAPS_MAX} are allowed",
            caps.len()
        )));
    }
    let number = |what: &str, value: u64, max: u64| {
        let value = within(&format!("{key}.{what}"), value, 1, max)?;
        Ok(u32::try_from(value).unwrap_or(u32::MAX))
    };
    let limit = |cap: &CapSection| {
        Ok(CapLimit {
            max: number("max", cap.max, 1_000)?,
            days: number("days", cap.days, CAP_DAYS_MAX)?,
        })
    };
    caps.iter().map(limit).collect()
}

fn consent(key: &str, word: &str) -> Result<Option<ConsentKind>> {
    match word {
        "none" => Ok(None),
        "express" => Ok(Some(ConsentKind::Express)),
        "written" => Ok(Some(ConsentKind::Written)),
        other => Err(ConfigError(format!(
            "{key} = \"{other}\" is unknown; allowed are \"none\", \"express\" and \"written\""
        ))),
    }
}

/// The operator's words, where there are any.
fn acknowledged(key: &str, section: &PurposeSection) -> Result<Option<String>> {
    let words = section.acknowledge.as_deref().unwrap_or_default().trim();
    if words.chars().count() > ACKNOWLEDGE_MAX || words.chars().any(char::is_control) {
        return Err(ConfigError(format!(
            "{key}: one line of at most {ACKNOWLEDGE_MAX} characters is allowed"
        )));
    }
    Ok(Some(words.to_owned()).filter(|words| !words.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Profiles> {
        profiles(&toml::from_str(text).expect("it is TOML"))
    }

    fn refusal(text: &str) -> String {
        read(text).expect_err("it is refused").to_string()
    }

    #[test]
    fn a_purpose_is_chosen_by_an_empty_section_and_is_then_as_the_law_has_it() {
        let profiles = read("[healthcare]").expect("it is good");
        assert_eq!(
            profiles.find(Purpose::Healthcare),
            Some(&Profile::of(Purpose::Healthcare))
        );
        assert_eq!(profiles.find(Purpose::Marketing), None);
        assert_eq!(read("").expect("none is chosen"), Profiles::default());
    }

    #[test]
    fn what_is_tighter_needs_no_words_and_what_is_looser_does() {
        for tighter in [
            "[marketing]\ncaps = [{ max = 1, days = 30 }]",
            "[informational]\nconsent = \"express\"\nhours = [\"10:00\", \"17:00\"]",
            "[healthcare]\naudio_seconds_max = 30\nmargin_minutes = 30",
        ] {
            assert!(read(tighter).is_ok(), "{tighter}");
        }
        for looser in [
            "[marketing]\nconsent = \"express\"",
            "[healthcare]\ncaps = [{ max = 1, days = 1 }]",
            "[other]\nmargin_minutes = 9",
            "[other]\nfederal_hours = false",
            "[other]\nstate_hours = false",
        ] {
            let why = refusal(looser);
            assert!(
                why.contains("looser") && why.contains("acknowledge"),
                "{why}"
            );
            assert!(
                read(&format!(
                    "{looser}\nacknowledge = \"counsel's word of today\""
                ))
                .is_ok()
            );
            assert!(read(&format!("{looser}\nacknowledge = \"  \"")).is_err());
        }
    }

    #[test]
    fn bad_values_are_named() {
        for (text, named) in [
            ("[health]", "[purposes.health]"),
            ("[other]\nconsent = \"oral\"", "purposes.other.consent"),
            ("[other]\naudio_seconds_max = 9", "audio_seconds_max"),
            ("[other]\naudio_seconds_max = 61", "audio_seconds_max"),
            ("[other]\nmargin_minutes = 121", "margin_minutes"),
            ("[other]\ncaps = [{ max = 0, days = 1 }]", "caps.max"),
            ("[other]\ncaps = [{ max = 1001, days = 1 }]", "caps.max"),
            ("[other]\ncaps = [{ max = 1, days = 367 }]", "caps.days"),
            (
                "[other]\nhours = [\"21:00\", \"08:00\"]",
                "purposes.other.hours",
            ),
        ] {
            let why = refusal(text);
            assert!(why.contains(named), "{text}: {why}");
        }
        let caps = |count| {
            format!(
                "[other]\ncaps = [{}]",
                vec!["{ max = 1, days = 1 }"; count].join(",")
            )
        };
        for (count, is_good) in [(7, true), (8, true), (9, false)] {
            assert_eq!(read(&caps(count)).is_ok(), is_good, "{count}");
        }
        for (length, is_good) in [(499, true), (500, true), (501, false)] {
            let text = format!("[other]\nacknowledge = \"{}\"", "w".repeat(length));
            assert_eq!(read(&text).is_ok(), is_good, "{length}");
        }
    }
}
