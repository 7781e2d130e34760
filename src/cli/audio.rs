//! `audio`: storing audio, and fetching it back. Reading and streaming a file is `send`'s too.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use prost::bytes::Bytes;
use sha2::{Digest, Sha256};

use super::client::{Client, ClientArgs, in_time, persistently, soon};
use super::failure::Usage;
use super::{json, show};
use crate::domain::hex;
use crate::grpc::pb;
use crate::grpc::pb::download_audio_response::Part;
use crate::grpc::pb::upload_audio_request::Payload;

/// The size of a chunk that the contract calls good.
const CHUNK_BYTES: usize = 64 * 1_024;
/// What is read of a file: one chunk more than the server takes, so that a file that is too large is
/// refused by the server in its own words, whatever its size.
const READ_BYTES_MAX: u64 = 8 * 1_024 * 1_024 + CHUNK_BYTES as u64;

#[derive(Debug, Subcommand)]
pub enum AudioCommand {
    /// Store an MP3, to be sent by its id with `send --audio-id`
    Upload(UploadArgs),
    /// Fetch the bytes of stored audio
    Get(GetArgs),
    /// Show what is known of stored audio
    Info(InfoArgs),
}

#[derive(Debug, Args)]
pub struct UploadArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The MP3, 10 to 60 seconds and at most 8 MiB; `-` reads standard input
    file: PathBuf,
    /// Print the audio as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct GetArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The audio's id, as `ringless get VOICEMAIL` shows it
    id: String,
    /// Where to write the MP3; without it, or with `-`, standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print what is known of the audio as JSON, beside writing the file
    #[arg(long, requires = "output")]
    json: bool,
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The audio's id
    id: String,
    /// Print the audio as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(command: AudioCommand) -> anyhow::Result<()> {
    match command {
        AudioCommand::Upload(args) => upload(args).await,
        AudioCommand::Get(args) => get(args).await,
        AudioCommand::Info(args) => info(args).await,
    }
}

async fn upload(args: UploadArgs) -> anyhow::Result<()> {
    let bytes = read(&args.file)?;
    let audio = store(&args.client.connect().await?, bytes).await?;
    show::say_one(args.json, || json::audio(&audio), || show::audio(&audio))
}

/// Uploads an MP3. Safe to repeat: the same bytes are the same audio.
pub async fn store(client: &Client, bytes: Bytes) -> anyhow::Result<pb::Audio> {
    let mut service = client.voicemails.clone();
    let bar = progress(&bytes);
    let answer = persistently(async || {
        let metadata = pb::UploadAudioRequest {
            payload: Some(Payload::Metadata(pb::UploadAudioMetadata {})),
        };
        let pieces = chunks(bytes.clone(), bar.clone());
        let pieces = pieces.map(|chunk| pb::UploadAudioRequest {
            payload: Some(Payload::AudioChunk(chunk)),
        });
        service
            .upload_audio(in_time(tokio_stream::iter(
                std::iter::once(metadata).chain(pieces),
            )))
            .await
    })
    .await;
    bar.finish_and_clear();
    Ok(answer?.into_inner().audio.unwrap_or_default())
}

async fn get(args: GetArgs) -> anyhow::Result<()> {
    let path = args.output.filter(|path| path.as_os_str() != "-");
    if path.is_none() && std::io::stdout().is_terminal() {
        return Err(
            Usage("an MP3 is not for a terminal; name a file with -o FILE".to_owned()).into(),
        );
    }
    if path.is_none() && args.json {
        return Err(Usage(
            "standard output can't be both MP3 and JSON; name a file with -o FILE".to_owned(),
        )
        .into());
    }
    let mut service = args.client.connect().await?.voicemails;
    let mut parts = service
        .download_audio(in_time(pb::DownloadAudioRequest { audio_id: args.id }))
        .await?
        .into_inner();
    let (mut audio, mut bytes) = (pb::Audio::default(), Vec::new());
    while let Some(message) = parts.message().await? {
        match message.part {
            Some(Part::Audio(told)) => audio = told,
            Some(Part::Chunk(chunk)) => bytes.extend_from_slice(&chunk),
            None => {}
        }
    }
    if hex(&Sha256::digest(&bytes)) != audio.sha256 {
        bail!(
            "{} bytes came that are not the audio that was stored (its SHA-256 is another); fetch it again",
            bytes.len()
        );
    }
    let Some(path) = path else {
        return show::put(&bytes);
    };
    std::fs::write(&path, &bytes)
        .with_context(|| format!("`{}` can't be written", path.display()))?;
    show::say_one(
        args.json,
        || json::audio(&audio),
        || {
            format!(
                "{}: {}, {} bytes",
                path.display(),
                show::length(audio.duration),
                bytes.len()
            )
        },
    )
}

async fn info(args: InfoArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.voicemails;
    let request = pb::GetAudioRequest { audio_id: args.id };
    let answer = persistently(async || service.get_audio(soon(request.clone())).await).await?;
    let audio = answer.into_inner().audio.unwrap_or_default();
    show::say_one(args.json, || json::audio(&audio), || show::audio(&audio))
}

/// The bytes of a file, or of standard input for `-`.
pub fn read(path: &Path) -> anyhow::Result<Bytes> {
    let mut bytes = Vec::new();
    let done = match path.as_os_str() == "-" {
        true => std::io::stdin()
            .lock()
            .take(READ_BYTES_MAX)
            .read_to_end(&mut bytes),
        false => std::fs::File::open(path)
            .and_then(|file| file.take(READ_BYTES_MAX).read_to_end(&mut bytes)),
    };
    done.with_context(|| format!("`{}` can't be read", path.display()))?;
    Ok(bytes.into())
}

/// A bar on stderr, where that is a terminal; else nothing.
pub fn progress(bytes: &Bytes) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes.len() as u64), ProgressDrawTarget::stderr());
    // The template is a constant that parses, as a test sees; otherwise the bar keeps its own.
    match ProgressStyle::with_template(BAR) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

const BAR: &str = "sending {bar:40} {bytes} of {total_bytes}";

/// The chunks of one upload, each counted on the bar when it is taken. Starts the bar anew.
pub fn chunks(bytes: Bytes, bar: ProgressBar) -> impl Iterator<Item = Bytes> + Send + 'static {
    bar.reset();
    (0..bytes.len()).step_by(CHUNK_BYTES).map(move |start| {
        let chunk = bytes.slice(start..bytes.len().min(start + CHUNK_BYTES));
        bar.inc(chunk.len() as u64);
        chunk
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_of_64_kib_and_lose_nothing() {
        for size in [
            0,
            1,
            CHUNK_BYTES - 1,
            CHUNK_BYTES,
            CHUNK_BYTES + 1,
            3 * CHUNK_BYTES,
        ] {
            let bytes: Bytes = (0..size).map(|at| (at % 251) as u8).collect();
            let chunks: Vec<Bytes> = chunks(bytes.clone(), ProgressBar::hidden()).collect();
            assert!(
                chunks
                    .iter()
                    .all(|chunk| (1..=CHUNK_BYTES).contains(&chunk.len()))
            );
            assert_eq!(chunks.len(), size.div_ceil(CHUNK_BYTES));
            assert_eq!(chunks.concat(), bytes);
        }
    }

    #[test]
    fn the_bar_is_one_that_indicatif_reads() {
        assert!(ProgressStyle::with_template(BAR).is_ok());
    }

    #[test]
    fn a_file_is_read_as_far_as_a_server_could_take_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("large.mp3");
        std::fs::write(&path, vec![0; 9 * 1_024 * 1_024]).expect("written");
        assert_eq!(read(&path).expect("readable").len() as u64, READ_BYTES_MAX);
        assert!(
            read(&folder.path().join("missing.mp3"))
                .expect_err("missing")
                .to_string()
                .contains("missing.mp3")
        );
    }
}
