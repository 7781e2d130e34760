//! What judging an upload costs, against what decoding it would cost; run with `cargo bench --bench audio`.
//!
//! All contenders take turns within each round, so that a busy machine slows them alike; ratios are taken within a round.
//! The median ratio is held against what is wanted. A busy sibling core slows whole-number work (the walk) more than floating-point work
//! (the decode), so the ratio of the least times, which comes closest to that of the work itself, is printed beside it.
//! The second half feeds hostile inputs of growing size: their time per MiB must not grow with it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ringless::audio::{self, BYTES_MAX, Judge, testing};
use sha2::{Digest, Sha256};

const ROUNDS: usize = 31;

/// The walk alone should cost at most this part of a full decode, and walk and sample together at most the other.
const WALK_PART_WANTED: f64 = 500.0;
const WALK_AND_SAMPLE_PART_WANTED: f64 = 40.0;

/// No upload of 8 MiB may take more CPU time than this.
const HOSTILE_CPU_WANTED: Duration = Duration::from_millis(50);

fn main() {
    let one_second_mono = include_bytes!("../tests/fixtures/audio/bench-44100-64k-mono-1s.mp3");
    let one_second_stereo =
        include_bytes!("../tests/fixtures/audio/bench-44100-320k-stereo-1s.mp3");
    honest("60 s, 64 kbit/s mono", one_second_mono);
    honest("60 s, 320 kbit/s stereo", one_second_stereo);
    hostile();
}

fn honest(name: &str, second: &[u8]) {
    let bytes = a_minute_of(second);
    let walked = audio::judge(&bytes).expect("the repeated fixture is an MP3 of just under 60 s");
    println!(
        "\n{name}: {} bytes, {:?}, {} rounds",
        bytes.len(),
        walked.duration(),
        ROUNDS
    );
    let mut times: [Vec<Duration>; 5] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(time(1, || testing::decode_all(&walked, &bytes)));
        times[1].push(time(100, || testing::walk_alone(&bytes)));
        times[2].push(time(10, || walked.check_sound(&bytes)));
        times[3].push(time(10, || Sha256::digest(&bytes)));
        times[4].push(time(10, || audio::judge(&bytes)));
    }
    let [decode, walk, sample, hash, whole] = &times;
    let walk_and_sample: Vec<Duration> = walk
        .iter()
        .zip(sample)
        .map(|(walk, sample)| *walk + *sample)
        .collect();
    report("full decode", decode, decode, None);
    report("walk", walk, decode, Some(WALK_PART_WANTED));
    report("sample", sample, decode, None);
    report(
        "walk + sample",
        &walk_and_sample,
        decode,
        Some(WALK_AND_SAMPLE_PART_WANTED),
    );
    report("hash", hash, decode, None);
    report("whole judgement", whole, decode, None);
}

/// The second's frames again and again, as long as they stay under a minute.
fn a_minute_of(second: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let is_short_enough = |bytes: &[u8]| {
        let walked = audio::judge(bytes);
        !matches!(walked, Err(audio::Refusal::TooLong { .. }))
    };
    while is_short_enough(&[bytes.as_slice(), second].concat()) {
        bytes.extend_from_slice(second);
    }
    bytes
}

fn hostile() {
    println!("\nhostile inputs: milliseconds of CPU per MiB, hash included, at");
    println!(
        "{:>38} {:>9} {:>9} {:>9} {:>9}   {:>9}",
        "", "1 MiB", "2 MiB", "4 MiB", "8 MiB", "all of 8"
    );
    let mib = BYTES_MAX as usize / 8;
    let sizes = [mib, 2 * mib, 4 * mib, 8 * mib];
    let inputs = sizes.map(testing::hostile_inputs);
    for (kind, (name, _)) in inputs[0].iter().enumerate() {
        print!("{name:>38}");
        let mut spent = Duration::ZERO;
        for (input, size) in inputs.iter().zip(sizes) {
            spent = cpu_time(|| judge_in_chunks(&input[kind].1));
            print!(
                " {:>9.3}",
                spent.as_secs_f64() * 1e3 * mib as f64 / size as f64
            );
        }
        let verdict = if spent <= HOSTILE_CPU_WANTED {
            ""
        } else {
            "  MORE THAN WANTED"
        };
        println!("   {:>6.1} ms{verdict}", spent.as_secs_f64() * 1e3);
    }
    println!(
        "(wanted: at most {} ms for 8 MiB)",
        HOSTILE_CPU_WANTED.as_millis()
    );
}

/// As the service does it: chunks of 64 KiB, then the sample. Whether it is refused, and when, is the judge's affair.
fn judge_in_chunks(bytes: &[u8]) -> Result<(), audio::Refusal> {
    let mut judge = Judge::new();
    for chunk in bytes.chunks(65_536) {
        judge.push(chunk)?;
    }
    judge.finish()?.check_sound(bytes)
}

/// The time of one run, averaged over `runs`: the short contenders run often enough in their turn to be measurable.
fn time<T>(runs: u32, mut work: impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..runs {
        black_box(work());
    }
    start.elapsed() / runs
}

/// CPU time of one run, averaged over several because the kernel's count is only brought up to date every few milliseconds.
/// Where the kernel tells none, the time on the clock.
fn cpu_time<T>(mut work: impl FnMut() -> T) -> Duration {
    const RUNS: u32 = 10;
    let cpu_before = thread_cpu();
    let start = Instant::now();
    for _ in 0..RUNS {
        black_box(work());
    }
    let elapsed = start.elapsed();
    let spent = cpu_before
        .zip(thread_cpu())
        .map_or(elapsed, |(before, after)| after - before);
    spent / RUNS
}

fn thread_cpu() -> Option<Duration> {
    // Sleeping for a moment makes the kernel close its account.
    std::thread::sleep(Duration::from_micros(50));
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ')
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}

fn report(name: &str, times: &[Duration], decode: &[Duration], part_wanted: Option<f64>) {
    let millis = |times: &[Duration]| {
        times
            .iter()
            .map(|time| time.as_secs_f64() * 1e3)
            .collect::<Vec<f64>>()
    };
    let parts = millis(decode)
        .iter()
        .zip(millis(times))
        .map(|(decode, time)| decode / time)
        .collect();
    let (least, middle, most) = spread(millis(times));
    let (part_least, part_middle, part_most) = spread(parts);
    let part_of_least = spread(millis(decode)).0 / least;
    print!("{name:>16}: median {middle:>8.4} ms (min {least:.4}, max {most:.4});");
    print!(" 1/{part_of_least:.1} of the decode by the least times,");
    print!(" median 1/{part_middle:.1} (1/{part_least:.1} to 1/{part_most:.1})");
    match part_wanted {
        Some(wanted) if part_middle < wanted => println!("; wanted 1/{wanted}: NOT REACHED"),
        Some(wanted) => println!("; wanted 1/{wanted}: reached"),
        None => println!(),
    }
}

/// Smallest, middle and largest.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    )
}
