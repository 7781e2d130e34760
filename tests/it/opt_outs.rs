//! The door of opt-out lines and forms.

use axum::http::Method;
use prost::bytes::Bytes;
use ringless::grpc::pb;
use ringless::grpc::pb::VoicemailStatus;

use crate::support::Engine;
use crate::support::app::{RECIPIENT, TestApp};
use crate::vendors::client::{Client, Heard};
use crate::vendors_speak::BOUNDS;

crate::on_both_databases!(
    a_line_that_tells_of_a_number_ends_what_waits_for_it,
    a_bad_number_is_refused_without_being_repeated,
    who_has_no_token_hears_an_empty_404,
    a_body_may_have_4_kib,
);

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// With a door whose scope and source these lines say. Beside it is its folder.
async fn started(engine: Engine, lines: &str) -> (TestApp, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, TOKEN).unwrap();
    let token = format!("token = {{ file = '{}' }}", path.display());
    let file = format!("roles = ['api']\n[opt_outs.hotline]\n{token}\n{lines}");
    (TestApp::start_with(engine, &file).await, folder)
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

async fn post(app: &TestApp, token: &str, kind: &str, body: impl Into<Bytes>) -> Heard {
    let url = format!("http://{}/opt-outs/{token}", app.running.http_addr());
    let headers = [("content-type", kind)];
    let body = body.into();
    Client::new()
        .call(Method::POST, &url, &headers, body, BOUNDS)
        .await
        .unwrap()
}

async fn listed(app: &TestApp) -> Vec<pb::Suppression> {
    let request = pb::ListSuppressionsRequest::default();
    app.suppressions()
        .list_suppressions(request)
        .await
        .unwrap()
        .into_inner()
        .suppressions
}

async fn a_line_that_tells_of_a_number_ends_what_waits_for_it(engine: Engine) {
    let (app, _folder) = started(engine, "").await;
    let waiting = app.send_stored(|_| {}).await.unwrap();
    let json =
        format!("{{\"phone_number\": \"{RECIPIENT}\", \"note\": \"pressed\\n9\", \"call\": 1}}");
    for _ in 0..2 {
        let heard = post(&app, TOKEN, JSON, json.clone()).await;
        assert_eq!((heard.status, heard.text().as_str()), (204, ""));
    }
    assert_eq!(
        app.get(&waiting.id).await.status(),
        VoicemailStatus::Skipped
    );
    let found = listed(&app).await;
    assert_eq!(found.len(), 1);
    let one = &found[0];
    assert_eq!(
        (one.reason(), one.scope.clone()),
        (pb::SuppressionReason::OptOut, None)
    );
    assert_eq!(
        (one.source.as_str(), one.actor.as_str(), one.note.as_str()),
        ("hotline", "opt-out door hotline", "pressed 9")
    );
    // The same as a form, of an entity's line; and of one whose entity sends nothing, so that it means all.
    let sample = pb::scope::Scope::EntityName("Sample Clinic".to_owned());
    for (entity, scope) in [("Sample Clinic", Some(sample)), ("sample clinic", None)] {
        let lines = format!("entity_name = '{entity}'\nsource = 'Form'");
        let (app, _folder) = started(engine, &lines).await;
        let form = "phone_number=%2B12125550123&note=x";
        assert_eq!(post(&app, TOKEN, FORM, form).await.status, 204);
        let found = listed(&app).await;
        let within = found[0].scope.clone().and_then(|scope| scope.scope);
        assert_eq!(within, scope, "{entity}");
        assert_eq!(found[0].source, "Form");
    }
}

async fn a_bad_number_is_refused_without_being_repeated(engine: Engine) {
    let (app, _folder) = started(engine, "").await;
    for (kind, body, status) in [
        (JSON, "{\"phone_number\": \"+1212555987\"}", 400),
        (JSON, "{\"phone_number\": \"+442079460123\"}", 400),
        (JSON, "{\"note\": \"x\"}", 400),
        (JSON, "{\"phone_number\": 12125550123}", 400),
        (JSON, "{", 400),
        (FORM, "phone_number=1212555987", 400),
        (FORM, "", 400),
        ("text/plain", "+12125550123", 415),
    ] {
        let heard = post(&app, TOKEN, kind, body).await;
        assert_eq!(heard.status, status, "{body}");
        let text = heard.text();
        assert!(!text.is_empty() && text.len() < 300, "{text}");
        assert!(
            !text.contains("1212555987") && !text.contains("7946"),
            "{text}"
        );
    }
    assert!(listed(&app).await.is_empty());
}

async fn who_has_no_token_hears_an_empty_404(engine: Engine) {
    let (app, _folder) = started(engine, "").await;
    let body = format!("{{\"phone_number\": \"{RECIPIENT}\"}}");
    for token in ["", "x", &TOKEN[1..], &TOKEN.to_uppercase(), "%ff"] {
        let heard = post(&app, token, JSON, body.clone()).await;
        assert_eq!((heard.status, heard.text().as_str()), (404, ""), "{token}");
    }
    let url = format!("http://{}/opt-outs/{TOKEN}", app.running.http_addr());
    let get = Client::new()
        .call(Method::GET, &url, &[], Bytes::new(), BOUNDS)
        .await;
    assert_eq!(get.unwrap().status, 404);
    assert!(listed(&app).await.is_empty());
    let metrics = format!("http://{}/metrics", app.running.admin_addr());
    let text = crate::serving::http_get(&metrics).await.1;
    assert!(
        text.contains("ringless_strangers_total{door=\"opt_out\"} 4"),
        "{text}"
    );
}

async fn a_body_may_have_4_kib(engine: Engine) {
    let (app, _folder) = started(engine, "").await;
    for (length, status) in [(4_095, 204), (4_096, 204), (4_097, 413)] {
        let start = "phone_number=%2B12125550123&other=";
        let body = format!("{start}{}", "x".repeat(length - start.len()));
        assert_eq!(
            post(&app, TOKEN, FORM, body).await.status,
            status,
            "{length}"
        );
    }
}
