//! Each filter of ListVoicemails is answered from its own index, by the database's own word, over
//! 50,000 analysed rows.

use std::time::Duration;

use ringless::domain::failure::FailureReason;
use ringless::domain::ids::{PhoneNumberId, SetupId, UseCaseId};
use ringless::domain::status::Status;
use ringless::domain::time::Time;
use ringless::storage::{CountedFilter, Page, VoicemailFilter};

use crate::support::data::{WORKSPACE, number};
use crate::support::{Engine, START_US, TestStore};

crate::on_both_databases!(
    every_filter_has_its_index,
    the_queue_is_read_from_its_index,
    a_lane_is_read_from_its_index_where_nothing_waits,
    what_counts_is_counted_from_its_indexes,
    what_is_scheduled_costs_the_due_ones_nothing,
    the_last_senders_are_found_by_their_recipients,
    when_a_number_was_last_used_is_found_by_its_own_index,
);

pub const ROWS: i64 = 50_000;

/// 50,000 voicemails, a second apart: 50 use cases of 25 setups, 1 in 100 failed, 5 in 1,000 waiting,
/// 500 recipients, 20 senders, 1 label each of 500 values.
pub fn fill(test: &TestStore) {
    let uuid = |kind: i64, n: &str| {
        format!("'0000000{kind}-0000-7000-8000-' || lpad(to_hex(({n})::int), 12, '0')")
    };
    let blob = |kind: i64, n: &str| format!("unhex(printf('0000000{kind}000070008000%012x', {n}))");
    let statements = |id: &dyn Fn(i64, &str) -> String,
                      cast: &str,
                      series: &dyn Fn(i64) -> String,
                      ts: &dyn Fn(&str) -> String,
                      bytes: &dyn Fn(&str) -> String,
                      yes: &str,
                      no: &str| {
        let id = |kind: i64, n: &str| format!("({}){cast}", id(kind, n));
        let t0 = ts("0");
        format!(
            "INSERT INTO setups (id, workspace_id, display_name, carriers, status, status_detail, create_time, update_time)
               SELECT {setup}, 1, '', '[]', 2, '', {t0}, {t0} FROM {few};
             INSERT INTO use_cases (id, workspace_id, channel, entity_name, name, description, setup_id, create_time, update_time)
               SELECT {case}, 1, 1, 'e', 'n' || n, '', {setup_of_case}, {t0}, {t0} FROM {fifty};
             INSERT INTO phone_numbers (id, workspace_id, setup_id, phone_number, display_name, status, carriers, create_time, update_time)
               SELECT {number}, 1, {setup_of_case}, '+1212555' || (1000 + n), '', 1, '[]', {t0}, {t0} FROM {twenty};
             INSERT INTO audios (id, workspace_id, sha256, size_bytes, duration_ms, create_time, last_used_time)
               SELECT {audio}, 1, {hash}, 1, 1, {t0}, {t0} FROM {one};
             INSERT INTO voicemails (id, workspace_id, use_case_id, setup_id, sender_id, sender, recipient, status, failure_reason,
                 status_detail, simulated, audio_id, labels, request_id, request_hash, create_time, update_time, expire_time,
                 due_time, end_time, next_time, held, tries, attempt_count, carrier)
               SELECT {voicemail}, 1, {case_of}, {setup_of}, {number_of}, '+1212555' || (1000 + n % 20), '+1212556' || (1000 + n % 500),
                 CASE WHEN n % 200 = 0 THEN 1 WHEN n % 100 = 1 THEN 6 ELSE 4 END, CASE WHEN n % 100 = 1 THEN 8 END,
                 '', {no}, {audio1}, '{{}}', 'r' || n, {hash}, {t}, {t_updated}, {t_expires}, {t},
                 CASE WHEN n % 200 <> 0 THEN {t_ended} END, CASE WHEN n % 200 = 0 THEN {t} END, {no}, 0, 0, '' FROM {all};
             INSERT INTO voicemail_labels (workspace_id, key, value, create_time, voicemail_id)
               SELECT 1, 'ward', 'w' || (n % 500), {t}, {voicemail} FROM {all};
             INSERT INTO batches (workspace_id, batch_id, content_hash, use_case_id, audio_id, recipient_count, create_time)
               SELECT 1, 'b' || n, {hash}, {case}, {audio1}, 1000, {t0} FROM {fifty};
             INSERT INTO batch_members (workspace_id, batch_id, number, voicemail_id, create_time)
               SELECT 1, 'b' || (n / 1000), n % 1000, {voicemail}, {t} FROM {all};",
            setup = id(1, "n"),
            case = id(2, "n"),
            setup_of_case = id(1, "n % 25"),
            number = id(3, "n"),
            audio = id(4, "n"),
            audio1 = id(4, "0"),
            hash = bytes("00"),
            voicemail = id(5, "n"),
            case_of = id(2, "n % 50"),
            setup_of = id(1, "n % 25"),
            number_of = id(3, "n % 20"),
            t = ts("n"),
            t_updated = ts("n + 5"),
            t_ended = ts("n + 5"),
            t_expires = ts("n + 259200"),
            few = series(25),
            fifty = series(50),
            twenty = series(20),
            one = series(1),
            all = series(ROWS),
        )
        .replace("{yes}", yes)
    };
    let sqlite = statements(
        &blob,
        "",
        &|count| {
            format!(
                "(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {count}) SELECT n FROM s)"
            )
        },
        &|n| format!("({START_US} + ({n}) * 1000000)"),
        &|hex| format!("x'{hex}'"),
        "1",
        "0",
    );
    let postgres = statements(
        &uuid,
        "::uuid",
        &|count| format!("generate_series(0, {count} - 1) AS s(n)"),
        &|n| {
            format!(
                "(to_timestamp({}) + ({n}) * interval '1 second')",
                START_US / 1_000_000
            )
        },
        &|hex| format!("'\\x{hex}'::bytea"),
        "true",
        "false",
    );
    test.database.sql(
        &format!("BEGIN; {sqlite} COMMIT; ANALYZE;"),
        &format!("BEGIN; {postgres} COMMIT; ANALYZE;"),
    );
}

pub fn id(kind: u64, n: u64) -> uuid::Uuid {
    format!("0000000{kind}-0000-7000-8000-{n:012x}")
        .parse()
        .unwrap()
}

pub fn after(seconds: i64) -> Time {
    Time::from_micros(START_US + seconds * 1_000_000)
}

pub fn ended(from: i64, to: i64) -> VoicemailFilter {
    VoicemailFilter {
        end_time_from: Some(after(from)),
        end_time_to: Some(after(to)),
        ..VoicemailFilter::default()
    }
}

/// So many, five seconds after they came.
pub fn last_changed(count: i64) -> VoicemailFilter {
    VoicemailFilter {
        update_time_from: Some(after(ROWS - count + 5)),
        ..VoicemailFilter::default()
    }
}

async fn every_filter_has_its_index(engine: Engine) {
    let test = TestStore::new(engine).await;
    fill(&test);
    let none = VoicemailFilter::default;
    let filters = [
        ("voicemails_by_create_time", none()),
        (
            "voicemails_by_create_time",
            VoicemailFilter {
                create_time_from: Some(after(100)),
                create_time_to: Some(after(900)),
                ..none()
            },
        ),
        (
            "voicemails_by_use_case",
            VoicemailFilter {
                use_case_id: Some(UseCaseId::from(id(2, 7))),
                ..none()
            },
        ),
        (
            "voicemails_by_setup",
            VoicemailFilter {
                setup_id: Some(SetupId::from(id(1, 3))),
                ..none()
            },
        ),
        (
            "voicemails_by_status",
            VoicemailFilter {
                statuses: vec![Status::Accepted],
                ..none()
            },
        ),
        (
            "voicemails_by_failure_reason",
            VoicemailFilter {
                failure_reasons: vec![FailureReason::InvalidNumber],
                ..none()
            },
        ),
        (
            "voicemails_by_recipient",
            VoicemailFilter {
                recipient: Some(number("+12125561007")),
                ..none()
            },
        ),
        (
            "voicemails_by_sender",
            VoicemailFilter {
                sender: Some(number("+12125551007")),
                ..none()
            },
        ),
        (
            "voicemails_workspace_id_request_id_key",
            VoicemailFilter {
                request_id: Some("r777".to_owned()),
                ..none()
            },
        ),
        (
            "voicemail_labels_pkey",
            VoicemailFilter {
                labels: [("ward".to_owned(), "w7".to_owned())].into(),
                ..none()
            },
        ),
        (
            "batch_members_by_create_time",
            VoicemailFilter {
                batch_id: Some("b7".to_owned()),
                ..none()
            },
        ),
        ("voicemails_by_end_time", ended(2_000, 2_020)),
        ("voicemails_by_update_time", last_changed(25)),
    ];
    let few = [
        // Nothing ended within this time.
        ("voicemails_by_end_time", ended(1, 4)),
        ("voicemails_by_update_time", last_changed(999)),
        ("voicemails_by_update_time", last_changed(1_000)),
    ];
    let many = [
        ("voicemails_by_create_time", ended(0, ROWS / 2)),
        ("voicemails_by_create_time", last_changed(1_001)),
    ];
    for (index, filter) in filters.into_iter().chain(few).chain(many) {
        // Behind the first page of a list by end or update time, the range of create times is as good
        // a way in, and either database may take it.
        let by_other_time = filter.end_time_from.is_some() || filter.update_time_from.is_some();
        let further = (!by_other_time).then_some(Some((after(ROWS / 2), id(5, 1))));
        for place in std::iter::once(None).chain(further) {
            let (page, asked) = (
                Page {
                    limit: 51,
                    after: place,
                },
                filter.clone(),
            );
            let plan = test
                .read(move |tx| tx.explain_list(WORKSPACE, &asked, page))
                .await;
            assert!(
                plan.contains(index) || plan.contains(sqlite_name(index)),
                "{index} is not in the plan of {filter:?}, {place:?}:\n{plan}"
            );
        }
    }
}

/// SQLite names the index of a UNIQUE by number, and says of a PRIMARY KEY only that it is used.
fn sqlite_name(index: &str) -> &str {
    match index {
        "voicemails_workspace_id_request_id_key" => "sqlite_autoindex_voicemails_2",
        "voicemail_labels_pkey" => "voicemail_labels USING PRIMARY KEY",
        other => other,
    }
}

async fn what_counts_is_counted_from_its_indexes(engine: Engine) {
    let test = TestStore::new(engine).await;
    fill(&test);
    // Each has been handed over once, and one in ten certainly did not leave.
    let insert = |empty: &str| {
        format!(
            "INSERT INTO hand_overs (id, workspace_id, voicemail_id, carrier, request, reference, asks, create_time, recipient, sender_id, counts_time)
               SELECT id, 1, id, 'vendor', {empty}, '', 0, create_time, recipient, sender_id, CASE WHEN request_id NOT LIKE '%0' THEN create_time END
               FROM voicemails; ANALYZE;"
        )
    };
    test.database.sql(&insert("x''"), &insert("''::bytea"));
    let filter = CountedFilter {
        recipient: number("+12125561007"),
        entity_name: "e".to_owned(),
        purpose: None,
        since: after(ROWS / 2),
        except: None,
    };
    let asked = filter.clone();
    let sender = PhoneNumberId::from(id(3, 7));
    let plans = test
        .read(move |tx| tx.explain_counting(WORKSPACE, &asked, sender))
        .await;
    for (plan, index) in plans
        .iter()
        .zip(["hand_overs_by_recipient", "hand_overs_by_sender"])
    {
        assert!(plan.contains(index), "{index} is not in\n{plan}");
    }
    assert_eq!(plans.len(), 2);
    let counted = test
        .read(move |tx| tx.counted(WORKSPACE, &filter, 10))
        .await;
    assert_eq!(counted.len(), 10);
    assert!(counted.iter().rev().is_sorted(), "{counted:?}");
    // Every twentieth is from it, the last one being number 49,987.
    let nth = test
        .read(move |tx| tx.nth_counted_of_sender(sender, 3, after(0)))
        .await;
    assert_eq!(nth, Some(after(49_947)));
}

async fn the_queue_is_read_from_its_index(engine: Engine) {
    let test = TestStore::new(engine).await;
    fill(&test);
    test.advance(Duration::from_secs(60_000));
    // Nearly all wait, in fifty use cases.
    let waiting = "UPDATE voicemails SET status = 1, next_time = create_time, end_time = NULL WHERE failure_reason IS NULL";
    let sql = format!("{waiting}; ANALYZE;");
    test.database.sql(&sql, &sql);
    let use_case = UseCaseId::from(id(2, 0));
    let plans = test.read(move |tx| tx.explain_queue(use_case)).await;
    for (plan, index) in plans.iter().zip([
        "voicemails_waiting",
        "voicemails_timers",
        "voicemails_timers",
        "voicemails_expiring",
        "voicemails_under_way",
        "voicemails_expiring",
    ]) {
        assert!(plan.contains(index), "{index} is not in\n{plan}");
    }
    // The walk over the lanes: the first of the first, and that of the next one each time.
    let lanes = plans.last().unwrap();
    assert_eq!(plans.len(), 7);
    assert!(lanes.matches("voicemails_waiting").count() >= 2, "{lanes}");
    assert!(!lanes.contains("Seq Scan on voicemails"), "{lanes}");
    for whole in ["SCAN v", "SCAN head", "SCAN use_cases", "AUTOMATIC"] {
        assert!(!lanes.contains(whole), "{whole} is in\n{lanes}");
    }
    let lanes = test.write(|tx| tx.lanes(None, 3)).await;
    let lanes: Vec<_> = lanes.iter().map(|lane| lane.use_case_id.uuid()).collect();
    assert_eq!(lanes, [id(2, 0), id(2, 1), id(2, 2)]);
    let due = test
        .write(move |tx| tx.due_in_lane(use_case, Time::EPOCH, 20))
        .await;
    let times: Vec<_> = due.iter().map(|row| row.next_time).collect();
    assert_eq!(due.len(), 20);
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(due[0].voicemail_id.uuid(), id(5, 0));
}

/// Of all that have left the queue, and that Postgres can't clear away while somebody holds an old snapshot, none is to be passed
/// for one that comes then.
async fn a_lane_is_read_from_its_index_where_nothing_waits(engine: Engine) {
    let test = TestStore::new(engine).await;
    fill(&test);
    let sql = "UPDATE voicemails SET status = 4, next_time = NULL, end_time = update_time WHERE status = 1; ANALYZE;";
    test.database.sql(sql, sql);
    let use_case = UseCaseId::from(id(2, 0));
    let plans = test.read(move |tx| tx.explain_queue(use_case)).await;
    for plan in [&plans[0], plans.last().unwrap()] {
        assert!(plan.contains("voicemails_waiting"), "{plan}");
        assert!(!plan.contains("voicemails_expiring"), "{plan}");
    }
}

/// Nearly all wait for later, as 1,000,000 that are scheduled do, and ten are due. What the worker asks has
/// to begin at those ten, and to end behind them.
async fn what_is_scheduled_costs_the_due_ones_nothing(engine: Engine) {
    let test = TestStore::new(engine).await;
    fill(&test);
    test.advance(Duration::from_secs(60_000));
    // 200 days, in each database's own words.
    let statements = |later: &str| {
        let due = "UPDATE voicemails SET next_time = due_time WHERE id IN (SELECT id FROM voicemails ORDER BY create_time LIMIT 10)";
        format!(
            "UPDATE voicemails SET status = 1, end_time = NULL, failure_reason = NULL, next_time = due_time + {later}, \
             expire_time = expire_time + {later}; {due}; ANALYZE;"
        )
    };
    let sqlite = statements("17280000000000");
    test.database
        .sql(&sqlite, &statements("interval '200 days'"));
    let use_case = UseCaseId::from(id(2, 0));
    let plans = test.read(move |tx| tx.explain_queue(use_case)).await;
    for (plan, (index, condition)) in plans.iter().zip([
        ("voicemails_waiting", "next_time"),
        ("voicemails_timers", "next_time"),
        ("voicemails_timers", "next_time"),
        ("voicemails_expiring", "expire_time"),
    ]) {
        assert!(plan.contains(index), "{index} is not in\n{plan}");
        // The time is what the index is entered by, and not what its rows are held against afterwards.
        let entered = plan.lines().any(|line| {
            let by_index = line.contains("Index Cond:") || line.contains("USING INDEX");
            by_index && line.contains(condition)
        });
        assert!(entered, "{condition} does not bound the index in\n{plan}");
    }
    let due = test
        .write(move |tx| tx.due_in_lane(use_case, Time::EPOCH, 100))
        .await;
    assert_eq!(
        due.len(),
        1,
        "the first of fifty use cases has one of the ten"
    );
    let lanes = test.write(|tx| tx.lanes(None, 100)).await;
    let now = test.clock.now();
    let due = lanes.iter().filter(|lane| lane.next_time <= now);
    assert_eq!((lanes.len(), due.count()), (50, 10));
    let next = test.read(|tx| tx.next_times()).await;
    assert_eq!(next.expiry, None, "it comes in some 200 days");
}

async fn the_last_senders_are_found_by_their_recipients(engine: Engine) {
    let test = TestStore::new(engine).await;
    fill(&test);
    let use_case = UseCaseId::from(id(2, 7));
    // The recipient and the sender of row n have n % 500 and n % 20 in their numbers.
    let asked = ["+12125561007", "+12125561057", "+12125561008"].map(number);
    let found = test
        .read(move |tx| {
            let recipients: Vec<_> = asked.iter().collect();
            tx.last_senders(WORKSPACE, use_case, &recipients)
        })
        .await;
    let expected = [
        ("+12125561007", "+12125551007"),
        ("+12125561057", "+12125551017"),
    ];
    let expected = expected.map(|(to, from)| (number(to), number(from)));
    assert_eq!(found, expected.into());
}

/// Also where all are from one number: by their time alone, all of them would be looked through for each number that nobody
/// uses.
async fn when_a_number_was_last_used_is_found_by_its_own_index(engine: Engine) {
    let test = TestStore::new(engine).await;
    fill(&test);
    let sql = "UPDATE voicemails SET sender = '+12125551007'; ANALYZE;";
    test.database.sql(sql, sql);
    let use_case = UseCaseId::from(id(2, 0));
    let plan = test.read(move |tx| tx.explain_candidates(use_case)).await;
    assert!(plan.contains("voicemails_by_sender"), "{plan}");
}
