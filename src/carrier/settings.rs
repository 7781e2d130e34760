//! What the settings of carriers have in common: a `[carriers.NAME]` table, read key by key.

use std::path::PathBuf;
use std::time::Duration;

use hyper::{Method, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::AudioWay;
use super::http::{Ask, Client, Limits, Reply, is_here};
use super::reply::{Outcomes, of_no_reply};
use crate::domain::phone::PhoneNumber;
use crate::secret::{Secret, SecretSource};

/// Where a carrier is set up: what it may use besides its own settings.
#[derive(Debug, Clone)]
pub struct Place {
    pub data_dir: PathBuf,
    /// Carriers can reach us: `public_url` is set.
    pub has_public_url: bool,
    /// One call may take this long in all: `worker.call_timeout_seconds`.
    pub call_timeout: Duration,
}

/// How phone numbers are written for a carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberFormat {
    /// `+12125550123`
    E164,
    /// `2125550123`; a number outside the North American plan stays in E.164.
    National,
}

impl NumberFormat {
    pub fn of(self, number: &PhoneNumber) -> String {
        let e164 = number.e164();
        match (self, e164.strip_prefix("+1")) {
            (NumberFormat::National, Some(national)) => national.to_owned(),
            _ => e164.to_owned(),
        }
    }
}

/// How audio goes to the carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioSetting {
    /// A link that expires.
    #[default]
    Link,
    /// Given to the carrier once for all, and kept there.
    Upload,
}

/// The keys that every HTTP carrier has.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Common {
    pub base_url: Option<String>,
    pub number_format: Option<NumberFormat>,
    pub audio: AudioSetting,
    /// `forbidden`, the default; the only other way is a `baa_reference`.
    pub phi: Option<String>,
    pub baa_reference: Option<String>,
    pub connect_timeout_seconds: u64,
    pub answer_timeout_seconds: u64,
    pub ca_file: Option<PathBuf>,
}

impl Default for Common {
    fn default() -> Common {
        Common {
            base_url: None,
            number_format: None,
            audio: AudioSetting::Link,
            phi: None,
            baa_reference: None,
            connect_timeout_seconds: 5,
            answer_timeout_seconds: 20,
            ca_file: None,
        }
    }
}

/// As in [`Common`].
const COMMON_KEYS: [&str; 8] = [
    "base_url",
    "number_format",
    "audio",
    "phi",
    "baa_reference",
    "connect_timeout_seconds",
    "answer_timeout_seconds",
    "ca_file",
];

/// An HTTP carrier's table, in two parts.
pub struct Split<Own> {
    pub common: Common,
    pub own: Own,
}

/// Reads the common keys and the carrier's own; a key that is neither is named.
pub fn read<Own: DeserializeOwned>(table: toml::Table) -> Result<Split<Own>, String> {
    let is_common = |key: &String| COMMON_KEYS.contains(&key.as_str());
    let (common, own): (toml::Table, toml::Table) =
        table.into_iter().partition(|(key, _)| is_common(key));
    Ok(Split {
        common: from_table(common)?,
        own: from_table(own)?,
    })
}

/// In one line, as all that is said of settings.
pub fn from_table<T: DeserializeOwned>(table: toml::Table) -> Result<T, String> {
    table
        .try_into()
        .map_err(|error: toml::de::Error| error.message().replace('\n', " "))
}

/// A carrier's common settings, checked.
#[derive(Debug, Clone)]
pub struct Account {
    /// Without a slash at its end.
    pub base_url: String,
    pub number_format: NumberFormat,
    pub audio: AudioSetting,
    pub may_have_health_information: bool,
    pub client: Client,
}

/// What a kind brings to the common settings.
pub struct Defaults {
    pub base_url: &'static str,
    pub number_format: NumberFormat,
    /// The carrier can be given audio once for all.
    pub takes_uploads: bool,
}

impl Account {
    /// A request to a path under the base URL.
    pub fn ask(&self, method: Method, path: &str) -> Result<Ask, Outcomes> {
        let ask = Ask::new(method, &format!("{}{path}", self.base_url));
        ask.map_err(|no_reply| of_no_reply(&no_reply))
    }

    /// One exchange; where there is no answer, what that means for a hand-over.
    pub async fn call(&self, ask: Ask) -> Result<Reply, Outcomes> {
        let called = self.client.call(ask).await;
        called.map_err(|no_reply| of_no_reply(&no_reply))
    }

    pub fn audio_way(&self) -> AudioWay {
        match self.audio {
            AudioSetting::Link => AudioWay::Link,
            AudioSetting::Upload => AudioWay::Upload,
        }
    }
}

impl Common {
    pub fn check(self, place: &Place, defaults: &Defaults) -> Result<Account, String> {
        if !place.has_public_url {
            return Err("`public_url` is missing: this carrier says what became of a voicemail by calling back, so it must be able to reach the public HTTP address. Set it".to_owned());
        }
        if self.audio == AudioSetting::Upload && !defaults.takes_uploads {
            return Err("audio = \"upload\": this carrier takes no uploads by its API; leave it at \"link\"".to_owned());
        }
        let may_have_health_information = self.may_have_health_information()?;
        let limits = self.limits(place.call_timeout)?;
        let base_url = self.base_url.as_deref().unwrap_or(defaults.base_url);
        Ok(Account {
            base_url: check_base_url(base_url)?,
            number_format: self.number_format.unwrap_or(defaults.number_format),
            audio: self.audio,
            may_have_health_information,
            client: Client::new(limits, self.ca_file.as_deref())?,
        })
    }

    /// Only under a business associate agreement (45 CFR 164.502(e)), which is named.
    fn may_have_health_information(&self) -> Result<bool, String> {
        match (self.phi.as_deref(), self.baa_reference.as_deref()) {
            (None | Some("forbidden"), None) => Ok(false),
            (None, Some(reference)) if !reference.trim().is_empty() => Ok(true),
            (None, Some(_)) => {
                Err("baa_reference is empty; name the agreement, or leave it out".to_owned())
            }
            (Some("forbidden"), Some(_)) => Err(
                "phi = \"forbidden\" and a baa_reference contradict each other; leave one out"
                    .to_owned(),
            ),
            (Some(other), _) => Err(format!(
                "phi = \"{other}\" is unknown; it is \"forbidden\", or left out where a baa_reference names the agreement that allows it"
            )),
        }
    }

    /// Both parts fit into the time that the worker gives a call, so that it never cuts one off in its
    /// first part, of which it could not be told any more that nothing had left.
    fn limits(&self, call_timeout: Duration) -> Result<Limits, String> {
        let part = |key: &str, seconds: u64| match seconds {
            1..=600 => Ok(Duration::from_secs(seconds)),
            _ => Err(format!(
                "{key} = {seconds} is out of range; allowed are 1 to 600"
            )),
        };
        let limits = Limits {
            connect: part("connect_timeout_seconds", self.connect_timeout_seconds)?,
            answer: part("answer_timeout_seconds", self.answer_timeout_seconds)?,
        };
        match limits.connect + limits.answer <= call_timeout {
            true => Ok(limits),
            false => Err(format!(
                "connect_timeout_seconds + answer_timeout_seconds = {} is more than worker.call_timeout_seconds = {}; lower one of them, or raise that",
                self.connect_timeout_seconds + self.answer_timeout_seconds,
                call_timeout.as_secs()
            )),
        }
    }
}

/// Bytes of a configured address.
const URL_BYTES_MAX: usize = 512;

/// An absolute address without a query, and over TLS unless it is this machine's. Given back without
/// a slash at its end.
pub fn check_base_url(text: &str) -> Result<String, String> {
    let fault = |why: &str| Err(format!("`{text}` {why}"));
    let Ok(uri) = text.parse::<Uri>() else {
        return fault("is no URL");
    };
    let has_user = uri.authority().is_some_and(|it| it.as_str().contains('@'));
    match uri.scheme_str() {
        _ if text.len() > URL_BYTES_MAX => Err(format!(
            "it has {} bytes; at most {URL_BYTES_MAX} are allowed",
            text.len()
        )),
        _ if uri.host().is_none_or(str::is_empty) => {
            fault("names no host; give an absolute one, such as `https://host.example`")
        }
        // What stands there may be a password, so it is not repeated.
        _ if has_user => {
            Err("it has a user or a password; secrets have settings of their own".to_owned())
        }
        _ if uri.query().is_some() || text.contains('#') => {
            fault("has a query or a fragment; leave it out")
        }
        Some("https") => Ok(text.trim_end_matches('/').to_owned()),
        Some("http") if is_here(&uri) => Ok(text.trim_end_matches('/').to_owned()),
        Some("http") => fault(
            "is not encrypted; give an `https://` one (plain `http://` is for this machine alone)",
        ),
        _ => fault("is neither `https://` nor `http://`"),
    }
}

/// A secret that the carrier needs.
pub fn secret(key: &str, source: Option<&SecretSource>) -> Result<Secret, String> {
    match source {
        Some(source) => source.read(key),
        None => Err(format!(
            "{key} is missing; give {{ env = \"NAME\" }} or {{ file = \"PATH\" }}"
        )),
    }
}

/// Names an account without its secrets, in a form that says nothing to those who read it.
pub fn account_name(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    crate::domain::hex(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn place() -> Place {
        Place {
            data_dir: PathBuf::from("data"),
            has_public_url: true,
            call_timeout: Duration::from_secs(30),
        }
    }

    const DEFAULTS: Defaults = Defaults {
        base_url: "https://api.vendor.example/v1/",
        number_format: NumberFormat::E164,
        takes_uploads: false,
    };

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Own {
        #[serde(default)]
        colour: Option<String>,
    }

    fn checked(text: &str) -> Result<Account, String> {
        let split = read::<Own>(toml::from_str(text).expect("TOML"))?;
        assert_eq!(split.own.colour, None);
        split.common.check(&place(), &DEFAULTS)
    }

    #[test]
    fn nothing_at_all_is_an_account_that_forbids_health_information() {
        let account = checked("").expect("good");
        assert_eq!(account.base_url, "https://api.vendor.example/v1");
        assert!(!account.may_have_health_information);
        assert_eq!(account.audio, AudioSetting::Link);
        let account = checked("baa_reference = 'signed 2026-03-01'").expect("good");
        assert!(account.may_have_health_information);
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for (text, said) in [
            ("size = 1", "unknown field `size`"),
            ("phi = 'allowed'", "phi = \"allowed\" is unknown"),
            ("phi = 'forbidden'\nbaa_reference = 'x'", "contradict"),
            ("baa_reference = ' '", "baa_reference is empty"),
            ("audio = 'upload'", "takes no uploads"),
            ("audio = 'stream'", "stream"),
            ("connect_timeout_seconds = 0", "1 to 600"),
            ("connect_timeout_seconds = 601", "1 to 600"),
            (
                "answer_timeout_seconds = 26",
                "more than worker.call_timeout_seconds = 30",
            ),
            ("base_url = 'http://vendor.example'", "not encrypted"),
            ("base_url = 'ftp://vendor.example'", "neither"),
            ("base_url = 'vendor.example'", "neither"),
            ("base_url = '/v1'", "no host"),
            ("base_url = 'https://vendor.example/?a=b'", "query"),
            (
                "base_url = 'https://me:secret@vendor.example'",
                "a user or a password",
            ),
            ("ca_file = '/nowhere/ca.pem'", "ca_file `/nowhere/ca.pem`"),
        ] {
            let line = checked(text).expect_err(text);
            assert!(line.contains(said), "{text}: {line}");
            assert!(
                line.lines().count() == 1 && !line.contains("secret@"),
                "{line}"
            );
        }
        assert!(checked("answer_timeout_seconds = 25").is_ok());
        assert!(checked("base_url = 'http://127.0.0.1:7401/v1'").is_ok());
        assert!(checked("base_url = 'http://[::1]:7401'").is_ok());
        let mut nowhere = place();
        nowhere.has_public_url = false;
        let refused = Common::default().check(&nowhere, &DEFAULTS);
        assert!(refused.expect_err("no way in").contains("public_url"));
    }

    #[test]
    fn a_base_url_may_have_512_bytes() {
        let of = |length: usize| {
            let start = "https://vendor.example/";
            format!("{start}{}", "x".repeat(length - start.len()))
        };
        assert!(check_base_url(&of(511)).is_ok());
        assert!(check_base_url(&of(512)).is_ok());
        assert!(check_base_url(&of(513)).is_err());
    }

    #[test]
    fn numbers_are_written_as_the_carrier_wants_them() {
        let number = |text: &str| PhoneNumber::from_stored(text.to_owned());
        let (us, uk) = (number("+12125550123"), number("+442071838750"));
        assert_eq!(NumberFormat::E164.of(&us), "+12125550123");
        assert_eq!(NumberFormat::National.of(&us), "2125550123");
        assert_eq!(NumberFormat::National.of(&uk), "+442071838750");
    }

    #[test]
    fn an_account_is_named_by_all_of_its_parts() {
        assert_eq!(account_name(&["a", "b"]), account_name(&["a", "b"]));
        assert_ne!(account_name(&["a", "b"]), account_name(&["ab", ""]));
        assert_ne!(account_name(&["a", "b"]), account_name(&["b", "a"]));
    }
}
