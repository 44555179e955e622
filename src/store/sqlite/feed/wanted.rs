//! Which events tell of a record: also of those that are told under another subject. It reads no file.

use crate::error::Result;
use crate::model::{EndpointName, EventType, Identity, RecordId, SourceId, SourceKey};
use crate::store::codec::Reader;
use crate::store::sqlite::outbox::decompress;
use crate::store::sqlite::redaction::{Entry, entry, header};

/// A record whose events are wanted, and as what its endpoints know it.
pub(in super::super) struct Wanted {
    id: RecordId,
    text: String,
    sources: Vec<(EndpointName, SourceKey, String)>,
}

impl Wanted {
    pub(in super::super) fn new(id: RecordId, identities: &[Identity]) -> Self {
        let sources = identities.iter().map(|identity| {
            let Identity { endpoint, source_id } = identity;
            (endpoint.clone(), source_id.key(), source_id.to_string())
        });
        Self { id, text: id.to_string(), sources: sources.collect() }
    }

    /// Lists the keys under one of which each event of it is noted.
    pub(in super::super) fn keys(&self) -> Vec<u128> {
        let mut keys = vec![key_of_record(self.id)];
        for (endpoint, key, text) in &self.sources {
            keys.push(key_of_source(Some(endpoint), &key.0));
            keys.push(key_of_source(Some(endpoint), text.as_bytes()));
        }
        keys
    }

    pub(in super::super) fn wants(
        &self,
        endpoint: Option<&EndpointName>,
        event_type: EventType,
        subject: &str,
        data: &[u8],
    ) -> bool {
        if subject == self.text {
            return true;
        }
        match event_type {
            // Also told of others than their subject.
            EventType::UserMerged | EventType::UserSplit | EventType::ConflictFound => {
                named(event_type, data).contains(&self.id)
            }
            EventType::RecordQuarantined => quarantined(data)
                .is_some_and(|id| self.sources.iter().any(|(known, _, text)| Some(known) == endpoint && *text == id)),
            _ => false,
        }
    }

    pub(in super::super) fn wants_member(
        &self,
        endpoint: Option<&EndpointName>,
        group: RecordId,
        member: &SourceId,
        joined: Option<RecordId>,
    ) -> bool {
        group == self.id
            || joined == Some(self.id)
            || self.sources.iter().any(|(known, key, _)| Some(known) == endpoint && member.key() == *key)
    }
}

/// Lists the records that an event names besides its subject.
fn named(event_type: EventType, data: &[u8]) -> Vec<RecordId> {
    let Ok(data) = serde_json::from_slice::<serde_json::Value>(data) else { return Vec::new() };
    let mut named = Vec::new();
    let mut note = |value: &serde_json::Value| {
        named.extend(value.as_str().and_then(|id| uuid::Uuid::try_parse(id).ok()).map(RecordId));
    };
    match event_type {
        EventType::ConflictFound => data["others"].as_array().into_iter().flatten().for_each(note),
        _ => [&data["kept"], &data["absorbed"], &data["from"], &data["record"]["id"]].into_iter().for_each(&mut note),
    }
    named
}

/// Returns the id, as text, of the record that was set aside.
fn quarantined(data: &[u8]) -> Option<String> {
    let data: serde_json::Value = serde_json::from_slice(data).ok()?;
    data["source_id"].as_str().map(str::to_owned)
}

fn key_of_record(id: RecordId) -> u128 {
    xxhash_rust::xxh3::xxh3_128(id.0.as_bytes())
}

fn key_of_source(endpoint: Option<&EndpointName>, id: &[u8]) -> u128 {
    let mut bytes = endpoint.map_or("", EndpointName::as_str).as_bytes().to_vec();
    bytes.push(0);
    bytes.extend_from_slice(id);
    xxhash_rust::xxh3::xxh3_128(&bytes)
}

/// Lists the keys of all records that a segment tells of, some more than once.
pub(in super::super) fn keys_in(segment: &[u8]) -> Result<Vec<u128>> {
    let bytes = decompress(segment)?;
    let mut reader = Reader::new(&bytes, "a segment of events");
    let (endpoint, _) = header(&mut reader)?;
    let mut keys = Vec::new();
    while !reader.is_at_end() {
        match entry(&mut reader)? {
            Entry::Json { event_type, subject, data } => {
                keys.extend(uuid::Uuid::try_parse(subject).ok().map(|id| key_of_record(RecordId(id))));
                match event_type {
                    EventType::UserMerged | EventType::UserSplit | EventType::ConflictFound => {
                        keys.extend(named(event_type, data).into_iter().map(key_of_record));
                    }
                    EventType::RecordQuarantined => {
                        keys.extend(quarantined(data).map(|id| key_of_source(endpoint.as_ref(), id.as_bytes())));
                    }
                    _ => {}
                }
            }
            Entry::Members { head, members } => {
                // Behind the type of the event stands the group.
                let group: Option<[u8; 16]> = head.get(1..17).and_then(|id| id.try_into().ok());
                keys.extend(group.map(|id| key_of_record(RecordId(uuid::Uuid::from_bytes(id)))));
                for (member, _, joined) in members {
                    keys.extend(joined.map(key_of_record));
                    keys.push(key_of_source(endpoint.as_ref(), &member.id.key().0));
                }
            }
        }
    }
    Ok(keys)
}

/// Which events of a segment are read.
#[derive(Clone, Copy)]
pub(in super::super) struct Part<'a> {
    /// Only those behind this position.
    pub(in super::super) after: u64,
    /// Only those up to this one.
    pub(in super::super) upto: u64,
    /// Only those of this record.
    pub(in super::super) of: Option<&'a Wanted>,
}

impl Part<'_> {
    /// All that is behind a position.
    pub(in super::super) fn behind(after: u64) -> Self {
        Self { after, upto: u64::MAX, of: None }
    }

    pub(in super::super) fn has(&self, sequence: u64) -> bool {
        sequence > self.after && sequence <= self.upto
    }
}
