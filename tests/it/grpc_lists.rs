//! ListVoicemails with every filter, pages, and CancelVoicemail.

use std::time::Duration;

use ringless::grpc::pb::{self, VoicemailStatus};

use crate::support::Engine;
use crate::support::app::{TestApp, bad_fields, reason, timestamp};

crate::on_both_databases!(
    every_filter_finds_what_it_names,
    a_page_token_serves_its_own_list_only,
    a_page_ends_early_at_two_mebibytes,
    lists_of_setups_numbers_and_use_cases_page_too,
    cancelling_wins_from_accepted_and_answers_the_same_again,
);

async fn list(app: &TestApp, request: pb::ListVoicemailsRequest) -> Vec<pb::Voicemail> {
    app.voicemails()
        .list_voicemails(request)
        .await
        .unwrap()
        .into_inner()
        .voicemails
}

async fn every_filter_finds_what_it_names(engine: Engine) {
    let app = TestApp::start(engine).await;
    let start = app.clock.now();
    let second = Duration::from_secs(1);
    let delivered = app
        .send_stored(|m| {
            "one".clone_into(&mut m.request_id);
            m.labels = [
                ("ward".to_owned(), "7".to_owned()),
                ("x".to_owned(), "y".to_owned()),
            ]
            .into();
        })
        .await
        .unwrap();
    app.wait_for(&delivered.id, VoicemailStatus::Delivered)
        .await;
    app.clock.advance(second);
    let full = app
        .send_stored(|m| "+13125550150".clone_into(&mut m.recipient_phone_number))
        .await
        .unwrap();
    app.wait_for(&full.id, VoicemailStatus::NotDelivered).await;
    app.clock.advance(second);
    let later = start.plus(Duration::from_secs(86_400));
    let waiting = app
        .send_stored(|m| m.schedule_time = Some(timestamp(later)))
        .await
        .unwrap();

    let base = pb::ListVoicemailsRequest::default;
    let (first, two, third) = (delivered.id.as_str(), full.id.as_str(), waiting.id.as_str());
    let cases: Vec<(pb::ListVoicemailsRequest, Vec<&str>)> = vec![
        (base(), vec![third, two, first]),
        (
            pb::ListVoicemailsRequest {
                use_case_id: app.use_case_id.clone(),
                ..base()
            },
            vec![third, two, first],
        ),
        (
            pb::ListVoicemailsRequest {
                use_case_id: uuid::Uuid::now_v7().to_string(),
                ..base()
            },
            vec![],
        ),
        (
            pb::ListVoicemailsRequest {
                setup_id: app.setup_id.clone(),
                ..base()
            },
            vec![third, two, first],
        ),
        (
            pb::ListVoicemailsRequest {
                statuses: vec![4, 1],
                ..base()
            },
            vec![third, first],
        ),
        (
            pb::ListVoicemailsRequest {
                failure_reasons: vec![pb::FailureReason::MailboxFull as i32],
                ..base()
            },
            vec![two],
        ),
        (
            pb::ListVoicemailsRequest {
                recipient_phone_number: "(312) 555-0150".to_owned(),
                ..base()
            },
            vec![two],
        ),
        (
            pb::ListVoicemailsRequest {
                sender_phone_number: full.sender_phone_number.clone(),
                ..base()
            },
            vec![two],
        ),
        (
            pb::ListVoicemailsRequest {
                request_id: "one".to_owned(),
                ..base()
            },
            vec![first],
        ),
        (
            pb::ListVoicemailsRequest {
                labels: [("ward".to_owned(), "7".to_owned())].into(),
                ..base()
            },
            vec![first],
        ),
        (
            pb::ListVoicemailsRequest {
                labels: [
                    ("ward".to_owned(), "7".to_owned()),
                    ("x".to_owned(), "z".to_owned()),
                ]
                .into(),
                ..base()
            },
            vec![],
        ),
        (
            pb::ListVoicemailsRequest {
                create_time_from: Some(timestamp(start.plus(second))),
                ..base()
            },
            vec![third, two],
        ),
        (
            pb::ListVoicemailsRequest {
                create_time_to: Some(timestamp(start.plus(second))),
                ..base()
            },
            vec![first],
        ),
        (
            pb::ListVoicemailsRequest {
                end_time_from: Some(timestamp(start.plus(second))),
                ..base()
            },
            vec![two],
        ),
        (
            pb::ListVoicemailsRequest {
                end_time_to: Some(timestamp(start.plus(second))),
                ..base()
            },
            vec![first],
        ),
        (
            pb::ListVoicemailsRequest {
                update_time_from: Some(timestamp(start.plus(second * 2))),
                ..base()
            },
            vec![third],
        ),
        (
            pb::ListVoicemailsRequest {
                statuses: vec![4],
                recipient_phone_number: "+13125550150".to_owned(),
                ..base()
            },
            vec![],
        ),
    ];
    for (request, wanted) in cases {
        let found = list(&app, request.clone()).await;
        let ids: Vec<&str> = found
            .iter()
            .map(|voicemail| voicemail.id.as_str())
            .collect();
        assert_eq!(ids, wanted, "{request:?}");
        assert!(found.iter().all(|voicemail| voicemail.attempts.is_empty()));
    }
    let bad = pb::ListVoicemailsRequest {
        page_size: -1,
        use_case_id: "x".to_owned(),
        statuses: vec![0, 99],
        ..base()
    };
    let mut fields = bad_fields(&app.voicemails().list_voicemails(bad).await.unwrap_err());
    fields.sort();
    assert_eq!(
        fields,
        ["page_size", "statuses[0]", "statuses[1]", "use_case_id"]
    );
}

async fn a_page_token_serves_its_own_list_only(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    for _ in 0..5 {
        app.send_stored(|_| {}).await.unwrap();
    }
    let page = |page_size, page_token: &str, setup_id: &str| {
        let request = pb::ListVoicemailsRequest {
            page_size,
            page_token: page_token.to_owned(),
            setup_id: setup_id.to_owned(),
            ..Default::default()
        };
        let mut client = app.voicemails();
        async move {
            client
                .list_voicemails(request)
                .await
                .map(|page| page.into_inner())
        }
    };
    let first = page(2, "", "").await.unwrap();
    assert_eq!(first.voicemails.len(), 2);
    // The page size may change between pages.
    let rest = page(9, &first.next_page_token, "").await.unwrap();
    assert_eq!(
        (rest.voicemails.len(), rest.next_page_token.as_str()),
        (3, "")
    );
    for (token, setup_id) in [
        (first.next_page_token.as_str(), app.setup_id.as_str()),
        ("made-up", ""),
        ("!", ""),
    ] {
        let refused = page(2, token, setup_id).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_PAGE_TOKEN", "{token}");
    }
    let exact = page(5, "", "").await.unwrap();
    assert_eq!(
        (exact.voicemails.len(), exact.next_page_token.as_str()),
        (5, ""),
        "no empty page behind the last row"
    );
}

async fn a_page_ends_early_at_two_mebibytes(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    // Some 2.3 KiB each: 1,000 of them pass 2 MiB.
    let labels: std::collections::BTreeMap<String, String> = (0..16)
        .map(|n| (format!("k{n}"), "v".repeat(128)))
        .collect();
    app.send_stored(|m| m.labels = labels.clone())
        .await
        .unwrap();
    let copy = |ids: &str| {
        format!(
            "INSERT INTO voicemails SELECT {ids}, v.workspace_id, use_case_id, setup_id, sender_id, sender, recipient, status, failure_reason, status_detail, \
             simulated, audio_id, labels, NULL, request_hash, create_time, update_time, schedule_time, expire_time, due_time, sent_time, end_time, NULL, held, \
             lease_token, tries, attempt_count, carrier, latency_bucket, hold_gate, time_zone, postal_code FROM voicemails v"
        )
    };
    app.database.sql(
        &format!(
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 999) {}, s",
            copy("randomblob(16)")
        ),
        &format!("{}, generate_series(1, 999)", copy("gen_random_uuid()")),
    );
    let mut seen = std::collections::BTreeSet::new();
    let mut page_token = String::new();
    let mut pages = 0;
    loop {
        let request = pb::ListVoicemailsRequest {
            page_size: 1_000,
            page_token,
            ..Default::default()
        };
        let page = app
            .voicemails()
            .list_voicemails(request)
            .await
            .unwrap()
            .into_inner();
        assert!(prost::Message::encoded_len(&page) <= 2 * 1_024 * 1_024 + 4_096);
        pages += 1;
        seen.extend(page.voicemails.into_iter().map(|voicemail| voicemail.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((pages, seen.len()), (2, 1_000));
}

async fn lists_of_setups_numbers_and_use_cases_page_too(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let mut page_token = String::new();
    let mut numbers = Vec::new();
    loop {
        let request = pb::ListPhoneNumbersRequest {
            page_size: 2,
            page_token,
            setup_id: app.setup_id.clone(),
            ..Default::default()
        };
        let page = app
            .telephony()
            .list_phone_numbers(request)
            .await
            .unwrap()
            .into_inner();
        numbers.extend(
            page.phone_numbers
                .into_iter()
                .map(|number| number.phone_number),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    numbers.sort();
    assert_eq!(numbers, ["+12125550195", "+13125550196", "+14155550197"]);
    let setups = app
        .telephony()
        .list_setups(pb::ListSetupsRequest {
            statuses: vec![2],
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (setups.setups.len(), setups.next_page_token.as_str()),
        (1, "")
    );
    let named = pb::ListUseCasesRequest {
        entity_name: "Sample Clinic".to_owned(),
        name: "Demo".to_owned(),
        ..Default::default()
    };
    let found = app
        .use_cases()
        .list_use_cases(named)
        .await
        .unwrap()
        .into_inner()
        .use_cases;
    assert_eq!((found.len(), found[0].phone_number_ids.len()), (1, 3));
}

async fn cancelling_wins_from_accepted_and_answers_the_same_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    let later = app.clock.now().plus(Duration::from_secs(3_600));
    let scheduled = app
        .send_stored(|m| m.schedule_time = Some(timestamp(later)))
        .await
        .unwrap();
    let cancel = |id: &str| {
        let request = pb::CancelVoicemailRequest {
            voicemail_id: id.to_owned(),
        };
        let mut client = app.voicemails();
        async move {
            client
                .cancel_voicemail(request)
                .await
                .map(|done| done.into_inner().voicemail.unwrap())
        }
    };
    let first = cancel(&scheduled.id).await.unwrap();
    assert_eq!(first.status(), VoicemailStatus::Cancelled);
    assert_eq!(cancel(&scheduled.id).await.unwrap(), first);
    let sent = app.send_stored(|_| {}).await.unwrap();
    app.wait_for(&sent.id, VoicemailStatus::Delivered).await;
    let refused = cancel(&sent.id).await.unwrap_err();
    assert_eq!(reason(&refused), "NOT_CANCELLABLE");
    assert!(refused.message().contains("DELIVERED"));
}
