//! Many deliveries in one unit of work: what their steps ask for is read once or with one statement for all of them, and
//! what becomes of them is written with one statement a table at its end.
//!
//! What is put off is written before anything reads it: every statement but those that are known here to touch other
//! tables goes through [`Session::settled`], and a write is settled before its commit.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text};

use super::super::{
    Conn, ID_OF_TEXT, IdSql, ONE_OF, TEXTS, TsSql, gate_checks, hand_overs, suppressions,
    voicemails,
};
use super::Session;
use super::counting::recipient_key;
use super::gates::GateCheckRow;
use super::many::{
    end_attempts, insert_attempts, insert_checks, insert_hand_overs, update_deliveries,
};
use super::rows::{AudioRow, DeliveryRow, HandOverRow, to_json};
use super::suppressions::SuppressionRow;
use crate::domain::breaker::Breaker;
use crate::domain::delivery::Delivery;
use crate::domain::hand_over::HandOver;
use crate::domain::ids::{AudioId, PhoneNumberId, SetupId, UseCaseId, VoicemailId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::sender::Candidate;
use crate::domain::status::Status;
use crate::domain::suppression::Suppression;
use crate::domain::telephony::{SenderNumber, Setup};
use crate::domain::use_case::UseCase;
use crate::domain::voicemail::Audio;
use crate::storage::prepared::Prepared;
use crate::storage::values::{Id, Ts};
use crate::storage::{AttemptEnd, Error, Guard, Lock, NewAttempt, Result, TogetherStore, Tx};

/// What is known in a unit of work, and what is to be written in it.
#[derive(Default)]
pub(super) struct Together {
    /// Rows that this unit of work has locked, as they are once it is settled.
    pub deliveries: HashMap<VoicemailId, Delivery>,
    pub hand_overs: HashMap<VoicemailId, Vec<HandOver>>,
    pub last_checks: HashMap<VoicemailId, Option<GateCheckRow>>,
    pub suppressions: HashMap<(WorkspaceId, PhoneNumber), Vec<Suppression>>,
    pub last_senders: HashMap<VoicemailId, Option<PhoneNumber>>,
    pub setups: HashMap<(WorkspaceId, SetupId, Lock), Option<Setup>>,
    pub use_cases: HashMap<(WorkspaceId, UseCaseId), Option<UseCase>>,
    pub numbers: HashMap<(WorkspaceId, PhoneNumberId), Option<SenderNumber>>,
    pub candidates: HashMap<UseCaseId, (Vec<String>, Vec<Candidate>)>,
    pub audios: HashMap<(WorkspaceId, AudioId), Option<Audio>>,
    pub breakers: Option<Vec<Breaker>>,
    pub put_off: PutOff,
}

/// Writes that wait.
#[derive(Default)]
pub(super) struct PutOff {
    /// What each row must still be, and what it becomes.
    pub deliveries: HashMap<VoicemailId, (Guard, Delivery)>,
    pub hand_overs: Vec<HandOver>,
    pub attempts: Vec<NewAttempt>,
    pub attempt_ends: Vec<EndedAttempt>,
    pub checks: Vec<GateCheckRow>,
}

/// An attempt of a voicemail, and how it ended.
pub struct EndedAttempt {
    pub voicemail_id: VoicemailId,
    pub number: i32,
    pub end: AttemptEnd,
}

impl PutOff {
    fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
            && self.hand_overs.is_empty()
            && self.attempts.is_empty()
            && self.attempt_ends.is_empty()
            && self.checks.is_empty()
    }
}

/// What there is of a voicemail besides its row, so that nothing is asked for that is not there.
#[derive(QueryableByName)]
struct AheadRow {
    #[diesel(sql_type = IdSql)]
    id: Id,
    /// What its recipient was last sent from.
    #[diesel(sql_type = Nullable<Text>)]
    sender: Option<String>,
    #[diesel(sql_type = Bool)]
    has_hand_overs: bool,
    #[diesel(sql_type = Bool)]
    has_checks: bool,
    #[diesel(sql_type = Bool)]
    is_suppressed: bool,
    #[diesel(sql_type = IdSql)]
    audio_id: Id,
    #[diesel(sql_type = Binary)]
    sha256: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    size_bytes: i64,
    #[diesel(sql_type = Integer)]
    duration_ms: i32,
    #[diesel(sql_type = TsSql)]
    audio_create_time: Ts,
}

impl AheadRow {
    fn audio(&self) -> Result<Audio> {
        let row = AudioRow {
            id: self.audio_id,
            sha256: self.sha256.clone(),
            size_bytes: self.size_bytes,
            duration_ms: self.duration_ms,
            create_time: self.audio_create_time,
        };
        row.read()
    }
}

impl TogetherStore for Session<'_> {
    fn together(&mut self) {
        self.together.get_or_insert_default();
    }

    fn lock_deliveries(&mut self, ids: &[VoicemailId]) -> Result<()> {
        let wanted: Vec<Id> = ids.iter().map(|id| Id::from(*id)).collect();
        let query = voicemails::table
            .filter(voicemails::id.eq_any(wanted))
            // All who lock several do so in this order.
            .order(voicemails::id)
            .select(DeliveryRow::as_select());
        let rows: Vec<DeliveryRow> = locked!(query).load(self.settled()?)?;
        let deliveries = rows.into_iter().map(DeliveryRow::read);
        let deliveries = deliveries.collect::<Result<Vec<Delivery>>>()?;
        self.remember(&deliveries);
        Ok(())
    }

    fn look_ahead(&mut self, ids: &[VoicemailId]) -> Result<()> {
        let Some(known) = &self.together else {
            return Ok(());
        };
        let ahead: Vec<Delivery> = ids
            .iter()
            .filter_map(|id| known.deliveries.get(id).cloned())
            .collect();
        let wanted: Vec<Id> = ahead.iter().map(|d| Id::from(d.voicemail_id)).collect();
        let rows = self.ahead_of(&wanted)?;
        let those = |has: fn(&AheadRow) -> bool| -> Vec<Id> {
            let rows = rows.iter().filter(|row| has(row));
            rows.map(|row| row.id).collect()
        };
        self.look_at_hand_overs(&wanted, &those(|row| row.has_hand_overs))?;
        self.look_at_checks(&wanted, &those(|row| row.has_checks))?;
        let suppressed = those(|row| row.is_suppressed);
        self.look_at_suppressions(&ahead, &suppressed)?;
        let workspaces: HashMap<VoicemailId, WorkspaceId> = ahead
            .iter()
            .map(|d| (d.voicemail_id, d.workspace_id))
            .collect();
        if let Some(together) = &mut self.together {
            for row in rows {
                let id = row.id.into();
                if let Some(workspace) = workspaces.get(&id) {
                    let audio = row.audio()?;
                    together.audios.insert((*workspace, audio.id), Some(audio));
                }
                let sender = row.sender.map(PhoneNumber::from_stored);
                together.last_senders.insert(id, sender);
            }
        }
        Ok(())
    }

    fn lock_recipients(&mut self, recipients: &[(WorkspaceId, PhoneNumber)]) -> Result<()> {
        let keys = recipients
            .iter()
            .map(|(workspace, number)| recipient_key(*workspace, number));
        // Sorted, and each once.
        let keys: BTreeSet<i64> = keys.collect();
        super::super::lock_all_until_end(self.conn, keys.into_iter().collect())
    }

    fn locked_delivery(&self, id: VoicemailId) -> Option<Delivery> {
        let known = self.together.as_ref()?;
        known.deliveries.get(&id).cloned()
    }
}

impl Session<'_> {
    /// What is known already.
    pub(super) fn known<T: Clone>(&self, find: impl FnOnce(&Together) -> Option<&T>) -> Option<T> {
        self.together.as_ref().and_then(find).cloned()
    }

    /// The connection, once everything that was put off has been written.
    pub(super) fn settled(&mut self) -> Result<&mut Conn> {
        self.settle()?;
        Ok(self.conn)
    }

    /// Writes what was put off.
    pub(super) fn settle(&mut self) -> Result<()> {
        let Some(together) = &mut self.together else {
            return Ok(());
        };
        if together.put_off.is_empty() {
            return Ok(());
        }
        let put_off = std::mem::take(&mut together.put_off);
        let now = self.now()?;
        // The voicemails' rows are written before those of what belongs to them, as everywhere.
        let mut deliveries: Vec<(Guard, Delivery)> = put_off.deliveries.into_values().collect();
        deliveries.sort_unstable_by_key(|(guard, _)| guard.voicemail_id);
        let guarded: Vec<(Guard, &Delivery)> = deliveries.iter().map(|(g, d)| (*g, d)).collect();
        let rows = update_deliveries(self.conn, &guarded, now)?;
        Error::unless_all("voicemails", rows, deliveries.len())?;
        let hand_overs: Vec<HandOverRow> = put_off.hand_overs.iter().map(HandOverRow::of).collect();
        insert_hand_overs(self.conn, &hand_overs)?;
        insert_attempts(self.conn, &put_off.attempts)?;
        end_attempts(self.conn, &put_off.attempt_ends)?;
        insert_checks(self.conn, &put_off.checks)
    }

    /// These rows are locked from now on.
    pub(super) fn remember(&mut self, deliveries: &[Delivery]) {
        if let Some(together) = &mut self.together {
            let rows = deliveries.iter().map(|row| (row.voicemail_id, row.clone()));
            together.deliveries.extend(rows);
        }
    }

    // What is put off by now is the claim itself, which changes nothing of what these read.

    /// One row for each.
    fn ahead_of(&mut self, ids: &[Id]) -> Result<Vec<AheadRow>> {
        let texts: Vec<String> = ids.iter().map(|id| id.0.simple().to_string()).collect();
        // The first of each by an index, and not EXISTS, which Postgres may answer by reading all of a table that was small.
        let query = format!(
            "WITH wanted AS ({TEXTS}) SELECT w.id, (
                SELECT v.sender FROM voicemails v
                WHERE v.workspace_id = w.workspace_id AND v.recipient = w.recipient
                    AND (v.use_case_id = w.use_case_id) IS TRUE AND v.status NOT IN ({}, {}) AND v.id <> w.id
                ORDER BY v.create_time DESC, v.id DESC LIMIT 1
            ) AS sender, (
                SELECT h.create_time FROM hand_overs h WHERE h.voicemail_id = w.id ORDER BY h.create_time LIMIT 1
            ) IS NOT NULL AS has_hand_overs, (
                SELECT c.number FROM gate_checks c WHERE c.voicemail_id = w.id ORDER BY c.number LIMIT 1
            ) IS NOT NULL AS has_checks, (
                SELECT s.id FROM suppressions s
                WHERE s.workspace_id = w.workspace_id AND s.phone_number = w.recipient AND s.delete_time IS NULL
                ORDER BY s.create_time, s.id LIMIT 1
            ) IS NOT NULL AS is_suppressed,
            a.id AS audio_id, a.sha256, a.size_bytes, a.duration_ms, a.create_time AS audio_create_time
            FROM voicemails w JOIN audios a ON a.id = w.audio_id WHERE w.id {one_of}SELECT {ID_OF_TEXT} FROM wanted{end}",
            Status::Cancelled as i16,
            Status::Skipped as i16,
            one_of = ONE_OF.0,
            end = ONE_OF.1,
        );
        let query = diesel::sql_query(query).bind::<Text, _>(to_json("voicemails", &texts)?);
        Ok(Prepared(query).load(self.conn)?)
    }

    fn look_at_hand_overs(&mut self, ids: &[Id], with_some: &[Id]) -> Result<()> {
        let rows: Vec<HandOverRow> = match with_some {
            [] => Vec::new(),
            ids => hand_overs::table
                .filter(hand_overs::voicemail_id.eq_any(ids))
                .order((hand_overs::turn, hand_overs::create_time, hand_overs::id))
                .select(HandOverRow::as_select())
                .load(self.conn)?,
        };
        let mut found: HashMap<VoicemailId, Vec<HandOver>> =
            ids.iter().map(|id| ((*id).into(), Vec::new())).collect();
        for hand_over in rows.into_iter().map(HandOverRow::read) {
            found
                .entry(hand_over.voicemail_id)
                .or_default()
                .push(hand_over);
        }
        if let Some(together) = &mut self.together {
            together.hand_overs.extend(found);
        }
        Ok(())
    }

    /// The last of each that has any.
    fn look_at_checks(&mut self, ids: &[Id], with_some: &[Id]) -> Result<()> {
        let rows: Vec<GateCheckRow> = match with_some {
            [] => Vec::new(),
            ids => gate_checks::table
                .filter(gate_checks::voicemail_id.eq_any(ids))
                .order((gate_checks::voicemail_id, gate_checks::number))
                .select(GateCheckRow::as_select())
                .load(self.conn)?,
        };
        let mut found: HashMap<VoicemailId, Option<GateCheckRow>> =
            ids.iter().map(|id| ((*id).into(), None)).collect();
        for row in rows {
            found.insert(row.voicemail_id.into(), Some(row));
        }
        if let Some(together) = &mut self.together {
            together.last_checks.extend(found);
        }
        Ok(())
    }

    fn look_at_suppressions(&mut self, ahead: &[Delivery], suppressed: &[Id]) -> Result<()> {
        let now = self.now()?;
        let mut found: HashMap<(WorkspaceId, PhoneNumber), Vec<Suppression>> = ahead
            .iter()
            .map(|d| ((d.workspace_id, d.recipient.clone()), Vec::new()))
            .collect();
        let suppressed: Vec<&Delivery> = ahead
            .iter()
            .filter(|d| suppressed.contains(&d.voicemail_id.into()))
            .collect();
        let numbers: Vec<&str> = suppressed.iter().map(|d| d.recipient.e164()).collect();
        let workspaces: HashSet<WorkspaceId> = suppressed.iter().map(|d| d.workspace_id).collect();
        for workspace in workspaces {
            let rows: Vec<SuppressionRow> = suppressions::table
                .filter(suppressions::workspace_id.eq(workspace.0))
                .filter(suppressions::phone_number.eq_any(&numbers))
                .filter(suppressions::delete_time.is_null())
                .filter(
                    suppressions::expire_time
                        .is_null()
                        .or(suppressions::expire_time.gt(Some(Ts(now)))),
                )
                .order((suppressions::create_time, suppressions::id))
                .select(SuppressionRow::as_select())
                .load(self.conn)?;
            for row in rows {
                let suppression = row.read()?;
                let key = (workspace, suppression.phone_number.clone());
                found.entry(key).or_default().push(suppression);
            }
        }
        if let Some(together) = &mut self.together {
            together.suppressions.extend(found);
        }
        Ok(())
    }
}
