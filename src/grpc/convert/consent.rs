//! Consents.

use super::suppression::{line, scope, scope_cells, scope_filter, to_scope};
use super::{Fields, to_timestamp};
use crate::domain::consent::{Consent, ConsentKind, TEXT_SHOWN_MAX};
use crate::domain::ids::ConsentId;
use crate::domain::names::{check_filled_line, check_text};
use crate::domain::phone::PhoneRules;
use crate::domain::suppression::LINE_MAX;
use crate::grpc::export::{Exported, cell};
use crate::grpc::pb;
use crate::ops::consents::{NewConsent, NewRevocation};
use crate::ops::error::Result;
use crate::storage::ConsentFilter;

pub fn to_consent(consent: Consent) -> pb::Consent {
    let revocation = consent.revocation;
    pb::Consent {
        id: consent.id.to_string(),
        phone_number: consent.phone_number.e164().to_owned(),
        scope: to_scope(consent.scope),
        kind: consent.kind as i32,
        text_shown: consent.text_shown,
        source: consent.source,
        actor: consent.actor,
        consent_time: Some(to_timestamp(consent.consent_time)),
        create_time: Some(to_timestamp(consent.create_time)),
        revoke_time: revocation.as_ref().map(|it| to_timestamp(it.time)),
        revoke_reason: revocation
            .as_ref()
            .map(|it| it.reason.clone())
            .unwrap_or_default(),
        revoke_actor: revocation.map(|it| it.actor).unwrap_or_default(),
    }
}

pub fn new_consent(request: pb::CreateConsentRequest, rules: &PhoneRules) -> Result<NewConsent> {
    let mut fields = Fields::default();
    let request_id = fields.request_id("request_id", &request.request_id);
    let given = request.consent.unwrap_or_default();
    let phone_number = fields.phone("consent.phone_number", &given.phone_number, rules);
    let scope = scope(&mut fields, "consent.scope", given.scope);
    let kind = i16::try_from(given.kind)
        .ok()
        .and_then(ConsentKind::from_code);
    if kind.is_none() {
        fields.bad(
            "consent.kind",
            "it is missing or unknown; give CONSENT_KIND_EXPRESS or CONSENT_KIND_WRITTEN",
        );
    }
    let text_shown = fields.text("consent.text_shown", &given.text_shown, |text| {
        check_text(text, TEXT_SHOWN_MAX)
    });
    let source = line(&mut fields, "consent.source", &given.source);
    let actor = line(&mut fields, "consent.actor", &given.actor);
    let consent_time = fields.time("consent.consent_time", given.consent_time.as_ref());
    let new = match (phone_number, scope, kind, text_shown, source, actor) {
        (
            Some(phone_number),
            Some(scope),
            Some(kind),
            Some(text_shown),
            Some(source),
            Some(actor),
        ) => Some(NewConsent {
            phone_number,
            scope,
            kind,
            text_shown,
            source,
            actor,
            consent_time,
            request_id,
        }),
        _ => None,
    };
    fields.finish(new)
}

pub fn revocation(request: &pb::RevokeConsentRequest) -> Result<(ConsentId, NewRevocation)> {
    let mut fields = Fields::default();
    let id = fields.id("consent_id", &request.consent_id, ConsentId::parse);
    let reason = fields.text("reason", &request.reason, |text| {
        check_filled_line(text, LINE_MAX)
    });
    let actor = line(&mut fields, "actor", &request.actor);
    let time = fields.time("revoke_time", request.revoke_time.as_ref());
    let asked = match (id, reason, actor) {
        (Some(id), Some(reason), Some(actor)) => Some((
            id,
            NewRevocation {
                time,
                reason,
                actor,
            },
        )),
        _ => None,
    };
    fields.finish(asked)
}

pub fn consent_filter(
    fields: &mut Fields,
    given: Option<&pb::ConsentFilter>,
    rules: &PhoneRules,
) -> ConsentFilter {
    let given = given.cloned().unwrap_or_default();
    ConsentFilter {
        phone_number: fields.optional_phone("filter.phone_number", &given.phone_number, rules),
        scope: scope_filter(fields, &given.scope_kinds, given.scope),
        kinds: fields.codes("filter.kinds", &given.kinds, ConsentKind::from_code),
        is_revoked: given.revoked,
    }
}

impl Exported for Consent {
    const HEADER: &'static [&'static str] = &[
        "id",
        "phone_number",
        "scope",
        "entity_name",
        "use_case_id",
        "kind",
        "text_shown",
        "source",
        "actor",
        "consent_time",
        "create_time",
        "revoke_time",
        "revoke_reason",
        "revoke_actor",
    ];

    fn cells(&self) -> Vec<String> {
        let revocation = self.revocation.as_ref();
        let [scope, entity_name, use_case_id] = scope_cells(&self.scope);
        vec![
            self.id.to_string(),
            self.phone_number.e164().to_owned(),
            scope,
            entity_name,
            use_case_id,
            self.kind.as_str().to_owned(),
            self.text_shown.clone(),
            self.source.clone(),
            self.actor.clone(),
            self.consent_time.to_string(),
            self.create_time.to_string(),
            cell(revocation.map(|it| it.time)),
            cell(revocation.map(|it| &it.reason)),
            cell(revocation.map(|it| &it.actor)),
        ]
    }
}
