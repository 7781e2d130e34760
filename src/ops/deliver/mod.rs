//! The worker's steps, each one unit of work: claim what is due, begin a call, record what came of
//! it. Between them no transaction is open. The rules are in `domain/delivery.rs`.

mod begin;
mod claim;
mod record;

pub use begin::{Begun, CallPlan, NextMove, QuestionPlan, begin};
pub use claim::{Claimed, Task, TaskKind, claim};
pub use record::{record_answer, record_outcome};

use std::time::Duration;

use super::error::{OpError, Result};
use crate::carrier::Registry;
use crate::domain::delivery::{Delivery, Rules};
use crate::domain::telephony::{Setup, SetupStatus};
use crate::storage::{Lock, Tx};

/// What every step needs.
#[derive(Clone)]
pub struct Delivering {
    pub registry: Registry,
    pub rules: Rules,
    /// A claim holds for this long without word from its worker.
    pub lease: Duration,
}

/// May this voicemail's setup send now, and if not, why?
fn readiness(
    tx: &mut dyn Tx,
    delivery: &Delivery,
    delivering: &Delivering,
) -> Result<std::result::Result<Setup, String>> {
    let setup = tx
        .find_setup(delivery.workspace_id, delivery.setup_id, Lock::Share)?
        .ok_or_else(|| {
            OpError::Internal(format!(
                "setup {} of a waiting voicemail is gone",
                delivery.setup_id
            ))
        })?;
    if setup.status != SetupStatus::Approved {
        return Ok(Err(format!(
            "its setup is {}; it waits until the setup is approved",
            setup.status.as_str()
        )));
    }
    if !setup
        .carriers
        .iter()
        .any(|name| delivering.registry.find(name).is_some())
    {
        return Ok(Err(
            "no carrier of its setup is in the configuration; it waits".to_owned(),
        ));
    }
    Ok(Ok(setup))
}
