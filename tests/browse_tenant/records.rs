//! One record in full, what happened, and why.

use serde_json::Value;

use crate::demo;
use crate::program::{browse, lines, list};

#[test]
fn a_user_is_shown_with_groups_and_imports_by_id_or_address() {
    let state = demo();
    let text = browse(&state, &["user", "abotros@harbour.example"]);
    for wanted in ["Amal Botros", "locked by ad", "in Cargo Office", "through another group", "last import "] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    let shown = lines(&state, &["user", "ABOTROS@harbour.example"]).swap_remove(0);
    let id = shown["details"]["record"]["id"].as_str().unwrap();
    assert_eq!(lines(&state, &["user", id]).swap_remove(0), shown);
    assert_eq!(browse(&state, &["user", id]), text);
    assert_eq!(shown["details"]["sources"][0]["endpoint"], "ad");
}

#[test]
fn a_group_is_shown_with_its_members() {
    let state = demo();
    let shown = lines(&state, &["group", "Safety Officers"]).swap_remove(0);
    let users = &shown["members"][0];
    assert_eq!((users["kind"].as_str(), users["total"].as_u64()), (Some("user"), Some(4)));
    assert_eq!(users["found"].as_array().unwrap().len(), 4);
    let text = browse(&state, &["group", "Safety Officers", "--limit", "1"]);
    assert!(text.contains("4 users"), "{text}");
}

#[test]
fn the_feed_tells_the_newest_first_and_goes_back() {
    let state = demo();
    let mut newest = lines(&state, &["feed", "--limit", "3", "--only", "events"]);
    let page = newest.pop().unwrap();
    let position = |event: &Value| event["sequence"].as_str().unwrap().parse::<u64>().unwrap();
    let positions: Vec<u64> = newest.iter().map(position).collect();
    assert_eq!(newest[0]["type"], "tenantry.import.finished");
    assert_eq!(positions, (0..3).map(|back| positions[0] - back).collect::<Vec<_>>());
    let older = lines(&state, &["feed", "--limit", "2", "--cursor", page["next"].as_str().unwrap()]);
    assert_eq!(position(&older[0]), positions[2] - 1);
    let text = browse(&state, &["feed", "--limit", "1000"]);
    for wanted in ["import of ad done", "+ user Amal Botros <abotros@harbour.example>", "in Cargo Office"] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
}

#[test]
fn the_runs_are_listed() {
    let state = demo();
    let runs = lines(&state, &["runs"]);
    assert_eq!((&runs[0]["customer"], &runs[0]["report"]["outcome"]), (&"harbour".into(), &"done".into()));
    let text = browse(&state, &["runs"]);
    assert!(text.contains("snapshot") && text.contains(runs[0]["report"]["run"].as_str().unwrap()), "{text}");
}

#[test]
fn an_attribute_is_explained() {
    let state = demo();
    let runs = lines(&state, &["runs"]);
    let of_ad = runs.iter().find(|run| run["report"]["name"] == "ad").unwrap();
    let run = of_ad["report"]["run"].as_str().unwrap().to_owned();
    let text = browse(&state, &["explain", "abotros@harbour.example", "title"]);
    assert!(text.contains("Head of Cargo") && text.contains("the value of ad") && text.contains(&run), "{text}");
    let line = lines(&state, &["explain", "abotros@harbour.example", "last_name"]).swap_remove(0);
    assert_eq!(line["explained"]["value"], "Botros");
    assert_eq!(line["explained"]["owner"]["endpoint"], "ad");
    assert_eq!(line["explained"]["changed"]["run"], run.as_str());
    let unknown = browse(&state, &["explain", "abotros@harbour.example", "shoe_size"]);
    assert!(unknown.contains("not known"), "{unknown}");
}

#[test]
fn a_list_is_of_the_customers_that_were_named() {
    let state = demo();
    let (all, _) = list(&state, &["users", "--limit", "1000"]);
    let (named, _) = list(&state, &["users", "--limit", "1000", "--customer", "harbour"]);
    assert_eq!(all, named);
}
