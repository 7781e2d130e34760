//! `serve`, `migrate` and `config check`: the commands of the machine that runs the service.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::show;
use crate::app::Running;
use crate::carrier::Registry;
use crate::clock::Clock;
use crate::config::{Config, Overrides};
use crate::storage::{Store, StoreOptions};

/// Flags win over the environment, the environment over the config file, the file over the defaults.
#[derive(Debug, Args)]
#[command(
    after_help = "Flags win over the environment, the environment over the config file, the file over the defaults.\n\
                        SIGTERM or SIGINT stops it cleanly; a second one ends it at once."
)]
pub struct ServeArgs {
    #[command(flatten)]
    settings: Settings,
    /// What to log, such as `info` or `ringless=debug,warn` [env: RUST_LOG]
    #[arg(long, value_name = "FILTER", value_parser = log_filter)]
    log: Option<String>,
}

/// What `serve` runs by, and `config check` looks at.
#[derive(Debug, Args)]
pub struct Settings {
    /// Where gRPC is served [default: 127.0.0.1:50051]
    #[arg(long, env = "RINGLESS_GRPC_ADDR", value_name = "IP:PORT", value_parser = socket_addr)]
    grpc_addr: Option<SocketAddr>,
    /// Where carriers reach us over HTTP [default: 127.0.0.1:8080]
    #[arg(long, env = "RINGLESS_HTTP_ADDR", value_name = "IP:PORT", value_parser = socket_addr)]
    http_addr: Option<SocketAddr>,
    /// Where /livez, /readyz and /metrics are [default: 127.0.0.1:9090]
    #[arg(long, env = "RINGLESS_ADMIN_ADDR", value_name = "IP:PORT", value_parser = socket_addr)]
    admin_addr: Option<SocketAddr>,
    /// The address under which carriers reach the public HTTP side: for their callbacks, and for audio
    #[arg(long, env = "RINGLESS_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    #[command(flatten)]
    place: Place,
    /// What this process does: api, worker or both [default: api,worker]
    #[arg(long, env = "RINGLESS_ROLES", value_name = "ROLES")]
    roles: Option<String>,
    /// How long calls are still served after a stop began, so that load balancers notice [default: 5; 0 on a terminal]
    #[arg(long, value_name = "SECONDS")]
    drain_delay_seconds: Option<u64>,
    /// Change nothing about the database's schema, and refuse one that is not this program's: see `ringless migrate`
    #[arg(long)]
    no_migrate: bool,
    /// Allow addresses that other machines can reach, though there is no access control yet
    #[arg(long)]
    insecure_no_auth: bool,
}

/// Where everything durable is.
#[derive(Debug, Args)]
pub struct Place {
    /// sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE [default: SQLite in the data folder]
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// The folder for the SQLite database and the sandbox's mailboxes [default: ./data]
    #[arg(long, env = "RINGLESS_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The config file (TOML); ringless.example.toml has every key
    #[arg(long, env = "RINGLESS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    place: Place,
    /// What to log, such as `info` [env: RUST_LOG]
    #[arg(long, value_name = "FILTER", value_parser = log_filter)]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the settings as `serve` would, and show what came of them or what is wrong
    Check(Settings),
}

impl ServeArgs {
    pub fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }
}

impl MigrateArgs {
    pub fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }
}

impl Settings {
    pub fn load(self) -> anyhow::Result<Config> {
        let overrides = Overrides {
            grpc_addr: self.grpc_addr,
            http_addr: self.http_addr,
            admin_addr: self.admin_addr,
            public_url: self.public_url,
            roles: self.roles,
            drain_delay_seconds: self.drain_delay_seconds,
            no_migrate: self.no_migrate,
            insecure_no_auth: self.insecure_no_auth,
            on_terminal: std::io::stdout().is_terminal(),
            ..self.place.overrides()
        };
        Ok(Config::load(overrides)?)
    }
}

impl Place {
    pub fn overrides(self) -> Overrides {
        Overrides {
            database_url: self.database_url,
            data_dir: self.data_dir,
            config: self.config,
            ..Overrides::default()
        }
    }
}

/// Serves until a signal comes, and then stops in order. Everything is let go in between, so the
/// exit code is 0.
pub async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let config = args.settings.load()?;
    let carriers = config.registry()?;
    until_stopped(config, carriers).await
}

/// [`run`] with its settings read, and with these carriers.
pub async fn until_stopped(config: Config, carriers: Registry) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let mut running = tokio::select! {
        running = Running::start_with(config, Clock::Database, carriers) => running?,
        // Nothing is served yet, so there is nothing to drain.
        code = signals.next() => return Ok(code),
    };
    show::say(running.banner())?;
    let failed = tokio::select! {
        stopped = running.stopped() => stopped.err(),
        _ = signals.next() => None,
    };
    tracing::info!(
        "stopping: calls and hand-overs under way are finished; another signal ends it at once"
    );
    let stopped = tokio::select! {
        stopped = running.stop() => stopped,
        code = signals.next() => {
            tracing::warn!("ended at once; what was under way is picked up when its lease has run out");
            return Ok(code);
        }
    };
    match failed {
        Some(error) => Err(error),
        None => stopped.map(|()| ExitCode::SUCCESS),
    }
}

/// SIGTERM and SIGINT, from the moment they are asked for.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Signals> {
        let listen = |kind| signal(kind).context("signals can't be listened for");
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// The next one, as the exit code that shells give to a process it ended.
    async fn next(&mut self) -> ExitCode {
        let kind = tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        };
        ExitCode::from(u8::try_from(128 + kind.as_raw_value()).unwrap_or(1))
    }
}

/// Brings the schema up to date. A newer schema than this program's is left as it is.
pub async fn migrate(args: MigrateArgs) -> anyhow::Result<()> {
    let overrides = args.place.overrides();
    // It listens nowhere, so the addresses of a config file are no matter here.
    let config = Config::load(Overrides {
        insecure_no_auth: true,
        ..overrides
    })?;
    let place = || {
        format!(
            "the database {} can't be brought up to date",
            config.database_url
        )
    };
    let options = StoreOptions {
        url: config.database_url.clone(),
        connections: config.connections,
        connection_age_max: config.connection_age_max,
        clock: Clock::Database,
    };
    let store = Store::open(&options).with_context(place)?;
    store.check_sessions().await.with_context(place)?;
    let applied = store.migrate().await.with_context(place)?;
    for migration in &applied {
        show::say(format!("applied {migration}"))?;
    }
    let unknown = store.schema_difference().await.with_context(place)?.unknown;
    if !unknown.is_empty() {
        show::say(format!(
            "left alone: {}, of a newer ringless",
            unknown.join(", ")
        ))?;
    }
    show::say(match applied.len() {
        0 => format!("{} was up to date", config.database_url),
        count => format!(
            "{} is up to date; migrations applied: {count}",
            config.database_url
        ),
    })
}

pub fn config(command: ConfigCommand) -> anyhow::Result<()> {
    let ConfigCommand::Check(settings) = command;
    let config = settings.load()?;
    // Their settings are read as `serve` would, secrets included.
    config.registry()?;
    show::say(settled(&config))
}

/// What `serve` would run by.
fn settled(config: &Config) -> String {
    let roles = [("api", config.roles.api), ("worker", config.roles.worker)];
    let roles: Vec<&str> = roles
        .iter()
        .filter(|(_, is_on)| *is_on)
        .map(|(name, _)| *name)
        .collect();
    let carriers: Vec<String> = config
        .carriers
        .iter()
        .map(|(name, carrier)| format!("{name} ({})", carrier.kind))
        .collect();
    let fields = show::fields(&[
        ("gRPC", config.grpc_addr.to_string()),
        ("public HTTP", config.http_addr.to_string()),
        ("admin HTTP", config.admin_addr.to_string()),
        (
            "public URL",
            config.public_url.clone().unwrap_or("none".to_owned()),
        ),
        ("database", config.database_url.to_string()),
        ("data folder", config.data_dir.display().to_string()),
        ("carriers", carriers.join(", ")),
        ("roles", roles.join(", ")),
        ("drain delay", format!("{} s", config.drain_delay.as_secs())),
    ]);
    format!(
        "{fields}\nthe configuration is good; nothing was started, and the database was not asked"
    )
}

fn socket_addr(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "give IP:PORT, for example 127.0.0.1:50051 (a name such as localhost won't do)".to_owned()
    })
}

/// As RUST_LOG has it.
pub fn log_filter(text: &str) -> Result<String, String> {
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "{error}; give a level such as `info`, or `ringless=debug,warn`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FileConfig;

    #[test]
    fn what_is_settled_is_shown_without_the_password() {
        let overrides = Overrides {
            database_url: Some("postgres://me:secret@db.example/ringless".to_owned()),
            roles: Some("worker".to_owned()),
            ..Overrides::default()
        };
        let text = settled(&Config::build(overrides, FileConfig::default()).expect("good"));
        assert!(
            text.contains("database     postgres://db.example/ringless\n"),
            "{text}"
        );
        assert!(text.contains("roles        worker\n"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn an_address_and_a_filter_are_judged_at_once() {
        assert!(socket_addr("localhost:1").is_err());
        assert!(socket_addr("[::1]:0").is_ok());
        assert!(log_filter("ringless=debug,warn").is_ok());
        assert!(log_filter("ringless=loud").is_err());
    }
}
