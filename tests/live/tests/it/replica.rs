//! What a consumer has who replays every event from the first. It knows events and nothing of the store.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tenantry::model::{Event, EventType};

use crate::independent::Membership;

/// Group's record, group's source id, member's source id, via.
type EdgeKey = (String, Membership);

#[derive(Debug, Default)]
pub(crate) struct Replica {
    position: u64,
    /// By record id.
    pub(crate) records: BTreeMap<String, Value>,
    edges: BTreeSet<EdgeKey>,
}

impl Replica {
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn replay(&mut self, events: &[Event]) {
        for event in events {
            assert_eq!(event.position(), self.position + 1, "no position is left out");
            self.position += 1;
            let data = event.data_value();
            match event.event_type {
                EventType::UserUpserted | EventType::GroupUpserted | EventType::ComputerUpserted => {
                    let before = self.records.insert(event.subject.clone(), data["record"].clone());
                    check_change(&data, before.as_ref());
                }
                EventType::UserRemoved | EventType::GroupRemoved | EventType::ComputerRemoved => {
                    let removed = self.records.remove(&event.subject);
                    assert!(removed.is_some(), "what is removed was told before: {data}");
                }
                EventType::MemberAdded => assert!(self.edges.insert(edge(&data)), "added once: {data}"),
                EventType::MemberRemoved => assert!(self.edges.remove(&edge(&data)), "removed once: {data}"),
                EventType::ImportFinished
                | EventType::RemovalsParked
                | EventType::AlertRaised
                | EventType::RecordQuarantined => {}
                EventType::UserMerged | EventType::UserSplit | EventType::ConflictFound => {
                    panic!("one endpoint joins nothing: {data}")
                }
            }
        }
    }

    pub(crate) fn memberships(&self) -> BTreeSet<Membership> {
        self.edges.iter().map(|(_, membership)| membership.clone()).collect()
    }

    /// Returns the record ids of a group's members, and how many members there are in all.
    pub(crate) fn members_of(&self, group: &str) -> (BTreeSet<String>, u64) {
        let of_source: BTreeMap<&str, &str> = self
            .records
            .iter()
            .filter_map(|(id, record)| Some((record["identities"][0]["source_id"].as_str()?, id.as_str())))
            .collect();
        let members: BTreeSet<&str> = self
            .edges
            .iter()
            .filter(|(record, _)| record == group)
            .map(|(_, membership)| membership.member.as_str())
            .collect();
        let known = members.iter().filter_map(|member| of_source.get(member)).map(|id| (*id).to_owned()).collect();
        (known, members.len() as u64)
    }
}

/// What an event says of the difference is the difference.
fn check_change(data: &Value, before: Option<&Value>) {
    let Some(before) = before else { return };
    let after = &data["record"];
    let get = |record: &Value, name: &str| match name.strip_prefix("attributes.") {
        Some(extra) => record["attributes"][extra].clone(),
        None => record[name].clone(),
    };
    for name in data["changed"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert_ne!(get(after, name), get(before, name), "{name} is said to have changed: {data}");
        assert_eq!(get(before, name), data["previous"][name], "{name} was something else: {data}");
    }
    for name in before.as_object().into_iter().flatten().map(|(name, _)| name).filter(|name| *name != "attributes") {
        let told = data["changed"].as_array().is_some_and(|names| names.iter().any(|told| told == name));
        assert!(told || before[name] == after[name], "{name} has changed and is not told: {data}");
    }
}

fn edge(data: &Value) -> EdgeKey {
    let text = |name: &str| data[name].as_str().unwrap_or_else(|| panic!("{name} is text: {data}")).to_owned();
    (text("group"), Membership { group: text("group_source_id"), member: text("member_source_id"), via: text("via") })
}
