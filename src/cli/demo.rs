//! `demo`: one voicemail's whole way, in one process that needs nothing. Everything goes through the
//! public API over TCP, as any other caller's calls do; only the MP3 that the sandbox dropped is read
//! from its folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use prost::bytes::Bytes;
use tokio::time::Instant;

use super::client::{Client, ServerAddr, in_time, soon};
use super::follow::{self, Pace};
use super::{report, send, serve, show};
use crate::app::{Running, SAMPLE_MP3};
use crate::carrier::registry::{CarrierConfig, SANDBOX};
use crate::clock::Clock;
use crate::config::{Config, FileConfig, Overrides};
use crate::grpc::pb::{self, FailureReason, ReportDimension, VoicemailStatus};

/// None of the numbers that a first start of `serve` makes, so that both may share a folder.
const SENDER: &str = "+12125550142";
const RECIPIENT: &str = "+12125550123";
/// The sandbox plays a full mailbox behind numbers that end in 50.
const FULL_MAILBOX: &str = "+12125550150";
/// A demonstration is watched, so it asks often.
const OFTEN: Pace = Pace {
    first: Duration::from_millis(5),
    longest: Duration::from_millis(50),
};
/// It takes a moment; only something that is broken takes this long.
const END_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep database and mailboxes in this folder, instead of a temporary one
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Log to stderr as well, such as `info`
    #[arg(long, value_name = "FILTER", value_parser = serve::log_filter)]
    log: Option<String>,
}

impl DemoArgs {
    pub fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }
}

pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let is_temporary = args.data_dir.is_none();
    let folder = match args.data_dir {
        Some(folder) => folder,
        // Kept, so that one can listen to what was dropped.
        None => tempfile::Builder::new()
            .prefix("ringless-demo-")
            .tempdir()
            .context("no temporary folder can be made")?
            .keep(),
    };
    show::say(
        "One voicemail's whole way through ringless. Everything happens in this process; no phone is called.\n",
    )?;
    let running = Running::start(config(&folder)?, Clock::Database).await?;
    let shown = show_all(&running, &folder).await;
    let stopped = running.stop().await;
    let dropped = shown?;
    stopped?;
    show::say("\nThe recipient would now hear it. Listen to what lies in the sandbox's mailbox:")?;
    show::say(format!("  {}", dropped.display()))?;
    if is_temporary {
        show::say(format!(
            "Everything of this demo is in one folder, which nothing else needs: rm -r {}",
            folder.display()
        ))?;
    }
    show::say(
        "Next: `ringless serve` starts a server to try things on, and prints a first call to paste.",
    )
}

/// On free ports of this machine. The carrier is named, so nothing is there that the demo did not make.
fn config(folder: &Path) -> anyhow::Result<Config> {
    let any_port = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    let overrides = Overrides {
        grpc_addr: any_port,
        http_addr: any_port,
        admin_addr: any_port,
        data_dir: Some(folder.to_owned()),
        drain_delay_seconds: Some(0),
        ..Overrides::default()
    };
    let carriers = [(SANDBOX.to_owned(), CarrierConfig::sandbox())].into();
    Ok(Config::build(
        overrides,
        FileConfig {
            carriers,
            ..FileConfig::default()
        },
    )?)
}

/// Gives the path of the MP3 that was dropped.
async fn show_all(running: &Running, folder: &Path) -> anyhow::Result<PathBuf> {
    let addr: ServerAddr = running
        .grpc_addr()
        .to_string()
        .parse()
        .map_err(anyhow::Error::msg)?;
    let client = Client::connect(&addr).await?;
    say_step(
        1,
        "server",
        &format!(
            "gRPC on {}, SQLite in {}",
            running.grpc_addr(),
            folder.display()
        ),
    )?;
    let use_case_id = prepare(&client).await?;
    let mp3 = Bytes::from_static(SAMPLE_MP3);

    let delivered = follow_one(&client, 5, "voicemail", RECIPIENT, &use_case_id, &mp3).await?;
    expect_end(
        &delivered,
        VoicemailStatus::Delivered,
        FailureReason::Unspecified,
    )?;

    let failed = follow_one(
        &client,
        6,
        "another, to a full mailbox",
        FULL_MAILBOX,
        &use_case_id,
        &mp3,
    )
    .await?;
    expect_end(
        &failed,
        VoicemailStatus::NotDelivered,
        FailureReason::MailboxFull,
    )?;
    show::say(indented(&show::attempts_table(&failed.attempts)))?;

    say_step(
        7,
        "report",
        "by status and reason; nothing of it is real, so `simulated` is included",
    )?;
    let by = [ReportDimension::Carrier, ReportDimension::FailureReason];
    let report = ask_report(&client, &by).await?;
    show::say(indented(&report::table(
        &report,
        &by,
        &jiff::tz::TimeZone::UTC,
    )))?;
    let total = report.total.unwrap_or_default();
    ensure!(
        total.total >= 2,
        "the report counts {} voicemails; 2 were sent",
        total.total
    );

    let digits = RECIPIENT.trim_start_matches('+');
    let path = folder
        .join("mailboxes")
        .join(digits)
        .join(format!("{}.mp3", delivered.id));
    let dropped =
        std::fs::read(&path).with_context(|| format!("`{}` can't be read", path.display()))?;
    ensure!(
        dropped == SAMPLE_MP3,
        "`{}` is not what was sent",
        path.display()
    );
    say_step(
        8,
        "mailbox",
        &format!("{} bytes, byte for byte what was sent", dropped.len()),
    )?;
    Ok(path)
}

/// Setup, number and use case. Their request ids are always the same, so that a second demo in the
/// same folder finds what the first one made.
async fn prepare(client: &Client) -> anyhow::Result<String> {
    let mut telephony = client.telephony.clone();
    let setup = pb::Setup {
        display_name: "Demo".to_owned(),
        carriers: vec!["sandbox".to_owned()],
        ..pb::Setup::default()
    };
    let request = pb::CreateSetupRequest {
        setup: Some(setup),
        request_id: "demo-setup".to_owned(),
    };
    let setup = telephony
        .create_setup(soon(request))
        .await?
        .into_inner()
        .setup
        .unwrap_or_default();
    say_step(
        2,
        "setup",
        &format!(
            "over the carrier {}: {}",
            setup.carriers.join(", "),
            show::setup_status(setup.status)
        ),
    )?;

    let number = pb::PhoneNumber {
        setup_id: setup.id.clone(),
        phone_number: SENDER.to_owned(),
        ..pb::PhoneNumber::default()
    };
    let request = pb::CreatePhoneNumberRequest {
        phone_number: Some(number),
        request_id: "demo-number".to_owned(),
    };
    let number = telephony
        .create_phone_number(soon(request))
        .await?
        .into_inner()
        .phone_number
        .unwrap_or_default();
    say_step(
        3,
        "phone number",
        &format!(
            "{}: {}",
            number.phone_number,
            show::number_status(number.status)
        ),
    )?;

    let mut use_cases = client.use_cases.clone();
    let use_case = pb::UseCase {
        channel: pb::Channel::RinglessVoicemail as i32,
        entity_name: "Elm Street Clinic".to_owned(),
        name: "Appointment reminders".to_owned(),
        setup_id: setup.id,
        purpose: pb::Purpose::Healthcare as i32,
        ..pb::UseCase::default()
    };
    let request = pb::CreateUseCaseRequest {
        use_case: Some(use_case),
        request_id: "demo-use-case".to_owned(),
    };
    let use_case = use_cases
        .create_use_case(soon(request))
        .await?
        .into_inner()
        .use_case
        .unwrap_or_default();
    let request = pb::AssignPhoneNumberRequest {
        use_case_id: use_case.id.clone(),
        phone_number_id: number.id,
    };
    use_cases.assign_phone_number(soon(request)).await?;
    let text = format!(
        "{}/{}, sends from {}",
        use_case.entity_name, use_case.name, number.phone_number
    );
    say_step(4, "use case", &text)?;
    Ok(use_case.id)
}

/// Sends one and prints each status as it is seen.
async fn follow_one(
    client: &Client,
    step: u8,
    what: &str,
    recipient: &str,
    use_case_id: &str,
    mp3: &Bytes,
) -> anyhow::Result<pb::Voicemail> {
    let metadata = pb::SendVoicemailMetadata {
        use_case_id: use_case_id.to_owned(),
        recipient_phone_number: recipient.to_owned(),
        request_id: super::client::request_id(None),
        ..pb::SendVoicemailMetadata::default()
    };
    let started = Instant::now();
    let accepted = send::send(client, metadata, mp3.clone()).await?;
    let length = show::length(accepted.audio.as_ref().and_then(|audio| audio.duration));
    say_step(
        step,
        what,
        &format!(
            "{length} of speech to {recipient} from {}",
            accepted.sender_phone_number
        ),
    )?;
    follow::to_end(client, accepted, OFTEN, END_WITHIN, |now| {
        show::say(format!(
            "   {:>8.3} s  {}",
            started.elapsed().as_secs_f64(),
            follow::step(now)
        ))
    })
    .await
}

fn expect_end(
    voicemail: &pb::Voicemail,
    status: VoicemailStatus,
    reason: FailureReason,
) -> anyhow::Result<()> {
    let is_so = voicemail.status == status as i32 && voicemail.failure_reason == reason as i32;
    ensure!(
        is_so,
        "voicemail {} is {}, and {} was expected; `--log info` shows more",
        voicemail.id,
        show::status_and_reason(voicemail),
        show::status_and_reason(&pb::Voicemail {
            status: status as i32,
            failure_reason: reason as i32,
            ..pb::Voicemail::default()
        })
    );
    Ok(())
}

async fn ask_report(
    client: &Client,
    by: &[ReportDimension],
) -> anyhow::Result<pb::GetDeliveryReportResponse> {
    let now = crate::clock::system_now();
    let at = |time: crate::domain::time::Time| {
        let (seconds, nanos) = time.seconds_and_nanos();
        Some(prost_types::Timestamp { seconds, nanos })
    };
    let request = pb::GetDeliveryReportRequest {
        start_time: at(now.minus(Duration::from_secs(3_600))),
        end_time: at(now.plus(Duration::from_secs(60))),
        group_by: super::parse::numbers(by),
        include_simulated: true,
        ..pb::GetDeliveryReportRequest::default()
    };
    Ok(client
        .voicemails
        .clone()
        .get_delivery_report(in_time(request))
        .await?
        .into_inner())
}

fn say_step(number: u8, what: &str, text: &str) -> anyhow::Result<()> {
    show::say(format!("{number}  {what}: {text}"))
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("   {line}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_not_as_expected_is_an_error_that_says_both() {
        let voicemail = pb::Voicemail {
            id: "v".to_owned(),
            status: VoicemailStatus::Failed as i32,
            failure_reason: FailureReason::RetriesExhausted as i32,
            ..pb::Voicemail::default()
        };
        assert!(
            expect_end(
                &voicemail,
                VoicemailStatus::Failed,
                FailureReason::RetriesExhausted
            )
            .is_ok()
        );
        let error = expect_end(
            &voicemail,
            VoicemailStatus::Delivered,
            FailureReason::Unspecified,
        )
        .expect_err("another end");
        assert_eq!(
            error.to_string(),
            "voicemail v is FAILED (RETRIES_EXHAUSTED), and DELIVERED was expected; `--log info` shows more"
        );
    }

    #[test]
    fn the_demo_listens_on_this_machine_only_and_seeds_nothing() {
        let config = config(Path::new("somewhere")).expect("good");
        assert!(!config.is_first_try);
        assert!(
            [config.grpc_addr, config.http_addr, config.admin_addr]
                .iter()
                .all(|addr| addr.ip().is_loopback())
        );
    }
}
