//! A local record as the outside sees it. How it is put together from objects is in `rules::precedence`.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::{
    AttributeName, Attributes, EndpointName, GroupKind, ObjectKind, RecordId, SourceId, Timestamp, Value, names,
};

/// Who owns a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The owning endpoint.
    pub endpoint: EndpointName,
    /// Further endpoints that see the same person or thing.
    pub others: Vec<EndpointName>,
    /// Attributes that the owner leaves to local editors.
    pub yielded: Vec<String>,
}

/// One object that a record was joined from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Through which endpoint it is seen.
    pub endpoint: EndpointName,
    /// Its source id there.
    #[serde(serialize_with = "as_text")]
    pub source_id: SourceId,
}

pub(super) fn as_text<S: Serializer>(id: &SourceId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// Whom a computer belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The endpoint that says so; the source id in the computer's attributes is one of its.
    pub endpoint: EndpointName,
    /// The owner's record: the id that it has for good, also where it is not imported yet, or not any more.
    pub id: RecordId,
}

/// A local user, group or computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id, for good.
    pub id: RecordId,
    /// User, group or computer.
    pub kind: ObjectKind,
    /// What is known of it. Unknown attributes are not in here.
    pub attributes: Attributes,
    /// Whom a computer belongs to.
    pub owner: Option<Owner>,
    /// Put away locally. What the remote says is in `attributes` and `missing_since`.
    pub archived: bool,
    /// Since when it is not seen in complete listings, without being proven gone.
    pub missing_since: Option<Timestamp>,
    /// The owning endpoint; `None` where local editors may change everything.
    pub lock: Option<Lock>,
    /// The objects that it was joined from.
    pub identities: Vec<Identity>,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Extras<'a>(&'a Attributes);

        impl Serialize for Extras<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer
                    .collect_map(self.0.iter().filter_map(|(name, value)| name.as_extra().map(|extra| (extra, value))))
            }
        }

        #[derive(Serialize)]
        struct Belonging<'a> {
            id: Option<RecordId>,
            source_id: &'a str,
        }

        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        for (name, value) in self.attributes.iter() {
            match value {
                _ if name.as_extra().is_some() => {}
                Value::Text(source_id) if *name == names::OWNER => {
                    let id = self.owner.as_ref().map(|owner| owner.id);
                    map.serialize_entry("owner", &Belonging { id, source_id })?;
                }
                _ => map.serialize_entry(name.as_str(), value)?,
            }
        }
        if self.kind == ObjectKind::User {
            map.serialize_entry("archived", &self.archived)?;
        }
        map.serialize_entry("missing_since", &self.missing_since.map(|time| time.to_string()))?;
        map.serialize_entry("lock", &self.lock)?;
        map.serialize_entry("identities", &self.identities)?;
        map.serialize_entry("attributes", &Extras(&self.attributes))?;
        map.end()
    }
}

impl Record {
    /// Puts together the group that stands for an endpoint: named after it, locked by it.
    pub(crate) fn of_endpoint(id: RecordId, endpoint: EndpointName, title: &str) -> Self {
        let attributes = [(names::KIND, GroupKind::Endpoint.into()), (names::NAME, title.into())].into_iter().collect();
        let lock = Some(Lock { endpoint, others: Vec::new(), yielded: Vec::new() });
        Self {
            id,
            kind: ObjectKind::Group,
            attributes,
            owner: None,
            archived: false,
            missing_since: None,
            lock,
            identities: Vec::new(),
        }
    }

    /// Returns the names of what differs between two states of one record.
    pub fn changed_since(&self, before: &Self) -> Vec<AttributeName> {
        let mut changed = super::attribute_differences(&before.attributes, &self.attributes);
        let mut note = |differs: bool, name: &'static str| {
            if differs {
                changed.push(AttributeName::fixed(name));
            }
        };
        note(self.archived != before.archived, "archived");
        note(self.missing_since != before.missing_since, "missing_since");
        note(self.lock != before.lock, "lock");
        note(self.identities != before.identities, "identities");
        changed.sort_unstable();
        changed
    }

    /// Returns one value as events spell it: an attribute, or one of the record's own fields.
    pub fn value_as_json(&self, name: &AttributeName) -> Option<serde_json::Value> {
        let json = |value| serde_json::to_value(value).unwrap_or_default();
        match name.as_str() {
            "archived" => Some(self.archived.into()),
            "missing_since" => Some(self.missing_since.map(|time| time.to_string()).into()),
            "lock" => Some(serde_json::to_value(&self.lock).unwrap_or_default()),
            "identities" => Some(serde_json::to_value(&self.identities).unwrap_or_default()),
            _ => self.attributes.get(name).map(json),
        }
    }
}
