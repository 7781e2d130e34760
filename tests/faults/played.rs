//! The played vendors as a process of their own: rough by chance, killed and started again on the same
//! records, which are read at the end.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::chance::Chance;
use crate::check::{Row, Word};
use crate::vendors::desk::{Common, Desk};
use crate::vendors::drop_cowboy_v2::{self, DropCowboyV2};
use crate::vendors::fields::last_ten;
use crate::vendors::play::{Answer, Ending, Fate, Play, When, Word as Callback, Words};
use crate::vendors::record::{Book, Record};
use crate::vendors::voicedrop::{self, VoiceDrop};
use crate::wire::{Account, Line, What, hex};

/// The carriers' names in the configuration.
pub const VOICEDROP: &str = "voicedrop";
pub const DROP_COWBOY: &str = "drop_cowboy";

/// As each played vendor calls itself in its record, and the account that it is.
const VENDORS: [(&str, Account); 2] = [
    ("voicedrop", Account::VoiceDrop),
    ("drop_cowboy_v2", Account::DropCowboy),
];

#[derive(Debug, Clone, Args)]
pub struct VendorsArgs {
    #[arg(long)]
    pub voicedrop_port: u16,
    #[arg(long)]
    pub drop_cowboy_port: u16,
    /// Of the records.
    #[arg(long)]
    pub folder: PathBuf,
    #[arg(long)]
    pub seed: u64,
    /// Break connections, be slow, fail, and say things late and twice.
    #[arg(long)]
    pub rough: bool,
}

/// Longer than the adapters wait for an answer.
const TOO_SLOW: Duration = Duration::from_millis(1_500);
/// Plays that are laid out beyond the requests that have come.
const AHEAD: usize = 500;
/// A vendor that finds the audio out of reach looks again, for longer than any server is down here.
const FETCH_AGAIN: [Duration; 60] = [Duration::from_millis(500); 60];

pub async fn run(args: VendorsArgs) -> anyhow::Result<()> {
    let common = |port, vendor: &str| Common {
        addr: SocketAddr::from(([127, 0, 0, 1], port)),
        fetch_again_after: FETCH_AGAIN.to_vec(),
        record: Some(record_of(&args.folder, vendor)),
        ..Common::default()
    };
    let one = VoiceDrop::start(voicedrop::Settings {
        common: common(args.voicedrop_port, VENDORS[0].0),
        ..voicedrop::Settings::default()
    });
    let two = DropCowboyV2::start(drop_cowboy_v2::Settings {
        common: common(args.drop_cowboy_port, VENDORS[1].0),
        ..drop_cowboy_v2::Settings::default()
    });
    let one = one.await.context("VoiceDrop")?;
    let two = two.await.context("Drop Cowboy")?;
    match args.rough {
        false => std::future::pending().await,
        true => tokio::join!(
            keep_rough(&one.desk, args.seed),
            keep_rough(&two.desk, args.seed + 1)
        ),
    };
    Ok(())
}

fn record_of(folder: &Path, vendor: &str) -> PathBuf {
    folder.join(format!("{vendor}.record"))
}

/// Lays out plays for the requests to come, without end.
async fn keep_rough(desk: &Arc<Desk>, seed: u64) {
    let seen = || desk.book.with(|record| record.requests.len());
    let mut laid_out = seen();
    // A restarted vendor does not play the same day again.
    let mut chance = Chance::new(seed, 1_000 + laid_out as u64);
    loop {
        while laid_out < seen() + AHEAD {
            desk.play(draw(&mut chance));
            laid_out += 1;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn draw(chance: &mut Chance) -> Play {
    let failed = || Ending::from(Answer::json(500, &json!({"message": "internal error"})));
    let too_fast = || Answer::json(429, &json!({"message": "too many requests"}));
    let nonsense = || Ending::from(Answer::text(200, "<html>maintenance</html>"));
    let play = match chance.between(0, 100) {
        0..3 => Play::refusing(Ending::ResetUnread),
        3..6 => Play::refusing(Ending::Reset),
        6..10 => Play::taking(Ending::Reset),
        10..12 => Play::refusing(failed()),
        12..14 => Play::taking(failed()),
        14 => Play::refusing(too_fast().header("retry-after", "2").into()),
        15 => Play::refusing(too_fast().into()),
        16 => Play::refusing(failed()).after(TOO_SLOW),
        17 => Play::accept().after(TOO_SLOW),
        18 => Play::refusing(nonsense()),
        19 => Play::taking(nonsense()),
        _ => Play::accept().after(chance.millis(0, 20)),
    };
    play.words(words(chance))
}

fn words(chance: &mut Chance) -> Words {
    let delivered = || Callback::fate(Fate::Delivered);
    let words = match chance.between(0, 100) {
        0..10 => vec![delivered().times(3)],
        10..20 => vec![delivered().when(When::After(chance.millis(200, 6_000)))],
        // Later than anybody waits for it.
        20..23 => vec![delivered().when(When::After(chance.millis(16_000, 22_000)))],
        23..30 => vec![delivered().when(When::BeforeAnswer)],
        30..33 => vec![Callback::probe(), delivered()],
        33..36 => vec![Callback::fate(Fate::Unheard), delivered()],
        36..39 => vec![delivered().forged(), delivered()],
        _ => return Words::Fate(Fate::Delivered),
    };
    Words::These(words)
}

/// Messages that the vendors have taken and not said everything about. Read while they go on writing.
pub fn unsaid(folder: &Path) -> anyhow::Result<usize> {
    #[derive(Deserialize)]
    struct Kind {
        what: String,
    }
    let mut unsaid = 0_usize;
    for (vendor, _) in VENDORS {
        let bytes = std::fs::read(record_of(folder, vendor))?;
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            // The last line may be half written.
            let Ok(Kind { what }) = serde_json::from_slice(line) else {
                continue;
            };
            match what.as_str() {
                "taken" => unsaid += 1,
                "done" => unsaid = unsaid.saturating_sub(1),
                _ => {}
            }
        }
    }
    Ok(unsaid)
}

/// What the vendors' records say, in the terms of the checks.
#[derive(Debug, Default)]
pub struct Told {
    pub lines: Vec<Line>,
    pub words: Vec<Word>,
    /// What the vendors found fault with.
    pub faults: Vec<String>,
}

/// Reads the records of vendors that have ended.
pub fn read(folder: &Path, rows: &[Row]) -> anyhow::Result<Told> {
    let ids: HashMap<String, &str> = rows
        .iter()
        .map(|row| (last_ten(&row.recipient), row.id.as_str()))
        .collect();
    let of = |recipient: &str| match ids.get(&last_ten(recipient)) {
        Some(id) => (*id).to_owned(),
        None => format!("nobody's, for {recipient}"),
    };
    let mut told = Told::default();
    for (vendor, account) in VENDORS {
        let book = Book::open(vendor, Some(&record_of(folder, vendor)))?;
        let record = book.with(Record::clone);
        told.lines.extend(lines(&record, account, &of));
        told.words.extend(words_of(&record, &of));
        let wrongs = record.wrongs.iter().filter(|text| !is_broken_off(text));
        told.faults
            .extend(wrongs.map(|text| format!("{vendor}: {text}")));
    }
    Ok(told)
}

/// A request that came to an end in the middle: its sender was killed, or its connection cut.
fn is_broken_off(wrong: &str) -> bool {
    wrong.contains("error reading a body from connection")
}

fn lines(record: &Record, account: Account, of: &impl Fn(&str) -> String) -> Vec<Line> {
    let line = |what, key: String, voicemail: String, content: String| Line {
        what,
        account,
        key,
        voicemail,
        attempt: 0,
        sha256: hex(&Sha256::digest(content)),
    };
    let drops = record.drops.iter().map(|dropped| {
        let key = format!("{} {}", account.as_str(), dropped.number);
        line(What::Drop, key, of(&dropped.recipient), String::new())
    });
    // One that broke off before it was read has no fields.
    let requests = record.requests.iter().filter_map(|seen| {
        let key = seen.headers.get("idempotency-key")?.as_str()?;
        let to = seen.fields.get("to").and_then(Value::as_str)?;
        let content = seen.fields.to_string();
        Some(line(What::Request, key.to_owned(), of(to), content))
    });
    drops.chain(requests).collect()
}

/// The callbacks under a true token.
fn words_of(record: &Record, of: &impl Fn(&str) -> String) -> Vec<Word> {
    let taken: HashMap<u64, _> = record.taken.iter().map(|it| (it.number, it)).collect();
    let said = record.callbacks.iter().filter_map(|said| {
        let taken = taken.get(&said.number)?;
        let is_true = taken.callback_url.as_deref() == Some(said.url.as_str());
        let status = serde_json::from_str::<Value>(&said.body).unwrap_or_default();
        let status = status["status"].as_str().unwrap_or_default().to_owned();
        is_true.then(|| Word {
            voicemail: of(&taken.recipient),
            is_delivery: matches!(status.as_str(), "delivered" | "success"),
            answer: said.status,
        })
    });
    said.collect()
}
