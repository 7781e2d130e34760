//! Many at once are as each alone: sends that are stored in one unit of work, and calls that are recorded in one.

use std::time::Duration;

use ringless::domain::attempt::{CarrierWords, Outcome, OutcomeKind};
use ringless::domain::ids::{AudioId, UseCaseId};
use ringless::domain::room::Room;
use ringless::domain::status::Status;
use ringless::ops::deliver::{Called, Delivering, NextMove, Started, record_together};
use ringless::ops::send_together::{ReadySend, accept_together, judge_together};
use ringless::ops::send_voicemail::{Accepted, AudioInput, Draft};
use ringless::storage::Tx;

use crate::support::Engine;
use crate::support::data::{LEASE, SENDERS, Scene, described, mp3};
use crate::support::scripted::{NEITHER, Scripted};

crate::on_both_databases!(
    sends_that_are_plain_are_stored_and_all_others_are_left,
    a_group_is_judged_as_each_alone,
    the_same_new_audio_of_several_is_stored_once,
    audio_that_is_named_is_used_as_it_is_stored,
    a_full_queue_takes_no_more_of_a_group_than_fit,
    senders_take_turns_and_a_recipient_keeps_its_own_within_a_group,
    calls_are_recorded_together_but_for_one_that_is_lost,
    a_group_that_fails_leaves_nothing_behind,
);

fn send(draft: Draft, seed: u64) -> ReadySend {
    let bytes = mp3(seed);
    let audio = described(&bytes);
    ReadySend {
        draft,
        input: AudioInput::New {
            audio,
            bytes,
            known: false,
        },
    }
}

async fn accept_all(scene: &Scene, sends: Vec<ReadySend>) -> Vec<Option<Accepted>> {
    let accepted = scene.accepting(move |tx, accepting| {
        let sends: Vec<&ReadySend> = sends.iter().collect();
        accept_together(tx, &sends, accepting)
    });
    accepted.await.unwrap()
}

fn stored(answers: &[Option<Accepted>]) -> Vec<bool> {
    let is_new = |answer: &Option<Accepted>| matches!(answer, Some(Accepted::New(_)));
    answers.iter().map(is_new).collect()
}

fn with_id(mut draft: Draft, request_id: &str) -> Draft {
    draft.request_id = Some(request_id.to_owned());
    draft
}

async fn simple(engine: Engine) -> Scene {
    Scene::new(engine, Scripted::new(NEITHER, [])).await
}

/// Drafts of which the second to the last but one have something about them.
fn drafts(scene: &Scene) -> Vec<Draft> {
    let plain = || scene.draft("+12125550100");
    let unknown = Draft {
        use_case_id: UseCaseId::generate(),
        ..plain()
    };
    let no_audio = Draft {
        audio_id: Some(AudioId::generate()),
        ..plain()
    };
    let past = Draft {
        expire_time: Some(scene.test.clock.now().minus(Duration::from_secs(1))),
        ..plain()
    };
    vec![
        with_id(plain(), "fresh"),
        with_id(plain(), "known"),
        unknown,
        no_audio,
        past,
        plain(),
    ]
}

async fn sends_that_are_plain_are_stored_and_all_others_are_left(engine: Engine) {
    let scene = simple(engine).await;
    let known = with_id(scene.draft("+12125550100"), "known");
    scene.try_accept(known, 1).await.unwrap();
    let mut drafts = drafts(&scene);
    // A second one with the same id, and one that only asks.
    drafts.push(with_id(scene.draft("+12125550100"), "fresh"));
    drafts.push(Draft {
        validate_only: true,
        ..scene.draft("+12125550100")
    });
    let sends = drafts.into_iter().map(|draft| send(draft, 2)).collect();
    let answers = accept_all(&scene, sends).await;
    let expected = [true, false, false, false, false, true, false, false];
    assert_eq!(stored(&answers), expected);
    for answer in answers.into_iter().flatten() {
        let Accepted::New(voicemail) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(scene.get(voicemail.id).await, voicemail);
    }
    let rows = scene.test.database.count("SELECT count(*) FROM voicemails");
    assert_eq!(rows, 3);
}

async fn a_group_is_judged_as_each_alone(engine: Engine) {
    let scene = simple(engine).await;
    let known = with_id(scene.draft("+12125550100"), "known");
    scene.try_accept(known, 1).await.unwrap();
    let drafts = drafts(&scene);
    let judged = scene.accepting(move |tx, accepting| judge_together(tx, &drafts, accepting));
    let judged = judged.await.unwrap();
    let found: Vec<bool> = judged.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, false, false, false, false, true]);
}

async fn audio_that_is_named_is_used_as_it_is_stored(engine: Engine) {
    let scene = simple(engine).await;
    let first = scene.accept("+12125550100").await;
    let audio = scene.get(first).await.audio;
    let naming = |id: AudioId| ReadySend {
        draft: Draft {
            audio_id: Some(id),
            ..scene.draft("+12125550100")
        },
        input: AudioInput::Named,
    };
    let nameless = ReadySend {
        draft: scene.draft("+12125550100"),
        input: AudioInput::Named,
    };
    let sends = vec![
        naming(audio.id),
        naming(AudioId::generate()),
        nameless,
        send(scene.draft("+12125550100"), 7),
        naming(audio.id),
    ];
    let answers = accept_all(&scene, sends).await;
    assert_eq!(stored(&answers), [true, false, false, true, true]);
    for answer in [&answers[0], &answers[4]] {
        let Some(Accepted::New(voicemail)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(voicemail.audio, audio);
        assert_eq!(scene.get(voicemail.id).await, *voicemail);
    }
    assert_eq!(scene.test.database.count("SELECT count(*) FROM audios"), 2);
}

async fn the_same_new_audio_of_several_is_stored_once(engine: Engine) {
    let scene = simple(engine).await;
    scene.accept("+12125550100").await;
    let seeds = [2, 1, 2, 3, 1, 2];
    let sends = seeds.map(|seed| send(scene.draft("+12125550100"), seed));
    let answers = accept_all(&scene, sends.into()).await;
    let mut ids = Vec::new();
    for (answer, seed) in answers.into_iter().zip(seeds) {
        let Some(Accepted::New(voicemail)) = answer else {
            panic!("{answer:?}");
        };
        let audio_id = voicemail.audio.id;
        let read = move |tx: &mut dyn Tx| tx.read_audio(audio_id);
        assert_eq!(scene.test.read(read).await, Some(mp3(seed)));
        ids.push(audio_id);
    }
    assert_eq!((ids[0], ids[0], ids[1]), (ids[2], ids[5], ids[4]));
    assert_eq!(scene.test.database.count("SELECT count(*) FROM audios"), 3);
    let bytes = scene
        .test
        .database
        .count("SELECT count(*) FROM audio_bytes");
    assert_eq!(bytes, 3);
}

async fn a_full_queue_takes_no_more_of_a_group_than_fit(engine: Engine) {
    let mut scene = simple(engine).await;
    scene.queue = std::sync::Arc::new(ringless::ops::queue::QueueGauge::new(3));
    let sends = (0..5).map(|_| send(scene.draft("+12125550100"), 1));
    let answers = accept_all(&scene, sends.collect()).await;
    assert_eq!(stored(&answers), [true, true, true, false, false]);
}

async fn senders_take_turns_and_a_recipient_keeps_its_own_within_a_group(engine: Engine) {
    let scene = simple(engine).await;
    let recipients = [
        "+13035550100",
        "+13035550101",
        "+13035550100",
        "+13035550101",
    ];
    let sends = recipients.map(|recipient| send(scene.draft(recipient), 1));
    let answers = accept_all(&scene, sends.into()).await;
    let senders: Vec<String> = answers
        .into_iter()
        .map(|answer| match answer {
            Some(Accepted::New(voicemail)) => voicemail.sender.e164().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((&senders[0], &senders[1]), (&senders[2], &senders[3]));
    assert_ne!(senders[0], senders[1]);
    assert!(
        senders
            .iter()
            .all(|sender| SENDERS.contains(&sender.as_str()))
    );
}

async fn calls_are_recorded_together_but_for_one_that_is_lost(engine: Engine) {
    let scene = simple(engine).await;
    for last in 0..3 {
        scene.accept(&format!("+1212555010{last}")).await;
    }
    let runner = scene.runner();
    let Started { begun, .. } = runner.start_due(Room::new(10)).await.unwrap();
    let called: Vec<Called> = begun
        .into_iter()
        .map(|(_, next)| match next {
            NextMove::Call(plan) => Called {
                plan,
                outcome: Outcome::Delivered,
                words: CarrierWords::default(),
                chance: 0.5,
            },
            other => panic!("{other:?}"),
        })
        .collect();
    let ids: Vec<_> = called
        .iter()
        .map(|called| called.plan.begun.delivery.voicemail_id)
        .collect();
    assert_eq!(ids.len(), 3);
    // The lease of the second is over, and another worker has it.
    let lost = ids[1].uuid().simple().to_string();
    let fresh = uuid::Uuid::now_v7().simple().to_string();
    scene.test.database.sql(
        &format!("UPDATE voicemails SET lease_token = x'{fresh}' WHERE id = x'{lost}'"),
        &format!("UPDATE voicemails SET lease_token = '{fresh}' WHERE id = '{lost}'"),
    );
    let delivering = Delivering {
        registry: scene.registry.clone(),
        rules: scene.rules.clone(),
        gates: scene.gates.clone(),
        lease: LEASE,
        doors: None,
    };
    let recorded = scene.accepting(move |tx, _| record_together(tx, &delivering, &called));
    let recorded = recorded.await.unwrap();
    let found: Vec<bool> = recorded.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, false, true]);
    for (id, status) in ids
        .into_iter()
        .zip([Status::Delivered, Status::Sending, Status::Delivered])
    {
        let voicemail = scene.get(id).await;
        assert_eq!(voicemail.status, status);
        let outcome = voicemail.attempts[0].outcome;
        let wanted = (status == Status::Delivered).then_some(OutcomeKind::Delivered);
        assert_eq!(outcome, wanted);
    }
}

async fn a_group_that_fails_leaves_nothing_behind(engine: Engine) {
    let scene = simple(engine).await;
    let ids = [
        scene.accept("+12125550100").await,
        scene.accept("+12125550101").await,
    ];
    // No attempt can be written, so beginning them together fails; alone it fails too.
    scene.test.database.sql(
        "ALTER TABLE attempts RENAME TO mislaid",
        "ALTER TABLE attempts RENAME TO mislaid",
    );
    let Started { claimed, begun } = scene.runner().start_due(Room::new(10)).await.unwrap();
    assert_eq!(
        (claimed.tasks.len(), begun.len()),
        (2, 0),
        "each is to be begun alone"
    );
    assert_eq!(
        scene.test.database.count("SELECT count(*) FROM hand_overs"),
        0
    );
    scene.test.database.sql(
        "ALTER TABLE mislaid RENAME TO attempts",
        "ALTER TABLE mislaid RENAME TO attempts",
    );
    let runner = scene.runner();
    for task in claimed.tasks {
        runner.run(task).await;
    }
    for id in ids {
        assert_eq!(scene.get(id).await.status, Status::Delivered);
    }
    assert_eq!(scene.carrier.given().len(), 2);
}
