//! What carriers say by themselves: callbacks and webhooks, in every shape and order, with repeats and lies.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use ringless::grpc::pb::{self, FailureReason as Reason, VoicemailStatus as Status};
use serde_json::json;

use crate::support::Engine;
use crate::support::app::TestApp;
use crate::support::vendors::{Stage, wait_until};
use crate::vendors::client::{Bounds, Client, Heard};
use crate::vendors::desk::Desk;
use crate::vendors::play::{Fate, Manner, Outcome, Play, When, Word, Words};
use crate::vendors::say::Held;

crate::on_both_databases!(
    every_shape_of_a_callback_is_read,
    a_word_that_comes_before_the_answer_ends_it,
    repeats_and_late_words_move_nothing,
    unknown_words_and_probes_are_kept_and_change_nothing,
    a_token_that_is_not_ours_opens_nothing,
    a_callback_that_names_another_number_is_not_believed,
    bodies_are_taken_up_to_64_kib_and_kept_up_to_50,
    a_callback_that_was_kept_and_not_read_is_read_later,
    a_thousand_callbacks_in_any_order_come_to_the_same_ends,
);

pub const RECIPIENT: &str = "+12125550123";
pub const BOUNDS: Bounds = Bounds {
    within: Duration::from_secs(20),
    bytes_max: 1 << 20,
};

pub async fn post(url: &str, content_type: &str, body: impl Into<Bytes>) -> Heard {
    let headers = [("content-type", content_type)];
    let client = Client::new();
    let called = client.call(Method::POST, url, &headers, body.into(), BOUNDS);
    called.await.unwrap()
}

pub fn held(fate: Fate) -> Word {
    Word::fate(fate).when(When::Held)
}

/// One that the carrier has, and holds its words about.
pub async fn sent_with(app: &TestApp, desk: &Desk, recipient: &str, words: Vec<Word>) -> String {
    let count = desk.held_count() + words.len();
    desk.play(Play::accept().words(Words::These(words)));
    let id = app.send_to(recipient).await;
    app.wait_for(&id, Status::Sent).await;
    wait_until(|| async { desk.held_count() == count }).await;
    id
}

async fn callback_url(desk: &Desk) -> String {
    let taken = desk.taken();
    taken.last().unwrap().callback_url.clone().unwrap()
}

async fn every_shape_of_a_callback_is_read(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    for (at, manner) in [
        Manner::PostJson,
        Manner::PostForm,
        Manner::PostQuery,
        Manner::GetQuery,
    ]
    .into_iter()
    .enumerate()
    {
        let recipient = format!("+1212555010{at}");
        let word = held(Fate::MailboxFull).manner(manner);
        let id = sent_with(&app, &vendor.desk, &recipient, vec![word]).await;
        let said = vendor.desk.release().await;
        assert_eq!(said[0].status, Some(200), "{manner:?}");
        let voicemail = app.get(&id).await;
        assert_eq!(voicemail.status(), Status::NotDelivered, "{manner:?}");
        assert_eq!(voicemail.failure_reason(), Reason::MailboxFull);
    }
    // JSON under any name, and with none.
    for (at, content_type) in [None, Some("text/plain")].into_iter().enumerate() {
        let recipient = format!("+1212555011{at}");
        let id = sent_with(&app, &vendor.desk, &recipient, Vec::new()).await;
        let word = Word::bytes(content_type, r#"{"status":"delivered"}"#);
        let taken = vendor.desk.taken().last().unwrap().clone();
        vendor.desk.say(&Held { taken, word }).await;
        assert_eq!(app.get(&id).await.status(), Status::Delivered);
    }
}

async fn a_word_that_comes_before_the_answer_ends_it(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.cowboy("").await;
    let app = stage.start().await;
    for (at, (fate, status)) in [
        (Fate::Delivered, Status::Delivered),
        (Fate::NoMailbox, Status::NotDelivered),
    ]
    .into_iter()
    .enumerate()
    {
        let word = Word::fate(fate).when(When::BeforeAnswer);
        vendor.desk.play(Play::says([word]));
        let id = app.send_to(&format!("+1212555010{at}")).await;
        app.wait_for(&id, status).await;
        // The answer, "queued", goes to its attempt and nowhere else, and its words are not those that count.
        wait_until(|| async { app.get(&id).await.attempts[0].end_time.is_some() }).await;
        let voicemail = app.get(&id).await;
        assert_eq!(voicemail.status(), status);
        let attempt = &voicemail.attempts[0];
        assert_eq!(attempt.outcome(), pb::AttemptOutcome::Taken);
        assert_eq!(attempt.failure_reason(), voicemail.failure_reason());
        assert!(!attempt.carrier_code.is_empty());
        assert_eq!(attempt.late_outcome, "");
    }
    assert_eq!(vendor.desk.taken().len(), 2);
}

async fn repeats_and_late_words_move_nothing(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let scheduled = Word::outcome(Outcome::new("scheduled").passing()).when(When::Held);
    let words = vec![
        held(Fate::Delivered).times(3),
        scheduled,
        held(Fate::MailboxFull),
        held(Fate::Delivered),
    ];
    let id = sent_with(&app, &vendor.desk, RECIPIENT, words).await;
    vendor.desk.release().await;
    let voicemail = app.get(&id).await;
    assert_eq!(voicemail.status(), Status::Delivered);
    let late = &voicemail.attempts[0].late_outcome;
    assert!(late.starts_with("NOT_DELIVERED"), "{late}");
    assert!(
        app.metrics()
            .await
            .contains("ringless_late_outcomes_total 1\n")
    );
}

async fn unknown_words_and_probes_are_kept_and_change_nothing(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let words = vec![
        held(Fate::Unheard),
        Word::probe().when(When::Held),
        Word::bytes(Some("application/json"), "{not json").when(When::Held),
        Word::bytes(Some("application/json"), vec![0xff, 0, 0xfe]).when(When::Held),
    ];
    let id = sent_with(&app, &vendor.desk, RECIPIENT, words).await;
    for said in vendor.desk.release().await {
        assert_eq!(said.status, Some(200), "{said:?}");
    }
    let voicemail = app.get(&id).await;
    assert_eq!(voicemail.status(), Status::Sent);
    assert_eq!(voicemail.attempts[0].carrier_code, "rerouted");
    // All but the probe are kept as they came.
    let kept = app.database.count("SELECT count(*) FROM callbacks");
    assert_eq!(kept, 3);
    let unheard = "ringless_carrier_words_total{carrier=\"voicedrop\",door=\"callback\",said=\"unheard\",did=\"kept\"} 3";
    assert!(app.metrics().await.contains(unheard));
    let url = callback_url(&vendor.desk).await;
    post(&url, "application/json", r#"{"status":"delivered"}"#).await;
    assert_eq!(app.get(&id).await.status(), Status::Delivered);
}

async fn a_token_that_is_not_ours_opens_nothing(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let id = sent_with(
        &app,
        &vendor.desk,
        RECIPIENT,
        vec![held(Fate::Delivered).forged()],
    )
    .await;
    let said = vendor.desk.release().await;
    assert_eq!((said[0].status, said[0].answer.as_str()), (Some(404), ""));
    let url = callback_url(&vendor.desk).await;
    let (start, token) = url.rsplit_once('/').unwrap();
    let elsewhere = start.replace("/voicedrop", "/cowboy");
    let body = r#"{"status":"delivered"}"#;
    for url in [
        format!("{start}/"),
        format!("{start}/x"),
        format!("{start}/{}", &token[1..]),
        format!("{start}/{token}x"),
        format!("{elsewhere}/{token}"),
        format!("{url}/more"),
    ] {
        let heard = post(&url, "application/json", body).await;
        assert_eq!((heard.status, heard.body.len()), (404, 0), "{url}");
    }
    let client = Client::new();
    let patched = client.call(Method::PATCH, &url, &[], Bytes::new(), BOUNDS);
    assert_eq!(patched.await.unwrap().status, 404);
    assert_eq!(app.get(&id).await.status(), Status::Sent);
    // One that was ours, of a voicemail that is gone.
    let forget = "UPDATE hand_overs SET token_hash = NULL";
    app.database.sql(forget, forget);
    assert_eq!(post(&url, "application/json", body).await.status, 404);
    assert!(
        app.metrics()
            .await
            .contains("ringless_strangers_total{door=\"callback\"} 6\n")
    );
}

async fn a_callback_that_names_another_number_is_not_believed(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let id = sent_with(&app, &vendor.desk, RECIPIENT, Vec::new()).await;
    let url = callback_url(&vendor.desk).await;
    let body = |number: &str| json!({"status": "delivered", "sent_to": number}).to_string();
    post(&url, "application/json", body("12125550199")).await;
    let voicemail = app.get(&id).await;
    assert_eq!(voicemail.status(), Status::Sent);
    assert_eq!(voicemail.attempts[0].carrier_code, "");
    post(&url, "application/json", body("(212) 555-0123")).await;
    assert_eq!(app.get(&id).await.status(), Status::Delivered);
}

async fn bodies_are_taken_up_to_64_kib_and_kept_up_to_50(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let id = sent_with(&app, &vendor.desk, RECIPIENT, Vec::new()).await;
    let url = callback_url(&vendor.desk).await;
    let kept = || app.database.count("SELECT count(*) FROM callbacks");
    for (length, status) in [(65_535, 200), (65_536, 200), (65_537, 413)] {
        let body = format!("{{\"x\":\"{}\"}}", "a".repeat(length - 8));
        assert_eq!(body.len(), length);
        let heard = post(&url, "application/json", body).await;
        assert_eq!(heard.status, status, "{length}");
    }
    assert_eq!(kept(), 2);
    for number in 3..=51 {
        let heard = post(&url, "application/json", r#"{"status":"odd"}"#).await;
        assert_eq!(heard.status, 200);
        assert_eq!(kept(), i64::min(number, 50));
    }
    // What is not kept is read all the same.
    post(&url, "application/json", r#"{"status":"delivered"}"#).await;
    assert_eq!(kept(), 50);
    assert_eq!(app.get(&id).await.status(), Status::Delivered);
}

async fn a_callback_that_was_kept_and_not_read_is_read_later(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let id = sent_with(&app, &vendor.desk, RECIPIENT, Vec::new()).await;
    let url = callback_url(&vendor.desk).await;
    post(&url, "application/json", r#"{"status":"odd"}"#).await;
    // As a process leaves it that dies between the two.
    let update = "UPDATE callbacks SET said = NULL, body =";
    let delivered = "7b22737461747573223a2264656c697665726564227d";
    app.database.sql(
        &format!("{update} x'{delivered}'"),
        &format!("{update} '\\x{delivered}'"),
    );
    app.clock.advance(Duration::from_secs(31));
    let voicemail = app.wait_for(&id, Status::Delivered).await;
    assert_eq!(voicemail.attempts[0].carrier_code, "delivered");
}

const VOICEMAILS: usize = 200;

/// 200 voicemails, and of each five callbacks: it is scheduled, it ended, the same again, a word that no
/// document has, and a lie under a token that is not ours. Gives the ends by recipient.
async fn a_thousand(engine: Engine, shuffle: Option<u64>) -> BTreeMap<String, (i32, i32)> {
    const FATES: [Fate; 6] = [
        Fate::Delivered,
        Fate::MailboxFull,
        Fate::NoMailbox,
        Fate::NotMobile,
        Fate::InvalidNumber,
        Fate::AnswerSupervision,
    ];
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let mut ids = BTreeMap::new();
    for at in 0..VOICEMAILS {
        let recipient = format!("+1{}55501{:02}", 312 + at / 100, at % 100);
        let fate = FATES[at % FATES.len()];
        let lie = match fate {
            Fate::Delivered => Fate::Dnc,
            _ => Fate::Delivered,
        };
        let scheduled = Word::outcome(Outcome::new("scheduled").passing()).when(When::Held);
        let words = vec![
            scheduled,
            held(fate),
            held(fate),
            held(Fate::Unheard),
            held(lie).forged(),
        ];
        let play = Play::accept().words(Words::These(words));
        vendor.desk.play_for(&recipient, play);
        ids.insert(recipient.clone(), app.send_to(&recipient).await);
    }
    wait_until(|| async { vendor.desk.held_count() == VOICEMAILS * 5 }).await;
    let mut all = vendor.desk.held();
    if let Some(seed) = shuffle {
        // Fisher and Yates, by a small generator of our own, so that the same seed is the same order.
        let mut state = seed;
        for at in (1..all.len()).rev() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let other = usize::try_from(state >> 33).unwrap() % (at + 1);
            all.swap(at, other);
        }
    }
    let mut said = tokio::task::JoinSet::new();
    for held in all {
        if said.len() >= 8 {
            said.join_next().await.unwrap().unwrap();
        }
        let desk = vendor.desk.clone();
        said.spawn(async move {
            let is_lie = held.word.is_forged;
            for said in desk.say(&held).await {
                // Too many lies in a row hear 429.
                let is_right = match is_lie {
                    true => matches!(said.status, Some(404 | 429)),
                    false => said.status == Some(200),
                };
                assert!(is_right, "{said:?}");
            }
        });
    }
    while let Some(done) = said.join_next().await {
        done.unwrap();
    }
    let mut ends = BTreeMap::new();
    for (recipient, id) in ids {
        let voicemail = app.get(&id).await;
        assert_eq!(voicemail.attempts[0].late_outcome, "", "{voicemail:?}");
        ends.insert(recipient, (voicemail.status, voicemail.failure_reason));
    }
    ends
}

async fn a_thousand_callbacks_in_any_order_come_to_the_same_ends(engine: Engine) {
    let orderly = a_thousand(engine, None).await;
    assert!(
        orderly
            .values()
            .all(|(status, _)| *status >= Status::Delivered as i32)
    );
    let seed = uuid::Uuid::new_v4().as_u64_pair().0;
    let shuffled = a_thousand(engine, Some(seed)).await;
    assert_eq!(shuffled, orderly, "seed {seed}");
}
