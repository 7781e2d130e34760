//! Batches, the change of a voicemail's times, and what is cancelled together.

use super::voicemail::draft;
use super::{Fields, Mask};
use crate::domain::gate::Rules;
use crate::domain::ids::{AudioId, SetupId, UseCaseId, VoicemailId};
use crate::domain::labels::{self, Labels};
use crate::domain::names::check_batch_id;
use crate::grpc::pb;
use crate::grpc::status::to_brief;
use crate::ops::batch::{Answered, Batch, RECIPIENTS_MAX, Recipient};
use crate::ops::error::{OpError, Result, Violation};
use crate::ops::fingerprint::Fingerprint;
use crate::ops::voicemails::TimesChange;
use crate::storage::VoicemailFilter;

/// The batch, whose recipients may be bad each by itself; or what is wrong with it as a whole.
pub fn batch(request: pb::BatchSendVoicemailsRequest, rules: &Rules) -> Result<Batch> {
    let mut fields = Fields::default();
    let id = fields.text("batch_id", &request.batch_id, check_batch_id);
    let use_case_id = fields.id("use_case_id", &request.use_case_id, UseCaseId::parse);
    let audio_id = fields.id("audio_id", &request.audio_id, AudioId::parse);
    let count = request.recipients.len();
    if count == 0 {
        fields.bad(
            "recipients",
            format!("there is none; 1 to {RECIPIENTS_MAX} are needed"),
        );
    } else if count > RECIPIENTS_MAX {
        fields.bad(
            "recipients",
            format!(
                "there are {count}; at most {RECIPIENTS_MAX} are allowed. Send several batches, each with an id of its own"
            ),
        );
    }
    let schedule_time = fields.time("schedule_time", request.schedule_time.as_ref());
    let expire_time = fields.time("expire_time", request.expire_time.as_ref());
    for fault in labels::faults(&request.labels) {
        fields.bad("labels", fault);
    }
    let named = id.zip(use_case_id).zip(audio_id);
    let ((id, use_case_id), audio_id) = fields.finish(named)?;
    let content = content(&request);
    let recipients = request.recipients.into_iter().map(|recipient| {
        let metadata = pb::SendVoicemailMetadata {
            use_case_id: request.use_case_id.clone(),
            recipient_phone_number: recipient.recipient_phone_number,
            audio_id: request.audio_id.clone(),
            request_id: recipient.request_id,
            schedule_time: recipient.schedule_time.or(request.schedule_time),
            expire_time: recipient.expire_time.or(request.expire_time),
            labels: merged(&request.labels, recipient.labels),
            validate_only: false,
            time_zone: recipient.time_zone,
            postal_code: recipient.postal_code,
        };
        within_recipient(draft(metadata, rules))
    });
    Ok(Batch {
        id,
        use_case_id,
        audio_id,
        schedule_time,
        expire_time,
        recipients: recipients.collect(),
        content,
    })
}

/// A recipient's own labels replace those for all.
fn merged(for_all: &Labels, mut own: Labels) -> Labels {
    for (key, value) in for_all {
        own.entry(key.clone()).or_insert_with(|| value.clone());
    }
    own
}

/// Bad fields by their paths within the recipient instead of within a single send's metadata.
fn within_recipient(mut recipient: Recipient) -> Recipient {
    if let Recipient::Bad { violations, .. } = &mut recipient {
        for violation in violations {
            if let Some(name) = violation.field.strip_prefix("metadata.") {
                violation.field = name.to_owned();
            }
        }
    }
    recipient
}

/// A hash of what was given, field by field, but for the audio: that counts by its bytes.
fn content(request: &pb::BatchSendVoicemailsRequest) -> Vec<u8> {
    let time = |time: Option<prost_types::Timestamp>| {
        time.map(|time| {
            [time.seconds, i64::from(time.nanos)]
                .map(i64::to_be_bytes)
                .concat()
        })
    };
    let labels = |hash: Fingerprint, labels: &Labels| {
        let hash = hash.part((labels.len() as u64).to_be_bytes());
        labels
            .iter()
            .fold(hash, |hash, (key, value)| hash.part(key).part(value))
    };
    let start = Fingerprint::default()
        .part(&request.use_case_id)
        .optional(time(request.schedule_time))
        .optional(time(request.expire_time));
    let start = labels(start, &request.labels);
    let all = request.recipients.iter().fold(start, |hash, recipient| {
        let hash = hash
            .part(&recipient.recipient_phone_number)
            .part(&recipient.request_id)
            .optional(time(recipient.schedule_time))
            .optional(time(recipient.expire_time))
            .part(&recipient.time_zone)
            .part(&recipient.postal_code);
        labels(hash, &recipient.labels)
    });
    all.finish()
}

pub fn to_batch_answer(answers: Vec<Answered>) -> pb::BatchSendVoicemailsResponse {
    let mut response = pb::BatchSendVoicemailsResponse::default();
    for answered in answers {
        let count = match &answered {
            Answered::New(_) => &mut response.accepted_count,
            Answered::Known(_) => &mut response.known_count,
            Answered::Refused(_) => &mut response.refused_count,
        };
        *count += 1;
        response.results.push(to_result(answered));
    }
    response
}

fn to_result(answered: Answered) -> pb::BatchResult {
    use pb::batch_result::Result as Kind;
    let accepted = |id: VoicemailId, already_known| {
        Kind::Accepted(pb::BatchAccepted {
            voicemail_id: id.to_string(),
            already_known,
        })
    };
    let kind = match answered {
        Answered::New(id) => accepted(id, false),
        Answered::Known(id) => accepted(id, true),
        Answered::Refused(error) => {
            let brief = to_brief(error);
            Kind::Refused(pb::BatchRefused {
                reason: brief.reason as i32,
                message: brief.message,
                field: brief.field,
            })
        }
    };
    pb::BatchResult { result: Some(kind) }
}

/// The fields of a voicemail that UpdateVoicemail changes.
const CHANGEABLE: [&str; 2] = ["schedule_time", "expire_time"];
/// All others.
const FIXED: [&str; 19] = [
    "id",
    "use_case_id",
    "setup_id",
    "sender_phone_number",
    "recipient_phone_number",
    "status",
    "failure_reason",
    "status_detail",
    "simulated",
    "audio",
    "attempts",
    "labels",
    "request_id",
    "batch_id",
    "create_time",
    "update_time",
    "due_time",
    "sent_time",
    "end_time",
];

pub fn times_change(request: pb::UpdateVoicemailRequest) -> Result<(VoicemailId, TimesChange)> {
    let mut fields = Fields::default();
    let Some(given) = request.voicemail else {
        let why = "it is missing; give its id and what is to change";
        return Err(OpError::InvalidFields(vec![Violation::field(
            "voicemail",
            why,
        )]));
    };
    let id = fields.id("voicemail.id", &given.id, VoicemailId::parse);
    let mask = Mask::read(&mut fields, request.update_mask, &CHANGEABLE, &FIXED);
    let schedule_time = fields.time("voicemail.schedule_time", given.schedule_time.as_ref());
    let expire_time = fields.time("voicemail.expire_time", given.expire_time.as_ref());
    let schedules = mask.writes("schedule_time", given.schedule_time.is_some());
    let expires = mask.writes("expire_time", given.expire_time.is_some());
    let id = fields.finish(id)?;
    let change = TimesChange {
        schedule_time: schedules.then_some(schedule_time),
        expire_time: expires.then_some(expire_time),
    };
    Ok((id, change))
}

pub fn cancel_filter(request: pb::CancelVoicemailsRequest) -> Result<VoicemailFilter> {
    let mut fields = Fields::default();
    for fault in labels::faults(&request.labels) {
        fields.bad("labels", fault);
    }
    if request == pb::CancelVoicemailsRequest::default() {
        fields.bad(
            "batch_id",
            "nothing says which voicemails are meant; give at least one of batch_id, use_case_id, setup_id and labels",
        );
    }
    let filter = VoicemailFilter {
        batch_id: fields.optional_batch_id("batch_id", &request.batch_id),
        use_case_id: fields.optional_id("use_case_id", &request.use_case_id, UseCaseId::parse),
        setup_id: fields.optional_id("setup_id", &request.setup_id, SetupId::parse),
        labels: request.labels,
        ..VoicemailFilter::default()
    };
    fields.finish(Some(filter))
}
