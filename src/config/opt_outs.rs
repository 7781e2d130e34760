//! `[opt_outs.NAME]`: doors by which opt-out lines and forms tell us of recipients who want nothing more.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{ConfigError, Result};
use crate::domain::ids::UseCaseId;
use crate::domain::names::{check_line, check_name};
use crate::domain::suppression::{LINE_MAX, Scope};
use crate::domain::telephony::CARRIER_NAME_BYTES_MAX;
use crate::secret::{Secret, SecretSource};

/// Characters of a door's token.
pub const TOKEN_MIN: usize = 32;
/// Doors of one server.
const DOORS_MAX: usize = 100;

/// A door as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptOutSection {
    pub token: SecretSource,
    pub entity_name: Option<String>,
    pub use_case_id: Option<String>,
    pub source: Option<String>,
}

/// A door, with its token read.
#[derive(Debug, Clone)]
pub struct OptOutConfig {
    pub name: String,
    pub token: Secret,
    pub scope: Scope,
    pub source: String,
}

pub fn opt_outs(sections: &BTreeMap<String, OptOutSection>) -> Result<Vec<OptOutConfig>> {
    if sections.len() > DOORS_MAX {
        return Err(ConfigError(format!(
            "[opt_outs] has {} doors; at most {DOORS_MAX} are allowed",
            sections.len()
        )));
    }
    let mut tokens = BTreeSet::new();
    let mut doors = Vec::with_capacity(sections.len());
    for (name, section) in sections {
        let door = door(name, section)?;
        if !tokens.insert(door.token.expose().to_owned()) {
            return Err(ConfigError(format!(
                "opt_outs.{name}.token is that of another door; give each its own"
            )));
        }
        doors.push(door);
    }
    Ok(doors)
}

fn door(name: &str, section: &OptOutSection) -> Result<OptOutConfig> {
    let is_name = (1..=CARRIER_NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    if !is_name {
        return Err(ConfigError(format!(
            "[opt_outs.{name}]: a name is 1 to 63 of a-z, 0-9, `_` and `-`"
        )));
    }
    let fault = |key: &str, why: String| ConfigError(format!("opt_outs.{name}.{key}: {why}"));
    let token = section.token.read(&format!("opt_outs.{name}.token"));
    let token = token.map_err(ConfigError)?;
    let text = token.expose();
    if text.len() < TOKEN_MIN {
        let why = format!(
            "it has {} characters; at least {TOKEN_MIN} are needed, for example of `openssl rand -hex 32`",
            text.len()
        );
        return Err(fault("token", why));
    }
    let stands_in_a_path = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if !text.bytes().all(stands_in_a_path) {
        let why = "it stands in a URL; give letters, digits and `-._~` only";
        return Err(fault("token", why.to_owned()));
    }
    let scope = match (&section.entity_name, &section.use_case_id) {
        (Some(_), Some(_)) => {
            let why = "it stands beside entity_name; give one of them, or none for the workspace";
            return Err(fault("use_case_id", why.to_owned()));
        }
        (Some(entity), None) => {
            check_name(entity).map_err(|why| fault("entity_name", why.to_string()))?;
            Scope::Entity(entity.clone())
        }
        (None, Some(id)) => {
            let id = UseCaseId::parse(id).map_err(|why| fault("use_case_id", why.to_string()))?;
            Scope::UseCase(id)
        }
        (None, None) => Scope::Workspace,
    };
    let source = section.source.clone().unwrap_or_else(|| name.to_owned());
    check_line(&source, LINE_MAX).map_err(|why| fault("source", why.to_string()))?;
    Ok(OptOutConfig {
        name: name.to_owned(),
        token,
        scope,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The doors of these sections, in which `TOKEN` is a file with this text.
    fn read(sections: &str, token: &str) -> std::result::Result<Vec<OptOutConfig>, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        std::fs::write(&path, token).expect("written");
        let text = sections.replace("TOKEN", &format!("{{ file = '{}' }}", path.display()));
        let sections: BTreeMap<String, OptOutSection> =
            toml::from_str(&text).map_err(|error| error.to_string())?;
        opt_outs(&sections).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_has_at_least_32_characters_that_may_stand_in_a_path() {
        for (length, is_good) in [(31, false), (32, true), (33, true)] {
            let said = read("[ivr]\ntoken = TOKEN", &"x".repeat(length));
            assert_eq!(said.is_ok(), is_good, "{said:?}");
        }
        let said = read("[ivr]\ntoken = TOKEN", &"/".repeat(40)).expect_err("bad");
        assert!(said.contains("opt_outs.ivr.token"), "{said}");
        assert!(!said.contains("////"), "{said}");
    }

    #[test]
    fn a_door_is_for_the_workspace_or_narrower() {
        let token = "t".repeat(32);
        let doors = read("[ivr]\ntoken = TOKEN", &token).expect("good");
        assert_eq!(
            (doors[0].scope.clone(), doors[0].source.as_str()),
            (Scope::Workspace, "ivr")
        );
        let text = "[ivr]\ntoken = TOKEN\nentity_name = 'Clinic'\nsource = 'Hotline'";
        let doors = read(text, &token).expect("good");
        assert_eq!(doors[0].scope, Scope::Entity("Clinic".to_owned()));
        assert_eq!(doors[0].source, "Hotline");
        let id = UseCaseId::generate();
        let doors = read(
            &format!("[ivr]\ntoken = TOKEN\nuse_case_id = '{id}'"),
            &token,
        );
        assert_eq!(doors.expect("good")[0].scope, Scope::UseCase(id));
    }

    #[test]
    fn what_a_door_can_not_be_is_named() {
        let token = "t".repeat(32);
        for (text, part) in [
            ("[IVR]\ntoken = TOKEN", "a name is"),
            (
                "[ivr]\ntoken = TOKEN\nuse_case_id = 'x'",
                "opt_outs.ivr.use_case_id",
            ),
            (
                "[ivr]\ntoken = TOKEN\nentity_name = ''",
                "opt_outs.ivr.entity_name",
            ),
            (
                "[ivr]\ntoken = TOKEN\nentity_name = 'a'\nuse_case_id = 'b'",
                "one of them",
            ),
            ("[a]\ntoken = TOKEN\n[b]\ntoken = TOKEN", "opt_outs.b.token"),
            ("[a]\ntoken = 'sesame'", "does not stand in this file"),
            ("[a]\ntokens = TOKEN", "tokens"),
        ] {
            let said = read(text, &token).expect_err("bad");
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
