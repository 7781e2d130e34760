//! Telephony setups: create, get, list, update, delete, approve, suspend, resume.

use super::error::{OpError, Resource, Result, Violation};
use super::fingerprint::Fingerprint;
use crate::carrier::Registry;
use crate::domain::ids::{SetupId, WorkspaceId};
use crate::domain::telephony::{Setup, SetupStatus, status_after_carriers};
use crate::storage::{CreateRequest, Lock, Tx};

/// What a caller gives of a setup, well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSetup {
    pub display_name: String,
    pub carriers: Vec<String>,
    pub request_id: Option<String>,
}

/// Which fields an update changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetupChange {
    pub display_name: Option<String>,
    pub carriers: Option<Vec<String>>,
}

const KIND: &str = "setup";

pub fn create(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    new: &NewSetup,
    registry: &Registry,
) -> Result<Setup> {
    let content = new
        .carriers
        .iter()
        .fold(
            Fingerprint::default().part(&new.display_name),
            |hash, name| hash.part(name),
        )
        .finish();
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
    Ok(shown(setup, registry))
}

pub fn get(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: SetupId,
    registry: &Registry,
) -> Result<Setup> {
    Ok(shown(find(tx, workspace, id, Lock::None)?, registry))
}

pub fn update(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: SetupId,
    change: &SetupChange,
    registry: &Registry,
) -> Result<Setup> {
    let mut setup = find(tx, workspace, id, Lock::Update)?;
    let before = setup.status;
    if let Some(display_name) = &change.display_name {
        setup.display_name.clone_from(display_name);
    }
    if let Some(carriers) = &change.carriers {
        check_carriers(carriers, registry)?;
        if *carriers != setup.carriers {
            setup.status = status_after_carriers(Some(before), registry.all_simulated(carriers));
            setup.carriers.clone_from(carriers);
        }
    }
    save(tx, &mut setup, before)?;
    Ok(shown(setup, registry))
}

/// Refused while it has living numbers or use cases, or voicemails on their way.
pub fn delete(tx: &mut dyn Tx, workspace: WorkspaceId, id: SetupId) -> Result<()> {
    find(tx, workspace, id, Lock::Update)?;
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
    let mut setup = find(tx, workspace, id, Lock::Update)?;
    let before = setup.status;
    match before {
        SetupStatus::Approved => return Ok(shown(setup, registry)),
        SetupStatus::Suspended => {
            return Err(OpError::SetupNotApproved {
                setup_id: id,
                status: before,
            });
        }
        SetupStatus::Pending => setup.status = SetupStatus::Approved,
    }
    setup.status_detail.clear();
    save(tx, &mut setup, before)?;
    Ok(shown(setup, registry))
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
    let mut setup = find(tx, workspace, id, Lock::Update)?;
    let before = setup.status;
    if before == SetupStatus::Pending {
        return Err(OpError::SetupNotApproved {
            setup_id: id,
            status: before,
        });
    }
    setup.status = SetupStatus::Suspended;
    reason.clone_into(&mut setup.status_detail);
    save(tx, &mut setup, before)?;
    Ok(shown(setup, registry))
}

/// SUSPENDED becomes APPROVED; an approved one stays, a pending one is refused. What waited is let go by
/// the worker, in batches.
pub fn resume(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: SetupId,
    registry: &Registry,
) -> Result<Setup> {
    let mut setup = find(tx, workspace, id, Lock::Update)?;
    let before = setup.status;
    match before {
        SetupStatus::Approved => return Ok(shown(setup, registry)),
        SetupStatus::Pending => {
            return Err(OpError::SetupNotApproved {
                setup_id: id,
                status: before,
            });
        }
        SetupStatus::Suspended => setup.status = SetupStatus::Approved,
    }
    setup.status_detail.clear();
    save(tx, &mut setup, before)?;
    Ok(shown(setup, registry))
}

/// A setup as it is shown: with word of carriers that are gone from the configuration.
pub fn shown(mut setup: Setup, registry: &Registry) -> Setup {
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
    setup
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

fn save(tx: &mut dyn Tx, setup: &mut Setup, before: SetupStatus) -> Result<()> {
    setup.update_time = tx.now()?;
    Ok(tx.update_setup(setup, before)?)
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
