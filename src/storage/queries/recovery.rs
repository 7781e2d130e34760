//! What is put aside after a restore from a backup.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::super::{TsSql, voicemails};
use super::Session;
use super::rows::DeliveryRow;
use crate::domain::ids::VoicemailId;
use crate::storage::values::{Id, Ts};
use crate::storage::{Held, RecoveryStore, RestoredCounts, Result, Tx};

const WAITING: &str = "voicemails.status = 1 AND voicemails.next_time IS NOT NULL";
const SENDING: &str = "voicemails.status = 2 AND voicemails.next_time IS NOT NULL";
const SENT: &str = "voicemails.status = 3";
/// Or its time can still be changed by its caller.
const SCHEDULED: &str =
    " OR (voicemails.schedule_time IS NOT NULL AND voicemails.attempt_count = 0))";
const HELD: &str = "voicemails.held";

impl RecoveryStore for Session<'_> {
    fn restored_counts(&mut self) -> Result<RestoredCounts> {
        let now = self.now()?;
        let mut count = |condition: &str| -> Result<i64> {
            Ok(voicemails::table
                .filter(sql::<Bool>(condition))
                .count()
                .get_result(self.settled()?)?)
        };
        let (waiting, sending) = (count(WAITING)?, count(SENDING)?);
        let (sent, held) = (count(SENT)?, count(HELD)?);
        let due: i64 = voicemails::table
            .filter(sql::<Bool>(WAITING))
            .filter(voicemails::next_time.le(Some(Ts(now))))
            .count()
            .get_result(self.settled()?)?;
        Ok(RestoredCounts {
            due,
            later: waiting - due,
            sending,
            sent,
            held,
        })
    }

    fn hold_maybe_sent(&mut self, why: &str, limit: i64) -> Result<usize> {
        let now = self.now()?;
        // What was scheduled may have been brought forward since.
        let due = voicemails::table
            .filter(sql::<Bool>(WAITING))
            .filter(
                sql::<Bool>("(voicemails.next_time <= ")
                    .bind::<TsSql, _>(Ts(now))
                    .sql(SCHEDULED),
            )
            .limit(limit)
            .select(voicemails::id);
        let mut ids: Vec<Id> = due.load(self.settled()?)?;
        let left = limit - i64::try_from(ids.len()).unwrap_or(limit);
        let sending = voicemails::table
            .filter(sql::<Bool>(SENDING))
            .limit(left)
            .select(voicemails::id);
        ids.extend(sending.load::<Id>(self.settled()?)?);
        Ok(diesel::update(voicemails::table)
            .filter(voicemails::id.eq_any(ids))
            .set((
                voicemails::held.eq(true),
                voicemails::status_detail.eq(why),
                voicemails::next_time.eq(None::<Ts>),
                voicemails::lease_token.eq(None::<Id>),
            ))
            .execute(self.settled()?)?)
    }

    fn held(&mut self, after: Option<VoicemailId>, limit: i64) -> Result<Held> {
        let after = after.map_or(Id(uuid::Uuid::nil()), Id::from);
        let found: Vec<DeliveryRow> = voicemails::table
            .filter(sql::<Bool>(HELD))
            .filter(voicemails::id.gt(after))
            .order(voicemails::id)
            .limit(limit)
            .select(DeliveryRow::as_select())
            .load(self.settled()?)?;
        let last = found.last().map(|row| row.id.into());
        let mut rows = Vec::with_capacity(found.len());
        for row in found {
            let id = row.id;
            match row.read() {
                Ok(delivery) => rows.push(delivery),
                Err(error) => {
                    tracing::error!(voicemail.id = %id.0, error = %error, "a held voicemail can't be read; it stays held");
                }
            }
        }
        Ok(Held { rows, last })
    }

    fn other_processes(&mut self) -> Result<i64> {
        super::super::other_processes(self.settled()?)
    }
}
