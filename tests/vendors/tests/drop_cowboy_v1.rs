use serde_json::{Value, json};

use super::support::{SOON, Us, get, json_of, post_json, sound, with};
use crate::vendors::Played;
use crate::vendors::drop_cowboy_v1::{DropCowboyV1, Settings};

fn good(us: &Us) -> Value {
    let settings = Settings::default();
    json!({
        "team_id": settings.team_id, "secret": settings.secret, "brand_id": settings.brand_id,
        "phone_number": "+12125550123", "foreign_id": "ours-1", "audio_url": us.audio_url(),
        "audio_type": "mp3", "caller_id": "+12125550199", "callback_url": us.callback_url(),
    })
}

async fn start() -> (Us, Played<DropCowboyV1>, String) {
    let us = Us::start().await;
    let settings = Settings {
        recordings: vec![("recording-1".to_owned(), sound().to_vec())],
        ..Settings::default()
    };
    let played = DropCowboyV1::start(settings).await.unwrap();
    let url = format!("{}/rvm", played.vendor.base_url());
    (us, played, url)
}

#[tokio::test]
async fn a_message_is_taken_and_its_foreign_id_comes_back() {
    let (us, played, url) = start().await;
    let heard = post_json(&url, &[], &good(&us)).await;
    assert_eq!(
        (heard.status, json_of(&heard)),
        (200, json!({"status": "queued"}))
    );
    let recorded = json!({"audio_url": null, "audio_type": null, "recording_id": "recording-1"});
    post_json(&url, &[], &with(&good(&us), recorded)).await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 2).await);
    assert_eq!(played.desk.wrongs(), Vec::<String>::new());
    let body = us.came()[0].json();
    assert_eq!(
        (&body["status"], &body["foreign_id"]),
        (&json!("success"), &json!("ours-1"))
    );
    let drops = played.desk.drops();
    assert_eq!(drops.len(), 2);
    for dropped in drops {
        let kept = played.desk.sound(&dropped.sha256.unwrap());
        assert_eq!(kept.unwrap(), sound());
    }
    // The secret stands in the body, and in no record.
    let record = serde_json::to_string(&played.desk.requests()).unwrap();
    assert!(!record.contains(&Settings::default().secret));
}

#[tokio::test]
async fn faults_are_refused_and_noted() {
    let (us, played, url) = start().await;
    let faults = [
        (json!({"foreign_id": null}), 400, "`foreign_id` is missing"),
        (
            json!({"foreign_id": "a".repeat(257)}),
            400,
            "longer than 256",
        ),
        (json!({"audio_type": null}), 400, "needs exactly one of"),
        (
            json!({"recording_id": "recording-1"}),
            400,
            "needs exactly one of",
        ),
        (json!({"caller_id": null}), 400, "needs forwarding_number"),
        (json!({"to": "+12125550123"}), 400, "`to` is no field"),
        (json!({"secret": "wrong"}), 401, "credentials"),
    ];
    for (change, status, wrong) in faults {
        let heard = post_json(&url, &[], &with(&good(&us), change.clone())).await;
        assert_eq!(heard.status, status, "{change}");
        let wrongs = played.desk.wrongs();
        assert!(wrongs.last().unwrap().contains(wrong), "{wrongs:?}");
    }
    assert!(played.desk.taken().is_empty());
}

#[tokio::test]
async fn lists_want_the_credentials_in_headers() {
    let (_us, played, url) = start().await;
    let list = url.replace("/rvm", "/recording?api_allowed=true");
    let settings = Settings::default();
    let keys = [
        ("x-team-id", settings.team_id.as_str()),
        ("x-secret", &settings.secret),
    ];
    let heard = get(&list, &keys).await;
    assert_eq!(json_of(&heard)[0]["recording_id"], "recording-1");
    assert_eq!(get(&list, &[]).await.status, 401);
    assert_eq!(played.desk.wrongs().len(), 1);
}
