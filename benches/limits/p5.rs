//! P5: lists and reports over 10,000, a million and ten million voicemails.
//!
//! Beside each list the same rows by one statement over the same indexes, on a plain connection; beside each report the
//! statement that groups the voicemails themselves.

mod cases;
mod postgres;
mod sets;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use diesel::RunQueryDsl;
use diesel::sql_types::BigInt;
use prost_types::Timestamp;
use ringless::grpc::pb;
use ringless::grpc::pb::voicemail_service_client::VoicemailServiceClient;
use tokio::task::block_in_place;
use tonic::transport::Channel;

use crate::Pace;
use crate::callers;
use crate::database::{Engine, Line};
use crate::rows::{Row, Series, Wanted};
use crate::servers::{self, Server};
use cases::{Grouping, List, Source};
pub use sets::{FOLDER, PrepareArgs, prepare};
use sets::{Set, Sets};

const PAGE_SIZE: i32 = 50;
/// Rows before the 1,000th page, in pages of a size that a walk there takes.
const WALK: (i32, usize) = (999, 50);
/// What a call may take on top, in milliseconds: it comes over a connection, and goes back as protobuf.
const CALL_MORE: f64 = 0.3;
/// A round of a list that takes long has fewer calls.
const ROUND_MOST: Duration = Duration::from_secs(5);
const CALLS_LEAST: usize = 3;
/// Milliseconds of a report.
const REPORT_MOST: f64 = 200.0;

pub async fn run(folder: &Path, pace: Pace) -> anyhow::Result<Vec<Row>> {
    let is_there = folder.exists();
    if !is_there && !pace.quick {
        println!(
            "P5: nothing is prepared in {}: the smallest set alone",
            folder.display()
        );
    }
    let sets = match is_there && !pace.quick {
        true => Sets::of(folder)?,
        false => Sets::smallest().await?,
    };
    let (mut rows, mut all) = (Vec::new(), Vec::new());
    for set in &sets.sets {
        let mut measuring = Measuring::start(set, pace).await?;
        let timings = measuring.lists().await?;
        rows.extend(rows_of(set, &timings)?);
        rows.extend(measuring.reports().await?);
        measuring.server.stop()?;
        all.push((set, timings));
    }
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let of_engine: Vec<_> = all.iter().filter(|(set, _)| set.engine == engine).collect();
        if let [(_, small), .., (set, large)] = &of_engine[..] {
            rows.extend(growth(set, small, large));
        }
    }
    Ok(rows)
}

/// What one list took, ours and the statement's.
struct Timing {
    name: String,
    /// Medians in milliseconds, of each round.
    ours: Series,
    raw: Series,
    /// All calls.
    all_ours: Series,
    all_raw: Series,
}

impl Timing {
    /// How many times the statement's it is, without what a call may take on top.
    fn ratio(&self) -> f64 {
        let ratios = self.ours.0.iter().zip(&self.raw.0);
        Series(ratios.map(|(ours, raw)| (ours - CALL_MORE) / raw).collect()).median()
    }
}

/// A process on a set, and a plain connection beside it.
struct Measuring<'s> {
    set: &'s Set,
    pace: Pace,
    server: Server,
    client: VoicemailServiceClient<Channel>,
    line: Line,
}

/// Where a page begins.
struct Place {
    token: String,
    create_time: Timestamp,
    id: String,
}

impl<'s> Measuring<'s> {
    async fn start(set: &'s Set, pace: Pace) -> anyhow::Result<Measuring<'s>> {
        let mut command = servers::ours_at("127.0.0.1:0", &set.url, &set.folder);
        let server = Server::start(&mut command)?;
        let channel = callers::connect(&server.addr).await?;
        Ok(Measuring {
            set,
            pace,
            client: VoicemailServiceClient::new(channel).max_decoding_message_size(16 << 20),
            line: sets::connect(set.engine, &set.url)?,
            server,
        })
    }

    async fn lists(&mut self) -> anyhow::Result<Vec<Timing>> {
        let mut timings = Vec::new();
        for list in cases::lists(self.set) {
            timings.push(self.measure(&list, None).await?);
            if let Some(place) = self.walk(&list).await? {
                timings.push(self.measure(&list, Some(&place)).await?);
            }
        }
        Ok(timings)
    }

    /// To the 1,000th page, or as far as the list goes.
    async fn walk(&mut self, list: &List) -> anyhow::Result<Option<Place>> {
        let (page_size, pages) = WALK;
        let mut place: Option<Place> = None;
        for _ in 0..pages {
            let request = pb::ListVoicemailsRequest {
                page_size,
                page_token: place
                    .as_ref()
                    .map(|place| place.token.clone())
                    .unwrap_or_default(),
                ..list.request.clone()
            };
            let page = self.client.list_voicemails(request).await?.into_inner();
            if page.next_page_token.is_empty() {
                break;
            }
            let last = page
                .voicemails
                .last()
                .context("a page that goes on has rows")?;
            place = Some(Place {
                token: page.next_page_token,
                create_time: last.create_time.context("a voicemail has a create time")?,
                id: last.id.clone(),
            });
        }
        Ok(place)
    }

    /// Calls and statements in turn.
    async fn measure(&mut self, list: &List, place: Option<&Place>) -> anyhow::Result<Timing> {
        let (rounds, calls) = self.pace.choose((2, 20), (3, 40));
        let request = pb::ListVoicemailsRequest {
            page_size: PAGE_SIZE,
            page_token: place.map(|place| place.token.clone()).unwrap_or_default(),
            ..list.request.clone()
        };
        let sql = statement(self.set, list, place);
        let page = if place.is_some() {
            "a far page"
        } else {
            "first page"
        };
        let mut timing = Timing {
            name: format!("{}, {page}", list.name),
            ours: Series::default(),
            raw: Series::default(),
            all_ours: Series::default(),
            all_raw: Series::default(),
        };
        for _ in 0..rounds {
            let (mut ours, mut raw) = (Series::default(), Series::default());
            let began = Instant::now();
            for call in 0..calls {
                if call >= CALLS_LEAST && began.elapsed() > ROUND_MOST {
                    break;
                }
                let start = Instant::now();
                let page = self.client.list_voicemails(request.clone()).await?;
                ours.push(millis(start));
                let (time, rows) = self.raw(&sql)?;
                raw.push(time);
                let listed = page.get_ref().voicemails.len();
                ensure!(
                    listed == rows,
                    "{}: {listed} rows, and by the statement {rows}",
                    timing.name
                );
            }
            timing.ours.push(ours.median());
            timing.raw.push(raw.median());
            timing.all_ours.0.extend(ours.0);
            timing.all_raw.0.extend(raw.0);
        }
        println!(
            "P5: {}: {}: {:.2} ms, the statement {:.2} ms; p99 {:.2} and {:.2} ms",
            about(self.set),
            timing.name,
            timing.ours.median(),
            timing.raw.median(),
            timing.all_ours.at(0.99),
            timing.all_raw.at(0.99),
        );
        Ok(timing)
    }

    /// Milliseconds of a statement, and its rows.
    fn raw(&mut self, sql: &str) -> anyhow::Result<(f64, usize)> {
        #[derive(diesel::QueryableByName)]
        struct Anything {
            #[diesel(sql_type = BigInt)]
            #[allow(dead_code, reason = "what is in the rows does not matter here")]
            workspace_id: i64,
        }
        let start = Instant::now();
        let line = &mut self.line;
        let rows: Vec<Anything> = block_in_place(|| match line {
            Line::Postgres(conn) => diesel::sql_query(sql).load(conn),
            Line::Sqlite(conn) => diesel::sql_query(sql).load(conn),
        })?;
        Ok((millis(start), rows.len()))
    }

    async fn reports(&mut self) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for grouping in cases::reports(self.set) {
            rows.push(self.report(&grouping).await?);
        }
        rows.sort_by(|a: &Row, b| a.ours.median().total_cmp(&b.ours.median()));
        // The middle one and the longest.
        let (middle, last) = (rows.len() / 2, rows.len() - 1);
        Ok(vec![rows.swap_remove(last), rows.swap_remove(middle)])
    }

    async fn report(&mut self, grouping: &Grouping) -> anyhow::Result<Row> {
        let rounds = 2;
        let sql = format!(
            "SELECT CAST(1 AS bigint) AS workspace_id FROM (SELECT {0}status, latency_bucket, count(*) FROM voicemails \
             WHERE workspace_id = 1 AND NOT simulated GROUP BY {0}status, latency_bucket) AS sums",
            grouping.columns
        );
        let (mut ours, mut raw) = (Series::default(), Series::default());
        for _ in 0..rounds {
            let start = Instant::now();
            let report = self
                .client
                .get_delivery_report(grouping.request.clone())
                .await?
                .into_inner();
            ours.push(millis(start));
            let total = report.total.context("a report has a total")?.total;
            ensure!(
                u64::try_from(total)? == self.set.size,
                "the report counts {total}"
            );
            raw.push(self.raw(&sql)?.0);
        }
        println!(
            "P5: {}: report {}: {:.1} ms, over the voicemails {:.0} ms",
            about(self.set),
            grouping.name,
            ours.median(),
            raw.median()
        );
        Ok(Row {
            id: "P5",
            what: format!("{}: report {}", about(self.set), grouping.name),
            ours,
            unit: "ms",
            beside: Some(("GROUP BY over voicemails", raw)),
            wanted: Wanted::OursAtMost(REPORT_MOST),
        })
    }
}

/// The same rows and columns, by one statement.
fn statement(set: &Set, list: &List, place: Option<&Place>) -> String {
    let Source {
        table,
        create_time: came,
        id: of,
    } = list.source;
    let behind = place.map_or(String::new(), |place| {
        let time = set.time(
            place.create_time.seconds,
            i64::from(place.create_time.nanos / 1_000),
        );
        let id = set.id(&place.id);
        format!("AND {came} <= {time} AND ({came} < {time} OR {of} < {id})")
    });
    format!(
        "SELECT voicemails.*, sha256, size_bytes, duration_ms FROM {table} JOIN audios ON audios.id = audio_id \
         WHERE voicemails.workspace_id = 1 AND {} {behind} ORDER BY {came} DESC, {of} DESC LIMIT {PAGE_SIZE}",
        list.condition
    )
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

fn about(set: &Set) -> String {
    let size = match set.size {
        size if size >= 1_000_000 => format!("{} M", size / 1_000_000),
        size => format!("{} k", size / 1_000),
    };
    format!("{}, {size}", set.engine.as_str())
}

/// The list in the middle and the worst one, by how many times the statement's time they take.
fn rows_of(set: &Set, timings: &[Timing]) -> anyhow::Result<Vec<Row>> {
    let mut sorted: Vec<&Timing> = timings.iter().collect();
    sorted.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    let middle = *sorted.get(sorted.len() / 2).context("there are lists")?;
    let worst = *sorted.last().context("there are lists")?;
    let row = |which: &str, timing: &Timing| Row {
        id: "P5",
        what: format!(
            "{}: list, p50, {which} of {}: {}",
            about(set),
            timings.len(),
            timing.name
        ),
        ours: timing.ours.clone(),
        unit: "ms",
        beside: Some(("one statement", timing.raw.clone())),
        wanted: Wanted::AtMostAndMore {
            times: 1.5,
            more: CALL_MORE,
        },
    };
    let p99 = Row {
        id: "P5",
        what: format!("{}: list, p99 of the worst", about(set)),
        ours: Series(vec![worst.all_ours.at(0.99)]),
        unit: "ms",
        beside: Some(("one statement", Series(vec![worst.all_raw.at(0.99)]))),
        wanted: Wanted::Nothing,
    };
    Ok(vec![
        row("the middle", middle),
        row("the worst", worst),
        p99,
    ])
}

/// How much longer the lists of the largest set take than those of the smallest.
fn growth(set: &Set, small: &[Timing], large: &[Timing]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for timing in large {
        if let Some(same) = small.iter().find(|same| same.name == timing.name) {
            rows.push(Row {
                id: "P5",
                what: format!("{}: list: {}", about(set), timing.name),
                ours: timing.ours.clone(),
                unit: "ms",
                beside: Some(("over 10 k", same.ours.clone())),
                wanted: Wanted::AtMost(1.5),
            });
        }
    }
    rows.sort_by(|a, b| a.decisive().median().total_cmp(&b.decisive().median()));
    let Some(mut worst) = rows.pop() else {
        return rows;
    };
    worst.what += ", which grows most";
    let mut kept = Vec::new();
    if !rows.is_empty() {
        let mut middle = rows.swap_remove(rows.len() / 2);
        middle.what += ", which grows as the middle one";
        kept.push(middle);
    }
    kept.push(worst);
    kept
}
