//! The queue: lanes of waiting voicemails, timers, and what is counted for limits and breakers.
//!
//! The conditions on `status` are written out and not bound, because a partial index is used only
//! where the database can see that its own condition holds.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable};

use super::super::{IdSql, TsSql, breakers, setups, sweeps, voicemails};
use super::Session;
use super::explain::Explain;
use super::rows::{BreakerRow, DeliveryRow, SetupRow};
use crate::domain::breaker::Breaker;
use crate::domain::delivery::Delivery;
use crate::domain::ids::{SetupId, UseCaseId, WorkspaceId};
use crate::domain::status::Status;
use crate::domain::telephony::{Pause, Setup};
use crate::domain::time::Time;
use crate::domain::turns::Lane;
use crate::storage::prepared::Prepared;
use crate::storage::values::{Id, Ts};
use crate::storage::{Error, Lock, NextTimes, QueueStore, Result, Starts, Tx};

/// ACCEPTED.
const WAITING: &str = "voicemails.status = 1";
/// ACCEPTED and not put aside, in the words of the index by which what expires is found, and nothing else.
const EXPIRING: &str =
    "voicemails.status = 1 AND voicemails.next_time IS NOT NULL AND voicemails.attempt_count >= 0";
/// SENDING and SENT, in the words of the index that both are found by.
const SENDING: &str = "voicemails.status <> 1 AND voicemails.status = 2";
const SENT: &str = "voicemails.status <> 1 AND voicemails.status = 3";
/// SENDING, in a worker's hands.
const UNDER_WAY: &str = "voicemails.status = 2 AND voicemails.lease_token IS NOT NULL";
/// Of what expires later nothing needs to be known yet: a worker looks again within this time, whatever it is told.
const EXPIRY_AHEAD: Duration = Duration::from_secs(60);
/// How long a row that can't be read is left alone.
const PUT_OFF: Duration = Duration::from_secs(600);

macro_rules! in_lane {
    ($use_case:expr, $from:expr, $now:expr) => {
        voicemails::table
            .filter(sql::<Bool>(WAITING))
            .filter(voicemails::use_case_id.eq(Id::from($use_case)))
            .filter(voicemails::next_time.ge(Some(Ts($from))))
            .filter(voicemails::next_time.le(Some(Ts($now))))
            // In words that no index is found by: few or many may have expired, and the lane's own
            // index is the right one all the same.
            .filter(
                sql::<Bool>("(voicemails.expire_time > ")
                    .bind::<TsSql, _>(Ts($now))
                    .sql(") IS TRUE"),
            )
            .order((voicemails::next_time, voicemails::id))
            .select(DeliveryRow::as_select())
    };
}

macro_rules! timers {
    ($status:expr, $now:expr) => {
        voicemails::table
            .filter(sql::<Bool>($status))
            .filter(voicemails::next_time.le(Some(Ts($now))))
            .order((voicemails::next_time, voicemails::id))
            .select(DeliveryRow::as_select())
    };
}

macro_rules! expiring {
    ($now:expr) => {
        voicemails::table
            .filter(sql::<Bool>(EXPIRING))
            .filter(voicemails::expire_time.le(Ts($now)))
            .filter(voicemails::next_time.le(Some(Ts($now))))
            .order(voicemails::expire_time)
            .select(DeliveryRow::as_select())
    };
}

/// In one statement, because each costs a way to the database and is asked for at every look.
macro_rules! next_times {
    ($now:expr) => {
        diesel::sql_query(format!(
            "SELECT ({}) AS rescue, ({}) AS question, (
                SELECT expire_time FROM voicemails
                WHERE {EXPIRING} AND (next_time <= expire_time OR next_time <= $1) AND expire_time <= $2
                ORDER BY expire_time LIMIT 1
            ) AS expiry",
            next_of(SENDING),
            next_of(SENT),
        ))
        .bind::<TsSql, _>(Ts($now))
        .bind::<TsSql, _>(Ts($now.plus(EXPIRY_AHEAD)))
    };
}

fn next_of(status: &str) -> String {
    format!(
        "SELECT next_time FROM voicemails WHERE {status} AND next_time IS NOT NULL ORDER BY next_time, id LIMIT 1"
    )
}

macro_rules! under_way {
    ($setup:expr) => {
        voicemails::table
            .filter(sql::<Bool>(UNDER_WAY))
            .filter(voicemails::setup_id.eq(Id::from($setup)))
            .count()
    };
}

/// Walks over the index from the first voicemail of a use case to that of the next, so that it costs the same for one that
/// waits and for a million. `n` bounds the walk. Each lane is entered once, because what has left it and can't be cleared away
/// yet is passed each time. The last joins are outer ones, so that no planner begins with the tables, which are larger.
const LANES: &str = "
    WITH RECURSIVE lane (id, n) AS (
        SELECT (
            SELECT v.id FROM voicemails v
            WHERE v.status = 1 AND v.next_time IS NOT NULL AND v.use_case_id > $1
            ORDER BY v.use_case_id, v.next_time, v.id LIMIT 1
        ), 1
        UNION ALL
        SELECT (
            SELECT v.id FROM voicemails v
            WHERE v.status = 1 AND v.next_time IS NOT NULL AND v.use_case_id > head.use_case_id
            ORDER BY v.use_case_id, v.next_time, v.id LIMIT 1
        ), lane.n + 1
        FROM lane JOIN voicemails head ON head.id = lane.id WHERE lane.n < $2
    )
    SELECT head.use_case_id, use_cases.workspace_id, use_cases.setup_id,
           use_cases.pause_time IS NOT NULL AS is_paused, use_cases.senders_full_until, head.next_time
    FROM lane LEFT JOIN voicemails head ON head.id = lane.id LEFT JOIN use_cases ON use_cases.id = head.use_case_id
    WHERE lane.id IS NOT NULL
    ORDER BY lane.n";

#[derive(QueryableByName)]
struct LaneRow {
    #[diesel(sql_type = IdSql)]
    use_case_id: Id,
    #[diesel(sql_type = BigInt)]
    workspace_id: i64,
    #[diesel(sql_type = IdSql)]
    setup_id: Id,
    #[diesel(sql_type = Bool)]
    is_paused: bool,
    #[diesel(sql_type = Nullable<TsSql>)]
    senders_full_until: Option<Ts>,
    #[diesel(sql_type = Nullable<TsSql>)]
    next_time: Option<Ts>,
}

#[derive(QueryableByName)]
struct NextTimesRow {
    #[diesel(sql_type = Nullable<TsSql>)]
    rescue: Option<Ts>,
    #[diesel(sql_type = Nullable<TsSql>)]
    question: Option<Ts>,
    #[diesel(sql_type = Nullable<TsSql>)]
    expiry: Option<Ts>,
}

impl QueueStore for Session<'_> {
    fn lanes(&mut self, after: Option<UseCaseId>, limit: i64) -> Result<Vec<Lane>> {
        let after = after.map_or(Id(uuid::Uuid::nil()), Id::from);
        let query = diesel::sql_query(LANES)
            .bind::<IdSql, _>(after)
            .bind::<BigInt, _>(limit);
        let rows: Vec<LaneRow> = Prepared(query).load(self.conn)?;
        let lane = |row: LaneRow| {
            let next_time = row.next_time?;
            Some(Lane {
                workspace_id: WorkspaceId(row.workspace_id),
                use_case_id: row.use_case_id.into(),
                setup_id: row.setup_id.into(),
                next_time: row
                    .senders_full_until
                    .map_or(next_time, |full| full.max(next_time))
                    .0,
                from: next_time.0,
                is_paused: row.is_paused,
            })
        };
        Ok(rows.into_iter().filter_map(lane).collect())
    }

    fn due_in_lane(
        &mut self,
        use_case: UseCaseId,
        from: Time,
        limit: i64,
    ) -> Result<Vec<Delivery>> {
        let now = self.now()?;
        if self.has_put_off_in_lane(use_case) {
            // Its own locks are none to this unit of work: what it took is passed over once it is written.
            self.settle()?;
        }
        let query = in_lane!(use_case, from, now).limit(limit);
        let rows: Vec<DeliveryRow> = Prepared(skip_locked!(query)).load(self.conn)?;
        self.readable(rows, now)
    }

    fn due_rescues(&mut self, limit: i64) -> Result<Vec<Delivery>> {
        let now = self.now()?;
        let query = timers!(SENDING, now).limit(limit);
        let rows: Vec<DeliveryRow> = Prepared(skip_locked!(query)).load(self.conn)?;
        self.readable(rows, now)
    }

    fn due_questions(&mut self, limit: i64) -> Result<Vec<Delivery>> {
        let now = self.now()?;
        let query = timers!(SENT, now).limit(limit);
        let rows: Vec<DeliveryRow> = Prepared(skip_locked!(query)).load(self.conn)?;
        self.readable(rows, now)
    }

    fn expired(&mut self, limit: i64) -> Result<Vec<Delivery>> {
        let now = self.now()?;
        let query = expiring!(now).limit(limit);
        let rows: Vec<DeliveryRow> = Prepared(skip_locked!(query)).load(self.conn)?;
        self.readable(rows, now)
    }

    fn next_times(&mut self) -> Result<NextTimes> {
        let now = self.now()?;
        let row: NextTimesRow = Prepared(next_times!(now)).get_result(self.conn)?;
        let time = |time: Option<Ts>| time.map(|time| time.0);
        Ok(NextTimes {
            rescue: time(row.rescue),
            question: time(row.question),
            expiry: time(row.expiry),
        })
    }

    fn setups_of(&mut self, lanes: &[Lane]) -> Result<Vec<Setup>> {
        let ids: BTreeSet<Id> = lanes.iter().map(|lane| Id::from(lane.setup_id)).collect();
        let rows: Vec<SetupRow> = setups::table
            .filter(setups::id.eq_any(ids))
            .filter(setups::delete_time.is_null())
            .select(SetupRow::as_select())
            .load(self.settled()?)?;
        let mut readable = Vec::with_capacity(rows.len());
        for row in rows {
            let (id, workspace) = (row.id, WorkspaceId(row.workspace_id));
            match row.read() {
                Ok(setup) => {
                    if let Some(together) = &mut self.together {
                        let key = (workspace, setup.id, Lock::None);
                        together.setups.insert(key, Some(setup.clone()));
                    }
                    readable.push(setup);
                }
                Err(error) => {
                    tracing::error!(setup.id = %id.0, error = %error, "a setup can't be read; its voicemails wait");
                }
            }
        }
        Ok(readable)
    }

    fn count_starts(&mut self, setup: SetupId) -> Result<Option<Starts>> {
        let query = setups::table
            .filter(setups::id.eq(Id::from(setup)))
            .select(setups::next_start_time);
        let locked: Vec<Ts> = skip_locked!(query).load(self.settled()?)?;
        let Some(next_start) = locked.first() else {
            return Ok(None);
        };
        let under_way = under_way!(setup).get_result(self.settled()?)?;
        Ok(Some(Starts {
            next_start: next_start.0,
            under_way,
        }))
    }

    fn set_next_start(&mut self, setup: SetupId, next: Time) -> Result<()> {
        let rows = diesel::update(setups::table.find(Id::from(setup)))
            .set(setups::next_start_time.eq(Ts(next)))
            .execute(self.settled()?)?;
        Error::unless_one("setups", rows)
    }

    fn pause_setup(&mut self, setup: SetupId, pause: &Pause) -> Result<bool> {
        let rows = diesel::update(setups::table.find(Id::from(setup)))
            .filter(setups::pause_reason.is_null())
            .set((
                setups::pause_reason.eq(Some(pause.reason as i16)),
                setups::pause_carrier.eq(&pause.carrier),
                setups::pause_time.eq(Some(Ts(pause.since))),
            ))
            .execute(self.settled()?)?;
        Ok(rows == 1)
    }

    fn breakers(&mut self) -> Result<Vec<Breaker>> {
        if let Some(known) = self.known(|known| known.breakers.as_ref()) {
            return Ok(known);
        }
        let rows: Vec<BreakerRow> = breakers::table
            .order(breakers::carrier)
            .select(BreakerRow::as_select())
            .load(self.conn)?;
        let breakers: Vec<Breaker> = rows.into_iter().map(BreakerRow::read).collect();
        if let Some(together) = &mut self.together {
            together.breakers = Some(breakers.clone());
        }
        Ok(breakers)
    }

    fn open_breaker(&mut self, breaker: &Breaker) -> Result<bool> {
        let rows = diesel::insert_into(breakers::table)
            .values(BreakerRow::of(breaker))
            .on_conflict_do_nothing()
            .execute(self.settled()?)?;
        Ok(rows == 1)
    }

    fn take_trial(&mut self, carrier: &str, until: Time) -> Result<bool> {
        if let Some(together) = &mut self.together {
            together.breakers = None;
        }
        let now = self.now()?;
        let rows = diesel::update(breakers::table.find(carrier))
            .filter(breakers::next_trial_time.le(Ts(now)))
            .set(breakers::next_trial_time.eq(Ts(until)))
            .execute(self.settled()?)?;
        Ok(rows == 1)
    }

    fn save_trial(&mut self, breaker: &Breaker) -> Result<()> {
        diesel::update(breakers::table.find(&breaker.carrier))
            .set((
                breakers::next_trial_time.eq(Ts(breaker.next_trial_time)),
                breakers::trials.eq(breaker.trials),
            ))
            .execute(self.settled()?)?;
        Ok(())
    }

    fn close_breaker(&mut self, carrier: &str) -> Result<bool> {
        let rows = diesel::delete(breakers::table.find(carrier)).execute(self.settled()?)?;
        Ok(rows == 1)
    }

    fn forget_breakers(&mut self, before: Time) -> Result<usize> {
        Ok(diesel::delete(breakers::table)
            .filter(breakers::next_trial_time.lt(Ts(before)))
            .execute(self.settled()?)?)
    }

    fn take_sweep(&mut self, name: &str, every: Duration) -> Result<bool> {
        let now = self.now()?;
        let rows = diesel::update(sweeps::table.find(name))
            .filter(sweeps::next_time.le(Ts(now)))
            .set(sweeps::next_time.eq(Ts(now.plus(every))))
            .execute(self.settled()?)?;
        Ok(rows == 1)
    }

    fn explain_queue(&mut self, use_case: UseCaseId) -> Result<Vec<String>> {
        let now = self.now()?;
        Ok(vec![
            Explain(in_lane!(use_case, Time::EPOCH, now).limit(1)).text(self.settled()?)?,
            Explain(timers!(SENDING, now).limit(1)).text(self.settled()?)?,
            Explain(timers!(SENT, now).limit(1)).text(self.settled()?)?,
            Explain(expiring!(now).limit(1)).text(self.settled()?)?,
            Explain(under_way!(SetupId::from(use_case.uuid()))).text(self.settled()?)?,
            Explain(next_times!(now)).text(self.settled()?)?,
            Explain(
                diesel::sql_query(LANES)
                    .bind::<IdSql, _>(Id(uuid::Uuid::nil()))
                    .bind::<BigInt, _>(100),
            )
            .text(self.settled()?)?,
        ])
    }

    fn end_all_leases(&mut self) -> Result<usize> {
        let now = self.now()?;
        Ok(diesel::update(voicemails::table)
            .filter(voicemails::lease_token.is_not_null())
            .filter(voicemails::next_time.gt(Some(Ts(now))))
            .filter(voicemails::status.eq_any([Status::Sending as i16, Status::Sent as i16]))
            .set(voicemails::next_time.eq(Some(Ts(now))))
            .execute(self.settled()?)?)
    }
}

impl Session<'_> {
    /// Did this unit of work take something of it that is not written yet?
    fn has_put_off_in_lane(&self, use_case: UseCaseId) -> bool {
        let Some(together) = &self.together else {
            return false;
        };
        let mut put_off = together.put_off.deliveries.values();
        put_off.any(|(_, delivery)| delivery.use_case_id == use_case)
    }

    /// Those that can be read; the others are put off.
    fn readable(&mut self, rows: Vec<DeliveryRow>, now: Time) -> Result<Vec<Delivery>> {
        let mut readable = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id;
            match row.read() {
                Ok(delivery) => readable.push(delivery),
                Err(error) => self.put_off(id, now, &error)?,
            }
        }
        self.remember(&readable);
        Ok(readable)
    }

    fn put_off(&mut self, id: Id, now: Time, error: &Error) -> Result<()> {
        tracing::error!(voicemail.id = %id.0, error = %error, "a voicemail can't be read; it is put off");
        diesel::update(voicemails::table.find(id))
            .set(voicemails::next_time.eq(Some(Ts(now.plus(PUT_OFF)))))
            .execute(self.settled()?)?;
        Ok(())
    }
}
