//! A vendor that is started again on the record of an earlier life.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::drop_cowboy_v2::{KEYS, good, send, start_with};
use super::support::{SOON, Us, call, json_of, post_json, sound, with};
use crate::vendors::desk::Common;
use crate::vendors::drop_cowboy_v2::{DropCowboyV2, Settings};
use crate::vendors::play::{Fate, Play, When, Word};

fn on(record: &Path) -> Settings {
    Settings {
        common: Common {
            record: Some(record.to_owned()),
            ..Common::default()
        },
        ..Settings::default()
    }
}

fn lines(record: &Path) -> Vec<Value> {
    let text = fs::read_to_string(record).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn keys_are_known_after_a_restart_and_a_torn_line_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("vendors.jsonl");
    let (us, played, url) = start_with(on(&record)).await;
    let first = json_of(&send(&url, "a", &good(&us)).await);
    // Written before the answer.
    assert!(lines(&record).iter().any(|line| line["what"] == "taken"));
    let number = played.desk.taken()[0].number;
    assert!(played.desk.until(SOON, |r| r.done.contains(&number)).await);
    drop(played);
    let mut file = fs::File::options().append(true).open(&record).unwrap();
    file.write_all(b"{\"vendor\":\"drop_cow").unwrap();

    let played = DropCowboyV2::start(on(&record)).await.unwrap();
    let url = format!("{}/rvm", played.vendor.base_url());
    let again = json_of(&send(&url, "a", &good(&us)).await);
    assert_eq!(again["message_id"], first["message_id"]);
    assert_eq!(
        (played.desk.taken().len(), played.desk.drops().len()),
        (1, 1)
    );
    send(&url, "b", &good(&us)).await;
    assert!(played.desk.until(SOON, |r| r.drops.len() == 2).await);
    let numbers: Vec<u64> = played.desk.taken().iter().map(|t| t.number).collect();
    assert_eq!(numbers, [1, 2]);
    // Every line is whole, and none has a secret.
    let all = lines(&record);
    assert!(all.len() > 6);
    assert!(!fs::read_to_string(&record).unwrap().contains(KEYS[1].1));
}

#[tokio::test]
async fn what_was_taken_is_dropped_once_and_said_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("vendors.jsonl");
    let (us, played, url) = start_with(on(&record)).await;
    let later = Word::fate(Fate::Delivered).when(When::After(Duration::from_secs(3_600)));
    played.desk.play(Play::says([later]));
    send(&url, "a", &good(&us)).await;
    assert!(played.desk.until(SOON, |r| r.drops.len() == 1).await);
    drop(played);
    let played = DropCowboyV2::start(on(&record)).await.unwrap();
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 1).await);
    assert_eq!(us.came()[0].json()["foreign_id"], "ours-1");
    assert_eq!(played.desk.drops().len(), 1);
}

#[tokio::test]
async fn media_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("vendors.jsonl");
    let (us, played, url) = start_with(on(&record)).await;
    let media = url.replace("/rvm", "/media/public/media");
    let wanted = json!({"name": "a", "type": "rvm", "signed_upload": true});
    let data = json_of(&post_json(&media, &KEYS, &wanted).await)["data"].clone();
    let to = data["upload"]["mp3"]["url"].as_str().unwrap();
    let kind = [("content-type", "audio/mpeg")];
    assert_eq!(
        call(Method::PUT, to, &kind, sound()).await.unwrap().status,
        200
    );
    let id = data["media_id"].as_str().unwrap();
    post_json(&format!("{media}/{id}/complete"), &KEYS, &json!({})).await;
    drop(played);
    let played = DropCowboyV2::start(on(&record)).await.unwrap();
    let url = format!("{}/rvm", played.vendor.base_url());
    let by_media = with(&good(&us), json!({"audio_url": null, "media_id": id}));
    send(&url, "a", &by_media).await;
    assert!(played.desk.until(SOON, |r| r.drops.len() == 1).await);
    let sha256 = played.desk.drops()[0].sha256.clone().unwrap();
    assert_eq!(played.desk.sound(&sha256).unwrap(), sound());
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("vendors.jsonl");
    let path = "/media/public/media";
    let wanted = json!({"name": "a", "type": "rvm", "signed_upload": true});
    let kind = [("content-type", "audio/mpeg")];
    let played = DropCowboyV2::start(on(&record)).await.unwrap();
    let created = post_json(
        &format!("{}{path}", played.vendor.base_url()),
        &KEYS,
        &wanted,
    )
    .await;
    let id = json_of(&created)["data"]["media_id"].clone();
    let id = id.as_str().unwrap();
    drop(played);
    let played = DropCowboyV2::start(on(&record)).await.unwrap();
    let base = played.vendor.base_url();
    let to = format!("{base}/storage/{id}.mp3?signature=played");
    let put = call(Method::PUT, &to, &kind, sound()).await.unwrap();
    assert_eq!(put.status, 200);
    drop(played);
    let played = DropCowboyV2::start(on(&record)).await.unwrap();
    let complete = format!("{}{path}/{id}/complete", played.vendor.base_url());
    let completed = post_json(&complete, &KEYS, &json!({})).await;
    assert_eq!(completed.status, 200);
    assert!(played.desk.wrongs().is_empty());
    let sha256 = played.desk.book.find_upload(id).unwrap();
    assert_eq!(played.desk.sound(&sha256).unwrap(), sound());
}

#[tokio::test]
async fn a_recording_out_of_reach_is_looked_for_again_where_the_vendor_does_so() {
    let settings = |tries| Settings {
        common: Common {
            fetch_again_after: vec![Duration::from_millis(20); tries],
            ..Common::default()
        },
        ..Settings::default()
    };
    for (tries, drops) in [(0, 0), (1_000, 1)] {
        let (us, played, url) = start_with(settings(tries)).await;
        us.serve(&sound(), "text/html");
        send(&url, "a", &good(&us)).await;
        let is_over = played.desk.until(SOON, |r| r.taken.len() == 1).await;
        assert!(is_over);
        if drops == 0 {
            assert!(played.desk.until(SOON, |r| r.done.len() == 1).await);
        }
        us.serve(&sound(), "audio/mpeg");
        assert!(played.desk.until(SOON, |r| r.done.len() == 1).await);
        assert_eq!(played.desk.drops().len(), drops);
    }
}

#[tokio::test]
async fn a_played_vendor_stays_on_this_machine() {
    let settings = Settings {
        common: Common {
            addr: ([0, 0, 0, 0], 0).into(),
            ..Common::default()
        },
        ..Settings::default()
    };
    assert!(DropCowboyV2::start(settings).await.is_err());
    let us = Us::start().await;
    assert!(us.base.starts_with("http://127.0.0.1:"));
}
