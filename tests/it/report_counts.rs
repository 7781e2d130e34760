//! The counts of ended voicemails say what the voicemails themselves say, whatever has become of them.

use std::collections::BTreeSet;
use std::time::Duration;

use ringless::domain::attempt::{Answer, Outcome};
use ringless::domain::failure::FailureReason;
use ringless::domain::ids::{UseCaseId, VoicemailId};
use ringless::domain::report::Dimension;
use ringless::domain::room::Room;
use ringless::domain::status::{End, Status};
use ringless::domain::suppression::{Scope, SuppressionReason};
use ringless::domain::time::Time;
use ringless::domain::use_case::Channel;
use ringless::ops::OpError;
use ringless::ops::deliver::{CallPlan, NextMove, begin};
use ringless::ops::report::{self, Report, ReportRequest};
use ringless::ops::send_voicemail::Accepted;
use ringless::ops::suppressions::{self, NewSuppression};
use ringless::ops::use_cases::{self, NewUseCase};
use ringless::ops::voicemails;
use ringless::storage::{Tx, VoicemailFilter};
use ringless::worker::Housekeeping;

use crate::delivery_in_doubt::record;
use crate::model::chance::Chance;
use crate::support::data::{SENDERS, Scene, WORKSPACE, number};
use crate::support::scripted::{ASKABLE, NEITHER, Scripted};
use crate::support::{Engine, START_US, TestStore};

crate::on_both_databases!(
    reports_by_counts_and_by_voicemails_agree,
    what_was_there_before_is_counted,
    what_ends_while_it_is_added_up_is_counted_once,
);

const REASONS: [FailureReason; 4] = [
    FailureReason::MailboxFull,
    FailureReason::NotMobile,
    FailureReason::InvalidNumber,
    FailureReason::InternalDnc,
];

/// A zone whose clocks change twice within the days of these histories.
const CHANGING: &str = "STD5DST,M11.4.3,M11.4.6";

fn outcome(chance: &mut Chance) -> Outcome {
    let reason = chance.one_of(&REASONS);
    match chance.below(8) {
        0 | 1 => Outcome::Rejected { reason },
        2 => Outcome::TryAgain { reason, wait: None },
        3 => Outcome::Unknown,
        4 => Outcome::Taken { ask_after: None },
        _ => Outcome::Delivered,
    }
}

fn answer(chance: &mut Chance) -> Answer {
    let reason = chance.one_of(&REASONS);
    match chance.below(5) {
        0 => Answer::Ended(End::Delivered),
        1 => Answer::Ended(End::Because(reason)),
        2 => Answer::Pending { again_after: None },
        3 => Answer::NeverReceived,
        _ => Answer::NoAnswer,
    }
}

/// A scene with a second use case, and a random history in it.
struct Past {
    scene: Scene,
    use_cases: [UseCaseId; 2],
    ids: Vec<VoicemailId>,
    /// Calls whose workers are given up for dead, and may still say what came of them.
    late: Vec<CallPlan>,
    chance: Chance,
}

impl Past {
    async fn begin(engine: Engine, seed: u64) -> Past {
        let mut chance = Chance::of(seed);
        let outcomes: Vec<Outcome> = (0..200).map(|_| outcome(&mut chance)).collect();
        let answers: Vec<Answer> = (0..100).map(|_| answer(&mut chance)).collect();
        let traits = chance.one_of(&[NEITHER, ASKABLE]);
        let scene = Scene::new(engine, Scripted::new(traits, outcomes).answering(answers)).await;
        let use_cases = [scene.use_case_id, second_use_case(&scene).await];
        Past {
            scene,
            use_cases,
            ids: Vec::new(),
            late: Vec::new(),
            chance,
        }
    }

    async fn step(&mut self) {
        match self.chance.below(12) {
            0..4 => self.accept().await,
            4 | 5 => self.scene.work().await,
            6 => self.cancel().await,
            7 => self.lose_a_worker().await,
            8 => self.hear_late().await,
            9 => self.fold().await,
            10 => match self.chance.below(8) {
                0 => self.suppress().await,
                1 => self.drop_or_change(),
                _ => {}
            },
            _ => {}
        }
        let seconds = self.chance.one_of(&[0, 1, 30, 600, 4_000, 40_000]);
        self.scene.advance_seconds(seconds);
    }

    async fn accept(&mut self) {
        let recipient = format!("+1212555010{}", self.chance.below(8));
        let mut draft = self.scene.draft(&recipient);
        draft.use_case_id = self.chance.one_of(&self.use_cases);
        if self.chance.in_hundred(20) {
            let later = self.scene.test.clock.now().plus(Duration::from_secs(7_200));
            draft.schedule_time = Some(later);
        }
        // A suppressed one is refused.
        if let Ok(Accepted::New(voicemail)) = self.scene.try_accept(draft, 1).await {
            self.ids.push(voicemail.id);
        }
    }

    async fn cancel(&mut self) {
        if self.ids.is_empty() {
            return;
        }
        let id = self.chance.one_of(&self.ids);
        let cancel = self
            .scene
            .test
            .store
            .write(move |tx| voicemails::cancel(tx, WORKSPACE, id));
        drop(cancel.await);
    }

    async fn lose_a_worker(&mut self) {
        let claimed = self.scene.runner().claim(Room::new(1)).await.unwrap();
        for task in claimed.tasks {
            let delivering = self.scene.runner().delivering.clone();
            let begin = move |tx: &mut dyn Tx| begin(tx, &delivering, &task, 0.5);
            if let NextMove::Call(plan) = self.scene.test.store.write(begin).await.unwrap() {
                self.late.push(plan);
            }
        }
    }

    async fn hear_late(&mut self) {
        if let Some(plan) = self.late.pop() {
            let outcome = outcome(&mut self.chance);
            record(&self.scene, &plan, outcome).await;
        }
    }

    /// Only some of what there is, so that reports read both tables.
    async fn fold(&mut self) {
        let limit = self.chance.one_of(&[1, 3, 1_000]);
        self.scene
            .test
            .write(move |tx| tx.fold_ended(0, limit))
            .await;
    }

    async fn suppress(&mut self) {
        let new = NewSuppression {
            phone_number: number(&format!("+1212555010{}", self.chance.below(8))),
            scope: Scope::Workspace,
            reason: SuppressionReason::OptOut,
            source: "test".to_owned(),
            actor: String::new(),
            note: String::new(),
            expire_time: None,
        };
        let add = self
            .scene
            .test
            .store
            .write(move |tx| suppressions::create(tx, WORKSPACE, &new));
        add.await.unwrap();
    }

    /// What no verb does today and one may do tomorrow.
    fn drop_or_change(&mut self) {
        let sql = self.chance.one_of(&[
            "DELETE FROM voicemails WHERE status = 4 AND simulated",
            "UPDATE voicemails SET simulated = NOT simulated WHERE status <> 6",
            "UPDATE voicemails SET latency_bucket = 7 WHERE status = 4 AND latency_bucket < 3",
        ]);
        self.scene
            .test
            .database
            .sql(&format!("PRAGMA foreign_keys = ON; {sql}"), sql);
    }

    fn request(&mut self) -> ReportRequest {
        let chance = &mut self.chance;
        let dimensions = [
            Dimension::UseCase,
            Dimension::Setup,
            Dimension::Sender,
            Dimension::Carrier,
            Dimension::FailureReason,
            Dimension::Day,
            Dimension::Hour,
        ];
        let mut filter = VoicemailFilter::default();
        if chance.in_hundred(20) {
            filter.use_case_id = Some(chance.one_of(&self.use_cases));
        }
        if chance.in_hundred(20) {
            filter.setup_id = Some(self.scene.setup_id);
        }
        if chance.in_hundred(20) {
            filter.statuses = vec![chance.one_of(&Status::ALL), chance.one_of(&Status::ALL)];
        }
        if chance.in_hundred(20) {
            filter.failure_reasons = vec![chance.one_of(&REASONS)];
        }
        if chance.in_hundred(20) {
            filter.sender = Some(number(SENDERS[chance.below(2)]));
        }
        let now = self.scene.test.clock.now().micros();
        let border = |chance: &mut Chance| {
            let hours = chance.below((now - START_US) as usize / 3_600_000_000 + 2) as i64;
            let beside = chance.one_of(&[0, 0, 1, -1, 1_800_000_000]);
            Time::from_micros(START_US + hours * 3_600_000_000 + beside)
        };
        if chance.in_hundred(70) {
            let (one, other) = (border(chance), border(chance));
            filter.create_time_from = Some(one.min(other));
            filter.create_time_to = Some(one.max(other));
        }
        let zone = chance.one_of(&["UTC", "America/New_York", "Asia/Kolkata", CHANGING]);
        ReportRequest {
            filter,
            dimensions: dimensions
                .into_iter()
                .filter(|_| chance.in_hundred(30))
                .collect(),
            time_zone: match zone {
                CHANGING => jiff::tz::TimeZone::posix(zone).unwrap(),
                name => jiff::tz::TimeZone::get(name).unwrap(),
            },
            include_simulated: chance.in_hundred(50),
        }
    }

    async fn compare(&mut self, times: usize) {
        for _ in 0..times {
            let request = self.request();
            let counted = make(&self.scene.test, request.clone()).await;
            assert_eq!(
                counted,
                by_voicemails(&self.scene.test, request.clone()).await,
                "{request:?}"
            );
        }
    }
}

async fn second_use_case(scene: &Scene) -> UseCaseId {
    let new = NewUseCase {
        channel: Channel::RinglessVoicemail,
        entity_name: "Clinic".to_owned(),
        name: "Results".to_owned(),
        description: String::new(),
        setup_id: scene.setup_id,
        purpose: None,
        callback_phone_number: None,
        opt_out_phone_number: None,
        senders: Default::default(),
        request_id: None,
    };
    let (registry, number) = (scene.registry.clone(), scene.number_ids[1]);
    let make = scene.test.store.write(move |tx| {
        let use_case = use_cases::create(tx, WORKSPACE, &new, &registry)?;
        use_cases::assign(tx, WORKSPACE, use_case.id, number)?;
        Ok::<_, OpError>(use_case.id)
    });
    make.await.unwrap()
}

async fn make(test: &TestStore, request: ReportRequest) -> Report {
    let made = test
        .store
        .read_one_moment(move |tx| report::make(tx, WORKSPACE, &request));
    made.await.unwrap()
}

/// A filter that the counts don't know, and that lets everything through.
async fn by_voicemails(test: &TestStore, mut request: ReportRequest) -> Report {
    request.filter.update_time_from = Some(Time::from_micros(0));
    make(test, request).await
}

/// By everything at once that the counts tell apart.
fn finest() -> ReportRequest {
    ReportRequest {
        filter: VoicemailFilter::default(),
        dimensions: vec![
            Dimension::UseCase,
            Dimension::Setup,
            Dimension::Sender,
            Dimension::Carrier,
            Dimension::FailureReason,
        ],
        time_zone: jiff::tz::TimeZone::UTC,
        include_simulated: true,
    }
}

/// Whatever the store holds, its reports by counts and by voicemails have to agree.
pub async fn check(test: &TestStore) {
    let counted = make(test, finest()).await;
    assert_eq!(counted, by_voicemails(test, finest()).await);
}

async fn reports_by_counts_and_by_voicemails_agree(engine: Engine) {
    let mut ends = BTreeSet::new();
    for seed in 0..6 {
        let mut past = Past::begin(engine, seed).await;
        for round in 0..100 {
            past.step().await;
            if round % 10 == 0 {
                past.compare(3).await;
            }
        }
        past.compare(30).await;
        let before = make(&past.scene.test, finest()).await;
        let keeper = Housekeeping {
            store: past.scene.test.store.clone(),
        };
        keeper.fold_ended().await.unwrap();
        let left = past
            .scene
            .test
            .database
            .count("SELECT count(*) FROM ended_changes");
        assert_eq!(left, 0);
        assert_eq!(make(&past.scene.test, finest()).await, before);
        past.compare(30).await;
        ends.extend(
            Status::ALL
                .into_iter()
                .filter(|status| before.total.count(*status) > 0),
        );
    }
    assert_eq!(
        ends.len(),
        Status::ALL.len(),
        "histories that go everywhere: {ends:?}"
    );
}

/// The newest migration, taken back and made again over rows.
async fn what_was_there_before_is_counted(engine: Engine) {
    let mut past = Past::begin(engine, 17).await;
    for _ in 0..120 {
        past.step().await;
    }
    let before = make(&past.scene.test, finest()).await;
    assert!(before.groups.len() > 5, "{before:?}");
    let script = |direction: &str, engine: &str| {
        let folder = format!("migrations/{engine}/2026-11-25-170000_report_counts");
        std::fs::read_to_string(format!("{folder}/{direction}.sql")).unwrap()
    };
    for direction in ["down", "up"] {
        let (sqlite, postgres) = (script(direction, "sqlite"), script(direction, "postgres"));
        past.scene.test.database.sql(&sqlite, &postgres);
    }
    let changes = "SELECT count(*) FROM ended_changes";
    assert_eq!(past.scene.test.database.count(changes), 0);
    assert_eq!(make(&past.scene.test, finest()).await, before);
    past.compare(30).await;
    for _ in 0..40 {
        past.step().await;
    }
    past.compare(30).await;
}

/// Several workers end voicemails while two processes add up and reports are made.
async fn what_ends_while_it_is_added_up_is_counted_once(engine: Engine) {
    let scene = std::sync::Arc::new(Scene::new(engine, Scripted::new(NEITHER, [])).await);
    for _ in 0..60 {
        scene.accept("+12125550100").await;
    }
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let working = scene.clone();
        running.spawn(async move { working.work().await });
        let folding = scene.clone();
        running.spawn(async move {
            for _ in 0..40 {
                folding.test.write(|tx| tx.fold_ended(0, 5)).await;
            }
        });
    }
    for _ in 0..40 {
        // Each report sees one moment: all sixty, wherever they are.
        let total = make(&scene.test, finest()).await.total;
        assert_eq!(total.total(), 60, "{total:?}");
    }
    running.join_all().await;
    check(&scene.test).await;
    assert_eq!(
        make(&scene.test, finest())
            .await
            .total
            .count(Status::Delivered),
        60
    );
}
