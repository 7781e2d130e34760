//! What a played vendor has seen and done: read by tests, and written line by line to a file where
//! one is given, each line before the answer that depends on it. A vendor started again on the same
//! file knows its keys, its uploads and what it still had to say.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::play::Outcome;

/// More than any test makes; what comes after is still counted on disk.
const ENTRIES_MAX: usize = 200_000;
/// All that is known of so many messages fits into memory. A vendor that forgot a key would tell lies,
/// so it stops instead.
const MESSAGES_MAX: u64 = 1_000_000;
/// Different recordings whose bytes are kept; of more only the hash is known.
const RECORDINGS_MAX: usize = 64;

/// One request, whatever came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: Map<String, Value>,
    /// Without credentials; null where the body is neither JSON nor a form.
    pub fields: Value,
    pub body_bytes: usize,
    pub at_us: i64,
}

/// Where a message's sound comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Link(String),
    /// An upload, by its hash.
    Upload(String),
    /// Spoken by the vendor: there is no recording.
    Spoken,
    /// Named, and not there.
    Missing(String),
}

/// A message that the vendor took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Taken {
    /// 1 for the first; over restarts on one file too.
    pub number: u64,
    /// The vendor's own id of it.
    pub id: String,
    pub recipient: String,
    pub sender: String,
    pub callback_url: Option<String>,
    pub foreign_id: Option<String>,
    pub key: Option<String>,
    /// Of the request that came with the key.
    pub fingerprint: Option<String>,
    pub source: Source,
    pub at_us: i64,
}

/// A message that lies in a mailbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dropped {
    pub number: u64,
    pub recipient: String,
    pub sender: String,
    pub key: Option<String>,
    pub callback_url: Option<String>,
    /// None where the vendor spoke it.
    pub sha256: Option<String>,
    pub at_us: i64,
}

/// One callback, and what we answered it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Said {
    /// Of the message; 0 where it belongs to none.
    pub number: u64,
    pub method: String,
    pub url: String,
    pub body: String,
    /// None: no answer came; `answer` says why.
    pub status: Option<u16>,
    pub answer: String,
    pub at_us: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    vendor: String,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what", content = "it", rename_all = "snake_case")]
enum What {
    Request(Seen),
    Taken(Taken),
    Drop(Dropped),
    Callback(Said),
    Wrong(String),
    /// An upload that has been begun: without a hash where no bytes have come yet.
    Begun {
        id: String,
        sha256: Option<String>,
    },
    Upload {
        id: String,
        sha256: String,
    },
    /// How a message ended.
    End {
        number: u64,
        outcome: Outcome,
    },
    /// All that there was to say of this message has been said.
    Done(u64),
}

/// What tests look at.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub requests: Vec<Seen>,
    pub taken: Vec<Taken>,
    pub drops: Vec<Dropped>,
    pub callbacks: Vec<Said>,
    pub wrongs: Vec<String>,
    /// Numbers of messages of which all has been said.
    pub done: Vec<u64>,
}

/// What a key or a link has led to before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    No,
    /// The same request, with the id that it got.
    Same(String),
    Other,
}

/// Keys are remembered this long.
pub const KEY_MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

pub struct Book {
    vendor: &'static str,
    inner: Mutex<Inner>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    record: Record,
    keys: HashMap<String, (String, String, i64)>,
    begun: HashMap<String, Option<String>>,
    uploads: HashMap<String, String>,
    sounds: HashMap<String, Bytes>,
    by_recipient: HashMap<String, u32>,
    ends: HashMap<u64, Outcome>,
    dropped: HashSet<u64>,
    last_number: u64,
    file: Option<(File, PathBuf)>,
}

impl Book {
    pub fn open(vendor: &'static str, path: Option<&Path>) -> io::Result<Book> {
        let mut inner = Inner::default();
        if let Some(path) = path {
            let file = File::options().create(true).append(true).open(path)?;
            let bytes = fs::read(path)?;
            let is_line_end = |b: &u8| *b == b'\n';
            let whole = bytes.iter().rposition(is_line_end).map_or(0, |at| at + 1);
            // What a killed vendor had begun to write was never answered; the next line starts afresh.
            file.set_len(whole as u64)?;
            for line in bytes[..whole].split(is_line_end).filter(|l| !l.is_empty()) {
                let line: Line = serde_json::from_slice(line)?;
                if line.vendor == vendor {
                    inner.remember(line.what);
                }
            }
            inner.file = Some((file, sounds_folder(path)));
        }
        Ok(Book {
            vendor,
            inner: Mutex::new(inner),
            changes: watch::Sender::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("nobody panics with the book in hand")
    }

    fn write(&self, what: What) {
        self.write_in(&mut self.lock(), what);
        self.changes.send_modify(|count| *count += 1);
    }

    fn write_in(&self, inner: &mut Inner, what: What) {
        let line = Line {
            vendor: self.vendor.to_owned(),
            what,
        };
        if let Some((file, _)) = &mut inner.file {
            let mut text = serde_json::to_vec(&line).expect("a line of texts and numbers is JSON");
            text.push(b'\n');
            // Without its record a played vendor proves nothing.
            file.write_all(&text).expect("the record can be written");
        }
        inner.remember(line.what);
    }

    pub fn saw(&self, seen: Seen) {
        self.write(What::Request(seen));
    }

    pub fn wrong(&self, text: String) {
        self.write(What::Wrong(text));
    }

    pub fn said(&self, said: Said) {
        self.write(What::Callback(said));
    }

    /// Gives the message its number.
    pub fn take(&self, mut taken: Taken) -> Taken {
        let mut inner = self.lock();
        taken.number = inner.last_number + 1;
        assert!(taken.number <= MESSAGES_MAX, "one record is full");
        self.write_in(&mut inner, What::Taken(taken.clone()));
        drop(inner);
        self.changes.send_modify(|count| *count += 1);
        taken
    }

    pub fn drop_one(&self, taken: &Taken, sha256: Option<String>, at_us: i64) {
        self.write(What::Drop(Dropped {
            number: taken.number,
            recipient: taken.recipient.clone(),
            sender: taken.sender.clone(),
            key: taken.key.clone(),
            callback_url: taken.callback_url.clone(),
            sha256,
            at_us,
        }));
    }

    /// The first end stands.
    pub fn end(&self, number: u64, outcome: &Outcome) {
        let outcome = outcome.clone();
        self.write(What::End { number, outcome });
    }

    pub fn find_end(&self, number: u64) -> Option<Outcome> {
        self.lock().ends.get(&number).cloned()
    }

    pub fn done(&self, number: u64) {
        self.write(What::Done(number));
    }

    /// An upload begins, or its bytes have come.
    pub fn begin_upload(&self, id: &str, bytes: Option<&Bytes>) {
        self.write(What::Begun {
            id: id.to_owned(),
            sha256: bytes.map(|bytes| self.keep_sound(bytes)),
        });
    }

    /// One that has been begun and not completed: the hash of its bytes, where they have come.
    pub fn find_begun(&self, id: &str) -> Option<Option<String>> {
        self.lock().begun.get(id).cloned()
    }

    pub fn begun_count(&self) -> usize {
        self.lock().begun.len()
    }

    /// Keeps an upload under the vendor's id of it, and says its hash.
    pub fn upload(&self, id: &str, bytes: &Bytes) -> String {
        let sha256 = self.keep_sound(bytes);
        self.complete_upload(id, &sha256);
        sha256
    }

    pub fn complete_upload(&self, id: &str, sha256: &str) {
        self.write(What::Upload {
            id: id.to_owned(),
            sha256: sha256.to_owned(),
        });
    }

    pub fn find_upload(&self, id: &str) -> Option<String> {
        self.lock().uploads.get(id).cloned()
    }

    pub fn keep_sound(&self, bytes: &Bytes) -> String {
        let sha256 = hex(&Sha256::digest(bytes));
        let mut inner = self.lock();
        if inner.sounds.len() < RECORDINGS_MAX && !inner.sounds.contains_key(&sha256) {
            if let Some((_, folder)) = &inner.file {
                fs::create_dir_all(folder).expect("the record's folder can be made");
                fs::write(folder.join(&sha256), bytes).expect("a recording can be kept");
            }
            inner.sounds.insert(sha256.clone(), bytes.clone());
        }
        sha256
    }

    pub fn sound(&self, sha256: &str) -> Option<Bytes> {
        let inner = self.lock();
        let kept = || {
            let (_, folder) = inner.file.as_ref()?;
            fs::read(folder.join(sha256)).ok().map(Bytes::from)
        };
        inner.sounds.get(sha256).cloned().or_else(kept)
    }

    /// Whether this key came before, and with the same request.
    pub fn known(&self, key: &str, fingerprint: &str, now_us: i64) -> Known {
        let memory_us = i64::try_from(KEY_MEMORY.as_micros()).unwrap_or(i64::MAX);
        match self.lock().keys.get(key) {
            Some((_, _, at_us)) if now_us - at_us > memory_us => Known::No,
            Some((print, id, _)) if print == fingerprint => Known::Same(id.clone()),
            Some(_) => Known::Other,
            None => Known::No,
        }
    }

    /// How many send requests for this recipient came before; counts this one.
    pub fn nth(&self, recipient: &str) -> u32 {
        let mut inner = self.lock();
        if inner.by_recipient.len() >= ENTRIES_MAX {
            inner.by_recipient.clear();
        }
        let count = inner.by_recipient.entry(recipient.to_owned()).or_insert(0);
        *count += 1;
        *count - 1
    }

    pub fn has_dropped(&self, number: u64) -> bool {
        self.lock().dropped.contains(&number)
    }

    /// Messages that were taken and of which not all has been said.
    pub fn open_ones(&self) -> Vec<Taken> {
        let inner = self.lock();
        let done: HashSet<u64> = inner.record.done.iter().copied().collect();
        let is_open = |taken: &&Taken| !done.contains(&taken.number);
        inner.record.taken.iter().filter(is_open).cloned().collect()
    }

    /// Without a copy of it all.
    pub fn with<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.lock().record)
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Inner {
    fn remember(&mut self, what: What) {
        let record = &mut self.record;
        match what {
            What::Request(seen) => push(&mut record.requests, seen),
            What::Taken(taken) => {
                self.last_number = taken.number.max(self.last_number);
                if let (Some(key), Some(print)) = (&taken.key, &taken.fingerprint) {
                    let memory = (print.clone(), taken.id.clone(), taken.at_us);
                    self.keys.insert(key.clone(), memory);
                }
                push(&mut record.taken, taken);
            }
            What::Drop(dropped) => {
                self.dropped.insert(dropped.number);
                push(&mut record.drops, dropped);
            }
            What::End { number, outcome } => {
                self.ends.entry(number).or_insert(outcome);
            }
            What::Callback(said) => push(&mut record.callbacks, said),
            What::Wrong(text) => push(&mut record.wrongs, text),
            What::Begun { id, sha256 } => {
                self.begun.insert(id, sha256);
            }
            What::Upload { id, sha256 } => {
                self.begun.remove(&id);
                self.uploads.insert(id, sha256);
            }
            What::Done(number) => push(&mut record.done, number),
        }
    }
}

fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() < ENTRIES_MAX {
        list.push(item);
    }
}

/// Beside the record: `FILE.audio/<sha256>`.
fn sounds_folder(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".audio");
    PathBuf::from(name)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
