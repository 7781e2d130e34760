//! Setups, phone numbers and use cases.

use super::{Fields, Json};
use crate::grpc::pb;

pub fn setup(setup: &pb::Setup) -> Json {
    Fields::default()
        .text("id", &setup.id)
        .text("display_name", &setup.display_name)
        .texts("carriers", &setup.carriers)
        .kind("status", setup.status, kind!(SetupStatus, setup.status))
        .text("status_detail", &setup.status_detail)
        .time("create_time", setup.create_time)
        .time("update_time", setup.update_time)
        .put("pause", setup.pause.as_ref().map(pause))
        .int32("starts_per_minute", setup.starts_per_minute)
        .int32("in_flight_max", setup.in_flight_max)
        .done()
}

fn pause(pause: &pb::SetupPause) -> Json {
    Fields::default()
        .kind("reason", pause.reason, kind!(PauseReason, pause.reason))
        .text("carrier", &pause.carrier)
        .time("since", pause.since)
        .done()
}

pub fn number(number: &pb::PhoneNumber) -> Json {
    Fields::default()
        .text("id", &number.id)
        .text("setup_id", &number.setup_id)
        .text("phone_number", &number.phone_number)
        .text("display_name", &number.display_name)
        .kind(
            "status",
            number.status,
            kind!(PhoneNumberStatus, number.status),
        )
        .texts("carriers", &number.carriers)
        .time("create_time", number.create_time)
        .time("update_time", number.update_time)
        .int32("daily_cap", number.daily_cap)
        .put(
            "warm_up",
            (!number.warm_up.is_empty())
                .then(|| Json::List(number.warm_up.iter().map(warm_up_step).collect())),
        )
        .time("warm_up_start_time", number.warm_up_start_time)
        .done()
}

fn warm_up_step(step: &pb::WarmUpStep) -> Json {
    Fields::default()
        .int32("from_day", step.from_day)
        .int32("daily_cap", step.daily_cap)
        .done()
}

pub fn use_case(use_case: &pb::UseCase) -> Json {
    Fields::default()
        .text("id", &use_case.id)
        .kind(
            "channel",
            use_case.channel,
            kind!(Channel, use_case.channel),
        )
        .text("entity_name", &use_case.entity_name)
        .text("name", &use_case.name)
        .text("description", &use_case.description)
        .text("setup_id", &use_case.setup_id)
        .texts("phone_number_ids", &use_case.phone_number_ids)
        .kind(
            "purpose",
            use_case.purpose,
            kind!(Purpose, use_case.purpose),
        )
        .text("callback_phone_number", &use_case.callback_phone_number)
        .text("opt_out_phone_number", &use_case.opt_out_phone_number)
        .time("create_time", use_case.create_time)
        .time("update_time", use_case.update_time)
        .kind(
            "sender_policy",
            use_case.sender_policy,
            kind!(SenderPolicy, use_case.sender_policy),
        )
        .optional_flag("sticky_sender", use_case.sticky_sender)
        .text("main_phone_number_id", &use_case.main_phone_number_id)
        .put("pause", use_case.pause.as_ref().map(use_case_pause))
        .done()
}

fn use_case_pause(pause: &pb::UseCasePause) -> Json {
    Fields::default()
        .text("reason", &pause.reason)
        .time("since", pause.since)
        .done()
}
