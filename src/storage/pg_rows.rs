//! Many rows in one statement, on Postgres. Each column comes as an array, so the text is the same for any number of rows,
//! and is prepared once.

use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid,
};

use super::super::error::Result;
use super::super::prepared::Prepared;
use super::super::traits::{Guard, NewAttempt};
use super::super::values::{Id, Ts};
use super::Conn;
use super::queries::{EndedAttempt, GateCheckRow, HandOverRow, NewAudioRow, NewVoicemailRow};
use crate::domain::delivery::Delivery;
use crate::domain::time::Time;

/// Binds a column of all rows for each line, in the order of the statement's parameters.
macro_rules! columns {
    ($text:expr, $rows:expr; $($sql:ty = $of:expr;)+) => {{
        let rows = $rows;
        diesel::sql_query($text)$(.bind::<Array<$sql>, _>(rows.iter().map($of).collect::<Vec<_>>()))+
    }};
}

/// Those that there were no rows of yet.
pub fn insert_audios(conn: &mut Conn, rows: &[NewAudioRow<'_>]) -> Result<Vec<Id>> {
    let text = "INSERT INTO audios (id, workspace_id, sha256, size_bytes, duration_ms, create_time, last_used_time) \
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING id";
    let query = columns!(text, rows;
        Uuid = |row| row.id;
        BigInt = |row| row.workspace_id;
        Binary = |row| row.sha256;
        BigInt = |row| row.size_bytes;
        Integer = |row| row.duration_ms;
        Timestamptz = |row| row.create_time;
        Timestamptz = |row| row.last_used_time;
    );
    let inserted: Vec<Inserted> = Prepared(query).load(conn)?;
    Ok(inserted.into_iter().map(|row| row.id).collect())
}

#[derive(QueryableByName)]
struct Inserted {
    #[diesel(sql_type = Uuid)]
    id: Id,
}

pub fn insert_audio_bytes(conn: &mut Conn, rows: &[(Id, &[u8])]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = "INSERT INTO audio_bytes (audio_id, bytes) SELECT * FROM unnest($1, $2)";
    let query = columns!(text, rows;
        Uuid = |(id, _)| *id;
        Binary = |(_, bytes)| *bytes;
    );
    Prepared(query).execute(conn)?;
    Ok(())
}

/// How many no other stood in the way of.
pub fn insert_voicemails(conn: &mut Conn, rows: &[NewVoicemailRow<'_>]) -> Result<usize> {
    let text = "INSERT INTO voicemails (id, workspace_id, use_case_id, setup_id, sender_id, sender, recipient, status, \
        status_detail, simulated, audio_id, labels, request_id, request_hash, create_time, update_time, schedule_time, \
        expire_time, due_time, next_time, held, tries, attempt_count, carrier, time_zone, postal_code) \
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
            $21, $22, $23, $24, $25, $26) ON CONFLICT DO NOTHING";
    let query = columns!(text, rows;
        Uuid = |row| row.id;
        BigInt = |row| row.workspace_id;
        Uuid = |row| row.use_case_id;
        Uuid = |row| row.setup_id;
        Uuid = |row| row.sender_id;
        Text = |row| row.sender;
        Text = |row| row.recipient;
        SmallInt = |row| row.status;
        Text = |row| row.status_detail;
        Bool = |row| row.simulated;
        Uuid = |row| row.audio_id;
        Text = |row| row.labels.as_str();
        Nullable<Text> = |row| row.request_id;
        Binary = |row| row.request_hash;
        Timestamptz = |row| row.create_time;
        Timestamptz = |row| row.update_time;
        Nullable<Timestamptz> = |row| row.schedule_time;
        Timestamptz = |row| row.expire_time;
        Timestamptz = |row| row.due_time;
        Nullable<Timestamptz> = |row| row.next_time;
        Bool = |row| row.held;
        Integer = |row| row.tries;
        Integer = |row| row.attempt_count;
        Text = |row| row.carrier;
        Text = |row| row.time_zone;
        Text = |row| row.postal_code;
    );
    Ok(Prepared(query).execute(conn)?)
}

/// Writes each row where status and lease still are those of its guard; says how many still were.
pub fn update_deliveries(conn: &mut Conn, rows: &[(Guard, Delivery)], now: Time) -> Result<usize> {
    if rows.is_empty() {
        return Ok(0);
    }
    let text = "UPDATE voicemails AS v SET status = n.status, failure_reason = n.failure_reason, \
        status_detail = n.status_detail, simulated = n.simulated, update_time = $19, sent_time = n.sent_time, \
        end_time = n.end_time, next_time = n.next_time, held = n.held, lease_token = n.lease_token, tries = n.tries, \
        attempt_count = n.attempt_count, carrier = n.carrier, latency_bucket = n.latency_bucket, \
        hold_gate = n.hold_gate, due_time = n.due_time \
        FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) AS n (\
            id, status_before, lease_before, status, failure_reason, status_detail, simulated, sent_time, end_time, \
            next_time, held, lease_token, tries, attempt_count, carrier, latency_bucket, hold_gate, due_time) \
        WHERE v.id = n.id AND v.status = n.status_before AND v.lease_token IS NOT DISTINCT FROM n.lease_before";
    let query = columns!(text, rows;
        Uuid = |(guard, _)| Id::from(guard.voicemail_id);
        SmallInt = |(guard, _)| guard.status as i16;
        Nullable<Uuid> = |(guard, _)| guard.lease_token.map(Id::from);
        SmallInt = |(_, after)| after.status as i16;
        Nullable<SmallInt> = |(_, after)| after.failure_reason.map(|reason| reason as i16);
        Text = |(_, after)| after.status_detail.as_str();
        Bool = |(_, after)| after.simulated;
        Nullable<Timestamptz> = |(_, after)| after.sent_time.map(Ts);
        Nullable<Timestamptz> = |(_, after)| after.end_time.map(Ts);
        Nullable<Timestamptz> = |(_, after)| after.next_time.map(Ts);
        Bool = |(_, after)| after.held;
        Nullable<Uuid> = |(_, after)| after.lease_token.map(Id::from);
        Integer = |(_, after)| after.tries;
        Integer = |(_, after)| after.attempt_count;
        Text = |(_, after)| after.carrier.as_str();
        Nullable<SmallInt> = |(_, after)| after.latency_bucket;
        Nullable<SmallInt> = |(_, after)| after.hold_gate.map(|gate| gate as i16);
        Timestamptz = |(_, after)| Ts(after.due_time);
    )
    .bind::<Timestamptz, _>(Ts(now));
    Ok(Prepared(query).execute(conn)?)
}

pub fn insert_hand_overs(conn: &mut Conn, rows: Vec<HandOverRow>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = "INSERT INTO hand_overs (id, workspace_id, voicemail_id, carrier, request, reference, doubt_time, asks, \
        create_time, number, turn, refused_round, token_hash, void, recipient, sender_id, counts_time) \
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    let query = columns!(text, &rows;
        Uuid = |row| row.id;
        BigInt = |row| row.workspace_id;
        Uuid = |row| row.voicemail_id;
        Text = |row| row.carrier.as_str();
        Binary = |row| row.request.as_slice();
        Text = |row| row.reference.as_str();
        Nullable<Timestamptz> = |row| row.doubt_time;
        Integer = |row| row.asks;
        Timestamptz = |row| row.create_time;
        Integer = |row| row.number;
        Integer = |row| row.turn;
        Nullable<Integer> = |row| row.refused_round;
        Nullable<Binary> = |row| row.token_hash.as_deref();
        Bool = |row| row.void;
        Text = |row| row.recipient.as_str();
        Nullable<Uuid> = |row| row.sender_id;
        Nullable<Timestamptz> = |row| row.counts_time;
    );
    Prepared(query).execute(conn)?;
    Ok(())
}

pub fn insert_attempts(conn: &mut Conn, rows: &[NewAttempt]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = "INSERT INTO attempts (voicemail_id, number, workspace_id, hand_over_id, carrier, start_time, \
        carrier_reference, carrier_code, carrier_detail, late_outcome, cost_currency) \
        SELECT *, '', '', '', '', '' FROM unnest($1, $2, $3, $4, $5, $6)";
    let query = columns!(text, rows;
        Uuid = |row| Id::from(row.voicemail_id);
        Integer = |row| row.number;
        BigInt = |row| row.workspace_id.0;
        Uuid = |row| Id::from(row.hand_over_id);
        Text = |row| row.carrier.as_str();
        Timestamptz = |row| Ts(row.start_time);
    );
    Prepared(query).execute(conn)?;
    Ok(())
}

/// Those that had not ended.
pub fn end_attempts(conn: &mut Conn, rows: &[EndedAttempt]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = "UPDATE attempts AS a SET end_time = n.end_time, outcome = n.outcome, failure_reason = n.failure_reason, \
        carrier_reference = n.reference, carrier_code = n.code, carrier_detail = n.detail \
        FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS n (\
            voicemail_id, number, end_time, outcome, failure_reason, reference, code, detail) \
        WHERE a.voicemail_id = n.voicemail_id AND a.number = n.number AND a.end_time IS NULL";
    let query = columns!(text, rows;
        Uuid = |row| Id::from(row.voicemail_id);
        Integer = |row| row.number;
        Timestamptz = |row| Ts(row.end.end_time);
        SmallInt = |row| row.end.outcome as i16;
        Nullable<SmallInt> = |row| row.end.failure_reason.map(|reason| reason as i16);
        Text = |row| row.end.words.reference.as_str();
        Text = |row| row.end.words.code.as_str();
        Text = |row| row.end.words.detail.as_str();
    );
    Prepared(query).execute(conn)?;
    Ok(())
}

pub fn insert_checks(conn: &mut Conn, rows: Vec<GateCheckRow>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = "INSERT INTO gate_checks (voicemail_id, number, workspace_id, check_time, last_time, findings, \
        rules_version) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)";
    let query = columns!(text, &rows;
        Uuid = |row| row.voicemail_id;
        Integer = |row| row.number;
        BigInt = |row| row.workspace_id;
        Timestamptz = |row| row.check_time;
        Timestamptz = |row| row.last_time;
        Text = |row| row.findings.as_str();
        Text = |row| row.rules_version.as_str();
    );
    Prepared(query).execute(conn)?;
    Ok(())
}
