//! `suppressions`: the numbers that nothing is sent to.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use prost_types::Timestamp;

use super::client::{ClientArgs, persistently, soon, within_an_hour};
use super::imports::{self, ImportArgs};
use super::pages::{self, Paging, Shape};
use super::scopes::{self, Output, ScopeArgs};
use super::{json, parse, show};
use crate::grpc::pb;

#[derive(Debug, Subcommand)]
pub enum SuppressionsCommand {
    /// Send nothing more to a number, from now on
    Add(AddArgs),
    /// List suppressions that hold, newest first
    List(ListArgs),
    /// Show one suppression, also a deleted one
    Get(OneArgs),
    /// Delete a suppression; it is kept with the reason
    Delete(DeleteArgs),
    /// Add the numbers of a CSV file
    Import(ImportArgs),
    /// Write suppressions as CSV
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The number in E.164, such as +12125550123
    number: String,
    /// Why: opt-out, complaint, litigator, reassigned, wrong-number or carrier-dnc
    #[arg(long, default_value = "opt-out", value_parser = parse::suppression_reason)]
    reason: pb::SuppressionReason,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    origin: Origin,
    /// What else there is to say, in one line
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    note: String,
    /// Until this time only: RFC 3339, or a day (UTC); without it for ever
    #[arg(long, value_name = "TIME", value_parser = parse::moment_utc)]
    expire: Option<Timestamp>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Where it comes from, as it is kept with it.
#[derive(Debug, Clone, Args)]
pub struct Origin {
    /// Where it comes from, such as "hotline"
    #[arg(long, value_name = "TEXT", default_value = "command line")]
    pub source: String,
    /// Who does it
    #[arg(
        long,
        value_name = "TEXT",
        env = "USER",
        default_value = "",
        hide_default_value = true,
        hide_env_values = true
    )]
    pub actor: String,
}

/// Which suppressions a list or an export has.
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
    /// For this reason: opt-out, complaint, litigator, reassigned, wrong-number, carrier-dnc
    #[arg(long, value_name = "REASON", value_delimiter = ',', value_parser = parse::suppression_reason)]
    reason: Vec<pb::SuppressionReason>,
    /// Also those that were deleted or have expired
    #[arg(long)]
    include_deleted: bool,
}

impl Filters {
    async fn find(self, client: &super::client::Client) -> anyhow::Result<pb::SuppressionFilter> {
        Ok(pb::SuppressionFilter {
            phone_number: self.number,
            scope_kinds: parse::numbers(&self.scope),
            scope: self.about.find(client).await?,
            reasons: parse::numbers(&self.reason),
            include_deleted: self.include_deleted,
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
pub struct OneArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The suppression's id
    id: String,
    /// Print the suppression as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Why it is deleted, in one line
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who deletes it
    #[arg(
        long,
        value_name = "TEXT",
        env = "USER",
        default_value = "",
        hide_default_value = true,
        hide_env_values = true
    )]
    actor: String,
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

pub async fn run(command: SuppressionsCommand) -> anyhow::Result<ExitCode> {
    let done = match command {
        SuppressionsCommand::Import(args) => return imports::run(args).await,
        SuppressionsCommand::Add(args) => add(args).await,
        SuppressionsCommand::List(args) => list(args).await,
        SuppressionsCommand::Get(args) => get(args).await,
        SuppressionsCommand::Delete(args) => delete(args).await,
        SuppressionsCommand::Export(args) => export(args).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn lines(suppression: &pb::Suppression) -> String {
    let expiry = match suppression.expire_time {
        None => "never".to_owned(),
        time => show::time(time),
    };
    show::fields(&[
        ("suppression", suppression.id.clone()),
        ("number", suppression.phone_number.clone()),
        ("about", scopes::scope(suppression.scope.as_ref())),
        ("reason", show::suppression_reason(suppression.reason)),
        ("source", suppression.source.clone()),
        ("by", suppression.actor.clone()),
        ("note", suppression.note.clone()),
        ("added", show::time(suppression.create_time)),
        ("expires", expiry),
        ("deleted", show::time(suppression.delete_time)),
        ("deleted by", suppression.delete_actor.clone()),
        ("because", suppression.delete_reason.clone()),
    ])
}

async fn add(args: AddArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let request = pb::CreateSuppressionRequest {
        suppression: Some(pb::Suppression {
            phone_number: args.number,
            scope: args.scope.find(&client).await?,
            reason: args.reason as i32,
            source: args.origin.source,
            actor: args.origin.actor,
            note: args.note,
            expire_time: args.expire,
            ..pb::Suppression::default()
        }),
    };
    let mut service = client.suppressions;
    let answer =
        persistently(async || service.create_suppression(soon(request.clone())).await).await?;
    let answer = answer.into_inner();
    show::say_one(
        args.json,
        || json::created_suppression(&answer),
        || {
            let suppression = answer.suppression.clone().unwrap_or_default();
            let late = match answer.on_its_way_count {
                0 => String::new(),
                count => format!("{count} (nothing takes back what a carrier has)"),
            };
            let ended = show::fields(&[
                ("ended", format!("{} waiting", answer.skipped_count)),
                ("on its way", late),
            ]);
            format!("{}\n{ended}", lines(&suppression))
        },
    )
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let filter = args.filters.find(&client).await?;
    let shape = Shape {
        name: "suppressions",
        what: "suppressions",
        columns: &[
            ("SUPPRESSION", 36),
            ("NUMBER", 12),
            ("REASON", 12),
            ("ABOUT", 9),
            ("SOURCE", 0),
            ("ADDED", 20),
            ("ENDS", 20),
        ],
        row: |one: &pb::Suppression| {
            vec![
                one.id.clone(),
                one.phone_number.clone(),
                show::suppression_reason(one.reason),
                scopes::scope(one.scope.as_ref()),
                one.source.clone(),
                show::time(one.create_time),
                show::time(one.delete_time.or(one.expire_time)),
            ]
        },
        json: json::suppression,
    };
    let mut service = client.suppressions;
    pages::print(args.paging, shape, async move |page_size, page_token| {
        let request = pb::ListSuppressionsRequest {
            page_size,
            page_token,
            filter: Some(filter.clone()),
        };
        let page = service.list_suppressions(soon(request)).await?.into_inner();
        Ok((page.suppressions, page.next_page_token))
    })
    .await
}

fn say(is_json: bool, suppression: Option<pb::Suppression>) -> anyhow::Result<()> {
    let suppression = suppression.unwrap_or_default();
    show::say_one(
        is_json,
        || json::suppression(&suppression),
        || lines(&suppression),
    )
}

async fn get(args: OneArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.suppressions;
    let request = pb::GetSuppressionRequest {
        suppression_id: args.id,
    };
    let answer =
        persistently(async || service.get_suppression(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().suppression)
}

async fn delete(args: DeleteArgs) -> anyhow::Result<()> {
    let mut service = args.one.client.connect().await?.suppressions;
    let request = pb::DeleteSuppressionRequest {
        suppression_id: args.one.id,
        reason: args.reason,
        actor: args.actor,
    };
    let answer =
        persistently(async || service.delete_suppression(soon(request.clone())).await).await?;
    say(args.one.json, answer.into_inner().suppression)
}

async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let request = pb::ExportSuppressionsRequest {
        filter: Some(args.filters.find(&client).await?),
    };
    let mut service = client.suppressions;
    let mut parts = service
        .export_suppressions(within_an_hour(request))
        .await?
        .into_inner();
    let next = async || Ok(parts.message().await?.map(|part| part.csv_chunk));
    args.output.write(next).await
}
