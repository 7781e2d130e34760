//! Calls of carriers over HTTP/1.1, each on a connection of its own, so that it can be said of every
//! failure whether anything had left: a connection that was kept may turn out dead only after the
//! request was written to it.
//!
//! No redirect is followed, nothing is tried twice, and an answer is read up to a bound.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tower::ServiceExt;

/// Bytes of an answer that are read; carriers' are a few hundred.
pub const ANSWER_BYTES_MAX: usize = 64 * 1_024;

/// What a carrier answered.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }

    /// The body as a JSON object.
    pub fn object(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        match serde_json::from_slice(&self.body).ok()? {
            serde_json::Value::Object(object) => Some(object),
            _ => None,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoReply {
    /// There was no connection, so nothing had left.
    NotSent(String),
    /// It broke off after something had left, or the answer was no answer.
    Broken(String),
}

impl NoReply {
    pub fn text(&self) -> &str {
        match self {
            NoReply::NotSent(text) | NoReply::Broken(text) => text,
        }
    }
}

/// A request to a carrier.
pub struct Ask {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Ask {
    /// `url` was checked at the start, or comes from the carrier, who may not name a place either to
    /// which messages and secrets would go in plain text.
    pub fn new(method: Method, url: &str) -> Result<Ask, NoReply> {
        let not_sent = |why: &str| NoReply::NotSent(why.to_owned());
        let uri: Uri = url.parse().map_err(|_| not_sent("an address is no URL"))?;
        if uri.scheme_str() != Some("https") && !is_here(&uri) {
            return Err(not_sent("an address is not encrypted"));
        }
        Ok(Ask {
            method,
            uri,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        })
    }

    /// Not for secrets. A value that can't stand in a header is left out.
    pub fn header(mut self, name: &'static str, value: &str) -> Ask {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// The value is never printed. Whether it can stand in a header is checked at the start.
    pub fn secret(mut self, name: &'static str, value: &str) -> Ask {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Ask {
        self.body = body.into();
        self.header("content-type", content_type)
    }
}

/// Does it lead to this machine itself? There alone nothing has to be encrypted.
pub fn is_here(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
}

/// The time limits of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For name look-up, connection and TLS together. Nothing has left before that.
    pub connect: Duration,
    /// From the first byte of the request to the last of the answer.
    pub answer: Duration,
}

/// Calls one carrier.
#[derive(Clone)]
pub struct Client {
    connector: HttpsConnector<HttpConnector>,
    limits: Limits,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({:?})", self.limits)
    }
}

impl Client {
    /// With the machine's certificate authorities, and those of `ca_file` (PEM) besides.
    pub fn new(limits: Limits, ca_file: Option<&Path>) -> Result<Client, String> {
        let tls = tls_config(ca_file)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Client { connector, limits })
    }

    /// One exchange.
    pub async fn call(&self, ask: Ask) -> Result<Reply, NoReply> {
        let host = host_of(&ask.uri);
        let mut sender = self.connect(&ask.uri).await?;
        let request = request_of(ask, &host)?;
        let exchange = async {
            let response = sender.try_send_request(request).await.map_err(|error| {
                let text = chain(error.error());
                // It comes back unsent where the other end had closed before anything was written.
                match error.message().is_some() {
                    true => NoReply::NotSent(text),
                    false => NoReply::Broken(text),
                }
            })?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| NoReply::Broken(chain(&*error)))?;
            Ok(Reply {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: body.to_bytes(),
            })
        };
        within(self.limits.answer, exchange)
            .await
            .unwrap_or_else(|| {
                let seconds = self.limits.answer.as_secs_f64();
                Err(NoReply::Broken(format!("no answer within {seconds} s")))
            })
    }

    async fn connect(&self, uri: &Uri) -> Result<http1::SendRequest<Full<Bytes>>, NoReply> {
        let connecting = async {
            let stream = self.connector.clone().oneshot(uri.clone()).await;
            let stream = stream.map_err(|error| NoReply::NotSent(chain(&*error)))?;
            let shaken = http1::handshake(stream).await;
            shaken.map_err(|error| NoReply::NotSent(chain(&error)))
        };
        let connected = within(self.limits.connect, connecting).await;
        let (sender, connection) = connected.unwrap_or_else(|| {
            let seconds = self.limits.connect.as_secs_f64();
            Err(NoReply::NotSent(format!(
                "no connection within {seconds} s"
            )))
        })?;
        tokio::spawn(async move {
            // What goes wrong on it is heard by the one who waits for the answer.
            let _ = connection.await;
        });
        Ok(sender)
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

fn host_of(uri: &Uri) -> String {
    uri.authority()
        .map(|authority| authority.as_str().to_owned())
        .unwrap_or_default()
}

fn request_of(ask: Ask, host: &str) -> Result<Request<Full<Bytes>>, NoReply> {
    let not_made = |_| NoReply::NotSent("the request can't be made".to_owned());
    let path = ask.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(ask.method)
        .uri(path)
        .body(Full::new(ask.body))
        .map_err(not_made)?;
    *request.headers_mut() = ask.headers;
    let agent = concat!("ringless/", env!("CARGO_PKG_VERSION"));
    let headers = request.headers_mut();
    headers.insert("user-agent", HeaderValue::from_static(agent));
    headers.insert("accept", HeaderValue::from_static("*/*"));
    headers.insert("connection", HeaderValue::from_static("close"));
    if let Ok(host) = HeaderValue::from_str(host) {
        headers.insert("host", host);
    }
    Ok(request)
}

fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    // A machine without any has no use for them where all its carriers are reached by plain HTTP or a
    // `ca_file`; a call over TLS then fails before anything has left.
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = ca_file {
        let unread = |why: String| format!("ca_file `{}`: {why}", path.display());
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unread(error.to_string()))?;
        if certificates.is_empty() {
            return Err(unread("it has no certificate".to_owned()));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| unread(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS can't be set up: {error}"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// An error with its causes, which the libraries keep apart.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_in_plain_text_but_to_this_machine() {
        for (url, is_good) in [
            ("https://vendor.example/x?a=b", true),
            ("http://127.0.0.1:7401/x", true),
            ("http://[::1]:7401/x", true),
            ("http://localhost/x", true),
            ("http://vendor.example/x", false),
            ("http://127.0.0.1.vendor.example/x", false),
            ("/x", false),
            ("no url", false),
        ] {
            assert_eq!(Ask::new(Method::PUT, url).is_ok(), is_good, "{url}");
        }
    }
}
