//! Voicemails through each adapter, against its played vendor: with only the configuration changed, from
//! SendVoicemail to DELIVERED, and through each failure to its reason.

use std::time::Duration;

use ringless::app::SAMPLE_MP3;
use ringless::grpc::pb;
use ringless::grpc::pb::{FailureReason as Reason, VoicemailStatus as Status};
use serde_json::json;

use crate::support::Engine;
use crate::support::app::TestApp;
use crate::support::vendors::{SENDER, Stage};
use crate::vendors::desk::Desk;
use crate::vendors::fields::last_ten;
use crate::vendors::play::{Answer, Ending, Fate, Play};

crate::on_both_databases!(
    a_voicemail_goes_through_voicedrop,
    a_voicemail_goes_through_drop_cowboy_v2,
    a_voicemail_goes_through_drop_cowboy_v1,
    a_voicemail_goes_through_slybroadcast,
    each_failure_has_its_reason,
    drop_cowboys_simulator_numbers_do_what_they_are_said_to,
    a_refused_request_is_not_sent_again,
    too_fast_is_tried_again_when_the_carrier_says,
);

const RECIPIENT: &str = "+12125550123";

/// One goes through: taken once, dropped once, byte for byte, and the vendor found no fault.
pub async fn goes_through(app: &TestApp, desk: &Desk) -> pb::Voicemail {
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

/// What becomes of each fate, whichever vendor tells it.
fn usual(fate: Fate) -> (Status, Reason) {
    use Status::{Failed, NotDelivered, Skipped};
    match fate {
        Fate::MailboxFull => (NotDelivered, Reason::MailboxFull),
        Fate::NoMailbox => (NotDelivered, Reason::NoMailbox),
        Fate::NotDetected => (NotDelivered, Reason::VoicemailNotDetected),
        Fate::Unreachable => (NotDelivered, Reason::Unreachable),
        Fate::NoAnswer => (NotDelivered, Reason::NoAnswer),
        Fate::Busy => (NotDelivered, Reason::Busy),
        Fate::AnswerSupervision => (NotDelivered, Reason::AnswerSupervision),
        Fate::InvalidNumber => (Failed, Reason::InvalidNumber),
        Fate::NotMobile => (Skipped, Reason::NotMobile),
        Fate::Dnc => (Skipped, Reason::CarrierDnc),
        Fate::BadAudio => (Failed, Reason::AudioRejected),
        other => panic!("{other:?} is no failure of one message"),
    }
}

/// What each vendor can say of a message that it took, and what becomes of it.
async fn each_failure_has_its_reason(engine: Engine) {
    use Fate::*;
    let mut stage = Stage::new(engine);
    let voicedrop = stage.voicedrop("").await;
    let app = stage.start().await;
    let of_calls = [
        MailboxFull,
        NoMailbox,
        NotDetected,
        Unreachable,
        NoAnswer,
        Busy,
    ];
    expect(&app, &voicedrop.desk, &of_calls, &usual).await;
    let others = [AnswerSupervision, InvalidNumber, NotMobile, Dnc, BadAudio];
    expect(&app, &voicedrop.desk, &others, &usual).await;

    let mut stage = Stage::new(engine);
    let cowboy = stage.cowboy("").await;
    let app = stage.start().await;
    expect(&app, &cowboy.desk, &of_calls, &usual).await;
    // It has a list of its own, and a number for that.
    let by_number = |fate| match fate {
        Dnc => (Status::Skipped, Reason::InternalDnc),
        other => usual(other),
    };
    expect(&app, &cowboy.desk, &[Dnc, BadAudio], &by_number).await;

    let mut stage = Stage::new(engine);
    let cowboy_v1 = stage.cowboy_v1("").await;
    let app = stage.start().await;
    let fates = [
        MailboxFull,
        NoMailbox,
        Busy,
        InvalidNumber,
        NotMobile,
        Dnc,
        BadAudio,
    ];
    expect(&app, &cowboy_v1.desk, &fates, &usual).await;

    let mut stage = Stage::new(engine);
    let slybroadcast = stage.slybroadcast("").await;
    let app = stage.start().await;
    let fates = [NotDetected, Unreachable].into_iter().chain(fates);
    let fates: Vec<Fate> = fates.collect();
    expect(&app, &slybroadcast.desk, &fates, &usual).await;
}

async fn expect(
    app: &TestApp,
    desk: &Desk,
    fates: &[Fate],
    becomes: &dyn Fn(Fate) -> (Status, Reason),
) {
    for fate in fates {
        let (status, reason) = becomes(*fate);
        // A number of its own for each fate.
        let recipient = format!("+121255501{:02}", *fate as u8);
        desk.play_for(&recipient, Play::fate(*fate));
        let voicemail = app.sent_to(&recipient, status).await;
        assert_eq!(voicemail.failure_reason(), reason, "{fate:?}");
        let attempt = &voicemail.attempts[0];
        assert_eq!(attempt.failure_reason(), reason, "{fate:?}");
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
    let first = app.wait_for_attempts(&id, 1).await;
    assert_eq!(
        first.attempts[0].failure_reason(),
        Reason::CarrierRateLimited
    );
    app.clock.advance(Duration::from_millis(6_999));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(app.get(&id).await.attempts.len(), 1);
    app.clock.advance(Duration::from_millis(1));
    app.wait_for_attempts(&id, 2).await;
    // Without a wish of the carrier's our own schedule counts.
    app.clock.advance(Duration::from_secs(60));
    let voicemail = app.wait_for(&id, Status::Delivered).await;
    assert_eq!(voicemail.attempts.len(), 3);
    assert_eq!(vendor.desk.drops().len(), 1);
}
