//! What is put aside after a restore from a backup.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::super::voicemails;
use super::Session;
use super::rows::DeliveryRow;
use crate::domain::delivery::Delivery;
use crate::domain::ids::VoicemailId;
use crate::storage::values::{Id, Ts};
use crate::storage::{RecoveryStore, RestoredCounts, Result, Tx};

const WAITING: &str = "voicemails.status = 1 AND voicemails.next_time IS NOT NULL";
const SENDING: &str = "voicemails.status = 2 AND voicemails.next_time IS NOT NULL";
const SENT: &str = "voicemails.status = 3";
const HELD: &str = "voicemails.held";

impl RecoveryStore for Session<'_> {
    fn restored_counts(&mut self) -> Result<RestoredCounts> {
        let now = self.now()?;
        let mut count = |condition: &str| -> Result<i64> {
            Ok(voicemails::table
                .filter(sql::<Bool>(condition))
                .count()
                .get_result(self.conn)?)
        };
        let (waiting, sending) = (count(WAITING)?, count(SENDING)?);
        let (sent, held) = (count(SENT)?, count(HELD)?);
        let due: i64 = voicemails::table
            .filter(sql::<Bool>(WAITING))
            .filter(voicemails::next_time.le(Some(Ts(now))))
            .count()
            .get_result(self.conn)?;
        Ok(RestoredCounts {
            due,
            later: waiting - due,
            sending,
            sent,
            held,
        })
    }

    fn maybe_sent(&mut self, limit: i64) -> Result<Vec<Delivery>> {
        let now = self.now()?;
        let due = voicemails::table
            .filter(sql::<Bool>(WAITING))
            .filter(voicemails::next_time.le(Some(Ts(now))))
            .limit(limit)
            .select(DeliveryRow::as_select());
        let mut rows: Vec<DeliveryRow> = due.load(self.conn)?;
        let left = limit - i64::try_from(rows.len()).unwrap_or(limit);
        let sending = voicemails::table
            .filter(sql::<Bool>(SENDING))
            .limit(left)
            .select(DeliveryRow::as_select());
        rows.extend(sending.load::<DeliveryRow>(self.conn)?);
        rows.into_iter().map(DeliveryRow::read).collect()
    }

    fn held(&mut self, after: Option<VoicemailId>, limit: i64) -> Result<Vec<Delivery>> {
        let after = after.map_or(Id(uuid::Uuid::nil()), Id::from);
        let rows: Vec<DeliveryRow> = voicemails::table
            .filter(sql::<Bool>(HELD))
            .filter(voicemails::id.gt(after))
            .order(voicemails::id)
            .limit(limit)
            .select(DeliveryRow::as_select())
            .load(self.conn)?;
        rows.into_iter().map(DeliveryRow::read).collect()
    }

    fn other_processes(&mut self) -> Result<i64> {
        super::super::other_processes(self.conn)
    }
}
