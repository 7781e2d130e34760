//! Use cases: create, get, update, delete, pause, resume, and the numbers that they have.

use super::error::{OpError, Resource, Result, Violation};
use super::fingerprint::Fingerprint;
use super::setups::{self, find_created, note_created};
use crate::carrier::Registry;
use crate::domain::ids::{PhoneNumberId, SetupId, UseCaseId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::sender::{SenderPlan, SenderPolicy};
use crate::domain::telephony::SetupStatus;
use crate::domain::use_case::{Channel, Purpose, UseCase, UseCasePause};
use crate::storage::{Error, Lock, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUseCase {
    pub channel: Channel,
    pub entity_name: String,
    pub name: String,
    pub description: String,
    pub setup_id: SetupId,
    pub purpose: Option<Purpose>,
    pub callback_phone_number: Option<PhoneNumber>,
    pub opt_out_phone_number: Option<PhoneNumber>,
    pub senders: SenderPlan,
    pub request_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UseCaseChange {
    pub entity_name: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub purpose: Option<Option<Purpose>>,
    pub callback_phone_number: Option<Option<PhoneNumber>>,
    pub opt_out_phone_number: Option<Option<PhoneNumber>>,
    pub sender_policy: Option<SenderPolicy>,
    pub is_sticky: Option<bool>,
    pub main: Option<Option<PhoneNumberId>>,
}

const KIND: &str = "use_case";

/// Needs an approved setup; (entity_name, name, channel) is unique among the living.
pub fn create(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    new: &NewUseCase,
    registry: &Registry,
) -> Result<UseCase> {
    let content = content(new);
    if let Some(known) = find_created(tx, workspace, KIND, new.request_id.as_deref(), &content)? {
        return get(tx, workspace, known.into());
    }
    check_main(&new.senders, &[], None)?;
    let setup = setups::find(tx, workspace, new.setup_id, Lock::Present)?;
    if setup.status != SetupStatus::Approved {
        return Err(OpError::SetupNotApproved {
            setup_id: setup.id,
            status: setup.status,
        });
    }
    setups::check_purpose(&setup, new.purpose, registry)?;
    let now = tx.now()?;
    let use_case = UseCase {
        id: UseCaseId::generate(),
        workspace_id: workspace,
        channel: new.channel,
        entity_name: new.entity_name.clone(),
        name: new.name.clone(),
        description: new.description.clone(),
        setup_id: new.setup_id,
        phone_number_ids: Vec::new(),
        purpose: new.purpose,
        callback_phone_number: new.callback_phone_number.clone(),
        opt_out_phone_number: new.opt_out_phone_number.clone(),
        senders: new.senders,
        pause: None,
        senders_full_until: None,
        create_time: now,
        update_time: now,
    };
    note_created(
        tx,
        workspace,
        KIND,
        new.request_id.as_deref(),
        use_case.id.uuid(),
        content,
    )?;
    tx.insert_use_case(&use_case)
        .map_err(|error| taken(error, &use_case))?;
    Ok(use_case)
}

/// What must be the same for a repeat.
fn content(new: &NewUseCase) -> Vec<u8> {
    let e164 = |number: &Option<PhoneNumber>| number.as_ref().map(|n| n.e164().to_owned());
    let content = Fingerprint::default()
        .part((new.channel as i16).to_be_bytes())
        .part(&new.entity_name)
        .part(&new.name)
        .part(&new.description)
        .part(new.setup_id.uuid())
        .optional(new.purpose.map(|p| (p as i16).to_be_bytes()))
        .optional(e164(&new.callback_phone_number))
        .optional(e164(&new.opt_out_phone_number));
    // One that says nothing of its senders is what it was before there was a word for them.
    let content = match new.senders == SenderPlan::default() {
        true => content,
        false => content
            .part((new.senders.policy as i16).to_be_bytes())
            .part([u8::from(new.senders.is_sticky)])
            .optional(new.senders.main.map(PhoneNumberId::uuid)),
    };
    content.finish()
}

pub fn get(tx: &mut dyn Tx, workspace: WorkspaceId, id: UseCaseId) -> Result<UseCase> {
    find(tx, workspace, id, Lock::None)
}

pub fn update(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: UseCaseId,
    change: UseCaseChange,
    registry: &Registry,
) -> Result<UseCase> {
    let mut use_case = find(tx, workspace, id, Lock::Change)?;
    if let Some(entity_name) = change.entity_name {
        check_rename(tx, workspace, &use_case.entity_name, &entity_name)?;
        use_case.entity_name = entity_name;
    }
    if let Some(name) = change.name {
        use_case.name = name;
    }
    if let Some(description) = change.description {
        use_case.description = description;
    }
    if let Some(purpose) = change.purpose {
        let setup = setups::find(tx, workspace, use_case.setup_id, Lock::Present)?;
        setups::check_purpose(&setup, purpose, registry)?;
        use_case.purpose = purpose;
    }
    if let Some(number) = change.callback_phone_number {
        use_case.callback_phone_number = number;
    }
    if let Some(number) = change.opt_out_phone_number {
        use_case.opt_out_phone_number = number;
    }
    let senders = &mut use_case.senders;
    senders.policy = change.sender_policy.unwrap_or(senders.policy);
    senders.is_sticky = change.is_sticky.unwrap_or(senders.is_sticky);
    senders.main = change.main.unwrap_or(senders.main);
    if change.sender_policy.is_some() || change.main.is_some() {
        check_main(&use_case.senders, &use_case.phone_number_ids, Some(id))?;
    }
    use_case.update_time = tx.now()?;
    tx.update_use_case(&use_case)
        .map_err(|error| taken(error, &use_case))?;
    Ok(use_case)
}

/// Who has opted out of an entity's messages has opted out of them under its new name too, and suppressions
/// name the entity as it is written: so it is not renamed while there are any.
fn check_rename(tx: &mut dyn Tx, workspace: WorkspaceId, before: &str, after: &str) -> Result<()> {
    if before == after || !tx.is_entity_suppressed(workspace, before)? {
        return Ok(());
    }
    let why = "numbers are suppressed for the entity under its present name, and they would be sent to under another. Make a use case of the new name and suppress them for it first (`ringless suppressions export --scope-kind entity`, then `import`)";
    Err(OpError::InvalidFields(vec![Violation::field(
        "use_case.entity_name",
        why,
    )]))
}

/// Refused while numbers are assigned or voicemails are on their way. Old voicemails keep naming it.
pub fn delete(tx: &mut dyn Tx, workspace: WorkspaceId, id: UseCaseId) -> Result<()> {
    let use_case = find(tx, workspace, id, Lock::Whole)?;
    match use_case.phone_number_ids.len() {
        0 => {}
        count => {
            return Err(OpError::PhoneNumbersAssigned {
                use_case_id: id,
                count,
            });
        }
    }
    if tx.is_use_case_in_flight(workspace, id)? {
        return Err(OpError::VoicemailsInFlight { use_case_id: id });
    }
    let now = tx.now()?;
    Ok(tx.delete_use_case(id, now)?)
}

/// Safe to repeat. The number must be of the use case's setup.
pub fn assign(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: UseCaseId,
    number_id: PhoneNumberId,
) -> Result<UseCase> {
    let use_case = find(tx, workspace, id, Lock::Present)?;
    let number = super::phone_numbers::find(tx, workspace, number_id, Lock::Present)?;
    if number.setup_id != use_case.setup_id {
        return Err(OpError::WrongSetup {
            phone_number_id: number_id,
            use_case_id: id,
            setup_id: use_case.setup_id,
        });
    }
    let now = tx.now()?;
    tx.assign_number(workspace, id, number_id, now)?;
    get(tx, workspace, id)
}

/// Safe to repeat. Its main number stays assigned.
pub fn unassign(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: UseCaseId,
    number_id: PhoneNumberId,
) -> Result<UseCase> {
    let use_case = find(tx, workspace, id, Lock::Change)?;
    super::phone_numbers::find(tx, workspace, number_id, Lock::None)?;
    if use_case.senders.main == Some(number_id) {
        return Err(OpError::PhoneNumberIsMain {
            use_case_id: id,
            phone_number_id: number_id,
        });
    }
    tx.unassign_number(id, number_id)?;
    get(tx, workspace, id)
}

/// Its queue stops: what is sent for it is taken and waits. A paused one takes the new reason and keeps
/// its time. Safe to repeat.
pub fn pause(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    id: UseCaseId,
    reason: &str,
) -> Result<UseCase> {
    let mut use_case = find(tx, workspace, id, Lock::Change)?;
    let since = match &use_case.pause {
        Some(pause) => pause.since,
        None => tx.now()?,
    };
    use_case.pause = Some(UseCasePause {
        reason: reason.to_owned(),
        since,
    });
    tx.update_use_case(&use_case)?;
    Ok(use_case)
}

/// What waits goes on. Safe to repeat.
pub fn resume(tx: &mut dyn Tx, workspace: WorkspaceId, id: UseCaseId) -> Result<UseCase> {
    let mut use_case = find(tx, workspace, id, Lock::Change)?;
    if use_case.pause.take().is_some() {
        tx.update_use_case(&use_case)?;
    }
    Ok(use_case)
}

/// The policy MAIN needs a number, and the named number must be one of the use case's.
fn check_main(
    senders: &SenderPlan,
    assigned: &[PhoneNumberId],
    use_case_id: Option<UseCaseId>,
) -> Result<()> {
    match senders.main {
        None if senders.policy == SenderPolicy::Main => {
            Err(OpError::InvalidFields(vec![Violation::field(
                "use_case.main_phone_number_id",
                "it is missing, and SENDER_POLICY_MAIN sends from no other number. Give the id of a number that is assigned to the use case, or another policy",
            )]))
        }
        Some(phone_number_id) if !assigned.contains(&phone_number_id) => {
            Err(OpError::MainNumberNotAssigned {
                use_case_id,
                phone_number_id,
            })
        }
        None | Some(_) => Ok(()),
    }
}

fn find(tx: &mut dyn Tx, workspace: WorkspaceId, id: UseCaseId, lock: Lock) -> Result<UseCase> {
    tx.find_use_case(workspace, id, lock)?
        .ok_or(OpError::NotFound(Resource::UseCase, id.uuid()))
}

fn taken(error: Error, use_case: &UseCase) -> OpError {
    match error {
        Error::Conflict(_) => OpError::UseCaseExists {
            entity_name: use_case.entity_name.clone(),
            name: use_case.name.clone(),
            channel: use_case.channel,
        },
        other => other.into(),
    }
}
