//! How long SuspendSetup takes, and how long hand-overs still start, while callers send into the setup and workers deliver.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::JoinSet;

use crate::database::Engine;
use crate::figures;
use crate::stage::{Client, Plan, Stage, is_suspended};

const ROUNDS: usize = 20;
const CALLERS: usize = 32;
const WANTED: Duration = Duration::from_secs(1);
/// How long callers and workers are at it before each round.
const LOAD: Duration = Duration::from_millis(500);
/// No hand-over for so long: none comes any more.
const SILENCE: Duration = Duration::from_millis(1_500);
/// A caller who is refused asks again after this.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

pub async fn run(engine: Engine) -> anyhow::Result<()> {
    let (others, processes): (&[&str], _) = match engine {
        Engine::Sqlite => (&[], "one process"),
        Engine::Postgres => (&["worker"], "two processes that deliver"),
    };
    figures::title(
        "suspend",
        engine.as_str(),
        &format!(
            "SuspendSetup while {CALLERS} callers send into the setup; {processes}, carrier 5 ms"
        ),
    );
    let stage = Stage::start(&Plan {
        engine,
        roles: "api,worker",
        others,
        permits: 16,
        carrier_millis: 5,
    })
    .await?;
    let mut idle = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        stage.client.suspend().await?;
        idle.push(start.elapsed());
        stage.client.resume().await?;
    }
    let load = Load::begin(&stage.client);
    let (mut answers, mut lasts) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (answer, last) = round(&stage, &load).await?;
        answers.push(answer);
        lasts.push(last);
    }
    let (accepted, refused) = load.end().await?;
    figures::line("its answer, nothing else going on", &idle);
    figures::line("its answer, under load", &answers);
    figures::wanted(&answers, WANTED);
    figures::line("from the call to the last hand-over's start", &lasts);
    figures::wanted(&lasts, WANTED);
    println!(
        "  {accepted} sends were accepted and {refused} refused; {} voicemails were handed over, {} of them more than once",
        stage.calls.count(),
        stage.calls.repeated()
    );
    ensure!(
        stage.calls.repeated() == 0,
        "each should be handed over once"
    );
    stage.stop().await
}

/// From the call to its answer, and from the call to the start of the last hand-over.
async fn round(stage: &Stage, load: &Load) -> anyhow::Result<(Duration, Duration)> {
    let (handed_over, accepted) = (stage.calls.count(), load.accepted());
    tokio::time::sleep(LOAD).await;
    stage
        .until("callers and workers are at it", |stage| {
            Ok(stage.calls.count() > handed_over + CALLERS
                && load.accepted() > accepted + CALLERS
                && stage.database.waiting()? > CALLERS)
        })
        .await?;
    let start = Instant::now();
    stage.client.suspend().await?;
    let answer = start.elapsed();
    stage
        .until("no more hand-overs", |stage| {
            let last = stage.calls.last().map_or(start, |last| last.max(start));
            Ok(last.elapsed() > SILENCE)
        })
        .await?;
    let last = stage.calls.last().unwrap_or(start);
    stage.client.resume().await?;
    Ok((answer, last.saturating_duration_since(start)))
}

/// Callers who send one message after the other, each as soon as the last was answered.
struct Load {
    callers: JoinSet<anyhow::Result<()>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    refused: AtomicUsize,
    is_over: AtomicBool,
}

impl Load {
    fn begin(client: &Client) -> Load {
        let counts = Arc::new(Counts::default());
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(call(client.clone(), counts.clone()));
        }
        Load { callers, counts }
    }

    fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// How many sends were accepted, and how many refused.
    async fn end(mut self) -> anyhow::Result<(usize, usize)> {
        self.counts.is_over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.callers.join_next().await {
            ended??;
        }
        Ok((self.accepted(), self.counts.refused.load(Ordering::SeqCst)))
    }
}

async fn call(client: Client, counts: Arc<Counts>) -> anyhow::Result<()> {
    while !counts.is_over.load(Ordering::SeqCst) {
        match client.create(&client.use_case_id, None).await {
            Ok(_) => {
                counts.accepted.fetch_add(1, Ordering::SeqCst);
            }
            Err(status) if is_suspended(&status) => {
                counts.refused.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
            Err(status) => return Err(status.into()),
        }
    }
    Ok(())
}
