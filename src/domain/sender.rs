//! Which of a use case's numbers a voicemail is sent from.

use super::ids::PhoneNumberId;
use super::phone::PhoneNumber;
use super::time::Time;

/// A number that may be used: assigned to the use case, active, allowed with a carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub id: PhoneNumberId,
    pub number: PhoneNumber,
    /// When a voicemail was last accepted with it; `None`: never.
    pub last_used: Option<Time>,
}

/// Why there is no sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSender {
    /// The use case has no assigned, active number.
    NoActiveNumber,
    /// It has, but only the recipient's own.
    OnlyTheRecipient,
}

/// The number this recipient was last sent from if it is still there, else one that shares the
/// recipient's area code, else the one that has been idle longest. A number never calls itself.
pub fn choose<'a>(
    candidates: &'a [Candidate],
    recipient: &PhoneNumber,
    last_sender: Option<&PhoneNumber>,
) -> Result<&'a Candidate, NoSender> {
    let others = || candidates.iter().filter(|c| c.number != *recipient);
    let longest_idle = |a: &&Candidate| (a.last_used, a.id);
    if let Some(known) = others().find(|c| Some(&c.number) == last_sender) {
        return Ok(known);
    }
    let near = others()
        .filter(|c| {
            recipient.area_code().is_some() && c.number.area_code() == recipient.area_code()
        })
        .min_by_key(longest_idle);
    near.or_else(|| others().min_by_key(longest_idle))
        .ok_or(match candidates.is_empty() {
            true => NoSender::NoActiveNumber,
            false => NoSender::OnlyTheRecipient,
        })
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
        }
    }

    #[test]
    fn the_last_sender_comes_before_the_same_area_code_and_that_before_the_longest_idle() {
        let candidates = [
            candidate("+13125550150", Some(1)),
            candidate("+12125550150", Some(9)),
            candidate("+14155550150", Some(5)),
        ];
        let recipient = number("+12125550100");
        let chosen = |last: Option<&str>| {
            let last = last.map(number);
            choose(&candidates, &recipient, last.as_ref()).map(|c| c.number.e164().to_owned())
        };
        assert_eq!(chosen(Some("+14155550150")), Ok("+14155550150".to_owned()));
        assert_eq!(chosen(Some("+19995550150")), Ok("+12125550150".to_owned()));
        assert_eq!(chosen(None), Ok("+12125550150".to_owned()));
        let elsewhere = number("+16175550100");
        assert_eq!(
            choose(&candidates, &elsewhere, None).map(|c| c.number.e164()),
            Ok("+13125550150")
        );
    }

    #[test]
    fn a_number_that_was_never_used_has_been_idle_longest() {
        let candidates = [
            candidate("+13125550150", Some(1)),
            candidate("+14155550150", None),
        ];
        let chosen = choose(&candidates, &number("+16175550100"), None);
        assert_eq!(chosen.map(|c| c.number.e164()), Ok("+14155550150"));
    }

    #[test]
    fn numbers_outside_the_north_american_plan_share_no_area_code() {
        let candidates = [
            candidate("+4930123456", Some(9)),
            candidate("+4989123456", Some(1)),
        ];
        let chosen = choose(&candidates, &number("+4930999999"), None);
        assert_eq!(chosen.map(|c| c.number.e164()), Ok("+4989123456"));
    }

    #[test]
    fn a_number_is_never_its_own_recipient() {
        let recipient = number("+12125550100");
        assert_eq!(choose(&[], &recipient, None), Err(NoSender::NoActiveNumber));
        let own = [candidate("+12125550100", None)];
        assert_eq!(
            choose(&own, &recipient, Some(&recipient)),
            Err(NoSender::OnlyTheRecipient)
        );
    }
}
