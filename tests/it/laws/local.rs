//! What is stored, by endpoint and source id, held against the events and against itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tenantry::Store;
use tenantry::model::{CustomerId, EndpointName, ObjectKind, RecordId, SourceId, names};

use super::Found;
use super::replica::{Edge, Replica};
use super::shared::told_to_move;

/// What is stored of one endpoint.
#[derive(Clone, Default, Debug, PartialEq)]
pub(super) struct Local {
    pub(super) records: BTreeMap<SourceId, (ObjectKind, Json)>,
    pub(super) edges: BTreeSet<Edge>,
    /// Whom another endpoint shows too: what the record says may be that one's.
    pub(super) joined: BTreeSet<SourceId>,
}

impl Local {
    pub(super) fn count(&self, kind: ObjectKind) -> u64 {
        self.records.values().filter(|(k, _)| *k == kind).count() as u64
    }
}

/// An object of an endpoint.
pub(super) type Object = (EndpointName, SourceId);

/// Which record each source id became last.
pub(super) type RecordIds = BTreeMap<Object, RecordId>;

/// Reads the store; laws 8 and 10 are checked on the way. While a plan is half applied, the way back from members to
/// their groups may lag behind.
pub(super) fn read(
    store: &dyn Store,
    customer: &CustomerId,
    replica: &Replica,
    record_ids: &mut RecordIds,
    half_applied: bool,
    missing: Option<&BTreeSet<Object>>,
    found: &mut Found,
) -> BTreeMap<EndpointName, Local> {
    let mut locals: BTreeMap<EndpointName, Local> = BTreeMap::new();
    let mut records = BTreeMap::new();
    let mut by_id: BTreeMap<RecordId, Vec<Object>> = BTreeMap::new();
    let mut own_groups = BTreeMap::new();
    for kind in ObjectKind::ALL {
        for record in store.records(customer, *kind, None, usize::MAX >> 1).unwrap() {
            let json = serde_json::to_value(&record).unwrap();
            records.insert(record.id.to_string(), json.clone());
            if record.identities.is_empty() {
                // The endpoint's own group: derived, holding every user.
                found.check(8, record.attributes.text(&names::KIND) == Some("endpoint"), || {
                    format!("no identity: {record:?}")
                });
                own_groups.insert(record.lock.as_ref().unwrap().endpoint.clone(), record.id);
                continue;
            }
            let keys: Vec<Object> =
                record.identities.iter().map(|one| (one.endpoint.clone(), one.source_id.clone())).collect();
            let endpoints: BTreeSet<_> = keys.iter().map(|(endpoint, _)| endpoint).collect();
            found.check(10, keys.len() == 1 || missing.is_some() && endpoints.len() == keys.len(), || {
                format!("two objects are one record: {record:?}")
            });
            if let Some(missing) = missing {
                is_missing_nowhere_else(&json, &keys, missing, found);
            }
            for key in &keys {
                let first = record_ids.insert(key.clone(), record.id).unwrap_or(record.id);
                let told = || told_to_move(&replica.moves, &first.to_string(), &record.id.to_string());
                found.check(10, first == record.id || told(), || {
                    format!("{key:?} was record {first} and is now {}", record.id)
                });
                let local = locals.entry(key.0.clone()).or_default();
                let mut json = json.clone();
                if keys.len() > 1 {
                    local.joined.insert(key.1.clone());
                    // A record is missing while all of its objects are: here it is this one that counts.
                    let is_missing = missing.is_some_and(|missing| missing.contains(key));
                    json["missing_since"] = if is_missing { "some time".into() } else { Json::Null };
                }
                local.records.insert(key.1.clone(), (record.kind, json));
            }
            by_id.insert(record.id, keys);
        }
    }
    let distinct: BTreeSet<_> = record_ids.values().collect();
    found.check(10, missing.is_some() || distinct.len() == record_ids.len(), || {
        "one record stands for two objects".into()
    });
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
    let record_of: BTreeMap<&Object, RecordId> =
        by_id.iter().flat_map(|(id, keys)| keys.iter().map(|key| (key, *id))).collect();
    // A member whose account left an endpoint's sight is led to, as long as another endpoint shows the person.
    let leads_to = |member: &Object| {
        let kept = |old: &RecordId| {
            let moved = |id: &&RecordId| told_to_move(&replica.moves, &old.to_string(), &id.to_string());
            if by_id.contains_key(old) { Some(*old) } else { by_id.keys().find(moved).copied() }
        };
        record_of.get(member).copied().or_else(|| missing.and(record_ids.get(member)).and_then(kept))
    };
    for (group, keys) in &by_id {
        if locals[&keys[0].0].records[&keys[0].1].0 != ObjectKind::Group {
            continue;
        }
        let (members, count) = store.members(customer, *group).unwrap();
        // Each endpoint's members of its group.
        let told: BTreeSet<Object> = keys
            .iter()
            .flat_map(|(endpoint, source)| {
                let edges = locals[endpoint].edges.iter().filter(move |(g, ..)| g == source);
                edges.map(move |(_, member, _)| (endpoint.clone(), member.clone()))
            })
            .collect();
        let listed: Vec<RecordId> = told.iter().filter_map(leads_to).collect();
        let live: BTreeSet<RecordId> = listed.iter().copied().collect();
        // Whom both endpoints list counts once.
        let distinct = told.len() - (listed.len() - live.len());
        found.check(8, distinct as u64 == count, || format!("{count} members stored of {keys:?}, told {told:?}"));
        let stored: BTreeSet<RecordId> = members.iter().copied().collect();
        found.check(8, live == stored, || format!("members of {keys:?}: stored {stored:?}, told {live:?}"));
        for member in members {
            back.entry(member).or_default().insert(*group);
        }
    }
    for (id, keys) in by_id.iter().filter(|_| !half_applied) {
        let mut groups: BTreeSet<RecordId> = store.groups_of(customer, *id).unwrap().into_iter().collect();
        for (endpoint, source) in keys {
            if let Some(own) = own_groups.get(endpoint) {
                let is_user = locals[endpoint].records[source].0 == ObjectKind::User;
                found.check(8, groups.remove(own) == is_user, || format!("{source} in the endpoint's own group"));
            }
        }
        let expected = back.remove(id).unwrap_or_default();
        found.check(8, groups == expected, || format!("groups of {keys:?}: {groups:?} instead of {expected:?}"));
    }
    counts_agree(store, customer, &locals, &by_id, found);
    locals
}

/// Law 8: no membership lacks its group, and the totals are those of what is there.
fn counts_agree(
    store: &dyn Store,
    customer: &CustomerId,
    locals: &BTreeMap<EndpointName, Local>,
    by_id: &BTreeMap<RecordId, Vec<Object>>,
    found: &mut Found,
) {
    for (endpoint, local) in locals {
        for edge in local.edges.iter().filter(|edge| !local.records.contains_key(&edge.0)) {
            found.fail(8, format!("a membership of a group that is not there: {endpoint} {edge:?}"));
        }
    }
    let totals = store.totals(customer).unwrap();
    let kind_of = |keys: &[Object]| locals[&keys[0].0].records[&keys[0].1].0;
    let count = |kind| by_id.values().filter(|keys| kind_of(keys) == kind).count() as u64;
    let memberships: u64 = locals.values().map(|local| local.edges.len() as u64).sum();
    let counted = [count(ObjectKind::User), count(ObjectKind::Group), count(ObjectKind::Computer), memberships];
    found.check(8, [totals.users, totals.groups, totals.computers, totals.memberships] == counted, || {
        format!("{totals:?}, but there are {counted:?}")
    });
}

/// Law 2: a record is missing while all of its objects are.
fn is_missing_nowhere_else(record: &Json, keys: &[Object], missing: &BTreeSet<Object>, found: &mut Found) {
    let unseen = keys.iter().all(|key| missing.contains(key));
    found.check(2, unseen != record["missing_since"].is_null(), || {
        format!("missing while an endpoint shows it, or the other way round: {record}")
    });
}
