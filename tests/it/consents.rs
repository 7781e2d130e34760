//! Consents: what is recorded reads back, and the last word of a recipient counts.

use std::time::Duration;

use ringless::domain::consent::{ConsentKind, Verdict, judge};
use ringless::domain::ids::UseCaseId;
use ringless::grpc::pb;
use ringless::grpc::pb::ConsentKind as Kind;
use tonic::Status;

use crate::support::app::{RECIPIENT, TestApp, bad_fields, reason, timestamp};
use crate::support::data::{WORKSPACE, number};
use crate::support::{Engine, open};

crate::on_both_databases!(
    a_consent_is_recorded_shown_and_revoked,
    a_request_id_records_one_consent,
    every_limit_of_a_consent_is_held,
    lists_and_exports_have_what_their_filters_name,
    what_is_stored_is_judged_by_the_last_word,
);

async fn create(
    app: &TestApp,
    change: impl FnOnce(&mut pb::Consent),
    request_id: &str,
) -> Result<pb::Consent, Status> {
    let mut consent = pb::Consent {
        phone_number: RECIPIENT.to_owned(),
        kind: Kind::Written as i32,
        text_shown: "I agree to \"calls\",\nand messages: ☎".to_owned(),
        source: "form".to_owned(),
        actor: "me".to_owned(),
        ..Default::default()
    };
    change(&mut consent);
    let request = pb::CreateConsentRequest {
        consent: Some(consent),
        request_id: request_id.to_owned(),
    };
    let made = app.consents().create_consent(request).await?.into_inner();
    Ok(made.consent.unwrap())
}

async fn revoke(
    app: &TestApp,
    id: &str,
    change: impl FnOnce(&mut pb::RevokeConsentRequest),
) -> Result<pb::Consent, Status> {
    let mut request = pb::RevokeConsentRequest {
        consent_id: id.to_owned(),
        reason: "said so".to_owned(),
        actor: "desk".to_owned(),
        revoke_time: None,
    };
    change(&mut request);
    let revoked = app.consents().revoke_consent(request).await?.into_inner();
    Ok(revoked.consent.unwrap())
}

async fn a_consent_is_recorded_shown_and_revoked(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let made = create(
        &app,
        |c| {
            c.scope = Some(pb::Scope {
                scope: Some(pb::scope::Scope::UseCaseId(app.use_case_id.clone())),
            });
        },
        "",
    )
    .await
    .unwrap();
    let now = Some(timestamp(app.clock.now()));
    assert_eq!(
        (made.consent_time, made.create_time, made.revoke_time),
        (now, now, None)
    );
    let get = async || {
        let request = pb::GetConsentRequest {
            consent_id: made.id.clone(),
        };
        app.consents()
            .get_consent(request)
            .await
            .unwrap()
            .into_inner()
            .consent
            .unwrap()
    };
    assert_eq!(get().await, made);
    app.clock.advance(Duration::from_secs(60));
    let revoked = revoke(&app, &made.id, |_| {}).await.unwrap();
    assert_eq!(revoked.revoke_time, Some(timestamp(app.clock.now())));
    assert_eq!(
        (
            revoked.revoke_reason.as_str(),
            revoked.revoke_actor.as_str()
        ),
        ("said so", "desk")
    );
    let again = revoke(&app, &made.id, |r| "other".clone_into(&mut r.reason))
        .await
        .unwrap();
    assert_eq!(again, revoked);
    assert_eq!(get().await, revoked);
    let missing = revoke(&app, "01970c8f-0a45-7e9b-b1f3-0c6d7a2e9518", |_| {}).await;
    assert_eq!(reason(&missing.unwrap_err()), "CONSENT_NOT_FOUND");
}

async fn a_request_id_records_one_consent(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let first = create(&app, |_| {}, "one").await.unwrap();
    assert_eq!(create(&app, |_| {}, "one").await.unwrap(), first);
    let other = create(&app, |c| "other".clone_into(&mut c.source), "one").await;
    assert_eq!(reason(&other.unwrap_err()), "REQUEST_ID_REUSED");
    assert_ne!(create(&app, |_| {}, "").await.unwrap().id, first.id);
    assert_eq!(app.database.count("SELECT count(*) FROM consents"), 2);
}

async fn every_limit_of_a_consent_is_held(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    for (length, is_good) in [(1_999, true), (2_000, true), (2_001, false)] {
        let made = create(&app, |c| c.text_shown = "ü".repeat(length), "").await;
        assert_eq!(made.is_ok(), is_good, "{length}");
    }
    for (length, is_good) in [(199, true), (200, true), (201, false)] {
        let text = "ü".repeat(length);
        let made = create(
            &app,
            |c| {
                c.source.clone_from(&text);
                c.actor.clone_from(&text);
            },
            "",
        )
        .await;
        assert_eq!(made.is_ok(), is_good, "{length}");
        let id = create(&app, |_| {}, "").await.unwrap().id;
        let revoked = revoke(&app, &id, |r| r.reason.clone_from(&text)).await;
        assert_eq!(revoked.is_ok(), is_good, "{length}");
    }
    let bad = create(
        &app,
        |c| {
            c.kind = 0;
            c.phone_number.clear();
        },
        "",
    );
    let fields = ["consent.phone_number", "consent.kind"];
    assert_eq!(bad_fields(&bad.await.unwrap_err()), fields);
    // A clock that goes ahead a little is forgiven.
    let now = app.clock.now();
    for (ahead, is_good) in [(299, true), (300, true), (301, false)] {
        let time = Some(timestamp(now.plus(Duration::from_secs(ahead))));
        let made = create(&app, |c| c.consent_time = time, "").await;
        assert_eq!(made.is_ok(), is_good, "{ahead}");
        if let Ok(made) = made {
            assert_eq!(made.consent_time, Some(timestamp(now)));
            let revoked = revoke(&app, &made.id, |r| r.revoke_time = time)
                .await
                .unwrap();
            assert_eq!(revoked.revoke_time, Some(timestamp(now)));
        }
    }
    let given = now.minus(Duration::from_secs(60));
    for (before_us, is_good) in [(1, false), (0, true)] {
        let made = create(&app, |c| c.consent_time = Some(timestamp(given)), "")
            .await
            .unwrap();
        let time = Some(timestamp(given.minus(Duration::from_micros(before_us))));
        let revoked = revoke(&app, &made.id, |r| r.revoke_time = time).await;
        assert_eq!(revoked.is_ok(), is_good);
    }
    let id = create(&app, |_| {}, "").await.unwrap().id;
    let empty = revoke(&app, &id, |r| r.reason.clear()).await.unwrap_err();
    assert_eq!(bad_fields(&empty), ["reason"]);
}

async fn lists_and_exports_have_what_their_filters_name(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let mut ids = Vec::new();
    let changes: [&dyn Fn(&mut pb::Consent); 3] =
        [&|_| {}, &|c| c.kind = Kind::Express as i32, &|c| {
            "+13125550150".clone_into(&mut c.phone_number)
        }];
    for change in changes {
        app.clock.advance(Duration::from_secs(1));
        ids.push(create(&app, change, "").await.unwrap().id);
    }
    revoke(&app, &ids[0], |_| {}).await.unwrap();
    let all = pb::ConsentFilter::default;
    for (filter, wanted) in [
        (all(), vec![2, 1, 0]),
        (
            pb::ConsentFilter {
                phone_number: "+13125550150".to_owned(),
                ..all()
            },
            vec![2],
        ),
        (
            pb::ConsentFilter {
                kinds: vec![Kind::Express as i32],
                ..all()
            },
            vec![1],
        ),
        (
            pb::ConsentFilter {
                revoked: Some(true),
                ..all()
            },
            vec![0],
        ),
        (
            pb::ConsentFilter {
                revoked: Some(false),
                ..all()
            },
            vec![2, 1],
        ),
        (
            pb::ConsentFilter {
                scope_kinds: vec![pb::ScopeKind::Entity as i32],
                ..all()
            },
            vec![],
        ),
    ] {
        let wanted: Vec<String> = wanted
            .into_iter()
            .map(|at: usize| ids[at].clone())
            .collect();
        let request = pb::ListConsentsRequest {
            filter: Some(filter.clone()),
            ..Default::default()
        };
        let page = app
            .consents()
            .list_consents(request)
            .await
            .unwrap()
            .into_inner();
        let found: Vec<String> = page.consents.into_iter().map(|one| one.id).collect();
        assert_eq!(found, wanted, "{filter:?}");
        let request = pb::ExportConsentsRequest {
            filter: Some(filter),
        };
        let mut parts = app
            .consents()
            .export_consents(request)
            .await
            .unwrap()
            .into_inner();
        let mut text = Vec::new();
        while let Some(part) = parts.message().await.unwrap() {
            text.extend_from_slice(&part.csv_chunk);
        }
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(
            rows.iter().map(|row| row[0].to_owned()).collect::<Vec<_>>(),
            wanted
        );
        assert!(
            rows.iter()
                .all(|row| &row[6] == "I agree to \"calls\",\nand messages: ☎")
        );
    }
    let page = pb::ListConsentsRequest {
        page_size: 1,
        ..Default::default()
    };
    let token = app
        .consents()
        .list_consents(page)
        .await
        .unwrap()
        .into_inner()
        .next_page_token;
    let elsewhere = pb::ListSuppressionsRequest {
        page_token: token,
        ..Default::default()
    };
    let refused = app
        .suppressions()
        .list_suppressions(elsewhere)
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "INVALID_PAGE_TOKEN");
}

async fn what_is_stored_is_judged_by_the_last_word(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let verdict = async || {
        // Beside the server, which owns SQLite's file.
        let store = match engine {
            Engine::Postgres => open(&app.database, &app.clock),
            Engine::Sqlite => return None,
        };
        let found = store
            .read(|tx| tx.consents_of(WORKSPACE, &number(RECIPIENT)))
            .await;
        let found: Result<Vec<_>, ringless::storage::Error> = found;
        let found = found.unwrap();
        let judged = judge(
            &found,
            ConsentKind::Written,
            "x",
            UseCaseId::generate(),
            app.clock.now(),
        );
        Some(match judged {
            Verdict::Given(_) => "given",
            Verdict::Revoked(_) => "revoked",
            Verdict::Missing => "missing",
        })
    };
    let expect = |given: Option<&str>, wanted: &str| {
        assert!(given.is_none_or(|it| it == wanted), "{given:?}")
    };
    expect(verdict().await, "missing");
    let id = create(&app, |_| {}, "").await.unwrap().id;
    expect(verdict().await, "given");
    app.clock.advance(Duration::from_secs(1));
    revoke(&app, &id, |_| {}).await.unwrap();
    expect(verdict().await, "revoked");
    app.clock.advance(Duration::from_secs(1));
    create(&app, |_| {}, "").await.unwrap();
    expect(verdict().await, "given");
}
