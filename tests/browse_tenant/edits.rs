//! Commands that change something: each on a copy of the demo tenant.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::demo;
use crate::program::{browse, browser, lines, list, run};

pub(crate) fn copy() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("tenant.db");
    std::fs::copy(demo(), &state).unwrap();
    (folder, state)
}

/// A user that an endpoint owns.
fn locked(state: &std::path::Path) -> (String, String) {
    let (users, _) = list(state, &["users", "--locked", "yes", "--limit", "1"]);
    (users[0]["id"].as_str().unwrap().to_owned(), users[0]["lock"]["endpoint"].as_str().unwrap().to_owned())
}

#[test]
fn what_an_endpoint_owns_is_refused_and_what_is_local_is_changed() {
    let (_folder, state) = copy();
    let (id, owner) = locked(&state);
    let said = run(browser(&state, &["edit", &id, "last_name=Local", "room=12"]));
    assert_eq!((said.status, said.out.as_str()), (Some(2), ""), "{said:?}");
    for part in [owner.as_str(), "last_name", "yield"] {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    let changed = lines(&state, &["edit", &id, "floor_by_hand=12"]);
    assert_eq!(changed[0]["record"]["attributes"]["floor_by_hand"], "12");
    let told = browse(&state, &["explain", &id, "floor_by_hand"]);
    assert!(told.contains("floor_by_hand: 12") && told.contains("by hand"), "{told}");
    let back = lines(&state, &["edit", &id, "--withdraw", "floor_by_hand"]);
    assert_eq!(back[0]["record"]["attributes"].get("floor_by_hand"), None);
}

#[test]
fn people_and_groups_are_added_found_archived_tagged_and_restored() {
    let (_folder, state) = copy();
    let (id, _) = locked(&state);
    let added = lines(
        &state,
        &[
            "add",
            "user",
            "eve.ray@mining88.example",
            "--first",
            "Eve",
            "--last",
            "Ray",
            "--set",
            "display_name=Eve Ray",
            "--tag",
            "guest",
        ],
    );
    assert_eq!(added[0]["record"]["lock"], serde_json::Value::Null);
    let twice = run(browser(&state, &["add", "user", "EVE.RAY@mining88.example"]));
    assert_eq!(twice.status, Some(2), "{twice:?}");
    assert!(twice.err.contains("has this address already"), "{twice:?}");
    let said = browse(&state, &["add", "group", "Board", "--member", "eve.ray@mining88.example", "--member", &id]);
    assert!(said.contains("Board: added"), "{said}");
    let group = lines(&state, &["group", "Board"]);
    assert_eq!(group[0]["members"][0]["total"], 2);

    assert_eq!(browse(&state, &["archive", &id]).trim_end().rsplit(": ").next(), Some("archived"));
    let (archived, _) = list(&state, &["users", "--archived", "yes"]);
    assert_eq!(archived.iter().map(|user| &user["id"]).collect::<Vec<_>>(), [&id]);
    browse(&state, &["restore", &id]);
    assert!(list(&state, &["users", "--archived", "yes"]).0.is_empty());
    browse(&state, &["tag", &id, "boss", "registered"]);
    let (tagged, _) = list(&state, &["users", "--tag", "boss"]);
    assert_eq!(tagged[0]["attributes"]["tags"], serde_json::json!(["boss", "registered"]));
    browse(&state, &["tag", &id]);
    assert!(list(&state, &["users", "--tag", "boss"]).0.is_empty());
    assert!(lines(&state, &["conflicts"]).is_empty());
}

#[test]
fn a_table_is_checked_and_added_and_what_is_wrong_is_told() {
    let (folder, state) = copy();
    let sample = browse(&folder.path().join("none.db"), &["import-csv", "--sample"]);
    let file = folder.path().join("people.csv");
    std::fs::write(&file, format!("{sample}nobody,N,N,,,,,,\r\n")).unwrap();
    let file = file.to_str().unwrap();
    let before = list(&state, &["users"]).1["total"].clone();
    let checked = run(browser(&state, &["import-csv", file, "--dry-run"]));
    assert_eq!((checked.status, checked.err.as_str()), (Some(3), ""));
    assert!(checked.out.contains("line 4, column primary_email: this is no mail address"), "{checked:?}");
    assert!(checked.out.contains("2 of 3 rows would be added, 1 refused"), "{checked:?}");
    assert_eq!(list(&state, &["users"]).1["total"], before);
    let added = run(browser(&state, &["--json", "import-csv", file]));
    let report: serde_json::Value = serde_json::from_str(&added.out).unwrap();
    assert_eq!((added.status, &report["report"]["added"]), (Some(3), &2.into()), "{report}");
    let (found, _) = list(&state, &["users", "--search", "ann.lee@corp.example"]);
    assert_eq!(found[0]["aliases"], serde_json::json!(["a.lee@corp.example", "ann@corp.example"]));
    let missing = run(browser(&state, &["import-csv", "/nowhere/people.csv"]));
    assert_eq!(missing.status, Some(2));
    assert!(missing.err.contains("/nowhere/people.csv") && missing.err.contains("no such file"), "{missing:?}");
}

#[test]
fn a_table_that_cannot_be_read_is_told_with_its_file_the_wrong_name_and_the_lines_in_order() {
    let (folder, state) = copy();
    let people = folder.path().join("people.csv");
    let people = people.to_str().unwrap();
    std::fs::write(people, "Mail,first_name\nbo.berg@corp.example,Bo\nnobody,N\nbo.berg@corp.example,B\n").unwrap();
    for (arguments, words) in [
        (&["import-csv", folder.path().to_str().unwrap()][..], &["it is a folder"][..]),
        (&["import-csv", people, "--map", "Mail=wrong_name"], &["wrong_name", "people.csv"]),
        (&["import-csv", people, "--map", "Nope=first_name"], &["--map: Nope", "people.csv"]),
    ] {
        let said = run(browser(&state, arguments));
        assert_eq!((said.status, said.out.as_str()), (Some(2), ""), "{said:?}");
        assert!(words.iter().all(|word| said.err.contains(word)), "{words:?} {said:?}");
    }
    std::fs::write(people, "Mail\nwho@corp.example\n").unwrap();
    browse(&state, &["import-csv", people, "--map", "mail=primary_email"]);
    // Who is there is found out at the end of a part, a cell that is wrong at once.
    std::fs::write(people, "Mail\nwho@corp.example\nnobody\n").unwrap();
    let said = run(browser(&state, &["import-csv", people]));
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("line 2") && lines[1].starts_with("line 3"), "{said:?}");
}

#[test]
fn an_exported_list_can_be_imported_once_the_people_are_gone() {
    let (folder, state) = copy();
    let table = browse(&state, &["users", "--csv"]);
    let file = folder.path().join("people.csv");
    std::fs::write(&file, &table).unwrap();
    let report = run(browser(&state, &["--json", "import-csv", file.to_str().unwrap(), "--dry-run"]));
    let report: serde_json::Value = serde_json::from_str(&report.out).unwrap_or_else(|_| panic!("{report:?}"));
    assert_eq!(report["report"]["added"], 0, "all of them are there: {report}");
    assert_eq!(report["report"]["complete"], true);
}
