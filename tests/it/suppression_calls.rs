//! SuppressionService as callers see it: its limits and lists.

use std::time::Duration;

use ringless::grpc::pb;
use ringless::grpc::pb::{SuppressionReason as Reason, VoicemailStatus};
use tonic::Status;

use crate::support::Engine;
use crate::support::app::{RECIPIENT, TestApp, bad_fields, reason, timestamp};

crate::on_both_databases!(
    a_suppression_is_added_shown_and_deleted,
    every_limit_of_a_suppression_is_held,
    every_filter_finds_what_it_names_and_pages_go_on,
);

fn suppression(number: &str) -> pb::Suppression {
    pb::Suppression {
        phone_number: number.to_owned(),
        reason: Reason::OptOut as i32,
        ..Default::default()
    }
}

async fn create(
    app: &TestApp,
    change: impl FnOnce(&mut pb::Suppression),
) -> Result<pb::CreateSuppressionResponse, Status> {
    let mut suppression = suppression(RECIPIENT);
    change(&mut suppression);
    let request = pb::CreateSuppressionRequest {
        suppression: Some(suppression),
    };
    Ok(app
        .suppressions()
        .create_suppression(request)
        .await?
        .into_inner())
}

pub fn entity(name: &str) -> Option<pb::Scope> {
    Some(pb::Scope {
        scope: Some(pb::scope::Scope::EntityName(name.to_owned())),
    })
}

pub fn use_case(id: &str) -> Option<pb::Scope> {
    Some(pb::Scope {
        scope: Some(pb::scope::Scope::UseCaseId(id.to_owned())),
    })
}

async fn a_suppression_is_added_shown_and_deleted(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let waiting = app.send_stored(|_| {}).await.unwrap();
    let made = create(&app, |s| {
        "(212) 555-0123".clone_into(&mut s.phone_number);
        s.scope = use_case(&app.use_case_id);
    })
    .await
    .unwrap();
    assert_eq!((made.skipped_count, made.on_its_way_count), (1, 0));
    let ended = app.get(&waiting.id).await;
    assert_eq!(ended.status(), VoicemailStatus::Skipped);
    assert_eq!(ended.failure_reason(), pb::FailureReason::InternalDnc);
    assert!(ended.status_detail.contains("OPT_OUT"), "{ended:?}");
    let made = made.suppression.unwrap();
    assert_eq!(made.phone_number, RECIPIENT);
    let get = async || {
        let request = pb::GetSuppressionRequest {
            suppression_id: made.id.clone(),
        };
        app.suppressions()
            .get_suppression(request)
            .await
            .unwrap()
            .into_inner()
            .suppression
            .unwrap()
    };
    assert_eq!(get().await, made);
    let delete = async |reason: &str| {
        let request = pb::DeleteSuppressionRequest {
            suppression_id: made.id.clone(),
            reason: reason.to_owned(),
            actor: "boss".to_owned(),
        };
        app.suppressions().delete_suppression(request).await
    };
    let refused = delete(" ").await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["reason"]);
    app.clock.advance(Duration::from_secs(1));
    let deleted = delete("by mistake")
        .await
        .unwrap()
        .into_inner()
        .suppression
        .unwrap();
    assert_eq!(deleted.delete_time, Some(timestamp(app.clock.now())));
    assert_eq!(
        (
            deleted.delete_reason.as_str(),
            deleted.delete_actor.as_str()
        ),
        ("by mistake", "boss")
    );
    assert_eq!(
        delete("again").await.unwrap().into_inner().suppression,
        Some(deleted.clone())
    );
    assert_eq!(get().await, deleted);
    let text = crate::serving::http_get(&format!("http://{}/metrics", app.running.admin_addr()))
        .await
        .1;
    assert!(
        text.contains(
            "ringless_voicemails_ended_total{status=\"SKIPPED\",reason=\"internal_dnc\"} 1"
        ),
        "{text}"
    );
}

async fn every_limit_of_a_suppression_is_held(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    for (length, is_good) in [(199, true), (200, true), (201, false)] {
        let text = "ü".repeat(length);
        let made = create(&app, |s| {
            s.source.clone_from(&text);
            s.actor.clone_from(&text);
            s.note.clone_from(&text);
        })
        .await;
        match made {
            Ok(_) => assert!(is_good),
            Err(status) => {
                assert!(!is_good);
                let fields = [
                    "suppression.source",
                    "suppression.actor",
                    "suppression.note",
                ];
                assert_eq!(bad_fields(&status), fields);
            }
        }
    }
    let refused = create(&app, |s| {
        s.reason = 0;
        "+1212555".clone_into(&mut s.phone_number);
        "two\nlines".clone_into(&mut s.note);
        s.scope = entity(&"x".repeat(64));
    });
    let refused = refused.await.unwrap_err();
    let fields = [
        "suppression.phone_number",
        "suppression.scope.entity_name",
        "suppression.reason",
        "suppression.note",
    ];
    assert_eq!(bad_fields(&refused), fields);
    let nobodys = create(&app, |s| {
        s.scope = use_case("01970c8f-0a45-7e9b-b1f3-0c6d7a2e9518")
    });
    assert_eq!(reason(&nobodys.await.unwrap_err()), "USE_CASE_NOT_FOUND");
    let over = create(&app, |s| s.expire_time = Some(timestamp(app.clock.now())));
    assert_eq!(
        bad_fields(&over.await.unwrap_err()),
        ["suppression.expire_time"]
    );
    let missing = pb::GetSuppressionRequest {
        suppression_id: "01970c8f-0a45-7e9b-b1f3-0c6d7a2e9518".to_owned(),
    };
    let missing = app
        .suppressions()
        .get_suppression(missing)
        .await
        .unwrap_err();
    assert_eq!(reason(&missing), "SUPPRESSION_NOT_FOUND");
}

pub async fn list(app: &TestApp, filter: pb::SuppressionFilter) -> Vec<String> {
    let request = pb::ListSuppressionsRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let page = app
        .suppressions()
        .list_suppressions(request)
        .await
        .unwrap()
        .into_inner();
    page.suppressions.into_iter().map(|one| one.id).collect()
}

async fn every_filter_finds_what_it_names_and_pages_go_on(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let mut ids = Vec::new();
    let soon = Some(timestamp(app.clock.now().plus(Duration::from_secs(60))));
    let changes: [&dyn Fn(&mut pb::Suppression); 5] = [
        &|_| {},
        &|s| s.scope = entity("Clinic"),
        &|s| s.scope = use_case(&app.use_case_id),
        &|s| s.reason = Reason::Litigator as i32,
        &|s| {
            "+13125550150".clone_into(&mut s.phone_number);
            s.expire_time = soon;
        },
    ];
    for change in changes {
        app.clock.advance(Duration::from_secs(1));
        ids.push(create(&app, change).await.unwrap().suppression.unwrap().id);
    }
    let all = pb::SuppressionFilter::default;
    let expected: Vec<(pb::SuppressionFilter, Vec<usize>)> = vec![
        (all(), vec![4, 3, 2, 1, 0]),
        (
            pb::SuppressionFilter {
                phone_number: "+13125550150".to_owned(),
                ..all()
            },
            vec![4],
        ),
        (
            pb::SuppressionFilter {
                scope_kinds: vec![pb::ScopeKind::Entity as i32, pb::ScopeKind::UseCase as i32],
                ..all()
            },
            vec![2, 1],
        ),
        (
            pb::SuppressionFilter {
                scope: entity("Clinic"),
                ..all()
            },
            vec![1],
        ),
        (
            pb::SuppressionFilter {
                scope: use_case(&app.use_case_id),
                ..all()
            },
            vec![2],
        ),
        (
            pb::SuppressionFilter {
                reasons: vec![Reason::Litigator as i32],
                ..all()
            },
            vec![3],
        ),
        (
            pb::SuppressionFilter {
                reasons: vec![Reason::Complaint as i32],
                ..all()
            },
            vec![],
        ),
    ];
    for (filter, wanted) in expected {
        let wanted: Vec<String> = wanted.into_iter().map(|at| ids[at].clone()).collect();
        assert_eq!(list(&app, filter.clone()).await, wanted, "{filter:?}");
    }
    // Pages, and a token that serves its own list only.
    let request = |page_size, token: &str, filter| pb::ListSuppressionsRequest {
        page_size,
        page_token: token.to_owned(),
        filter,
    };
    let mut found = Vec::new();
    let mut token = String::new();
    loop {
        let page = app
            .suppressions()
            .list_suppressions(request(2, &token, None))
            .await
            .unwrap()
            .into_inner();
        found.extend(page.suppressions.into_iter().map(|one| one.id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        let other = app
            .suppressions()
            .list_suppressions(request(2, &token, Some(all())))
            .await;
        assert_eq!(reason(&other.unwrap_err()), "INVALID_PAGE_TOKEN");
    }
    assert_eq!(found, ids.iter().rev().cloned().collect::<Vec<_>>());
    // What has expired or was deleted is shown on request.
    app.clock.advance(Duration::from_secs(60));
    let request = pb::DeleteSuppressionRequest {
        suppression_id: ids[0].clone(),
        reason: "x".to_owned(),
        actor: String::new(),
    };
    app.suppressions()
        .delete_suppression(request)
        .await
        .unwrap();
    assert_eq!(list(&app, all()).await.len(), 3);
    let ended_too = pb::SuppressionFilter {
        include_deleted: true,
        ..all()
    };
    assert_eq!(list(&app, ended_too).await.len(), 5);
}
