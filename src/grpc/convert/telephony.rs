//! Setups and phone numbers.

use prost_types::FieldMask;

use super::{Fields, Mask, to_timestamp};
use crate::domain::ids::SetupId;
use crate::domain::names::{DISPLAY_NAME_MAX, SUSPEND_REASON_MAX, check_line, check_text};
use crate::domain::pace::{IN_FLIGHT_MAX, STARTS_PER_MINUTE_MAX};
use crate::domain::phone::PhoneRules;
use crate::domain::telephony::{SenderNumber, Setup};
use crate::domain::warm_up::{DAILY_CAP_MAX, NumberCaps, WarmUpStep, check_steps};
use crate::grpc::pb;
use crate::ops::error::{Result, Violation};
use crate::ops::phone_numbers::{NewNumber, NumberChange};
use crate::ops::setups::{NewSetup, SetupChange, carrier_faults};

pub fn to_setup(setup: Setup) -> pb::Setup {
    pb::Setup {
        id: setup.id.to_string(),
        display_name: setup.display_name,
        carriers: setup.carriers,
        status: setup.status as i32,
        status_detail: setup.status_detail,
        create_time: Some(to_timestamp(setup.create_time)),
        update_time: Some(to_timestamp(setup.update_time)),
        pause: setup.pause.map(|pause| pb::SetupPause {
            reason: pause.reason as i32,
            carrier: pause.carrier,
            since: Some(to_timestamp(pause.since)),
        }),
        starts_per_minute: setup.starts_per_minute,
        in_flight_max: setup.in_flight_max,
    }
}

/// A limit of a setup or a number: 0 to `max`.
fn limit(fields: &mut Fields, name: &str, given: i32, max: i32) -> i32 {
    if !(0..=max).contains(&given) {
        fields.extend(vec![Violation::field(
            name,
            format!("it is {given}; allowed are 0 to {max}, and 0 means no limit"),
        )]);
    }
    given
}

pub fn to_number(number: SenderNumber) -> pb::PhoneNumber {
    pb::PhoneNumber {
        id: number.id.to_string(),
        setup_id: number.setup_id.to_string(),
        phone_number: number.number.e164().to_owned(),
        display_name: number.display_name,
        status: number.status as i32,
        carriers: number.carriers,
        create_time: Some(to_timestamp(number.create_time)),
        update_time: Some(to_timestamp(number.update_time)),
        daily_cap: number.caps.daily_cap,
        warm_up: (number.caps.warm_up.iter())
            .map(|step| pb::WarmUpStep {
                from_day: step.from_day,
                daily_cap: step.daily_cap,
            })
            .collect(),
        warm_up_start_time: number.caps.warm_up_start_time.map(to_timestamp),
    }
}

pub fn new_setup(request: pb::CreateSetupRequest) -> Result<NewSetup> {
    let mut fields = Fields::default();
    let request_id = fields.request_id("request_id", &request.request_id);
    let setup = request.setup.unwrap_or_default();
    fields.extend(carrier_faults("setup.carriers", &setup.carriers, false));
    let display_name = fields.text("setup.display_name", &setup.display_name, display_name);
    let starts_per_minute = limit(
        &mut fields,
        "setup.starts_per_minute",
        setup.starts_per_minute,
        STARTS_PER_MINUTE_MAX,
    );
    let in_flight_max = limit(
        &mut fields,
        "setup.in_flight_max",
        setup.in_flight_max,
        IN_FLIGHT_MAX,
    );
    let new = display_name.map(|display_name| NewSetup {
        display_name,
        carriers: setup.carriers,
        starts_per_minute,
        in_flight_max,
        request_id,
    });
    fields.finish(new)
}

pub fn setup_change(request: pb::UpdateSetupRequest) -> Result<(SetupId, SetupChange)> {
    let mut fields = Fields::default();
    let setup = request.setup.unwrap_or_default();
    let id = fields.id("setup.id", &setup.id, SetupId::parse);
    let fixed = [
        "id",
        "status",
        "status_detail",
        "pause",
        "create_time",
        "update_time",
    ];
    let mask = Mask::read(
        &mut fields,
        request.update_mask,
        &[
            "display_name",
            "carriers",
            "starts_per_minute",
            "in_flight_max",
        ],
        &fixed,
    );
    let mut change = SetupChange::default();
    if mask.writes("display_name", !setup.display_name.is_empty()) {
        change.display_name = fields.text("setup.display_name", &setup.display_name, display_name);
    }
    if mask.writes("carriers", !setup.carriers.is_empty()) {
        fields.extend(carrier_faults("setup.carriers", &setup.carriers, false));
        change.carriers = Some(setup.carriers);
    }
    if mask.writes("starts_per_minute", setup.starts_per_minute != 0) {
        let (name, given) = ("setup.starts_per_minute", setup.starts_per_minute);
        change.starts_per_minute = Some(limit(&mut fields, name, given, STARTS_PER_MINUTE_MAX));
    }
    if mask.writes("in_flight_max", setup.in_flight_max != 0) {
        let (name, given) = ("setup.in_flight_max", setup.in_flight_max);
        change.in_flight_max = Some(limit(&mut fields, name, given, IN_FLIGHT_MAX));
    }
    fields.finish(id.map(|id| (id, change)))
}

pub fn suspension(request: &pb::SuspendSetupRequest) -> Result<(SetupId, String)> {
    let mut fields = Fields::default();
    let id = fields.id("setup_id", &request.setup_id, SetupId::parse);
    let reason = fields.text("reason", &request.reason, |text| {
        check_text(text, SUSPEND_REASON_MAX)
    });
    fields.finish(id.zip(reason))
}

pub fn new_number(request: pb::CreatePhoneNumberRequest, rules: &PhoneRules) -> Result<NewNumber> {
    let mut fields = Fields::default();
    let request_id = fields.request_id("request_id", &request.request_id);
    let given = request.phone_number.unwrap_or_default();
    let setup_id = fields.id("phone_number.setup_id", &given.setup_id, SetupId::parse);
    let number = fields.phone("phone_number.phone_number", &given.phone_number, rules);
    let display_name = fields.text(
        "phone_number.display_name",
        &given.display_name,
        display_name,
    );
    fields.extend(carrier_faults(
        "phone_number.carriers",
        &given.carriers,
        true,
    ));
    let start = given.warm_up_start_time.as_ref();
    let caps = NumberCaps {
        daily_cap: daily_cap(&mut fields, given.daily_cap),
        warm_up: warm_up(&mut fields, &given.warm_up),
        warm_up_start_time: fields.time("phone_number.warm_up_start_time", start),
    };
    let new = setup_id
        .zip(number)
        .zip(display_name)
        .map(|((setup_id, number), display_name)| NewNumber {
            setup_id,
            number,
            display_name,
            carriers: given.carriers,
            caps,
            request_id,
        });
    fields.finish(new)
}

/// The change, and the number as the caller wrote it, whose fixed fields must stand as they are.
pub fn number_change(
    number: &pb::PhoneNumber,
    mask: Option<FieldMask>,
) -> Result<(crate::domain::ids::PhoneNumberId, NumberChange)> {
    let mut fields = Fields::default();
    let id = fields.id(
        "phone_number.id",
        &number.id,
        crate::domain::ids::PhoneNumberId::parse,
    );
    let fixed = [
        "id",
        "setup_id",
        "phone_number",
        "status",
        "create_time",
        "update_time",
    ];
    let changeable = [
        "display_name",
        "carriers",
        "daily_cap",
        "warm_up",
        "warm_up_start_time",
    ];
    let mask = Mask::read(&mut fields, mask, &changeable, &fixed);
    let mut change = NumberChange::default();
    if mask.writes("display_name", !number.display_name.is_empty()) {
        change.display_name = fields.text(
            "phone_number.display_name",
            &number.display_name,
            display_name,
        );
    }
    if mask.writes("carriers", !number.carriers.is_empty()) {
        fields.extend(carrier_faults(
            "phone_number.carriers",
            &number.carriers,
            true,
        ));
        change.carriers = Some(number.carriers.clone());
    }
    if mask.writes("daily_cap", number.daily_cap != 0) {
        change.daily_cap = Some(daily_cap(&mut fields, number.daily_cap));
    }
    if mask.writes("warm_up", !number.warm_up.is_empty()) {
        change.warm_up = Some(warm_up(&mut fields, &number.warm_up));
    }
    let start = number.warm_up_start_time.as_ref();
    if mask.writes("warm_up_start_time", start.is_some()) {
        let start = fields.time("phone_number.warm_up_start_time", start);
        change.warm_up_start_time = Some(start);
    }
    fields.finish(id.map(|id| (id, change)))
}

fn daily_cap(fields: &mut Fields, given: i32) -> i32 {
    limit(fields, "phone_number.daily_cap", given, DAILY_CAP_MAX)
}

fn warm_up(fields: &mut Fields, given: &[pb::WarmUpStep]) -> Vec<WarmUpStep> {
    let step = |step: &pb::WarmUpStep| WarmUpStep {
        from_day: step.from_day,
        daily_cap: step.daily_cap,
    };
    let steps: Vec<WarmUpStep> = given.iter().map(step).collect();
    if let Err(fault) = check_steps(&steps) {
        fields.bad("phone_number.warm_up", fault.to_string());
    }
    steps
}

fn display_name(text: &str) -> std::result::Result<(), crate::domain::names::TextFault> {
    check_line(text, DISPLAY_NAME_MAX)
}
