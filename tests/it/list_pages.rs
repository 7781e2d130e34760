//! Whichever way the database reads a list, its pages have each voicemail once and in their order.

use ringless::domain::ids::UseCaseId;
use ringless::storage::{Page, VoicemailFilter};

use crate::indexes::{ROWS, after, ended, fill, id, last_changed};
use crate::support::data::WORKSPACE;
use crate::support::{Engine, TestStore};

crate::on_both_databases!(
    what_ended_within_a_time_is_listed_once_whether_few_or_many,
    pages_follow_one_another_whichever_way_a_list_is_read,
);

/// Whichever way a list by end time is read, page by page, each that ended then is on it once.
async fn what_ended_within_a_time_is_listed_once_whether_few_or_many(engine: Engine) {
    let test = TestStore::new(engine).await;
    fill(&test);
    // The clock of the one who ended number 24,991 was five minutes behind; and the audio gets a hash that can be read.
    let change = |later: &str, hash: &str| {
        format!(
            "UPDATE voicemails SET create_time = end_time + {later} WHERE request_id = 'r24991'; \
             UPDATE audios SET sha256 = {hash};"
        )
    };
    let sqlite = change("300000000", "zeroblob(32)");
    let postgres = change("interval '5 minutes'", "decode(repeat('00', 32), 'hex')");
    test.database.sql(&sqlite, &postgres);
    // Number n ended at n + 5, but for each 200th, which waits.
    assert_eq!(listed(&test, ended(2_000, 2_500), 100).await, 500 - 3);
    let half = listed(&test, ended(0, ROWS / 2), 10_000).await;
    assert_eq!(half, 24_995 - 125);
}

async fn pages_follow_one_another_whichever_way_a_list_is_read(engine: Engine) {
    let test = TestStore::new(engine).await;
    fill(&test);
    let hash = |hash: &str| format!("UPDATE audios SET sha256 = {hash};");
    test.database.sql(
        &hash("zeroblob(32)"),
        &hash("decode(repeat('00', 32), 'hex')"),
    );
    let within = VoicemailFilter {
        create_time_from: Some(after(1_000)),
        create_time_to: Some(after(40_000)),
        ..VoicemailFilter::default()
    };
    // Of number 7 and each 500th behind it.
    let labelled = VoicemailFilter {
        labels: [("ward".to_owned(), "w7".to_owned())].into(),
        ..within.clone()
    };
    let of_its_use_case = |n| VoicemailFilter {
        use_case_id: Some(UseCaseId::from(id(2, n))),
        ..labelled.clone()
    };
    let of_two_wards = VoicemailFilter {
        labels: [
            ("ward".to_owned(), "w7".to_owned()),
            ("way".to_owned(), "w7".to_owned()),
        ]
        .into(),
        ..within.clone()
    };
    let labelled_and_ended = VoicemailFilter {
        labels: labelled.labels.clone(),
        ..ended(0, ROWS / 2)
    };
    for (filter, page_size, count) in [
        (within, 10_000, 39_000),
        (labelled.clone(), 10, 78),
        (of_its_use_case(7), 10, 78),
        (of_its_use_case(8), 10, 0),
        (of_two_wards, 10, 0),
        (labelled_and_ended, 10, 50),
        (last_changed(1_000), 300, 1_000),
        (last_changed(1_001), 300, 1_001),
    ] {
        assert_eq!(
            listed(&test, filter.clone(), page_size).await,
            count,
            "{filter:?}"
        );
    }
}

/// How many are on a list, page by page, each once and in its order.
async fn listed(test: &TestStore, filter: VoicemailFilter, page_size: i64) -> usize {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (asked, page) = (
            filter.clone(),
            Page {
                limit: page_size,
                after,
            },
        );
        let listed = test
            .read(move |tx| tx.list_voicemails(WORKSPACE, &asked, page))
            .await;
        let Some(last) = listed.last() else { break };
        after = Some((last.create_time, last.id.uuid()));
        found.extend(listed.iter().map(|row| (row.create_time, row.id)));
    }
    assert!(
        found.is_sorted_by(|newer, older| newer > older),
        "{filter:?}"
    );
    found.len()
}
