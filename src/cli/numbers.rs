//! `number`: phone numbers to send from. A number is named by its id or in E.164.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use prost_types::{FieldMask, Timestamp};

use super::client::{ClientArgs, persistently, request_id, soon};
use super::find::{self, Meant};
use super::pages::{self, Paging, Shape};
use super::{json, parse, show};
use crate::grpc::pb;

#[derive(Debug, Subcommand)]
pub enum NumberCommand {
    /// Add a number to a setup; it is active at once
    Create(CreateArgs),
    /// Show one number
    Get(OneArgs),
    /// List numbers, newest first
    List(ListArgs),
    /// Change a number's name or carriers
    Update(UpdateArgs),
    /// Delete a number that no use case has
    Delete(OneArgs),
    /// Let new voicemails be sent from a number
    Activate(OneArgs),
    /// Send no new voicemails from a number
    Deactivate(OneArgs),
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The number in E.164, such as +12125550143
    number: String,
    /// The setup that it belongs to
    #[arg(long, value_name = "ID")]
    setup: String,
    /// A name for people
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// Only with these of the setup's carriers
    #[arg(long = "carrier", value_name = "NAME", value_delimiter = ',')]
    carriers: Vec<String>,
    #[command(flatten)]
    caps: Caps,
    /// Makes a repeat safe; made here where none is given
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    request_id: Option<String>,
    /// Print the number as JSON
    #[arg(long)]
    json: bool,
}

/// What may leave from a number within 24 hours.
#[derive(Debug, Args)]
pub struct Caps {
    /// Hand-overs that may leave from it within any 24 hours; 0: no limit
    #[arg(long, value_name = "COUNT")]
    daily_cap: Option<i32>,
    /// Smaller caps while it is new, by its age in days: DAY:CAP,…, such as 0:20,3:50,7:200
    #[arg(long, value_name = "STEPS", value_delimiter = ',', value_parser = parse::warm_up_step)]
    warm_up: Option<Vec<pb::WarmUpStep>>,
    /// From when on its age is counted, in RFC 3339, where that is not its creation
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    warm_up_start: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub struct OneArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The number's id, or the number in E.164
    number: String,
    /// Print the number as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    paging: Paging,
    /// Of this setup
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    setup: String,
    /// Assigned to this use case: its id, or ENTITY/NAME
    #[arg(long, value_name = "USE_CASE")]
    use_case: Option<String>,
    /// In this status: active, inactive
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = parse::number_status)]
    status: Vec<pb::PhoneNumberStatus>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").args(["name", "carriers", "all_carriers",
    "daily_cap", "warm_up", "warm_up_start", "no_warm_up"]).multiple(true).required(true))]
pub struct UpdateArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The new name; empty takes it away
    #[arg(long)]
    name: Option<String>,
    /// Only with these of the setup's carriers from now on
    #[arg(long = "carrier", value_name = "NAME", value_delimiter = ',')]
    carriers: Option<Vec<String>>,
    /// With all of the setup's carriers from now on
    #[arg(long, conflicts_with = "carriers")]
    all_carriers: bool,
    #[command(flatten)]
    caps: Caps,
    /// End its warm-up
    #[arg(long, conflicts_with_all = ["warm_up", "warm_up_start"])]
    no_warm_up: bool,
}

pub async fn run(command: NumberCommand) -> anyhow::Result<()> {
    match command {
        NumberCommand::Create(args) => create(args).await,
        NumberCommand::Get(args) => get(args).await,
        NumberCommand::List(args) => list(args).await,
        NumberCommand::Update(args) => update(args).await,
        NumberCommand::Delete(args) => delete(args).await,
        NumberCommand::Activate(args) => activate(args).await,
        NumberCommand::Deactivate(args) => deactivate(args).await,
    }
}

fn say(is_json: bool, number: Option<pb::PhoneNumber>) -> anyhow::Result<()> {
    let number = number.unwrap_or_default();
    show::say_one(
        is_json,
        || json::number(&number),
        || {
            show::fields(&[
                ("number", number.phone_number.clone()),
                ("id", number.id.clone()),
                ("name", number.display_name.clone()),
                ("status", show::number_status(number.status)),
                ("setup", number.setup_id.clone()),
                (
                    "carriers",
                    if number.carriers.is_empty() {
                        "all of the setup's".to_owned()
                    } else {
                        number.carriers.join(", ")
                    },
                ),
                ("a day", caps(&number)),
                ("created", show::time(number.create_time)),
                ("changed", show::time(number.update_time)),
            ])
        },
    )
}

/// `at most 500; from day 0: 20, from day 3: 50`.
fn caps(number: &pb::PhoneNumber) -> String {
    let cap = |cap: i32| match cap {
        0 => "no limit".to_owned(),
        cap => cap.to_string(),
    };
    let own = (number.daily_cap != 0).then(|| format!("at most {}", number.daily_cap));
    let steps: Vec<String> = (number.warm_up.iter())
        .map(|step| format!("from day {}: {}", step.from_day, cap(step.daily_cap)))
        .collect();
    let steps = (!steps.is_empty()).then(|| steps.join(", "));
    let since = (number.warm_up_start_time)
        .map(|start| format!("days counted from {}", show::time(Some(start))));
    let parts: Vec<String> = [own, steps, since].into_iter().flatten().collect();
    parts.join("; ")
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.telephony;
    let number = pb::PhoneNumber {
        setup_id: args.setup,
        phone_number: args.number,
        display_name: args.name,
        carriers: args.carriers,
        daily_cap: args.caps.daily_cap.unwrap_or_default(),
        warm_up: args.caps.warm_up.unwrap_or_default(),
        warm_up_start_time: args.caps.warm_up_start,
        ..pb::PhoneNumber::default()
    };
    let request = pb::CreatePhoneNumberRequest {
        phone_number: Some(number),
        request_id: request_id(args.request_id),
    };
    let answer =
        persistently(async || service.create_phone_number(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().phone_number)
}

async fn get(args: OneArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let request = pb::GetPhoneNumberRequest {
        phone_number_id: find::number(&client, &args.number).await?,
    };
    let mut service = client.telephony;
    let answer =
        persistently(async || service.get_phone_number(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().phone_number)
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let use_case_id = match &args.use_case {
        Some(given) => find::use_case(&client, given, Meant::TheOnly).await?,
        None => String::new(),
    };
    let statuses = parse::numbers(&args.status);
    let filters = pb::ListPhoneNumbersRequest {
        setup_id: args.setup,
        use_case_id,
        statuses,
        ..pb::ListPhoneNumbersRequest::default()
    };
    let shape = Shape {
        name: "phone_numbers",
        what: "numbers",
        columns: &[
            ("NUMBER", 12),
            ("STATUS", 8),
            ("ID", 36),
            ("SETUP", 36),
            ("NAME", 0),
            ("CARRIERS", 0),
        ],
        row: |number: &pb::PhoneNumber| {
            vec![
                number.phone_number.clone(),
                show::number_status(number.status),
                number.id.clone(),
                number.setup_id.clone(),
                number.display_name.clone(),
                if number.carriers.is_empty() {
                    "all".to_owned()
                } else {
                    number.carriers.join(", ")
                },
            ]
        },
        json: json::number,
    };
    let mut service = client.telephony;
    pages::print(args.paging, shape, async move |page_size, page_token| {
        let request = pb::ListPhoneNumbersRequest {
            page_size,
            page_token,
            ..filters.clone()
        };
        let page = service
            .list_phone_numbers(soon(request))
            .await?
            .into_inner();
        Ok((page.phone_numbers, page.next_page_token))
    })
    .await
}

async fn update(args: UpdateArgs) -> anyhow::Result<()> {
    let client = args.one.client.connect().await?;
    let mut paths = Vec::new();
    paths.extend(args.name.is_some().then(|| "display_name".to_owned()));
    paths.extend((args.carriers.is_some() || args.all_carriers).then(|| "carriers".to_owned()));
    let caps = args.caps;
    paths.extend(caps.daily_cap.is_some().then(|| "daily_cap".to_owned()));
    paths.extend((caps.warm_up.is_some() || args.no_warm_up).then(|| "warm_up".to_owned()));
    paths.extend(
        (caps.warm_up_start.is_some() || args.no_warm_up).then(|| "warm_up_start_time".to_owned()),
    );
    let number = pb::PhoneNumber {
        id: find::number(&client, &args.one.number).await?,
        display_name: args.name.unwrap_or_default(),
        carriers: args.carriers.unwrap_or_default(),
        daily_cap: caps.daily_cap.unwrap_or_default(),
        warm_up: caps.warm_up.unwrap_or_default(),
        warm_up_start_time: caps.warm_up_start,
        ..pb::PhoneNumber::default()
    };
    let request = pb::UpdatePhoneNumberRequest {
        phone_number: Some(number),
        update_mask: Some(FieldMask { paths }),
    };
    let mut service = client.telephony;
    let answer =
        persistently(async || service.update_phone_number(soon(request.clone())).await).await?;
    say(args.one.json, answer.into_inner().phone_number)
}

async fn delete(args: OneArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let request = pb::DeletePhoneNumberRequest {
        phone_number_id: find::number(&client, &args.number).await?,
    };
    let id = request.phone_number_id.clone();
    let mut service = client.telephony;
    service.delete_phone_number(soon(request)).await?;
    show::say_deleted(args.json, "number", &id)
}

async fn activate(args: OneArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let request = pb::ActivatePhoneNumberRequest {
        phone_number_id: find::number(&client, &args.number).await?,
    };
    let mut service = client.telephony;
    let answer =
        persistently(async || service.activate_phone_number(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().phone_number)
}

async fn deactivate(args: OneArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let request = pb::DeactivatePhoneNumberRequest {
        phone_number_id: find::number(&client, &args.number).await?,
    };
    let mut service = client.telephony;
    let answer =
        persistently(async || service.deactivate_phone_number(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().phone_number)
}
