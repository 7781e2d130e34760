//! Calls that come with no token, signature or link of ours. They are told apart without asking the
//! database, so they can keep nobody from being heard; too many of them hear 429 instead of 404.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::time::{Duration, Instant};

use crate::telemetry::{Door, Metrics};

/// Answers to strangers in a row, over all doors of this process ...
const BURST: u32 = 100;
/// ... and how long until there is room for one more.
const ONE_EVERY: Duration = Duration::from_millis(50);

#[derive(Clone)]
pub struct Strangers {
    metrics: Metrics,
    /// When the bucket would be empty of calls again.
    full_until: Arc<Mutex<Option<Instant>>>,
}

impl Strangers {
    pub fn new(metrics: Metrics) -> Strangers {
        Strangers {
            metrics,
            full_until: Arc::default(),
        }
    }

    /// Counts one, and answers it with `status` or, where there are too many, 429.
    pub fn answer(&self, door: Door, status: StatusCode) -> Response {
        self.metrics.stranger(door);
        match self.has_room() {
            true => status.into_response(),
            false => StatusCode::TOO_MANY_REQUESTS.into_response(),
        }
    }

    /// A leaking bucket: each call fills it by [`ONE_EVERY`], and it holds [`BURST`] of them.
    fn has_room(&self) -> bool {
        let now = Instant::now();
        let mut full_until = self
            .full_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let filled = full_until.map_or(now, |until| until.max(now)) + ONE_EVERY;
        let has_room = filled - now <= ONE_EVERY * BURST;
        if has_room {
            *full_until = Some(filled);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_in_a_row_are_answered_and_then_one_now_and_then() {
        let strangers = Strangers::new(Metrics::new());
        let answer = || {
            strangers
                .answer(Door::Callback, StatusCode::NOT_FOUND)
                .status()
        };
        for at in 1..=BURST {
            assert_eq!(answer(), StatusCode::NOT_FOUND, "{at}");
        }
        assert_eq!(answer(), StatusCode::TOO_MANY_REQUESTS);
        tokio::time::advance(ONE_EVERY - Duration::from_millis(1)).await;
        assert_eq!(answer(), StatusCode::TOO_MANY_REQUESTS);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(answer(), StatusCode::NOT_FOUND);
        assert_eq!(answer(), StatusCode::TOO_MANY_REQUESTS);
        tokio::time::advance(ONE_EVERY * BURST).await;
        assert_eq!(answer(), StatusCode::NOT_FOUND);
    }
}
