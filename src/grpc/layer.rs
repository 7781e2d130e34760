//! What is done around every call: an id for its log lines, the time of its last byte, its turn at
//! the door while the server is stopping, and its count.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use prost::bytes::Bytes;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Instrument;

use super::status::{REQUEST_ID, Repeat, to_status};
use super::voicemail_service::CREATE_BYTES_MAX;
use crate::intake::{Arrivals, Meter, Uploads};
use crate::ops::error::OpError;
use crate::telemetry::Metrics;

/// The header that carries a call's id, in and out.
const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes of an id that a caller may choose for a call.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The one method whose audio comes in one message.
const CREATE_VOICEMAIL: &str = "ringless.v1.VoicemailService/CreateVoicemail";

#[derive(Clone)]
pub struct CallLayer {
    /// Set: no calls are taken any more, but for health.
    pub closed: Arc<AtomicBool>,
    pub metrics: Metrics,
    pub uploads: Uploads,
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
        let span = tracing::info_span!("call", request.id = %request_id, rpc.method = %method);
        let is_closed =
            self.layer.closed.load(Ordering::SeqCst) && !method.starts_with("grpc.health.");
        let arrivals = Arrivals::new();
        // The library reads this one's message whole, with up to 3 MiB of audio, before we see it.
        let is_whole = method == CREATE_VOICEMAIL;
        let meter = is_whole.then(|| Arc::new(self.layer.uploads.meter()));
        let mut request = request.map(|body| {
            Body::new(Watched {
                body,
                arrivals: arrivals.clone(),
                meter: meter.clone(),
            })
        });
        request.extensions_mut().insert(arrivals);
        if let Some(meter) = meter {
            request.extensions_mut().insert(meter);
        }
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
                if is_whole && code == tonic::Code::OutOfRange {
                    // The library's word for a message above the decoding limit.
                    let status = to_status(too_large(), Repeat::Safe);
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
    let is_fit = (1..=REQUEST_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic());
    is_fit.then(|| text.to_owned())
}

fn too_large() -> OpError {
    OpError::AudioTooLargeForOneMessage {
        given: None,
        allowed: CREATE_BYTES_MAX,
    }
}

/// Notes when bytes come, and counts those of a message that is read whole.
struct Watched {
    body: Body,
    arrivals: Arrivals,
    meter: Option<Arc<Meter>>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.arrivals.note();
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            if let Some(Err(refused)) = self.meter.as_ref().map(|meter| meter.take(bytes)) {
                return Poll::Ready(Some(Err(to_status(refused, Repeat::Safe))));
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
