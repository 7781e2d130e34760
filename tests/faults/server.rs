//! The server as a child process: ringless itself, with the recording carrier as its carriers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ringless::carrier::{Carrier, Registry};
use ringless::config::{Config, FileConfig, Overrides};

use crate::client::Client;
use crate::wire::Account;

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
    #[arg(long)]
    pub carrier_port: u16,
    /// The carriers lie about what may be repeated.
    #[arg(long)]
    pub lies: bool,
}

/// As `lease_seconds` below.
pub const LEASE: Duration = Duration::from_secs(4);

/// A short lease, so that what a dead worker had is soon looked at again, and so many tries that
/// none ends for having been used up.
const SETTINGS: &str = "
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
    [carriers.sandbox]
    kind = 'sandbox'
";

pub async fn run(args: ServerArgs) -> anyhow::Result<ExitCode> {
    let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let given = Overrides {
        grpc_addr: Some(local(args.grpc_port)),
        http_addr: Some(local(0)),
        admin_addr: Some(local(0)),
        database_url: Some(args.database_url),
        data_dir: Some(args.data_dir),
        roles: Some(args.roles),
        on_terminal: true,
        ..Overrides::default()
    };
    let config = Config::build(given, FileConfig::parse(SETTINGS)?)?;
    let carriers = Account::ALL.map(|account| {
        let carrier: Arc<dyn Carrier> = Arc::new(Client {
            account,
            addr: local(args.carrier_port),
            lies: args.lies,
        });
        (account.as_str().to_owned(), carrier)
    });
    ringless::cli::until_stopped(config, Registry::of(carriers)).await
}
