use super::testing::Cases;
use super::*;

#[test]
fn no_window_is_open_outside_the_hours_and_none_opens_later_than_it_could() {
    let seed = match std::env::var("RINGLESS_TEST_SEED") {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => 20_261_125,
    };
    println!("RINGLESS_TEST_SEED={seed}");
    let mut cases = Cases::new(seed);
    for number in 0..20_000 {
        let case = cases.next_case();
        if let Err(fault) = case.check(&case.judge()) {
            panic!("case {number} of seed {seed}: {fault}");
        }
    }
}
