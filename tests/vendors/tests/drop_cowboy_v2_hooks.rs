use serde_json::{Value, json};

use super::drop_cowboy_v2::{KEYS, good, send, start_with};
use super::support::{Came, SOON, Us, json_of, post_json, with};
use crate::vendors::drop_cowboy_v2::Settings;
use crate::vendors::drop_cowboy_v2::hooks::sign;
use crate::vendors::play::Answer;

/// Made with OpenSSL and with Python's hmac, not with `sign`.
const VECTORS: [(&str, i64, &str, &str); 3] = [
    (
        "played-dropcowboy-signing-secret",
        1_795_435_200,
        "{\"a\":1}",
        "ed70c9b79d4c9a823d77b863c73541c97b3b98bcda2fd49bd4fe818d00fadda9",
    ),
    (
        "k",
        0,
        "",
        "6b4a4b8b3c40f1e8f53a3d36682e5f99f7ad2ac1df1c93dfe336f329167641e7",
    ),
    (
        "schlüssel",
        1_700_000_000,
        "{\"name\":\"Jörg\"}",
        "152b9d9c73c4871d23f5b6755a28db81e9fd482536f67a1d17a8d5c358d28fdf",
    ),
];

#[test]
fn signatures_are_as_computed_elsewhere() {
    for (secret, timestamp, body, wanted) in VECTORS {
        let signature = sign(secret, timestamp, body.as_bytes());
        assert_eq!(signature, format!("sha256={wanted}"));
    }
}

fn hook_url(us: &Us) -> String {
    format!("{}/webhooks/cowboy", us.base)
}

fn hooked(us: &Us) -> Vec<Came> {
    let came = us.came();
    came.into_iter()
        .filter(|c| c.uri == "/webhooks/cowboy")
        .collect()
}

fn header<'a>(came: &'a Came, name: &str) -> &'a str {
    came.headers.get(name).unwrap().to_str().unwrap()
}

fn events() -> Value {
    json!(["contact.rvm.status", "contact.rvm.receipt"])
}

#[tokio::test]
async fn a_webhook_is_signed_and_a_receipt_follows_a_drop() {
    let (us, played, url) = start_with(Settings::default()).await;
    let hooks = url.replace("/rvm", "/register/public/webhooks");
    let bad = json!({"hook_url": hook_url(&us), "event_types": ["contact.sms"]});
    assert_eq!(post_json(&hooks, &KEYS, &bad).await.status, 400);
    let hook = json!({"hook_url": hook_url(&us), "event_types": events()});
    let made = post_json(&hooks, &KEYS, &hook).await;
    assert_eq!(made.status, 201);
    let secret = json_of(&made)["data"]["signing_secret"].clone();
    // Without a callback address; the webhook hears it all the same.
    send(&url, "a", &with(&good(&us), json!({"callback_url": null}))).await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 2).await);
    let came = hooked(&us);
    for one in &came {
        let timestamp = header(one, "x-timestamp").parse().unwrap();
        let wanted = sign(secret.as_str().unwrap(), timestamp, &one.body);
        assert_eq!(header(one, "x-signature"), wanted);
        assert_eq!(header(one, "x-signature-version"), "v1");
        assert_eq!(header(one, "x-attempt"), "1");
        assert_eq!(header(one, "x-event-id"), one.json()["event_id"]);
        let data = one.json()["data"].clone();
        assert_eq!(
            (&data["to"], &data["status"]),
            (&json!("+12125550123"), &json!("success"))
        );
        assert!(data.get("foreign_id").is_none());
    }
    assert_eq!(came[0].json()["event"], "contact.rvm.status");
    assert_eq!(came[1].json()["event"], "contact.rvm.receipt");
    assert!(came[1].json()["data"]["proof_of_delivery_url"].is_string());
    let id = json_of(&made)["data"]["webhook_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let rotated = post_json(&format!("{hooks}/{id}/rotate-secret"), &KEYS, &json!({})).await;
    assert_ne!(json_of(&rotated)["data"]["signing_secret"], secret);
}

#[tokio::test]
async fn a_webhook_is_tried_three_times_and_then_left_alone_for_a_while() {
    let (us, played, url) = start_with(Settings::default()).await;
    let status_only = vec!["contact.rvm.status".to_owned()];
    played
        .vendor
        .hooks
        .add(&hook_url(&us), status_only)
        .unwrap();
    let quiet = with(&good(&us), json!({"callback_url": null}));
    for status in [408, 429, 500] {
        us.answer(Answer::new(status));
    }
    send(&url, "a", &quiet).await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 3).await);
    let came = hooked(&us);
    let attempts: Vec<&str> = came.iter().map(|c| header(c, "x-attempt")).collect();
    assert_eq!(attempts, ["1", "2", "3"]);
    let first = header(&came[0], "x-event-id");
    assert!(came.iter().all(|c| header(c, "x-event-id") == first));
    // What happens now is never said.
    send(
        &url,
        "b",
        &with(&quiet, json!({"callback_url": us.callback_url()})),
    )
    .await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 4).await);
    assert_eq!(hooked(&us).len(), 3);
}

#[tokio::test]
async fn another_refusal_of_a_webhook_is_final() {
    let (us, played, url) = start_with(Settings::default()).await;
    let status_only = vec!["contact.rvm.status".to_owned()];
    played
        .vendor
        .hooks
        .add(&hook_url(&us), status_only)
        .unwrap();
    us.answer(Answer::new(410));
    let quiet = with(&good(&us), json!({"callback_url": null}));
    send(&url, "a", &quiet).await;
    send(&url, "b", &quiet).await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 2).await);
    let attempts = hooked(&us);
    assert!(attempts.iter().all(|c| header(c, "x-attempt") == "1"));
}
