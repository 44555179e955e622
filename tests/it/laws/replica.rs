//! What a consumer knows who replayed every event, and what the events say of themselves. It knows nothing of the store.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tenantry::model::{Event, EventType, RunReport, SourceId, Via};

use super::Found;
use super::shared::identities;

/// A membership: group, member, way.
pub(super) type Edge = (SourceId, SourceId, Via);

/// What consumers know who replayed every event.
#[derive(Clone, Default)]
pub(super) struct Replica {
    pub(super) records: BTreeMap<String, Json>,
    /// Memberships, with the endpoint that told them.
    pub(super) edges: BTreeSet<(String, Edge)>,
    pub(super) seen: u64,
    /// From which record objects went into which, by being joined or taken apart.
    pub(super) moves: BTreeSet<(String, String)>,
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
                    self.lead(&record);
                }
                EventType::UserMerged => {
                    let id = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
                    let absorbed = self.records.remove(&id("absorbed"));
                    let kept = self.records.insert(id("kept"), data["record"].clone());
                    let both = absorbed.is_some() && kept.is_some() && data["record"]["id"] == id("kept").as_str();
                    found.check(8, both && event.subject == id("kept"), || format!("merged with nobody: {data}"));
                    self.moves.insert((id("absorbed"), id("kept")));
                    self.lead(&data["record"]);
                }
                EventType::UserSplit => {
                    let from = data["from"].as_str().unwrap_or_default().to_owned();
                    let before = self.records.insert(event.subject.clone(), data["record"].clone());
                    let new = before.is_none() && self.records.contains_key(&from);
                    found.check(8, new && data["record"]["id"] == event.subject.as_str(), || {
                        format!("split off nobody, or was there: {data}")
                    });
                    self.moves.insert((from, event.subject.clone()));
                    self.lead(&data["record"]);
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

    /// Law 8: of each record that is otherwise one event tells, and nobody whom an endpoint still shows is told as removed.
    /// Events of two runs, one behind the other, may tell of a record twice.
    pub(super) fn tells_each_change_once(
        &self,
        before: &BTreeMap<String, Json>,
        events: &[Event],
        one_run: bool,
        found: &mut Found,
    ) {
        use EventType as E;
        let (mut upserted, mut removed, mut moved) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for event in events {
            let data = event.data_value();
            match event.event_type {
                _ if data["record"]["kind"] == "endpoint" => {}
                E::UserUpserted | E::GroupUpserted | E::ComputerUpserted => {
                    *upserted.entry(event.subject.clone()).or_insert(0) += 1;
                }
                E::UserRemoved | E::GroupRemoved | E::ComputerRemoved => drop(removed.insert(event.subject.clone())),
                E::UserMerged | E::UserSplit => {
                    moved.insert(event.subject.clone());
                    moved.extend(["absorbed", "from"].iter().filter_map(|name| data[name].as_str().map(str::to_owned)));
                }
                _ => {}
            }
        }
        let living: BTreeSet<_> = self.records.values().flat_map(identities).collect();
        for id in &removed {
            let lives = before.get(id).is_some_and(|record| identities(record).iter().any(|one| living.contains(one)));
            found.check(2, !lives, || format!("{id} is told as removed, and lives: {:?}", before[id]));
        }
        if !one_run {
            return;
        }
        let is_own = |record: &Json| record["kind"] == "endpoint";
        for (id, times) in &upserted {
            let changed = before.get(id) != self.records.get(id);
            found.check(8, *times == 1 && changed || moved.contains(id), || {
                format!("{id} is told {times} times: {:?} became {:?}", before.get(id), self.records.get(id))
            });
        }
        for (id, record) in
            self.records.iter().filter(|(id, record)| before.get(*id) != Some(record) && !is_own(record))
        {
            // The owner of a computer is told by that one's own event.
            let led = record["owner"].is_object();
            found.check(8, led || upserted.contains_key(id) || moved.contains(id), || {
                format!("{id} changed untold: {record}")
            });
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

    /// Counts the events of a run: records told, records removed, memberships begun, memberships ended.
    pub(super) fn figures_of(&self, report: &RunReport) -> [u64; 4] {
        use EventType as E;
        let counts = self.counts.get(&report.run.to_string());
        let count = |types: &[E]| types.iter().filter_map(|t| counts.and_then(|c| c.get(t))).sum();
        [
            count(&[E::UserUpserted, E::UserMerged, E::UserSplit, E::GroupUpserted, E::ComputerUpserted]),
            count(&[E::UserRemoved, E::GroupRemoved, E::ComputerRemoved]),
            count(&[E::MemberAdded]),
            count(&[E::MemberRemoved]),
        ]
    }
}
