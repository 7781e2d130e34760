//! The signed webhooks of a Drop Cowboy account: whom they are believed, and of which message.

use axum::http::Method;
use ringless::grpc::pb::VoicemailStatus as Status;

use crate::support::Engine;
use crate::support::app::TestApp;
use crate::support::vendors::{Stage, wait_until};
use crate::vendors::client::Client;
use crate::vendors::drop_cowboy_v2::hooks::{event, sign};
use crate::vendors::play::{Fate, Outcome, Play, Words};
use crate::vendors::say::Held;
use crate::vendors_speak::{BOUNDS, RECIPIENT, held, sent_with};

crate::on_both_databases!(
    signed_webhooks_alone_are_enough,
    a_webhook_is_matched_by_number_only_where_that_is_certain,
    an_account_fault_that_a_number_alone_tells_sends_nothing_anew,
    webhooks_are_heard_once_and_only_where_they_are_signed,
);

/// The account's webhook at our door.
fn hook(app: &TestApp, vendor: &crate::vendors::drop_cowboy_v2::DropCowboyV2) {
    let url = format!("http://{}/webhooks/cowboy", app.running.http_addr());
    let events = ["contact.rvm.status", "contact.rvm.receipt"].map(str::to_owned);
    vendor.hooks.add(&url, events.to_vec()).unwrap();
}

async fn signed_webhooks_alone_are_enough(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.cowboy("").await;
    let app = stage.start().await;
    hook(&app, &vendor.vendor);
    for (at, (fate, status)) in [
        (Fate::Delivered, Status::Delivered),
        (Fate::Busy, Status::NotDelivered),
    ]
    .into_iter()
    .enumerate()
    {
        vendor.desk.play(Play::accept().words(Words::Silent(fate)));
        app.sent_to(&format!("+1212555010{at}"), status).await;
    }
    // Both doors at once say the same.
    let voicemail = app.sent_to(RECIPIENT, Status::Delivered).await;
    let heard = "SELECT count(*) FROM webhook_events WHERE said <> ''";
    wait_until(|| async { app.database.count(heard) == 5 }).await;
    assert_eq!(app.get(&voicemail.id).await.attempts[0].late_outcome, "");
    let unmatched = app
        .database
        .count("SELECT count(*) FROM webhook_events WHERE hand_over_id IS NULL");
    // The receipt of one that its number alone tells comes after its end: it is known by its id by then.
    assert_eq!(unmatched, 0);
}

async fn a_webhook_is_matched_by_number_only_where_that_is_certain(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.cowboy("").await;
    let app = stage.start().await;
    let one = sent_with(&app, &vendor.desk, RECIPIENT, Vec::new()).await;
    let two = sent_with(&app, &vendor.desk, RECIPIENT, Vec::new()).await;
    let url = format!("http://{}/webhooks/cowboy", app.running.http_addr());
    let delivered = Outcome::new("success").delivered();
    let taken = vendor.desk.taken();
    let tell = async |at: usize| {
        let event = event(
            "contact.rvm.status",
            &taken[at],
            &delivered,
            vendor.desk.now_us(),
        );
        let hooks = &vendor.vendor.hooks;
        hooks
            .post(&vendor.desk, &url, taken[at].number, &event, 1)
            .await
    };
    assert_eq!(tell(0).await.status, Some(200));
    for id in [&one, &two] {
        assert_eq!(app.get(id).await.status(), Status::Sent);
    }
    let unmatched = "did=\"unmatched\"} 1";
    assert!(app.metrics().await.contains(unmatched));
    // The callback of one of them names the drop; from then on its events are known by that.
    let word = held(Fate::Delivered);
    vendor
        .desk
        .say(&Held {
            taken: taken[0].clone(),
            word,
        })
        .await;
    assert_eq!(app.get(&one).await.status(), Status::Delivered);
    tell(0).await;
    assert_eq!(app.get(&two).await.status(), Status::Sent);
    // And only one is open now.
    tell(1).await;
    assert_eq!(app.get(&two).await.status(), Status::Delivered);
}

async fn an_account_fault_that_a_number_alone_tells_sends_nothing_anew(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.cowboy("").await;
    let app = stage.start().await;
    let id = sent_with(&app, &vendor.desk, RECIPIENT, Vec::new()).await;
    let url = format!("http://{}/webhooks/cowboy", app.running.http_addr());
    let taken = vendor.desk.taken();
    // Perhaps of a message that somebody else sent to this number by the same account.
    let broke = Outcome::new("failure").code(3000).reason("no funds");
    let now_us = vendor.desk.now_us();
    let event = event("contact.rvm.status", &taken[0], &broke, now_us);
    let hooks = &vendor.vendor.hooks;
    let said = hooks.post(&vendor.desk, &url, taken[0].number, &event, 1);
    assert_eq!(said.await.status, Some(200));
    assert_eq!(app.get(&id).await.status(), Status::Sent);
    assert!(app.setup().await.pause.is_none());
    assert_eq!(vendor.desk.taken().len(), 1);
}

async fn webhooks_are_heard_once_and_only_where_they_are_signed(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.cowboy("").await;
    let _other = stage.voicedrop("").await;
    let app = stage.start().await;
    let id = sent_with(&app, &vendor.desk, RECIPIENT, Vec::new()).await;
    let base = format!("http://{}/webhooks", app.running.http_addr());
    let outcome = Outcome::new("failure").code(4002).reason("mailbox full");
    let taken = vendor.desk.taken()[0].clone();
    let body = event("contact.rvm.status", &taken, &outcome, vendor.desk.now_us()).to_string();
    let now = vendor.desk.now_us() / 1_000_000;
    let secret = vendor.vendor.hooks.secret();
    let call = async |url: String, timestamp: i64, signature: String| {
        let timestamp = timestamp.to_string();
        let headers = [
            ("content-type", "application/json"),
            ("x-timestamp", timestamp.as_str()),
            ("x-signature", signature.as_str()),
            ("x-signature-version", "v1"),
        ];
        let client = Client::new();
        let called = client.call(Method::POST, &url, &headers, body.clone().into(), BOUNDS);
        called.await.unwrap().status
    };
    let cowboy = format!("{base}/cowboy");
    let good = sign(&secret, now, body.as_bytes());
    assert_eq!(
        call(cowboy.clone(), now, sign("guess", now, body.as_bytes())).await,
        401
    );
    assert_eq!(call(cowboy.clone(), now, String::new()).await, 401);
    let old = now - 301;
    assert_eq!(
        call(cowboy.clone(), old, sign(&secret, old, body.as_bytes())).await,
        401
    );
    assert_eq!(
        call(format!("{base}/voicedrop"), now, good.clone()).await,
        404
    );
    assert_eq!(call(format!("{base}/nobody"), now, good.clone()).await, 404);
    assert_eq!(app.get(&id).await.status(), Status::Sent);
    for _ in 0..3 {
        assert_eq!(call(cowboy.clone(), now, good.clone()).await, 200);
    }
    assert_eq!(app.get(&id).await.status(), Status::NotDelivered);
    let events = app.database.count("SELECT count(*) FROM webhook_events");
    assert_eq!(events, 1);
    assert!(app.metrics().await.contains("did=\"repeat\"} 2"));
}
