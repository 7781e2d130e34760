//! Accounts with vendors: what they may be given, what they keep, and whether they can send.

use std::time::Duration;

use ringless::carrier::{Finding, Verdict};
use ringless::domain::phone::PhoneNumber;
use ringless::grpc::pb;
use ringless::grpc::pb::{FailureReason as Reason, VoicemailStatus as Status};
use serde_json::json;

use crate::support::app::facts;
use crate::support::vendors::{Stage, open};
use crate::support::{Engine, later_address};
use crate::vendors::desk::Desk;
use crate::vendors::play::{Answer, Ending, Fate, Play};
use crate::vendors::{drop_cowboy_v1, drop_cowboy_v2, slybroadcast, voicedrop};
use crate::vendors_deliver::goes_through;

crate::on_both_databases!(
    audio_is_uploaded_once_where_that_is_asked_for,
    audio_that_was_refused_is_uploaded_anew,
    an_upload_that_fails_is_tried_again_and_nothing_is_sent_meanwhile,
    a_use_case_about_health_care_refuses_accounts_that_forbid_it,
    two_accounts_of_one_kind_are_kept_apart,
);

const RECIPIENT: &str = "+12125550123";

async fn audio_is_uploaded_once_where_that_is_asked_for(engine: Engine) {
    let mut stage = Stage::new(engine);
    let voicedrop = stage.voicedrop("audio = 'upload'").await;
    let app = stage.start().await;
    goes_through(&app, &voicedrop.desk).await;
    app.sent_to("+12125550124", Status::Delivered).await;
    let uploads = |desk: &Desk, path: &str| {
        let requests = desk.requests();
        requests.iter().filter(|seen| seen.path == path).count()
    };
    assert_eq!(uploads(&voicedrop.desk, "/v1/upload-static-audio"), 1);

    let mut stage = Stage::new(engine);
    let cowboy = stage.cowboy("audio = 'upload'").await;
    let app = stage.start().await;
    goes_through(&app, &cowboy.desk).await;
    app.sent_to("+12125550124", Status::Delivered).await;
    assert_eq!(uploads(&cowboy.desk, "/media/public/media"), 1);
    assert_eq!(cowboy.desk.wrongs(), Vec::<String>::new());
}

async fn audio_that_was_refused_is_uploaded_anew(engine: Engine) {
    let mut stage = Stage::new(engine);
    let cowboy = stage.cowboy("audio = 'upload'").await;
    let app = stage.start().await;
    // By the answer to the send, and by its word afterwards.
    cowboy.desk.play(Play::refusing(
        Answer::json(413, &json!({"detail": "too large"})).into(),
    ));
    app.sent_to(RECIPIENT, Status::Failed).await;
    cowboy.desk.play(Play::fate(Fate::BadAudio));
    let refused = app.sent_to("+12125550124", Status::Failed).await;
    assert_eq!(refused.failure_reason(), Reason::AudioRejected);
    app.sent_to("+12125550125", Status::Delivered).await;
    let requests = cowboy.desk.requests();
    let is_upload = |path: &str| path == "/media/public/media";
    let uploads = requests.iter().filter(|seen| is_upload(&seen.path)).count();
    assert_eq!(uploads, 3);
}

async fn an_upload_that_fails_is_tried_again_and_nothing_is_sent_meanwhile(engine: Engine) {
    let mut stage = Stage::new(engine);
    // Where uploads go there is nobody.
    let addr = later_address();
    let key = stage.secret("key", "some-key");
    stage.carrier(
        "voicedrop",
        &format!(
            "kind = 'voicedrop'\nbase_url = 'http://{addr}/v1'\nauth_key = {key}\naudio = 'upload'"
        ),
    );
    let app = stage.start().await;
    let id = app.send_to(RECIPIENT).await;
    let voicemail = app.wait_for_attempts(&id, 1).await;
    assert_eq!(voicemail.status(), Status::Accepted);
    let outcome = voicemail.attempts[0].outcome();
    assert_eq!(outcome, pb::AttemptOutcome::TryAgain);
    // The vendor comes back.
    let settings = voicedrop::Settings {
        common: crate::vendors::desk::Common {
            addr,
            ..Default::default()
        },
        auth_key: "some-key".to_owned(),
        ..Default::default()
    };
    let vendor = voicedrop::VoiceDrop::start(settings).await.unwrap();
    app.clock.advance(Duration::from_secs(10));
    app.wait_for(&id, Status::Delivered).await;
    assert_eq!(vendor.desk.drops().len(), 1);
}

async fn a_use_case_about_health_care_refuses_accounts_that_forbid_it(engine: Engine) {
    let mut stage = Stage::new(engine);
    let _vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let refused = app
        .new_use_case("Results", Some(pb::Purpose::Healthcare))
        .await
        .unwrap_err();
    let (_, reason, metadata) = facts(&refused);
    assert_eq!(reason, "HEALTH_INFORMATION_FORBIDDEN");
    assert_eq!(metadata["carriers"], "voicedrop");
    // One that becomes it is refused too, and so are its sends where it was it already.
    let use_case = pb::UseCase {
        id: app.use_case_id.clone(),
        purpose: pb::Purpose::Healthcare as i32,
        ..pb::UseCase::default()
    };
    let request = pb::UpdateUseCaseRequest {
        use_case: Some(use_case),
        update_mask: None,
    };
    let refused = app.use_cases().update_use_case(request).await.unwrap_err();
    assert_eq!(facts(&refused).1, "HEALTH_INFORMATION_FORBIDDEN");
    let about_health = "UPDATE use_cases SET purpose = 1";
    app.database.sql(about_health, about_health);
    let refused = app.send_stored(|_| {}).await.unwrap_err();
    assert_eq!(facts(&refused).1, "HEALTH_INFORMATION_FORBIDDEN");

    // Of two accounts the one that may have it is used, though it stands behind.
    let mut stage = Stage::new(engine);
    let without = stage.voicedrop("").await;
    let with = stage.cowboy("baa_reference = 'BAA of 2026-03-01'").await;
    let mut app = stage.start().await;
    app.use_case_id = app
        .new_use_case("Results", Some(pb::Purpose::Healthcare))
        .await
        .unwrap();
    app.sent_to(RECIPIENT, Status::Delivered).await;
    assert_eq!(
        (without.desk.taken().len(), with.desk.taken().len()),
        (0, 1)
    );
}

async fn two_accounts_of_one_kind_are_kept_apart(engine: Engine) {
    let mut stage = Stage::new(engine);
    let first = stage.voicedrop("audio = 'upload'").await;
    let settings = voicedrop::Settings {
        common: stage.common(),
        auth_key: "another-key".to_owned(),
        ..Default::default()
    };
    let key = stage.secret("another", &settings.auth_key);
    let second = voicedrop::VoiceDrop::start(settings).await.unwrap();
    let base_url = second.vendor.base_url();
    stage.carrier(
        "another",
        &format!("kind = 'voicedrop'\nbase_url = '{base_url}'\nauth_key = {key}\naudio = 'upload'"),
    );
    let app = stage.start().await;
    app.sent_to(RECIPIENT, Status::Delivered).await;
    // The first refuses the way, so the second has it: with an upload of its own.
    let refusal = Ending::Refusal("from number is not verified".to_owned());
    first.desk.play(Play::refusing(refusal));
    let voicemail = app.sent_to("+12125550124", Status::Delivered).await;
    let tried: Vec<&str> = voicemail
        .attempts
        .iter()
        .map(|it| it.carrier.as_str())
        .collect();
    assert_eq!(tried, ["voicedrop", "another"]);
    for desk in [&first.desk, &second.desk] {
        assert_eq!(desk.wrongs(), Vec::<String>::new());
        assert_eq!(desk.drops().len(), 1);
    }
}

fn said(findings: &[Finding], verdict: Verdict) -> String {
    let found = findings.iter().filter(|it| it.verdict == verdict);
    found
        .map(|it| it.what.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Looks at accounts as `ringless carrier check` does, with secrets in files.
struct Checks(tempfile::TempDir);

impl Checks {
    fn new() -> Checks {
        Checks(tempfile::tempdir().unwrap())
    }

    fn secret(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("{{ file = '{}' }}", path.display())
    }

    async fn check(&self, kind: &str, lines: String) -> Vec<Finding> {
        let number = |text: &str| PhoneNumber::from_stored(text.to_owned());
        let senders = ["+12125550195", "+12125550196"].map(number);
        open(kind, &lines, self.0.path()).check(&senders).await
    }
}

#[tokio::test]
async fn a_check_of_voicedrop_tells_good_from_bad() {
    let desk = Checks::new();
    let wrong = desk.secret("wrong", "wrong");
    let vendor = voicedrop::VoiceDrop::start(voicedrop::Settings {
        verified: vec!["+12125550195".to_owned()],
        ..Default::default()
    })
    .await
    .unwrap();
    let base = format!("base_url = '{}'\n", vendor.vendor.base_url());
    let key = desk.secret("vd", "played-voicedrop-key");
    let found = desk
        .check("voicedrop", format!("{base}auth_key = {key}"))
        .await;
    let good = said(&found, Verdict::Good);
    assert!(
        good.contains("credentials") && good.contains("1000 voice units"),
        "{good}"
    );
    assert!(good.contains("+12125550195 is verified"), "{good}");
    assert!(said(&found, Verdict::Bad).contains("+12125550196 is not"));
    let found = desk
        .check("voicedrop", format!("{base}auth_key = {wrong}"))
        .await;
    assert!(
        said(&found, Verdict::Bad).contains("answers 401"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_check_of_drop_cowboy_v2_tells_good_from_bad() {
    let desk = Checks::new();
    let wrong = desk.secret("wrong", "wrong");
    let settings = drop_cowboy_v2::Settings {
        test_numbers_only: true,
        ..Default::default()
    };
    let line = settings.line_id.clone();
    let vendor = drop_cowboy_v2::DropCowboyV2::start(settings).await.unwrap();
    let base = format!("base_url = '{}'\n", vendor.vendor.base_url());
    let (key, pass) = (
        desk.secret("k", "played-dropcowboy-key"),
        desk.secret("s", "played-dropcowboy-secret"),
    );
    let lines = format!("{base}key = {key}\nsecret = {pass}\nphone_line_id = ");
    let found = desk
        .check("drop_cowboy_v2", format!("{lines}'{line}'"))
        .await;
    assert!(said(&found, Verdict::Good).contains("phone_line_id is one"));
    assert!(said(&found, Verdict::Bad).contains("simulator's numbers only"));
    let found = desk
        .check("drop_cowboy_v2", format!("{lines}'other'"))
        .await;
    assert!(said(&found, Verdict::Bad).contains("phone_line_id is none"));
    let found = desk
        .check(
            "drop_cowboy_v2",
            format!("{base}key = {key}\nsecret = {wrong}"),
        )
        .await;
    assert!(
        said(&found, Verdict::Bad).contains("answers 401"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_check_of_drop_cowboy_v1_tells_good_from_bad() {
    let desk = Checks::new();
    let wrong = desk.secret("wrong", "wrong");
    let settings = drop_cowboy_v1::Settings::default();
    let (team, brand) = (settings.team_id.clone(), settings.brand_id.clone());
    let vendor = drop_cowboy_v1::DropCowboyV1::start(settings).await.unwrap();
    let base = format!(
        "base_url = '{}'\nteam_id = '{team}'\n",
        vendor.vendor.base_url()
    );
    let pass = desk.secret("s1", "played-dropcowboy-v1-secret");
    let found = desk
        .check(
            "drop_cowboy_v1",
            format!("{base}secret = {pass}\nbrand_id = '{brand}'"),
        )
        .await;
    assert!(
        said(&found, Verdict::Good).contains("brand_id is one"),
        "{found:?}"
    );
    let found = desk
        .check("drop_cowboy_v1", format!("{base}secret = {wrong}"))
        .await;
    assert!(
        said(&found, Verdict::Bad).contains("answers 401"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_check_of_slybroadcast_tells_good_from_bad() {
    let desk = Checks::new();
    let wrong = desk.secret("wrong", "wrong");
    let vendor = slybroadcast::Slybroadcast::start(slybroadcast::Settings {
        messages_left: 0,
        ..Default::default()
    })
    .await
    .unwrap();
    let pass = desk.secret("sly", "played-slybroadcast-password");
    for url in [vendor.vendor.json_url(), vendor.vendor.text_url()] {
        let base = format!("base_url = '{url}'\nuid = 'played@example.com'\n");
        let found = desk
            .check("slybroadcast", format!("{base}password = {pass}"))
            .await;
        assert!(
            said(&found, Verdict::Good).contains("credentials"),
            "{found:?}"
        );
        assert!(said(&found, Verdict::Bad).contains("no messages are left"));
        let found = desk
            .check("slybroadcast", format!("{base}password = {wrong}"))
            .await;
        assert!(
            said(&found, Verdict::Bad).contains("c_password"),
            "{found:?}"
        );
    }
}
