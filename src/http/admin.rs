//! The admin side: for those who run the service.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::intake::Uploads;
use crate::readiness::Readiness;
use crate::telemetry::Metrics;

#[derive(Clone)]
pub struct Admin {
    pub readiness: Readiness,
    pub metrics: Metrics,
    pub uploads: Uploads,
}

/// 200, with the carriers that fail; or 503 with the reason.
pub async fn readyz(State(admin): State<Admin>) -> Response {
    let state = admin.readiness.state();
    match (state.draining, state.database_fault) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response(),
        (false, Some(why)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
        (false, None) => {
            let failing = state.failing_carriers.iter();
            let lines: String = failing
                .map(|carrier| format!("carrier `{carrier}` fails: its queue waits\n"))
                .collect();
            format!("ready\n{lines}").into_response()
        }
    }
}

pub async fn metrics(State(admin): State<Admin>) -> Response {
    admin
        .metrics
        .uploads(admin.uploads.count(), admin.uploads.memory_used());
    match admin.metrics.text() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
