//! The recording carrier: a process of its own, which writes each request down before it answers.
//! What it has answered survives its being killed; it goes on with the same file.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::chance::Chance;
use crate::wire::{Account, Header, Line, Verb, What, hex, read_record, word};

#[derive(Debug, Clone, Args)]
pub struct RecorderArgs {
    #[arg(long)]
    pub port: u16,
    #[arg(long)]
    pub record: PathBuf,
    #[arg(long)]
    pub seed: u64,
    /// Break connections, be slow, be busy.
    #[arg(long)]
    pub rough: bool,
    /// Between the record and the answer.
    #[arg(long, default_value_t = 0)]
    pub hold_ms: u64,
}

/// Longer than the client waits for an answer, and than a call may take.
const TOO_SLOW: Duration = Duration::from_millis(2_500);
/// A request that does not come on is let go.
const READ_WITHIN: Duration = Duration::from_secs(10);

struct Book {
    file: File,
    dropped: HashSet<(Account, String)>,
    /// By key: what came from this attempt or an earlier one was never received.
    never: HashMap<String, i32>,
}

pub async fn run(args: RecorderArgs) -> anyhow::Result<()> {
    let book = Arc::new(Mutex::new(Book::open(&args.record)?));
    let listener = TcpListener::bind(("127.0.0.1", args.port))
        .await
        .context("the recording carrier's port")?;
    // A restarted carrier does not play the same day again.
    let lines = read_record(&args.record)?.len() as u64;
    let mut chance = Chance::new(args.seed, 1_000 + lines);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let mood = Mood::draw(&args, &mut chance);
        let book = book.clone();
        tokio::spawn(async move {
            // A caller who went away is no fault of the carrier.
            let _ = tokio::time::timeout(READ_WITHIN * 2, exchange(stream, &book, mood)).await;
        });
    }
}

/// How one exchange goes.
#[derive(Debug, Clone, Copy)]
struct Mood {
    fault: Option<Fault>,
    delay: Duration,
    still_pending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    BreakBeforeReading,
    BreakBeforeRecord,
    BreakAfterRecord,
    Busy,
    SlowBeforeRecord,
    SlowAfterRecord,
}

impl Mood {
    fn draw(args: &RecorderArgs, chance: &mut Chance) -> Mood {
        let fault = match (args.rough, chance.between(0, 100)) {
            (false, _) => None,
            (true, 0..3) => Some(Fault::BreakBeforeReading),
            (true, 3..6) => Some(Fault::BreakBeforeRecord),
            (true, 6..10) => Some(Fault::BreakAfterRecord),
            (true, 10..13) => Some(Fault::Busy),
            (true, 13) => Some(Fault::SlowBeforeRecord),
            (true, 14) => Some(Fault::SlowAfterRecord),
            (true, _) => None,
        };
        Mood {
            fault,
            delay: Duration::from_millis(args.hold_ms) + chance.millis(0, 20),
            still_pending: args.rough && chance.percent(30),
        }
    }
}

async fn exchange(stream: TcpStream, book: &Mutex<Book>, mood: Mood) -> anyhow::Result<()> {
    let mut stream = BufReader::new(stream);
    stream
        .write_all(format!("{}\n", word::READY).as_bytes())
        .await?;
    if mood.fault == Some(Fault::BreakBeforeReading) {
        return Ok(());
    }
    let mut line = String::new();
    let reading = async {
        stream.read_line(&mut line).await?;
        let header: Header = serde_json::from_str(&line)?;
        let mut body = vec![0; header.bytes];
        stream.read_exact(&mut body).await?;
        anyhow::Ok((header, body))
    };
    let (header, body) = tokio::time::timeout(READ_WITHIN, reading).await??;
    match mood.fault {
        Some(Fault::BreakBeforeRecord) => return Ok(()),
        Some(Fault::Busy) if header.verb == Verb::HandOver => {
            return say(&mut stream, word::BUSY, "").await;
        }
        // A carrier that says "never received" has to know, so it does not take anything late.
        Some(Fault::SlowBeforeRecord) if header.account != Account::Askable => {
            tokio::time::sleep(TOO_SLOW).await;
        }
        _ => {}
    }
    let answer = match header.verb {
        Verb::HandOver => lock(book).hand_over(&header, &body)?,
        Verb::Ask => lock(book).ask(&header, mood.still_pending)?,
    };
    match mood.fault {
        Some(Fault::BreakAfterRecord) => return Ok(()),
        Some(Fault::SlowAfterRecord) => tokio::time::sleep(TOO_SLOW).await,
        _ => tokio::time::sleep(mood.delay).await,
    }
    say(&mut stream, answer, &header.key).await
}

async fn say(stream: &mut BufReader<TcpStream>, answer: &str, key: &str) -> anyhow::Result<()> {
    stream
        .write_all(format!("{answer} {key}\n").as_bytes())
        .await?;
    Ok(stream.flush().await?)
}

fn lock(book: &Mutex<Book>) -> std::sync::MutexGuard<'_, Book> {
    book.lock().expect("nobody panics with the book in hand")
}

impl Book {
    fn open(path: &Path) -> anyhow::Result<Book> {
        let lines = read_record(path)?;
        let file = File::options().create(true).append(true).open(path)?;
        // What a killed carrier had begun to write was never answered; the next line starts afresh.
        let bytes = std::fs::read(path)?;
        let whole = bytes
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        file.set_len(whole as u64)?;
        let mut book = Book {
            file,
            dropped: HashSet::new(),
            never: HashMap::new(),
        };
        for line in lines {
            book.remember(&line);
        }
        Ok(book)
    }

    fn remember(&mut self, line: &Line) {
        match line.what {
            What::Drop => {
                self.dropped.insert((line.account, line.key.clone()));
            }
            What::Never => {
                let until = self.never.entry(line.key.clone()).or_insert(0);
                *until = line.attempt.max(*until);
            }
            What::Repeat | What::Refused | What::Request => {}
        }
    }

    /// In the file before anything is answered. The kernel keeps it when this process is killed.
    fn write(&mut self, what: What, header: &Header, body: &[u8]) -> anyhow::Result<()> {
        let line = Line {
            what,
            account: header.account,
            key: header.key.clone(),
            voicemail: header.voicemail.clone(),
            attempt: header.attempt,
            sha256: hex(&Sha256::digest(body)),
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.remember(&line);
        Ok(())
    }

    fn hand_over(&mut self, header: &Header, body: &[u8]) -> anyhow::Result<&'static str> {
        let is_known = self.dropped.contains(&(header.account, header.key.clone()));
        let is_over = |until: &i32| header.attempt <= *until;
        let (what, answer) = match header.account {
            Account::Repeatable if is_known => (What::Repeat, word::DROPPED),
            Account::Askable if self.never.get(&header.key).is_some_and(is_over) => {
                (What::Refused, word::BUSY)
            }
            Account::Askable => (What::Drop, word::TAKEN),
            _ => (What::Drop, word::DROPPED),
        };
        self.write(what, header, body)?;
        Ok(answer)
    }

    fn ask(&mut self, header: &Header, still_pending: bool) -> anyhow::Result<&'static str> {
        let is_known = self.dropped.contains(&(header.account, header.key.clone()));
        match (is_known, still_pending) {
            (true, true) => Ok(word::PENDING),
            (true, false) => Ok(word::DELIVERED),
            (false, _) => {
                self.write(What::Never, header, &[])?;
                Ok(word::NEVER)
            }
        }
    }
}
