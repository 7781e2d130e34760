//! What counts against caps: from when on, until when, and that nobody takes a last place twice.

use std::sync::Arc;

use ringless::domain::attempt::{Answer, Outcome};
use ringless::domain::failure::FailureReason;
use ringless::domain::hand_over::HandOver;
use ringless::domain::ids::VoicemailId;
use ringless::domain::status::{End, Status};
use ringless::domain::time::Time;
use ringless::domain::use_case::Purpose;
use ringless::domain::word::{Said, Word};
use ringless::ops::deliver::{self, Delivering, NextMove};
use ringless::ops::use_cases::{self, UseCaseChange};
use ringless::storage::{CountedFilter, Tx};

use crate::support::Engine;
use crate::support::data::{LEASE, Scene, WORKSPACE, number};
use crate::support::scripted::{ASKABLE, NEITHER, REPEATABLE, Scripted};

crate::on_both_databases!(
    a_hand_over_counts_from_its_call_until_nothing_was_certainly_sent,
    the_repeat_of_one_in_doubt_counts_once,
    a_call_that_was_not_made_counts_nothing,
    a_carriers_word_gives_back_what_it_did_not_try,
    what_is_counted_is_filtered_and_bounded,
    a_recipient_is_counted_by_one_unit_of_work_at_a_time,
);

const RECIPIENT: &str = "+12125550100";

pub fn passing() -> Outcome {
    Outcome::TryAgain {
        reason: FailureReason::CarrierTimeout,
        wait: None,
    }
}

fn filter() -> CountedFilter {
    CountedFilter {
        recipient: number(RECIPIENT),
        entity_name: "Clinic".to_owned(),
        purpose: None,
        since: Time::EPOCH,
        except: None,
    }
}

/// How many seconds ago each counted hand-over to the recipient began to count.
async fn counted_by(scene: &Scene, filter: CountedFilter) -> Vec<u64> {
    let count = move |tx: &mut dyn Tx| {
        let now = tx.now()?;
        let times = tx.counted(WORKSPACE, &filter, 100)?;
        Ok(times
            .iter()
            .map(|time| now.since(*time).as_secs())
            .collect())
    };
    scene.test.read(count).await
}

async fn counted(scene: &Scene) -> Vec<u64> {
    counted_by(scene, filter()).await
}

async fn hand_over(scene: &Scene, id: VoicemailId) -> HandOver {
    let last = scene.test.read(move |tx| tx.last_hand_over(id)).await;
    last.expect("it was handed over")
}

fn delivering(scene: &Scene) -> Delivering {
    Delivering {
        registry: scene.registry.clone(),
        rules: scene.rules.clone(),
        gates: scene.gates.clone(),
        lease: LEASE,
        doors: None,
    }
}

async fn hear(scene: &Scene, id: VoicemailId, said: Said) {
    let (delivering, hand_over) = (delivering(scene), hand_over(scene, id).await);
    let word = Word::of(said);
    let heard = move |tx: &mut dyn Tx| deliver::hear(tx, &delivering, &hand_over, &word, 0.5);
    scene.test.store.write(heard).await.unwrap();
}

async fn a_hand_over_counts_from_its_call_until_nothing_was_certainly_sent(engine: Engine) {
    let outcomes = [passing(), Outcome::Unknown];
    let carrier = Scripted::new(ASKABLE, outcomes).answering([Answer::NeverReceived]);
    let scene = Scene::new(engine, carrier).await;
    let id = scene.accept(RECIPIENT).await;
    assert_eq!(counted(&scene).await, [] as [u64; 0]);
    scene.work().await;
    // A passing error: the carrier certainly does not have it.
    assert_eq!(counted(&scene).await, [] as [u64; 0]);
    scene.advance_seconds(10);
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Sending);
    scene.advance_seconds(3);
    assert_eq!(counted(&scene).await, [3]);
    // The carrier is asked, and never got it.
    scene.advance_seconds(600);
    scene.work().await;
    assert_eq!(scene.carrier.asked(), 1);
    assert_eq!(scene.get(id).await.status, Status::Accepted);
    assert_eq!(counted(&scene).await, [] as [u64; 0]);
    // Another round counts from its own call.
    scene.advance_seconds(600);
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Delivered);
    scene.advance_seconds(5);
    assert_eq!(counted(&scene).await, [5]);
    let kept = hand_over(&scene, id).await;
    assert_eq!(kept.recipient, number(RECIPIENT));
    assert_eq!(kept.sender_id, Some(scene.get(id).await.sender_id));
}

async fn the_repeat_of_one_in_doubt_counts_once(engine: Engine) {
    let outcomes = [Outcome::Unknown, passing(), Outcome::Delivered];
    let scene = Scene::new(engine, Scripted::new(REPEATABLE, outcomes)).await;
    let id = scene.accept(RECIPIENT).await;
    scene.work().await;
    for seconds in [100, 500] {
        scene.advance_seconds(seconds);
        scene.work().await;
    }
    assert_eq!(scene.carrier.given().len(), 3);
    assert_eq!(scene.get(id).await.status, Status::Delivered);
    // Since the last call that may have sent it, and once.
    assert_eq!(counted(&scene).await, [0]);
}

async fn a_call_that_was_not_made_counts_nothing(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    scene.accept(RECIPIENT).await;
    let task = scene.claim_one().await;
    let (known, held) = (delivering(&scene), task.clone());
    let begin = move |tx: &mut dyn Tx| deliver::begin(tx, &known, &held, 0.5);
    let begun = scene.test.store.write(begin).await.unwrap();
    assert!(matches!(begun, NextMove::Call(_)), "{begun:?}");
    assert_eq!(counted(&scene).await, [0]);
    let not_called =
        move |tx: &mut dyn Tx| deliver::never_called(tx, &task, std::time::Duration::ZERO);
    scene.test.store.write(not_called).await.unwrap();
    assert_eq!(counted(&scene).await, [] as [u64; 0]);
}

async fn a_carriers_word_gives_back_what_it_did_not_try(engine: Engine) {
    let taken = || Outcome::Taken { ask_after: None };
    let outcomes = [taken(), taken(), taken(), taken(), passing(), passing()];
    let scene = Scene::new(engine, Scripted::new(NEITHER, outcomes)).await;
    let ended = |reason| Said::Ended(End::Because(reason));
    for (said, is_counted) in [
        (ended(FailureReason::InvalidNumber), false),
        (ended(FailureReason::NotMobile), false),
        (ended(FailureReason::MailboxFull), true),
        (Said::NotTried(FailureReason::CarrierAuth), false),
    ] {
        let before = counted(&scene).await.len();
        let id = scene.accept(RECIPIENT).await;
        scene.work().await;
        assert_eq!(counted(&scene).await.len(), before + 1);
        hear(&scene, id, said).await;
        let after = counted(&scene).await.len();
        assert_eq!(after, before + usize::from(is_counted), "{said:?}");
    }
    // One that the carrier did not take, as its answer said, and has all the same.
    crate::fair_queue::resume(&scene).await;
    let late = scene.accept(RECIPIENT).await;
    scene.work().await;
    assert_eq!(scene.get(late).await.status, Status::Accepted);
    assert_eq!(hand_over(&scene, late).await.counts_time, None);
    hear(&scene, late, Said::Pending).await;
    assert_eq!(scene.get(late).await.status, Status::Sent);
    let now = scene.test.clock.now();
    assert_eq!(hand_over(&scene, late).await.counts_time, Some(now));
}

async fn what_is_counted_is_filtered_and_bounded(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(scene.accept(RECIPIENT).await);
        scene.work().await;
        scene.advance_seconds(10);
    }
    scene.accept("+12125550101").await;
    scene.work().await;
    assert_eq!(counted(&scene).await, [10, 20, 30]);
    let now = scene.test.clock.now();
    let since = |seconds| CountedFilter {
        since: now.minus(std::time::Duration::from_secs(seconds)),
        ..filter()
    };
    // What began to count at `since` itself is past.
    assert_eq!(counted_by(&scene, since(21)).await, [10, 20]);
    assert_eq!(counted_by(&scene, since(20)).await, [10]);
    let other = CountedFilter {
        entity_name: "Another clinic".to_owned(),
        ..filter()
    };
    assert_eq!(counted_by(&scene, other).await, [] as [u64; 0]);
    let except = CountedFilter {
        except: Some(hand_over(&scene, ids[1]).await.id),
        ..filter()
    };
    assert_eq!(counted_by(&scene, except).await, [10, 30]);
    let of_purpose = || CountedFilter {
        purpose: Some(Purpose::Marketing),
        ..filter()
    };
    assert_eq!(counted_by(&scene, of_purpose()).await, [] as [u64; 0]);
    let (use_case, registry) = (scene.use_case_id, scene.registry.clone());
    let change = UseCaseChange {
        purpose: Some(Some(Purpose::Marketing)),
        ..UseCaseChange::default()
    };
    let update =
        move |tx: &mut dyn Tx| use_cases::update(tx, WORKSPACE, use_case, change, &registry);
    scene.test.store.write(update).await.unwrap();
    assert_eq!(counted_by(&scene, of_purpose()).await, [10, 20, 30]);
    let newest = scene
        .test
        .read(|tx| tx.counted(WORKSPACE, &filter(), 2))
        .await;
    assert_eq!(newest.len(), 2);
    assert!(newest[0] > newest[1]);
}

async fn a_recipient_is_counted_by_one_unit_of_work_at_a_time(engine: Engine) {
    let many = 12;
    let scene = Scene::new(engine, Scripted::new(NEITHER, vec![passing(); many])).await;
    let mut hand_overs = Vec::new();
    for _ in 0..many {
        let id = scene.accept(RECIPIENT).await;
        scene.work().await;
        hand_overs.push(hand_over(&scene, id).await);
    }
    assert_eq!(counted(&scene).await, [] as [u64; 0]);
    let store = Arc::new(scene.test.store.clone());
    let mut at_once = tokio::task::JoinSet::new();
    for mut hand_over in hand_overs {
        let store = store.clone();
        at_once.spawn(async move {
            let take_the_last_place = move |tx: &mut dyn Tx| {
                tx.lock_recipient(WORKSPACE, &hand_over.recipient)?;
                let is_free = tx.counted(WORKSPACE, &filter(), 1)?.is_empty();
                if is_free {
                    hand_over.count(tx.now()?);
                    tx.save_hand_over(&hand_over)?;
                }
                Ok::<_, ringless::storage::Error>(is_free)
            };
            store.write(take_the_last_place).await.unwrap()
        });
    }
    let taken = at_once.join_all().await;
    assert_eq!(taken.iter().filter(|is_free| **is_free).count(), 1);
    assert_eq!(counted(&scene).await, [0]);
}
