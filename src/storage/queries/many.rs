//! Rows that are written by the many: on Postgres with one statement for all of them, on SQLite with one for each. The text
//! is the same for any number of rows, and a connection prepares it once.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text};

use super::super::{Conn, IdSql, TsSql};
use super::audio::NewAudioRow;
use super::bulk::NewVoicemailRow;
use super::gates::GateCheckRow;
use super::rows::HandOverRow;
use super::together::EndedAttempt;
use crate::domain::delivery::Delivery;
use crate::domain::time::Time;
use crate::storage::prepared::Statement;
use crate::storage::values::{Id, Ts};
use crate::storage::{Guard, NewAttempt, Result};

#[derive(QueryableByName)]
struct Inserted {
    #[diesel(sql_type = IdSql)]
    id: Id,
}

/// Those that there were no rows of yet.
pub fn insert_audios(conn: &mut Conn, rows: &[NewAudioRow<'_>]) -> Result<Vec<Id>> {
    let mut ids = Vec::with_capacity(rows.len());
    statements! {
        query for row in rows,
        "INSERT INTO audios (id, workspace_id, sha256, size_bytes, duration_ms, create_time, last_used_time)",
        "ON CONFLICT DO NOTHING RETURNING id",
        {
            let inserted: Vec<Inserted> = query.load(conn)?;
            ids.extend(inserted.into_iter().map(|row| row.id));
        };
        IdSql = row.id;
        BigInt = row.workspace_id;
        Binary = row.sha256;
        BigInt = row.size_bytes;
        Integer = row.duration_ms;
        TsSql = row.create_time;
        TsSql = row.last_used_time;
    }
    Ok(ids)
}

/// One by one: in an array each would be copied three times more, and all of them would be held that often.
pub fn insert_audio_bytes(conn: &mut Conn, rows: &[(Id, &[u8])]) -> Result<()> {
    for (id, bytes) in rows {
        Statement("INSERT INTO audio_bytes (audio_id, bytes) VALUES (")
            .bind::<IdSql, _>("", *id)
            .bind::<Binary, _>(", ", *bytes)
            .text(")")
            .execute(conn)?;
    }
    Ok(())
}

/// How many no other stood in the way of.
pub fn insert_voicemails(conn: &mut Conn, rows: &[NewVoicemailRow<'_>]) -> Result<usize> {
    let mut inserted = 0;
    statements! {
        query for row in rows,
        "INSERT INTO voicemails (id, workspace_id, use_case_id, setup_id, sender_id, sender, recipient, status, \
         status_detail, simulated, audio_id, labels, request_id, request_hash, create_time, update_time, schedule_time, \
         expire_time, due_time, next_time, held, tries, attempt_count, carrier, time_zone, postal_code)",
        "ON CONFLICT DO NOTHING",
        { inserted += query.execute(conn)?; };
        IdSql = row.id;
        BigInt = row.workspace_id;
        IdSql = row.use_case_id;
        IdSql = row.setup_id;
        IdSql = row.sender_id;
        Text = row.sender;
        Text = row.recipient;
        SmallInt = row.status;
        Text = row.status_detail;
        Bool = row.simulated;
        IdSql = row.audio_id;
        Text = row.labels.as_str();
        Nullable<Text> = row.request_id;
        Binary = row.request_hash;
        TsSql = row.create_time;
        TsSql = row.update_time;
        Nullable<TsSql> = row.schedule_time;
        TsSql = row.expire_time;
        TsSql = row.due_time;
        Nullable<TsSql> = row.next_time;
        Bool = row.held;
        Integer = row.tries;
        Integer = row.attempt_count;
        Text = row.carrier;
        Text = row.time_zone;
        Text = row.postal_code;
    }
    Ok(inserted)
}

/// Writes each row where status and lease still are those of its guard; says how many still were.
pub fn update_deliveries(conn: &mut Conn, rows: &[(Guard, &Delivery)], now: Time) -> Result<usize> {
    let mut updated = 0;
    statements! {
        query for row in rows,
        "WITH n (id, status_before, lease_before, status, failure_reason, status_detail, simulated, update_time, sent_time, \
         end_time, next_time, held, lease_token, tries, attempt_count, carrier, latency_bucket, hold_gate, due_time) AS (",
        ") UPDATE voicemails AS v SET status = n.status, failure_reason = n.failure_reason, \
         status_detail = n.status_detail, simulated = n.simulated, update_time = n.update_time, sent_time = n.sent_time, \
         end_time = n.end_time, next_time = n.next_time, held = n.held, lease_token = n.lease_token, tries = n.tries, \
         attempt_count = n.attempt_count, carrier = n.carrier, latency_bucket = n.latency_bucket, \
         hold_gate = n.hold_gate, due_time = n.due_time FROM n \
         WHERE v.id = n.id AND v.status = n.status_before AND v.lease_token IS NOT DISTINCT FROM n.lease_before",
        { updated += query.execute(conn)?; };
        IdSql = Id::from(row.0.voicemail_id);
        SmallInt = row.0.status as i16;
        Nullable<IdSql> = row.0.lease_token.map(Id::from);
        SmallInt = row.1.status as i16;
        Nullable<SmallInt> = row.1.failure_reason.map(|reason| reason as i16);
        Text = row.1.status_detail.as_str();
        Bool = row.1.simulated;
        TsSql = Ts(now);
        Nullable<TsSql> = row.1.sent_time.map(Ts);
        Nullable<TsSql> = row.1.end_time.map(Ts);
        Nullable<TsSql> = row.1.next_time.map(Ts);
        Bool = row.1.held;
        Nullable<IdSql> = row.1.lease_token.map(Id::from);
        Integer = row.1.tries;
        Integer = row.1.attempt_count;
        Text = row.1.carrier.as_str();
        Nullable<SmallInt> = row.1.latency_bucket;
        Nullable<SmallInt> = row.1.hold_gate.map(|gate| gate as i16);
        TsSql = Ts(row.1.due_time);
    }
    Ok(updated)
}

pub fn insert_hand_overs(conn: &mut Conn, rows: &[HandOverRow]) -> Result<()> {
    statements! {
        query for row in rows,
        "INSERT INTO hand_overs (id, workspace_id, voicemail_id, carrier, request, reference, doubt_time, asks, \
         create_time, number, turn, refused_round, token_hash, void, recipient, sender_id, counts_time)",
        "",
        { query.execute(conn)?; };
        IdSql = row.id;
        BigInt = row.workspace_id;
        IdSql = row.voicemail_id;
        Text = row.carrier.as_str();
        Binary = row.request.as_slice();
        Text = row.reference.as_str();
        Nullable<TsSql> = row.doubt_time;
        Integer = row.asks;
        TsSql = row.create_time;
        Integer = row.number;
        Integer = row.turn;
        Nullable<Integer> = row.refused_round;
        Nullable<Binary> = row.token_hash.as_deref();
        Bool = row.void;
        Text = row.recipient.as_str();
        Nullable<IdSql> = row.sender_id;
        Nullable<TsSql> = row.counts_time;
    }
    Ok(())
}

pub fn insert_attempts(conn: &mut Conn, rows: &[NewAttempt]) -> Result<()> {
    statements! {
        query for row in rows,
        "INSERT INTO attempts (voicemail_id, number, workspace_id, hand_over_id, carrier, start_time, \
         carrier_reference, carrier_code, carrier_detail, late_outcome, cost_currency)",
        "",
        { query.execute(conn)?; };
        IdSql = Id::from(row.voicemail_id);
        Integer = row.number;
        BigInt = row.workspace_id.0;
        IdSql = Id::from(row.hand_over_id);
        Text = row.carrier.as_str();
        TsSql = Ts(row.start_time);
        Text = "";
        Text = "";
        Text = "";
        Text = "";
        Text = "";
    }
    Ok(())
}

/// How many had not ended.
pub fn end_attempts(conn: &mut Conn, rows: &[EndedAttempt]) -> Result<usize> {
    let mut ended = 0;
    statements! {
        query for row in rows,
        "WITH n (voicemail_id, number, end_time, outcome, failure_reason, reference, code, detail) AS (",
        ") UPDATE attempts AS a SET end_time = n.end_time, outcome = n.outcome, failure_reason = n.failure_reason, \
         carrier_reference = n.reference, carrier_code = n.code, carrier_detail = n.detail FROM n \
         WHERE a.voicemail_id = n.voicemail_id AND a.number = n.number AND a.end_time IS NULL",
        { ended += query.execute(conn)?; };
        IdSql = Id::from(row.voicemail_id);
        Integer = row.number;
        TsSql = Ts(row.end.end_time);
        SmallInt = row.end.outcome as i16;
        Nullable<SmallInt> = row.end.failure_reason.map(|reason| reason as i16);
        Text = row.end.words.reference.as_str();
        Text = row.end.words.code.as_str();
        Text = row.end.words.detail.as_str();
    }
    Ok(ended)
}

pub fn insert_checks(conn: &mut Conn, rows: &[GateCheckRow]) -> Result<()> {
    statements! {
        query for row in rows,
        "INSERT INTO gate_checks (voicemail_id, number, workspace_id, check_time, last_time, findings, rules_version)",
        "",
        { query.execute(conn)?; };
        IdSql = row.voicemail_id;
        Integer = row.number;
        BigInt = row.workspace_id;
        TsSql = row.check_time;
        TsSql = row.last_time;
        Text = row.findings.as_str();
        Text = row.rules_version.as_str();
    }
    Ok(())
}
