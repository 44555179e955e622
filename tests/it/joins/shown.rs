//! What a directory shows, without the ids of records: two of them can be compared that came about in different ways.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use tenantry::model::{EndpointName, Exported, ObjectKind, Record, RecordId};

use crate::operations::Stage;

/// An identity, as endpoint and source id.
pub(super) type Id = (String, String);

/// All that a directory shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Records by their identities; those without any by what they are.
    pub(super) records: BTreeMap<BTreeSet<Id>, Json>,
    /// Memberships: endpoint, source ids, way, and whom the member leads to.
    edges: BTreeSet<(String, String, String, String, BTreeSet<Id>)>,
}

pub(super) fn identities(record: &Record) -> BTreeSet<Id> {
    record.identities.iter().map(|identity| (identity.endpoint.to_string(), identity.source_id.to_string())).collect()
}

/// Reads all that a directory shows.
pub(super) fn shown(stage: &Stage) -> Shown {
    let mut of: BTreeMap<RecordId, BTreeSet<Id>> = BTreeMap::new();
    let mut all = Vec::new();
    for kind in ObjectKind::ALL {
        for record in stage.store().records(&stage.customer, *kind, None, 9999).unwrap() {
            of.insert(record.id, identities(&record));
            all.push(record);
        }
    }
    let mut records = BTreeMap::new();
    for record in all {
        let mut json = serde_json::to_value(&record).unwrap();
        json["id"] = Json::Null;
        if let Some(owner) = &record.owner {
            // Who is gone is named still, where it was ever seen.
            let source_id = json["owner"]["source_id"].as_str().unwrap().to_owned();
            let named = (owner.endpoint.to_string(), source_id);
            json["owner"]["id"] = json!(of.get(&owner.id).filter(|owner| owner.contains(&named)));
        }
        let mut key = identities(&record);
        if key.is_empty() {
            key.insert((String::new(), json.to_string()));
        }
        assert!(records.insert(key, json).is_none(), "two records with the same identities");
    }
    let mut edges = BTreeSet::new();
    let mut export = stage.store().export(&stage.customer).unwrap();
    loop {
        let entries = export.next(999).unwrap();
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            let Exported::Member(edge) = entry else { continue };
            let member = edge.member.map(|member| of.get(&member).cloned().unwrap_or_default());
            edges.insert((
                edge.endpoint.as_ref().map_or(String::new(), EndpointName::to_string),
                edge.group_source_id.to_string(),
                edge.member_source_id.to_string(),
                format!("{:?}", edge.via),
                member.unwrap_or_default(),
            ));
        }
    }
    Shown { records, edges }
}

impl Shown {
    /// Returns the users, each by its identities.
    pub(super) fn users(&self) -> BTreeSet<BTreeSet<Id>> {
        let is_user = |json: &Json| json.get("archived").is_some();
        self.records.iter().filter(|(_, json)| is_user(json)).map(|(key, _)| key.clone()).collect()
    }

    /// Expects that two directories show the same.
    #[track_caller]
    pub(super) fn same_as(&self, other: &Self, what: &str) {
        for (key, json) in &self.records {
            assert_eq!(Some(json), other.records.get(key), "{what}: {key:?}");
        }
        let more: Vec<_> = other.records.iter().filter(|(key, _)| !self.records.contains_key(*key)).collect();
        assert!(more.is_empty(), "{what}: {more:?}");
        assert_eq!(self.edges, other.edges, "{what}");
    }
}
