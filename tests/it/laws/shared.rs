//! People whom both endpoints of a history show: how they come about, who may be one, and what is shown of them then.
//!
//! It reckons with the directories alone, and knows none of the engine's code.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tenantry::model::{ObjectKind, SourceId, Value, names};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedObject};

use super::Found;
use super::local::Local;
use super::oracles::{View, tells};

/// The domain that is the customer's; addresses elsewhere take names to tell.
pub(super) const DOMAIN: &str = "corp.example";

/// Gives a directory the people that the other one shows too: the digits of an address tell who that is, and what
/// tells it. Done again, it changes nothing.
pub(super) fn blend(first: bool, directory: &mut ScriptedDirectory) {
    for (id, object) in directory.objects.iter_mut().chain(directory.bin.iter_mut()) {
        blend_one(first, id, object);
    }
}

/// Says what one object has in common with one of the other endpoint.
pub(super) fn blend_one(first: bool, id: &SourceId, object: &mut ScriptedObject) {
    let anchored = |object: &mut ScriptedObject, name: &str, value: String| {
        if object.anchors.is_empty() {
            object.anchors.push(tenantry::model::Anchor { name: name.into(), value: value.into() });
        }
    };
    let number = number_of(id);
    if object.kind != ObjectKind::User {
        if number % 3 == 1 {
            anchored(object, "object-guid", format!("thing {number}"));
        }
        return;
    }
    // Known apart at first; the other endpoint learns who it is when the name changes there.
    let is_renamed = object.attributes.text(&names::LAST_NAME).is_some_and(|name| name.starts_with("Name"));
    if number % 7 == 6 && (first || is_renamed) {
        anchored(object, "object-guid", format!("late {number}"));
    }
    let Some(address) = object.attributes.text(&names::PRIMARY_EMAIL).map(str::to_owned) else { return };
    let Some((name, DOMAIN)) = address.split_once('@') else { return };
    let digits: u64 = name.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
    let apart = || format!("{name}@{}", if first { "first.example" } else { "other.example" });
    let becomes = match digits % 7 {
        // Only an anchor tells; and once a stronger one beside an address of somebody else.
        0 => {
            anchored(
                object,
                if digits.is_multiple_of(2) { "security-id" } else { "consistency-guid" },
                format!("person {digits}"),
            );
            apart()
        }
        // A verified address.
        1 | 2 => return,
        // The natural key.
        3 => format!("{name}@free.example"),
        // The same address, other names: a conflict.
        4 => {
            if !first && object.attributes.text(&names::LAST_NAME) == Some(&format!("Last{digits}")) {
                object.attributes.set(names::LAST_NAME, "Else");
            }
            return;
        }
        // A further address, and names that are the same until somebody marries.
        5 => {
            object.attributes.set(names::ALIASES, Value::list([address.as_str()]));
            apart()
        }
        // Seen here alone.
        _ => apart(),
    };
    object.attributes.set(names::PRIMARY_EMAIL, becomes.as_str());
}

fn number_of(id: &SourceId) -> u128 {
    match id {
        SourceId::Guid(guid) => guid.as_u128(),
        _ => 0,
    }
}

/// What one object was ever shown as.
#[derive(Debug, Clone, Default)]
struct Past {
    kind: Option<ObjectKind>,
    anchors: BTreeSet<String>,
    addresses: BTreeSet<String>,
    primaries: BTreeSet<String>,
    /// Whether it was without an address some time.
    bare: bool,
    /// First and last names; `None` where one was empty, or could have been hidden.
    first: BTreeSet<Option<String>>,
    last: BTreeSet<Option<String>>,
}

/// All that both endpoints ever showed.
#[derive(Debug, Default)]
pub(super) struct Pasts([BTreeMap<SourceId, Past>; 2], BTreeSet<(SourceId, SourceId)>);

impl Pasts {
    /// Takes note of what an endpoint could show.
    pub(super) fn remember(&mut self, side: usize, view: &View) {
        let hidden = view.lies.iter().any(|lie| matches!(lie, Lie::Unreadable(_)));
        for directory in [&view.before, &view.after] {
            for (id, object) in &directory.objects {
                let past = self.0[side].entry(id.clone()).or_default();
                past.kind = Some(object.kind);
                past.anchors.extend(object.anchors.iter().map(|anchor| format!("{}={}", anchor.name, anchor.value)));
                let text = |name| object.attributes.text(&name).map(str::to_lowercase).filter(|text| !text.is_empty());
                past.first.insert(text(names::FIRST_NAME));
                past.last.insert(text(names::LAST_NAME));
                if hidden {
                    past.last.insert(None);
                }
                past.bare |= text(names::PRIMARY_EMAIL).is_none();
                past.primaries.extend(text(names::PRIMARY_EMAIL));
                past.addresses.extend(text(names::PRIMARY_EMAIL));
                if let Some(Value::List(items)) = object.attributes.get(&names::ALIASES) {
                    past.addresses.extend(items.iter().map(|item| item.to_lowercase()));
                }
            }
        }
    }

    /// Takes note of who is one.
    fn join(&mut self, one: &SourceId, other: &SourceId) {
        self.1.insert((one.clone(), other.clone()));
    }

    /// Tells whether one of two objects was ever one with another: that one's place is kept.
    fn is_taken(&self, one: &SourceId, other: &SourceId) -> bool {
        self.1.iter().any(|(a, b)| (a == one) != (b == other))
    }

    /// Tells whether anything that was ever shown speaks for one person or thing.
    fn may_be_one(&self, one: &SourceId, other: &SourceId) -> bool {
        let (Some(a), Some(b)) = (self.0[0].get(one), self.0[1].get(other)) else { return false };
        if a.kind != b.kind {
            return false;
        }
        if !a.anchors.is_disjoint(&b.anchors) {
            return true;
        }
        let agree = |a: &BTreeSet<Option<String>>, b: &BTreeSet<Option<String>>| {
            a.contains(&None) || b.contains(&None) || !a.is_disjoint(b)
        };
        let known = |names: &BTreeSet<Option<String>>| names.iter().any(Option::is_some);
        let same = agree(&a.first, &b.first) && agree(&a.last, &b.last);
        let told = known(&a.first) && known(&a.last) && known(&b.first) && known(&b.last);
        let both: Vec<&String> = a.primaries.intersection(&b.primaries).collect();
        let verified = |address: &str| address.ends_with(&format!("@{DOMAIN}"));
        same && (both.iter().any(|address| told || verified(address))
            || told && a.addresses.intersection(&b.addresses).any(|address| verified(address)))
    }

    /// Tells whether two objects have to be one: nobody else ever had what tells it.
    fn must_be_one(&self, one: &SourceId, other: &SourceId) -> bool {
        let (Some(a), Some(b)) = (self.0[0].get(one), self.0[1].get(other)) else { return false };
        if self.is_taken(one, other) {
            return false;
        }
        // Things join as they are seen first; what they are known by does not change here.
        let only = |wanted: &dyn Fn(&Past) -> bool| {
            self.0.iter().all(|side| side.values().filter(|past| wanted(past)).count() == 1)
        };
        if a.kind != b.kind {
            return false;
        }
        if let Some(anchor) = a.anchors.intersection(&b.anchors).next() {
            return only(&|past| past.kind == a.kind && past.anchors.contains(anchor));
        }
        let steady = |past: &Past| {
            past.addresses.len() == 1
                && past.primaries.len() == 1
                && !past.bare
                && past.anchors.is_empty()
                && past.first.len() == 1
                && past.last.len() == 1
                && !past.first.contains(&None)
                && !past.last.contains(&None)
        };
        a.kind == Some(ObjectKind::User)
            && steady(a)
            && steady(b)
            && (&a.first, &a.last, &a.primaries) == (&b.first, &b.last, &b.primaries)
            && only(&|past| !past.addresses.is_disjoint(&a.addresses))
    }
}

/// The identities of a record, by endpoint.
pub(super) fn identities(record: &Json) -> Vec<(String, SourceId)> {
    let of = |one: &Json| {
        (one["endpoint"].as_str().unwrap().to_owned(), SourceId::parse(one["source_id"].as_str().unwrap()))
    };
    record["identities"].as_array().map(|all| all.iter().map(of).collect()).unwrap_or_default()
}

/// Both endpoints, as they are stored now; the first one's values count before the other's.
pub(super) struct Pair<'a> {
    pub(super) local: [&'a Local; 2],
    pub(super) pasts: &'a mut Pasts,
}

impl Pair<'_> {
    /// Law 10: another person never becomes somebody: whoever is one was shown as one, some time.
    pub(super) fn nobody_is_merged_unproven(&mut self, found: &mut Found) {
        for (one, (_, record)) in &self.local[0].records {
            let all = identities(record);
            for (_, other) in all.iter().filter(|(endpoint, _)| endpoint == "other") {
                self.pasts.join(one, other);
                found.check(10, self.pasts.may_be_one(one, other), || {
                    format!(
                        "{one} and {other} are one, and nothing says so: {:?} {:?}",
                        self.pasts.0[0].get(one),
                        self.pasts.0[1].get(other)
                    )
                });
            }
        }
    }

    /// Law 10: at rest, whoever is the same person beyond doubt is one record, and it shows what the first endpoint knows,
    /// else the other one. Returns how many are one.
    pub(super) fn is_put_together(&self, directories: &[ScriptedDirectory; 2], found: &mut Found) -> usize {
        let mut joined = 0;
        for (one, (_, record)) in &self.local[0].records {
            let all = identities(record);
            let partner = all.iter().find(|(endpoint, _)| endpoint == "other").map(|(_, id)| id);
            if partner.is_none() && directories[0].in_scope(one) {
                for other in self.local[1].records.keys().filter(|other| directories[1].in_scope(other)) {
                    let alone = !self.local[1].joined.contains(other);
                    found.check(10, !alone || !self.pasts.must_be_one(one, other), || {
                        format!("{one} and {other} are one person, and two records")
                    });
                }
            }
            let Some(other) = partner else { continue };
            joined += 1;
            let (Some(first), Some(second)) = (directories[0].objects.get(one), directories[1].objects.get(other))
            else {
                continue;
            };
            if !directories[0].in_scope(one) || !directories[1].in_scope(other) {
                continue;
            }
            for (name, value) in second.attributes.iter() {
                let value = first.attributes.get(name).unwrap_or(value);
                found.check(11, tells(record, name, value), || {
                    format!("{name} of {one} and {other} is {}, and should be {value:?}", record[name.as_str()])
                });
            }
        }
        joined
    }
}

/// Law 11: what one endpoint brings changes nothing that the other one owns: everybody and every membership of it is there
/// as before, and so is what it says, as far as it has the first word.
pub(super) fn nothing_of_others_changed(first: bool, had: &Local, has: &Local, found: &mut Found) {
    let ids = |local: &Local| local.records.keys().cloned().collect::<BTreeSet<_>>();
    found.check(11, ids(had) == ids(has) && had.edges == has.edges, || {
        let (had, has) = (ids(had), ids(has));
        format!("another endpoint's import removed {:?}, or added {:?}", &had - &has, &has - &had)
    });
    for (id, (_, before)) in &had.records {
        let Some((_, after)) = has.records.get(id) else { continue };
        // Since when, only a record of one object tells.
        let is_missing = |record: &Json| !record["missing_since"].is_null();
        found.check(11, is_missing(before) == is_missing(after), || format!("{id} {before} became {after}"));
        let alone = |local: &Local| !local.joined.contains(id);
        if alone(had) && alone(has) {
            // The same person may have another record from now on.
            let rest = |record: &Json| {
                let mut record = record.clone();
                record["id"] = Json::Null;
                if record["owner"].is_object() {
                    record["owner"]["id"] = Json::Null;
                }
                record
            };
            found.check(11, rest(before) == rest(after), || format!("{before} became {after}"));
        } else if alone(had) && first {
            let known = before.as_object().unwrap().iter().filter(|(name, value)| {
                !value.is_null()
                    && !["id", "identities", "lock", "owner", "missing_since", "attributes"].contains(&name.as_str())
            });
            for (name, value) in known {
                found.check(11, after[name] == *value, || format!("{name} of {id} was {value}, became {after}"));
            }
        }
    }
}

/// Law 10: a living object has another record only where that was told; `moves` are the merges and splits of all time.
pub(super) fn told_to_move(moves: &BTreeSet<(String, String)>, from: &str, to: &str) -> bool {
    let mut reached = BTreeSet::from([from]);
    loop {
        let more: Vec<&str> = moves
            .iter()
            .filter(|(a, b)| reached.contains(a.as_str()) && !reached.contains(b.as_str()))
            .map(|(_, b)| b.as_str())
            .collect();
        if more.is_empty() {
            return reached.contains(to);
        }
        reached.extend(more);
    }
}
