//! `carrier`: the carriers of the configuration, and whether their accounts can send. It runs beside the
//! server, by the same settings, and only reads its database.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use hyper::Method;

use super::failure::Usage;
use super::json::Json;
use super::serve::Settings;
use super::show;
use crate::app::AUDIO_LINKS_KEY;
use crate::carrier::http::{Ask, Client, Limits, Reply};
use crate::carrier::{AudioWay, Carrier, Finding, Verdict};
use crate::clock::{Clock, system_now};
use crate::config::Config;
use crate::domain::ids::{VoicemailId, WorkspaceId};
use crate::domain::links::{Doors, LinkKeys, TokenKey};
use crate::domain::phone::PhoneNumber;
use crate::ops::OpError;
use crate::ops::seed::SAMPLE_MP3;
use crate::storage::{NumberFilter, Page, Store, StoreOptions, Tx};

#[derive(Debug, Subcommand)]
pub enum CarrierCommand {
    /// List the carriers of the configuration
    List(ListArgs),
    /// Look whether an account can send: credentials, balance, senders, and whether the carrier can reach us
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    settings: Settings,
    /// Print the carriers as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "It asks the vendor, sends nothing, and exits with 1 where something is bad. Run it where the server runs: it reads the same settings and secrets, the sender numbers from the database, and fetches a link of its own under the public URL, so start the server first."
)]
pub struct CheckArgs {
    #[command(flatten)]
    settings: Settings,
    /// The carrier's name in the configuration
    name: String,
    /// A sender number to look at, in E.164 (may be repeated); without it those of the setups that have the carrier
    #[arg(long, value_name = "NUMBER")]
    sender: Vec<String>,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// For one call of ours to ourselves.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(10),
};
/// A link that is fetched at once.
const LINK_FOR: Duration = Duration::from_secs(300);
/// Numbers and setups that are read.
const ROWS_MAX: i64 = 1_000;

pub async fn run(command: CarrierCommand) -> anyhow::Result<ExitCode> {
    match command {
        CarrierCommand::List(args) => list(args).map(|()| ExitCode::SUCCESS),
        CarrierCommand::Check(args) => check(args).await,
    }
}

fn list(args: ListArgs) -> anyhow::Result<()> {
    let config = args.settings.load()?;
    let registry = config.registry()?;
    let mut table = show::Table::new(&[
        ("CARRIER", 0),
        ("KIND", 0),
        ("AUDIO", 0),
        ("HEALTH INFORMATION", 0),
    ]);
    let mut rows = Vec::new();
    for (name, settings) in &config.carriers {
        let Some(carrier) = registry.find(name) else {
            continue;
        };
        let audio = match carrier.audio_way() {
            AudioWay::InCall => "with the call",
            AudioWay::Link => "link",
            AudioWay::Upload => "upload",
        };
        let health = match carrier.may_have_health_information() {
            true => "allowed",
            false => "forbidden",
        };
        rows.push(
            [name, settings.kind.as_str(), audio, health]
                .map(str::to_owned)
                .to_vec(),
        );
    }
    if args.json {
        let fields = ["name", "kind", "audio", "health_information"];
        return show::say(objects(&fields, &rows).pretty());
    }
    show::say(table.rows(&rows).trim_end())
}

fn objects(fields: &[&str], rows: &[Vec<String>]) -> Json {
    let object = |row: &Vec<String>| {
        let values = row.iter().cloned().map(Json::Text);
        Json::Object(
            fields
                .iter()
                .map(|it| (*it).to_owned())
                .zip(values)
                .collect(),
        )
    };
    Json::List(rows.iter().map(object).collect())
}

async fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let config = args.settings.load()?;
    let registry = config.registry()?;
    let Some(carrier) = registry.find(&args.name) else {
        let known: Vec<&str> = registry.names().collect();
        bail!(Usage(format!(
            "carrier `{}` is not in the configuration; there are: {}",
            args.name,
            known.join(", ")
        )));
    };
    let given = args.sender.iter().map(|text| {
        let number = config.gates.numbers.parse(text);
        number.map_err(|error| anyhow::Error::new(Usage(format!("--sender: {error}"))))
    });
    let given: Vec<PhoneNumber> = given.collect::<Result<_, _>>()?;
    let mut findings = Vec::new();
    let seen = Seen::read(&config, &args.name).await;
    let senders = match (&seen, given.is_empty()) {
        (_, false) => given,
        (Ok(seen), true) => seen.senders.clone(),
        (Err(error), true) => {
            findings.push(Finding::note(format!(
                "the senders are not looked at, because the database can't be read ({error:#}); name them with --sender"
            )));
            Vec::new()
        }
    };
    findings.extend(carrier.check(&senders).await);
    if !carrier.is_simulated() {
        findings.push(agreement(carrier.as_ref()));
        let link_key = seen.ok().and_then(|seen| seen.link_key);
        findings.extend(look_at_doors(&config, &args.name, carrier.as_ref(), link_key).await);
    }
    say(&findings, args.json)?;
    Ok(match findings.iter().any(|it| it.verdict == Verdict::Bad) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn say(findings: &[Finding], is_json: bool) -> anyhow::Result<()> {
    let word = |finding: &Finding| match finding.verdict {
        Verdict::Good => "good",
        Verdict::Bad => "bad",
        Verdict::Note => "note",
    };
    if is_json {
        let rows: Vec<Vec<String>> = findings
            .iter()
            .map(|it| vec![word(it).to_owned(), it.what.clone()])
            .collect();
        return show::say(objects(&["verdict", "what"], &rows).pretty());
    }
    for finding in findings {
        show::say(format!(
            "{:<4}  {}",
            word(finding),
            show::clean(&finding.what)
        ))?;
    }
    Ok(())
}

fn agreement(carrier: &dyn Carrier) -> Finding {
    Finding::note(match carrier.may_have_health_information() {
        true => "it may have health information, by the agreement that baa_reference names",
        false => "it may not have health information: use cases about health care pass it over",
    })
}

/// What the server's database says.
struct Seen {
    senders: Vec<PhoneNumber>,
    link_key: Option<Vec<u8>>,
}

impl Seen {
    async fn read(config: &Config, carrier: &str) -> anyhow::Result<Seen> {
        let store = Store::open_beside(&StoreOptions {
            url: config.database_url.clone(),
            connections: 2,
            connection_age_max: config.connection_age_max,
            clock: Clock::Database,
        })?;
        let name = carrier.to_owned();
        let seen = store.read(move |tx| {
            Ok::<_, OpError>(Seen {
                senders: senders(tx, &name)?,
                link_key: tx.find_service_key(AUDIO_LINKS_KEY)?,
            })
        });
        Ok(seen.await?)
    }
}

/// The numbers that may be used with the carrier.
fn senders(tx: &mut dyn Tx, carrier: &str) -> Result<Vec<PhoneNumber>, OpError> {
    let all = Page {
        limit: ROWS_MAX,
        after: None,
    };
    let mut senders = Vec::new();
    for setup in tx.list_setups(WorkspaceId::DEFAULT, &[], all)? {
        if !setup.carriers.iter().any(|name| name == carrier) {
            continue;
        }
        let filter = NumberFilter {
            setup_id: Some(setup.id),
            ..NumberFilter::default()
        };
        let numbers = tx.list_numbers(WorkspaceId::DEFAULT, &filter, all)?;
        let allowed = numbers.into_iter().filter(|number| number.allows(carrier));
        senders.extend(allowed.map(|number| number.number));
    }
    Ok(senders)
}

/// Can the carrier reach us? Seen from here, which is not always how it is seen from there.
async fn look_at_doors(
    config: &Config,
    name: &str,
    carrier: &dyn Carrier,
    link_key: Option<Vec<u8>>,
) -> Vec<Finding> {
    let Some(public_url) = &config.public_url else {
        return vec![Finding::bad("public_url is not set")];
    };
    let client = match Client::new(LIMITS, None) {
        Ok(client) => client,
        Err(why) => return vec![Finding::bad(why)],
    };
    let mut findings = vec![callback_door(&client, public_url, name).await];
    if carrier.audio_way() == AudioWay::Link {
        findings.push(audio_door(&client, config, public_url, link_key).await);
    }
    findings
}

/// A made-up token is answered by an empty 404 of ours.
async fn callback_door(client: &Client, public_url: &str, name: &str) -> Finding {
    let url = format!("{public_url}/callbacks/{name}/made-up-by-carrier-check");
    match fetch(client, Method::POST, &url, None).await {
        Ok(reply) if reply.status == 404 && reply.body.is_empty() => {
            Finding::good(format!("callbacks reach {public_url}"))
        }
        Ok(reply) => Finding::bad(format!(
            "{public_url}/callbacks answers {} where this service would answer an empty 404; does it lead to the public HTTP address ({})?",
            reply.status,
            server_of(&reply)
        )),
        Err(error) => Finding::bad(format!("{public_url} can't be reached: {error:#}")),
    }
}

fn server_of(reply: &Reply) -> &str {
    reply.header("server").unwrap_or("no server named")
}

/// A link of our own leads to the sample, whole and in part.
async fn audio_door(
    client: &Client,
    config: &Config,
    public_url: &str,
    link_key: Option<Vec<u8>>,
) -> Finding {
    let configured = config.link_keys.first();
    let key = configured
        .map(|key| key.expose().as_bytes().to_vec())
        .or(link_key);
    let Some(key) = key else {
        return Finding::note(
            "audio links are not looked at: their key is in the database, which can't be read or has no key yet; start the server first",
        );
    };
    let links = LinkKeys::new(key, Vec::new());
    let doors = Doors::new(public_url, TokenKey::new(Vec::new()), links);
    let url = doors.audio_url(VoicemailId::SAMPLE, system_now().plus(LINK_FOR));
    match audio_fault(client, &url).await {
        Ok(None) => Finding::good(format!("audio can be fetched from {public_url}")),
        Ok(Some(fault)) => {
            Finding::bad(format!("audio can't be fetched from {public_url}: {fault}"))
        }
        Err(error) => Finding::bad(format!(
            "audio can't be fetched from {public_url}: {error:#}"
        )),
    }
}

async fn audio_fault(client: &Client, url: &str) -> anyhow::Result<Option<String>> {
    let whole = fetch(client, Method::GET, url, None).await?;
    if whole.status != 200 {
        return Ok(Some(format!("a link of ours is answered {}", whole.status)));
    }
    if whole.header("content-type") != Some("audio/mpeg") || whole.body != SAMPLE_MP3 {
        return Ok(Some("something else comes than was stored".to_owned()));
    }
    let part = fetch(client, Method::GET, url, Some("bytes=100-199")).await?;
    let is_part = part.status == 206 && part.body == SAMPLE_MP3[100..200];
    Ok((!is_part).then(|| "a part of it does not come as asked for".to_owned()))
}

async fn fetch(
    client: &Client,
    method: Method,
    url: &str,
    range: Option<&str>,
) -> anyhow::Result<Reply> {
    let no_reply = |no_reply: crate::carrier::http::NoReply| anyhow::anyhow!("{}", no_reply.text());
    let mut ask = Ask::new(method, url).map_err(no_reply)?;
    if let Some(range) = range {
        ask = ask.header("range", range);
    }
    client
        .call(ask)
        .await
        .map_err(no_reply)
        .context("no answer")
}
