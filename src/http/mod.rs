//! The two HTTP sides: admin (/livez, /readyz, /metrics) and public, which is there for carriers
//! that call back or fetch audio. None of today's carriers does, so the public side answers 404.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::intake::Uploads;
use crate::readiness::Readiness;
use crate::telemetry::Metrics;

#[derive(Clone)]
pub struct Admin {
    pub readiness: Readiness,
    pub metrics: Metrics,
    pub uploads: Uploads,
}

/// The routes of the admin side.
pub fn admin(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

/// The routes of the public side.
pub fn public() -> Router {
    Router::new().fallback(|| async { StatusCode::NOT_FOUND })
}

/// 200, with the carriers that fail; or 503 with the reason.
async fn readyz(State(admin): State<Admin>) -> Response {
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

async fn metrics(State(admin): State<Admin>) -> Response {
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
