//! Rows as they are stored, and their conversion to the domain's types. A row that can't be read
//! is an inconsistency, never a panic.

use diesel::prelude::*;

use super::super::{
    Db, attempts, audios, breakers, hand_overs, phone_numbers, setups, use_cases, voicemails,
};
use crate::domain::attempt::{Attempt, OutcomeKind};
use crate::domain::breaker::Breaker;
use crate::domain::delivery::Delivery;
use crate::domain::failure::FailureReason;
use crate::domain::gate::Gate;
use crate::domain::hand_over::HandOver;
use crate::domain::ids::WorkspaceId;
use crate::domain::phone::PhoneNumber;
use crate::domain::sender::{SenderPlan, SenderPolicy};
use crate::domain::status::Status;
use crate::domain::telephony::{
    NumberStatus, Pause, PauseReason, SenderNumber, Setup, SetupStatus,
};
use crate::domain::use_case::{Channel, Purpose, UseCase, UseCasePause};
use crate::domain::voicemail::{Audio, Hold, Voicemail};
use crate::domain::warm_up::{NumberCaps, WarmUpStep};
use crate::domain::word::Cost;
use crate::storage::values::{Id, Ts};
use crate::storage::{Error, Result};

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

#[derive(Queryable, Selectable)]
#[diesel(table_name = audios, check_for_backend(Db))]
pub struct AudioRow {
    pub id: Id,
    pub sha256: Vec<u8>,
    pub size_bytes: i64,
    pub duration_ms: i32,
    pub create_time: Ts,
}

impl AudioRow {
    pub fn read(self) -> Result<Audio> {
        let odd = |what: &str| Error::inconsistent("audios", what);
        Ok(Audio {
            id: self.id.into(),
            sha256: self
                .sha256
                .try_into()
                .map_err(|_| odd("sha256 has not 32 bytes"))?,
            size_bytes: u64::try_from(self.size_bytes)
                .map_err(|_| odd("size_bytes is negative"))?,
            duration_ms: u32::try_from(self.duration_ms)
                .map_err(|_| odd("duration_ms is negative"))?,
            create_time: self.create_time.0,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = voicemails, check_for_backend(Db))]
pub struct VoicemailRow {
    pub id: Id,
    pub workspace_id: i64,
    pub use_case_id: Id,
    pub setup_id: Id,
    pub sender_id: Id,
    pub sender: String,
    pub recipient: String,
    pub status: i16,
    pub failure_reason: Option<i16>,
    pub status_detail: String,
    pub simulated: bool,
    pub labels: String,
    pub request_id: Option<String>,
    pub create_time: Ts,
    pub update_time: Ts,
    pub schedule_time: Option<Ts>,
    pub expire_time: Ts,
    pub due_time: Ts,
    pub sent_time: Option<Ts>,
    pub end_time: Option<Ts>,
    pub next_time: Option<Ts>,
    pub hold_gate: Option<i16>,
    pub time_zone: String,
    pub postal_code: String,
}

impl VoicemailRow {
    /// Without its attempts, what the gates found, and the batch that made it.
    pub fn read(self, audio: AudioRow) -> Result<Voicemail> {
        let status = status(self.status)?;
        let hold = match (status, gate(self.hold_gate)?, self.next_time) {
            (Status::Accepted, Some(gate), Some(until)) => Some(Hold {
                gate,
                until: until.0,
            }),
            _ => None,
        };
        Ok(Voicemail {
            id: self.id.into(),
            workspace_id: WorkspaceId(self.workspace_id),
            use_case_id: self.use_case_id.into(),
            setup_id: self.setup_id.into(),
            sender_id: self.sender_id.into(),
            sender: PhoneNumber::from_stored(self.sender),
            recipient: PhoneNumber::from_stored(self.recipient),
            status,
            failure_reason: failure_reason("voicemails", self.failure_reason)?,
            status_detail: self.status_detail,
            hold,
            simulated: self.simulated,
            audio: audio.read()?,
            attempts: Vec::new(),
            gate_checks: Vec::new(),
            labels: from_json("voicemails", &self.labels)?,
            request_id: self.request_id,
            batch_id: None,
            create_time: self.create_time.0,
            update_time: self.update_time.0,
            schedule_time: self.schedule_time.map(|t| t.0),
            expire_time: self.expire_time.0,
            due_time: self.due_time.0,
            sent_time: self.sent_time.map(|t| t.0),
            end_time: self.end_time.map(|t| t.0),
            time_zone: filled(self.time_zone),
            postal_code: filled(self.postal_code),
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = voicemails, check_for_backend(Db))]
pub struct DeliveryRow {
    pub id: Id,
    pub workspace_id: i64,
    pub use_case_id: Id,
    pub setup_id: Id,
    pub sender_id: Id,
    pub sender: String,
    pub recipient: String,
    pub audio_id: Id,
    pub status: i16,
    pub failure_reason: Option<i16>,
    pub status_detail: String,
    pub simulated: bool,
    pub create_time: Ts,
    pub due_time: Ts,
    pub expire_time: Ts,
    pub sent_time: Option<Ts>,
    pub end_time: Option<Ts>,
    pub next_time: Option<Ts>,
    pub held: bool,
    pub lease_token: Option<Id>,
    pub tries: i32,
    pub attempt_count: i32,
    pub carrier: String,
    pub latency_bucket: Option<i16>,
    pub hold_gate: Option<i16>,
    pub time_zone: String,
    pub postal_code: String,
}

impl DeliveryRow {
    pub fn read(self) -> Result<Delivery> {
        Ok(Delivery {
            voicemail_id: self.id.into(),
            workspace_id: WorkspaceId(self.workspace_id),
            use_case_id: self.use_case_id.into(),
            setup_id: self.setup_id.into(),
            sender_id: self.sender_id.into(),
            sender: PhoneNumber::from_stored(self.sender),
            recipient: PhoneNumber::from_stored(self.recipient),
            audio_id: self.audio_id.into(),
            status: status(self.status)?,
            failure_reason: failure_reason("voicemails", self.failure_reason)?,
            status_detail: self.status_detail,
            simulated: self.simulated,
            create_time: self.create_time.0,
            due_time: self.due_time.0,
            expire_time: self.expire_time.0,
            sent_time: self.sent_time.map(|t| t.0),
            end_time: self.end_time.map(|t| t.0),
            next_time: self.next_time.map(|t| t.0),
            held: self.held,
            lease_token: self.lease_token.map(Into::into),
            tries: self.tries,
            attempt_count: self.attempt_count,
            carrier: self.carrier,
            latency_bucket: self.latency_bucket,
            hold_gate: gate(self.hold_gate)?,
            time_zone: filled(self.time_zone),
            postal_code: filled(self.postal_code),
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = hand_overs, check_for_backend(Db))]
pub struct HandOverRow {
    pub id: Id,
    pub workspace_id: i64,
    pub voicemail_id: Id,
    pub carrier: String,
    pub request: Vec<u8>,
    pub reference: String,
    pub doubt_time: Option<Ts>,
    pub asks: i32,
    pub create_time: Ts,
    pub number: i32,
    pub turn: i32,
    pub refused_round: Option<i32>,
    pub token_hash: Option<Vec<u8>>,
    pub void: bool,
    pub recipient: String,
    pub sender_id: Option<Id>,
    pub counts_time: Option<Ts>,
}

impl HandOverRow {
    pub fn of(hand_over: &HandOver) -> HandOverRow {
        HandOverRow {
            id: hand_over.id.into(),
            workspace_id: hand_over.workspace_id.0,
            voicemail_id: hand_over.voicemail_id.into(),
            carrier: hand_over.carrier.clone(),
            request: hand_over.request.clone(),
            reference: hand_over.reference.clone(),
            doubt_time: hand_over.doubt_time.map(Ts),
            asks: hand_over.asks,
            create_time: hand_over.create_time.into(),
            number: hand_over.number,
            turn: hand_over.turn,
            refused_round: hand_over.refused_round,
            token_hash: hand_over.token_hash.map(|hash| hash.to_vec()),
            void: hand_over.is_void,
            recipient: hand_over.recipient.e164().to_owned(),
            sender_id: hand_over.sender_id.map(Id::from),
            counts_time: hand_over.counts_time.map(Ts),
        }
    }

    pub fn read(self) -> HandOver {
        HandOver {
            id: self.id.into(),
            workspace_id: WorkspaceId(self.workspace_id),
            voicemail_id: self.voicemail_id.into(),
            number: self.number,
            carrier: self.carrier,
            request: self.request,
            reference: self.reference,
            doubt_time: self.doubt_time.map(|t| t.0),
            asks: self.asks,
            create_time: self.create_time.0,
            turn: self.turn,
            refused_round: self.refused_round,
            // One of another length opens no door.
            token_hash: self.token_hash.and_then(|hash| hash.try_into().ok()),
            is_void: self.void,
            recipient: PhoneNumber::from_stored(self.recipient),
            sender_id: self.sender_id.map(Into::into),
            counts_time: self.counts_time.map(|t| t.0),
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = attempts, check_for_backend(Db))]
pub struct AttemptRow {
    pub number: i32,
    pub carrier: String,
    pub start_time: Ts,
    pub end_time: Option<Ts>,
    pub outcome: Option<i16>,
    pub failure_reason: Option<i16>,
    pub carrier_reference: String,
    pub carrier_code: String,
    pub carrier_detail: String,
    pub late_outcome: String,
    pub cost_micros: Option<i64>,
    pub cost_currency: String,
}

impl AttemptRow {
    pub fn read(self) -> Result<Attempt> {
        let outcome = match self.outcome {
            None => None,
            Some(code) => {
                Some(OutcomeKind::from_code(code).ok_or_else(|| odd("attempts", "outcome", code))?)
            }
        };
        Ok(Attempt {
            number: self.number,
            carrier: self.carrier,
            start_time: self.start_time.0,
            end_time: self.end_time.map(|t| t.0),
            outcome,
            failure_reason: failure_reason("attempts", self.failure_reason)?,
            carrier_reference: self.carrier_reference,
            carrier_code: self.carrier_code,
            carrier_detail: self.carrier_detail,
            late_outcome: self.late_outcome,
            cost: self.cost_micros.map(|micros| Cost {
                micros,
                currency: self.cost_currency,
            }),
        })
    }
}

pub fn status(code: i16) -> Result<Status> {
    Status::from_code(code).ok_or_else(|| odd("voicemails", "status", code))
}

fn gate(code: Option<i16>) -> Result<Option<Gate>> {
    match code {
        None => Ok(None),
        Some(code) => match Gate::from_code(code) {
            Some(gate) => Ok(Some(gate)),
            None => Err(odd("voicemails", "hold_gate", code)),
        },
    }
}

/// None where it is empty.
fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

pub fn failure_reason(table: &'static str, code: Option<i16>) -> Result<Option<FailureReason>> {
    match code {
        None => Ok(None),
        Some(code) => match FailureReason::from_code(code) {
            Some(reason) => Ok(Some(reason)),
            None => Err(odd(table, "failure_reason", code)),
        },
    }
}

pub fn to_json<T: serde::Serialize>(table: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::inconsistent(table, error))
}

pub fn from_json<T: serde::de::DeserializeOwned>(table: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::inconsistent(table, error))
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

fn odd(table: &'static str, column: &str, code: i16) -> Error {
    Error::inconsistent(table, format!("{column} {code} is unknown"))
}
