//! The counts of ended voicemails. A trigger notes each end in `ended_changes`; they are added to `ended_counts` by
//! and by, and what is not yet added is read beside it.

use std::collections::BTreeMap;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, SmallInt, Text};

use super::super::{Db, ended_changes, ended_counts};
use super::Session;
use super::report::{GroupRow, group_columns, is_by_time, most_slices, read_group};
use super::rows::{from_json, status, to_json};
use crate::domain::ids::WorkspaceId;
use crate::domain::report::{Grain, HoursAhead, Latencies, Periods, SLICE, Slice};
use crate::domain::time::Time;
use crate::storage::values::Id;
use crate::storage::{Ended, Folded, Result};

/// On Postgres the counts are read and written by who has this lock. Any number that nothing else here takes.
const FOLD_LOCK: i64 = 74_645_378;

const HOUR_MICROS: i64 = 3_600_000_000;

/// Every filter that is given, on a boxed query over one of the two tables.
macro_rules! ended_filtered {
    ($query:expr, $table:ident, $workspace:expr, $ended:expr) => {{
        let (filter, hour) = ($ended.filter, |time: Time| time.micros() / HOUR_MICROS);
        let mut query = $query.filter($table::workspace_id.eq($workspace.0));
        if let Some(id) = filter.use_case_id {
            query = query.filter($table::use_case_id.eq(Id::from(id)));
        }
        if let Some(id) = filter.setup_id {
            query = query.filter($table::setup_id.eq(Id::from(id)));
        }
        if !filter.statuses.is_empty() {
            let codes = filter.statuses.iter().map(|status| *status as i16);
            query = query.filter($table::status.eq_any(codes.collect::<Vec<_>>()));
        }
        if !filter.failure_reasons.is_empty() {
            let codes = filter.failure_reasons.iter().map(|reason| *reason as i16);
            query = query.filter($table::failure_reason.eq_any(codes.collect::<Vec<_>>()));
        }
        if let Some(number) = &filter.sender {
            query = query.filter($table::sender.eq(number.e164().to_owned()));
        }
        if let Some(time) = filter.create_time_from {
            query = query.filter($table::hour.ge(hour(time)));
        }
        if let Some(time) = filter.create_time_to {
            query = query.filter($table::hour.lt(hour(time)));
        }
        if let Some(simulated) = $ended.simulated {
            query = query.filter($table::simulated.eq(simulated));
        }
        query
    }};
}

/// A kind of ended voicemails: the key of `ended_counts`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    workspace_id: i64,
    grain: i16,
    hour: i64,
    use_case_id: Id,
    setup_id: Id,
    sender: String,
    carrier: String,
    failure_reason: i16,
    status: i16,
    simulated: bool,
}

/// How many there are of a kind, in all and in each latency bucket.
#[derive(Debug, Default)]
struct Count {
    count: i64,
    latencies: BTreeMap<i16, i64>,
}

impl Count {
    fn add(&mut self, count: i64, latencies: impl IntoIterator<Item = (i16, i64)>) {
        self.count += count;
        for (bucket, count) in latencies {
            *self.latencies.entry(bucket).or_default() += count;
        }
    }

    /// What is stored: nothing that is none.
    fn stored(&self) -> Latencies {
        let pairs = self
            .latencies
            .iter()
            .map(|(bucket, count)| (*bucket, *count));
        pairs.filter(|(_, count)| *count != 0).collect()
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = ended_changes, check_for_backend(Db))]
struct ChangeRow {
    id: i64,
    workspace_id: i64,
    hour: i64,
    use_case_id: Id,
    setup_id: Id,
    sender: String,
    carrier: String,
    failure_reason: Option<i16>,
    status: i16,
    simulated: bool,
    latency_bucket: Option<i16>,
    count: i64,
}

impl ChangeRow {
    /// What it is counted as at a grain.
    fn kind(&self, grain: Grain) -> Kind {
        Kind {
            workspace_id: self.workspace_id,
            grain: grain as i16,
            hour: grain.start(self.hour),
            use_case_id: self.use_case_id,
            setup_id: self.setup_id,
            sender: match grain.has_sender() {
                true => self.sender.clone(),
                false => String::new(),
            },
            carrier: self.carrier.clone(),
            failure_reason: self.failure_reason.unwrap_or(0),
            status: self.status,
            simulated: self.simulated,
        }
    }
}

const SLICES_OF_HOUR: u64 = 3_600 / SLICE.as_secs();

/// The expression that counts are grouped by, and a slice that lies in the period: its first hour, which is on the right side of
/// any change of clocks.
fn period_columns(periods: &Periods) -> (String, String) {
    let none = || "CAST(NULL AS bigint)".to_owned();
    let group =
        match periods {
            Periods::All => return (none(), none()),
            Periods::Hours => "ended_counts.hour".to_owned(),
            Periods::Days(ahead) => {
                let first = ahead.first().map_or(0, |first| first.hours);
                let later = ahead.iter().skip(1).fold(first.to_string(), |before, change| {
                let HoursAhead { from_hour, hours } = change;
                format!("CASE WHEN ended_counts.hour >= {from_hour} THEN {hours} ELSE {before} END")
            });
                format!("(ended_counts.hour + {later}) / 24")
            }
        };
    (group, format!("min(ended_counts.hour) * {SLICES_OF_HOUR}"))
}

/// The hour as a number of slices, where grouped by time.
fn time_of_change(is_by_time: bool) -> String {
    match is_by_time {
        true => format!("ended_changes.hour * {SLICES_OF_HOUR}"),
        false => "CAST(NULL AS bigint)".to_owned(),
    }
}

/// Lists of latencies, with commas between them.
const LATENCIES: &str =
    "string_agg(ended_counts.latencies, ',') FILTER (WHERE ended_counts.latencies <> '[]')";

type CountedRow = (GroupRow, Option<i64>, i16, Option<String>, i64);
type ChangedRow = (GroupRow, Option<i64>, i16, Option<i16>, i64);

impl Session<'_> {
    pub fn slices_of_counts(
        &mut self,
        workspace: WorkspaceId,
        ended: &Ended<'_>,
    ) -> Result<Vec<Slice>> {
        let (period, slice) = period_columns(ended.periods);
        let query = ended_counts::table
            .filter(ended_counts::grain.eq(ended.grain as i16))
            .group_by(sql::<Text>(&format!("1, 2, 3, 4, 5, 7, {period}")))
            .select((
                group_columns("ended_counts", ended.dimensions),
                sql::<Nullable<BigInt>>(&slice),
                sql::<SmallInt>("ended_counts.status"),
                sql::<Nullable<Text>>(LATENCIES),
                sql::<BigInt>("CAST(sum(ended_counts.count) AS bigint)"),
            ))
            .into_boxed::<Db>();
        let query = ended_filtered!(query, ended_counts, workspace, ended);
        let rows: Vec<CountedRow> = query.limit(most_slices()).load(self.settled()?)?;
        rows.into_iter()
            .map(|(group, slice, code, latencies, count)| {
                let lists = format!("[{}]", latencies.unwrap_or_default());
                let lists: Vec<Latencies> = from_json("ended_counts", &lists)?;
                Ok(Slice {
                    group: read_group(group, ended.dimensions)?,
                    slice,
                    status: status(code)?,
                    count,
                    latencies: lists.concat(),
                })
            })
            .collect()
    }

    pub fn slices_of_changes(
        &mut self,
        workspace: WorkspaceId,
        ended: &Ended<'_>,
    ) -> Result<Vec<Slice>> {
        let time = time_of_change(is_by_time(ended.dimensions));
        let query = ended_changes::table
            .group_by(sql::<Text>("1, 2, 3, 4, 5, 6, 7, 8"))
            .having(sql::<diesel::sql_types::Bool>(
                "sum(ended_changes.count) <> 0",
            ))
            .select((
                group_columns("ended_changes", ended.dimensions),
                sql::<Nullable<BigInt>>(&time),
                sql::<SmallInt>("ended_changes.status"),
                sql::<Nullable<SmallInt>>("ended_changes.latency_bucket"),
                sql::<BigInt>("CAST(sum(ended_changes.count) AS bigint)"),
            ))
            .into_boxed::<Db>();
        let query = ended_filtered!(query, ended_changes, workspace, ended);
        let rows: Vec<ChangedRow> = query.limit(most_slices()).load(self.settled()?)?;
        rows.into_iter()
            .map(|(group, slice, code, bucket, count)| {
                Ok(Slice {
                    group: read_group(group, ended.dimensions)?,
                    slice,
                    status: status(code)?,
                    count,
                    latencies: bucket.map(|bucket| (bucket, count)).into_iter().collect(),
                })
            })
            .collect()
    }

    pub fn fold(&mut self, after: i64, limit: i64) -> Result<Folded> {
        super::super::lock_until_end(self.settled()?, FOLD_LOCK)?;
        let changes: Vec<ChangeRow> = ended_changes::table
            .filter(ended_changes::id.gt(after))
            .order(ended_changes::id)
            .limit(limit)
            .select(ChangeRow::as_select())
            .load(self.settled()?)?;
        let mut counts: BTreeMap<Kind, Count> = BTreeMap::new();
        for change in &changes {
            let latency = change.latency_bucket.map(|bucket| (bucket, change.count));
            for grain in Grain::ALL {
                let count = counts.entry(change.kind(grain)).or_default();
                count.add(change.count, latency);
            }
        }
        for (kind, count) in counts {
            self.add_to_count(&kind, count)?;
        }
        let last = changes.last().map_or(after, |change| change.id);
        let ids: Vec<i64> = changes.iter().map(|change| change.id).collect();
        diesel::delete(ended_changes::table.filter(ended_changes::id.eq_any(ids)))
            .execute(self.settled()?)?;
        Ok(Folded {
            changes: changes.len(),
            last,
        })
    }

    fn add_to_count(&mut self, kind: &Kind, mut count: Count) -> Result<()> {
        let key = (
            kind.workspace_id,
            kind.grain,
            kind.hour,
            kind.use_case_id,
            kind.setup_id,
            &kind.sender,
            &kind.carrier,
            kind.failure_reason,
            kind.status,
            kind.simulated,
        );
        let row = ended_counts::table.find(key);
        let known: Option<(i64, String)> = row
            .select((ended_counts::count, ended_counts::latencies))
            .first(self.settled()?)
            .optional()?;
        if let Some((number, latencies)) = &known {
            let latencies: Latencies = from_json("ended_counts", latencies)?;
            count.add(*number, latencies);
        }
        let stored = count.stored();
        let is_none = count.count == 0 && stored.is_empty();
        let sums = (
            ended_counts::count.eq(count.count),
            ended_counts::latencies.eq(to_json("ended_counts", &stored)?),
        );
        match (known, is_none) {
            (Some(_), true) => diesel::delete(row).execute(self.settled()?)?,
            (Some(_), false) => diesel::update(row).set(sums).execute(self.settled()?)?,
            (None, true) => 0,
            (None, false) => diesel::insert_into(ended_counts::table)
                .values((
                    ended_counts::workspace_id.eq(kind.workspace_id),
                    ended_counts::grain.eq(kind.grain),
                    ended_counts::hour.eq(kind.hour),
                    ended_counts::use_case_id.eq(kind.use_case_id),
                    ended_counts::setup_id.eq(kind.setup_id),
                    ended_counts::sender.eq(&kind.sender),
                    ended_counts::carrier.eq(&kind.carrier),
                    ended_counts::failure_reason.eq(kind.failure_reason),
                    ended_counts::status.eq(kind.status),
                    ended_counts::simulated.eq(kind.simulated),
                    sums,
                ))
                .execute(self.settled()?)?,
        };
        Ok(())
    }
}
