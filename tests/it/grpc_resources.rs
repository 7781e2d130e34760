//! Use cases, setups and numbers through the API: their rules, refusals and update masks.

use prost_types::FieldMask;
use ringless::grpc::pb;
use tonic::Code;

use crate::support::Engine;
use crate::support::app::{TestApp, bad_fields, facts, reason};

crate::on_both_databases!(
    use_cases_are_held_to_their_rules,
    setups_and_numbers_are_held_to_their_rules,
    update_masks_are_held_to_their_rules,
);

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
