//! Callbacks in every order, number and shape.

use axum::http::Method;
use serde_json::json;

use super::support::{SOON, json_of};
use super::voicedrop::{good, send, start};
use crate::vendors::play::{Fate, Manner, Outcome, Play, Says, When, Word};

#[tokio::test]
async fn callbacks_come_in_the_shape_that_was_asked_for() {
    let (us, played, url) = start().await;
    let delivered = || Word::fate(Fate::Delivered);
    let own = Outcome::new("delivered-late").field("cost", json!(0.02));
    played.desk.play(Play::says([
        delivered().manner(Manner::PostForm),
        delivered().manner(Manner::PostQuery),
        delivered().manner(Manner::GetQuery),
        Word::probe(),
        Word::bytes(Some("text/plain"), "delivered!"),
        Word::outcome(own),
        delivered().times(2),
    ]));
    assert_eq!(json_of(&send(&url, &good(&us)).await)["status"], "success");
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 8).await);
    let came = us.came();
    assert_eq!(came[0].form("status"), "delivered");
    assert_eq!(came[1].method, Method::POST);
    assert!(came[1].uri.contains("?") && came[1].uri.contains("status=delivered"));
    assert!(came[1].body.is_empty());
    assert_eq!(came[2].method, Method::GET);
    assert!(came[2].uri.contains("status=delivered"));
    assert!(came[3].body.is_empty() && came[3].headers.get("content-type").is_none());
    assert_eq!(came[4].body, "delivered!");
    assert_eq!(came[5].json()["status"], "delivered-late");
    assert_eq!(came[5].json()["cost"], 0.02);
    assert_eq!(came[6].body, came[7].body);
}

#[tokio::test]
async fn a_forged_callback_has_another_token() {
    let (us, played, url) = start().await;
    played
        .desk
        .play(Play::says([Word::fate(Fate::Delivered).forged()]));
    send(&url, &good(&us)).await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 1).await);
    assert_eq!(us.came()[0].uri, "/callbacks/vendor/9876543210fedcba");
}

#[tokio::test]
async fn held_callbacks_wait_for_the_test_and_are_said_in_its_order() {
    let (us, played, url) = start().await;
    for _ in 0..3 {
        played
            .desk
            .play(Play::says([Word::fate(Fate::Delivered).when(When::Held)]));
        send(&url, &good(&us)).await;
    }
    assert!(played.desk.until(SOON, |r| r.drops.len() == 3).await);
    // A message with nothing left to say but what is held is done.
    assert!(played.desk.until(SOON, |r| r.done.len() == 3).await);
    assert_eq!(played.desk.held_count(), 3);
    assert!(us.came().is_empty());
    let mut held = played.desk.held();
    held.sort_by_key(|one| std::cmp::Reverse(one.taken.number));
    for one in &held {
        let said = played.desk.say(one).await;
        assert_eq!((said.len(), said[0].status), (1, Some(200)));
    }
    let numbers: Vec<u64> = played.desk.callbacks().iter().map(|s| s.number).collect();
    assert_eq!(numbers, [3, 2, 1]);
    // A lie, said of a message that has had its word.
    let lie = crate::vendors::say::Held {
        taken: held[0].taken.clone(),
        word: Word::new(Says::Fate(Fate::MailboxFull)),
    };
    played.desk.say(&lie).await;
    assert_eq!(us.came()[3].json()["status"], "not-delivered");
    assert!(played.desk.release().await.is_empty());
}

#[tokio::test]
async fn a_rule_holds_for_its_recipient_however_that_is_written() {
    let (us, played, url) = start().await;
    played.desk.play_for("2125550123", Play::fate(Fate::Busy));
    send(&url, &good(&us)).await;
    assert!(played.desk.until(SOON, |r| r.callbacks.len() == 2).await);
    assert_eq!(us.came()[1].json()["reason"], "busy");
    assert!(played.desk.drops().is_empty());
}
