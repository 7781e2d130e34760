//! Purpose profiles: which gates hold for a purpose, and how tight they are. The operator chooses
//! them; what is left out is as the law's default has it.
//!
//! The defaults follow 47 CFR 64.1200: (a)(9)(iv) for messages about health care (about one minute, one a
//! day and three a week per provider and patient), (a)(2) for advertising (prior express written
//! consent) and (c)(1) for hours, which is about solicitations and is kept for every purpose; three in 24
//! hours for advertising are Florida's (Fla. Stat. 501.616(6)), held everywhere.

use std::time::Duration;

use super::caps::CapLimit;
use super::consent::ConsentKind;
use super::use_case::Purpose;
use super::window::WindowRule;

/// What holds for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub audio_max: Duration,
    /// Of hand-overs to one recipient for one entity and this purpose.
    pub caps: Vec<CapLimit>,
    /// The consent that has to be on record; none: the caller answers for it.
    pub consent: Option<ConsentKind>,
    pub window: WindowRule,
    /// The operator's words where something is looser than the default.
    pub acknowledged: Option<String>,
}

/// Of a message.
const AUDIO_MAX: Duration = Duration::from_secs(60);

impl Profile {
    /// The law's default for `purpose`.
    pub fn of(purpose: Purpose) -> Profile {
        let cap = |max, days| CapLimit { max, days };
        let (caps, consent) = match purpose {
            Purpose::Healthcare => (vec![cap(1, 1), cap(3, 7)], None),
            Purpose::Marketing => (vec![cap(3, 1)], Some(ConsentKind::Written)),
            Purpose::Informational | Purpose::Other => (Vec::new(), None),
        };
        Profile {
            audio_max: AUDIO_MAX,
            caps,
            consent,
            window: WindowRule::default(),
            acknowledged: None,
        }
    }

    /// The settings in which it is looser than the law's default for `purpose`.
    pub fn looser_than_default(&self, purpose: Purpose) -> Vec<&'static str> {
        let default = Profile::of(purpose);
        let has_cap = |wanted: &CapLimit| {
            let is_within = |cap: &CapLimit| cap.max <= wanted.max && cap.days >= wanted.days;
            self.caps.iter().any(is_within)
        };
        let rank = |consent: Option<ConsentKind>| match consent {
            None => 0,
            Some(ConsentKind::Express) => 1,
            Some(ConsentKind::Written) => 2,
        };
        let looser = [
            ("audio_seconds_max", self.audio_max > default.audio_max),
            ("caps", !default.caps.iter().all(has_cap)),
            ("consent", rank(self.consent) < rank(default.consent)),
            ("federal_hours", !self.window.federal),
            ("state_hours", !self.window.states),
            ("margin_minutes", self.window.margin < default.window.margin),
        ];
        let names = looser.into_iter().filter(|(_, is_looser)| *is_looser);
        names.map(|(name, _)| name).collect()
    }
}

/// The profiles that the operator has chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profiles {
    chosen: [Option<Profile>; Purpose::ALL.len()],
}

impl Profiles {
    pub fn choose(&mut self, purpose: Purpose, profile: Profile) {
        self.chosen[place(purpose)] = Some(profile);
    }

    /// None where the operator has not chosen what holds for it.
    pub fn find(&self, purpose: Purpose) -> Option<&Profile> {
        self.chosen[place(purpose)].as_ref()
    }
}

fn place(purpose: Purpose) -> usize {
    purpose as usize - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_looser_where_any_of_its_settings_is() {
        for purpose in Purpose::ALL {
            assert!(Profile::of(purpose).looser_than_default(purpose).is_empty());
        }
        let health = || Profile::of(Purpose::Healthcare);
        let caps = |caps: &[(u32, u32)]| Profile {
            caps: caps
                .iter()
                .map(|(max, days)| CapLimit {
                    max: *max,
                    days: *days,
                })
                .collect(),
            ..health()
        };
        for (given, is_looser) in [
            (&[(1, 1), (3, 7)][..], false),
            (&[(1, 1), (2, 7)], false),
            (&[(1, 7)], false),
            (&[(1, 1)], true),
            (&[(1, 1), (4, 7)], true),
            (&[(2, 1), (3, 7)], true),
            (&[(1, 1), (3, 6)], true),
            (&[], true),
        ] {
            let looser = caps(given).looser_than_default(Purpose::Healthcare);
            assert_eq!(!looser.is_empty(), is_looser, "{given:?}");
        }
        let express = Profile {
            consent: Some(ConsentKind::Express),
            ..Profile::of(Purpose::Marketing)
        };
        assert_eq!(express.looser_than_default(Purpose::Marketing), ["consent"]);
        assert!(
            !express
                .looser_than_default(Purpose::Other)
                .contains(&"caps")
        );
        let mut night = health();
        night.window.federal = false;
        night.window.states = false;
        night.window.margin -= Duration::from_secs(60);
        assert_eq!(
            night.looser_than_default(Purpose::Healthcare),
            ["federal_hours", "state_hours", "margin_minutes"]
        );
    }

    #[test]
    fn each_purpose_has_a_profile_of_its_own() {
        let mut profiles = Profiles::default();
        profiles.choose(Purpose::Other, Profile::of(Purpose::Other));
        for purpose in Purpose::ALL {
            assert_eq!(profiles.find(purpose).is_some(), purpose == Purpose::Other);
        }
    }
}
