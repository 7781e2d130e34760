//! The strict reading of a request's fields: each is taken out and judged, and what is left at the
//! end is unknown to the vendor. Every fault is noted, not only the first.

use axum::http::Uri;
use serde_json::{Map, Value};

pub struct Fields {
    map: Map<String, Value>,
    wrongs: Vec<String>,
}

/// How a phone number may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhoneForm {
    E164,
    TenDigits,
    /// With or without `+1` or `1`.
    Any,
}

impl PhoneForm {
    pub fn admits(self, text: &str) -> bool {
        let is_ten = is_digits(text, 10);
        let is_e164 = text
            .strip_prefix('+')
            .is_some_and(|rest| (8..=15).contains(&rest.len()) && is_digits(rest, rest.len()))
            && !text.starts_with("+0");
        match self {
            PhoneForm::E164 => is_e164,
            PhoneForm::TenDigits => is_ten,
            PhoneForm::Any => is_ten || is_e164 || (text.starts_with('1') && is_digits(text, 11)),
        }
    }
}

fn is_digits(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit())
}

/// By these numbers are the same, however they are written.
pub fn last_ten(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    digits[digits.len().saturating_sub(10)..].iter().collect()
}

/// Absolute, http or https, with a host and no user, and short enough for a vendor's column.
pub fn is_web_address(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let has_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    let has_user = uri.authority().is_some_and(|a| a.as_str().contains('@'));
    has_scheme && has_host && !has_user && !text.contains('#') && text.len() <= 2_000
}

impl Fields {
    /// An object, or nothing but a fault.
    pub fn new(value: &Value) -> Fields {
        match value {
            Value::Object(map) => Fields {
                map: map.clone(),
                wrongs: Vec::new(),
            },
            _ => Fields {
                map: Map::new(),
                wrongs: vec!["the body is no object of fields".to_owned()],
            },
        }
    }

    pub fn wrong(&mut self, text: impl Into<String>) {
        self.wrongs.push(text.into());
    }

    pub fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Which of these are there.
    pub fn present<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        names.iter().copied().filter(|n| self.has(n)).collect()
    }

    /// A text that may be left out, but may not be empty.
    pub fn text(&mut self, name: &str) -> Option<String> {
        match self.map.remove(name)? {
            Value::String(text) if !text.is_empty() => Some(text),
            other => {
                self.wrong(format!("`{name}` is {other}, not a text"));
                None
            }
        }
    }

    pub fn need_text(&mut self, name: &str) -> String {
        let is_there = self.has(name);
        let text = self.text(name);
        if !is_there {
            self.wrong(format!("`{name}` is missing"));
        }
        text.unwrap_or_default()
    }

    pub fn text_up_to(&mut self, name: &str, most: usize) -> Option<String> {
        let text = self.text(name)?;
        if text.chars().count() > most {
            self.wrong(format!("`{name}` is longer than {most} characters"));
        }
        Some(text)
    }

    pub fn one_of(&mut self, name: &str, allowed: &[&str]) -> Option<String> {
        let text = self.text(name)?;
        if !allowed.contains(&text.as_str()) {
            self.wrong(format!("`{name}` is `{text}`, none of {allowed:?}"));
        }
        Some(text)
    }

    pub fn flag(&mut self, name: &str) -> Option<bool> {
        match self.map.remove(name)? {
            Value::Bool(flag) => Some(flag),
            other => {
                self.wrong(format!("`{name}` is {other}, not true or false"));
                None
            }
        }
    }

    pub fn phone(&mut self, name: &str, form: PhoneForm) -> Option<String> {
        let text = self.text(name)?;
        if !form.admits(&text) {
            self.wrong(format!("`{name}` is `{text}`, not written as {form:?}"));
        }
        Some(text)
    }

    pub fn need_phone(&mut self, name: &str, form: PhoneForm) -> String {
        if !self.has(name) {
            self.wrong(format!("`{name}` is missing"));
        }
        self.phone(name, form).unwrap_or_default()
    }

    pub fn web_address(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        if !is_web_address(&text) {
            self.wrong(format!("`{name}` is `{text}`, no absolute web address"));
        }
        Some(text)
    }

    /// An object of its own, to be judged by itself.
    pub fn object(&mut self, name: &str) -> Option<Value> {
        let value = self.map.remove(name)?;
        if !value.is_object() {
            self.wrong(format!("`{name}` is {value}, not an object"));
        }
        Some(value)
    }

    pub fn texts(&mut self, name: &str) -> Vec<String> {
        match self.map.remove(name) {
            Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
                let texts = items.iter().filter_map(Value::as_str);
                texts.map(str::to_owned).collect()
            }
            other => {
                self.wrong(format!("`{name}` is {other:?}, not a list of texts"));
                Vec::new()
            }
        }
    }

    /// The faults so far, where the rest is not worth a look.
    pub fn faults(self) -> Vec<String> {
        self.wrongs
    }

    /// All faults, with the fields that nobody asked for.
    pub fn end(mut self) -> Vec<String> {
        let unknown: Vec<String> = self.map.keys().cloned().collect();
        for name in unknown {
            self.wrong(format!("`{name}` is no field of this call"));
        }
        self.wrongs
    }
}
