//! What a consumer knows, from events or from an export, and what the store says itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value as Json;
use tenantry::model::{CustomerId, EndpointName, Event, EventType, Exported, ObjectKind};
use tenantry::{SqliteStore, Store};

/// Endpoint, group's source id, member's source id, way.
type Edge = (String, String, String, String);

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Replica {
    pub(crate) records: BTreeMap<String, Json>,
    pub(crate) edges: BTreeSet<Edge>,
    pub(crate) position: u64,
}

fn edge(endpoint: &str, data: &Json) -> Edge {
    let text = |name: &str| data[name].as_str().unwrap().to_owned();
    (endpoint.to_owned(), text("group_source_id"), text("member_source_id"), text("via"))
}

impl Replica {
    /// Returns what outsiders see of a state file, after making sure that all ways to see it agree.
    pub(crate) fn of_file(path: &Path, customer: &CustomerId, what: &str) -> Self {
        let store = SqliteStore::open(path).unwrap();
        let export = Self::of_export(&store, customer);
        export.agrees_with(&store, customer, what);
        let mut replayed = Self::default();
        replayed.follow(&store, customer);
        replayed.same_as(&export, what);
        export
    }

    /// Takes events over, strictly: nothing ends that was not there.
    pub(crate) fn take(&mut self, events: &[Event]) {
        for event in events {
            self.position += 1;
            assert_eq!(event.position(), self.position, "a gap");
            let data = event.data_value();
            // Those made by hand are no endpoint's.
            let endpoint = event.source.split_once("/endpoints/").map_or("", |(_, endpoint)| endpoint);
            match event.event_type {
                EventType::UserUpserted | EventType::GroupUpserted | EventType::ComputerUpserted => {
                    self.records.insert(event.subject.clone(), data["record"].clone());
                    self.lead(&data["record"]);
                }
                EventType::UserRemoved | EventType::GroupRemoved | EventType::ComputerRemoved => {
                    assert!(self.records.remove(&event.subject).is_some(), "removed, but was not there: {data}");
                }
                EventType::UserMerged => {
                    let text = |name: &str| data[name].as_str().unwrap().to_owned();
                    assert_eq!(text("kept"), event.subject, "{data}");
                    assert_eq!(text("kept"), data["record"]["id"], "{data}");
                    assert!(self.records.remove(&text("absorbed")).is_some(), "absorbed, but was not there: {data}");
                    let kept = self.records.insert(event.subject.clone(), data["record"].clone());
                    assert!(kept.is_some(), "kept, but was not there: {data}");
                    self.lead(&data["record"]);
                }
                EventType::UserSplit => {
                    assert!(self.records.contains_key(data["from"].as_str().unwrap()), "from nobody: {data}");
                    assert_eq!(event.subject, data["record"]["id"].as_str().unwrap(), "{data}");
                    let before = self.records.insert(event.subject.clone(), data["record"].clone());
                    assert!(before.is_none(), "split off, but was there: {data}");
                    self.lead(&data["record"]);
                }
                EventType::MemberAdded => assert!(self.edges.insert(edge(endpoint, &data)), "added twice: {data}"),
                EventType::MemberRemoved => {
                    assert!(self.edges.remove(&edge(endpoint, &data)), "ended, but was not there: {data}");
                }
                _ => {}
            }
        }
    }

    /// The owner of a computer is whoever has the identity that the computer names.
    fn lead(&mut self, owner: &Json) {
        let identities = owner["identities"].as_array().cloned().unwrap_or_default();
        for record in self.records.values_mut().filter(|record| record["owner"].is_object()) {
            let named = serde_json::json!({
                "endpoint": record["lock"]["endpoint"], "source_id": record["owner"]["source_id"],
            });
            if identities.contains(&named) {
                record["owner"]["id"] = owner["id"].clone();
            }
        }
    }

    /// Reads everything that follows what it knows.
    pub(crate) fn follow(&mut self, store: &dyn Store, customer: &CustomerId) {
        self.take(&store.events(customer, self.position, usize::MAX).unwrap());
    }

    /// Reads an export in small parts.
    pub(crate) fn of_export(store: &dyn Store, customer: &CustomerId) -> Self {
        let mut export = store.export(customer).unwrap();
        let mut replica = Self { position: export.position(), ..Self::default() };
        loop {
            let entries = export.next(7).unwrap();
            assert!(entries.len() <= 7);
            if entries.is_empty() {
                return replica;
            }
            replica.add(entries);
        }
    }

    pub(crate) fn add(&mut self, entries: Vec<Exported>) {
        for entry in entries {
            match &entry {
                Exported::Record(record) => {
                    let before = self.records.insert(record.id.to_string(), serde_json::to_value(record).unwrap());
                    assert!(before.is_none(), "exported twice: {before:?}");
                }
                Exported::Member(member) => {
                    let json = serde_json::to_value(member).unwrap();
                    assert!(
                        self.edges.insert(edge(member.endpoint.as_ref().map_or("", EndpointName::as_str), &json)),
                        "exported twice: {json}"
                    );
                }
            }
        }
    }

    /// Expects that it knows what the store says in every other way.
    #[track_caller]
    pub(crate) fn agrees_with(&self, store: &dyn Store, customer: &CustomerId, what: &str) {
        let mut records = BTreeMap::new();
        let mut totals = [0_u64; 3];
        for kind in ObjectKind::ALL {
            for record in store.records(customer, *kind, None, usize::MAX >> 1).unwrap() {
                let json = serde_json::to_value(&record).unwrap();
                totals[*kind as usize] += u64::from(json["kind"] != "endpoint");
                records.insert(record.id.to_string(), json);
            }
        }
        same(&self.records, &records, what);
        let known = store.totals(customer).unwrap();
        assert_eq!([known.users, known.groups, known.computers], totals, "{what}");
        assert_eq!(known.memberships, self.edges.len() as u64, "{what}");
    }

    #[track_caller]
    pub(crate) fn same_as(&self, other: &Self, what: &str) {
        same(&self.records, &other.records, what);
        assert_eq!(self.edges, other.edges, "{what}");
        assert_eq!(self.position, other.position, "{what}");
    }
}

#[track_caller]
fn same(have: &BTreeMap<String, Json>, want: &BTreeMap<String, Json>, what: &str) {
    for (id, record) in want {
        assert_eq!(have.get(id), Some(record), "{what}");
    }
    let more: Vec<_> = have.iter().filter(|(id, _)| !want.contains_key(*id)).collect();
    assert!(more.is_empty(), "{what}: {more:#?}");
}
