//! From a name in the configuration to a carrier: the only list of kinds.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::settings::Place;
use super::{Carrier, drop_cowboy_v1, drop_cowboy_v2, sandbox, slybroadcast, voicedrop};

/// Makes a carrier from its settings, or says in one line what is wrong with them.
type Open = fn(&Place, toml::Table) -> Result<Arc<dyn Carrier>, String>;

/// `kind = …` of a `[carriers.NAME]`, and what opens it.
const KINDS: &[(&str, Open)] = &[
    (SANDBOX, sandbox::open),
    ("voicedrop", voicedrop::open),
    ("drop_cowboy_v2", drop_cowboy_v2::open),
    ("drop_cowboy_v1", drop_cowboy_v1::open),
    ("slybroadcast", slybroadcast::open),
];

/// The kind that is there where no configuration names another.
pub const SANDBOX: &str = "sandbox";

/// One `[carriers.NAME]`: its kind, and the kind's own settings.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CarrierConfig {
    pub kind: String,
    #[serde(flatten)]
    pub settings: toml::Table,
}

impl CarrierConfig {
    pub fn sandbox() -> CarrierConfig {
        CarrierConfig {
            kind: SANDBOX.to_owned(),
            settings: toml::Table::new(),
        }
    }
}

/// The configured carriers by name.
#[derive(Clone, Default)]
pub struct Registry(Arc<BTreeMap<String, Arc<dyn Carrier>>>);

impl Registry {
    /// Reads their secrets too. An error is one line that names the carrier.
    pub fn open(
        carriers: &BTreeMap<String, CarrierConfig>,
        place: &Place,
    ) -> Result<Registry, String> {
        let opened = carriers.iter().map(|(name, config)| {
            let said = |why: String| format!("[carriers.{name}]: {why}");
            let carrier = open(config, place).map_err(said)?;
            Ok((name.clone(), carrier))
        });
        Ok(Registry(Arc::new(opened.collect::<Result<_, String>>()?)))
    }

    /// Carriers made by hand: scripted ones in tests.
    pub fn of(carriers: impl IntoIterator<Item = (String, Arc<dyn Carrier>)>) -> Registry {
        Registry(Arc::new(carriers.into_iter().collect()))
    }

    pub fn find(&self, name: &str) -> Option<&Arc<dyn Carrier>> {
        self.0.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Are all of these rehearsals? An unknown name is none.
    pub fn all_simulated(&self, names: &[String]) -> bool {
        names.iter().all(|name| {
            self.find(name)
                .is_some_and(|carrier| carrier.is_simulated())
        })
    }

    /// May this one be given health information? One that is not known may not.
    pub fn may_have_health_information(&self, name: &str) -> bool {
        self.find(name)
            .is_some_and(|carrier| carrier.may_have_health_information())
    }
}

fn open(config: &CarrierConfig, place: &Place) -> Result<Arc<dyn Carrier>, String> {
    let found = KINDS.iter().find(|(kind, _)| *kind == config.kind);
    let Some((_, open)) = found else {
        let kinds: Vec<String> = KINDS.iter().map(|(kind, _)| format!("`{kind}`")).collect();
        return Err(format!(
            "kind = \"{}\" is unknown; known are {}",
            config.kind,
            kinds.join(", ")
        ));
    };
    open(place, config.settings.clone())
}
