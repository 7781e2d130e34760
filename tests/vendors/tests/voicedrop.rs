use serde_json::{Value, json};

use super::support::{SOON, Us, call, get, json_of, post_json, sound, with};
use crate::vendors::Played;
use crate::vendors::fields::PhoneForm;
use crate::vendors::voicedrop::{Settings, VoiceDrop};
use axum::http::Method;

const KEY: [(&str, &str); 1] = [("auth-key", "played-voicedrop-key")];

pub fn good(us: &Us) -> Value {
    json!({
        "recording_url": us.audio_url(), "to": "+12125550123", "from": "+12125550199",
        "validate_recipient_phone": true, "send_status_to_webhook": us.callback_url(),
    })
}

pub async fn start() -> (Us, Played<VoiceDrop>, String) {
    let us = Us::start().await;
    let played = VoiceDrop::start(Settings::default()).await.unwrap();
    let url = format!("{}/ringless_voicemail", played.vendor.base_url());
    (us, played, url)
}

pub async fn send(url: &str, body: &Value) -> crate::vendors::client::Heard {
    post_json(url, &KEY, body).await
}

#[tokio::test]
async fn a_message_is_fetched_dropped_and_said_to_be_delivered() {
    let (us, played, url) = start().await;
    // Three: plainly, after a HEAD, and in ranges.
    for _ in 0..3 {
        let heard = send(&url, &good(&us)).await;
        assert_eq!(heard.status, 200);
        assert_eq!(json_of(&heard)["status"], "success");
        assert_eq!(json_of(&heard).as_object().unwrap().len(), 2, "no id");
    }
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 6).await);
    assert_eq!(played.desk.wrongs(), Vec::<String>::new());
    let drops = played.desk.drops();
    assert_eq!(drops.len(), 3);
    for dropped in drops {
        assert_eq!(dropped.recipient, "+12125550123");
        assert_eq!(dropped.sender, "+12125550199");
        let kept = played.desk.sound(dropped.sha256.as_deref().unwrap());
        assert_eq!(kept.unwrap(), sound());
    }
    let (_, first): (Vec<_>, Vec<_>) = played
        .desk
        .callbacks()
        .into_iter()
        .partition(|said| said.number != 1);
    let bodies: Vec<Value> = first
        .iter()
        .map(|said| serde_json::from_str(&said.body).unwrap())
        .collect();
    assert_eq!(bodies[0]["status"], "scheduled");
    assert_eq!(bodies[1]["status"], "delivered");
    assert_eq!(bodies[1]["sent_to"], "12125550123");
    assert_eq!(first[1].status, Some(200));
    assert_eq!(first[1].answer, "OK");
}

#[tokio::test]
async fn every_fault_of_a_request_is_refused_and_noted() {
    let (us, played, url) = start().await;
    let faults = [
        (json!({"to": null}), "`to` is missing"),
        (json!({"to": "2125550123"}), "`to` is `2125550123`"),
        (json!({"from": 2125550199_i64}), "`from` is 2125550199"),
        (json!({"script": "hello"}), "needs either `recording_url`"),
        (
            json!({"recording_url": null}),
            "needs either `recording_url`",
        ),
        (
            json!({"recording_url": "/audio.mp3"}),
            "no absolute web address",
        ),
        (
            json!({"send_status_to_webhook": "ftp://x/y"}),
            "no absolute web address",
        ),
        (
            json!({"validate_recipient_phone": "yes"}),
            "not true or false",
        ),
        (
            json!({"foreign_id": "a"}),
            "`foreign_id` is no field of this call",
        ),
    ];
    for (at, (change, wrong)) in faults.iter().enumerate() {
        let heard = send(&url, &with(&good(&us), change.clone())).await;
        assert_eq!(heard.status, 400, "{change}");
        let wrongs = played.desk.wrongs();
        assert!(
            wrongs.len() > at && wrongs.last().unwrap().contains(wrong),
            "{wrongs:?}"
        );
    }
    let text = [
        ("auth-key", "played-voicedrop-key"),
        ("content-type", "text/plain"),
    ];
    let heard = call(Method::POST, &url, &text, good(&us).to_string()).await;
    assert_eq!(heard.unwrap().status, 400);
    assert_eq!(post_json(&url, &[], &good(&us)).await.status, 401);
    assert_eq!(get(&url, &KEY).await.status, 405);
    let elsewhere = url.replace("ringless_voicemail", "voicemails");
    assert_eq!(send(&elsewhere, &good(&us)).await.status, 404);
    assert!(played.desk.taken().is_empty());
    assert!(played.desk.wrongs().len() >= faults.len() + 4);
    // Credentials are in no record.
    let record = serde_json::to_string(&played.desk.requests()).unwrap();
    assert!(!record.contains("played-voicedrop-key"));
}

#[tokio::test]
async fn numbers_are_written_as_the_account_wants_them() {
    let us = Us::start().await;
    let settings = Settings {
        phone_form: PhoneForm::TenDigits,
        verified: vec!["+12125550199".to_owned()],
        ..Settings::default()
    };
    let played = VoiceDrop::start(settings).await.unwrap();
    let url = format!("{}/ringless_voicemail", played.vendor.base_url());
    assert_eq!(send(&url, &good(&us)).await.status, 400);
    let ten = json!({"to": "2125550123", "from": "2125550199"});
    let good_one = with(&good(&us), ten);
    assert_eq!(json_of(&send(&url, &good_one).await)["status"], "success");
    let stranger = with(&good_one, json!({"from": "2125550111"}));
    let heard = send(&url, &stranger).await;
    assert_eq!(
        (heard.status, json_of(&heard)["status"].clone()),
        (200, json!("error"))
    );
    let profile = get(&format!("{}/profile", played.vendor.base_url()), &KEY).await;
    let profile = json_of(&profile);
    assert_eq!(
        profile["all_user_data"]["verified_phone_numbers"],
        json!(["2125550199"])
    );
    assert_eq!(profile["subscription"]["voice_units_remaining"], 1_000);
}

#[tokio::test]
async fn an_upload_is_sent_by_its_address() {
    let (us, played, url) = start().await;
    let to = format!("{}/upload-static-audio", played.vendor.base_url());
    let upload = async |name: &str, kind: &str| {
        let head = format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.mp3\"\r\nContent-Type: {kind}\r\n\r\n"
        );
        let body = [head.as_bytes(), &sound(), b"\r\n--xyz--\r\n"].concat();
        let kind = ("content-type", "multipart/form-data; boundary=xyz");
        call(Method::POST, &to, &[KEY[0], kind], body)
            .await
            .unwrap()
    };
    assert_eq!(upload("audio", "audio/mpeg").await.status, 400);
    assert_eq!(upload("file", "audio/wav").await.status, 400);
    assert_eq!(played.desk.wrongs().len(), 2);
    let heard = upload("file", "audio/mpeg").await;
    assert_eq!(heard.status, 200);
    let stored = json_of(&heard)["message"]["recording_url"].clone();
    assert_eq!(get(stored.as_str().unwrap(), &[]).await.body, sound());
    send(&url, &with(&good(&us), json!({"recording_url": stored}))).await;
    assert!(played.desk.until(SOON, |r| r.drops.len() == 1).await);
    let sha256 = played.desk.drops()[0].sha256.clone().unwrap();
    assert_eq!(played.desk.sound(&sha256).unwrap(), sound());
}

#[tokio::test]
async fn a_recording_that_can_not_be_used_ends_as_failed() {
    let (us, played, url) = start().await;
    us.serve(&sound(), "text/html");
    send(&url, &good(&us)).await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 1).await);
    us.serve(b"", "audio/mpeg");
    send(&url, &good(&us)).await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 2).await);
    let nowhere = format!("{}/nothing.mp3", played.vendor.base_url());
    send(&url, &with(&good(&us), json!({"recording_url": nowhere}))).await;
    let abroad = "http://192.0.2.1/audio.mp3";
    send(&url, &with(&good(&us), json!({"recording_url": abroad}))).await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 4).await);
    for said in played.desk.callbacks() {
        let body: Value = serde_json::from_str(&said.body).unwrap();
        assert_eq!(body["status"], "failed", "{body}");
    }
    assert!(played.desk.drops().is_empty());
}

#[tokio::test]
async fn a_number_on_the_list_is_skipped() {
    let (us, played, url) = start().await;
    let list = format!("{}/add-to-dnc-list", played.vendor.base_url());
    assert_eq!(
        send(&list, &json!({"phone": "+12125550123"})).await.status,
        400
    );
    assert_eq!(
        send(&list, &json!({"phone": "2125550123"})).await.status,
        200
    );
    send(&url, &good(&us)).await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 1).await);
    assert_eq!(us.came()[0].json()["status"], "skipped");
    assert!(played.desk.drops().is_empty());
    let check = format!("{}/phone-validations", played.vendor.base_url());
    let numbers = json!({"prospect_phone_numbers": ["2125550123"]});
    let checked = json_of(&send(&check, &numbers).await);
    assert_eq!(checked["phones_validated"][0]["do_not_call"], true);
}
