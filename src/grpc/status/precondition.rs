//! What stands in the way of a call that is well-formed.

use tonic::Code;

use super::{Wire, internal};
use crate::grpc::pb::ErrorReason;
use crate::ops::error::OpError;

/// What is there already, and what does not hold.
pub(super) fn precondition(error: &OpError) -> Wire {
    let failed = |reason, message: String| Wire::new(Code::FailedPrecondition, reason, message);
    match error {
        OpError::UseCaseExists { entity_name, name, channel } => Wire::new(
            Code::AlreadyExists,
            ErrorReason::UseCaseExists,
            format!("a use case `{name}` of `{entity_name}` on {} exists. Use it, or give another name", channel.as_str()),
        )
        .with("entity_name", entity_name)
        .with("name", name)
        .with("channel", channel.as_str()),
        OpError::PhoneNumberExists => Wire::new(
            Code::AlreadyExists,
            ErrorReason::PhoneNumberExists,
            "this phone number exists already, in this setup or another. Find it with ListPhoneNumbers",
        ),
        OpError::RequestIdReused { request_id } => failed(
            ErrorReason::RequestIdReused,
            "this request_id was used before with other content. Give each request an id of its own, and repeat one only with the same content".to_owned(),
        )
        .with("request_id", request_id),
        OpError::BatchIdReused { batch_id } => failed(
            ErrorReason::BatchIdReused,
            "this batch_id was used before with other content. Give each batch an id of its own, and repeat one only with the same content".to_owned(),
        )
        .with("batch_id", batch_id),
        OpError::SenderIsRecipient { use_case_id } => failed(
            ErrorReason::SenderIsRecipient,
            format!("the only number that use case `{use_case_id}` could send from is the recipient's own. Assign another number"),
        )
        .with("use_case_id", use_case_id),
        OpError::SetupNotApproved { setup_id, status } => {
            let mend = match status {
                crate::domain::telephony::SetupStatus::Suspended => "Resume it with ResumeSetup",
                _ => "Approve it with ApproveSetup",
            };
            failed(ErrorReason::SetupNotApproved, format!("setup `{setup_id}` is {}; it must be APPROVED. {mend}", status.as_str()))
                .with("setup_id", setup_id)
                .with("status", status.as_str())
        }
        OpError::SetupInUse { setup_id } => failed(
            ErrorReason::SetupInUse,
            format!("setup `{setup_id}` has phone numbers, use cases, or voicemails on their way. Delete its use cases and numbers first"),
        )
        .with("setup_id", setup_id),
        OpError::NoActivePhoneNumber { use_case_id } => failed(
            ErrorReason::NoActivePhoneNumber,
            format!("use case `{use_case_id}` has no active phone number that its setup's carriers may use. Assign one with AssignPhoneNumber, or activate one with ActivatePhoneNumber"),
        )
        .with("use_case_id", use_case_id),
        OpError::MainNumberInactive { use_case_id, phone_number_id } => {
            let number = phone_number_id.map(|id| id.to_string()).unwrap_or_default();
            failed(
                ErrorReason::MainNumberInactive,
                format!("the main number `{number}` of use case `{use_case_id}` may not send this: it is not active, not allowed with a carrier of the setup, or the recipient's own. Activate it with ActivatePhoneNumber, or change main_phone_number_id or sender_policy with UpdateUseCase"),
            )
            .with("use_case_id", use_case_id)
            .with("phone_number_id", number)
        }
        OpError::WrongChannel { use_case_id, channel } => failed(
            ErrorReason::WrongChannel,
            format!("use case `{use_case_id}` is of {}; only CHANNEL_RINGLESS_VOICEMAIL sends voicemails. Use one of that channel", channel.as_str()),
        )
        .with("use_case_id", use_case_id)
        .with("channel", channel.as_str()),
        other => precondition_of_change(other),
    }
}

/// What keeps a thing from being changed or deleted.
fn precondition_of_change(error: &OpError) -> Wire {
    let failed = |reason, message: String| Wire::new(Code::FailedPrecondition, reason, message);
    match error {
        OpError::PhoneNumbersAssigned { use_case_id, count } => failed(
            ErrorReason::PhoneNumbersAssigned,
            format!("use case `{use_case_id}` has {count} phone number(s) assigned. Unassign them first with UnassignPhoneNumber"),
        )
        .with("use_case_id", use_case_id)
        .with("phone_numbers", count),
        OpError::PhoneNumberInUse { phone_number_id } => failed(
            ErrorReason::PhoneNumberInUse,
            format!("phone number `{phone_number_id}` is assigned to a use case. Unassign it first with UnassignPhoneNumber"),
        )
        .with("phone_number_id", phone_number_id),
        OpError::MainNumberNotAssigned { use_case_id, phone_number_id } => {
            let wire = failed(
                ErrorReason::MainNumberNotAssigned,
                format!("phone number `{phone_number_id}` is not assigned to the use case, so it can't be its main number. Assign it first with AssignPhoneNumber, then name it with UpdateUseCase"),
            );
            match use_case_id {
                Some(id) => wire.with("use_case_id", id),
                None => wire,
            }
            .with("phone_number_id", phone_number_id)
        }
        OpError::PhoneNumberIsMain { use_case_id, phone_number_id } => failed(
            ErrorReason::PhoneNumberIsMain,
            format!("phone number `{phone_number_id}` is the main number of use case `{use_case_id}`. Change main_phone_number_id with UpdateUseCase first"),
        )
        .with("use_case_id", use_case_id)
        .with("phone_number_id", phone_number_id),
        OpError::VoicemailsInFlight { use_case_id } => failed(
            ErrorReason::VoicemailsInFlight,
            format!("voicemails of use case `{use_case_id}` are on their way (ACCEPTED, SENDING or SENT). Wait for their end, or cancel those that wait"),
        )
        .with("use_case_id", use_case_id),
        OpError::NotCancellable { voicemail_id, status } => failed(
            ErrorReason::NotCancellable,
            format!("voicemail `{voicemail_id}` is {status}; only an ACCEPTED one can be cancelled"),
        )
        .with("voicemail_id", voicemail_id)
        .with("status", status),
        OpError::NotUpdatable { voicemail_id, status } => failed(
            ErrorReason::NotUpdatable,
            format!("voicemail `{voicemail_id}` is {status}; only an ACCEPTED one that was not tried yet can be changed"),
        )
        .with("voicemail_id", voicemail_id)
        .with("status", status),
        OpError::WrongSetup { phone_number_id, use_case_id, setup_id } => failed(
            ErrorReason::WrongSetup,
            format!("phone number `{phone_number_id}` is not of setup `{setup_id}`, which use case `{use_case_id}` is tied to. Assign one of that setup"),
        )
        .with("phone_number_id", phone_number_id)
        .with("use_case_id", use_case_id)
        .with("setup_id", setup_id),
        OpError::UnknownCarrier { name, known } => failed(
            ErrorReason::UnknownCarrier,
            format!("carrier `{name}` can't be used here; there are: {known}. Name one of these, or add it to the configuration"),
        )
        .with("carriers", name)
        .with("configured", known.replace(", ", ",")),
        OpError::HealthInformationForbidden { setup_id, carriers } => failed(
            ErrorReason::HealthInformationForbidden,
            format!("the use case's purpose is HEALTHCARE, and no carrier of setup `{setup_id}` ({carriers}) may be given health information. Name the agreement with the carrier in the configuration (baa_reference), or use another setup"),
        )
        .with("setup_id", setup_id)
        .with("carriers", carriers.replace(", ", ",")),
        OpError::PurposeNotChosen { setup_id, purpose } => failed(
            ErrorReason::PurposeNotChosen,
            format!("the operator has not chosen what holds for messages of purpose {purpose}, and until then setup `{setup_id}` sends none of them: carriers other than the sandbox wait for that. Choose it in the configuration (`[purposes.{section}]`)", purpose = purpose.as_str(), section = purpose.as_str().to_lowercase()),
        )
        .with("purpose", purpose.as_str())
        .with("setup_id", setup_id),
        other => internal(&other.to_string()),
    }
}
