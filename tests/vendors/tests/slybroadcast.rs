use std::collections::BTreeMap;

use serde_json::json;

use super::support::{SOON, Us, json_of, post_form, sound};
use crate::vendors::Played;
use crate::vendors::client::Heard;
use crate::vendors::play::{Answer, Fate, Play, Words};
use crate::vendors::slybroadcast::{Settings, Slybroadcast};

async fn start() -> (Us, Played<Slybroadcast>) {
    let us = Us::start().await;
    let played = Slybroadcast::start(Settings::default()).await.unwrap();
    (us, played)
}

/// A good campaign with these fields changed; an empty value takes one out.
async fn send(us: &Us, url: &str, changes: &[(&str, &str)]) -> Heard {
    let (audio, callback) = (us.audio_url(), us.callback_url());
    let mut fields = BTreeMap::from([
        ("c_uid", "played@example.com"),
        ("c_password", "played-slybroadcast-password"),
        ("c_method", "new_campaign"),
        ("c_phone", "2125550123"),
        ("c_callerID", "2125550199"),
        ("c_date", "now"),
        ("c_url", &audio),
        ("c_audio", "mp3"),
        ("c_dispo_url", &callback),
    ]);
    fields.extend(changes.iter().copied());
    let fields: Vec<_> = fields.into_iter().filter(|(_, v)| !v.is_empty()).collect();
    post_form(url, &fields).await
}

async fn ask(url: &str, fields: &[(&str, &str)]) -> Heard {
    let account = [
        ("c_uid", "played@example.com"),
        ("c_password", "played-slybroadcast-password"),
    ];
    post_form(url, &[&account, fields].concat()).await
}

#[tokio::test]
async fn both_faces_take_a_campaign_and_say_its_result() {
    let (us, played) = start().await;
    let text = send(&us, &played.vendor.text_url(), &[]).await.text();
    let session = played.desk.taken()[0].id.clone();
    assert_eq!(
        text,
        format!("OK\nsession_id={session}\nnumber of phone=1\n")
    );
    let heard = send(&us, &played.vendor.json_url(), &[("mobile_only", "1")]).await;
    let session_2 = played.desk.taken()[1].id.clone();
    let wanted = json!({"new_campaign": "OK", "session_id": session_2, "number_of_phone": 1});
    assert_eq!(json_of(&heard), wanted);
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 2).await);
    assert_eq!(played.desk.wrongs(), Vec::<String>::new());
    let mut vars: Vec<String> = us.came().iter().map(|c| c.form("var")).collect();
    vars.retain(|var| var.contains(&session));
    let values: Vec<&str> = vars[0].split('|').collect();
    assert_eq!(values.len(), 6);
    assert_eq!(values[1..4], ["\"2125550123\"", "\"OK\"", "\"\""]);
    assert_eq!(values[5], "\"Played Wireless:6006 - svr/2\"");
    for dropped in played.desk.drops() {
        assert_eq!(
            played.desk.sound(&dropped.sha256.unwrap()).unwrap(),
            sound()
        );
    }
}

#[tokio::test]
async fn it_posts_until_it_hears_ok_but_not_for_ever() {
    let (us, played) = start().await;
    us.answer(Answer::new(500));
    us.answer(Answer::text(200, "thanks"));
    send(&us, &played.vendor.text_url(), &[]).await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 3).await);
    assert_eq!(played.desk.callbacks()[2].answer, "OK");
    for _ in 0..5 {
        us.answer(Answer::text(200, "no"));
    }
    send(&us, &played.vendor.text_url(), &[]).await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 8).await);
    let last = played.desk.taken()[1].number;
    assert!(played.desk.until(SOON, |r| r.done.contains(&last)).await);
    assert_eq!(us.came().len(), 8);
}

#[tokio::test]
async fn a_session_can_be_asked_about() {
    let (us, played) = start().await;
    let (text, json_face) = (played.vendor.text_url(), played.vendor.json_url());
    played.desk.play(Play::says([]));
    send(&us, &text, &[]).await;
    let pending = played.desk.taken()[0].id.clone();
    let status = [
        ("c_option", "callstatus"),
        ("session_id", &pending),
        ("c_phone", "12125550123"),
    ];
    assert_eq!(ask(&text, &status).await.text(), "ERROR\nno result yet\n");
    let result = [("c_option", "campaign_result"), ("session_id", &pending)];
    assert_eq!(json_of(&ask(&json_face, &result).await), json!([]));

    let silent = Words::Silent(Fate::MailboxFull);
    played.desk.play(Play::accept().words(silent));
    send(&us, &text, &[]).await;
    let number = played.desk.taken()[1].number;
    assert!(played.desk.until(SOON, |r| r.done.contains(&number)).await);
    let ended = played.desk.taken()[1].id.clone();
    let status = [
        ("c_option", "callstatus"),
        ("session_id", &ended),
        ("c_phone", "2125550123"),
    ];
    let line = ask(&text, &status).await.text();
    assert!(line.starts_with(&format!(
        "var=\"{ended}\"|\"2125550123\"|\"Failed\"|\"Mailbox full\"|"
    )));
    let result = [("c_option", "campaign_result"), ("session_id", &ended)];
    let rows = json_of(&ask(&json_face, &result).await);
    assert_eq!(rows[0]["to phone"], "2125550123");
    assert_eq!(rows[0]["dial status"], "Failed");
    assert!(us.came().is_empty() && played.desk.drops().len() == 1);

    let nobody = [("c_option", "campaign_result"), ("session_id", "1")];
    assert_eq!(
        json_of(&ask(&json_face, &nobody).await),
        json!({"ERROR": "session_id: invalid or not found"})
    );
    let stop = [("c_option", "stop"), ("session_id", &pending)];
    assert_eq!(ask(&text, &stop).await.text(), "OK\n");
    assert_eq!(
        ask(&text, &stop).await.text(),
        "ERROR\nsession_id: already finished\n"
    );
    assert_eq!(
        ask(&text, &[("c_option", "user_verify")]).await.text(),
        "OK\n"
    );
    let left = ask(&text, &[("remain_message", "1")]).await.text();
    assert_eq!(left, "remaining messages=1000\npending messages=0\n");
    assert_eq!(played.desk.wrongs(), Vec::<String>::new());
}

#[tokio::test]
async fn faults_are_answered_by_200_and_noted() {
    let (us, played) = start().await;
    let faults = [
        ([("c_uid", "")], "ERROR\nc_uid: required\n"),
        ([("c_phone", "")], "ERROR\nc_phone: required\n"),
        ([("c_phone", "555")], "ERROR\nc_phone: invalid\n"),
        (
            [("c_phone", "2125550123,2125550124")],
            "ERROR\nc_phone: invalid\n",
        ),
        (
            [("c_date", "2026-11-24T10:00:00Z")],
            "ERROR\nc_date: invalid\n",
        ),
        ([("c_endtime", "25:00:00")], "ERROR\nc_endtime: invalid\n"),
        ([("c_audio", "ogg")], "ERROR\nc_audio: invalid\n"),
        (
            [("c_dispo_url", "example.com/x")],
            "ERROR\nc_dispo_url: invalid\n",
        ),
        ([("mobile_only", "true")], "ERROR\nmobile_only: invalid\n"),
        ([("foreign_id", "a")], "ERROR\nforeign_id: invalid\n"),
    ];
    for (at, (change, wanted)) in faults.iter().enumerate() {
        let heard = send(&us, &played.vendor.text_url(), change).await;
        assert_eq!((heard.status, heard.text().as_str()), (200, *wanted));
        assert!(played.desk.wrongs().len() > at);
    }
    let bad = [("c_password", "wrong")];
    let heard = send(&us, &played.vendor.json_url(), &bad).await;
    assert_eq!(
        (heard.status, json_of(&heard)),
        (200, json!({"ERROR": "c_password: invalid"}))
    );
    assert!(played.desk.taken().is_empty());
    let record = serde_json::to_string(&played.desk.requests()).unwrap();
    assert!(!record.contains("played-slybroadcast-password"));
}

#[tokio::test]
async fn a_recording_that_can_not_be_fetched_is_refused_at_once() {
    let (us, played) = start().await;
    us.serve(&sound(), "application/octet-stream");
    let heard = send(&us, &played.vendor.json_url(), &[]).await;
    assert_eq!(
        json_of(&heard),
        json!({"ERROR": "Bad Audio, can't download"})
    );
    assert!(played.desk.taken().is_empty() && us.came().is_empty());
}
