//! What is done around every call: an id for its log lines, the time of its last byte, its turn at
//! the door while the server is stopping, and its count.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Instrument;

use super::body::{Limits, Reading, Watched, batch_too_large};
use super::sends::CREATE_BYTES_MAX;
use super::status::{REQUEST_ID, Repeat, to_status};
use crate::intake::{Arrivals, Budget, Uploads};
use crate::ops::error::OpError;
use crate::telemetry::Metrics;

/// The header that carries a call's id, in and out.
const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes of an id that a caller may choose for a call.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Bytes of a method's name in a log line.
const METHOD_BYTES_MAX: usize = 100;
/// Bytes of messages that are not whole yet, over all calls.
pub const UNDECODED_BYTES_MAX: u64 = 256 * 1_024 * 1_024;

#[derive(Clone)]
pub struct CallLayer {
    /// Set: no calls are taken any more, but for health.
    pub closed: Arc<AtomicBool>,
    pub metrics: Metrics,
    pub uploads: Uploads,
    /// What is held of messages that are not whole yet.
    pub undecoded: Budget,
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService {
            inner,
            layer: self.clone(),
        }
    }
}

#[derive(Clone)]
pub struct CallService<S> {
    inner: S,
    layer: CallLayer,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let request_id = given_id(&request).unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let method = request.uri().path().trim_start_matches('/').to_owned();
        // A caller may make up a method, and put anything into its name.
        let shown = match Reading::of(&method) {
            Reading::Foreign if !method.starts_with("grpc.") => "other",
            _ => method.get(..METHOD_BYTES_MAX).unwrap_or(&method),
        };
        let span = tracing::info_span!("call", request.id = %request_id, rpc.method = %shown);
        let is_closed =
            self.layer.closed.load(Ordering::SeqCst) && !method.starts_with("grpc.health.");
        let arrivals = Arrivals::new();
        let reading = Reading::of(&method);
        let budget = match reading {
            Reading::WholeWithAudio => self.layer.uploads.memory(),
            Reading::Stream | Reading::WholeBatch | Reading::Whole | Reading::Foreign => {
                &self.layer.undecoded
            }
        };
        let meter = Arc::new(budget.meter());
        let mut request = request.map(|body| {
            Body::new(Watched {
                body,
                reading,
                arrivals: arrivals.clone(),
                meter: meter.clone(),
                uploads: self.layer.uploads.clone(),
                limits: Limits::new(),
            })
        });
        request.extensions_mut().insert(arrivals);
        request.extensions_mut().insert(meter);
        let metrics = self.layer.metrics.clone();
        // The service that was polled ready is the one that is called; a clone takes its place.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let header = HeaderValue::from_str(&request_id);
        let called = REQUEST_ID.scope(request_id, async move {
            if is_closed {
                return Ok(to_status(OpError::ShuttingDown, Repeat::Safe).into_http());
            }
            let mut answered = inner.call(request).await;
            if let Ok(response) = &mut answered {
                let mut code = tonic::Status::from_header_map(response.headers())
                    .map_or(tonic::Code::Ok, |status| status.code());
                if let Some(status) = translated(reading, code, response) {
                    code = status.code();
                    *response = status.into_http();
                }
                metrics.call(&method, code);
                tracing::debug!(rpc.code = ?code, "call answered");
            }
            answered
        });
        Box::pin(
            async move {
                let mut response = called.await?;
                if let Ok(header) = header {
                    response.headers_mut().insert(REQUEST_ID_HEADER, header);
                }
                Ok(response)
            }
            .instrument(span),
        )
    }
}

/// A caller may bring an id of its own, if it is fit for a log line.
fn given_id(request: &Request<Body>) -> Option<String> {
    let text = request.headers().get(REQUEST_ID_HEADER)?.to_str().ok()?;
    let is_text = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b));
    // Digits alone may be a phone number.
    let has_letter = text.bytes().any(|b| b.is_ascii_alphabetic());
    let is_fit = (1..=REQUEST_ID_BYTES_MAX).contains(&text.len()) && is_text && has_letter;
    is_fit.then(|| text.to_owned())
}

/// The library's own refusals of a message, in our words: they carry no details.
fn translated(
    reading: Reading,
    code: tonic::Code,
    response: &Response<Body>,
) -> Option<tonic::Status> {
    use tonic::Code::{Internal, InvalidArgument, OutOfRange};
    let is_ours = response.headers().contains_key("grpc-status-details-bin");
    let error = match (reading, code) {
        (Reading::Foreign, _) => return None,
        _ if is_ours => return None,
        (Reading::WholeWithAudio, OutOfRange) => OpError::AudioTooLargeForOneMessage {
            given: None,
            allowed: CREATE_BYTES_MAX,
        },
        (Reading::WholeBatch, OutOfRange) => batch_too_large(),
        (_, OutOfRange | Internal | InvalidArgument) => OpError::Undecodable,
        _ => return None,
    };
    Some(to_status(error, Repeat::Safe))
}
