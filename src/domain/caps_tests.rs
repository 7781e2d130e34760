use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::*;

const HOUR: u64 = 3_600;
const CONTINENT: [&str; 2] = ["America/New_York", "America/Los_Angeles"];

fn zones(names: &[&str]) -> Vec<TimeZone> {
    let zone = |name: &&str| TimeZone::get(name).expect("the zone is bundled");
    names.iter().map(zone).collect()
}

fn date(zone: &TimeZone, time: Time) -> Date {
    let instant = jiff::Timestamp::from_microsecond(time.micros()).expect("in range");
    instant.to_zoned(zone.clone()).date()
}

fn midnight(zone: &TimeZone, date: Date) -> Time {
    let day = date.to_zoned(zone.clone()).expect("in range");
    let start = day.start_of_day().expect("in range");
    Time::from_micros(start.timestamp().as_microsecond())
}

fn back(date: Date, days: u32) -> Date {
    date.saturating_sub(jiff::Span::new().days(i64::from(days)))
}

fn on(date: Date, days: u32) -> Date {
    date.saturating_add(jiff::Span::new().days(i64::from(days)))
}

/// As a recipient in these zones is judged.
fn verdict(uses: &[Time], limits: &[CapLimit], zones: &[TimeZone], now: Time) -> CapVerdict {
    let starts = |days_back| {
        let start = |zone: &TimeZone| midnight(zone, back(date(zone, now), days_back));
        zones.iter().map(start).collect()
    };
    let frees = |used, days| {
        let next = |zone: &TimeZone| midnight(zone, on(date(zone, used), days));
        zones.iter().map(next).max().unwrap_or(used)
    };
    judge(uses, limits, starts, frees, now)
}

/// The rule, counted use by use and by the dates on the recipient's calendars.
fn naive(uses: &[Time], limits: &[CapLimit], zones: &[TimeZone], now: Time) -> bool {
    limits.iter().all(|limit| {
        let rolling = uses
            .iter()
            .filter(|used| now.since(**used) < DAY * limit.days);
        let on_its_days = |zone: &TimeZone| {
            let first = back(date(zone, now), limit.days - 1);
            uses.iter()
                .filter(|used| date(zone, **used) >= first)
                .count()
        };
        let most = zones.iter().map(on_its_days).max().unwrap_or(0);
        rolling.count().max(most) < limit.max as usize
    })
}

fn at(text: &str) -> Time {
    let instant: jiff::Timestamp = text.parse().expect("RFC 3339");
    Time::from_micros(instant.as_microsecond())
}

const ONE_A_DAY: CapLimit = CapLimit { max: 1, days: 1 };
const THREE_A_WEEK: CapLimit = CapLimit { max: 3, days: 7 };

#[test]
fn one_a_day_is_neither_two_within_24_hours_nor_two_on_one_date() {
    let zones = zones(&CONTINENT);
    let used = at("2026-11-23T23:00:00Z");
    let of = |now: &str| verdict(&[used], &[ONE_A_DAY], &zones, at(now));
    // The rolling day ends 24 hours later; the dates, at the later midnight, before that.
    for (now, is_free) in [
        ("2026-11-23T23:00:00Z", false),
        ("2026-11-24T08:00:00Z", false),
        ("2026-11-24T22:59:59.999999Z", false),
        ("2026-11-24T23:00:00Z", true),
    ] {
        let verdict = of(now);
        let expected = match is_free {
            true => CapVerdict::Free { used: vec![0] },
            false => CapVerdict::Full {
                limit: ONE_A_DAY,
                used: 1,
                frees: at("2026-11-24T23:00:00Z"),
            },
        };
        assert_eq!(verdict, expected, "{now}");
    }
    // In the night in which the clocks go back a date has 25 hours.
    let used = at("2026-11-01T04:30:00Z");
    let verdict = verdict(
        &[used],
        &[ONE_A_DAY],
        &zones[..1],
        at("2026-11-02T04:45:00Z"),
    );
    let frees = at("2026-11-02T05:00:00Z");
    let expected = CapVerdict::Full {
        limit: ONE_A_DAY,
        used: 1,
        frees,
    };
    assert_eq!(verdict, expected);
}

#[test]
fn the_limit_that_frees_last_is_named() {
    let zones = zones(&["UTC"]);
    let now = at("2026-11-23T12:00:00Z");
    let uses = [1, 30, 60].map(|hours| now.minus(Duration::from_secs(hours * HOUR)));
    let limits = [ONE_A_DAY, THREE_A_WEEK];
    let full = |limit, used, frees: &str| CapVerdict::Full {
        limit,
        used,
        frees: at(frees),
    };
    let of = |uses: &[Time]| verdict(uses, &limits, &zones, now);
    assert_eq!(of(&uses), full(THREE_A_WEEK, 3, "2026-11-28T00:00:00Z"));
    assert_eq!(of(&uses[..2]), full(ONE_A_DAY, 1, "2026-11-24T11:00:00Z"));
    assert_eq!(of(&uses[1..]), CapVerdict::Free { used: vec![0, 2] });
    assert_eq!(of(&[]), CapVerdict::Free { used: vec![0, 0] });
}

#[test]
fn a_limit_of_none_never_frees() {
    let never = CapLimit { max: 0, days: 1 };
    let now = at("2026-11-23T12:00:00Z");
    match verdict(&[], &[never], &zones(&["UTC"]), now) {
        CapVerdict::Full { used, frees, .. } => {
            assert_eq!((used, frees), (0, Time::from_micros(i64::MAX)));
        }
        free @ CapVerdict::Free { .. } => panic!("{free:?}"),
    }
}

/// Numbers that look drawn by chance, the same in each run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn a_verdict_is_that_of_the_naive_count_and_frees_at_the_first_instant() {
    let all = zones(&[
        "America/New_York",
        "America/Los_Angeles",
        "America/Phoenix",
        // Its clocks change at midnight.
        "America/Havana",
        "Pacific/Apia",
        "UTC",
    ]);
    let mut draws = Draws(0x5eed);
    // Around a night in which clocks change, and one in which none do.
    let starts = [
        at("2026-03-06T00:00:00Z"),
        at("2026-10-29T12:00:00Z"),
        at("2026-07-01T00:00:00Z"),
    ];
    let (mut free, mut full) = (0, 0);
    for _ in 0..20_000 {
        let now = starts[draws.below(3) as usize].plus(Duration::from_secs(draws.below(96 * HOUR)));
        let first = draws.below(6) as usize;
        let zones = &all[first..(first + 1 + draws.below(2) as usize).min(6)];
        let limits: Vec<CapLimit> = (0..1 + draws.below(2))
            .map(|_| CapLimit {
                max: 1 + draws.below(4) as u32,
                days: 1 + draws.below(8) as u32,
            })
            .collect();
        let most = limits.iter().map(|limit| limit.max).max().unwrap_or(0) as usize;
        // On full hours too, so that borders are met.
        let step = [1, HOUR][draws.below(2) as usize];
        let mut uses: Vec<Time> = (0..draws.below(7))
            .map(|_| {
                now.minus(Duration::from_secs(
                    draws.below(9 * 24 * HOUR / step) * step,
                ))
            })
            .collect();
        uses.sort();
        uses.reverse();
        let verdict_now = verdict(&uses, &limits, zones, now);
        let shown = format!("{uses:?} {limits:?} {zones:?} {now}");
        match &verdict_now {
            CapVerdict::Free { used } => {
                free += 1;
                assert!(naive(&uses, &limits, zones, now), "{shown}");
                assert_eq!(used.len(), limits.len());
            }
            CapVerdict::Full { limit, frees, .. } => {
                full += 1;
                assert!(!naive(&uses, &limits, zones, now), "{shown}");
                assert!(naive(&uses, &limits, zones, *frees), "{shown}: {frees}");
                let before = frees.minus(Duration::from_micros(1));
                assert!(!naive(&uses, &[*limit], zones, before), "{shown}: {before}");
            }
        }
        // The newest ones are enough to know it.
        uses.truncate(most);
        let by_newest = verdict(&uses, &limits, zones, now);
        match (verdict_now, by_newest) {
            (CapVerdict::Full { frees, .. }, CapVerdict::Full { frees: same, .. }) => {
                assert_eq!(frees, same, "{shown}");
            }
            (CapVerdict::Free { .. }, CapVerdict::Free { .. }) => {}
            (verdict, other) => panic!("{verdict:?} {other:?} {shown}"),
        }
    }
    assert!(free > 2_000 && full > 2_000, "{free} {full}");
}
