//! Inputs made to cost much: they end, and the work stays in proportion to the bytes.

use super::*;
use crate::audio::testing::hostile_inputs;
use crate::audio::walk::Walk;

#[test]
fn every_byte_of_a_hostile_input_is_looked_at_a_bounded_number_of_times() {
    for (name, bytes) in hostile_inputs(2_000_000) {
        for piece_bytes in [65_536, 1_000] {
            let mut walk = Walk::new();
            let _ = bytes
                .chunks(piece_bytes)
                .try_for_each(|piece| walk.push(piece));
            // Each place is looked at once as the beginning of a chain, and leads to two more looks. Where a piece ends, the bytes of
            // one place are looked at once more.
            let bound = 3 * bytes.len() as u64 + 4 * (bytes.len() / piece_bytes) as u64 + 100;
            assert!(
                walk.places_read <= bound,
                "{name}: {} places for {} bytes",
                walk.places_read,
                bytes.len()
            );
        }
    }
}

#[test]
fn single_byte_pieces_do_not_multiply_the_work() {
    for (name, bytes) in hostile_inputs(100_000) {
        let mut walk = Walk::new();
        let _ = bytes.chunks(1).try_for_each(|piece| walk.push(piece));
        // Each piece may look again at the one place that still waits.
        assert!(
            walk.places_read <= 6 * bytes.len() as u64 + 100,
            "{name}: {} places",
            walk.places_read
        );
    }
}

#[test]
fn memory_stays_bounded_whatever_comes() {
    for (name, bytes) in hostile_inputs(1_000_000) {
        let mut walk = Walk::new();
        for piece in bytes.chunks(10_000) {
            if walk.push(piece).is_err() {
                break;
            }
            let (kept_bytes, frames) = walk.memory();
            assert!(kept_bytes <= 33_000, "{name}: {kept_bytes} bytes kept");
            assert!(frames <= 2_514, "{name}: {frames} frames kept");
        }
    }
}

#[test]
fn hostile_inputs_get_the_verdicts_they_deserve() {
    for (name, bytes) in hostile_inputs(1_000_000) {
        let result = verdict(&bytes);
        let is_right = match name {
            "tiny frames" | "chain broken every third frame" => {
                matches!(result, Err(Refusal::TooLong { .. }))
            }
            _ if name.starts_with("10 s, then") => {
                matches!(
                    result,
                    Err(Refusal::Corrupt {
                        damage: Damage::JunkWithin { .. }
                    })
                )
            }
            _ => matches!(result, Err(Refusal::NotMp3 { .. })),
        };
        assert!(is_right, "{name}: {result:?}");
    }
}
