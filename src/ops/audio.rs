//! UploadAudio, GetAudio, DownloadAudio, and dropping what nobody uses.

use std::time::Duration;

use super::error::{OpError, Resource, Result};
use crate::audio::Walked;
use crate::domain::ids::{AudioId, WorkspaceId};
use crate::domain::time::Time;
use crate::domain::voicemail::Audio;
use crate::storage::Tx;

/// Audio that no voicemail names is dropped this long after its last use.
pub const KEPT_UNUSED: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Audio dropped in one unit of work, so that it stays a short one.
pub const DROPPED_AT_ONCE: i64 = 100;
/// Bytes of one chunk of DownloadAudio.
pub const DOWNLOAD_CHUNK_BYTES: u64 = 64 * 1_024;

/// What is stored of audio that passed the check. `create_time` is set when it is stored.
pub fn describe(walked: &Walked) -> Audio {
    Audio {
        id: AudioId::generate(),
        sha256: walked.sha256(),
        size_bytes: walked.size_bytes(),
        // At most 60,300, so it fits.
        duration_ms: u32::try_from(walked.duration().as_millis()).unwrap_or(u32::MAX),
        create_time: Time::EPOCH,
    }
}

/// The same audio for the same bytes.
pub fn upload(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    audio: &Audio,
    bytes: &[u8],
) -> Result<Audio> {
    let fresh = Audio {
        create_time: tx.now()?,
        ..audio.clone()
    };
    Ok(tx.put_audio(workspace, &fresh, bytes)?)
}

pub fn get(tx: &mut dyn Tx, workspace: WorkspaceId, id: AudioId) -> Result<Audio> {
    tx.find_audio(workspace, id)?
        .ok_or(OpError::NotFound(Resource::Audio, id.uuid()))
}

/// Says how many were dropped.
pub fn drop_unused(tx: &mut dyn Tx) -> Result<usize> {
    let before = tx.now()?.minus(KEPT_UNUSED);
    Ok(tx.drop_unused_audio(before, DROPPED_AT_ONCE)?)
}
