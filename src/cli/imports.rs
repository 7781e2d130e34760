//! `suppressions import`: a CSV file is sent while what came of its lines is told.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use prost::bytes::Bytes;
use prost_types::Timestamp;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::client::{ClientArgs, within_an_hour};
use super::scopes::ScopeArgs;
use super::suppressions::Origin;
use super::{json, parse, show};
use crate::grpc::pb;
use pb::import_suppressions_request::Payload;
use pb::import_suppressions_response::News;

const CHUNK_BYTES: usize = 64 * 1_024;
/// Chunks that are read ahead of the server.
const AHEAD: usize = 4;

#[derive(Debug, Args)]
#[command(
    after_help = "The first line names the columns: phone_number is needed; reason, note and expire_time are read where they are there. \
                  The exit code is 0 where every line was read, 1 where some were bad. The same import again adds what is missing."
)]
pub struct ImportArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The CSV file (UTF-8); `-` reads standard input
    file: PathBuf,
    /// Why, for lines that do not say so themselves: opt-out, complaint, litigator, reassigned, wrong-number, carrier-dnc
    #[arg(long, value_parser = parse::suppression_reason)]
    reason: Option<pb::SuppressionReason>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    origin: Origin,
    /// Until this time only, for lines that do not say so themselves: RFC 3339, or a day (UTC)
    #[arg(long, value_name = "TIME", value_parser = parse::moment_utc)]
    expire: Option<Timestamp>,
    /// What the file calls a column, such as phone_number=Telephone; may be given several times
    #[arg(long, value_name = "COLUMN=NAME", value_parser = parse::label)]
    column: Vec<(String, String)>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let is_stdin = args.file.as_os_str() == "-";
    let place = || format!("`{}` can't be read", args.file.display());
    let (input, size): (Box<dyn Read + Send>, Option<u64>) = match is_stdin {
        true => (Box::new(std::io::stdin()), None),
        false => {
            let file = std::fs::File::open(&args.file).with_context(place)?;
            let size = file.metadata().with_context(place)?.len();
            (Box::new(file), Some(size))
        }
    };
    let client = args.client.connect().await?;
    let header = pb::ImportSuppressionsHeader {
        default_reason: args.reason.map_or(0, |reason| reason as i32),
        scope: args.scope.find(&client).await?,
        source: args.origin.source,
        actor: args.origin.actor,
        expire_time: args.expire,
        columns: args.column.into_iter().collect(),
    };
    let bar = progress(size);
    let (sender, receiver) = mpsc::channel(AHEAD);
    let counted = bar.clone();
    let sending = tokio::task::spawn_blocking(move || send(header, input, &sender, &counted));
    let mut service = client.suppressions;
    let told = async {
        let request = within_an_hour(ReceiverStream::new(receiver));
        let mut answers = service.import_suppressions(request).await?.into_inner();
        let mut summary = None;
        while let Some(answer) = answers.message().await? {
            match answer.news {
                Some(News::BadLine(bad)) => {
                    let problem = show::clean(&bad.problem);
                    bar.suspend(|| eprintln!("line {}: {problem}", bad.line_number));
                }
                Some(News::Progress(now)) => bar.set_message(so_far(&now)),
                Some(News::Summary(all)) => summary = Some(all),
                None => {}
            }
        }
        Ok::<_, tonic::Status>(summary)
    };
    let told = told.await;
    bar.finish_and_clear();
    let summary = told.map_err(|status| {
        anyhow::Error::from(status)
            .context("some lines may have been added; the same import again adds what is missing")
    })?;
    // A file that breaks off ends the stream, which the server takes for its end.
    sending
        .await
        .context("the reading of the file broke off")?
        .with_context(place)?;
    let Some(summary) = summary else {
        bail!("the server ended the import without a summary; send it again");
    };
    show::say_one(
        args.json,
        || json::import_progress(&summary),
        || {
            show::fields(&[
                ("lines", summary.line_count.to_string()),
                ("added", summary.added_count.to_string()),
                ("known", summary.known_count.to_string()),
                ("bad", summary.bad_count.to_string()),
                ("ended", format!("{} waiting", summary.skipped_count)),
            ])
        },
    )?;
    Ok(match summary.bad_count {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn so_far(progress: &pb::ImportProgress) -> String {
    format!(
        "{} lines, {} added, {} bad",
        progress.line_count, progress.added_count, progress.bad_count
    )
}

/// The header, then the file piece by piece, as fast as the server takes it.
fn send(
    header: pb::ImportSuppressionsHeader,
    mut input: Box<dyn Read + Send>,
    sender: &mpsc::Sender<pb::ImportSuppressionsRequest>,
    bar: &ProgressBar,
) -> std::io::Result<()> {
    let put = |payload| {
        let message = pb::ImportSuppressionsRequest {
            payload: Some(payload),
        };
        // A server that takes no more has said why.
        sender.blocking_send(message).is_ok()
    };
    if !put(Payload::Header(header)) {
        return Ok(());
    }
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let length = input.read(&mut buffer)?;
        let chunk = Bytes::copy_from_slice(&buffer[..length]);
        if length == 0 || !put(Payload::CsvChunk(chunk)) {
            return Ok(());
        }
        bar.inc(length as u64);
    }
}

const BAR: &str = "importing {bar:30} {bytes} of {total_bytes}  {msg}";

/// On stderr, where that is a terminal; else nothing.
fn progress(bytes: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr());
    // The template is a constant that parses, as a test sees; otherwise the bar keeps its own.
    match ProgressStyle::with_template(BAR) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_one_that_indicatif_reads() {
        assert!(ProgressStyle::with_template(BAR).is_ok());
    }

    #[test]
    fn a_file_is_sent_whole_behind_its_header() {
        let (sender, mut receiver) = mpsc::channel(AHEAD);
        let text = vec![b'x'; CHUNK_BYTES + 1];
        let input = Box::new(std::io::Cursor::new(text.clone()));
        let bar = ProgressBar::hidden();
        send(
            pb::ImportSuppressionsHeader::default(),
            input,
            &sender,
            &bar,
        )
        .expect("sent");
        drop(sender);
        let first = receiver.blocking_recv().and_then(|message| message.payload);
        assert!(matches!(first, Some(Payload::Header(_))));
        let mut sent = Vec::new();
        while let Some(message) = receiver.blocking_recv() {
            match message.payload {
                Some(Payload::CsvChunk(chunk)) => sent.extend_from_slice(&chunk),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sent, text);
        assert_eq!(bar.position(), text.len() as u64);
    }
}
