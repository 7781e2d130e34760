//! The server as a child process: ringless itself, with the recording carrier as its carriers, or with
//! those that a configuration file names.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ringless::carrier::{Carrier, Registry};
use ringless::config::{Config, FileConfig, Overrides};

use crate::carriers::Carriers;
use crate::client::Client;
use crate::vendors::ANY_HOUR;

#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    #[arg(long)]
    pub roles: String,
    #[arg(long)]
    pub database_url: String,
    #[arg(long)]
    pub data_dir: PathBuf,
    #[arg(long)]
    pub grpc_port: u16,
    #[arg(long, default_value_t = 0)]
    pub http_port: u16,
    /// Of the recording carrier.
    #[arg(long, conflicts_with = "config")]
    pub carrier_port: Option<u16>,
    /// The product's own configuration, with carriers of vendors.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// The carriers lie about what may be repeated.
    #[arg(long)]
    pub lies: bool,
}

/// As `lease_seconds` below.
pub const LEASE: Duration = Duration::from_secs(4);

/// A short lease, so that what a dead worker had is soon looked at again, and so many tries that
/// none ends for having been used up.
pub const SETTINGS: &str = "
    [worker]
    lease_seconds = 4
    call_timeout_seconds = 2
    poll_seconds = 1
    [delivery]
    retry_waits_seconds = [
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    ]
    ask_waits_seconds = [1]
";
/// Where the carriers are no matter of the configuration.
const NO_CARRIERS: &str = "
    [carriers.sandbox]
    kind = 'sandbox'
";

pub async fn run(args: ServerArgs) -> anyhow::Result<ExitCode> {
    let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let given = Overrides {
        grpc_addr: Some(local(args.grpc_port)),
        http_addr: Some(local(args.http_port)),
        admin_addr: Some(local(0)),
        database_url: Some(args.database_url),
        data_dir: Some(args.data_dir),
        roles: Some(args.roles),
        config: args.config,
        on_terminal: true,
        ..Overrides::default()
    };
    let Some(carrier_port) = args.carrier_port else {
        let config = Config::load(given)?;
        let carriers = config.registry()?;
        return ringless::cli::until_stopped(config, carriers).await;
    };
    let settings = format!("{SETTINGS}{ANY_HOUR}{NO_CARRIERS}");
    let config = Config::build(given, FileConfig::parse(&settings)?)?;
    let carriers = Carriers::Recorded.accounts().map(|account| {
        let carrier: Arc<dyn Carrier> = Arc::new(Client {
            account,
            addr: local(carrier_port),
            lies: args.lies,
        });
        (account.as_str().to_owned(), carrier)
    });
    ringless::cli::until_stopped(config, Registry::of(carriers)).await
}
