//! Audio by content, and its bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{Binary, Integer};

use super::super::{audio_bytes, audios, voicemails};
use super::Session;
use super::many::{insert_audio_bytes, insert_audios};
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
        let row: Option<(AudioRow, Ts)> = audios::table
            .filter(audios::id.eq(Id::from(id)))
            .filter(audios::workspace_id.eq(workspace.0))
            .select((AudioRow::as_select(), audios::last_used_time))
            .first(self.conn)
            .optional()?;
        let (row, last_used) = row.unzip();
        self.audio_uses.extend(last_used.map(|time| (id, time.0)));
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

    fn put_audios(
        &mut self,
        workspace: WorkspaceId,
        audios: &[(&Audio, &[u8])],
    ) -> Result<Vec<Audio>> {
        let wanted: BTreeSet<&[u8; 32]> = audios.iter().map(|(audio, _)| &audio.sha256).collect();
        let mut known = self.find_hashes(workspace, &wanted)?;
        let used: BTreeSet<AudioId> = known.values().map(|audio| audio.id).collect();
        for id in used {
            self.touch_audio(id)?;
        }
        // By hash, so that two who store the same ones wait for one another and do not come to a deadlock.
        let fresh: BTreeMap<&[u8; 32], (&Audio, &[u8])> = audios
            .iter()
            .filter(|(audio, _)| !known.contains_key(&audio.sha256))
            .map(|(audio, bytes)| (&audio.sha256, (*audio, *bytes)))
            .collect();
        if !fresh.is_empty() {
            known.extend(self.store_audios(workspace, &fresh)?);
        }
        let stored = audios
            .iter()
            .map(|(audio, _)| known.get(&audio.sha256).cloned());
        let dropped = || Error::Unavailable("the audio was dropped while it was stored".to_owned());
        stored.map(|audio| audio.ok_or_else(dropped)).collect()
    }

    fn put_audio(&mut self, workspace: WorkspaceId, audio: &Audio, bytes: &[u8]) -> Result<Audio> {
        let stored = self.put_audios(workspace, &[(audio, bytes)])?.pop();
        stored.ok_or_else(|| Error::Internal("one audio was stored, and none came back".to_owned()))
    }

    fn touch_audio(&mut self, id: AudioId) -> Result<()> {
        let now = self.now()?;
        let noted_before = now.minus(USE_NOTED_EVERY);
        let last_used = self.audio_uses.get(&id);
        if last_used.is_some_and(|time| *time > noted_before) {
            return Ok(());
        }
        diesel::update(audios::table)
            .filter(audios::id.eq(Id::from(id)))
            .filter(audios::last_used_time.le(Ts(noted_before)))
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

impl Session<'_> {
    fn find_hashes(
        &mut self,
        workspace: WorkspaceId,
        hashes: &BTreeSet<&[u8; 32]>,
    ) -> Result<HashMap<[u8; 32], Audio>> {
        let rows: Vec<(AudioRow, Ts)> = audios::table
            .filter(audios::workspace_id.eq(workspace.0))
            .filter(audios::sha256.eq_any(hashes.iter().map(|hash| hash.as_slice())))
            .select((AudioRow::as_select(), audios::last_used_time))
            .load(self.settled()?)?;
        let uses = rows.iter().map(|(row, time)| (row.id.into(), time.0));
        self.audio_uses.extend(uses);
        let read = |(row, _): (AudioRow, Ts)| row.read().map(|audio| (audio.sha256, audio));
        rows.into_iter().map(read).collect()
    }

    /// Stores those that nobody has stored meanwhile; gives what is there by now.
    fn store_audios(
        &mut self,
        workspace: WorkspaceId,
        fresh: &BTreeMap<&[u8; 32], (&Audio, &[u8])>,
    ) -> Result<HashMap<[u8; 32], Audio>> {
        let rows = fresh
            .values()
            .map(|(audio, _)| NewAudioRow::of(workspace, audio));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let inserted = insert_audios(self.settled()?, &rows)?;
        let stored = match inserted.len() == rows.len() {
            true => fresh
                .values()
                .map(|(audio, _)| (audio.sha256, (*audio).clone()))
                .collect(),
            // Another call stored some of the same bytes between our look and our insert.
            false => self.find_hashes(workspace, &fresh.keys().copied().collect())?,
        };
        let bytes: Vec<(Id, &[u8])> = fresh
            .values()
            .map(|(audio, bytes)| (Id::from(audio.id), *bytes))
            .filter(|(id, _)| inserted.contains(id))
            .collect();
        insert_audio_bytes(self.settled()?, &bytes)?;
        Ok(stored)
    }
}

/// Audio as it is stored first.
pub struct NewAudioRow<'a> {
    pub id: Id,
    pub workspace_id: i64,
    pub sha256: &'a [u8],
    pub size_bytes: i64,
    pub duration_ms: i32,
    pub create_time: Ts,
    pub last_used_time: Ts,
}

impl NewAudioRow<'_> {
    fn of(workspace: WorkspaceId, audio: &Audio) -> Result<NewAudioRow<'_>> {
        let size = i64::try_from(audio.size_bytes).map_err(|e| Error::inconsistent("audios", e))?;
        let duration =
            i32::try_from(audio.duration_ms).map_err(|e| Error::inconsistent("audios", e))?;
        Ok(NewAudioRow {
            id: audio.id.into(),
            workspace_id: workspace.0,
            sha256: &audio.sha256,
            size_bytes: size,
            duration_ms: duration,
            create_time: Ts(audio.create_time),
            last_used_time: Ts(audio.create_time),
        })
    }
}
