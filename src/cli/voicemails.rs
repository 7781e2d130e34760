//! `list`, `get`: looking at voicemails.

use std::collections::BTreeMap;

use clap::Args;
use prost_types::Timestamp;

use super::client::{Client, ClientArgs, persistently, soon};
use super::failure::Usage;
use super::find::{self, Meant};
use super::pages::{self, Paging, Shape};
use super::{json, parse, show};
use crate::grpc::pb;

/// What a list and a report can be narrowed to. All that is given must hold.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Filters, of which all that are given must hold")]
pub struct Filters {
    /// Of this use case: its id, or ENTITY/NAME
    #[arg(long, value_name = "USE_CASE")]
    use_case: Option<String>,
    /// Through this setup
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    setup: String,
    /// In any of these statuses, such as delivered,not-delivered
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = parse::voicemail_status)]
    status: Vec<pb::VoicemailStatus>,
    /// With any of these failure reasons, such as mailbox-full,busy
    #[arg(long, value_name = "REASON", value_delimiter = ',', value_parser = parse::failure_reason)]
    failure_reason: Vec<pb::FailureReason>,
    /// To this number, in E.164
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "",
        hide_default_value = true
    )]
    recipient: String,
    /// From this number, in E.164
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "",
        hide_default_value = true
    )]
    sender: String,
    /// Sent with this request id
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
    /// Made by this batch
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    batch: String,
    /// With this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse::label)]
    label: Vec<(String, String)>,
    /// Ended at this time or later: RFC 3339, or a day (UTC)
    #[arg(long, value_name = "TIME", value_parser = parse::moment_utc)]
    ended_from: Option<Timestamp>,
    /// Ended before this time
    #[arg(long, value_name = "TIME", value_parser = parse::moment_utc)]
    ended_to: Option<Timestamp>,
    /// Changed at this time or later
    #[arg(long, value_name = "TIME", value_parser = parse::moment_utc)]
    updated_from: Option<Timestamp>,
}

impl Filters {
    /// As ListVoicemails takes them.
    pub async fn for_list(self, client: &Client) -> anyhow::Result<pb::ListVoicemailsRequest> {
        let use_case_id = match &self.use_case {
            Some(given) => find::use_case(client, given, Meant::TheOnly).await?,
            None => String::new(),
        };
        Ok(pb::ListVoicemailsRequest {
            use_case_id,
            setup_id: self.setup,
            statuses: parse::numbers(&self.status),
            failure_reasons: parse::numbers(&self.failure_reason),
            recipient_phone_number: self.recipient,
            sender_phone_number: self.sender,
            request_id: self.request_id,
            labels: labels(self.label)?,
            end_time_from: self.ended_from,
            end_time_to: self.ended_to,
            update_time_from: self.updated_from,
            batch_id: self.batch,
            ..pb::ListVoicemailsRequest::default()
        })
    }

    /// As GetDeliveryReport takes them.
    pub async fn for_report(self, client: &Client) -> anyhow::Result<pb::GetDeliveryReportRequest> {
        let same = self.for_list(client).await?;
        Ok(pb::GetDeliveryReportRequest {
            use_case_id: same.use_case_id,
            setup_id: same.setup_id,
            statuses: same.statuses,
            failure_reasons: same.failure_reasons,
            recipient_phone_number: same.recipient_phone_number,
            sender_phone_number: same.sender_phone_number,
            request_id: same.request_id,
            labels: same.labels,
            end_time_from: same.end_time_from,
            end_time_to: same.end_time_to,
            update_time_from: same.update_time_from,
            batch_id: same.batch_id,
            ..pb::GetDeliveryReportRequest::default()
        })
    }
}

/// Labels as they were typed; a key twice is a slip.
pub fn labels(given: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Usage> {
    let mut labels = BTreeMap::new();
    for (key, value) in given {
        if labels.contains_key(&key) {
            return Err(Usage(format!("the label `{key}` is given twice")));
        }
        labels.insert(key, value);
    }
    Ok(labels)
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    paging: Paging,
    /// Created at this time or later: RFC 3339, or a day (UTC)
    #[arg(long, value_name = "TIME", value_parser = parse::moment_utc)]
    created_from: Option<Timestamp>,
    /// Created before this time
    #[arg(long, value_name = "TIME", value_parser = parse::moment_utc)]
    created_to: Option<Timestamp>,
    #[command(flatten)]
    filters: Filters,
}

pub async fn list(args: ListArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let filters = args.filters.for_list(&client).await?;
    let request = pb::ListVoicemailsRequest {
        create_time_from: args.created_from,
        create_time_to: args.created_to,
        ..filters
    };
    let shape = Shape {
        name: "voicemails",
        what: "voicemails",
        columns: &[
            ("VOICEMAIL", 36),
            ("STATUS", 13),
            ("TO", 12),
            ("FROM", 12),
            ("CREATED", 20),
            ("ENDED", 20),
            ("REASON", 0),
        ],
        row,
        json: json::voicemail,
    };
    let mut service = client.voicemails.clone();
    pages::print(args.paging, shape, async move |page_size, page_token| {
        let page = service.list_voicemails(soon(pb::ListVoicemailsRequest {
            page_size,
            page_token,
            ..request.clone()
        }));
        let page = page.await?.into_inner();
        Ok((page.voicemails, page.next_page_token))
    })
    .await
}

fn row(voicemail: &pb::Voicemail) -> Vec<String> {
    vec![
        voicemail.id.clone(),
        show::status(voicemail.status),
        voicemail.recipient_phone_number.clone(),
        voicemail.sender_phone_number.clone(),
        show::time(voicemail.create_time),
        show::time(voicemail.end_time),
        show::reason(voicemail.failure_reason),
    ]
}

#[derive(Debug, Args)]
pub struct GetArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The voicemail's id
    id: String,
    /// Print the voicemail as JSON
    #[arg(long)]
    json: bool,
}

pub async fn get(args: GetArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.voicemails;
    let request = pb::GetVoicemailRequest {
        voicemail_id: args.id,
        view: pb::VoicemailView::Full as i32,
    };
    let answer = persistently(async || service.get_voicemail(soon(request.clone())).await).await?;
    let voicemail = answer.into_inner().voicemail.unwrap_or_default();
    show::say_one(
        args.json,
        || json::voicemail(&voicemail),
        || show::voicemail(&voicemail),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_given_once() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let two = labels(vec![pair("a", "1"), pair("b", "1")]).expect("two labels");
        assert_eq!(two.len(), 2);
        assert!(labels(vec![pair("a", "1"), pair("a", "2")]).is_err());
    }
}
