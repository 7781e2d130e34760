//! Every relative link of the pages points to a file, and every anchor to a heading.

use std::path::Path;

use crate::{files, root, text};

/// The lines outside code fences.
fn prose(page: &str) -> Vec<String> {
    let mut in_fence = false;
    let mut lines = Vec::new();
    for line in text(page).lines() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if !in_fence {
            lines.push(line.to_owned());
        }
    }
    assert!(!in_fence, "{page}: a fence is not closed");
    lines
}

fn links(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(page) {
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            if let Some(end) = rest.find(')') {
                found.push(rest[..end].to_owned());
            }
        }
    }
    found
}

/// The anchor that a heading gets.
fn slug(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn anchors(page: &str) -> Vec<String> {
    let headings = prose(page).into_iter().filter(|line| line.starts_with('#'));
    headings
        .map(|line| slug(line.trim_start_matches('#')))
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut pages = files("docs", ".md");
    pages.extend(files("proto", ".md"));
    pages.extend(files("assets", ".md"));
    pages.extend(["README.md", "CHANGELOG.md"].map(str::to_owned));
    for page in &pages {
        for link in links(page) {
            if link.starts_with("https://") || link.starts_with("http://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(page).parent().unwrap();
            let target = if path.is_empty() {
                root().join(page)
            } else {
                root().join(folder).join(path)
            };
            assert!(target.exists(), "{page} links to {link}");
            if !anchor.is_empty() {
                let target = target.canonicalize().unwrap();
                let named = target.strip_prefix(root().canonicalize().unwrap()).unwrap();
                let headings = anchors(&named.to_string_lossy());
                assert!(
                    headings.contains(&anchor.to_owned()),
                    "{page} links to {link}: no such heading"
                );
            }
        }
    }
}

#[test]
fn the_readme_leads_to_every_page() {
    let links = links("README.md");
    for page in files("docs", ".md") {
        let is_reached = links.contains(&page)
            || text("docs/ARCHITECTURE.md")
                .contains(&format!("]({})", page.trim_start_matches("docs/")));
        assert!(is_reached, "nothing leads to {page}");
    }
}
