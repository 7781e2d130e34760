//! What the worker reads and writes of a delivery.

use diesel::prelude::*;

use super::super::{attempts, hand_overs, voicemails};
use super::Session;
use super::rows::{AttemptRow, DeliveryRow, HandOverRow};
use crate::domain::attempt::Attempt;
use crate::domain::delivery::Delivery;
use crate::domain::hand_over::HandOver;
use crate::domain::ids::{VoicemailId, WorkspaceId};
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::storage::values::{Id, Ts};
use crate::storage::{AttemptEnd, DeliveryStore, Error, Guard, Lock, NewAttempt, Result, Tx};

impl DeliveryStore for Session<'_> {
    fn find_delivery(
        &mut self,
        workspace: WorkspaceId,
        id: VoicemailId,
        lock: Lock,
    ) -> Result<Option<Delivery>> {
        let query = voicemails::table
            .filter(voicemails::id.eq(Id::from(id)))
            .filter(voicemails::workspace_id.eq(workspace.0))
            .select(DeliveryRow::as_select());
        let row: Option<DeliveryRow> = first_locked!(query, lock, self.conn, DeliveryRow)?;
        row.map(DeliveryRow::read).transpose()
    }

    fn save_delivery(&mut self, guard: Guard, after: &Delivery) -> Result<()> {
        let now = self.now()?;
        let mut update = diesel::update(voicemails::table)
            .filter(voicemails::id.eq(Id::from(guard.voicemail_id)))
            .filter(voicemails::status.eq(guard.status as i16))
            .set((
                voicemails::status.eq(after.status as i16),
                voicemails::failure_reason.eq(after.failure_reason.map(|r| r as i16)),
                voicemails::status_detail.eq(&after.status_detail),
                voicemails::simulated.eq(after.simulated),
                voicemails::update_time.eq(Ts(now)),
                voicemails::sent_time.eq(after.sent_time.map(Ts)),
                voicemails::end_time.eq(after.end_time.map(Ts)),
                voicemails::next_time.eq(after.next_time.map(Ts)),
                voicemails::held.eq(after.held),
                voicemails::lease_token.eq(after.lease_token.map(Id::from)),
                voicemails::tries.eq(after.tries),
                voicemails::attempt_count.eq(after.attempt_count),
                voicemails::carrier.eq(&after.carrier),
                voicemails::latency_bucket.eq(after.latency_bucket),
                voicemails::hold_gate.eq(after.hold_gate.map(|gate| gate as i16)),
                voicemails::due_time.eq(Ts(after.due_time)),
            ))
            .into_boxed();
        update = match guard.lease_token {
            Some(token) => update.filter(voicemails::lease_token.eq(Id::from(token))),
            None => update.filter(voicemails::lease_token.is_null()),
        };
        Error::unless_one("voicemails", update.execute(self.conn)?)
    }

    fn renew_lease(&mut self, guard: Guard, until: Time) -> Result<bool> {
        let rows = diesel::update(voicemails::table)
            .filter(voicemails::id.eq(Id::from(guard.voicemail_id)))
            .filter(voicemails::status.eq(guard.status as i16))
            .filter(voicemails::lease_token.eq(guard.lease_token.map(Id::from)))
            .set(voicemails::next_time.eq(Some(Ts(until))))
            .execute(self.conn)?;
        Ok(rows == 1)
    }

    fn save_times(&mut self, delivery: &Delivery, schedule_time: Option<Time>) -> Result<()> {
        let now = self.now()?;
        let rows = diesel::update(voicemails::table)
            .filter(voicemails::id.eq(Id::from(delivery.voicemail_id)))
            .filter(voicemails::status.eq(Status::Accepted as i16))
            .filter(voicemails::attempt_count.eq(0))
            .set((
                voicemails::schedule_time.eq(schedule_time.map(Ts)),
                voicemails::due_time.eq(Ts(delivery.due_time)),
                voicemails::expire_time.eq(Ts(delivery.expire_time)),
                voicemails::next_time.eq(delivery.next_time.map(Ts)),
                voicemails::hold_gate.eq(delivery.hold_gate.map(|gate| gate as i16)),
                voicemails::status_detail.eq(&delivery.status_detail),
                voicemails::update_time.eq(Ts(now)),
            ))
            .execute(self.conn)?;
        Error::unless_one("voicemails", rows)
    }

    fn save_sender(&mut self, delivery: &Delivery) -> Result<()> {
        let rows = diesel::update(voicemails::table)
            .filter(voicemails::id.eq(Id::from(delivery.voicemail_id)))
            .set((
                voicemails::sender_id.eq(Id::from(delivery.sender_id)),
                voicemails::sender.eq(delivery.sender.e164()),
            ))
            .execute(self.conn)?;
        Error::unless_one("voicemails", rows)
    }

    fn insert_hand_over(&mut self, hand_over: &HandOver) -> Result<()> {
        diesel::insert_into(hand_overs::table)
            .values(HandOverRow::of(hand_over))
            .execute(self.conn)?;
        Ok(())
    }

    fn last_hand_over(&mut self, voicemail: VoicemailId) -> Result<Option<HandOver>> {
        let row: Option<HandOverRow> = hand_overs::table
            .filter(hand_overs::voicemail_id.eq(Id::from(voicemail)))
            .order((
                hand_overs::turn.desc(),
                hand_overs::create_time.desc(),
                hand_overs::number.desc(),
                hand_overs::id.desc(),
            ))
            .select(HandOverRow::as_select())
            .first(self.conn)
            .optional()?;
        Ok(row.map(HandOverRow::read))
    }

    fn hand_overs(&mut self, voicemail: VoicemailId) -> Result<Vec<HandOver>> {
        let rows: Vec<HandOverRow> = hand_overs::table
            .filter(hand_overs::voicemail_id.eq(Id::from(voicemail)))
            .order((hand_overs::turn, hand_overs::create_time, hand_overs::id))
            .select(HandOverRow::as_select())
            .load(self.conn)?;
        Ok(rows.into_iter().map(HandOverRow::read).collect())
    }

    fn save_hand_over(&mut self, hand_over: &HandOver) -> Result<()> {
        let rows = diesel::update(hand_overs::table.find(Id::from(hand_over.id)))
            .set((
                hand_overs::reference.eq(&hand_over.reference),
                hand_overs::doubt_time.eq(hand_over.doubt_time.map(Ts)),
                hand_overs::asks.eq(hand_over.asks),
                hand_overs::turn.eq(hand_over.turn),
                hand_overs::refused_round.eq(hand_over.refused_round),
                hand_overs::void.eq(hand_over.is_void),
                hand_overs::recipient.eq(hand_over.recipient.e164()),
                hand_overs::sender_id.eq(hand_over.sender_id.map(Id::from)),
                hand_overs::counts_time.eq(hand_over.counts_time.map(Ts)),
            ))
            .execute(self.conn)?;
        Error::unless_one("hand_overs", rows)
    }

    fn save_request(&mut self, hand_over: &HandOver) -> Result<()> {
        let rows = diesel::update(hand_overs::table.find(Id::from(hand_over.id)))
            .set((
                hand_overs::request.eq(&hand_over.request),
                hand_overs::token_hash.eq(hand_over.token_hash.map(|hash| hash.to_vec())),
            ))
            .execute(self.conn)?;
        Error::unless_one("hand_overs", rows)
    }

    fn insert_attempt(&mut self, attempt: &NewAttempt) -> Result<()> {
        diesel::insert_into(attempts::table)
            .values((
                attempts::voicemail_id.eq(Id::from(attempt.voicemail_id)),
                attempts::number.eq(attempt.number),
                attempts::workspace_id.eq(attempt.workspace_id.0),
                attempts::hand_over_id.eq(Id::from(attempt.hand_over_id)),
                attempts::carrier.eq(&attempt.carrier),
                attempts::start_time.eq(Ts(attempt.start_time)),
                attempts::carrier_reference.eq(""),
                attempts::carrier_code.eq(""),
                attempts::carrier_detail.eq(""),
                attempts::late_outcome.eq(""),
                attempts::cost_currency.eq(""),
            ))
            .execute(self.conn)?;
        Ok(())
    }

    fn end_attempt(
        &mut self,
        voicemail: VoicemailId,
        number: i32,
        end: &AttemptEnd,
    ) -> Result<bool> {
        let rows = diesel::update(attempts::table.find((Id::from(voicemail), number)))
            .filter(attempts::end_time.is_null())
            .set((
                attempts::end_time.eq(Some(Ts(end.end_time))),
                attempts::outcome.eq(Some(end.outcome as i16)),
                attempts::failure_reason.eq(end.failure_reason.map(|r| r as i16)),
                attempts::carrier_reference.eq(&end.words.reference),
                attempts::carrier_code.eq(&end.words.code),
                attempts::carrier_detail.eq(&end.words.detail),
            ))
            .execute(self.conn)?;
        Ok(rows == 1)
    }

    fn find_attempts(&mut self, voicemail: VoicemailId) -> Result<Vec<Attempt>> {
        let rows: Vec<AttemptRow> = attempts::table
            .filter(attempts::voicemail_id.eq(Id::from(voicemail)))
            .order(attempts::number)
            .select(AttemptRow::as_select())
            .load(self.conn)?;
        rows.into_iter().map(AttemptRow::read).collect()
    }

    fn set_late_outcome(
        &mut self,
        voicemail: VoicemailId,
        number: i32,
        late_outcome: &str,
    ) -> Result<()> {
        let rows = diesel::update(attempts::table.find((Id::from(voicemail), number)))
            .set(attempts::late_outcome.eq(late_outcome))
            .execute(self.conn)?;
        Error::unless_one("attempts", rows)
    }
}
