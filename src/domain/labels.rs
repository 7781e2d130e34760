//! Labels: a caller's own words on a voicemail, to find it again. Treated as health information.

use std::collections::BTreeMap;

/// Labels of one voicemail.
pub const COUNT_MAX: usize = 16;
/// Bytes of a key: a first letter and up to 62 more.
pub const KEY_BYTES_MAX: usize = 63;
/// Bytes of a value.
pub const VALUE_BYTES_MAX: usize = 128;

pub type Labels = BTreeMap<String, String>;

/// Every rule that `labels` break, as sentences; empty where all is well.
pub fn faults(labels: &Labels) -> Vec<String> {
    let mut faults = Vec::new();
    if labels.len() > COUNT_MAX {
        let count = labels.len();
        faults.push(format!(
            "{count} labels were given; at most {COUNT_MAX} are allowed. Leave some out"
        ));
        return faults;
    }
    for (key, value) in labels {
        if !is_key(key) {
            let shown: String = key.chars().take(KEY_BYTES_MAX).collect();
            faults.push(format!("the key `{shown}` is not allowed; a key is a letter a-z and then at most 62 of a-z, 0-9, `_`, `.`, `-`"));
        } else if value.len() > VALUE_BYTES_MAX {
            faults.push(format!("the value of `{key}` has {} bytes; at most {VALUE_BYTES_MAX} are allowed. Shorten it", value.len()));
        } else if value.chars().any(|c| c == '\0') {
            // Postgres can't keep this character in a text, so neither database takes it.
            faults.push(format!(
                "the value of `{key}` has a NUL character. Leave it out"
            ));
        }
    }
    faults
}

fn is_key(key: &str) -> bool {
    key.len() <= KEY_BYTES_MAX
        && key.bytes().enumerate().all(|(at, byte)| match byte {
            b'a'..=b'z' => true,
            b'0'..=b'9' | b'_' | b'.' | b'-' => at > 0,
            _ => false,
        })
        && !key.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Labels {
        Labels::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn keys_are_held_to_their_rule() {
        for key in ["a", "ward", "a.b-c_9", &"k".repeat(63)] {
            assert!(faults(&one(key, "")).is_empty(), "{key}");
        }
        for key in ["", "A", "9a", "_a", "a b", "ä", &"k".repeat(64)] {
            assert_eq!(faults(&one(key, "")).len(), 1, "{key}");
        }
    }

    #[test]
    fn a_value_has_at_most_128_bytes() {
        for (bytes, faults_expected) in [(127, 0), (128, 0), (129, 1)] {
            assert_eq!(
                faults(&one("a", &"v".repeat(bytes))).len(),
                faults_expected,
                "{bytes}"
            );
        }
    }

    #[test]
    fn a_voicemail_has_at_most_16_labels() {
        for (count, faults_expected) in [(15, 0), (16, 0), (17, 1)] {
            let labels: Labels = (0..count)
                .map(|n| (format!("k{n}"), String::new()))
                .collect();
            assert_eq!(faults(&labels).len(), faults_expected, "{count}");
        }
    }
}
