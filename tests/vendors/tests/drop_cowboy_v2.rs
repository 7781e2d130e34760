use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::http::Method;
use serde_json::{Value, json};

use super::support::{SOON, Us, call, get, json_of, post_json, sound, try_json, with};
use crate::vendors::Played;
use crate::vendors::client::Heard;
use crate::vendors::desk::Common;
use crate::vendors::drop_cowboy_v2::{DropCowboyV2, Settings};
use crate::vendors::play::{Answer, Ending, Play};

pub const KEYS: [(&str, &str); 2] = [
    ("x-key", "played-dropcowboy-key"),
    ("x-secret", "played-dropcowboy-secret"),
];

pub fn good(us: &Us) -> Value {
    json!({
        "to": "+12125550123", "audio_url": us.audio_url(), "foreign_id": "ours-1",
        "callback_url": us.callback_url(),
    })
}

pub async fn start_with(settings: Settings) -> (Us, Played<DropCowboyV2>, String) {
    let us = Us::start().await;
    let played = DropCowboyV2::start(settings).await.unwrap();
    let url = format!("{}/rvm", played.vendor.base_url());
    (us, played, url)
}

pub async fn send(url: &str, key: &str, body: &Value) -> Heard {
    let headers = [&KEYS[..], &[("idempotency-key", key)]].concat();
    post_json(url, &headers, body).await
}

/// The codes of all results so far, in the order of their messages.
async fn codes(played: &Played<DropCowboyV2>, count: usize) -> Vec<u64> {
    let desk = &played.desk;
    assert!(desk.until(SOON, |r| r.callbacks.len() == count).await);
    let mut said = desk.callbacks();
    said.sort_by_key(|said| said.number);
    said.iter()
        .map(|said| serde_json::from_str::<Value>(&said.body).unwrap())
        .map(|body| body["reason_code"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_repeat_sends_nothing_and_another_body_fails_later() {
    let (us, played, url) = start_with(Settings::default()).await;
    let first = send(&url, "key-1", &good(&us)).await;
    assert_eq!(first.status, 202);
    let id = json_of(&first)["message_id"].clone();
    // The order of members is nothing.
    let turned: String = good(&us).to_string();
    let members: Vec<String> = good(&us)
        .as_object()
        .unwrap()
        .iter()
        .rev()
        .map(|(name, value)| format!("{}: {value}", json!(name)))
        .collect();
    let turned_round = format!("{{ {} }}", members.join(", "));
    assert_ne!(turned, turned_round);
    let headers = [
        &KEYS[..],
        &[
            ("idempotency-key", "key-1"),
            ("content-type", "application/json"),
        ],
    ];
    let again = call(Method::POST, &url, &headers.concat(), turned_round)
        .await
        .unwrap();
    assert_eq!(
        (again.status, json_of(&again)["message_id"].clone()),
        (202, id)
    );
    assert_eq!(codes(&played, 1).await, [0]);
    assert_eq!(played.desk.taken().len(), 1);
    assert_eq!(played.desk.wrongs(), Vec::<String>::new());

    let other = with(&good(&us), json!({"foreign_id": "ours-2"}));
    assert_eq!(send(&url, "key-1", &other).await.status, 202);
    assert_eq!(codes(&played, 2).await, [0, 3027]);
    assert!(played.desk.wrongs()[0].contains("came before"));
    // The first is still the one that is remembered.
    send(&url, "key-1", &good(&us)).await;
    assert_eq!(played.desk.drops().len(), 1);
    assert_eq!(played.desk.taken().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_taken_once_where_calls_race_and_where_the_answer_was_lost() {
    let (us, played, url) = start_with(Settings::default()).await;
    let calls = (0..20).map(|_| {
        let (url, body) = (url.clone(), good(&us));
        tokio::spawn(async move { send(&url, "raced", &body).await })
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        assert_eq!(call.await.unwrap().status, 202);
    }
    assert_eq!(played.desk.taken().len(), 1);
    played.desk.play(Play::taking(Ending::Reset));
    let headers = [&KEYS[..], &[("idempotency-key", "lost")]].concat();
    try_json(&url, &headers, &good(&us)).await.unwrap_err();
    assert_eq!(send(&url, "lost", &good(&us)).await.status, 202);
    assert_eq!(codes(&played, 2).await, [0, 0]);
    assert_eq!(
        (played.desk.taken().len(), played.desk.drops().len()),
        (2, 2)
    );
    assert_eq!(played.desk.wrongs(), Vec::<String>::new());
}

#[tokio::test]
async fn a_key_is_remembered_for_a_day_and_only_where_the_message_was_taken() {
    let clock = Arc::new(AtomicI64::new(1_795_435_200_000_000));
    let turned = clock.clone();
    let settings = Settings {
        common: Common {
            now: Arc::new(move || turned.load(Ordering::SeqCst)),
            ..Common::default()
        },
        ..Settings::default()
    };
    let (us, played, url) = start_with(settings).await;
    played.desk.play(Play::refusing(Answer::new(503).into()));
    assert_eq!(send(&url, "a", &good(&us)).await.status, 503);
    send(&url, "a", &good(&us)).await;
    let hour_us = 3_600_000_000;
    clock.fetch_add(24 * hour_us, Ordering::SeqCst);
    send(&url, "a", &good(&us)).await;
    assert_eq!(played.desk.taken().len(), 1);
    clock.fetch_add(1, Ordering::SeqCst);
    send(&url, "a", &good(&us)).await;
    assert_eq!(played.desk.taken().len(), 2);
}

#[tokio::test]
async fn faults_are_reported_after_the_202() {
    let (us, played, url) = start_with(Settings::default()).await;
    let faults = [
        (json!({"audio_url": null}), 3001),
        (json!({"media_id": "nothing", "audio_url": null}), 3001),
        (json!({"tts_body": "hello", "voice_id": "v"}), 3001),
        (json!({"tts_body": "hello", "audio_url": null}), 3015),
        (
            json!({"tts_body": "a".repeat(1_201), "voice_id": "v", "audio_url": null}),
            3021,
        ),
        (json!({"phone_line_id": "no-line"}), 4010),
        (json!({"to": "2125550123"}), 4004),
    ];
    for (at, (change, _)) in faults.iter().enumerate() {
        let heard = send(
            &url,
            &format!("key-{at}"),
            &with(&good(&us), change.clone()),
        )
        .await;
        assert_eq!(heard.status, 202, "{change}");
    }
    let wanted: Vec<u64> = faults.iter().map(|(_, code)| *code).collect();
    assert_eq!(codes(&played, faults.len()).await, wanted);
    assert_eq!(played.desk.wrongs().len(), faults.len());
    assert!(played.desk.drops().is_empty());
}

#[tokio::test]
async fn credentials_and_keys_are_judged_after_the_202_too() {
    let (us, played, url) = start_with(Settings::default()).await;
    assert_eq!(post_json(&url, &[], &good(&us)).await.status, 401);
    let bad = [KEYS[0], ("x-secret", "wrong"), ("idempotency-key", "a")];
    assert_eq!(post_json(&url, &bad, &good(&us)).await.status, 202);
    assert_eq!(send(&url, &"k".repeat(256), &good(&us)).await.status, 202);
    assert_eq!(send(&url, &"k".repeat(255), &good(&us)).await.status, 202);
    assert_eq!(codes(&played, 3).await, [3007, 3028, 0]);
    // A stranger's key is not the account's.
    assert_eq!(send(&url, "a", &good(&us)).await.status, 202);
    assert_eq!(codes(&played, 4).await, [3007, 3028, 0, 0]);
    let heard = get(&url.replace("/rvm", "/phone/public/lines"), &bad[..2]).await;
    assert_eq!(heard.status, 401);
    assert_eq!(json_of(&heard)["code"], 401);
    assert_eq!(
        heard.header("x-request-id"),
        json_of(&heard)["meta"]["request_id"]
    );
}

#[tokio::test]
async fn the_account_may_forbid_links_and_real_numbers() {
    let settings = Settings {
        audio_url_allowed: false,
        test_numbers_only: true,
        ..Settings::default()
    };
    let (us, played, url) = start_with(settings).await;
    send(&url, "a", &with(&good(&us), json!({"to": "+15550010001"}))).await;
    let spoken = json!({"tts_body": "hello", "voice_id": "v", "audio_url": null});
    send(&url, "b", &with(&good(&us), spoken)).await;
    assert_eq!(codes(&played, 2).await, [3014, 3040]);
    let readiness = get(
        &url.replace("/rvm", "/register/public/integration-readiness"),
        &KEYS,
    )
    .await;
    assert_eq!(json_of(&readiness)["data"]["test_numbers_only"], true);
}

#[tokio::test]
async fn the_simulators_numbers_end_as_they_are_documented_to() {
    let (us, played, url) = start_with(Settings::default()).await;
    let documented = [
        ("0001", 0),
        ("0002", 4000),
        ("0004", 4005),
        ("0005", 4006),
        ("0006", 4004),
        ("0090", 4016),
        ("0091", 4017),
        ("0092", 4019),
        ("0093", 4021),
        ("0094", 6000),
        ("0095", 6002),
        ("0097", 4013),
        ("0098", 6005),
        ("0099", 6011),
    ];
    for (last, _) in documented {
        let to = json!({"to": format!("+1555001{last}")});
        send(&url, last, &with(&good(&us), to)).await;
    }
    let wanted: Vec<u64> = documented.iter().map(|(_, code)| *code).collect();
    assert_eq!(codes(&played, documented.len()).await, wanted);
    assert_eq!(played.desk.drops().len(), 1);
    assert_eq!(played.desk.wrongs(), Vec::<String>::new());
}

#[tokio::test]
async fn a_result_is_posted_once_whatever_is_answered() {
    let (us, played, url) = start_with(Settings::default()).await;
    us.answer(Answer::new(500));
    send(&url, "a", &good(&us)).await;
    send(
        &url,
        "b",
        &with(&good(&us), json!({"foreign_id": "ours-2"})),
    )
    .await;
    codes(&played, 2).await;
    let came = us.came();
    assert_eq!(came.len(), 2);
    let body = came
        .iter()
        .map(|c| c.json())
        .find(|b| b["foreign_id"] == "ours-1")
        .unwrap();
    let wanted = [
        "attempt_date",
        "caller_id",
        "compliance_fee",
        "contact_id",
        "dnc",
        "drop_id",
        "foreign_id",
        "log_id",
        "phone_number",
        "product_code",
        "product_cost",
        "proof_of_delivery_url",
        "quantity",
        "reason",
        "reason_code",
        "session_id",
        "status",
        "team_id",
        "tts_fee",
    ];
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, wanted);
    assert_eq!(body["status"], "success");
    assert_eq!(body["phone_number"], "+12125550123");
    assert_ne!(body["drop_id"], json!(played.desk.taken()[0].id));
    assert!(came[0].headers.get("x-signature").is_none());
}

#[tokio::test]
async fn media_is_created_put_completed_and_sent() {
    let (us, played, url) = start_with(Settings::default()).await;
    let media = url.replace("/rvm", "/media/public/media");
    let wanted = json!({"name": "a", "type": "rvm", "signed_upload": true});
    let created = post_json(&media, &KEYS, &wanted).await;
    assert_eq!(created.status, 201);
    let data = json_of(&created)["data"].clone();
    let id = data["media_id"].as_str().unwrap().to_owned();
    let to = data["upload"]["mp3"]["url"].as_str().unwrap().to_owned();
    let kind = (
        "content-type",
        data["upload"]["mp3"]["content_type"].as_str().unwrap(),
    );
    let complete = format!("{media}/{id}/complete");
    assert_eq!(post_json(&complete, &KEYS, &json!({})).await.status, 409);
    let put = async |headers: &[(&str, &str)]| {
        call(Method::PUT, &to, headers, sound())
            .await
            .unwrap()
            .status
    };
    assert_eq!(put(&[("content-type", "audio/wav")]).await, 403);
    assert_eq!(put(&[kind, KEYS[0], KEYS[1]]).await, 403);
    assert_eq!(played.desk.wrongs().len(), 3);
    assert_eq!(put(&[kind]).await, 200);
    let by_media = with(&good(&us), json!({"audio_url": null, "media_id": id}));
    send(&url, "too early", &by_media).await;
    assert_eq!(codes(&played, 1).await, [3001]);
    assert_eq!(post_json(&complete, &KEYS, &json!({})).await.status, 200);
    send(&url, "in time", &by_media).await;
    assert_eq!(codes(&played, 2).await, [3001, 0]);
    let sha256 = played.desk.drops()[0].sha256.clone().unwrap();
    assert_eq!(played.desk.sound(&sha256).unwrap(), sound());

    let import = json!({"name": "b", "type": "rvm", "url": us.audio_url(), "ext": ".mp3"});
    let id = json_of(&post_json(&media, &KEYS, &import).await)["data"]["media_id"].clone();
    send(&url, "imported", &with(&by_media, json!({"media_id": id}))).await;
    assert_eq!(codes(&played, 3).await, [3001, 0, 0]);
}
