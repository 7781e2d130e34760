//! The gates at the moment of sending: what each of them refuses, holds and lets pass, and what is kept of it.
//! Every test begins on Monday, 2026-11-23, at 12:00 UTC, which is 07:00 in New York.

use std::sync::Arc;
use std::time::Duration;

use ringless::config::{Config, FileConfig, Overrides};
use ringless::domain::attempt::Outcome;
use ringless::domain::doubt::DoubtTraits;
use ringless::domain::failure::FailureReason;
use ringless::domain::gate::{self, Finding, Findings, Gate, GateCheck, Verdict, VerdictKind};
use ringless::domain::ids::VoicemailId;
use ringless::domain::room::Room;
use ringless::domain::status::Status;
use ringless::domain::time::Time;
use ringless::domain::use_case::Purpose;
use ringless::ops::OpError;
use ringless::ops::send_voicemail::{Accepted, Draft};
use ringless::ops::use_cases::{self, UseCaseChange};
use ringless::storage::Tx;

use crate::support::data::{Scene, WORKSPACE};
use crate::support::scripted::{NEITHER, Scripted};
use crate::support::{Engine, START_US};

crate::on_both_databases!(
    a_closed_window_holds_until_it_opens_and_says_why,
    what_a_window_holds_until_it_expires_ends_for_quiet_hours,
    a_stated_place_counts_before_the_area_code,
    a_cap_holds_until_there_is_room_and_refuses_what_would_be_too_late,
    a_place_is_given_back_where_it_is_certain_that_nothing_was_sent,
    of_500_at_once_two_workers_send_one,
    audio_that_is_longer_than_the_purpose_allows_is_refused,
    a_purpose_that_is_not_chosen_stops_all_carriers_but_the_sandbox,
    a_repeat_in_doubt_waits_for_the_window_as_long_as_its_carrier_knows_it,
    the_first_look_and_the_latest_are_kept_and_the_same_hold_is_one,
);

pub const ANY_HOUR: &str =
    "federal_hours = false\nstate_hours = false\nmargin_minutes = 0\nacknowledge = 'a test'\n";
pub const RECIPIENT: &str = "+12125550100";

pub fn at(seconds: u64) -> Time {
    Time::from_micros(START_US).plus(Duration::from_secs(seconds))
}

/// Seconds from the start to an hour and a minute of New York, `days` later.
fn new_york(days: u64, hour: u64, minute: u64) -> u64 {
    (days * 24 + hour - 7) * 3_600 + minute * 60
}

pub fn rules(file: &str) -> gate::Rules {
    let file = FileConfig::parse(file).unwrap();
    let config = Config::build(Overrides::default(), file).unwrap();
    gate::Rules::clone(&config.gates)
}

/// A use case of this purpose, under these settings.
async fn scene(engine: Engine, carrier: Scripted, purpose: Purpose, file: &str) -> Scene {
    let mut scene = Scene::new(engine, carrier).await;
    scene.gates = Arc::new(rules(file));
    let (id, registry) = (scene.use_case_id, scene.registry.clone());
    let change = UseCaseChange {
        purpose: Some(Some(purpose)),
        ..UseCaseChange::default()
    };
    let update = move |tx: &mut dyn Tx| use_cases::update(tx, WORKSPACE, id, change, &registry);
    scene.test.store.write(update).await.unwrap();
    scene
}

pub async fn simple(engine: Engine, purpose: Purpose, file: &str) -> Scene {
    scene(engine, Scripted::new(NEITHER, []), purpose, file).await
}

pub async fn accept(scene: &Scene, draft: Draft) -> VoicemailId {
    match scene.try_accept(draft, 1).await.unwrap() {
        Accepted::New(voicemail) => voicemail.id,
        other => panic!("{other:?}"),
    }
}

pub async fn checks(scene: &Scene, id: VoicemailId) -> Vec<GateCheck> {
    let read = move |tx: &mut dyn Tx| tx.gate_checks(id);
    scene.test.store.read(read).await.unwrap()
}

/// What the last look decided, and by which gate; none: it let it pass.
async fn last(scene: &Scene, id: VoicemailId) -> Option<(Gate, Verdict)> {
    let checks = checks(scene, id).await;
    let decisive = checks
        .last()
        .expect("the gates were asked")
        .found
        .decisive();
    decisive.map(|finding| (finding.gate, finding.verdict))
}

pub async fn end(scene: &Scene, id: VoicemailId) -> (Status, Option<FailureReason>) {
    let voicemail = scene.get(id).await;
    (voicemail.status, voicemail.failure_reason)
}

async fn a_closed_window_holds_until_it_opens_and_says_why(engine: Engine) {
    let scene = simple(engine, Purpose::Informational, "[purposes.informational]").await;
    let id = scene.accept(RECIPIENT).await;
    scene.work().await;
    // 08:00 and the margin of ten minutes.
    let opens = at(new_york(0, 8, 10));
    let held = scene.get(id).await;
    assert_eq!(held.status, Status::Accepted);
    let hold = held.hold.expect("it is held");
    assert_eq!((hold.gate, hold.until), (Gate::Window, opens));
    assert!(
        held.status_detail.contains("07:00"),
        "{}",
        held.status_detail
    );
    assert_eq!(held.due_time, opens, "nobody is slow until then");
    assert_eq!(
        last(&scene, id).await,
        Some((Gate::Window, Verdict::Hold { until: opens }))
    );

    scene.advance_seconds(new_york(0, 8, 10) - 1);
    scene.work().await;
    assert_eq!(checks(&scene, id).await.len(), 1, "it was not touched");
    scene.advance_seconds(1);
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Delivered);
    let checks = checks(&scene, id).await;
    assert_eq!(checks.len(), 2);
    let passed = &checks[1];
    assert_eq!(passed.time, opens);
    assert!(passed.found.rules_version.contains("hours"));
    let gates: Vec<(Gate, VerdictKind)> = (passed.found.findings.iter())
        .map(|finding| (finding.gate, finding.verdict.kind()))
        .collect();
    assert_eq!(gates, Gate::ALL.map(|gate| (gate, VerdictKind::Pass)));
    let shown = format!("{checks:?}");
    assert!(shown.contains("America/New_York"), "{shown}");
    assert!(!shown.contains(RECIPIENT), "{shown}");
}

async fn what_a_window_holds_until_it_expires_ends_for_quiet_hours(engine: Engine) {
    let scene = simple(engine, Purpose::Informational, "[purposes.informational]").await;
    let draft = Draft {
        expire_time: Some(at(1_800)),
        ..scene.draft(RECIPIENT)
    };
    let id = accept(&scene, draft).await;
    scene.work().await;
    let hold = scene.get(id).await.hold.expect("it is held");
    assert_eq!(hold.until, at(1_800), "it expires before the window opens");
    scene.advance_seconds(1_799);
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Accepted);
    scene.advance_seconds(1);
    scene.work().await;
    assert_eq!(
        end(&scene, id).await,
        (Status::Skipped, Some(FailureReason::QuietHoursExpired))
    );
    assert!(scene.carrier.given().is_empty());
}

async fn a_stated_place_counts_before_the_area_code(engine: Engine) {
    let scene = simple(engine, Purpose::Informational, "[purposes.informational]").await;
    // 09:00 in New York, 06:00 in Los Angeles.
    scene.advance_seconds(new_york(0, 9, 0));
    let by_area_code = scene.accept(RECIPIENT).await;
    let stated = |time_zone: &str, postal_code: &str| {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Draft {
            time_zone: given(time_zone),
            postal_code: given(postal_code),
            ..scene.draft(RECIPIENT)
        }
    };
    let by_zone = accept(&scene, stated("America/Los_Angeles", "")).await;
    let by_postal_code = accept(&scene, stated("", "94103")).await;
    scene.work().await;
    assert_eq!(scene.get(by_area_code).await.status, Status::Delivered);
    let opens = at(new_york(0, 11, 10));
    for id in [by_zone, by_postal_code] {
        let hold = scene.get(id).await.hold.expect("it is held");
        assert_eq!((hold.gate, hold.until), (Gate::Window, opens));
    }
}

async fn a_cap_holds_until_there_is_room_and_refuses_what_would_be_too_late(engine: Engine) {
    let caps = "caps = [{ max = 1, days = 1 }]\n";
    let file = format!("[purposes.informational]\n{ANY_HOUR}{caps}");
    let scene = simple(engine, Purpose::Informational, &file).await;
    let first = scene.accept(RECIPIENT).await;
    scene.work().await;
    assert_eq!(scene.get(first).await.status, Status::Delivered);
    scene.advance_seconds(60);
    let second = scene.accept(RECIPIENT).await;
    let late = accept(
        &scene,
        Draft {
            expire_time: Some(at(24 * 3_600)),
            ..scene.draft(RECIPIENT)
        },
    )
    .await;
    let another = scene.accept("+12125550101").await;
    scene.work().await;
    // The day of 24 hours ends later than the recipient's own.
    let frees = at(24 * 3_600);
    assert_eq!(
        last(&scene, second).await,
        Some((Gate::Cap, Verdict::Hold { until: frees }))
    );
    assert_eq!(
        end(&scene, late).await,
        (Status::Skipped, Some(FailureReason::FrequencyCap))
    );
    assert_eq!(scene.get(another).await.status, Status::Delivered);
    scene.advance_seconds(24 * 3_600 - 60);
    scene.work().await;
    assert_eq!(scene.get(second).await.status, Status::Delivered);
}

async fn a_place_is_given_back_where_it_is_certain_that_nothing_was_sent(engine: Engine) {
    let file = format!("[purposes.informational]\n{ANY_HOUR}caps = [{{ max = 1, days = 1 }}]\n");
    let refused = Outcome::Rejected {
        reason: FailureReason::InvalidNumber,
    };
    let full = Outcome::Rejected {
        reason: FailureReason::MailboxFull,
    };
    let carrier = Scripted::new(NEITHER, [refused, full]);
    let scene = scene(engine, carrier, Purpose::Informational, &file).await;
    // Refused: nothing was sent, so the next one has the place.
    let first = scene.accept(RECIPIENT).await;
    scene.work().await;
    assert_eq!(scene.get(first).await.status, Status::Failed);
    // Not delivered because the mailbox was full: it was tried, and keeps the place.
    let second = scene.accept(RECIPIENT).await;
    scene.work().await;
    assert_eq!(scene.get(second).await.status, Status::NotDelivered);
    let third = scene.accept(RECIPIENT).await;
    scene.work().await;
    assert_eq!(
        scene.get(third).await.hold.map(|hold| hold.gate),
        Some(Gate::Cap)
    );
}

async fn of_500_at_once_two_workers_send_one(engine: Engine) {
    let file = format!("[purposes.informational]\n{ANY_HOUR}caps = [{{ max = 1, days = 1 }}]\n");
    let scene = simple(engine, Purpose::Informational, &file).await;
    let mut ids = Vec::new();
    for _ in 0..500 {
        ids.push(scene.accept(RECIPIENT).await);
    }
    // One begins many in one unit of work, the other each in its own.
    let together = |runner: ringless::worker::Runner| async move {
        loop {
            let started = tokio::time::Instant::now();
            let found = runner.start_due(Room::new(16)).await.unwrap();
            if found.claimed.is_empty() && found.begun.is_empty() {
                return;
            }
            let runs = found
                .begun
                .into_iter()
                .map(|(task, next)| runner.go_on(task, next, started));
            futures_join(runs).await;
        }
    };
    let alone = |runner: ringless::worker::Runner| async move {
        loop {
            let claimed = runner.claim(Room::new(16)).await.unwrap();
            if claimed.is_empty() {
                return;
            }
            let runs = claimed.tasks.into_iter().map(|task| runner.run(task));
            futures_join(runs).await;
        }
    };
    tokio::join!(together(scene.runner()), alone(scene.runner()));
    assert_eq!(scene.carrier.given().len(), 1);
    let mut delivered = 0;
    for id in ids {
        let voicemail = scene.get(id).await;
        match voicemail.status {
            Status::Delivered => delivered += 1,
            other => {
                assert_eq!(other, Status::Accepted);
                let hold = voicemail.hold.expect("it is held");
                assert_eq!((hold.gate, voicemail.attempts.len()), (Gate::Cap, 0));
            }
        }
    }
    assert_eq!(delivered, 1);
}

/// All at once, on this task.
async fn futures_join(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        running.retain_mut(|one| one.as_mut().poll(context).is_pending());
        match running.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

async fn audio_that_is_longer_than_the_purpose_allows_is_refused(engine: Engine) {
    // The audio of these tests lasts 11 s and a little.
    for (seconds, is_sent) in [(10, false), (11, false), (12, true)] {
        let file = format!("[purposes.other]\n{ANY_HOUR}audio_seconds_max = {seconds}\n");
        let scene = simple(engine, Purpose::Other, &file).await;
        let id = scene.accept(RECIPIENT).await;
        scene.work().await;
        let wanted = match is_sent {
            true => (Status::Delivered, None),
            false => (Status::Skipped, Some(FailureReason::AudioNotAllowed)),
        };
        assert_eq!(end(&scene, id).await, wanted, "{seconds}");
    }
}

async fn a_purpose_that_is_not_chosen_stops_all_carriers_but_the_sandbox(engine: Engine) {
    let mut scene = simple(
        engine,
        Purpose::Informational,
        &format!("[purposes.informational]\n{ANY_HOUR}"),
    )
    .await;
    let before = scene.accept(RECIPIENT).await;
    // The operator takes the choice back.
    let chosen = std::mem::replace(&mut scene.gates, Arc::new(rules("[purposes.other]")));
    let refused = scene
        .try_accept(scene.draft(RECIPIENT), 1)
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused,
            OpError::PurposeNotChosen {
                purpose: Purpose::Informational,
                ..
            }
        ),
        "{refused:?}"
    );
    scene.work().await;
    let held = scene.get(before).await;
    assert_eq!(held.hold.map(|hold| hold.gate), Some(Gate::Purpose));
    assert!(held.status_detail.contains("[purposes.informational]"));
    assert!(scene.carrier.given().is_empty());
    // And chooses again.
    scene.gates = chosen;
    scene.advance_seconds(600);
    scene.work().await;
    assert_eq!(scene.get(before).await.status, Status::Delivered);
}

async fn a_repeat_in_doubt_waits_for_the_window_as_long_as_its_carrier_knows_it(engine: Engine) {
    for (memory_hours, is_repeated) in [(11, false), (14, true)] {
        let traits = DoubtTraits {
            repeatable_for: Some(Duration::from_secs(memory_hours * 3_600)),
            ..DoubtTraits::NONE
        };
        let carrier = Scripted::new(traits, [Outcome::Unknown]);
        let file = "[purposes.informational]";
        let scene = scene(engine, carrier, Purpose::Informational, file).await;
        scene.advance_seconds(new_york(0, 20, 49));
        let id = scene.accept(RECIPIENT).await;
        scene.work().await;
        assert_eq!(scene.get(id).await.status, Status::Sending);
        scene.advance_seconds(120);
        scene.work().await;
        assert_eq!(scene.carrier.given().len(), 1, "the window is closed");
        assert_eq!(
            scene.get(id).await.status,
            match is_repeated {
                true => Status::Sending,
                false => Status::Unconfirmed,
            }
        );
        scene.advance_seconds(new_york(1, 8, 10) - new_york(0, 20, 51));
        scene.work().await;
        let given = scene.carrier.given();
        assert_eq!(given.len(), if is_repeated { 2 } else { 1 });
        assert!(given.iter().all(|call| call.request == given[0].request));
    }
}

async fn the_first_look_and_the_latest_are_kept_and_the_same_hold_is_one(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept(RECIPIENT).await;
    let keep = async |why: String| {
        let until = scene.test.clock.now().plus(Duration::from_secs(60));
        let found = Findings {
            findings: vec![Finding::new(Gate::Sender, Verdict::Hold { until }, why)],
            rules_version: "1".to_owned(),
        };
        let keep = move |tx: &mut dyn Tx| tx.keep_gate_check(WORKSPACE, id, &found);
        scene.test.store.write(keep).await.unwrap();
        scene.advance_seconds(1);
    };
    for _ in 0..3 {
        keep("the same".to_owned()).await;
    }
    let one = checks(&scene, id).await;
    assert_eq!(one.len(), 1);
    assert_eq!((one[0].time, one[0].last_time), (at(0), at(2)));
    for (looks, kept, second) in [(48, 49, 2), (1, 50, 2), (1, 50, 3), (10, 50, 13)] {
        for _ in 0..looks {
            keep(format!("at {}", scene.test.clock.now())).await;
        }
        let kept_now = checks(&scene, id).await;
        assert_eq!(kept_now.len(), kept);
        assert_eq!((kept_now[0].number, kept_now[1].number), (1, second));
    }
}
