//! The configuration file (TOML), as it is written. What it comes to is judged in `config.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, OptOutSection, Result};
use crate::carrier::registry::CarrierConfig;
use crate::domain::delivery::Rules;
use crate::domain::tables::toml_fault;
use crate::secret::SecretSource;

/// The file. Every key may be left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileConfig {
    pub grpc_addr: Option<String>,
    pub http_addr: Option<String>,
    pub admin_addr: Option<String>,
    pub public_url: Option<String>,
    pub database_url: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub roles: Option<Vec<String>>,
    pub drain_delay_seconds: Option<u64>,
    pub storage: StorageSection,
    pub numbers: NumbersSection,
    pub accept: AcceptSection,
    pub worker: WorkerSection,
    pub delivery: DeliverySection,
    pub audio_links: AudioLinksSection,
    pub tables: TablesSection,
    /// By the purpose's name in lower case; one that is there is chosen.
    #[serde(skip_serializing)]
    pub purposes: BTreeMap<String, PurposeSection>,
    #[serde(skip_serializing)]
    pub carriers: BTreeMap<String, CarrierConfig>,
    #[serde(skip_serializing)]
    pub opt_outs: BTreeMap<String, OptOutSection>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageSection {
    pub connections: u32,
    pub connection_age_max_seconds: u64,
    pub migrate: bool,
}

impl Default for StorageSection {
    fn default() -> Self {
        StorageSection {
            connections: 10,
            connection_age_max_seconds: 600,
            migrate: true,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NumbersSection {
    pub default_country: String,
    pub allowed_countries: Vec<String>,
    pub also_valid: Vec<String>,
}

impl Default for NumbersSection {
    fn default() -> Self {
        NumbersSection {
            default_country: "US".to_owned(),
            allowed_countries: vec!["US".to_owned()],
            also_valid: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AudioLinksSection {
    pub keys: Vec<SecretSource>,
}

/// Files that take the place of the embedded tables; empty: the embedded one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TablesSection {
    pub area_codes: PathBuf,
    pub postal_codes: PathBuf,
    pub send_hours: PathBuf,
    pub holidays: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AcceptSection {
    pub upload_memory_mib: u64,
    pub upload_spool_mib: u64,
    pub queue_max: u64,
    pub expire_after_seconds: u64,
    pub connection_age_max_seconds: u64,
    pub connection_grace_seconds: u64,
}

impl Default for AcceptSection {
    fn default() -> Self {
        AcceptSection {
            upload_memory_mib: 96,
            upload_spool_mib: 8_192,
            queue_max: 10_000_000,
            expire_after_seconds: 72 * 3_600,
            connection_age_max_seconds: 600,
            connection_grace_seconds: 150,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerSection {
    pub in_flight_max: usize,
    pub lease_seconds: u64,
    pub call_timeout_seconds: u64,
    pub poll_seconds: u64,
}

impl Default for WorkerSection {
    fn default() -> Self {
        WorkerSection {
            in_flight_max: 16,
            lease_seconds: 60,
            call_timeout_seconds: 30,
            poll_seconds: 1,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliverySection {
    pub retry_waits_seconds: Vec<u64>,
    pub ask_waits_seconds: Vec<u64>,
    pub no_word_deadline_seconds: u64,
    pub doubt_wait_seconds: u64,
    pub no_sender_wait_seconds: u64,
}

impl Default for DeliverySection {
    fn default() -> Self {
        let rules = Rules::default();
        let seconds = |waits: &[Duration]| waits.iter().map(Duration::as_secs).collect();
        DeliverySection {
            retry_waits_seconds: seconds(&rules.retry.waits),
            ask_waits_seconds: seconds(&rules.ask_waits),
            no_word_deadline_seconds: rules.no_word_deadline.as_secs(),
            doubt_wait_seconds: rules.doubt_wait.as_secs(),
            no_sender_wait_seconds: rules.no_sender_wait.as_secs(),
        }
    }
}

/// What is left out is as the law's default has it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PurposeSection {
    pub audio_seconds_max: Option<u64>,
    pub caps: Option<Vec<CapSection>>,
    pub consent: Option<String>,
    /// `["09:00", "18:00"]`.
    pub hours: Option<[String; 2]>,
    pub federal_hours: Option<bool>,
    pub state_hours: Option<bool>,
    pub margin_minutes: Option<u64>,
    pub acknowledge: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapSection {
    pub max: u64,
    pub days: u64,
}

impl FileConfig {
    pub fn read(path: &Path) -> Result<FileConfig> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError(format!(
                "--config `{}` can't be read: {error}",
                path.display()
            ))
        })?;
        FileConfig::parse(&text)
            .map_err(|ConfigError(why)| ConfigError(format!("`{}`: {why}", path.display())))
    }

    pub fn parse(text: &str) -> Result<FileConfig> {
        toml::from_str(text).map_err(|error| ConfigError(toml_fault(text, &error)))
    }
}
