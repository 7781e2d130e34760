//! A run: load, faults at random, every crash point, quiet, and the checks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ringless::grpc::pb;
use ringless::grpc::pb::VoicemailStatus as Status;

use crate::carriers::Carriers;
use crate::check::{Facts, Row, Rule, Violation, check};
use crate::crashes::Crashes;
use crate::database::Database;
use crate::load::{Apis, Load, Manner, Notebook, Setting, Told};
use crate::plan;
use crate::played;
use crate::process::until;
use crate::stage::{PostgresPlace, Set, Stage};
use crate::watch::{self, Watch};
use crate::wire::read_record;

#[derive(Clone)]
pub struct Options {
    pub seed: u64,
    pub kills: u64,
    pub points: u64,
    pub postgres: Option<PostgresPlace>,
    pub lies: bool,
    pub keep: bool,
}

impl Options {
    pub fn set(&self, database: Database, carriers: Carriers) -> Set {
        Set {
            seed: self.seed,
            database,
            carriers,
            postgres: self.postgres.clone(),
            workers: 3,
            apis: 2,
            lies: self.lies,
            rough: true,
            hold: Duration::ZERO,
        }
    }

    pub fn manner(&self, carriers: Carriers) -> Manner {
        Manner {
            seed: self.seed,
            pause_ms: match carriers {
                Carriers::Recorded => (20, 160),
                // Each voicemail brings several calls from outside as well.
                Carriers::Vendors => (80, 400),
            },
            answer_within: Duration::from_secs(5),
        }
    }
}

/// For everything that was accepted to come to its end, when all is quiet.
/// A breaker may be open for five minutes.
const DRAIN_WITHIN: Duration = Duration::from_secs(420);
/// Violations whose whole story is told.
const STORIES_MAX: usize = 5;

/// Everything, on one database and with these carriers. Says whether every check held.
pub async fn run(
    options: &Options,
    database: Database,
    carriers: Carriers,
) -> anyhow::Result<bool> {
    Ok(play(options, database, carriers).await?.is_good)
}

/// The same with a carrier that lies about what it knows of repeats: the checks must find it out.
pub async fn finds_the_lie(options: &Options) -> anyhow::Result<bool> {
    println!("--- a carrier that lies: what follows must find something dropped twice ---");
    let lying = Options {
        seed: options.seed,
        kills: 4,
        points: 0,
        postgres: options.postgres.clone(),
        lies: true,
        keep: options.keep,
    };
    let verdict = play(&lying, Database::Sqlite, Carriers::Recorded).await?;
    let is_found = verdict.broken.contains(&Rule::NeverDroppedTwice);
    match is_found {
        true => println!("the lie was found, as it must be"),
        false => println!("FAILED: the lie was not found"),
    }
    Ok(is_found)
}

async fn play(
    options: &Options,
    database: Database,
    carriers: Carriers,
) -> anyhow::Result<Verdict> {
    let began = Instant::now();
    let since = || format!("{:>4} s", began.elapsed().as_secs());
    println!(
        "=== {}, {}, seed {} ===",
        database.as_str(),
        carriers.as_str(),
        options.seed
    );
    let mut stage = Stage::build(&options.set(database, carriers)).await?;
    stage.start(|_| true).await?;
    let apis = stage.apis()?;
    let setting = Setting::make(apis.first(), carriers)
        .await
        .context("the set-up")?;
    let notebook = Notebook::new(&stage.folder.path().join("callers.notes"))?;
    let load = Load::start(&apis, &setting, &notebook, &options.manner(carriers));
    let watching = Watch::start(&apis, options.seed);
    println!("{}  it runs; faults begin", since());

    let faults = plan::draw(options.seed, options.kills, stage.shape());
    for part in faults.chunks(faults.len().div_ceil(10).max(1)) {
        stage.play(part).await?;
        println!("{}  {}", since(), so_far(&stage, &notebook));
    }
    if options.points > 0 {
        let crashes = Crashes::new(database, carriers, options.points);
        let within = Duration::from_secs(60 + 40 * options.points);
        println!(
            "{}  {} crash points, each {} times",
            since(),
            crashes.hits.len(),
            options.points
        );
        stage.crash(crashes, within).await?;
        println!("{}  {}", since(), so_far(&stage, &notebook));
    }
    let crashes = stage.calm().await?;
    println!("{}  quiet; what was accepted comes to its end", since());
    load.stop().await;
    drain(&mut stage, &apis).await?;
    // A call that nobody waits for any more ends by its time limit; it could still be a second drop.
    stage.run_for(Duration::from_secs(4)).await?;
    println!("{}  {}", since(), so_far(&stage, &notebook));
    stage.end_carriers()?;

    let mut findings = gather(&stage, &apis, &setting, &notebook, watching).await?;
    if let Some(crashes) = &crashes {
        for (name, hits) in crashes
            .hits
            .iter()
            .filter(|(_, hits)| **hits < crashes.wanted)
        {
            let text = format!(
                "crash point {name} was hit {hits} times, not {}",
                crashes.wanted
            );
            findings.others.push(text);
        }
    }
    conclude(stage, &apis, findings, crashes.as_ref(), options.keep).await
}

fn so_far(stage: &Stage, notebook: &Notebook) -> String {
    let faults: u64 = stage.done.values().sum();
    let (asked, answered) = notebook.with(|told| {
        let answered = told.accepted.values().filter(|ids| !ids.is_empty());
        (told.accepted.len(), answered.count())
    });
    format!("{faults} faults; voicemails: {asked} sent, {answered} accepted")
}

/// Until nothing is on its way any more. What still is after that is a finding, not an error.
pub async fn drain(stage: &mut Stage, apis: &Apis) -> anyhow::Result<()> {
    let end = Instant::now() + DRAIN_WITHIN;
    let mut has_waited = false;
    while Instant::now() < end {
        stage.run_for(Duration::from_millis(200)).await?;
        let open = [Status::Accepted, Status::Sending, Status::Sent];
        let Ok(open) = watch::list(apis.first(), None, &open).await else {
            continue;
        };
        let is_sent = |it: &pb::Voicemail| it.status() == Status::Sent;
        let are_all_sent = open.iter().all(is_sent);
        if !are_all_sent || !stage.is_all_heard()? {
            continue;
        }
        if open.is_empty() {
            return Ok(());
        }
        if stage.carriers() == Carriers::Vendors && !has_waited {
            stage.end_the_wait()?;
            has_waited = true;
        }
    }
    Ok(())
}

/// What the checks say of a run.
pub struct Verdict {
    pub broken: Vec<Rule>,
    pub is_good: bool,
}

/// What a run came to.
pub struct Findings {
    pub facts: Facts,
    pub told: Told,
    pub violations: Vec<Violation>,
    /// Faults that are about no single voicemail.
    pub others: Vec<String>,
    looks: u64,
}

pub async fn gather(
    stage: &Stage,
    apis: &Apis,
    setting: &Setting,
    notebook: &Notebook,
    watching: Watch,
) -> anyhow::Result<Findings> {
    let mut rows = Vec::new();
    let listed = until(Duration::from_secs(30), async || {
        match watch::list(apis.first(), None, &[]).await {
            Ok(all) => {
                rows = all;
                true
            }
            Err(_) => false,
        }
    });
    if !listed.await {
        bail!("the voicemails can't be listed");
    }
    let seen = watching.stop(&rows);
    let told = notebook.with(std::mem::take);
    let rows = rows
        .iter()
        .map(|row| Row {
            id: row.id.clone(),
            request_id: row.request_id.clone(),
            account: setting.account_of(&row.use_case_id),
            recipient: row.recipient_phone_number.clone(),
            status: row.status(),
            reason: row.failure_reason(),
        })
        .collect();
    let facts = facts(stage, rows, &told, seen.left_ends)?;
    let mut others = stage.wrong.clone();
    if !stage.is_all_heard()? {
        others.push("not everything that vendors had to say was said and read".to_owned());
    }
    others.extend(
        told.wrong
            .iter()
            .map(|text| format!("a wrong answer: {text}")),
    );
    let silent = told.unanswered.iter();
    others.extend(silent.map(|id| format!("{id} was never answered")));
    Ok(Findings {
        violations: check(&facts),
        facts,
        told,
        others,
        looks: seen.looks,
    })
}

/// With what the carriers wrote down.
fn facts(
    stage: &Stage,
    rows: Vec<Row>,
    told: &Told,
    left_ends: Vec<(String, String)>,
) -> anyhow::Result<Facts> {
    let mut facts = Facts {
        accepted: told.accepted.clone(),
        rows,
        left_ends,
        ..Facts::default()
    };
    match stage.carriers() {
        Carriers::Recorded => facts.record = read_record(&stage.record())?,
        Carriers::Vendors => {
            let told = played::read(stage.folder.path(), &facts.rows)?;
            (facts.record, facts.words, facts.faults) = (told.lines, told.words, told.faults);
        }
    }
    Ok(facts)
}

/// The closing table, and the stories of what is wrong.
pub async fn conclude(
    stage: Stage,
    apis: &Apis,
    findings: Findings,
    crashes: Option<&Crashes>,
    keep: bool,
) -> anyhow::Result<Verdict> {
    let Findings {
        facts,
        told,
        violations,
        others,
        looks,
    } = &findings;
    println!("\nwhat was done");
    table(stage.done.iter().map(|(what, count)| (*what, *count)));
    if let Some(crashes) = crashes {
        println!("crash points");
        table(crashes.hits.iter().map(|(name, hits)| (*name, *hits)));
    }
    println!("what callers were answered");
    table(
        told.answers
            .iter()
            .map(|(name, count)| (name.as_str(), *count)),
    );
    println!("what became of the voicemails");
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    for row in &facts.rows {
        let account = row.account.map_or("no account", |account| account.as_str());
        let name = row
            .status
            .as_str_name()
            .trim_start_matches("VOICEMAIL_STATUS_");
        *ends.entry(format!("{account} {name}")).or_default() += 1;
    }
    table(ends.iter().map(|(name, count)| (name.as_str(), *count)));
    println!("the carriers' record");
    table(
        record_of(facts)
            .iter()
            .map(|(name, count)| (name.as_str(), *count)),
    );
    println!(
        "the checks, over {} voicemails and {looks} looks in between",
        facts.rows.len()
    );
    for rule in Rule::ALL {
        let broken = violations
            .iter()
            .filter(|violation| violation.rule == rule)
            .count();
        let word = match broken {
            0 => "holds".to_owned(),
            count => format!("BROKEN {count} times"),
        };
        println!("  {:<55} {word}", rule.as_str());
    }
    for violation in violations.iter().take(STORIES_MAX) {
        tell(violation, apis, facts).await;
    }
    for other in others.iter().take(STORIES_MAX) {
        println!("WRONG: {other}");
    }
    if others.len() > STORIES_MAX {
        println!("and {} more", others.len() - STORIES_MAX);
    }
    let verdict = Verdict {
        broken: violations.iter().map(|violation| violation.rule).collect(),
        is_good: violations.is_empty() && others.is_empty(),
    };
    if keep || !verdict.is_good {
        println!("logs and records are kept in {}", stage.keep().display());
    }
    println!();
    Ok(verdict)
}

fn record_of(facts: &Facts) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in &facts.record {
        *counts.entry(format!("{:?}", line.what)).or_default() += 1;
    }
    for word in &facts.words {
        let what = if word.is_delivery {
            "of delivery"
        } else {
            "of something else"
        };
        let answer = word.answer.map_or("not answered".to_owned(), |status| {
            format!("answered {status}")
        });
        *counts
            .entry(format!("callback {what}, {answer}"))
            .or_default() += 1;
    }
    counts
}

fn table<'n>(rows: impl Iterator<Item = (&'n str, u64)>) {
    for (name, count) in rows {
        println!("  {name:<55} {count:>7}");
    }
}

/// The whole story of one voicemail: what the service tells, and what the carrier wrote down.
async fn tell(violation: &Violation, apis: &Apis, facts: &Facts) {
    println!(
        "BROKEN: {}: {} ({})",
        violation.rule.as_str(),
        violation.text,
        violation.voicemail
    );
    if let Ok(voicemail) = watch::get(apis.first(), &violation.voicemail).await {
        println!(
            "  {} {} {} {}",
            voicemail.request_id,
            voicemail.status().as_str_name(),
            voicemail.failure_reason().as_str_name(),
            voicemail.status_detail
        );
        for attempt in &voicemail.attempts {
            println!(
                "  attempt {} {} {:?}..{:?} {} {} {} {}",
                attempt.number,
                attempt.carrier,
                attempt.start_time.as_ref().map(ToString::to_string),
                attempt.end_time.as_ref().map(ToString::to_string),
                attempt.outcome().as_str_name(),
                attempt.carrier_code,
                attempt.carrier_detail,
                attempt.late_outcome
            );
        }
    }
    for line in facts
        .record
        .iter()
        .filter(|line| line.voicemail == violation.voicemail)
    {
        println!("  carrier: {line:?}");
    }
    let words = facts.words.iter();
    for word in words.filter(|word| word.voicemail == violation.voicemail) {
        println!("  called back: {word:?}");
    }
}
