//! Ids: one type each over UUIDv7, so that a setup's id can't be passed for a use case's.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is no id; ids are UUIDs such as 01890a5d-ac96-774b-bcce-b302099a8057. Use one that this service has answered"
)]
pub struct InvalidId {
    given: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id; its first 48 bits are the time, so ids made later sort later.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// Any UUID in its hyphenated form; whether it exists is the store's to say.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                if text.len() != 36 {
                    return Err(InvalidId::of(text));
                }
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId::of(text))
            }

            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// A telephony setup.
    SetupId,
    /// A sender number.
    PhoneNumberId,
    /// A use case.
    UseCaseId,
    /// A voicemail.
    VoicemailId,
    /// Stored audio.
    AudioId,
    /// A voicemail given to one carrier account.
    HandOverId,
    /// The proof that a worker holds a row: it changes with each claim.
    LeaseToken,
    /// A number that nothing is sent to.
    SuppressionId,
    /// A recorded consent.
    ConsentId,
}

impl VoicemailId {
    /// Of no voicemail: under it the sample can be fetched by a link, to see whether links work.
    pub const SAMPLE: VoicemailId = VoicemailId(Uuid::nil());
}

impl HandOverId {
    /// The id of a voicemail's `number`th hand-over to this carrier: the same one each time it is asked
    /// for, so that a carrier which was given it before a restore from a backup knows it again.
    pub fn derive(voicemail: VoicemailId, carrier: &str, number: i32) -> HandOverId {
        let digest = Sha256::new()
            .chain_update(b"ringless hand-over")
            .chain_update(voicemail.uuid())
            .chain_update(number.to_be_bytes())
            .chain_update(carrier)
            .finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        HandOverId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// The tenant a row belongs to. Until access control comes there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkspaceId(pub i64);

impl WorkspaceId {
    /// The workspace `default`, which the first migration makes.
    pub const DEFAULT: WorkspaceId = WorkspaceId(1);
}

impl InvalidId {
    /// What was given is shown cut, because a caller may put anything there.
    fn of(text: &str) -> InvalidId {
        InvalidId {
            given: text.chars().take(64).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = VoicemailId::generate();
        assert_eq!(VoicemailId::parse(&id.to_string()), Ok(id));
        assert_eq!(id.uuid().get_version_num(), 7);
    }

    #[test]
    fn a_hand_over_is_known_again_by_its_voicemail_carrier_and_number() {
        let (one, other) = (VoicemailId::generate(), VoicemailId::generate());
        let known = HandOverId::derive(one, "a", 1);
        assert_eq!(known, HandOverId::derive(one, "a", 1));
        assert_ne!(known, HandOverId::derive(one, "a", 2));
        assert_ne!(known, HandOverId::derive(one, "b", 1));
        assert_ne!(known, HandOverId::derive(other, "a", 1));
        assert_eq!(known.uuid().get_version_num(), 8);
    }

    #[test]
    fn other_spellings_of_a_uuid_are_refused() {
        for text in [
            "",
            "x",
            "01890a5dac96774bbcceb302099a8057",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
        ] {
            assert!(UseCaseId::parse(text).is_err(), "{text}");
        }
    }
}
