//! The arrows between the rooms, as docs/ARCHITECTURE.md draws them.

use std::collections::BTreeSet;

use crate::{files, text};

/// A file without its comments, and without what only its tests hold.
fn code(path: &str) -> String {
    let text = text(path);
    let kept = match text.find("\n#[cfg(test)]\nmod tests {") {
        Some(at) => &text[..at],
        None => &text[..],
    };
    kept.lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/") || path.ends_with("testing.rs")
}

/// The code of every file of a room.
fn room(name: &str) -> Vec<(String, String)> {
    let all: Vec<_> = files("src", ".rs")
        .into_iter()
        .filter(|path| {
            path.starts_with(&format!("src/{name}/")) || *path == format!("src/{name}.rs")
        })
        .filter(|path| !is_test(path))
        .map(|path| (path.clone(), code(&path)))
        .collect();
    assert!(!all.is_empty(), "there is no room {name}");
    all
}

/// The rooms that code names: what follows `crate::`, braces included.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(is_word) {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let group = match rest.strip_prefix('{') {
            Some(inner) => inner
                .split('}')
                .next()
                .unwrap_or("")
                .split(',')
                .map(str::trim)
                .collect(),
            None => vec![rest],
        };
        for path in group {
            let name: String = path.chars().take_while(|c| is_word(*c)).collect();
            if name.starts_with(|c: char| c.is_ascii_lowercase()) {
                rooms.insert(name);
            }
        }
    }
    rooms
}

/// Does the code name this crate?
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let before = code[..at].chars().next_back();
        !before.is_some_and(is_word) && code[at + name.len()..].starts_with("::")
    })
}

#[test]
fn each_room_names_only_the_rooms_that_it_may() {
    let arrows: [(&str, &[&str]); 5] = [
        ("domain", &["domain"]),
        ("audio", &["audio"]),
        ("carrier", &["carrier", "domain", "secret"]),
        ("storage", &["storage", "domain", "clock", "chance"]),
        ("ops", &["ops", "domain", "storage", "carrier", "audio"]),
    ];
    for (name, allowed) in arrows {
        for (path, code) in room(name) {
            for named in rooms_named(&code) {
                assert!(
                    allowed.contains(&named.as_str()),
                    "{path} names crate::{named}; {name} may name {allowed:?}"
                );
            }
        }
    }
}

#[test]
fn the_worker_and_the_intake_know_nothing_of_the_wire() {
    for (path, code) in [room("worker"), room("intake")].concat() {
        assert!(
            !rooms_named(&code).contains("grpc"),
            "{path} names crate::grpc"
        );
        assert!(!names_crate(&code, "tonic"), "{path} names tonic");
    }
}

#[test]
fn the_rules_and_the_verbs_are_free_of_frameworks() {
    for (path, code) in [room("domain"), room("ops"), room("carrier"), room("audio")].concat() {
        for framework in ["tonic", "diesel", "axum", "prost"] {
            assert!(!names_crate(&code, framework), "{path} names {framework}");
        }
    }
    for (path, code) in room("domain") {
        for effect in [
            "tokio",
            "tracing",
            "std::fs",
            "std::net",
            "std::time::SystemTime",
            "std::time::Instant",
            "async ",
        ] {
            assert!(!code.contains(effect), "{path} has {effect}");
        }
    }
}

#[test]
fn the_database_library_stays_in_the_storage_room() {
    for path in files("src", ".rs")
        .into_iter()
        .filter(|path| !path.starts_with("src/storage/"))
    {
        assert!(!names_crate(&code(&path), "diesel"), "{path} names diesel");
    }
}

#[test]
fn one_place_reads_the_clock() {
    for path in files("src", ".rs")
        .into_iter()
        .filter(|path| path != "src/clock.rs")
    {
        assert!(
            !code(&path).contains("SystemTime::now"),
            "{path} reads the clock"
        );
    }
    assert!(code("src/clock.rs").contains("SystemTime::now"));
}

#[test]
fn unsafe_code_is_where_c_is_called() {
    const CALL_C: [&str; 3] = [
        "src/audio/minimp3.rs",
        "src/memory.rs",
        "src/storage/libpq.rs",
    ];
    for path in files("src", ".rs")
        .into_iter()
        .filter(|path| !CALL_C.contains(&path.as_str()))
    {
        let code = code(&path);
        assert!(
            !code
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .any(|word| word == "unsafe"),
            "{path}"
        );
    }
}

#[test]
fn a_status_moves_only_through_the_table() {
    // Whoever sets a status either asks `apply` on the same line, or makes a new voicemail.
    for (path, code) in room("domain")
        .into_iter()
        .chain(room("ops"))
        .chain(room("worker"))
    {
        for line in code.lines().filter(|line| line.contains(".status = ")) {
            let is_of_a_setup_or_number =
                path.ends_with("setups.rs") || path.ends_with("phone_numbers.rs");
            assert!(
                is_of_a_setup_or_number || line.contains("apply("),
                "{path}: {line}"
            );
        }
    }
}

#[test]
fn the_map_names_every_room() {
    let page = text("docs/ARCHITECTURE.md");
    for path in files("src", ".rs") {
        let inner = path.trim_start_matches("src/");
        let room = match inner.split_once('/') {
            Some((folder, _)) => format!("src/{folder}/"),
            None if inner == "main.rs" || inner == "lib.rs" || is_test(&path) => continue,
            None => format!("src/{inner}"),
        };
        assert!(
            page.contains(&room),
            "docs/ARCHITECTURE.md does not name {room}"
        );
    }
}

/// Every `src/…` that the pages speak of is there.
#[test]
fn the_pages_name_files_that_exist() {
    let mut pages = files("docs", ".md");
    pages.extend(["README.md".to_owned(), "CHANGELOG.md".to_owned()]);
    for page in pages {
        for span in crate::code_spans(&text(&page).replace("```", "")) {
            let is_path = [
                "src/",
                "proto/",
                "migrations/",
                "tests/",
                "scripts/",
                "docs/",
                "assets/",
                "clients/",
            ]
            .iter()
            .any(|folder| span.starts_with(folder));
            let is_pattern = span.contains(['*', '<', '{', ' ', '…']) || span.contains("NAME");
            if is_path && !is_pattern {
                assert!(crate::root().join(span).exists(), "{page} names `{span}`");
            }
        }
    }
}

/// A fault test waits for each point of the list, and one that is not listed is never tried.
#[test]
fn each_crash_point_of_the_list_stands_in_the_code_once_or_twice() {
    let mut found = Vec::new();
    for path in files("src", ".rs")
        .into_iter()
        .filter(|path| path != "src/crash.rs")
    {
        let code = code(&path);
        for start in ["crash::point(\"", "crash::after(\""] {
            let passages = code.split(start).skip(1);
            found.extend(passages.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    found.sort();
    // A step that is done alone, or together with others, passes its point in two places.
    for twice in [
        "accept.written",
        "begin.committed",
        "begin.written",
        "claim.committed",
        "record.written",
    ] {
        let second = found.iter().rposition(|point| point == twice);
        found.remove(second.expect("the point is there"));
    }
    let mut listed = ringless::crash::POINTS.map(str::to_owned).to_vec();
    listed.sort();
    assert_eq!(found, listed);
}
