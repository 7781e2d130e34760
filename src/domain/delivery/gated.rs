//! A delivery that a gate holds or refuses, or whose time runs out.

use super::Delivery;
use crate::domain::failure::FailureReason;
use crate::domain::gate::Gate;
use crate::domain::status::{Event, Refused};
use crate::domain::time::Time;

impl Delivery {
    /// Its time has run out before it left.
    pub fn expire(&mut self, now: Time) -> Result<(), Refused> {
        let (reason, detail) = match self.hold_gate {
            None => (
                FailureReason::Expired,
                "its expire_time passed before it could be sent".to_owned(),
            ),
            Some(gate) => (
                gate.expires_as(),
                format!(
                    "its expire_time passed while the gate {gate} held it: {}",
                    self.status_detail
                ),
            ),
        };
        self.end(Event::Skipped(reason), Some(reason), detail, now)
    }

    /// It was claimed, and a gate holds it: it is looked at again at `until`, at the latest when it expires.
    pub fn hold(&mut self, gate: Gate, why: String, until: Time, now: Time) -> Result<(), Refused> {
        self.put_back(why, until.since(now), now)?;
        self.hold_gate = Some(gate);
        // Before the first try it is due when the window opens: nobody was slow until then.
        if gate == Gate::Window && self.attempt_count == 0 {
            self.due_time = self.due_time.max(until.min(self.expire_time));
        }
        Ok(())
    }

    /// It was claimed, and a gate refuses it.
    pub fn refuse(&mut self, reason: FailureReason, why: String, now: Time) -> Result<(), Refused> {
        self.end(Event::Skipped(reason), Some(reason), why, now)
    }
}
