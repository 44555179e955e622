//! Directories that show the same people in different ways, made from a seed; and who is one person, reckoned by brute force.
//!
//! The reckoning knows the directories alone, and none of the engine's code.

use std::collections::{BTreeMap, BTreeSet};

use tenantry::model::{ObjectKind, Value, names};
use tenantry::testkit::{ScriptedDirectory, ScriptedObject};

use super::shown::Id;
use crate::laws::Dice;

pub(super) const ENDPOINTS: [&str; 3] = ["ad", "cloud", "google"];
/// The domain that is the customer's; the other one is not.
pub(super) const DOMAINS: [&str; 2] = ["corp.example", "free.example"];

/// The id of a person's account at an endpoint; a person may have two there.
pub(super) fn account(endpoint: usize, person: u64, twin: u64) -> u128 {
    u128::from(1000 * (endpoint as u64 + 1) + 10 * person + twin)
}

fn address(person: u64, domain: usize) -> String {
    format!("p{person}@{}", DOMAINS[domain])
}

/// Makes the directories of so many endpoints. With `anchored`, people are told apart by anchors alone.
pub(super) fn crowd(dice: &mut Dice, endpoints: usize, anchored: bool) -> Vec<ScriptedDirectory> {
    let people = 2 + dice.below(6);
    (0..endpoints)
        .map(|endpoint| {
            let mut directory = ScriptedDirectory::new(&format!("domain-{}", ENDPOINTS[endpoint]));
            directory.tombstones_readable = true;
            // Somebody who is seen nowhere else: no endpoint is empty.
            let only = directory.add_user(account(endpoint, 99, 0), "oslo");
            let email = format!("only{endpoint}@corp.example");
            directory.set(&only, names::PRIMARY_EMAIL, email);
            for person in 1..=people {
                for twin in 0..=u64::from(dice.one_in(9) && !anchored) {
                    if !dice.one_in(4) {
                        add_account(&mut directory, dice, (endpoint, person, twin), anchored);
                    }
                }
            }
            add_things(&mut directory, dice, endpoint, people, !anchored);
            directory
        })
        .collect()
}

fn add_account(
    directory: &mut ScriptedDirectory,
    dice: &mut Dice,
    (endpoint, person, twin): (usize, u64, u64),
    anchored: bool,
) {
    let id = directory.add_user(account(endpoint, person, twin), if dice.one_in(2) { "oslo" } else { "rome" });
    let domain = usize::from(dice.one_in(4));
    directory.set(&id, names::FIRST_NAME, format!("First{person}"));
    directory.set(&id, names::LAST_NAME, format!("Last{person}"));
    let sid = format!("S-1-5-21-{person}");
    if anchored {
        // Addresses and names say nothing of who it is.
        directory.set(&id, names::PRIMARY_EMAIL, format!("e{endpoint}.{person}@corp.example"));
        directory.anchor(&id, "security-id", &sid);
        return;
    }
    directory.set(&id, names::PRIMARY_EMAIL, address(person, domain).to_uppercase());
    if endpoint == 0 {
        directory.anchor(&id, "object-guid", &id.to_string());
        if dice.one_in(3) {
            directory.anchor(&id, "security-id", &sid);
        }
    } else {
        let of = ScriptedDirectory::id(account(0, person, dice.below(2) / 2)).to_string();
        match dice.below(8) {
            0..=1 => directory.anchor(&id, "object-guid", &of),
            2 => directory.anchor(&id, "consistency-guid", &of),
            3 => directory.anchor(&id, "security-id", &sid),
            _ => {}
        }
    }
    match dice.below(16) {
        0 => drop(directory.objects.get_mut(&id).unwrap().attributes.forget(&names::FIRST_NAME)),
        1 => directory.set(&id, names::LAST_NAME, Value::Empty),
        2 => directory.set(&id, names::LAST_NAME, "Married"),
        3 => directory.set(&id, names::FIRST_NAME, "Somebody"),
        4 => directory.set(&id, names::PRIMARY_EMAIL, Value::Empty),
        // The address of somebody else.
        5 => directory.set(&id, names::PRIMARY_EMAIL, address(1 + dice.below(4), domain)),
        6..=8 => {
            directory.set(&id, names::PRIMARY_EMAIL, format!("{}.{person}@corp.example", ENDPOINTS[endpoint]));
            directory.set(&id, names::ALIASES, Value::list([address(person, domain)]));
        }
        9 => directory.set(&id, names::ALIASES, Value::list([address(1 + dice.below(4), 0)])),
        _ => {}
    }
}

/// Groups and computers, some of them known to several endpoints.
fn add_things(directory: &mut ScriptedDirectory, dice: &mut Dice, endpoint: usize, people: u64, shared: bool) {
    for number in 0..2 {
        let group = directory.add_group(account(endpoint, 500 + number, 0));
        if shared && !dice.one_in(3) {
            directory.anchor(&group, "security-id", &format!("S-1-5-32-{number}"));
        }
        for person in 1..=people {
            if dice.one_in(2) {
                directory.add_member(&group, &ScriptedDirectory::id(account(endpoint, person, 0)));
            }
        }
    }
    let computer = directory.add_computer(account(endpoint, 600, 0), "machines");
    if !shared || !dice.one_in(3) {
        directory.set(&computer, names::OWNER, ScriptedDirectory::id(account(endpoint, 1, 0)).to_string());
    }
    if shared && dice.one_in(2) {
        directory.anchor(&computer, "object-guid", "shared machine");
    }
}

/// How strong a reason is; the smaller the stronger.
type Strength = u8;

struct Person {
    endpoint: usize,
    anchors: BTreeSet<(Strength, String)>,
    primary: Option<String>,
    addresses: BTreeSet<String>,
    first: Option<String>,
    last: Option<String>,
}

fn read(endpoint: usize, object: &ScriptedObject) -> Person {
    let text = |name| object.attributes.text(&name).map(str::to_lowercase).filter(|text| !text.is_empty());
    let anchors = object.anchors.iter().map(|anchor| {
        let strength = match &*anchor.name {
            "consistency-guid" => 1,
            "object-guid" => 2,
            _ => 3,
        };
        (strength, anchor.value.to_string())
    });
    let primary = text(names::PRIMARY_EMAIL);
    let mut addresses: BTreeSet<String> = primary.iter().cloned().collect();
    if let Some(Value::List(items)) = object.attributes.get(&names::ALIASES) {
        addresses.extend(items.iter().map(|item| item.to_lowercase()));
    }
    Person {
        endpoint,
        anchors: anchors.collect(),
        primary,
        addresses,
        first: text(names::FIRST_NAME),
        last: text(names::LAST_NAME),
    }
}

/// Who is one person, by identities; and whether that follows from the directories alone: of equally strong reasons that
/// exclude each other, the one that was seen first counts.
pub(super) fn reckon(directories: &[ScriptedDirectory]) -> (BTreeSet<BTreeSet<Id>>, bool) {
    let mut people: Vec<(Id, Person)> = Vec::new();
    for (endpoint, directory) in directories.iter().enumerate() {
        for (id, object) in directory.objects.iter().filter(|(_, object)| object.kind == ObjectKind::User) {
            people.push(((ENDPOINTS[endpoint].to_owned(), id.to_string()), read(endpoint, object)));
        }
    }
    let holders = |address: &str, endpoint: usize| {
        people.iter().filter(|(_, one)| one.endpoint == endpoint && one.addresses.contains(address)).count()
    };
    let strength = |a: &Person, b: &Person| -> Option<Strength> {
        if let Some((strength, _)) = a.anchors.intersection(&b.anchors).next() {
            return Some(*strength);
        }
        let other = |x: &Option<String>, y: &Option<String>| x.is_some() && y.is_some() && x != y;
        if other(&a.first, &b.first) || other(&a.last, &b.last) {
            return None;
        }
        let same = a.first.is_some() && a.last.is_some() && b.first.is_some() && b.last.is_some();
        let mut best = None;
        for address in a.addresses.intersection(&b.addresses) {
            let both = a.primary.as_ref() == Some(address) && b.primary.as_ref() == Some(address);
            let sure = address.ends_with(&format!("@{}", DOMAINS[0]))
                && holders(address, a.endpoint) == 1
                && holders(address, b.endpoint) == 1;
            if sure && (both || same) {
                best = Some(4);
            } else if both && same {
                best = best.or(Some(5));
            }
        }
        best
    };
    // The best that each has at each other endpoint.
    let best = |a: usize, endpoint: usize| -> Option<(Strength, Vec<usize>)> {
        let all: Vec<(Strength, usize)> = (0..people.len())
            .filter(|b| people[*b].1.endpoint == endpoint)
            .filter_map(|b| Some((strength(&people[a].1, &people[b].1)?, b)))
            .collect();
        let strongest = all.iter().map(|(strength, _)| *strength).min()?;
        Some((strongest, all.into_iter().filter(|(one, _)| *one == strongest).map(|(_, b)| b).collect()))
    };
    let mut links = Vec::new();
    for (a, (_, person)) in people.iter().enumerate() {
        for endpoint in person.endpoint + 1..directories.len() {
            let Some((strength, others)) = best(a, endpoint) else { continue };
            if let [b] = others[..]
                && best(b, person.endpoint) == Some((strength, vec![a]))
            {
                links.push((strength, a, b));
            }
        }
    }
    links.sort_unstable();
    let mut part: Vec<usize> = (0..people.len()).collect();
    let mut follows = true;
    for (at, (strength, a, b)) in links.iter().enumerate() {
        let (left, right) = (part[*a], part[*b]);
        if left == right {
            continue;
        }
        let endpoints = |no: usize| -> BTreeSet<usize> {
            (0..people.len()).filter(|one| part[*one] == no).map(|one| people[one].1.endpoint).collect()
        };
        let clash = !endpoints(left).is_disjoint(&endpoints(right));
        if clash {
            // Had it come before its equals, it might have been followed.
            follows &= !links[..at].iter().any(|(other, ..)| other == strength);
            continue;
        }
        part.iter_mut().filter(|no| **no == right).for_each(|no| *no = left);
    }
    let mut parts: BTreeMap<usize, BTreeSet<Id>> = BTreeMap::new();
    for (at, no) in part.iter().enumerate() {
        parts.entry(*no).or_default().insert(people[at].0.clone());
    }
    (parts.into_values().collect(), follows)
}
