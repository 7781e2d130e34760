//! P6: a thousand callers at once, who send as much as may be sent, or hardly anything.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringless::grpc::pb;
use ringless::grpc::pb::voicemail_service_client::VoicemailServiceClient;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::Request;

use crate::Pace;
use crate::accepting::Accepting;
use crate::callers::{self, Caller, Sends};
use crate::database::Engine;
use crate::recording::Recording;
use crate::rows::{Row, Series, Wanted};
use crate::usage;

const UPLOADS: usize = 1_000;
const DEADLINE: Duration = Duration::from_secs(120);
const MIB: f64 = 1_024.0 * 1_024.0;

/// What a caller that trickles sends at a time, and how long it waits then: far below the limit of idle uploads.
const TRICKLE_BYTES: usize = 1_024;
const TRICKLE_EVERY: Duration = Duration::from_secs(5);
/// Of the other calls meanwhile.
const PER_SECOND: f64 = 50.0;

pub async fn run(pace: Pace) -> anyhow::Result<Vec<Row>> {
    let mut rows = large(pace).await?;
    rows.push(trickling(pace).await?);
    Ok(rows)
}

/// The largest uploads that there may be, begun at once.
async fn large(pace: Pace) -> anyhow::Result<Vec<Row>> {
    let uploads = pace.choose(UPLOADS / 5, UPLOADS);
    let accepting = Accepting::start(Engine::Sqlite).await?;
    let recording = Recording::as_large_as_allowed();
    let mib = recording.size_bytes() as f64 / MIB;
    let order = accepting.order(&Sends::Same(recording));
    let pid = accepting.server.id();
    let idle = usage::memory(pid)?;
    let (start, mut sending) = (Instant::now(), JoinSet::new());
    for _ in 0..uploads {
        let (addr, order) = (accepting.server.addr.clone(), order.clone());
        sending.spawn(async move {
            let sent = async {
                Caller::connect(&addr, &order)
                    .await?
                    .send()
                    .await
                    .map_err(anyhow::Error::from)
            };
            match tokio::time::timeout(DEADLINE, sent).await {
                Ok(sent) => sent.map_err(|error| format!("{error:#}")),
                Err(_) => Err("the deadline passed".to_owned()),
            }
        });
    }
    let (mut accepted, mut refused) = (0, BTreeMap::<String, usize>::new());
    while let Some(sent) = sending.join_next().await {
        match sent? {
            Ok(()) => accepted += 1,
            Err(why) => *refused.entry(why).or_default() += 1,
        }
    }
    let took = start.elapsed();
    let peak = usage::memory_peak(pid)?.saturating_sub(idle) as f64 / MIB;
    println!(
        "P6: {accepted} of {uploads} uploads of {mib:.1} MiB accepted in {:.0} s, {peak:.0} MiB above idle",
        took.as_secs_f64()
    );
    for (why, count) in refused {
        println!("P6: {count} times: {why}");
    }
    let row = |what: &str, ours: f64, unit: &'static str, wanted: Wanted| Row {
        id: "P6",
        what: format!("{uploads} uploads of {mib:.1} MiB at once: {what}"),
        ours: Series(vec![ours]),
        unit,
        beside: None,
        wanted,
    };
    let share = f64::from(accepted) * 100.0 / uploads as f64;
    Ok(vec![
        row("most memory above idle", peak, "MiB", Wanted::AtMost(256.0)),
        row("accepted within 120 s", share, "%", Wanted::AtLeast(99.0)),
        row(
            "until the last answer",
            took.as_secs_f64(),
            "s",
            Wanted::Nothing,
        ),
    ])
}

/// What other calls feel of callers who send a little now and then.
async fn trickling(pace: Pace) -> anyhow::Result<Row> {
    let time = Duration::from_secs(pace.choose(4, 8));
    let rounds = pace.choose(1, 2);
    let accepting = Accepting::start(Engine::Sqlite).await?;
    let addr = &accepting.server.addr;
    let order = accepting.order(&Sends::StoredAtOnce);
    let [mut without, mut with] = <[Series; 2]>::default();
    for round in 1..=rounds {
        let alone = callers::at_a_rate(addr, &order, PER_SECOND, time).await?;
        without.push(alone.at(0.99));
        let trickle = trickle(addr, &order.use_case_id).await?;
        let beside = callers::at_a_rate(addr, &order, PER_SECOND, time).await?;
        with.push(beside.at(0.99));
        let still = trickle.len();
        drop(trickle);
        println!(
            "P6: round {round} of {rounds}: p99 {:.2} ms, with {still} callers that trickle {:.2} ms",
            without.last(),
            with.last()
        );
    }
    Ok(Row {
        id: "P6",
        what: format!("p99 of CreateVoicemail while {UPLOADS} callers trickle"),
        ours: with,
        unit: "ms",
        beside: Some(("without them", without)),
        wanted: Wanted::AtMost(1.5),
    })
}

/// Callers in the middle of an upload that goes on as long as this is kept. Comes back when all have begun.
async fn trickle(addr: &str, use_case_id: &str) -> anyhow::Result<JoinSet<()>> {
    let recording = Recording::of_30_s();
    let mut trickling = JoinSet::new();
    for number in 0..UPLOADS {
        let mut client = VoicemailServiceClient::new(callers::connect(addr).await?);
        let metadata = pb::SendVoicemailMetadata {
            use_case_id: use_case_id.to_owned(),
            recipient_phone_number: callers::recipient(),
            request_id: uuid::Uuid::now_v7().simple().to_string(),
            ..Default::default()
        };
        let pieces = recording.pieces(TRICKLE_BYTES);
        // Not all at the same moment.
        let begin = TRICKLE_EVERY.mul_f64(number as f64 / UPLOADS as f64);
        let mut messages = callers::upload(metadata, pieces);
        trickling.spawn(async move {
            let first = tokio_stream::iter(messages.next());
            let later = tokio_stream::iter(messages).throttle(TRICKLE_EVERY);
            tokio::time::sleep(begin).await;
            let request = Request::new(first.chain(later));
            if let Err(status) = client.send_voicemail(request).await {
                eprintln!("P6: a caller that trickles was refused: {status}");
            }
        });
    }
    tokio::time::sleep(TRICKLE_EVERY).await;
    Ok(trickling)
}
