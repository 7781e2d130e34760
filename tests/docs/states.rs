//! docs/states.md is the table of `domain::status::apply`.

use std::collections::{BTreeMap, BTreeSet};

use ringless::domain::failure::FailureReason;
use ringless::domain::status::{End, Event, Status, apply};

use crate::{cells, code_spans, text};

const PAGE: &str = "docs/states.md";

type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

fn every_event() -> Vec<Event> {
    let mut events = vec![
        Event::Claimed,
        Event::PutBack,
        Event::Taken,
        Event::Word(End::Delivered),
        Event::InDoubt,
        Event::NoWord,
        Event::NotTried,
        Event::Cancelled,
    ];
    for reason in FailureReason::ALL {
        events.push(Event::Word(End::Because(*reason)));
        events.push(Event::Skipped(*reason));
    }
    events
}

/// Without `_`, so that a new event comes to this page too.
fn name(event: Event) -> &'static str {
    match event {
        Event::Claimed => "Claimed",
        Event::PutBack => "PutBack",
        Event::Taken => "Taken",
        Event::Word(_) => "Word",
        Event::Skipped(_) => "Skipped",
        Event::InDoubt => "InDoubt",
        Event::NoWord => "NoWord",
        Event::NotTried => "NotTried",
        Event::Cancelled => "Cancelled",
    }
}

fn arrows_of_the_code() -> Arrows {
    let mut arrows = Arrows::new();
    for from in Status::ALL {
        for event in every_event() {
            if let Ok(to) = apply(from, event) {
                let pair = (from.to_string(), to.to_string());
                arrows
                    .entry(pair)
                    .or_default()
                    .insert(name(event).to_owned());
            }
        }
    }
    arrows
}

/// `    ACCEPTED --> SENDING: Claimed`
fn arrows_of_the_page() -> Arrows {
    let mut arrows = Arrows::new();
    for line in text(PAGE).lines().filter(|line| line.contains("-->")) {
        let (from, rest) = line.trim().split_once(" --> ").unwrap();
        if from == "[*]" || rest == "[*]" {
            continue;
        }
        let (to, events) = rest
            .split_once(": ")
            .unwrap_or_else(|| panic!("an arrow without a name: {line}"));
        let events = events.split(", ").map(str::to_owned).collect();
        let before = arrows.insert((from.to_owned(), to.to_owned()), events);
        assert!(before.is_none(), "two arrows from {from} to {to}");
    }
    arrows
}

#[test]
fn the_diagram_is_the_table() {
    assert_eq!(arrows_of_the_page(), arrows_of_the_code());
}

#[test]
fn the_diagram_begins_and_ends_where_a_voicemail_does() {
    let page = text(PAGE);
    assert!(page.contains("    [*] --> ACCEPTED\n"));
    let ends: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.trim().strip_suffix(" --> [*]"))
        .collect();
    let wanted: BTreeSet<&str> = Status::ALL
        .into_iter()
        .filter(|s| s.is_end())
        .map(Status::as_str)
        .collect();
    assert_eq!(ends, wanted);
}

#[test]
fn every_event_and_every_status_has_its_row() {
    let page = text(PAGE);
    let first_cells: Vec<String> = page
        .lines()
        .filter_map(cells)
        .map(|row| row[0].clone())
        .collect();
    let named: BTreeSet<&str> = first_cells
        .iter()
        .flat_map(|cell| code_spans(cell))
        .collect();
    for event in every_event() {
        assert!(named.contains(name(event)), "no row for {}", name(event));
    }
    for status in Status::ALL {
        assert!(named.contains(status.as_str()), "no row for {status}");
    }
}

#[test]
fn every_reason_stands_with_the_end_it_comes_to() {
    let page = text(PAGE);
    for reason in FailureReason::ALL {
        let word = format!("`{}`", reason.as_str().to_uppercase());
        let rows: Vec<Vec<String>> = page
            .lines()
            .filter_map(cells)
            .filter(|row| row.len() == 2 && row[1].contains(&word))
            .collect();
        let ends: Vec<&str> = rows.iter().flat_map(|row| code_spans(&row[0])).collect();
        assert_eq!(ends, [reason.ends_as().as_str()], "{word}");
    }
}
