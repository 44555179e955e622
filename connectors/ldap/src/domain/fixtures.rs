//! Entries as controllers give them, each with what has to come of it: the fixtures of every profile.
//!
//! A case is a folder with `entry.ldif`, `case.toml` (its class, and what it shows) and `expect.json`. It is there for
//! tests only, and must not know a profile.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a helper of tests")]

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::controller::DomainHead;
use crate::domain::listing::{self, Class, Detail, Found, Listed};
use crate::domain::map::Moment;
use crate::domain::profile::{Membership, Profile};
use crate::filetime::Interval;
use crate::{Dn, Entry};

/// 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600_000;

/// Reads every case of a folder by a profile, and compares. There have to be at least that many.
pub fn check(profile: &dyn Profile, folder: &Path, least: usize) {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for case in std::fs::read_dir(folder).unwrap() {
        let directory = case.unwrap().path();
        // Other cases of the same connector are no entries of a directory.
        if !directory.join("entry.ldif").exists() {
            continue;
        }
        let expected = std::fs::read_to_string(directory.join("expect.json")).unwrap_or_default();
        let found = read(profile, &directory);
        cases += 1;
        if serde_json::from_str::<Value>(&expected).ok().as_ref() != Some(&found) {
            wrong.push(format!("{}\n{found:#}", directory.display()));
        }
    }
    assert!(cases >= least, "only {cases} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn read(profile: &dyn Profile, directory: &Path) -> Value {
    let text = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap();
    let class = text("case.toml")
        .lines()
        .find_map(|line| line.strip_prefix("class = "))
        .map(|class| serde_json::from_str::<Class>(class).unwrap());
    let head = DomainHead {
        dn: Dn::parse("DC=corp,DC=example").unwrap(),
        sid: Some("S-1-5-21-111-222-333".parse().unwrap()),
        lockout: Some(Interval::Of(Duration::from_mins(30))),
    };
    let moment = Moment { now: NOW, lockout: head.lockout };
    let entry = entry(&text("entry.ldif"));
    match listing::read(profile, class.unwrap(), &entry, Detail::Full, &[], &head, &moment) {
        Listed::Excluded(reason) => json!({ "excluded": reason }),
        Listed::Quarantined(record) => {
            json!({ "quarantined": { "id": record.id.map(|id| id.to_string()), "reason": record.reason } })
        }
        Listed::Object(Found { patch, primary, membership, .. }) => {
            let mut found = json!({
                "id": patch.object.id.to_string(),
                "container": patch.container,
                "anchors": patch.anchors,
                "attributes": patch.attributes,
                "observations": patch.observations,
                "primary_group": primary.map(|sid| sid.to_string()),
            });
            if membership == Membership::Unknown {
                found["members"] = "unknown".into();
            }
            found
        }
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
