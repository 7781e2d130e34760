//! What the voicemails of a use case go through: its setup, and the numbers that may send for it.

use super::error::{OpError, Resource, Result};
use super::gates;
use super::send_voicemail::Accepting;
use super::setups::check_purpose;
use crate::domain::phone::PhoneNumber;
use crate::domain::sender::{Candidate, NoSender, Wanted, choose};
use crate::domain::telephony::SetupStatus;
use crate::domain::time::Time;
use crate::domain::use_case::{Channel, UseCase};
use crate::storage::{Lock, Tx};

#[derive(Debug)]
pub struct Route {
    pub use_case: UseCase,
    /// Only the embedded sandbox carrier will have its voicemails.
    pub simulated: bool,
    candidates: Vec<Candidate>,
}

impl Route {
    /// The route of a use case, if voicemails may be accepted for it.
    pub fn find(
        tx: &mut dyn Tx,
        use_case: UseCase,
        accepting: &Accepting<'_>,
        lock: Lock,
    ) -> Result<Route> {
        if use_case.channel != Channel::RinglessVoicemail {
            return Err(OpError::WrongChannel {
                use_case_id: use_case.id,
                channel: use_case.channel,
            });
        }
        let setup = tx
            .find_setup(accepting.workspace, use_case.setup_id, lock)?
            .ok_or(OpError::NotFound(Resource::Setup, use_case.setup_id.uuid()))?;
        match setup.status {
            SetupStatus::Approved => {}
            SetupStatus::Pending | SetupStatus::Suspended => {
                return Err(OpError::SetupNotApproved {
                    setup_id: setup.id,
                    status: setup.status,
                });
            }
        }
        check_purpose(&setup, use_case.purpose, accepting.registry)?;
        let purpose = gates::purpose_of(&use_case);
        if !gates::may_send_for(purpose, accepting.gates, &setup, accepting.registry) {
            return Err(OpError::PurposeNotChosen {
                setup_id: setup.id,
                purpose,
            });
        }
        let candidates = tx.sender_candidates(use_case.id, &setup.carriers)?;
        if candidates.is_empty() {
            return Err(OpError::NoActivePhoneNumber {
                use_case_id: use_case.id,
            });
        }
        Ok(Route {
            simulated: accepting.registry.all_simulated(&setup.carriers),
            use_case,
            candidates,
        })
    }

    /// The number that this recipient is sent from.
    pub fn sender(&self, recipient: &PhoneNumber, last: Option<&PhoneNumber>) -> Result<Candidate> {
        let use_case_id = self.use_case.id;
        let wanted = Wanted {
            recipient,
            last_sender: last,
            current: None,
            plan: self.use_case.senders,
        };
        // Caps are not looked at yet: by the time it is handed over there may be room.
        match choose(&self.candidates, wanted) {
            Ok(choice) => Ok(choice.candidate),
            Err(NoSender::MainMayNotSend) => Err(OpError::MainNumberInactive {
                use_case_id,
                phone_number_id: self.use_case.senders.main,
            }),
            Err(NoSender::NoActiveNumber | NoSender::AllCapped { .. }) => {
                Err(OpError::NoActivePhoneNumber { use_case_id })
            }
            Err(NoSender::OnlyTheRecipient) => Err(OpError::SenderIsRecipient { use_case_id }),
        }
    }

    /// A number was chosen at `time`, so that it is no longer the one that has been idle longest.
    pub fn used(&mut self, sender: &Candidate, time: Time) {
        let mut same = self.candidates.iter_mut().filter(|c| c.id == sender.id);
        if let Some(candidate) = same.next() {
            candidate.last_used = Some(time);
        }
    }
}
