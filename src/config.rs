//! Every setting, its default, its unit; all checks at the start.
//!
//! Flags win over environment, environment over the file (TOML), the file over the defaults.
//! `ringless.example.toml` is the file with every key at its default; a test keeps it in step.

mod file;
mod opt_outs;
mod purposes;
mod tables;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use file::{
    AcceptSection, AudioLinksSection, CapSection, DeliverySection, FileConfig, NumbersSection,
    PurposeSection, StorageSection, TablesSection, WorkerSection,
};

pub use opt_outs::{OptOutConfig, OptOutSection};

use crate::carrier::registry::{CarrierConfig, Registry, SANDBOX};
use crate::carrier::settings::{Place, check_base_url};
use crate::domain::delivery::Rules;
use crate::domain::gate;
use crate::domain::phone::PhoneRules;
use crate::domain::retry::Policy;
use crate::domain::telephony::CARRIER_NAME_BYTES_MAX;
use crate::secret::{Secret, SecretSource};
use crate::storage::DatabaseUrl;

/// A setting that stops the start: one line that names it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

type Result<T> = std::result::Result<T, ConfigError>;

/// Everything that `serve` runs by.
#[derive(Debug, Clone)]
pub struct Config {
    pub grpc_addr: SocketAddr,
    pub http_addr: SocketAddr,
    pub admin_addr: SocketAddr,
    /// Where carriers reach the public HTTP address; none: they can't.
    pub public_url: Option<String>,
    /// Of audio links, the first one signing; none: one that the service makes.
    pub link_keys: Vec<Secret>,
    pub database_url: DatabaseUrl,
    pub data_dir: PathBuf,
    pub roles: Roles,
    pub insecure_no_auth: bool,
    pub drain_delay: Duration,
    pub connections: u32,
    pub connection_age_max: Duration,
    /// The schema is brought up to date at the start.
    pub migrate: bool,
    /// None is named in a file: the embedded sandbox, and an empty database is given a first setup.
    pub is_first_try: bool,
    pub carriers: BTreeMap<String, CarrierConfig>,
    /// Doors of opt-out lines and forms, with their tokens read.
    pub opt_outs: Vec<OptOutConfig>,
    pub accept: AcceptConfig,
    pub caller_connections: ConnectionLimits,
    pub worker: WorkerConfig,
    pub rules: Rules,
    /// Which numbers are taken, what the operator has chosen to hold for each purpose, and the tables of
    /// hours and places.
    pub gates: Arc<gate::Rules>,
}

/// Which parts run in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    pub api: bool,
    pub worker: bool,
}

/// The bounds of accepting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptConfig {
    pub upload_memory_bytes: u64,
    pub upload_spool_bytes: u64,
    pub queue_max: u64,
    pub expire_after: Duration,
}

/// How long a caller's connection lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Then it is told to go, give or take a fifth ...
    pub age_max: Duration,
    /// ... and what is under way on it may take this much longer.
    pub grace: Duration,
}

/// The bounds of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerConfig {
    pub in_flight_max: usize,
    pub lease: Duration,
    pub call_timeout: Duration,
    pub poll: Duration,
}

/// What flags and environment give; what is missing is taken from the file or the defaults.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub grpc_addr: Option<SocketAddr>,
    pub http_addr: Option<SocketAddr>,
    pub admin_addr: Option<SocketAddr>,
    pub public_url: Option<String>,
    pub database_url: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub config: Option<PathBuf>,
    pub roles: Option<String>,
    pub drain_delay_seconds: Option<u64>,
    pub no_migrate: bool,
    pub insecure_no_auth: bool,
    /// A person is watching, so nothing has to be drained.
    pub on_terminal: bool,
}

/// The defaults of what the file may leave out and flags may give.
pub const GRPC_ADDR: &str = "127.0.0.1:50051";
pub const HTTP_ADDR: &str = "127.0.0.1:8080";
pub const ADMIN_ADDR: &str = "127.0.0.1:9090";
pub const DATA_DIR: &str = "./data";
pub const DRAIN_DELAY_SECONDS: u64 = 5;
const DAY_SECONDS: u64 = 24 * 3_600;

impl Config {
    pub fn load(overrides: Overrides) -> Result<Config> {
        let file = match &overrides.config {
            Some(path) => FileConfig::read(path)?,
            None => FileConfig::default(),
        };
        Config::build(overrides, file)
    }

    pub fn build(given: Overrides, file: FileConfig) -> Result<Config> {
        let data_dir = given
            .data_dir
            .or(file.data_dir)
            .unwrap_or_else(|| DATA_DIR.into());
        let database_url = match given.database_url.or(file.database_url) {
            Some(url) => DatabaseUrl::parse(&url)
                .map_err(|why| ConfigError(format!("the database URL can't be used: {why}")))?,
            None => DatabaseUrl::Sqlite(data_dir.join("ringless.db")),
        };
        let roles = match given.roles {
            Some(text) => parse_roles(text.split(',').map(str::trim))?,
            None => match &file.roles {
                Some(names) => parse_roles(names.iter().map(String::as_str))?,
                None => Roles {
                    api: true,
                    worker: true,
                },
            },
        };
        let is_first_try = file.carriers.is_empty();
        let carriers = match is_first_try {
            true => BTreeMap::from([(SANDBOX.to_owned(), CarrierConfig::sandbox())]),
            false => file.carriers,
        };
        check_carrier_names(&carriers)?;
        let drain = given.drain_delay_seconds.or(file.drain_delay_seconds);
        let drain = drain.unwrap_or(if given.on_terminal {
            0
        } else {
            DRAIN_DELAY_SECONDS
        });
        let config = Config {
            grpc_addr: address("grpc_addr", given.grpc_addr, file.grpc_addr, GRPC_ADDR)?,
            http_addr: address("http_addr", given.http_addr, file.http_addr, HTTP_ADDR)?,
            admin_addr: address("admin_addr", given.admin_addr, file.admin_addr, ADMIN_ADDR)?,
            public_url: public_url(given.public_url.or(file.public_url))?,
            link_keys: link_keys(&file.audio_links)?,
            database_url,
            data_dir,
            roles,
            insecure_no_auth: given.insecure_no_auth,
            drain_delay: Duration::from_secs(within("drain_delay_seconds", drain, 0, 15)?),
            connections: u32::try_from(within(
                "storage.connections",
                file.storage.connections.into(),
                2,
                200,
            )?)
            .unwrap_or(2),
            connection_age_max: Duration::from_secs(within(
                "storage.connection_age_max_seconds",
                file.storage.connection_age_max_seconds,
                1,
                DAY_SECONDS,
            )?),
            migrate: file.storage.migrate && !given.no_migrate,
            is_first_try,
            carriers,
            opt_outs: opt_outs::opt_outs(&file.opt_outs)?,
            accept: accept(&file.accept)?,
            caller_connections: caller_connections(&file.accept)?,
            worker: worker(&file.worker)?,
            rules: rules(&file.delivery)?,
            gates: Arc::new(gate::Rules {
                numbers: phone_rules(&file.numbers)?,
                profiles: purposes::profiles(&file.purposes)?,
                tables: tables::read(&file.tables)?,
            }),
        };
        config.check_addresses()?;
        Ok(config)
    }

    /// The carriers that are configured, with their secrets read.
    pub fn registry(&self) -> Result<Registry> {
        let place = Place {
            data_dir: self.data_dir.clone(),
            has_public_url: self.public_url.is_some(),
            call_timeout: self.worker.call_timeout,
        };
        Registry::open(&self.carriers, &place).map_err(ConfigError)
    }

    /// Until access control comes, nothing listens beyond this machine unasked.
    fn check_addresses(&self) -> Result<()> {
        let all = [
            ("gRPC", self.grpc_addr),
            ("public HTTP", self.http_addr),
            ("admin HTTP", self.admin_addr),
        ];
        match all.into_iter().find(|(_, addr)| !addr.ip().is_loopback()) {
            Some((what, addr)) if !self.insecure_no_auth => Err(ConfigError(format!(
                "the {what} address `{addr}` can be reached from other machines, and there is no access control yet; take a loopback address, or give --insecure-no-auth where the network keeps strangers out"
            ))),
            _ => Ok(()),
        }
    }
}

fn address(
    key: &str,
    given: Option<SocketAddr>,
    file: Option<String>,
    default: &str,
) -> Result<SocketAddr> {
    if let Some(addr) = given {
        return Ok(addr);
    }
    let text = file.as_deref().unwrap_or(default);
    text.parse().map_err(|_| {
        ConfigError(format!(
            "{key} = `{text}` is no address; give IP:PORT, for example `{default}`"
        ))
    })
}

/// Empty is none, as it is where a variable is set to nothing.
fn public_url(given: Option<String>) -> Result<Option<String>> {
    match given.filter(|url| !url.is_empty()) {
        None => Ok(None),
        Some(url) => check_base_url(&url)
            .map(Some)
            .map_err(|why| ConfigError(format!("public_url: {why}"))),
    }
}

/// Keys of audio links that may be good at the same time.
const LINK_KEYS_MAX: usize = 8;
/// Bytes of such a key.
const LINK_KEY_BYTES_MIN: usize = 32;

fn link_keys(section: &AudioLinksSection) -> Result<Vec<Secret>> {
    if section.keys.len() > LINK_KEYS_MAX {
        return Err(ConfigError(format!(
            "audio_links.keys has {}; at most {LINK_KEYS_MAX} are allowed",
            section.keys.len()
        )));
    }
    let read = |source: &SecretSource| {
        let key = source.read("audio_links.keys").map_err(ConfigError)?;
        match key.expose().len() {
            length if length < LINK_KEY_BYTES_MIN => Err(ConfigError(format!(
                "audio_links.keys: a key has {length} bytes; at least {LINK_KEY_BYTES_MIN} are needed, for example of `openssl rand -hex 32`"
            ))),
            _ => Ok(key),
        }
    };
    section.keys.iter().map(read).collect()
}

fn parse_roles<'a>(names: impl Iterator<Item = &'a str>) -> Result<Roles> {
    let mut roles = Roles {
        api: false,
        worker: false,
    };
    for name in names {
        match name {
            "api" => roles.api = true,
            "worker" => roles.worker = true,
            other => {
                return Err(ConfigError(format!(
                    "roles: `{other}` is unknown; allowed are `api` and `worker`"
                )));
            }
        }
    }
    match roles {
        Roles {
            api: false,
            worker: false,
        } => Err(ConfigError(
            "roles: none is given; allowed are `api` and `worker`".to_owned(),
        )),
        roles => Ok(roles),
    }
}

/// A carrier's name stands in setups, in log lines and, later, in URLs.
fn check_carrier_names(carriers: &BTreeMap<String, CarrierConfig>) -> Result<()> {
    let is_name = |name: &str| {
        (1..=CARRIER_NAME_BYTES_MAX).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
    };
    match carriers.keys().find(|name| !is_name(name)) {
        Some(name) => Err(ConfigError(format!(
            "[carriers.{name}]: a name is 1 to 63 of a-z, 0-9, `_` and `-`"
        ))),
        None => Ok(()),
    }
}

fn within(key: &str, value: u64, min: u64, max: u64) -> Result<u64> {
    match (min..=max).contains(&value) {
        true => Ok(value),
        false => Err(ConfigError(format!(
            "{key} = {value} is out of range; allowed are {min} to {max}"
        ))),
    }
}

fn phone_rules(numbers: &NumbersSection) -> Result<PhoneRules> {
    if numbers.allowed_countries.is_empty() {
        return Err(ConfigError(
            "numbers.allowed_countries is empty; name at least one, for example `US`".to_owned(),
        ));
    }
    let rules = PhoneRules::new(&numbers.default_country, &numbers.allowed_countries);
    let rules = rules.map_err(|code| {
        ConfigError(format!(
            "numbers: `{code}` is no country; give ISO 3166-1 codes such as `US`"
        ))
    })?;
    rules.also_valid(&numbers.also_valid).map_err(|range| {
        ConfigError(format!(
            "numbers.also_valid: `{range}` is no range; give a number in E.164, or its beginning of at least 5 digits and a `*`, such as `+1555001*`"
        ))
    })
}

fn accept(section: &AcceptSection) -> Result<AcceptConfig> {
    const MIB: u64 = 1_024 * 1_024;
    Ok(AcceptConfig {
        upload_memory_bytes: within(
            "accept.upload_memory_mib",
            section.upload_memory_mib,
            8,
            65_536,
        )? * MIB,
        upload_spool_bytes: within(
            "accept.upload_spool_mib",
            section.upload_spool_mib,
            0,
            1_048_576,
        )? * MIB,
        queue_max: within("accept.queue_max", section.queue_max, 1, 1_000_000_000)?,
        expire_after: Duration::from_secs(within(
            "accept.expire_after_seconds",
            section.expire_after_seconds,
            60,
            90 * DAY_SECONDS,
        )?),
    })
}

fn caller_connections(section: &AcceptSection) -> Result<ConnectionLimits> {
    let seconds =
        |key: &str, value: u64, max: u64| within(key, value, 1, max).map(Duration::from_secs);
    Ok(ConnectionLimits {
        age_max: seconds(
            "accept.connection_age_max_seconds",
            section.connection_age_max_seconds,
            DAY_SECONDS,
        )?,
        grace: seconds(
            "accept.connection_grace_seconds",
            section.connection_grace_seconds,
            3_600,
        )?,
    })
}

fn worker(section: &WorkerSection) -> Result<WorkerConfig> {
    let lease = within("worker.lease_seconds", section.lease_seconds, 2, 3_600)?;
    let call = within(
        "worker.call_timeout_seconds",
        section.call_timeout_seconds,
        1,
        3_600,
    )?;
    if call * 2 > lease {
        return Err(ConfigError(format!(
            "worker.call_timeout_seconds = {call} must be at most half of worker.lease_seconds = {lease}, so that a call ends well before another worker may take over"
        )));
    }
    let in_flight = within(
        "worker.in_flight_max",
        section.in_flight_max as u64,
        1,
        1_000,
    )?;
    Ok(WorkerConfig {
        in_flight_max: usize::try_from(in_flight).unwrap_or(1),
        lease: Duration::from_secs(lease),
        call_timeout: Duration::from_secs(call),
        poll: Duration::from_secs(within("worker.poll_seconds", section.poll_seconds, 1, 60)?),
    })
}

fn rules(section: &DeliverySection) -> Result<Rules> {
    let waits = |key: &str, seconds: &[u64]| -> Result<Vec<Duration>> {
        if seconds.is_empty() || seconds.len() > 50 {
            return Err(ConfigError(format!(
                "{key} has {} waits; allowed are 1 to 50",
                seconds.len()
            )));
        }
        seconds
            .iter()
            .map(|s| within(key, *s, 1, 7 * DAY_SECONDS).map(Duration::from_secs))
            .collect()
    };
    let seconds =
        |key: &str, value: u64| within(key, value, 1, 30 * DAY_SECONDS).map(Duration::from_secs);
    Ok(Rules {
        retry: Policy {
            waits: waits("delivery.retry_waits_seconds", &section.retry_waits_seconds)?,
        },
        ask_waits: waits("delivery.ask_waits_seconds", &section.ask_waits_seconds)?,
        no_word_deadline: seconds(
            "delivery.no_word_deadline_seconds",
            section.no_word_deadline_seconds,
        )?,
        doubt_wait: seconds("delivery.doubt_wait_seconds", section.doubt_wait_seconds)?,
        no_sender_wait: seconds(
            "delivery.no_sender_wait_seconds",
            section.no_sender_wait_seconds,
        )?,
    })
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
