//! The one map from what went wrong to what a caller reads: code, `google.rpc.ErrorInfo` (domain
//! `ringless`, a reason of the proto enum `ErrorReason`), `BadRequest`, `RetryInfo`, and a message
//! that says what was given, what is allowed, and how to mend it. Nothing internal gets out.

mod precondition;

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use self::precondition::precondition;
use super::pb::ErrorReason;
use crate::audio::Refusal;
use crate::ops::error::{OpError, Resource, Violation, ViolationKind};
use crate::storage;

/// The domain of every ErrorInfo.
pub const DOMAIN: &str = "ringless";
/// What is said of anything that went wrong inside; the cause is in the log.
const INTERNAL_MESSAGE: &str =
    "something went wrong inside ringless; it is in its log under this request id";
/// How long a caller waits before it comes again, where nothing better is known.
const RETRY_SOON: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// The id of the call at hand, for its log lines and for INTERNAL.
    pub static REQUEST_ID: String;
}

/// The id of the call at hand.
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// Whether a call may be made again when the answer to its commit was lost: it changes nothing the
/// second time, or carries a request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    Safe,
    Unsafe { method: &'static str },
}

impl Repeat {
    /// For creates: safe where a request id was given.
    pub fn if_given(request_id: &Option<String>, method: &'static str) -> Repeat {
        match request_id {
            Some(_) => Repeat::Safe,
            None => Repeat::Unsafe { method },
        }
    }
}

/// What an error is on the wire.
struct Wire {
    code: Code,
    reason: ErrorReason,
    message: String,
    metadata: Vec<(&'static str, String)>,
    violations: Vec<(String, String)>,
    retry: Option<Duration>,
    /// A stock client must not repeat it by itself.
    never_again: bool,
}

impl Wire {
    fn new(code: Code, reason: ErrorReason, message: impl Into<String>) -> Wire {
        Wire {
            code,
            reason,
            message: message.into(),
            metadata: Vec::new(),
            violations: Vec::new(),
            retry: None,
            never_again: false,
        }
    }

    fn with(mut self, key: &'static str, value: impl ToString) -> Wire {
        self.metadata.push((key, value.to_string()));
        self
    }

    /// Names the field that is at fault, with the message as its description.
    fn about(mut self, field: &str) -> Wire {
        self.violations = vec![(field.to_owned(), self.message.clone())];
        self
    }

    fn with_given(self, key: &'static str, value: Option<impl ToString>) -> Wire {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    fn retry(mut self, wait: Duration) -> Wire {
        self.retry = Some(wait);
        self
    }

    fn status(self) -> Status {
        let mut details = ErrorDetails::new();
        let metadata: HashMap<String, String> = self
            .metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let reason = self
            .reason
            .as_str_name()
            .trim_start_matches("ERROR_REASON_");
        details.set_error_info(reason, DOMAIN, metadata);
        for (field, description) in self.violations {
            details.add_bad_request_violation(field, description);
        }
        if let Some(wait) = self.retry {
            details.set_retry_info(Some(wait));
        }
        let mut status = Status::with_error_details(self.code, self.message, details);
        if let Some(wait) = self.retry {
            // Stock clients do not read RetryInfo; this trailer is what they wait for.
            let ms = tonic::metadata::MetadataValue::from(
                u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            );
            status.metadata_mut().insert("grpc-retry-pushback-ms", ms);
        }
        if self.never_again {
            // A negative pushback says so.
            let never = tonic::metadata::MetadataValue::from(-1_i64);
            status
                .metadata_mut()
                .insert("grpc-retry-pushback-ms", never);
        }
        status
    }
}

/// The status of an error. Internal ones are logged here, once.
pub fn to_status(error: OpError, repeat: Repeat) -> Status {
    match error {
        OpError::CallerGone => Status::cancelled("the caller went away"),
        error => wire(error, repeat).status(),
    }
}

fn wire(error: OpError, repeat: Repeat) -> Wire {
    match error {
        OpError::OutcomeUnknown { method } => outcome_unknown(method),
        OpError::Storage(error) => storage_error(error, repeat),
        OpError::Internal(cause) => internal(&cause),
        OpError::InvalidFields(violations) => invalid_fields(violations),
        OpError::NotFound(resource, id) => not_found(resource, id),
        OpError::BatchNotFound { batch_id } => batch_not_found(&batch_id),
        OpError::Audio(refusal) => audio(&refusal),
        other => match argument(&other).or_else(|| passing(&other)) {
            Some(wire) => wire,
            None => precondition(&other),
        },
    }
}

/// An error as it stands in a list of many.
pub struct Brief {
    pub reason: ErrorReason,
    /// At most [`BRIEF_BYTES_MAX`] bytes.
    pub message: String,
    /// The fields at fault, parted by commas.
    pub field: String,
}

/// Bytes of the message of one refusal among many, so that 10,000 of them fit into an answer.
pub const BRIEF_BYTES_MAX: usize = 200;

/// The refusal of one of many.
pub fn to_brief(error: OpError) -> Brief {
    let wire = wire(error, Repeat::Safe);
    let fields: Vec<&str> = wire.violations.iter().map(|(f, _)| f.as_str()).collect();
    Brief {
        reason: wire.reason,
        field: fields.join(","),
        message: cut(wire.message),
    }
}

/// Cut to what fits, between characters.
fn cut(mut text: String) -> String {
    const SIGN: &str = "…";
    if text.len() > BRIEF_BYTES_MAX {
        text.truncate(text.floor_char_boundary(BRIEF_BYTES_MAX - SIGN.len()));
        text.push_str(SIGN);
    }
    text
}

fn invalid_fields(violations: Vec<Violation>) -> Wire {
    let all = |is: fn(&ViolationKind) -> bool| violations.iter().all(|v| is(&v.kind));
    let reason = if all(|kind| *kind == ViolationKind::PhoneNumber) {
        ErrorReason::InvalidPhoneNumber
    } else if all(|kind| matches!(kind, ViolationKind::Country { .. })) {
        ErrorReason::CountryNotAllowed
    } else {
        ErrorReason::InvalidField
    };
    let fields: Vec<&str> = violations.iter().map(|v| v.field.as_str()).collect();
    let message: Vec<String> = violations
        .iter()
        .map(|v| format!("{}: {}", v.field, v.description))
        .collect();
    let mut wire = Wire::new(Code::InvalidArgument, reason, message.join("; "));
    wire = match (&reason, violations.first().map(|v| &v.kind)) {
        (ErrorReason::CountryNotAllowed, Some(ViolationKind::Country { country, allowed })) => wire
            .with("field", fields.join(","))
            .with("country", country)
            .with("allowed", allowed.replace(", ", ",")),
        _ => wire.with("fields", fields.join(",")),
    };
    wire.violations = violations
        .into_iter()
        .map(|v| (v.field, v.description))
        .collect();
    wire
}

fn not_found(resource: Resource, id: uuid::Uuid) -> Wire {
    let (reason, key, what) = match resource {
        Resource::Setup => (ErrorReason::SetupNotFound, "setup_id", "setup"),
        Resource::PhoneNumber => (
            ErrorReason::PhoneNumberNotFound,
            "phone_number_id",
            "phone number",
        ),
        Resource::UseCase => (ErrorReason::UseCaseNotFound, "use_case_id", "use case"),
        Resource::Voicemail => (ErrorReason::VoicemailNotFound, "voicemail_id", "voicemail"),
        Resource::Audio => (ErrorReason::AudioNotFound, "audio_id", "audio"),
        Resource::Suppression => (
            ErrorReason::SuppressionNotFound,
            "suppression_id",
            "suppression",
        ),
        Resource::Consent => (ErrorReason::ConsentNotFound, "consent_id", "consent"),
    };
    let message = format!(
        "there is no {what} `{id}`, or it was deleted. Use an id that this service has answered"
    );
    Wire::new(Code::NotFound, reason, message).with(key, id)
}

fn batch_not_found(batch_id: &str) -> Wire {
    let message = format!("there is no batch `{batch_id}`. Use the id that it was sent with");
    Wire::new(Code::NotFound, ErrorReason::BatchNotFound, message).with("batch_id", batch_id)
}

fn audio(refusal: &Refusal) -> Wire {
    let reason = match refusal {
        Refusal::Missing => ErrorReason::AudioMissing,
        Refusal::NotMp3 { .. } => ErrorReason::AudioNotMp3,
        Refusal::Corrupt { .. } => ErrorReason::AudioCorrupt,
        Refusal::TooShort { .. } => ErrorReason::AudioTooShort,
        Refusal::TooLong { .. } => ErrorReason::AudioTooLong,
        Refusal::TooLarge { .. } => ErrorReason::AudioTooLarge,
    };
    let mut wire = Wire::new(Code::InvalidArgument, reason, refusal.to_string());
    wire.metadata = refusal.metadata();
    wire.about("audio")
}

/// Other bad arguments.
fn argument(error: &OpError) -> Option<Wire> {
    let bad = |reason, message: String| Wire::new(Code::InvalidArgument, reason, message);
    // The size is not known where the library refused the message before it was read.
    let size = |given: Option<u64>, allowed: u64| match given {
        Some(given) => given.to_string(),
        None => format!("more than {allowed}"),
    };
    let wire = match error {
        OpError::StreamOrder { number, got, expected } => bad(
            ErrorReason::StreamOrder,
            format!("message {number} of the stream is {got}; allowed here is {expected}. Send metadata first and once, then chunks"),
        )
        .with("message_number", number)
        .with("got", got)
        .with("expected", expected)
        .about("payload"),
        OpError::ChunkTooLarge { given, allowed } => bad(
            ErrorReason::ChunkTooLarge,
            format!("a chunk has {} bytes; at most {allowed} are allowed. Send chunks of 64 KiB", size(*given, *allowed)),
        )
        .with_given("chunk_bytes", *given)
        .with("chunk_bytes_max", allowed)
        .about("audio_chunk"),
        OpError::AudioTooLargeForOneMessage { given, allowed } => bad(
            ErrorReason::AudioTooLarge,
            format!("the audio has {} bytes; CreateVoicemail takes at most {allowed}. Send it in chunks with SendVoicemail", size(*given, *allowed)),
        )
        .with("size_bytes_max", allowed)
        .with("use_method", "SendVoicemail")
        .about("audio"),
        OpError::Undecodable => bad(
            ErrorReason::InvalidField,
            "a message of the stream can't be decoded as this method's request. Send what the .proto says, uncompressed".to_owned(),
        )
        .with("fields", "payload")
        .about("payload"),
        OpError::InvalidPageToken => bad(
            ErrorReason::InvalidPageToken,
            "the page_token is not one of this list: it was changed, or the other arguments were. Take the next_page_token of the page before, with the same arguments".to_owned(),
        )
        .with("field", "page_token")
        .about("page_token"),
        _ => return None,
    };
    Some(wire)
}

/// What passes if one waits.
fn passing(error: &OpError) -> Option<Wire> {
    let wire = match error {
        OpError::TooManyUploads { uploads_max, retry } => Wire::new(
            Code::ResourceExhausted,
            ErrorReason::TooManyUploads,
            format!("there is no room for another upload just now; at most {uploads_max} are taken at once. Come again in {} s", retry.as_secs()),
        )
        .with("uploads_max", uploads_max)
        .retry(*retry),
        OpError::QueueFull { allowed } => Wire::new(
            Code::ResourceExhausted,
            ErrorReason::QueueFull,
            format!("{allowed} voicemails wait to be sent, as many as may. Come again later"),
        )
        .with("queue_max", allowed)
        .retry(Duration::from_secs(5)),
        OpError::ShuttingDown => Wire::new(
            Code::Unavailable,
            ErrorReason::ShuttingDown,
            "this server is stopping and takes no more calls. Come again; another server, or this one restarted, will answer",
        )
        .retry(RETRY_SOON),
        OpError::UploadStalled { limit, kind } => {
            let rule = match *kind {
                "idle" => "no byte came for that long",
                _ => "an upload may take that long in all",
            };
            Wire::new(
                Code::DeadlineExceeded,
                ErrorReason::UploadStalled,
                format!("the upload was ended after {} s: {rule}. Nothing was stored; send it again over a better connection", limit.as_secs()),
            )
            .with("limit", kind)
            .with("limit_seconds", limit.as_secs())
        }
        OpError::ImportStalled { limit, kind } => {
            let rule = match *kind {
                "idle" => "nothing came for that long",
                _ => "its answers were not taken for that long",
            };
            Wire::new(
                Code::DeadlineExceeded,
                ErrorReason::ImportStalled,
                format!("the import was ended after {} s: {rule}. The lines before are stored; send it again, it adds what is missing", limit.as_secs()),
            )
            .with("limit", kind)
            .with("limit_seconds", limit.as_secs())
        }
        _ => return None,
    };
    Some(wire)
}

fn storage_error(error: storage::Error, repeat: Repeat) -> Wire {
    match (&error, repeat) {
        (storage::Error::CommitUnknown(_), Repeat::Unsafe { method }) => {
            tracing::error!(error = %error, "the answer to a commit was lost");
            outcome_unknown(method)
        }
        (
            storage::Error::Unavailable(_)
            | storage::Error::CommitUnknown(_)
            | storage::Error::Guard { .. }
            | storage::Error::Missing(_)
            | storage::Error::Conflict(_),
            _,
        ) => {
            tracing::warn!(error = %error, "a call could not be served by the database");
            Wire::new(
                Code::Unavailable,
                ErrorReason::StorageUnavailable,
                "the database can't do this just now; nothing was lost. Send the same call again",
            )
            .retry(RETRY_SOON)
        }
        _ => internal(&error.to_string()),
    }
}

fn outcome_unknown(method: &'static str) -> Wire {
    let mut wire = Wire::new(
        Code::Unknown,
        ErrorReason::OutcomeUnknown,
        format!("whether {method} was carried out is not known, and no request_id was given. Look it up before sending it again, and give a request_id next time"),
    )
    .with("method", method);
    wire.never_again = true;
    wire
}

/// A stock client repeats by itself when a connection breaks, and says so in a header. Without a
/// request id the first try may have been carried out, so a repeat is not.
pub fn refuse_blind_repeat(
    metadata: &tonic::metadata::MetadataMap,
    repeat: Repeat,
) -> Result<(), OpError> {
    match repeat {
        Repeat::Unsafe { method } if metadata.contains_key("grpc-previous-rpc-attempts") => {
            Err(OpError::OutcomeUnknown { method })
        }
        Repeat::Safe | Repeat::Unsafe { .. } => Ok(()),
    }
}

fn internal(cause: &str) -> Wire {
    tracing::error!(error = cause, "a call failed inside");
    Wire::new(Code::Internal, ErrorReason::Internal, INTERNAL_MESSAGE)
        .with("request_id", request_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brief_message_is_cut_between_characters_at_200_bytes() {
        for (given, bytes) in [(199, 199), (200, 200), (201, 200)] {
            assert_eq!(cut("x".repeat(given)).len(), bytes, "{given}");
        }
        let cut = cut("ä".repeat(101));
        assert!(cut.len() <= BRIEF_BYTES_MAX && cut.ends_with("ä…"), "{cut}");
    }
}
