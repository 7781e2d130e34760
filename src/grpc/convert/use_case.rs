//! Use cases.

use super::{Fields, Mask, to_timestamp};
use crate::domain::ids::{PhoneNumberId, SetupId, UseCaseId};
use crate::domain::names::{DESCRIPTION_MAX, PAUSE_REASON_MAX, check_name, check_text};
use crate::domain::phone::PhoneRules;
use crate::domain::sender::{SenderPlan, SenderPolicy};
use crate::domain::use_case::{Channel, Purpose, UseCase};
use crate::grpc::pb;
use crate::ops::error::Result;
use crate::ops::use_cases::{NewUseCase, UseCaseChange};

pub fn to_use_case(use_case: UseCase) -> pb::UseCase {
    let text = |number: Option<crate::domain::phone::PhoneNumber>| {
        number.map(|n| n.e164().to_owned()).unwrap_or_default()
    };
    pb::UseCase {
        id: use_case.id.to_string(),
        channel: use_case.channel as i32,
        entity_name: use_case.entity_name,
        name: use_case.name,
        description: use_case.description,
        setup_id: use_case.setup_id.to_string(),
        phone_number_ids: use_case
            .phone_number_ids
            .iter()
            .map(ToString::to_string)
            .collect(),
        purpose: use_case.purpose.map_or(0, |purpose| purpose as i32),
        callback_phone_number: text(use_case.callback_phone_number),
        opt_out_phone_number: text(use_case.opt_out_phone_number),
        create_time: Some(to_timestamp(use_case.create_time)),
        update_time: Some(to_timestamp(use_case.update_time)),
        sender_policy: use_case.senders.policy as i32,
        sticky_sender: Some(use_case.senders.is_sticky),
        main_phone_number_id: use_case
            .senders
            .main
            .map(|id| id.to_string())
            .unwrap_or_default(),
        pause: use_case.pause.map(|pause| pb::UseCasePause {
            reason: pause.reason,
            since: Some(to_timestamp(pause.since)),
        }),
    }
}

pub fn new_use_case(request: pb::CreateUseCaseRequest, rules: &PhoneRules) -> Result<NewUseCase> {
    let mut fields = Fields::default();
    let request_id = fields.request_id("request_id", &request.request_id);
    let given = request.use_case.unwrap_or_default();
    let channel = i16::try_from(given.channel)
        .ok()
        .and_then(Channel::from_code);
    if channel.is_none() {
        fields.bad("use_case.channel", "it is missing or unknown; give CHANNEL_RINGLESS_VOICEMAIL, CHANNEL_OUTBOUND_VOICE or CHANNEL_INBOUND_VOICE. Only the first sends voicemails");
    }
    let entity_name = fields.text("use_case.entity_name", &given.entity_name, check_name);
    let name = fields.text("use_case.name", &given.name, check_name);
    let description = fields.text("use_case.description", &given.description, description);
    let setup_id = fields.id("use_case.setup_id", &given.setup_id, SetupId::parse);
    let purpose = purpose(&mut fields, given.purpose);
    let callback_phone_number = fields.optional_phone(
        "use_case.callback_phone_number",
        &given.callback_phone_number,
        rules,
    );
    let opt_out_phone_number = fields.optional_phone(
        "use_case.opt_out_phone_number",
        &given.opt_out_phone_number,
        rules,
    );
    let senders = SenderPlan {
        policy: sender_policy(&mut fields, given.sender_policy),
        is_sticky: given.sticky_sender.unwrap_or(true),
        main: main_number(&mut fields, &given.main_phone_number_id),
    };
    let new = match (channel, entity_name, name, description, setup_id) {
        (Some(channel), Some(entity_name), Some(name), Some(description), Some(setup_id)) => {
            Some(NewUseCase {
                channel,
                entity_name,
                name,
                description,
                setup_id,
                purpose,
                callback_phone_number,
                opt_out_phone_number,
                senders,
                request_id,
            })
        }
        _ => None,
    };
    fields.finish(new)
}

pub fn use_case_change(
    request: pb::UpdateUseCaseRequest,
    rules: &PhoneRules,
) -> Result<(UseCaseId, UseCaseChange)> {
    let mut fields = Fields::default();
    let given = request.use_case.unwrap_or_default();
    let id = fields.id("use_case.id", &given.id, UseCaseId::parse);
    let changeable = [
        "entity_name",
        "name",
        "description",
        "purpose",
        "callback_phone_number",
        "opt_out_phone_number",
        "sender_policy",
        "sticky_sender",
        "main_phone_number_id",
    ];
    let fixed = [
        "id",
        "channel",
        "setup_id",
        "phone_number_ids",
        "create_time",
        "update_time",
        "pause",
    ];
    let mask = Mask::read(&mut fields, request.update_mask, &changeable, &fixed);
    let mut change = UseCaseChange::default();
    if mask.writes("entity_name", !given.entity_name.is_empty()) {
        change.entity_name = fields.text("use_case.entity_name", &given.entity_name, check_name);
    }
    if mask.writes("name", !given.name.is_empty()) {
        change.name = fields.text("use_case.name", &given.name, check_name);
    }
    if mask.writes("description", !given.description.is_empty()) {
        change.description = fields.text("use_case.description", &given.description, description);
    }
    if mask.writes("purpose", given.purpose != 0) {
        change.purpose = Some(purpose(&mut fields, given.purpose));
    }
    if mask.writes(
        "callback_phone_number",
        !given.callback_phone_number.is_empty(),
    ) {
        change.callback_phone_number = Some(fields.optional_phone(
            "use_case.callback_phone_number",
            &given.callback_phone_number,
            rules,
        ));
    }
    if mask.writes(
        "opt_out_phone_number",
        !given.opt_out_phone_number.is_empty(),
    ) {
        change.opt_out_phone_number = Some(fields.optional_phone(
            "use_case.opt_out_phone_number",
            &given.opt_out_phone_number,
            rules,
        ));
    }
    if mask.writes("sender_policy", given.sender_policy != 0) {
        change.sender_policy = Some(sender_policy(&mut fields, given.sender_policy));
    }
    if mask.writes("sticky_sender", given.sticky_sender.is_some()) {
        change.is_sticky = Some(given.sticky_sender.unwrap_or(true));
    }
    if mask.writes(
        "main_phone_number_id",
        !given.main_phone_number_id.is_empty(),
    ) {
        change.main = Some(main_number(&mut fields, &given.main_phone_number_id));
    }
    fields.finish(id.map(|id| (id, change)))
}

pub fn pause(request: &pb::PauseUseCaseRequest) -> Result<(UseCaseId, String)> {
    let mut fields = Fields::default();
    let id = fields.id("use_case_id", &request.use_case_id, UseCaseId::parse);
    let reason = fields.text("reason", &request.reason, |text| {
        check_text(text, PAUSE_REASON_MAX)
    });
    fields.finish(id.zip(reason))
}

/// 0: the default.
fn sender_policy(fields: &mut Fields, number: i32) -> SenderPolicy {
    let policy = i16::try_from(number).ok().and_then(SenderPolicy::from_code);
    if policy.is_none() && number != 0 {
        fields.bad("use_case.sender_policy", format!("{number} is unknown; give SENDER_POLICY_AREA_CODE, SENDER_POLICY_MAIN, SENDER_POLICY_LEAST_RECENT or none"));
    }
    policy.unwrap_or(SenderPlan::default().policy)
}

fn main_number(fields: &mut Fields, id: &str) -> Option<PhoneNumberId> {
    fields.optional_id("use_case.main_phone_number_id", id, PhoneNumberId::parse)
}

/// 0: none.
fn purpose(fields: &mut Fields, number: i32) -> Option<Purpose> {
    let purpose = i16::try_from(number).ok().and_then(Purpose::from_code);
    if purpose.is_none() && number != 0 {
        fields.bad("use_case.purpose", format!("{number} is unknown; give PURPOSE_HEALTHCARE, PURPOSE_INFORMATIONAL, PURPOSE_MARKETING, PURPOSE_OTHER or none"));
    }
    purpose
}

fn description(text: &str) -> std::result::Result<(), crate::domain::names::TextFault> {
    check_text(text, DESCRIPTION_MAX)
}
