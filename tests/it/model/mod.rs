//! A model of delivery. Random histories drive the real steps of the worker on a real store:
//! several workers, crashes between any two units of work, leases that run out, commits whose answer
//! is lost, clocks that jump, carriers that break off. The model knows what each carrier really
//! received, and holds every step against the rules. docs/model.md says which, and how to read a
//! history that failed.

mod carriers;
pub mod chance;
mod hands;
mod history;
mod play;
mod rules;
mod stage;
mod tally;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use history::History;
use play::{Fault, play};
use ringless::domain::status::Status;
use stage::{Flaw, Stage};
use tally::Tally;

use crate::support::Engine;

/// The seeds that are played, where the environment names others: `RINGLESS_MODEL_SEEDS=17` or
/// `RINGLESS_MODEL_SEEDS=0..100000`.
fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("RINGLESS_MODEL_SEEDS") else {
        return usual;
    };
    let number = |text: &str| {
        text.parse::<u64>()
            .expect("RINGLESS_MODEL_SEEDS is N or N..M")
    };
    match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&text)..number(&text) + 1,
    }
}

/// A history that broke a rule, as short as it could be made.
#[derive(Debug)]
struct Failure {
    history: History,
    fault: Fault,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { history, fault } = self;
        writeln!(f, "\n{}\n", fault.broken)?;
        writeln!(
            f,
            "seed {}, cut to {} steps",
            history.seed,
            history.steps.len()
        )?;
        writeln!(f, "{:?}\n", history.cast)?;
        for line in &fault.tale {
            writeln!(f, "{line}")?;
        }
        writeln!(
            f,
            "\nto play it again: RINGLESS_MODEL_SEEDS={} cargo test --test it model::sqlite::random",
            history.seed
        )
    }
}

/// Plays the histories of these seeds, on as many stores at once as there are `lanes`.
async fn explore(
    engine: Engine,
    flaw: Option<Flaw>,
    seeds: Range<u64>,
    lanes: u64,
) -> Result<Tally, Box<Failure>> {
    let mut running = tokio::task::JoinSet::new();
    let stop = Arc::new(AtomicBool::new(false));
    for lane in 0..lanes {
        let of_lane = seeds.clone().filter(move |seed| seed % lanes == lane);
        running.spawn(explore_lane(engine, flaw, of_lane, stop.clone()));
    }
    let mut all = Ok(Tally::default());
    while let Some(lane) = running.join_next().await {
        match (&mut all, lane.expect("a lane does not panic")) {
            (Ok(all), Ok(tally)) => all.add(&tally),
            (Ok(_), Err(failure)) => all = Err(failure),
            (Err(_), _) => {}
        }
    }
    all
}

async fn explore_lane(
    engine: Engine,
    flaw: Option<Flaw>,
    seeds: impl Iterator<Item = u64>,
    stop: Arc<AtomicBool>,
) -> Result<Tally, Box<Failure>> {
    let stage = Stage::new(engine, flaw).await;
    let mut all = Tally::default();
    for seed in seeds {
        let history = History::drawn_from(seed);
        match play(&stage, &history, false).await {
            Ok(tally) => all.add(&tally),
            Err(_) => {
                stop.store(true, Ordering::SeqCst);
                return Err(Box::new(shortest(&stage, history).await));
            }
        }
        if stop.load(Ordering::SeqCst) {
            break;
        }
    }
    crate::report_counts::check(stage.store()).await;
    Ok(all)
}

/// Takes steps away from a failing history, at first many at once, for as long as it still fails.
/// It may come to break another rule on the way: the shorter one is worth more.
async fn shortest(stage: &Stage, mut history: History) -> Failure {
    let mut alone = history.clone();
    alone.cast.expire_after.truncate(1);
    if play(stage, &alone, false).await.is_err() {
        history = alone;
    }
    let mut at_once = history.steps.len().div_ceil(2);
    while at_once > 0 {
        let before = history.steps.len();
        let mut from = 0;
        while from < history.steps.len() {
            let to = (from + at_once).min(history.steps.len());
            let mut shorter = history.clone();
            shorter.steps.drain(from..to);
            match play(stage, &shorter, false).await {
                Ok(_) => from = to,
                Err(_) => history = shorter,
            }
        }
        // One by one it goes on until not one of them can be missed.
        if at_once > 1 || history.steps.len() == before {
            at_once /= 2;
        }
    }
    let fault = play(stage, &history, true).await;
    let fault = fault.expect_err("the same history fails each time it is played");
    Failure { history, fault }
}

crate::on_both_databases!(
    random_histories_break_no_rule,
    the_checker_finds_each_flaw_that_is_built_in,
);

/// Histories of an ordinary test run.
const USUAL: u64 = 150;

async fn random_histories_break_no_rule(engine: Engine) {
    let usual = match engine {
        Engine::Sqlite => USUAL,
        Engine::Postgres => USUAL / 3,
    };
    let tally = match explore(engine, None, seeds(0..usual), 4).await {
        Ok(tally) => tally,
        Err(failure) => panic!("{failure}"),
    };
    println!("{tally:#?}");
    if tally.histories >= USUAL as usize {
        // They go everywhere: to every end, and by every way.
        for end in Status::ALL.into_iter().filter(|status| status.is_end()) {
            assert!(tally.ends.contains_key(&end), "no history ended {end}");
        }
        for (what, count) in [
            ("a question", tally.questions),
            ("a word of a carrier's own", tally.words),
            ("a late answer", tally.late_answers),
            ("a contradiction", tally.contradictions),
            ("a repeated record", tally.repeated_records),
            ("a call after its lease", tally.late_calls),
            ("a jump of the clock", tally.jumps),
        ] {
            assert!(count > 0, "no history had {what}");
        }
    }
}

/// A checker that never finds anything proves nothing.
async fn the_checker_finds_each_flaw_that_is_built_in(engine: Engine) {
    for (flaw, finding) in [
        (Flaw::BlindRepeat, "dropped"),
        (Flaw::BreakIsRefusal, "dropped"),
        (Flaw::TokenIgnored, ""),
        (Flaw::LeaseIgnored, "a lease that was lost"),
        (Flaw::AttemptUnwritten, "not written"),
        (Flaw::RiddleIsFailure, "FAILED, and was dropped"),
    ] {
        let failure = match explore(engine, Some(flaw), 0..1_000, 1).await {
            Ok(_) => panic!("nobody noticed {flaw:?}"),
            Err(failure) => failure,
        };
        println!("{flaw:?} {failure}");
        assert!(
            failure.fault.broken.contains(finding),
            "{flaw:?}: {failure}"
        );
        assert!(
            failure.history.steps.len() <= 20,
            "{flaw:?} could be shown in fewer steps: {failure}"
        );
    }
}

/// The long form: `cargo test --test it -- --ignored --nocapture a_hundred_thousand_histories`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes; docs/model.md says how it is run"]
async fn a_hundred_thousand_histories_break_no_rule() {
    match explore(Engine::Sqlite, None, seeds(0..100_000), 4).await {
        Ok(tally) => println!("{tally:#?}"),
        Err(failure) => panic!("{failure}"),
    }
}
