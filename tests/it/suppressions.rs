//! Suppressions as storage and verbs promise them: what holds, for how long, and what it ends at once.

use std::time::Duration;

use ringless::domain::attempt::{Answer, Outcome};
use ringless::domain::failure::FailureReason;
use ringless::domain::ids::{UseCaseId, VoicemailId};
use ringless::domain::phone::PhoneNumber;
use ringless::domain::status::{End, Status};
use ringless::domain::suppression::{Scope, Suppression, SuppressionReason};
use ringless::domain::time::Time;
use ringless::ops::OpError;
use ringless::ops::queue::QueueGauge;
use ringless::ops::send_voicemail::{Accepted, Accepting, AudioInput, accept};
use ringless::ops::suppressions::{self, Created, NewSuppression};
use ringless::ops::use_cases::{self, NewUseCase};
use ringless::storage::{Error, Lock, SkipReason};

use crate::support::data::{Scene, WORKSPACE, number};
use crate::support::scripted::{ASKABLE, NEITHER, Scripted};
use crate::support::{Engine, TestStore};

crate::on_both_databases!(
    what_is_added_holds_until_it_expires,
    adding_the_same_again_never_weakens_it,
    one_that_expired_makes_room_and_stays,
    a_deleted_one_stays_with_its_reason,
    the_same_added_at_once_is_one,
    a_thousand_that_wait_end_at_once_and_the_one_that_left_is_counted,
    only_what_is_in_the_scope_ends,
    one_unit_of_work_ends_no_more_than_it_is_told,
    what_another_has_locked_is_passed_over,
    a_carriers_refusal_suppresses_the_number,
    a_carriers_later_word_suppresses_the_number,
    another_refusal_suppresses_nothing,
);

const RECIPIENT: &str = "+12125550100";

fn new(scope: Scope, reason: SuppressionReason, expire_time: Option<Time>) -> NewSuppression {
    NewSuppression {
        phone_number: number(RECIPIENT),
        scope,
        reason,
        source: "hotline".to_owned(),
        actor: "me".to_owned(),
        note: "Grüße, \"ja\"".to_owned(),
        expire_time,
    }
}

fn opt_out(expire_time: Option<Time>) -> NewSuppression {
    new(Scope::Workspace, SuppressionReason::OptOut, expire_time)
}

async fn create(test: &TestStore, new: NewSuppression) -> Result<Created, OpError> {
    test.store
        .write(move |tx| suppressions::create(tx, WORKSPACE, &new))
        .await
}

async fn living(test: &TestStore) -> Vec<Suppression> {
    test.read(|tx| tx.suppressions_of(WORKSPACE, &number(RECIPIENT)))
        .await
}

async fn what_is_added_holds_until_it_expires(engine: Engine) {
    let test = TestStore::new(engine).await;
    let now = test.clock.now();
    let end = now.plus(Duration::from_micros(2));
    let made = create(&test, opt_out(Some(end))).await.unwrap().suppression;
    assert_eq!((made.create_time, made.expire_time), (now, Some(end)));
    assert_eq!(living(&test).await.as_slice(), std::slice::from_ref(&made));
    let id = made.id;
    let read = test
        .read(move |tx| tx.find_suppression(WORKSPACE, id))
        .await;
    assert_eq!(read, Some(made));
    for (passed_us, count) in [(1, 1), (1, 0), (1, 0)] {
        test.advance(Duration::from_micros(passed_us));
        assert_eq!(living(&test).await.len(), count);
    }
    // What is over already is none.
    for ahead_us in [-1_i64, 0, 1] {
        let end = Time::from_micros(test.clock.now().micros() + ahead_us);
        let made = create(&test, opt_out(Some(end))).await;
        assert_eq!(made.is_ok(), ahead_us > 0, "{made:?}");
    }
}

async fn adding_the_same_again_never_weakens_it(engine: Engine) {
    let test = TestStore::new(engine).await;
    let day = |days: u64| Some(test.clock.now().plus(Duration::from_secs(days * 86_400)));
    let first = create(&test, opt_out(day(2))).await.unwrap().suppression;
    for (given, holds_until) in [
        (day(1), day(2)),
        (day(3), day(3)),
        (None, None),
        (day(9), None),
        (None, None),
    ] {
        let again = create(&test, opt_out(given)).await.unwrap().suppression;
        assert_eq!((again.id, again.expire_time), (first.id, holds_until));
    }
    // Another reason or scope is another one.
    let complaint = new(Scope::Workspace, SuppressionReason::Complaint, None);
    let entity = new(
        Scope::Entity("Clinic".to_owned()),
        SuppressionReason::OptOut,
        None,
    );
    for other in [complaint, entity] {
        assert_ne!(create(&test, other).await.unwrap().suppression.id, first.id);
    }
    assert_eq!(living(&test).await.len(), 3);
}

async fn one_that_expired_makes_room_and_stays(engine: Engine) {
    let test = TestStore::new(engine).await;
    let end = test.clock.now().plus(Duration::from_secs(1));
    let old = create(&test, opt_out(Some(end))).await.unwrap().suppression;
    test.advance(Duration::from_secs(1));
    let fresh = create(&test, opt_out(None)).await.unwrap().suppression;
    assert_ne!(fresh.id, old.id);
    assert_eq!(living(&test).await, [fresh]);
    let id = old.id;
    let old = test
        .read(move |tx| tx.find_suppression(WORKSPACE, id))
        .await;
    let deletion = old.unwrap().deletion.unwrap();
    assert_eq!((deletion.time, deletion.actor.as_str()), (end, "ringless"));
}

async fn a_deleted_one_stays_with_its_reason(engine: Engine) {
    let test = TestStore::new(engine).await;
    let id = create(&test, opt_out(None)).await.unwrap().suppression.id;
    test.advance(Duration::from_secs(5));
    let delete = async |reason: &'static str| {
        test.store
            .write::<_, OpError, _>(move |tx| {
                suppressions::delete(tx, WORKSPACE, id, reason, "boss")
            })
            .await
            .unwrap()
    };
    let deleted = delete("a mistake").await;
    assert!(living(&test).await.is_empty());
    test.advance(Duration::from_secs(5));
    assert_eq!(delete("another reason").await, deleted);
    let deletion = deleted.deletion.unwrap();
    assert_eq!(
        (deletion.reason.as_str(), deletion.actor.as_str()),
        ("a mistake", "boss")
    );
    // It may be added again, as a new one.
    let again = create(&test, opt_out(None)).await.unwrap().suppression;
    assert_ne!(again.id, id);
    assert_eq!(test.database.count("SELECT count(*) FROM suppressions"), 2);
}

async fn the_same_added_at_once_is_one(engine: Engine) {
    let test = TestStore::new(engine).await;
    let end = test.clock.now().plus(Duration::from_secs(60));
    let mut calls = tokio::task::JoinSet::new();
    for at in 0..8 {
        let store = test.store.clone();
        let new = opt_out((at != 5).then_some(end));
        calls.spawn(async move {
            let create =
                move |tx: &mut dyn ringless::storage::Tx| suppressions::create(tx, WORKSPACE, &new);
            store
                .write::<_, OpError, _>(create)
                .await
                .unwrap()
                .suppression
                .id
        });
    }
    let ids: std::collections::BTreeSet<_> = calls.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1);
    let found = living(&test).await;
    assert_eq!((found.len(), found[0].expire_time), (1, None));
}

/// So many more to this recipient, as a copy of one that was accepted.
async fn accept_many(scene: &Scene, recipient: &str, count: usize) -> Vec<VoicemailId> {
    let first = scene.accept(recipient).await;
    let audio = scene.get(first).await.audio;
    let registry = scene.registry.clone();
    let mut draft = scene.draft(recipient);
    draft.audio_id = Some(audio.id);
    let (queue, gates) = (QueueGauge::new(10_000), scene.gates.clone());
    let mut ids = vec![first];
    let more = scene
        .test
        .store
        .write::<_, OpError, _>(move |tx| {
            let accepting = Accepting {
                workspace: WORKSPACE,
                registry: &registry,
                gates: &gates,
                queue: &queue,
                expire_after: Duration::from_secs(3_600),
            };
            (1..count)
                .map(
                    |_| match accept(tx, &draft, &AudioInput::Named, &accepting)? {
                        Accepted::New(voicemail) => Ok(voicemail.id),
                        other => panic!("{other:?}"),
                    },
                )
                .collect::<Result<Vec<_>, OpError>>()
        })
        .await
        .unwrap();
    ids.extend(more);
    ids
}

async fn a_thousand_that_wait_end_at_once_and_the_one_that_left_is_counted(engine: Engine) {
    let taken = Outcome::Taken { ask_after: None };
    let scene = Scene::new(engine, Scripted::new(NEITHER, [taken])).await;
    let left = scene.accept(RECIPIENT).await;
    scene.work().await;
    assert_eq!(scene.get(left).await.status, Status::Sent);
    let waiting = accept_many(&scene, RECIPIENT, 1_000).await;
    let other = scene.accept("+12125550101").await;
    // One that was put aside after a restore is stopped too.
    scene.test.database.sql(
        "UPDATE voicemails SET held = 1, next_time = NULL WHERE id = (SELECT max(id) FROM voicemails WHERE status = 1 AND recipient = '+12125550100')",
        "UPDATE voicemails SET held = true, next_time = NULL WHERE id = (SELECT id FROM voicemails WHERE status = 1 AND recipient = '+12125550100' LIMIT 1)",
    );
    scene.advance_seconds(5);
    let began = std::time::Instant::now();
    let made = create(&scene.test, opt_out(None)).await.unwrap();
    println!(
        "{engine:?}: 1,000 waiting voicemails ended in {:?}",
        began.elapsed()
    );
    assert_eq!(
        (made.skipped, made.is_more, made.on_its_way),
        (1_000, false, 1)
    );
    let ended = scene.get(waiting[500]).await;
    assert_eq!(ended.status, Status::Skipped);
    assert_eq!(ended.failure_reason, Some(FailureReason::InternalDnc));
    assert_eq!(
        ended.status_detail,
        "the recipient was suppressed (OPT_OUT) at 2026-11-23T12:00:05Z"
    );
    assert_eq!(ended.end_time, Some(scene.test.clock.now()));
    assert_eq!(ended.update_time, scene.test.clock.now());
    let clean = "SELECT count(*) FROM voicemails WHERE status = 7 AND next_time IS NULL AND NOT held AND lease_token IS NULL";
    assert_eq!(scene.test.database.count(clean), 1_000);
    // The one with the carrier tells the truth, and others are left alone.
    assert_eq!(scene.get(left).await.status, Status::Sent);
    assert_eq!(scene.get(other).await.status, Status::Accepted);
    let again = create(&scene.test, opt_out(None)).await.unwrap();
    assert_eq!((again.skipped, again.on_its_way), (0, 1));
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 2);
}

/// Another use case of this entity in the scene's setup, with its numbers.
async fn use_case(scene: &Scene, entity: &'static str) -> UseCaseId {
    let (setup_id, numbers, registry) = (
        scene.setup_id,
        scene.number_ids.clone(),
        scene.registry.clone(),
    );
    let make = move |tx: &mut dyn ringless::storage::Tx| {
        let new = NewUseCase {
            channel: ringless::domain::use_case::Channel::RinglessVoicemail,
            entity_name: entity.to_owned(),
            name: format!("More {}", UseCaseId::generate()),
            description: String::new(),
            setup_id,
            purpose: None,
            callback_phone_number: None,
            opt_out_phone_number: None,
            senders: ringless::domain::sender::SenderPlan::default(),
            request_id: None,
        };
        let made = use_cases::create(tx, WORKSPACE, &new, &registry)?;
        for number in numbers {
            use_cases::assign(tx, WORKSPACE, made.id, number)?;
        }
        Ok(made.id)
    };
    scene.test.store.write::<_, OpError, _>(make).await.unwrap()
}

async fn only_what_is_in_the_scope_ends(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let clinic = scene.use_case_id;
    let (same, shop) = (
        use_case(&scene, "Clinic").await,
        use_case(&scene, "Shop").await,
    );
    let accept = async |use_case_id| {
        let mut draft = scene.draft(RECIPIENT);
        draft.use_case_id = use_case_id;
        match scene.try_accept(draft, 1).await.unwrap() {
            Accepted::New(voicemail) => voicemail.id,
            other => panic!("{other:?}"),
        }
    };
    let ids = [accept(clinic).await, accept(same).await, accept(shop).await];
    let reason = SuppressionReason::WrongNumber;
    for (scope, skipped, statuses) in [
        (Scope::Entity("clinic".to_owned()), 0, [1, 1, 1]),
        (Scope::UseCase(same), 1, [1, 7, 1]),
        (Scope::Entity("Clinic".to_owned()), 1, [7, 7, 1]),
        (Scope::Workspace, 1, [7, 7, 7]),
    ] {
        let made = create(&scene.test, new(scope.clone(), reason, None)).await;
        assert_eq!(made.unwrap().skipped, skipped, "{scope:?}");
        for (id, status) in ids.iter().zip(statuses) {
            assert_eq!(scene.get(*id).await.status as i16, status, "{scope:?}");
        }
    }
    let nobodys = new(Scope::UseCase(UseCaseId::generate()), reason, None);
    let refused = create(&scene.test, nobodys).await;
    assert!(matches!(refused, Err(OpError::NotFound(..))), "{refused:?}");
}

async fn one_unit_of_work_ends_no_more_than_it_is_told(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    accept_many(&scene, RECIPIENT, 7).await;
    for (limit, ended) in [(2, 2), (3, 3), (4, 2), (1, 0)] {
        let skip = move |tx: &mut dyn ringless::storage::Tx| {
            let why = SkipReason {
                reason: FailureReason::KnownLitigator,
                detail: "because",
            };
            let numbers: [PhoneNumber; 1] = [number(RECIPIENT)];
            tx.skip_waiting(WORKSPACE, &numbers, &Scope::Workspace, why, limit)
        };
        assert_eq!(scene.test.write(skip).await.len(), ended, "{limit}");
    }
}

async fn what_another_has_locked_is_passed_over(engine: Engine) {
    // On SQLite a write has the database to itself.
    if engine == Engine::Sqlite {
        return;
    }
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let ids = accept_many(&scene, RECIPIENT, 2).await;
    let (locked, is_locked) = std::sync::mpsc::channel();
    let (let_go, wait) = std::sync::mpsc::channel::<()>();
    let (store, id) = (scene.test.store.clone(), ids[0]);
    let holder = tokio::spawn(async move {
        store
            .write::<_, Error, _>(move |tx| {
                tx.find_delivery(WORKSPACE, id, Lock::Change)?;
                locked.send(()).unwrap();
                wait.recv().unwrap();
                Ok(())
            })
            .await
    });
    tokio::task::spawn_blocking(move || is_locked.recv().unwrap())
        .await
        .unwrap();
    let made = create(&scene.test, opt_out(None)).await.unwrap();
    assert_eq!(made.skipped, 1);
    let_go.send(()).unwrap();
    holder.await.unwrap().unwrap();
    assert_eq!(create(&scene.test, opt_out(None)).await.unwrap().skipped, 1);
}

/// A scene in which the first voicemail is refused for this, and a second one waits; what holds then.
async fn after_a_refusal(
    engine: Engine,
    reason: FailureReason,
) -> (Status, Option<FailureReason>, Vec<Suppression>) {
    let carrier = Scripted::new(NEITHER, [Outcome::Rejected { reason }]);
    let scene = Scene::new(engine, carrier).await;
    let refused = scene.accept(RECIPIENT).await;
    let mut later = scene.draft(RECIPIENT);
    later.schedule_time = Some(scene.test.clock.now().plus(Duration::from_secs(3_600)));
    let Accepted::New(waiting) = scene.try_accept(later, 1).await.unwrap() else {
        panic!("not accepted");
    };
    scene.work().await;
    assert_eq!(scene.get(refused).await.status, reason.ends_as());
    let waiting = scene.get(waiting.id).await;
    (
        waiting.status,
        waiting.failure_reason,
        living(&scene.test).await,
    )
}

async fn a_carriers_refusal_suppresses_the_number(engine: Engine) {
    for (failure, reason) in [
        (FailureReason::CarrierDnc, SuppressionReason::CarrierDnc),
        (FailureReason::KnownLitigator, SuppressionReason::Litigator),
        (
            FailureReason::ReassignedNumber,
            SuppressionReason::Reassigned,
        ),
    ] {
        let (status, failed, found) = after_a_refusal(engine, failure).await;
        assert_eq!((status, failed), (Status::Skipped, Some(failure)));
        let [one] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((one.reason, &one.scope), (reason, &Scope::Workspace));
        assert_eq!(
            (one.source.as_str(), one.actor.as_str()),
            ("carrier vendor", "ringless")
        );
    }
}

async fn another_refusal_suppresses_nothing(engine: Engine) {
    let (status, _, found) = after_a_refusal(engine, FailureReason::InvalidNumber).await;
    assert_eq!((status, found), (Status::Accepted, Vec::new()));
}

async fn a_carriers_later_word_suppresses_the_number(engine: Engine) {
    let taken = Outcome::Taken {
        ask_after: Some(Duration::from_secs(5)),
    };
    let dnc = Answer::Ended(End::Because(FailureReason::CarrierDnc));
    let scene = Scene::new(engine, Scripted::new(ASKABLE, [taken]).answering([dnc])).await;
    let id = scene.accept(RECIPIENT).await;
    scene.work().await;
    assert!(living(&scene.test).await.is_empty());
    scene.advance_seconds(5);
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Skipped);
    assert_eq!(
        living(&scene.test).await[0].reason,
        SuppressionReason::CarrierDnc
    );
}
