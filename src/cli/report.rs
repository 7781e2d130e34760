//! `report`: counts of voicemails by how they ended.

use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;

use super::client::{ClientArgs, in_time, persistently};
use super::failure::Usage;
use super::json;
use super::parse::{self, Moment};
use super::show::{self, Table};
use super::voicemails::Filters;
use crate::grpc::pb::{self, ReportDimension, VoicemailStatus};

/// What is covered where no beginning is given.
const DAYS: u64 = 30;
/// "Until now" ends a little later, so that a server whose clock is ahead leaves nothing out.
const CLOCKS_APART: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// Count what was created at this time or later: RFC 3339, or a day in --time-zone [default: 30 days ago]
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    from: Option<Moment>,
    /// Count what was created before this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    to: Option<Moment>,
    /// Group by these: use-case, setup, sender, carrier, failure-reason, and day or hour
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = parse::dimension)]
    by: Vec<ReportDimension>,
    /// The zone of days and hours
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = parse::time_zone)]
    time_zone: TimeZone,
    /// Count what the sandbox delivered too; without it only where there is nothing else
    #[arg(long)]
    include_simulated: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: Filters,
}

pub async fn run(args: ReportArgs) -> anyhow::Result<()> {
    let now = crate::clock::system_now();
    let at = |moment: Option<Moment>, default: crate::domain::time::Time| match moment {
        Some(moment) => moment.within(&args.time_zone).map_err(Usage),
        None => {
            let (seconds, nanos) = default.seconds_and_nanos();
            Ok(prost_types::Timestamp { seconds, nanos })
        }
    };
    let start = at(args.from, now.minus(Duration::from_secs(DAYS * 24 * 3_600)))?;
    let end = at(args.to, now.plus(CLOCKS_APART))?;
    let client = args.client.connect().await?;
    let request = pb::GetDeliveryReportRequest {
        start_time: Some(start),
        end_time: Some(end),
        group_by: parse::numbers(&args.by),
        time_zone: args.time_zone.iana_name().unwrap_or_default().to_owned(),
        include_simulated: args.include_simulated,
        ..args.filters.for_report(&client).await?
    };
    let mut service = client.voicemails;
    let answer =
        persistently(async || service.get_delivery_report(in_time(request.clone())).await).await?;
    let report = answer.into_inner();
    show::say_one(
        args.json,
        || json::report(&report),
        || table(&report, &args.by, &args.time_zone),
    )
}

/// One line per group, and one for all of them. Statuses that nothing is in have no column.
pub fn table(
    report: &pb::GetDeliveryReportResponse,
    by: &[ReportDimension],
    zone: &TimeZone,
) -> String {
    let total = report.total.clone().unwrap_or_default();
    let statuses: Vec<VoicemailStatus> = STATUSES
        .into_iter()
        .filter(|status| *status == VoicemailStatus::Delivered || count(&total, *status) > 0)
        .collect();
    let mut columns: Vec<(&'static str, usize)> = by
        .iter()
        .map(|dimension| (heading(*dimension), 0))
        .collect();
    if by.is_empty() {
        columns.push(("", 0));
    }
    columns.push(("ALL", 0));
    columns.extend(
        statuses
            .iter()
            .map(|status| (show::short_status(*status), 0)),
    );
    columns.extend(["RATE", "MEDIAN", "95 %"].map(|name| (name, 0)));
    let mut rows: Vec<Vec<String>> = Vec::with_capacity(report.groups.len() + 1);
    for group in &report.groups {
        let names = by.iter().map(|dimension| name(group, *dimension, zone));
        rows.push(names.chain(numbers(group, &statuses)).collect());
    }
    let names = (0..by.len().max(1)).map(|column| {
        if column == 0 {
            "all".to_owned()
        } else {
            String::new()
        }
    });
    rows.push(names.chain(numbers(&total, &statuses)).collect());
    Table::new(&columns).rows(&rows)
}

const STATUSES: [VoicemailStatus; 9] = [
    VoicemailStatus::Accepted,
    VoicemailStatus::Sending,
    VoicemailStatus::Sent,
    VoicemailStatus::Delivered,
    VoicemailStatus::NotDelivered,
    VoicemailStatus::Failed,
    VoicemailStatus::Skipped,
    VoicemailStatus::Cancelled,
    VoicemailStatus::Unconfirmed,
];

fn heading(dimension: ReportDimension) -> &'static str {
    match dimension {
        ReportDimension::UseCase => "USE CASE",
        ReportDimension::Setup => "SETUP",
        ReportDimension::Sender => "SENDER",
        ReportDimension::Carrier => "CARRIER",
        ReportDimension::FailureReason => "REASON",
        ReportDimension::Day => "DAY",
        ReportDimension::Hour => "HOUR",
        ReportDimension::Unspecified => "",
    }
}

fn name(group: &pb::DeliveryReportGroup, dimension: ReportDimension, zone: &TimeZone) -> String {
    let period = |format: &str| {
        let start = group
            .period_start_time
            .and_then(|start| jiff::Timestamp::new(start.seconds, start.nanos).ok());
        start
            .map(|start| start.to_zoned(zone.clone()).strftime(format).to_string())
            .unwrap_or_default()
    };
    match dimension {
        ReportDimension::UseCase => group.use_case_id.clone(),
        ReportDimension::Setup => group.setup_id.clone(),
        ReportDimension::Sender => group.sender_phone_number.clone(),
        ReportDimension::Carrier => group.carrier.clone(),
        ReportDimension::FailureReason => show::reason(group.failure_reason),
        ReportDimension::Day => period("%Y-%m-%d"),
        // The offset tells the hour that comes twice from itself.
        ReportDimension::Hour => period("%Y-%m-%d %H:%M %:z"),
        ReportDimension::Unspecified => String::new(),
    }
}

fn count(group: &pb::DeliveryReportGroup, status: VoicemailStatus) -> i64 {
    let counted = group
        .status_counts
        .iter()
        .find(|counted| counted.status == status as i32);
    counted.map_or(0, |counted| counted.count)
}

fn numbers(group: &pb::DeliveryReportGroup, statuses: &[VoicemailStatus]) -> Vec<String> {
    let mut numbers = vec![group.total.to_string()];
    numbers.extend(
        statuses
            .iter()
            .map(|status| count(group, *status).to_string()),
    );
    numbers.push(
        group
            .delivery_rate
            .map(|rate| format!("{:.1} %", rate * 100.0))
            .unwrap_or_default(),
    );
    numbers.push(show::length(group.median_delivery_time));
    numbers.push(show::length(group.p95_delivery_time));
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(day: Option<&str>, delivered: i64, failed: i64) -> pb::DeliveryReportGroup {
        let counted = |status: VoicemailStatus, count| pb::StatusCount {
            status: status as i32,
            count,
        };
        pb::DeliveryReportGroup {
            period_start_time: day.map(|day| parse::time(day).expect("a time")),
            status_counts: vec![
                counted(VoicemailStatus::Delivered, delivered),
                counted(VoicemailStatus::Failed, failed),
            ],
            total: delivered + failed,
            delivery_rate: Some(delivered as f64 / (delivered + failed) as f64),
            median_delivery_time: Some(prost_types::Duration {
                seconds: 1,
                nanos: 250_000_000,
            }),
            ..pb::DeliveryReportGroup::default()
        }
    }

    #[test]
    fn a_report_has_a_line_per_group_and_one_for_all() {
        let zone = parse::time_zone("America/New_York").expect("a zone");
        let report = pb::GetDeliveryReportResponse {
            groups: vec![group(Some("2026-11-23T05:00:00Z"), 3, 1)],
            total: Some(group(None, 3, 1)),
        };
        assert_eq!(
            table(&report, &[ReportDimension::Day], &zone),
            "DAY         ALL  DELIVERED  FAILED  RATE    MEDIAN  95 %\n\
             2026-11-23  4    3          1       75.0 %  1.2 s   -\n\
             all         4    3          1       75.0 %  1.2 s   -"
        );
        let hours = pb::GetDeliveryReportResponse {
            groups: report.groups,
            total: None,
        };
        assert!(
            table(&hours, &[ReportDimension::Hour], &zone)
                .contains("\n2026-11-23 00:00 -05:00  4 ")
        );
    }

    #[test]
    fn a_report_without_groups_is_one_line() {
        let report = pb::GetDeliveryReportResponse {
            groups: Vec::new(),
            total: Some(group(None, 1, 1)),
        };
        assert_eq!(table(&report, &[], &TimeZone::UTC).lines().count(), 2);
    }
}
