//! `recover`: what is done once after the database was restored from a backup, with no server running.

use std::io::{BufRead, IsTerminal};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;

use super::serve::Place;
use super::show;
use crate::clock::Clock;
use crate::config::{Config, Overrides};
use crate::ops::OpError;
use crate::ops::deliver::Delivering;
use crate::ops::recover::{self, Asking, NeverReceived, Word};
use crate::storage::{RestoredCounts, Store, StoreOptions};

/// Stop every server first. What was sent after the backup was taken is waiting again in it.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("step").args(["after_restore", "release_unsent", "release", "close"]).required(true),
    after_help = "docs/restore.md says when to run it, and what to think of before saying --release or --close."
)]
pub struct RecoverArgs {
    #[command(flatten)]
    place: Place,
    /// Put aside whatever may have been sent already, and ask the carriers that can be asked
    #[arg(long)]
    after_restore: bool,
    /// Ask again, and send what a carrier says that it never got
    #[arg(long)]
    release_unsent: bool,
    /// Send what is still held, be it a second time
    #[arg(long)]
    release: bool,
    /// Never send what is still held: it ends UNCONFIRMED
    #[arg(long)]
    close: bool,
    /// Do not ask whether the count is right
    #[arg(long)]
    yes: bool,
}

pub async fn run(args: RecoverArgs) -> anyhow::Result<()> {
    // It listens nowhere, so the addresses of a config file are no matter here.
    let config = Config::load(Overrides {
        insecure_no_auth: true,
        ..args.place.overrides()
    })?;
    let store = open(&config).await?;
    let before = counts(&store).await?;
    if args.release || args.close {
        let word = if args.release {
            Word::Release
        } else {
            Word::Close
        };
        return decide(&store, before, word, args.yes).await;
    }
    if args.release_unsent {
        return ask(&store, &config, NeverReceived::Release).await;
    }
    after_restore(&store, before, &config).await
}

/// Refused while a server works on the database.
async fn open(config: &Config) -> anyhow::Result<Store> {
    let url = &config.database_url;
    let place = || format!("the database {url} can't be used");
    let options = StoreOptions {
        url: url.recovering(),
        connections: config.connections,
        connection_age_max: config.connection_age_max,
        clock: Clock::Database,
    };
    let store = Store::open(&options).with_context(place)?;
    let difference = store.schema_difference().await.with_context(place)?;
    if !difference.unknown.is_empty() {
        bail!("the database {url} was migrated by a newer ringless; use that one");
    }
    if !difference.missing.is_empty() {
        bail!("the backup is of an older ringless; run `ringless migrate` first");
    }
    refuse_others(&store).await.with_context(place)?;
    Ok(store)
}

/// Looked at before anything is done and again afterwards: a server that was forgotten may have
/// connected in between.
async fn refuse_others(store: &Store) -> anyhow::Result<()> {
    let others = store
        .read(|tx| Ok::<_, OpError>(tx.other_processes()?))
        .await?;
    if others > 0 {
        bail!(
            "{others} connection(s) of running servers use the database; stop all of them first, and run this again, because what they send now can't be called back"
        );
    }
    Ok(())
}

async fn counts(store: &Store) -> anyhow::Result<RestoredCounts> {
    let counts = store
        .read(|tx| Ok::<_, OpError>(tx.restored_counts()?))
        .await?;
    Ok(counts)
}

async fn after_restore(
    store: &Store,
    before: RestoredCounts,
    config: &Config,
) -> anyhow::Result<()> {
    show::say(show::fields(&[
        (
            "due",
            format!("{} are ACCEPTED and their time has come: held", before.due),
        ),
        ("under way", format!("{} are SENDING: held", before.sending)),
        (
            "later",
            format!(
                "{} wait for a later time: held where their callers may have brought them forward",
                before.later
            ),
        ),
        (
            "sent",
            format!(
                "{} are SENT: left to their carriers' word or the deadline",
                before.sent
            ),
        ),
    ]))?;
    let held = recover::hold(store).await?;
    refuse_others(store).await?;
    show::say(format!(
        "held now: {}",
        before.held + i64::try_from(held).unwrap_or(0)
    ))?;
    ask(store, config, NeverReceived::Hold).await
}

async fn ask(store: &Store, config: &Config, never_received: NeverReceived) -> anyhow::Result<()> {
    let asking = Asking {
        store: store.clone(),
        delivering: Delivering {
            registry: config.registry()?,
            rules: config.rules.clone(),
            gates: config.gates.clone(),
            lease: config.worker.lease,
            // It asks, and hands nothing over.
            doors: None,
        },
        call_timeout: config.worker.call_timeout,
        never_received,
        questions_at_once: recover::QUESTIONS_AT_ONCE,
        silent: Arc::default(),
    };
    let progress = |count: usize| {
        if count.is_multiple_of(1_000) {
            eprintln!("{count} looked at");
        }
    };
    let asked = recover::ask(&asking, progress).await?;
    refuse_others(store).await?;
    let unsent = match never_received {
        NeverReceived::Hold => {
            "the carrier never got them; held, because they may have been cancelled since the backup"
        }
        NeverReceived::Release => "the carrier never got them; let go",
    };
    show::say(show::fields(&[
        (
            "settled",
            format!("{}: the carrier has them", asked.settled),
        ),
        ("unsent", format!("{}: {unsent}", asked.never_received)),
        (
            "unknown",
            format!("{}: no carrier can say; held", asked.unknown),
        ),
    ]))?;
    let held = counts(store).await?.held;
    show::say(match held {
        0 => "nothing is held; servers may be started".to_owned(),
        held => format!(
            "held: {held}. Servers may be started; these wait for `ringless recover --release-unsent`, `--release` or `--close`"
        ),
    })
}

/// The count comes first, and then the operator's word.
async fn decide(
    store: &Store,
    before: RestoredCounts,
    word: Word,
    is_sure: bool,
) -> anyhow::Result<()> {
    let what = match word {
        Word::Release => "are let go: they are sent, be it a second time",
        Word::Close => "are closed: they are never sent and end UNCONFIRMED",
    };
    show::say(format!("held: {}. All of them {what}", before.held))?;
    if before.held == 0 {
        return show::say("nothing is held");
    }
    if !is_sure && !is_confirmed()? {
        bail!("nothing was done; say --yes, or answer `yes` on a terminal");
    }
    let done = recover::decide(store, word).await?;
    show::say(format!("done: {done}"))
}

fn is_confirmed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    show::put("Type `yes` to go on: ")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
