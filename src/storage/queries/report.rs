//! The sums behind the delivery report. The database groups by what is asked for, by status, by
//! latency bucket, and by slices of 15 minutes; zones and percentiles are the domain's.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, SmallInt, Text};

use super::super::{Db, IdSql, ONE_OF, voicemail_labels, voicemails};
use super::Session;
use super::lists::filtered;
use super::rows::{failure_reason, status};
use crate::domain::ids::WorkspaceId;
use crate::domain::report::{Dimension, Group, SLICE, SLICES_MAX, Slice};
use crate::storage::values::{Id, Ts};
use crate::storage::{ReportStore, Result, VoicemailFilter};

type SliceRow = (
    Option<Id>,
    Option<Id>,
    Option<String>,
    Option<String>,
    Option<i16>,
    Option<i64>,
    i16,
    Option<i16>,
    i64,
);

impl ReportStore for Session<'_> {
    fn report_slices(
        &mut self,
        workspace: WorkspaceId,
        filter: &VoicemailFilter,
        dimensions: &[Dimension],
        simulated: Option<bool>,
    ) -> Result<Vec<Slice>> {
        let by = |dimension| dimensions.contains(&dimension);
        let by_time = by(Dimension::Day) || by(Dimension::Hour);
        let column = |wanted: bool, name: &str, kind: &str| match wanted {
            true => format!("voicemails.{name}"),
            false => format!("CAST(NULL AS {kind})"),
        };
        let time_slice = match by_time {
            true => slice_of_create_time!(SLICE.as_micros()),
            false => sql::<Nullable<BigInt>>("CAST(NULL AS bigint)"),
        };
        let query = voicemails::table
            // By position in the select below; a column that is not asked for is one NULL.
            .group_by(sql::<Text>("1, 2, 3, 4, 5, 6, 7, 8"))
            .select((
                sql::<Nullable<IdSql>>(&column(by(Dimension::UseCase), "use_case_id", "uuid")),
                sql::<Nullable<IdSql>>(&column(by(Dimension::Setup), "setup_id", "uuid")),
                sql::<Nullable<Text>>(&column(by(Dimension::Sender), "sender", "text")),
                sql::<Nullable<Text>>(&column(by(Dimension::Carrier), "carrier", "text")),
                sql::<Nullable<SmallInt>>(&column(
                    by(Dimension::FailureReason),
                    "failure_reason",
                    "smallint",
                )),
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
        let most = i64::try_from(SLICES_MAX + 1).unwrap_or(i64::MAX);
        let rows: Vec<SliceRow> = query.limit(most).load(self.settled()?)?;
        rows.into_iter()
            .map(
                |(use_case, setup, sender, carrier, reason, slice, code, bucket, count)| {
                    Ok(Slice {
                        group: Group {
                            use_case_id: use_case.map(Into::into),
                            setup_id: setup.map(Into::into),
                            sender,
                            carrier,
                            failure_reason: match by(Dimension::FailureReason) {
                                true => Some(failure_reason("voicemails", reason)?),
                                false => None,
                            },
                            period_start_us: None,
                        },
                        slice,
                        status: status(code)?,
                        latency_bucket: bucket,
                        count,
                    })
                },
            )
            .collect()
    }
}
