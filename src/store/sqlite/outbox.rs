//! Events at rest: many to a segment, compressed, member changes packed. Read back as CloudEvents.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::value::RawValue;

use super::feed::Part;
use super::retention::no_longer_kept;
use super::{SqliteStore, damaged, sql};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    CustomerId, EndpointName, Event, EventType, Member, MemberKind, ObjectKind, RecordId, RunId, SourceId, Timestamp,
    Via,
};
use crate::store::codec::{self, Reader};

/// Bytes of a segment before compression at which the next one begins: whoever looks for one record's events reads whole
/// segments. LZ4 looks back no farther, so that larger ones are hardly better compressed.
const SEGMENT_BYTES: usize = 64 << 10;
/// The layout of a segment.
pub(super) const LAYOUT: u8 = 1;

pub(super) const ENTRY_JSON: u8 = 0;
pub(super) const ENTRY_MEMBERS: u8 = 1;

/// The record of a member, as a packed entry keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberRecord {
    /// It is not imported.
    None,
    /// The record that its own object founded.
    Own(ObjectKind),
    /// The record of another object.
    Joined(RecordId),
}

/// A membership that began or ended.
#[derive(Debug, Clone)]
pub(super) struct MemberChange {
    pub(super) member: Member,
    pub(super) record: MemberRecord,
}

/// Collects the events of one transaction and gives them their positions.
pub(super) struct Writer<'a> {
    customer_no: i64,
    endpoint: Option<&'a EndpointName>,
    run: RunId,
    time: Timestamp,
    begun: u64,
    next: u64,
    first: u64,
    buffer: Vec<u8>,
    /// Segments go to the file as they are filled: the changes of one group may be millions.
    transaction: &'a Connection,
}

impl<'a> Writer<'a> {
    /// Begins behind the customer's last event.
    pub(super) fn begin(
        transaction: &'a Connection,
        customer_no: i64,
        endpoint: Option<&'a EndpointName>,
        run: RunId,
        time: Timestamp,
    ) -> Result<Self> {
        let last: u64 = transaction
            .query_row("SELECT sequence FROM customers WHERE customer_no = ?1", [customer_no], |row| row.get(0))
            .map_err(sql("read the position of the outbox"))?;
        let mut writer = Self {
            customer_no,
            endpoint,
            run,
            time,
            begun: last + 1,
            next: last + 1,
            first: last + 1,
            buffer: Vec::new(),
            transaction,
        };
        writer.start_segment();
        Ok(writer)
    }

    fn start_segment(&mut self) {
        self.first = self.next;
        self.buffer.clear();
        self.buffer.push(LAYOUT);
        codec::push_bytes(&mut self.buffer, self.endpoint.map_or("", EndpointName::as_str).as_bytes());
        self.buffer.extend_from_slice(self.run.0.as_bytes());
    }

    fn end_segment(&mut self) -> Result<()> {
        if self.next > self.first {
            let segment = lz4_flex::compress_prepend_size(&self.buffer);
            self.transaction
                .prepare_cached("INSERT INTO outbox VALUES (?1, ?2, ?3, ?4, ?5)")
                .and_then(|mut insert| {
                    insert.execute(params![self.customer_no, self.next - 1, self.first, self.time.0, segment])
                })
                .map_err(sql("write events"))?;
        }
        self.start_segment();
        Ok(())
    }

    /// Adds an event with its data as JSON.
    pub(super) fn add(&mut self, event_type: EventType, subject: &str, data: &impl Serialize) -> Result<()> {
        self.buffer.push(ENTRY_JSON);
        self.buffer.push(event_type.number());
        codec::push_bytes(&mut self.buffer, subject.as_bytes());
        // The length is known only afterwards: fixed width, written over.
        let at = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        serde_json::to_writer(&mut self.buffer, data)
            .map_err(|error| Error::new(ErrorKind::Store, "an event cannot be written").with_source(error))?;
        let len = u32::try_from(self.buffer.len() - at - 4)
            .map_err(|_| Error::new(ErrorKind::Store, "an event is larger than 4 GiB"))?;
        self.buffer[at..at + 4].copy_from_slice(&len.to_le_bytes());
        self.next += 1;
        if self.buffer.len() > SEGMENT_BYTES {
            self.end_segment()?;
        }
        Ok(())
    }

    /// Adds the changes of members of one group: an event each.
    pub(super) fn add_members(
        &mut self,
        event_type: EventType,
        group: RecordId,
        group_id: &SourceId,
        via: Via,
        changes: &[MemberChange],
    ) -> Result<()> {
        for part in changes.chunks(2048) {
            self.buffer.push(ENTRY_MEMBERS);
            self.buffer.push(event_type.number());
            self.buffer.extend_from_slice(group.0.as_bytes());
            codec::push_source_id(&mut self.buffer, group_id);
            self.buffer.push(u8::from(via == Via::Primary));
            codec::push_number(&mut self.buffer, part.len() as u64);
            for change in part {
                codec::push_member(&mut self.buffer, &change.member);
                match change.record {
                    MemberRecord::None => self.buffer.push(0),
                    MemberRecord::Own(kind) => {
                        self.buffer.push(match kind {
                            ObjectKind::User => 1,
                            ObjectKind::Group => 2,
                            ObjectKind::Computer => 3,
                        });
                    }
                    MemberRecord::Joined(id) => {
                        self.buffer.push(4);
                        self.buffer.extend_from_slice(id.0.as_bytes());
                    }
                }
            }
            self.next += part.len() as u64;
            if self.buffer.len() > SEGMENT_BYTES {
                self.end_segment()?;
            }
        }
        Ok(())
    }

    /// Adds events that are no endpoint's and of no run: of what local editors made.
    pub(super) fn of_nobody(&mut self, add: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.end_segment()?;
        let (endpoint, run) = (self.endpoint.take(), std::mem::replace(&mut self.run, super::edit::NO_RUN));
        self.start_segment();
        add(self)?;
        self.end_segment()?;
        (self.endpoint, self.run) = (endpoint, run);
        self.start_segment();
        Ok(())
    }

    /// Writes what is left, in the transaction that also holds the changes.
    pub(super) fn finish(mut self) -> Result<()> {
        self.end_segment()?;
        if self.next == self.begun {
            return Ok(());
        }
        self.transaction
            .execute(
                "UPDATE customers SET sequence = ?2 WHERE customer_no = ?1",
                params![self.customer_no, self.next - 1],
            )
            .map(drop)
            .map_err(sql("write events"))
    }
}

#[derive(Serialize)]
struct MemberData<'a> {
    group: RecordId,
    member: Option<RecordId>,
    #[serde(serialize_with = "as_text")]
    group_source_id: &'a SourceId,
    #[serde(serialize_with = "as_text")]
    member_source_id: &'a SourceId,
    via: Via,
    member_kind: MemberKind,
    /// None: a local editor's change.
    run: Option<RunId>,
}

fn as_text<S: serde::Serializer>(id: &SourceId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// Puts one event together.
fn event(
    customer: &CustomerId,
    source: &str,
    time: &str,
    sequence: u64,
    event_type: EventType,
    subject: String,
    data: Box<RawValue>,
) -> Event {
    let id = crate::model::derive_uuid(
        "tenantry event",
        &[customer.as_str().as_bytes(), &sequence.to_be_bytes(), event_type.as_str().as_bytes()],
    );
    Event {
        specversion: "1.0".into(),
        id: id.to_string(),
        source: source.to_owned(),
        event_type,
        subject,
        sequence: sequence.to_string(),
        time: time.to_owned(),
        datacontenttype: "application/json".into(),
        data,
    }
}

/// A byte of LZ4 stands for at most so many.
const BEST_COMPRESSION: usize = 255;

/// Decompresses a segment, whose size is believed only as far as its bytes can hold it.
pub(super) fn decompress(segment: &[u8]) -> Result<Vec<u8>> {
    let size = segment.first_chunk().map(|size| u32::from_le_bytes(*size) as usize);
    let possible = size.is_some_and(|size| size <= segment.len().saturating_mul(BEST_COMPRESSION));
    let bytes = possible.then(|| lz4_flex::decompress_size_prepended(segment).ok());
    bytes.flatten().ok_or_else(|| damaged("a segment of events"))
}

/// Reads the events of one segment.
pub(super) fn read_segment(
    customer: &CustomerId,
    first: u64,
    time: Timestamp,
    segment: &[u8],
    part: Part<'_>,
    limit: usize,
    out: &mut Vec<Event>,
) -> Result<()> {
    let bytes = decompress(segment)?;
    let mut reader = Reader::new(&bytes, "a segment of events");
    if reader.byte()? != LAYOUT {
        return Err(damaged("the layout of a segment of events"));
    }
    let endpoint = reader.text()?.to_owned();
    let run = Some(RunId(uuid::Uuid::from_bytes(reader.array()?))).filter(|run| !run.0.is_nil());
    let source = if endpoint.is_empty() {
        format!("/customers/{customer}")
    } else {
        format!("/customers/{customer}/endpoints/{endpoint}")
    };
    let endpoint = EndpointName::new(&endpoint).ok();
    let time = Event::time_of(time);
    let mut sequence = first;
    while !reader.is_at_end() && out.len() < limit {
        let entry = reader.byte()?;
        let event_type = EventType::from_number(reader.byte()?).ok_or_else(|| damaged("an event type"))?;
        if entry == ENTRY_JSON {
            let subject = reader.text()?;
            let len = u32::from_le_bytes(reader.array()?) as usize;
            let data = reader.take(len)?;
            if part.has(sequence)
                && part.of.is_none_or(|wanted| wanted.wants(endpoint.as_ref(), event_type, subject, data))
            {
                let data = std::str::from_utf8(data)
                    .ok()
                    .and_then(|text| RawValue::from_string(text.to_owned()).ok())
                    .ok_or_else(|| damaged("an event"))?;
                out.push(event(customer, &source, &time, sequence, event_type, subject.to_owned(), data));
            }
            sequence += 1;
            continue;
        }
        if entry != ENTRY_MEMBERS {
            return Err(damaged("an event"));
        }
        let group = RecordId(uuid::Uuid::from_bytes(reader.array()?));
        let group_id = codec::read_source_id(&mut reader)?;
        let via = if reader.byte()? == 1 { Via::Primary } else { Via::Explicit };
        for _ in 0..reader.number()? {
            let member = codec::read_member(&mut reader)?;
            let own = |kind| {
                endpoint.as_ref().map(|endpoint| RecordId::founded_by(customer, endpoint, kind, &member.id.key()))
            };
            let tag = reader.byte()?;
            let joined = if tag == 4 { Some(RecordId(uuid::Uuid::from_bytes(reader.array()?))) } else { None };
            if tag > 4 {
                return Err(damaged("a member event"));
            }
            let is_wanted = part.has(sequence)
                && out.len() < limit
                && part.of.is_none_or(|wanted| wanted.wants_member(endpoint.as_ref(), group, &member.id, joined));
            if is_wanted {
                let record = match tag {
                    1..=3 => own(ObjectKind::ALL[usize::from(tag) - 1]),
                    _ => joined,
                };
                let data = MemberData {
                    group,
                    member: record,
                    group_source_id: &group_id,
                    member_source_id: &member.id,
                    via,
                    member_kind: member.kind,
                    run,
                };
                let data = serde_json::value::to_raw_value(&data).map_err(|_| damaged("a member event"))?;
                out.push(event(customer, &source, &time, sequence, event_type, group.to_string(), data));
            }
            sequence += 1;
        }
    }
    Ok(())
}

pub(super) fn customer_no(connection: &Connection, customer: &CustomerId) -> Result<Option<i64>> {
    connection
        .prepare_cached("SELECT customer_no FROM customers WHERE id = ?1")
        .and_then(|mut query| query.query_row([customer.as_str()], |row| row.get(0)).optional())
        .map_err(sql("read a customer"))
}

impl SqliteStore {
    /// Reads events behind a position, in order.
    pub(crate) fn read_events(&self, customer: &CustomerId, after: u64, limit: usize) -> Result<Vec<Event>> {
        let step = || sql("read events");
        let host = self.host();
        let Some(customer_no) = customer_no(&host, customer)? else { return Ok(Vec::new()) };
        // One statement would not do: between two, the first events that are asked for may go.
        let transaction = host.unchecked_transaction().map_err(step())?;
        let dropped: u64 = transaction
            .prepare_cached("SELECT dropped FROM customers WHERE customer_no = ?1")
            .and_then(|mut query| query.query_row([customer_no], |row| row.get(0)))
            .map_err(step())?;
        if after < dropped {
            return Err(no_longer_kept(after, dropped));
        }
        let mut query = transaction
            .prepare_cached(
                "SELECT first_sequence, time, segment FROM outbox
                 WHERE customer_no = ?1 AND last_sequence > ?2 ORDER BY last_sequence",
            )
            .map_err(step())?;
        let mut rows = query.query(params![customer_no, after]).map_err(step())?;
        let mut events = Vec::new();
        while events.len() < limit
            && let Some(row) = rows.next().map_err(step())?
        {
            let first = row.get(0).map_err(step())?;
            let time = Timestamp(row.get(1).map_err(step())?);
            let segment = row.get_ref(2).map_err(step())?.as_blob().map_err(|_| damaged("a segment of events"))?;
            read_segment(customer, first, time, segment, Part::behind(after), limit, &mut events)?;
        }
        Ok(events)
    }

    /// Returns the position of the last event; 0 before the first.
    pub(crate) fn read_last_position(&self, customer: &CustomerId) -> Result<u64> {
        self.host()
            .query_row("SELECT sequence FROM customers WHERE id = ?1", [customer.as_str()], |row| row.get(0))
            .optional()
            .map(Option::unwrap_or_default)
            .map_err(sql("read the position of the outbox"))
    }

    /// Returns the position up to which a consumer has events; 0 before its first.
    pub(crate) fn read_position(&self, customer: &CustomerId, consumer: &str) -> Result<u64> {
        self.host()
            .query_row(
                "SELECT position FROM consumers JOIN customers USING (customer_no) WHERE id = ?1 AND consumers.name = ?2",
                params![customer.as_str(), consumer],
                |row| row.get(0),
            )
            .optional()
            .map(Option::unwrap_or_default)
            .map_err(sql("read a consumer's position"))
    }

    /// Stores the position up to which a consumer has events. It never goes back.
    pub(crate) fn write_position(&self, customer: &CustomerId, consumer: &str, position: u64) -> Result<()> {
        let host = self.host();
        let Some(customer_no) = customer_no(&host, customer)? else { return Ok(()) };
        host.execute(
            "INSERT INTO consumers VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET position = max(position, excluded.position)",
            params![customer_no, consumer, position],
        )
        .map(drop)
        .map_err(sql("store a consumer's position"))
    }
}

/// Reads a segment, as it is stored or before it is compressed: a part of it is a part of the whole.
#[cfg(fuzzing)]
pub fn event_segment(bytes: &[u8]) {
    let Some(([compressed, after, limit], rest)) = bytes.split_first_chunk() else { return };
    let packed = lz4_flex::compress_prepend_size(rest);
    let segment = if compressed % 2 == 1 { rest } else { packed.as_slice() };
    let customer = CustomerId::new("c1").expect("a right key");
    let (first, after, limit) = (5, u64::from(*after), usize::from(*limit));
    let read = |after, limit| {
        let mut events = Vec::new();
        read_segment(&customer, first, Timestamp(0), segment, Part::behind(after), limit, &mut events).map(|()| events)
    };
    let Ok(all) = read(0, usize::MAX) else { return };
    let some = read(after, limit).expect("a segment that can be read as a whole can be read in part");
    crate::fuzzing::check_events(&all, &some, first, after, limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(segment: &[u8]) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let customer = CustomerId::new("c1").unwrap();
        read_segment(&customer, 1, Timestamp(0), segment, Part::behind(0), 10, &mut events).map(|()| events)
    }

    #[test]
    fn a_segment_that_claims_more_than_it_can_hold_is_refused_before_memory_is_taken_for_it() {
        let mut plain = vec![LAYOUT];
        codec::push_bytes(&mut plain, b"ad");
        plain.extend_from_slice(&[7; 16]);
        let mut segment = lz4_flex::compress_prepend_size(&plain);
        assert!(read(&segment).unwrap().is_empty());
        segment[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(*read(&segment).unwrap_err().kind(), ErrorKind::Store);
    }
}
