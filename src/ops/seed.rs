//! What an empty database is given, where no configuration file names carriers: a setup, numbers, a
//! use case and audio, so that the first call of a new user works as pasted.

use super::error::Result;
use super::phone_numbers::{self, NewNumber};
use super::setups::{self, NewSetup};
use super::use_cases::{self, NewUseCase};
use crate::carrier::Registry;
use crate::domain::ids::{AudioId, UseCaseId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::sender::SenderPlan;
use crate::domain::use_case::{Channel, Purpose};
use crate::domain::voicemail::Audio;
use crate::domain::warm_up::NumberCaps;
use crate::storage::{NumberFilter, Page, Tx, UseCaseFilter};

/// The spoken sample that an empty database is given, and that an account's check fetches.
pub const SAMPLE_MP3: &[u8] = include_bytes!("../../assets/demo.mp3");
/// The name of the setup, which is that of its carrier too.
pub const SETUP: &str = "sandbox";
/// The name of the use case, of the entity `Sample Clinic`.
pub const USE_CASE: &str = "Demo";
pub const ENTITY: &str = "Sample Clinic";
/// Fictional sender numbers (555-0195 to 0197), in three area codes.
pub const NUMBERS: [&str; 3] = ["+12125550195", "+13125550196", "+14155550197"];

/// What a first call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeded {
    pub use_case_id: UseCaseId,
    pub audio_id: AudioId,
}

/// Seeds a database that has no setup yet; otherwise gives what an earlier start seeded, if it is
/// still there. All in one unit of work, so a crash leaves all or nothing.
pub fn seed(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    registry: &Registry,
    audio: &Audio,
    bytes: &[u8],
) -> Result<Option<Seeded>> {
    let one = Page {
        limit: 1,
        after: None,
    };
    if !tx.list_setups(workspace, &[], one)?.is_empty()
        || !tx
            .list_numbers(workspace, &NumberFilter::default(), one)?
            .is_empty()
    {
        return find(tx, workspace, audio, bytes);
    }
    let setup = NewSetup {
        display_name: SETUP.to_owned(),
        carriers: vec![SETUP.to_owned()],
        starts_per_minute: 0,
        in_flight_max: 0,
        request_id: None,
    };
    let setup = setups::create(tx, workspace, &setup, registry)?;
    let use_case = NewUseCase {
        channel: Channel::RinglessVoicemail,
        entity_name: ENTITY.to_owned(),
        name: USE_CASE.to_owned(),
        description: "Made at the first start, for trying things out in the sandbox".to_owned(),
        setup_id: setup.id,
        purpose: Some(Purpose::Other),
        callback_phone_number: None,
        opt_out_phone_number: None,
        senders: SenderPlan::default(),
        request_id: None,
    };
    let use_case = use_cases::create(tx, workspace, &use_case, registry)?;
    for number in NUMBERS {
        let number = NewNumber {
            setup_id: setup.id,
            number: PhoneNumber::from_stored(number.to_owned()),
            display_name: String::new(),
            carriers: Vec::new(),
            caps: NumberCaps::default(),
            request_id: None,
        };
        let number = phone_numbers::create(tx, workspace, &number)?;
        use_cases::assign(tx, workspace, use_case.id, number.id)?;
    }
    let audio = super::audio::upload(tx, workspace, audio, bytes)?;
    Ok(Some(Seeded {
        use_case_id: use_case.id,
        audio_id: audio.id,
    }))
}

/// The sample audio is stored again where nobody used it for long and it was dropped.
fn find(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    audio: &Audio,
    bytes: &[u8],
) -> Result<Option<Seeded>> {
    let filter = UseCaseFilter {
        entity_name: Some(ENTITY.to_owned()),
        name: Some(USE_CASE.to_owned()),
        channels: vec![Channel::RinglessVoicemail],
        ..UseCaseFilter::default()
    };
    let one = Page {
        limit: 1,
        after: None,
    };
    let Some(use_case) = tx.list_use_cases(workspace, &filter, one)?.pop() else {
        return Ok(None);
    };
    let audio = super::audio::upload(tx, workspace, audio, bytes)?;
    Ok(Some(Seeded {
        use_case_id: use_case.id,
        audio_id: audio.id,
    }))
}
