//! The worker's steps, each one unit of work: claim what is due, begin a call, record what came of
//! it. Between them no transaction is open. The rules are in `domain/delivery.rs`.

mod begin;
mod claim;
mod record;

pub use begin::{Begun, CallPlan, NextMove, QuestionPlan, begin, never_called};
pub use claim::{Claimed, Task, TaskKind, claim};
pub use record::{Recorded, record_answer, record_outcome};

use std::time::Duration;

use super::error::Result;
use crate::carrier::Registry;
use crate::domain::delivery::{Delivery, Rules};
use crate::domain::telephony::{Setup, SetupStatus};
use crate::storage::{Error, Lock, Tx};

/// What every step needs.
#[derive(Clone)]
pub struct Delivering {
    pub registry: Registry,
    pub rules: Rules,
    /// A claim holds for this long without word from its worker.
    pub lease: Duration,
}

/// Why a voicemail can't be sent now.
#[derive(Debug, Clone)]
enum NotReady {
    /// Its setup may not send: so for every process, until somebody changes the setup.
    Setup(String),
    /// This process does not know a carrier for it: another one may, so it is only put off.
    Here(String),
}

/// May this voicemail's setup send now?
fn readiness(
    tx: &mut dyn Tx,
    delivery: &Delivery,
    delivering: &Delivering,
) -> Result<std::result::Result<Setup, NotReady>> {
    let found = tx.find_setup(delivery.workspace_id, delivery.setup_id, Lock::Share);
    let setup = match found {
        Ok(Some(setup)) => setup,
        Ok(None) | Err(Error::Inconsistent { .. }) => {
            tracing::error!(setup.id = %delivery.setup_id, "the setup of a waiting voicemail can't be read");
            return Ok(Err(NotReady::Here(
                "its setup can't be read; it waits".to_owned(),
            )));
        }
        Err(error) => return Err(error.into()),
    };
    if setup.status != SetupStatus::Approved {
        let status = setup.status.as_str();
        let why = format!("its setup is {status}; it waits until the setup is approved");
        return Ok(Err(NotReady::Setup(why)));
    }
    if delivering.known(&setup.carriers).is_empty() {
        let why = "no carrier of its setup is in the configuration; it waits";
        return Ok(Err(NotReady::Here(why.to_owned())));
    }
    Ok(Ok(setup))
}

impl Delivering {
    /// Those of these carriers that this process has.
    fn known(&self, carriers: &[String]) -> Vec<String> {
        let known = carriers
            .iter()
            .filter(|name| self.registry.find(name).is_some());
        known.cloned().collect()
    }
}
