//! Telephony setups and sender numbers.

use super::failure::FailureReason;
use super::ids::{PhoneNumberId, SetupId, WorkspaceId};
use super::phone::PhoneNumber;
use super::sender::Candidate;
use super::time::Time;
use super::warm_up::NumberCaps;

/// Bytes of a carrier's name.
pub const CARRIER_NAME_BYTES_MAX: usize = 63;
/// Carriers of one setup.
pub const CARRIERS_MAX: usize = 8;

/// Carriers in order of preference, and phone numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    pub id: SetupId,
    pub workspace_id: WorkspaceId,
    pub display_name: String,
    pub carriers: Vec<String>,
    pub status: SetupStatus,
    pub status_detail: String,
    /// Hand-overs that may start within a minute, spread evenly; 0: no limit.
    pub starts_per_minute: i32,
    /// Hand-overs under way at once, over all workers; 0: no limit.
    pub in_flight_max: i32,
    /// The engine has stopped its queue.
    pub pause: Option<Pause>,
    pub create_time: Time,
    pub update_time: Time,
}

/// Why the engine has stopped a setup's queue. It is no status: it ends by ResumeSetup, or by itself
/// once the carrier answers again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub reason: PauseReason,
    pub carrier: String,
    pub since: Time,
}

/// The numbers are those of the proto enum `PauseReason` and of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum PauseReason {
    /// Its carrier fails again and again; it is tried now and then.
    CarrierFailing = 1,
    /// The carrier refuses our credentials.
    CarrierAuth = 2,
    /// The account with the carrier has no funds left.
    InsufficientFunds = 3,
}

impl PauseReason {
    pub fn from_code(code: i16) -> Option<PauseReason> {
        [
            PauseReason::CarrierFailing,
            PauseReason::CarrierAuth,
            PauseReason::InsufficientFunds,
        ]
        .into_iter()
        .find(|reason| *reason as i16 == code)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            PauseReason::CarrierFailing => "CARRIER_FAILING",
            PauseReason::CarrierAuth => "CARRIER_AUTH",
            PauseReason::InsufficientFunds => "INSUFFICIENT_FUNDS",
        }
    }

    /// The pause that a carrier's refusal asks for: only an account's fault does.
    pub fn of(reason: FailureReason) -> Option<PauseReason> {
        match reason {
            FailureReason::CarrierAuth => Some(PauseReason::CarrierAuth),
            FailureReason::InsufficientFunds => Some(PauseReason::InsufficientFunds),
            _ => None,
        }
    }
}

impl Setup {
    /// Why its voicemails wait; `None`: they may be sent.
    pub fn why_waiting(&self) -> Option<String> {
        if self.status != SetupStatus::Approved {
            let status = self.status.as_str();
            return Some(format!(
                "its setup is {status}; it waits until the setup is approved"
            ));
        }
        self.pause.as_ref().map(|pause| {
            format!(
                "its setup is paused since {} ({}, carrier `{}`); it waits",
                pause.since,
                pause.reason.as_str(),
                pause.carrier
            )
        })
    }
}

/// The numbers are those of the proto enum `SetupStatus` and of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum SetupStatus {
    Pending = 1,
    Approved = 2,
    Suspended = 3,
}

impl SetupStatus {
    pub fn from_code(code: i16) -> Option<SetupStatus> {
        [
            SetupStatus::Pending,
            SetupStatus::Approved,
            SetupStatus::Suspended,
        ]
        .into_iter()
        .find(|status| *status as i16 == code)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            SetupStatus::Pending => "PENDING",
            SetupStatus::Approved => "APPROVED",
            SetupStatus::Suspended => "SUSPENDED",
        }
    }
}

/// The status of a setup whose carriers were just given: a rehearsal needs nobody's approval, but
/// does not end a suspension; any other carriers have to be approved anew.
pub fn status_after_carriers(before: Option<SetupStatus>, all_sandbox: bool) -> SetupStatus {
    match (before, all_sandbox) {
        (Some(SetupStatus::Suspended), true) => SetupStatus::Suspended,
        (_, true) => SetupStatus::Approved,
        (_, false) => SetupStatus::Pending,
    }
}

/// A sender number of one setup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderNumber {
    pub id: PhoneNumberId,
    pub workspace_id: WorkspaceId,
    pub setup_id: SetupId,
    pub number: PhoneNumber,
    pub display_name: String,
    pub status: NumberStatus,
    /// The carriers that it may be used with; empty: all of the setup's.
    pub carriers: Vec<String>,
    pub caps: NumberCaps,
    pub create_time: Time,
    pub update_time: Time,
}

/// The numbers are those of the proto enum `PhoneNumberStatus` and of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum NumberStatus {
    Active = 1,
    Inactive = 2,
}

impl NumberStatus {
    pub fn from_code(code: i16) -> Option<NumberStatus> {
        [NumberStatus::Active, NumberStatus::Inactive]
            .into_iter()
            .find(|status| *status as i16 == code)
    }
}

impl SenderNumber {
    /// May it be used with this carrier?
    pub fn allows(&self, carrier: &str) -> bool {
        self.carriers.is_empty() || self.carriers.iter().any(|name| name == carrier)
    }

    /// As one to choose from, `last_used` and its use so far left out.
    pub fn candidate(self, now: Time) -> Candidate {
        Candidate {
            id: self.id,
            last_used: None,
            cap: self.caps.in_force(self.create_time, now),
            cap_until: self.caps.next_step_time(self.create_time, now),
            full_until: None,
            number: self.number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_of_sandboxes_is_approved_at_once_and_any_other_waits_for_approval() {
        use SetupStatus::{Approved, Pending, Suspended};
        assert_eq!(status_after_carriers(None, true), Approved);
        assert_eq!(status_after_carriers(None, false), Pending);
        assert_eq!(status_after_carriers(Some(Approved), false), Pending);
        assert_eq!(status_after_carriers(Some(Pending), true), Approved);
        assert_eq!(status_after_carriers(Some(Suspended), true), Suspended);
        assert_eq!(status_after_carriers(Some(Suspended), false), Pending);
    }
}
