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
use crate::intake::Arrivals;
use crate::ops::error::OpError;
use crate::telemetry::Metrics;

/// The header that carries a call's id, in and out.
const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes of an id that a caller may choose for a call.
const REQUEST_ID_BYTES_MAX: usize = 128;

#[derive(Clone)]
pub struct CallLayer {
    /// Set: no calls are taken any more, but for health.
    pub closed: Arc<AtomicBool>,
    pub metrics: Metrics,
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
        let mut request = request.map(|body| {
            Body::new(Watched {
                body,
                arrivals: arrivals.clone(),
            })
        });
        request.extensions_mut().insert(arrivals);
        let metrics = self.layer.metrics.clone();
        // The service that was polled ready is the one that is called; a clone takes its place.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let header = HeaderValue::from_str(&request_id);
        let called = REQUEST_ID.scope(request_id, async move {
            if is_closed {
                return Ok(to_status(OpError::ShuttingDown, Repeat::Safe).into_http());
            }
            let answered = inner.call(request).await;
            if let Ok(response) = &answered {
                let code = tonic::Status::from_header_map(response.headers())
                    .map_or(tonic::Code::Ok, |status| status.code());
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

/// Notes when bytes come.
struct Watched {
    body: Body,
    arrivals: Arrivals,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(_))) = &frame {
            self.arrivals.note();
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
