//! Users of several endpoints that are joined, taken apart and moved by hand: each on a copy of the demo tenant.

use crate::edits::copy;
use crate::program::{browse, browser, import, lines, list, run};

/// Users with so many identities, by id.
fn users(state: &std::path::Path, identities: usize) -> Vec<serde_json::Value> {
    let (mut users, _) = list(state, &["users", "--limit", "1000"]);
    users.retain(|user| user["identities"].as_array().is_some_and(|all| all.len() == identities));
    users
}

fn id(user: &serde_json::Value) -> &str {
    user["id"].as_str().unwrap()
}

fn endpoint(user: &serde_json::Value, at: usize) -> &str {
    user["identities"][at]["endpoint"].as_str().unwrap()
}

#[test]
fn users_are_joined_taken_apart_and_moved_by_hand() {
    let (_folder, state) = copy();
    let single = users(&state, 1);
    let one = &single[0];
    let other = single.iter().find(|other| endpoint(other, 0) != endpoint(one, 0)).expect("two endpoints");
    let said = browse(&state, &["join", id(one), id(other)]);
    assert!(said.starts_with(id(one)) && said.contains(&format!("{} was absorbed", id(other))), "{said}");
    let joined = lines(&state, &["user", id(one)]);
    assert_eq!(joined[0]["details"]["record"]["identities"].as_array().unwrap().len(), 2);
    let told = browse(&state, &["user", id(one)]);
    assert!(told.contains("by hand") && told.contains(endpoint(other, 0)), "{told}");
    let value = browse(&state, &["explain", id(one), "display_name"]);
    assert!(value.contains("the value of"), "{value}");
    let gone = run(browser(&state, &["user", id(other)]));
    assert_eq!(gone.status, Some(2), "{gone:?}");
    assert!(gone.err.contains("absorbed") && gone.err.contains(id(one)), "{gone:?}");

    let apart = lines(&state, &["unjoin", id(one), endpoint(other, 0)]);
    assert_eq!((apart[0]["record"]["id"].as_str(), apart[0]["split"]["id"].as_str()), (Some(id(one)), Some(id(other))));
    browse(&state, &["join", id(one), id(other)]);
    let nope = run(browser(&state, &["unjoin", id(one), "nope"]));
    let [both, nope] = [format!("{}, {}", endpoint(one, 0), endpoint(other, 0)), nope.err];
    assert!(nope.contains("endpoint: nope") && nope.contains(&both), "{nope}");
    let founder = browse(&state, &["unjoin", id(one), endpoint(one, 0)]);
    let rows: Vec<&str> = founder.lines().collect();
    assert!(rows[0].starts_with(id(one)) && rows[0].contains(&format!("{} ", endpoint(one, 0))), "{founder}");
    assert!(rows[1].starts_with(id(other)) && rows[1].contains(&format!("{} ", endpoint(other, 0))), "{founder}");
    let third = single.iter().rev().find(|third| endpoint(third, 0) == endpoint(one, 0)).unwrap();
    let moved = lines(&state, &["reanchor", id(other), endpoint(other, 0), id(third)]);
    assert_eq!(moved[0]["record"]["id"], third["id"]);
    let refused = run(browser(&state, &["join", id(third), id(one)]));
    assert_eq!((refused.status, refused.out.as_str()), (Some(2), ""), "{refused:?}");
    assert!(refused.err.contains(endpoint(one, 0)) && refused.err.contains("two people"), "{refused:?}");
    for command in ["conflicts", "probable"] {
        let all = lines(&state, &[command]);
        assert!(all.iter().all(|line| line["customer"].is_string()), "{all:?}");
    }
}

#[test]
fn whom_several_endpoints_of_the_demo_show_is_one_user() {
    let (_folder, state) = copy();
    let joined = users(&state, 2);
    let mut reasons = std::collections::BTreeSet::new();
    for user in &joined {
        assert_eq!((endpoint(user, 0), endpoint(user, 1)), ("ad", "cloud"), "{user}");
        assert_eq!((&user["lock"]["endpoint"], &user["lock"]["others"][0]), (&"ad".into(), &"cloud".into()), "{user}");
        let told = browse(&state, &["user", id(user)]);
        let with = told.lines().find_map(|line| line.split_once("joined with ")).unwrap_or_else(|| panic!("{told}")).1;
        for reason in ["directory id", "verified address", "natural key"] {
            if with.contains(reason) {
                reasons.insert(reason);
            }
        }
        let value = browse(&state, &["explain", id(user), "display_name"]);
        assert!(value.contains("the value of"), "{value}");
    }
    assert_eq!(joined.len(), 4, "{joined:#?}");
    assert_eq!(reasons.len(), 3, "one for each way in which that can be told: {reasons:?}");
    // Nobody of them is listed twice.
    for name in ["Lindqvist", "O'Connell", "Nair", "Fuller"] {
        assert_eq!(list(&state, &["users", "--search", name]).0.len(), 1, "{name}");
    }
}

#[test]
fn a_conflict_is_told_in_words_with_the_names_of_both_and_what_can_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("tenant.db");
    assert_eq!(import(&state, &["--endpoint", "ad"]).status, Some(0));
    let address = "tadeyemi@harbour.example";
    let added = lines(&state, &["add", "user", address, "--first", "Wrong", "--last", "Name"]);
    let by_hand = id(&added[0]["record"]).to_owned();
    let said = import(&state, &[]);
    assert_eq!(said.status, Some(0), "{said:?}");
    let conflict = lines(&state, &["conflicts"]).swap_remove(0);
    let brought = conflict["conflict"]["record"].as_str().unwrap().to_owned();
    let name = lines(&state, &["user", &brought])[0]["details"]["record"]["display_name"].as_str().unwrap().to_owned();
    let feed = browse(&state, &["feed", "--user", &by_hand]);
    for told in [&said.out, &feed] {
        let line = told.lines().find(|line| line.contains("! conflict")).unwrap_or_else(|| panic!("{told}"));
        for word in
            [&*name, "and other names", address, &format!("join {by_hand} {brought}"), "browse_tenant conflicts"]
        {
            assert!(line.contains(word), "{word} is not in {line}");
        }
        assert!(!line.contains('{'), "{line}");
    }
    assert!(!said.out.lines().any(|line| line.contains("+ member     in")), "{said:?}");

    browse(&state, &["join", &by_hand, &brought]);
    let feed = browse(&state, &["feed", "--user", &by_hand]);
    let merged = feed.lines().find(|line| line.contains("one person with")).unwrap_or_else(|| panic!("{feed}"));
    assert!(merged.contains(&brought), "{merged}");

    // Whoever is named first: the one that was added by hand keeps its id.
    browse(&state, &["unjoin", &by_hand, endpoint(&lines(&state, &["user", &by_hand])[0]["details"]["record"], 0)]);
    let all = list(&state, &["users", "--search", address]).0;
    let apart = all.iter().map(id).find(|one| *one != by_hand).unwrap();
    let said = browse(&state, &["join", apart, &by_hand]);
    assert!(said.starts_with(&by_hand) && said.contains(&format!("{apart} was absorbed")), "{said}");
}
