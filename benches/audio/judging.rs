//! Judging an upload, and its contenders, in turns.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ringless::audio::{self, BYTES_MAX, Judge, Walked, testing};
use sha2::{Digest, Sha256};

/// What honest audio is made of.
pub const ONE_SECOND_MONO: &[u8] =
    include_bytes!("../../tests/fixtures/audio/bench-44100-64k-mono-1s.mp3");
pub const ONE_SECOND_STEREO: &[u8] =
    include_bytes!("../../tests/fixtures/audio/bench-44100-320k-stereo-1s.mp3");

/// The walk alone should cost at most this part of a full decode, and walk and sample together at most the other.
pub const WALK_PART_WANTED: f64 = 500.0;
pub const WALK_AND_SAMPLE_PART_WANTED: f64 = 40.0;

/// No upload of 8 MiB may take more CPU time than this.
pub const HOSTILE_CPU_WANTED: Duration = Duration::from_millis(50);

/// Just under a minute of good audio.
pub struct Minute {
    pub bytes: Vec<u8>,
    pub walked: Walked,
}

impl Minute {
    /// The second's frames again and again, as long as they stay under a minute.
    pub fn of(second: &[u8]) -> Minute {
        let mut bytes = Vec::new();
        let is_short_enough = |bytes: &[u8]| {
            let walked = audio::judge(bytes);
            !matches!(walked, Err(audio::Refusal::TooLong { .. }))
        };
        while is_short_enough(&[bytes.as_slice(), second].concat()) {
            bytes.extend_from_slice(second);
        }
        let walked =
            audio::judge(&bytes).expect("the repeated fixture is an MP3 of just under 60 s");
        Minute { bytes, walked }
    }
}

/// Of each round, what each contender took.
#[derive(Default)]
pub struct Times {
    pub decode: Vec<Duration>,
    pub walk: Vec<Duration>,
    pub sample: Vec<Duration>,
    pub hash: Vec<Duration>,
    pub whole: Vec<Duration>,
}

impl Times {
    pub fn measure(minute: &Minute, rounds: usize) -> Times {
        let Minute { bytes, walked } = minute;
        let mut times = Times::default();
        for _ in 0..rounds {
            let decode = time(1, || testing::decode_all(walked, bytes));
            times.decode.push(decode);
            times.walk.push(time(100, || testing::walk_alone(bytes)));
            times.sample.push(time(10, || walked.check_sound(bytes)));
            times.hash.push(time(10, || Sha256::digest(bytes)));
            times.whole.push(time(10, || audio::judge(bytes)));
        }
        times
    }

    pub fn walk_and_sample(&self) -> Vec<Duration> {
        let pairs = self.walk.iter().zip(&self.sample);
        pairs.map(|(walk, sample)| *walk + *sample).collect()
    }
}

/// CPU time of judging hostile inputs of so many bytes, by their names.
pub fn hostile(bytes: usize) -> Vec<(&'static str, Duration)> {
    let inputs = testing::hostile_inputs(bytes);
    let judged = inputs
        .into_iter()
        .map(|(name, input)| (name, cpu_time(|| judge_in_chunks(&input))));
    judged.collect()
}

/// The largest upload that there may be.
pub fn most_bytes() -> usize {
    usize::try_from(BYTES_MAX).unwrap_or(usize::MAX)
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
