//! Consents.

use diesel::prelude::*;

use super::super::{Db, consents};
use super::Session;
use super::lists::page;
use super::suppressions::{in_scopes, read_scope};
use crate::domain::consent::{Consent, ConsentKind, Revocation};
use crate::domain::ids::{ConsentId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::storage::values::{Id, Ts};
use crate::storage::{ConsentFilter, ConsentStore, Error, Page, Result};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = consents, check_for_backend(Db))]
struct ConsentRow {
    id: Id,
    workspace_id: i64,
    phone_number: String,
    scope: i16,
    scope_key: String,
    kind: i16,
    text_shown: String,
    source: String,
    actor: String,
    consent_time: Ts,
    create_time: Ts,
    revoke_time: Option<Ts>,
    revoke_reason: String,
    revoke_actor: String,
}

impl ConsentRow {
    fn of(consent: &Consent) -> ConsentRow {
        let revocation = consent.revocation.as_ref();
        let text =
            |text: fn(&Revocation) -> &String| revocation.map(text).cloned().unwrap_or_default();
        ConsentRow {
            id: consent.id.into(),
            workspace_id: consent.workspace_id.0,
            phone_number: consent.phone_number.e164().to_owned(),
            scope: consent.scope.kind() as i16,
            scope_key: consent.scope.key(),
            kind: consent.kind as i16,
            text_shown: consent.text_shown.clone(),
            source: consent.source.clone(),
            actor: consent.actor.clone(),
            consent_time: consent.consent_time.into(),
            create_time: consent.create_time.into(),
            revoke_time: revocation.map(|it| Ts(it.time)),
            revoke_reason: text(|it| &it.reason),
            revoke_actor: text(|it| &it.actor),
        }
    }

    fn read(self) -> Result<Consent> {
        let kind = ConsentKind::from_code(self.kind);
        Ok(Consent {
            id: self.id.into(),
            workspace_id: WorkspaceId(self.workspace_id),
            phone_number: PhoneNumber::from_stored(self.phone_number),
            scope: read_scope("consents", self.scope, self.scope_key)?,
            kind: kind.ok_or_else(|| {
                Error::inconsistent("consents", format!("kind {} is unknown", self.kind))
            })?,
            text_shown: self.text_shown,
            source: self.source,
            actor: self.actor,
            consent_time: self.consent_time.0,
            create_time: self.create_time.0,
            revocation: self.revoke_time.map(|time| Revocation {
                time: time.0,
                reason: self.revoke_reason,
                actor: self.revoke_actor,
            }),
        })
    }
}

fn read_all(rows: Vec<ConsentRow>) -> Result<Vec<Consent>> {
    rows.into_iter().map(ConsentRow::read).collect()
}

impl ConsentStore for Session<'_> {
    fn consents_of(
        &mut self,
        workspace: WorkspaceId,
        number: &PhoneNumber,
    ) -> Result<Vec<Consent>> {
        let rows: Vec<ConsentRow> = consents::table
            .filter(consents::workspace_id.eq(workspace.0))
            .filter(consents::phone_number.eq(number.e164()))
            .order((consents::create_time, consents::id))
            .select(ConsentRow::as_select())
            .load(self.settled()?)?;
        read_all(rows)
    }

    fn insert_consent(&mut self, consent: &Consent) -> Result<()> {
        diesel::insert_into(consents::table)
            .values(ConsentRow::of(consent))
            .execute(self.settled()?)?;
        Ok(())
    }

    fn find_consent(&mut self, workspace: WorkspaceId, id: ConsentId) -> Result<Option<Consent>> {
        let row: Option<ConsentRow> = consents::table
            .filter(consents::id.eq(Id::from(id)))
            .filter(consents::workspace_id.eq(workspace.0))
            .select(ConsentRow::as_select())
            .first(self.settled()?)
            .optional()?;
        row.map(ConsentRow::read).transpose()
    }

    fn list_consents(
        &mut self,
        workspace: WorkspaceId,
        filter: &ConsentFilter,
        at: Page,
    ) -> Result<Vec<Consent>> {
        let mut query = consents::table
            .filter(consents::workspace_id.eq(workspace.0))
            .select(ConsentRow::as_select())
            .into_boxed::<Db>();
        if let Some(number) = &filter.phone_number {
            query = query.filter(consents::phone_number.eq(number.e164().to_owned()));
        }
        query = in_scopes!(query, consents, &filter.scope);
        if !filter.kinds.is_empty() {
            let codes: Vec<i16> = filter.kinds.iter().map(|kind| *kind as i16).collect();
            query = query.filter(consents::kind.eq_any(codes));
        }
        query = match filter.is_revoked {
            None => query,
            Some(true) => query.filter(consents::revoke_time.is_not_null()),
            Some(false) => query.filter(consents::revoke_time.is_null()),
        };
        read_all(page!(query, consents, at).load(self.settled()?)?)
    }

    fn revoke_consent(&mut self, id: ConsentId, revocation: &Revocation) -> Result<bool> {
        let rows = diesel::update(consents::table)
            .filter(consents::id.eq(Id::from(id)))
            .filter(consents::revoke_time.is_null())
            .set((
                consents::revoke_time.eq(Some(Ts(revocation.time))),
                consents::revoke_reason.eq(&revocation.reason),
                consents::revoke_actor.eq(&revocation.actor),
            ))
            .execute(self.settled()?)?;
        Ok(rows == 1)
    }
}
