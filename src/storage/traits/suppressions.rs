//! Whom nothing is sent to, and who has agreed to be sent to.

use crate::domain::consent::{Consent, ConsentKind, Revocation};
use crate::domain::failure::FailureReason;
use crate::domain::ids::{ConsentId, SuppressionId, VoicemailId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::suppression::{Deletion, Scope, ScopeKind, Suppression, SuppressionReason};
use crate::domain::time::Time;

use super::Page;
use crate::storage::Result;

pub trait SuppressionStore {
    /// Those of this number that hold now, in every scope.
    fn suppressions_of(
        &mut self,
        workspace: WorkspaceId,
        number: &PhoneNumber,
    ) -> Result<Vec<Suppression>>;
    /// Those of these numbers in this very scope that are not deleted, expired ones included.
    fn standing_suppressions(
        &mut self,
        workspace: WorkspaceId,
        numbers: &[PhoneNumber],
        scope: &Scope,
    ) -> Result<Vec<Suppression>>;
    /// Stores those that no other of their number, scope and reason stands in the way of; says how
    /// many. Given in the order of their numbers, so that two of these at once do not wait for each
    /// other.
    fn insert_suppressions(&mut self, new: &[Suppression]) -> Result<usize>;
    /// Moves the expiry to a later time, or away, where that is what it does; else `false`.
    fn prolong_suppression(&mut self, id: SuppressionId, until: Option<Time>) -> Result<bool>;
    /// Notes the deletion of one that is not deleted; else `false`.
    fn end_suppression(&mut self, id: SuppressionId, deletion: &Deletion) -> Result<bool>;
    /// Deleted ones too.
    fn find_suppression(
        &mut self,
        workspace: WorkspaceId,
        id: SuppressionId,
    ) -> Result<Option<Suppression>>;
    fn list_suppressions(
        &mut self,
        workspace: WorkspaceId,
        filter: &SuppressionFilter,
        page: Page,
    ) -> Result<Vec<Suppression>>;
    /// Ends what is ACCEPTED to these numbers within the scope, at most `limit` of them. What another
    /// unit of work has locked is passed over: it is being claimed, and is looked at again before it
    /// leaves.
    fn skip_waiting(
        &mut self,
        workspace: WorkspaceId,
        numbers: &[PhoneNumber],
        scope: &Scope,
        why: SkipReason<'_>,
        limit: i64,
    ) -> Result<Vec<VoicemailId>>;
    /// Is any number suppressed for this entity now?
    fn is_entity_suppressed(&mut self, workspace: WorkspaceId, entity_name: &str) -> Result<bool>;
    /// How many to this number within the scope are SENDING or SENT.
    fn count_on_its_way(
        &mut self,
        workspace: WorkspaceId,
        number: &PhoneNumber,
        scope: &Scope,
    ) -> Result<i64>;
}

/// What stands with a voicemail that was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkipReason<'d> {
    pub reason: FailureReason,
    pub detail: &'d str,
}

/// All that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SuppressionFilter {
    pub phone_number: Option<PhoneNumber>,
    pub scope: ScopeFilter,
    pub reasons: Vec<SuppressionReason>,
    /// Also what is deleted or has expired.
    pub include_deleted: bool,
}

/// Scopes of any of these kinds, and this very one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeFilter {
    pub kinds: Vec<ScopeKind>,
    pub only: Option<Scope>,
}

pub trait ConsentStore {
    /// All of this number, in every scope, revoked ones too.
    fn consents_of(&mut self, workspace: WorkspaceId, number: &PhoneNumber)
    -> Result<Vec<Consent>>;
    fn insert_consent(&mut self, consent: &Consent) -> Result<()>;
    fn find_consent(&mut self, workspace: WorkspaceId, id: ConsentId) -> Result<Option<Consent>>;
    fn list_consents(
        &mut self,
        workspace: WorkspaceId,
        filter: &ConsentFilter,
        page: Page,
    ) -> Result<Vec<Consent>>;
    /// Notes the revocation of one that stands; else `false`.
    fn revoke_consent(&mut self, id: ConsentId, revocation: &Revocation) -> Result<bool>;
}

/// All that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsentFilter {
    pub phone_number: Option<PhoneNumber>,
    pub scope: ScopeFilter,
    pub kinds: Vec<ConsentKind>,
    /// Revoked ones, or standing ones; none: both.
    pub is_revoked: Option<bool>,
}
