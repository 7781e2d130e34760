//! Consents: record, look up, revoke. They are evidence, so none is ever changed or deleted.

use std::time::Duration;

use super::error::{OpError, Resource, Result, Violation};
use super::fingerprint::Fingerprint;
use super::setups::{find_created, note_created};
use super::suppressions::check_scope;
use crate::domain::consent::{Consent, ConsentKind, Revocation};
use crate::domain::ids::{ConsentId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::suppression::Scope;
use crate::domain::time::Time;
use crate::storage::Tx;

/// How far ahead a caller's clock may go: such a time is read as now.
pub const AHEAD_MAX: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConsent {
    pub phone_number: PhoneNumber,
    pub scope: Scope,
    pub kind: ConsentKind,
    pub text_shown: String,
    pub source: String,
    pub actor: String,
    /// None: now.
    pub consent_time: Option<Time>,
    pub request_id: Option<String>,
}

/// The end of a consent, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRevocation {
    /// None: now.
    pub time: Option<Time>,
    pub reason: String,
    pub actor: String,
}

const KIND: &str = "consent";

pub fn create(tx: &mut dyn Tx, workspace: WorkspaceId, new: &NewConsent) -> Result<Consent> {
    let content = Fingerprint::default()
        .part(new.phone_number.e164())
        .part((new.scope.kind() as i16).to_be_bytes())
        .part(new.scope.key())
        .part((new.kind as i16).to_be_bytes())
        .part(&new.text_shown)
        .part(&new.source)
        .part(&new.actor)
        .optional(new.consent_time.map(|time| time.micros().to_be_bytes()))
        .finish();
    if let Some(known) = find_created(tx, workspace, KIND, new.request_id.as_deref(), &content)? {
        return get(tx, workspace, known.into());
    }
    let now = tx.now()?;
    let consent_time = past("consent.consent_time", new.consent_time, now)?;
    check_scope(tx, workspace, &new.scope)?;
    let consent = Consent {
        id: ConsentId::generate(),
        workspace_id: workspace,
        phone_number: new.phone_number.clone(),
        scope: new.scope.clone(),
        kind: new.kind,
        text_shown: new.text_shown.clone(),
        source: new.source.clone(),
        actor: new.actor.clone(),
        consent_time,
        create_time: now,
        revocation: None,
    };
    note_created(
        tx,
        workspace,
        KIND,
        new.request_id.as_deref(),
        consent.id.uuid(),
        content,
    )?;
    tx.insert_consent(&consent)?;
    Ok(consent)
}

pub fn get(tx: &mut dyn Tx, workspace: WorkspaceId, id: ConsentId) -> Result<Consent> {
    tx.find_consent(workspace, id)?
        .ok_or(OpError::NotFound(Resource::Consent, id.uuid()))
}

/// One that was revoked before answers as it was then.
pub fn revoke(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: ConsentId,
    new: &NewRevocation,
) -> Result<Consent> {
    let known = get(tx, workspace, id)?;
    if known.revocation.is_some() {
        return Ok(known);
    }
    let now = tx.now()?;
    let time = past("revoke_time", new.time, now)?;
    if time < known.consent_time {
        let why = format!(
            "it is before the consent was given ({}); give a time from then on, or none for now",
            known.consent_time
        );
        return Err(OpError::InvalidFields(vec![Violation::field(
            "revoke_time",
            why,
        )]));
    }
    let revocation = Revocation {
        time,
        reason: new.reason.clone(),
        actor: new.actor.clone(),
    };
    tx.revoke_consent(id, &revocation)?;
    get(tx, workspace, id)
}

/// A time that has come: what people said can't lie ahead.
fn past(field: &str, given: Option<Time>, now: Time) -> Result<Time> {
    let Some(time) = given else {
        return Ok(now);
    };
    if time > now.plus(AHEAD_MAX) {
        let why = format!("it is later than now ({now}); give the time when it was said");
        return Err(OpError::InvalidFields(vec![Violation::field(field, why)]));
    }
    Ok(time.min(now))
}
