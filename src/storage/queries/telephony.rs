//! Setups, sender numbers, and the request ids of creates.

use diesel::dsl::exists;
use diesel::prelude::*;

use super::super::{
    Db, create_requests, phone_numbers, setups, use_case_phone_numbers, use_cases, voicemails,
};
use super::Session;
use super::lists::page;
use super::rows::{NumberRow, SetupRow, steps_to_json, to_json};
use crate::domain::ids::{PhoneNumberId, SetupId, WorkspaceId};
use crate::domain::status::Status;
use crate::domain::telephony::{SenderNumber, Setup, SetupStatus};
use crate::domain::time::Time;
use crate::storage::values::{Id, Ts};
use crate::storage::{CreateRequest, Error, Lock, NumberFilter, Page, Result, TelephonyStore};

impl TelephonyStore for Session<'_> {
    fn insert_setup(&mut self, setup: &Setup) -> Result<()> {
        diesel::insert_into(setups::table)
            .values(SetupRow::of(setup)?)
            .execute(self.settled()?)?;
        Ok(())
    }

    fn find_setup(
        &mut self,
        workspace: WorkspaceId,
        id: SetupId,
        lock: Lock,
    ) -> Result<Option<Setup>> {
        let key = (workspace, id, lock);
        if let Some(known) = self.known(|known| known.setups.get(&key)) {
            return Ok(known);
        }
        let query = setups::table
            .filter(setups::id.eq(Id::from(id)))
            .filter(setups::workspace_id.eq(workspace.0))
            .filter(setups::delete_time.is_null())
            .select(SetupRow::as_select());
        let row: Option<SetupRow> = first_locked!(query, lock, self.conn, SetupRow)?;
        let setup = row.map(SetupRow::read).transpose()?;
        if let Some(together) = &mut self.together {
            together.setups.insert(key, setup.clone());
        }
        Ok(setup)
    }

    fn list_setups(
        &mut self,
        workspace: WorkspaceId,
        statuses: &[SetupStatus],
        at: Page,
    ) -> Result<Vec<Setup>> {
        let mut query = setups::table
            .filter(setups::workspace_id.eq(workspace.0))
            .filter(setups::delete_time.is_null())
            .select(SetupRow::as_select())
            .into_boxed::<Db>();
        if !statuses.is_empty() {
            let codes: Vec<i16> = statuses.iter().map(|s| *s as i16).collect();
            query = query.filter(setups::status.eq_any(codes));
        }
        let rows: Vec<SetupRow> = page!(query, setups, at).load(self.settled()?)?;
        rows.into_iter().map(SetupRow::read).collect()
    }

    fn update_setup(&mut self, setup: &Setup, before: SetupStatus) -> Result<()> {
        let pause_carrier = setup.pause.as_ref().map_or("", |pause| &pause.carrier);
        let rows = diesel::update(setups::table)
            .filter(setups::id.eq(Id::from(setup.id)))
            .filter(setups::status.eq(before as i16))
            .filter(setups::delete_time.is_null())
            .set((
                setups::display_name.eq(&setup.display_name),
                setups::carriers.eq(to_json("setups", &setup.carriers)?),
                setups::status.eq(setup.status as i16),
                setups::status_detail.eq(&setup.status_detail),
                setups::starts_per_minute.eq(setup.starts_per_minute),
                setups::in_flight_max.eq(setup.in_flight_max),
                setups::pause_reason.eq(setup.pause.as_ref().map(|pause| pause.reason as i16)),
                setups::pause_carrier.eq(pause_carrier),
                setups::pause_time.eq(setup.pause.as_ref().map(|pause| Ts(pause.since))),
                setups::update_time.eq(Ts(setup.update_time)),
            ))
            .execute(self.settled()?)?;
        Error::unless_one("setups", rows)
    }

    fn delete_setup(&mut self, id: SetupId, now: Time) -> Result<()> {
        let rows = diesel::update(setups::table)
            .filter(setups::id.eq(Id::from(id)))
            .filter(setups::delete_time.is_null())
            .set(setups::delete_time.eq(Some(Ts(now))))
            .execute(self.settled()?)?;
        Error::unless_one("setups", rows)
    }

    fn is_setup_in_use(&mut self, workspace: WorkspaceId, id: SetupId) -> Result<bool> {
        let id = Id::from(id);
        let numbers = phone_numbers::table
            .filter(phone_numbers::setup_id.eq(id))
            .filter(phone_numbers::delete_time.is_null());
        let cases = use_cases::table
            .filter(use_cases::setup_id.eq(id))
            .filter(use_cases::delete_time.is_null());
        let under_way = voicemails::table
            .filter(voicemails::workspace_id.eq(workspace.0))
            .filter(voicemails::setup_id.eq(id))
            .filter(
                voicemails::status.eq_any(
                    Status::ALL
                        .iter()
                        .filter(|s| s.is_in_flight())
                        .map(|s| *s as i16),
                ),
            );
        Ok(diesel::select(exists(numbers)).get_result(self.settled()?)?
            || diesel::select(exists(cases)).get_result(self.settled()?)?
            || diesel::select(exists(under_way)).get_result(self.settled()?)?)
    }

    fn insert_number(&mut self, number: &SenderNumber) -> Result<()> {
        diesel::insert_into(phone_numbers::table)
            .values(NumberRow::of(number)?)
            .execute(self.settled()?)?;
        Ok(())
    }

    fn find_number(
        &mut self,
        workspace: WorkspaceId,
        id: PhoneNumberId,
        lock: Lock,
    ) -> Result<Option<SenderNumber>> {
        let key = (workspace, id);
        if lock == Lock::None
            && let Some(known) = self.known(|known| known.numbers.get(&key))
        {
            return Ok(known);
        }
        let query = phone_numbers::table
            .filter(phone_numbers::id.eq(Id::from(id)))
            .filter(phone_numbers::workspace_id.eq(workspace.0))
            .filter(phone_numbers::delete_time.is_null())
            .select(NumberRow::as_select());
        let row: Option<NumberRow> = first_locked!(query, lock, self.conn, NumberRow)?;
        let number = row.map(NumberRow::read).transpose()?;
        if let Some(together) = &mut self.together {
            together.numbers.insert(key, number.clone());
        }
        Ok(number)
    }

    fn list_numbers(
        &mut self,
        workspace: WorkspaceId,
        filter: &NumberFilter,
        at: Page,
    ) -> Result<Vec<SenderNumber>> {
        let mut query = phone_numbers::table
            .filter(phone_numbers::workspace_id.eq(workspace.0))
            .filter(phone_numbers::delete_time.is_null())
            .select(NumberRow::as_select())
            .into_boxed::<Db>();
        if let Some(setup_id) = filter.setup_id {
            query = query.filter(phone_numbers::setup_id.eq(Id::from(setup_id)));
        }
        if let Some(use_case_id) = filter.use_case_id {
            let assigned = use_case_phone_numbers::table
                .filter(use_case_phone_numbers::use_case_id.eq(Id::from(use_case_id)))
                .select(use_case_phone_numbers::phone_number_id);
            query = query.filter(phone_numbers::id.eq_any(assigned));
        }
        if !filter.statuses.is_empty() {
            let codes: Vec<i16> = filter.statuses.iter().map(|s| *s as i16).collect();
            query = query.filter(phone_numbers::status.eq_any(codes));
        }
        let rows: Vec<NumberRow> = page!(query, phone_numbers, at).load(self.settled()?)?;
        rows.into_iter().map(NumberRow::read).collect()
    }

    fn update_number(&mut self, number: &SenderNumber) -> Result<()> {
        let rows = diesel::update(phone_numbers::table)
            .filter(phone_numbers::id.eq(Id::from(number.id)))
            .filter(phone_numbers::delete_time.is_null())
            .set((
                phone_numbers::display_name.eq(&number.display_name),
                phone_numbers::status.eq(number.status as i16),
                phone_numbers::carriers.eq(to_json("phone_numbers", &number.carriers)?),
                phone_numbers::daily_cap.eq(number.caps.daily_cap),
                phone_numbers::warm_up.eq(steps_to_json(&number.caps.warm_up)?),
                phone_numbers::warm_up_start_time.eq(number.caps.warm_up_start_time.map(Ts)),
                phone_numbers::update_time.eq(Ts(number.update_time)),
            ))
            .execute(self.settled()?)?;
        Error::unless_one("phone_numbers", rows)
    }

    fn delete_number(&mut self, id: PhoneNumberId, now: Time) -> Result<()> {
        let rows = diesel::update(phone_numbers::table)
            .filter(phone_numbers::id.eq(Id::from(id)))
            .filter(phone_numbers::delete_time.is_null())
            .set(phone_numbers::delete_time.eq(Some(Ts(now))))
            .execute(self.settled()?)?;
        Error::unless_one("phone_numbers", rows)
    }

    fn is_number_assigned(&mut self, id: PhoneNumberId) -> Result<bool> {
        // A use case is deleted only once it has no numbers, so every assignment is a living one.
        let assigned = use_case_phone_numbers::table
            .filter(use_case_phone_numbers::phone_number_id.eq(Id::from(id)));
        Ok(diesel::select(exists(assigned)).get_result(self.settled()?)?)
    }

    fn find_create_request(
        &mut self,
        workspace: WorkspaceId,
        kind: &str,
        request_id: &str,
    ) -> Result<Option<(uuid::Uuid, Vec<u8>)>> {
        let found: Option<(Id, Vec<u8>)> = create_requests::table
            .find((workspace.0, kind, request_id))
            .select((create_requests::resource_id, create_requests::content_hash))
            .first(self.settled()?)
            .optional()?;
        Ok(found.map(|(id, hash)| (id.0, hash)))
    }

    fn insert_create_request(&mut self, request: &CreateRequest) -> Result<()> {
        diesel::insert_into(create_requests::table)
            .values((
                create_requests::workspace_id.eq(request.workspace_id.0),
                create_requests::kind.eq(request.kind),
                create_requests::request_id.eq(&request.request_id),
                create_requests::resource_id.eq(Id(request.resource_id)),
                create_requests::content_hash.eq(&request.content_hash),
                create_requests::create_time.eq(Ts(request.create_time)),
            ))
            .execute(self.settled()?)?;
        Ok(())
    }
}
