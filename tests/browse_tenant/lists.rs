//! Lists of users, groups and computers.

use serde_json::Value;

use crate::demo;
use crate::program::{browse, list};

fn names(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["last_name"].as_str().unwrap_or_default()).collect()
}

#[test]
fn users_are_searched_filtered_and_sorted() {
    let state = demo();
    let (all, page) = list(&state, &["users", "--limit", "1000"]);
    assert_eq!((all.len() as u64, &page["next"]), (page["total"].as_u64().unwrap(), &Value::Null));
    let emails: Vec<_> = all.iter().filter_map(|record| record["primary_email"].as_str()).collect();
    assert!(emails.is_sorted() && emails.len() > 30, "{emails:?}");

    let (found, _) = list(&state, &["users", "--search", "krizova zo"]);
    assert_eq!(names(&found), ["Křížová"]);
    let (found, _) = list(&state, &["users", "--search", "MUSSIG"]);
    assert_eq!(names(&found), ["Müßig"]);
    let (suspended, page) =
        list(&state, &["users", "--state", "suspended", "--source", "ad", "--sort", "last", "--desc"]);
    assert_eq!(names(&suspended), ["Mason", "Bird"]);
    assert_eq!(page["total"], 2);
    let (none, _) = list(&state, &["users", "--mfa", "enrolled"]);
    assert!(none.is_empty());
    let (unknown, page) = list(&state, &["users", "--mfa", "unknown", "--mfa", "not-enrolled", "--source", "ad"]);
    let everywhere = ["ad", "cloud"].map(|source| list(&state, &["users", "--source", source]).1["total"].clone());
    assert_eq!(page["total"], everywhere[0]);
    // Whom both show is one user, and is found through either.
    let twice = all.iter().filter(|user| user["identities"].as_array().is_some_and(|of| of.len() == 2)).count();
    assert_eq!(everywhere.iter().filter_map(Value::as_u64).sum::<u64>(), (all.len() + twice) as u64);
    assert!(unknown.iter().all(|record| record["lock"]["endpoint"] == "ad"));
    let (letters, _) = list(&state, &["users", "--sort", "first", "--prefix", "ž"]);
    let (plain, _) = list(&state, &["users", "--sort", "first", "--prefix", "Z"]);
    assert_eq!(letters, plain);
    assert_eq!(names(&plain), ["Locke", "Křížová"]);
}

#[test]
fn pages_put_together_are_the_whole() {
    let state = demo();
    let (whole, _) = list(&state, &["users", "--sort", "last", "--limit", "1000"]);
    let mut parts = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut arguments = vec!["users", "--sort", "last", "--limit", "7"];
        if let Some(cursor) = &cursor {
            arguments.extend(["--cursor", cursor]);
        }
        let (part, page) = list(&state, &arguments);
        parts.extend(part);
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(parts, whole);
    let text = browse(&state, &["users", "--limit", "2"]);
    assert!(text.contains("2 of ") && text.contains("more: the same with --cursor "), "{text}");
}

#[test]
fn groups_and_computers_are_listed_and_members_of_groups_found() {
    let state = demo();
    let (groups, _) = list(&state, &["groups", "--limit", "1000"]);
    assert!(groups.iter().any(|group| group["kind"] == "endpoint" && group["name"] == "Harbour AD"));
    let id = |name: &str| groups.iter().find(|group| group["name"] == name).unwrap()["id"].as_str().unwrap().to_owned();
    let port = id("Everyone at the Port");
    let (direct, _) = list(&state, &["users", "--group", &port]);
    let (nested, _) = list(&state, &["users", "--group", &port, "--nested"]);
    assert!(nested.len() > direct.len(), "{} and {}", nested.len(), direct.len());
    let (inner, page) = list(&state, &["groups", "--group", &port]);
    assert!(!inner.is_empty() && page["positions"]["harbour"].as_u64().unwrap() > 0);
    let (own, page) = list(&state, &["users", "--group", &id("Harbour AD")]);
    assert_eq!(own.len() as u64, page["total"].as_u64().unwrap());

    let (computers, _) = list(&state, &["computers", "--search", "bridge"]);
    assert_eq!(computers.len(), 2);
    let text = browse(&state, &["computers"]);
    assert!(text.contains("BRIDGE-01") && text.contains("workstation"), "{text}");
}
