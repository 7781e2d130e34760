//! Secrets: where they are read from, and a wrapper that never prints them.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Bytes of a secret's file.
const FILE_BYTES_MAX: u64 = 64 * 1_024;

/// A password, a key, a token. It prints as an ellipsis.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// For the one who needs it; never for a log, an error or a file.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Where a secret is: `{ env = "NAME" }` or `{ file = "PATH" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum SecretSource {
    Env {
        env: String,
    },
    File {
        file: PathBuf,
    },
    /// What people write first. It is kept only to be refused in our own words.
    #[serde(skip_serializing)]
    Literal(Literal),
}

/// A secret that stands in the configuration file itself.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Literal(String);

impl fmt::Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl SecretSource {
    /// Reads it. `key` names the setting in what is said of a fault. White space at the end of a file, such as its
    /// last line's end, does not belong to the secret.
    pub fn read(&self, key: &str) -> Result<Secret, String> {
        let (text, place) = match self {
            SecretSource::Env { env } => {
                let place = format!("the environment variable `{env}`");
                let text =
                    std::env::var(env).map_err(|_| format!("{key}: {place} is not set; set it"))?;
                (text, place)
            }
            SecretSource::File { file } => {
                let place = format!("the file `{}`", file.display());
                let size = std::fs::metadata(file).map(|it| it.len());
                if size.is_ok_and(|size| size > FILE_BYTES_MAX) {
                    return Err(format!(
                        "{key}: {place} is larger than {FILE_BYTES_MAX} bytes; is it the right one?"
                    ));
                }
                let text = std::fs::read_to_string(file)
                    .map_err(|error| format!("{key}: {place} can't be read: {error}"))?;
                (text, place)
            }
            SecretSource::Literal(_) => {
                return Err(format!(
                    "{key}: a secret does not stand in this file; give {{ env = \"NAME\" }} or {{ file = \"PATH\" }}"
                ));
            }
        };
        let text = text.trim_end();
        let is_good = !text.is_empty() && text.chars().all(|c| ('\u{20}'..'\u{7f}').contains(&c));
        match is_good {
            true => Ok(Secret::new(text)),
            false => Err(format!(
                "{key}: {place} is empty, or holds something else than printable ASCII"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> SecretSource {
        #[derive(Deserialize)]
        struct Holder {
            key: SecretSource,
        }
        let holder: Holder = toml::from_str(&format!("key = {text}")).expect("readable");
        holder.key
    }

    #[test]
    fn a_secret_is_read_from_a_file_without_its_last_line_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("key");
        let from = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("writable");
            source(&format!("{{ file = '{}' }}", path.display())).read("auth_key")
        };
        let secret = from(b"sesame open\n").expect("good");
        assert_eq!(secret.expose(), "sesame open");
        assert_eq!(format!("{secret:?}"), "…");
        for bad in [&b""[..], b"\n", b"two\nlines", "schl\u{fc}ssel".as_bytes()] {
            assert!(
                from(bad)
                    .expect_err("bad")
                    .starts_with("auth_key: the file")
            );
        }
        assert!(from(&vec![b'x'; 64 * 1_024]).is_ok());
        assert!(from(&vec![b'x'; 64 * 1_024 + 1]).is_err());
    }

    #[test]
    fn a_missing_variable_is_named() {
        let said = source("{ env = 'RINGLESS_TEST_NOBODY_SETS_THIS' }").read("auth_key");
        let said = said.expect_err("not set");
        assert!(said.contains("RINGLESS_TEST_NOBODY_SETS_THIS"), "{said}");
    }

    #[test]
    fn a_secret_in_the_file_itself_is_refused_and_not_repeated() {
        let literal = source("'sesame'");
        assert!(!format!("{literal:?}").contains("sesame"));
        let said = literal.read("auth_key").expect_err("refused");
        assert!(
            said.contains("{ env = ") && !said.contains("sesame"),
            "{said}"
        );
    }
}
