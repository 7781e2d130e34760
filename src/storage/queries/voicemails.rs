//! Voicemails as callers see them.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, SmallInt};

use super::super::{Db, ONE_OF, audios, batch_members, voicemail_labels, voicemails};
use super::Session;
use super::explain::Explain;
use super::lists::{Counted, Way, filtered, page, voicemail_page};
use super::rows::{AudioRow, VoicemailRow};
use crate::domain::ids::{UseCaseId, VoicemailId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::status::Status;
use crate::domain::voicemail::Voicemail;
use crate::storage::values::{Id, Ts};
use crate::storage::{
    BulkStore, DeliveryStore, NewVoicemail, Page, Result, VoicemailFilter, VoicemailStore,
};

/// The batch that made a voicemail, where one did.
macro_rules! batch_id {
    () => {
        batch_members::table
            .filter(batch_members::voicemail_id.eq(voicemails::id))
            .select(batch_members::batch_id)
            .single_value()
    };
}

/// Voicemails that another table has in their order, because it has a part of them: those are walked through there.
macro_rules! walk {
    ($table:ident, $batch_id:expr, $workspace:expr, $besides:expr, $page:expr, $query:ident => $narrowed:expr) => {{
        let $query = $table::table
            .inner_join(voicemails::table.on(voicemails::id.eq($table::voicemail_id)))
            .inner_join(audios::table.on(audios::id.eq(voicemails::audio_id)))
            .filter($table::workspace_id.eq($workspace.0))
            .select((VoicemailRow::as_select(), AudioRow::as_select(), $batch_id))
            .into_boxed::<Db>();
        let query = filtered!($narrowed, $workspace, $besides);
        page!(query, $table::create_time, $table::voicemail_id, $page)
    }};
}

/// The query of ListVoicemails, for running it and for explaining it.
macro_rules! list_query {
    ($session:expr, $workspace:expr, $filter:expr, $page:expr, $query:ident => $done:expr) => {{
        let filter: &VoicemailFilter = $filter;
        let mut besides = filter.clone();
        if $page.after.is_some() {
            // What is behind a page came before that time too, and of two bounds SQLite begins at the first.
            besides.create_time_to = None;
        }
        let way = match filter.batch_id {
            Some(_) => Way::Planned,
            None => $session.way($workspace, filter, $page)?,
        };
        let label = match (&filter.batch_id, way) {
            (None, Way::Planned) => besides.labels.pop_first(),
            _ => None,
        };
        match (besides.batch_id.take(), label) {
            (Some(batch_id), _) => {
                let shown = batch_members::batch_id.nullable();
                let $query = walk!(batch_members, shown, $workspace, &besides, $page, query => {
                    query.filter(batch_members::batch_id.eq(batch_id))
                });
                $done
            }
            (None, Some((key, value))) => {
                let $query = walk!(voicemail_labels, batch_id!(), $workspace, &besides, $page, query => {
                    let mut query = query
                        .filter(voicemail_labels::key.eq(key))
                        .filter(voicemail_labels::value.eq(value));
                    if let Some(time) = besides.create_time_from {
                        query = query.filter(voicemail_labels::create_time.ge(Ts(time)));
                    }
                    if let Some(time) = besides.create_time_to {
                        query = query.filter(voicemail_labels::create_time.lt(Ts(time)));
                    }
                    query
                });
                $done
            }
            (None, None) => {
                let query = voicemails::table
                    .inner_join(audios::table)
                    .select((
                        VoicemailRow::as_select(),
                        AudioRow::as_select(),
                        batch_id!(),
                    ))
                    .into_boxed::<Db>();
                let $query =
                    voicemail_page!(filtered!(query, $workspace, &besides, way), $page, way);
                $done
            }
        }
    }};
}

impl VoicemailStore for Session<'_> {
    fn insert_voicemail(&mut self, new: &NewVoicemail) -> Result<bool> {
        Ok(!self
            .insert_voicemails(std::slice::from_ref(new))?
            .is_empty())
    }

    fn find_voicemail(
        &mut self,
        workspace: WorkspaceId,
        id: VoicemailId,
    ) -> Result<Option<Voicemail>> {
        let found: Option<(VoicemailRow, AudioRow, Option<String>)> = voicemails::table
            .inner_join(audios::table)
            .filter(voicemails::id.eq(Id::from(id)))
            .filter(voicemails::workspace_id.eq(workspace.0))
            .select((
                VoicemailRow::as_select(),
                AudioRow::as_select(),
                batch_id!(),
            ))
            .first(self.settled()?)
            .optional()?;
        let Some((row, audio, batch_id)) = found else {
            return Ok(None);
        };
        let mut voicemail = row.read(audio, batch_id)?;
        voicemail.attempts = self.find_attempts(id)?;
        Ok(Some(voicemail))
    }

    fn find_request(
        &mut self,
        workspace: WorkspaceId,
        request_id: &str,
    ) -> Result<Option<(Voicemail, Vec<u8>)>> {
        let found: Option<(VoicemailRow, AudioRow, Option<String>, Vec<u8>)> = voicemails::table
            .inner_join(audios::table)
            .filter(voicemails::workspace_id.eq(workspace.0))
            .filter(voicemails::request_id.eq(request_id))
            .select((
                VoicemailRow::as_select(),
                AudioRow::as_select(),
                batch_id!(),
                voicemails::request_hash,
            ))
            .first(self.settled()?)
            .optional()?;
        let Some((row, audio, batch_id, hash)) = found else {
            return Ok(None);
        };
        let mut voicemail = row.read(audio, batch_id)?;
        voicemail.attempts = self.find_attempts(voicemail.id)?;
        Ok(Some((voicemail, hash)))
    }

    fn list_voicemails(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
        at: Page,
    ) -> Result<Vec<Voicemail>> {
        let rows: Vec<(VoicemailRow, AudioRow, Option<String>)> =
            list_query!(self, workspace, filter, at, query => query.load(self.settled()?)?);
        let read = |(row, audio, batch_id): (VoicemailRow, _, _)| row.read(audio, batch_id);
        rows.into_iter().map(read).collect()
    }

    fn explain_list(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
        at: Page,
    ) -> Result<String> {
        list_query!(self, workspace, filter, at, query => Explain(query).text(self.settled()?))
    }

    fn last_sender(
        &mut self,
        workspace: WorkspaceId,
        use_case: UseCaseId,
        recipient: &PhoneNumber,
        except: Option<VoicemailId>,
    ) -> Result<Option<PhoneNumber>> {
        if let Some(id) = except
            && let Some(known) = self.known(|known| known.last_senders.get(&id))
        {
            return Ok(known);
        }
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
            .first(self.settled()?)
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
        Ok(diesel::select(exists(under_way)).get_result(self.settled()?)?)
    }

    fn count_waiting(&mut self, workspace: WorkspaceId, at_most: i64) -> Result<i64> {
        let counted: Counted = diesel::sql_query(
            "SELECT count(*) AS rows FROM (SELECT 1 AS one FROM voicemails \
             WHERE workspace_id = $1 AND status = $2 LIMIT $3) AS waiting",
        )
        .bind::<BigInt, _>(workspace.0)
        .bind::<SmallInt, _>(Status::Accepted as i16)
        .bind::<BigInt, _>(at_most)
        .get_result(self.settled()?)?;
        Ok(counted.rows)
    }
}
