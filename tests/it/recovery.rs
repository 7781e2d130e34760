//! A database that was restored from a backup: what was sent since is waiting again in it.

use std::time::Duration;

use ringless::domain::attempt::{Answer, Outcome};
use ringless::domain::failure::FailureReason;
use ringless::domain::ids::{HandOverId, VoicemailId};
use ringless::domain::status::{End, Status};
use ringless::ops::recover::{self, Asked, NeverReceived, Word};
use ringless::storage::RestoredCounts;

use crate::support::Engine;
use crate::support::data::{Scene, WORKSPACE};
use crate::support::scripted::{ASKABLE, NEITHER, REPEATABLE, Scripted};

crate::on_both_databases!(
    what_may_have_been_sent_is_held_and_nothing_else,
    a_carrier_that_can_be_asked_settles_what_it_had,
    the_rest_waits_for_the_operators_word,
    a_first_hand_over_has_the_key_that_it_had_before_the_restore,
);

async fn counts(scene: &Scene) -> RestoredCounts {
    scene.test.read(|tx| tx.restored_counts()).await
}

/// One that is due, one for later, one that is SENDING and one that is SENT.
async fn restored(engine: Engine, carrier: Scripted) -> (Scene, [VoicemailId; 4]) {
    let scene = Scene::new(engine, carrier).await;
    let sent = scene.accept("+12125550103").await;
    scene.work().await;
    let sending = scene.accept("+12125550102").await;
    scene.claim_one().await;
    let due = scene.accept("+12125550100").await;
    let mut draft = scene.draft("+12125550101");
    draft.schedule_time = Some(scene.test.clock.now().plus(Duration::from_secs(3_600)));
    let ringless::ops::send_voicemail::Accepted::New(later) =
        scene.try_accept(draft, 1).await.unwrap()
    else {
        panic!("new");
    };
    (scene, [due, later.id, sending, sent])
}

async fn what_may_have_been_sent_is_held_and_nothing_else(engine: Engine) {
    let taken = [Outcome::Taken { ask_after: None }];
    let (scene, [due, later, sending, sent]) =
        restored(engine, Scripted::new(NEITHER, taken)).await;
    let before = RestoredCounts {
        due: 1,
        later: 1,
        sending: 1,
        sent: 1,
        held: 0,
    };
    assert_eq!(counts(&scene).await, before);
    assert_eq!(recover::hold(&scene.test.store).await.unwrap(), 2);
    assert_eq!(
        recover::hold(&scene.test.store).await.unwrap(),
        0,
        "a repeat"
    );
    let after = RestoredCounts {
        due: 0,
        later: 1,
        sending: 0,
        sent: 1,
        held: 2,
    };
    assert_eq!(counts(&scene).await, after);
    let calls = scene.carrier.given().len();
    // Neither worker nor clock touches what is held, not even when it has expired.
    scene.advance_seconds(1_000_000);
    scene.work().await;
    assert_eq!(scene.get(due).await.status, Status::Accepted);
    assert_eq!(scene.get(sending).await.status, Status::Sending);
    assert!(scene.get(due).await.status_detail.contains("restore"));
    assert_eq!(scene.get(sent).await.status, Status::Unconfirmed);
    assert_eq!(scene.get(later).await.status, Status::Skipped);
    assert_eq!(scene.carrier.given().len(), calls);
}

async fn a_carrier_that_can_be_asked_settles_what_it_had(engine: Engine) {
    let answers = [
        Answer::Ended(End::Delivered),
        Answer::Pending { again_after: None },
        Answer::NeverReceived,
        Answer::NoAnswer,
    ];
    let scene = Scene::new(engine, Scripted::new(ASKABLE, []).answering(answers)).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(scene.accept("+12125550100").await);
    }
    ids.sort();
    recover::hold(&scene.test.store).await.unwrap();
    let delivering = scene.runner().delivering.clone();
    let mut seen = 0;
    let asked = recover::ask(
        &scene.test.store,
        &delivering,
        Duration::from_secs(30),
        NeverReceived::Hold,
        |count| seen = count,
    )
    .await
    .unwrap();
    let wanted = Asked {
        settled: 2,
        never_received: 1,
        unknown: 1,
    };
    assert_eq!((asked, seen), (wanted, 4));
    let mut statuses = Vec::new();
    for id in &ids {
        statuses.push(scene.get(*id).await.status);
    }
    use Status::{Accepted, Delivered, Sent};
    assert_eq!(statuses, [Delivered, Sent, Accepted, Accepted]);
    assert!(scene.carrier.given().is_empty());
    scene.work().await;
    assert!(scene.carrier.given().is_empty(), "nothing is sent unasked");
    assert_eq!(counts(&scene).await.held, 2);
    // At the operator's word what the carrier never got is sent, and that alone.
    scene
        .carrier
        .answers_next([Answer::NeverReceived, Answer::NoAnswer]);
    let wait = Duration::from_secs(30);
    let release = NeverReceived::Release;
    let asked = recover::ask(&scene.test.store, &delivering, wait, release, |_| {}).await;
    assert_eq!(asked.unwrap().never_received, 1);
    scene.work().await;
    let given: Vec<_> = scene
        .carrier
        .given()
        .iter()
        .map(|given| given.voicemail_id)
        .collect();
    assert_eq!(given, [ids[2]]);
    assert_eq!(counts(&scene).await.held, 1);
}

async fn the_rest_waits_for_the_operators_word(engine: Engine) {
    for (word, status, reason, calls) in [
        (Word::Release, Status::Delivered, None, 2),
        (
            Word::Close,
            Status::Unconfirmed,
            Some(FailureReason::CarrierAmbiguous),
            0,
        ),
    ] {
        let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
        let ids = [
            scene.accept("+12125550100").await,
            scene.accept("+12125550100").await,
        ];
        scene.claim_one().await;
        recover::hold(&scene.test.store).await.unwrap();
        let delivering = scene.runner().delivering.clone();
        let wait = Duration::from_secs(30);
        let asked = recover::ask(
            &scene.test.store,
            &delivering,
            wait,
            NeverReceived::Release,
            |_| {},
        )
        .await;
        assert_eq!(asked.unwrap().unknown, 2);
        assert_eq!(scene.carrier.asked(), 0, "it can't be asked");
        assert_eq!(recover::decide(&scene.test.store, word).await.unwrap(), 2);
        scene.work().await;
        for id in ids {
            let voicemail = scene.get(id).await;
            assert_eq!(
                (voicemail.status, voicemail.failure_reason),
                (status, reason)
            );
        }
        assert_eq!(scene.carrier.given().len(), calls);
        assert_eq!(counts(&scene).await.held, 0);
    }
}

async fn a_first_hand_over_has_the_key_that_it_had_before_the_restore(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(REPEATABLE, [])).await;
    let id = scene.accept("+12125550100").await;
    let registry = scene.registry.clone();
    scene.work().await;
    let given = scene.carrier.given();
    assert_eq!(given[0].hand_over_id, HandOverId::derive(id, 1));
    // As it stood in the backup.
    let back = "DELETE FROM attempts; DELETE FROM hand_overs; UPDATE voicemails SET status = 1, end_time = NULL, \
                sent_time = NULL, latency_bucket = NULL, attempt_count = 0, carrier = '', next_time = due_time";
    scene.test.database.sql(back, back);
    recover::hold(&scene.test.store).await.unwrap();
    recover::decide(&scene.test.store, Word::Release)
        .await
        .unwrap();
    scene.work().await;
    let again = scene.carrier.given();
    assert_eq!(again.len(), 2);
    assert_eq!(
        (again[1].hand_over_id, &again[1].request),
        (given[0].hand_over_id, &given[0].request),
        "a carrier that knows a repeat as one delivers once"
    );
    let shown = scene
        .test
        .store
        .read(move |tx| ringless::ops::voicemails::explained(tx, WORKSPACE, id, &registry))
        .await;
    assert_eq!(shown.unwrap().status, Status::Delivered);
}
