//! Two records become one, and one becomes two: what is stored of it, and the events that tell it.
//!
//! Nothing is lost on the way: the row of a record that was absorbed stays, with all that was local, and is there again when
//! they are taken apart. Who belongs together is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::absorbed::{Absorbed, absorbed_into};
use super::evidence::Links;
use crate::error::Result;
use crate::model::{
    ConflictReason, CustomerId, EventType, JoinReason, ObjectKind, Record, RecordId, RunId, SourceId, Timestamp,
};
use crate::rules::evidence::partition;
use crate::store::sqlite::apply::{images, load_record, record_row, standing_of, told_run, upserted};
use crate::store::sqlite::edit;
use crate::store::sqlite::outbox::Writer;
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{State, damaged, kind_number, sql};

/// The stored state of a record that was absorbed by another.
const ABSORBED: i64 = 3;

/// One object of a record, there or gone.
#[derive(Debug, Clone)]
pub(in super::super) struct Part {
    pub(super) object_no: i64,
    pub(in super::super) endpoint_no: i64,
    pub(super) rank: i64,
    pub(super) source_id: SourceId,
    /// Whether it is there.
    pub(super) present: bool,
    /// Whether no other object of its endpoint may be in the same record.
    occupies: bool,
}

/// Joins and takes apart within one transaction.
pub(in super::super) struct Joiner<'a, 'e> {
    pub(in super::super) connection: &'a Connection,
    pub(in super::super) events: &'a mut Writer<'e>,
    pub(in super::super) customer: &'a CustomerId,
    pub(in super::super) customer_no: i64,
    pub(in super::super) run: RunId,
    pub(in super::super) now: Timestamp,
    /// What is being applied.
    pub(in super::super) stage: Option<&'a Stage>,
    /// Events of records that were added.
    pub(in super::super) told: u64,
}

#[derive(Serialize)]
struct MergedData<'a> {
    kept: RecordId,
    absorbed: RecordId,
    record: &'a Record,
    changed: Vec<&'a str>,
    previous: BTreeMap<&'a str, serde_json::Value>,
    run: Option<RunId>,
}

#[derive(Serialize)]
struct SplitData<'a> {
    from: RecordId,
    record: &'a Record,
    changed: Vec<&'a str>,
    previous: BTreeMap<&'a str, serde_json::Value>,
    run: Option<RunId>,
}

/// Returns the record that stands for another one by now, which may be the same.
pub(in super::super) fn kept_of(connection: &Connection, record_no: i64) -> Result<i64> {
    let kept: Option<i64> = connection
        .prepare_cached("SELECT into_no FROM absorbed WHERE record_no = ?1")
        .and_then(|mut query| query.query_row([record_no], |row| row.get(0)).optional())
        .map_err(sql("read a record"))?;
    Ok(kept.unwrap_or(record_no))
}

pub(super) fn record_of(connection: &Connection, object_no: i64) -> Result<i64> {
    connection
        .prepare_cached("SELECT record_no FROM objects WHERE object_no = ?1")
        .and_then(|mut query| query.query_row([object_no], |row| row.get(0)))
        .map_err(sql("read an object"))
}

/// Lists the objects of a record, also those that are gone, in the order in which they count.
pub(in super::super) fn parts(connection: &Connection, stage: Option<&Stage>, record_no: i64) -> Result<Vec<Part>> {
    let step = || sql("read the objects of a record");
    let mut query = connection
        .prepare_cached(concat!(
            "SELECT o.object_no, o.endpoint_no, ",
            rank_in_record!(),
            ", o.source_id
                 FROM objects o JOIN endpoints e USING (endpoint_no) WHERE o.object_no = ?1 AND o.record_no = ?1
                 UNION ALL
                 SELECT o.object_no, o.endpoint_no, ",
            rank_in_record!(),
            ", o.source_id
                 FROM objects o INDEXED BY objects_joined JOIN endpoints e USING (endpoint_no)
                 WHERE o.record_no = ?1 AND o.record_no <> o.object_no"
        ))
        .map_err(step())?;
    let mut rows = query.query([record_no]).map_err(step())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let (object_no, endpoint_no) = (row.get(0).map_err(step())?, row.get(1).map_err(step())?);
        let source_id = row.get_ref(3).map_err(step())?.as_blob().ok().and_then(SourceId::from_stored);
        let source_id = source_id.ok_or_else(|| damaged("a source id"))?;
        let state = standing_of(connection, endpoint_no, &source_id)?.map_or(State::Live, |standing| standing.state);
        let mut unseen = state == State::Missing;
        if let Some(stage) = stage.filter(|stage| source_id.is_weak() && stage.endpoint_no == endpoint_no) {
            unseen |= stage.is_candidate(object_no)?;
        }
        found.push(Part {
            object_no,
            endpoint_no,
            rank: row.get(2).map_err(step())?,
            present: matches!(state, State::Live | State::Missing),
            // A weak id that is not seen any more may have been replaced by this very person's next one.
            occupies: !(source_id.is_weak() && unseen),
            source_id,
        });
    }
    found.sort_by(|a, b| (a.rank, &a.source_id).cmp(&(b.rank, &b.source_id)));
    Ok(found)
}

impl Part {
    /// Tells whether two objects are two people of one endpoint.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        self.object_no != other.object_no && self.endpoint_no == other.endpoint_no && self.occupies && other.occupies
    }
}

/// Tells whether two objects must not be in one record.
fn exclude(connection: &Connection, one: &Part, other: &Part) -> Result<bool> {
    Ok(one.excludes(other) || is_apart(connection, one.object_no, other.object_no)?)
}

fn is_apart(connection: &Connection, one: i64, other: i64) -> Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM apart WHERE object_no = ?1 AND other_no = ?2")
        .and_then(|mut query| query.exists([one, other]))
        .map_err(sql("read what is kept apart"))
}

/// Tells whether a new object of an endpoint has a place in a record.
pub(in super::super) fn has_room(
    connection: &Connection,
    stage: &Stage,
    record_no: i64,
    object_no: i64,
    source_id: &SourceId,
) -> Result<bool> {
    let new = Part {
        object_no,
        endpoint_no: stage.endpoint_no,
        rank: 0,
        source_id: source_id.clone(),
        present: true,
        occupies: true,
    };
    for part in parts(connection, Some(stage), record_no)? {
        if exclude(connection, &new, &part)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A new object that looks for a place in a record.
pub(in super::super) struct Newcomer<'a> {
    pub(in super::super) connection: &'a Connection,
    pub(in super::super) stage: &'a Stage,
    pub(in super::super) object_no: i64,
    /// Whether anybody is kept apart from anybody.
    pub(in super::super) any_apart: bool,
}

impl Newcomer<'_> {
    /// Tells whether an object, there or gone, keeps it out of its record.
    pub(in super::super) fn is_kept_out_by(
        &self,
        object_no: i64,
        endpoint_no: i64,
        source_id: &SourceId,
        state: State,
    ) -> Result<bool> {
        if endpoint_no == self.stage.endpoint_no && object_no != self.object_no {
            let unseen = source_id.is_weak() && (state == State::Missing || self.stage.is_candidate(object_no)?);
            // A weak id that is not seen any more may have been replaced by this very person's next one.
            if !unseen {
                return Ok(true);
            }
        }
        Ok(self.any_apart && is_apart(self.connection, self.object_no, object_no)?)
    }
}

impl Joiner<'_, '_> {
    /// Notes why an object is where it is.
    pub(in super::super) fn note(&self, object_no: i64, with_no: i64, reason: JoinReason) -> Result<()> {
        note_join(self.connection, (object_no, with_no, reason), self.run, self.now)
    }

    /// Joins an object with those that it belongs together with, as far as that is possible; what is not is told.
    pub(in super::super) fn settle(&mut self, object_no: i64, links: &Links) -> Result<()> {
        let mut conflicts: BTreeMap<ConflictReason, BTreeSet<i64>> = BTreeMap::new();
        for (reason, other) in &links.joins {
            if let Some(reason) = self.follow(object_no, *other, *reason)? {
                conflicts.entry(reason).or_default().insert(*other);
            }
        }
        for (reason, others) in &links.conflicts {
            conflicts.entry(*reason).or_default().extend(others);
        }
        for (reason, others) in conflicts {
            let own = record_of(self.connection, object_no)?;
            let mut records = BTreeSet::new();
            for other in others {
                // One that is still to be stored will tell of it itself.
                let there: Option<i64> = self
                    .connection
                    .prepare_cached("SELECT record_no FROM objects WHERE object_no = ?1")
                    .and_then(|mut query| query.query_row([other], |row| row.get(0)).optional())
                    .map_err(sql("read an object"))?;
                records.extend(there.filter(|record| *record != own));
            }
            let records: Vec<i64> = records.into_iter().collect();
            let id = record_row(self.connection, own)?.ok_or_else(|| damaged("a record"))?.id;
            let numbers = (self.customer_no, own);
            edit::note_conflict(self.connection, self.events, numbers, id, (&records, reason), (self.run, self.now))?;
        }
        Ok(())
    }

    /// Follows one link. Returns why it cannot be followed.
    fn follow(&mut self, object_no: i64, other: i64, reason: JoinReason) -> Result<Option<ConflictReason>> {
        let (own, others) = (record_of(self.connection, object_no)?, record_of(self.connection, other)?);
        if own == others {
            return Ok(None);
        }
        let row = record_row(self.connection, own)?.ok_or_else(|| damaged("a record"))?;
        if row.kind != ObjectKind::User {
            return Ok(Some(ConflictReason::LateAnchor));
        }
        let (left, right) = (parts(self.connection, self.stage, own)?, parts(self.connection, self.stage, others)?);
        let mut excluding = BTreeSet::new();
        for (at, one) in left.iter().chain(&right).enumerate() {
            for another in left.iter().chain(&right).skip(at + 1) {
                if exclude(self.connection, one, another)? {
                    excluding.insert((one.object_no, another.object_no));
                }
            }
        }
        let exclude = |a: i64, b: i64| excluding.contains(&(a, b)) || excluding.contains(&(b, a));
        let free = left.iter().all(|a| right.iter().all(|b| !exclude(a.object_no, b.object_no)));
        if !free && !self.make_room(&left, &right, (reason, object_no, other), exclude)? {
            return Ok(Some(ConflictReason::JoinedOtherwise));
        }
        let (own, others) = (record_of(self.connection, object_no)?, record_of(self.connection, other)?);
        // Who has been known for longer stays.
        let (kept, absorbed) = if own < others { (own, others) } else { (others, own) };
        self.merge(kept, absorbed)?;
        self.note(object_no, other, reason)?;
        Ok(None)
    }

    /// Takes the objects of the endpoint that is being applied out of a record.
    pub(in super::super) fn expel(&mut self, record_no: i64) -> Result<()> {
        let Some(stage) = self.stage else { return Ok(()) };
        let parts = parts(self.connection, self.stage, record_no)?;
        let going: BTreeSet<i64> = parts
            .iter()
            .filter(|part| part.endpoint_no == stage.endpoint_no && part.occupies)
            .map(|part| part.object_no)
            .collect();
        if going.is_empty() { Ok(()) } else { self.split(record_no, &going).map(drop) }
    }

    /// Takes apart what was joined for weaker reasons, as far as a stronger one asks for it.
    fn make_room(
        &mut self,
        left: &[Part],
        right: &[Part],
        link: (JoinReason, i64, i64),
        exclude: impl Fn(i64, i64) -> bool,
    ) -> Result<bool> {
        let all: Vec<i64> = left.iter().chain(right).map(|part| part.object_no).collect();
        // Of equals those that are joined already come first.
        let mut links = self.joined(left)?;
        links.extend(self.joined(right)?);
        links.push(link);
        let wanted = partition(&all, &links, exclude);
        let (_, one, other) = link;
        let Some(together) = wanted.iter().find(|part| part.contains(&one)) else { return Ok(false) };
        if !together.contains(&other) {
            return Ok(false);
        }
        for side in [left, right] {
            let leaving: BTreeSet<i64> =
                side.iter().map(|part| part.object_no).filter(|object_no| !together.contains(object_no)).collect();
            // Those that leave may not belong together either.
            for part in &wanted {
                let part: BTreeSet<i64> = part.intersection(&leaving).copied().collect();
                if let Some(first) = part.first() {
                    let from = record_of(self.connection, *first)?;
                    self.split(from, &part)?;
                }
            }
        }
        Ok(true)
    }

    /// Lists why the objects of a record are in it: links between them.
    fn joined(&self, parts: &[Part]) -> Result<Vec<(JoinReason, i64, i64)>> {
        let mut links = Vec::new();
        let Some(first) = parts.first() else { return Ok(links) };
        for part in parts {
            let rows: Vec<(i64, usize)> = self
                .connection
                .prepare_cached("SELECT with_no, reason FROM joins WHERE object_no = ?1")
                .and_then(|mut query| {
                    query.query_map([part.object_no], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
                })
                .map_err(sql("read a join"))?;
            for (with, reason) in rows {
                let reason = *JoinReason::ALL.get(reason).ok_or_else(|| damaged("a join"))?;
                let known = parts.iter().any(|other| other.object_no == with);
                links.push((reason, part.object_no, if known { with } else { first.object_no }));
            }
            // An object that others were joined by may be gone by now: what it held together stays together.
            links.push((JoinReason::NaturalKey, part.object_no, first.object_no));
        }
        Ok(links)
    }

    /// Makes one record of two. Both are users and there.
    pub(super) fn merge(&mut self, kept: i64, absorbed: i64) -> Result<Record> {
        let step = || sql("join two records");
        let before = load_record(self.connection, kept)?.ok_or_else(|| damaged("a record"))?;
        let gone = record_row(self.connection, absorbed)?.ok_or_else(|| damaged("a record"))?;
        let parts = parts(self.connection, self.stage, absorbed)?;
        let founder = parts.iter().find(|part| part.object_no == absorbed).or(parts.first());
        let founder = founder.ok_or_else(|| damaged("a record"))?.object_no;
        for part in &parts {
            self.connection
                .prepare_cached("UPDATE objects SET record_no = ?2 WHERE object_no = ?1")
                .and_then(|mut update| update.execute([part.object_no, kept]))
                .map_err(step())?;
        }
        for (statement, with) in [
            ("UPDATE records SET state = ?2 WHERE record_no = ?1", params![absorbed, ABSORBED]),
            ("UPDATE absorbed SET into_no = ?2 WHERE into_no = ?1", params![absorbed, kept]),
            ("INSERT INTO absorbed VALUES (?1, ?2, ?2, ?3)", params![absorbed, kept, founder]),
        ] {
            self.connection.prepare_cached(statement).and_then(|mut write| write.execute(with)).map_err(step())?;
        }
        edit::take_over(self.connection, kept)?;
        let record = load_record(self.connection, kept)?.ok_or_else(|| damaged("a record"))?;
        let names = record.changed_since(&before);
        let data = MergedData {
            kept: record.id,
            absorbed: gone.id,
            record: &record,
            changed: names.iter().map(crate::model::AttributeName::as_str).collect(),
            previous: names
                .iter()
                .filter_map(|name| before.value_as_json(name).map(|value| (name.as_str(), value)))
                .collect(),
            run: told_run(self.run),
        };
        self.events.add(EventType::UserMerged, &record.id.to_string(), &data)?;
        self.told += 1;
        Ok(record)
    }

    /// Takes objects out of a record, which become one of their own. Who founded the record keeps it. Returns both
    /// numbers: the old one first.
    pub(super) fn split(&mut self, record_no: i64, leaving: &BTreeSet<i64>) -> Result<(i64, i64)> {
        let step = || sql("take a record apart");
        let all = parts(self.connection, self.stage, record_no)?;
        let (mut leave, mut stay): (Vec<Part>, Vec<Part>) =
            all.into_iter().partition(|part| leaving.contains(&part.object_no));
        if leave.iter().any(|part| part.object_no == record_no) {
            std::mem::swap(&mut leave, &mut stay);
        }
        // A living person's id is never taken away: who is gone leaves.
        if !stay.is_empty() && !stay.iter().any(|part| part.present) && leave.iter().any(|part| part.present) {
            std::mem::swap(&mut leave, &mut stay);
        }
        let before = load_record(self.connection, record_no)?.ok_or_else(|| damaged("a record"))?;
        let new_no = self.found(record_no, &leave)?;
        for part in &leave {
            self.connection
                .prepare_cached("UPDATE objects SET record_no = ?2 WHERE object_no = ?1")
                .and_then(|mut update| update.execute([part.object_no, new_no]))
                .map_err(step())?;
        }
        for (these, those) in [(&leave, &stay), (&stay, &leave)] {
            for part in these {
                for other in those {
                    self.connection
                        .prepare_cached("DELETE FROM joins WHERE object_no = ?1 AND with_no = ?2")
                        .and_then(|mut delete| delete.execute([part.object_no, other.object_no]))
                        .map_err(step())?;
                }
            }
        }
        if images(self.connection, new_no)?.is_empty() {
            // Nobody who is there leaves: nobody has to be told.
            self.connection
                .prepare_cached("UPDATE records SET state = 2 WHERE record_no = ?1")
                .and_then(|mut update| update.execute([new_no]))
                .map_err(step())?;
        } else {
            self.tell_split(&before, new_no)?;
        }
        if images(self.connection, record_no)?.is_empty() {
            self.disown(record_no)?;
        }
        let after = load_record(self.connection, record_no)?.ok_or_else(|| damaged("a record"))?;
        self.told += u64::from(upserted(self.events, Some(&before), &after, self.run)?);
        Ok((record_no, new_no))
    }

    fn tell_split(&mut self, before: &Record, new_no: i64) -> Result<()> {
        let record = load_record(self.connection, new_no)?.ok_or_else(|| damaged("a record"))?;
        let names: Vec<_> = record.attributes.iter().map(|(name, _)| name.clone()).collect();
        let data = SplitData {
            from: before.id,
            record: &record,
            changed: names.iter().map(crate::model::AttributeName::as_str).collect(),
            previous: BTreeMap::new(),
            run: told_run(self.run),
        };
        self.events.add(EventType::UserSplit, &record.id.to_string(), &data)?;
        self.told += 1;
        Ok(())
    }

    /// Gives objects that leave a record one of their own: the one that was absorbed with them, else a new one.
    fn found(&self, record_no: i64, leave: &[Part]) -> Result<i64> {
        let step = || sql("take a record apart");
        let rows = absorbed_into(self.connection, record_no)?;
        let moving: Vec<Absorbed> =
            rows.iter().filter(|row| leave.iter().any(|part| part.object_no == row.object_no)).copied().collect();
        let moves = |no: i64| moving.iter().any(|row| row.record_no == no);
        let new_no = match moving.iter().find(|row| !moves(row.parent_no)) {
            Some(top) => {
                for statement in
                    ["UPDATE records SET state = 0 WHERE record_no = ?1", "DELETE FROM absorbed WHERE record_no = ?1"]
                {
                    self.connection
                        .prepare_cached(statement)
                        .and_then(|mut write| write.execute([top.record_no]))
                        .map_err(step())?;
                }
                top.record_no
            }
            None => self.insert_record(leave)?,
        };
        for row in rows.iter().filter(|row| row.record_no != new_no) {
            let (into, parent) = match (moves(row.record_no), moves(row.parent_no) || row.parent_no == new_no) {
                (true, true) => (new_no, row.parent_no),
                (true, false) => (new_no, new_no),
                (false, true) => (record_no, record_no),
                (false, false) => continue,
            };
            self.connection
                .prepare_cached("UPDATE absorbed SET into_no = ?2, parent_no = ?3 WHERE record_no = ?1")
                .and_then(|mut update| update.execute([row.record_no, into, parent]))
                .map_err(step())?;
        }
        Ok(new_no)
    }

    /// Adds the record that one of these objects founds.
    fn insert_record(&self, leave: &[Part]) -> Result<i64> {
        let step = || sql("take a record apart");
        let mut founder = None;
        for part in leave {
            let taken: bool = self
                .connection
                .prepare_cached("SELECT 1 FROM records WHERE record_no = ?1")
                .and_then(|mut query| query.exists([part.object_no]))
                .map_err(step())?;
            if !taken && !self.is_taken(part)? {
                founder = Some(part);
                break;
            }
        }
        let first = founder.or(leave.first()).ok_or_else(|| damaged("a record"))?;
        let endpoint: String = self
            .connection
            .prepare_cached("SELECT name FROM endpoints WHERE endpoint_no = ?1")
            .and_then(|mut query| query.query_row([first.endpoint_no], |row| row.get(0)))
            .map_err(step())?;
        let endpoint = crate::model::EndpointName::new(endpoint)?;
        let founded = RecordId::founded_by(self.customer, &endpoint, ObjectKind::User, &first.source_id.key());
        let (no, id) = match founder {
            Some(part) => (part.object_no, founded),
            None => {
                // What it founded is somebody else by now.
                let no: i64 = self
                    .connection
                    .query_row(
                        "UPDATE numbers SET next = next + 1 WHERE name = 'object' RETURNING next - 1",
                        [],
                        |row| row.get(0),
                    )
                    .map_err(step())?;
                let parts: &[&[u8]] = &[founded.0.as_bytes(), &no.to_be_bytes()];
                (no, RecordId(crate::model::derive_uuid("tenantry record taken apart", parts)))
            }
        };
        for (statement, with) in [
            (
                "INSERT INTO records VALUES (?1, ?2, ?3, ?4, 0, NULL, NULL)",
                params![no, self.customer_no, id.0.as_bytes(), kind_number(ObjectKind::User)],
            ),
            ("INSERT OR REPLACE INTO record_ids VALUES (?1, ?2)", params![id.0.as_bytes(), no]),
            ("DELETE FROM adopted_ids WHERE id = ?1", params![id.0.as_bytes()]),
        ] {
            self.connection.prepare_cached(statement).and_then(|mut write| write.execute(with)).map_err(step())?;
        }
        Ok(no)
    }

    /// Tells whether the id that an object would found is another record's: whoever was known by its address before.
    fn is_taken(&self, part: &Part) -> Result<bool> {
        if !part.source_id.is_weak() {
            return Ok(false);
        }
        let endpoint: String = self
            .connection
            .prepare_cached("SELECT name FROM endpoints WHERE endpoint_no = ?1")
            .and_then(|mut query| query.query_row([part.endpoint_no], |row| row.get(0)))
            .map_err(sql("take a record apart"))?;
        let endpoint = crate::model::EndpointName::new(endpoint)?;
        let founded = RecordId::founded_by(self.customer, &endpoint, ObjectKind::User, &part.source_id.key());
        self.connection
            .prepare_cached("SELECT 1 FROM record_ids i JOIN records r USING (record_no) WHERE i.id = ?1 AND r.id = ?1")
            .and_then(|mut query| query.exists([founded.0.as_bytes()]))
            .map_err(sql("take a record apart"))
    }

    /// Leaves a record to local editors: nobody owns it any more.
    fn disown(&self, record_no: i64) -> Result<()> {
        let row = record_row(self.connection, record_no)?.ok_or_else(|| damaged("a record"))?;
        edit::remember_key(self.connection, self.customer_no, record_no, &row.local)?;
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO local_records VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![record_no, self.customer_no, kind_number(row.kind)]))
            .map(drop)
            .map_err(sql("take a record apart"))
    }
}

/// Notes why an object is where it is.
pub(in super::super) fn note_join(
    connection: &Connection,
    (object_no, with_no, reason): (i64, i64, JoinReason),
    run: RunId,
    now: Timestamp,
) -> Result<()> {
    let run = told_run(run).map(|run| *run.0.as_bytes());
    connection
        .prepare_cached("INSERT OR REPLACE INTO joins VALUES (?1, ?2, ?3, ?4, ?5)")
        .and_then(|mut insert| insert.execute(params![object_no, with_no, reason.number(), now.0, run]))
        .map(drop)
        .map_err(sql("note a join"))
}
