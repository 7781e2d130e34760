//! One request as it came, read whole within bounds.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::{HeaderMap, Method, header};
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value, json};

/// A recording and the wrapping of an upload.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Credentials: kept from every record.
const SECRETS: [&str; 6] = [
    "auth-key",
    "x-key",
    "x-secret",
    "secret",
    "c_password",
    "authorization",
];
const HIDDEN: &str = "(hidden)";

/// The content types that requests of vendors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Json,
    Form,
    Multipart,
    Other,
    None,
}

#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub kind: Kind,
    pub body: Bytes,
    /// The body's fields, where it is JSON or a form; null where it can't be read as such.
    pub fields: Value,
    /// Fields that came twice in a form.
    pub repeated: Vec<String>,
}

impl Call {
    pub async fn read(request: Request) -> Result<Call, String> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let text = parts.headers.get(header::CONTENT_TYPE);
        let text = text.map(|v| v.to_str().unwrap_or("?").to_ascii_lowercase());
        let kind = match text.as_deref().map(|t| t.split(';').next().unwrap_or(t)) {
            Some("application/json") => Kind::Json,
            Some("application/x-www-form-urlencoded") => Kind::Form,
            Some("multipart/form-data") => Kind::Multipart,
            Some(_) => Kind::Other,
            None => Kind::None,
        };
        let (fields, repeated) = match kind {
            Kind::Json => (
                serde_json::from_slice(&body).unwrap_or(Value::Null),
                Vec::new(),
            ),
            Kind::Form => form(&body),
            _ => (Value::Null, Vec::new()),
        };
        Ok(Call {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers: parts.headers,
            kind,
            body,
            fields,
            repeated,
        })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// What is wrong with the request's outside: its content type, or a query that nobody asked for.
    pub fn outside(&self, kind: Kind) -> Vec<String> {
        let mut wrongs = Vec::new();
        if self.kind != kind {
            wrongs.push(format!("the body is {:?}, not {kind:?}", self.kind));
        }
        if kind == Kind::None && !self.body.is_empty() {
            wrongs.push("a body without a type".to_owned());
        }
        if let Some(query) = &self.query {
            wrongs.push(format!("the query `{query}` means nothing here"));
        }
        wrongs
    }

    /// The fields as they may be written down.
    pub fn open_fields(&self) -> Value {
        let Value::Object(map) = &self.fields else {
            return self.fields.clone();
        };
        let hide = |(name, value): (&String, &Value)| match SECRETS.contains(&name.as_str()) {
            true => (name.clone(), json!(HIDDEN)),
            false => (name.clone(), value.clone()),
        };
        Value::Object(map.iter().map(hide).collect())
    }

    /// The parts of an upload: name, content type, bytes.
    pub async fn parts(&self) -> Result<Vec<(String, Option<String>, Bytes)>, String> {
        let mut request = Request::new(axum::body::Body::from(self.body.clone()));
        *request.headers_mut() = self.headers.clone();
        // The body has been bounded already, more generously than axum does by itself.
        DefaultBodyLimit::disable().apply(&mut request);
        let multipart = Multipart::from_request(request, &()).await;
        let mut multipart = multipart.map_err(|error| error.to_string())?;
        let mut parts = Vec::new();
        while let Some(part) = multipart.next_field().await.map_err(|e| e.to_string())? {
            let name = part.name().unwrap_or_default().to_owned();
            let kind = part.content_type().map(str::to_owned);
            let bytes = part.bytes().await.map_err(|e| e.to_string())?;
            parts.push((name, kind, bytes));
            if parts.len() > 16 {
                return Err("more than 16 parts".to_owned());
            }
        }
        Ok(parts)
    }
}

/// The headers as they may be written down.
pub fn open_headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut open = Map::new();
    for (name, value) in headers {
        let text = match SECRETS.contains(&name.as_str()) {
            true => HIDDEN.to_owned(),
            false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        open.insert(name.as_str().to_owned(), json!(text));
    }
    open
}

fn form(body: &[u8]) -> (Value, Vec<String>) {
    let mut fields = Map::new();
    let mut repeated = Vec::new();
    for (name, value) in form_urlencoded::parse(body) {
        if fields.insert(name.to_string(), json!(value)).is_some() {
            repeated.push(name.to_string());
        }
    }
    (Value::Object(fields), repeated)
}
