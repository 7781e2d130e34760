//! Many voicemails at once: those of a batch, and those that are taken back together.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::super::{
    Db, IdSql, ONE_OF, TEXTS, audios, batch_members, batches, voicemail_labels, voicemails,
};
use super::Session;
use super::lists::{filtered, page};
use super::many::insert_voicemails;
use super::rows::to_json;
use crate::domain::ids::{UseCaseId, VoicemailId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::storage::prepared::Prepared;
use crate::storage::values::{Id, Ts};
use crate::storage::{
    BatchMember, BulkStore, Error, KnownRequest, Lock, NewVoicemail, Page, Result, StoredBatch, Tx,
    VoicemailFilter,
};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = batches, check_for_backend(Db))]
struct BatchRow {
    workspace_id: i64,
    batch_id: String,
    content_hash: Vec<u8>,
    use_case_id: Id,
    audio_id: Id,
    recipient_count: i32,
    create_time: Ts,
}

/// A voicemail as it is stored first.
pub struct NewVoicemailRow<'v> {
    pub id: Id,
    pub workspace_id: i64,
    pub use_case_id: Id,
    pub setup_id: Id,
    pub sender_id: Id,
    pub sender: &'v str,
    pub recipient: &'v str,
    pub status: i16,
    pub status_detail: &'v str,
    pub simulated: bool,
    pub audio_id: Id,
    pub labels: String,
    pub request_id: Option<&'v str>,
    pub request_hash: &'v [u8],
    pub create_time: Ts,
    pub update_time: Ts,
    pub schedule_time: Option<Ts>,
    pub expire_time: Ts,
    pub due_time: Ts,
    pub next_time: Option<Ts>,
    pub held: bool,
    pub tries: i32,
    pub attempt_count: i32,
    pub carrier: &'v str,
    pub time_zone: &'v str,
    pub postal_code: &'v str,
}

impl NewVoicemailRow<'_> {
    fn of(new: &NewVoicemail) -> Result<NewVoicemailRow<'_>> {
        let v = &new.voicemail;
        Ok(NewVoicemailRow {
            id: v.id.into(),
            workspace_id: v.workspace_id.0,
            use_case_id: v.use_case_id.into(),
            setup_id: v.setup_id.into(),
            sender_id: v.sender_id.into(),
            sender: v.sender.e164(),
            recipient: v.recipient.e164(),
            status: v.status as i16,
            status_detail: &v.status_detail,
            simulated: v.simulated,
            audio_id: v.audio.id.into(),
            labels: to_json("voicemails", &v.labels)?,
            request_id: v.request_id.as_deref(),
            request_hash: &new.request_hash,
            create_time: Ts(v.create_time),
            update_time: Ts(v.update_time),
            schedule_time: v.schedule_time.map(Ts),
            expire_time: Ts(v.expire_time),
            due_time: Ts(v.due_time),
            next_time: Some(Ts(v.due_time)),
            held: false,
            tries: 0,
            attempt_count: 0,
            carrier: "",
            time_zone: v.time_zone.as_deref().unwrap_or_default(),
            postal_code: v.postal_code.as_deref().unwrap_or_default(),
        })
    }
}

/// Request id, voicemail, hash of what was asked for, SHA-256 of the audio.
type RequestRow = (Option<String>, Id, Vec<u8>, Vec<u8>);

#[derive(QueryableByName)]
struct LastSenderRow {
    #[diesel(sql_type = Text)]
    recipient: String,
    #[diesel(sql_type = Nullable<Text>)]
    sender: Option<String>,
}

impl BulkStore for Session<'_> {
    fn insert_batch(&mut self, batch: &StoredBatch) -> Result<()> {
        diesel::insert_into(batches::table)
            .values(BatchRow {
                workspace_id: batch.workspace_id.0,
                batch_id: batch.batch_id.clone(),
                content_hash: batch.content_hash.clone(),
                use_case_id: batch.use_case_id.into(),
                audio_id: batch.audio_id.into(),
                recipient_count: batch.recipient_count,
                create_time: batch.create_time.into(),
            })
            .on_conflict_do_nothing()
            .execute(self.settled()?)?;
        Ok(())
    }

    fn find_batch(
        &mut self,
        workspace: WorkspaceId,
        batch_id: &str,
        lock: Lock,
    ) -> Result<Option<StoredBatch>> {
        let query = batches::table
            .filter(batches::workspace_id.eq(workspace.0))
            .filter(batches::batch_id.eq(batch_id))
            .select(BatchRow::as_select());
        let row: Option<BatchRow> = first_locked!(query, lock, self.settled()?, BatchRow)?;
        Ok(row.map(|row| StoredBatch {
            workspace_id: WorkspaceId(row.workspace_id),
            batch_id: row.batch_id,
            content_hash: row.content_hash,
            use_case_id: row.use_case_id.into(),
            audio_id: row.audio_id.into(),
            recipient_count: row.recipient_count,
            create_time: row.create_time.into(),
        }))
    }

    fn batch_members(
        &mut self,
        workspace: WorkspaceId,
        batch_id: &str,
        numbers: Range<i32>,
    ) -> Result<HashMap<i32, VoicemailId>> {
        let rows: Vec<(i32, Id)> = batch_members::table
            .filter(batch_members::workspace_id.eq(workspace.0))
            .filter(batch_members::batch_id.eq(batch_id))
            .filter(batch_members::number.ge(numbers.start))
            .filter(batch_members::number.lt(numbers.end))
            .select((batch_members::number, batch_members::voicemail_id))
            .load(self.settled()?)?;
        Ok(rows.into_iter().map(|(n, id)| (n, id.into())).collect())
    }

    fn insert_batch_members(
        &mut self,
        workspace: WorkspaceId,
        batch_id: &str,
        members: &[BatchMember],
    ) -> Result<()> {
        let row = |member: &BatchMember| {
            (
                batch_members::workspace_id.eq(workspace.0),
                batch_members::batch_id.eq(batch_id),
                batch_members::number.eq(member.number),
                batch_members::voicemail_id.eq(Id::from(member.voicemail_id)),
                batch_members::create_time.eq(Ts(member.create_time)),
            )
        };
        let rows: Vec<_> = members.iter().map(row).collect();
        diesel::insert_into(batch_members::table)
            .values(rows)
            .execute(self.settled()?)?;
        Ok(())
    }

    fn find_requests(
        &mut self,
        workspace: WorkspaceId,
        request_ids: &[&str],
    ) -> Result<HashMap<String, KnownRequest>> {
        if request_ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<RequestRow> = voicemails::table
            .inner_join(audios::table)
            .filter(voicemails::workspace_id.eq(workspace.0))
            .filter(voicemails::request_id.eq_any(request_ids.iter().copied()))
            .select((
                voicemails::request_id,
                voicemails::id,
                voicemails::request_hash,
                audios::sha256,
            ))
            .load(self.settled()?)?;
        let mut known = HashMap::with_capacity(rows.len());
        for (request_id, id, hash, sha256) in rows {
            let sha256 = sha256.try_into();
            known.insert(
                request_id.unwrap_or_default(),
                KnownRequest {
                    voicemail_id: id.into(),
                    hash,
                    audio_sha256: sha256
                        .map_err(|_| Error::inconsistent("audios", "sha256 has not 32 bytes"))?,
                },
            );
        }
        Ok(known)
    }

    fn last_senders(
        &mut self,
        workspace: WorkspaceId,
        use_case: UseCaseId,
        recipients: &[&PhoneNumber],
    ) -> Result<HashMap<PhoneNumber, PhoneNumber>> {
        let e164: Vec<&str> = recipients.iter().map(|number| number.e164()).collect();
        // The use case stands here in words that no index is found by: the way in is the recipient's, also
        // before the database has statistics. By the use case each recipient would cost a walk over all.
        let query = format!(
            "WITH wanted AS ({TEXTS}) SELECT wanted.value AS recipient, (
                SELECT v.sender FROM voicemails v
                WHERE v.workspace_id = $2 AND v.recipient = wanted.value
                    AND (v.use_case_id = $3) IS TRUE AND v.status NOT IN ({}, {})
                ORDER BY v.create_time DESC, v.id DESC LIMIT 1
            ) AS sender FROM wanted",
            Status::Cancelled as i16,
            Status::Skipped as i16,
        );
        let query = diesel::sql_query(query)
            .bind::<Text, _>(to_json("voicemails", &e164)?)
            .bind::<BigInt, _>(workspace.0)
            .bind::<IdSql, _>(Id::from(use_case));
        let rows: Vec<LastSenderRow> = Prepared(query).load(self.settled()?)?;
        let known = |row: LastSenderRow| {
            let sender = PhoneNumber::from_stored(row.sender?);
            Some((PhoneNumber::from_stored(row.recipient), sender))
        };
        Ok(rows.into_iter().filter_map(known).collect())
    }

    fn insert_voicemails(&mut self, new: &[NewVoicemail]) -> Result<HashSet<VoicemailId>> {
        // In the order of their request ids, so that two who insert the same ones wait for one another
        // and do not come to a deadlock.
        let mut ordered: Vec<&NewVoicemail> = new.iter().collect();
        ordered.sort_by(|a, b| a.voicemail.request_id.cmp(&b.voicemail.request_id));
        let rows = ordered.iter().map(|new| NewVoicemailRow::of(new));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let inserted = insert_voicemails(self.settled()?, &rows)?;
        let mut ids: HashSet<VoicemailId> = new.iter().map(|new| new.voicemail.id).collect();
        if inserted < new.len() {
            let wanted = ids.iter().map(|id| Id::from(*id));
            let found: Vec<Id> = voicemails::table
                .filter(voicemails::id.eq_any(wanted))
                .select(voicemails::id)
                .load(self.settled()?)?;
            ids = found.into_iter().map(VoicemailId::from).collect();
        }
        self.insert_labels(new.iter().filter(|new| ids.contains(&new.voicemail.id)))?;
        Ok(ids)
    }

    fn waiting_matches(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
        at: Page,
    ) -> Result<Vec<(Time, VoicemailId)>> {
        let query = voicemails::table
            .filter(voicemails::status.eq(Status::Accepted as i16))
            .select((voicemails::create_time, voicemails::id))
            .into_boxed::<Db>();
        let rows: Vec<(Ts, Id)> =
            page!(filtered!(query, workspace, filter), voicemails, at).load(self.settled()?)?;
        let read = |(time, id): (Ts, Id)| (time.0, id.into());
        Ok(rows.into_iter().map(read).collect())
    }

    fn end_waiting(&mut self, ids: &[VoicemailId], ended: Status) -> Result<usize> {
        let now = self.now()?;
        let waiting = voicemails::table
            .filter(voicemails::id.eq_any(ids.iter().map(|id| Id::from(*id))))
            .filter(voicemails::status.eq(Status::Accepted as i16))
            .select(voicemails::id);
        let locked: Vec<Id> = skip_locked!(waiting).load(self.settled()?)?;
        let rows = diesel::update(voicemails::table)
            .filter(voicemails::id.eq_any(&locked))
            .filter(voicemails::status.eq(Status::Accepted as i16))
            .set((
                voicemails::status.eq(ended as i16),
                voicemails::status_detail.eq(""),
                voicemails::update_time.eq(Ts(now)),
                voicemails::end_time.eq(Some(Ts(now))),
                voicemails::next_time.eq(None::<Ts>),
                voicemails::held.eq(false),
            ))
            .execute(self.settled()?)?;
        match rows == locked.len() {
            true => Ok(rows),
            false => Err(Error::Guard {
                what: "voicemails",
                rows,
            }),
        }
    }

    fn count_voicemails(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
    ) -> Result<i64> {
        let query = voicemails::table.count().into_boxed::<Db>();
        Ok(filtered!(query, workspace, filter).get_result(self.settled()?)?)
    }
}

impl Session<'_> {
    fn insert_labels<'v>(&mut self, new: impl Iterator<Item = &'v NewVoicemail>) -> Result<()> {
        let mut rows = Vec::new();
        for NewVoicemail { voicemail: v, .. } in new {
            rows.extend(v.labels.iter().map(|(key, value)| {
                (
                    voicemail_labels::workspace_id.eq(v.workspace_id.0),
                    voicemail_labels::key.eq(key),
                    voicemail_labels::value.eq(value),
                    voicemail_labels::create_time.eq(Ts(v.create_time)),
                    voicemail_labels::voicemail_id.eq(Id::from(v.id)),
                )
            }));
        }
        if !rows.is_empty() {
            diesel::insert_into(voicemail_labels::table)
                .values(rows)
                .execute(self.settled()?)?;
        }
        Ok(())
    }
}
