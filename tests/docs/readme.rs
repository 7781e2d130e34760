//! The README's numbers, settings and commands against the program.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::CommandFactory;
use ringless::cli::Cli;
use ringless::config::{
    ADMIN_ADDR, AcceptSection, DRAIN_DELAY_SECONDS, DeliverySection, GRPC_ADDR, HTTP_ADDR,
    WorkerSection,
};
use ringless::domain::attempt::{CARRIER_DETAIL_BYTES_MAX, CARRIER_WORD_BYTES_MAX};
use ringless::domain::{labels, names, report, retry, telephony};
use ringless::ops::send_voicemail::SCHEDULE_AHEAD_MAX;
use ringless::{audio, grpc, intake, ops};

use crate::{cells, code_spans, text};

/// `8,388,608`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The table under a heading: first cell to the others.
fn table(heading: &str) -> BTreeMap<String, String> {
    let page = text("README.md");
    let (_, rest) = page
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no section {heading}"));
    let section = rest.split("\n## ").next().unwrap();
    section
        .lines()
        .filter_map(cells)
        .map(|row| (row[0].clone(), row[1..].join(" | ")))
        .collect()
}

#[test]
fn every_limit_is_the_programs() {
    let table = table("Limits");
    let days = |span: Duration| format!("{} days", span.as_secs() / 86_400);
    let hours = |seconds: u64| format!("{} hours", seconds / 3_600);
    let (accept, worker, delivery) = (
        AcceptSection::default(),
        WorkerSection::default(),
        DeliverySection::default(),
    );
    let uploads =
        (accept.upload_memory_mib + accept.upload_spool_mib) * 1_024 * 1_024 / audio::BYTES_MAX;
    let wanted = [
        ("Size of audio", grouped(audio::BYTES_MAX)),
        ("One chunk of a stream", grouped(intake::CHUNK_BYTES_MAX)),
        (
            "One message",
            format!("{} MiB", grpc::DECODED_BYTES_MAX / 1_024 / 1_024),
        ),
        ("One message", grouped(grpc::UNARY_BYTES_MAX)),
        (
            "A call in one message",
            format!("{} s", intake::TOTAL_MAX.as_secs()),
        ),
        (
            "Messages that are not whole yet",
            format!("{} MiB", grpc::UNDECODED_BYTES_MAX / 1_024 / 1_024),
        ),
        (
            "Values of one filter, paths of an update mask",
            grpc::LIST_MAX.to_string(),
        ),
        (
            "Bytes of a call that are under way unread",
            format!("{} KiB", grpc::STREAM_WINDOW_BYTES / 1_024),
        ),
        (
            "Bytes of a call that are under way unread",
            format!("{} KiB", grpc::STREAM_WINDOW_OF_MANY_BYTES / 1_024),
        ),
        (
            "Bytes of a call that are under way unread",
            grpc::FEW_CONNECTIONS.to_string(),
        ),
        ("A report", grouped(report::SLICES_MAX as u64)),
        (
            "Wait for a byte of an upload",
            format!("{} s", intake::IDLE_MAX.as_secs()),
        ),
        (
            "An upload in all",
            format!("{} s", intake::TOTAL_MAX.as_secs()),
        ),
        ("Uploads in progress", grouped(uploads)),
        (
            "Uploads in progress",
            format!("{} MiB in memory", accept.upload_memory_mib),
        ),
        (
            "Uploads in progress",
            format!("{} MiB in", grouped(accept.upload_spool_mib)),
        ),
        ("Voicemails that wait", grouped(accept.queue_max)),
        ("`request_id`", names::REQUEST_ID_MAX.to_string()),
        ("`schedule_time`", days(SCHEDULE_AHEAD_MAX)),
        ("`expire_time`", hours(accept.expire_after_seconds)),
        ("`labels`", labels::COUNT_MAX.to_string()),
        ("`labels`", labels::KEY_BYTES_MAX.to_string()),
        ("`labels`", labels::VALUE_BYTES_MAX.to_string()),
        ("`entity_name`, `name`", names::NAME_MAX.to_string()),
        ("`description`", grouped(names::DESCRIPTION_MAX as u64)),
        ("`display_name`", names::DISPLAY_NAME_MAX.to_string()),
        (
            "Reason of SuspendSetup",
            names::SUSPEND_REASON_MAX.to_string(),
        ),
        ("Carriers of a setup", telephony::CARRIERS_MAX.to_string()),
        (
            "A carrier's own words",
            grouped(CARRIER_DETAIL_BYTES_MAX as u64),
        ),
        ("A carrier's own words", CARRIER_WORD_BYTES_MAX.to_string()),
        ("A report", days(report::SPAN_MAX)),
        ("A report", grouped(report::GROUPS_MAX as u64)),
        (
            "Calls on one connection",
            grpc::STREAMS_PER_CONNECTION_MAX.to_string(),
        ),
        (
            "Audio that no voicemail names",
            days(ops::audio::KEPT_UNUSED),
        ),
        ("Hand-overs at once", worker.in_flight_max.to_string()),
        (
            "One call of a carrier",
            format!("{} s", worker.call_timeout_seconds),
        ),
        ("A claim of a worker", format!("{} s", worker.lease_seconds)),
        (
            "Tries",
            (delivery.retry_waits_seconds.len() + 1).to_string(),
        ),
        (
            "A wait that a carrier asks for",
            format!("{} s", retry::CARRIER_WAIT_MIN.as_secs()),
        ),
        (
            "A wait that a carrier asks for",
            format!("{} h", retry::CARRIER_WAIT_MAX.as_secs() / 3_600),
        ),
        ("A carrier's word", hours(delivery.no_word_deadline_seconds)),
    ];
    for (row, number) in wanted {
        let said = table.get(row).unwrap_or_else(|| panic!("no row `{row}`"));
        let is_there = said.match_indices(&number).any(|(at, _)| {
            let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || c == ',');
            let after = said[at + number.len()..].chars().collect::<Vec<_>>();
            let goes_on =
                after.first() == Some(&',') && after.get(1).is_some_and(char::is_ascii_digit);
            !is_digit(said[..at].chars().next_back())
                && !after.first().is_some_and(char::is_ascii_digit)
                && !goes_on
        });
        assert!(is_there, "{row}: {number} is not in: {said}");
    }
}

#[test]
fn every_setting_is_in_the_table_with_its_flag_and_its_variable() {
    let mut command = Cli::command();
    command.build();
    let serve = command.find_subcommand("serve").unwrap();
    let mut wanted = BTreeSet::new();
    for arg in serve
        .get_arguments()
        .filter(|arg| !arg.is_global_set() && !["help", "version"].contains(&arg.get_id().as_str()))
    {
        let flag = format!("--{}", arg.get_long().unwrap());
        let variable = match flag.as_str() {
            // Read by the logging library, not by clap.
            "--log" => Some("RUST_LOG".to_owned()),
            _ => arg.get_env().map(|name| name.to_str().unwrap().to_owned()),
        };
        wanted.insert((flag, variable));
    }
    let mut said = BTreeSet::new();
    for row in text("README.md")
        .lines()
        .filter_map(cells)
        .filter(|row| row.len() >= 3 && row[1].starts_with("`--"))
    {
        let flag = code_spans(&row[1])[0]
            .split([' ', '='])
            .next()
            .unwrap()
            .to_owned();
        let variable = code_spans(&row[2]).first().map(|name| (*name).to_owned());
        said.insert((flag, variable));
    }
    assert_eq!(said, wanted);
    let page = text("README.md");
    for default in [GRPC_ADDR, HTTP_ADDR, ADMIN_ADDR] {
        assert!(page.contains(default), "{default}");
    }
    assert!(page.contains(&format!("{DRAIN_DELAY_SECONDS} s")));
}

/// The lines of a page's shell blocks, lines that go on put together.
fn shell_lines(page: &str) -> Vec<String> {
    let (mut in_shell, mut line, mut lines) = (false, String::new(), Vec::new());
    for raw in text(page).lines() {
        if raw.trim_start().starts_with("```") {
            in_shell = raw.trim() == "```sh";
        } else if in_shell {
            line.push_str(raw.trim_end_matches('\\'));
            if !raw.ends_with('\\') {
                lines.push(std::mem::take(&mut line));
            }
        }
    }
    lines
}

/// The commands of a line, word by word; what an operator of the shell divides is two commands.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word, mut quote) = (Vec::new(), Vec::new(), String::new(), None);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.push(c),
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '#' && word.is_empty() => break,
            None if c.is_whitespace() || "|&;<>()".contains(c) => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                if !c.is_whitespace() {
                    all.push(std::mem::take(&mut words));
                }
            }
            None => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    all.push(words);
    all
}

/// Each `ringless …` in a shell block is one that the program takes.
#[test]
fn every_command_line_parses() {
    let mut shown = 0;
    let mut pages = crate::files("docs", ".md");
    pages.extend(["README.md", "CHANGELOG.md"].map(str::to_owned));
    for page in pages {
        for words in shell_lines(&page).iter().flat_map(|line| commands(line)) {
            // Variables may stand before the program's name, and a folder in it.
            let Some(at) = words.iter().position(|word| !word.contains('=')) else {
                continue;
            };
            if words[at].rsplit('/').next() != Some("ringless") {
                continue;
            }
            // A variable of the shell stands for an id.
            let given = words[at..].iter().map(|word| match word.starts_with('$') {
                true => "01970c8f-0a45-7e9b-b1f3-0c6d7a2e9518".to_owned(),
                false => word.clone(),
            });
            if let Err(error) = Cli::command().try_get_matches_from(given) {
                use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
                assert!(
                    [DisplayHelp, DisplayVersion].contains(&error.kind()),
                    "{page}: {words:?}\n{error}"
                );
            }
            shown += 1;
        }
    }
    assert!(shown >= 8, "{shown}");
}

#[test]
fn the_first_screen_has_the_two_commands() {
    let page = text("README.md");
    let first: Vec<&str> = page.lines().take(30).collect();
    for command in ["./scripts/demo", "./scripts/test"] {
        assert!(first.contains(&command), "{command}");
        assert!(crate::root().join(command).exists(), "{command}");
    }
}
