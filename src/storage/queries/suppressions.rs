//! Suppressions, and the voicemails that they end.

use diesel::dsl::{exists, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::super::{Db, suppressions, use_cases, voicemails};
use super::Session;
use super::lists::page;
use crate::domain::ids::{SuppressionId, VoicemailId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::status::{Event, Status, apply};
use crate::domain::suppression::{Deletion, Scope, ScopeKind, Suppression, SuppressionReason};
use crate::domain::time::Time;
use crate::storage::values::{Id, Ts};
use crate::storage::{Error, Page, Result, SkipReason, SuppressionFilter, SuppressionStore, Tx};

/// ACCEPTED, written out: see `queue.rs`.
const WAITING: &str = "voicemails.status = 1";

/// The scopes of a filter, on a boxed query over a table that has them.
macro_rules! in_scopes {
    ($query:expr, $table:ident, $filter:expr) => {{
        let filter: &$crate::storage::ScopeFilter = $filter;
        let mut query = $query;
        if !filter.kinds.is_empty() {
            let kinds: Vec<i16> = filter.kinds.iter().map(|kind| *kind as i16).collect();
            query = query.filter($table::scope.eq_any(kinds));
        }
        if let Some(scope) = &filter.only {
            query = query
                .filter($table::scope.eq(scope.kind() as i16))
                .filter($table::scope_key.eq(scope.key()));
        }
        query
    }};
}

pub(super) use in_scopes;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = suppressions, check_for_backend(Db))]
pub(super) struct SuppressionRow {
    id: Id,
    workspace_id: i64,
    phone_number: String,
    scope: i16,
    scope_key: String,
    reason: i16,
    source: String,
    actor: String,
    note: String,
    create_time: Ts,
    update_time: Ts,
    expire_time: Option<Ts>,
    delete_time: Option<Ts>,
    delete_reason: String,
    delete_actor: String,
}

impl SuppressionRow {
    fn of(suppression: &Suppression) -> SuppressionRow {
        let deletion = suppression.deletion.as_ref();
        let text = |text: fn(&Deletion) -> &String| deletion.map(text).cloned().unwrap_or_default();
        SuppressionRow {
            id: suppression.id.into(),
            workspace_id: suppression.workspace_id.0,
            phone_number: suppression.phone_number.e164().to_owned(),
            scope: suppression.scope.kind() as i16,
            scope_key: suppression.scope.key(),
            reason: suppression.reason as i16,
            source: suppression.source.clone(),
            actor: suppression.actor.clone(),
            note: suppression.note.clone(),
            create_time: suppression.create_time.into(),
            update_time: suppression.update_time.into(),
            expire_time: suppression.expire_time.map(Ts),
            delete_time: deletion.map(|it| Ts(it.time)),
            delete_reason: text(|it| &it.reason),
            delete_actor: text(|it| &it.actor),
        }
    }

    pub(super) fn read(self) -> Result<Suppression> {
        let reason = SuppressionReason::from_code(self.reason);
        Ok(Suppression {
            id: self.id.into(),
            workspace_id: WorkspaceId(self.workspace_id),
            phone_number: PhoneNumber::from_stored(self.phone_number),
            scope: read_scope("suppressions", self.scope, self.scope_key)?,
            reason: reason.ok_or_else(|| {
                Error::inconsistent("suppressions", format!("reason {} is unknown", self.reason))
            })?,
            source: self.source,
            actor: self.actor,
            note: self.note,
            create_time: self.create_time.0,
            update_time: self.update_time.0,
            expire_time: self.expire_time.map(Time::from),
            deletion: self.delete_time.map(|time| Deletion {
                time: time.0,
                reason: self.delete_reason,
                actor: self.delete_actor,
            }),
        })
    }
}

/// The scope of a row of this table.
pub(super) fn read_scope(table: &'static str, code: i16, key: String) -> Result<Scope> {
    ScopeKind::from_code(code)
        .and_then(|kind| Scope::from_parts(kind, key))
        .ok_or_else(|| Error::inconsistent(table, format!("scope {code} can't be read")))
}

fn read_all(rows: Vec<SuppressionRow>) -> Result<Vec<Suppression>> {
    rows.into_iter().map(SuppressionRow::read).collect()
}

fn texts(numbers: &[PhoneNumber]) -> Vec<&str> {
    numbers.iter().map(PhoneNumber::e164).collect()
}

impl SuppressionStore for Session<'_> {
    fn suppressions_of(
        &mut self,
        workspace: WorkspaceId,
        number: &PhoneNumber,
    ) -> Result<Vec<Suppression>> {
        let key = (workspace, number.clone());
        if let Some(known) = self.known(|known| known.suppressions.get(&key)) {
            return Ok(known);
        }
        let now = self.now()?;
        let rows: Vec<SuppressionRow> = suppressions::table
            .filter(suppressions::workspace_id.eq(workspace.0))
            .filter(suppressions::phone_number.eq(number.e164()))
            .filter(suppressions::delete_time.is_null())
            .filter(
                suppressions::expire_time
                    .is_null()
                    .or(suppressions::expire_time.gt(Some(Ts(now)))),
            )
            .order((suppressions::create_time, suppressions::id))
            .select(SuppressionRow::as_select())
            .load(self.settled()?)?;
        read_all(rows)
    }

    fn standing_suppressions(
        &mut self,
        workspace: WorkspaceId,
        numbers: &[PhoneNumber],
        scope: &Scope,
    ) -> Result<Vec<Suppression>> {
        let rows: Vec<SuppressionRow> = suppressions::table
            .filter(suppressions::workspace_id.eq(workspace.0))
            .filter(suppressions::phone_number.eq_any(texts(numbers)))
            .filter(suppressions::scope.eq(scope.kind() as i16))
            .filter(suppressions::scope_key.eq(scope.key()))
            .filter(suppressions::delete_time.is_null())
            .select(SuppressionRow::as_select())
            .load(self.settled()?)?;
        read_all(rows)
    }

    fn insert_suppressions(&mut self, new: &[Suppression]) -> Result<usize> {
        let rows: Vec<SuppressionRow> = new.iter().map(SuppressionRow::of).collect();
        let conn = self.settled()?;
        Ok(insert_new!(suppressions::table, rows, conn)?)
    }

    fn prolong_suppression(&mut self, id: SuppressionId, until: Option<Time>) -> Result<bool> {
        let now = self.now()?;
        let mut update = diesel::update(suppressions::table)
            .filter(suppressions::id.eq(Id::from(id)))
            .filter(suppressions::delete_time.is_null())
            .filter(suppressions::expire_time.is_not_null())
            .set((
                suppressions::expire_time.eq(until.map(Ts)),
                suppressions::update_time.eq(Ts(now)),
            ))
            .into_boxed();
        if let Some(until) = until {
            update = update.filter(suppressions::expire_time.lt(Some(Ts(until))));
        }
        Ok(update.execute(self.settled()?)? == 1)
    }

    fn end_suppression(&mut self, id: SuppressionId, deletion: &Deletion) -> Result<bool> {
        let rows = diesel::update(suppressions::table)
            .filter(suppressions::id.eq(Id::from(id)))
            .filter(suppressions::delete_time.is_null())
            .set((
                suppressions::update_time.eq(Ts(deletion.time)),
                suppressions::delete_time.eq(Some(Ts(deletion.time))),
                suppressions::delete_reason.eq(&deletion.reason),
                suppressions::delete_actor.eq(&deletion.actor),
            ))
            .execute(self.settled()?)?;
        Ok(rows == 1)
    }

    fn find_suppression(
        &mut self,
        workspace: WorkspaceId,
        id: SuppressionId,
    ) -> Result<Option<Suppression>> {
        let row: Option<SuppressionRow> = suppressions::table
            .filter(suppressions::id.eq(Id::from(id)))
            .filter(suppressions::workspace_id.eq(workspace.0))
            .select(SuppressionRow::as_select())
            .first(self.settled()?)
            .optional()?;
        row.map(SuppressionRow::read).transpose()
    }

    fn list_suppressions(
        &mut self,
        workspace: WorkspaceId,
        filter: &SuppressionFilter,
        at: Page,
    ) -> Result<Vec<Suppression>> {
        let now = self.now()?;
        let mut query = suppressions::table
            .filter(suppressions::workspace_id.eq(workspace.0))
            .select(SuppressionRow::as_select())
            .into_boxed::<Db>();
        if let Some(number) = &filter.phone_number {
            query = query.filter(suppressions::phone_number.eq(number.e164().to_owned()));
        }
        query = in_scopes!(query, suppressions, &filter.scope);
        if !filter.reasons.is_empty() {
            let codes: Vec<i16> = filter.reasons.iter().map(|reason| *reason as i16).collect();
            query = query.filter(suppressions::reason.eq_any(codes));
        }
        if !filter.include_deleted {
            let is_to_come = suppressions::expire_time.gt(Some(Ts(now)));
            query = query
                .filter(suppressions::delete_time.is_null())
                .filter(suppressions::expire_time.is_null().or(is_to_come));
        }
        read_all(page!(query, suppressions, at).load(self.settled()?)?)
    }

    fn is_entity_suppressed(&mut self, workspace: WorkspaceId, entity_name: &str) -> Result<bool> {
        let now = self.now()?;
        let of_entity = suppressions::table
            .filter(suppressions::workspace_id.eq(workspace.0))
            .filter(suppressions::scope.eq(ScopeKind::Entity as i16))
            .filter(suppressions::scope_key.eq(entity_name.to_owned()))
            .filter(suppressions::delete_time.is_null())
            .filter(
                suppressions::expire_time
                    .is_null()
                    .or(suppressions::expire_time.gt(Some(Ts(now)))),
            );
        Ok(diesel::select(exists(of_entity)).get_result(self.settled()?)?)
    }

    fn skip_waiting(
        &mut self,
        workspace: WorkspaceId,
        numbers: &[PhoneNumber],
        scope: &Scope,
        why: SkipReason<'_>,
        limit: i64,
    ) -> Result<Vec<VoicemailId>> {
        let now = self.now()?;
        let waiting = voicemails::table
            .filter(sql::<Bool>(WAITING))
            .filter(voicemails::workspace_id.eq(workspace.0))
            .filter(voicemails::recipient.eq_any(texts(numbers)))
            .select(voicemails::id);
        let ids: Vec<Id> = match self.use_cases_in(workspace, scope)? {
            None => skip_locked!(waiting.limit(limit)).load(self.settled()?)?,
            Some(within) => {
                let waiting = waiting.filter(voicemails::use_case_id.eq_any(within));
                skip_locked!(waiting.limit(limit)).load(self.settled()?)?
            }
        };
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let after = apply(Status::Accepted, Event::Skipped(why.reason))
            .map_err(|refused| Error::Internal(refused.to_string()))?;
        let skipped: Vec<Id> = diesel::update(voicemails::table)
            .filter(voicemails::id.eq_any(ids))
            .filter(sql::<Bool>(WAITING))
            .set((
                voicemails::status.eq(after as i16),
                voicemails::failure_reason.eq(Some(why.reason as i16)),
                voicemails::status_detail.eq(why.detail),
                voicemails::update_time.eq(Ts(now)),
                voicemails::end_time.eq(Some(Ts(now))),
                voicemails::next_time.eq(None::<Ts>),
                voicemails::held.eq(false),
                voicemails::lease_token.eq(None::<Id>),
            ))
            .returning(voicemails::id)
            .get_results(self.settled()?)?;
        Ok(skipped.into_iter().map(VoicemailId::from).collect())
    }

    fn count_on_its_way(
        &mut self,
        workspace: WorkspaceId,
        number: &PhoneNumber,
        scope: &Scope,
    ) -> Result<i64> {
        let left = [Status::Sending as i16, Status::Sent as i16];
        let mut query = voicemails::table
            .filter(voicemails::workspace_id.eq(workspace.0))
            .filter(voicemails::recipient.eq(number.e164()))
            .filter(voicemails::status.eq_any(left))
            .count()
            .into_boxed::<Db>();
        if let Some(within) = self.use_cases_in(workspace, scope)? {
            query = query.filter(voicemails::use_case_id.eq_any(within));
        }
        Ok(query.get_result(self.settled()?)?)
    }
}

impl Session<'_> {
    /// The use cases that a scope comes to; none: all of the workspace's.
    fn use_cases_in(&mut self, workspace: WorkspaceId, scope: &Scope) -> Result<Option<Vec<Id>>> {
        match scope {
            Scope::Workspace => Ok(None),
            Scope::UseCase(id) => Ok(Some(vec![Id::from(*id)])),
            // One that is deleted has nothing on its way.
            Scope::Entity(name) => Ok(Some(
                use_cases::table
                    .filter(use_cases::workspace_id.eq(workspace.0))
                    .filter(use_cases::entity_name.eq(name))
                    .filter(use_cases::delete_time.is_null())
                    .select(use_cases::id)
                    .load(self.settled()?)?,
            )),
        }
    }
}
