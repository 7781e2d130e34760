//! Things by the names that people know them by: a use case as `entity/name`, a number as E.164.

use anyhow::bail;

use super::client::{Client, persistently, soon};
use super::failure::Usage;
use crate::domain::ids::{PhoneNumberId, UseCaseId};
use crate::grpc::pb;

/// Which use case is meant where one of each channel has the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// The one that sends voicemails.
    Sender,
    /// None before the others: the name must be of one only.
    TheOnly,
}

/// The id of a use case, given by its id or as `entity/name`.
pub async fn use_case(client: &Client, given: &str, meant: Meant) -> anyhow::Result<String> {
    if UseCaseId::parse(given).is_ok() {
        return Ok(given.to_owned());
    }
    let names: Vec<(&str, &str)> = splits(given).collect();
    if names.is_empty() {
        return Err(Usage(format!(
            "`{given}` is no use case: give its id, or ENTITY/NAME"
        ))
        .into());
    }
    let mut found = Vec::new();
    for (entity_name, name) in names {
        let request = pb::ListUseCasesRequest {
            entity_name: entity_name.to_owned(),
            name: name.to_owned(),
            ..pb::ListUseCasesRequest::default()
        };
        let mut service = client.use_cases.clone();
        let page =
            persistently(async || service.list_use_cases(soon(request.clone())).await).await?;
        found.extend(page.into_inner().use_cases);
    }
    if meant == Meant::Sender && found.len() > 1 {
        found.retain(|use_case| use_case.channel == pb::Channel::RinglessVoicemail as i32);
    }
    match found.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => bail!("there is no use case `{given}`; `ringless use-case list` shows what there is"),
        several => {
            let ids: Vec<&str> = several
                .iter()
                .map(|use_case| use_case.id.as_str())
                .collect();
            bail!(
                "`{given}` is the name of several use cases: give the id of one of them ({})",
                ids.join(", ")
            )
        }
    }
}

/// Both names may hold a slash themselves, so each slash may be the one between them.
fn splits(given: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = given
        .match_indices('/')
        .map(|(at, slash)| (&given[..at], &given[at + slash.len()..]));
    parts.filter(|(entity_name, name)| !entity_name.is_empty() && !name.is_empty())
}

/// The id of a phone number, given by its id or in E.164.
pub async fn number(client: &Client, given: &str) -> anyhow::Result<String> {
    if PhoneNumberId::parse(given).is_ok() {
        return Ok(given.to_owned());
    }
    if !given.starts_with('+') {
        return Err(Usage(format!(
            "`{given}` is no number: give its id, or the number in E.164, such as +12125550143"
        ))
        .into());
    }
    let mut request = pb::ListPhoneNumbersRequest {
        page_size: 1_000,
        ..pb::ListPhoneNumbersRequest::default()
    };
    let mut service = client.telephony.clone();
    loop {
        let page = persistently(async || service.list_phone_numbers(soon(request.clone())).await)
            .await?
            .into_inner();
        if let Some(number) = page
            .phone_numbers
            .iter()
            .find(|number| number.phone_number == given)
        {
            return Ok(number.id.clone());
        }
        if page.next_page_token.is_empty() {
            bail!("there is no number `{given}`; `ringless number list` shows what there is");
        }
        request.page_token = page.next_page_token;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_case_is_named_by_entity_and_name() {
        let all = |given| splits(given).collect::<Vec<_>>();
        assert_eq!(
            all("Elm Street Clinic/Reminders"),
            [("Elm Street Clinic", "Reminders")]
        );
        assert_eq!(all("A/B/C"), [("A", "B/C"), ("A/B", "C")]);
        for given in ["", "Reminders", "/Reminders", "Clinic/", "/"] {
            assert!(all(given).is_empty(), "{given}");
        }
    }
}
