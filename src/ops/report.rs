//! GetDeliveryReport: sums from the database, put together to the groups that were asked for. What has ended is read
//! from counts that are kept as it ends, as far as they tell apart what is asked for; what is on its way is counted
//! as it stands.

mod pieces;

use std::collections::BTreeMap;

use super::error::{OpError, Result, Violation};
use crate::domain::ids::WorkspaceId;
use crate::domain::report::{Dimension, GROUPS_MAX, Group, SLICE, SLICES_MAX, Slice, Tally};
use crate::domain::status::Status;
use crate::storage::{Ended, Tx, VoicemailFilter};

#[derive(Debug, Clone)]
pub struct ReportRequest {
    pub filter: VoicemailFilter,
    pub dimensions: Vec<Dimension>,
    pub time_zone: jiff::tz::TimeZone,
    pub include_simulated: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    pub groups: Vec<(Group, Tally)>,
    pub total: Tally,
}

/// Simulated ones are left out unless they are asked for, or there are no others. Its statements have to see the same
/// moment, or one that ends meanwhile would be counted twice or not at all.
pub fn make(tx: &mut dyn Tx, workspace: WorkspaceId, request: &ReportRequest) -> Result<Report> {
    if request.include_simulated {
        return fold(tx, workspace, request, None);
    }
    let real = fold(tx, workspace, request, Some(false))?;
    match real.total.total() {
        0 => fold(tx, workspace, request, Some(true)),
        _ => Ok(real),
    }
}

/// What the groups are put together from.
fn slices(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    request: &ReportRequest,
    simulated: Option<bool>,
) -> Result<Vec<Slice>> {
    let (mut slices, periods) = (Vec::new(), pieces::periods(request));
    for piece in pieces::of(request) {
        let filter = VoicemailFilter {
            create_time_from: piece.from,
            create_time_to: piece.to,
            ..request.filter.clone()
        };
        slices.extend(match piece.grain {
            None => tx.report_slices(workspace, &filter, &request.dimensions, simulated)?,
            Some(grain) => {
                let ended = Ended {
                    filter: &filter,
                    dimensions: &request.dimensions,
                    periods: &periods,
                    simulated,
                    grain,
                };
                counted(tx, workspace, &ended)?
            }
        });
    }
    Ok(slices)
}

/// What has ended from its counts, and what is on its way as it stands.
fn counted(tx: &mut dyn Tx, workspace: WorkspaceId, ended: &Ended<'_>) -> Result<Vec<Slice>> {
    let filter = ended.filter;
    let mut slices = tx.ended_slices(workspace, ended)?;
    let is_asked = |status: &Status| {
        status.is_in_flight() && (filter.statuses.is_empty() || filter.statuses.contains(status))
    };
    // One by one, because the index by status and create time is read from border to border for one alone.
    for status in Status::ALL.into_iter().filter(is_asked) {
        let on_its_way = VoicemailFilter {
            statuses: vec![status],
            ..filter.clone()
        };
        slices.extend(tx.report_slices(
            workspace,
            &on_its_way,
            ended.dimensions,
            ended.simulated,
        )?);
    }
    Ok(slices)
}

fn fold(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    request: &ReportRequest,
    simulated: Option<bool>,
) -> Result<Report> {
    let slices = slices(tx, workspace, request, simulated)?;
    if slices.len() > SLICES_MAX {
        return Err(too_much("too many parts to be put together".to_owned()));
    }
    let mut groups: BTreeMap<Group, Tally> = BTreeMap::new();
    // Slices of one hour or day share its start, so each is computed once.
    let mut starts: BTreeMap<i64, i64> = BTreeMap::new();
    for slice in slices {
        let mut group = slice.group;
        if let Some(number) = slice.slice {
            let start = match starts.get(&number) {
                Some(start) => *start,
                None => {
                    let start = period_start(number, request)?;
                    starts.insert(number, start);
                    start
                }
            };
            group.period_start_us = Some(start);
        }
        groups
            .entry(group)
            .or_default()
            .add(slice.status, slice.count, &slice.latencies);
    }
    // What was counted and taken back again is no group.
    groups.retain(|_, tally| tally.total() > 0);
    let mut total = Tally::default();
    groups.values().for_each(|tally| total.include(tally));
    if groups.len() > GROUPS_MAX {
        let given = format!("{} groups; at most {GROUPS_MAX} are allowed", groups.len());
        return Err(too_much(given));
    }
    let groups = match request.dimensions.is_empty() {
        // Without grouping there is the total alone.
        true => Vec::new(),
        false => groups.into_iter().collect(),
    };
    Ok(Report { groups, total })
}

fn too_much(given: String) -> OpError {
    OpError::InvalidFields(vec![Violation::field(
        "group_by",
        format!("this gives {given}. Group by less, add a filter, or take a shorter time"),
    )])
}

/// The first microsecond of the local day or hour that a slice lies in.
fn period_start(slice: i64, request: &ReportRequest) -> Result<i64> {
    let failed = |error: jiff::Error| OpError::Internal(format!("a time of the report: {error}"));
    let micros = slice * i64::try_from(SLICE.as_micros()).unwrap_or(i64::MAX);
    let instant = jiff::Timestamp::from_microsecond(micros).map_err(failed)?;
    let local = instant.to_zoned(request.time_zone.clone());
    if request.dimensions.contains(&Dimension::Day) {
        return Ok(local
            .start_of_day()
            .map_err(failed)?
            .timestamp()
            .as_microsecond());
    }
    // The hour begins as many minutes ago as the local clock shows, also where it shows an hour twice.
    let into_hour = jiff::SignedDuration::from_mins(i64::from(local.minute()))
        + jiff::SignedDuration::from_secs(i64::from(local.second()));
    Ok((instant - into_hour).as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(time: &str, zone: &str, dimension: Dimension) -> String {
        let request = ReportRequest {
            filter: VoicemailFilter::default(),
            dimensions: vec![dimension],
            time_zone: jiff::tz::TimeZone::get(zone).expect("a zone"),
            include_simulated: false,
        };
        let micros = time
            .parse::<jiff::Timestamp>()
            .expect("a time")
            .as_microsecond();
        let slice = micros.div_euclid(SLICE.as_micros() as i64);
        let start = period_start(slice, &request).expect("in range");
        jiff::Timestamp::from_microsecond(start)
            .expect("in range")
            .to_string()
    }

    #[test]
    fn a_day_begins_at_local_midnight_also_when_the_clocks_change() {
        let day = |time| start(time, "America/New_York", Dimension::Day);
        assert_eq!(day("2026-11-23T04:59:00Z"), "2026-11-22T05:00:00Z");
        assert_eq!(day("2026-11-23T05:00:00Z"), "2026-11-23T05:00:00Z");
        // The day of 25 hours and the day of 23.
        assert_eq!(day("2026-11-02T04:59:00Z"), "2026-11-01T04:00:00Z");
        assert_eq!(day("2026-11-02T05:00:00Z"), "2026-11-02T05:00:00Z");
        assert_eq!(day("2026-03-09T03:59:00Z"), "2026-03-08T05:00:00Z");
        assert_eq!(day("2026-03-09T04:00:00Z"), "2026-03-09T04:00:00Z");
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_hours() {
        let hour = |time| start(time, "America/New_York", Dimension::Hour);
        assert_eq!(hour("2026-11-01T05:45:00Z"), "2026-11-01T05:00:00Z");
        assert_eq!(hour("2026-11-01T06:15:00Z"), "2026-11-01T06:00:00Z");
    }

    #[test]
    fn an_hour_of_a_zone_with_a_broken_offset_begins_on_its_own_clock() {
        assert_eq!(
            start("2026-11-23T10:20:00Z", "Asia/Kolkata", Dimension::Hour),
            "2026-11-23T09:30:00Z"
        );
        assert_eq!(
            start("2026-11-23T10:20:00Z", "Asia/Kathmandu", Dimension::Hour),
            "2026-11-23T10:15:00Z"
        );
    }
}
