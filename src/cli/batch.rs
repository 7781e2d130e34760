//! `batch`: one MP3 to everybody in a CSV file, in parts that are batches of the server.
//!
//! A part's id comes of the file's content, so the same command goes on where an earlier run of it
//! stopped: what is known already is answered as known, and nobody is sent anything twice.

mod list;
mod outcome;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sha2::{Digest, Sha256};

use super::client::{Client, ClientArgs, in_time, persistently, soon};
use super::failure::Usage;
use super::find::{self, Meant};
use super::{audio, show};
use crate::domain::hex;
use crate::grpc::pb;
use list::{Line, List};
use outcome::{Outcome, ResultFile, Tally};

/// Recipients of one call: few enough for one to be short, and to lose little time where it is repeated.
const PART_MAX: usize = 1_000;
/// Characters of `--batch-id`: a part's number has to fit behind it.
const BATCH_ID_MAX: usize = 90;

#[derive(Debug, Args)]
#[command(
    after_help = "The first line of FILE names its columns: phone_number, and where they are wanted request_id, \
                  schedule_time, expire_time (RFC 3339), time_zone, postal_code and label.KEY. The same command again goes on where an \
                  earlier run stopped. Exit code: 0 all were accepted, 1 some were refused or it did not come to the end."
)]
pub struct BatchArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The recipients, as CSV in UTF-8
    file: PathBuf,
    /// The MP3, 10 to 60 seconds and at most 8 MiB; it is uploaded once
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "audio_id",
        conflicts_with = "audio_id"
    )]
    audio: Option<PathBuf>,
    /// Play audio that is stored already, instead of a file
    #[arg(long, value_name = "ID")]
    audio_id: Option<String>,
    /// The use case to send for: its id, or ENTITY/NAME
    #[arg(long, value_name = "USE_CASE")]
    use_case: String,
    /// The batch's id, at most 90 characters; without it one that comes of the file, the use case and the audio
    #[arg(long, value_name = "ID", value_parser = batch_id)]
    batch_id: Option<String>,
    /// Write what became of each line to this CSV file, once all are done
    #[arg(long, value_name = "OUT.csv")]
    result: Option<PathBuf>,
}

fn batch_id(text: &str) -> Result<String, String> {
    match text.chars().count() {
        1..=BATCH_ID_MAX => Ok(text.to_owned()),
        length => Err(format!(
            "it has {length} characters; give 1 to {BATCH_ID_MAX}"
        )),
    }
}

pub async fn run(args: BatchArgs) -> anyhow::Result<ExitCode> {
    // What is wrong with the files is said before anything is uploaded.
    let (mut list, file_hash) = open(&args.file)?;
    let mut result = match &args.result {
        Some(path) => Some(ResultFile::begin(path, list.header())?),
        None => None,
    };
    let client = args.client.connect().await?;
    let use_case_id = find::use_case(&client, &args.use_case, Meant::Sender).await?;
    let audio = stored_audio(&client, args.audio.as_deref(), args.audio_id.as_deref()).await?;
    let id = match args.batch_id {
        Some(id) => id,
        None => derived_id(&file_hash, &use_case_id, &audio.sha256),
    };
    eprintln!("batch {id} (the same command again goes on where this one stops)");
    let whole = pb::BatchSendVoicemailsRequest {
        use_case_id,
        audio_id: audio.id,
        ..Default::default()
    };
    let bar = progress(list.bytes());
    let mut tally = Tally::default();
    let mut number = 0;
    loop {
        let lines = list.part(PART_MAX)?;
        let Some(last) = lines.last() else { break };
        let last = last.number;
        // A part of which no line can be read is none, so that the parts have no gaps.
        number += i32::from(lines.iter().any(|line| line.recipient.is_ok()));
        let part = pb::BatchSendVoicemailsRequest {
            batch_id: format!("{id}/{number}"),
            ..whole.clone()
        };
        let outcomes = send(&client, part, &lines).await.with_context(|| {
            format!("not all was sent, up to line {last}; the same command goes on from there and sends nobody twice")
        })?;
        for (line, outcome) in lines.iter().zip(&outcomes) {
            tally.count(outcome);
            if let Some(why) = outcome.complaint() {
                bar.suspend(|| eprintln!("line {}: {why}", line.number));
            }
            if let Some(result) = &mut result {
                result.write(line, outcome)?;
            }
        }
        bar.set_position(list.position());
        bar.set_message(tally.to_string());
    }
    bar.finish_and_clear();
    if let Some(result) = result {
        result.finish()?;
    }
    show::say(tally.to_string())?;
    if tally.refused == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    if tally.queue_full > 0 {
        eprintln!(
            "hint: {} of them only because the queue is full (QUEUE_FULL): the same command again sends those, and nobody twice",
            tally.queue_full
        );
    }
    if tally.refused > tally.queue_full {
        eprintln!(
            "hint: mend the refused lines in a file of their own; the whole file, changed, is another batch and is sent to everybody again"
        );
    }
    Ok(ExitCode::FAILURE)
}

/// The list, and the SHA-256 of its file.
fn open(path: &Path) -> anyhow::Result<(List, [u8; 32])> {
    let said = || format!("`{}` can't be read", path.display());
    let mut hash = Sha256::new();
    let mut file = std::fs::File::open(path).with_context(said)?;
    std::io::copy(&mut file, &mut hash).with_context(said)?;
    let list = List::open(path)?;
    Ok((list, hash.finalize().into()))
}

/// The id that the same command comes to again.
fn derived_id(file_hash: &[u8; 32], use_case_id: &str, audio_sha256: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(file_hash);
    hash.update(use_case_id);
    hash.update(audio_sha256);
    format!("csv-{}", &hex(&hash.finalize())[..32])
}

async fn stored_audio(
    client: &Client,
    file: Option<&Path>,
    id: Option<&str>,
) -> anyhow::Result<pb::Audio> {
    if let Some(path) = file {
        return audio::store(client, audio::read(path)?).await;
    }
    let request = pb::GetAudioRequest {
        audio_id: id.unwrap_or_default().to_owned(),
    };
    let mut service = client.voicemails.clone();
    let answer = persistently(async || service.get_audio(soon(request.clone())).await).await?;
    Ok(answer.into_inner().audio.unwrap_or_default())
}

/// Sends the lines that could be read; says for each line what became of it.
async fn send(
    client: &Client,
    mut part: pb::BatchSendVoicemailsRequest,
    lines: &[Line],
) -> anyhow::Result<Vec<Outcome>> {
    let good = lines.iter().filter_map(|line| line.recipient.as_ref().ok());
    part.recipients = good.cloned().collect();
    let mut results = Vec::new();
    if !part.recipients.is_empty() {
        let mut service = client.voicemails.clone();
        let call = async || service.batch_send_voicemails(in_time(part.clone())).await;
        results = persistently(call).await?.into_inner().results;
    }
    if results.len() != part.recipients.len() {
        return Err(Usage(format!(
            "the server answered for {} recipients and was given {}; it may be older than this program",
            results.len(),
            part.recipients.len()
        ))
        .into());
    }
    let mut results = results.into_iter();
    let outcome = |line: &Line| match &line.recipient {
        Err(why) => Outcome::bad_line(why),
        Ok(_) => Outcome::of(results.next().unwrap_or_default()),
    };
    Ok(lines.iter().map(outcome).collect())
}

/// A bar on stderr, where that is a terminal; else nothing.
fn progress(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    // The template is a constant that parses, as a test sees; otherwise the bar keeps its own.
    match ProgressStyle::with_template(BAR) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

const BAR: &str = "{bar:40} {percent} %  {msg}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_one_that_indicatif_reads() {
        assert!(ProgressStyle::with_template(BAR).is_ok());
    }

    #[test]
    fn an_id_leaves_room_for_the_part() {
        for (length, is_good) in [(0, false), (1, true), (89, true), (90, true), (91, false)] {
            assert_eq!(batch_id(&"b".repeat(length)).is_ok(), is_good, "{length}");
        }
    }

    #[test]
    fn the_same_file_use_case_and_audio_come_to_the_same_id() {
        let id = derived_id(&[1; 32], "use case", "audio");
        assert_eq!(id, derived_id(&[1; 32], "use case", "audio"));
        assert_eq!(id.len(), 36);
        for other in [
            derived_id(&[2; 32], "use case", "audio"),
            derived_id(&[1; 32], "another", "audio"),
            derived_id(&[1; 32], "use case", "other"),
        ] {
            assert_ne!(id, other);
        }
    }
}
