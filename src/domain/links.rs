//! What carriers are given to reach us by: a token for each hand-over, under which they say what
//! became of it, and signed links to audio. Neither is ever printed.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::ids::VoicemailId;
use super::time::Time;

/// Where carriers reach us, and the keys behind it.
#[derive(Clone)]
pub struct Doors {
    /// Without a slash at its end.
    base_url: String,
    tokens: TokenKey,
    links: LinkKeys,
}

impl Doors {
    pub fn new(base_url: &str, tokens: TokenKey, links: LinkKeys) -> Doors {
        Doors {
            base_url: base_url.trim_end_matches('/').to_owned(),
            tokens,
            links,
        }
    }

    pub fn new_token(&self, carrier: &str) -> CallbackToken {
        self.tokens.generate(carrier)
    }

    pub fn callback_url(&self, carrier: &str, token: &CallbackToken) -> String {
        format!("{}/callbacks/{carrier}/{}", self.base_url, token.text())
    }

    /// The link to a voicemail's audio, good until `until`.
    pub fn audio_url(&self, voicemail: VoicemailId, until: Time) -> String {
        let file = self.links.file(voicemail, until);
        format!("{}/audio/{voicemail}/{file}", self.base_url)
    }
}

impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Doors({})", self.base_url)
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// Makes tokens, and tells ours from made-up ones without asking the database.
#[derive(Clone)]
pub struct TokenKey(Vec<u8>);

const RANDOM_BYTES: usize = 16;
const MAC_BYTES: usize = 16;
const TOKEN_BYTES: usize = RANDOM_BYTES + MAC_BYTES;

impl TokenKey {
    pub fn new(key: Vec<u8>) -> TokenKey {
        TokenKey(key)
    }

    fn generate(&self, carrier: &str) -> CallbackToken {
        // 122 of its bits are random.
        let random = uuid::Uuid::new_v4().into_bytes();
        let mut token = [0; TOKEN_BYTES];
        token[..RANDOM_BYTES].copy_from_slice(&random);
        let tag = self.mac(carrier, &random).finalize().into_bytes();
        token[RANDOM_BYTES..].copy_from_slice(&tag[..MAC_BYTES]);
        CallbackToken(token)
    }

    fn mac(&self, carrier: &str, random: &[u8]) -> Hmac<Sha256> {
        mac(&self.0, &[b"callback\0", carrier.as_bytes(), b"\0", random])
    }

    /// The token that this text is, where it was made under this key for this carrier.
    pub fn parse(&self, carrier: &str, text: &str) -> Option<CallbackToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let token: [u8; TOKEN_BYTES] = bytes.try_into().ok()?;
        let (random, tag) = token.split_at(RANDOM_BYTES);
        // In constant time.
        let judged = self.mac(carrier, random).verify_truncated_left(tag);
        judged.ok().map(|()| CallbackToken(token))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

/// What a carrier needs to speak of one hand-over. Only its hash is looked up.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackToken([u8; TOKEN_BYTES]);

impl CallbackToken {
    /// For the carrier; never for a log.
    pub fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl fmt::Debug for CallbackToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackToken(…)")
    }
}

/// The keys of audio links: the first one signs, all of them are accepted, so that a new one can be
/// brought in while links under the old one are still out.
#[derive(Clone)]
pub struct LinkKeys(Vec<Vec<u8>>);

impl LinkKeys {
    /// At least one.
    pub fn new(first: Vec<u8>, others: Vec<Vec<u8>>) -> LinkKeys {
        LinkKeys(std::iter::once(first).chain(others).collect())
    }

    /// `<expiry, seconds since 1970>.<signature>.mp3`
    pub fn file(&self, voicemail: VoicemailId, until: Time) -> String {
        let (expiry, _) = until.seconds_and_nanos();
        let tag = self.0.first().map(|key| link_mac(key, voicemail, expiry));
        let tag = tag.map(|mac| mac.finalize().into_bytes().to_vec());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(tag.unwrap_or_default());
        format!("{expiry}.{signature}.mp3")
    }

    /// Until when a link of ours to this voicemail is good that has this file; `None`: it is not ours.
    pub fn expiry(&self, voicemail: VoicemailId, file: &str) -> Option<Time> {
        let (expiry, rest) = file.split_once('.')?;
        let tag = BASE64_URL_SAFE_NO_PAD
            .decode(rest.strip_suffix(".mp3")?)
            .ok()?;
        let seconds: i64 = expiry.parse().ok()?;
        // Only as we write it, so that one link has one spelling.
        let is_ours = seconds.to_string() == expiry
            && (self.0.iter())
                .any(|key| link_mac(key, voicemail, seconds).verify_slice(&tag).is_ok());
        match is_ours {
            true => Time::from_seconds_and_nanos(seconds, 0),
            false => None,
        }
    }
}

fn link_mac(key: &[u8], voicemail: VoicemailId, expiry: i64) -> Hmac<Sha256> {
    let id = voicemail.uuid().into_bytes();
    mac(key, &[b"audio\0", &id, &expiry.to_be_bytes()])
}

impl fmt::Debug for LinkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkKeys({} of them)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_under_its_key_for_its_carrier_only() {
        let key = TokenKey::new(vec![1; 32]);
        let token = key.generate("voicedrop");
        let text = token.text();
        assert_eq!(text.len(), 43);
        assert_eq!(key.parse("voicedrop", &text), Some(token.clone()));
        assert_eq!(key.parse("cowboy", &text), None);
        assert_eq!(TokenKey::new(vec![2; 32]).parse("voicedrop", &text), None);
        let backwards: String = text.chars().rev().collect();
        for other in [backwards.as_str(), "", "x", &text[1..], &format!("{text}A")] {
            assert_eq!(key.parse("voicedrop", other), None, "{other}");
        }
        assert_ne!(token, key.generate("voicedrop"));
    }

    #[test]
    fn every_bit_of_a_token_counts() {
        let key = TokenKey::new(vec![1; 32]);
        let token = key.generate("c");
        for bit in 0..TOKEN_BYTES * 8 {
            let mut bytes = token.0;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.parse("c", &BASE64_URL_SAFE_NO_PAD.encode(bytes)), None);
        }
    }

    #[test]
    fn a_link_is_known_by_its_voicemail_and_its_expiry() {
        let keys = LinkKeys::new(vec![1; 32], Vec::new());
        let id = VoicemailId::generate();
        let until = Time::from_micros(1_000_000_000);
        let file = keys.file(id, until.plus(std::time::Duration::from_micros(1)));
        assert_eq!(keys.expiry(id, &file), Some(until));
        assert_eq!(keys.expiry(VoicemailId::generate(), &file), None);
        let other_expiry = file.replacen("1000.", "9999.", 1);
        let signed = file.replacen("1000.", "+1000.", 1);
        let zero = file.replacen("1000.", "01000.", 1);
        let bare = file.trim_end_matches(".mp3");
        for bad in [
            "",
            ".",
            "x.mp3",
            "1000.mp3",
            "1000..mp3",
            bare,
            &other_expiry,
            &signed,
            &zero,
        ] {
            assert_eq!(keys.expiry(id, bad), None, "{bad}");
        }
    }

    #[test]
    fn an_old_key_is_accepted_as_long_as_it_is_named() {
        let (old, new) = (vec![1; 32], vec![2; 32]);
        let id = VoicemailId::generate();
        let until = Time::from_micros(1_000_000_000);
        let before = LinkKeys::new(old.clone(), Vec::new()).file(id, until);
        let both = LinkKeys::new(new.clone(), vec![old]);
        assert_eq!(both.expiry(id, &before), Some(until));
        assert_ne!(both.file(id, until), before);
        assert_eq!(LinkKeys::new(new, Vec::new()).expiry(id, &before), None);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let doors = Doors::new(
            "https://vm.example/",
            TokenKey::new(vec![1; 32]),
            LinkKeys::new(vec![1; 32], Vec::new()),
        );
        let token = doors.new_token("c");
        let url = doors.callback_url("c", &token);
        assert!(url.starts_with("https://vm.example/callbacks/c/"));
        for text in [format!("{doors:?}"), format!("{token:?}")] {
            assert!(!text.contains(&token.text()), "{text}");
        }
    }
}
