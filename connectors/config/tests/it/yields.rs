//! What endpoints leave to local editors.

use tenantry::Directory;
use tenantry::model::AttributeName;

use crate::support::*;

fn with(yields: &str) -> String {
    format!("{MINIMAL}yields = {yields}\n")
}

fn names(yields: &str) -> Vec<String> {
    let config = parse(&with(yields)).unwrap();
    config.endpoints[0].yields.iter().map(|name| name.as_str().to_owned()).collect()
}

#[test]
fn attributes_are_named_as_events_spell_them_and_what_connectors_tell_beyond_goes_without_prefix() {
    assert_eq!(parse(MINIMAL).unwrap().endpoints[0].yields.len(), 0);
    assert_eq!(names(r#"["mobile", "last_name", "attributes.mobile"]"#), ["attributes.mobile", "last_name"]);
    assert_eq!(names(r#""attributes.badge colour""#), ["attributes.badge colour"]);
    assert_eq!(names("[]").len(), 0);
}

#[test]
fn what_is_no_attribute_is_refused_with_its_line_and_what_may_be_meant() {
    let found = problems(&with("[\n  \"mobile\",\n  \"lastname\",\n  \"shoe_size\",\n  \"attributes.\",\n]"));
    let first = MINIMAL.lines().count() + 1;
    let lines: Vec<usize> = found.iter().map(|problem| problem.line - first).collect();
    assert_eq!(lines, [2, 3, 4], "{found:#?}");
    assert!(found[0].remedy.contains("did you mean last_name?"), "{}", found[0]);
    assert!(found[1].remedy.contains("attributes.…"), "{}", found[1]);
    assert!(found.iter().all(|problem| problem.key == "endpoint.yields"));
}

#[test]
fn what_only_the_directory_can_say_is_refused() {
    for fact in ["state", "mfa", "locked_out", "must_change_password", "enabled", "owner", "kind", "attributes.tags"] {
        let found = problems(&with(&format!("[\"{fact}\"]")));
        assert_eq!(found.len(), 1, "{fact}");
        assert!(!found[0].remedy.is_empty());
        assert!(Directory::check_yielded(&AttributeName::parse(fact)).is_some());
    }
    assert_eq!(problems(&with("[7]")).len(), 1);
    assert_eq!(problems(&with("true")).len(), 1);
}
