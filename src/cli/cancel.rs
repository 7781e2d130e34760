//! `cancel`: one voicemail, or all that wait of a batch, a use case, a setup or a label.

use clap::Args;
use tonic::Status;
use tonic_types::StatusExt;

use super::client::{Client, ClientArgs, in_time, persistently, soon};
use super::find::{self, Meant};
use super::voicemails::labels;
use super::{json, parse, show};
use crate::grpc::pb;

#[derive(Debug, Args)]
pub struct CancelArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The voicemail's id
    #[arg(required_unless_present_any = ["batch", "use_case", "setup", "label"])]
    id: Option<String>,
    #[command(flatten)]
    many: ManyArgs,
    /// Print the voicemail, or what was done, as JSON
    #[arg(long)]
    json: bool,
}

/// All that are given must hold.
#[derive(Debug, Args)]
#[command(next_help_heading = "Instead of one: all that wait and for which all of these hold")]
struct ManyArgs {
    /// Made by this batch, or by this `ringless batch`
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    batch: Option<String>,
    /// Of this use case: its id, or ENTITY/NAME
    #[arg(long, value_name = "USE_CASE", conflicts_with = "id")]
    use_case: Option<String>,
    /// Through this setup
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    setup: Option<String>,
    /// With this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse::label, conflicts_with = "id")]
    label: Vec<(String, String)>,
}

pub async fn run(args: CancelArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    match args.id {
        Some(id) => one(&client, id, args.json).await,
        None => many(&client, args.many, args.json).await,
    }
}

async fn one(client: &Client, voicemail_id: String, is_json: bool) -> anyhow::Result<()> {
    let mut service = client.voicemails.clone();
    let request = pb::CancelVoicemailRequest { voicemail_id };
    let answer =
        persistently(async || service.cancel_voicemail(soon(request.clone())).await).await?;
    let voicemail = answer.into_inner().voicemail.unwrap_or_default();
    show::say_one(
        is_json,
        || json::voicemail(&voicemail),
        || {
            format!(
                "{} is {}",
                voicemail.id,
                show::status_and_reason(&voicemail)
            )
        },
    )
}

async fn many(client: &Client, args: ManyArgs, is_json: bool) -> anyhow::Result<()> {
    let use_case_id = match &args.use_case {
        Some(given) => find::use_case(client, given, Meant::TheOnly).await?,
        None => String::new(),
    };
    let request = pb::CancelVoicemailsRequest {
        batch_id: args.batch.unwrap_or_default(),
        use_case_id,
        setup_id: args.setup.unwrap_or_default(),
        labels: labels(args.label)?,
    };
    let done = match to_end(client, request.clone()).await {
        Err(status) if is_unknown_batch(&status) => match parts(client, &request).await? {
            Some(done) => done,
            None => return Err(status.into()),
        },
        done => done?,
    };
    show::say_one(
        is_json,
        || json::cancelled(&done),
        || {
            format!(
                "{} cancelled, {} too late, {} had ended before",
                done.cancelled_count, done.too_late_count, done.ended_count
            )
        },
    )
}

/// Calls until every match was looked at.
async fn to_end(
    client: &Client,
    request: pb::CancelVoicemailsRequest,
) -> Result<pb::CancelVoicemailsResponse, Status> {
    let mut service = client.voicemails.clone();
    let mut cancelled = 0;
    loop {
        let call = async || service.cancel_voicemails(in_time(request.clone())).await;
        let done = persistently(call).await?.into_inner();
        cancelled += done.cancelled_count;
        if done.complete {
            return Ok(pb::CancelVoicemailsResponse {
                cancelled_count: cancelled,
                ..done
            });
        }
        eprintln!("{cancelled} cancelled so far");
    }
}

/// The parts that `ringless batch` sends a file in, up to the first that is not there.
async fn parts(
    client: &Client,
    request: &pb::CancelVoicemailsRequest,
) -> Result<Option<pb::CancelVoicemailsResponse>, Status> {
    let mut all: Option<pb::CancelVoicemailsResponse> = None;
    for number in 1_u64.. {
        let part = pb::CancelVoicemailsRequest {
            batch_id: format!("{}/{number}", request.batch_id),
            ..request.clone()
        };
        let done = match to_end(client, part).await {
            Err(status) if is_unknown_batch(&status) => break,
            done => done?,
        };
        let sum = all.get_or_insert_default();
        sum.cancelled_count += done.cancelled_count;
        sum.too_late_count += done.too_late_count;
        sum.ended_count += done.ended_count;
        sum.complete = true;
    }
    Ok(all)
}

fn is_unknown_batch(status: &Status) -> bool {
    let info = status.get_details_error_info();
    info.is_some_and(|info| info.reason == "BATCH_NOT_FOUND")
}
