//! Imports and exports of suppressions, as callers see them.

use prost::bytes::Bytes;
use ringless::grpc::pb;
use ringless::grpc::pb::import_suppressions_request::Payload;
use ringless::grpc::pb::import_suppressions_response::News;
use ringless::grpc::pb::{SuppressionReason as Reason, VoicemailStatus};
use tonic::{Code, Status};

use crate::support::Engine;
use crate::support::app::{TestApp, bad_fields, reason, timestamp};
use crate::suppression_calls::{entity, list, use_case};

crate::on_both_databases!(
    an_import_reads_every_line_however_the_file_is_cut,
    an_import_is_durable_by_the_thousand,
    a_line_may_have_4_kib_and_a_chunk_a_mebibyte,
    an_import_begins_with_its_header_and_its_columns,
    an_export_is_what_an_import_reads,
);

/// What an import said.
#[derive(Debug, Default, PartialEq)]
struct Told {
    bad: Vec<(i64, String)>,
    progress: Vec<i64>,
    summary: Option<pb::ImportProgress>,
}

fn header() -> pb::ImportSuppressionsHeader {
    pb::ImportSuppressionsHeader {
        default_reason: Reason::OptOut as i32,
        source: "list".to_owned(),
        ..Default::default()
    }
}

async fn import_messages(app: &TestApp, payloads: Vec<Payload>) -> Result<Told, Status> {
    let messages = payloads
        .into_iter()
        .map(|payload| pb::ImportSuppressionsRequest {
            payload: Some(payload),
        });
    let stream = tokio_stream::iter(messages.collect::<Vec<_>>());
    let mut answers = app
        .suppressions()
        .import_suppressions(stream)
        .await?
        .into_inner();
    let mut told = Told::default();
    while let Some(answer) = answers.message().await? {
        match answer.news.unwrap() {
            News::BadLine(bad) => told.bad.push((bad.line_number, bad.problem)),
            News::Progress(now) => told.progress.push(now.line_count),
            News::Summary(all) => assert!(told.summary.replace(all).is_none()),
        }
    }
    Ok(told)
}

async fn import(app: &TestApp, text: &[u8], chunk_bytes: usize) -> Result<Told, Status> {
    let chunks = text
        .chunks(chunk_bytes)
        .map(|chunk| Payload::CsvChunk(Bytes::copy_from_slice(chunk)));
    import_messages(
        app,
        std::iter::once(Payload::Header(header()))
            .chain(chunks)
            .collect(),
    )
    .await
}

/// The fictional numbers, 100 of each area code.
fn fictional(at: usize) -> String {
    const AREAS: [&str; 50] = [
        "201", "202", "203", "205", "206", "207", "208", "209", "210", "212", "213", "214", "215",
        "216", "217", "218", "219", "224", "225", "228", "229", "231", "234", "239", "240", "248",
        "251", "252", "253", "254", "256", "260", "262", "267", "269", "270", "272", "276", "281",
        "301", "302", "303", "304", "305", "307", "308", "309", "310", "312", "313",
    ];
    format!("+1{}55501{:02}", AREAS[at / 100], at % 100)
}

async fn an_import_reads_every_line_however_the_file_is_cut(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let waiting = app.send_stored(|_| {}).await.unwrap();
    let mut text = "\u{feff}Note,Phone_Number,Reason\r\n".to_owned();
    let mut bad = Vec::new();
    for at in 0..5_000 {
        let line = at + 2;
        match at % 500 {
            3 => {
                bad.push((line, "phone_number"));
                text.push_str("Grüße ☎,+1212555,\n");
            }
            4 => {
                bad.push((line, "quote"));
                text.push_str(&format!("\"offen,{},\n", fictional(at)));
            }
            5 => {
                bad.push((line, "reason"));
                text.push_str(&format!(",{},because\r\n", fictional(at)));
            }
            _ => text.push_str(&format!("\"Grüße ☎, {at}\",{},litigator\n", fictional(at))),
        }
    }
    // The last line has no end.
    let text = text.trim_end().as_bytes();
    for (chunk_bytes, added, known) in [(7, 4_970, 0), (997, 0, 4_970)] {
        let told = import(&app, text, chunk_bytes).await.unwrap();
        let summary = told.summary.unwrap();
        assert_eq!((summary.line_count, summary.bad_count), (5_000, 30));
        assert_eq!((summary.added_count, summary.known_count), (added, known));
        assert_eq!(told.progress, [1_000, 2_000, 3_000, 4_000, 5_000]);
        assert_eq!(told.bad.len(), bad.len());
        for ((line, problem), (wanted, part)) in told.bad.iter().zip(&bad) {
            assert_eq!(*line as usize, *wanted);
            assert!(problem.contains(part), "{line}: {problem}");
            // The example of a good number stands there on purpose.
            let problem = problem.replace("+12125550123 (without", "(without");
            assert!(!problem.contains("55501"), "{line}: {problem}");
        }
    }
    let litigators = "SELECT count(*) FROM suppressions WHERE reason = 3 AND source = 'list' AND note LIKE 'Grüße ☎, %'";
    assert_eq!(app.database.count(litigators), 4_970);
    // The recipient's number is among them.
    assert_eq!(
        app.get(&waiting.id).await.status(),
        VoicemailStatus::Skipped
    );
}

async fn an_import_is_durable_by_the_thousand(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    for (lines, progress) in [(999, vec![]), (1_000, vec![1_000]), (1_001, vec![1_000])] {
        let mut text = "phone_number\n\n".to_owned();
        for at in 0..lines {
            text.push_str(&fictional(at));
            text.push('\n');
        }
        let told = import(&app, text.as_bytes(), 10_000).await.unwrap();
        assert_eq!(told.progress, progress, "{lines}");
        let summary = told.summary.unwrap();
        assert_eq!(summary.line_count, lines as i64);
        assert_eq!(summary.added_count + summary.known_count, lines as i64);
    }
    // What came before a fault is there, and the same again adds the rest.
    let good: String = (2_000..3_500)
        .map(|at| format!("{}\n", fictional(at)))
        .collect();
    let text = format!("phone_number\n{good}");
    let broken = vec![
        Payload::Header(header()),
        Payload::CsvChunk(Bytes::from(text.clone())),
        Payload::Header(header()),
    ];
    let refused = import_messages(&app, broken).await.unwrap_err();
    assert_eq!(reason(&refused), "STREAM_ORDER");
    let again = import(&app, text.as_bytes(), 10_000)
        .await
        .unwrap()
        .summary
        .unwrap();
    assert_eq!((again.added_count, again.known_count), (500, 1_000));
}

async fn a_line_may_have_4_kib_and_a_chunk_a_mebibyte(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    for (length, is_good) in [(4_095, true), (4_096, true), (4_097, false)] {
        let number = fictional(7);
        let filling = "x".repeat(length - number.len() - 1);
        let text = format!("phone_number,other\n{number},{filling}\n");
        let told = import(&app, text.as_bytes(), 1_000).await.unwrap();
        assert_eq!(
            told.summary.unwrap().bad_count,
            i64::from(!is_good),
            "{length}"
        );
        if !is_good {
            assert_eq!(told.bad, [(2, "it has more than 4096 bytes".to_owned())]);
        }
    }
    const MEBIBYTE: usize = 1_024 * 1_024;
    for (length, is_good) in [
        (MEBIBYTE - 1, true),
        (MEBIBYTE, true),
        (MEBIBYTE + 1, false),
        (5 * MEBIBYTE, false),
    ] {
        let mut text = "phone_number\n".to_owned();
        text.push_str(&"\n".repeat(length - text.len()));
        match import(&app, text.as_bytes(), length).await {
            Ok(_) => assert!(is_good, "{length}"),
            Err(status) => {
                assert!(!is_good, "{length}: {status:?}");
                assert_eq!(bad_fields(&status), ["csv_chunk"]);
            }
        }
    }
}

async fn an_import_begins_with_its_header_and_its_columns(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let chunk = |text: &'static str| Payload::CsvChunk(Bytes::from_static(text.as_bytes()));
    let refusal = async |payloads| {
        let status = import_messages(&app, payloads).await.unwrap_err();
        assert_eq!(
            status.code(),
            if reason(&status) == "USE_CASE_NOT_FOUND" {
                Code::NotFound
            } else {
                Code::InvalidArgument
            }
        );
        status
    };
    assert_eq!(reason(&refusal(vec![]).await), "STREAM_ORDER");
    assert_eq!(
        reason(&refusal(vec![chunk("phone_number\n")]).await),
        "STREAM_ORDER"
    );
    for text in [
        "",
        "\n\n",
        "phone\n+12125550123\n",
        "phone_number,note,NOTE\n",
        "\"phone_number\n",
    ] {
        let status = refusal(vec![Payload::Header(header()), chunk(text)]).await;
        assert_eq!(bad_fields(&status), ["csv_chunk"], "{text:?}");
    }
    let bad = pb::ImportSuppressionsHeader {
        default_reason: 77,
        source: "x".repeat(201),
        columns: [("telephone".to_owned(), "x".to_owned())].into(),
        ..header()
    };
    let fields = ["header.default_reason", "header.source", "header.columns"];
    assert_eq!(
        bad_fields(&refusal(vec![Payload::Header(bad)]).await),
        fields
    );
    let over = pb::ImportSuppressionsHeader {
        expire_time: Some(timestamp(app.clock.now())),
        ..header()
    };
    assert_eq!(
        bad_fields(&refusal(vec![Payload::Header(over)]).await),
        ["header.expire_time"]
    );
    let nobodys = pb::ImportSuppressionsHeader {
        scope: use_case("01970c8f-0a45-7e9b-b1f3-0c6d7a2e9518"),
        ..header()
    };
    assert_eq!(
        reason(&refusal(vec![Payload::Header(nobodys)]).await),
        "USE_CASE_NOT_FOUND"
    );
    let named = pb::ImportSuppressionsHeader {
        columns: [("phone_number".to_owned(), "Telephone".to_owned())].into(),
        scope: entity("Clinic"),
        ..header()
    };
    let good = vec![
        Payload::Header(named),
        chunk("name,telephone\nx,+12125550123\n"),
    ];
    assert_eq!(
        import_messages(&app, good)
            .await
            .unwrap()
            .summary
            .unwrap()
            .added_count,
        1
    );
    let of_entity = pb::SuppressionFilter {
        scope: entity("Clinic"),
        ..Default::default()
    };
    assert_eq!(list(&app, of_entity).await.len(), 1);
}

async fn export(app: &TestApp) -> String {
    let request = pb::ExportSuppressionsRequest::default();
    let mut parts = app
        .suppressions()
        .export_suppressions(request)
        .await
        .unwrap()
        .into_inner();
    let mut text = Vec::new();
    while let Some(part) = parts.message().await.unwrap() {
        assert!((1..=65_536).contains(&part.csv_chunk.len()));
        text.extend_from_slice(&part.csv_chunk);
    }
    String::from_utf8(text).unwrap()
}

async fn an_export_is_what_an_import_reads(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let head = "id,phone_number,scope,entity_name,use_case_id,reason,source,actor,note,create_time,update_time,expire_time,delete_time,delete_reason,delete_actor";
    assert_eq!(export(&app).await, format!("{head}\n"));
    // More than two pages of them, all of the same moment.
    let mut text = "phone_number,reason,note\n".to_owned();
    for at in 0..1_234 {
        text.push_str(&format!(
            "{},wrong-number,\"say \"\"no\"\", please\"\n",
            fictional(at)
        ));
    }
    import(&app, text.as_bytes(), 65_536).await.unwrap();
    let exported = export(&app).await;
    assert_eq!(exported.lines().count(), 1_235);
    assert_eq!(exported.lines().next(), Some(head));
    let fresh = TestApp::start_api(engine).await;
    let told = import(&fresh, exported.as_bytes(), 1_000).await.unwrap();
    let summary = told.summary.unwrap();
    assert_eq!((summary.added_count, summary.bad_count), (1_234, 0));
    let same = "SELECT count(*) FROM suppressions WHERE reason = 5 AND note = 'say \"no\", please'";
    assert_eq!(fresh.database.count(same), 1_234);
}
