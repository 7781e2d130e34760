//! P3: judging audio, beside decoding it; and hostile audio. `cargo bench --bench audio` tells more of both.

use std::time::Duration;

use crate::Pace;
use crate::judging::{
    self, HOSTILE_CPU_WANTED, Minute, ONE_SECOND_MONO, ONE_SECOND_STEREO, Times,
    WALK_AND_SAMPLE_PART_WANTED, WALK_PART_WANTED,
};
use crate::rows::{Row, Series, Wanted};

pub fn run(pace: Pace) -> Vec<Row> {
    let rounds = pace.choose(5, 31);
    let mut rows = honest("64 kbit/s mono", ONE_SECOND_MONO, rounds);
    rows.extend(honest("320 kbit/s stereo", ONE_SECOND_STEREO, rounds));
    rows.push(hostile());
    rows
}

fn honest(name: &str, second: &[u8], rounds: usize) -> Vec<Row> {
    let times = Times::measure(&Minute::of(second), rounds);
    println!("P3: {name}: {rounds} rounds");
    let row = |what: &str, ours: &[Duration], part_wanted: f64| Row {
        id: "P3",
        what: format!("60 s, {name}: {what}"),
        ours: millis(ours),
        unit: "ms",
        beside: Some(("full decode", millis(&times.decode))),
        wanted: Wanted::AtMost(1.0 / part_wanted),
    };
    vec![
        row("walk", &times.walk, WALK_PART_WANTED),
        row(
            "walk and sample",
            &times.walk_and_sample(),
            WALK_AND_SAMPLE_PART_WANTED,
        ),
    ]
}

/// The kind of input that takes the most.
fn hostile() -> Row {
    let judged = judging::hostile(judging::most_bytes());
    let worst = judged.iter().map(|(_, spent)| *spent).max();
    println!("P3: {} kinds of hostile inputs", judged.len());
    Row {
        id: "P3",
        what: "the worst hostile 8 MiB: CPU".to_owned(),
        ours: millis(worst.as_slice()),
        unit: "ms",
        beside: None,
        wanted: Wanted::AtMost(HOSTILE_CPU_WANTED.as_secs_f64() * 1e3),
    }
}

fn millis(times: &[Duration]) -> Series {
    let millis = times.iter().map(|time| time.as_secs_f64() * 1e3);
    Series(millis.collect())
}
