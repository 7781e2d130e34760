//! Figures of many times, and how they are printed.

use std::time::Duration;

/// Heads a scenario's figures.
pub fn title(scenario: &str, database: &str, what: &str) {
    println!("\n{scenario}, {database}: {what}");
}

/// One line: how many, median, 99th percentile, greatest.
pub fn line(name: &str, times: &[Duration]) {
    println!(
        "  {name:<46} n {:>4}   median {:>9}   p99 {:>9}   max {:>9}",
        times.len(),
        millis(median(times)),
        millis(percentile(times, 99)),
        millis(percentile(times, 100)),
    );
}

/// The greatest, held against what is wanted.
pub fn wanted(times: &[Duration], within: Duration) {
    let greatest = percentile(times, 100);
    let verdict = match greatest <= within {
        true => "reached",
        false => "NOT REACHED",
    };
    println!("  wanted: at most {} each time: {verdict}", millis(within));
}

pub fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

pub fn median(times: &[Duration]) -> Duration {
    percentile(times, 50)
}

/// The time that so many of a hundred are at most.
pub fn percentile(times: &[Duration], of_hundred: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * of_hundred).div_ceil(100).max(1) - 1;
    sorted.get(place).copied().unwrap_or_default()
}

/// Median of the ratios of pairs that were taken one right after the other.
pub fn median_ratio(times: &[Duration], floors: &[Duration]) -> f64 {
    let mut ratios: Vec<f64> = times
        .iter()
        .zip(floors)
        .map(|(time, floor)| time.as_secs_f64() / floor.as_secs_f64())
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}
