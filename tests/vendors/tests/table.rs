use crate::vendors::play::{Ending, Fate, Words};
use crate::vendors::table::{TABLE, play};

/// The rows of the printed table: two digits, then words.
fn printed() -> Vec<u32> {
    let words = TABLE.lines().skip(1).flat_map(str::split_whitespace);
    let numbers = words.filter(|word| word.len() == 2);
    numbers.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn the_printed_table_names_each_number_that_does_something_else_than_deliver() {
    let printed = printed();
    for last_two in 0..100 {
        let first = play(last_two, 0);
        let is_plain = matches!(first.words, Words::Fate(Fate::Delivered))
            && matches!(first.ending, Ending::Usual);
        assert_eq!(printed.contains(&last_two), !is_plain, "{last_two:02}");
    }
}

#[test]
fn what_passes_does_pass() {
    let takes = |last_two, nth| play(last_two, nth).takes;
    assert_eq!(
        [takes(70, 0), takes(70, 1), takes(70, 2)],
        [false, false, true]
    );
    assert_eq!([takes(71, 0), takes(71, 1_000)], [false, false]);
    assert_eq!([takes(72, 0), takes(72, 1)], [false, true]);
    assert_eq!([takes(73, 0), takes(73, 1)], [false, true]);
    assert_eq!(
        [takes(80, 0), takes(81, 0), takes(82, 0), takes(83, 0)],
        [true; 4]
    );
}
