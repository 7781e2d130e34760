//! Numbers that nothing is sent to: for which sendings, why, and for how long.

use super::failure::FailureReason;
use super::ids::{SuppressionId, UseCaseId, WorkspaceId};
use super::phone::PhoneNumber;
use super::time::Time;

/// Characters of a source, an actor, a note, and the reason of a deletion or revocation: one line.
pub const LINE_MAX: usize = 200;

/// Who acts where the service itself does.
pub const OURSELVES: &str = "ringless";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    pub id: SuppressionId,
    pub workspace_id: WorkspaceId,
    pub phone_number: PhoneNumber,
    pub scope: Scope,
    pub reason: SuppressionReason,
    /// Where it came from, such as a file, a hotline or a carrier.
    pub source: String,
    /// Who added it.
    pub actor: String,
    /// Empty: none.
    pub note: String,
    pub create_time: Time,
    /// When its expiry last became later, or it was deleted.
    pub update_time: Time,
    /// None: it holds for ever.
    pub expire_time: Option<Time>,
    /// None: it has not been deleted.
    pub deletion: Option<Deletion>,
}

/// Who took a suppression away, when and why. The row stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    pub time: Time,
    pub reason: String,
    pub actor: String,
}

impl Suppression {
    /// Does it hold at this time, for the sendings in its scope?
    pub fn is_living(&self, now: Time) -> bool {
        self.deletion.is_none() && self.expire_time.is_none_or(|end| end > now)
    }
}

/// Does an expiry end later than another? None is for ever.
pub fn outlasts(one: Option<Time>, other: Option<Time>) -> bool {
    match (one, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(one), Some(other)) => one > other,
    }
}

/// Which sendings a suppression or a consent is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All of the workspace's.
    Workspace,
    /// Those of all use cases of this entity, whose name is compared as it is written.
    Entity(String),
    UseCase(UseCaseId),
}

/// The kinds of scope. The numbers are those of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum ScopeKind {
    Workspace = 1,
    Entity = 2,
    UseCase = 3,
}

impl ScopeKind {
    pub fn from_code(code: i16) -> Option<ScopeKind> {
        [ScopeKind::Workspace, ScopeKind::Entity, ScopeKind::UseCase]
            .into_iter()
            .find(|kind| *kind as i16 == code)
    }
}

impl Scope {
    pub fn covers(&self, entity_name: &str, use_case: UseCaseId) -> bool {
        match self {
            Scope::Workspace => true,
            Scope::Entity(name) => name == entity_name,
            Scope::UseCase(id) => *id == use_case,
        }
    }

    pub fn kind(&self) -> ScopeKind {
        match self {
            Scope::Workspace => ScopeKind::Workspace,
            Scope::Entity(_) => ScopeKind::Entity,
            Scope::UseCase(_) => ScopeKind::UseCase,
        }
    }

    /// What tells it from others of its kind.
    pub fn key(&self) -> String {
        match self {
            Scope::Workspace => String::new(),
            Scope::Entity(name) => name.clone(),
            Scope::UseCase(id) => id.to_string(),
        }
    }

    /// The scope that was stored as this kind and key.
    pub fn from_parts(kind: ScopeKind, key: String) -> Option<Scope> {
        match kind {
            ScopeKind::Workspace => key.is_empty().then_some(Scope::Workspace),
            ScopeKind::Entity => Some(Scope::Entity(key)),
            ScopeKind::UseCase => UseCaseId::parse(&key).ok().map(Scope::UseCase),
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal => $failure:ident;)+) => {
        /// Why a number is suppressed. The numbers are those of the proto enum `SuppressionReason`
        /// and of the database column.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum SuppressionReason { $($(#[$doc])* $name = $code),+ }

        impl SuppressionReason {
            pub const ALL: &[SuppressionReason] = &[$(SuppressionReason::$name),+];

            pub fn from_code(code: i16) -> Option<SuppressionReason> {
                match code { $($code => Some(SuppressionReason::$name),)+ _ => None }
            }

            /// As the protos spell it, without its prefix.
            pub fn as_str(self) -> &'static str {
                match self { $(SuppressionReason::$name => $text),+ }
            }

            /// Why a voicemail ends that is not sent for it.
            pub fn failure(self) -> FailureReason {
                match self { $(SuppressionReason::$name => FailureReason::$failure),+ }
            }
        }
    };
}

reasons! {
    /// The recipient asked to be left alone.
    OptOut = 1, "OPT_OUT" => InternalDnc;
    Complaint = 2, "COMPLAINT" => InternalDnc;
    /// Known to sue those who call.
    Litigator = 3, "LITIGATOR" => KnownLitigator;
    /// The number belongs to somebody else by now.
    Reassigned = 4, "REASSIGNED" => ReassignedNumber;
    WrongNumber = 5, "WRONG_NUMBER" => InternalDnc;
    /// A carrier has it on its list.
    CarrierDnc = 6, "CARRIER_DNC" => CarrierDnc;
}

impl SuppressionReason {
    /// By its name, in any case and with `-` or `_`.
    pub fn parse(text: &str) -> Option<SuppressionReason> {
        let name = text.trim().to_ascii_uppercase().replace('-', "_");
        let name = name.strip_prefix("SUPPRESSION_REASON_").unwrap_or(&name);
        let mut all = SuppressionReason::ALL.iter().copied();
        all.find(|reason| reason.as_str() == name)
    }

    /// What a carrier's refusal of one voicemail means for the number; none: nothing.
    pub fn told_by(reason: FailureReason) -> Option<SuppressionReason> {
        match reason {
            FailureReason::CarrierDnc => Some(SuppressionReason::CarrierDnc),
            FailureReason::KnownLitigator => Some(SuppressionReason::Litigator),
            FailureReason::ReassignedNumber => Some(SuppressionReason::Reassigned),
            _ => None,
        }
    }

    /// What stands with a voicemail that was waiting when its recipient was suppressed.
    pub fn detail(self, time: Time) -> String {
        format!("the recipient was suppressed ({}) at {time}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::status::Status;

    #[test]
    fn each_reason_has_its_own_number_and_ends_a_voicemail_as_skipped() {
        for (at, reason) in SuppressionReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, at + 1);
            assert_eq!(SuppressionReason::from_code(*reason as i16), Some(*reason));
            assert_eq!(reason.failure().ends_as(), Status::Skipped);
            assert_eq!(SuppressionReason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(SuppressionReason::from_code(0), None);
        assert_eq!(SuppressionReason::from_code(7), None);
    }

    #[test]
    fn a_reason_is_read_in_any_spelling() {
        for text in [
            "opt-out",
            "OPT_OUT",
            " Opt_Out ",
            "SUPPRESSION_REASON_OPT_OUT",
        ] {
            assert_eq!(
                SuppressionReason::parse(text),
                Some(SuppressionReason::OptOut)
            );
        }
        for text in ["", "optout", "UNSPECIFIED"] {
            assert_eq!(SuppressionReason::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_carrier_tells_of_a_number_what_a_suppression_would_have_said() {
        for failure in FailureReason::ALL {
            if let Some(told) = SuppressionReason::told_by(*failure) {
                assert_eq!(told.failure(), *failure);
            }
        }
        assert_eq!(SuppressionReason::told_by(FailureReason::MailboxFull), None);
    }

    #[test]
    fn a_scope_covers_its_own_and_reads_back() {
        let (one, other) = (UseCaseId::generate(), UseCaseId::generate());
        let entity = Scope::Entity("Clinic".to_owned());
        for (scope, clinic_one, clinic_other, shop_other) in [
            (Scope::Workspace, true, true, true),
            (entity, true, true, false),
            (Scope::UseCase(one), true, false, false),
        ] {
            assert_eq!(scope.covers("Clinic", one), clinic_one, "{scope:?}");
            assert_eq!(scope.covers("Clinic", other), clinic_other, "{scope:?}");
            assert_eq!(scope.covers("Shop", other), shop_other, "{scope:?}");
            let read = Scope::from_parts(scope.kind(), scope.key());
            assert_eq!(read, Some(scope));
        }
        assert_eq!(Scope::from_parts(ScopeKind::UseCase, "x".to_owned()), None);
    }

    #[test]
    fn it_ends_at_its_expiry_and_not_before() {
        let end = Time::from_micros(10);
        let mut suppression = Suppression {
            id: SuppressionId::generate(),
            workspace_id: WorkspaceId::DEFAULT,
            phone_number: PhoneNumber::from_stored("+12125550123".to_owned()),
            scope: Scope::Workspace,
            reason: SuppressionReason::OptOut,
            source: String::new(),
            actor: String::new(),
            note: String::new(),
            create_time: Time::EPOCH,
            update_time: Time::EPOCH,
            expire_time: Some(end),
            deletion: None,
        };
        for (now, living) in [(9, true), (10, false), (11, false)] {
            assert_eq!(
                suppression.is_living(Time::from_micros(now)),
                living,
                "{now}"
            );
        }
        suppression.expire_time = None;
        assert!(suppression.is_living(Time::from_micros(i64::MAX)));
        suppression.deletion = Some(Deletion {
            time: Time::EPOCH,
            reason: "by mistake".to_owned(),
            actor: "me".to_owned(),
        });
        assert!(!suppression.is_living(Time::from_micros(1)));
    }

    #[test]
    fn for_ever_outlasts_everything_but_itself() {
        let (early, late) = (Some(Time::from_micros(1)), Some(Time::from_micros(2)));
        assert!(outlasts(None, late) && outlasts(late, early));
        for (one, other) in [(None, None), (late, None), (early, late), (late, late)] {
            assert!(!outlasts(one, other), "{one:?} {other:?}");
        }
    }
}
