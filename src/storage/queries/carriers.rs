//! What carriers say by themselves, and what they were given once for all.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::super::{
    attempts, audios, callbacks, carrier_uploads, hand_overs, voicemails, webhook_events,
    workspaces,
};
use super::Session;
use super::rows::{AttemptRow, AudioRow, HandOverRow, status};
use crate::domain::attempt::Attempt;
use crate::domain::hand_over::HandOver;
use crate::domain::ids::{AudioId, HandOverId, VoicemailId};
use crate::domain::phone::PhoneNumber;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::storage::values::{Id, Ts};
use crate::storage::{
    CarrierStore, Error, LinkedAudio, Lock, NewCallback, Result, Tx, UnreadCallback,
};

/// What stands in `webhook_events.said` of an event that was kept and not heard yet.
const NOT_HEARD: &str = "";
/// As many as say that it is not one.
const MORE_THAN_ONE: i64 = 2;

impl CarrierStore for Session<'_> {
    fn find_hand_over(&mut self, id: HandOverId) -> Result<Option<HandOver>> {
        let row: Option<HandOverRow> = hand_overs::table
            .find(Id::from(id))
            .select(HandOverRow::as_select())
            .first(self.settled()?)
            .optional()?;
        Ok(row.map(HandOverRow::read))
    }

    fn hand_over_by_token(
        &mut self,
        carrier: &str,
        token_hash: &[u8; 32],
    ) -> Result<Option<HandOver>> {
        let query = hand_overs::table
            .filter(hand_overs::token_hash.eq(Some(token_hash.to_vec())))
            .filter(hand_overs::carrier.eq(carrier))
            .select(HandOverRow::as_select());
        let row: Option<HandOverRow> =
            first_locked!(query, Lock::Change, self.settled()?, HandOverRow)?;
        Ok(row.map(HandOverRow::read))
    }

    fn hand_overs_by_reference(&mut self, carrier: &str, reference: &str) -> Result<Vec<HandOver>> {
        let rows: Vec<HandOverRow> = hand_overs::table
            .filter(hand_overs::carrier.eq(carrier))
            .filter(hand_overs::reference.eq(reference))
            // In the words of the index that it is found by.
            .filter(sql::<Bool>("hand_overs.reference <> ''"))
            .limit(MORE_THAN_ONE)
            .select(HandOverRow::as_select())
            .load(self.settled()?)?;
        Ok(rows.into_iter().map(HandOverRow::read).collect())
    }

    fn open_hand_overs(
        &mut self,
        carrier: &str,
        recipient: &PhoneNumber,
        since: Time,
    ) -> Result<Vec<HandOver>> {
        // The index of recipients begins with the workspace.
        let all: Vec<i64> = workspaces::table
            .select(workspaces::id)
            .load(self.settled()?)?;
        let open = [Status::Sending, Status::Sent, Status::Unconfirmed].map(|status| status as i16);
        let rows: Vec<HandOverRow> = voicemails::table
            .inner_join(hand_overs::table.on(hand_overs::voicemail_id.eq(voicemails::id)))
            .filter(voicemails::workspace_id.eq_any(all))
            .filter(voicemails::recipient.eq(recipient.e164()))
            .filter(voicemails::status.eq_any(open))
            .filter(hand_overs::carrier.eq(carrier))
            .filter(hand_overs::create_time.ge(Ts(since)))
            .filter(hand_overs::void.eq(false))
            .limit(MORE_THAN_ONE)
            .select(HandOverRow::as_select())
            .load(self.settled()?)?;
        Ok(rows.into_iter().map(HandOverRow::read).collect())
    }

    fn linked_audio(&mut self, voicemail: VoicemailId) -> Result<Option<LinkedAudio>> {
        let found: Option<(AudioRow, i16, Option<Ts>)> = voicemails::table
            .inner_join(audios::table)
            .filter(voicemails::id.eq(Id::from(voicemail)))
            .select((
                AudioRow::as_select(),
                voicemails::status,
                voicemails::end_time,
            ))
            .first(self.settled()?)
            .optional()?;
        found
            .map(|(audio, code, end_time)| {
                Ok(LinkedAudio {
                    audio: audio.read()?,
                    status: status(code)?,
                    end_time: end_time.map(|time| time.0),
                })
            })
            .transpose()
    }

    fn last_attempt(&mut self, hand_over: &HandOver) -> Result<Option<Attempt>> {
        let row: Option<AttemptRow> = attempts::table
            .filter(attempts::voicemail_id.eq(Id::from(hand_over.voicemail_id)))
            .filter(attempts::hand_over_id.eq(Id::from(hand_over.id)))
            .order(attempts::number.desc())
            .select(AttemptRow::as_select())
            .first(self.settled()?)
            .optional()?;
        row.map(AttemptRow::read).transpose()
    }

    fn save_words(&mut self, voicemail: VoicemailId, attempt: &Attempt) -> Result<()> {
        let cost = attempt.cost.as_ref();
        let rows = diesel::update(attempts::table.find((Id::from(voicemail), attempt.number)))
            .set((
                attempts::failure_reason.eq(attempt.failure_reason.map(|r| r as i16)),
                attempts::carrier_reference.eq(&attempt.carrier_reference),
                attempts::carrier_code.eq(&attempt.carrier_code),
                attempts::carrier_detail.eq(&attempt.carrier_detail),
                attempts::late_outcome.eq(&attempt.late_outcome),
                attempts::cost_micros.eq(cost.map(|cost| cost.micros)),
                attempts::cost_currency.eq(cost.map_or("", |cost| cost.currency.as_str())),
            ))
            .execute(self.settled()?)?;
        Error::unless_one("attempts", rows)
    }

    fn keep_callback(
        &mut self,
        hand_over: &HandOver,
        callback: &NewCallback,
        most: i32,
    ) -> Result<Option<i32>> {
        let now = self.now()?;
        let last: Option<i32> = callbacks::table
            .filter(callbacks::hand_over_id.eq(Id::from(hand_over.id)))
            .select(diesel::dsl::max(callbacks::number))
            .first(self.settled()?)?;
        let number = last.unwrap_or(0) + 1;
        if number > most {
            return Ok(None);
        }
        diesel::insert_into(callbacks::table)
            .values((
                callbacks::hand_over_id.eq(Id::from(hand_over.id)),
                callbacks::number.eq(number),
                callbacks::workspace_id.eq(hand_over.workspace_id.0),
                callbacks::receive_time.eq(Ts(now)),
                callbacks::content_type.eq(&callback.content_type),
                callbacks::query.eq(&callback.query),
                callbacks::body.eq(&callback.body),
            ))
            .execute(self.settled()?)?;
        Ok(Some(number))
    }

    fn set_callback_said(&mut self, hand_over: HandOverId, number: i32, said: &str) -> Result<()> {
        let rows = diesel::update(callbacks::table.find((Id::from(hand_over), number)))
            .set(callbacks::said.eq(Some(said)))
            .execute(self.settled()?)?;
        Error::unless_one("callbacks", rows)
    }

    fn unread_callbacks(
        &mut self,
        carriers: &[String],
        before: Time,
        limit: i64,
    ) -> Result<Vec<UnreadCallback>> {
        type Row = (Id, String, i32, String, String, Vec<u8>);
        let rows: Vec<Row> = callbacks::table
            .inner_join(hand_overs::table.on(hand_overs::id.eq(callbacks::hand_over_id)))
            .filter(callbacks::said.is_null())
            .filter(callbacks::receive_time.lt(Ts(before)))
            .filter(hand_overs::carrier.eq_any(carriers))
            .order((callbacks::receive_time, callbacks::number))
            .limit(limit)
            .select((
                callbacks::hand_over_id,
                hand_overs::carrier,
                callbacks::number,
                callbacks::content_type,
                callbacks::query,
                callbacks::body,
            ))
            .load(self.settled()?)?;
        let unread = |(id, carrier, number, content_type, query, body): Row| UnreadCallback {
            hand_over_id: id.into(),
            carrier,
            number,
            callback: NewCallback {
                content_type,
                query,
                body,
            },
        };
        Ok(rows.into_iter().map(unread).collect())
    }

    fn keep_webhook_event(&mut self, carrier: &str, event_id: &str, body: &[u8]) -> Result<bool> {
        let now = self.now()?;
        let rows = diesel::insert_into(webhook_events::table)
            .values((
                webhook_events::carrier.eq(carrier),
                webhook_events::event_id.eq(event_id),
                webhook_events::receive_time.eq(Ts(now)),
                webhook_events::body.eq(body),
                webhook_events::said.eq(NOT_HEARD),
            ))
            .on_conflict_do_nothing()
            .execute(self.settled()?)?;
        if rows == 1 {
            return Ok(true);
        }
        let said: String = webhook_events::table
            .find((carrier, event_id))
            .select(webhook_events::said)
            .first(self.settled()?)?;
        Ok(said == NOT_HEARD)
    }

    fn set_webhook_event_said(
        &mut self,
        carrier: &str,
        event_id: &str,
        hand_over: Option<HandOverId>,
        said: &str,
    ) -> Result<()> {
        let rows = diesel::update(webhook_events::table.find((carrier, event_id)))
            .set((
                webhook_events::hand_over_id.eq(hand_over.map(Id::from)),
                webhook_events::said.eq(said),
            ))
            .execute(self.settled()?)?;
        Error::unless_one("webhook_events", rows)
    }

    fn drop_webhook_events(&mut self, before: Time, limit: i64) -> Result<usize> {
        let old: Vec<(String, String)> = webhook_events::table
            .filter(webhook_events::receive_time.lt(Ts(before)))
            .limit(limit)
            .select((webhook_events::carrier, webhook_events::event_id))
            .load(self.settled()?)?;
        let mut dropped = 0;
        for (carrier, event_id) in old {
            dropped += diesel::delete(webhook_events::table.find((carrier, event_id)))
                .execute(self.settled()?)?;
        }
        Ok(dropped)
    }

    fn find_upload(&mut self, account: &str, audio: AudioId) -> Result<Option<String>> {
        Ok(carrier_uploads::table
            .find((account, Id::from(audio)))
            .select(carrier_uploads::reference)
            .first(self.settled()?)
            .optional()?)
    }

    fn remember_upload(&mut self, account: &str, audio: AudioId, reference: &str) -> Result<()> {
        let now = self.now()?;
        diesel::insert_into(carrier_uploads::table)
            .values((
                carrier_uploads::account.eq(account),
                carrier_uploads::audio_id.eq(Id::from(audio)),
                carrier_uploads::reference.eq(reference),
                carrier_uploads::create_time.eq(Ts(now)),
            ))
            .on_conflict_do_nothing()
            .execute(self.settled()?)?;
        Ok(())
    }

    fn forget_upload(&mut self, account: &str, audio: AudioId) -> Result<()> {
        diesel::delete(carrier_uploads::table.find((account, Id::from(audio))))
            .execute(self.settled()?)?;
        Ok(())
    }
}
