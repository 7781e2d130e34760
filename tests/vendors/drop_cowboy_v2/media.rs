//! Recordings of the account: created, put by a signed link, completed; or imported by a link.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::call::{Call, Kind};
use super::super::fetch::{Fetching, fetch};
use super::super::fields::Fields;
use super::super::play::Answer;
use super::{DropCowboyV2, error, wrapped};

const UPLOADS_MAX: usize = 10_000;

pub async fn create(State(vendor): State<Arc<DropCowboyV2>>, request: Request) -> Response {
    let call = match vendor.read(request, Kind::Json).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    let mut fields = Fields::new(&call.fields);
    fields.need_text("name");
    if fields.one_of("type", &["rvm"]).is_none() {
        fields.wrong("`type` is missing");
    }
    let url = fields.web_address("url");
    let is_upload = fields.flag("signed_upload").unwrap_or(false);
    if url.is_some() == is_upload {
        fields.wrong("needs either `signed_upload: true` or `url`");
    }
    if url.is_some() && fields.one_of("ext", &[".mp3", ".wav"]).is_none() {
        fields.wrong("`ext` is missing");
    }
    if vendor.desk.wrongs_of(&call, &fields.end()) {
        return error(400, "Bad Request", "invalid media");
    }
    let id = Uuid::new_v4().to_string();
    match url {
        Some(url) => {
            let desk = &vendor.desk;
            match fetch(&desk.client, &url, Fetching::Get, 0).await {
                Ok(bytes) => drop(desk.book.upload(&id, &bytes)),
                Err(why) => return error(422, "Import failed", &why),
            }
            wrapped(201, json!({ "media_id": id }))
        }
        None => {
            if vendor.desk.book.begun_count() >= UPLOADS_MAX {
                return error(429, "Too Many Requests", "too many open uploads");
            }
            vendor.desk.book.begin_upload(&id, None);
            wrapped(201, json!({ "media_id": id, "upload": vendor.links(&id) }))
        }
    }
}

impl DropCowboyV2 {
    fn links(&self, id: &str) -> Value {
        let link = |ext: &str| format!("{}/storage/{id}{ext}?signature=played", self.base_url());
        json!({
            "mp3": { "url": link(".mp3"), "content_type": "audio/mpeg" },
            "wav": { "url": link(".wav"), "content_type": "audio/wav" },
        })
    }

    /// Why a storage service refuses it.
    fn put_fault(&self, call: &Call, wanted: Option<&str>) -> Option<&'static str> {
        let has_secrets = ["x-key", "x-secret", "authorization"];
        if has_secrets.iter().any(|name| call.header(name).is_some()) {
            return Some("the API's headers don't belong to a signed link");
        }
        if wanted.is_none() || call.header("content-type") != wanted {
            return Some("the Content-Type is not the signed one");
        }
        if call.query.as_deref() != Some("signature=played") {
            return Some("the signature is missing");
        }
        call.body.is_empty().then_some("the recording is empty")
    }
}

/// The signed link, at another host in real life.
pub async fn put_bytes(
    State(vendor): State<Arc<DropCowboyV2>>,
    Path(file): Path<String>,
    request: Request,
) -> Response {
    let call = match vendor.desk.read(request).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    let (id, wanted) = match file.rsplit_once('.') {
        Some((id, "mp3")) => (id, Some("audio/mpeg")),
        Some((id, "wav")) => (id, Some("audio/wav")),
        _ => (file.as_str(), None),
    };
    if let Some(fault) = vendor.put_fault(&call, wanted) {
        vendor.desk.wrong(&call, fault);
        return Answer::text(403, "SignatureDoesNotMatch").response();
    }
    let book = &vendor.desk.book;
    match book.find_begun(id) {
        Some(_) => book.begin_upload(id, Some(&call.body)),
        None => return Answer::text(403, "AccessDenied").response(),
    }
    Answer::new(200).response()
}

pub async fn complete(
    State(vendor): State<Arc<DropCowboyV2>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let call = match vendor.read(request, Kind::Json).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    if call.fields != json!({}) {
        vendor.desk.wrong(&call, "the body is not `{}`");
    }
    if vendor.desk.book.find_upload(&id).is_some() {
        return wrapped(200, json!({ "media_id": id, "status": "ready" }));
    }
    match vendor.desk.book.find_begun(&id) {
        Some(Some(sha256)) => {
            vendor.desk.book.complete_upload(&id, &sha256);
            wrapped(200, json!({ "media_id": id, "status": "ready" }))
        }
        Some(None) => {
            vendor
                .desk
                .wrong(&call, "completed before anything was put");
            error(409, "Conflict", "nothing was uploaded")
        }
        None => {
            vendor.desk.wrong(&call, "there is no such media");
            error(404, "Not Found", "no such media")
        }
    }
}

/// Fresh links, for an upload that took more than two days.
pub async fn policy(
    State(vendor): State<Arc<DropCowboyV2>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    if let Err(response) = vendor.read(request, Kind::None).await {
        return response;
    }
    match vendor.desk.book.find_begun(&id).is_some() {
        true => wrapped(200, json!({ "media_id": id, "upload": vendor.links(&id) })),
        false => error(404, "Not Found", "no such media"),
    }
}
