//! The sample: valid headers around noise must not pass, and whatever an honest encoder makes must.

use super::*;
use crate::audio::sound::DECODED_MAX;
use crate::audio::testing::{Noise, decode_all};

fn noisy(frame: &[u8], frames: usize, noise: &mut Noise) -> Vec<u8> {
    let mut bytes = frame.repeat(frames);
    for frame in bytes.chunks_mut(frame.len()) {
        frame[4..].fill_with(|| noise.byte());
    }
    bytes
}

#[test]
fn valid_headers_around_noise_are_corrupt_at_every_rate_and_bit_rate() {
    for hz in [
        48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    ] {
        for bit_rate_index in 1..=14 {
            let bytes = noisy(
                &frame(hz, bit_rate_index),
                500,
                &mut Noise::new(u64::from(hz)),
            );
            let result = verdict(&bytes);
            let is_corrupt = matches!(result, Err(Refusal::Corrupt { damage: Damage::NoSound { judged: 20, sounding } }) if sounding < 16);
            assert!(
                is_corrupt,
                "{hz} Hz, bit-rate index {bit_rate_index}: {result:?}"
            );
        }
    }
}

#[test]
fn noise_in_half_of_a_file_is_corrupt_and_in_a_tenth_is_not() {
    let mut noise = Noise::new(1);
    let half = [fifteen_seconds(), noisy(&frame(24_000, 8), 625, &mut noise)].concat();
    assert!(matches!(verdict(&half), Err(Refusal::Corrupt { .. })));
    let tenth = [
        silent_mp3(24_000, 1_125),
        noisy(&frame(24_000, 8), 125, &mut noise),
    ]
    .concat();
    assert_eq!(verdict(&tenth), Ok(30_000_000_000));
}

/// Sixteen of twenty places are enough, fifteen are not. The places are known to the test alone by trying: a frame is spoilt by 1s in
/// its side information, which no decoder takes, and the silence around needs nothing of it.
#[test]
fn four_fifths_of_the_judged_frames_must_give_samples() {
    let unit = silent_frame(24_000);
    let spoilt_parts = |parts: usize| {
        let mut bytes = unit.repeat(1_000);
        for frame in bytes.chunks_mut(unit.len()).take(parts * 50) {
            frame[4..].fill(0xFF);
        }
        verdict(&bytes)
    };
    assert_eq!(spoilt_parts(3), Ok(24_000_000_000));
    assert_eq!(spoilt_parts(4), Ok(24_000_000_000));
    let damage = Damage::NoSound {
        judged: 20,
        sounding: 15,
    };
    assert_eq!(spoilt_parts(5), Err(Refusal::Corrupt { damage }));
}

#[test]
fn the_same_bytes_are_always_judged_alike() {
    let mut noise = Noise::new(3);
    let bytes = [
        silent_mp3(24_000, 500),
        noisy(&frame(24_000, 8), 130, &mut noise),
    ]
    .concat();
    let first = verdict(&bytes);
    for _ in 0..5 {
        assert_eq!(verdict(&bytes), first);
    }
}

#[test]
fn bytes_that_are_not_those_walked_never_sound_and_never_panic() {
    let walked = walked(&fifteen_seconds());
    assert!(matches!(
        walked.check_sound(b""),
        Err(Refusal::Corrupt { .. })
    ));
    assert!(matches!(
        walked.check_sound(&junk(15_000)),
        Err(Refusal::Corrupt { .. })
    ));
    assert!(matches!(
        walked.check_sound(&fifteen_seconds()[..5_000]),
        Err(Refusal::Corrupt { .. })
    ));
}

/// The sample primes the decoder with the main data before each place instead of decoding its way there. Every frame of the fixtures
/// that a plain decode from the beginning can play must be judged to sound.
#[test]
fn the_sample_is_never_stricter_than_a_decode_from_the_beginning() {
    for (name, bytes) in fixtures::all()
        .into_iter()
        .filter(|fixture| fixture.0.starts_with("accepted-"))
    {
        let walked = walked(&bytes);
        let sounding = crate::audio::sound::sounding_places(&walked.frames, &bytes);
        let decoded = decode_all(&walked, &bytes);
        assert!(
            sounding + 1 >= decoded,
            "{name}: {sounding} places sound, {decoded} frames decode"
        );
    }
}

#[test]
fn at_most_48_frames_are_decoded() {
    const { assert!(DECODED_MAX == 48) };
}

/// Bodies bent at random, decoded: nothing is asserted but that it ends. (Address sanitizers and fuzzers find more; this is what every
/// test run can afford.)
#[test]
fn bent_bodies_are_decoded_without_harm() {
    let mut noise = Noise::new(5);
    for (_, bytes) in fixtures::all()
        .into_iter()
        .filter(|fixture| fixture.0.starts_with("accepted-"))
    {
        let walked = walked(&bytes);
        for _ in 0..3 {
            let mut bent = bytes.clone();
            for frame in &walked.frames {
                let at = frame.offset as usize + 4 + noise.below(frame.header.frame_bytes() - 4);
                bent[at] = noise.byte();
            }
            decode_all(&walked, &bent);
        }
    }
}
