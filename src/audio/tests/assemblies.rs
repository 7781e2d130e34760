//! Uploads put together at random from frames, pieces of frames, tags, pieces of tags, and junk: nothing panics, and how they are cut
//! into chunks changes nothing.

use super::*;
use crate::audio::testing::Noise;

fn part(noise: &mut Noise) -> Vec<u8> {
    const RATES: [u32; 4] = [48_000, 44_100, 24_000, 8_000];
    let hz = RATES[noise.below(4)];
    let bit_rate_index = 1 + noise.below(14) as u8;
    let whole = frame(hz, bit_rate_index);
    let count = [1, 2, 3, 4, 20, 200][noise.below(6)];
    match noise.below(14) {
        0..=3 => whole.repeat(count),
        4 => whole[..noise.below(whole.len())].to_vec(),
        5 => silent_mp3(24_000, 3 * count),
        6 => junk(noise.below(40)),
        7 => junk(noise.below(30_000)),
        8 => id3v1(),
        9 => ape(2_000, noise.below(2) == 0, &whole.repeat(count)),
        10 => lyrics3_v2(&"la".repeat(noise.below(100))),
        11 => id3v2(3, (noise.below(2) * 0x10) as u8, &whole),
        12 => b"TAG".to_vec(),
        _ => {
            let mut footer = ape(1_000 * (1 + noise.below(2) as u32), false, b"");
            footer.drain(..footer.len() - 32);
            footer[12..16].copy_from_slice(&(noise.below(3_000) as u32).to_le_bytes());
            footer
        }
    }
}

#[test]
fn random_assemblies_are_judged_without_panic_and_alike_in_any_pieces() {
    let mut noise = Noise::new(11);
    let mut accepted = 0;
    // ASSEMBLIES=100000 in the environment makes a longer hunt of it.
    let rounds = std::env::var("ASSEMBLIES").map_or(300, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        let count = 1 + noise.below(12);
        let mut bytes: Vec<u8> = (0..count).flat_map(|_| part(&mut noise)).collect();
        bytes.splice(0..0, silent_mp3(24_000, noise.below(700)));
        let whole = verdict(&bytes);
        accepted += usize::from(whole.is_ok());
        for piece_bytes in [1 + noise.below(30), 1 + noise.below(5_000)] {
            assert_eq!(
                verdict_in_pieces(&bytes, piece_bytes),
                whole,
                "round {round} in pieces of {piece_bytes}"
            );
        }
    }
    assert!(
        accepted * 20 > rounds,
        "only {accepted} of {rounds} were accepted, so little was tried"
    );
}
