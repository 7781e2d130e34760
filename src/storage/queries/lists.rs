//! What all lists share: their order and paging, and the filters of voicemails.

use std::time::Duration;

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::super::{BY_NO_INDEX, SORTED_BY_CREATE_TIME, TsSql};
use super::Session;
use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::storage::prepared::Prepared;
use crate::storage::values::Ts;
use crate::storage::{Page, Result, VoicemailFilter};

/// How a list of voicemails is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As the planner thinks best.
    Planned,
    /// All that ended or changed within the times of its filter, sorted: they are few.
    ByTime,
    /// Those are many, so a page is soon full on a walk in the list's order: from before this time, where it is given.
    Walked(Option<Time>),
}

/// Few: as many as are read and sorted for one page.
const FEW: i64 = 1_000;
/// By how much the clock of one who ends a voicemail may be behind that of one who accepted it.
const CLOCKS_DIFFER: Duration = Duration::from_secs(600);

/// Newest first by (create_time, id), from behind the page before. The first condition is what an
/// index can seek to; the second sorts out rows of the same microsecond.
macro_rules! page {
    ($query:expr, $table:ident, $page:expr) => {
        page!($query, $table::create_time, $table::id, $page)
    };
    ($query:expr, $create_time:path, $id:path, $page:expr) => {
        page!($query, $create_time, $id, $create_time, $page)
    };
    ($query:expr, $create_time:path, $id:path, $by:expr, $page:expr) => {{
        let mut query = $query;
        if let Some((time, id)) = $page.after {
            let (time, id) = (
                $crate::storage::values::Ts(time),
                $crate::storage::values::Id(id),
            );
            query = query
                .filter($create_time.le(time))
                .filter($create_time.lt(time).or($id.lt(id)));
        }
        query.order(($by.desc(), $id.desc())).limit($page.limit)
    }};
}

/// The same of voicemails, read one way or the other.
macro_rules! voicemail_page {
    ($query:expr, $page:expr, $way:expr) => {{
        let query = $query;
        match $way {
            super::lists::Way::Planned | super::lists::Way::Walked(_) => {
                page!(query, voicemails, $page)
            }
            super::lists::Way::ByTime => {
                let sorted = super::lists::sorted_by_create_time();
                page!(
                    query,
                    voicemails::create_time,
                    voicemails::id,
                    sorted,
                    $page
                )
            }
        }
    }};
}

/// Every filter that is given, on a boxed query over `voicemails`.
macro_rules! filtered {
    ($query:expr, $workspace:expr, $filter:expr) => {
        filtered!($query, $workspace, $filter, super::lists::Way::Planned)
    };
    ($query:expr, $workspace:expr, $filter:expr, $way:expr) => {{
        let filter: &$crate::storage::VoicemailFilter = $filter;
        let mut query = $query.filter(voicemails::workspace_id.eq($workspace.0));
        if let Some(id) = filter.use_case_id {
            query = query.filter(voicemails::use_case_id.eq(Id::from(id)));
        }
        if let Some(id) = filter.setup_id {
            query = query.filter(voicemails::setup_id.eq(Id::from(id)));
        }
        // One value is asked for by `=`: Postgres reads an index in its order for that, and not for a list.
        match filter.statuses.as_slice() {
            [] => {}
            [one] => query = query.filter(voicemails::status.eq(*one as i16)),
            many => query = query.filter(voicemails::status.eq_any(many.iter().map(|s| *s as i16).collect::<Vec<_>>())),
        }
        match filter.failure_reasons.as_slice() {
            [] => {}
            [one] => query = query.filter(voicemails::failure_reason.eq(*one as i16)),
            many => query = query.filter(voicemails::failure_reason.eq_any(many.iter().map(|r| *r as i16).collect::<Vec<_>>())),
        }
        if let Some(number) = &filter.recipient {
            query = query.filter(voicemails::recipient.eq(number.e164().to_owned()));
        }
        if let Some(number) = &filter.sender {
            query = query.filter(voicemails::sender.eq(number.e164().to_owned()));
        }
        if let Some(request_id) = &filter.request_id {
            query = query.filter(voicemails::request_id.eq(request_id.clone()));
        }
        for (key, value) in &filter.labels {
            let labelled = diesel::dsl::sql::<diesel::sql_types::Bool>(
                "voicemails.id IN (SELECT voicemail_id FROM voicemail_labels WHERE workspace_id = ",
            )
            .bind::<diesel::sql_types::BigInt, _>($workspace.0)
            .sql(" AND key = ")
            .bind::<diesel::sql_types::Text, _>(key.clone())
            .sql(" AND value = ")
            .bind::<diesel::sql_types::Text, _>(value.clone())
            .sql(")");
            query = query.filter(labelled);
        }
        if let Some(batch_id) = &filter.batch_id {
            let (one_of, end) = ONE_OF;
            let members = diesel::dsl::sql::<diesel::sql_types::Bool>(&format!(
                "voicemails.id {one_of}SELECT voicemail_id FROM batch_members WHERE workspace_id = "
            ))
            .bind::<diesel::sql_types::BigInt, _>($workspace.0)
            .sql(" AND batch_id = ")
            .bind::<diesel::sql_types::Text, _>(batch_id.clone())
            .sql(end);
            query = query.filter(members);
        }
        if let Some(time) = filter.create_time_from {
            query = query.filter(voicemails::create_time.ge(Ts(time)));
        }
        if let Some(time) = filter.create_time_to {
            query = query.filter(voicemails::create_time.lt(Ts(time)));
        }
        for (before, time) in super::lists::times_of(filter, $way) {
            let condition = diesel::dsl::sql::<diesel::sql_types::Bool>(&before)
                .bind::<super::super::TsSql, _>(Ts(time));
            query = query.filter(condition);
        }
        query
    }};
}

pub(super) use {filtered, page, voicemail_page};

/// What no index has in its order.
pub(super) fn sorted_by_create_time() -> SqlLiteral<TsSql> {
    sql(SORTED_BY_CREATE_TIME)
}

/// Conditions on when a voicemail ended or changed, each with what stands before its time.
pub(super) fn times_of(filter: &VoicemailFilter, way: Way) -> Vec<(String, Time)> {
    let (by, before) = match way {
        Way::Planned | Way::ByTime => ("", None),
        Way::Walked(before) => (BY_NO_INDEX, before),
    };
    let mut times = Vec::new();
    let mut add = |column: &str, compared: &str, time: Option<Time>| {
        let condition = |time| (format!("{by}voicemails.{column} {compared} "), time);
        times.extend(time.map(condition));
    };
    add("end_time", ">=", filter.end_time_from);
    add("end_time", "<", filter.end_time_to);
    add("update_time", ">=", filter.update_time_from);
    times.extend(before.map(|time| ("voicemails.create_time < ".to_owned(), time)));
    times
}

const ENDED_WITHIN: &str = "
    SELECT count(*) AS rows FROM (
        SELECT 1 AS one FROM voicemails WHERE workspace_id = $1 AND end_time >= $2 AND end_time < $3 LIMIT $4
    ) AS within";
const CHANGED_SINCE: &str = "
    SELECT count(*) AS rows FROM (
        SELECT 1 AS one FROM voicemails WHERE workspace_id = $1 AND update_time >= $2 LIMIT $3
    ) AS since";

#[derive(QueryableByName)]
pub(super) struct Counted {
    #[diesel(sql_type = BigInt)]
    pub rows: i64,
}

impl Session<'_> {
    /// The better way for this filter: what ended or changed within its times is counted, as far as few. By its statistics a
    /// planner expects many where a quiet hour had none, and then walks in the list's order through millions; or few where
    /// there are many, and sorts them all for one page.
    pub(super) fn way(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
        page: Page,
    ) -> Result<Way> {
        let (from, to) = (filter.end_time_from, filter.end_time_to);
        let is_ended = from.or(to).is_some();
        if !is_ended && filter.update_time_from.is_none() {
            return Ok(Way::Planned);
        }
        let is_few = (is_ended && self.few_ended(workspace, from, to)?)
            || self.few_changed(workspace, filter.update_time_from)?;
        if is_few {
            return Ok(Way::ByTime);
        }
        // It came before it ended, so nobody has to walk there from the newest.
        let came_before = to.map(|time| time.plus(CLOCKS_DIFFER));
        Ok(Way::Walked(came_before.filter(|_| page.after.is_none())))
    }

    fn few_ended(
        &mut self,
        workspace: WorkspaceId,
        from: Option<Time>,
        to: Option<Time>,
    ) -> Result<bool> {
        let query = diesel::sql_query(ENDED_WITHIN)
            .bind::<BigInt, _>(workspace.0)
            .bind::<TsSql, _>(Ts(from.unwrap_or(Time::EPOCH)))
            .bind::<TsSql, _>(Ts(to.unwrap_or(Time::LAST)))
            .bind::<BigInt, _>(FEW + 1);
        let ended: Counted = Prepared(query).get_result(self.settled()?)?;
        Ok(ended.rows <= FEW)
    }

    fn few_changed(&mut self, workspace: WorkspaceId, since: Option<Time>) -> Result<bool> {
        let Some(since) = since else {
            return Ok(false);
        };
        let query = diesel::sql_query(CHANGED_SINCE)
            .bind::<BigInt, _>(workspace.0)
            .bind::<TsSql, _>(Ts(since))
            .bind::<BigInt, _>(FEW + 1);
        let changed: Counted = Prepared(query).get_result(self.settled()?)?;
        Ok(changed.rows <= FEW)
    }
}
