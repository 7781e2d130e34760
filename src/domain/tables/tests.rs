use super::*;

const HEAD: &str = "version = 'x'\nsource = 'a test'\ndate = '2026-01-01'\n";
const CSV_HEAD: &str = "# version: x\n# source: a test\n# date: 2026-01-01\n";

fn number(e164: &str) -> PhoneNumber {
    PhoneNumber::from_stored(e164.to_owned())
}

fn place(e164: &str, time_zone: Option<&str>, postal_code: Option<&str>) -> Place {
    Tables::embedded().place(&number(e164), time_zone, postal_code)
}

fn names(place: &Place) -> Vec<&str> {
    place.zones.iter().map(Zone::name).collect()
}

#[test]
fn an_area_code_has_all_of_its_zones_and_its_state() {
    for (e164, zones, states) in [
        ("+12125550123", &["America/New_York"][..], &["NY"][..]),
        (
            "+18505550123",
            &["America/Chicago", "America/New_York"],
            &["FL"],
        ),
        // An overlay of 850, too young for the prefixes that Google knows.
        (
            "+14485550123",
            &["America/Chicago", "America/New_York"],
            &["FL"],
        ),
        ("+16025550123", &["America/Phoenix"], &["AZ"]),
        ("+17875550123", &["America/Puerto_Rico"], &["PR"]),
        ("+14165550123", &["America/Toronto"], &["ON"]),
    ] {
        let place = place(e164, None, None);
        assert_eq!(names(&place), zones, "{e164}");
        assert_eq!(place.states, states, "{e164}");
        assert_eq!(place.source, PlaceSource::AreaCode, "{e164}");
    }
    // The north-west of Indiana is on Chicago's time.
    let indiana = place("+12195550123", None, None);
    assert!(names(&indiana).contains(&"America/Chicago"));
    assert!(names(&indiana).contains(&"America/New_York"));
}

#[test]
fn every_number_has_a_zone_whatever_is_known_of_it() {
    let continental = [
        "America/New_York",
        "America/Chicago",
        "America/Denver",
        "America/Phoenix",
        "America/Los_Angeles",
    ];
    for (e164, zones, source) in [
        ("+4930123456", &["Europe/Berlin"][..], PlaceSource::Country),
        ("+3545885522", &["Atlantic/Reykjavik"], PlaceSource::Country),
        // Toll-free, not assigned, and no country at all.
        ("+18005550123", &continental, PlaceSource::Unknown),
        ("+12005550123", &continental, PlaceSource::Unknown),
        ("+9991234567", &continental, PlaceSource::Unknown),
        ("+1", &continental, PlaceSource::Unknown),
    ] {
        let place = place(e164, None, None);
        assert_eq!(names(&place), zones, "{e164}");
        assert_eq!(place.source, source, "{e164}");
        assert!(place.states.is_empty(), "{e164}");
    }
}

#[test]
fn what_is_stated_wins_over_the_area_code_and_states_add_up() {
    let new_york = "+12125550123";
    let moved = place(new_york, Some("America/Denver"), Some("33101-1234"));
    assert_eq!(names(&moved), ["America/Denver"]);
    assert_eq!(moved.states, ["NY", "FL"]);
    assert_eq!(moved.source, PlaceSource::StatedZone);

    let moved = place(new_york, None, Some("39201"));
    assert_eq!(names(&moved), ["America/Chicago"]);
    assert_eq!(moved.states, ["NY", "MS"]);
    assert_eq!(moved.source, PlaceSource::PostalCode);

    let at_home = place(new_york, None, Some("10001"));
    assert_eq!(at_home.states, ["NY"]);
}

#[test]
fn what_is_stated_and_not_known_is_passed_over() {
    // No ZIP code has these first digits; 09001 is one of the armed forces', which may be anywhere.
    for code in ["00001", "09001", "abc", ""] {
        let place = place("+12125550123", None, Some(code));
        assert_eq!(place.source, PlaceSource::AreaCode, "{code}");
    }
    let place = place("+12125550123", Some("Nowhere"), None);
    assert_eq!(place.source, PlaceSource::AreaCode);
}

#[test]
fn a_zip_code_that_is_in_no_range_is_where_its_neighbours_are() {
    let table = format!(
        "{CSV_HEAD}from,to,state,zone\n12301,12310,NY,America/New_York\n12320,12320,PA,America/Chicago\n12401,12401,NJ,America/Denver\n"
    );
    let table = PostalCodes::parse(&table).expect("a table");
    let states = |code| table.find(code).map(|place| place.states);
    let some = |states: &[&str]| Some(states.iter().map(|it| (*it).to_owned()).collect());
    for code in ["12301", "12305", "12310", "12310-0001"] {
        assert_eq!(states(code), some(&["NY"]), "{code}");
    }
    assert_eq!(states("12320"), some(&["PA"]));
    for code in ["12300", "12311", "12319", "12321", "12399"] {
        assert_eq!(states(code), some(&["NY", "PA"]), "{code}");
    }
    assert_eq!(states("12400"), some(&["NJ"]));
    assert_eq!(states("12299"), None);
    assert_eq!(states("12500"), None);
}

#[test]
fn a_zone_or_a_zip_code_that_is_none_is_refused_with_what_is_allowed() {
    let tables = Tables::embedded();
    for name in ["America/New_York", "Pacific/Honolulu", "UTC"] {
        assert_eq!(tables.check_time_zone(name), Ok(()), "{name}");
    }
    for name in ["", "Eastern", "America/Nowhere", "+05:00"] {
        let fault = tables.check_time_zone(name).expect_err(name);
        assert!(fault.contains("IANA"), "{fault}");
    }
    for code in ["33101", "33101-1234", "00000"] {
        assert_eq!(tables.check_postal_code(code), Ok(()), "{code}");
    }
    for code in [
        "",
        "3310",
        "331011",
        "33101-",
        "33101-123",
        "33101-12345",
        "33101 1234",
        "K1A 0B1",
        "3310a",
        "+3310",
    ] {
        let fault = tables.check_postal_code(code).expect_err(code);
        assert!(fault.contains("33101-1234"), "{fault}");
    }
    assert!(
        tables
            .check_time_zone(&"z".repeat(10_000))
            .expect_err("no zone")
            .len()
            < 200
    );
}

#[test]
fn the_embedded_tables_say_their_versions() {
    let version = Tables::embedded().version();
    for part in [
        "hours 2025-11-01, ",
        "holidays 2026-1, ",
        "area codes phonenumbers 9",
        "postal codes zipcodes 3",
    ] {
        assert!(version.contains(part), "{version}");
    }
}

#[test]
fn a_fault_of_area_codes_names_its_line_and_what_is_allowed() {
    let parse = |rows: &str| {
        AreaCodes::parse(&format!(
            "{CSV_HEAD}code,country,states,zones\n{rows}\n*,,,UTC"
        ))
    };
    assert!(parse("212,US,NY,America/New_York\n+49,DE,,Europe/Berlin").is_ok());
    for (rows, said) in [
        ("112,US,NY,UTC", "line 5: `112` is no code"),
        ("21,US,NY,UTC", "`21` is no code"),
        ("2123,US,NY,UTC", "`2123` is no code"),
        ("+1,US,NY,UTC", "`+1` is no code"),
        ("+4912,DE,,UTC", "`+4912` is no code"),
        ("212,USA,NY,UTC", "`USA` is no country"),
        ("212,,NY,UTC", "`` is no country"),
        ("212,US,New York,UTC", "`New` is no state"),
        ("212,US,NY,Napakiak", "`Napakiak` is no time zone"),
        ("212,US,NY,", "no time zone; give at least one"),
        ("212,US,NY", "line 5: it has 3 fields"),
        ("212,US,NY,UTC,", "it has 5 fields"),
        (
            "212,US,NY,UTC\n\n212,US,NY,UTC",
            "line 7: `212` stands twice",
        ),
    ] {
        let fault = parse(rows).expect_err(rows).to_string();
        assert!(fault.contains(said), "{rows}: {fault}");
    }
    let fault = AreaCodes::parse(&format!("{CSV_HEAD}code,country,states,zones\n"));
    assert!(
        fault
            .expect_err("no rest")
            .to_string()
            .contains("`*` is missing")
    );
    let fault = AreaCodes::parse(&format!("{CSV_HEAD}code,states\n"));
    assert!(
        fault
            .expect_err("no columns")
            .to_string()
            .contains("line 4")
    );
}

#[test]
fn a_fault_of_postal_codes_names_its_line_and_what_is_allowed() {
    let parse = |rows: &str| PostalCodes::parse(&format!("{CSV_HEAD}from,to,state,zone\n{rows}"));
    assert!(parse("10001,10001,NY,America/New_York\n10002,10003,NY,UTC\r\n").is_ok());
    for (rows, said) in [
        ("1001,10001,NY,UTC", "line 5: `1001` is no ZIP code"),
        ("10001,10001-1234,NY,UTC", "`10001-1234` is no ZIP code"),
        ("10002,10001,NY,UTC", "goes from 10002 to 10001"),
        (
            "10001,10002,NY,UTC\n10002,10003,NY,UTC",
            "line 6: it begins at 10002",
        ),
        (
            "10002,10002,NY,UTC\n10001,10001,NY,UTC",
            "line 6: it begins at 10001",
        ),
        ("10001,10001,N,UTC", "`N` is no state"),
        ("10001,10001,NY,Eastern", "`Eastern` is no time zone"),
    ] {
        let fault = parse(rows).expect_err(rows).to_string();
        assert!(fault.contains(said), "{rows}: {fault}");
    }
}

#[test]
fn a_fault_of_send_hours_names_its_key_and_what_is_allowed() {
    let federal = "[federal]\nhours = ['08:00', '21:00']\nsource = 'x'\n";
    let parse = |rows: &str| SendHours::parse(&format!("{HEAD}{rows}"));
    let state = |row: &str| format!("{federal}[states.FL]\nsource = 'x'\n{row}");
    assert!(parse(&state("sat = 'none'\nsun = ['00:00', '24:00']\nnote = 'y'")).is_ok());
    for (rows, said) in [
        (
            state("sat = 'nothing'"),
            "states.FL.sat: `\"nothing\"` are no hours",
        ),
        (state("sat = ['08:00']"), "states.FL.sat"),
        (state("sat = [8, 20]"), "states.FL.sat"),
        (
            state("sat = ['20:00', '08:00']"),
            "states.FL.sat: `20:00` to `08:00`",
        ),
        (
            state("holidays = ['08:00', '25:00']"),
            "states.FL.holidays: `25:00`",
        ),
        (
            state("time_zone = 'Central'"),
            "states.FL.time_zone: `Central`",
        ),
        (
            state("saturday = 'none'"),
            "line 9: unknown field `saturday`",
        ),
        (
            format!("{federal}[states.Florida]\nsource = 'x'"),
            "states.Florida",
        ),
        (
            format!("{federal}[states.FL]\nsat = 'none'"),
            "missing field `source`",
        ),
        (
            "[federal]\nhours = 'none'\nsource = 'x'".to_owned(),
            "federal.hours: hours are needed",
        ),
        (String::new(), "missing field `federal`"),
    ] {
        let fault = parse(&rows).expect_err(&rows).to_string();
        assert!(fault.contains(said), "{rows}: {fault}");
        assert_eq!(fault.lines().count(), 1, "{fault}");
    }
}

#[test]
fn a_fault_of_holidays_names_the_holiday_and_what_is_allowed() {
    let parse = |row: &str| Holidays::parse(&format!("{HEAD}[[holidays]]\nname = 'Day'\n{row}"));
    for (row, is_good) in [
        ("day = '02-29'", true),
        ("day = '02-30'", false),
        ("day = '13-01'", false),
        ("day = '7-04'", false),
        ("day = '07-04T10'", false),
        ("month = 0\nweekday = 'monday'\nnth = 1", false),
        ("month = 1\nweekday = 'monday'\nnth = 1", true),
        ("month = 12\nweekday = 'sunday'\nnth = 5", true),
        ("month = 13\nweekday = 'monday'\nnth = 1", false),
        ("month = 1\nweekday = 'monday'\nnth = 0", false),
        ("month = 1\nweekday = 'monday'\nnth = 6", false),
        ("month = 1\nweekday = 'monday'\nnth = 'last'", true),
        ("month = 1\nweekday = 'monday'\nnth = 'first'", false),
        ("month = 1\nweekday = 'Monday'\nnth = 1", false),
        ("month = 1\nweekday = 'monday'", false),
        ("dates = ['2026-12-24']", true),
        ("dates = ['2026-02-29']", false),
        ("day = '07-04'\ndates = ['2026-12-24']", false),
        ("", false),
    ] {
        let parsed = parse(row);
        assert_eq!(parsed.is_ok(), is_good, "{row}: {parsed:?}");
        if let Err(fault) = parsed {
            assert!(fault.to_string().contains("holiday `Day`: "), "{fault}");
        }
    }
}

#[test]
fn a_table_says_its_version_its_source_and_its_date() {
    let version = |length: usize| Holidays::parse(&HEAD.replace('x', &"v".repeat(length)));
    for (length, is_good) in [(0, false), (1, true), (63, true), (64, true), (65, false)] {
        assert_eq!(version(length).is_ok(), is_good, "{length}");
    }
    for (from, to) in [
        ("a test", ""),
        ("2026-01-01", "January"),
        ("2026-01-01", ""),
    ] {
        assert!(Holidays::parse(&HEAD.replace(from, to)).is_err(), "{to}");
        let csv = format!("{}from,to,state,zone\n", CSV_HEAD.replace(from, to));
        assert!(PostalCodes::parse(&csv).is_err(), "{to}");
    }
    assert!(PostalCodes::parse("from,to,state,zone\n").is_err());
}

#[test]
fn a_table_has_at_most_a_mebibyte() {
    let of = |length: usize| format!("{HEAD}#{}", " ".repeat(length - HEAD.len() - 1));
    for (length, is_good) in [
        (TABLE_BYTES_MAX - 1, true),
        (TABLE_BYTES_MAX, true),
        (TABLE_BYTES_MAX + 1, false),
    ] {
        assert_eq!(Holidays::parse(&of(length)).is_ok(), is_good, "{length}");
    }
}

#[test]
fn a_holiday_on_a_weekend_is_observed_on_a_weekday_too() {
    let tables = Tables::embedded();
    let on = |text: &str| {
        tables
            .holidays
            .on(text.parse().expect("a day"))
            .map(str::to_owned)
    };
    let some = |name: &str| Some(name.to_owned());
    // A Saturday, and the Friday before; a Sunday, and the Monday after.
    assert_eq!(on("2026-07-04"), some("Independence Day"));
    assert_eq!(on("2026-07-03"), some("Independence Day"));
    assert_eq!(on("2026-07-06"), None);
    assert_eq!(on("2027-07-05"), some("Independence Day"));
    assert_eq!(on("2027-07-02"), None);
    // New Year's Day of 2028 is a Saturday, so the last day of 2027 is a holiday.
    assert_eq!(on("2027-12-31"), some("New Year's Day"));
    assert_eq!(on("2026-12-31"), None);
    for (day, name) in [
        ("2026-01-19", "Birthday of Martin Luther King, Jr."),
        ("2026-02-16", "Washington's Birthday"),
        ("2026-05-25", "Memorial Day"),
        ("2026-06-19", "Juneteenth National Independence Day"),
        ("2026-09-07", "Labor Day"),
        ("2026-10-12", "Columbus Day"),
        ("2026-11-11", "Veterans Day"),
        ("2026-11-26", "Thanksgiving Day"),
        ("2026-12-25", "Christmas Day"),
    ] {
        assert_eq!(on(day), some(name), "{day}");
    }
    // The fourth Thursday, not the last one; the last Monday, not the fourth.
    assert_eq!(on("2028-11-23"), some("Thanksgiving Day"));
    assert_eq!(on("2028-11-30"), None);
    assert_eq!(on("2027-05-31"), some("Memorial Day"));
    assert_eq!(on("2027-05-24"), None);
}
