//! `send`: one voicemail, and on request what becomes of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use prost::bytes::Bytes;
use prost_types::Timestamp;
use tonic::Status;

use super::check::PlaceArgs;
use super::client::{Client, ClientArgs, in_time, persistently, request_id};
use super::find::{self, Meant};
use super::{audio, follow, json, parse, show, voicemails};
use crate::grpc::pb;
use crate::grpc::pb::send_voicemail_request::Payload;

#[derive(Debug, Args)]
#[command(
    after_help = "With --wait the exit code says how it ended: 0 delivered, 3 not delivered, 4 failed, 5 skipped or \
                        cancelled, 6 unconfirmed or still open at --timeout."
)]
pub struct SendArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The MP3, 10 to 60 seconds and at most 8 MiB; `-` reads standard input
    #[arg(required_unless_present = "audio_id", conflicts_with = "audio_id")]
    file: Option<PathBuf>,
    /// Play audio that is stored already, instead of a file
    #[arg(long, value_name = "ID")]
    audio_id: Option<String>,
    /// The recipient's number, in E.164, such as +12125550123
    #[arg(long, value_name = "NUMBER")]
    to: String,
    /// The use case to send for: its id, or ENTITY/NAME
    #[arg(long, value_name = "USE_CASE")]
    use_case: String,
    /// Makes a repeat safe: the same id with the same content sends nothing twice. Made here where none is given
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    request_id: Option<String>,
    /// A mark of yours, to find it by; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse::label)]
    label: Vec<(String, String)>,
    /// Do not let it leave before this time (RFC 3339), up to 90 days ahead
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    schedule: Option<Timestamp>,
    /// Do not hand it over from this time on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    expire: Option<Timestamp>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Have everything judged, and send nothing
    #[arg(long, conflicts_with = "wait")]
    validate_only: bool,
    /// Follow it to its end, and print each status
    #[arg(long)]
    wait: bool,
    /// How long --wait follows it
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "wait")]
    timeout: u64,
    /// Print the voicemail as JSON; with --wait as it was last seen
    #[arg(long)]
    json: bool,
}

pub async fn run(args: SendArgs) -> anyhow::Result<ExitCode> {
    let bytes = match &args.file {
        Some(path) => audio::read(path)?,
        None => Bytes::new(),
    };
    let is_new_id = args.request_id.is_none();
    let metadata = pb::SendVoicemailMetadata {
        use_case_id: String::new(),
        recipient_phone_number: args.to,
        audio_id: args.audio_id.unwrap_or_default(),
        request_id: request_id(args.request_id),
        schedule_time: args.schedule,
        expire_time: args.expire,
        labels: voicemails::labels(args.label)?,
        validate_only: args.validate_only,
        time_zone: args.place.time_zone,
        postal_code: args.place.postal_code,
    };
    let client = args.client.connect().await?;
    let use_case_id = find::use_case(&client, &args.use_case, Meant::Sender).await?;
    let metadata = pb::SendVoicemailMetadata {
        use_case_id,
        ..metadata
    };
    if is_new_id && !args.validate_only {
        // Before the call, so that it is known even where no answer comes.
        eprintln!(
            "request id {} (to repeat this send safely, give it with --request-id)",
            metadata.request_id
        );
    }
    let advice = repeat_advice(&metadata);
    let voicemail = match send(&client, metadata, bytes).await {
        Ok(voicemail) => voicemail,
        Err(status) => {
            let may_be_done = super::client::may_be_done(&status);
            let error = anyhow::Error::from(status);
            return Err(if may_be_done {
                error.context(advice)
            } else {
                error
            });
        }
    };
    if !args.wait {
        show::say_one(
            args.json,
            || json::voicemail(&voicemail),
            || summary(&voicemail),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let last = wait(
        &client,
        voicemail,
        Duration::from_secs(args.timeout),
        args.json,
    )
    .await?;
    if args.json {
        show::say(json::voicemail(&last).pretty())?;
    }
    Ok(ExitCode::from(follow::exit_code(last.status)))
}

fn repeat_advice(metadata: &pb::SendVoicemailMetadata) -> String {
    format!(
        "it may have been taken; the same command with --request-id {} sends nothing twice",
        metadata.request_id
    )
}

/// Streams the audio, or none where the metadata names stored audio. Every call carries the same
/// request id, so it is safe to repeat.
pub async fn send(
    client: &Client,
    metadata: pb::SendVoicemailMetadata,
    bytes: Bytes,
) -> Result<pb::Voicemail, Status> {
    let mut service = client.voicemails.clone();
    let bar = audio::progress(&bytes);
    let answer = persistently(async || {
        let first = pb::SendVoicemailRequest {
            payload: Some(Payload::Metadata(metadata.clone())),
        };
        let pieces = audio::chunks(bytes.clone(), bar.clone());
        let pieces = pieces.map(|chunk| pb::SendVoicemailRequest {
            payload: Some(Payload::AudioChunk(chunk)),
        });
        service
            .send_voicemail(in_time(tokio_stream::iter(
                std::iter::once(first).chain(pieces),
            )))
            .await
    })
    .await;
    bar.finish_and_clear();
    Ok(answer?.into_inner().voicemail.unwrap_or_default())
}

/// What one wants to know of a voicemail just taken.
fn summary(voicemail: &pb::Voicemail) -> String {
    let length = show::length(voicemail.audio.as_ref().and_then(|audio| audio.duration));
    let status = match voicemail.id.is_empty() {
        true => "good: it would be taken; nothing was sent".to_owned(),
        false => show::status_and_reason(voicemail),
    };
    show::fields(&[
        ("voicemail", voicemail.id.clone()),
        ("status", status),
        ("to", voicemail.recipient_phone_number.clone()),
        ("from", voicemail.sender_phone_number.clone()),
        ("length", length),
        ("leaves at", show::time(voicemail.schedule_time)),
    ])
}

/// Follows it and prints each state; beside JSON on stderr, so that stdout stays readable to programs.
async fn wait(
    client: &Client,
    voicemail: pb::Voicemail,
    timeout: Duration,
    is_json: bool,
) -> anyhow::Result<pb::Voicemail> {
    let say = |line: String| match is_json {
        true => {
            eprintln!("{line}");
            Ok(())
        }
        false => show::say(line),
    };
    let started = tokio::time::Instant::now();
    say(format!(
        "voicemail {} to {} from {}",
        voicemail.id, voicemail.recipient_phone_number, voicemail.sender_phone_number
    ))?;
    let last = follow::to_end(client, voicemail, follow::PATIENT, timeout, |now| {
        say(format!(
            "{:>8.3} s  {}",
            started.elapsed().as_secs_f64(),
            follow::step(now)
        ))
    })
    .await?;
    if follow::is_open(last.status) {
        say(format!(
            "still {} after {} s; `ringless get {}` asks again",
            show::status(last.status),
            timeout.as_secs(),
            last.id
        ))?;
    } else if !last.status_detail.is_empty() {
        say(show::clean(&last.status_detail))?;
    }
    Ok(last)
}
