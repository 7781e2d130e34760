//! Audio by content, and its bytes.

use std::time::Duration;

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{Binary, Integer};

use super::super::{audio_bytes, audios, voicemails};
use super::Session;
use super::rows::AudioRow;
use crate::domain::ids::{AudioId, WorkspaceId};
use crate::domain::time::Time;
use crate::domain::voicemail::Audio;
use crate::storage::values::{Id, Ts};
use crate::storage::{AudioStore, Error, Result, Tx};

/// A use is noted at most this often.
const USE_NOTED_EVERY: Duration = Duration::from_secs(3_600);

define_sql_function! { fn substr(bytes: Binary, from: Integer, length: Integer) -> Binary; }

impl AudioStore for Session<'_> {
    fn find_audio(&mut self, workspace: WorkspaceId, id: AudioId) -> Result<Option<Audio>> {
        let key = (workspace, id);
        if let Some(known) = self.known(|known| known.audios.get(&key)) {
            return Ok(known);
        }
        let row: Option<AudioRow> = audios::table
            .filter(audios::id.eq(Id::from(id)))
            .filter(audios::workspace_id.eq(workspace.0))
            .select(AudioRow::as_select())
            .first(self.conn)
            .optional()?;
        let audio = row.map(AudioRow::read).transpose()?;
        if let Some(together) = &mut self.together {
            together.audios.insert(key, audio.clone());
        }
        Ok(audio)
    }

    fn find_audio_by_hash(
        &mut self,
        workspace: WorkspaceId,
        sha256: &[u8; 32],
    ) -> Result<Option<Audio>> {
        let row: Option<AudioRow> = audios::table
            .filter(audios::workspace_id.eq(workspace.0))
            .filter(audios::sha256.eq(sha256.as_slice()))
            .select(AudioRow::as_select())
            .first(self.settled()?)
            .optional()?;
        row.map(AudioRow::read).transpose()
    }

    fn put_audio(&mut self, workspace: WorkspaceId, audio: &Audio, bytes: &[u8]) -> Result<Audio> {
        if let Some(known) = self.find_audio_by_hash(workspace, &audio.sha256)? {
            self.touch_audio(known.id)?;
            return Ok(known);
        }
        let size = i64::try_from(audio.size_bytes).map_err(|e| Error::inconsistent("audios", e))?;
        let duration =
            i32::try_from(audio.duration_ms).map_err(|e| Error::inconsistent("audios", e))?;
        let inserted = diesel::insert_into(audios::table)
            .values((
                audios::id.eq(Id::from(audio.id)),
                audios::workspace_id.eq(workspace.0),
                audios::sha256.eq(audio.sha256.as_slice()),
                audios::size_bytes.eq(size),
                audios::duration_ms.eq(duration),
                audios::create_time.eq(Ts(audio.create_time)),
                audios::last_used_time.eq(Ts(audio.create_time)),
            ))
            .on_conflict_do_nothing()
            .execute(self.settled()?)?;
        if inserted == 1 {
            diesel::insert_into(audio_bytes::table)
                .values((
                    audio_bytes::audio_id.eq(Id::from(audio.id)),
                    audio_bytes::bytes.eq(bytes),
                ))
                .execute(self.settled()?)?;
            return Ok(audio.clone());
        }
        // Another call stored the same bytes between our look and our insert.
        self.find_audio_by_hash(workspace, &audio.sha256)?
            .ok_or_else(|| {
                Error::Unavailable("the audio was dropped while it was stored".to_owned())
            })
    }

    fn touch_audio(&mut self, id: AudioId) -> Result<()> {
        let now = self.now()?;
        diesel::update(audios::table)
            .filter(audios::id.eq(Id::from(id)))
            .filter(audios::last_used_time.le(Ts(now.minus(USE_NOTED_EVERY))))
            .set(audios::last_used_time.eq(Ts(now)))
            .execute(self.settled()?)?;
        Ok(())
    }

    fn read_audio_part(&mut self, id: AudioId, offset: u64, length: u64) -> Result<Vec<u8>> {
        let place = |n: u64| i32::try_from(n).map_err(|e| Error::inconsistent("audio_bytes", e));
        // SQL counts from 1.
        let part = substr(audio_bytes::bytes, place(offset + 1)?, place(length)?);
        Ok(audio_bytes::table
            .find(Id::from(id))
            .select(part)
            .first(self.settled()?)?)
    }

    fn read_audio(&mut self, id: AudioId) -> Result<Option<Vec<u8>>> {
        Ok(audio_bytes::table
            .find(Id::from(id))
            .select(audio_bytes::bytes)
            .first(self.settled()?)
            .optional()?)
    }

    fn drop_unused_audio(&mut self, before: Time, limit: i64) -> Result<usize> {
        let named = || voicemails::table.filter(voicemails::audio_id.eq(audios::id));
        let unused: Vec<Id> = audios::table
            .filter(audios::last_used_time.lt(Ts(before)))
            .filter(not(exists(named())))
            .order(audios::last_used_time)
            .limit(limit)
            .select(audios::id)
            .load(self.settled()?)?;
        // Judged again in the delete, because a call may have come to use it meanwhile.
        Ok(diesel::delete(audios::table)
            .filter(audios::id.eq_any(unused))
            .filter(audios::last_used_time.lt(Ts(before)))
            .filter(not(exists(named())))
            .execute(self.settled()?)?)
    }
}
