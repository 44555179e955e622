//! The sample and the reference of the keys, held to what is accepted.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::*;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the examples of the reference that are marked as TOML.
fn examples(reference: &str) -> Vec<&str> {
    let blocks = reference.split("```toml\n").skip(1);
    blocks.map(|block| block.split_once("```").expect("a block that ends").0).collect()
}

#[test]
fn the_sample_is_accepted() {
    let sample = fs::read_to_string(repository().join("examples/tenant.toml")).unwrap();
    let config = parse(&sample).unwrap();
    assert_eq!(config.customer.id.as_str(), "mining-88");
    assert!(!config.endpoints.is_empty());
}

#[test]
fn the_sample_is_accepted_with_every_commented_key_in_use() {
    let sample = fs::read_to_string(repository().join("examples/tenant.toml")).unwrap();
    let all: Vec<_> = sample.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect();
    let all = all.join("\n");
    assert_ne!(all, sample);
    parse(&all).unwrap();
}

#[test]
fn every_example_of_the_reference_is_accepted() {
    let reference = fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let examples = examples(&reference);
    assert!(examples.len() >= 2);
    for example in examples {
        if let Err(error) = parse(example) {
            panic!("{error:?}\n{example}");
        }
    }
}

#[test]
fn every_key_that_a_table_takes_is_in_the_reference_and_in_the_sample() {
    let reference = fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let sample = fs::read_to_string(repository().join("examples/tenant.toml")).unwrap();
    let with_strangers =
        format!("zzzzzzzz = 1\n{MINIMAL}zzzzzzzz = 1\n[guard]\nzzzzzzzz = 1\nusers = {{ zzzzzzzz = 1 }}\n")
            .replace("[[endpoint]]", "zzzzzzzz = 1\n[[endpoint]]");
    let in_the_cloud = format!(
        "{CLOUD}zzzzzzzz = 1\n[endpoint.quota]\nzzzzzzzz = 1\ntenant = {{ permits = 1, per = 1, zzzzzzzz = 1 }}\n"
    );
    let [mail, web_mail] = [MAIL, WEB_MAIL].map(|text| problems(&format!("{text}zzzzzzzz = 1\n")));
    let at_google = format!("{GOOGLE}zzzzzzzz = 1\n[endpoint.quota]\nzzzzzzzz = 1\n");
    let others = [problems(&in_the_cloud), problems(&at_google), mail, web_mail].concat();
    let found = [problems(&with_strangers), others].concat();
    assert_eq!(found.len(), 12, "{found:#?}");
    for problem in found {
        let keys = problem.remedy.strip_prefix("the keys here are ").expect("a list of keys").to_owned();
        for key in keys.split(", ") {
            assert!(reference.contains(&format!("`{key}`")), "{key} is not in the reference");
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            assert!(sample.split(|c| !word(c)).any(|found| found == key), "{key} is not in the sample");
        }
    }
}
