//! A database that was restored from a backup: what was sent since is waiting again in it.

use std::sync::Arc;
use std::time::Duration;

use ringless::carrier::{Carrier, Registry};
use ringless::domain::attempt::{Answer, Outcome};
use ringless::domain::failure::FailureReason;
use ringless::domain::ids::{HandOverId, VoicemailId};
use ringless::domain::status::{End, Status};
use ringless::domain::word::{Said, Word as Spoken};
use ringless::ops::recover::{self, Asked, Asking, NeverReceived, Word};
use ringless::ops::setups;
use ringless::storage::{RestoredCounts, Tx};

use crate::delivery_in_doubt::begin_one;
use crate::fair_queue::resume;
use crate::support::Engine;
use crate::support::data::{Scene, WORKSPACE};
use crate::support::scripted::{ASKABLE, NEITHER, REPEATABLE, Scripted};

crate::on_both_databases!(
    what_may_have_been_sent_is_held_and_nothing_else,
    a_carrier_that_can_be_asked_settles_what_it_had,
    the_rest_waits_for_the_operators_word,
    a_first_hand_over_has_the_key_that_it_had_before_the_restore,
    what_expired_while_it_was_held_is_not_called_skipped,
    every_carrier_of_the_setup_is_asked,
    a_doubt_from_before_the_backup_ends_with_the_decision,
    what_the_carrier_did_not_try_is_sent_under_a_new_key,
);

/// One question after the other, so that scripted answers go to known voicemails.
fn asking(scene: &Scene, never_received: NeverReceived) -> Asking {
    Asking {
        store: scene.test.store.clone(),
        delivering: scene.runner().delivering.clone(),
        call_timeout: Duration::from_secs(30),
        never_received,
        questions_at_once: 1,
        silent: Default::default(),
    }
}

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
    // What was scheduled may have been brought forward since the backup.
    assert_eq!(recover::hold(&scene.test.store).await.unwrap(), 3);
    assert_eq!(
        recover::hold(&scene.test.store).await.unwrap(),
        0,
        "a repeat"
    );
    let after = RestoredCounts {
        due: 0,
        later: 0,
        sending: 0,
        sent: 1,
        held: 3,
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
    assert_eq!(scene.get(later).await.status, Status::Accepted);
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
    let mut seen = 0;
    let hold = asking(&scene, NeverReceived::Hold);
    let asked = recover::ask(&hold, |count| seen = count).await.unwrap();
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
    let release = asking(&scene, NeverReceived::Release);
    let asked = recover::ask(&release, |_| {}).await;
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
        let asking = asking(&scene, NeverReceived::Release);
        let asked = recover::ask(&asking, |_| {}).await;
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
    assert_eq!(given[0].hand_over_id, HandOverId::derive(id, "vendor", 1));
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

async fn what_expired_while_it_was_held_is_not_called_skipped(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    recover::hold(&scene.test.store).await.unwrap();
    scene.advance_seconds(72 * 3_600);
    let decided = recover::decide(&scene.test.store, Word::Release).await;
    assert_eq!(decided.unwrap(), 1);
    scene.work().await;
    // It may have been sent before the restore, so nobody may say that it was not tried.
    let voicemail = scene.get(id).await;
    assert_eq!(
        (voicemail.status, voicemail.failure_reason),
        (Status::Unconfirmed, Some(FailureReason::CarrierAmbiguous))
    );
    assert!(scene.carrier.given().is_empty());
}

async fn every_carrier_of_the_setup_is_asked(engine: Engine) {
    for (second, asked, status) in [
        (Answer::Ended(End::Delivered), (1, 0, 0), Status::Delivered),
        (Answer::NeverReceived, (0, 1, 0), Status::Accepted),
        (Answer::NoAnswer, (0, 0, 1), Status::Accepted),
    ] {
        let first = Scripted::new(ASKABLE, []).answering([Answer::NeverReceived]);
        let scene = Scene::new(engine, first).await;
        let other = Scripted::new(ASKABLE, []).answering([second]);
        let both = Registry::of([
            (
                "vendor".to_owned(),
                Arc::new(scene.carrier.clone()) as Arc<dyn Carrier>,
            ),
            ("other".to_owned(), Arc::new(other) as Arc<dyn Carrier>),
        ]);
        let (setup, known) = (scene.setup_id, both.clone());
        let change = setups::SetupChange {
            carriers: Some(vec!["vendor".to_owned(), "other".to_owned()]),
            ..setups::SetupChange::default()
        };
        let id = scene.accept("+12125550100").await;
        let changed = scene.test.store.write(move |tx| {
            setups::update(tx, WORKSPACE, setup, &change, &known)?;
            setups::approve(tx, WORKSPACE, setup, &known)
        });
        changed.await.unwrap();
        recover::hold(&scene.test.store).await.unwrap();
        let mut asking = asking(&scene, NeverReceived::Hold);
        asking.delivering.registry = both;
        let found = recover::ask(&asking, |_| {}).await.unwrap();
        let (settled, never_received, unknown) = asked;
        let wanted = Asked {
            settled,
            never_received,
            unknown,
        };
        assert_eq!(found, wanted);
        assert_eq!(scene.get(id).await.status, status);
    }
}

async fn a_doubt_from_before_the_backup_ends_with_the_decision(engine: Engine) {
    let busy = Outcome::TryAgain {
        reason: FailureReason::CarrierRateLimited,
        wait: None,
    };
    let carrier = Scripted::new(ASKABLE, [busy]).answering([Answer::NeverReceived]);
    let scene = Scene::new(engine, carrier).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    begin_one(&scene, &task).await;
    recover::hold(&scene.test.store).await.unwrap();
    scene.advance_seconds(48 * 3_600);
    let release = asking(&scene, NeverReceived::Release);
    recover::ask(&release, |_| {}).await.unwrap();
    scene.work().await;
    // "Busy" is no reason to give up: the doubt of two days ago is over.
    assert_eq!(scene.get(id).await.status, Status::Accepted);
    scene.advance_seconds(3_600);
    scene.work().await;
    let voicemail = scene.get(id).await;
    assert_eq!(voicemail.status, Status::Delivered);
    assert!(
        voicemail
            .attempts
            .iter()
            .all(|attempt| attempt.end_time.is_some())
    );
}

async fn what_the_carrier_did_not_try_is_sent_under_a_new_key(engine: Engine) {
    let funds = FailureReason::InsufficientFunds;
    let answer = Answer::Ended(End::Because(funds));
    let scene = Scene::new(engine, Scripted::new(ASKABLE, []).answering([answer])).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    let plan = begin_one(&scene, &task).await;
    // Said by the carrier itself, before the backup was taken.
    let word = Spoken::of(Said::NotTried(funds));
    let delivering = scene.runner().delivering.clone();
    let hear = move |tx: &mut dyn Tx| {
        ringless::ops::deliver::hear(tx, &delivering, &plan.begun.hand_over, &word, 0.5)
    };
    scene.test.store.write(hear).await.unwrap();
    recover::hold(&scene.test.store).await.unwrap();
    let release = asking(&scene, NeverReceived::Release);
    let asked = recover::ask(&release, |_| {}).await.unwrap();
    assert_eq!(asked.never_received, 1);
    resume(&scene).await;
    scene.work().await;
    let voicemail = scene.get(id).await;
    assert_eq!(voicemail.status, Status::Delivered);
    let given = scene.carrier.given();
    assert_eq!(given.len(), 1);
    assert_eq!(given[0].hand_over_id, HandOverId::derive(id, "vendor", 2));
}
