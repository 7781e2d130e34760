//! `setup`: which carriers to send through, and whether.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use prost_types::FieldMask;

use super::client::{ClientArgs, persistently, request_id, soon};
use super::pages::{self, Paging, Shape};
use super::{json, parse, show};
use crate::grpc::pb;

#[derive(Debug, Subcommand)]
pub enum SetupCommand {
    /// Create a setup; one of sandbox carriers alone is approved at once
    Create(CreateArgs),
    /// Show one setup
    Get(OneArgs),
    /// List setups, newest first
    List(ListArgs),
    /// Change a setup's name, carriers or limits
    Update(UpdateArgs),
    /// Delete a setup that has neither numbers nor use cases
    Delete(OneArgs),
    /// Let a new setup send
    Approve(OneArgs),
    /// Keep a setup from sending until it is resumed
    Suspend(SuspendArgs),
    /// Let a suspended or paused setup send again
    Resume(OneArgs),
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The carriers, most preferred first, by their names in the server's configuration
    #[arg(
        long = "carrier",
        value_name = "NAME",
        value_delimiter = ',',
        required = true
    )]
    carriers: Vec<String>,
    /// A name for people
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// Hand-overs that may start within a minute, over all workers; 0: no limit
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    starts_per_minute: i32,
    /// Hand-overs that may be under way at once, over all workers; 0: no limit
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    in_flight_max: i32,
    /// Makes a repeat safe; made here where none is given
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    request_id: Option<String>,
    /// Print the setup as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct OneArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The setup's id
    id: String,
    /// Print the setup as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    paging: Paging,
    /// In any of these statuses: pending, approved, suspended
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = parse::setup_status)]
    status: Vec<pb::SetupStatus>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").args(["name", "carriers", "starts_per_minute", "in_flight_max"]).multiple(true).required(true))]
pub struct UpdateArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The setup's id
    id: String,
    /// The new name; empty takes it away
    #[arg(long)]
    name: Option<String>,
    /// The new carriers, most preferred first. Other than sandbox ones make the setup PENDING again
    #[arg(long = "carrier", value_name = "NAME", value_delimiter = ',')]
    carriers: Option<Vec<String>>,
    /// Hand-overs that may start within a minute, over all workers; 0: no limit
    #[arg(long, value_name = "COUNT")]
    starts_per_minute: Option<i32>,
    /// Hand-overs that may be under way at once, over all workers; 0: no limit
    #[arg(long, value_name = "COUNT")]
    in_flight_max: Option<i32>,
    /// Print the setup as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct SuspendArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Why, for those who find it suspended
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub async fn run(command: SetupCommand) -> anyhow::Result<()> {
    match command {
        SetupCommand::Create(args) => create(args).await,
        SetupCommand::Get(args) => get(args).await,
        SetupCommand::List(args) => list(args).await,
        SetupCommand::Update(args) => update(args).await,
        SetupCommand::Delete(args) => delete(args).await,
        SetupCommand::Approve(args) => approve(args).await,
        SetupCommand::Suspend(args) => suspend(args).await,
        SetupCommand::Resume(args) => resume(args).await,
    }
}

fn say(is_json: bool, setup: Option<pb::Setup>) -> anyhow::Result<()> {
    let setup = setup.unwrap_or_default();
    show::say_one(
        is_json,
        || json::setup(&setup),
        || {
            show::fields(&[
                ("setup", setup.id.clone()),
                ("name", setup.display_name.clone()),
                ("status", show::setup_status(setup.status)),
                ("detail", setup.status_detail.clone()),
                (
                    "paused",
                    setup.pause.as_ref().map(paused).unwrap_or_default(),
                ),
                ("carriers", setup.carriers.join(", ")),
                ("starts a minute", limit(setup.starts_per_minute)),
                ("under way at once", limit(setup.in_flight_max)),
                ("created", show::time(setup.create_time)),
                ("changed", show::time(setup.update_time)),
            ])
        },
    )
}

/// `CARRIER_FAILING, carrier vendor, since 2026-11-24T10:00:00Z`.
fn paused(pause: &pb::SetupPause) -> String {
    format!(
        "{}, carrier {}, since {}",
        show::pause_reason(pause.reason),
        pause.carrier,
        show::time(pause.since)
    )
}

/// Empty where there is none.
fn limit(limit: i32) -> String {
    match limit {
        0 => String::new(),
        limit => format!("at most {limit}"),
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.telephony;
    let setup = pb::Setup {
        display_name: args.name,
        carriers: args.carriers,
        starts_per_minute: args.starts_per_minute,
        in_flight_max: args.in_flight_max,
        ..pb::Setup::default()
    };
    let request = pb::CreateSetupRequest {
        setup: Some(setup),
        request_id: request_id(args.request_id),
    };
    let answer = persistently(async || service.create_setup(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().setup)
}

async fn get(args: OneArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.telephony;
    let request = pb::GetSetupRequest { setup_id: args.id };
    let answer = persistently(async || service.get_setup(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().setup)
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.telephony;
    let statuses = parse::numbers(&args.status);
    let shape = Shape {
        name: "setups",
        what: "setups",
        columns: &[
            ("SETUP", 36),
            ("STATUS", 9),
            ("NAME", 0),
            ("CARRIERS", 0),
            ("CREATED", 20),
        ],
        row: |setup: &pb::Setup| {
            vec![
                setup.id.clone(),
                show::setup_status(setup.status),
                setup.display_name.clone(),
                setup.carriers.join(", "),
                show::time(setup.create_time),
            ]
        },
        json: json::setup,
    };
    pages::print(args.paging, shape, async move |page_size, page_token| {
        let request = pb::ListSetupsRequest {
            page_size,
            page_token,
            statuses: statuses.clone(),
        };
        let page = service.list_setups(soon(request)).await?.into_inner();
        Ok((page.setups, page.next_page_token))
    })
    .await
}

async fn update(args: UpdateArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.telephony;
    let mut paths = Vec::new();
    for (is_given, path) in [
        (args.name.is_some(), "display_name"),
        (args.carriers.is_some(), "carriers"),
        (args.starts_per_minute.is_some(), "starts_per_minute"),
        (args.in_flight_max.is_some(), "in_flight_max"),
    ] {
        paths.extend(is_given.then(|| path.to_owned()));
    }
    let setup = pb::Setup {
        id: args.id,
        display_name: args.name.unwrap_or_default(),
        carriers: args.carriers.unwrap_or_default(),
        starts_per_minute: args.starts_per_minute.unwrap_or_default(),
        in_flight_max: args.in_flight_max.unwrap_or_default(),
        ..pb::Setup::default()
    };
    let request = pb::UpdateSetupRequest {
        setup: Some(setup),
        update_mask: Some(FieldMask { paths }),
    };
    let answer = persistently(async || service.update_setup(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().setup)
}

async fn delete(args: OneArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.telephony;
    service
        .delete_setup(soon(pb::DeleteSetupRequest {
            setup_id: args.id.clone(),
        }))
        .await?;
    show::say_deleted(args.json, "setup", &args.id)
}

async fn approve(args: OneArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.telephony;
    let request = pb::ApproveSetupRequest { setup_id: args.id };
    let answer = persistently(async || service.approve_setup(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().setup)
}

async fn suspend(args: SuspendArgs) -> anyhow::Result<()> {
    let mut service = args.one.client.connect().await?.telephony;
    let request = pb::SuspendSetupRequest {
        setup_id: args.one.id,
        reason: args.reason,
    };
    let answer = persistently(async || service.suspend_setup(soon(request.clone())).await).await?;
    say(args.one.json, answer.into_inner().setup)
}

async fn resume(args: OneArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.telephony;
    let request = pb::ResumeSetupRequest { setup_id: args.id };
    let answer = persistently(async || service.resume_setup(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().setup)
}
