//! Holds the documentation, and what lies beside the program, against the program: the errors page
//! and the protos' comments, the states page, the retry settings, the README's numbers and links,
//! the compose file, and the arrows of docs/ARCHITECTURE.md. Nothing is started here.
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

#[path = "docs/architecture.rs"]
mod architecture;
#[path = "docs/compose.rs"]
mod compose;
#[path = "docs/error_examples.rs"]
mod error_examples;
#[path = "docs/errors.rs"]
mod errors;
#[path = "docs/links.rs"]
mod links;
#[path = "docs/proto.rs"]
mod proto;
#[path = "docs/readme.rs"]
mod readme;
#[path = "docs/service_config.rs"]
mod service_config;
#[path = "docs/states.rs"]
mod states;

use std::path::{Path, PathBuf};

/// The top of the project.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file, named from the top of the project.
fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below a folder whose name ends like this, named from the top of the project.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(&root().join(folder), ending, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no *{ending} below {folder}");
    found
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            let relative = path.strip_prefix(root()).unwrap();
            found.push(relative.to_string_lossy().into_owned());
        }
    }
}

/// The cells of a Markdown table row; `None` for any other line, and for the line below the head.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let cells: Vec<String> = inner
        .split('|')
        .map(|cell| cell.trim().to_owned())
        .collect();
    let is_rule = cells
        .iter()
        .all(|cell| !cell.is_empty() && cell.bytes().all(|b| b == b'-' || b == b':'));
    (!is_rule).then_some(cells)
}

/// What stands between backticks.
fn code_spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
