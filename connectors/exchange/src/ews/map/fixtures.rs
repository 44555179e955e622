//! Answers as servers give them, each with what has to come of it: `fixtures/exchange/ews-<case>/`.

use std::path::Path;

use serde_json::{Value as Json, json};
use tenantry::Retry;

use super::super::answer::{self, Outcome};
use super::super::error::{Meaning, meaning};
use super::*;

fn shown(resolution: &Resolution, full: bool) -> Json {
    match object(resolution, full) {
        Mapped::Object(patch) => json!({
            "id": patch.object.id.to_string(),
            "kind": patch.object.kind,
            "attributes": patch.attributes,
        }),
        Mapped::Left(why) => json!({ "left": why }),
        Mapped::Senseless(set_aside) => {
            json!({ "quarantined": set_aside.id.map(|id| id.to_string()), "kind": set_aside.kind })
        }
    }
}

fn member(member: &Mailbox) -> Json {
    let address = member_address(member).map(|address| SourceId::address(address).to_string());
    address.map_or(Json::Null, |id| json!({ "id": id, "kind": member_kind(&member.kind) }))
}

fn read_case(directory: &Path) -> Json {
    let text = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap();
    let case = text("case.toml");
    assert!(case.contains("proves = "), "{}", directory.display());
    let full = case.contains("full = true");
    let outcome = match answer::read(text("answer.xml").as_bytes()) {
        Ok(reply) => reply.outcome,
        Err(error) => return json!({ "unreadable": error.kind().as_str() }),
    };
    match outcome {
        Outcome::Resolved(set) => json!({
            "cut": set.is_cut(),
            "items": set.items.iter().map(|item| shown(item, full)).collect::<Vec<_>>(),
        }),
        Outcome::Expanded(set) => json!({
            "cut": set.has_last == Some(false),
            "members": set.items.iter().map(member).collect::<Vec<_>>(),
        }),
        Outcome::Refused(refusal) | Outcome::Fault(refusal) => match meaning(&refusal) {
            Meaning::Nobody => json!({ "nobody": true }),
            Meaning::Older => json!({ "older": true }),
            Meaning::Failure(error) => {
                let after = match error.retry() {
                    Retry::After(wait) => Some(wait.as_millis()),
                    _ => None,
                };
                json!({ "failure": error.kind().as_str(), "after": after })
            }
        },
    }
}

#[test]
fn every_fixture_becomes_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/exchange");
    let mut wrong = Vec::new();
    let mut cases = 0;
    for case in std::fs::read_dir(root).unwrap() {
        let directory = case.unwrap().path();
        if !directory.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("ews-")) {
            continue;
        }
        let expected = std::fs::read_to_string(directory.join("expect.json")).unwrap_or_default();
        let found = read_case(&directory);
        cases += 1;
        if serde_json::from_str::<Json>(&expected).ok().as_ref() != Some(&found) {
            wrong.push(format!("{}\n{found:#}", directory.display()));
        }
    }
    assert!(cases > 15, "only {cases} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
