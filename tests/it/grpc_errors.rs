//! Every refusal that a caller can meet: its code, its reason, its details.

use std::time::Duration;

use prost_types::FieldMask;
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
    use_cases_are_held_to_their_rules,
    setups_and_numbers_are_held_to_their_rules,
    update_masks_are_held_to_their_rules,
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
            "metadata.recipient_phone_number",
            "metadata.request_id",
            "metadata.schedule_time",
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

async fn use_cases_are_held_to_their_rules(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let use_case = |name: &str| pb::UseCase {
        channel: pb::Channel::RinglessVoicemail as i32,
        entity_name: "Clinic".to_owned(),
        name: name.to_owned(),
        setup_id: app.setup_id.clone(),
        ..Default::default()
    };
    let create = |use_case: pb::UseCase, request_id: &str| {
        let request = pb::CreateUseCaseRequest {
            use_case: Some(use_case),
            request_id: request_id.to_owned(),
        };
        let mut client = app.use_cases();
        async move {
            client
                .create_use_case(request)
                .await
                .map(|made| made.into_inner().use_case.unwrap())
        }
    };
    let first = create(use_case("A"), "r1").await.unwrap();
    // The same request id: the same answer, or a refusal.
    assert_eq!(create(use_case("A"), "r1").await.unwrap(), first);
    assert_eq!(
        reason(&create(use_case("B"), "r1").await.unwrap_err()),
        "REQUEST_ID_REUSED"
    );
    let exists = create(use_case("A"), "").await.unwrap_err();
    assert_eq!(
        (exists.code(), reason(&exists).as_str()),
        (Code::AlreadyExists, "USE_CASE_EXISTS")
    );
    let bad = pb::UseCase {
        description: "x".repeat(2_001),
        callback_phone_number: "1".to_owned(),
        purpose: 9,
        channel: 0,
        name: " a".to_owned(),
        ..use_case("A")
    };
    assert_eq!(
        bad_fields(&create(bad, "").await.unwrap_err()),
        [
            "use_case.channel",
            "use_case.name",
            "use_case.description",
            "use_case.purpose",
            "use_case.callback_phone_number"
        ]
    );
    // Deleting: not with numbers, not with voicemails on their way; then the name is free again.
    let delete = |id: &str| {
        let request = pb::DeleteUseCaseRequest {
            use_case_id: id.to_owned(),
        };
        let mut client = app.use_cases();
        async move { client.delete_use_case(request).await }
    };
    assert_eq!(
        reason(&delete(&app.use_case_id).await.unwrap_err()),
        "PHONE_NUMBERS_ASSIGNED"
    );
    let sent = app.send_stored(|_| {}).await.unwrap();
    let mut demo = app
        .use_cases()
        .get_use_case(pb::GetUseCaseRequest {
            use_case_id: app.use_case_id.clone(),
        })
        .await
        .unwrap()
        .into_inner()
        .use_case
        .unwrap();
    for phone_number_id in std::mem::take(&mut demo.phone_number_ids) {
        let request = pb::UnassignPhoneNumberRequest {
            use_case_id: demo.id.clone(),
            phone_number_id,
        };
        app.use_cases()
            .unassign_phone_number(request.clone())
            .await
            .unwrap();
        app.use_cases()
            .unassign_phone_number(request)
            .await
            .unwrap();
    }
    assert_eq!(
        reason(&delete(&demo.id).await.unwrap_err()),
        "VOICEMAILS_IN_FLIGHT"
    );
    app.voicemails()
        .cancel_voicemail(pb::CancelVoicemailRequest {
            voicemail_id: sent.id.clone(),
        })
        .await
        .unwrap();
    delete(&demo.id).await.unwrap();
    let gone = app
        .use_cases()
        .get_use_case(pb::GetUseCaseRequest {
            use_case_id: demo.id.clone(),
        })
        .await
        .unwrap_err();
    assert_eq!(reason(&gone), "USE_CASE_NOT_FOUND");
    assert_eq!(
        app.get(&sent.id).await.use_case_id,
        demo.id,
        "old voicemails keep naming it"
    );
    delete(&first.id).await.unwrap();
    assert_ne!(create(use_case("A"), "").await.unwrap().id, first.id);
}

async fn setups_and_numbers_are_held_to_their_rules(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let setup = |carriers: &[&str]| {
        let setup = pb::Setup {
            carriers: carriers.iter().map(|c| (*c).to_owned()).collect(),
            ..Default::default()
        };
        let request = pb::CreateSetupRequest {
            setup: Some(setup),
            request_id: String::new(),
        };
        let mut client = app.telephony();
        async move {
            client
                .create_setup(request)
                .await
                .map(|made| made.into_inner().setup.unwrap())
        }
    };
    let unknown = setup(&["nobody"]).await.unwrap_err();
    let (code, reason_text, metadata) = facts(&unknown);
    assert_eq!(
        (code, reason_text.as_str()),
        (Code::FailedPrecondition, "UNKNOWN_CARRIER")
    );
    assert_eq!(
        (
            metadata["carriers"].as_str(),
            metadata["configured"].as_str()
        ),
        ("nobody", "sandbox")
    );
    assert_eq!(
        bad_fields(&setup(&[]).await.unwrap_err()),
        ["setup.carriers"]
    );
    assert_eq!(
        bad_fields(&setup(&["sandbox", "sandbox"]).await.unwrap_err()),
        ["setup.carriers[1]"]
    );
    let second = setup(&["sandbox"]).await.unwrap();
    assert_eq!(second.status(), pb::SetupStatus::Approved);
    let number = |setup_id: &str, text: &str| {
        let number = pb::PhoneNumber {
            setup_id: setup_id.to_owned(),
            phone_number: text.to_owned(),
            ..Default::default()
        };
        let request = pb::CreatePhoneNumberRequest {
            phone_number: Some(number),
            request_id: String::new(),
        };
        let mut client = app.telephony();
        async move {
            client
                .create_phone_number(request)
                .await
                .map(|made| made.into_inner().phone_number.unwrap())
        }
    };
    let made = number(&second.id, "(617) 555-0188").await.unwrap();
    assert_eq!(
        (made.phone_number.as_str(), made.status()),
        ("+16175550188", pb::PhoneNumberStatus::Active)
    );
    assert_eq!(
        reason(&number(&app.setup_id, "+16175550188").await.unwrap_err()),
        "PHONE_NUMBER_EXISTS"
    );
    let assign = pb::AssignPhoneNumberRequest {
        use_case_id: app.use_case_id.clone(),
        phone_number_id: made.id.clone(),
    };
    assert_eq!(
        reason(
            &app.use_cases()
                .assign_phone_number(assign)
                .await
                .unwrap_err()
        ),
        "WRONG_SETUP"
    );
    let delete_setup = |id: &str| {
        let request = pb::DeleteSetupRequest {
            setup_id: id.to_owned(),
        };
        let mut client = app.telephony();
        async move { client.delete_setup(request).await }
    };
    assert_eq!(
        reason(&delete_setup(&second.id).await.unwrap_err()),
        "SETUP_IN_USE"
    );
    let listed = app
        .telephony()
        .list_phone_numbers(pb::ListPhoneNumbersRequest {
            use_case_id: app.use_case_id.clone(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    let in_use = pb::DeletePhoneNumberRequest {
        phone_number_id: listed.phone_numbers[0].id.clone(),
    };
    assert_eq!(
        reason(
            &app.telephony()
                .delete_phone_number(in_use)
                .await
                .unwrap_err()
        ),
        "PHONE_NUMBER_IN_USE"
    );
    app.telephony()
        .delete_phone_number(pb::DeletePhoneNumberRequest {
            phone_number_id: made.id,
        })
        .await
        .unwrap();
    delete_setup(&second.id).await.unwrap();
    assert!(
        number(&app.setup_id, "+16175550188").await.is_ok(),
        "a deleted number is free again"
    );
}

async fn update_masks_are_held_to_their_rules(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let update = |use_case: pb::UseCase, paths: &[&str]| {
        let update_mask = Some(FieldMask {
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        });
        let use_case = Some(pb::UseCase {
            id: app.use_case_id.clone(),
            ..use_case
        });
        let mut client = app.use_cases();
        async move {
            client
                .update_use_case(pb::UpdateUseCaseRequest {
                    use_case,
                    update_mask,
                })
                .await
                .map(|done| done.into_inner().use_case.unwrap())
        }
    };
    let named = |name: &str| pb::UseCase {
        name: name.to_owned(),
        ..Default::default()
    };
    let changed = update(named("New"), &[]).await.unwrap();
    assert_eq!(
        (changed.name.as_str(), changed.entity_name.as_str()),
        ("New", "Sample Clinic")
    );
    let cleared = update(pb::UseCase::default(), &["description", "purpose"])
        .await
        .unwrap();
    assert_eq!((cleared.description.as_str(), cleared.purpose), ("", 0));
    assert_eq!(
        bad_fields(&update(named(""), &["*"]).await.unwrap_err()),
        ["use_case.entity_name", "use_case.name"]
    );
    for path in ["channel", "setup_id", "phone_number_ids", "id", "colour"] {
        let refused = update(named("New"), &[path]).await.unwrap_err();
        assert_eq!(
            (reason(&refused).as_str(), bad_fields(&refused)),
            ("INVALID_FIELD", vec!["update_mask".to_owned()]),
            "{path}"
        );
    }
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
