//! Every refusal that a caller can meet: its code, its reason, its details.

use std::time::Duration;

use ringless::grpc::pb;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::Engine;
use crate::support::app::{TestApp, bad_fields, facts, reason, timestamp};
use crate::support::data::mp3;

crate::on_both_databases!(
    all_bad_fields_are_named_at_once,
    a_phone_number_has_reasons_of_its_own,
    what_is_not_found_is_said_with_its_id,
    preconditions_come_after_what_is_not_found,
    times_are_held_to_their_rules,
    long_lists_and_broken_messages_are_refused_briefly,
    a_blind_repeat_of_a_stock_client_is_not_carried_out,
    a_database_that_is_broken_is_unavailable_and_says_nothing_internal,
);

async fn all_bad_fields_are_named_at_once(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let now = app.clock.now();
    let metadata = pb::SendVoicemailMetadata {
        use_case_id: "x".to_owned(),
        recipient_phone_number: "abc".to_owned(),
        audio_id: "y".to_owned(),
        request_id: "tab\t".to_owned(),
        schedule_time: Some(timestamp(now.plus(Duration::from_secs(91 * 86_400)))),
        expire_time: Some(timestamp(now)),
        labels: [("BAD".to_owned(), String::new())].into(),
        validate_only: false,
        time_zone: "Mars/Olympus".to_owned(),
        postal_code: "ABC".to_owned(),
    };
    let refused = app.send(metadata, &[]).await.unwrap_err();
    let (code, reason, _) = facts(&refused);
    assert_eq!(
        (code, reason.as_str()),
        (Code::InvalidArgument, "INVALID_FIELD")
    );
    let mut fields = bad_fields(&refused);
    fields.sort();
    assert_eq!(
        fields,
        [
            "metadata.audio_id",
            "metadata.expire_time",
            "metadata.labels",
            "metadata.postal_code",
            "metadata.recipient_phone_number",
            "metadata.request_id",
            "metadata.schedule_time",
            "metadata.time_zone",
            "metadata.use_case_id",
        ]
    );
    let missing = app
        .send(pb::SendVoicemailMetadata::default(), &[])
        .await
        .unwrap_err();
    assert_eq!(
        bad_fields(&missing),
        ["metadata.use_case_id", "metadata.recipient_phone_number"]
    );
}

async fn a_phone_number_has_reasons_of_its_own(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let refused = |number: &'static str| {
        let mut metadata = app.metadata();
        metadata.recipient_phone_number = number.to_owned();
        app.send(metadata, &[])
    };
    let invalid = refused("+1 555").await.unwrap_err();
    assert_eq!(reason(&invalid), "INVALID_PHONE_NUMBER");
    assert_eq!(bad_fields(&invalid), ["metadata.recipient_phone_number"]);
    let german = refused("+4930123456").await.unwrap_err();
    let (code, reason, metadata) = facts(&german);
    assert_eq!(
        (code, reason.as_str()),
        (Code::InvalidArgument, "COUNTRY_NOT_ALLOWED")
    );
    assert_eq!(
        (metadata["country"].as_str(), metadata["allowed"].as_str()),
        ("DE", "US")
    );
    assert!(
        !german.message().contains("30123456"),
        "{}",
        german.message()
    );
}

async fn what_is_not_found_is_said_with_its_id(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let id = uuid::Uuid::now_v7().to_string();
    let mut metadata = app.metadata();
    metadata.use_case_id.clone_from(&id);
    let use_case = app.send(metadata, &[]).await.unwrap_err();
    let audio = app
        .send_stored(|m| m.audio_id.clone_from(&id))
        .await
        .unwrap_err();
    let voicemail = app
        .voicemails()
        .get_voicemail(pb::GetVoicemailRequest {
            voicemail_id: id.clone(),
            ..Default::default()
        })
        .await
        .unwrap_err();
    let setup = app
        .telephony()
        .get_setup(pb::GetSetupRequest {
            setup_id: id.clone(),
        })
        .await
        .unwrap_err();
    let number = app
        .telephony()
        .get_phone_number(pb::GetPhoneNumberRequest {
            phone_number_id: id.clone(),
        })
        .await
        .unwrap_err();
    for (status, wanted, key) in [
        (use_case, "USE_CASE_NOT_FOUND", "use_case_id"),
        (audio, "AUDIO_NOT_FOUND", "audio_id"),
        (voicemail, "VOICEMAIL_NOT_FOUND", "voicemail_id"),
        (setup, "SETUP_NOT_FOUND", "setup_id"),
        (number, "PHONE_NUMBER_NOT_FOUND", "phone_number_id"),
    ] {
        let (code, reason, metadata) = facts(&status);
        assert_eq!((code, reason.as_str()), (Code::NotFound, wanted));
        assert_eq!(metadata[key], id);
    }
    let malformed = app
        .voicemails()
        .get_voicemail(pb::GetVoicemailRequest {
            voicemail_id: "7".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap_err();
    assert_eq!(
        (reason(&malformed).as_str(), bad_fields(&malformed)),
        ("INVALID_FIELD", vec!["voicemail_id".to_owned()])
    );
}

async fn preconditions_come_after_what_is_not_found(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    // A wrong channel.
    let other = pb::UseCase {
        channel: pb::Channel::OutboundVoice as i32,
        entity_name: "E".to_owned(),
        name: "N".to_owned(),
        setup_id: app.setup_id.clone(),
        ..Default::default()
    };
    let create = |use_case: pb::UseCase| {
        let request = pb::CreateUseCaseRequest {
            use_case: Some(use_case),
            request_id: String::new(),
        };
        let mut client = app.use_cases();
        async move {
            client
                .create_use_case(request)
                .await
                .map(|made| made.into_inner().use_case.unwrap())
        }
    };
    let outbound = create(other.clone()).await.unwrap();
    let refused = app
        .send_stored(|m| m.use_case_id.clone_from(&outbound.id))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "WRONG_CHANNEL");
    // No number.
    let bare = create(pb::UseCase {
        channel: pb::Channel::RinglessVoicemail as i32,
        ..other
    })
    .await
    .unwrap();
    let refused = app
        .send_stored(|m| m.use_case_id.clone_from(&bare.id))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "NO_ACTIVE_PHONE_NUMBER")
    );
    // Only the recipient's own number.
    let number = pb::PhoneNumber {
        setup_id: app.setup_id.clone(),
        phone_number: "+16175550123".to_owned(),
        ..Default::default()
    };
    let request = pb::CreatePhoneNumberRequest {
        phone_number: Some(number),
        request_id: String::new(),
    };
    let number = app
        .telephony()
        .create_phone_number(request)
        .await
        .unwrap()
        .into_inner()
        .phone_number
        .unwrap();
    let assign = pb::AssignPhoneNumberRequest {
        use_case_id: bare.id.clone(),
        phone_number_id: number.id,
    };
    app.use_cases().assign_phone_number(assign).await.unwrap();
    let to_itself = |m: &mut pb::SendVoicemailMetadata| {
        m.use_case_id.clone_from(&bare.id);
        "+16175550123".clone_into(&mut m.recipient_phone_number);
    };
    assert_eq!(
        reason(&app.send_stored(to_itself).await.unwrap_err()),
        "SENDER_IS_RECIPIENT"
    );
    // A suspended setup.
    let suspend = pb::SuspendSetupRequest {
        setup_id: app.setup_id.clone(),
        reason: "audit".to_owned(),
    };
    app.telephony().suspend_setup(suspend).await.unwrap();
    let refused = app.send_stored(|_| {}).await.unwrap_err();
    let (_, reason, metadata) = facts(&refused);
    assert_eq!(
        (reason.as_str(), metadata["status"].as_str()),
        ("SETUP_NOT_APPROVED", "SUSPENDED")
    );
}

async fn times_are_held_to_their_rules(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let now = app.clock.now();
    let days = |n: u64| Duration::from_secs(n * 86_400);
    let micro = Duration::from_micros(1);
    for (ahead, is_taken) in [
        (days(90) - micro, true),
        (days(90), true),
        (days(90) + micro, false),
    ] {
        let sent = app
            .send_stored(|m| m.schedule_time = Some(timestamp(now.plus(ahead))))
            .await;
        assert_eq!(sent.is_ok(), is_taken, "{ahead:?}");
    }
    let past = app
        .send_stored(|m| m.schedule_time = Some(timestamp(now.minus(days(1)))))
        .await
        .unwrap();
    assert_eq!(past.due_time, Some(timestamp(now)));
    assert_eq!(past.expire_time, Some(timestamp(now.plus(days(3)))));
    let hour = Duration::from_secs(3_600);
    for (expire, is_taken) in [(hour - micro, false), (hour, false), (hour + micro, true)] {
        let sent = app
            .send_stored(|m| {
                m.schedule_time = Some(timestamp(now.plus(hour)));
                m.expire_time = Some(timestamp(now.plus(expire)));
            })
            .await;
        assert_eq!(sent.is_ok(), is_taken, "{expire:?}");
    }
    let odd = prost_types::Timestamp {
        seconds: 0,
        nanos: -1,
    };
    let refused = app
        .send_stored(|m| m.expire_time = Some(odd))
        .await
        .unwrap_err();
    assert_eq!(bad_fields(&refused), ["metadata.expire_time"]);
}

async fn long_lists_and_broken_messages_are_refused_briefly(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let list = |request: pb::ListVoicemailsRequest| {
        let mut client = app.voicemails();
        async move { client.list_voicemails(request).await }
    };
    for (count, is_taken) in [(99, true), (100, true), (101, false), (900_000, false)] {
        let request = pb::ListVoicemailsRequest {
            statuses: vec![1; count],
            ..Default::default()
        };
        let listed = list(request).await;
        assert_eq!(listed.is_ok(), is_taken, "{count}");
        if let Err(refused) = listed {
            assert_eq!(bad_fields(&refused), ["statuses"]);
            assert!(refused.message().len() < 500);
        }
    }
    // Above what a small call may send at all.
    let request = pb::ListVoicemailsRequest {
        statuses: vec![1; 2_000_000],
        ..Default::default()
    };
    assert_eq!(reason(&list(request).await.unwrap_err()), "INVALID_FIELD");
    let carriers = (0..200_000).map(|n| format!("{n:06}")).collect();
    let setup = pb::Setup {
        carriers,
        ..Default::default()
    };
    let request = pb::CreateSetupRequest {
        setup: Some(setup),
        request_id: String::new(),
    };
    let refused = app.telephony().create_setup(request).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_FIELD");
    // A text that Postgres can't keep.
    let request = pb::ListVoicemailsRequest {
        request_id: "\0".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        bad_fields(&list(request).await.unwrap_err()),
        ["request_id"]
    );
    let labels = (0..300)
        .map(|n| (format!("BAD{n}"), String::new()))
        .collect();
    let refused = app.send_stored(|m| m.labels = labels).await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["metadata.labels"]);
}

async fn a_blind_repeat_of_a_stock_client_is_not_carried_out(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let repeat = |request_id: &str| {
        let metadata = pb::SendVoicemailMetadata {
            request_id: request_id.to_owned(),
            ..app.metadata()
        };
        let mut request = tonic::Request::new(pb::CreateVoicemailRequest {
            metadata: Some(metadata),
            audio: mp3(1).into(),
        });
        request
            .metadata_mut()
            .insert("grpc-previous-rpc-attempts", "1".parse().unwrap());
        let mut client = app.voicemails();
        async move { client.create_voicemail(request).await }
    };
    let refused = repeat("").await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Unknown, "OUTCOME_UNKNOWN")
    );
    assert_eq!(
        refused.metadata().get("grpc-retry-pushback-ms").unwrap(),
        "-1"
    );
    assert!(repeat("with-an-id").await.is_ok());
}

async fn a_database_that_is_broken_is_unavailable_and_says_nothing_internal(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    app.database.sql(
        "DROP TABLE attempts; ALTER TABLE audios RENAME TO hidden",
        "ALTER TABLE audios RENAME TO hidden",
    );
    let refused = app
        .voicemails()
        .get_voicemail(pb::GetVoicemailRequest {
            voicemail_id: uuid::Uuid::now_v7().to_string(),
            ..Default::default()
        })
        .await
        .unwrap_err();
    let (code, reason, metadata) = facts(&refused);
    assert_eq!((code, reason.as_str()), (Code::Internal, "INTERNAL"));
    for word in ["audios", "SELECT", "sql", "relation"] {
        assert!(!refused.message().contains(word), "{}", refused.message());
    }
    let header = refused
        .metadata()
        .get("x-request-id")
        .map(|id| id.to_str().unwrap().to_owned());
    assert_eq!(Some(metadata["request_id"].clone()), header);
    assert!(refused.get_error_details().retry_info().is_none());
}
