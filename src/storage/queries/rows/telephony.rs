//! Setups, numbers, use cases and breakers as they are stored.

use diesel::prelude::*;

use super::super::super::{Db, breakers, phone_numbers, setups, use_cases};
use super::{from_json, odd, to_json};
use crate::domain::breaker::Breaker;
use crate::domain::ids::WorkspaceId;
use crate::domain::phone::PhoneNumber;
use crate::domain::sender::{SenderPlan, SenderPolicy};
use crate::domain::telephony::{
    NumberStatus, Pause, PauseReason, SenderNumber, Setup, SetupStatus,
};
use crate::domain::use_case::{Channel, Purpose, UseCase, UseCasePause};
use crate::domain::warm_up::{NumberCaps, WarmUpStep};
use crate::storage::Result;
use crate::storage::values::{Id, Ts};
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = setups, check_for_backend(Db))]
pub struct SetupRow {
    pub id: Id,
    pub workspace_id: i64,
    pub display_name: String,
    pub carriers: String,
    pub status: i16,
    pub status_detail: String,
    pub create_time: Ts,
    pub update_time: Ts,
    pub starts_per_minute: i32,
    pub in_flight_max: i32,
    pub pause_reason: Option<i16>,
    pub pause_carrier: String,
    pub pause_time: Option<Ts>,
}

impl SetupRow {
    pub fn of(setup: &Setup) -> Result<SetupRow> {
        Ok(SetupRow {
            id: setup.id.into(),
            workspace_id: setup.workspace_id.0,
            display_name: setup.display_name.clone(),
            carriers: to_json("setups", &setup.carriers)?,
            status: setup.status as i16,
            status_detail: setup.status_detail.clone(),
            create_time: setup.create_time.into(),
            update_time: setup.update_time.into(),
            starts_per_minute: setup.starts_per_minute,
            in_flight_max: setup.in_flight_max,
            pause_reason: setup.pause.as_ref().map(|pause| pause.reason as i16),
            pause_carrier: setup
                .pause
                .as_ref()
                .map(|pause| pause.carrier.clone())
                .unwrap_or_default(),
            pause_time: setup.pause.as_ref().map(|pause| Ts(pause.since)),
        })
    }

    pub fn read(self) -> Result<Setup> {
        let pause = match (self.pause_reason, self.pause_time) {
            (Some(code), Some(since)) => Some(Pause {
                reason: PauseReason::from_code(code)
                    .ok_or_else(|| odd("setups", "pause_reason", code))?,
                carrier: self.pause_carrier,
                since: since.0,
            }),
            _ => None,
        };
        Ok(Setup {
            id: self.id.into(),
            workspace_id: WorkspaceId(self.workspace_id),
            display_name: self.display_name,
            carriers: from_json("setups", &self.carriers)?,
            status: SetupStatus::from_code(self.status)
                .ok_or_else(|| odd("setups", "status", self.status))?,
            status_detail: self.status_detail,
            starts_per_minute: self.starts_per_minute,
            in_flight_max: self.in_flight_max,
            pause,
            create_time: self.create_time.0,
            update_time: self.update_time.0,
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = breakers, check_for_backend(Db))]
pub struct BreakerRow {
    pub carrier: String,
    pub since: Ts,
    pub next_trial_time: Ts,
    pub trials: i32,
}

impl BreakerRow {
    pub fn of(breaker: &Breaker) -> BreakerRow {
        BreakerRow {
            carrier: breaker.carrier.clone(),
            since: Ts(breaker.since),
            next_trial_time: Ts(breaker.next_trial_time),
            trials: breaker.trials,
        }
    }

    pub fn read(self) -> Breaker {
        Breaker {
            carrier: self.carrier,
            since: self.since.0,
            next_trial_time: self.next_trial_time.0,
            trials: self.trials,
        }
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = phone_numbers, check_for_backend(Db))]
pub struct NumberRow {
    pub id: Id,
    pub workspace_id: i64,
    pub setup_id: Id,
    pub phone_number: String,
    pub display_name: String,
    pub status: i16,
    pub carriers: String,
    pub create_time: Ts,
    pub update_time: Ts,
    pub daily_cap: i32,
    pub warm_up: String,
    pub warm_up_start_time: Option<Ts>,
}

impl NumberRow {
    pub fn of(number: &SenderNumber) -> Result<NumberRow> {
        Ok(NumberRow {
            id: number.id.into(),
            workspace_id: number.workspace_id.0,
            setup_id: number.setup_id.into(),
            phone_number: number.number.e164().to_owned(),
            display_name: number.display_name.clone(),
            status: number.status as i16,
            carriers: to_json("phone_numbers", &number.carriers)?,
            create_time: number.create_time.into(),
            update_time: number.update_time.into(),
            daily_cap: number.caps.daily_cap,
            warm_up: steps_to_json(&number.caps.warm_up)?,
            warm_up_start_time: number.caps.warm_up_start_time.map(Ts),
        })
    }

    pub fn read(self) -> Result<SenderNumber> {
        Ok(SenderNumber {
            id: self.id.into(),
            workspace_id: WorkspaceId(self.workspace_id),
            setup_id: self.setup_id.into(),
            number: PhoneNumber::from_stored(self.phone_number),
            display_name: self.display_name,
            status: NumberStatus::from_code(self.status)
                .ok_or_else(|| odd("phone_numbers", "status", self.status))?,
            carriers: from_json("phone_numbers", &self.carriers)?,
            caps: NumberCaps {
                daily_cap: self.daily_cap,
                warm_up: steps_from_json(&self.warm_up)?,
                warm_up_start_time: self.warm_up_start_time.map(|t| t.0),
            },
            create_time: self.create_time.0,
            update_time: self.update_time.0,
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = use_cases, check_for_backend(Db))]
pub struct UseCaseRow {
    pub id: Id,
    pub workspace_id: i64,
    pub channel: i16,
    pub entity_name: String,
    pub name: String,
    pub description: String,
    pub setup_id: Id,
    pub purpose: Option<i16>,
    pub callback_phone_number: Option<String>,
    pub opt_out_phone_number: Option<String>,
    pub create_time: Ts,
    pub update_time: Ts,
    pub sender_policy: i16,
    pub sticky_sender: bool,
    pub main_phone_number_id: Option<Id>,
    pub pause_time: Option<Ts>,
    pub pause_reason: String,
    pub senders_full_until: Option<Ts>,
}

impl UseCaseRow {
    pub fn of(use_case: &UseCase) -> UseCaseRow {
        let text = |number: &Option<PhoneNumber>| number.as_ref().map(|n| n.e164().to_owned());
        UseCaseRow {
            id: use_case.id.into(),
            workspace_id: use_case.workspace_id.0,
            channel: use_case.channel as i16,
            entity_name: use_case.entity_name.clone(),
            name: use_case.name.clone(),
            description: use_case.description.clone(),
            setup_id: use_case.setup_id.into(),
            purpose: use_case.purpose.map(|p| p as i16),
            callback_phone_number: text(&use_case.callback_phone_number),
            opt_out_phone_number: text(&use_case.opt_out_phone_number),
            create_time: use_case.create_time.into(),
            update_time: use_case.update_time.into(),
            sender_policy: use_case.senders.policy as i16,
            sticky_sender: use_case.senders.is_sticky,
            main_phone_number_id: use_case.senders.main.map(Id::from),
            pause_time: use_case.pause.as_ref().map(|pause| Ts(pause.since)),
            pause_reason: (use_case.pause.as_ref())
                .map(|pause| pause.reason.clone())
                .unwrap_or_default(),
            senders_full_until: use_case.senders_full_until.map(Ts),
        }
    }

    /// Without its numbers, which stand in a table of their own.
    pub fn read(self) -> Result<UseCase> {
        let purpose = match self.purpose {
            None => None,
            Some(code) => {
                Some(Purpose::from_code(code).ok_or_else(|| odd("use_cases", "purpose", code))?)
            }
        };
        let pause_reason = self.pause_reason;
        let pause = self.pause_time.map(|since| UseCasePause {
            reason: pause_reason,
            since: since.0,
        });
        Ok(UseCase {
            id: self.id.into(),
            workspace_id: WorkspaceId(self.workspace_id),
            channel: Channel::from_code(self.channel)
                .ok_or_else(|| odd("use_cases", "channel", self.channel))?,
            entity_name: self.entity_name,
            name: self.name,
            description: self.description,
            setup_id: self.setup_id.into(),
            phone_number_ids: Vec::new(),
            purpose,
            callback_phone_number: self.callback_phone_number.map(PhoneNumber::from_stored),
            opt_out_phone_number: self.opt_out_phone_number.map(PhoneNumber::from_stored),
            senders: SenderPlan {
                policy: SenderPolicy::from_code(self.sender_policy)
                    .ok_or_else(|| odd("use_cases", "sender_policy", self.sender_policy))?,
                is_sticky: self.sticky_sender,
                main: self.main_phone_number_id.map(Into::into),
            },
            pause,
            senders_full_until: self.senders_full_until.map(|t| t.0),
            create_time: self.create_time.0,
            update_time: self.update_time.0,
        })
    }
}

/// `[[0,20],[3,50]]`: from day 0 on 20, from day 3 on 50.
pub fn steps_to_json(steps: &[WarmUpStep]) -> Result<String> {
    let pairs: Vec<(i32, i32)> = (steps.iter())
        .map(|step| (step.from_day, step.daily_cap))
        .collect();
    to_json("phone_numbers", &pairs)
}

fn steps_from_json(text: &str) -> Result<Vec<WarmUpStep>> {
    let pairs: Vec<(i32, i32)> = from_json("phone_numbers", text)?;
    let step = |(from_day, daily_cap)| WarmUpStep {
        from_day,
        daily_cap,
    };
    Ok(pairs.into_iter().map(step).collect())
}
