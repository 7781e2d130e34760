//! Played carriers to try the service with, without an account anywhere: VoiceDrop, Drop Cowboy (v1
//! and v2) and Slybroadcast on loopback. Choose an outcome by the recipient's last two digits.
//!
//! `cargo run --example ringless-vendors -- --help`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

mod config;
#[path = "../../tests/vendors/mod.rs"]
mod vendors;

use config::Config;
use vendors::desk::{Common, Desk};
use vendors::drop_cowboy_v1::{self, DropCowboyV1};
use vendors::drop_cowboy_v2::{self, DropCowboyV2};
use vendors::slybroadcast::{self, Slybroadcast};
use vendors::voicedrop::{self, VoiceDrop};
use vendors::{fields::last_ten, table};

/// Plays VoiceDrop, Drop Cowboy and Slybroadcast on loopback until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "ringless-vendors", after_help = table::TABLE)]
struct Arguments {
    /// Where VoiceDrop listens
    #[arg(
        long,
        env = "RINGLESS_VENDORS_VOICEDROP",
        default_value = "127.0.0.1:7401"
    )]
    voicedrop: SocketAddr,
    /// Where Drop Cowboy v2 listens; its simulator numbers, +1 555 001 xxxx, end as documented
    #[arg(
        long,
        env = "RINGLESS_VENDORS_DROP_COWBOY_V2",
        default_value = "127.0.0.1:7402"
    )]
    drop_cowboy_v2: SocketAddr,
    /// Where Drop Cowboy v1 listens
    #[arg(
        long,
        env = "RINGLESS_VENDORS_DROP_COWBOY_V1",
        default_value = "127.0.0.1:7403"
    )]
    drop_cowboy_v1: SocketAddr,
    /// Where Slybroadcast listens
    #[arg(
        long,
        env = "RINGLESS_VENDORS_SLYBROADCAST",
        default_value = "127.0.0.1:7404"
    )]
    slybroadcast: SocketAddr,
    /// Milliseconds between taking a message and the first callback
    #[arg(long, default_value_t = 1_000)]
    callback_after_ms: u64,
    /// Milliseconds between tries of a callback, where the vendor tries again (at most four times)
    #[arg(long, default_value_t = 5_000)]
    callback_again_ms: u64,
    /// Sign and send Drop Cowboy v2's account webhook to this address
    #[arg(long)]
    webhook: Option<String>,
    /// Refuse links on Drop Cowboy, as accounts without BYOC do (failure 3014)
    #[arg(long)]
    no_audio_url: bool,
    /// Append all that is seen and done to this file, as lines of JSON, and go on with what it says
    #[arg(long)]
    record: Option<PathBuf>,
    /// The `public_url` of the configuration: where the service is called back
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    public_url: String,
    /// Write ringless.toml and its secrets into this folder instead of printing them
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match play(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn play(arguments: Arguments) -> anyhow::Result<()> {
    let common = |addr| Common {
        addr,
        word_after: Duration::from_millis(arguments.callback_after_ms),
        again_after: vec![Duration::from_millis(arguments.callback_again_ms); 4],
        record: arguments.record.clone(),
        ..Common::default()
    };
    let one = voicedrop::Settings {
        common: common(arguments.voicedrop),
        ..voicedrop::Settings::default()
    };
    let two = drop_cowboy_v2::Settings {
        common: common(arguments.drop_cowboy_v2),
        audio_url_allowed: !arguments.no_audio_url,
        ..drop_cowboy_v2::Settings::default()
    };
    let three = drop_cowboy_v1::Settings {
        common: common(arguments.drop_cowboy_v1),
        audio_url_allowed: !arguments.no_audio_url,
        ..drop_cowboy_v1::Settings::default()
    };
    let four = slybroadcast::Settings {
        common: common(arguments.slybroadcast),
        ..slybroadcast::Settings::default()
    };
    let settings = (one.clone(), two.clone(), three.clone(), four.clone());
    let voicedrop = VoiceDrop::start(one).await.context("VoiceDrop")?;
    let v2 = DropCowboyV2::start(two).await.context("Drop Cowboy v2")?;
    let v1 = DropCowboyV1::start(three).await.context("Drop Cowboy v1")?;
    let slybroadcast = Slybroadcast::start(four).await.context("Slybroadcast")?;
    let mut config = Config::new(&arguments.public_url);
    config.voicedrop(voicedrop.vendor.base_url(), &settings.0);
    config.drop_cowboy_v2(v2.vendor.base_url(), &settings.1);
    config.drop_cowboy_v1(v1.vendor.base_url(), &settings.2);
    config.slybroadcast(slybroadcast.vendor.json_url(), &settings.3);
    if let Some(url) = &arguments.webhook {
        vendors::client::local(url).map_err(anyhow::Error::msg)?;
        let events = ["contact.rvm.status", "contact.rvm.receipt"].map(str::to_owned);
        v2.vendor.hooks.add(url, events.to_vec());
    }
    match &arguments.write {
        None => println!("{}", config.to_paste()),
        Some(folder) => {
            let file = config.write(folder);
            let file = file.with_context(|| format!("writing into {}", folder.display()))?;
            println!(
                "To send through them: ringless serve --config {}\n",
                file.display()
            );
        }
    }
    println!("{}\n\nCtrl-C ends it.\n", table::TABLE);
    for (name, desk) in [
        ("VoiceDrop", &voicedrop.desk),
        ("Drop Cowboy v2", &v2.desk),
        ("Drop Cowboy v1", &v1.desk),
        ("Slybroadcast", &slybroadcast.desk),
    ] {
        tokio::spawn(tell(name, desk.clone()));
    }
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
}

/// A line for whatever happens. Numbers are cut, and addresses with tokens left out: a terminal's
/// scrollback is a log too.
async fn tell(name: &'static str, desk: Arc<Desk>) {
    let mut changes = desk.book.changes();
    let mut told = desk.book.with(Counts::of);
    loop {
        let lines = desk.book.with(|record| {
            let mut lines = Vec::new();
            for taken in &record.taken[told.taken..] {
                lines.push(format!("took one for …{}", end_of(&taken.recipient)));
            }
            for dropped in &record.drops[told.drops..] {
                lines.push(format!("dropped it for …{}", end_of(&dropped.recipient)));
            }
            for said in &record.callbacks[told.callbacks..] {
                let answer = said
                    .status
                    .map_or("no answer".to_owned(), |s| s.to_string());
                lines.push(format!(
                    "called back about message {}: {answer}",
                    said.number
                ));
            }
            for _ in &record.wrongs[told.wrongs..] {
                lines.push("found fault with a request; --record has it".to_owned());
            }
            told = Counts::of(record);
            lines
        });
        for line in lines {
            println!("{name}: {line}");
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

struct Counts {
    taken: usize,
    drops: usize,
    callbacks: usize,
    wrongs: usize,
}

impl Counts {
    fn of(record: &vendors::record::Record) -> Counts {
        Counts {
            taken: record.taken.len(),
            drops: record.drops.len(),
            callbacks: record.callbacks.len(),
            wrongs: record.wrongs.len(),
        }
    }
}

fn end_of(number: &str) -> String {
    last_ten(number).chars().skip(6).collect()
}
