//! What a consumer knows who replayed every event, and what the events say of themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tenantry::model::{Event, EventType, RunReport, SourceId, Via};

use super::Check;

pub(super) type Edge = (SourceId, SourceId, Via);

/// What consumers know who replayed every event.
#[derive(Default)]
pub(super) struct Replica {
    pub(super) records: BTreeMap<String, Json>,
    pub(super) edges: BTreeSet<Edge>,
    pub(super) seen: u64,
    pub(super) event_ids: BTreeSet<String>,
    /// Events of each run, by type.
    pub(super) counts: BTreeMap<String, BTreeMap<EventType, u64>>,
}

impl Replica {
    pub(super) fn take(&mut self, events: &[Event]) -> Check {
        for event in events {
            self.seen += 1;
            ensure!(event.sequence == self.seen.to_string(), "sequence {} is not {}", event.sequence, self.seen);
            ensure!(self.event_ids.insert(event.id.clone()), "event id twice: {}", event.id);
            let data = event.data_value();
            let run = data["run"].as_str().unwrap_or(&event.subject).to_owned();
            // The group that stands for the endpoint itself is no figure of a run.
            if data["record"]["kind"] != "endpoint" {
                *self.counts.entry(run).or_default().entry(event.event_type).or_default() += 1;
            }
            let edge = || -> Edge {
                let id = |name: &str| SourceId::parse(data[name].as_str().unwrap());
                let via = if data["via"] == "primary" { Via::Primary } else { Via::Explicit };
                (id("group_source_id"), id("member_source_id"), via)
            };
            match event.event_type {
                EventType::UserUpserted | EventType::GroupUpserted | EventType::ComputerUpserted => {
                    self.records.insert(event.subject.clone(), data["record"].clone());
                }
                EventType::UserRemoved | EventType::GroupRemoved | EventType::ComputerRemoved => {
                    ensure!(self.records.remove(&event.subject).is_some(), "removed, but was not there: {data}");
                }
                EventType::MemberAdded => ensure!(self.edges.insert(edge()), "added twice: {data}"),
                EventType::MemberRemoved => ensure!(self.edges.remove(&edge()), "ended, but was not there: {data}"),
                _ => {}
            }
        }
        Ok(())
    }

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
