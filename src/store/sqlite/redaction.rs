//! Writes stored events anew without what they say of certain people: place, sequence and id of each stay.
//!
//! It does not know where the people are stored otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::damaged;
use super::outbox::{ENTRY_JSON, ENTRY_MEMBERS, LAYOUT};
use crate::error::Result;
use crate::model::{CustomerId, EndpointName, EventType, Member, ObjectKind, RecordId, SourceId};
use crate::store::codec::{self, Reader};

/// People whose traces go.
#[derive(Debug, Default)]
pub(super) struct People {
    /// Their records, and those that were merged into them.
    records: BTreeSet<String>,
    /// Their source ids, as texts.
    ids: BTreeSet<String>,
    /// Ids that are addresses themselves, and what stands in for them: drawn for this one erasure and kept nowhere.
    pseudonyms: BTreeMap<String, String>,
}

impl People {
    pub(super) fn add_record(&mut self, id: RecordId) {
        self.records.insert(id.to_string());
    }

    /// Adds a source id; one that is an address is personal by itself.
    pub(super) fn add_id(&mut self, id: &SourceId) {
        let text = id.to_string();
        if id.is_weak() || text.contains('@') {
            let pseudonym = || format!("erased-{}", uuid::Uuid::new_v4().simple());
            self.pseudonyms.entry(text.clone()).or_insert_with(pseudonym);
        }
        self.ids.insert(text);
    }

    /// Returns what is told in place of a source id.
    pub(super) fn id_to_tell(&self, id: &SourceId) -> SourceId {
        self.pseudonyms.get(&id.to_string()).map_or_else(|| id.clone(), |pseudonym| SourceId::address(pseudonym))
    }

    fn size(&self) -> usize {
        self.records.len() + self.ids.len()
    }

    /// Learns under which other records and ids the same people were told of; `true` if there were any.
    pub(super) fn learn(&mut self, segment: &[u8]) -> Result<bool> {
        let before = self.size();
        let mut reader = Reader::new(segment, "a segment of events");
        header(&mut reader)?;
        while !reader.is_at_end() {
            let Entry::Json { event_type, subject, data } = entry(&mut reader)? else { continue };
            let merged = event_type == EventType::UserMerged;
            if !self.records.contains(subject) && !merged {
                continue;
            }
            let data: Json = serde_json::from_slice(data).map_err(|_| damaged("an event"))?;
            let absorbed = data["kept"].as_str().filter(|kept| merged && self.records.contains(*kept));
            if absorbed.is_some() {
                self.records.extend(data["absorbed"].as_str().map(str::to_owned));
            }
            if !self.records.contains(subject) && absorbed.is_none() {
                continue;
            }
            for identities in [&data["record"]["identities"], &data["previous"]["identities"]] {
                for identity in identities.as_array().into_iter().flatten() {
                    if let Some(id) = identity["source_id"].as_str() {
                        self.add_id(&SourceId::parse(id));
                    }
                }
            }
        }
        Ok(self.size() > before)
    }

    /// Lists those of their records that a segment has events of.
    pub(super) fn subjects_in(&self, segment: &[u8]) -> Result<Vec<String>> {
        let mut reader = Reader::new(segment, "a segment of events");
        header(&mut reader)?;
        let mut found = Vec::new();
        while !reader.is_at_end() {
            if let Entry::Json { subject, .. } = entry(&mut reader)?
                && self.records.contains(subject)
            {
                found.push(subject.to_owned());
            }
        }
        Ok(found)
    }

    /// Writes a segment without them. `None` if it does not tell of them.
    pub(super) fn redact(&self, customer: &CustomerId, segment: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut reader = Reader::new(segment, "a segment of events");
        let (endpoint, header) = header(&mut reader)?;
        let mut out = segment[..header].to_vec();
        let mut changed = false;
        while !reader.is_at_end() {
            match entry(&mut reader)? {
                Entry::Json { event_type, subject, data } => {
                    let stripped = self.stripped(event_type, subject, data)?;
                    changed |= stripped.is_some();
                    out.push(ENTRY_JSON);
                    out.push(event_type.number());
                    codec::push_bytes(&mut out, subject.as_bytes());
                    let data = stripped.as_deref().unwrap_or(data);
                    let len = u32::try_from(data.len()).map_err(|_| damaged("an event"))?;
                    out.extend_from_slice(&len.to_le_bytes());
                    out.extend_from_slice(data);
                }
                Entry::Members { head, members } => {
                    out.push(ENTRY_MEMBERS);
                    out.extend_from_slice(head);
                    codec::push_number(&mut out, members.len() as u64);
                    for (member, tag, record) in members {
                        let own = match tag {
                            1..=3 => Some(ObjectKind::ALL[usize::from(tag) - 1]),
                            _ => None,
                        };
                        let told = self.id_to_tell(&member.id);
                        // A record's id is derived from the id that goes: it has to be written out.
                        let (tag, record) = match (own, &endpoint) {
                            (Some(kind), Some(endpoint)) if told != member.id => {
                                (4, Some(RecordId::founded_by(customer, endpoint, kind, &member.id.key())))
                            }
                            _ => (tag, record),
                        };
                        changed |= told != member.id;
                        codec::push_member(&mut out, &Member { id: told, kind: member.kind });
                        out.push(tag);
                        if let Some(record) = record {
                            out.extend_from_slice(record.0.as_bytes());
                        }
                    }
                }
            }
        }
        Ok(changed.then_some(out))
    }

    /// Returns what remains of an event's data. `None` if it does not tell of them.
    fn stripped(&self, event_type: EventType, subject: &str, data: &[u8]) -> Result<Option<Vec<u8>>> {
        let theirs = self.records.contains(subject);
        let may_name = theirs
            || matches!(event_type, EventType::UserMerged | EventType::UserSplit | EventType::RecordQuarantined)
            || !self.pseudonyms.is_empty();
        if !may_name {
            return Ok(None);
        }
        let mut json: Json = serde_json::from_slice(data).map_err(|_| damaged("an event"))?;
        let names = |name: &str| json[name].as_str().is_some_and(|id| self.records.contains(id));
        if theirs || names("kept") {
            let mut rest = Map::new();
            for name in ["run", "restorable", "kept", "absorbed", "from"] {
                if let Some(value) = json.get(name) {
                    rest.insert(name.into(), value.clone());
                }
            }
            let id = json["record"]["id"].as_str().unwrap_or(subject);
            rest.insert("record".into(), json!({ "id": id }));
            rest.insert("changed".into(), json!([]));
            rest.insert("previous".into(), json!({}));
            rest.insert("erased".into(), json!(true));
            json = Json::Object(rest);
        } else if event_type == EventType::RecordQuarantined
            && json["source_id"].as_str().is_some_and(|id| self.ids.contains(id))
        {
            json["source_id"] = Json::Null;
            json["reason"] = json!("erased");
        } else if !self.replace(&mut json) {
            return Ok(None);
        }
        serde_json::to_vec(&json).map(Some).map_err(|_| damaged("an event"))
    }

    /// Replaces ids that are addresses where others name them: the owner of a computer, say.
    fn replace(&self, json: &mut Json) -> bool {
        match json {
            Json::String(text) => match self.pseudonyms.get(text.as_str()) {
                Some(pseudonym) => {
                    pseudonym.clone_into(text);
                    true
                }
                None => false,
            },
            Json::Array(items) => items.iter_mut().fold(false, |changed, item| self.replace(item) | changed),
            Json::Object(fields) => fields.values_mut().fold(false, |changed, field| self.replace(field) | changed),
            _ => false,
        }
    }
}

/// One entry of a segment.
pub(super) enum Entry<'a> {
    Json {
        event_type: EventType,
        subject: &'a str,
        data: &'a [u8],
    },
    Members {
        /// Type, group, group's source id and way, as they are.
        head: &'a [u8],
        members: Vec<(Member, u8, Option<RecordId>)>,
    },
}

/// Lists the records that a segment has events of certain types of; of merged and split ones all that are named.
pub(super) fn subjects(segment: &[u8], wanted: impl Fn(EventType) -> bool) -> Result<BTreeSet<RecordId>> {
    let mut reader = Reader::new(segment, "a segment of events");
    header(&mut reader)?;
    let mut found = BTreeSet::new();
    let id = |text: &str| uuid::Uuid::try_parse(text).ok().map(RecordId);
    while !reader.is_at_end() {
        let Entry::Json { event_type, subject, data } = entry(&mut reader)? else { continue };
        if !wanted(event_type) {
            continue;
        }
        found.extend(id(subject));
        if matches!(event_type, EventType::UserMerged | EventType::UserSplit) {
            let data: Json = serde_json::from_slice(data).map_err(|_| damaged("an event"))?;
            let named = [&data["kept"], &data["absorbed"], &data["from"], &data["record"]["id"]];
            found.extend(named.into_iter().filter_map(|named| named.as_str().and_then(id)));
        }
    }
    Ok(found)
}

/// Reads what stands before the entries; returns the endpoint and the length.
pub(super) fn header(reader: &mut Reader<'_>) -> Result<(Option<EndpointName>, usize)> {
    let all = reader.rest_len();
    if reader.byte()? != LAYOUT {
        return Err(damaged("the layout of a segment of events"));
    }
    let endpoint = EndpointName::new(reader.text()?).ok();
    reader.take(16)?;
    Ok((endpoint, all - reader.rest_len()))
}

/// Reads the next entry.
pub(super) fn entry<'a>(reader: &mut Reader<'a>) -> Result<Entry<'a>> {
    let tag = reader.byte()?;
    let start = reader.rest();
    let event_type = EventType::from_number(reader.byte()?).ok_or_else(|| damaged("an event type"))?;
    match tag {
        ENTRY_JSON => {
            let subject = reader.text()?;
            let len = u32::from_le_bytes(reader.array()?) as usize;
            Ok(Entry::Json { event_type, subject, data: reader.take(len)? })
        }
        ENTRY_MEMBERS => {
            reader.take(16)?;
            codec::read_source_id(reader)?;
            reader.byte()?;
            let head = &start[..start.len() - reader.rest_len()];
            let mut members = Vec::new();
            for _ in 0..reader.number()? {
                let member = codec::read_member(reader)?;
                let tag = reader.byte()?;
                let record = if tag == 4 { Some(RecordId(uuid::Uuid::from_bytes(reader.array()?))) } else { None };
                members.push((member, tag, record));
            }
            Ok(Entry::Members { head, members })
        }
        _ => Err(damaged("an event")),
    }
}
