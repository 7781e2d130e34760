//! `check`: what every gate would say of a voicemail to a recipient, without sending one.

use clap::Args;
use prost_types::Timestamp;

use super::client::{ClientArgs, persistently, soon};
use super::find::{self, Meant};
use super::{json, parse, show, timeline};
use crate::grpc::pb;

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The recipient's number, in E.164, such as +12125550123
    #[arg(long, value_name = "NUMBER")]
    to: String,
    /// The use case that would be sent for: its id, or ENTITY/NAME
    #[arg(long, value_name = "USE_CASE")]
    use_case: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Audio that is stored already, to have its length judged
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    audio_id: String,
    /// When it would be sent (RFC 3339), up to 90 days ahead
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    at: Option<Timestamp>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Where a recipient is, as far as one knows.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// The recipient's IANA time zone, such as America/Chicago
    #[arg(
        long,
        value_name = "ZONE",
        default_value = "",
        hide_default_value = true
    )]
    pub time_zone: String,
    /// The recipient's US ZIP code
    #[arg(
        long,
        value_name = "ZIP",
        default_value = "",
        hide_default_value = true
    )]
    pub postal_code: String,
}

pub async fn run(args: CheckArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let use_case_id = find::use_case(&client, &args.use_case, Meant::Sender).await?;
    let request = pb::CheckRecipientRequest {
        use_case_id,
        recipient_phone_number: args.to,
        time_zone: args.place.time_zone,
        postal_code: args.place.postal_code,
        audio_id: args.audio_id,
        send_time: args.at,
    };
    let mut service = client.voicemails.clone();
    let answer =
        persistently(async || service.check_recipient(soon(request.clone())).await).await?;
    let checked = answer.into_inner();
    show::say_one(args.json, || json::checked(&checked), || lines(&checked))
}

fn lines(checked: &pb::CheckRecipientResponse) -> String {
    let until = match checked.hold_until {
        None => String::new(),
        time => format!(" until {}", show::time(time)),
    };
    let first = format!(
        "{}{until} (rules: {})",
        show::gate_verdict(checked.verdict),
        show::clean(&checked.rules_version)
    );
    let findings = checked.findings.iter().map(timeline::finding);
    let lines: Vec<String> = std::iter::once(first).chain(findings).collect();
    lines.join("\n")
}
