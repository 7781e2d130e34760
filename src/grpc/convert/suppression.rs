//! Suppressions, and the scopes that they share with consents.

use std::collections::BTreeMap;

use super::{Fields, shown, to_timestamp};
use crate::domain::ids::UseCaseId;
use crate::domain::names::{check_line, check_name};
use crate::domain::phone::PhoneRules;
use crate::domain::suppression::{LINE_MAX, Scope, ScopeKind, Suppression, SuppressionReason};
use crate::grpc::export::{Exported, cell};
use crate::grpc::pb;
use crate::ops::error::Result;
use crate::ops::suppressions::NewSuppression;
use crate::ops::suppressions::import::{COLUMN_NAMES, Defaults};
use crate::storage::{ScopeFilter, SuppressionFilter};

pub fn to_suppression(suppression: Suppression) -> pb::Suppression {
    let deletion = suppression.deletion;
    pb::Suppression {
        id: suppression.id.to_string(),
        phone_number: suppression.phone_number.e164().to_owned(),
        scope: to_scope(suppression.scope),
        reason: suppression.reason as i32,
        source: suppression.source,
        actor: suppression.actor,
        note: suppression.note,
        create_time: Some(to_timestamp(suppression.create_time)),
        update_time: Some(to_timestamp(suppression.update_time)),
        expire_time: suppression.expire_time.map(to_timestamp),
        delete_time: deletion.as_ref().map(|it| to_timestamp(it.time)),
        delete_reason: deletion
            .as_ref()
            .map(|it| it.reason.clone())
            .unwrap_or_default(),
        delete_actor: deletion.map(|it| it.actor).unwrap_or_default(),
    }
}

/// The workspace's is absent.
pub fn to_scope(scope: Scope) -> Option<pb::Scope> {
    use pb::scope::Scope as Narrowed;
    let narrowed = match scope {
        Scope::Workspace => return None,
        Scope::Entity(name) => Narrowed::EntityName(name),
        Scope::UseCase(id) => Narrowed::UseCaseId(id.to_string()),
    };
    Some(pb::Scope {
        scope: Some(narrowed),
    })
}

pub fn scope(fields: &mut Fields, field: &str, given: Option<pb::Scope>) -> Option<Scope> {
    use pb::scope::Scope as Narrowed;
    match given.and_then(|given| given.scope) {
        None => Some(Scope::Workspace),
        Some(Narrowed::EntityName(name)) => fields
            .text(&format!("{field}.entity_name"), &name, check_name)
            .map(Scope::Entity),
        Some(Narrowed::UseCaseId(id)) => fields
            .id(&format!("{field}.use_case_id"), &id, UseCaseId::parse)
            .map(Scope::UseCase),
    }
}

pub fn scope_filter(fields: &mut Fields, kinds: &[i32], given: Option<pb::Scope>) -> ScopeFilter {
    let given = given.filter(|given| given.scope.is_some());
    ScopeFilter {
        kinds: fields.codes("filter.scope_kinds", kinds, ScopeKind::from_code),
        only: given.and_then(|given| scope(fields, "filter.scope", Some(given))),
    }
}

/// One line of up to 200 characters that may be empty.
pub fn line(fields: &mut Fields, field: &str, text: &str) -> Option<String> {
    fields.text(field, text, |text| check_line(text, LINE_MAX))
}

fn reason(fields: &mut Fields, field: &str, number: i32) -> Option<SuppressionReason> {
    let code = i16::try_from(number).ok();
    let reason = code.and_then(SuppressionReason::from_code);
    if reason.is_none() {
        let all = SuppressionReason::ALL.iter().map(|it| it.as_str());
        let all = all.collect::<Vec<_>>().join(", ");
        fields.bad(
            field,
            format!("it is missing or unknown; give one of {all} (with SUPPRESSION_REASON_)"),
        );
    }
    reason
}

pub fn new_suppression(
    request: pb::CreateSuppressionRequest,
    rules: &PhoneRules,
) -> Result<NewSuppression> {
    let mut fields = Fields::default();
    let given = request.suppression.unwrap_or_default();
    let phone_number = fields.phone("suppression.phone_number", &given.phone_number, rules);
    let scope = scope(&mut fields, "suppression.scope", given.scope);
    let reason = reason(&mut fields, "suppression.reason", given.reason);
    let source = line(&mut fields, "suppression.source", &given.source);
    let actor = line(&mut fields, "suppression.actor", &given.actor);
    let note = line(&mut fields, "suppression.note", &given.note);
    let expire_time = fields.time("suppression.expire_time", given.expire_time.as_ref());
    let new = match (phone_number, scope, reason, source, actor, note) {
        (Some(phone_number), Some(scope), Some(reason), Some(source), Some(actor), Some(note)) => {
            Some(NewSuppression {
                phone_number,
                scope,
                reason,
                source,
                actor,
                note,
                expire_time,
            })
        }
        _ => None,
    };
    fields.finish(new)
}

pub fn suppression_filter(
    fields: &mut Fields,
    given: Option<&pb::SuppressionFilter>,
    rules: &PhoneRules,
) -> SuppressionFilter {
    let given = given.cloned().unwrap_or_default();
    SuppressionFilter {
        phone_number: fields.optional_phone("filter.phone_number", &given.phone_number, rules),
        scope: scope_filter(fields, &given.scope_kinds, given.scope),
        reasons: fields.codes(
            "filter.reasons",
            &given.reasons,
            SuppressionReason::from_code,
        ),
        include_deleted: given.include_deleted,
    }
}

/// What holds for all lines of an import, and what its columns are called.
pub fn import_header(given: pb::ImportSuppressionsHeader) -> Result<(Defaults, [String; 4])> {
    let mut fields = Fields::default();
    let default_reason = match given.default_reason {
        0 => None,
        number => reason(&mut fields, "header.default_reason", number),
    };
    let scope = scope(&mut fields, "header.scope", given.scope);
    let source = line(&mut fields, "header.source", &given.source);
    let actor = line(&mut fields, "header.actor", &given.actor);
    let expire_time = fields.time("header.expire_time", given.expire_time.as_ref());
    let names = column_names(&mut fields, &given.columns);
    let header = match (scope, source, actor) {
        (Some(scope), Some(source), Some(actor)) => Some((
            Defaults {
                scope,
                reason: default_reason,
                source,
                actor,
                expire_time,
            },
            names,
        )),
        _ => None,
    };
    fields.finish(header)
}

fn column_names(fields: &mut Fields, given: &BTreeMap<String, String>) -> [String; 4] {
    for (column, name) in given {
        if !COLUMN_NAMES.contains(&column.as_str()) {
            let known = COLUMN_NAMES.join(", ");
            let why = format!("`{}` is no column; there are {known}", shown(column));
            fields.bad("header.columns", why);
        }
        if name.trim().is_empty() {
            let why = format!("the name for `{}` is empty; leave it out", shown(column));
            fields.bad("header.columns", why);
        }
    }
    COLUMN_NAMES.map(|column| match given.get(column) {
        Some(name) => name.trim().to_owned(),
        None => column.to_owned(),
    })
}

/// The cells of a scope: its kind, the entity's name, the use case's id.
pub fn scope_cells(scope: &Scope) -> [String; 3] {
    let (kind, entity_name, use_case_id) = match scope {
        Scope::Workspace => ("WORKSPACE", String::new(), String::new()),
        Scope::Entity(name) => ("ENTITY", name.clone(), String::new()),
        Scope::UseCase(id) => ("USE_CASE", String::new(), id.to_string()),
    };
    [kind.to_owned(), entity_name, use_case_id]
}

impl Exported for Suppression {
    const HEADER: &'static [&'static str] = &[
        "id",
        "phone_number",
        "scope",
        "entity_name",
        "use_case_id",
        "reason",
        "source",
        "actor",
        "note",
        "create_time",
        "update_time",
        "expire_time",
        "delete_time",
        "delete_reason",
        "delete_actor",
    ];

    fn cells(&self) -> Vec<String> {
        let deletion = self.deletion.as_ref();
        let [scope, entity_name, use_case_id] = scope_cells(&self.scope);
        vec![
            self.id.to_string(),
            self.phone_number.e164().to_owned(),
            scope,
            entity_name,
            use_case_id,
            self.reason.as_str().to_owned(),
            self.source.clone(),
            self.actor.clone(),
            self.note.clone(),
            self.create_time.to_string(),
            self.update_time.to_string(),
            cell(self.expire_time),
            cell(deletion.map(|it| it.time)),
            cell(deletion.map(|it| &it.reason)),
            cell(deletion.map(|it| &it.actor)),
        ]
    }
}
