//! The two kinds of carriers that a run has: the recording one, known through a client of its own, and
//! played vendors, which the servers know by the product's own adapters and configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::played::{DROP_COWBOY, VOICEDROP};
use crate::process::Process;
use crate::server::SETTINGS;
use crate::vendors::{ANY_HOUR, drop_cowboy_v2, voicedrop};
use crate::wire::Account;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Carriers {
    /// A carrier that keeps a record, in three kinds: repeatable, askable, neither
    Recorded,
    /// VoiceDrop (neither repeatable nor askable) and Drop Cowboy v2 (repeatable), played
    Vendors,
}

impl Carriers {
    pub fn as_str(self) -> &'static str {
        match self {
            Carriers::Recorded => "recording carrier",
            Carriers::Vendors => "played vendors",
        }
    }

    /// What callers send over, each with a setup of its own.
    pub fn accounts(self) -> [Account; 3] {
        match self {
            Carriers::Recorded => [Account::Repeatable, Account::Once, Account::Askable],
            Carriers::Vendors => [Account::VoiceDrop, Account::DropCowboy, Account::Both],
        }
    }
}

/// How the carriers' process is started.
pub struct Start<'a> {
    pub seed: u64,
    pub ports: &'a [u16],
    /// Logs and records.
    pub folder: &'a Path,
    pub rough: bool,
    /// The recording carrier waits so long between its record and its answer.
    pub hold: Duration,
}

impl Carriers {
    pub fn process(self, start: &Start) -> anyhow::Result<Process> {
        let path = |name: &str| start.folder.join(name).display().to_string();
        let given = match self {
            Carriers::Recorded => vec![
                ("--port", start.ports[0].to_string()),
                ("--record", path(RECORD)),
                ("--hold-ms", start.hold.as_millis().to_string()),
            ],
            Carriers::Vendors => vec![
                ("--voicedrop-port", start.ports[0].to_string()),
                ("--drop-cowboy-port", start.ports[1].to_string()),
                ("--folder", path("")),
            ],
        };
        let role = match self {
            Carriers::Recorded => "recorder",
            Carriers::Vendors => "vendors",
        };
        let mut args = vec![role.to_owned(), "--seed".to_owned(), start.seed.to_string()];
        args.extend(
            given
                .into_iter()
                .flat_map(|(name, value)| [name.to_owned(), value]),
        );
        if start.rough {
            args.push("--rough".to_owned());
        }
        Process::role("carrier", start.folder, &args)
    }
}

/// Of the recording carrier.
pub const RECORD: &str = "carrier.record";

/// From SENT, or from a doubt about Drop Cowboy, to UNCONFIRMED: so long that a repeat has got through by
/// then, whatever is killed meanwhile.
pub const NO_WORD_DEADLINE_SECONDS: i64 = 60;
/// From a doubt about VoiceDrop to UNCONFIRMED.
const DOUBT_WAIT_SECONDS: i64 = 8;

/// Writes the configuration of servers that are reached at `door` and reach the vendors at `ways`. A call's
/// two time limits fit into `call_timeout_seconds`. Drop Cowboy is given the audio beforehand, VoiceDrop
/// gets links.
pub fn write_settings(folder: &Path, door: u16, ways: &[u16]) -> anyhow::Result<()> {
    let secret = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        anyhow::Ok(format!("{{ file = '{}' }}", path.display()))
    };
    let (one, two) = (
        voicedrop::Settings::default(),
        drop_cowboy_v2::Settings::default(),
    );
    let limits = "connect_timeout_seconds = 1\nanswer_timeout_seconds = 1";
    let text = format!(
        "public_url = 'http://127.0.0.1:{door}'
{SETTINGS}
doubt_wait_seconds = {DOUBT_WAIT_SECONDS}
no_word_deadline_seconds = {NO_WORD_DEADLINE_SECONDS}
[numbers]
also_valid = ['+15554*']
{ANY_HOUR}
[carriers.{VOICEDROP}]\nkind = 'voicedrop'\nbase_url = 'http://127.0.0.1:{}/v1'\nauth_key = {}\n{limits}
[carriers.{DROP_COWBOY}]\nkind = 'drop_cowboy_v2'\nbase_url = 'http://127.0.0.1:{}'\nkey = {}\nsecret = {}\naudio = 'upload'\n{limits}
",
        ways[0],
        secret("voicedrop.key", &one.auth_key)?,
        ways[1],
        secret("drop_cowboy.key", &two.key)?,
        secret("drop_cowboy.secret", &two.secret)?,
    );
    Ok(std::fs::write(settings_of(folder), text)?)
}

/// Where it is.
pub fn settings_of(folder: &Path) -> PathBuf {
    folder.join("ringless.toml")
}
