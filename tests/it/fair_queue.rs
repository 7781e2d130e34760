//! Who has a turn, and what keeps a setup's queue: limits, suspension, expiry.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use ringless::domain::attempt::Outcome;
use ringless::domain::breaker::Breaker;
use ringless::domain::failure::FailureReason;
use ringless::domain::ids::{LeaseToken, UseCaseId, VoicemailId};
use ringless::domain::room::{Kind, Room};
use ringless::domain::sender::SenderPlan;
use ringless::domain::status::Status;
use ringless::domain::telephony::Setup;
use ringless::domain::use_case::Channel;
use ringless::ops::OpError;
use ringless::ops::deliver::{Claimed, Round, Task, claim, renew};
use ringless::ops::setups::{self, SetupChange};
use ringless::ops::use_cases::{self, NewUseCase};
use ringless::ops::voicemails;
use ringless::storage::{Lock, Tx};
use ringless::worker::Housekeeping;

use crate::support::Engine;
use crate::support::data::{LEASE, Scene, WORKSPACE};
use crate::support::scripted::{ASKABLE, NEITHER, Scripted};

crate::on_both_databases!(
    a_batch_in_one_use_case_leaves_every_other_its_turn,
    a_claim_that_goes_on_takes_more_of_what_was_left,
    a_claim_that_goes_on_waits_for_room,
    a_claim_that_goes_on_passes_over_what_was_paused,
    a_pace_holds_over_all_workers_and_is_smooth,
    a_bound_of_calls_under_way_holds_over_all_workers,
    a_setup_takes_no_more_than_its_share_of_a_worker,
    a_suspended_setup_writes_nothing_and_goes_on_at_once,
    a_waiting_one_expires_in_time_whatever_holds_its_queue,
    what_has_expired_is_never_handed_over,
    one_that_was_put_off_past_its_time_expires_after_that,
    questions_leave_what_waits_its_turn,
    a_lease_is_renewed_while_it_is_held_and_not_after,
    a_lease_is_renewed_while_the_call_runs,
    a_sweep_is_done_by_one_process_at_a_time,
);

/// Another use case of the scene's setup, with its numbers.
async fn another_use_case(scene: &Scene) -> UseCaseId {
    let (setup_id, numbers) = (scene.setup_id, scene.number_ids.clone());
    let registry = scene.registry.clone();
    let made = scene.test.store.write(move |tx| {
        let new = NewUseCase {
            channel: Channel::RinglessVoicemail,
            entity_name: "Clinic".to_owned(),
            name: "Results".to_owned(),
            description: String::new(),
            setup_id,
            purpose: None,
            callback_phone_number: None,
            opt_out_phone_number: None,
            senders: SenderPlan::default(),
            request_id: None,
        };
        let made = use_cases::create(tx, WORKSPACE, &new, &registry)?;
        for number in numbers {
            use_cases::assign(tx, WORKSPACE, made.id, number)?;
        }
        Ok::<_, ringless::ops::OpError>(made.id)
    });
    made.await.unwrap()
}

async fn accept_in(scene: &Scene, use_case_id: UseCaseId, recipient: &str) -> VoicemailId {
    use ringless::ops::send_voicemail::Accepted;
    let draft = ringless::ops::send_voicemail::Draft {
        use_case_id,
        ..scene.draft(recipient)
    };
    match scene.try_accept(draft, 1).await.unwrap() {
        Accepted::New(voicemail) => voicemail.id,
        other => panic!("{other:?}"),
    }
}

pub async fn change(scene: &Scene, change: SetupChange) -> Setup {
    let (setup, registry) = (scene.setup_id, scene.registry.clone());
    let update = move |tx: &mut dyn ringless::storage::Tx| {
        setups::update(tx, WORKSPACE, setup, &change, &registry)
    };
    scene.test.store.write(update).await.unwrap()
}

pub async fn setup(scene: &Scene) -> Setup {
    let (setup, registry) = (scene.setup_id, scene.registry.clone());
    let get =
        move |tx: &mut dyn ringless::storage::Tx| setups::get(tx, WORKSPACE, setup, &registry);
    scene.test.store.read(get).await.unwrap()
}

pub async fn resume(scene: &Scene) -> Setup {
    let (setup, registry) = (scene.setup_id, scene.registry.clone());
    let resume =
        move |tx: &mut dyn ringless::storage::Tx| setups::resume(tx, WORKSPACE, setup, &registry);
    scene.test.store.write(resume).await.unwrap()
}

/// A claim of up to three of a setup; `goes_on`: after an earlier one.
async fn claim_three(scene: &Scene, round: Round, goes_on: bool) -> (Claimed, Round) {
    claim_into(Room::new(4), scene, round, goes_on).await
}

async fn claim_into(
    room: Room,
    scene: &Scene,
    mut round: Round,
    goes_on: bool,
) -> (Claimed, Round) {
    if goes_on {
        round.go_on();
    }
    let delivering = scene.runner().delivering.clone();
    let claimed = scene.test.store.write(move |tx| {
        let token = LeaseToken::generate();
        let claimed = claim(tx, &delivering, &mut round, room, token)?;
        Ok::<_, OpError>((claimed, round))
    });
    claimed.await.unwrap()
}

fn ids(claimed: &Claimed) -> Vec<VoicemailId> {
    let id = |task: &Task| task.delivery.voicemail_id;
    claimed.tasks.iter().map(id).collect()
}

async fn a_claim_that_goes_on_takes_more_of_what_was_left(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let other = another_use_case(&scene).await;
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(scene.accept("+12125550100").await);
        scene.advance_seconds(1);
    }
    let (first, round) = claim_three(&scene, Round::default(), false).await;
    assert_eq!((ids(&first), first.is_whole), (waiting[..3].to_vec(), true));
    // What came elsewhere meanwhile is not looked at, ...
    let elsewhere = accept_in(&scene, other, "+12125550101").await;
    let (second, round) = claim_three(&scene, round, true).await;
    assert_eq!(
        (ids(&second), second.is_whole),
        (waiting[3..6].to_vec(), false)
    );
    let (third, round) = claim_three(&scene, round, true).await;
    assert_eq!(
        (ids(&third), third.is_whole),
        (waiting[6..].to_vec(), false)
    );
    // ... until nothing is left.
    let (last, round) = claim_three(&scene, round, true).await;
    assert_eq!((ids(&last), last.is_whole), (vec![elsewhere], true));
    let (none, _) = claim_three(&scene, round, true).await;
    assert!(none.is_empty() && none.is_whole);
}

/// That there is no room is no reason to look at everything before it is time to.
async fn a_claim_that_goes_on_waits_for_room(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(scene.accept("+12125550100").await);
        scene.advance_seconds(1);
    }
    let (_, round) = claim_three(&scene, Round::default(), false).await;
    let mut full = Room::new(4);
    for _ in 0..3 {
        full.take(scene.setup_id, Kind::Send);
    }
    let (none, round) = claim_into(full.clone(), &scene, round, true).await;
    assert!(none.is_empty() && !none.is_whole);
    // One that does not go on looks at everything, whatever room there is.
    let (none, _) = claim_into(full, &scene, round.clone(), false).await;
    assert!(none.is_empty() && none.is_whole);
    let (rest, _) = claim_three(&scene, round, true).await;
    assert_eq!((ids(&rest), rest.is_whole), (waiting[3..].to_vec(), false));
}

async fn a_claim_that_goes_on_passes_over_what_was_paused(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    for _ in 0..5 {
        scene.accept("+12125550100").await;
    }
    let (first, round) = claim_three(&scene, Round::default(), false).await;
    assert_eq!(first.tasks.len(), 3);
    let id = scene.use_case_id;
    let pause = move |tx: &mut dyn Tx| use_cases::pause(tx, WORKSPACE, id, "");
    scene.test.store.write(pause).await.unwrap();
    let (none, _) = claim_three(&scene, round, true).await;
    assert!(none.is_empty() && none.is_whole);
}

async fn a_batch_in_one_use_case_leaves_every_other_its_turn(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let other = another_use_case(&scene).await;
    for _ in 0..40 {
        scene.accept("+12125550100").await;
    }
    let runner = scene.runner();
    runner.claim(Room::new(4)).await.unwrap();
    scene.advance_seconds(10);
    let single = accept_in(&scene, other, "+12125550101").await;
    // It came last, and is in the very next claim; so it is in each that follows.
    for _ in 0..3 {
        let claimed = runner.claim(Room::new(4)).await.unwrap();
        let ids: Vec<_> = claimed
            .tasks
            .iter()
            .map(|task| task.delivery.use_case_id)
            .collect();
        assert_eq!(ids.iter().filter(|id| **id == other).count(), 1, "{ids:?}");
        accept_in(&scene, other, "+12125550101").await;
    }
    assert_eq!(scene.get(single).await.status, Status::Sending);
}

async fn a_pace_holds_over_all_workers_and_is_smooth(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    for _ in 0..60 {
        scene.accept("+12125550100").await;
    }
    change(
        &scene,
        SetupChange {
            starts_per_minute: Some(600),
            ..SetupChange::default()
        },
    )
    .await;
    let workers = [scene.runner(), scene.runner(), scene.runner()];
    let mut started = Vec::new();
    for _ in 0..4 {
        let mut second = 0;
        for _ in 0..20 {
            for worker in &workers {
                let claimed = worker.claim(Room::new(100)).await.unwrap();
                second += claimed.tasks.len();
                assert!(claimed.next.is_some(), "it knows when to look again");
            }
            scene.advance(Duration::from_millis(50));
        }
        started.push(second);
    }
    assert_eq!(started, [10, 10, 10, 10]);
    // What was not used is not saved up.
    scene.advance_seconds(60);
    let claimed = workers[0].claim(Room::new(100)).await.unwrap();
    let sends = claimed.tasks.iter().filter(|task| task.kind == Kind::Send);
    assert_eq!(sends.count(), 1);
}

async fn a_bound_of_calls_under_way_holds_over_all_workers(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    for _ in 0..10 {
        scene.accept("+12125550100").await;
    }
    change(
        &scene,
        SetupChange {
            in_flight_max: Some(3),
            ..SetupChange::default()
        },
    )
    .await;
    let (one, other) = (scene.runner(), scene.runner());
    let mut first = one.claim(Room::new(2)).await.unwrap().tasks;
    let second = other.claim(Room::new(100)).await.unwrap().tasks;
    assert_eq!(
        (first.len(), second.len()),
        (1, 2),
        "a worker's share, then the bound"
    );
    assert!(one.claim(Room::new(100)).await.unwrap().is_empty());
    one.run(first.pop().unwrap()).await;
    assert_eq!(other.claim(Room::new(100)).await.unwrap().tasks.len(), 1);
    // A worker that died keeps its places until its lease ends, because its calls may go on.
    scene.advance(LEASE);
    scene.work().await;
    assert_eq!(
        scene
            .test
            .database
            .count("SELECT count(*) FROM voicemails WHERE status = 4"),
        10
    );
}

async fn a_setup_takes_no_more_than_its_share_of_a_worker(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    for _ in 0..20 {
        scene.accept("+12125550100").await;
    }
    let claimed = scene.runner().claim(Room::new(16)).await.unwrap();
    assert_eq!(claimed.tasks.len(), 12);
}

async fn a_suspended_setup_writes_nothing_and_goes_on_at_once(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    let before = scene.get(id).await;
    let (setup, registry) = (scene.setup_id, scene.registry.clone());
    let suspend = move |tx: &mut dyn ringless::storage::Tx| {
        setups::suspend(tx, WORKSPACE, setup, "audit", &registry)
    };
    scene.test.store.write(suspend).await.unwrap();
    scene.advance_seconds(100);
    scene.work().await;
    assert_eq!(scene.get(id).await, before);
    let registry = scene.registry.clone();
    let shown = scene
        .test
        .store
        .read(move |tx| voicemails::explained(tx, WORKSPACE, id, &registry))
        .await
        .unwrap();
    assert!(
        shown.status_detail.contains("SUSPENDED"),
        "{}",
        shown.status_detail
    );
    resume(&scene).await;
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Delivered);
}

async fn a_waiting_one_expires_in_time_whatever_holds_its_queue(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    change(
        &scene,
        SetupChange {
            starts_per_minute: Some(1),
            ..SetupChange::default()
        },
    )
    .await;
    scene.accept("+12125550100").await;
    let mut draft = scene.draft("+12125550101");
    draft.expire_time = Some(scene.test.clock.now().plus(Duration::from_secs(30)));
    let ringless::ops::send_voicemail::Accepted::New(late) =
        scene.try_accept(draft, 1).await.unwrap()
    else {
        panic!("new");
    };
    scene.work().await;
    scene.advance(Duration::from_secs(30) - Duration::from_micros(1));
    scene.work().await;
    assert_eq!(scene.get(late.id).await.status, Status::Accepted);
    scene.advance(Duration::from_micros(1));
    scene.work().await;
    let ended = scene.get(late.id).await;
    assert_eq!(
        (ended.status, ended.failure_reason),
        (Status::Skipped, Some(FailureReason::Expired))
    );
}

async fn a_lease_is_renewed_while_it_is_held_and_not_after(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    scene.accept("+12125550100").await;
    let held = scene.claim_one().await.delivery;
    let renew_held = || {
        let (delivering, held) = (scene.runner().delivering.clone(), held.clone());
        scene
            .test
            .store
            .write(move |tx| renew(tx, &delivering, &held))
    };
    scene.advance(LEASE / 2);
    assert!(renew_held().await.unwrap());
    scene.advance(LEASE - Duration::from_micros(1));
    scene.work().await;
    assert!(scene.carrier.given().is_empty(), "it holds");
    scene.advance(Duration::from_micros(1));
    scene.work().await;
    assert_eq!(scene.carrier.given().len(), 1);
    assert!(!renew_held().await.unwrap());
}

async fn a_lease_is_renewed_while_the_call_runs(engine: Engine) {
    let gate = Arc::new(Semaphore::new(0));
    let carrier = Scripted::new(NEITHER, []).waiting_at(&gate);
    let scene = Scene::new(engine, carrier).await;
    let id = scene.accept("+12125550100").await;
    let task = scene.claim_one().await;
    let mut runner = scene.runner();
    runner.renew_every = Duration::from_millis(10);
    let running = tokio::spawn(async move { runner.run(task).await });
    let row = || {
        scene
            .test
            .read(move |tx| tx.find_delivery(WORKSPACE, id, Lock::None))
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while scene.carrier.given().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "never called");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Twice as long as the lease, in steps that are shorter than it.
    for _ in 0..4 {
        scene.advance(LEASE / 2);
        let renewed = scene.test.clock.now().plus(LEASE);
        while row().await.unwrap().next_time != Some(renewed) {
            assert!(tokio::time::Instant::now() < deadline, "never renewed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(scene.runner().claim(Room::new(9)).await.unwrap().is_empty());
    }
    gate.add_permits(1);
    running.await.unwrap();
    assert_eq!(scene.get(id).await.status, Status::Delivered);
}

async fn a_sweep_is_done_by_one_process_at_a_time(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let upload = |seed| {
        let bytes = crate::support::data::mp3(seed);
        let audio = crate::support::data::described(&bytes);
        scene
            .test
            .store
            .write(move |tx| ringless::ops::audio::upload(tx, WORKSPACE, &audio, &bytes))
    };
    upload(1).await.unwrap();
    let sweeper = || Housekeeping {
        store: scene.test.store.clone(),
    };
    assert_eq!(sweeper().sweep().await.unwrap(), 0);
    // The breaker of a carrier that nobody uses any more is forgotten with it.
    let opened = scene.test.write(|tx| {
        let now = tx.now()?;
        tx.open_breaker(&Breaker::open("gone", now))
    });
    assert!(opened.await);
    scene.advance_seconds(8 * 24 * 3_600);
    let (one, other) = (sweeper(), sweeper());
    let (first, second) = tokio::join!(one.sweep(), other.sweep());
    let mut dropped = [first.unwrap(), second.unwrap()];
    dropped.sort_unstable();
    assert_eq!(dropped, [0, 1]);
    assert_eq!(scene.test.read(|tx| tx.breakers()).await, []);
    // The next one comes when it is time, and not before.
    upload(2).await.unwrap();
    let taken = scene
        .test
        .write(|tx| tx.take_sweep("unused_audio", Duration::from_secs(600)))
        .await;
    assert!(!taken);
    scene.advance_seconds(600);
    let taken = scene
        .test
        .write(|tx| tx.take_sweep("unused_audio", Duration::from_secs(600)))
        .await;
    assert!(taken);
}

async fn what_has_expired_is_never_handed_over(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    // More than one claim ends at once.
    let mut old = Vec::new();
    for _ in 0..150 {
        old.push(scene.accept("+12125550100").await);
    }
    scene.advance_seconds(72 * 3_600);
    let fresh = scene.accept("+12125550101").await;
    scene.work().await;
    let given = scene.carrier.given();
    let given: Vec<_> = given.iter().map(|given| given.voicemail_id).collect();
    assert_eq!(given, [fresh]);
    for id in old {
        let voicemail = scene.get(id).await;
        let end = (voicemail.status, voicemail.failure_reason);
        assert_eq!(end, (Status::Skipped, Some(FailureReason::Expired)));
    }
    // One that expires between its claim and its call is not called either.
    let late = scene.accept("+12125550100").await;
    scene.advance_seconds(72 * 3_600 - 1);
    let task = scene.claim_one().await;
    scene.advance_seconds(1);
    scene.runner().run(task).await;
    scene.work().await;
    assert_eq!(scene.get(late).await.status, Status::Skipped);
    assert_eq!(scene.carrier.given().len(), 1);
}

/// As one that could not be read is, and can be by now.
async fn one_that_was_put_off_past_its_time_expires_after_that(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept("+12125550100").await;
    scene.test.database.sql(
        "UPDATE voicemails SET next_time = expire_time + 600000000",
        "UPDATE voicemails SET next_time = expire_time + interval '600 seconds'",
    );
    let expires = scene.get(id).await.expire_time;
    let until = |seconds: u64| {
        let left = expires.since(scene.test.clock.now());
        scene.advance(left + Duration::from_secs(seconds));
    };
    until(599);
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Accepted);
    scene.advance_seconds(2);
    scene.work().await;
    let ended = scene.get(id).await;
    assert_eq!(
        (ended.status, ended.failure_reason),
        (Status::Skipped, Some(FailureReason::Expired))
    );
}

async fn questions_leave_what_waits_its_turn(engine: Engine) {
    let taken = Outcome::Taken { ask_after: None };
    let scene = Scene::new(
        engine,
        Scripted::new(ASKABLE, std::iter::repeat_n(taken, 12)),
    )
    .await;
    for _ in 0..12 {
        scene.accept("+12125550100").await;
    }
    scene.work().await;
    scene.advance_seconds(3_600);
    for _ in 0..3 {
        scene.accept("+12125550101").await;
    }
    let kinds = |claimed: ringless::ops::deliver::Claimed| {
        let kinds = claimed.tasks.iter().map(|task| task.kind);
        kinds.collect::<Vec<_>>()
    };
    // A worker whose places come free one at a time gives them out in turn.
    let runner = scene.runner();
    let mut given = Vec::new();
    for _ in 0..4 {
        given.extend(kinds(runner.claim(Room::new(1)).await.unwrap()));
    }
    assert!(given.contains(&Kind::Send), "{given:?}");
    assert!(given.contains(&Kind::Ask), "{given:?}");
    // Where there are many, questions have a quarter of them.
    let given = kinds(runner.claim(Room::new(16)).await.unwrap());
    let asks = given.iter().filter(|kind| **kind == Kind::Ask).count();
    assert_eq!(asks, 4);
}
