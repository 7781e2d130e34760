//! `consents`: who agreed to be sent to.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use prost_types::Timestamp;

use super::client::{Client, ClientArgs, persistently, request_id, soon, within_an_hour};
use super::pages::{self, Paging, Shape};
use super::scopes::{self, Output, ScopeArgs};
use super::suppressions::Origin;
use super::{json, parse, show};
use crate::grpc::pb;

#[derive(Debug, Subcommand)]
pub enum ConsentsCommand {
    /// Record that a recipient has agreed
    Add(AddArgs),
    /// List consents, newest first
    List(ListArgs),
    /// Show one consent, with the text that was shown
    Get(OneArgs),
    /// Note that a recipient has withdrawn a consent
    Revoke(RevokeArgs),
    /// Write consents as CSV
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The recipient's number in E.164, such as +12125550123
    number: String,
    /// How they agreed: express or written
    #[arg(long, value_parser = parse::consent_kind)]
    kind: pb::ConsentKind,
    #[command(flatten)]
    scope: ScopeArgs,
    /// The text that they were shown or read
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    text: String,
    #[command(flatten)]
    origin: Origin,
    /// When they agreed: RFC 3339, or a day (UTC); without it now
    #[arg(long, value_name = "TIME", value_parser = parse::moment_utc)]
    time: Option<Timestamp>,
    /// Makes a repeat safe; made here where none is given
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    request_id: Option<String>,
    /// Print the consent as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct OneArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The consent's id
    id: String,
    /// Print the consent as JSON
    #[arg(long)]
    json: bool,
}

/// Which consents a list or an export has.
#[derive(Debug, Args)]
pub struct Filters {
    /// Of this number
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "",
        hide_default_value = true
    )]
    number: String,
    /// With a scope of this kind: workspace, entity, use-case
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = parse::scope_kind)]
    scope: Vec<pb::ScopeKind>,
    #[command(flatten)]
    about: ScopeArgs,
    /// Of this kind: express, written
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = parse::consent_kind)]
    kind: Vec<pb::ConsentKind>,
    /// Only revoked ones (true), or only those that stand (false)
    #[arg(long, value_name = "BOOL")]
    revoked: Option<bool>,
}

impl Filters {
    async fn find(self, client: &Client) -> anyhow::Result<pb::ConsentFilter> {
        Ok(pb::ConsentFilter {
            phone_number: self.number,
            scope_kinds: parse::numbers(&self.scope),
            scope: self.about.find(client).await?,
            kinds: parse::numbers(&self.kind),
            revoked: self.revoked,
        })
    }
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    filters: Filters,
}

#[derive(Debug, Args)]
pub struct RevokeArgs {
    #[command(flatten)]
    one: OneArgs,
    /// How or why, in one line, such as "said so on the phone"
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who records it
    #[arg(
        long,
        value_name = "TEXT",
        env = "USER",
        default_value = "",
        hide_default_value = true,
        hide_env_values = true
    )]
    actor: String,
    /// When they said so: RFC 3339, or a day (UTC); without it now
    #[arg(long, value_name = "TIME", value_parser = parse::moment_utc)]
    time: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    filters: Filters,
}

pub async fn run(command: ConsentsCommand) -> anyhow::Result<()> {
    match command {
        ConsentsCommand::Add(args) => add(args).await,
        ConsentsCommand::List(args) => list(args).await,
        ConsentsCommand::Get(args) => get(args).await,
        ConsentsCommand::Revoke(args) => revoke(args).await,
        ConsentsCommand::Export(args) => export(args).await,
    }
}

fn say(is_json: bool, consent: Option<pb::Consent>) -> anyhow::Result<()> {
    let consent = consent.unwrap_or_default();
    show::say_one(
        is_json,
        || json::consent(&consent),
        || {
            show::fields(&[
                ("consent", consent.id.clone()),
                ("number", consent.phone_number.clone()),
                ("about", scopes::scope(consent.scope.as_ref())),
                ("kind", show::consent_kind(consent.kind)),
                ("text", consent.text_shown.clone()),
                ("source", consent.source.clone()),
                ("by", consent.actor.clone()),
                ("given", show::time(consent.consent_time)),
                ("recorded", show::time(consent.create_time)),
                ("revoked", show::time(consent.revoke_time)),
                ("revoked by", consent.revoke_actor.clone()),
                ("because", consent.revoke_reason.clone()),
            ])
        },
    )
}

async fn add(args: AddArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let request = pb::CreateConsentRequest {
        consent: Some(pb::Consent {
            phone_number: args.number,
            scope: args.scope.find(&client).await?,
            kind: args.kind as i32,
            text_shown: args.text,
            source: args.origin.source,
            actor: args.origin.actor,
            consent_time: args.time,
            ..pb::Consent::default()
        }),
        request_id: request_id(args.request_id),
    };
    let mut service = client.consents;
    let answer = persistently(async || service.create_consent(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().consent)
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let filter = args.filters.find(&client).await?;
    let shape = Shape {
        name: "consents",
        what: "consents",
        columns: &[
            ("CONSENT", 36),
            ("NUMBER", 12),
            ("KIND", 7),
            ("ABOUT", 9),
            ("SOURCE", 0),
            ("GIVEN", 20),
            ("REVOKED", 20),
        ],
        row: |one: &pb::Consent| {
            vec![
                one.id.clone(),
                one.phone_number.clone(),
                show::consent_kind(one.kind),
                scopes::scope(one.scope.as_ref()),
                one.source.clone(),
                show::time(one.consent_time),
                show::time(one.revoke_time),
            ]
        },
        json: json::consent,
    };
    let mut service = client.consents;
    pages::print(args.paging, shape, async move |page_size, page_token| {
        let request = pb::ListConsentsRequest {
            page_size,
            page_token,
            filter: Some(filter.clone()),
        };
        let page = service.list_consents(soon(request)).await?.into_inner();
        Ok((page.consents, page.next_page_token))
    })
    .await
}

async fn get(args: OneArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.consents;
    let request = pb::GetConsentRequest {
        consent_id: args.id,
    };
    let answer = persistently(async || service.get_consent(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().consent)
}

async fn revoke(args: RevokeArgs) -> anyhow::Result<()> {
    let mut service = args.one.client.connect().await?.consents;
    let request = pb::RevokeConsentRequest {
        consent_id: args.one.id,
        reason: args.reason,
        actor: args.actor,
        revoke_time: args.time,
    };
    let answer = persistently(async || service.revoke_consent(soon(request.clone())).await).await?;
    say(args.one.json, answer.into_inner().consent)
}

async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let request = pb::ExportConsentsRequest {
        filter: Some(args.filters.find(&client).await?),
    };
    let mut service = client.consents;
    let mut parts = service
        .export_consents(within_an_hour(request))
        .await?
        .into_inner();
    let next = async || Ok(parts.message().await?.map(|part| part.csv_chunk));
    args.output.write(next).await
}
