use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::webhook::read_event;
use super::*;
use crate::carrier::http::{Client, Limits};
use crate::carrier::notice::Signature;
use crate::carrier::reply::tests::reply;

#[test]
fn each_answer_to_a_send_has_its_outcome() {
    use FailureReason::*;
    let outcome = |status, body: &str| taken_or_not(&reply(status, &[], body), Time::EPOCH).0;
    let rejected = |reason| Outcome::Rejected { reason };
    for (status, body, expected) in [
        (
            202,
            r#"{"status":"queued","message_id":"m"}"#,
            Outcome::Taken { ask_after: None },
        ),
        (200, r#"{"status":"odd"}"#, Outcome::Unknown),
        (202, "", Outcome::Unknown),
        (401, r#"{"title":"Unauthorized"}"#, rejected(CarrierAuth)),
        (400, r#"{"title":"Bad","code":4010}"#, rejected(PeerConfig)),
        (
            400,
            r#"{"title":"Bad","code":400}"#,
            rejected(CarrierUnknown),
        ),
        (500, "", Outcome::Unknown),
        (
            429,
            "",
            Outcome::TryAgain {
                reason: CarrierRateLimited,
                wait: None,
            },
        ),
    ] {
        assert_eq!(outcome(status, body), expected, "{status} {body}");
    }
    let taken = taken_or_not(
        &reply(202, &[], r#"{"status":"queued","message_id":"m"}"#),
        Time::EPOCH,
    );
    assert_eq!(taken.1.reference, "m");
}

#[test]
fn each_code_of_a_result_is_read() {
    use FailureReason::*;
    let heard = |body: &str| {
        let notice = Notice {
            body: body.as_bytes().to_vec(),
            ..Notice::default()
        };
        read_result(&notice.fields()).said
    };
    let because = |reason| Said::Ended(End::Because(reason));
    assert_eq!(
        heard(r#"{"status":"success","reason_code":0}"#),
        Said::Ended(End::Delivered)
    );
    assert_eq!(heard("status=success"), Said::Ended(End::Delivered));
    assert_eq!(
        heard(r#"{"status":"success","reason_code":4002}"#),
        Said::Unheard
    );
    assert_eq!(
        heard(r#"{"status":"rerouted","reason_code":9999}"#),
        Said::Unheard
    );
    for (code, said) in [
        (3000, Said::NotTried(InsufficientFunds)),
        (3001, because(AudioRejected)),
        (3002, because(CarrierUnknown)),
        (3007, Said::NotTried(CarrierAuth)),
        (3014, because(PeerConfig)),
        (3021, because(CarrierUnknown)),
        (3027, because(CarrierAmbiguous)),
        (3028, because(CarrierUnknown)),
        (3040, because(CarrierRefusedRecipient)),
        (4000, because(VoicemailNotDetected)),
        (4001, because(NoMailbox)),
        (4002, because(MailboxFull)),
        (4004, because(Unreachable)),
        (4005, because(NoAnswer)),
        (4006, because(Busy)),
        (4008, because(SpamBlocked)),
        (4010, because(PeerConfig)),
        (4013, because(FrequencyCap)),
        (4016, because(InternalDnc)),
        (4017, because(KnownLitigator)),
        (4019, because(ReassignedNumber)),
        (4021, because(CarrierUnknown)),
        (6000, because(SenderSuspended)),
        (6001, because(SenderSuspended)),
        (6002, because(SenderSuspended)),
        (6003, because(SenderNotVerified)),
        (6004, because(ConsentMissing)),
        (6005, because(ConsentRevoked)),
        (6006, because(ConsentMissing)),
        (6011, because(ConsentMissing)),
        (7777, because(CarrierUnknown)),
    ] {
        let body = format!(r#"{{"status":"failure","reason_code":{code}}}"#);
        assert_eq!(heard(&body), said, "{code}");
        let as_text = format!(r#"{{"status":"failure","reason_code":"{code}"}}"#);
        assert_eq!(heard(&as_text), said, "{code}");
    }
    let dnc = r#"{"status":"failure","reason_code":7777,"dnc":true}"#;
    assert_eq!(heard(dnc), because(CarrierDnc));
}

fn account(signing_secrets: &[&str]) -> DropCowboyV2 {
    let second = Duration::from_secs(1);
    let limits = Limits {
        connect: second,
        answer: second,
    };
    DropCowboyV2 {
        account: Account {
            base_url: DEFAULTS.base_url.to_owned(),
            number_format: NumberFormat::E164,
            audio: AudioSetting::Link,
            may_have_health_information: false,
            client: Client::new(limits, None).expect("a client"),
        },
        key: Secret::new("key"),
        secret: Secret::new("secret"),
        signing_secrets: signing_secrets.iter().map(|it| Secret::new(*it)).collect(),
        phone_line_id: None,
        brand_id: None,
    }
}

fn signed(secret: &str, timestamp: &str, body: &str) -> Notice {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("{timestamp}.{body}").as_bytes());
    Notice {
        body: body.as_bytes().to_vec(),
        signature: Signature {
            timestamp: timestamp.to_owned(),
            value: format!(
                "sha256={}",
                crate::domain::hex(&mac.finalize().into_bytes())
            ),
            version: "v1".to_owned(),
        },
        ..Notice::default()
    }
}

const EVENT: &str = r#"{"event_id":"e-1","event":"contact.rvm.status","data":{"drop_id":"d-1","status":"success","reason_code":0,"to":"+12125550123"}}"#;

#[test]
fn a_webhook_is_heard_where_it_is_signed_and_fresh() {
    let carrier = account(&["new", "old"]);
    let now = Time::from_micros(1_000_000_000_000);
    for secret in ["new", "old"] {
        let event = carrier.read_webhook(&signed(secret, "1000000", EVENT), now);
        let event = event.expect("good");
        assert_eq!(
            (event.id.as_str(), event.reference.as_str()),
            ("e-1", "d-1")
        );
        assert_eq!(event.word.said, Said::Ended(End::Delivered));
        assert_eq!(event.word.recipient.as_deref(), Some("+12125550123"));
    }
    for (seconds, is_good) in [
        (999_699, false),
        (999_700, true),
        (1_000_300, true),
        (1_000_301, false),
    ] {
        let read = carrier.read_webhook(&signed("new", &seconds.to_string(), EVENT), now);
        assert_eq!(read.is_ok(), is_good, "{seconds}");
        assert!(is_good || read == Err(NoticeFault::Time));
    }
    let good = signed("new", "1000000", EVENT);
    let mut changed = good.clone();
    changed.body[60] ^= 1;
    let mut later = good.clone();
    later.signature.timestamp = "1000001".to_owned();
    let mut unsigned = good.clone();
    unsigned.signature.value.clear();
    let mut other_version = good.clone();
    other_version.signature.version = "v2".to_owned();
    let mut half = good.clone();
    half.signature.value.pop();
    for bad in [
        signed("other", "1000000", EVENT),
        changed,
        later,
        unsigned,
        other_version,
        half,
    ] {
        assert_eq!(carrier.read_webhook(&bad, now), Err(NoticeFault::Signature));
    }
    let nothing = signed("new", "1000000", "{}");
    assert_eq!(
        carrier.read_webhook(&nothing, now),
        Err(NoticeFault::Unreadable)
    );
    assert_eq!(
        account(&[]).read_webhook(&good, now),
        Err(NoticeFault::NoDoor)
    );
}

#[test]
fn other_events_of_the_account_say_nothing() {
    let other = EVENT.replace("contact.rvm.status", "contact.sms.status");
    assert_eq!(
        read_event(other.as_bytes()).expect("readable").word.said,
        Said::Nothing
    );
    let receipt = EVENT.replace("contact.rvm.status", "contact.rvm.receipt");
    let word = read_event(receipt.as_bytes()).expect("readable").word;
    assert_eq!(word.said, Said::Ended(End::Delivered));
}

#[test]
fn an_event_is_known_by_an_id_of_at_most_256_bytes() {
    let now = Time::from_micros(1_000_000_000_000);
    for (length, is_read) in [(255, true), (256, true), (257, false)] {
        let body = EVENT.replace("e-1", &"e".repeat(length));
        let event = account(&["new"]).read_webhook(&signed("new", "1000000", &body), now);
        assert_eq!(event.is_ok(), is_read, "{length}");
    }
}

#[test]
fn four_signing_secrets_may_be_good_at_the_same_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("secret");
    std::fs::write(&path, "sesame").expect("writable");
    let source = format!("{{ file = '{}' }}", path.display());
    let place = Place {
        data_dir: folder.path().to_owned(),
        has_public_url: true,
        call_timeout: Duration::from_secs(30),
    };
    for (count, is_good) in [(3, true), (4, true), (5, false)] {
        let secrets = format!("{source}, ").repeat(count);
        let text = format!("key = {source}\nsecret = {source}\nsigning_secrets = [{secrets}]");
        let opened = open(&place, toml::from_str(&text).expect("TOML"));
        assert_eq!(opened.is_ok(), is_good, "{count}");
    }
}
