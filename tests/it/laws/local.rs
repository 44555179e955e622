//! What is stored, by endpoint and source id, held against the events and against itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tenantry::Store;
use tenantry::model::{CustomerId, EndpointName, ObjectKind, RecordId, SourceId, names};

use super::Found;
use super::replica::{Edge, Replica};

/// What is stored of one endpoint.
#[derive(Clone, Default, Debug, PartialEq)]
pub(super) struct Local {
    pub(super) records: BTreeMap<SourceId, (ObjectKind, Json)>,
    pub(super) edges: BTreeSet<Edge>,
}

impl Local {
    pub(super) fn count(&self, kind: ObjectKind) -> u64 {
        self.records.values().filter(|(k, _)| *k == kind).count() as u64
    }
}

/// Which record each source id became, ever.
pub(super) type RecordIds = BTreeMap<(EndpointName, SourceId), RecordId>;

/// Reads the store; laws 8 and 10 are checked on the way. While a plan is half applied, the way back from members to
/// their groups may lag behind.
pub(super) fn read(
    store: &dyn Store,
    customer: &CustomerId,
    replica: &Replica,
    record_ids: &mut RecordIds,
    half_applied: bool,
    found: &mut Found,
) -> BTreeMap<EndpointName, Local> {
    let mut locals: BTreeMap<EndpointName, Local> = BTreeMap::new();
    let mut records = BTreeMap::new();
    let mut by_id: BTreeMap<RecordId, (EndpointName, SourceId)> = BTreeMap::new();
    let mut own_groups = BTreeMap::new();
    for kind in ObjectKind::ALL {
        for record in store.records(customer, *kind, None, usize::MAX >> 1).unwrap() {
            let json = serde_json::to_value(&record).unwrap();
            records.insert(record.id.to_string(), json.clone());
            let Some(identity) = record.identities.first() else {
                // The endpoint's own group: derived, holding every user.
                found.check(8, record.attributes.text(&names::KIND) == Some("endpoint"), || {
                    format!("no identity: {record:?}")
                });
                own_groups.insert(record.lock.as_ref().unwrap().endpoint.clone(), record.id);
                continue;
            };
            let key = (identity.endpoint.clone(), identity.source_id.clone());
            found.check(10, record.identities.len() == 1, || format!("two objects are one record: {record:?}"));
            let first = *record_ids.entry(key.clone()).or_insert(record.id);
            found.check(10, first == record.id, || format!("{key:?} was record {first} and is now {}", record.id));
            by_id.insert(record.id, key.clone());
            let local = locals.entry(key.0).or_default();
            local.records.insert(key.1, (record.kind, json));
        }
    }
    let distinct: BTreeSet<_> = record_ids.values().collect();
    found.check(10, distinct.len() == record_ids.len(), || "one record stands for two objects".into());
    for (endpoint, edge) in &replica.edges {
        locals.entry(EndpointName::new(endpoint).unwrap()).or_default().edges.insert(edge.clone());
    }
    for (id, record) in records.iter().filter(|(id, record)| replica.records.get(*id) != Some(*record)) {
        found.fail(8, format!("stored {record}\n  told {:?}", replica.records.get(id)));
    }
    for (id, record) in replica.records.iter().filter(|(id, _)| !records.contains_key(*id)) {
        found.fail(8, format!("told, but not stored: {id} {record}"));
    }
    let mut back: BTreeMap<RecordId, BTreeSet<RecordId>> = BTreeMap::new();
    for (group, (endpoint, source)) in &by_id {
        let local = &locals[endpoint];
        if local.records[source].0 != ObjectKind::Group {
            continue;
        }
        let (members, count) = store.members(customer, *group).unwrap();
        let told: BTreeSet<&SourceId> = local.edges.iter().filter(|(g, ..)| g == source).map(|(_, m, _)| m).collect();
        found.check(8, told.len() as u64 == count, || format!("{count} members stored of {source}, told {told:?}"));
        let live: BTreeSet<&SourceId> = told.into_iter().filter(|id| local.records.contains_key(id)).collect();
        let stored: BTreeSet<&SourceId> = members.iter().map(|id| &by_id[id].1).collect();
        found.check(8, live == stored, || format!("members of {source}: stored {stored:?}, told {live:?}"));
        for member in members {
            back.entry(member).or_default().insert(*group);
        }
    }
    for (id, (endpoint, source)) in by_id.iter().filter(|_| !half_applied) {
        let mut groups: BTreeSet<RecordId> = store.groups_of(customer, *id).unwrap().into_iter().collect();
        if let Some(own) = own_groups.get(endpoint) {
            let is_user = locals[endpoint].records[source].0 == ObjectKind::User;
            found.check(8, groups.remove(own) == is_user, || format!("{source} in the endpoint's own group"));
        }
        let expected = back.remove(id).unwrap_or_default();
        found.check(8, groups == expected, || format!("groups of {source}: {groups:?} instead of {expected:?}"));
    }
    for (endpoint, local) in &locals {
        for edge in local.edges.iter().filter(|edge| !local.records.contains_key(&edge.0)) {
            found.fail(8, format!("a membership of a group that is not there: {endpoint} {edge:?}"));
        }
    }
    let totals = store.totals(customer).unwrap();
    let count = |kind| locals.values().map(|local| local.count(kind)).sum::<u64>();
    let memberships: u64 = locals.values().map(|local| local.edges.len() as u64).sum();
    let counted = [count(ObjectKind::User), count(ObjectKind::Group), count(ObjectKind::Computer), memberships];
    found.check(8, [totals.users, totals.groups, totals.computers, totals.memberships] == counted, || {
        format!("{totals:?}, but there are {counted:?}")
    });
    locals
}
