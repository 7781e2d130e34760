//! Scripted scenarios, one fault each.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use ringless::grpc::pb;
use ringless::grpc::pb::VoicemailStatus as Status;
use ringless::grpc::pb::voicemail_service_client::VoicemailServiceClient;
use rustix::process::Signal;

use crate::carriers::Carriers;
use crate::database::Database;
use crate::load::{Apis, Load, Notebook, Setting};
use crate::plan::Link;
use crate::process::until;
use crate::proxy::Proxy;
use crate::run::{Options, conclude, drain, gather};
use crate::server::LEASE;
use crate::stage::{Server, Set, Stage};
use crate::watch::{self, Watch};
use crate::wire::{Account, Line, What, read_record};

const SOON: Duration = Duration::from_secs(20);
/// For what should not happen to show itself.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// As the worker logs them.
const ANSWERED: &str = "carrier answered";
const LATE: &str = "an answer came after the lease was lost";

/// Where the worker is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The carrier has it and has not answered. When the worker goes on, its time for the call is over.
    TheCall,
    /// The carrier has answered, and the worker has not written it down.
    TheRecord,
}

/// A worker is stopped, for twice the lease; another one takes over; then the first goes on, and what
/// it has to say must not change what the second one did.
pub async fn stop_worker(options: &Options) -> anyhow::Result<bool> {
    println!("=== a worker is stopped for twice its lease ===");
    let set = Set {
        workers: 2,
        apis: 1,
        rough: false,
        hold: Duration::from_secs(1),
        ..options.set(Database::Postgres, Carriers::Recorded)
    };
    let mut stage = Stage::build(&set).await?;
    stage.start(|server| !is_second(server)).await?;
    let apis = stage.apis()?;
    let setting = Setting::make(apis.first(), Carriers::Recorded)
        .await
        .context("the set-up")?;
    let mut is_good = true;
    for at in [At::TheCall, At::TheRecord] {
        for account in [Account::Repeatable, Account::Once] {
            let holds = stop_one(&mut stage, &apis, &setting, account, at).await?;
            println!("  {}", if holds { "holds" } else { "FAILED" });
            is_good &= holds;
        }
    }
    if options.keep || !is_good {
        println!("logs and records are kept in {}", stage.keep().display());
    }
    println!();
    Ok(is_good)
}

fn is_second(server: &Server) -> bool {
    server.process.name == "worker-2"
}

async fn stop_one(
    stage: &mut Stage,
    apis: &Apis,
    setting: &Setting,
    account: Account,
    at: At,
) -> anyhow::Result<bool> {
    println!("{}, stopped at {at:?}", account.as_str());
    let (record, log) = (stage.record(), stage.servers[0].process.log.clone());
    let said = |words: &str| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.matches(words).count()
    };
    let (answers_before, late_before) = (said(ANSWERED), said(LATE));
    let id = send(apis, setting, account, at).await?;
    let count = |what| {
        let record = read_record(&record).unwrap_or_default();
        let of_it = |line: &&Line| line.voicemail == id && line.what == what;
        record.iter().filter(of_it).count()
    };
    let has_it = until(SOON, async || count(What::Drop) == 1).await;
    ensure!(has_it, "the carrier never got it");
    // From here the carrier waits a second before it answers.
    if at == At::TheRecord {
        stage.link(0, Link::Postgres, |proxy| proxy.hold(true));
        let is_answered = until(SOON, async || said(ANSWERED) > answers_before).await;
        ensure!(is_answered, "the carrier never answered");
    }
    let stopped = Instant::now();
    stage.servers[0].process.signal(Signal::STOP)?;
    stage.start(is_second).await?;
    let expected = match account {
        Account::Repeatable => Status::Delivered,
        _ => Status::Unconfirmed,
    };
    let is_taken_over = until(SOON, async || is_now(apis, &id, expected).await).await;
    ensure!(is_taken_over, "nobody took it over");
    println!(
        "  the second worker took it over within {:.1} s: {}",
        stopped.elapsed().as_secs_f32(),
        expected.as_str_name()
    );
    tokio::time::sleep((LEASE * 2).saturating_sub(stopped.elapsed())).await;
    stage.servers[0].process.signal(Signal::CONT)?;
    stage.link(0, Link::Postgres, Proxy::calm);
    let is_back = until(SOON, async || match at {
        At::TheCall => said(ANSWERED) > answers_before,
        At::TheRecord => said(LATE) > late_before,
    });
    let is_back = is_back.await;
    tokio::time::sleep(AFTERWARDS).await;

    let voicemail = watch::get(apis.first(), &id).await?;
    let (dropped, repeated) = (count(What::Drop), count(What::Repeat));
    println!(
        "  dropped {dropped}, repeats known {repeated}, {}",
        voicemail.status().as_str_name()
    );
    for attempt in &voicemail.attempts {
        println!(
            "  attempt {}: {} ({}), late: {:?}",
            attempt.number,
            attempt.outcome().as_str_name(),
            attempt.carrier_detail,
            attempt.late_outcome
        );
    }
    // Late word settles what was in doubt, and nothing else; it stays with its attempt.
    let at_last = match at {
        At::TheCall => expected,
        At::TheRecord => Status::Delivered,
    };
    let is_kept = voicemail
        .attempts
        .first()
        .is_some_and(|first| first.late_outcome.is_empty() == (at == At::TheCall));
    stage.servers[1].process.kill()?;
    let attempts = 1 + usize::from(account == Account::Repeatable);
    Ok(is_back
        && is_kept
        && dropped == 1
        && repeated == attempts - 1
        && voicemail.attempts.len() == attempts
        && voicemail.status() == at_last)
}

async fn send(apis: &Apis, setting: &Setting, account: Account, at: At) -> anyhow::Result<String> {
    let metadata = pb::SendVoicemailMetadata {
        use_case_id: setting.use_cases[&account].clone(),
        recipient_phone_number: "+12125550123".to_owned(),
        audio_id: setting.audio_id.clone(),
        request_id: format!("{} {at:?}", account.as_str()),
        ..Default::default()
    };
    let request = pb::CreateVoicemailRequest {
        metadata: Some(metadata),
        audio: Default::default(),
    };
    let sent = VoicemailServiceClient::new(apis.first())
        .create_voicemail(request)
        .await?;
    Ok(sent.into_inner().voicemail.unwrap_or_default().id)
}

async fn is_now(apis: &Apis, id: &str, status: Status) -> bool {
    watch::get(apis.first(), id)
        .await
        .is_ok_and(|voicemail| voicemail.status() == status)
}

/// How long Postgres is away.
const AWAY: Duration = Duration::from_secs(20);

/// Postgres is stopped for a while under load. Callers hear UNAVAILABLE and nothing else, no server
/// has to be started again, and all that was accepted is delivered.
pub async fn postgres_away(options: &Options) -> anyhow::Result<bool> {
    println!(
        "=== Postgres is away for {} s under load ===",
        AWAY.as_secs()
    );
    let set = Set {
        rough: false,
        ..options.set(Database::Postgres, Carriers::Recorded)
    };
    let mut stage = Stage::build(&set).await?;
    stage.start(|_| true).await?;
    let apis = stage.apis()?;
    let setting = Setting::make(apis.first(), Carriers::Recorded)
        .await
        .context("the set-up")?;
    let notebook = Notebook::new(&stage.folder.path().join("callers.notes"))?;
    let mut manner = options.manner(Carriers::Recorded);
    manner.answer_within = Duration::from_secs(40);
    let load = Load::start(&apis, &setting, &notebook, &manner);
    let watching = Watch::start(&apis, options.seed);
    stage.run_for(Duration::from_secs(5)).await?;
    let before = stage.ids();
    let Some(mut postgres) = stage.postgres.take() else {
        bail!("there is no Postgres");
    };
    postgres.stop().await?;
    println!("stopped");
    stage.run_for(AWAY).await?;
    postgres.go().await?;
    println!("started again");
    let back = Instant::now();
    let accepted = || notebook.with(|told| told.answers.get("OK").copied().unwrap_or(0));
    let at_start = accepted();
    let answers_again = until(SOON, async || accepted() > at_start).await;
    println!(
        "the first send was accepted {:.1} s later",
        back.elapsed().as_secs_f32()
    );
    stage.run_for(Duration::from_secs(5)).await?;
    stage.postgres = Some(postgres);
    load.stop().await;
    drain(&mut stage, &apis).await?;
    let mut findings = gather(&stage, &apis, &setting, &notebook, watching).await?;
    if stage.ids() != before {
        findings
            .others
            .push("a server did not live through it".to_owned());
    }
    if !answers_again {
        findings
            .others
            .push("nothing was accepted afterwards".to_owned());
    }
    let others = findings.told.answers.keys();
    let unlike: Vec<String> = others
        .filter(|name| *name != "OK" && !name.starts_with("Unavailable "))
        .map(|name| format!("callers heard {name}"))
        .collect();
    findings.others.extend(unlike);
    let verdict = conclude(stage, &apis, findings, None, options.keep).await?;
    Ok(verdict.is_good)
}
