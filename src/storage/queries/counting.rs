//! What counts against caps.
//!
//! The conditions on `counts_time` are written out, because a partial index is used only where the
//! database can see that its own condition holds.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use sha2::{Digest, Sha256};

use super::super::{Db, hand_overs, phone_numbers, use_cases, voicemails};
use super::Session;
use super::explain::Explain;
use crate::domain::ids::{PhoneNumberId, WorkspaceId};
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Time;
use crate::domain::use_case::Purpose;
use crate::storage::values::{Id, Ts};
use crate::storage::{CountedFilter, CountingStore, Result};

const COUNTED: &str = "hand_overs.counts_time IS NOT NULL";
/// OTHER, and no purpose, which counts as that.
const OTHER: &str = "(use_cases.purpose IS NULL OR use_cases.purpose = 4)";

macro_rules! counted {
    ($workspace:expr, $filter:expr) => {{
        let mut query = hand_overs::table
            .inner_join(voicemails::table.on(voicemails::id.eq(hand_overs::voicemail_id)))
            .inner_join(use_cases::table.on(use_cases::id.eq(voicemails::use_case_id)))
            .filter(sql::<Bool>(COUNTED))
            .filter(hand_overs::workspace_id.eq($workspace.0))
            .filter(hand_overs::recipient.eq($filter.recipient.e164().to_owned()))
            .filter(hand_overs::counts_time.gt(Some(Ts($filter.since))))
            .filter(use_cases::entity_name.eq($filter.entity_name.clone()))
            .order(hand_overs::counts_time.desc())
            .select(hand_overs::counts_time)
            .into_boxed::<Db>();
        match $filter.purpose {
            Some(Purpose::Other) => query = query.filter(sql::<Bool>(OTHER)),
            Some(purpose) => query = query.filter(use_cases::purpose.eq(Some(purpose as i16))),
            None => {}
        }
        if let Some(except) = $filter.except {
            query = query.filter(hand_overs::id.ne(Id::from(except)));
        }
        query
    }};
}

macro_rules! of_sender {
    ($sender:expr, $since:expr) => {
        hand_overs::table
            .filter(sql::<Bool>(COUNTED))
            .filter(hand_overs::sender_id.eq(Some(Id::from($sender))))
            .filter(hand_overs::counts_time.gt(Some(Ts($since))))
            .order(hand_overs::counts_time.desc())
            .select(hand_overs::counts_time)
    };
}

impl CountingStore for Session<'_> {
    fn lock_recipient(&mut self, workspace: WorkspaceId, recipient: &PhoneNumber) -> Result<()> {
        super::super::lock_until_end(self.conn, recipient_key(workspace, recipient))
    }

    fn lock_numbers(&mut self, ids: &[PhoneNumberId]) -> Result<()> {
        let ids: Vec<Id> = ids.iter().map(|id| Id::from(*id)).collect();
        let query = phone_numbers::table
            .filter(phone_numbers::id.eq_any(ids))
            .order(phone_numbers::id)
            .select(phone_numbers::id);
        let _: Vec<Id> = locked!(query).load(self.settled()?)?;
        Ok(())
    }

    fn counted(
        &mut self,
        workspace: WorkspaceId,
        filter: &CountedFilter,
        at_most: i64,
    ) -> Result<Vec<Time>> {
        let times: Vec<Option<Ts>> = counted!(workspace, filter)
            .limit(at_most)
            .load(self.settled()?)?;
        Ok(times.into_iter().flatten().map(|time| time.0).collect())
    }

    fn nth_counted_of_sender(
        &mut self,
        sender: PhoneNumberId,
        nth: u32,
        since: Time,
    ) -> Result<Option<Time>> {
        let time: Option<Option<Ts>> = of_sender!(sender, since)
            .offset(i64::from(nth.saturating_sub(1)))
            .first(self.settled()?)
            .optional()?;
        Ok(time.flatten().map(|time| time.0))
    }

    fn explain_counting(
        &mut self,
        workspace: WorkspaceId,
        filter: &CountedFilter,
        sender: PhoneNumberId,
    ) -> Result<Vec<String>> {
        Ok(vec![
            Explain(counted!(workspace, filter).limit(10)).text(self.settled()?)?,
            Explain(of_sender!(sender, filter.since).limit(1).offset(9)).text(self.settled()?)?,
        ])
    }
}

/// The same number for the same recipient, in every process and version.
pub(super) fn recipient_key(workspace: WorkspaceId, recipient: &PhoneNumber) -> i64 {
    let digest = Sha256::new()
        .chain_update("recipient")
        .chain_update(workspace.0.to_be_bytes())
        .chain_update(recipient.e164())
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}
