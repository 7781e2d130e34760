//! From a name in the configuration to a carrier: the only list of kinds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::Carrier;
use super::sandbox::Sandbox;

/// `kind = …` of a `[carriers.NAME]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Sandbox,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Sandbox => "sandbox",
        }
    }
}

/// One `[carriers.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarrierConfig {
    pub kind: Kind,
}

/// The configured carriers by name.
#[derive(Clone, Default)]
pub struct Registry(Arc<BTreeMap<String, Arc<dyn Carrier>>>);

impl Registry {
    pub fn new(carriers: &BTreeMap<String, CarrierConfig>, data_dir: &Path) -> Registry {
        let made = carriers.iter().map(|(name, config)| {
            let carrier: Arc<dyn Carrier> = match config.kind {
                Kind::Sandbox => Arc::new(Sandbox::new(data_dir)),
            };
            (name.clone(), carrier)
        });
        Registry(Arc::new(made.collect()))
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
}
