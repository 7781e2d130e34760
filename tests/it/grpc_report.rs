//! GetDeliveryReport through the API.

use std::time::Duration;

use ringless::grpc::pb::{self, ReportDimension, VoicemailStatus};

use crate::support::Engine;
use crate::support::app::{TestApp, bad_fields, timestamp};

crate::on_both_databases!(
    the_report_groups_by_everything,
    the_report_is_held_to_its_bounds,
);

async fn the_report_groups_by_everything(engine: Engine) {
    let app = TestApp::start(engine).await;
    let start = app.clock.now();
    for (recipient, status) in [
        ("+12125550100", VoicemailStatus::Delivered),
        ("+12125550150", VoicemailStatus::NotDelivered),
        ("+12125550162", VoicemailStatus::Skipped),
        ("+12125550181", VoicemailStatus::Unconfirmed),
    ] {
        let sent = app
            .send_stored(|m| recipient.clone_into(&mut m.recipient_phone_number))
            .await
            .unwrap();
        app.wait_for(&sent.id, status).await;
    }
    // Noon in UTC is still the same day in New York and the next one in Auckland 13 h later.
    app.clock.advance(Duration::from_secs(13 * 3_600));
    let sent = app.send_stored(|_| {}).await.unwrap();
    app.wait_for(&sent.id, VoicemailStatus::Delivered).await;
    let report = |group_by: Vec<ReportDimension>, time_zone: &str| {
        let request = pb::GetDeliveryReportRequest {
            start_time: Some(timestamp(start)),
            end_time: Some(timestamp(start.plus(Duration::from_secs(86_400)))),
            group_by: group_by.into_iter().map(|d| d as i32).collect(),
            time_zone: time_zone.to_owned(),
            ..Default::default()
        };
        let mut client = app.voicemails();
        async move {
            client
                .get_delivery_report(request)
                .await
                .unwrap()
                .into_inner()
        }
    };
    // All are simulated, so they are counted although nobody asked for simulated ones.
    let plain = report(vec![], "").await;
    let total = plain.total.unwrap();
    assert!(plain.groups.is_empty());
    assert_eq!((total.total, total.in_flight, total.unconfirmed), (5, 0, 1));
    assert_eq!(total.delivery_rate, Some(2.0 / 3.0));
    assert!(total.median_delivery_time.is_some() && total.p95_delivery_time.is_some());
    let by_reason = report(vec![ReportDimension::FailureReason], "").await;
    let reasons: Vec<_> = by_reason
        .groups
        .iter()
        .map(|g| (g.failure_reason(), g.total))
        .collect();
    assert_eq!(reasons.len(), 4);
    assert!(
        reasons.contains(&(pb::FailureReason::Unspecified, 2)),
        "{reasons:?}"
    );
    assert!(
        by_reason
            .groups
            .iter()
            .all(|g| g.failure_reason() != pb::FailureReason::CarrierDnc
                || g.delivery_rate.is_none())
    );
    let days = |zone: &'static str| {
        let report = report(vec![ReportDimension::Day], zone);
        async move {
            report
                .await
                .groups
                .iter()
                .map(|g| (g.period_start_time.unwrap().seconds, g.total))
                .collect::<Vec<_>>()
        }
    };
    let noon = start.micros() / 1_000_000;
    assert_eq!(
        days("UTC").await,
        [(noon - 12 * 3_600, 4), (noon + 12 * 3_600, 1)]
    );
    assert_eq!(days("America/New_York").await, [(noon - 7 * 3_600, 5)]);
    let everything = report(
        vec![
            ReportDimension::UseCase,
            ReportDimension::Setup,
            ReportDimension::Sender,
            ReportDimension::Carrier,
            ReportDimension::FailureReason,
            ReportDimension::Hour,
        ],
        "Asia/Kolkata",
    )
    .await;
    assert_eq!(everything.groups.iter().map(|g| g.total).sum::<i64>(), 5);
    let group = &everything.groups[0];
    assert_eq!(
        (
            group.use_case_id.as_str(),
            group.setup_id.as_str(),
            group.carrier.as_str()
        ),
        (app.use_case_id.as_str(), app.setup_id.as_str(), "sandbox")
    );
    assert_eq!(
        group.period_start_time.unwrap().seconds % 3_600,
        1_800,
        "India is half an hour off"
    );
}

async fn the_report_is_held_to_its_bounds(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let start = app.clock.now();
    let report = |end: Duration, group_by: Vec<i32>, time_zone: &str| {
        let request = pb::GetDeliveryReportRequest {
            start_time: Some(timestamp(start)),
            end_time: Some(timestamp(start.plus(end))),
            group_by,
            time_zone: time_zone.to_owned(),
            ..Default::default()
        };
        let mut client = app.voicemails();
        async move { client.get_delivery_report(request).await }
    };
    let longest = Duration::from_secs(400 * 86_400);
    let micro = Duration::from_micros(1);
    for (end, is_taken) in [
        (Duration::ZERO, false),
        (micro, true),
        (longest - micro, true),
        (longest, true),
        (longest + micro, false),
    ] {
        assert_eq!(report(end, vec![], "").await.is_ok(), is_taken, "{end:?}");
    }
    for (group_by, zone, field) in [
        (vec![6, 7], "", "group_by"),
        (vec![1, 1], "", "group_by"),
        (vec![0], "", "group_by[0]"),
        (vec![], "Mars/Olympus", "time_zone"),
    ] {
        assert_eq!(
            bad_fields(&report(longest, group_by, zone).await.unwrap_err()),
            [field]
        );
    }
    let missing = app
        .voicemails()
        .get_delivery_report(pb::GetDeliveryReportRequest::default())
        .await
        .unwrap_err();
    assert_eq!(bad_fields(&missing), ["start_time", "end_time"]);
}
