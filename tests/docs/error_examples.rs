//! An example of each reason, which the errors page and the protos show.

use std::time::Duration;

use ringless::audio::{Damage, Found, Refusal};
use ringless::domain::ids::{PhoneNumberId, SetupId, UseCaseId, VoicemailId};
use ringless::domain::names::check_name;
use ringless::domain::phone::PhoneRules;
use ringless::domain::status::Status;
use ringless::domain::telephony::SetupStatus;
use ringless::domain::use_case::{Channel, Purpose};
use ringless::grpc::{Repeat, pb::ErrorReason};
use ringless::ops::error::{OpError, Resource, Violation};
use ringless::storage;

const SETUP: &str = "01970c8e-6f2a-7b31-9c55-3f0e8a4d2b17";
const NUMBER: &str = "01970c8e-7d10-7c02-8a6e-51b2f09c3d44";
const USE_CASE: &str = "01970c8f-0a45-7e9b-b1f3-0c6d7a2e9518";
const AUDIO: &str = "01970c90-2b6e-7f18-a0d5-94c7e31f6b02";
const SUPPRESSION: &str = "01970c94-0d3e-7b52-9e41-6c8f2a5d7b90";
const CONSENT: &str = "01970c94-5f27-7c18-8b6a-d2e90c3f4a71";
const VOICEMAIL: &str = "01970c91-c3d8-7aa4-93b0-e2f41d6085c7";

fn uuid(text: &str) -> uuid::Uuid {
    text.parse().unwrap()
}

/// A phone number that is refused, in the field of a recipient.
fn bad_number(number: &str) -> OpError {
    let rules = PhoneRules::new("US", &["US".to_owned()]).unwrap();
    let error = rules.parse(number).unwrap_err();
    OpError::InvalidFields(vec![Violation::phone(
        "metadata.recipient_phone_number",
        &error,
    )])
}

/// The example of each reason that page and protos show, in the order of the enum.
pub fn examples() -> Vec<(ErrorReason, OpError, Repeat)> {
    let setup_id = SetupId::parse(SETUP).unwrap();
    let phone_number_id = PhoneNumberId::parse(NUMBER).unwrap();
    let use_case_id = UseCaseId::parse(USE_CASE).unwrap();
    let voicemail_id = VoicemailId::parse(VOICEMAIL).unwrap();
    let long_name = check_name(&"x".repeat(71)).unwrap_err().to_string();
    let name = OpError::InvalidFields(vec![Violation::field("use_case.name", long_name)]);
    let junk = Damage::JunkWithin {
        bytes: 91_342,
        allowed_bytes: 65_536,
    };
    let lost = || storage::Error::CommitUnknown("the connection broke".to_owned());
    let unsafe_repeat = Repeat::Unsafe {
        method: "CreateVoicemail",
    };
    use ErrorReason as R;
    let safe = vec![
        (R::InvalidField, name),
        (R::InvalidPhoneNumber, bad_number("+1 212 555")),
        (
            R::StreamOrder,
            OpError::StreamOrder {
                number: 1,
                got: "audio_chunk",
                expected: "metadata",
            },
        ),
        (R::AudioMissing, Refusal::Missing.into()),
        (
            R::AudioNotMp3,
            Refusal::NotMp3 { found: Found::Riff }.into(),
        ),
        (R::AudioCorrupt, Refusal::Corrupt { damage: junk }.into()),
        (
            R::AudioTooShort,
            Refusal::TooShort {
                duration: Duration::from_millis(7_412),
            }
            .into(),
        ),
        (
            R::AudioTooLong,
            Refusal::TooLong {
                counted: Duration::from_millis(60_316),
            }
            .into(),
        ),
        (
            R::AudioTooLarge,
            OpError::AudioTooLargeForOneMessage {
                given: Some(4_194_304),
                allowed: 3_145_728,
            },
        ),
        (
            R::ChunkTooLarge,
            OpError::ChunkTooLarge {
                given: Some(2_097_152),
                allowed: 1_048_576,
            },
        ),
        (R::CountryNotAllowed, bad_number("+44 20 7946 0123")),
        (R::InvalidPageToken, OpError::InvalidPageToken),
        (
            R::SetupNotFound,
            OpError::NotFound(Resource::Setup, uuid(SETUP)),
        ),
        (
            R::PhoneNumberNotFound,
            OpError::NotFound(Resource::PhoneNumber, uuid(NUMBER)),
        ),
        (
            R::UseCaseNotFound,
            OpError::NotFound(Resource::UseCase, uuid(USE_CASE)),
        ),
        (
            R::VoicemailNotFound,
            OpError::NotFound(Resource::Voicemail, uuid(VOICEMAIL)),
        ),
        (
            R::AudioNotFound,
            OpError::NotFound(Resource::Audio, uuid(AUDIO)),
        ),
        (
            R::BatchNotFound,
            OpError::BatchNotFound {
                batch_id: "flu-shots-2026-11".to_owned(),
            },
        ),
        (
            R::SuppressionNotFound,
            OpError::NotFound(Resource::Suppression, uuid(SUPPRESSION)),
        ),
        (
            R::ConsentNotFound,
            OpError::NotFound(Resource::Consent, uuid(CONSENT)),
        ),
        (
            R::UseCaseExists,
            OpError::UseCaseExists {
                entity_name: "Elm Street Clinic".to_owned(),
                name: "Appointment reminders".to_owned(),
                channel: Channel::RinglessVoicemail,
            },
        ),
        (R::PhoneNumberExists, OpError::PhoneNumberExists),
        (
            R::RequestIdReused,
            OpError::RequestIdReused {
                request_id: "reminder-8841".to_owned(),
            },
        ),
        (
            R::SenderIsRecipient,
            OpError::SenderIsRecipient { use_case_id },
        ),
        (
            R::SetupNotApproved,
            OpError::SetupNotApproved {
                setup_id,
                status: SetupStatus::Suspended,
            },
        ),
        (R::SetupInUse, OpError::SetupInUse { setup_id }),
        (
            R::NoActivePhoneNumber,
            OpError::NoActivePhoneNumber { use_case_id },
        ),
        (
            R::WrongChannel,
            OpError::WrongChannel {
                use_case_id,
                channel: Channel::OutboundVoice,
            },
        ),
        (
            R::PhoneNumbersAssigned,
            OpError::PhoneNumbersAssigned {
                use_case_id,
                count: 2,
            },
        ),
        (
            R::PhoneNumberInUse,
            OpError::PhoneNumberInUse { phone_number_id },
        ),
        (
            R::VoicemailsInFlight,
            OpError::VoicemailsInFlight { use_case_id },
        ),
        (
            R::NotCancellable,
            OpError::NotCancellable {
                voicemail_id,
                status: Status::Sent,
            },
        ),
        (
            R::WrongSetup,
            OpError::WrongSetup {
                phone_number_id,
                use_case_id,
                setup_id,
            },
        ),
        (
            R::UnknownCarrier,
            OpError::UnknownCarrier {
                name: "acme".to_owned(),
                known: "sandbox".to_owned(),
            },
        ),
        (
            R::HealthInformationForbidden,
            OpError::HealthInformationForbidden {
                setup_id,
                carriers: "voicedrop".to_owned(),
            },
        ),
        (
            R::PurposeNotChosen,
            OpError::PurposeNotChosen {
                setup_id,
                purpose: Purpose::Healthcare,
            },
        ),
        (
            R::BatchIdReused,
            OpError::BatchIdReused {
                batch_id: "flu-shots-2026-11".to_owned(),
            },
        ),
        (
            R::NotUpdatable,
            OpError::NotUpdatable {
                voicemail_id,
                status: Status::Sent,
            },
        ),
        (
            R::MainNumberNotAssigned,
            OpError::MainNumberNotAssigned {
                use_case_id: Some(use_case_id),
                phone_number_id,
            },
        ),
        (
            R::MainNumberInactive,
            OpError::MainNumberInactive {
                use_case_id,
                phone_number_id: Some(phone_number_id),
            },
        ),
        (
            R::PhoneNumberIsMain,
            OpError::PhoneNumberIsMain {
                use_case_id,
                phone_number_id,
            },
        ),
        (
            R::TooManyUploads,
            OpError::TooManyUploads {
                uploads_max: 1_036,
                retry: Duration::from_secs(2),
            },
        ),
        (
            R::QueueFull,
            OpError::QueueFull {
                allowed: 10_000_000,
            },
        ),
        (R::StorageUnavailable, lost().into()),
        (R::ShuttingDown, OpError::ShuttingDown),
    ];
    let mut all: Vec<_> = safe
        .into_iter()
        .map(|(reason, error)| (reason, error, Repeat::Safe))
        .collect();
    all.push((R::OutcomeUnknown, lost().into(), unsafe_repeat));
    let stalled = OpError::UploadStalled {
        limit: Duration::from_secs(30),
        kind: "idle",
    };
    all.push((R::UploadStalled, stalled, Repeat::Safe));
    let stalled = OpError::ImportStalled {
        limit: Duration::from_secs(30),
        kind: "idle",
    };
    all.push((R::ImportStalled, stalled, Repeat::Safe));
    all.push((
        R::Internal,
        OpError::Internal("a secret".to_owned()),
        Repeat::Safe,
    ));
    all
}
