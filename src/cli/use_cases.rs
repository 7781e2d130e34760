//! `use-case`: what is sent, for whom, from which numbers. A use case is named by its id or as
//! `entity/name`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use prost_types::FieldMask;

use super::client::{Client, ClientArgs, persistently, request_id, soon};
use super::find::{self, Meant};
use super::pages::{self, Paging, Shape};
use super::{json, parse, show};
use crate::grpc::pb;

#[derive(Debug, Subcommand)]
pub enum UseCaseCommand {
    /// Create a use case in an approved setup
    Create(CreateArgs),
    /// Show one use case
    Get(OneArgs),
    /// List use cases, newest first
    List(ListArgs),
    /// Change what a use case says of itself
    Update(UpdateArgs),
    /// Delete a use case that has no numbers and nothing on its way
    Delete(OneArgs),
    /// Let a use case send from a number of its setup
    Assign(AssignArgs),
    /// Take a number from a use case
    Unassign(AssignArgs),
    /// Stop a use case's queue; what is sent for it waits
    Pause(PauseArgs),
    /// Let a paused use case send again
    Resume(OneArgs),
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The business or provider that it speaks for, such as "Elm Street Clinic"
    #[arg(long)]
    entity: String,
    /// Its name, such as "Appointment reminders"
    #[arg(long)]
    name: String,
    /// The setup to send through
    #[arg(long, value_name = "ID")]
    setup: String,
    /// ringless-voicemail, outbound-voice or inbound-voice; only the first sends voicemails
    #[arg(long, default_value = "ringless-voicemail", value_parser = parse::channel)]
    channel: pb::Channel,
    #[command(flatten)]
    about: About,
    /// Makes a repeat safe; made here where none is given
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    request_id: Option<String>,
    /// Print the use case as JSON
    #[arg(long)]
    json: bool,
}

/// What may be said at creation, and changed later.
#[derive(Debug, Args)]
pub struct About {
    /// What it is for, in words
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// healthcare, informational, marketing or other
    #[arg(long, value_parser = parse::purpose)]
    purpose: Option<pb::Purpose>,
    /// Where recipients can call back, in E.164
    #[arg(long, value_name = "NUMBER")]
    callback_number: Option<String>,
    /// Where recipients can opt out, in E.164
    #[arg(long, value_name = "NUMBER")]
    opt_out_number: Option<String>,
    /// How a sender is chosen: area-code, main or least-recent
    #[arg(long, value_name = "POLICY", value_parser = parse::sender_policy)]
    sender_policy: Option<pb::SenderPolicy>,
    /// The number that the policy main sends from, in E.164 or its id; empty takes it away
    #[arg(long, value_name = "NUMBER")]
    main_number: Option<String>,
    /// Prefer the number that a recipient was last sent from, as it is by default
    #[arg(long, conflicts_with = "no_sticky")]
    sticky: bool,
    /// Leave the choice to the policy alone
    #[arg(long)]
    no_sticky: bool,
}

impl About {
    fn sticky(&self) -> Option<bool> {
        match (self.sticky, self.no_sticky) {
            (_, true) => Some(false),
            (true, false) => Some(true),
            (false, false) => None,
        }
    }

    /// The id of the main number; empty where it is none.
    async fn main_number(&self, client: &Client) -> anyhow::Result<String> {
        match self.main_number.as_deref() {
            None | Some("") => Ok(String::new()),
            Some(given) => find::number(client, given).await,
        }
    }
}

#[derive(Debug, Args)]
pub struct OneArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The use case's id, or ENTITY/NAME
    use_case: String,
    /// Print the use case as JSON
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
    /// Of this entity
    #[arg(long, default_value = "", hide_default_value = true)]
    entity: String,
    /// Of this name
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// On any of these channels: ringless-voicemail, outbound-voice, inbound-voice
    #[arg(long, value_delimiter = ',', value_parser = parse::channel)]
    channel: Vec<pb::Channel>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change")
    .args(["entity", "name", "description", "purpose", "callback_number", "opt_out_number",
        "sender_policy", "main_number", "sticky", "no_sticky"]).multiple(true).required(true))]
pub struct UpdateArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The new entity
    #[arg(long)]
    entity: Option<String>,
    /// The new name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Args)]
pub struct AssignArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The number's id, or the number in E.164
    number: String,
}

#[derive(Debug, Args)]
pub struct PauseArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Why, for those who find it paused
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub async fn run(command: UseCaseCommand) -> anyhow::Result<()> {
    match command {
        UseCaseCommand::Create(args) => create(args).await,
        UseCaseCommand::Get(args) => get(args).await,
        UseCaseCommand::List(args) => list(args).await,
        UseCaseCommand::Update(args) => update(args).await,
        UseCaseCommand::Delete(args) => delete(args).await,
        UseCaseCommand::Assign(args) => assign(args).await,
        UseCaseCommand::Unassign(args) => unassign(args).await,
        UseCaseCommand::Pause(args) => pause(args).await,
        UseCaseCommand::Resume(args) => resume(args).await,
    }
}

fn say(is_json: bool, use_case: Option<pb::UseCase>) -> anyhow::Result<()> {
    let use_case = use_case.unwrap_or_default();
    let numbers = match use_case.phone_number_ids.as_slice() {
        [] => "none: it can't send until one is assigned".to_owned(),
        ids => ids.join(", "),
    };
    show::say_one(
        is_json,
        || json::use_case(&use_case),
        || {
            show::fields(&[
                ("use case", use_case.id.clone()),
                ("entity", use_case.entity_name.clone()),
                ("name", use_case.name.clone()),
                ("about", use_case.description.clone()),
                ("channel", show::channel(use_case.channel)),
                ("purpose", show::purpose(use_case.purpose)),
                ("setup", use_case.setup_id.clone()),
                ("numbers", numbers),
                ("senders", senders(&use_case)),
                (
                    "paused",
                    use_case.pause.as_ref().map(paused).unwrap_or_default(),
                ),
                ("call back", use_case.callback_phone_number.clone()),
                ("opt out", use_case.opt_out_phone_number.clone()),
                ("created", show::time(use_case.create_time)),
                ("changed", show::time(use_case.update_time)),
            ])
        },
    )
}

/// `sticky, then area-code`.
fn senders(use_case: &pb::UseCase) -> String {
    let policy = show::sender_policy(use_case.sender_policy);
    let main = match use_case.main_phone_number_id.as_str() {
        "" => String::new(),
        id => format!(" (main number {id})"),
    };
    match use_case.sticky_sender {
        Some(false) => format!("{policy}{main}"),
        Some(true) | None => format!("sticky, then {policy}{main}"),
    }
}

fn paused(pause: &pb::UseCasePause) -> String {
    let since = show::time(pause.since);
    match pause.reason.as_str() {
        "" => format!("since {since}"),
        reason => format!("since {since}: {reason}"),
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let main_phone_number_id = args.about.main_number(&client).await?;
    let mut service = client.use_cases;
    let use_case = pb::UseCase {
        sender_policy: args.about.sender_policy.map_or(0, |policy| policy as i32),
        sticky_sender: args.about.sticky(),
        main_phone_number_id,
        channel: args.channel as i32,
        entity_name: args.entity,
        name: args.name,
        setup_id: args.setup,
        description: args.about.description.unwrap_or_default(),
        purpose: args.about.purpose.map_or(0, |purpose| purpose as i32),
        callback_phone_number: args.about.callback_number.unwrap_or_default(),
        opt_out_phone_number: args.about.opt_out_number.unwrap_or_default(),
        ..pb::UseCase::default()
    };
    let request = pb::CreateUseCaseRequest {
        use_case: Some(use_case),
        request_id: request_id(args.request_id),
    };
    let answer =
        persistently(async || service.create_use_case(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().use_case)
}

async fn get(args: OneArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let request = pb::GetUseCaseRequest {
        use_case_id: find::use_case(&client, &args.use_case, Meant::TheOnly).await?,
    };
    let mut service = client.use_cases;
    let answer = persistently(async || service.get_use_case(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().use_case)
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let mut service = args.client.connect().await?.use_cases;
    let filters = pb::ListUseCasesRequest {
        setup_id: args.setup,
        entity_name: args.entity,
        name: args.name,
        channels: parse::numbers(&args.channel),
        ..pb::ListUseCasesRequest::default()
    };
    let shape = Shape {
        name: "use_cases",
        what: "use cases",
        columns: &[
            ("USE CASE", 36),
            ("ENTITY", 0),
            ("NAME", 0),
            ("CHANNEL", 18),
            ("NUMBERS", 0),
            ("CREATED", 20),
        ],
        row: |use_case: &pb::UseCase| {
            vec![
                use_case.id.clone(),
                use_case.entity_name.clone(),
                use_case.name.clone(),
                show::channel(use_case.channel),
                use_case.phone_number_ids.len().to_string(),
                show::time(use_case.create_time),
            ]
        },
        json: json::use_case,
    };
    pages::print(args.paging, shape, async move |page_size, page_token| {
        let request = pb::ListUseCasesRequest {
            page_size,
            page_token,
            ..filters.clone()
        };
        let page = service.list_use_cases(soon(request)).await?.into_inner();
        Ok((page.use_cases, page.next_page_token))
    })
    .await
}

async fn update(args: UpdateArgs) -> anyhow::Result<()> {
    let client = args.one.client.connect().await?;
    let about = args.about;
    let given = [
        ("entity_name", args.entity.is_some()),
        ("name", args.name.is_some()),
        ("description", about.description.is_some()),
        ("purpose", about.purpose.is_some()),
        ("callback_phone_number", about.callback_number.is_some()),
        ("opt_out_phone_number", about.opt_out_number.is_some()),
        ("sender_policy", about.sender_policy.is_some()),
        ("sticky_sender", about.sticky().is_some()),
        ("main_phone_number_id", about.main_number.is_some()),
    ];
    let paths = given
        .iter()
        .filter(|(_, is_given)| *is_given)
        .map(|(path, _)| (*path).to_owned())
        .collect();
    let use_case = pb::UseCase {
        id: find::use_case(&client, &args.one.use_case, Meant::TheOnly).await?,
        sender_policy: about.sender_policy.map_or(0, |policy| policy as i32),
        sticky_sender: about.sticky(),
        main_phone_number_id: about.main_number(&client).await?,
        entity_name: args.entity.unwrap_or_default(),
        name: args.name.unwrap_or_default(),
        description: about.description.unwrap_or_default(),
        purpose: about.purpose.map_or(0, |purpose| purpose as i32),
        callback_phone_number: about.callback_number.unwrap_or_default(),
        opt_out_phone_number: about.opt_out_number.unwrap_or_default(),
        ..pb::UseCase::default()
    };
    let request = pb::UpdateUseCaseRequest {
        use_case: Some(use_case),
        update_mask: Some(FieldMask { paths }),
    };
    let mut service = client.use_cases;
    let answer =
        persistently(async || service.update_use_case(soon(request.clone())).await).await?;
    say(args.one.json, answer.into_inner().use_case)
}

async fn delete(args: OneArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let use_case_id = find::use_case(&client, &args.use_case, Meant::TheOnly).await?;
    let mut service = client.use_cases;
    service
        .delete_use_case(soon(pb::DeleteUseCaseRequest {
            use_case_id: use_case_id.clone(),
        }))
        .await?;
    show::say_deleted(args.json, "use case", &use_case_id)
}

async fn assign(args: AssignArgs) -> anyhow::Result<()> {
    let client = args.one.client.connect().await?;
    let request = pb::AssignPhoneNumberRequest {
        use_case_id: find::use_case(&client, &args.one.use_case, Meant::TheOnly).await?,
        phone_number_id: find::number(&client, &args.number).await?,
    };
    let mut service = client.use_cases;
    let answer =
        persistently(async || service.assign_phone_number(soon(request.clone())).await).await?;
    say(args.one.json, answer.into_inner().use_case)
}

async fn unassign(args: AssignArgs) -> anyhow::Result<()> {
    let client = args.one.client.connect().await?;
    let request = pb::UnassignPhoneNumberRequest {
        use_case_id: find::use_case(&client, &args.one.use_case, Meant::TheOnly).await?,
        phone_number_id: find::number(&client, &args.number).await?,
    };
    let mut service = client.use_cases;
    let answer =
        persistently(async || service.unassign_phone_number(soon(request.clone())).await).await?;
    say(args.one.json, answer.into_inner().use_case)
}

async fn pause(args: PauseArgs) -> anyhow::Result<()> {
    let client = args.one.client.connect().await?;
    let request = pb::PauseUseCaseRequest {
        use_case_id: find::use_case(&client, &args.one.use_case, Meant::TheOnly).await?,
        reason: args.reason,
    };
    let mut service = client.use_cases;
    let answer = persistently(async || service.pause_use_case(soon(request.clone())).await).await?;
    say(args.one.json, answer.into_inner().use_case)
}

async fn resume(args: OneArgs) -> anyhow::Result<()> {
    let client = args.client.connect().await?;
    let request = pb::ResumeUseCaseRequest {
        use_case_id: find::use_case(&client, &args.use_case, Meant::TheOnly).await?,
    };
    let mut service = client.use_cases;
    let answer =
        persistently(async || service.resume_use_case(soon(request.clone())).await).await?;
    say(args.json, answer.into_inner().use_case)
}
