//! The product's rules, and nothing else: no I/O, no async, no tonic, no diesel.
//! Time and chance come in as arguments, so every rule can be tested as a table.

pub mod attempt;
pub mod breaker;
pub mod caps;
pub mod consent;
pub mod delivery;
pub mod doubt;
pub mod failure;
pub mod gate;
pub mod hand_over;
pub mod hours;
pub mod ids;
pub mod labels;
pub mod links;
pub mod names;
pub mod pace;
pub mod phone;
pub mod place;
pub mod profile;
pub mod report;
pub mod retry;
pub mod room;
pub mod sender;
pub mod status;
pub mod suppression;
pub mod tables;
pub mod telephony;
pub mod time;
pub mod turns;
pub mod use_case;
pub mod voicemail;
pub mod warm_up;
pub mod window;
pub mod word;
pub mod zone;

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xF] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    text
}
