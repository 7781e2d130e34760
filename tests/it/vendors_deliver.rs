//! Voicemails through each adapter, against its played vendor: with only the configuration changed, from
//! SendVoicemail to DELIVERED, and through each failure to its reason.

use std::time::Duration;

use ringless::app::SAMPLE_MP3;
use ringless::carrier::Verdict;
use ringless::domain::phone::PhoneNumber;
use ringless::grpc::pb;
use ringless::grpc::pb::{FailureReason as Reason, VoicemailStatus as Status};
use serde_json::json;

use crate::support::Engine;
use crate::support::app::{TestApp, facts};
use crate::support::vendors::{SENDER, Stage, open};
use crate::vendors::desk::Desk;
use crate::vendors::fields::last_ten;
use crate::vendors::play::{Answer, Ending, Fate, Play};

crate::on_both_databases!(
    a_voicemail_goes_through_voicedrop,
    a_voicemail_goes_through_drop_cowboy_v2,
    a_voicemail_goes_through_drop_cowboy_v1,
    a_voicemail_goes_through_slybroadcast,
    audio_is_uploaded_once_where_that_is_asked_for,
    audio_that_was_refused_is_uploaded_anew,
    an_upload_that_fails_is_tried_again_and_nothing_is_sent_meanwhile,
    each_failure_has_its_reason,
    drop_cowboys_simulator_numbers_do_what_they_are_said_to,
    a_use_case_about_health_care_refuses_accounts_that_forbid_it,
    a_refused_request_is_not_sent_again,
    too_fast_is_tried_again_when_the_carrier_says,
    two_accounts_of_one_kind_are_kept_apart,
);

const RECIPIENT: &str = "+12125550123";

/// One goes through: taken once, dropped once, byte for byte, and the vendor found no fault.
async fn goes_through(app: &TestApp, desk: &Desk) -> pb::Voicemail {
    let mut metadata = app.metadata();
    metadata.recipient_phone_number = RECIPIENT.to_owned();
    let sent = app.send(metadata, SAMPLE_MP3).await.unwrap();
    let voicemail = app.wait_for(&sent.id, Status::Delivered).await;
    assert_eq!(desk.wrongs(), Vec::<String>::new());
    let drops = desk.drops();
    assert_eq!(drops.len(), 1);
    assert_eq!(last_ten(&drops[0].recipient), last_ten(RECIPIENT));
    assert_eq!(last_ten(&drops[0].sender), last_ten(SENDER));
    let sha256 = drops[0].sha256.clone().unwrap();
    assert_eq!(sha256, voicemail.audio.as_ref().unwrap().sha256);
    assert_eq!(desk.sound(&sha256).unwrap().as_ref(), SAMPLE_MP3);
    assert!(!voicemail.simulated);
    let attempt = &voicemail.attempts[0];
    assert_eq!(voicemail.attempts.len(), 1);
    assert_eq!(attempt.outcome(), pb::AttemptOutcome::Taken);
    assert!(!attempt.carrier_reference.is_empty());
    voicemail
}

async fn a_voicemail_goes_through_voicedrop(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let voicemail = goes_through(&app, &vendor.desk).await;
    assert_eq!(voicemail.attempts[0].carrier, "voicedrop");
    assert_eq!(voicemail.attempts[0].carrier_code, "delivered");
    assert_eq!(voicemail.attempts[0].cost, None);
}

async fn a_voicemail_goes_through_drop_cowboy_v2(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.cowboy("").await;
    let app = stage.start().await;
    let voicemail = goes_through(&app, &vendor.desk).await;
    let attempt = &voicemail.attempts[0];
    assert_eq!(attempt.carrier_code, "0");
    let cost = attempt.cost.as_ref().unwrap();
    assert_eq!((cost.micros, cost.currency_code.as_str()), (35_000, "USD"));
    // The id that its answer gave, by which its support finds it.
    assert_eq!(attempt.carrier_reference, vendor.desk.taken()[0].id);
}

async fn a_voicemail_goes_through_drop_cowboy_v1(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.cowboy_v1("").await;
    let app = stage.start().await;
    let voicemail = goes_through(&app, &vendor.desk).await;
    assert_eq!(voicemail.attempts[0].cost.as_ref().unwrap().micros, 40_000);
}

async fn a_voicemail_goes_through_slybroadcast(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.slybroadcast("mobile_only = true").await;
    let app = stage.start().await;
    goes_through(&app, &vendor.desk).await;
    // It heard `OK` at once.
    assert_eq!(vendor.desk.callbacks().len(), 1);
}

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
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = nowhere.local_addr().unwrap();
    drop(nowhere);
    let key = stage.secret("key", "some-key");
    stage.carrier(
        "voicedrop",
        &format!(
            "kind = 'voicedrop'\nbase_url = 'http://{addr}/v1'\nauth_key = {key}\naudio = 'upload'"
        ),
    );
    let app = stage.start().await;
    let id = app.send_to(RECIPIENT).await;
    let voicemail = wait_for_attempts(&app, &id, 1).await;
    assert_eq!(voicemail.status(), Status::Accepted);
    let outcome = voicemail.attempts[0].outcome();
    assert_eq!(outcome, pb::AttemptOutcome::TryAgain);
    // The vendor comes back.
    let settings = crate::vendors::voicedrop::Settings {
        common: crate::vendors::desk::Common {
            addr,
            ..Default::default()
        },
        auth_key: "some-key".to_owned(),
        ..Default::default()
    };
    let vendor = crate::vendors::voicedrop::VoiceDrop::start(settings)
        .await
        .unwrap();
    app.clock.advance(Duration::from_secs(10));
    app.wait_for(&id, Status::Delivered).await;
    assert_eq!(vendor.desk.drops().len(), 1);
}

/// Looks until so many attempts have ended.
async fn wait_for_attempts(app: &TestApp, id: &str, count: usize) -> pb::Voicemail {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let voicemail = app.get(id).await;
        let ended = voicemail.attempts.iter().filter(|it| it.end_time.is_some());
        if ended.count() >= count {
            return voicemail;
        }
        assert!(tokio::time::Instant::now() < deadline, "{voicemail:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What each vendor can say of a message that it took, and what becomes of it.
async fn each_failure_has_its_reason(engine: Engine) {
    use Status::{Failed, NotDelivered, Skipped};
    let mut stage = Stage::new(engine);
    let voicedrop = stage.voicedrop("").await;
    let app = stage.start().await;
    expect(
        &app,
        &voicedrop.desk,
        &[
            (Fate::MailboxFull, NotDelivered, Reason::MailboxFull),
            (Fate::NoMailbox, NotDelivered, Reason::NoMailbox),
            (
                Fate::NotDetected,
                NotDelivered,
                Reason::VoicemailNotDetected,
            ),
            (Fate::Unreachable, NotDelivered, Reason::Unreachable),
            (Fate::NoAnswer, NotDelivered, Reason::NoAnswer),
            (Fate::Busy, NotDelivered, Reason::Busy),
            (
                Fate::AnswerSupervision,
                NotDelivered,
                Reason::AnswerSupervision,
            ),
            (Fate::InvalidNumber, Failed, Reason::InvalidNumber),
            (Fate::NotMobile, Skipped, Reason::NotMobile),
            (Fate::Dnc, Skipped, Reason::CarrierDnc),
            (Fate::BadAudio, Failed, Reason::AudioRejected),
        ],
    )
    .await;

    let mut stage = Stage::new(engine);
    let cowboy = stage.cowboy("").await;
    let app = stage.start().await;
    expect(
        &app,
        &cowboy.desk,
        &[
            (Fate::MailboxFull, NotDelivered, Reason::MailboxFull),
            (Fate::NoMailbox, NotDelivered, Reason::NoMailbox),
            (
                Fate::NotDetected,
                NotDelivered,
                Reason::VoicemailNotDetected,
            ),
            (Fate::Unreachable, NotDelivered, Reason::Unreachable),
            (Fate::NoAnswer, NotDelivered, Reason::NoAnswer),
            (Fate::Busy, NotDelivered, Reason::Busy),
            (Fate::Dnc, Skipped, Reason::InternalDnc),
            (Fate::BadAudio, Failed, Reason::AudioRejected),
        ],
    )
    .await;

    let mut stage = Stage::new(engine);
    let cowboy_v1 = stage.cowboy_v1("").await;
    let app = stage.start().await;
    expect(
        &app,
        &cowboy_v1.desk,
        &[
            (Fate::MailboxFull, NotDelivered, Reason::MailboxFull),
            (Fate::NoMailbox, NotDelivered, Reason::NoMailbox),
            (Fate::Busy, NotDelivered, Reason::Busy),
            (Fate::InvalidNumber, Failed, Reason::InvalidNumber),
            (Fate::NotMobile, Skipped, Reason::NotMobile),
            (Fate::Dnc, Skipped, Reason::CarrierDnc),
            (Fate::BadAudio, Failed, Reason::AudioRejected),
        ],
    )
    .await;

    let mut stage = Stage::new(engine);
    let slybroadcast = stage.slybroadcast("").await;
    let app = stage.start().await;
    expect(
        &app,
        &slybroadcast.desk,
        &[
            (Fate::MailboxFull, NotDelivered, Reason::MailboxFull),
            (Fate::NoMailbox, NotDelivered, Reason::NoMailbox),
            (
                Fate::NotDetected,
                NotDelivered,
                Reason::VoicemailNotDetected,
            ),
            (Fate::Unreachable, NotDelivered, Reason::Unreachable),
            (Fate::Busy, NotDelivered, Reason::Busy),
            (Fate::InvalidNumber, Failed, Reason::InvalidNumber),
            (Fate::NotMobile, Skipped, Reason::NotMobile),
            (Fate::Dnc, Skipped, Reason::CarrierDnc),
            (Fate::BadAudio, Failed, Reason::AudioRejected),
        ],
    )
    .await;
}

async fn expect(app: &TestApp, desk: &Desk, table: &[(Fate, Status, Reason)]) {
    for (at, (fate, status, reason)) in table.iter().enumerate() {
        let recipient = format!("+121255501{at:02}");
        desk.play_for(&recipient, Play::fate(*fate));
        let voicemail = app.sent_to(&recipient, *status).await;
        assert_eq!(voicemail.failure_reason(), *reason, "{fate:?}");
        let attempt = &voicemail.attempts[0];
        assert_eq!(attempt.failure_reason(), *reason, "{fate:?}");
        let words = format!("{}{}", attempt.carrier_code, attempt.carrier_detail);
        assert!(!words.is_empty(), "{fate:?}");
    }
    assert_eq!(desk.wrongs(), Vec::<String>::new());
}

async fn drop_cowboys_simulator_numbers_do_what_they_are_said_to(engine: Engine) {
    use Status::{Delivered, Failed, NotDelivered, Skipped};
    let mut stage = Stage::new(engine);
    stage.with("[numbers]\nalso_valid = ['+1555001*']");
    let _vendor = stage.cowboy("").await;
    let app = stage.start().await;
    for (last, status, reason) in [
        ("0001", Delivered, Reason::Unspecified),
        ("0002", NotDelivered, Reason::VoicemailNotDetected),
        ("0004", NotDelivered, Reason::NoAnswer),
        ("0005", NotDelivered, Reason::Busy),
        ("0006", NotDelivered, Reason::Unreachable),
        ("0090", Skipped, Reason::InternalDnc),
        ("0091", Skipped, Reason::KnownLitigator),
        ("0092", Skipped, Reason::ReassignedNumber),
        ("0093", Failed, Reason::CarrierUnknown),
        ("0094", Failed, Reason::SenderSuspended),
        ("0095", Failed, Reason::SenderSuspended),
        ("0097", Skipped, Reason::FrequencyCap),
        ("0098", Skipped, Reason::ConsentRevoked),
        ("0099", Skipped, Reason::ConsentMissing),
    ] {
        let voicemail = app.sent_to(&format!("+1555001{last}"), status).await;
        assert_eq!(voicemail.failure_reason(), reason, "{last}");
    }
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

async fn a_refused_request_is_not_sent_again(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let says = |text: &str| Play::refusing(Ending::Refusal(text.to_owned()));
    for (at, (text, status, reason)) in [
        (
            "from number is not verified",
            Status::Failed,
            Reason::SenderNotVerified,
        ),
        ("landline", Status::Skipped, Reason::NotMobile),
        ("who knows", Status::Failed, Reason::CarrierUnknown),
    ]
    .into_iter()
    .enumerate()
    {
        let recipient = format!("+121255501{at:02}");
        vendor.desk.play_for(&recipient, says(text));
        let voicemail = app.sent_to(&recipient, status).await;
        assert_eq!(voicemail.failure_reason(), reason, "{text}");
        assert_eq!(voicemail.attempts.len(), 1, "{text}");
        assert_eq!(voicemail.attempts[0].carrier_detail, text);
    }
    assert!(vendor.desk.taken().is_empty());
}

async fn too_fast_is_tried_again_when_the_carrier_says(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let too_fast = Answer::json(429, &json!({"message": "slow down"}));
    let wait = too_fast.clone().header("retry-after", "7");
    vendor.desk.play(Play::refusing(wait.into()));
    vendor.desk.play(Play::refusing(too_fast.into()));
    let id = app.send_to(RECIPIENT).await;
    let first = wait_for_attempts(&app, &id, 1).await;
    assert_eq!(
        first.attempts[0].failure_reason(),
        Reason::CarrierRateLimited
    );
    app.clock.advance(Duration::from_millis(6_999));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(app.get(&id).await.attempts.len(), 1);
    app.clock.advance(Duration::from_millis(1));
    wait_for_attempts(&app, &id, 2).await;
    // Without a wish of the carrier's our own schedule counts.
    app.clock.advance(Duration::from_secs(60));
    let voicemail = app.wait_for(&id, Status::Delivered).await;
    assert_eq!(voicemail.attempts.len(), 3);
    assert_eq!(vendor.desk.drops().len(), 1);
}

async fn two_accounts_of_one_kind_are_kept_apart(engine: Engine) {
    let mut stage = Stage::new(engine);
    let first = stage.voicedrop("audio = 'upload'").await;
    let settings = crate::vendors::voicedrop::Settings {
        common: stage.common(),
        auth_key: "another-key".to_owned(),
        ..Default::default()
    };
    let key = stage.secret("another", &settings.auth_key);
    let second = crate::vendors::voicedrop::VoiceDrop::start(settings)
        .await
        .unwrap();
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

fn said(findings: &[ringless::carrier::Finding], verdict: Verdict) -> String {
    let found = findings.iter().filter(|it| it.verdict == verdict);
    found
        .map(|it| it.what.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn an_accounts_check_tells_good_from_bad() {
    use crate::vendors::{drop_cowboy_v1, drop_cowboy_v2, slybroadcast, voicedrop};
    let folder = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("{{ file = '{}' }}", path.display())
    };
    let check = async |kind: &str, lines: String| {
        let senders =
            ["+12125550195", "+12125550196"].map(|text| PhoneNumber::from_stored(text.to_owned()));
        open(kind, &lines, folder.path()).check(&senders).await
    };
    let wrong = secret("wrong", "wrong");

    let vendor = voicedrop::VoiceDrop::start(voicedrop::Settings {
        verified: vec!["+12125550195".to_owned()],
        ..Default::default()
    })
    .await
    .unwrap();
    let base = format!("base_url = '{}'\n", vendor.vendor.base_url());
    let key = secret("vd", "played-voicedrop-key");
    let found = check("voicedrop", format!("{base}auth_key = {key}")).await;
    let good = said(&found, Verdict::Good);
    assert!(
        good.contains("credentials") && good.contains("1000 voice units"),
        "{good}"
    );
    assert!(good.contains("+12125550195 is verified"), "{good}");
    assert!(said(&found, Verdict::Bad).contains("+12125550196 is not"));
    let found = check("voicedrop", format!("{base}auth_key = {wrong}")).await;
    assert!(
        said(&found, Verdict::Bad).contains("answers 401"),
        "{found:?}"
    );

    let settings = drop_cowboy_v2::Settings {
        test_numbers_only: true,
        ..Default::default()
    };
    let line = settings.line_id.clone();
    let vendor = drop_cowboy_v2::DropCowboyV2::start(settings).await.unwrap();
    let base = format!("base_url = '{}'\n", vendor.vendor.base_url());
    let (key, pass) = (
        secret("k", "played-dropcowboy-key"),
        secret("s", "played-dropcowboy-secret"),
    );
    let lines = format!("{base}key = {key}\nsecret = {pass}\nphone_line_id = ");
    let found = check("drop_cowboy_v2", format!("{lines}'{line}'")).await;
    assert!(said(&found, Verdict::Good).contains("phone_line_id is one"));
    assert!(said(&found, Verdict::Bad).contains("simulator's numbers only"));
    let found = check("drop_cowboy_v2", format!("{lines}'other'")).await;
    assert!(said(&found, Verdict::Bad).contains("phone_line_id is none"));
    let found = check(
        "drop_cowboy_v2",
        format!("{base}key = {key}\nsecret = {wrong}"),
    )
    .await;
    assert!(
        said(&found, Verdict::Bad).contains("answers 401"),
        "{found:?}"
    );

    let settings = drop_cowboy_v1::Settings::default();
    let (team, brand) = (settings.team_id.clone(), settings.brand_id.clone());
    let vendor = drop_cowboy_v1::DropCowboyV1::start(settings).await.unwrap();
    let base = format!(
        "base_url = '{}'\nteam_id = '{team}'\n",
        vendor.vendor.base_url()
    );
    let pass = secret("s1", "played-dropcowboy-v1-secret");
    let found = check(
        "drop_cowboy_v1",
        format!("{base}secret = {pass}\nbrand_id = '{brand}'"),
    )
    .await;
    assert!(
        said(&found, Verdict::Good).contains("brand_id is one"),
        "{found:?}"
    );
    let found = check("drop_cowboy_v1", format!("{base}secret = {wrong}")).await;
    assert!(
        said(&found, Verdict::Bad).contains("answers 401"),
        "{found:?}"
    );

    let vendor = slybroadcast::Slybroadcast::start(slybroadcast::Settings {
        messages_left: 0,
        ..Default::default()
    })
    .await
    .unwrap();
    let pass = secret("sly", "played-slybroadcast-password");
    for url in [vendor.vendor.json_url(), vendor.vendor.text_url()] {
        let base = format!("base_url = '{url}'\nuid = 'played@example.com'\n");
        let found = check("slybroadcast", format!("{base}password = {pass}")).await;
        assert!(
            said(&found, Verdict::Good).contains("credentials"),
            "{found:?}"
        );
        assert!(said(&found, Verdict::Bad).contains("no messages are left"));
        let found = check("slybroadcast", format!("{base}password = {wrong}")).await;
        assert!(
            said(&found, Verdict::Bad).contains("c_password"),
            "{found:?}"
        );
    }
}
