//! The sandbox's mailboxes on disk: `<recipient without +>/<voicemail id>.mp3` with a `.json`
//! beside it, and `drops.jsonl` with one line per drop.
//!
//! A line in `drops.jsonl` is the drop. It is written last, under the file's exclusive lock, after
//! the MP3 was written aside, synced and renamed; so whatever the moment of a crash, a repeat
//! either finds the line and does nothing, or does it all again to the same names.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::carrier::Message;
use crate::domain::hex;
use crate::domain::ids::VoicemailId;
use crate::domain::time::Time;

pub struct Mailboxes {
    folder: PathBuf,
    /// What has been read of drops.jsonl so far; the file itself is the truth.
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    read_bytes: u64,
    drops: HashMap<VoicemailId, Time>,
}

/// A line of `drops.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
struct DropLine {
    voicemail_id: String,
    time: String,
    sha256: String,
}

/// The `.json` beside an MP3.
#[derive(Debug, Serialize)]
struct Envelope<'a> {
    voicemail_id: String,
    sender_phone_number: &'a str,
    recipient_phone_number: &'a str,
    time: String,
    sha256: String,
}

impl Mailboxes {
    pub fn new(folder: PathBuf) -> Mailboxes {
        Mailboxes {
            folder,
            index: Mutex::default(),
        }
    }

    /// Where a voicemail's MP3 lies once it is dropped.
    pub fn mp3_path(folder: &Path, recipient_e164: &str, id: VoicemailId) -> PathBuf {
        folder
            .join(recipient_e164.trim_start_matches('+'))
            .join(format!("{id}.mp3"))
    }

    /// Drops it, unless its id was dropped before.
    pub fn drop_once(&self, message: &Message, audio: &[u8], now: Time) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut index = self
            .index
            .lock()
            .map_err(|_| io::Error::other("another drop panicked"))?;
        let mut lines = self.open_locked()?;
        cut_torn_line(&mut lines)?;
        index.read_on(&mut lines)?;
        if index.drops.contains_key(&message.voicemail_id) {
            return Ok(());
        }
        let path =
            Mailboxes::mp3_path(&self.folder, message.recipient.e164(), message.voicemail_id);
        if let Some(mailbox) = path.parent() {
            fs::create_dir_all(mailbox)?;
        }
        let sha256 = hex(&message.audio_sha256);
        let envelope = Envelope {
            voicemail_id: message.voicemail_id.to_string(),
            sender_phone_number: message.sender.e164(),
            recipient_phone_number: message.recipient.e164(),
            time: now.to_string(),
            sha256: sha256.clone(),
        };
        write_whole(
            &path.with_extension("json"),
            &serde_json::to_vec_pretty(&envelope)?,
        )?;
        write_whole(&path, audio)?;
        let line = DropLine {
            voicemail_id: envelope.voicemail_id,
            time: envelope.time,
            sha256,
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        lines.seek(SeekFrom::End(0))?;
        lines.write_all(&text)?;
        lines.sync_all()?;
        index.read_on(&mut lines)
        // Closing the file gives its lock back.
    }

    /// When a voicemail was dropped.
    pub fn find(&self, id: VoicemailId) -> io::Result<Option<Time>> {
        fs::create_dir_all(&self.folder)?;
        let mut index = self
            .index
            .lock()
            .map_err(|_| io::Error::other("a drop panicked"))?;
        let mut lines = self.open_locked()?;
        cut_torn_line(&mut lines)?;
        index.read_on(&mut lines)?;
        Ok(index.drops.get(&id).copied())
    }

    fn open_locked(&self) -> io::Result<File> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.folder.join("drops.jsonl"))?;
        file.lock()?;
        Ok(file)
    }
}

impl Index {
    /// Reads the lines that came since the last time; from the start where the file was replaced.
    fn read_on(&mut self, file: &mut File) -> io::Result<()> {
        let length = file.metadata()?.len();
        if length < self.read_bytes {
            *self = Index::default();
        }
        file.seek(SeekFrom::Start(self.read_bytes))?;
        let mut text = Vec::new();
        file.take(length - self.read_bytes).read_to_end(&mut text)?;
        for line in text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let line: DropLine = serde_json::from_slice(line)?;
            let id = VoicemailId::parse(&line.voicemail_id).map_err(io::Error::other)?;
            let time: jiff::Timestamp = line.time.parse().map_err(io::Error::other)?;
            self.drops
                .entry(id)
                .or_insert(Time::from_micros(time.as_microsecond()));
        }
        self.read_bytes = length;
        Ok(())
    }
}

/// A crash in the middle of a line leaves a torn one, which counts as never written.
fn cut_torn_line(file: &mut File) -> io::Result<()> {
    const STEP: u64 = 4_096;
    let length = file.metadata()?.len();
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        let mut part = vec![0; usize::try_from(end - start).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Written aside, synced, renamed, and the folder synced: a name is never half a file.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("part");
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::phone::PhoneNumber;

    fn message() -> Message {
        Message {
            voicemail_id: VoicemailId::generate(),
            sender: PhoneNumber::from_stored("+12125550150".to_owned()),
            recipient: PhoneNumber::from_stored("+12125550100".to_owned()),
            audio_sha256: [7; 32],
        }
    }

    fn lines(folder: &Path) -> usize {
        fs::read_to_string(folder.join("drops.jsonl")).map_or(0, |text| text.lines().count())
    }

    #[test]
    fn a_voicemail_is_dropped_once_however_often_it_is_handed_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let message = message();
        let now = Time::from_micros(1_700_000_000_123_456);
        for _ in 0..3 {
            // Each time another process, and the same one twice.
            let mailboxes = Mailboxes::new(folder.path().to_owned());
            mailboxes
                .drop_once(&message, b"sound", now)
                .expect("dropped");
            mailboxes
                .drop_once(&message, b"other sound", now)
                .expect("known");
        }
        assert_eq!(lines(folder.path()), 1);
        let path = Mailboxes::mp3_path(folder.path(), "+12125550100", message.voicemail_id);
        assert_eq!(fs::read(&path).expect("it lies there"), b"sound");
        let envelope = fs::read_to_string(path.with_extension("json")).expect("it lies there");
        assert!(envelope.contains("+12125550150"), "{envelope}");
        assert_eq!(
            Mailboxes::new(folder.path().to_owned())
                .find(message.voicemail_id)
                .expect("readable"),
            Some(now)
        );
    }

    #[test]
    fn a_torn_last_line_is_cut_and_the_drop_done_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (first, second) = (message(), message());
        let mailboxes = Mailboxes::new(folder.path().to_owned());
        mailboxes
            .drop_once(&first, b"1", Time::EPOCH)
            .expect("dropped");
        mailboxes
            .drop_once(&second, b"2", Time::EPOCH)
            .expect("dropped");
        let path = folder.path().join("drops.jsonl");
        let whole = fs::read(&path).expect("readable");
        for kept in [whole.len() - 1, whole.len() - 40, whole.len() / 2 + 1] {
            fs::write(&path, &whole[..kept]).expect("writable");
            let again = Mailboxes::new(folder.path().to_owned());
            assert_eq!(
                again.find(second.voicemail_id).expect("readable"),
                None,
                "{kept}"
            );
            again
                .drop_once(&second, b"2", Time::EPOCH)
                .expect("dropped");
            assert_eq!(lines(folder.path()), 2);
        }
    }

    #[test]
    fn many_workers_drop_each_voicemail_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let messages: Vec<Message> = (0..10).map(|_| message()).collect();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mailboxes = Mailboxes::new(folder.path().to_owned());
                    for message in &messages {
                        mailboxes
                            .drop_once(message, b"sound", Time::EPOCH)
                            .expect("dropped");
                    }
                });
            }
        });
        assert_eq!(lines(folder.path()), 10);
    }
}
