//! Voicemails as callers see them.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, SmallInt};

use super::super::{Db, audios, voicemail_labels, voicemails};
use super::Session;
use super::explain::Explain;
use super::lists::{filtered, page};
use super::rows::{AudioRow, VoicemailRow, to_json};
use crate::domain::ids::{UseCaseId, VoicemailId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::status::Status;
use crate::domain::voicemail::Voicemail;
use crate::storage::values::{Id, Ts};
use crate::storage::{DeliveryStore, NewVoicemail, Page, Result, VoicemailFilter, VoicemailStore};

/// The query of ListVoicemails, for running it and for explaining it.
macro_rules! list_query {
    ($workspace:expr, $filter:expr, $page:expr) => {{
        let query = voicemails::table
            .inner_join(audios::table)
            .select((VoicemailRow::as_select(), AudioRow::as_select()))
            .into_boxed::<Db>();
        page!(filtered!(query, $workspace, $filter), voicemails, $page)
    }};
}

impl VoicemailStore for Session<'_> {
    fn insert_voicemail(&mut self, new: &NewVoicemail) -> Result<bool> {
        let v = &new.voicemail;
        let inserted = diesel::insert_into(voicemails::table)
            .values((
                (
                    voicemails::id.eq(Id::from(v.id)),
                    voicemails::workspace_id.eq(v.workspace_id.0),
                    voicemails::use_case_id.eq(Id::from(v.use_case_id)),
                    voicemails::setup_id.eq(Id::from(v.setup_id)),
                    voicemails::sender_id.eq(Id::from(v.sender_id)),
                    voicemails::sender.eq(v.sender.e164()),
                    voicemails::recipient.eq(v.recipient.e164()),
                    voicemails::status.eq(v.status as i16),
                    voicemails::status_detail.eq(&v.status_detail),
                    voicemails::simulated.eq(v.simulated),
                    voicemails::audio_id.eq(Id::from(v.audio.id)),
                    voicemails::labels.eq(to_json("voicemails", &v.labels)?),
                    voicemails::request_id.eq(&v.request_id),
                    voicemails::request_hash.eq(&new.request_hash),
                ),
                (
                    voicemails::create_time.eq(Ts(v.create_time)),
                    voicemails::update_time.eq(Ts(v.update_time)),
                    voicemails::schedule_time.eq(v.schedule_time.map(Ts)),
                    voicemails::expire_time.eq(Ts(v.expire_time)),
                    voicemails::due_time.eq(Ts(v.due_time)),
                    voicemails::next_time.eq(Some(Ts(v.due_time))),
                    voicemails::held.eq(false),
                    voicemails::tries.eq(0),
                    voicemails::attempt_count.eq(0),
                    voicemails::carrier.eq(""),
                    voicemails::time_zone.eq(v.time_zone.as_deref().unwrap_or_default()),
                    voicemails::postal_code.eq(v.postal_code.as_deref().unwrap_or_default()),
                ),
            ))
            .on_conflict_do_nothing()
            .execute(self.conn)?;
        if inserted == 1 && !v.labels.is_empty() {
            let rows: Vec<_> = v
                .labels
                .iter()
                .map(|(key, value)| {
                    (
                        voicemail_labels::workspace_id.eq(v.workspace_id.0),
                        voicemail_labels::key.eq(key),
                        voicemail_labels::value.eq(value),
                        voicemail_labels::create_time.eq(Ts(v.create_time)),
                        voicemail_labels::voicemail_id.eq(Id::from(v.id)),
                    )
                })
                .collect();
            diesel::insert_into(voicemail_labels::table)
                .values(rows)
                .execute(self.conn)?;
        }
        Ok(inserted == 1)
    }

    fn find_voicemail(
        &mut self,
        workspace: WorkspaceId,
        id: VoicemailId,
    ) -> Result<Option<Voicemail>> {
        let found: Option<(VoicemailRow, AudioRow)> = voicemails::table
            .inner_join(audios::table)
            .filter(voicemails::id.eq(Id::from(id)))
            .filter(voicemails::workspace_id.eq(workspace.0))
            .select((VoicemailRow::as_select(), AudioRow::as_select()))
            .first(self.conn)
            .optional()?;
        let Some((row, audio)) = found else {
            return Ok(None);
        };
        let mut voicemail = row.read(audio)?;
        voicemail.attempts = self.find_attempts(id)?;
        Ok(Some(voicemail))
    }

    fn find_request(
        &mut self,
        workspace: WorkspaceId,
        request_id: &str,
    ) -> Result<Option<(Voicemail, Vec<u8>)>> {
        let found: Option<(VoicemailRow, AudioRow, Vec<u8>)> = voicemails::table
            .inner_join(audios::table)
            .filter(voicemails::workspace_id.eq(workspace.0))
            .filter(voicemails::request_id.eq(request_id))
            .select((
                VoicemailRow::as_select(),
                AudioRow::as_select(),
                voicemails::request_hash,
            ))
            .first(self.conn)
            .optional()?;
        let Some((row, audio, hash)) = found else {
            return Ok(None);
        };
        let mut voicemail = row.read(audio)?;
        voicemail.attempts = self.find_attempts(voicemail.id)?;
        Ok(Some((voicemail, hash)))
    }

    fn list_voicemails(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
        at: Page,
    ) -> Result<Vec<Voicemail>> {
        let rows: Vec<(VoicemailRow, AudioRow)> =
            list_query!(workspace, filter, at).load(self.conn)?;
        rows.into_iter()
            .map(|(row, audio)| row.read(audio))
            .collect()
    }

    fn explain_list(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
        at: Page,
    ) -> Result<String> {
        Explain(list_query!(workspace, filter, at)).text(self.conn)
    }

    fn last_sender(
        &mut self,
        workspace: WorkspaceId,
        use_case: UseCaseId,
        recipient: &PhoneNumber,
        except: Option<VoicemailId>,
    ) -> Result<Option<PhoneNumber>> {
        let except = except.map_or(Id(uuid::Uuid::nil()), Id::from);
        let not_sent = [Status::Cancelled as i16, Status::Skipped as i16];
        let sender: Option<String> = voicemails::table
            .filter(voicemails::workspace_id.eq(workspace.0))
            .filter(voicemails::use_case_id.eq(Id::from(use_case)))
            .filter(voicemails::recipient.eq(recipient.e164()))
            .filter(voicemails::status.ne_all(not_sent))
            .filter(voicemails::id.ne(except))
            .order((voicemails::create_time.desc(), voicemails::id.desc()))
            .select(voicemails::sender)
            .first(self.conn)
            .optional()?;
        Ok(sender.map(PhoneNumber::from_stored))
    }

    fn is_use_case_in_flight(
        &mut self,
        workspace: WorkspaceId,
        use_case: UseCaseId,
    ) -> Result<bool> {
        let in_flight = Status::ALL
            .iter()
            .filter(|s| s.is_in_flight())
            .map(|s| *s as i16);
        let under_way = voicemails::table
            .filter(voicemails::workspace_id.eq(workspace.0))
            .filter(voicemails::use_case_id.eq(Id::from(use_case)))
            .filter(voicemails::status.eq_any(in_flight));
        Ok(diesel::select(exists(under_way)).get_result(self.conn)?)
    }

    fn count_waiting(&mut self, workspace: WorkspaceId, at_most: i64) -> Result<i64> {
        #[derive(QueryableByName)]
        struct Counted {
            #[diesel(sql_type = BigInt)]
            rows: i64,
        }
        let counted: Counted = diesel::sql_query(
            "SELECT count(*) AS rows FROM (SELECT 1 AS one FROM voicemails \
             WHERE workspace_id = $1 AND status = $2 LIMIT $3) AS waiting",
        )
        .bind::<BigInt, _>(workspace.0)
        .bind::<SmallInt, _>(Status::Accepted as i16)
        .bind::<BigInt, _>(at_most)
        .get_result(self.conn)?;
        Ok(counted.rows)
    }
}
