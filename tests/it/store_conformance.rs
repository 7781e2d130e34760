//! What storage promises, on both databases.

use std::time::Duration;

use ringless::domain::ids::{LeaseToken, SetupId, VoicemailId};
use ringless::domain::report::Dimension;
use ringless::domain::status::Status;
use ringless::domain::telephony::{Pause, PauseReason, Setup, SetupStatus};
use ringless::domain::time::Time;
use ringless::domain::voicemail::Audio;
use ringless::ops::send_voicemail::Accepted;
use ringless::ops::{OpError, voicemails};
use ringless::storage::{Error, Guard, Lock, Page, VoicemailFilter};

use crate::support::data::{Scene, WORKSPACE, described, mp3};
use crate::support::scripted::{NEITHER, Scripted};
use crate::support::{Engine, TestStore};

crate::on_both_databases!(
    what_is_stored_reads_back_the_same,
    a_unit_of_work_that_fails_leaves_nothing,
    a_guarded_write_touches_exactly_one_row,
    a_status_that_changed_meanwhile_refuses_the_write,
    equal_request_ids_at_once_give_one_voicemail,
    a_repeat_with_other_content_is_refused,
    a_request_id_answers_whatever_has_become_of_its_setup,
    pages_show_each_row_once_while_rows_are_added,
    a_service_key_is_made_once,
    cancelling_and_claiming_at_once_has_one_winner,
    the_report_counts_what_the_list_shows,
    many_units_of_work_at_once_all_come_through,
);

async fn what_is_stored_reads_back_the_same(engine: Engine) {
    let test = TestStore::new(engine).await;
    let setup = Setup {
        id: SetupId::generate(),
        workspace_id: WORKSPACE,
        display_name: "Grüße ☎ 'quoted' \\".to_owned(),
        carriers: vec!["a".to_owned(), "b\"c".to_owned()],
        status: SetupStatus::Pending,
        status_detail: String::new(),
        starts_per_minute: 60,
        in_flight_max: 7,
        pause: Some(Pause {
            reason: PauseReason::CarrierAuth,
            carrier: "a".to_owned(),
            since: Time::from_micros(5),
        }),
        // Microseconds survive, also before 1970.
        create_time: Time::from_micros(1_700_000_000_000_001),
        update_time: Time::from_micros(-1),
    };
    let stored = setup.clone();
    test.write(move |tx| tx.insert_setup(&stored)).await;
    let id = setup.id;
    let read = test
        .read(move |tx| tx.find_setup(WORKSPACE, id, Lock::None))
        .await;
    assert_eq!(read, Some(setup));
}

async fn a_unit_of_work_that_fails_leaves_nothing(engine: Engine) {
    let test = TestStore::new(engine).await;
    let bytes = mp3(1);
    let audio = Audio {
        create_time: test.clock.now(),
        ..described(&bytes)
    };
    let sha256 = audio.sha256;
    let failed: Result<(), Error> = test
        .store
        .write(move |tx| {
            tx.put_audio(WORKSPACE, &audio, &bytes)?;
            Err(Error::Internal("on purpose".to_owned()))
        })
        .await;
    assert!(failed.is_err());
    let panicked: Result<(), Error> = test.store.write(move |_| panic!("on purpose")).await;
    assert!(panicked.is_err());
    assert_eq!(
        test.read(move |tx| tx.find_audio_by_hash(WORKSPACE, &sha256))
            .await,
        None
    );
    assert_eq!(test.database.count("SELECT count(*) FROM audio_bytes"), 0);
}

async fn a_guarded_write_touches_exactly_one_row(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    let after = task.delivery.clone();
    let guards = [
        Guard {
            lease_token: Some(LeaseToken::generate()),
            ..Guard::of(&after)
        },
        Guard {
            lease_token: None,
            ..Guard::of(&after)
        },
        Guard {
            status: Status::Accepted,
            ..Guard::of(&after)
        },
        Guard {
            voicemail_id: VoicemailId::generate(),
            ..Guard::of(&after)
        },
    ];
    for guard in guards {
        let after = after.clone();
        let refused: Result<(), Error> = scene
            .test
            .store
            .write(move |tx| tx.save_delivery(guard, &after))
            .await;
        assert!(
            matches!(refused, Err(Error::Guard { rows: 0, .. })),
            "{guard:?}: {refused:?}"
        );
    }
    let (guard, saved) = (Guard::of(&after), after.clone());
    scene
        .test
        .write(move |tx| tx.save_delivery(guard, &saved))
        .await;
    let read = scene
        .test
        .read(move |tx| tx.find_delivery(WORKSPACE, id, Lock::None))
        .await;
    assert_eq!(read, Some(after));
}

async fn a_status_that_changed_meanwhile_refuses_the_write(engine: Engine) {
    let test = TestStore::new(engine).await;
    let mut setup = Setup {
        id: SetupId::generate(),
        workspace_id: WORKSPACE,
        display_name: String::new(),
        carriers: vec![],
        status: SetupStatus::Pending,
        status_detail: String::new(),
        starts_per_minute: 0,
        in_flight_max: 0,
        pause: None,
        create_time: test.clock.now(),
        update_time: test.clock.now(),
    };
    let stored = setup.clone();
    test.write(move |tx| tx.insert_setup(&stored)).await;
    setup.status = SetupStatus::Approved;
    let refused: Result<(), Error> = test
        .store
        .write(move |tx| tx.update_setup(&setup, SetupStatus::Suspended))
        .await;
    assert!(
        matches!(refused, Err(Error::Guard { rows: 0, .. })),
        "{refused:?}"
    );
}

async fn equal_request_ids_at_once_give_one_voicemail(engine: Engine) {
    let scene = std::sync::Arc::new(Scene::new(engine, Scripted::new(NEITHER, [])).await);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let scene = scene.clone();
        calls.spawn(async move {
            let mut draft = scene.draft("+12125550100");
            draft.request_id = Some("one".to_owned());
            scene.try_accept(draft, 1).await.unwrap()
        });
    }
    let answers = calls.join_all().await;
    let mut ids: Vec<VoicemailId> = Vec::new();
    let mut new = 0;
    for answer in answers {
        match answer {
            Accepted::New(voicemail) => {
                new += 1;
                ids.push(voicemail.id);
            }
            Accepted::Known(voicemail) => ids.push(voicemail.id),
            Accepted::Judged(_) => panic!("nobody asked for that"),
        }
    }
    assert_eq!((new, ids.len()), (1, 20));
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(
        scene.test.database.count("SELECT count(*) FROM voicemails"),
        1
    );
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 1);
}

async fn a_repeat_with_other_content_is_refused(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let base = || {
        let mut draft = scene.draft("+12125550100");
        draft.request_id = Some("one".to_owned());
        draft
    };
    scene.try_accept(base(), 1).await.unwrap();
    let later = scene.test.clock.now().plus(Duration::from_secs(3_600));
    let mut others = vec![(base(), 2)];
    for change in 0..4 {
        let mut draft = base();
        match change {
            0 => draft.recipient = crate::support::data::number("+12125550101"),
            1 => draft.labels = [("a".to_owned(), "b".to_owned())].into(),
            2 => draft.schedule_time = Some(later),
            _ => draft.expire_time = Some(later),
        }
        others.push((draft, 1));
    }
    for (draft, seed) in others {
        let refused = scene.try_accept(draft.clone(), seed).await;
        assert!(
            matches!(refused, Err(OpError::RequestIdReused { .. })),
            "{draft:?}: {refused:?}"
        );
    }
    // A refused call leaves no trace: an id that was only refused may be used.
    let mut bad = base();
    bad.request_id = Some("two".to_owned());
    bad.expire_time = Some(scene.test.clock.now());
    assert!(matches!(
        scene.try_accept(bad.clone(), 1).await,
        Err(OpError::InvalidFields(_))
    ));
    bad.expire_time = None;
    assert!(matches!(
        scene.try_accept(bad, 1).await,
        Ok(Accepted::New(_))
    ));
}

async fn a_request_id_answers_whatever_has_become_of_its_setup(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let mut draft = scene.draft("+12125550100");
    draft.request_id = Some("one".to_owned());
    // Long past by the time of the repeat.
    draft.expire_time = Some(scene.test.clock.now().plus(Duration::from_secs(60)));
    let Accepted::New(first) = scene.try_accept(draft.clone(), 1).await.unwrap() else {
        panic!("new")
    };
    scene.work().await;
    let (setup, registry) = (scene.setup_id, scene.registry.clone());
    scene
        .test
        .store
        .write(move |tx| ringless::ops::setups::suspend(tx, WORKSPACE, setup, "", &registry))
        .await
        .unwrap();
    scene.advance_seconds(86_400);
    let Accepted::Known(again) = scene.try_accept(draft, 1).await.unwrap() else {
        panic!("known")
    };
    assert_eq!((again.id, again.status), (first.id, Status::Delivered));
}

async fn pages_show_each_row_once_while_rows_are_added(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let mut first = Vec::new();
    for number in 0..23 {
        // Several in one microsecond, so that the id decides.
        if number % 4 == 0 {
            scene.advance_seconds(1);
        }
        first.push(scene.accept("+12125550100").await);
    }
    for size in [1, 2, 5, 22, 23, 24] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = Page { limit: size, after };
            let rows = scene
                .test
                .read(move |tx| tx.list_voicemails(WORKSPACE, &VoicemailFilter::default(), page))
                .await;
            let Some(last) = rows.last() else { break };
            after = Some((last.create_time, last.id.uuid()));
            seen.extend(rows.iter().map(|row| row.id));
            if size == 5 {
                scene.advance_seconds(1);
                scene.accept("+12125550101").await;
            }
        }
        let of_the_first: Vec<_> = seen
            .iter()
            .filter(|id| first.contains(id))
            .copied()
            .collect();
        let mut wanted = first.clone();
        wanted.sort();
        wanted.reverse();
        let mut sorted = of_the_first.clone();
        sorted.sort();
        sorted.reverse();
        assert_eq!(sorted, wanted, "page size {size}");
        assert_eq!(of_the_first.len(), first.len());
        if size == 5 {
            assert_eq!(
                seen.len(),
                first.len(),
                "rows added later are on a new first page"
            );
            first = scene
                .test
                .read(|tx| {
                    tx.list_voicemails(
                        WORKSPACE,
                        &VoicemailFilter::default(),
                        Page {
                            limit: 1_000,
                            after: None,
                        },
                    )
                })
                .await
                .iter()
                .map(|row| row.id)
                .collect();
        }
    }
}

async fn a_service_key_is_made_once(engine: Engine) {
    let test = TestStore::new(engine).await;
    let first = test.write(|tx| tx.service_key("k", &[1; 32])).await;
    let second = test.write(|tx| tx.service_key("k", &[2; 32])).await;
    assert_eq!((first, second), (vec![1; 32], vec![1; 32]));
}

async fn cancelling_and_claiming_at_once_has_one_winner(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(scene.accept("+12125550100").await);
    }
    let mut cancels = tokio::task::JoinSet::new();
    for id in ids.clone() {
        let store = scene.test.store.clone();
        cancels.spawn(async move {
            store
                .write(move |tx| voicemails::cancel(tx, WORKSPACE, id))
                .await
                .is_ok()
        });
    }
    scene.work().await;
    let won = cancels
        .join_all()
        .await
        .into_iter()
        .filter(|won| *won)
        .count();
    scene.work().await;
    let mut cancelled = 0;
    for id in ids {
        match scene.get(id).await.status {
            Status::Cancelled => cancelled += 1,
            Status::Delivered => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(cancelled, won);
    assert_eq!(scene.carrier.given().len(), 12 - won);
}

async fn the_report_counts_what_the_list_shows(engine: Engine) {
    use ringless::domain::attempt::Outcome;
    use ringless::domain::failure::FailureReason;
    let full = Outcome::Rejected {
        reason: FailureReason::MailboxFull,
    };
    let scene = Scene::new(engine, Scripted::new(NEITHER, [Outcome::Delivered, full])).await;
    for _ in 0..2 {
        scene.accept("+12125550100").await;
        scene.advance_seconds(4);
        scene.work().await;
    }
    scene.accept("+13125550100").await;
    let all = Dimension::UseCase;
    let slices = scene
        .test
        .read(move |tx| {
            tx.report_slices(
                WORKSPACE,
                &VoicemailFilter::default(),
                &[
                    all,
                    Dimension::FailureReason,
                    Dimension::Carrier,
                    Dimension::Sender,
                    Dimension::Setup,
                    Dimension::Hour,
                ],
                None,
            )
        })
        .await;
    assert_eq!(slices.len(), 3, "{slices:?}");
    assert!(
        slices
            .iter()
            .all(|slice| slice.group.use_case_id == Some(scene.use_case_id) && slice.count == 1)
    );
    let slice_of = |status| slices.iter().find(|slice| slice.status == status).unwrap();
    assert_eq!(slice_of(Status::Delivered).group.failure_reason, Some(None));
    assert_eq!(slice_of(Status::Delivered).latencies.len(), 1);
    assert_eq!(
        slice_of(Status::NotDelivered).group.failure_reason,
        Some(Some(FailureReason::MailboxFull))
    );
    assert_eq!(
        slice_of(Status::Accepted).group.carrier.as_deref(),
        Some("")
    );
    let plain = scene
        .test
        .read(|tx| tx.report_slices(WORKSPACE, &VoicemailFilter::default(), &[], Some(false)))
        .await;
    assert_eq!(plain.iter().map(|slice| slice.count).sum::<i64>(), 3);
    assert!(
        plain
            .iter()
            .all(|slice| slice.group == Default::default() && slice.slice.is_none())
    );
}

async fn many_units_of_work_at_once_all_come_through(engine: Engine) {
    let scene = std::sync::Arc::new(Scene::new(engine, Scripted::new(NEITHER, [])).await);
    let mut calls = tokio::task::JoinSet::new();
    for seed in 0..60 {
        let scene = scene.clone();
        calls.spawn(async move {
            scene
                .try_accept(scene.draft("+12125550100"), seed)
                .await
                .is_ok()
        });
    }
    assert!(calls.join_all().await.into_iter().all(|ok| ok));
    assert_eq!(
        scene.test.database.count("SELECT count(*) FROM voicemails"),
        60
    );
    assert_eq!(scene.test.database.count("SELECT count(*) FROM audios"), 60);
}
