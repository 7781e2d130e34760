//! A use case: a purpose that sends.

use super::ids::{PhoneNumberId, SetupId, UseCaseId, WorkspaceId};
use super::phone::PhoneNumber;
use super::sender::SenderPlan;
use super::time::Time;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseCase {
    pub id: UseCaseId,
    pub workspace_id: WorkspaceId,
    pub channel: Channel,
    pub entity_name: String,
    pub name: String,
    pub description: String,
    pub setup_id: SetupId,
    /// Assigned numbers, in the order of their assignment.
    pub phone_number_ids: Vec<PhoneNumberId>,
    pub purpose: Option<Purpose>,
    pub callback_phone_number: Option<PhoneNumber>,
    pub opt_out_phone_number: Option<PhoneNumber>,
    pub senders: SenderPlan,
    /// An operator has stopped its queue.
    pub pause: Option<UseCasePause>,
    /// All its numbers have reached their caps, so its queue waits until then.
    pub senders_full_until: Option<Time>,
    pub create_time: Time,
    pub update_time: Time,
}

/// What is sent for a paused use case is taken and waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseCasePause {
    pub reason: String,
    pub since: Time,
}

impl UseCase {
    /// Why its voicemails wait; `None`: they may be sent.
    pub fn why_waiting(&self) -> Option<String> {
        self.pause
            .as_ref()
            .map(|pause| match pause.reason.as_str() {
                "" => format!("its use case is paused since {}; it waits", pause.since),
                reason => format!("its use case is paused: {reason}"),
            })
    }

    /// Why its voicemails wait for a sender; `None`: one may have room.
    pub fn why_full(&self, now: Time) -> Option<String> {
        let until = self.senders_full_until.filter(|until| *until > now)?;
        Some(format!(
            "each number that may send it has reached its cap of 24 hours; it is looked at again at {until}"
        ))
    }
}

/// The numbers are those of the proto enum `Channel` and of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum Channel {
    /// The only one that sends voicemails.
    RinglessVoicemail = 1,
    OutboundVoice = 2,
    InboundVoice = 3,
}

impl Channel {
    pub fn from_code(code: i16) -> Option<Channel> {
        [
            Channel::RinglessVoicemail,
            Channel::OutboundVoice,
            Channel::InboundVoice,
        ]
        .into_iter()
        .find(|channel| *channel as i16 == code)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Channel::RinglessVoicemail => "CHANNEL_RINGLESS_VOICEMAIL",
            Channel::OutboundVoice => "CHANNEL_OUTBOUND_VOICE",
            Channel::InboundVoice => "CHANNEL_INBOUND_VOICE",
        }
    }
}

/// The numbers are those of the proto enum `Purpose` and of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Purpose {
    Healthcare = 1,
    Informational = 2,
    Marketing = 3,
    Other = 4,
}

impl Purpose {
    pub const ALL: [Purpose; 4] = [
        Purpose::Healthcare,
        Purpose::Informational,
        Purpose::Marketing,
        Purpose::Other,
    ];

    pub fn from_code(code: i16) -> Option<Purpose> {
        Purpose::ALL
            .into_iter()
            .find(|purpose| *purpose as i16 == code)
    }

    /// As the protos spell it, without its prefix; in lower case, it is the profile's name in the
    /// configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Healthcare => "HEALTHCARE",
            Purpose::Informational => "INFORMATIONAL",
            Purpose::Marketing => "MARKETING",
            Purpose::Other => "OTHER",
        }
    }
}
