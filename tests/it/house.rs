//! The house rules that a compiler does not hold: who may use whom, and which crate appears where.

use std::path::{Path, PathBuf};

/// Rooms of the engine; each may use those of rows before its own, and its own.
const ROWS: &[&[&str]] = &[
    &["error", "secret", "meter"],
    &["model"],
    &["gate"],
    &["endpoint"],
    &["coverage"],
    &["rules"],
    &["store"],
    &["run", "directory", "outbox"],
    &["service"],
    &["testkit"],
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn row_of(room: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&room))
}

/// Returns the rooms that a file uses, by its `crate::` paths. What it only tells in its docs does not count.
fn rooms_used(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
        .filter(|room| row_of(room).is_some())
        .collect()
}

#[test]
fn a_room_uses_only_rooms_before_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some(row) = row_of(room) else { continue };
        for used in rooms_used(&std::fs::read_to_string(&path).unwrap()) {
            let other = row_of(&used).unwrap();
            if other > row || (other == row && used != room && row == 7) {
                broken.push(format!("{}: {room} uses {used}", inside.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn crates_of_one_purpose_stay_in_their_room() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    for (folder, forbidden, allowed) in [
        ("src", &["governor::", "backoff::"][..], "gate"),
        ("src", &["rusqlite::"][..], "store"),
        ("src", &["metrics::"][..], "meter.rs"),
        ("src", &["reqwest::", "graph_rs_sdk::", "google_apis_common::", "ldap3::"][..], ""),
    ] {
        for path in sources(&root.join(folder)) {
            let inside = path.strip_prefix(root.join(folder)).unwrap();
            if !allowed.is_empty() && inside.starts_with(allowed) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                broken.extend(
                    forbidden
                        .iter()
                        .filter(|name| line.contains(**name))
                        .map(|name| format!("{}: {name}", inside.display())),
                );
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_provider_is_named_in_the_engine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // `Microsoft365` and `Google` are kinds of groups in the outside contract.
    let names = ["ActiveDirectory", "active_directory", "Office365", "office365", "GSuite", "gsuite", "exchange"];
    let mut broken = Vec::new();
    for path in sources(&root) {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            broken.extend(
                names.iter().filter(|name| line.contains(**name)).map(|name| format!("{}: {name}", path.display())),
            );
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn connectors_do_not_use_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors");
    // What several of them stand on; the configuration knows them all.
    let shared = ["http", "ldap", "config"];
    let folders: Vec<String> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !shared.contains(&name.as_str()))
        .collect();
    assert!(folders.len() >= 4, "{folders:?}");
    let mut broken = Vec::new();
    for folder in folders.iter().map(String::as_str).chain(["http", "ldap"]) {
        let manifest = std::fs::read_to_string(root.join(folder).join("Cargo.toml")).unwrap();
        for other in folders.iter().filter(|other| *other != folder) {
            if manifest.lines().any(|line| line.starts_with(&format!("tenantry-{other}"))) {
                broken.push(format!("{folder} uses {other}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
