//! Consents: who agreed to what, when, and whether they still do.

use super::ids::{ConsentId, UseCaseId, WorkspaceId};
use super::phone::PhoneNumber;
use super::suppression::Scope;
use super::time::Time;

/// Characters of the text that the person was shown.
pub const TEXT_SHOWN_MAX: usize = 2_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    pub id: ConsentId,
    pub workspace_id: WorkspaceId,
    pub phone_number: PhoneNumber,
    pub scope: Scope,
    pub kind: ConsentKind,
    /// Empty: not kept.
    pub text_shown: String,
    pub source: String,
    pub actor: String,
    /// When the person agreed.
    pub consent_time: Time,
    pub create_time: Time,
    /// None: it stands.
    pub revocation: Option<Revocation>,
}

/// When and how a person withdrew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub time: Time,
    pub reason: String,
    pub actor: String,
}

/// The numbers are those of the proto enum `ConsentKind` and of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum ConsentKind {
    /// Said or given, such as by leaving the number for this purpose.
    Express = 1,
    /// In writing and signed, also electronically. It counts wherever an express one does.
    Written = 2,
}

impl ConsentKind {
    pub const ALL: &[ConsentKind] = &[ConsentKind::Express, ConsentKind::Written];

    pub fn from_code(code: i16) -> Option<ConsentKind> {
        let mut all = ConsentKind::ALL.iter().copied();
        all.find(|kind| *kind as i16 == code)
    }

    /// As the protos spell it, without its prefix.
    pub fn as_str(self) -> &'static str {
        match self {
            ConsentKind::Express => "EXPRESS",
            ConsentKind::Written => "WRITTEN",
        }
    }

    /// Is this enough where `needed` is asked for?
    pub fn satisfies(self, needed: ConsentKind) -> bool {
        self >= needed
    }
}

impl Consent {
    pub fn covers(&self, entity_name: &str, use_case: UseCaseId) -> bool {
        self.scope.covers(entity_name, use_case)
    }
}

/// What a recipient's consents come to for one sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'c> {
    Given(&'c Consent),
    /// The last word of the recipient was a no: it stands with this consent.
    Revoked(&'c Consent),
    Missing,
}

/// The latest word about these sendings wins: a consent that is enough, or a withdrawal of any
/// consent that covers them. Where both came at once, it is a no. Words of the future do not count.
pub fn judge<'c>(
    consents: &'c [Consent],
    needed: ConsentKind,
    entity_name: &str,
    use_case: UseCaseId,
    now: Time,
) -> Verdict<'c> {
    let covering = || {
        (consents.iter())
            .filter(move |consent| consent.covers(entity_name, use_case))
            .filter(move |consent| consent.consent_time <= now)
    };
    let revoked_at = |consent: &Consent| {
        let revocation = consent.revocation.as_ref();
        revocation.map(|it| it.time).filter(|time| *time <= now)
    };
    let given = covering()
        .filter(|consent| consent.kind.satisfies(needed))
        .max_by_key(|consent| consent.consent_time);
    let revoked = covering()
        .filter_map(|consent| Some((revoked_at(consent)?, consent)))
        .max_by_key(|(time, _)| *time);
    match (given, revoked) {
        (Some(given), Some((time, _))) if given.consent_time > time => Verdict::Given(given),
        (_, Some((_, revoked))) => Verdict::Revoked(revoked),
        (Some(given), None) => Verdict::Given(given),
        (None, None) => Verdict::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConsentKind::{Express, Written};

    fn consent(kind: ConsentKind, given: i64, revoked: Option<i64>) -> Consent {
        Consent {
            id: ConsentId::generate(),
            workspace_id: WorkspaceId::DEFAULT,
            phone_number: PhoneNumber::from_stored("+12125550123".to_owned()),
            scope: Scope::Workspace,
            kind,
            text_shown: String::new(),
            source: String::new(),
            actor: String::new(),
            consent_time: Time::from_micros(given),
            create_time: Time::from_micros(given),
            revocation: revoked.map(|time| Revocation {
                time: Time::from_micros(time),
                reason: String::new(),
                actor: String::new(),
            }),
        }
    }

    /// `given`, `revoked` or `missing` at time 100.
    fn word(consents: &[Consent], needed: ConsentKind) -> &'static str {
        let now = Time::from_micros(100);
        match judge(consents, needed, "Clinic", UseCaseId::generate(), now) {
            Verdict::Given(_) => "given",
            Verdict::Revoked(_) => "revoked",
            Verdict::Missing => "missing",
        }
    }

    #[test]
    fn the_latest_word_wins() {
        for (consents, express, written) in [
            (vec![], "missing", "missing"),
            (vec![consent(Express, 1, None)], "given", "missing"),
            (vec![consent(Written, 1, None)], "given", "given"),
            (vec![consent(Written, 1, Some(5))], "revoked", "revoked"),
            // A no to one is a no to what was agreed to before it.
            (
                vec![consent(Written, 1, None), consent(Express, 2, Some(5))],
                "revoked",
                "revoked",
            ),
            (
                vec![consent(Written, 1, Some(5)), consent(Express, 6, None)],
                "given",
                "revoked",
            ),
            (
                vec![consent(Written, 6, None), consent(Express, 1, Some(5))],
                "given",
                "given",
            ),
        ] {
            assert_eq!(word(&consents, Express), express, "{consents:?}");
            assert_eq!(word(&consents, Written), written, "{consents:?}");
        }
    }

    #[test]
    fn a_consent_counts_from_the_moment_after_a_revocation() {
        for (again, wanted) in [(4, "revoked"), (5, "revoked"), (6, "given")] {
            let consents = [consent(Express, 1, Some(5)), consent(Express, again, None)];
            assert_eq!(word(&consents, Express), wanted, "{again}");
        }
    }

    #[test]
    fn words_of_the_future_do_not_count() {
        for (given, wanted) in [(99, "given"), (100, "given"), (101, "missing")] {
            assert_eq!(word(&[consent(Express, given, None)], Express), wanted);
        }
        for (revoked, wanted) in [(99, "revoked"), (100, "revoked"), (101, "given")] {
            assert_eq!(word(&[consent(Express, 1, Some(revoked))], Express), wanted);
        }
    }

    #[test]
    fn only_what_covers_the_sending_counts() {
        let use_case = UseCaseId::generate();
        let mut elsewhere = consent(Written, 1, None);
        let mut judged = |scope: Scope| {
            elsewhere.scope = scope;
            let now = Time::from_micros(100);
            let all = [elsewhere.clone()];
            judge(&all, Express, "Clinic", use_case, now) == Verdict::Given(&all[0])
        };
        assert!(judged(Scope::Workspace));
        assert!(judged(Scope::Entity("Clinic".to_owned())));
        assert!(judged(Scope::UseCase(use_case)));
        assert!(!judged(Scope::Entity("Shop".to_owned())));
        assert!(!judged(Scope::UseCase(UseCaseId::generate())));
    }
}
