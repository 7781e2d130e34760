//! The rules for texts that people write: names, descriptions, request ids.

/// Why a text breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    #[error("it is empty; 1 to {max} characters are needed")]
    Empty { max: usize },
    #[error("it has {length} characters; at most {max} are allowed. Shorten it")]
    TooLong { length: usize, max: usize },
    #[error("it has a control character (U+{code:04X}). Leave it out")]
    Control { code: u32 },
    #[error("it begins or ends with white space. Trim it")]
    Untrimmed,
    #[error(
        "it has a character that is not printable ASCII. Use letters, digits and signs from U+0020 to U+007E"
    )]
    NotAscii,
}

/// Characters of `entity_name` and `name` of a use case.
pub const NAME_MAX: usize = 63;
/// Characters of a `description`.
pub const DESCRIPTION_MAX: usize = 2_000;
/// Characters of a `display_name`.
pub const DISPLAY_NAME_MAX: usize = 100;
/// Characters of the reason given to SuspendSetup.
pub const SUSPEND_REASON_MAX: usize = 500;
/// Characters of a `request_id`.
pub const REQUEST_ID_MAX: usize = 128;

/// `entity_name` and `name`: 1 to 63 characters, no control characters, no white space at the ends.
pub fn check_name(text: &str) -> Result<(), TextFault> {
    if text.is_empty() {
        return Err(TextFault::Empty { max: NAME_MAX });
    }
    check_line(text, NAME_MAX)?;
    if text.trim() != text {
        return Err(TextFault::Untrimmed);
    }
    Ok(())
}

/// One line that may be empty.
pub fn check_line(text: &str, max: usize) -> Result<(), TextFault> {
    check_length(text, max)?;
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(TextFault::Control { code: c as u32 }),
        None => Ok(()),
    }
}

/// One line that says something.
pub fn check_filled_line(text: &str, max: usize) -> Result<(), TextFault> {
    match text.trim().is_empty() {
        true => Err(TextFault::Empty { max }),
        false => check_line(text, max),
    }
}

/// A text of several lines: line ends and tabs are the control characters that it may have.
pub fn check_text(text: &str, max: usize) -> Result<(), TextFault> {
    check_length(text, max)?;
    match text
        .chars()
        .find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        Some(c) => Err(TextFault::Control { code: c as u32 }),
        None => Ok(()),
    }
}

/// A `request_id` that was given: 1 to 128 printable ASCII characters.
pub fn check_request_id(text: &str) -> Result<(), TextFault> {
    if text.bytes().any(|b| !(0x20..=0x7e).contains(&b)) {
        return Err(TextFault::NotAscii);
    }
    check_length(text, REQUEST_ID_MAX)
}

fn check_length(text: &str, max: usize) -> Result<(), TextFault> {
    match text.chars().count() {
        length if length > max => Err(TextFault::TooLong { length, max }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_63_characters() {
        assert_eq!(check_name(""), Err(TextFault::Empty { max: 63 }));
        for (length, ok) in [(1, true), (62, true), (63, true), (64, false)] {
            assert_eq!(check_name(&"ä".repeat(length)).is_ok(), ok, "{length}");
        }
    }

    #[test]
    fn a_name_has_no_control_characters_and_no_white_space_at_its_ends() {
        assert_eq!(check_name("a\u{7}"), Err(TextFault::Control { code: 7 }));
        for name in [" a", "a ", "\u{a0}a"] {
            assert_eq!(check_name(name), Err(TextFault::Untrimmed), "{name:?}");
        }
        assert_eq!(check_name("Lab results, ready"), Ok(()));
    }

    #[test]
    fn a_line_that_is_needed_has_1_to_so_many_characters_that_show() {
        for text in ["", " ", "\t"] {
            assert_eq!(check_filled_line(text, 3), Err(TextFault::Empty { max: 3 }));
        }
        for (length, ok) in [(1, true), (2, true), (3, true), (4, false)] {
            assert_eq!(
                check_filled_line(&"ä".repeat(length), 3).is_ok(),
                ok,
                "{length}"
            );
        }
    }

    #[test]
    fn a_description_may_have_lines_and_ends_at_2000_characters() {
        assert_eq!(check_text("a\nb\tc", DESCRIPTION_MAX), Ok(()));
        for (length, ok) in [(1_999, true), (2_000, true), (2_001, false)] {
            assert_eq!(
                check_text(&"d".repeat(length), DESCRIPTION_MAX).is_ok(),
                ok,
                "{length}"
            );
        }
        assert!(check_text("a\u{0}", DESCRIPTION_MAX).is_err());
    }

    #[test]
    fn a_request_id_is_printable_ascii_of_at_most_128() {
        for (length, ok) in [(1, true), (127, true), (128, true), (129, false)] {
            assert_eq!(
                check_request_id(&"r".repeat(length)).is_ok(),
                ok,
                "{length}"
            );
        }
        for text in ["a\n", "ü", "\u{7f}"] {
            assert_eq!(check_request_id(text), Err(TextFault::NotAscii), "{text:?}");
        }
    }
}
