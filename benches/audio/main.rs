//! What judging an upload costs, against what decoding it would cost; run with `cargo bench --bench audio`.
//!
//! All contenders take turns within each round, so that a busy machine slows them alike; ratios are taken within a round.
//! The median ratio is held against what is wanted. A busy sibling core slows whole-number work (the walk) more than floating-point work
//! (the decode), so the ratio of the least times, which comes closest to that of the work itself, is printed beside it.
//! The second half feeds hostile inputs of growing size: their time per MiB must not grow with it.

mod judging;

use std::time::Duration;

use crate::judging::{
    HOSTILE_CPU_WANTED, Minute, ONE_SECOND_MONO, ONE_SECOND_STEREO, Times,
    WALK_AND_SAMPLE_PART_WANTED, WALK_PART_WANTED,
};

const ROUNDS: usize = 31;

fn main() {
    honest("60 s, 64 kbit/s mono", ONE_SECOND_MONO);
    honest("60 s, 320 kbit/s stereo", ONE_SECOND_STEREO);
    hostile();
}

fn honest(name: &str, second: &[u8]) {
    let minute = Minute::of(second);
    println!(
        "\n{name}: {} bytes, {:?}, {ROUNDS} rounds",
        minute.bytes.len(),
        minute.walked.duration(),
    );
    let times = Times::measure(&minute, ROUNDS);
    let decode = &times.decode;
    report("full decode", decode, decode, None);
    report("walk", &times.walk, decode, Some(WALK_PART_WANTED));
    report("sample", &times.sample, decode, None);
    report(
        "walk + sample",
        &times.walk_and_sample(),
        decode,
        Some(WALK_AND_SAMPLE_PART_WANTED),
    );
    report("hash", &times.hash, decode, None);
    report("whole judgement", &times.whole, decode, None);
}

fn hostile() {
    println!("\nhostile inputs: milliseconds of CPU per MiB, hash included, at");
    println!(
        "{:>38} {:>9} {:>9} {:>9} {:>9}   {:>9}",
        "", "1 MiB", "2 MiB", "4 MiB", "8 MiB", "all of 8"
    );
    let mib = judging::most_bytes() / 8;
    let sizes = [mib, 2 * mib, 4 * mib, 8 * mib];
    let judged = sizes.map(judging::hostile);
    for (kind, (name, _)) in judged[0].iter().enumerate() {
        print!("{name:>38}");
        let mut spent = Duration::ZERO;
        for (times, size) in judged.iter().zip(sizes) {
            spent = times[kind].1;
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
