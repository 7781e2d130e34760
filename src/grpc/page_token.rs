//! Page tokens: where a list goes on, signed, and bound to the list's other arguments.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use prost::Message;
use sha2::Sha256;

use crate::domain::consent::Consent;
use crate::domain::suppression::Suppression;
use crate::domain::telephony::{SenderNumber, Setup};
use crate::domain::time::Time;
use crate::domain::use_case::UseCase;
use crate::domain::voicemail::Voicemail;
use crate::ops::error::{OpError, Result};
use crate::storage::Page;

/// Makes and reads tokens with the service's own key, the same in every process on one database.
#[derive(Clone)]
pub struct PageTokens {
    key: Vec<u8>,
}

/// Bytes of a page's rows.
const PAGE_BYTES_MAX: usize = 2 * 1_024 * 1_024;

/// A row's place in its list.
pub trait Placed {
    fn place(&self) -> (Time, uuid::Uuid);
}

impl Placed for Setup {
    fn place(&self) -> (Time, uuid::Uuid) {
        (self.create_time, self.id.uuid())
    }
}

impl Placed for SenderNumber {
    fn place(&self) -> (Time, uuid::Uuid) {
        (self.create_time, self.id.uuid())
    }
}

impl Placed for Voicemail {
    fn place(&self) -> (Time, uuid::Uuid) {
        (self.create_time, self.id.uuid())
    }
}

impl Placed for Suppression {
    fn place(&self) -> (Time, uuid::Uuid) {
        (self.create_time, self.id.uuid())
    }
}

impl Placed for Consent {
    fn place(&self) -> (Time, uuid::Uuid) {
        (self.create_time, self.id.uuid())
    }
}

impl Placed for UseCase {
    fn place(&self) -> (Time, uuid::Uuid) {
        (self.create_time, self.id.uuid())
    }
}

/// Time and id of the last row, then 16 bytes of HMAC-SHA256.
const PLACE_BYTES: usize = 8 + 16;
const TAG_BYTES: usize = 16;

impl PageTokens {
    pub fn new(key: Vec<u8>) -> PageTokens {
        PageTokens { key }
    }

    /// `arguments` is the request without page_size and page_token.
    pub fn make(&self, time: Time, id: uuid::Uuid, arguments: &impl Message, list: &str) -> String {
        let mut token = [0; PLACE_BYTES + TAG_BYTES];
        token[..8].copy_from_slice(&time.micros().to_be_bytes());
        token[8..PLACE_BYTES].copy_from_slice(id.as_bytes());
        let tag = self
            .mac(&token[..PLACE_BYTES], arguments, list)
            .finalize()
            .into_bytes();
        token[PLACE_BYTES..].copy_from_slice(&tag[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// `None` for an empty token: the first page.
    pub fn read(
        &self,
        token: &str,
        arguments: &impl Message,
        list: &str,
    ) -> Result<Option<(Time, uuid::Uuid)>> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| OpError::InvalidPageToken)?;
        let (place, tag) = bytes
            .split_at_checked(PLACE_BYTES)
            .ok_or(OpError::InvalidPageToken)?;
        if tag.len() != TAG_BYTES
            || self
                .mac(place, arguments, list)
                .verify_truncated_left(tag)
                .is_err()
        {
            return Err(OpError::InvalidPageToken);
        }
        let (time, id) = place.split_at(8);
        let micros = time
            .try_into()
            .map(i64::from_be_bytes)
            .map_err(|_| OpError::InvalidPageToken)?;
        let id = uuid::Uuid::from_slice(id).map_err(|_| OpError::InvalidPageToken)?;
        Ok(Some((Time::from_micros(micros), id)))
    }

    /// The page that a token stands for, and one row more, which tells whether another follows.
    pub fn page(
        &self,
        token: &str,
        limit: i64,
        arguments: &impl Message,
        list: &str,
    ) -> Result<Page> {
        let after = self.read(token, arguments, list)?;
        Ok(Page {
            limit: limit + 1,
            after,
        })
    }

    /// The messages of a page, and the token of the next one; empty where there is none. A page
    /// ends early at [`PAGE_BYTES_MAX`], so that it fits every client's default limit.
    pub fn fill<T: Placed, M: Message>(
        &self,
        found: Vec<T>,
        limit: i64,
        (arguments, list): (&impl Message, &str),
        to_message: impl Fn(T) -> M,
    ) -> (Vec<M>, String) {
        let mut messages: Vec<M> = Vec::with_capacity(found.len());
        let mut bytes = 0;
        let mut last = None;
        for row in found {
            let place = row.place();
            let message = to_message(row);
            bytes += message.encoded_len();
            let is_full = messages.len() as i64 == limit || bytes > PAGE_BYTES_MAX;
            if let (true, Some((time, id))) = (is_full, last) {
                return (messages, self.make(time, id, arguments, list));
            }
            messages.push(message);
            last = Some(place);
        }
        (messages, String::new())
    }

    fn mac(&self, place: &[u8], arguments: &impl Message, list: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of every length");
        for part in [list.as_bytes(), place, &arguments.encode_to_vec()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::pb::ListVoicemailsRequest;

    fn arguments(use_case_id: &str) -> ListVoicemailsRequest {
        ListVoicemailsRequest {
            use_case_id: use_case_id.to_owned(),
            labels: (0..9).map(|n| (format!("k{n}"), "v".to_owned())).collect(),
            ..ListVoicemailsRequest::default()
        }
    }

    #[test]
    fn a_token_reads_back_with_the_same_arguments_only() {
        let tokens = PageTokens::new(vec![1; 32]);
        let (time, id) = (
            Time::from_micros(1_700_000_000_000_001),
            uuid::Uuid::now_v7(),
        );
        let token = tokens.make(time, id, &arguments("a"), "voicemails");
        let read = |tokens: &PageTokens, arguments: &ListVoicemailsRequest, list| {
            tokens.read(&token, arguments, list).ok()
        };
        assert_eq!(
            read(&tokens, &arguments("a"), "voicemails"),
            Some(Some((time, id)))
        );
        assert_eq!(read(&tokens, &arguments("b"), "voicemails"), None);
        assert_eq!(read(&tokens, &arguments("a"), "use_cases"), None);
        assert_eq!(
            read(&PageTokens::new(vec![2; 32]), &arguments("a"), "voicemails"),
            None
        );
        assert_eq!(
            tokens.read("", &arguments("a"), "voicemails").ok(),
            Some(None)
        );
    }

    #[test]
    fn no_changed_token_is_read() {
        let tokens = PageTokens::new(vec![1; 32]);
        let token = tokens.make(
            Time::EPOCH,
            uuid::Uuid::now_v7(),
            &arguments("a"),
            "voicemails",
        );
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'Q' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(
                tokens
                    .read(&changed, &arguments("a"), "voicemails")
                    .is_err(),
                "{changed}"
            );
        }
        for broken in ["x", &token[1..], "!", &format!("{token}AAAA")] {
            assert!(
                tokens.read(broken, &arguments("a"), "voicemails").is_err(),
                "{broken}"
            );
        }
    }
}
