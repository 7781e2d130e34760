//! The worker's steps, each in a unit of work: claim what is due, begin a call, record what came of
//! it; many together where there are many. Between them no transaction is open. The rules are in `domain/delivery.rs`.

mod begin;
mod breaker;
mod claim;
mod gated;
mod hear;
mod limits;
mod record;
mod request;
mod rescue;
pub mod senders;
mod together;

pub use begin::{Begun, CallPlan, NextMove, QuestionPlan, begin, renew};
pub use breaker::{end_trial, trip};
pub(super) use claim::refused;
pub use claim::{Claimed, Round, Task, claim};
pub use hear::{Heard, hear};
pub use record::{Recorded, record_answer, record_outcome};
pub(super) use request::message;
pub use request::uploaded;
pub use rescue::never_called;
pub use senders::{SenderVerdict, judge_sender};
pub use together::{Called, Started, claim_and_begin, record_together};

use std::sync::Arc;
use std::time::Duration;

use super::error::{OpError, Result};
use crate::carrier::Registry;
use crate::domain::delivery::{Delivery, Rules};
use crate::domain::doubt::DoubtTraits;
use crate::domain::gate;
use crate::domain::hand_over::HandOver;
use crate::domain::links::Doors;
use crate::domain::phone::PhoneNumber;
use crate::domain::telephony::Setup;
use crate::domain::use_case::UseCase;
use crate::storage::{Error, Lock, Tx};

/// Another process may have one, so it is a matter of this one.
pub const NO_CARRIER: &str = "no carrier of its setup is in the configuration; it waits";

/// What every step needs.
#[derive(Clone)]
pub struct Delivering {
    pub registry: Registry,
    pub rules: Rules,
    /// What the gates judge by.
    pub gates: Arc<gate::Rules>,
    /// A claim holds for this long without word from its worker.
    pub lease: Duration,
    /// Where carriers reach us; none where they can't.
    pub doors: Option<Doors>,
}

/// May this voicemail's setup send now? Else why it waits.
fn readiness(
    tx: &mut dyn Tx,
    delivery: &Delivery,
    delivering: &Delivering,
) -> Result<std::result::Result<Setup, String>> {
    let found = tx.find_setup(delivery.workspace_id, delivery.setup_id, Lock::None);
    let setup = match found {
        Ok(Some(setup)) => setup,
        Ok(None) | Err(Error::Inconsistent { .. }) => {
            tracing::error!(setup.id = %delivery.setup_id, "the setup of a waiting voicemail can't be read");
            return Ok(Err("its setup can't be read; it waits".to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(why) = setup.why_waiting() {
        return Ok(Err(why));
    }
    if delivering.known(&setup.carriers).is_empty() {
        return Ok(Err(NO_CARRIER.to_owned()));
    }
    Ok(Ok(setup))
}

fn use_case_of(tx: &mut dyn Tx, delivery: &Delivery) -> Result<UseCase> {
    let found = tx.find_use_case(delivery.workspace_id, delivery.use_case_id, Lock::None)?;
    found.ok_or_else(|| {
        OpError::Internal(format!(
            "the use case of voicemail {} is gone",
            delivery.voicemail_id
        ))
    })
}

impl Delivering {
    /// What the carrier of a hand-over allows where the outcome of a call is unknown; one that is not in
    /// the configuration (any more) allows nothing.
    pub fn traits(&self, hand_over: &HandOver, recipient: &PhoneNumber) -> DoubtTraits {
        match self.registry.find(&hand_over.carrier) {
            Some(carrier) => carrier.doubt_traits(recipient, &hand_over.reference),
            None => DoubtTraits::NONE,
        }
    }

    /// Those of these carriers that this process has.
    fn known(&self, carriers: &[String]) -> Vec<String> {
        let known = carriers
            .iter()
            .filter(|name| self.registry.find(name).is_some());
        known.cloned().collect()
    }
}
