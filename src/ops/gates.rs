//! The gates: what is asked of a voicemail at the moment of sending, in their fixed order, each time
//! anew. All of them are asked, also where one has refused already, so that what is kept answers
//! "why did this patient not get it" at once. What can't be read is an error, and nothing is sent.

use std::time::Duration;

use super::error::Result;
use crate::carrier::Registry;
use crate::domain::caps::{self, CapVerdict};
use crate::domain::consent;
use crate::domain::failure::FailureReason;
use crate::domain::gate::{Finding, Findings, Gate, Rules, Verdict};
use crate::domain::ids::WorkspaceId;
use crate::domain::phone::PhoneNumber;
use crate::domain::place::Place;
use crate::domain::profile::Profile;
use crate::domain::suppression::Scope;
use crate::domain::telephony::Setup;
use crate::domain::time::Time;
use crate::domain::use_case::{Purpose, UseCase};
use crate::domain::window::Window;
use crate::storage::{CountedFilter, Tx};

/// What they are asked about.
pub struct Subject<'a> {
    pub workspace: WorkspaceId,
    pub use_case: &'a UseCase,
    pub setup: &'a Setup,
    pub recipient: &'a PhoneNumber,
    pub time_zone: Option<&'a str>,
    pub postal_code: Option<&'a str>,
    /// None: it is not judged.
    pub audio_length: Option<Duration>,
    /// When it would be sent.
    pub send_time: Time,
    /// From then on it is not sent any more; none: it is not known.
    pub expire_time: Option<Time>,
}

/// What waits for the operator's choice of a profile, which takes a restart, is left alone for this long.
const CHOICE_WAIT: Duration = Duration::from_secs(10 * 60);
/// How long what no number may send is left alone, as far as one asks beforehand.
pub const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// May a setup send for a purpose at all? Until the operator has chosen its profile, the sandbox
/// alone may.
pub fn may_send_for(purpose: Purpose, rules: &Rules, setup: &Setup, registry: &Registry) -> bool {
    rules.profiles.find(purpose).is_some() || registry.all_simulated(&setup.carriers)
}

/// One without a purpose is OTHER.
pub fn purpose_of(use_case: &UseCase) -> Purpose {
    use_case.purpose.unwrap_or(Purpose::Other)
}

/// Asks all gates but the last one, that of the sender, which has more to say than a verdict.
///
/// The caps of a recipient are counted under a lock that lasts as long as the unit of work, so that of
/// two workers only one finds the last place free.
pub fn check(
    tx: &mut dyn Tx,
    rules: &Rules,
    registry: &Registry,
    subject: &Subject<'_>,
) -> Result<Findings> {
    let profile = rules.profiles.find(purpose_of(subject.use_case));
    let place = rules
        .tables
        .place(subject.recipient, subject.time_zone, subject.postal_code);
    let findings = vec![
        recipient(rules, subject),
        suppression(tx, subject)?,
        purpose(rules, registry, subject),
        consent(tx, profile, subject)?,
        audio(profile, subject),
        cap(tx, profile, &place, subject)?,
        window(rules, profile, &place, subject),
    ];
    Ok(Findings {
        findings,
        rules_version: rules.tables.version(),
    })
}

fn recipient(rules: &Rules, subject: &Subject<'_>) -> Finding {
    let gate = Gate::Recipient;
    match rules.numbers.parse(subject.recipient.e164()) {
        Ok(_) => Finding::new(gate, Verdict::Pass, "the number may be sent to"),
        Err(error) => {
            let reason = FailureReason::RecipientNotAllowed;
            Finding::new(gate, Verdict::Refuse { reason }, error.to_string())
        }
    }
    .input("allowed countries", rules.numbers.allowed_countries())
}

fn suppression(tx: &mut dyn Tx, subject: &Subject<'_>) -> Result<Finding> {
    let gate = Gate::Suppression;
    let use_case = subject.use_case;
    let all = tx.suppressions_of(subject.workspace, subject.recipient)?;
    let known = all.len();
    let found = all
        .into_iter()
        .find(|one| one.scope.covers(&use_case.entity_name, use_case.id));
    Ok(match found {
        None => Finding::new(gate, Verdict::Pass, "the number is not suppressed here")
            .input("suppressions of the number", known),
        Some(suppression) => {
            let reason = suppression.reason;
            let verdict = Verdict::Refuse {
                reason: reason.failure(),
            };
            Finding::new(gate, verdict, reason.detail(suppression.create_time))
                .input("suppression", suppression.id)
                .input("scope", scope_text(&suppression.scope))
                .input("reason", suppression.reason.as_str())
                .input("source", &suppression.source)
                .input("since", suppression.create_time)
        }
    })
}

fn scope_text(scope: &Scope) -> String {
    match scope {
        Scope::Workspace => "the workspace".to_owned(),
        Scope::Entity(name) => format!("entity {name}"),
        Scope::UseCase(id) => format!("use case {id}"),
    }
}

fn purpose(rules: &Rules, registry: &Registry, subject: &Subject<'_>) -> Finding {
    let gate = Gate::Purpose;
    let purpose = purpose_of(subject.use_case);
    let finding = match (
        rules.profiles.find(purpose),
        may_send_for(purpose, rules, subject.setup, registry),
    ) {
        (Some(profile), _) => {
            Finding::new(gate, Verdict::Pass, "the operator has chosen its profile").input(
                "acknowledged",
                profile.acknowledged.as_deref().unwrap_or("nothing"),
            )
        }
        (None, true) => Finding::new(
            gate,
            Verdict::Pass,
            "the operator has not chosen its profile, so only the sandbox may send, without limits of a purpose",
        ),
        (None, false) => Finding::new(
            gate,
            Verdict::Hold {
                until: subject.send_time.plus(CHOICE_WAIT),
            },
            format!(
                "the operator has not chosen what holds for purpose {} (`[purposes.{}]` in the configuration); carriers other than the sandbox wait for that",
                purpose.as_str(),
                purpose.as_str().to_lowercase()
            ),
        ),
    };
    let stated = match subject.use_case.purpose {
        Some(purpose) => purpose.as_str(),
        None => "none is stated: OTHER",
    };
    finding.input("purpose", stated)
}

fn consent(tx: &mut dyn Tx, profile: Option<&Profile>, subject: &Subject<'_>) -> Result<Finding> {
    let gate = Gate::Consent;
    let Some(needed) = profile.and_then(|profile| profile.consent) else {
        return Ok(Finding::new(
            gate,
            Verdict::Pass,
            "no consent has to be on record; the caller answers for it",
        ));
    };
    let use_case = subject.use_case;
    let consents = tx.consents_of(subject.workspace, subject.recipient)?;
    let finding = match consent::judge(
        &consents,
        needed,
        &use_case.entity_name,
        use_case.id,
        subject.send_time,
    ) {
        consent::Verdict::Given(consent) => {
            Finding::new(gate, Verdict::Pass, "a consent is on record")
                .input("consent", consent.id)
                .input("given", consent.consent_time)
                .input("source", &consent.source)
        }
        consent::Verdict::Revoked(consent) => Finding::new(
            gate,
            Verdict::Refuse {
                reason: FailureReason::ConsentRevoked,
            },
            "the consent on record has been revoked",
        )
        .input("consent", consent.id),
        consent::Verdict::Missing => Finding::new(
            gate,
            Verdict::Refuse {
                reason: FailureReason::ConsentMissing,
            },
            "no consent of the kind that the purpose needs is on record",
        ),
    };
    Ok(finding
        .input("needed", needed.as_str())
        .input("consents of the number", consents.len()))
}

fn audio(profile: Option<&Profile>, subject: &Subject<'_>) -> Finding {
    let gate = Gate::Audio;
    let (Some(profile), Some(length)) = (profile, subject.audio_length) else {
        let why = "its length has no bound but the service's own";
        return Finding::new(gate, Verdict::Pass, why);
    };
    let finding = match length > profile.audio_max {
        false => Finding::new(gate, Verdict::Pass, "it is not too long"),
        true => Finding::new(
            gate,
            Verdict::Refuse {
                reason: FailureReason::AudioNotAllowed,
            },
            "the audio is longer than the purpose allows",
        ),
    };
    let seconds = |length: Duration| format!("{:.3} s", length.as_secs_f64());
    finding
        .input("length", seconds(length))
        .input("allowed", seconds(profile.audio_max))
}

fn cap(
    tx: &mut dyn Tx,
    profile: Option<&Profile>,
    place: &Place,
    subject: &Subject<'_>,
) -> Result<Finding> {
    let gate = Gate::Cap;
    let limits = profile.map_or(&[][..], |profile| &profile.caps);
    let longest = limits.iter().map(|limit| limit.days).max();
    let most = limits.iter().map(|limit| limit.max).max();
    let (Some(longest), Some(most)) = (longest, most) else {
        return Ok(Finding::new(gate, Verdict::Pass, "the purpose has no caps"));
    };
    let (now, use_case) = (subject.send_time, subject.use_case);
    tx.lock_recipient(subject.workspace, subject.recipient)?;
    let filter = CountedFilter {
        recipient: subject.recipient.clone(),
        entity_name: use_case.entity_name.clone(),
        purpose: Some(purpose_of(use_case)),
        // A local day may have 25 hours, and the zones of a place lie up to a day apart.
        since: now.minus(DAY * (longest + 2)),
        except: None,
    };
    let uses = tx.counted(subject.workspace, &filter, most.into())?;
    let verdict = caps::judge(
        &uses,
        limits,
        |days_back| place.local_day_starts(now, days_back),
        |instant, days| place.next_local_midnight_after(instant, days),
        now,
    );
    let finding = match verdict {
        CapVerdict::Free { .. } => {
            Finding::new(gate, Verdict::Pass, "the recipient may have one more")
        }
        CapVerdict::Full { limit, used, frees } => {
            let why = format!(
                "the recipient has had {used} in {} day(s), and the purpose allows {}; there is room again at {frees}",
                limit.days, limit.max
            );
            let is_too_late = subject.expire_time.is_some_and(|expire| frees >= expire);
            let verdict = match is_too_late {
                true => Verdict::Refuse {
                    reason: FailureReason::FrequencyCap,
                },
                false => Verdict::Hold { until: frees },
            };
            Finding::new(gate, verdict, why)
        }
    };
    let limits: Vec<String> = limits
        .iter()
        .map(|limit| format!("{} in {} day(s)", limit.max, limit.days))
        .collect();
    let last: Vec<String> = uses.iter().take(5).map(ToString::to_string).collect();
    let finding = finding
        .input("limits", limits.join(", "))
        .input("entity", &use_case.entity_name)
        .input("counted", uses.len());
    Ok(match last.is_empty() {
        true => finding,
        false => finding.input("last", last.join(", ")),
    })
}

fn window(
    rules: &Rules,
    profile: Option<&Profile>,
    place: &Place,
    subject: &Subject<'_>,
) -> Finding {
    let gate = Gate::Window;
    let Some(profile) = profile else {
        let why = "without a chosen profile there are no hours to keep";
        return Finding::new(gate, Verdict::Pass, why);
    };
    let now = subject.send_time;
    let finding = match profile.window.judge(&rules.tables, place, now) {
        Window::Open { until } => {
            Finding::new(gate, Verdict::Pass, format!("it is open until {until}"))
        }
        Window::Closed { opens, why } => {
            // One that does not open is looked at again before its voicemail expires, or with new tables.
            let until = opens.unwrap_or(now.plus(DAY));
            let why = match opens {
                Some(opens) => format!("{why}; it opens at {opens}"),
                None => format!("{why}; it does not open in the next days"),
            };
            Finding::new(gate, Verdict::Hold { until }, why)
        }
    };
    finding.inputs(profile.window.evidence(&rules.tables, place, now))
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// May a hand-over in doubt be repeated now? It may deliver what the first call did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeat {
    Yes,
    /// Not before this time.
    From(Time),
    /// Not at all (any more).
    No,
}

/// What may have changed since the first call: the recipient, the purpose, the consent and the hour. Caps have
/// counted it, and its sender is fixed.
pub fn may_repeat(
    tx: &mut dyn Tx,
    rules: &Rules,
    registry: &Registry,
    subject: &Subject<'_>,
) -> Result<Repeat> {
    let profile = rules.profiles.find(purpose_of(subject.use_case));
    let place = rules
        .tables
        .place(subject.recipient, subject.time_zone, subject.postal_code);
    let findings = [
        recipient(rules, subject),
        suppression(tx, subject)?,
        purpose(rules, registry, subject),
        consent(tx, profile, subject)?,
        window(rules, profile, &place, subject),
    ];
    let found = Findings {
        findings: findings.into(),
        rules_version: String::new(),
    };
    Ok(match found.decisive().map(|finding| finding.verdict) {
        None | Some(Verdict::Pass) => Repeat::Yes,
        Some(Verdict::Hold { until }) => Repeat::From(until),
        Some(Verdict::Refuse { .. }) => Repeat::No,
    })
}
