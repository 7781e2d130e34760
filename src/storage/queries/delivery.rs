//! What the worker reads and writes of a delivery.

use diesel::prelude::*;

use super::super::{attempts, hand_overs, voicemails};
use super::Session;
use super::many::{end_attempts, insert_attempts, insert_hand_overs, update_deliveries};
use super::rows::{AttemptRow, DeliveryRow, HandOverRow};
use super::together::EndedAttempt;
use crate::domain::attempt::Attempt;
use crate::domain::delivery::Delivery;
use crate::domain::hand_over::HandOver;
use crate::domain::ids::{VoicemailId, WorkspaceId};
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::storage::prepared::Prepared;
use crate::storage::values::{Id, Ts};
use crate::storage::{AttemptEnd, DeliveryStore, Error, Guard, Lock, NewAttempt, Result, Tx};

impl DeliveryStore for Session<'_> {
    fn find_delivery(
        &mut self,
        workspace: WorkspaceId,
        id: VoicemailId,
        lock: Lock,
    ) -> Result<Option<Delivery>> {
        if let Some(known) = self.known(|known| known.deliveries.get(&id)) {
            return Ok(Some(known).filter(|delivery| delivery.workspace_id == workspace));
        }
        let query = voicemails::table
            .filter(voicemails::id.eq(Id::from(id)))
            .filter(voicemails::workspace_id.eq(workspace.0))
            .select(DeliveryRow::as_select());
        let row: Option<DeliveryRow> = first_locked!(query, lock, self.settled()?, DeliveryRow)?;
        row.map(DeliveryRow::read).transpose()
    }

    fn save_delivery(&mut self, guard: Guard, after: &Delivery) -> Result<()> {
        if let Some(together) = &mut self.together
            && let Some(known) = together.deliveries.get_mut(&guard.voicemail_id)
        {
            // It is locked, so what is known of it is what a guarded write would find.
            if Guard::of(known) != guard {
                return Error::unless_one("voicemails", 0);
            }
            known.clone_from(after);
            let put_off = &mut together.put_off.deliveries;
            put_off
                .entry(guard.voicemail_id)
                .and_modify(|(_, written)| written.clone_from(after))
                .or_insert_with(|| (guard, after.clone()));
            return Ok(());
        }
        let now = self.now()?;
        let rows = update_deliveries(self.settled()?, &[(guard, after)], now)?;
        Error::unless_one("voicemails", rows)
    }

    fn renew_lease(&mut self, guard: Guard, until: Time) -> Result<bool> {
        let rows = diesel::update(voicemails::table)
            .filter(voicemails::id.eq(Id::from(guard.voicemail_id)))
            .filter(voicemails::status.eq(guard.status as i16))
            .filter(voicemails::lease_token.eq(guard.lease_token.map(Id::from)))
            .set(voicemails::next_time.eq(Some(Ts(until))))
            .execute(self.settled()?)?;
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
            .execute(self.settled()?)?;
        Error::unless_one("voicemails", rows)
    }

    fn save_sender(&mut self, delivery: &Delivery) -> Result<()> {
        let rows = diesel::update(voicemails::table)
            .filter(voicemails::id.eq(Id::from(delivery.voicemail_id)))
            .set((
                voicemails::sender_id.eq(Id::from(delivery.sender_id)),
                voicemails::sender.eq(delivery.sender.e164()),
            ))
            .execute(self.settled()?)?;
        Error::unless_one("voicemails", rows)
    }

    fn insert_hand_over(&mut self, hand_over: &HandOver) -> Result<()> {
        if let Some(together) = &mut self.together
            && let Some(known) = together.hand_overs.get_mut(&hand_over.voicemail_id)
        {
            known.push(hand_over.clone());
            together.put_off.hand_overs.push(hand_over.clone());
            return Ok(());
        }
        insert_hand_overs(self.settled()?, &[HandOverRow::of(hand_over)])
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
            .first(self.settled()?)
            .optional()?;
        Ok(row.map(HandOverRow::read))
    }

    fn hand_overs(&mut self, voicemail: VoicemailId) -> Result<Vec<HandOver>> {
        if let Some(known) = self.known(|known| known.hand_overs.get(&voicemail)) {
            return Ok(known);
        }
        let rows: Vec<HandOverRow> = hand_overs::table
            .filter(hand_overs::voicemail_id.eq(Id::from(voicemail)))
            .order((hand_overs::turn, hand_overs::create_time, hand_overs::id))
            .select(HandOverRow::as_select())
            .load(self.settled()?)?;
        Ok(rows.into_iter().map(HandOverRow::read).collect())
    }

    fn save_hand_over(&mut self, hand_over: &HandOver) -> Result<()> {
        if let Some(together) = &mut self.together {
            // One that is known is read anew, where somebody asks.
            together.hand_overs.remove(&hand_over.voicemail_id);
        }
        let update = diesel::update(hand_overs::table.find(Id::from(hand_over.id))).set((
            hand_overs::reference.eq(&hand_over.reference),
            hand_overs::doubt_time.eq(hand_over.doubt_time.map(Ts)),
            hand_overs::asks.eq(hand_over.asks),
            hand_overs::turn.eq(hand_over.turn),
            hand_overs::refused_round.eq(hand_over.refused_round),
            hand_overs::void.eq(hand_over.is_void),
            hand_overs::recipient.eq(hand_over.recipient.e164()),
            hand_overs::sender_id.eq(hand_over.sender_id.map(Id::from)),
            hand_overs::counts_time.eq(hand_over.counts_time.map(Ts)),
        ));
        let rows = Prepared(update).execute(self.settled()?)?;
        Error::unless_one("hand_overs", rows)
    }

    fn save_request(&mut self, hand_over: &HandOver) -> Result<()> {
        let rows = diesel::update(hand_overs::table.find(Id::from(hand_over.id)))
            .set((
                hand_overs::request.eq(&hand_over.request),
                hand_overs::token_hash.eq(hand_over.token_hash.map(|hash| hash.to_vec())),
            ))
            .execute(self.settled()?)?;
        Error::unless_one("hand_overs", rows)
    }

    fn insert_attempt(&mut self, attempt: &NewAttempt) -> Result<()> {
        if let Some(together) = &mut self.together {
            together.put_off.attempts.push(attempt.clone());
            return Ok(());
        }
        insert_attempts(self.settled()?, std::slice::from_ref(attempt))
    }

    fn end_attempt(
        &mut self,
        voicemail_id: VoicemailId,
        number: i32,
        end: &AttemptEnd,
    ) -> Result<bool> {
        let ended = EndedAttempt {
            voicemail_id,
            number,
            end: end.clone(),
        };
        Ok(end_attempts(self.settled()?, &[ended])? == 1)
    }

    fn end_attempt_together(
        &mut self,
        voicemail_id: VoicemailId,
        number: i32,
        end: &AttemptEnd,
    ) -> Result<()> {
        let ended = EndedAttempt {
            voicemail_id,
            number,
            end: end.clone(),
        };
        match &mut self.together {
            Some(together) => together.put_off.attempt_ends.push(ended),
            None => {
                self.end_attempt(voicemail_id, number, end)?;
            }
        }
        Ok(())
    }

    fn find_attempts(&mut self, voicemail: VoicemailId) -> Result<Vec<Attempt>> {
        let rows: Vec<AttemptRow> = attempts::table
            .filter(attempts::voicemail_id.eq(Id::from(voicemail)))
            .order(attempts::number)
            .select(AttemptRow::as_select())
            .load(self.settled()?)?;
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
            .execute(self.settled()?)?;
        Error::unless_one("attempts", rows)
    }
}
