//! Which of a use case's numbers a voicemail is sent from, and why.

use super::ids::PhoneNumberId;
use super::phone::PhoneNumber;
use super::time::Time;

/// How a use case picks its senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderPlan {
    pub policy: SenderPolicy,
    /// The number that the recipient was last sent from comes first.
    pub is_sticky: bool,
    pub main: Option<PhoneNumberId>,
}

impl Default for SenderPlan {
    fn default() -> SenderPlan {
        SenderPlan {
            policy: SenderPolicy::AreaCode,
            is_sticky: true,
            main: None,
        }
    }
}

/// The numbers are those of the proto enum `SenderPolicy` and of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum SenderPolicy {
    /// One that shares the recipient's area code, else the one that has been idle longest.
    AreaCode = 1,
    /// The one that is named, and no other.
    Main = 2,
    /// The one that has been idle longest.
    LeastRecent = 3,
}

impl SenderPolicy {
    pub fn from_code(code: i16) -> Option<SenderPolicy> {
        [
            SenderPolicy::AreaCode,
            SenderPolicy::Main,
            SenderPolicy::LeastRecent,
        ]
        .into_iter()
        .find(|policy| *policy as i16 == code)
    }
}

/// A number that may be used: assigned to the use case, active, allowed with a carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub id: PhoneNumberId,
    pub number: PhoneNumber,
    /// When a voicemail was last accepted with it; `None`: never.
    pub last_used: Option<Time>,
    /// How many hand-overs may leave from it within 24 hours; `None`: any number.
    pub cap: Option<u32>,
    /// When its age brings another cap.
    pub cap_until: Option<Time>,
    /// Its cap is reached until then.
    pub full_until: Option<Time>,
}

/// Why this number and no other; a rule that stands before another comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SenderRule {
    /// The recipient was last sent from it.
    Sticky,
    /// The use case names it.
    Main,
    /// It shares the recipient's area code.
    AreaCode,
    /// It has been idle longest.
    LeastRecent,
    /// The first hand-over was made from it.
    Fixed,
}

impl SenderRule {
    pub fn as_str(self) -> &'static str {
        match self {
            SenderRule::Sticky => "sticky",
            SenderRule::Main => "main",
            SenderRule::AreaCode => "area_code",
            SenderRule::LeastRecent => "least_recent",
            SenderRule::Fixed => "fixed",
        }
    }
}

/// The sender, and how it came to be that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub candidate: Candidate,
    pub rule: SenderRule,
    /// How many numbers there were to choose from, those whose cap is reached included.
    pub candidates: usize,
    /// Those whose cap is reached, in the order of their ids.
    pub capped: Vec<PhoneNumberId>,
}

/// Why there is no sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSender {
    /// The use case has no assigned, active number.
    NoActiveNumber,
    /// It has, but only the recipient's own.
    OnlyTheRecipient,
    /// The number that it names may not send, and no other does in its place.
    MainMayNotSend,
    /// Each that could send has reached its cap; the first one has room from then on. `is_for_all`: whoever
    /// the recipient is.
    AllCapped { frees: Time, is_for_all: bool },
}

/// The voicemail that a sender is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub recipient: &'a PhoneNumber,
    /// What this recipient was last sent from in this use case.
    pub last_sender: Option<&'a PhoneNumber>,
    /// The sender that it has; it stays where it may send.
    pub current: Option<PhoneNumberId>,
    pub plan: SenderPlan,
}

/// Unless the use case says otherwise the number this recipient was last sent from, if it is still there;
/// else by its policy. A number never calls itself. One whose cap is reached is passed over, but a named
/// number never becomes another: it is waited for.
pub fn choose(candidates: &[Candidate], wanted: Wanted<'_>) -> Result<Choice, NoSender> {
    let others: Vec<&Candidate> = candidates
        .iter()
        .filter(|candidate| candidate.number != *wanted.recipient)
        .collect();
    if others.is_empty() {
        return Err(match candidates.is_empty() {
            true => NoSender::NoActiveNumber,
            false => NoSender::OnlyTheRecipient,
        });
    }
    let able: Vec<(SenderRule, &Candidate)> = others
        .into_iter()
        .filter_map(|candidate| Some((rule_of(candidate, wanted)?, candidate)))
        .collect();
    let free = || (able.iter()).filter(|(_, candidate)| candidate.full_until.is_none());
    let best = free()
        .find(|(_, candidate)| wanted.current == Some(candidate.id))
        .or_else(|| free().min_by_key(|(rule, it)| (*rule, it.last_used, it.id)));
    let full = able
        .iter()
        .filter_map(|(_, candidate)| candidate.full_until);
    match (best, full.min()) {
        (Some((rule, candidate)), _) => Ok(Choice {
            candidate: (*candidate).clone(),
            rule: *rule,
            candidates: able.len(),
            capped: capped(&able),
        }),
        (None, Some(frees)) => {
            let named_alone = wanted.plan.policy == SenderPolicy::Main && !wanted.plan.is_sticky;
            let mut all = candidates.iter();
            Err(NoSender::AllCapped {
                frees,
                is_for_all: named_alone || all.all(|candidate| candidate.full_until.is_some()),
            })
        }
        (None, None) => Err(NoSender::MainMayNotSend),
    }
}

/// The first rule by which this number may send it, in the order in which they count; `None`: none.
fn rule_of(candidate: &Candidate, wanted: Wanted<'_>) -> Option<SenderRule> {
    let SenderPlan {
        policy,
        is_sticky,
        main,
    } = wanted.plan;
    if is_sticky && wanted.last_sender == Some(&candidate.number) {
        return Some(SenderRule::Sticky);
    }
    let area_code = wanted.recipient.area_code();
    match policy {
        SenderPolicy::Main => (main == Some(candidate.id)).then_some(SenderRule::Main),
        SenderPolicy::AreaCode
            if area_code.is_some() && candidate.number.area_code() == area_code =>
        {
            Some(SenderRule::AreaCode)
        }
        SenderPolicy::AreaCode | SenderPolicy::LeastRecent => Some(SenderRule::LeastRecent),
    }
}

fn capped(able: &[(SenderRule, &Candidate)]) -> Vec<PhoneNumberId> {
    let full = |(_, candidate): &&(SenderRule, &Candidate)| candidate.full_until.is_some();
    let mut capped: Vec<PhoneNumberId> = (able.iter().filter(full))
        .map(|(_, candidate)| candidate.id)
        .collect();
    capped.sort();
    capped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::from_stored(text.to_owned())
    }

    fn candidate(text: &str, last_used: Option<i64>) -> Candidate {
        Candidate {
            id: PhoneNumberId::generate(),
            number: number(text),
            last_used: last_used.map(Time::from_micros),
            cap: None,
            cap_until: None,
            full_until: None,
        }
    }

    fn full(text: &str, until: i64) -> Candidate {
        Candidate {
            cap: Some(1),
            full_until: Some(Time::from_micros(until)),
            ..candidate(text, None)
        }
    }

    fn plan(policy: SenderPolicy) -> SenderPlan {
        SenderPlan {
            policy,
            ..SenderPlan::default()
        }
    }

    /// The number and the rule.
    fn chosen(
        candidates: &[Candidate],
        recipient: &str,
        last: Option<&str>,
        plan: SenderPlan,
    ) -> Result<(String, SenderRule), NoSender> {
        let (recipient, last) = (number(recipient), last.map(number));
        let wanted = Wanted {
            recipient: &recipient,
            last_sender: last.as_ref(),
            current: None,
            plan,
        };
        let choice = choose(candidates, wanted)?;
        Ok((choice.candidate.number.e164().to_owned(), choice.rule))
    }

    fn says(number: &str, rule: SenderRule) -> Result<(String, SenderRule), NoSender> {
        Ok((number.to_owned(), rule))
    }

    #[test]
    fn the_last_sender_comes_before_the_same_area_code_and_that_before_the_longest_idle() {
        let candidates = [
            candidate("+13125550150", Some(1)),
            candidate("+12125550150", Some(9)),
            candidate("+14155550150", Some(5)),
        ];
        let of = |recipient, last| chosen(&candidates, recipient, last, SenderPlan::default());
        let (near, far) = ("+12125550100", "+16175550100");
        let sticky = says("+14155550150", SenderRule::Sticky);
        let area = says("+12125550150", SenderRule::AreaCode);
        assert_eq!(of(near, Some("+14155550150")), sticky);
        assert_eq!(of(near, Some("+19995550150")), area);
        assert_eq!(of(near, None), area);
        assert_eq!(of(far, None), says("+13125550150", SenderRule::LeastRecent));
    }

    #[test]
    fn each_policy_has_its_order_and_sticky_can_be_switched_off() {
        use SenderPolicy::{AreaCode, LeastRecent, Main};
        let candidates = [
            candidate("+13125550150", Some(1)),
            candidate("+12125550150", Some(9)),
            candidate("+14155550150", Some(5)),
        ];
        let (recipient, last) = ("+12125550100", Some("+14155550150"));
        for (policy, number, rule) in [
            (AreaCode, "+12125550150", SenderRule::AreaCode),
            (LeastRecent, "+13125550150", SenderRule::LeastRecent),
            (Main, "+13125550150", SenderRule::Main),
        ] {
            let sticky = SenderPlan {
                main: Some(candidates[0].id),
                ..plan(policy)
            };
            assert_eq!(
                chosen(&candidates, recipient, last, sticky),
                says("+14155550150", SenderRule::Sticky),
                "{policy:?}"
            );
            let loose = SenderPlan {
                is_sticky: false,
                ..sticky
            };
            assert_eq!(
                chosen(&candidates, recipient, last, loose),
                says(number, rule),
                "{policy:?}"
            );
        }
    }

    #[test]
    fn a_number_whose_cap_is_reached_is_passed_over() {
        let candidates = [
            full("+12125550150", 7),
            candidate("+13125550150", Some(9)),
            full("+14155550150", 5),
        ];
        let of = |last| chosen(&candidates, "+12125550100", last, SenderPlan::default());
        let other = says("+13125550150", SenderRule::LeastRecent);
        assert_eq!(of(None), other);
        assert_eq!(of(Some("+14155550150")), other);
        let frees = Time::from_micros(5);
        let none = [candidates[0].clone(), candidates[2].clone()];
        assert_eq!(
            chosen(&none, "+12125550100", None, SenderPlan::default()),
            Err(NoSender::AllCapped {
                frees,
                is_for_all: true
            })
        );
    }

    #[test]
    fn a_named_number_never_becomes_another() {
        let (main, other) = (
            candidate("+13125550150", None),
            candidate("+12125550150", None),
        );
        let named = |id| SenderPlan {
            main: Some(id),
            ..plan(SenderPolicy::Main)
        };
        let recipient = "+12125550100";
        let gone = chosen(
            std::slice::from_ref(&other),
            recipient,
            None,
            named(main.id),
        );
        assert_eq!(gone, Err(NoSender::MainMayNotSend));
        let frees = Time::from_micros(3);
        let busy = Candidate {
            full_until: Some(frees),
            ..main
        };
        let both = [busy.clone(), other];
        assert_eq!(
            chosen(&both, recipient, None, named(busy.id)),
            Err(NoSender::AllCapped {
                frees,
                is_for_all: false
            })
        );
        let loose = SenderPlan {
            is_sticky: false,
            ..named(busy.id)
        };
        assert_eq!(
            chosen(&both, recipient, None, loose),
            Err(NoSender::AllCapped {
                frees,
                is_for_all: true
            })
        );
        // But for the one that the recipient knows.
        assert_eq!(
            chosen(&both, recipient, Some("+12125550150"), named(busy.id)),
            says("+12125550150", SenderRule::Sticky)
        );
    }

    #[test]
    fn a_choice_says_what_it_was_made_from() {
        let candidates = [
            full("+12125550150", 7),
            candidate("+13125550150", None),
            candidate("+12125550100", None),
        ];
        let recipient = number("+12125550100");
        let wanted = Wanted {
            recipient: &recipient,
            last_sender: None,
            current: None,
            plan: SenderPlan::default(),
        };
        let choice = choose(&candidates, wanted).expect("one has room");
        assert_eq!(choice.candidate, candidates[1]);
        assert_eq!(
            (choice.candidates, choice.capped),
            (2, vec![candidates[0].id])
        );
    }

    #[test]
    fn the_sender_that_it_has_stays_as_long_as_it_may_send() {
        let near = candidate("+12125550150", None);
        let mut has = candidate("+13125550150", Some(9));
        let recipient = number("+12125550100");
        let chosen = |has: &Candidate, plan| {
            let wanted = Wanted {
                recipient: &recipient,
                last_sender: None,
                current: Some(has.id),
                plan,
            };
            let choice = choose(&[near.clone(), has.clone()], wanted);
            choice.map(|choice| (choice.candidate.id, choice.rule))
        };
        let any = SenderPlan::default();
        assert_eq!(chosen(&has, any), Ok((has.id, SenderRule::LeastRecent)));
        let named = SenderPlan {
            main: Some(near.id),
            ..plan(SenderPolicy::Main)
        };
        assert_eq!(chosen(&has, named), Ok((near.id, SenderRule::Main)));
        has.full_until = Some(Time::EPOCH);
        assert_eq!(chosen(&has, any), Ok((near.id, SenderRule::AreaCode)));
    }

    #[test]
    fn a_number_that_was_never_used_has_been_idle_longest() {
        let candidates = [
            candidate("+13125550150", Some(1)),
            candidate("+14155550150", None),
        ];
        let chosen = chosen(&candidates, "+16175550100", None, SenderPlan::default());
        assert_eq!(chosen, says("+14155550150", SenderRule::LeastRecent));
    }

    #[test]
    fn numbers_outside_the_north_american_plan_share_no_area_code() {
        let candidates = [
            candidate("+4930123456", Some(9)),
            candidate("+4989123456", Some(1)),
        ];
        let chosen = chosen(&candidates, "+4930999999", None, SenderPlan::default());
        assert_eq!(chosen, says("+4989123456", SenderRule::LeastRecent));
    }

    #[test]
    fn a_number_is_never_its_own_recipient() {
        let recipient = "+12125550100";
        let of = |candidates: &[Candidate]| {
            chosen(
                candidates,
                recipient,
                Some(recipient),
                SenderPlan::default(),
            )
        };
        assert_eq!(of(&[]), Err(NoSender::NoActiveNumber));
        let own = [candidate(recipient, None)];
        assert_eq!(of(&own), Err(NoSender::OnlyTheRecipient));
    }
}
