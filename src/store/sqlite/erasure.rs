//! Erases people: from records and images, from stored events, and from the bytes of the files.
//!
//! It knows nothing of the remote, where they may still be: what is there comes back with the next listing.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::json;

use super::apply::{load_record, standing_of};
use super::join::kept_of;
use super::member::{
    add_count, group_of, groups_of, member_of, packed_members, record_id, remove_object, remove_record, write_members,
};
use super::outbox::{MemberRecord, Writer};
use super::redaction::People;
use super::turn::{Quiet, rewrite_file};
use super::{COUNT_MEMBERSHIPS, SqliteStore, damaged, kind_from_number, kind_number, sql};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    CustomerId, EndpointName, Erased, EventType, ObjectKind, RecordId, RunId, SourceId, Timestamp, Value, Via, names,
};
use crate::store::{codec, fault};

/// An object of somebody who is erased.
struct Trace {
    object_no: i64,
    endpoint_no: i64,
    endpoint: EndpointName,
    seed: u64,
    source_id: SourceId,
}

impl SqliteStore {
    /// Erases people.
    pub(super) fn erase_people(&self, customer: &CustomerId, records: &[RecordId], now: Timestamp) -> Result<Erased> {
        let customer_no = self.known_customer(customer)?;
        if records.is_empty() && !self.is_to_rewrite()? {
            return Ok(Erased::default());
        }
        // Who was absorbed is erased with the one that is there.
        let records: &[RecordId] =
            &records.iter().map(|id| kept_id(&self.host(), customer_no, *id)).collect::<Result<Vec<_>>>()?;
        let run = RunId::random();
        let mut quiet: BTreeMap<EndpointName, Quiet> = BTreeMap::new();
        for name in self.endpoints_of(customer_no, records)? {
            quiet.insert(name.clone(), self.silence(customer, &name, run)?);
        }
        let _turn = self.take_turn(customer)?;
        let mut writer = self.connect(12 << 20)?;

        let mut people = People::default();
        for id in records {
            people.add_record(*id);
            for absorbed in absorbed_ids(&writer, customer_no, *id)? {
                people.add_record(absorbed);
            }
            for trace in traces(&writer, customer_no, *id)? {
                if !quiet.contains_key(&trace.endpoint) {
                    return Err(Error::new(ErrorKind::Conflict, "the record has changed meanwhile; try again"));
                }
                people.add_id(&trace.source_id);
            }
        }
        let told = find_segments(&writer, customer_no, customer, &mut people)?;
        check_known(&writer, customer_no, records, &told, self.is_to_rewrite()?)?;

        let mut erased = Erased::default();
        let step = || sql("erase people");
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
        erased.segments = redact_segments(&transaction, customer_no, customer, &people, &told)?;
        for id in records {
            erase_one(&transaction, customer_no, *id, &people, (run, now), &mut erased)?;
        }
        // Each asks under a name of its own: a rewriting that began before does not count as this one's.
        transaction.execute("INSERT INTO chores VALUES ('rewrite ' || ?1)", [run.to_string()]).map_err(step())?;
        fault::point();
        transaction.commit().map_err(step())?;
        fault::point();
        // As long as the rewriting is due, both are done again.
        self.forget_in_index(Some(customer))?;
        rewrite_and_note(&writer)?;
        Ok(erased)
    }

    /// Writes the file anew, so that what was deleted is nowhere in it and its space is given back.
    pub(super) fn write_anew(&self) -> Result<()> {
        self.forget_in_index(None)?;
        rewrite_and_note(&self.connect(12 << 20)?)
    }

    /// Tells whether an erasure was interrupted before the file was written anew.
    fn is_to_rewrite(&self) -> Result<bool> {
        self.host()
            .query_row("SELECT exists (SELECT 1 FROM chores WHERE name LIKE 'rewrite %')", [], |row| row.get(0))
            .map_err(sql("read what is to be done"))
    }

    /// Names the endpoints through which people are seen.
    fn endpoints_of(&self, customer_no: i64, records: &[RecordId]) -> Result<BTreeSet<EndpointName>> {
        let host = self.host();
        let mut endpoints = BTreeSet::new();
        for id in records {
            endpoints.extend(traces(&host, customer_no, *id)?.into_iter().map(|trace| trace.endpoint));
        }
        Ok(endpoints)
    }
}

fn rewrite_and_note(writer: &Connection) -> Result<()> {
    let step = || sql("note that the file was written anew");
    let asked: Vec<String> = {
        let mut query = writer.prepare("SELECT name FROM chores WHERE name LIKE 'rewrite %'").map_err(step())?;
        let rows = query.query_map([], |row| row.get(0)).map_err(step())?;
        rows.collect::<Result<_, _>>().map_err(step())?
    };
    rewrite_file(writer)?;
    for name in asked {
        writer.execute("DELETE FROM chores WHERE name = ?1", [name]).map_err(step())?;
    }
    Ok(())
}

fn record_no(connection: &Connection, customer_no: i64, id: RecordId) -> Result<Option<i64>> {
    connection
        .prepare_cached(
            "SELECT record_no FROM record_ids i JOIN records r USING (record_no) WHERE i.id = ?1 AND customer_no = ?2",
        )
        .and_then(|mut query| query.query_row(params![id.0.as_bytes(), customer_no], |row| row.get(0)).optional())
        .map_err(sql("read a record"))
}

/// Returns the id of the record that stands for another one by now, which may be the same.
fn kept_id(connection: &Connection, customer_no: i64, id: RecordId) -> Result<RecordId> {
    let Some(record_no) = record_no(connection, customer_no, id)? else { return Ok(id) };
    let kept = kept_of(connection, record_no)?;
    Ok(if kept == record_no { id } else { record_id(connection, kept)?.unwrap_or(id) })
}

/// Lists the ids of the records that a record absorbed.
fn absorbed_ids(connection: &Connection, customer_no: i64, id: RecordId) -> Result<Vec<RecordId>> {
    let Some(record_no) = record_no(connection, customer_no, id)? else { return Ok(Vec::new()) };
    let ids: Vec<[u8; 16]> = connection
        .prepare_cached("SELECT r.id FROM absorbed a JOIN records r USING (record_no) WHERE a.into_no = ?1")
        .and_then(|mut query| query.query_map([record_no], |row| row.get(0))?.collect())
        .map_err(sql("read a record"))?;
    Ok(ids.into_iter().map(|id| RecordId(uuid::Uuid::from_bytes(id))).collect())
}

/// Lists the objects of a record, also those that are gone.
fn traces(connection: &Connection, customer_no: i64, id: RecordId) -> Result<Vec<Trace>> {
    let step = || sql("read the objects of a record");
    let Some(record_no) = record_no(connection, customer_no, id)? else { return Ok(Vec::new()) };
    let mut query = connection
        .prepare_cached(
            "SELECT o.object_no, e.endpoint_no, e.name, e.digest_seed, o.source_id
             FROM objects o JOIN endpoints e USING (endpoint_no) WHERE o.object_no = ?1 AND o.record_no = ?1
             UNION ALL
             SELECT o.object_no, e.endpoint_no, e.name, e.digest_seed, o.source_id
             FROM objects o INDEXED BY objects_joined JOIN endpoints e USING (endpoint_no)
             WHERE o.record_no = ?1 AND o.record_no <> o.object_no",
        )
        .map_err(step())?;
    let mut rows = query.query([record_no]).map_err(step())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let seed: i64 = row.get(3).map_err(step())?;
        let source_id: Vec<u8> = row.get(4).map_err(step())?;
        found.push(Trace {
            object_no: row.get(0).map_err(step())?,
            endpoint_no: row.get(1).map_err(step())?,
            endpoint: EndpointName::new(row.get::<_, String>(2).map_err(step())?)?,
            seed: u64::from_ne_bytes(seed.to_ne_bytes()),
            source_id: SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?,
        });
    }
    Ok(found)
}

/// Refuses ids under which nobody is known, before anything is changed.
fn check_known(
    connection: &Connection,
    customer_no: i64,
    records: &[RecordId],
    told: &Told,
    interrupted: bool,
) -> Result<()> {
    for id in records {
        let Some(record_no) = record_no(connection, customer_no, *id)? else {
            // Told of and no longer stored, or erased by a call that was interrupted before its end.
            if told.subjects.contains(&id.to_string()) || interrupted {
                continue;
            }
            return Err(Error::new(ErrorKind::NotFound, "nobody is known under this id").with_context("record", id));
        };
        let kind: i64 = connection
            .query_row("SELECT kind FROM records WHERE record_no = ?1", [record_no], |row| row.get(0))
            .map_err(sql("read a record"))?;
        if kind_from_number(kind)? != ObjectKind::User {
            return Err(Error::config("only people are erased; this record is a group or a computer")
                .with_context("record", id));
        }
    }
    Ok(())
}

/// Where stored events tell of people.
#[derive(Default)]
struct Told {
    /// Segments, by their last sequence.
    segments: BTreeSet<u64>,
    subjects: BTreeSet<String>,
    /// Up to here they were looked through.
    upto: u64,
}

fn each_segment(
    connection: &Connection,
    customer_no: i64,
    after: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let step = || sql("read events");
    let mut query = connection
        .prepare_cached(
            "SELECT last_sequence, segment FROM outbox WHERE customer_no = ?1 AND last_sequence > ?2
             ORDER BY last_sequence",
        )
        .map_err(step())?;
    let mut rows = query.query(params![customer_no, after]).map_err(step())?;
    while let Some(row) = rows.next().map_err(step())? {
        let segment = row.get_ref(1).map_err(step())?.as_blob().map_err(|_| damaged("a segment of events"))?;
        let bytes = lz4_flex::decompress_size_prepended(segment).map_err(|_| damaged("a segment of events"))?;
        each(row.get(0).map_err(step())?, &bytes)?;
    }
    Ok(())
}

/// Looks through all events without keeping others from writing.
fn find_segments(
    connection: &Connection,
    customer_no: i64,
    customer: &CustomerId,
    people: &mut People,
) -> Result<Told> {
    let mut told = Told::default();
    // Until nothing is learned any more: an id may be told first, and whose it is only later.
    loop {
        let mut learned = false;
        each_segment(connection, customer_no, 0, |_, bytes| {
            learned |= people.learn(bytes)?;
            Ok(())
        })?;
        if !learned {
            break;
        }
    }
    each_segment(connection, customer_no, 0, |last, bytes| {
        told.upto = last;
        if people.redact(customer, bytes)?.is_some() {
            told.segments.insert(last);
            told.subjects.extend(people.subjects_in(bytes)?);
        }
        Ok(())
    })?;
    Ok(told)
}

fn redact_segments(
    transaction: &Transaction<'_>,
    customer_no: i64,
    customer: &CustomerId,
    people: &People,
    told: &Told,
) -> Result<u64> {
    let step = || sql("write events anew");
    let mut segments = told.segments.clone();
    // A run that failed meanwhile may have told its end.
    each_segment(transaction, customer_no, told.upto, |last, _| {
        segments.insert(last);
        Ok(())
    })?;
    let mut written = 0;
    for last in segments {
        let segment: Option<Vec<u8>> = transaction
            .prepare_cached("SELECT segment FROM outbox WHERE customer_no = ?1 AND last_sequence = ?2")
            .and_then(|mut query| query.query_row(params![customer_no, last], |row| row.get(0)).optional())
            .map_err(step())?;
        let Some(segment) = segment else { continue };
        let bytes = lz4_flex::decompress_size_prepended(&segment).map_err(|_| damaged("a segment of events"))?;
        let Some(redacted) = people.redact(customer, &bytes)? else { continue };
        transaction
            .prepare_cached("UPDATE outbox SET segment = ?3 WHERE customer_no = ?1 AND last_sequence = ?2")
            .and_then(|mut update| {
                update.execute(params![customer_no, last, lz4_flex::compress_prepend_size(&redacted)])
            })
            .map_err(step())?;
        written += 1;
    }
    Ok(written)
}

fn erase_one(
    transaction: &Transaction<'_>,
    customer_no: i64,
    id: RecordId,
    people: &People,
    (run, now): (RunId, Timestamp),
    erased: &mut Erased,
) -> Result<()> {
    let step = || sql("erase a person");
    // Why an action was refused may name whose account it was.
    for statement in [
        "DELETE FROM actions WHERE customer_no = ?1 AND record = ?2",
        "DELETE FROM answers WHERE customer_no = ?1 AND instr(notice, ?3) > 0",
    ] {
        let mut delete = transaction.prepare_cached(statement).map_err(step())?;
        let (bytes, text) = (id.0.as_bytes().as_slice(), id.to_string());
        match delete.parameter_count() {
            2 => delete.execute(params![customer_no, bytes]),
            _ => delete.execute(params![customer_no, bytes, text]),
        }
        .map_err(step())?;
    }
    let Some(record_no) = record_no(transaction, customer_no, id)? else { return Ok(()) };
    let state: i64 = transaction
        .query_row("SELECT state FROM records WHERE record_no = ?1", [record_no], |row| row.get(0))
        .map_err(step())?;
    let record = if state == 0 { load_record(transaction, record_no)? } else { None };
    // As long as those that it absorbed are known: some were given to them.
    let mut events = Writer::begin(transaction, customer_no, None, super::edit::NO_RUN, now)?;
    erased.members_removed += super::edit::end_memberships(transaction, customer_no, record_no, &mut events)?;
    events.finish()?;
    for trace in traces(transaction, customer_no, id)? {
        let mut events = Writer::begin(transaction, customer_no, Some(&trace.endpoint), run, now)?;
        erased.members_removed += end_memberships(transaction, &trace, id, people, &mut events)?;
        let owned = disown(transaction, &trace)?;
        let standing = standing_of(transaction, trace.endpoint_no, &trace.source_id)?;
        if standing.is_some_and(super::Standing::is_present) {
            add_count(transaction, trace.endpoint_no, kind_number(ObjectKind::User), -1)?;
        }
        remove_object(transaction, &mut events, (trace.endpoint_no, trace.object_no), &trace.source_id)?;
        transaction
            .execute(
                "DELETE FROM quarantine WHERE endpoint_no = ?1 AND source_id = ?2",
                params![trace.endpoint_no, trace.source_id.to_stored()],
            )
            .map_err(step())?;
        for computer in owned {
            if let Some(record) = load_record(transaction, computer)? {
                // What it was is told by nobody any more.
                let data = json!({ "record": record, "changed": ["owner"], "previous": {}, "run": run });
                events.add(EventType::ComputerUpserted, &record.id.to_string(), &data)?;
            }
        }
        events.finish()?;
    }
    if let Some(record) = &record {
        super::edit::forget_addresses(transaction, &record.attributes)?;
    }
    remove_record(transaction, record_no)?;
    erased.records += 1;
    let Some(record) = record else { return Ok(()) };
    let endpoint = record.lock.map(|lock| lock.endpoint);
    let mut events = Writer::begin(transaction, customer_no, endpoint.as_ref(), run, now)?;
    let data = json!({
        "record": { "id": id }, "changed": [], "previous": {}, "run": run, "restorable": false, "erased": true,
    });
    events.add(EventType::UserRemoved, &id.to_string(), &data)?;
    events.finish()
}

/// Ends the memberships of an object, an event each.
fn end_memberships(
    transaction: &Transaction<'_>,
    trace: &Trace,
    record: RecordId,
    people: &People,
    events: &mut Writer<'_>,
) -> Result<u64> {
    let number = trace.object_no.unsigned_abs();
    let mut ended = 0;
    for group_via in groups_of(transaction, number)? {
        let group_via = i64::try_from(group_via).map_err(|_| damaged("a group"))?;
        let (members, digest) = packed_members(transaction, group_via)?;
        let mut members = codec::unpack_sorted(&members)?;
        let Ok(at) = members.binary_search(&number) else { continue };
        members.remove(at);
        if let Some(group) = group_of(transaction, group_via)? {
            let via = if group_via % 2 == 1 { Via::Primary } else { Via::Explicit };
            let mut change = member_of(transaction, trace.endpoint_no, number)?;
            change.member.id = people.id_to_tell(&change.member.id);
            if change.record != MemberRecord::None {
                change.record = MemberRecord::Joined(record);
            }
            events.add_members(EventType::MemberRemoved, group.record, &group.source_id, via, &[change])?;
        }
        let share = codec::member_digest(trace.seed, &trace.source_id.key());
        write_members(transaction, group_via, &members, digest.wrapping_sub(share))?;
        ended += 1;
    }
    add_count(transaction, trace.endpoint_no, COUNT_MEMBERSHIPS, -i64::try_from(ended).unwrap_or(0))?;
    forget_sleeping(transaction, number)?;
    Ok(ended)
}

/// Takes a member out of the memberships that sleep with a group: woken, they would name nobody.
fn forget_sleeping(transaction: &Transaction<'_>, number: u64) -> Result<()> {
    let step = || sql("read sleeping memberships");
    let mut changed = Vec::new();
    {
        let mut query = transaction
            .prepare_cached("SELECT object_no, members FROM sleeping WHERE members <> x''")
            .map_err(step())?;
        let mut rows = query.query([]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let mut members = codec::unpack_sorted(&row.get::<_, Vec<u8>>(1).map_err(step())?)?;
            if let Ok(at) = members.binary_search(&number) {
                members.remove(at);
                changed.push((row.get::<_, i64>(0).map_err(step())?, codec::pack_sorted(&members)));
            }
        }
    }
    for (group, members) in changed {
        transaction
            .execute("UPDATE sleeping SET members = ?2 WHERE object_no = ?1", params![group, members])
            .map_err(step())?;
    }
    Ok(())
}

/// Empties the owner of the computers that a person owns; returns the records of those that are there. Their
/// fingerprints go too: what the remote still says comes back with the next listing.
fn disown(transaction: &Transaction<'_>, trace: &Trace) -> Result<Vec<i64>> {
    let step = || sql("read computers");
    let owner = trace.source_id.to_string();
    let mut owned = Vec::new();
    {
        let mut query = transaction
            .prepare_cached(
                "SELECT object_no, o.record_no, source_id, body, state FROM objects o
                 JOIN records r ON r.record_no = o.record_no WHERE o.endpoint_no = ?1 AND r.kind = 2",
            )
            .map_err(step())?;
        let mut rows = query.query([trace.endpoint_no]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let body = row.get_ref(3).map_err(step())?.as_blob().map_err(|_| damaged("an image"))?;
            let attributes = codec::read_attributes(body)?;
            if attributes.text(&names::OWNER) == Some(owner.as_str()) {
                let source_id: Vec<u8> = row.get(2).map_err(step())?;
                let live = row.get::<_, i64>(4).map_err(step())? == 0;
                owned.push((
                    row.get::<_, i64>(0).map_err(step())?,
                    row.get::<_, i64>(1).map_err(step())?,
                    SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?,
                    attributes,
                    live,
                ));
            }
        }
    }
    let mut told = Vec::new();
    for (object_no, record_no, id, mut attributes, live) in owned {
        if live {
            told.push(record_no);
        }
        attributes.set(names::OWNER, Value::Empty);
        let mut body = Vec::new();
        codec::push_attributes(&mut body, &attributes);
        transaction
            .execute("UPDATE objects SET body = ?2 WHERE object_no = ?1", params![object_no, body])
            .map_err(step())?;
        transaction
            .execute(
                "UPDATE probes SET fingerprint = zeroblob(16) WHERE endpoint_no = ?1 AND source_key = ?2 AND facet = 0",
                params![trace.endpoint_no, id.key().0],
            )
            .map_err(step())?;
    }
    Ok(told)
}
