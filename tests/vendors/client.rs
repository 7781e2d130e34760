//! What a played vendor calls with: bounded in time and size, and never past this machine. It follows
//! no redirect and tries nothing twice by itself.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::uri::{Scheme, Uri};
use axum::http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug, Clone)]
pub struct Client(Pool<HttpConnector, Full<Bytes>>);

/// What the other side answered.
#[derive(Debug, Clone)]
pub struct Heard {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Heard {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|v| v.to_str().ok());
        value.unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The bounds of one call.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub within: Duration,
    pub bytes_max: usize,
}

impl Client {
    pub fn new() -> Client {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        let pool = Pool::builder(TokioExecutor::new())
            // A connection of its own for each call: nothing is sent again because an old one broke.
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build(connector);
        Client(pool)
    }

    pub async fn call(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Bytes,
        bounds: Bounds,
    ) -> Result<Heard, String> {
        let uri = local(url)?;
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let exchange = async {
            let response = self.0.request(request).await.map_err(chain)?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, bounds.bytes_max);
            let body = body.collect().await.map_err(|error| error.to_string())?;
            Ok(Heard {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: body.to_bytes(),
            })
        };
        tokio::time::timeout(bounds.within, exchange)
            .await
            .map_err(|_| format!("no answer within {:?}", bounds.within))?
    }
}

/// The address, where it is on this machine.
pub fn local(url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|_| format!("`{url}` is no URL"))?;
    if uri.scheme() != Some(&Scheme::HTTP) {
        return Err(format!("`{url}`: played vendors speak plain http only"));
    }
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_local =
        host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match is_local {
        true => Ok(uri),
        false => Err(format!("`{url}`: played vendors call only this machine")),
    }
}

/// The error with its causes, which hyper keeps apart.
fn chain(error: hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
