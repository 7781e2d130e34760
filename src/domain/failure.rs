//! Why a voicemail was not delivered: one vocabulary for every carrier. The carrier's own code
//! and words are kept beside it, on the attempt.

use super::status::Status;

macro_rules! reasons {
    ($($name:ident = $code:literal, $text:literal => $status:ident;)+) => {
        /// The numbers are those of the proto enum `FailureReason` and of the database column.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum FailureReason { $($name = $code),+ }

        impl FailureReason {
            pub const ALL: &[FailureReason] = &[$(FailureReason::$name),+];

            pub fn from_code(code: i16) -> Option<FailureReason> {
                match code { $($code => Some(FailureReason::$name),)+ _ => None }
            }

            /// As the protos spell it, in lower case and without its prefix.
            pub fn as_str(self) -> &'static str {
                match self { $(FailureReason::$name => $text),+ }
            }

            /// The end that a voicemail comes to for this reason, whichever carrier gave it.
            pub fn ends_as(self) -> Status {
                match self { $(FailureReason::$name => Status::$status),+ }
            }
        }
    };
}

reasons! {
    NoMailbox = 1, "no_mailbox" => NotDelivered;
    MailboxFull = 2, "mailbox_full" => NotDelivered;
    VoicemailNotDetected = 3, "voicemail_not_detected" => NotDelivered;
    Unreachable = 4, "unreachable" => NotDelivered;
    NoAnswer = 5, "no_answer" => NotDelivered;
    Busy = 6, "busy" => NotDelivered;
    NotMobile = 7, "not_mobile" => Skipped;
    InvalidNumber = 8, "invalid_number" => Failed;
    AnswerSupervision = 9, "answer_supervision" => NotDelivered;
    AudioRejected = 10, "audio_rejected" => Failed;
    AudioUnfetchable = 11, "audio_unfetchable" => Failed;
    SenderNotVerified = 12, "sender_not_verified" => Failed;
    SenderSuspended = 13, "sender_suspended" => Failed;
    CarrierDnc = 14, "carrier_dnc" => Skipped;
    NationalDnc = 15, "national_dnc" => Skipped;
    InternalDnc = 16, "internal_dnc" => Skipped;
    KnownLitigator = 17, "known_litigator" => Skipped;
    ReassignedNumber = 18, "reassigned_number" => Skipped;
    ConsentMissing = 19, "consent_missing" => Skipped;
    ConsentRevoked = 20, "consent_revoked" => Skipped;
    QuietHoursExpired = 21, "quiet_hours_expired" => Skipped;
    FrequencyCap = 22, "frequency_cap" => Skipped;
    InsufficientFunds = 23, "insufficient_funds" => Failed;
    CarrierAuth = 24, "carrier_auth" => Failed;
    CarrierRateLimited = 25, "carrier_rate_limited" => Failed;
    CarrierAmbiguous = 26, "carrier_ambiguous" => Unconfirmed;
    CarrierTimeout = 27, "carrier_timeout" => Failed;
    CarrierNoCallback = 28, "carrier_no_callback" => Unconfirmed;
    CarrierUnknown = 29, "carrier_unknown" => Failed;
    CarrierRefusedRecipient = 30, "carrier_refused_recipient" => Skipped;
    SpamBlocked = 31, "spam_blocked" => Failed;
    RetriesExhausted = 32, "retries_exhausted" => Failed;
    SimulatedCarrier = 33, "simulated_carrier" => Failed;
    WouldRing = 34, "would_ring" => Failed;
    CutOff = 35, "cut_off" => NotDelivered;
    PeerConfig = 36, "peer_config" => Failed;
    Expired = 37, "expired" => Skipped;
    RecipientNotAllowed = 38, "recipient_not_allowed" => Skipped;
    AudioNotAllowed = 39, "audio_not_allowed" => Skipped;
}

impl FailureReason {
    /// It is about our account, our sender, our audio or the carrier, not about the recipient or
    /// the message: refused for it, a repeat says nothing about an earlier call.
    pub fn is_about_the_way(self) -> bool {
        use FailureReason::{
            AudioUnfetchable, CarrierAuth, CarrierRateLimited, CarrierTimeout, CarrierUnknown,
            InsufficientFunds, PeerConfig, SenderNotVerified, SenderSuspended,
        };
        matches!(
            self,
            AudioUnfetchable
                | CarrierAuth
                | CarrierRateLimited
                | CarrierTimeout
                | CarrierUnknown
                | InsufficientFunds
                | PeerConfig
                | SenderNotVerified
                | SenderSuspended
        )
    }

    /// Our account with the carrier can't send: for every message, until somebody mends it.
    pub fn is_account_fault(self) -> bool {
        matches!(
            self,
            FailureReason::CarrierAuth | FailureReason::InsufficientFunds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_number_and_ends_a_voicemail() {
        for (at, reason) in FailureReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, at + 1);
            assert_eq!(FailureReason::from_code(*reason as i16), Some(*reason));
            assert!(reason.ends_as().is_end());
            assert!(!matches!(
                reason.ends_as(),
                Status::Delivered | Status::Cancelled
            ));
        }
        assert_eq!(FailureReason::from_code(0), None);
        assert_eq!(FailureReason::from_code(40), None);
    }
}
