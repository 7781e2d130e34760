//! `update`: when a voicemail that still waits leaves and expires.

use clap::Args;
use prost_types::{FieldMask, Timestamp};

use super::client::{ClientArgs, persistently, soon};
use super::{json, parse, show};
use crate::grpc::pb;

#[derive(Debug, Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The voicemail's id
    id: String,
    /// Do not let it leave before this time (RFC 3339), up to 90 days ahead; `now` lets it leave at once
    #[arg(long, value_name = "TIME", value_parser = time_or_now, required_unless_present = "expire_time")]
    schedule_time: Option<When>,
    /// Do not hand it over from this time on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    expire_time: Option<Timestamp>,
    /// Print the voicemail as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy)]
enum When {
    Now,
    At(Timestamp),
}

fn time_or_now(text: &str) -> Result<When, String> {
    match text {
        "now" => Ok(When::Now),
        text => parse::time(text).map(When::At),
    }
}

pub async fn run(args: UpdateArgs) -> anyhow::Result<()> {
    let mut paths = Vec::new();
    let mut voicemail = pb::Voicemail {
        id: args.id,
        ..Default::default()
    };
    if let Some(when) = args.schedule_time {
        paths.push("schedule_time".to_owned());
        voicemail.schedule_time = match when {
            When::Now => None,
            When::At(time) => Some(time),
        };
    }
    if args.expire_time.is_some() {
        paths.push("expire_time".to_owned());
        voicemail.expire_time = args.expire_time;
    }
    let request = pb::UpdateVoicemailRequest {
        voicemail: Some(voicemail),
        update_mask: Some(FieldMask { paths }),
    };
    let mut service = args.client.connect().await?.voicemails;
    let answer =
        persistently(async || service.update_voicemail(soon(request.clone())).await).await?;
    let voicemail = answer.into_inner().voicemail.unwrap_or_default();
    show::say_one(
        args.json,
        || json::voicemail(&voicemail),
        || show::voicemail(&voicemail),
    )
}
