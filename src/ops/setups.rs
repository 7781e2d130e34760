//! Telephony setups: create, get, list, update, delete, approve, suspend, resume.

use super::error::{OpError, Resource, Result, Violation};
use super::fingerprint::Fingerprint;
use crate::carrier::Registry;
use crate::domain::breaker::Breaker;
use crate::domain::ids::{SetupId, WorkspaceId};
use crate::domain::telephony::{Pause, PauseReason, Setup, SetupStatus, status_after_carriers};
use crate::domain::use_case::Purpose;
use crate::storage::{CreateRequest, Lock, Tx};

/// What a caller gives of a setup, well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSetup {
    pub display_name: String,
    pub carriers: Vec<String>,
    /// 0: no limit.
    pub starts_per_minute: i32,
    /// 0: no limit.
    pub in_flight_max: i32,
    pub request_id: Option<String>,
}

/// Which fields an update changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetupChange {
    pub display_name: Option<String>,
    pub carriers: Option<Vec<String>>,
    pub starts_per_minute: Option<i32>,
    pub in_flight_max: Option<i32>,
}

const KIND: &str = "setup";

pub fn create(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    new: &NewSetup,
    registry: &Registry,
) -> Result<Setup> {
    let content = content(new);
    if let Some(known) = find_created(tx, workspace, KIND, new.request_id.as_deref(), &content)? {
        return get(tx, workspace, known.into(), registry);
    }
    check_carriers(&new.carriers, registry)?;
    let now = tx.now()?;
    let setup = Setup {
        id: SetupId::generate(),
        workspace_id: workspace,
        display_name: new.display_name.clone(),
        carriers: new.carriers.clone(),
        status: status_after_carriers(None, registry.all_simulated(&new.carriers)),
        status_detail: String::new(),
        starts_per_minute: new.starts_per_minute,
        in_flight_max: new.in_flight_max,
        pause: None,
        create_time: now,
        update_time: now,
    };
    tx.insert_setup(&setup)?;
    note_created(
        tx,
        workspace,
        KIND,
        new.request_id.as_deref(),
        setup.id.uuid(),
        content,
    )?;
    let breakers = tx.breakers()?;
    Ok(shown(setup, registry, &breakers))
}

/// What was asked for, to tell a repeat from a mistake. Limits count where they were given, so that
/// a create from before there were limits is known again.
fn content(new: &NewSetup) -> Vec<u8> {
    let start = Fingerprint::default().part(&new.display_name);
    let mut hash = new
        .carriers
        .iter()
        .fold(start, |hash, name| hash.part(name));
    for (name, limit) in [
        ("starts_per_minute", new.starts_per_minute),
        ("in_flight_max", new.in_flight_max),
    ] {
        if limit != 0 {
            hash = hash.part(name).part(limit.to_be_bytes());
        }
    }
    hash.finish()
}

pub fn get(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: SetupId,
    registry: &Registry,
) -> Result<Setup> {
    let setup = find(tx, workspace, id, Lock::None)?;
    let breakers = tx.breakers()?;
    Ok(shown(setup, registry, &breakers))
}

pub fn update(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: SetupId,
    change: &SetupChange,
    registry: &Registry,
) -> Result<Setup> {
    let mut setup = find(tx, workspace, id, Lock::Change)?;
    let before = setup.status;
    if let Some(display_name) = &change.display_name {
        setup.display_name.clone_from(display_name);
    }
    if let Some(carriers) = &change.carriers {
        check_carriers(carriers, registry)?;
        if *carriers != setup.carriers {
            setup.status = status_after_carriers(Some(before), registry.all_simulated(carriers));
            setup.carriers.clone_from(carriers);
            // A pause is about a carrier: it goes with it.
            setup.pause = setup
                .pause
                .filter(|pause| setup.carriers.contains(&pause.carrier));
        }
    }
    if let Some(limit) = change.starts_per_minute {
        setup.starts_per_minute = limit;
    }
    if let Some(limit) = change.in_flight_max {
        setup.in_flight_max = limit;
    }
    saved(tx, setup, before, registry)
}

/// Refused while it has living numbers or use cases, or voicemails on their way.
pub fn delete(tx: &mut dyn Tx, workspace: WorkspaceId, id: SetupId) -> Result<()> {
    find(tx, workspace, id, Lock::Whole)?;
    if tx.is_setup_in_use(workspace, id)? {
        return Err(OpError::SetupInUse { setup_id: id });
    }
    let now = tx.now()?;
    Ok(tx.delete_setup(id, now)?)
}

/// PENDING becomes APPROVED; an approved one stays. A suspended one is resumed instead.
pub fn approve(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: SetupId,
    registry: &Registry,
) -> Result<Setup> {
    let mut setup = find(tx, workspace, id, Lock::Change)?;
    let before = setup.status;
    match before {
        SetupStatus::Approved => return get(tx, workspace, id, registry),
        SetupStatus::Suspended => {
            return Err(OpError::SetupNotApproved {
                setup_id: id,
                status: before,
            });
        }
        SetupStatus::Pending => setup.status = SetupStatus::Approved,
    }
    setup.status_detail.clear();
    saved(tx, setup, before, registry)
}

/// APPROVED becomes SUSPENDED; the reason is shown as `status_detail`. A suspended one takes the
/// new reason; a pending one, which sends nothing anyway, is refused.
pub fn suspend(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: SetupId,
    reason: &str,
    registry: &Registry,
) -> Result<Setup> {
    let mut setup = find(tx, workspace, id, Lock::Change)?;
    let before = setup.status;
    if before == SetupStatus::Pending {
        return Err(OpError::SetupNotApproved {
            setup_id: id,
            status: before,
        });
    }
    setup.status = SetupStatus::Suspended;
    reason.clone_into(&mut setup.status_detail);
    saved(tx, setup, before, registry)
}

/// SUSPENDED becomes APPROVED; an approved one stays, a pending one is refused. A pause for an account's
/// fault ends, and open breakers of the setup's carriers are tried at once.
pub fn resume(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: SetupId,
    registry: &Registry,
) -> Result<Setup> {
    let mut setup = find(tx, workspace, id, Lock::Change)?;
    let before = setup.status;
    match before {
        SetupStatus::Approved => {}
        SetupStatus::Pending => {
            return Err(OpError::SetupNotApproved {
                setup_id: id,
                status: before,
            });
        }
        SetupStatus::Suspended => {
            setup.status = SetupStatus::Approved;
            setup.status_detail.clear();
        }
    }
    let now = tx.now()?;
    for mut breaker in tx.breakers()? {
        if setup.carriers.contains(&breaker.carrier) {
            breaker.next_trial_time = now;
            tx.save_trial(&breaker)?;
        }
    }
    if setup.pause.take().is_none() && before == SetupStatus::Approved {
        return get(tx, workspace, id, registry);
    }
    saved(tx, setup, before, registry)
}

/// A setup as it is shown: with word of carriers that are gone from the configuration, and paused
/// while every carrier that it could use fails.
pub fn shown(mut setup: Setup, registry: &Registry, breakers: &[Breaker]) -> Setup {
    let gone: Vec<String> = setup
        .carriers
        .iter()
        .filter(|name| registry.find(name).is_none())
        .map(|name| format!("`{name}`"))
        .collect();
    if !gone.is_empty() {
        let note = format!(
            "not in the configuration: {}; voicemails that need it wait",
            gone.join(", ")
        );
        setup.status_detail = match setup.status_detail.is_empty() {
            true => note,
            false => format!("{}; {note}", setup.status_detail),
        };
    }
    if setup.pause.is_none() {
        setup.pause = failing(&setup, registry, breakers);
    }
    setup
}

/// The pause of a setup whose carriers all fail.
fn failing(setup: &Setup, registry: &Registry, breakers: &[Breaker]) -> Option<Pause> {
    let known: Vec<&String> = setup
        .carriers
        .iter()
        .filter(|name| registry.find(name).is_some())
        .collect();
    let open: Vec<&Breaker> = known
        .iter()
        .filter_map(|name| breakers.iter().find(|breaker| breaker.carrier == **name))
        .collect();
    let first = open.first().filter(|_| open.len() == known.len())?;
    Some(Pause {
        reason: PauseReason::CarrierFailing,
        carrier: first.carrier.clone(),
        since: first.since,
    })
}

/// Refuses a use case about health care where none of the setup's carriers may have health information.
/// Carriers that are not in the configuration are judged when they are.
pub fn check_purpose(setup: &Setup, purpose: Option<Purpose>, registry: &Registry) -> Result<()> {
    let is_known = |name: &&String| registry.find(name).is_some();
    let known: Vec<&String> = setup.carriers.iter().filter(is_known).collect();
    let may_have_it = |name: &&String| registry.may_have_health_information(name);
    let is_refused =
        purpose == Some(Purpose::Healthcare) && !known.is_empty() && !known.iter().any(may_have_it);
    match is_refused {
        false => Ok(()),
        true => Err(OpError::HealthInformationForbidden {
            setup_id: setup.id,
            carriers: known
                .into_iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

pub fn find(tx: &mut dyn Tx, workspace: WorkspaceId, id: SetupId, lock: Lock) -> Result<Setup> {
    tx.find_setup(workspace, id, lock)?
        .ok_or(OpError::NotFound(Resource::Setup, id.uuid()))
}

/// The resource that an earlier create with this request id made.
pub fn find_created(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    kind: &'static str,
    request_id: Option<&str>,
    content: &[u8],
) -> Result<Option<uuid::Uuid>> {
    let Some(request_id) = request_id else {
        return Ok(None);
    };
    match tx.find_create_request(workspace, kind, request_id)? {
        None => Ok(None),
        Some((id, hash)) if hash == content => Ok(Some(id)),
        Some(_) => Err(OpError::RequestIdReused {
            request_id: request_id.to_owned(),
        }),
    }
}

/// Notes what a create with this request id made. Two calls that race meet at its unique row: the
/// later one is rolled back, and finds the first when it comes again.
pub fn note_created(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    kind: &'static str,
    request_id: Option<&str>,
    resource_id: uuid::Uuid,
    content_hash: Vec<u8>,
) -> Result<()> {
    let Some(request_id) = request_id else {
        return Ok(());
    };
    let create_time = tx.now()?;
    let request = CreateRequest {
        workspace_id: workspace,
        kind,
        request_id: request_id.to_owned(),
        resource_id,
        content_hash,
        create_time,
    };
    match tx.insert_create_request(&request) {
        Err(crate::storage::Error::Conflict(text)) => {
            Err(crate::storage::Error::Unavailable(text).into())
        }
        other => Ok(other?),
    }
}

fn check_carriers(names: &[String], registry: &Registry) -> Result<()> {
    match names.iter().find(|name| registry.find(name).is_none()) {
        None => Ok(()),
        Some(unknown) => Err(OpError::UnknownCarrier {
            name: unknown.clone(),
            known: registry.names().collect::<Vec<_>>().join(", "),
        }),
    }
}

/// Writes it and shows it.
fn saved(
    tx: &mut dyn Tx,
    mut setup: Setup,
    before: SetupStatus,
    registry: &Registry,
) -> Result<Setup> {
    setup.update_time = tx.now()?;
    tx.update_setup(&setup, before)?;
    let breakers = tx.breakers()?;
    Ok(shown(setup, registry, &breakers))
}

/// The rules of a list of carrier names, for both create and update.
pub fn carrier_faults(field: &str, names: &[String], empty_allowed: bool) -> Vec<Violation> {
    use crate::domain::telephony::{CARRIER_NAME_BYTES_MAX, CARRIERS_MAX};
    let mut faults = Vec::new();
    if names.is_empty() && !empty_allowed {
        faults.push(Violation::field(
            field,
            "no carrier was given; at least one is needed, for example `sandbox`",
        ));
    }
    if names.len() > CARRIERS_MAX {
        return vec![Violation::field(
            field,
            format!(
                "{} carriers were given; at most {CARRIERS_MAX} are allowed. Leave some out",
                names.len()
            ),
        )];
    }
    for (at, name) in names.iter().enumerate() {
        if name.len() > CARRIER_NAME_BYTES_MAX {
            let why = format!(
                "the name has {} bytes; at most {CARRIER_NAME_BYTES_MAX} are allowed",
                name.len()
            );
            faults.push(Violation::field(format!("{field}[{at}]"), why));
        }
        if names[..at].contains(name) {
            faults.push(Violation::field(
                format!("{field}[{at}]"),
                "the name stands here twice. Name each carrier once",
            ));
        }
    }
    faults
}
