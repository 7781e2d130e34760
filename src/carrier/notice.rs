//! What carriers send to us by themselves: callbacks and webhooks, as they came, and their reading.
//!
//! They are read liberally: JSON, a form, or a query, whatever the content type says.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::word::Word;

/// Bytes of a body that are taken.
pub const BODY_BYTES_MAX: usize = 64 * 1_024;

/// A call of a carrier, as it came. What it says in its path is known already.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Notice {
    /// Without the question mark.
    pub query: String,
    pub content_type: String,
    pub body: Vec<u8>,
    /// Of a signed webhook.
    pub signature: Signature,
}

/// The headers of a signed webhook, where they are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// Seconds since 1970, as written.
    pub timestamp: String,
    pub value: String,
    pub version: String,
}

impl std::fmt::Debug for Notice {
    /// Without what was said: it names the recipient.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (query, body) = (self.query.len(), self.body.len());
        write!(f, "Notice(query of {query} bytes, body of {body} bytes)")
    }
}

impl Notice {
    /// An empty probe says nothing.
    pub fn is_empty(&self) -> bool {
        self.query.is_empty() && self.body.iter().all(u8::is_ascii_whitespace)
    }

    /// All fields of body and query; those of the body count more.
    pub fn fields(&self) -> Fields {
        let mut fields = form(self.query.as_bytes());
        fields.extend(self.body_fields());
        Fields(fields)
    }

    fn body_fields(&self) -> BTreeMap<String, Value> {
        if self.body.is_empty() {
            return BTreeMap::new();
        }
        let object = match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Some(object),
            // Some send a list of one.
            Ok(Value::Array(mut items)) if items.len() == 1 => match items.pop() {
                Some(Value::Object(object)) => Some(object),
                _ => None,
            },
            _ => None,
        };
        match object {
            Some(object) => object.into_iter().collect(),
            None => form(&self.body),
        }
    }
}

fn form(bytes: &[u8]) -> BTreeMap<String, Value> {
    form_urlencoded::parse(bytes)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect()
}

/// Fields by name, whatever they were written in.
#[derive(Clone, Default, PartialEq)]
pub struct Fields(BTreeMap<String, Value>);

impl Fields {
    pub fn of(object: serde_json::Map<String, Value>) -> Fields {
        Fields(object.into_iter().collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of a field, trimmed; numbers and truth values as they are written. None where it is
    /// missing, null or empty.
    pub fn text(&self, name: &str) -> Option<String> {
        let text = match self.0.get(name)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Null => return None,
            other => other.to_string(),
        };
        (!text.is_empty()).then_some(text)
    }

    /// The first of these that is there.
    pub fn first_of(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.text(name))
    }

    /// Said to be true, in any of the usual spellings.
    pub fn is_true(&self, name: &str) -> bool {
        let text = self.text(name).map(|text| text.to_lowercase());
        matches!(text.as_deref(), Some("true" | "1" | "yes"))
    }

    /// The sum of amounts of money, in millionths; none where none of them is there.
    pub fn sum_micros(&self, names: &[&str]) -> Option<i64> {
        let amounts = names.iter().filter_map(|name| self.text(name));
        let micros: Vec<i64> = amounts.filter_map(|text| micros(&text)).collect();
        (!micros.is_empty()).then(|| micros.iter().fold(0_i64, |sum, it| sum.saturating_add(*it)))
    }
}

/// A decimal number in millionths, cut; none where it is no amount that makes sense.
fn micros(text: &str) -> Option<i64> {
    const LARGEST: f64 = 1_000_000.0;
    let amount: f64 = text.parse().ok()?;
    ((-LARGEST..=LARGEST).contains(&amount)).then(|| (amount * 1e6).round() as i64)
}

/// What one event of an account's webhook says, and of which message.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The carrier's own id of the event, by which a repeat is known.
    pub id: String,
    /// The carrier's id of the message, where it is told.
    pub reference: String,
    pub word: Word,
}

/// Why a webhook's call is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeFault {
    /// The carrier has no such webhook, or it is not set up.
    NoDoor,
    /// It is not signed by the carrier.
    Signature,
    /// It is signed, and too old or from the future.
    Time,
    /// It is signed, and says nothing that can be read.
    Unreadable,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(content_type: &str, body: &str) -> Notice {
        Notice {
            content_type: content_type.to_owned(),
            body: body.as_bytes().to_vec(),
            ..Notice::default()
        }
    }

    #[test]
    fn the_same_fields_are_found_in_every_shape() {
        let json = r#"{"status":"delivered","code":0,"dnc":true,"none":null,"empty":""}"#;
        let form = "status=delivered&code=0&dnc=true&empty=";
        for body in [json, &format!("[{json}]"), form] {
            for content_type in ["application/json", "application/x-www-form-urlencoded", ""] {
                let fields = notice(content_type, body).fields();
                assert_eq!(fields.text("status").as_deref(), Some("delivered"));
                assert_eq!(fields.text("code").as_deref(), Some("0"));
                assert!(fields.is_true("dnc"));
                for missing in ["none", "empty", "other"] {
                    assert_eq!(fields.text(missing), None, "{missing}");
                }
            }
        }
        let query = Notice {
            query: form.to_owned(),
            ..Notice::default()
        };
        assert_eq!(query.fields().text("code").as_deref(), Some("0"));
    }

    #[test]
    fn the_body_counts_more_than_the_query() {
        let mut both = notice("", r#"{"status":"delivered"}"#);
        both.query = "status=failed&more=x".to_owned();
        assert_eq!(both.fields().text("status").as_deref(), Some("delivered"));
        assert_eq!(both.fields().text("more").as_deref(), Some("x"));
    }

    #[test]
    fn amounts_are_summed_to_the_millionth() {
        let sum = |body: &str| notice("", body).fields().sum_micros(&["a", "b"]);
        assert_eq!(sum(r#"{"a":0.035,"b":"0.004"}"#), Some(39_000));
        assert_eq!(sum(r#"{"a":0.0}"#), Some(0));
        assert_eq!(sum(r#"{"a":"free"}"#), None);
        assert_eq!(sum(r#"{"a":1e300,"b":2}"#), Some(2_000_000));
        assert_eq!(sum("{}"), None);
    }

    #[test]
    fn what_was_said_is_not_printed() {
        let text = format!("{:?}", notice("", "to=+12125550123"));
        assert!(!text.contains("2125550123"), "{text}");
        assert!(notice("", " \r\n").is_empty());
        assert!(!notice("", "x").is_empty());
    }
}
