//! Deliveries while another connection holds a snapshot open, so that Postgres can clear away no old version of any row.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use super::{CONCURRENCY, stop};
use crate::Pace;
use crate::database::{Engine, Line};
use crate::queue::Queue;
use crate::rows::{Row, Series, Wanted};
use crate::worker::Worker;

/// So much work waits at any time: enough that a worker never runs dry, and less than what the longest wait may be.
const AHEAD: Duration = Duration::from_secs(1);
/// As if so many were handed over a second, before it is known.
const RATE_AT_FIRST: f64 = 2_000.0;
const FEED_EVERY: Duration = Duration::from_millis(100);
const LONGEST_WAIT_WANTED: f64 = 2.0;

pub async fn run(pace: Pace) -> anyhow::Result<Vec<Row>> {
    let minute = Duration::from_secs(pace.choose(5, 60));
    let minutes = match pace.long {
        true => 20,
        false => pace.choose(4, 5),
    };
    let queue = Queue::new(Engine::Postgres).await?;
    let mut feed = Feed::start(&queue).await?;
    // Until the feed knows the rate, and all is warm.
    feed.rate_for(minute / 6).await?;
    let without = feed.rate_for(minute / 2).await?;
    let mut snapshot = queue.database.connect()?;
    snapshot.run("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    snapshot.run("SELECT FROM setups")?;
    let since = feed.now()?;
    let [mut rates, mut before] = <[Series; 2]>::default();
    for number in 1..=minutes {
        rates.push(feed.rate_for(minute).await?);
        before.push(without);
        println!(
            "P4: {} s under an open snapshot: {:.0} a second, without one {without:.0}",
            minute.as_secs() * number,
            rates.last(),
        );
    }
    let longest = feed.longest_wait(since)?;
    println!("P4: looks at which nothing waited: {}", feed.dry);
    let Feed { worker, .. } = feed;
    let handed_over = stop(worker).await?;
    drop(snapshot);
    queue.check(handed_over)?;
    let held = format!(
        "Postgres, a snapshot open for {} s",
        minute.as_secs() * minutes
    );
    Ok(vec![
        Row {
            id: "P4",
            what: format!("{held}: deliveries, by {} s", minute.as_secs()),
            ours: rates,
            unit: "a second",
            beside: Some(("before", before)),
            wanted: Wanted::AtLeast(0.8),
        },
        Row {
            id: "P4",
            what: format!("{held}: longest wait from due to begun"),
            ours: Series(vec![longest]),
            unit: "s",
            beside: None,
            wanted: Wanted::AtMost(LONGEST_WAIT_WANTED),
        },
    ])
}

/// A worker, and what it is given to do: as much as it can.
struct Feed {
    worker: Worker,
    line: Line,
    /// Written so far.
    fed: usize,
    /// Handed over a second, as far as is known.
    rate: f64,
    /// Looks at which nothing waited: then the rate is the feed's, and not the worker's.
    dry: usize,
}

impl Feed {
    async fn start(queue: &Queue) -> anyhow::Result<Feed> {
        Ok(Feed {
            worker: Worker::start(&queue.database, CONCURRENCY).await?,
            line: queue.database.connect()?,
            fed: 0,
            rate: RATE_AT_FIRST,
            dry: 0,
        })
    }

    /// Feeds for so long; gives the rate of it.
    async fn rate_for(&mut self, time: Duration) -> anyhow::Result<f64> {
        let start = Instant::now();
        let (at_start, _) = self.worker.so_far().await?;
        let (mut last, mut last_count) = (start, at_start);
        while start.elapsed() < time {
            let (count, _) = self.worker.so_far().await?;
            let waiting = self.fed.saturating_sub(count);
            if waiting == 0 && self.fed > 0 {
                self.dry += 1;
                self.rate *= 2.0;
            }
            // Smoothed, so that what waits does not follow every moment.
            let rate = (count - last_count) as f64 / last.elapsed().as_secs_f64();
            if count > 0 && last_count < count {
                self.rate = 0.8 * self.rate + 0.2 * rate;
            }
            (last, last_count) = (Instant::now(), count);
            let missing = ((self.rate * AHEAD.as_secs_f64()) as usize).saturating_sub(waiting);
            if missing > 0 {
                let numbers = self.fed + 1..self.fed + 1 + missing;
                block_in_place(|| self.line.copy(numbers))?;
                self.fed += missing;
            }
            tokio::time::sleep(FEED_EVERY).await;
        }
        let (count, _) = self.worker.so_far().await?;
        Ok((count - at_start) as f64 / start.elapsed().as_secs_f64())
    }

    /// The database's time, in microseconds.
    fn now(&mut self) -> anyhow::Result<usize> {
        block_in_place(|| {
            self.line
                .count("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        })
    }

    /// Seconds from when a voicemail was due, at `since` or later, until its hand-over was begun; where it still waits, until
    /// now.
    fn longest_wait(&mut self, since: usize) -> anyhow::Result<f64> {
        let now = self.now()?;
        let at = |micros: usize| format!("to_timestamp({micros} / 1000000.0)");
        let micros = block_in_place(|| {
            self.line.count(&format!(
                "SELECT (extract(epoch FROM max(coalesce(start_time, {now}) - due_time)) * 1000000)::bigint \
                 FROM voicemails LEFT JOIN attempts ON voicemail_id = id \
                 WHERE due_time BETWEEN {since} AND {now} AND schedule_time IS NULL",
                now = at(now),
                since = at(since),
            ))
        })?;
        Ok(micros as f64 / 1e6)
    }
}
