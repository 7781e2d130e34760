//! Rows as they are stored, and their conversion to the domain's types. A row that can't be read
//! is an inconsistency, never a panic.

mod telephony;

use diesel::prelude::*;

pub use telephony::{BreakerRow, NumberRow, SetupRow, UseCaseRow, steps_to_json};

use super::super::{Db, attempts, audios, hand_overs, voicemails};
use crate::domain::attempt::{Attempt, OutcomeKind};
use crate::domain::delivery::Delivery;
use crate::domain::failure::FailureReason;
use crate::domain::gate::Gate;
use crate::domain::hand_over::HandOver;
use crate::domain::ids::WorkspaceId;
use crate::domain::phone::PhoneNumber;
use crate::domain::status::Status;
use crate::domain::voicemail::{Audio, Hold, Voicemail};
use crate::domain::word::Cost;
use crate::storage::values::{Id, Ts};
use crate::storage::{Error, Result};

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
    /// Without its attempts and what the gates found.
    pub fn read(self, audio: AudioRow, batch_id: Option<String>) -> Result<Voicemail> {
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
            batch_id,
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

#[derive(Queryable, Selectable)]
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

fn odd(table: &'static str, column: &str, code: i16) -> Error {
    Error::inconsistent(table, format!("{column} {code} is unknown"))
}
