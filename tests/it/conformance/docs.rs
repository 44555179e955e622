//! The table of checks held against the docs of the contract, line by line. It runs no check.

use std::collections::BTreeSet;
use std::path::Path;

use tenantry::testkit::conformance::ALL;

/// Reads the `# Behaviour` lists of a file: the item and each line, without links.
fn behaviours(text: &str) -> Vec<(String, String)> {
    let (mut found, mut pending) = (Vec::new(), Vec::<String>::new());
    let (mut of_trait, mut in_list) = (String::new(), false);
    for line in text.lines().map(str::trim_start) {
        if let Some(doc) = line.strip_prefix("///") {
            if let Some(heading) = doc.strip_prefix(" # ") {
                in_list = heading == "Behaviour";
            } else if let Some(bullet) = doc.strip_prefix(" - ").filter(|_| in_list) {
                pending.push(bullet.to_owned());
            } else if let (Some(more), Some(last)) = (doc.strip_prefix("   "), pending.last_mut().filter(|_| in_list)) {
                last.push(' ');
                last.push_str(more);
            }
            continue;
        }
        in_list = false;
        let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        let item = if let Some(rest) = line.strip_prefix("pub trait ") {
            of_trait = name(rest);
            of_trait.clone()
        } else if let Some((_, rest)) = line.split_once("fn ") {
            format!("{of_trait}::{}", name(rest))
        } else {
            continue;
        };
        found.extend(pending.drain(..).map(|bullet| (item.clone(), plain(&bullet))));
    }
    found
}

/// Drops links, keeps their text.
fn plain(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('[') {
        let (inside, after) = after.split_once(']').unwrap();
        plain.push_str(before);
        plain.push_str(inside);
        rest = match after.strip_prefix('(') {
            Some(target) => target.split_once(')').unwrap().1,
            None => after,
        };
    }
    plain + rest
}

#[test]
fn every_line_of_behaviour_has_exactly_one_check_and_every_check_cites_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/endpoint");
    let mut written = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        written.extend(behaviours(&std::fs::read_to_string(entry.unwrap().path()).unwrap()));
    }
    let cited: Vec<_> = ALL.iter().map(|check| (check.item.to_owned(), check.behaviour.to_owned())).collect();
    let (written_set, cited_set): (BTreeSet<_>, BTreeSet<_>) = (written.iter().collect(), cited.iter().collect());
    let unchecked: Vec<_> = written_set.difference(&cited_set).collect();
    let unwritten: Vec<_> = cited_set.difference(&written_set).collect();
    assert!(unchecked.is_empty() && unwritten.is_empty(), "unchecked: {unchecked:#?}\nunwritten: {unwritten:#?}");
    assert_eq!((written.len(), cited.len()), (written_set.len(), cited_set.len()), "something is there twice");
    assert_eq!(ALL.iter().map(|check| check.name).collect::<BTreeSet<_>>().len(), ALL.len());
}
