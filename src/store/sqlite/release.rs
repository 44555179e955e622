//! Takes an endpoint out of the state file: its records are handed over, everything else of it goes.
//!
//! In chunks, each with its events and the position reached; killed in between, the next call goes on. It does not
//! know who may adopt the records later.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Serialize;

use super::apply::{Target, check_epoch, images, load_record, upserted};
use super::edit;
use super::member::{add_count, group_of, member_of, packed_members, remove_object, remove_record, write_members};
use super::outbox::Writer;
use super::{BREATH, COUNT_MEMBERSHIPS, SqliteStore, damaged, kind_number, pause, sql};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    CustomerId, EndpointName, EventType, HandOver, ObjectKind, Record, RecordId, Released, RunId, SourceId, Timestamp,
    Via,
};
use crate::store::{codec, fault};

/// Memberships of one transaction; a larger group is ended in parts.
const MEMBERS_A_CHUNK: usize = 20_000;
/// Objects of one transaction.
const OBJECTS_A_CHUNK: usize = 2000;

/// What is done next. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Memberships end.
    Members,
    /// Computers are handed over, as long as their owners are known.
    Computers,
    /// The rest is.
    Objects,
    /// What is left of the endpoint itself.
    Endpoint,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Members, Self::Computers, Self::Objects, Self::Endpoint];
}

/// A removal under way, as it is stored.
#[derive(Debug)]
struct Release {
    run: RunId,
    hand_over: HandOver,
    at: Timestamp,
    phase: Phase,
    position: i64,
    released: Released,
}

/// A group that is gone, as its event tells it.
#[derive(Serialize)]
struct GroupRemoved<'a> {
    record: &'a Record,
    changed: [&'a str; 0],
    previous: serde_json::Map<String, serde_json::Value>,
    run: RunId,
    restorable: bool,
}

impl SqliteStore {
    /// Removes an endpoint.
    pub(super) fn release(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointName,
        hand_over: HandOver,
        now: Timestamp,
    ) -> Result<Released> {
        let quiet = self.silence(customer, endpoint, RunId::random())?;
        let _turn = self.take_turn(customer)?;
        let mut writer = self.connect(12 << 20)?;
        begin(&mut writer, &quiet.target, hand_over, now)?;
        // Before the end, which forgets the name: a set of removals that somebody planned is none of a successor's.
        self.remove_files(customer, endpoint, |_| true)?;
        loop {
            let (released, done) = chunk(&mut writer, &quiet.target)?;
            if done {
                return Ok(released);
            }
            pause(BREATH);
        }
    }
}

/// Refuses to use an endpoint whose removal has begun.
pub(super) fn check_not_removed(connection: &Connection, endpoint_no: i64, endpoint: &EndpointName) -> Result<()> {
    let begun: bool = connection
        .query_row("SELECT exists (SELECT 1 FROM releases WHERE endpoint_no = ?1)", [endpoint_no], |row| row.get(0))
        .map_err(sql("read the endpoint"))?;
    if begun {
        return Err(Error::new(
            ErrorKind::Conflict,
            "the removal of this endpoint has begun and not ended; ask for it once more, it goes on where it was",
        )
        .with_context("endpoint", endpoint));
    }
    Ok(())
}

/// Notes that the endpoint goes, or takes up a removal that was interrupted.
fn begin(writer: &mut Connection, target: &Target, hand_over: HandOver, now: Timestamp) -> Result<()> {
    let step = || sql("begin the removal of an endpoint");
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
    check_epoch(&transaction, target)?;
    if let Some(release) = read(&transaction, target)? {
        if release.hand_over != hand_over {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the removal has begun in another way; ask for the same as at first",
            )
            .with_context("endpoint", &target.endpoint)
            .with_context("begun as", format_args!("{:?}", release.hand_over)));
        }
        return Ok(());
    }
    transaction
        .execute(
            "INSERT INTO releases (endpoint_no, run, archive, at) VALUES (?1, ?2, ?3, ?4)",
            params![
                target.endpoint_no,
                target.run.0.as_bytes().as_slice(),
                i64::from(hand_over == HandOver::Archived),
                now.0
            ],
        )
        .map_err(step())?;
    fault::point();
    transaction.commit().map_err(step())?;
    fault::point();
    Ok(())
}

fn read(connection: &Connection, target: &Target) -> Result<Option<Release>> {
    type Row = ([u8; 16], bool, i64, usize, i64, u64, u64);
    let row: Option<Row> = connection
        .query_row(
            "SELECT run, archive, at, phase, position, records, members_removed FROM releases WHERE endpoint_no = ?1",
            [target.endpoint_no],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?)),
        )
        .optional()
        .map_err(sql("read the removal of an endpoint"))?;
    row.map(|(run, archive, at, phase, position, records, members_removed)| {
        Ok(Release {
            run: RunId(uuid::Uuid::from_bytes(run)),
            hand_over: if archive { HandOver::Archived } else { HandOver::Unlocked },
            at: Timestamp(at),
            phase: *Phase::ALL.get(phase).ok_or_else(|| damaged("a phase"))?,
            position,
            released: Released { records, members_removed },
        })
    })
    .transpose()
}

/// Does one chunk; returns what was done so far, and whether that was the last.
fn chunk(writer: &mut Connection, target: &Target) -> Result<(Released, bool)> {
    let step = || sql("remove an endpoint");
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
    check_epoch(&transaction, target)?;
    let mut release = read(&transaction, target)?.ok_or_else(|| damaged("the removal of an endpoint"))?;
    let mut events = Writer::begin(&transaction, target.customer_no, Some(&target.endpoint), release.run, release.at)?;
    let reached = match release.phase {
        Phase::Members => release.members(&transaction, target, &mut events)?,
        Phase::Computers => release.objects(&transaction, target, &mut events, true)?,
        Phase::Objects => release.objects(&transaction, target, &mut events, false)?,
        Phase::Endpoint => None,
    };
    let done = release.phase == Phase::Endpoint;
    if done {
        tell_group(&transaction, target, &release, &mut events)?;
    }
    events.finish()?;
    if done {
        forget(&transaction, target, &release)?;
    } else {
        let phase = release.phase as usize;
        let (phase, position) = reached.map_or((phase + 1, 0), |position| (phase, position));
        transaction
            .prepare_cached(
                "UPDATE releases SET phase = ?2, position = ?3, records = ?4, members_removed = ?5
                 WHERE endpoint_no = ?1",
            )
            .and_then(|mut update| {
                let Released { records, members_removed } = release.released;
                update.execute(params![target.endpoint_no, phase, position, records, members_removed])
            })
            .map_err(step())?;
    }
    fault::point();
    transaction.commit().map_err(step())?;
    fault::point();
    Ok((release.released, done))
}

impl Release {
    /// Ends memberships behind a position; `None` if there are no more.
    fn members(
        &mut self,
        transaction: &Transaction<'_>,
        target: &Target,
        events: &mut Writer<'_>,
    ) -> Result<Option<i64>> {
        let mut room = MEMBERS_A_CHUNK;
        let mut after = self.position;
        while room > 0 {
            let group_via: Option<i64> = transaction
                .prepare_cached(
                    "SELECT group_via FROM group_members JOIN objects ON object_no = group_via / 2
                     WHERE group_via > ?1 AND endpoint_no = ?2 ORDER BY group_via LIMIT 1",
                )
                .and_then(|mut query| query.query_row(params![after, target.endpoint_no], |row| row.get(0)).optional())
                .map_err(sql("read memberships"))?;
            let Some(group_via) = group_via else { return Ok(None) };
            let (members, digest) = packed_members(transaction, group_via)?;
            let members = codec::unpack_sorted(&members)?;
            let (now, rest) = members.split_at(members.len().min(room));
            if let Some(group) = group_of(transaction, group_via)? {
                let via = if group_via % 2 == 1 { Via::Primary } else { Via::Explicit };
                let changes: Vec<_> = now
                    .iter()
                    .map(|number| member_of(transaction, target.endpoint_no, *number))
                    .collect::<Result<_>>()?;
                events.add_members(EventType::MemberRemoved, group.record, &group.source_id, via, &changes)?;
            }
            // The digest goes with the last of them.
            write_members(transaction, group_via, rest, digest)?;
            let ended = i64::try_from(now.len()).unwrap_or(0);
            add_count(transaction, target.endpoint_no, COUNT_MEMBERSHIPS, -ended)?;
            self.released.members_removed += now.len() as u64;
            room -= now.len();
            // A group that is not at its end comes again.
            after = if rest.is_empty() { group_via } else { group_via - 1 };
        }
        Ok(Some(after))
    }

    /// Hands over the records of objects behind a position; `None` if there are no more.
    fn objects(
        &mut self,
        transaction: &Transaction<'_>,
        target: &Target,
        events: &mut Writer<'_>,
        computers: bool,
    ) -> Result<Option<i64>> {
        let step = || sql("read the objects of an endpoint");
        let rows: Vec<(i64, i64, Vec<u8>)> = {
            let statement = if computers {
                "SELECT object_no, o.record_no, source_id FROM objects o JOIN records r ON r.record_no = o.record_no
                 WHERE object_no > ?1 AND endpoint_no = ?2 AND r.kind = 2 ORDER BY object_no LIMIT ?3"
            } else {
                "SELECT object_no, record_no, source_id FROM objects
                 WHERE object_no > ?1 AND endpoint_no = ?2 ORDER BY object_no LIMIT ?3"
            };
            let mut query = transaction.prepare_cached(statement).map_err(step())?;
            let rows = query
                .query_map(params![self.position, target.endpoint_no, OBJECTS_A_CHUNK], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .map_err(step())?;
            rows.collect::<Result<_, _>>().map_err(step())?
        };
        let Some(last) = rows.last().map(|(object_no, ..)| *object_no) else { return Ok(None) };
        for (object_no, record_no, source_id) in rows {
            let id = SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?;
            self.object(transaction, target, events, (object_no, record_no), &id)?;
        }
        Ok(Some(last))
    }

    fn object(
        &mut self,
        transaction: &Transaction<'_>,
        target: &Target,
        events: &mut Writer<'_>,
        (object_no, record_no): (i64, i64),
        id: &SourceId,
    ) -> Result<()> {
        let step = || sql("hand over a record");
        let row: Option<(i64, bool)> = transaction
            .prepare_cached(
                "SELECT state, local IS NOT NULL OR archived_at IS NOT NULL
                        OR EXISTS (SELECT 1 FROM manual_members WHERE member_no = ?1)
                        OR EXISTS (SELECT 1 FROM manual_members m
                                   WHERE m.customer_no = records.customer_no AND m.group_no = ?1)
                 FROM records WHERE record_no = ?1",
            )
            .and_then(|mut query| query.query_row([record_no], |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .map_err(step())?;
        let live = matches!(row, Some((0, _)));
        let before = if live { load_record(transaction, record_no)? } else { None };
        remove_object(transaction, events, (target.endpoint_no, object_no), id)?;
        let Some(before) = before else {
            // What was removed before is not handed over. Local values are never lost, as little as what they belong to.
            if matches!(row, Some((_, false))) && !has_objects(transaction, record_no)? {
                remove_record(transaction, record_no)?;
            }
            return Ok(());
        };
        // As long as another endpoint sees it, it stays locked by that one.
        if images(transaction, record_no)?.is_empty() {
            self.hand_over(transaction, target, record_no, &before)?;
            self.released.records += 1;
        }
        if let Some(after) = load_record(transaction, record_no)? {
            upserted(events, Some(&before), &after, self.run)?;
        }
        Ok(())
    }

    /// Turns what was imported into local values.
    fn hand_over(&self, connection: &Connection, target: &Target, record_no: i64, record: &Record) -> Result<()> {
        let step = || sql("hand over a record");
        let mut local = Vec::new();
        codec::push_attributes(&mut local, &record.attributes);
        // Groups and computers have no such state.
        let archives = self.hand_over == HandOver::Archived && record.kind == ObjectKind::User;
        let archived_at = archives.then_some(self.at.0);
        connection
            .prepare_cached(
                "UPDATE records SET local = ?2, archived_at = coalesce(archived_at, ?3) WHERE record_no = ?1",
            )
            .and_then(|mut update| update.execute(params![record_no, local, archived_at]))
            .map_err(step())?;
        if record.kind == ObjectKind::User {
            // Nobody owns it: who brings the same person adopts it.
            edit::remember_key(connection, target.customer_no, record_no, &record.attributes)?;
        }
        connection
            .prepare_cached("INSERT OR REPLACE INTO local_records VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![record_no, target.customer_no, kind_number(record.kind)]))
            .map(drop)
            .map_err(step())
    }
}

pub(super) fn has_objects(connection: &Connection, record_no: i64) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT exists (SELECT 1 FROM objects WHERE object_no = ?1 AND record_no = ?1)
                 OR exists (SELECT 1 FROM objects INDEXED BY objects_joined
                            WHERE record_no = ?1 AND record_no <> object_no)",
        )
        .and_then(|mut query| query.query_row([record_no], |row| row.get(0)))
        .map_err(sql("read the objects of a record"))
}

/// Tells that the group that stood for the endpoint is gone, if it was ever told of.
fn tell_group(connection: &Connection, target: &Target, release: &Release, events: &mut Writer<'_>) -> Result<()> {
    let title: Option<String> = connection
        .query_row("SELECT group_title FROM endpoints WHERE endpoint_no = ?1", [target.endpoint_no], |row| row.get(0))
        .map_err(sql("read the endpoint"))?;
    let Some(title) = title else { return Ok(()) };
    let id = RecordId::of_endpoint_group(&target.customer, &target.endpoint);
    let record = Record::of_endpoint(id, target.endpoint.clone(), &title);
    let data = GroupRemoved {
        record: &record,
        changed: [],
        previous: serde_json::Map::new(),
        run: release.run,
        restorable: false,
    };
    events.add(EventType::GroupRemoved, &id.to_string(), &data)
}

/// Removes what is left of the endpoint. Its row stays without a name: the history of its runs hangs on it, and its
/// number, which a stale run may still know, is never given to another.
fn forget(transaction: &Transaction<'_>, target: &Target, release: &Release) -> Result<()> {
    let step = || sql("remove an endpoint");
    for statement in [
        "DELETE FROM probes WHERE endpoint_no = ?1",
        "DELETE FROM containers WHERE endpoint_no = ?1",
        "DELETE FROM counts WHERE endpoint_no = ?1",
        "DELETE FROM freshness WHERE endpoint_no = ?1",
        "DELETE FROM parked WHERE endpoint_no = ?1",
        "DELETE FROM losses WHERE endpoint_no = ?1",
        "DELETE FROM quarantine WHERE endpoint_no = ?1",
        "DELETE FROM alerts WHERE endpoint_no = ?1",
        "DELETE FROM releases WHERE endpoint_no = ?1",
        "UPDATE endpoints SET keyed = 0 WHERE endpoint_no = ?1",
        // No key begins with a dot: this name is nobody's.
        "UPDATE endpoints SET name = '.removed-' || endpoint_no, title = '', group_title = NULL, epoch = epoch + 1,
                coverage = NULL, cursor = NULL, yielded = '[]', listed_at = NULL
         WHERE endpoint_no = ?1",
    ] {
        transaction.execute(statement, [target.endpoint_no]).map_err(step())?;
    }
    transaction
        .execute(
            "UPDATE runs SET finished_at = ?2 WHERE endpoint_no = ?1 AND finished_at IS NULL",
            params![target.endpoint_no, release.at.0],
        )
        .map(drop)
        .map_err(step())
}
