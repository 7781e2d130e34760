//! The delivery report: what is counted, and how times are put into buckets.

use std::time::Duration;

use super::failure::FailureReason;
use super::ids::{SetupId, UseCaseId};
use super::status::Status;

/// Longest span of one report.
pub const SPAN_MAX: Duration = Duration::from_secs(400 * 24 * 3_600);
/// Groups of one report.
pub const GROUPS_MAX: usize = 10_000;
/// Sums that the database may give for one report before they are put together.
pub const SLICES_MAX: usize = 500_000;
/// Counts are summed by the database in slices of this length, a divisor of every IANA zone's
/// offset today, and put together to hours and days of a zone here.
pub const SLICE: Duration = Duration::from_secs(15 * 60);

/// What a report can be grouped by; any of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    UseCase,
    Setup,
    Sender,
    Carrier,
    FailureReason,
    Day,
    Hour,
}

/// One sum as the database gives it; what is not grouped by is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    pub group: Group,
    /// The number of whole [`SLICE`]s since 1970, where grouped by day or hour.
    pub slice: Option<i64>,
    pub status: Status,
    pub count: i64,
    /// How many there are of each bucket; see [`bucket_of`]. Delivered ones have one.
    pub latencies: Latencies,
}

/// Buckets, and how many are in each.
pub type Latencies = Vec<(i16, i64)>;

/// How finely ended voicemails are counted for reports. Each is counted once at each grain: what is coarser is
/// less to read. The numbers are those of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum Grain {
    /// By UTC hour and sender.
    HourAndSender = 1,
    /// By UTC hour, all senders together.
    Hour = 2,
    /// By UTC day and sender.
    DayAndSender = 3,
    /// By UTC day, all senders together.
    Day = 4,
}

/// How counts by the hour are put together by time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Periods {
    #[default]
    All,
    Hours,
    /// By local days: from each of these hours on the zone is so many hours ahead of UTC. They are in order, and what comes
    /// before the second is as from the first on.
    Days(Vec<HoursAhead>),
}

/// The hours are counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoursAhead {
    pub from_hour: i64,
    pub hours: i64,
}

impl Grain {
    pub const ALL: [Grain; 4] = [
        Grain::HourAndSender,
        Grain::Hour,
        Grain::DayAndSender,
        Grain::Day,
    ];

    pub fn has_sender(self) -> bool {
        matches!(self, Grain::HourAndSender | Grain::DayAndSender)
    }

    /// The same by the hour.
    pub fn by_hour(self) -> Grain {
        match self {
            Grain::HourAndSender | Grain::DayAndSender => Grain::HourAndSender,
            Grain::Hour | Grain::Day => Grain::Hour,
        }
    }

    /// The hour with which its hour or its day begins; hours are counted from 1970.
    pub fn start(self, hour: i64) -> i64 {
        match self {
            Grain::HourAndSender | Grain::Hour => hour,
            Grain::DayAndSender | Grain::Day => hour - hour.rem_euclid(24),
        }
    }
}

/// What a row of the report is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub use_case_id: Option<UseCaseId>,
    pub setup_id: Option<SetupId>,
    pub sender: Option<String>,
    pub carrier: Option<String>,
    /// `None` inside: those without a failure.
    pub failure_reason: Option<Option<FailureReason>>,
    /// The first microsecond of the local day or hour.
    pub period_start_us: Option<i64>,
}

/// Counts of one group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    by_status: [i64; Status::ALL.len()],
    latencies: std::collections::BTreeMap<i16, i64>,
}

impl Tally {
    pub fn add(&mut self, status: Status, count: i64, latencies: &[(i16, i64)]) {
        self.by_status[status as usize - 1] += count;
        if status == Status::Delivered {
            for (bucket, count) in latencies {
                *self.latencies.entry(*bucket).or_default() += count;
            }
        }
    }

    /// What another one counts too.
    pub fn include(&mut self, other: &Tally) {
        for (all, more) in self.by_status.iter_mut().zip(other.by_status) {
            *all += more;
        }
        for (bucket, count) in &other.latencies {
            *self.latencies.entry(*bucket).or_default() += count;
        }
    }

    pub fn count(&self, status: Status) -> i64 {
        self.by_status[status as usize - 1]
    }

    pub fn total(&self) -> i64 {
        self.by_status.iter().sum()
    }

    pub fn in_flight(&self) -> i64 {
        Status::ALL
            .into_iter()
            .filter(|s| s.is_in_flight())
            .map(|s| self.count(s))
            .sum()
    }

    /// delivered / (delivered + not delivered + failed); `None` where that is 0.
    pub fn delivery_rate(&self) -> Option<f64> {
        let delivered = self.count(Status::Delivered);
        let tried = delivered + self.count(Status::NotDelivered) + self.count(Status::Failed);
        // Counts stay far below 2^53, so the conversion is exact.
        (tried > 0).then(|| delivered as f64 / tried as f64)
    }

    /// The time within which this share (0 to 1) of the delivered were delivered, by nearest
    /// rank, within 5 %.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let total: i64 = self.latencies.values().sum();
        let rank = ((total as f64 * share).ceil() as i64).clamp(1, total.max(1));
        let mut seen = 0;
        self.latencies.iter().find_map(|(bucket, count)| {
            seen += count;
            (seen >= rank).then(|| middle_of(*bucket))
        })
    }
}

/// Each bucket's border is this much above the one before, so its middle is off by under 2.5 %.
const GROWTH: f64 = 1.05;

/// The bucket of a time from due to delivered: 0 holds all below 1 ms, and bucket n (from 1)
/// holds [1.05^(n-1), 1.05^n) ms.
pub fn bucket_of(latency: Duration) -> i16 {
    let ms = latency.as_micros() as f64 / 1_000.0;
    if ms < 1.0 {
        return 0;
    }
    // 97 days is bucket 471; the clamp holds whatever a wrong clock may give.
    (ms.ln() / GROWTH.ln()).floor().clamp(0.0, 1_000.0) as i16 + 1
}

/// The geometric middle of a bucket.
fn middle_of(bucket: i16) -> Duration {
    if bucket <= 0 {
        return Duration::from_micros(500);
    }
    Duration::from_secs_f64(GROWTH.powf(f64::from(bucket) - 0.5) / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_within_5_percent_of_what_is_in_it() {
        let mut ms = 1.0_f64;
        while ms < 97.0 * 86_400_000.0 {
            let latency = Duration::from_secs_f64(ms / 1_000.0);
            let middle = middle_of(bucket_of(latency)).as_secs_f64() * 1_000.0;
            assert!(
                (middle / ms - 1.0).abs() < 0.05,
                "{ms} ms reads {middle} ms"
            );
            ms *= 1.013;
        }
        assert_eq!(bucket_of(Duration::ZERO), 0);
        assert_eq!(bucket_of(Duration::from_micros(999)), 0);
        assert_eq!(bucket_of(Duration::from_millis(1)), 1);
    }

    #[test]
    fn percentiles_go_by_nearest_rank() {
        let mut tally = Tally::default();
        for ms in 1..=100_u64 {
            let bucket = bucket_of(Duration::from_millis(ms));
            tally.add(Status::Delivered, 1, &[(bucket, 1)]);
        }
        let near = |share: f64, ms: f64| {
            let read = tally
                .percentile(share)
                .expect("there are some")
                .as_secs_f64()
                * 1_000.0;
            assert!(
                (read / ms - 1.0).abs() < 0.05,
                "{share}: {read} ms for {ms} ms"
            );
        };
        near(0.5, 50.0);
        near(0.95, 95.0);
        near(1.0, 100.0);
        assert_eq!(Tally::default().percentile(0.5), None);
    }

    #[test]
    fn the_rate_leaves_out_what_was_not_tried_or_is_not_known() {
        let mut tally = Tally::default();
        for (status, count) in [
            (Status::Delivered, 6),
            (Status::NotDelivered, 1),
            (Status::Failed, 1),
            (Status::Skipped, 100),
            (Status::Cancelled, 100),
            (Status::Unconfirmed, 100),
            (Status::Accepted, 1),
            (Status::Sending, 2),
            (Status::Sent, 4),
        ] {
            tally.add(status, count, &[]);
        }
        assert_eq!(tally.delivery_rate(), Some(0.75));
        assert_eq!(tally.in_flight(), 7);
        assert_eq!(tally.total(), 315);
        assert_eq!(Tally::default().delivery_rate(), None);
    }
}
