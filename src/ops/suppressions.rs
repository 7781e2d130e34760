//! Suppressions: add, look up, delete, and end what waits for the numbers at once.

pub mod import;

use std::collections::{BTreeMap, BTreeSet};

use super::error::{OpError, Resource, Result, Violation};
use crate::domain::delivery::Delivery;
use crate::domain::failure::FailureReason;
use crate::domain::ids::{SuppressionId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::suppression::{
    Deletion, OURSELVES, Scope, Suppression, SuppressionReason, outlasts,
};
use crate::domain::time::Time;
use crate::storage::{Error, Lock, Page, SkipReason, Tx, UseCaseFilter};

/// Voicemails that one unit of work ends; what is left over is for the next one.
pub const SKIP_MAX: i64 = 5_000;
/// How often one unit of work looks again where others add the same numbers at once.
const ROUNDS: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSuppression {
    pub phone_number: PhoneNumber,
    pub scope: Scope,
    pub reason: SuppressionReason,
    pub source: String,
    pub actor: String,
    pub note: String,
    pub expire_time: Option<Time>,
}

/// What adding one came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    pub suppression: Suppression,
    /// Waiting voicemails that it ended.
    pub skipped: u64,
    /// It may have left some: [`skip_more`] ends them.
    pub is_more: bool,
    /// Voicemails to the number within the scope that have left already.
    pub on_its_way: u64,
}

/// What adding several came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    pub added: u64,
    /// There already, or given twice.
    pub known: u64,
    pub skipped: u64,
    /// As in [`Created`].
    pub is_more: bool,
}

/// A use case that a scope names has to be there.
pub fn check_scope(tx: &mut dyn Tx, workspace: WorkspaceId, scope: &Scope) -> Result<()> {
    let Scope::UseCase(id) = scope else {
        return Ok(());
    };
    match tx.find_use_case(workspace, *id, Lock::None)? {
        Some(_) => Ok(()),
        None => Err(OpError::NotFound(Resource::UseCase, id.uuid())),
    }
}

/// The scope of an opt-out whose door was configured with one. Where nothing (any more) is sent within it, it is a
/// mistake, or the entity was renamed: whoever opts out there means something that is sent, so it holds for
/// the whole workspace.
pub fn effective_scope(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    configured: &Scope,
) -> Result<Scope> {
    let is_known = match configured {
        Scope::Workspace => true,
        Scope::UseCase(id) => tx.find_use_case(workspace, *id, Lock::None)?.is_some(),
        Scope::Entity(name) => {
            let filter = UseCaseFilter {
                entity_name: Some(name.clone()),
                ..UseCaseFilter::default()
            };
            let one = Page {
                limit: 1,
                after: None,
            };
            !tx.list_use_cases(workspace, &filter, one)?.is_empty()
        }
    };
    if is_known {
        return Ok(configured.clone());
    }
    tracing::error!(
        scope.kind = ?configured.kind(),
        "an opt-out door is configured for an entity or a use case that there is not; its opt-outs hold for the whole workspace"
    );
    Ok(Scope::Workspace)
}

/// An expiry that is over would be none at all.
pub fn check_expiry(field: &str, expire_time: Option<Time>, now: Time) -> Vec<Violation> {
    let is_over = expire_time.is_some_and(|end| end <= now);
    let why = "it is over already; give a time to come, or none where it holds for ever";
    is_over
        .then(|| Violation::field(field, why))
        .into_iter()
        .collect()
}

/// Safe to repeat: one of its number, scope and reason that is there already is the answer, and never
/// ends earlier than it did.
pub fn create(tx: &mut dyn Tx, workspace: WorkspaceId, new: &NewSuppression) -> Result<Created> {
    let now = tx.now()?;
    let faults = check_expiry("suppression.expire_time", new.expire_time, now);
    OpError::unless_empty(faults)?;
    check_scope(tx, workspace, &new.scope)?;
    let done = add(tx, workspace, &new.scope, std::slice::from_ref(new))?;
    let numbers = [new.phone_number.clone()];
    let standing = tx.standing_suppressions(workspace, &numbers, &new.scope)?;
    let is_it = |one: &Suppression| one.reason == new.reason;
    let suppression = standing.into_iter().find(is_it);
    let on_its_way = tx.count_on_its_way(workspace, &new.phone_number, &new.scope)?;
    Ok(Created {
        suppression: suppression.ok_or_else(taken)?,
        skipped: done.skipped,
        is_more: done.is_more,
        on_its_way: u64::try_from(on_its_way).unwrap_or_default(),
    })
}

/// Adds these, all of one scope, and ends what waits for their numbers.
pub fn add(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    scope: &Scope,
    new: &[NewSuppression],
) -> Result<Added> {
    let now = tx.now()?;
    let wanted = merged(workspace, new, now);
    let added = store(tx, workspace, scope, &wanted, now)?;
    let (skipped, is_more) = skip_more(tx, workspace, scope, new)?;
    let given = u64::try_from(new.len()).unwrap_or(u64::MAX);
    Ok(Added {
        added,
        known: given.saturating_sub(added),
        skipped,
        is_more,
    })
}

/// Ends what waits for these numbers, up to [`SKIP_MAX`] for each reason; says how many, and whether
/// there may be more.
pub fn skip_more(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    scope: &Scope,
    new: &[NewSuppression],
) -> Result<(u64, bool)> {
    let now = tx.now()?;
    let mut by_reason: BTreeMap<SuppressionReason, BTreeSet<&PhoneNumber>> = BTreeMap::new();
    for one in new {
        by_reason
            .entry(one.reason)
            .or_default()
            .insert(&one.phone_number);
    }
    let (mut skipped, mut is_more) = (0, false);
    for (reason, numbers) in by_reason {
        let numbers: Vec<PhoneNumber> = numbers.into_iter().cloned().collect();
        let why = SkipReason {
            reason: reason.failure(),
            detail: &reason.detail(now),
        };
        let ended = tx.skip_waiting(workspace, &numbers, scope, why, SKIP_MAX)?;
        let count = i64::try_from(ended.len()).unwrap_or(SKIP_MAX);
        skipped += ended.len() as u64;
        is_more |= count >= SKIP_MAX;
    }
    Ok((skipped, is_more))
}

/// What tells the suppressions of one scope from each other.
type Key = (PhoneNumber, SuppressionReason);

/// In the order of their numbers. Of those given twice the later expiry counts.
fn merged(workspace: WorkspaceId, new: &[NewSuppression], now: Time) -> BTreeMap<Key, Suppression> {
    let mut wanted: BTreeMap<Key, Suppression> = BTreeMap::new();
    for one in new {
        let key = (one.phone_number.clone(), one.reason);
        if let Some(known) = wanted.get_mut(&key) {
            if outlasts(one.expire_time, known.expire_time) {
                known.expire_time = one.expire_time;
            }
            continue;
        }
        let suppression = Suppression {
            id: SuppressionId::generate(),
            workspace_id: workspace,
            phone_number: one.phone_number.clone(),
            scope: one.scope.clone(),
            reason: one.reason,
            source: one.source.clone(),
            actor: one.actor.clone(),
            note: one.note.clone(),
            create_time: now,
            update_time: now,
            expire_time: one.expire_time,
            deletion: None,
        };
        wanted.insert(key, suppression);
    }
    wanted
}

/// Stores what is not there, and prolongs what is; says how many are new. Others may add the same at
/// the same time, so it looks until it finds all as they are to be.
fn store(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    scope: &Scope,
    wanted: &BTreeMap<Key, Suppression>,
    now: Time,
) -> Result<u64> {
    let numbers: Vec<PhoneNumber> = wanted.keys().map(|(number, _)| number.clone()).collect();
    let mut added = 0;
    for _ in 0..ROUNDS {
        let standing = tx.standing_suppressions(workspace, &numbers, scope)?;
        let mut standing: BTreeMap<Key, Suppression> = standing
            .into_iter()
            .map(|one| ((one.phone_number.clone(), one.reason), one))
            .collect();
        let (mut new, mut is_settled) = (Vec::new(), true);
        for (key, one) in wanted {
            match standing.remove(key) {
                None => new.push(one.clone()),
                Some(known) if known.is_living(now) => {
                    if outlasts(one.expire_time, known.expire_time) {
                        is_settled &= tx.prolong_suppression(known.id, one.expire_time)?;
                    }
                }
                // It is kept as what it was, and makes room.
                Some(expired) => {
                    tx.end_suppression(expired.id, &expiry(&expired, now))?;
                    new.push(one.clone());
                }
            }
        }
        let stored = match new.is_empty() {
            true => 0,
            false => tx.insert_suppressions(&new)?,
        };
        added += stored as u64;
        if is_settled && stored == new.len() {
            return Ok(added);
        }
    }
    Err(taken())
}

/// The end of one that had expired, noted when its place is needed.
fn expiry(expired: &Suppression, now: Time) -> Deletion {
    Deletion {
        time: expired.expire_time.unwrap_or(now),
        reason: "it expired".to_owned(),
        actor: OURSELVES.to_owned(),
    }
}

/// Others write the same rows at the same time, again and again: it is different a little later.
fn taken() -> OpError {
    Error::Unavailable("others add and delete the same suppressions just now".to_owned()).into()
}

/// Also one that was deleted or has expired.
pub fn get(tx: &mut dyn Tx, workspace: WorkspaceId, id: SuppressionId) -> Result<Suppression> {
    tx.find_suppression(workspace, id)?
        .ok_or(OpError::NotFound(Resource::Suppression, id.uuid()))
}

/// The row stays, with who deleted it, when and why. One that was deleted before answers as it was then.
pub fn delete(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: SuppressionId,
    reason: &str,
    actor: &str,
) -> Result<Suppression> {
    let known = get(tx, workspace, id)?;
    if known.deletion.is_some() {
        return Ok(known);
    }
    let deletion = Deletion {
        time: tx.now()?,
        reason: reason.to_owned(),
        actor: actor.to_owned(),
    };
    tx.end_suppression(id, &deletion)?;
    get(tx, workspace, id)
}

/// A carrier's word about a recipient holds for the number, in the whole workspace. The voicemail's row is
/// locked before, as everywhere; nothing here waits for another voicemail.
pub fn told_by_carrier(
    tx: &mut dyn Tx,
    delivery: &Delivery,
    carrier: &str,
    failure: Option<FailureReason>,
) -> Result<()> {
    let Some(reason) = failure.and_then(SuppressionReason::told_by) else {
        return Ok(());
    };
    let new = NewSuppression {
        phone_number: delivery.recipient.clone(),
        scope: Scope::Workspace,
        reason,
        source: format!("carrier {carrier}"),
        actor: OURSELVES.to_owned(),
        note: String::new(),
        expire_time: None,
    };
    let done = add(tx, delivery.workspace_id, &Scope::Workspace, &[new])?;
    if done.added > 0 {
        tracing::info!(
            voicemail.id = %delivery.voicemail_id,
            carrier.name = %carrier,
            reason = reason.as_str(),
            skipped = done.skipped,
            "a carrier's word suppresses the recipient"
        );
    }
    Ok(())
}
