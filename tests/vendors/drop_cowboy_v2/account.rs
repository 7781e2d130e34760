//! Lines, readiness, and the list of signed webhooks.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::super::call::{Call, Kind};
use super::super::fields::Fields;
use super::hooks::HOOKS_MAX;
use super::{DropCowboyV2, error, wrapped};

const EVENTS: [&str; 2] = ["contact.rvm.status", "contact.rvm.receipt"];

type Account = State<Arc<DropCowboyV2>>;

/// A call without a body, answered with one thing.
async fn show(vendor: &DropCowboyV2, request: Request, data: impl FnOnce() -> Value) -> Response {
    match vendor.read(request, Kind::None).await {
        Ok(_) => wrapped(200, data()),
        Err(response) => response,
    }
}

pub async fn lines(State(vendor): Account, request: Request) -> Response {
    let line = json!([{
        "phone_line_id": vendor.settings.line_id, "name": "Main", "type": "voice",
        "is_default": true, "default": true,
    }]);
    show(&vendor, request, || line).await
}

pub async fn create_line(State(vendor): Account, request: Request) -> Response {
    let call = match vendor.read(request, Kind::Json).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    let mut fields = Fields::new(&call.fields);
    fields.need_text("name");
    fields.one_of("type", &["voice"]);
    match vendor.desk.wrongs_of(&call, &fields.end()) {
        true => error(400, "Bad Request", "invalid line"),
        // The account has its one line; whoever asks for another gets that.
        false => wrapped(201, json!({ "phone_line_id": vendor.settings.line_id })),
    }
}

pub async fn numbers(State(vendor): Account, Path(id): Path<String>, request: Request) -> Response {
    if id != vendor.settings.line_id {
        return match vendor.read(request, Kind::None).await {
            Ok(_) => error(404, "Not Found", "no such line"),
            Err(response) => response,
        };
    }
    let number = json!([{ "phone_number": vendor.settings.line_number }]);
    show(&vendor, request, || number).await
}

pub async fn byoc(State(vendor): Account, request: Request) -> Response {
    show(&vendor, request, || json!({ "enabled": false })).await
}

pub async fn readiness(State(vendor): Account, request: Request) -> Response {
    let settings = &vendor.settings;
    let data = json!({
        "test_numbers_only": settings.test_numbers_only,
        "test_numbers": ["+15550010001", "+15550010002", "+15550010004"],
        "audio_url_allowed": settings.audio_url_allowed,
    });
    show(&vendor, request, || data).await
}

pub async fn secret(State(vendor): Account, request: Request) -> Response {
    let data = json!({ "signing_secret": vendor.hooks.secret() });
    show(&vendor, request, || data).await
}

/// The address and the events of a webhook, or what is wrong with them.
fn hook_fields(vendor: &DropCowboyV2, call: &Call) -> Option<(String, Vec<String>)> {
    let mut fields = Fields::new(&call.fields);
    let url = fields.web_address("hook_url");
    if url.is_none() {
        fields.wrong("`hook_url` is missing");
    }
    let events = fields.texts("event_types");
    if events.is_empty() || events.iter().any(|e| !EVENTS.contains(&e.as_str())) {
        fields.wrong(format!("`event_types` are not of {EVENTS:?}"));
    }
    match vendor.desk.wrongs_of(call, &fields.end()) {
        true => None,
        false => url.map(|url| (url, events)),
    }
}

pub async fn create_hook(State(vendor): Account, request: Request) -> Response {
    let call = match vendor.read(request, Kind::Json).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    let Some((url, events)) = hook_fields(&vendor, &call) else {
        return error(400, "Bad Request", "invalid webhook");
    };
    match vendor.hooks.add(&url, events) {
        Some(id) => {
            let secret = vendor.hooks.secret();
            wrapped(201, json!({ "webhook_id": id, "signing_secret": secret }))
        }
        None => error(
            409,
            "Conflict",
            &format!("no more than {HOOKS_MAX} webhooks"),
        ),
    }
}

pub async fn change_hook(
    State(vendor): Account,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let call = match vendor.read(request, Kind::Json).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    let Some((url, events)) = hook_fields(&vendor, &call) else {
        return error(400, "Bad Request", "invalid webhook");
    };
    match vendor.hooks.change(&id, &url, events) {
        true => wrapped(200, json!({ "webhook_id": id })),
        false => error(404, "Not Found", "no such webhook"),
    }
}

pub async fn delete_hook(
    State(vendor): Account,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    match vendor.read(request, Kind::None).await {
        Ok(_) if vendor.hooks.remove(&id) => wrapped(200, json!({ "webhook_id": id })),
        Ok(_) => error(404, "Not Found", "no such webhook"),
        Err(response) => response,
    }
}

/// The old secret is no good from this moment on.
pub async fn rotate(State(vendor): Account, Path(id): Path<String>, request: Request) -> Response {
    match vendor.desk.read(request).await {
        Ok(call) if vendor.has_credentials(&call) == Some(true) => match vendor.hooks.has(&id) {
            true => wrapped(200, json!({ "signing_secret": vendor.hooks.rotate() })),
            false => error(404, "Not Found", "no such webhook"),
        },
        Ok(call) => {
            vendor
                .desk
                .wrong(&call, "the credentials are not the account's");
            error(401, "Unauthorized", "invalid credentials")
        }
        Err(response) => response,
    }
}
