//! The sums behind the delivery report. The database groups by what is asked for, by status, by latency bucket, and
//! by slices of 15 minutes; zones and percentiles are the domain's. Ended voicemails are summed from their counts,
//! see `ended.rs`.

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, SmallInt, Text};

use super::super::{Db, IdSql, ONE_OF, voicemails};
use super::Session;
use super::lists::filtered;
use super::rows::{failure_reason, status};
use crate::domain::ids::WorkspaceId;
use crate::domain::report::{Dimension, Group, SLICE, SLICES_MAX, Slice};
use crate::storage::values::{Id, Ts};
use crate::storage::{Ended, Folded, ReportStore, Result, VoicemailFilter};

/// Use case, setup, sender, carrier and failure reason; what is not grouped by is NULL.
pub type GroupRow = (
    Option<Id>,
    Option<Id>,
    Option<String>,
    Option<String>,
    Option<i16>,
);

type GroupSql = (
    SqlLiteral<Nullable<IdSql>>,
    SqlLiteral<Nullable<IdSql>>,
    SqlLiteral<Nullable<Text>>,
    SqlLiteral<Nullable<Text>>,
    SqlLiteral<Nullable<SmallInt>>,
);

/// The columns of a [`GroupRow`], on this table.
pub fn group_columns(table: &str, dimensions: &[Dimension]) -> GroupSql {
    let column = |dimension, name: &str, kind: &str| match dimensions.contains(&dimension) {
        true => format!("{table}.{name}"),
        false => format!("CAST(NULL AS {kind})"),
    };
    // A table that can't have NULL there has 0 for no reason.
    let reason = column(Dimension::FailureReason, "failure_reason", "smallint");
    (
        sql(&column(Dimension::UseCase, "use_case_id", "uuid")),
        sql(&column(Dimension::Setup, "setup_id", "uuid")),
        sql(&column(Dimension::Sender, "sender", "text")),
        sql(&column(Dimension::Carrier, "carrier", "text")),
        sql(&format!("NULLIF({reason}, 0)")),
    )
}

pub fn read_group(row: GroupRow, dimensions: &[Dimension]) -> Result<Group> {
    let (use_case, setup, sender, carrier, reason) = row;
    Ok(Group {
        use_case_id: use_case.map(Into::into),
        setup_id: setup.map(Into::into),
        sender,
        carrier,
        failure_reason: match dimensions.contains(&Dimension::FailureReason) {
            true => Some(failure_reason("voicemails", reason)?),
            false => None,
        },
        period_start_us: None,
    })
}

pub fn is_by_time(dimensions: &[Dimension]) -> bool {
    dimensions.contains(&Dimension::Day) || dimensions.contains(&Dimension::Hour)
}

/// One more than is allowed says that there are too many.
pub fn most_slices() -> i64 {
    i64::try_from(SLICES_MAX + 1).unwrap_or(i64::MAX)
}

type SliceRow = (GroupRow, Option<i64>, i16, Option<i16>, i64);

impl ReportStore for Session<'_> {
    fn report_slices(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
        dimensions: &[Dimension],
        simulated: Option<bool>,
    ) -> Result<Vec<Slice>> {
        let time_slice = match is_by_time(dimensions) {
            true => slice_of_create_time!(SLICE.as_micros()),
            false => sql::<Nullable<BigInt>>("CAST(NULL AS bigint)"),
        };
        let query = voicemails::table
            // By position in the select below; a column that is not asked for is one NULL.
            .group_by(sql::<Text>("1, 2, 3, 4, 5, 6, 7, 8"))
            .select((
                group_columns("voicemails", dimensions),
                time_slice,
                sql::<SmallInt>("voicemails.status"),
                sql::<Nullable<SmallInt>>("voicemails.latency_bucket"),
                sql::<BigInt>("count(*)"),
            ))
            .into_boxed::<Db>();
        let mut query = filtered!(query, workspace, filter);
        if let Some(simulated) = simulated {
            query = query.filter(voicemails::simulated.eq(simulated));
        }
        let rows: Vec<SliceRow> = query.limit(most_slices()).load(self.settled()?)?;
        rows.into_iter()
            .map(|(group, slice, code, bucket, count)| {
                Ok(Slice {
                    group: read_group(group, dimensions)?,
                    slice,
                    status: status(code)?,
                    count,
                    latencies: bucket.map(|bucket| (bucket, count)).into_iter().collect(),
                })
            })
            .collect()
    }

    fn ended_slices(&mut self, workspace: WorkspaceId, ended: &Ended<'_>) -> Result<Vec<Slice>> {
        let mut slices = self.slices_of_counts(workspace, ended)?;
        slices.extend(self.slices_of_changes(workspace, ended)?);
        Ok(slices)
    }

    fn fold_ended(&mut self, after: i64, limit: i64) -> Result<Folded> {
        self.fold(after, limit)
    }
}
