//! A million random windows against their oracle; run with `cargo bench --bench gates`.
//!
//! The seed is a new one each time and is printed; `cargo bench --bench gates -- SEED` runs that one again. Any case in which
//! the oracle says otherwise ends the run. The processor time of the judgements alone is printed at the end: those of a batch
//! are made and timed together, and checked afterwards.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ringless::domain::window::Window;
use ringless::domain::window::testing::{Case, Cases};

const CASES: usize = 1_000_000;
const BATCH: usize = 1_000;
/// Rounds over each kind of a batch's cases, so that a clock of a millisecond can time them.
const ROUNDS: u32 = 5;

fn main() {
    // Cargo gives `--bench` as well.
    let given = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        u64::from_le_bytes(bytes)
    });
    println!("seed {seed}, {CASES} cases");
    let mut cases = Cases::new(seed);
    let mut tallies = ["open", "opens later", "does not open"].map(Tally::named);
    for batch in 0..CASES / BATCH {
        let batch_cases: Vec<Case> = (0..BATCH).map(|_| cases.next_case()).collect();
        let mut by_kind: [Vec<&Case>; 3] = Default::default();
        for (number, case) in batch_cases.iter().enumerate() {
            let window = case.judge();
            if let Err(fault) = case.check(&window) {
                eprintln!("case {} of seed {seed}: {fault}", batch * BATCH + number);
                std::process::exit(1);
            }
            let kind = match window {
                Window::Open { .. } => 0,
                Window::Closed { opens: Some(_), .. } => 1,
                Window::Closed { opens: None, .. } => 2,
            };
            by_kind[kind].push(case);
        }
        for (tally, cases) in tallies.iter_mut().zip(by_kind) {
            tally.time(&cases);
        }
    }
    println!("no violation; what does not open, does not within the 15 days that are looked ahead");
    for tally in tallies {
        tally.print();
    }
}

/// What the judgements of one kind took.
struct Tally {
    name: &'static str,
    cases: usize,
    spent: Duration,
}

impl Tally {
    fn named(name: &'static str) -> Tally {
        Tally {
            name,
            cases: 0,
            spent: Duration::ZERO,
        }
    }

    fn time(&mut self, cases: &[&Case]) {
        let start = thread_cpu();
        for _ in 0..ROUNDS {
            for case in cases {
                black_box(case.judge());
            }
        }
        self.spent += (thread_cpu() - start) / ROUNDS;
        self.cases += cases.len();
    }

    fn print(self) {
        let each = self.spent.as_nanos() / u128::try_from(self.cases.max(1)).unwrap_or(1);
        let (name, cases) = (self.name, self.cases);
        println!("{name:>13}: {cases:>7} cases, {each:>6} ns of CPU per judgement");
    }
}

/// Time of this thread on a processor; where the kernel does not tell, the time on the clock.
fn thread_cpu() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split_whitespace().next()?.parse().ok());
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    nanos.map_or_else(|| START.elapsed(), Duration::from_nanos)
}
