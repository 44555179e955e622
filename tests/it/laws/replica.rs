//! What a consumer knows who replayed every event, and what the events say of themselves. It knows nothing of the store.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tenantry::model::{Event, EventType, RunReport, SourceId, Via};

use super::Found;

/// A membership: group, member, way.
pub(super) type Edge = (SourceId, SourceId, Via);

/// What consumers know who replayed every event.
#[derive(Clone, Default)]
pub(super) struct Replica {
    pub(super) records: BTreeMap<String, Json>,
    /// Memberships, with the endpoint that told them.
    pub(super) edges: BTreeSet<(String, Edge)>,
    pub(super) seen: u64,
    event_ids: BTreeSet<String>,
    /// Events of each run, by type.
    counts: BTreeMap<String, BTreeMap<EventType, u64>>,
}

/// Returns the name of the endpoint that an event came through.
pub(super) fn endpoint_of(event: &Event) -> &str {
    event.source.rsplit('/').next().unwrap_or_default()
}

pub(super) fn edge_of(data: &Json) -> Edge {
    let id = |name: &str| SourceId::parse(data[name].as_str().unwrap());
    let via = if data["via"] == "primary" { Via::Primary } else { Via::Explicit };
    (id("group_source_id"), id("member_source_id"), via)
}

impl Replica {
    /// Law 8: replays events, each of which must say something new.
    pub(super) fn take(&mut self, events: &[Event], found: &mut Found) {
        for event in events {
            self.seen += 1;
            found.check(8, event.sequence == self.seen.to_string(), || {
                format!("sequence {} is not {}", event.sequence, self.seen)
            });
            found.check(8, self.event_ids.insert(event.id.clone()), || format!("event id twice: {}", event.id));
            let data = event.data_value();
            let run = data["run"].as_str().unwrap_or(&event.subject).to_owned();
            // The group that stands for the endpoint itself is no figure of a run.
            if data["record"]["kind"] != "endpoint" {
                *self.counts.entry(run).or_default().entry(event.event_type).or_default() += 1;
            }
            let edge = || (endpoint_of(event).to_owned(), edge_of(&data));
            match event.event_type {
                EventType::UserUpserted | EventType::GroupUpserted | EventType::ComputerUpserted => {
                    let record = data["record"].clone();
                    let before = self.records.insert(event.subject.clone(), record.clone());
                    found.check(8, before.as_ref() != Some(&record), || format!("no change is told: {data}"));
                }
                EventType::UserRemoved | EventType::GroupRemoved | EventType::ComputerRemoved => {
                    let before = self.records.remove(&event.subject);
                    found.check(8, before.is_some(), || format!("removed, but was not there: {data}"));
                }
                EventType::MemberAdded => {
                    let new = self.edges.insert(edge());
                    found.check(8, new, || format!("added twice: {data}"));
                }
                EventType::MemberRemoved => {
                    let known = self.edges.remove(&edge());
                    found.check(8, known, || format!("ended, but was not there: {data}"));
                }
                _ => {}
            }
        }
    }

    /// Counts the events of a run: records told, records removed, memberships begun, memberships ended.
    pub(super) fn figures_of(&self, report: &RunReport) -> [u64; 4] {
        use EventType as E;
        let counts = self.counts.get(&report.run.to_string());
        let count = |types: &[E]| types.iter().filter_map(|t| counts.and_then(|c| c.get(t))).sum();
        [
            count(&[E::UserUpserted, E::GroupUpserted, E::ComputerUpserted]),
            count(&[E::UserRemoved, E::GroupRemoved, E::ComputerRemoved]),
            count(&[E::MemberAdded]),
            count(&[E::MemberRemoved]),
        ]
    }
}
