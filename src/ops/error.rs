//! What a caller can do something about: one variant each. `grpc/status.rs` puts them on the wire.

use std::time::Duration;

use crate::audio::Refusal;
use crate::domain::ids::{PhoneNumberId, SetupId, UseCaseId, VoicemailId};
use crate::domain::phone::PhoneError;
use crate::domain::status::Status;
use crate::domain::telephony::SetupStatus;
use crate::domain::use_case::{Channel, Purpose};
use crate::storage::{self, StorageFault};

pub type Result<T> = std::result::Result<T, OpError>;

/// One field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field in the request.
    pub field: String,
    /// What was given, what is allowed, how to mend it.
    pub description: String,
    pub kind: ViolationKind,
}

/// Which reason the field's fault stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViolationKind {
    Field,
    PhoneNumber,
    Country { country: String, allowed: String },
}

impl Violation {
    pub fn field(field: impl Into<String>, description: impl Into<String>) -> Violation {
        Violation {
            field: field.into(),
            description: description.into(),
            kind: ViolationKind::Field,
        }
    }

    pub fn phone(field: impl Into<String>, error: &PhoneError) -> Violation {
        let kind = match error {
            PhoneError::Missing => ViolationKind::Field,
            PhoneError::Invalid { .. } => ViolationKind::PhoneNumber,
            PhoneError::CountryNotAllowed { country, allowed } => ViolationKind::Country {
                country: country.clone(),
                allowed: allowed.clone(),
            },
        };
        Violation {
            field: field.into(),
            description: error.to_string(),
            kind,
        }
    }
}

/// What was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Setup,
    PhoneNumber,
    UseCase,
    Voicemail,
    Audio,
    Suppression,
    Consent,
}

#[derive(Debug, thiserror::Error)]
pub enum OpError {
    #[error("{} field(s) break a rule", .0.len())]
    InvalidFields(Vec<Violation>),
    #[error("{0:?} not found")]
    NotFound(Resource, uuid::Uuid),
    #[error("a use case of that name exists")]
    UseCaseExists {
        entity_name: String,
        name: String,
        channel: Channel,
    },
    #[error("the phone number exists")]
    PhoneNumberExists,
    #[error("the request id was used for something else")]
    RequestIdReused { request_id: String },
    #[error("the batch id was used for something else")]
    BatchIdReused { batch_id: String },
    #[error("there is no batch of that id")]
    BatchNotFound { batch_id: String },
    #[error("the only number that could send is the recipient's own")]
    SenderIsRecipient { use_case_id: UseCaseId },
    #[error("the setup is not approved")]
    SetupNotApproved {
        setup_id: SetupId,
        status: SetupStatus,
    },
    #[error("the page token can't be used")]
    InvalidPageToken,
    #[error("the setup is in use")]
    SetupInUse { setup_id: SetupId },
    #[error("the use case has no active phone number")]
    NoActivePhoneNumber { use_case_id: UseCaseId },
    #[error("the use case's main number may not send")]
    MainNumberInactive {
        use_case_id: UseCaseId,
        phone_number_id: Option<PhoneNumberId>,
    },
    #[error("the main number is not assigned to the use case")]
    MainNumberNotAssigned {
        use_case_id: Option<UseCaseId>,
        phone_number_id: PhoneNumberId,
    },
    #[error("the phone number is the use case's main number")]
    PhoneNumberIsMain {
        use_case_id: UseCaseId,
        phone_number_id: PhoneNumberId,
    },
    #[error("the use case's channel sends no voicemails")]
    WrongChannel {
        use_case_id: UseCaseId,
        channel: Channel,
    },
    #[error("the use case has phone numbers assigned")]
    PhoneNumbersAssigned {
        use_case_id: UseCaseId,
        count: usize,
    },
    #[error("the phone number is assigned to a use case")]
    PhoneNumberInUse { phone_number_id: PhoneNumberId },
    #[error("voicemails of the use case are on their way")]
    VoicemailsInFlight { use_case_id: UseCaseId },
    #[error("the voicemail can't be cancelled")]
    NotCancellable {
        voicemail_id: VoicemailId,
        status: Status,
    },
    #[error("the voicemail can't be changed")]
    NotUpdatable {
        voicemail_id: VoicemailId,
        status: Status,
    },
    #[error("the phone number belongs to another setup")]
    WrongSetup {
        phone_number_id: PhoneNumberId,
        use_case_id: UseCaseId,
        /// The use case's.
        setup_id: SetupId,
    },
    #[error("a carrier is not in the configuration")]
    UnknownCarrier { name: String, known: String },
    #[error("no carrier of the setup may have health information")]
    HealthInformationForbidden { setup_id: SetupId, carriers: String },
    #[error("the operator has not chosen what holds for the purpose")]
    PurposeNotChosen { setup_id: SetupId, purpose: Purpose },
    #[error("the queue is full")]
    QueueFull { allowed: u64 },
    #[error("audio is refused: {0}")]
    Audio(#[from] Refusal),
    #[error("audio for one message is too large")]
    AudioTooLargeForOneMessage { given: Option<u64>, allowed: u64 },
    #[error("a chunk is too large")]
    ChunkTooLarge { given: Option<u64>, allowed: u64 },
    #[error("the stream is out of order")]
    StreamOrder {
        /// The message's number, from 1.
        number: u64,
        got: &'static str,
        expected: &'static str,
    },
    #[error("too many uploads at once")]
    TooManyUploads { uploads_max: u64, retry: Duration },
    #[error("the upload stalled")]
    UploadStalled {
        limit: Duration,
        /// `idle` or `total`.
        kind: &'static str,
    },
    #[error("the import stalled")]
    ImportStalled {
        limit: Duration,
        /// `idle` or `unread`.
        kind: &'static str,
    },
    #[error("a message of the stream can't be decoded")]
    Undecodable,
    #[error("a repeat without a request id may be a second one")]
    OutcomeUnknown { method: &'static str },
    #[error("the caller went away")]
    CallerGone,
    #[error("shutting down")]
    ShuttingDown,
    #[error(transparent)]
    Storage(#[from] storage::Error),
    #[error("internal: {0}")]
    Internal(String),
}

impl StorageFault for OpError {
    fn refuses_writes(&self) -> bool {
        matches!(self, OpError::Storage(error) if error.refuses_writes())
    }
}

impl OpError {
    /// All bad fields at once, or nothing.
    pub fn unless_empty(violations: Vec<Violation>) -> Result<()> {
        match violations.is_empty() {
            true => Ok(()),
            false => Err(OpError::InvalidFields(violations)),
        }
    }
}
