use super::testing::Cases;
use super::*;
use crate::domain::phone::PhoneNumber;
use crate::domain::place::PlaceSource;
use crate::domain::tables::{Holidays, SendHours};

fn at(text: &str) -> Time {
    let timestamp: jiff::Timestamp = text.parse().expect("an instant");
    Time::from_micros(timestamp.as_microsecond())
}

fn place(zones: &[&str], states: &[&str]) -> Place {
    Place {
        zones: zones.iter().filter_map(|name| Zone::find(name)).collect(),
        states: states.iter().map(|it| (*it).to_owned()).collect(),
        source: PlaceSource::Unknown,
    }
}

fn own(from: &str, to: &str, margin_minutes: u64) -> WindowRule {
    WindowRule {
        own_hours: Some(Hours::parse(from, to).expect("hours")),
        federal: false,
        states: false,
        margin: Duration::from_secs(margin_minutes * 60),
    }
}

fn judge(rule: &WindowRule, place: &Place, now: &str) -> Window {
    rule.judge(&Tables::embedded(), place, at(now))
}

/// When it opens, and why it is closed.
fn closed(rule: &WindowRule, place: &Place, now: &str) -> (Option<Time>, String) {
    match judge(rule, place, now) {
        Window::Closed { opens, why } => (opens, why),
        open => panic!("{now}: {open:?}"),
    }
}

#[track_caller]
fn assert_open_until(rule: &WindowRule, place: &Place, now: &str, until: &str) {
    let until = at(until);
    assert_eq!(judge(rule, place, now), Window::Open { until }, "{now}");
}

const EASTERN: &[&str] = &["America/New_York"];
const BEFORE: &str = "2026-11-25T13:09:59.999999Z";

#[test]
fn the_margin_is_taken_off_at_both_ends_to_the_microsecond() {
    let rule = WindowRule::default();
    let place = place(EASTERN, &[]);
    // Eastern Standard Time: 08:10 is 13:10 UTC, and 20:50 is 01:50 UTC of the next day.
    let (opens, why) = closed(&rule, &place, BEFORE);
    assert_eq!(opens, Some(at("2026-11-25T13:10Z")));
    assert_eq!(
        why,
        "it is 2026-11-25 08:09 in America/New_York; federal law allows 08:00 to 21:00, here shrunk by 10 min at both ends"
    );
    for now in ["2026-11-25T13:10Z", "2026-11-26T01:49:59.999999Z"] {
        assert_open_until(&rule, &place, now, "2026-11-26T01:50Z");
    }
    let (opens, _) = closed(&rule, &place, "2026-11-26T01:50Z");
    assert_eq!(opens, Some(at("2026-11-26T13:10Z")));
}

#[test]
fn florida_has_two_zones_and_closes_an_hour_before_the_federal_law() {
    let rule = WindowRule::default();
    let recipient = PhoneNumber::from_stored("+18505550123".to_owned());
    let pensacola = Tables::embedded().place(&recipient, None, None);
    // From 08:10 Central to 19:50 Eastern.
    let (opens, why) = closed(&rule, &pensacola, "2026-11-25T13:30Z");
    assert_eq!(opens, Some(at("2026-11-25T14:10Z")));
    assert!(why.contains("07:30 in America/Chicago"), "{why}");
    assert_open_until(&rule, &pensacola, "2026-11-25T14:10Z", "2026-11-26T00:50Z");
    let (_, why) = closed(&rule, &pensacola, "2026-11-26T00:50Z");
    assert!(
        why.contains("19:50 in America/New_York; FL allows 08:00 to 20:00, here"),
        "{why}"
    );
    assert!(!why.contains("850"), "{why}");
}

#[test]
fn a_state_that_forbids_sundays_and_holidays_holds_until_the_next_day() {
    let rule = WindowRule::default();
    for state in ["AL", "LA"] {
        let place = place(&["America/Chicago"], &[state]);
        // The Saturday before the Sunday before Labor Day of 2026, in the evening: three days are left out.
        let (opens, _) = closed(&rule, &place, "2026-09-06T02:00Z");
        assert_eq!(opens, Some(at("2026-09-08T13:10Z")), "{state}");
        let (_, why) = closed(&rule, &place, "2026-09-06T17:00Z");
        assert!(
            why.ends_with(&format!("{state} allows nothing on a Sunday")),
            "{why}"
        );
        let (_, why) = closed(&rule, &place, "2026-09-07T17:00Z");
        assert!(
            why.ends_with(&format!("{state} allows nothing on a holiday (Labor Day)")),
            "{why}"
        );
    }
}

#[test]
fn mississippi_is_judged_by_central_time_wherever_the_recipient_is() {
    let rule = WindowRule::default();
    let place = place(&["America/Los_Angeles"], &["MS"]);
    // Wednesday: 08:10 Pacific is 10:10 Central; 19:50 Central is 17:50 Pacific.
    let (opens, _) = closed(&rule, &place, "2026-11-25T15:00Z");
    assert_eq!(opens, Some(at("2026-11-25T16:10Z")));
    assert_open_until(&rule, &place, "2026-11-25T17:00Z", "2026-11-26T01:50Z");
    let (_, why) = closed(&rule, &place, "2026-11-26T01:50Z");
    assert!(why.contains("19:50 in America/Chicago; MS allows"), "{why}");
}

#[test]
fn the_days_of_a_state_differ() {
    let rule = WindowRule::default();
    let pennsylvania = place(EASTERN, &["PA"]);
    // Saturday, 08:00 to 12:00.
    assert_open_until(
        &rule,
        &pennsylvania,
        "2026-11-28T14:00Z",
        "2026-11-28T16:50Z",
    );
    let texas = place(&["America/Chicago"], &["TX"]);
    // Sunday, from noon on.
    let (opens, _) = closed(&rule, &texas, "2026-11-29T15:00Z");
    assert_eq!(opens, Some(at("2026-11-29T18:10Z")));
    // Christmas Day says nothing in Texas, so the hours of a Friday hold.
    let (opens, _) = closed(&rule, &texas, "2026-12-25T15:05Z");
    assert_eq!(opens, Some(at("2026-12-25T15:10Z")));
}

#[test]
fn all_rules_hold_together_and_each_can_be_left_out() {
    let florida = place(EASTERN, &["FL"]);
    let noon = "2026-11-25T17:00Z";
    let mut rule = WindowRule {
        own_hours: Some(Hours::parse("09:00", "17:00").expect("hours")),
        ..WindowRule::default()
    };
    assert_open_until(&rule, &florida, noon, "2026-11-25T21:50Z");
    rule.own_hours = None;
    assert_open_until(&rule, &florida, noon, "2026-11-26T00:50Z");
    rule.states = false;
    assert_open_until(&rule, &florida, noon, "2026-11-26T01:50Z");
    rule.margin = Duration::ZERO;
    assert_open_until(&rule, &florida, noon, "2026-11-26T02:00Z");
    rule.federal = false;
    // Nothing is held, so it stays open as far as is looked.
    assert_open_until(&rule, &florida, noon, "2026-12-10T17:00Z");
}

#[test]
fn a_number_of_which_nothing_is_known_is_judged_by_the_whole_continent() {
    let recipient = PhoneNumber::from_stored("+18005550123".to_owned());
    let anywhere = Tables::embedded().place(&recipient, None, None);
    // From 08:10 Pacific to 20:50 Eastern.
    let (opens, _) = closed(&WindowRule::default(), &anywhere, "2026-11-25T14:00Z");
    assert_eq!(opens, Some(at("2026-11-25T16:10Z")));
    assert_open_until(
        &WindowRule::default(),
        &anywhere,
        "2026-11-25T16:10Z",
        "2026-11-26T01:50Z",
    );
}

#[test]
fn hours_follow_the_clock_when_it_is_set() {
    let rule = WindowRule::default();
    let (eastern, phoenix) = (place(EASTERN, &[]), place(&["America/Phoenix"], &[]));
    for (evening, opens_eastern, opens_phoenix) in [
        (
            "2026-03-08T04:00Z",
            "2026-03-08T12:10Z",
            "2026-03-08T15:10Z",
        ),
        (
            "2026-11-01T04:00Z",
            "2026-11-01T13:10Z",
            "2026-11-01T15:10Z",
        ),
    ] {
        assert_eq!(closed(&rule, &eastern, evening).0, Some(at(opens_eastern)));
        assert_eq!(closed(&rule, &phoenix, evening).0, Some(at(opens_phoenix)));
    }
    // Indianapolis has had summer time since 2006; Chicago's corner of the state is an hour behind.
    let recipient = PhoneNumber::from_stored("+12195550123".to_owned());
    let indiana = Tables::embedded().place(&recipient, None, None);
    assert_eq!(
        closed(&rule, &indiana, "2026-07-01T12:30Z").0,
        Some(at("2026-07-01T13:10Z"))
    );
}

#[test]
fn a_close_within_the_doubled_hour_closes_the_first_time_and_an_opening_opens_the_second_time() {
    let eastern = place(EASTERN, &[]);
    // 1:30 is shown at 05:30 and at 06:30 UTC.
    let rule = own("00:00", "01:30", 0);
    assert_open_until(&rule, &eastern, "2026-11-01T05:29Z", "2026-11-01T05:30Z");
    let (opens, why) = closed(&rule, &eastern, "2026-11-01T06:15Z");
    assert_eq!(opens, Some(at("2026-11-02T05:00Z")));
    assert!(why.contains("stricter reading"), "{why}");
    let rule = own("01:30", "12:00", 0);
    let (opens, _) = closed(&rule, &eastern, "2026-11-01T05:45Z");
    assert_eq!(opens, Some(at("2026-11-01T06:30Z")));
}

#[test]
fn the_margin_passes_in_real_time_too_when_the_clock_is_set_forward() {
    let eastern = place(EASTERN, &[]);
    // 03:05 comes five minutes after 01:59; ten minutes before it are 01:55.
    let rule = own("00:00", "03:05", 10);
    assert_open_until(&rule, &eastern, "2026-03-08T06:00Z", "2026-03-08T06:55Z");
    // 01:55 is followed by 03:05 after ten minutes.
    let rule = own("01:55", "12:00", 10);
    let (opens, _) = closed(&rule, &eastern, "2026-03-08T06:58Z");
    assert_eq!(opens, Some(at("2026-03-08T07:05Z")));
}

#[test]
fn days_that_follow_without_a_gap_are_one_window() {
    let eastern = place(EASTERN, &[]);
    let rule = own("00:00", "24:00", 0);
    assert_open_until(&rule, &eastern, "2026-11-25T17:00Z", "2026-12-10T17:00Z");
    // With a margin each midnight closes.
    let rule = own("00:00", "24:00", 10);
    assert_open_until(&rule, &eastern, "2026-11-25T17:00Z", "2026-11-26T04:50Z");
    assert_eq!(
        closed(&rule, &eastern, "2026-11-26T05:00Z").0,
        Some(at("2026-11-26T05:10Z"))
    );
}

#[test]
fn what_never_opens_says_so() {
    let (opens, why) = closed(
        &own("12:00", "12:20", 10),
        &place(EASTERN, &[]),
        "2026-11-25T17:10Z",
    );
    assert_eq!(opens, None);
    assert!(
        why.contains("the operator allows 12:00 to 12:20, here shrunk"),
        "{why}"
    );
    // A minute more is enough.
    let (opens, _) = closed(
        &own("12:00", "12:21", 10),
        &place(EASTERN, &[]),
        "2026-11-25T17:11Z",
    );
    assert_eq!(opens, Some(at("2026-11-26T17:10Z")));
    // Hours of which nothing is common to all zones.
    let apart = place(&["America/New_York", "Asia/Tokyo"], &[]);
    let (opens, _) = closed(&own("09:00", "17:00", 0), &apart, "2026-11-25T17:00Z");
    assert_eq!(opens, None);
}

#[test]
fn an_opening_is_looked_for_15_days_ahead_and_no_further() {
    let eastern = place(EASTERN, &[]);
    let with_holidays = |days: &str| {
        let head = "version = 'x'\nsource = 'x'\ndate = '2026-01-01'\n";
        let hours = format!(
            "{head}[federal]\nhours = ['00:00', '24:00']\nsource = 'x'\n[states.NY]\nholidays = 'none'\nsource = 'x'"
        );
        let holidays = format!("{head}[[holidays]]\nname = 'x'\ndates = [{days}]");
        Tables {
            send_hours: SendHours::parse(&hours).expect("a table"),
            holidays: Holidays::parse(&holidays).expect("a table"),
            ..(*Tables::embedded()).clone()
        }
    };
    let mut days: Vec<String> = (1..=15).map(|day| format!("'2026-06-{day:02}'")).collect();
    days.push("'2026-05-31'".to_owned());
    let tables = with_holidays(&days.join(","));
    let rule = WindowRule {
        margin: Duration::ZERO,
        ..WindowRule::default()
    };
    let place = Place {
        states: vec!["NY".to_owned()],
        ..eastern
    };
    // It opens as 16 June begins.
    let opening = at("2026-06-16T04:00Z");
    for (early, found) in [(-1, Some(opening)), (0, Some(opening)), (1, None)] {
        let now = Time::from_micros(opening.minus(AHEAD_MAX).micros() - early);
        let window = rule.judge(&tables, &place, now);
        assert!(
            matches!(&window, Window::Closed { opens, .. } if *opens == found),
            "{early}: {window:?}"
        );
    }
}

#[test]
fn the_evidence_names_each_clock_its_hours_and_the_tables() {
    let rule = WindowRule {
        own_hours: Some(Hours::parse("09:00", "17:00").expect("hours")),
        ..WindowRule::default()
    };
    let place = place(EASTERN, &["FL", "MS"]);
    let evidence = rule.evidence(&Tables::embedded(), &place, at("2026-12-25T17:00Z"));
    let text: Vec<String> = evidence
        .iter()
        .map(|(name, said)| format!("{name} = {said}"))
        .collect();
    assert_eq!(
        text,
        [
            "place = FL, MS, by UNKNOWN".to_owned(),
            format!("tables = {}", Tables::embedded().version()),
            "America/New_York = Friday 2026-12-25 12:00 (Christmas Day); federal law 08:00 to 21:00; FL 08:00 to 20:00; the operator 09:00 to 17:00; shrunk by 10 min at both ends".to_owned(),
            "America/Chicago = Friday 2026-12-25 11:00 (Christmas Day); MS 08:00 to 20:00; shrunk by 10 min at both ends".to_owned(),
        ]
    );
}

#[test]
fn no_window_is_open_outside_the_hours_and_none_opens_later_than_it_could() {
    let seed = match std::env::var("RINGLESS_TEST_SEED") {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => 20_261_125,
    };
    println!("RINGLESS_TEST_SEED={seed}");
    let mut cases = Cases::new(seed);
    for number in 0..20_000 {
        let case = cases.next_case();
        if let Err(fault) = case.check(&case.judge()) {
            panic!("case {number} of seed {seed}: {fault}");
        }
    }
}
