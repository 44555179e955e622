//! Entries as controllers give them, each with what has to come of it: `fixtures/active-directory/<case>/`.

use std::path::Path;

use serde_json::{Value, json};
use tenantry::Secret;
use tenantry_ldap::filetime::Interval;

use super::*;
use crate::config::ActiveDirectoryConfig;
use crate::cursor::Position;

/// 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600_000;

fn controller() -> Controller {
    let position = Position {
        server: "dc1.corp.example".into(),
        service: String::new(),
        invocation: Uuid::nil(),
        usn: 1,
        time: 0,
        policy: [None; 2],
    };
    let lockout = Some(Interval::Of(std::time::Duration::from_mins(30)));
    Controller::for_tests(position, "DC=corp,DC=example", "S-1-5-21-111-222-333".parse().unwrap(), lockout)
}

fn read(directory: &Path) -> Value {
    let text = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap();
    let class = text("case.toml")
        .lines()
        .find_map(|line| line.strip_prefix("class = "))
        .map(|class| serde_json::from_str::<Class>(class).unwrap());
    let controller = controller();
    let config = ActiveDirectoryConfig::new("ldaps://dc1.corp.example", "sync", Secret::new("pw")).check().unwrap();
    let moment = Moment { now: NOW, lockout: controller.lockout };
    let entry = entry(&text("entry.ldif"));
    match class.unwrap().read(&entry, Detail::Full, &config, &controller, &moment) {
        Listed::Excluded(reason) => json!({ "excluded": reason }),
        Listed::Quarantined(record) => {
            json!({ "quarantined": { "id": record.id.map(|id| id.to_string()), "reason": record.reason } })
        }
        Listed::Object(Found { patch, primary, .. }) => json!({
            "id": patch.object.id.to_string(),
            "container": patch.container,
            "anchors": patch.anchors,
            "attributes": patch.attributes,
            "observations": patch.observations,
            "primary_group": primary.map(|sid| sid.to_string()),
        }),
    }
}

fn entry(ldif: &str) -> Entry {
    let mut dn = String::new();
    let mut attributes: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    for line in ldif.lines() {
        let (name, value) = line.split_once(':').unwrap();
        let value = match value.strip_prefix(": ") {
            Some(encoded) => base64(encoded),
            None => value.trim_start().as_bytes().to_vec(),
        };
        match name {
            "dn" => dn = String::from_utf8(value).unwrap(),
            _ => match attributes.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(value),
                None => attributes.push((name.to_owned(), vec![value])),
            },
        }
    }
    Entry::new(dn, attributes)
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        bits = (bits << 6) | u32::try_from(ALPHABET.iter().position(|known| *known == byte).unwrap()).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).unwrap());
        }
    }
    bytes
}

#[test]
fn every_fixture_becomes_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/active-directory");
    let mut wrong = Vec::new();
    let mut cases = 0;
    for case in std::fs::read_dir(root).unwrap() {
        let directory = case.unwrap().path();
        let expected = std::fs::read_to_string(directory.join("expect.json")).unwrap_or_default();
        let found = read(&directory);
        cases += 1;
        if serde_json::from_str::<Value>(&expected).ok().as_ref() != Some(&found) {
            wrong.push(format!("{}\n{found:#}", directory.display()));
        }
    }
    assert!(cases > 20, "only {cases} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
