//! Use cases and the numbers that they have.

use std::collections::HashMap;

use diesel::dsl::max;
use diesel::prelude::*;

use super::super::{Db, phone_numbers, use_case_phone_numbers, use_cases, voicemails};
use super::Session;
use super::explain::Explain;
use super::lists::page;
use super::rows::{NumberRow, UseCaseRow};
use crate::domain::ids::{PhoneNumberId, UseCaseId, WorkspaceId};
use crate::domain::sender::Candidate;
use crate::domain::telephony::NumberStatus;
use crate::domain::time::Time;
use crate::domain::use_case::UseCase;
use crate::storage::values::{Id, Ts};
use crate::storage::{Error, Lock, Page, Result, Tx, UseCaseFilter, UseCaseStore};

/// The numbers of a use case that may send, and when each was last used.
macro_rules! candidates {
    ($use_case:expr) => {{
        let last_used = voicemails::table
            .filter(voicemails::workspace_id.eq(phone_numbers::workspace_id))
            .filter(voicemails::sender.eq(phone_numbers::phone_number))
            .select(max(voicemails::create_time))
            .single_value();
        phone_numbers::table
            .inner_join(use_case_phone_numbers::table)
            .filter(use_case_phone_numbers::use_case_id.eq(Id::from($use_case)))
            .filter(phone_numbers::status.eq(NumberStatus::Active as i16))
            .filter(phone_numbers::delete_time.is_null())
            .select((NumberRow::as_select(), last_used))
    }};
}

impl UseCaseStore for Session<'_> {
    fn insert_use_case(&mut self, use_case: &UseCase) -> Result<()> {
        diesel::insert_into(use_cases::table)
            .values(UseCaseRow::of(use_case))
            .execute(self.settled()?)?;
        Ok(())
    }

    fn find_use_case(
        &mut self,
        workspace: WorkspaceId,
        id: UseCaseId,
        lock: Lock,
    ) -> Result<Option<UseCase>> {
        let key = (workspace, id);
        if lock == Lock::None
            && let Some(known) = self.known(|known| known.use_cases.get(&key))
        {
            return Ok(known);
        }
        let query = use_cases::table
            .filter(use_cases::id.eq(Id::from(id)))
            .filter(use_cases::workspace_id.eq(workspace.0))
            .filter(use_cases::delete_time.is_null())
            .select(UseCaseRow::as_select());
        let row: Option<UseCaseRow> = first_locked!(query, lock, self.conn, UseCaseRow)?;
        let use_case = match row {
            Some(row) => Some(UseCase {
                phone_number_ids: self.numbers_of(row.id)?,
                ..row.read()?
            }),
            None => None,
        };
        if let Some(together) = &mut self.together {
            together.use_cases.insert(key, use_case.clone());
        }
        Ok(use_case)
    }

    fn list_use_cases(
        &mut self,
        workspace: WorkspaceId,
        filter: &UseCaseFilter,
        at: Page,
    ) -> Result<Vec<UseCase>> {
        let mut query = use_cases::table
            .filter(use_cases::workspace_id.eq(workspace.0))
            .filter(use_cases::delete_time.is_null())
            .select(UseCaseRow::as_select())
            .into_boxed::<Db>();
        if let Some(setup_id) = filter.setup_id {
            query = query.filter(use_cases::setup_id.eq(Id::from(setup_id)));
        }
        if let Some(entity_name) = &filter.entity_name {
            query = query.filter(use_cases::entity_name.eq(entity_name.clone()));
        }
        if let Some(name) = &filter.name {
            query = query.filter(use_cases::name.eq(name.clone()));
        }
        if !filter.channels.is_empty() {
            let codes: Vec<i16> = filter.channels.iter().map(|c| *c as i16).collect();
            query = query.filter(use_cases::channel.eq_any(codes));
        }
        let rows: Vec<UseCaseRow> = page!(query, use_cases, at).load(self.settled()?)?;
        let found = rows
            .into_iter()
            .map(UseCaseRow::read)
            .collect::<Result<_>>()?;
        self.with_numbers(found)
    }

    fn update_use_case(&mut self, use_case: &UseCase) -> Result<()> {
        let row = UseCaseRow::of(use_case);
        let rows = diesel::update(use_cases::table)
            .filter(use_cases::id.eq(row.id))
            .filter(use_cases::delete_time.is_null())
            .set((
                use_cases::entity_name.eq(row.entity_name),
                use_cases::name.eq(row.name),
                use_cases::description.eq(row.description),
                use_cases::purpose.eq(row.purpose),
                use_cases::callback_phone_number.eq(row.callback_phone_number),
                use_cases::opt_out_phone_number.eq(row.opt_out_phone_number),
                use_cases::sender_policy.eq(row.sender_policy),
                use_cases::sticky_sender.eq(row.sticky_sender),
                use_cases::main_phone_number_id.eq(row.main_phone_number_id),
                use_cases::pause_time.eq(row.pause_time),
                use_cases::pause_reason.eq(row.pause_reason),
                use_cases::update_time.eq(row.update_time),
            ))
            .execute(self.settled()?)?;
        Error::unless_one("use_cases", rows)
    }

    fn delete_use_case(&mut self, id: UseCaseId, now: Time) -> Result<()> {
        let rows = diesel::update(use_cases::table)
            .filter(use_cases::id.eq(Id::from(id)))
            .filter(use_cases::delete_time.is_null())
            .set(use_cases::delete_time.eq(Some(Ts(now))))
            .execute(self.settled()?)?;
        Error::unless_one("use_cases", rows)
    }

    fn assign_number(
        &mut self,
        workspace: WorkspaceId,
        use_case: UseCaseId,
        number: PhoneNumberId,
        now: Time,
    ) -> Result<()> {
        diesel::insert_into(use_case_phone_numbers::table)
            .values((
                use_case_phone_numbers::use_case_id.eq(Id::from(use_case)),
                use_case_phone_numbers::phone_number_id.eq(Id::from(number)),
                use_case_phone_numbers::workspace_id.eq(workspace.0),
                use_case_phone_numbers::assign_time.eq(Ts(now)),
            ))
            .on_conflict_do_nothing()
            .execute(self.settled()?)?;
        Ok(())
    }

    fn unassign_number(&mut self, use_case: UseCaseId, number: PhoneNumberId) -> Result<()> {
        let row = (Id::from(use_case), Id::from(number));
        diesel::delete(use_case_phone_numbers::table.find(row)).execute(self.settled()?)?;
        Ok(())
    }

    fn set_senders_full(&mut self, use_case: UseCaseId, until: Time) -> Result<()> {
        let now = self.now()?;
        let is_past = use_cases::senders_full_until
            .is_null()
            .or(use_cases::senders_full_until.le(Some(Ts(now))));
        diesel::update(use_cases::table.find(Id::from(use_case)))
            .filter(is_past)
            .set(use_cases::senders_full_until.eq(Some(Ts(until))))
            .execute(self.settled()?)?;
        Ok(())
    }

    fn sender_candidates(
        &mut self,
        use_case: UseCaseId,
        carriers: &[String],
    ) -> Result<Vec<Candidate>> {
        if let Some((asked, known)) = self.known(|known| known.candidates.get(&use_case))
            && asked == carriers
        {
            return Ok(known);
        }
        let now = self.now()?;
        let rows: Vec<(NumberRow, Option<Ts>)> = candidates!(use_case).load(self.conn)?;
        let mut candidates = Vec::with_capacity(rows.len());
        for (row, last_used) in rows {
            let workspace = WorkspaceId(row.workspace_id);
            let number = row.read()?;
            if let Some(together) = &mut self.together {
                let key = (workspace, number.id);
                together.numbers.insert(key, Some(number.clone()));
            }
            if carriers.iter().any(|carrier| number.allows(carrier)) {
                candidates.push(Candidate {
                    last_used: last_used.map(|t| t.0),
                    ..number.candidate(now)
                });
            }
        }
        if let Some(together) = &mut self.together {
            let known = (carriers.to_vec(), candidates.clone());
            together.candidates.insert(use_case, known);
        }
        Ok(candidates)
    }

    fn explain_candidates(&mut self, use_case: UseCaseId) -> Result<String> {
        Explain(candidates!(use_case)).text(self.settled()?)
    }
}

impl Session<'_> {
    /// The assigned numbers of one, in the order of their assignment.
    /// Apart from those of many, because a list of ids is a statement that SQLite parses anew each time.
    fn numbers_of(&mut self, use_case: Id) -> Result<Vec<PhoneNumberId>> {
        let ids: Vec<Id> = use_case_phone_numbers::table
            .filter(use_case_phone_numbers::use_case_id.eq(use_case))
            .order((
                use_case_phone_numbers::assign_time,
                use_case_phone_numbers::phone_number_id,
            ))
            .select(use_case_phone_numbers::phone_number_id)
            .load(self.conn)?;
        Ok(ids.into_iter().map(PhoneNumberId::from).collect())
    }

    /// Fills in those of each.
    fn with_numbers(&mut self, mut found: Vec<UseCase>) -> Result<Vec<UseCase>> {
        let ids: Vec<Id> = found.iter().map(|use_case| use_case.id.into()).collect();
        let rows: Vec<(Id, Id)> = use_case_phone_numbers::table
            .filter(use_case_phone_numbers::use_case_id.eq_any(ids))
            .order((
                use_case_phone_numbers::assign_time,
                use_case_phone_numbers::phone_number_id,
            ))
            .select((
                use_case_phone_numbers::use_case_id,
                use_case_phone_numbers::phone_number_id,
            ))
            .load(self.conn)?;
        let mut numbers: HashMap<Id, Vec<PhoneNumberId>> = HashMap::new();
        for (use_case, number) in rows {
            numbers.entry(use_case).or_default().push(number.into());
        }
        for use_case in &mut found {
            use_case.phone_number_ids = numbers.remove(&use_case.id.into()).unwrap_or_default();
        }
        Ok(found)
    }
}
