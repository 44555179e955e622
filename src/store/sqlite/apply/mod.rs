//! Writes a plan into the state file: in chunks, each with its events and the position reached.
//!
//! A chunk is one transaction. Killed between two chunks, the next run goes on with the one that is missing; a stale
//! run, whose endpoint has begun another one, cannot write.

mod edges;
mod finish;
mod joins;
mod objects;
mod probes;
mod records;
mod removals;
mod renames;
mod repair;
mod reverse;
mod told;

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde::Serialize;

use super::edit;
use super::join::{self, Ahead, Ground};
use super::key_index::KeyIndex;
use super::outbox::Writer;
use super::stage::Stage;
use super::{damaged, sql};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CustomerId, EndpointName, EventType, ObjectKind, Record, RecordId, RunId, Timestamp};
use crate::store::{Applied, fault};

pub(super) use finish::{Finish, abort, finish};
pub(super) use records::{
    Arriving, RecordRow, images, is_object, load_record, load_record_while, owner_id, record_row, standing_at,
    standing_of,
};
use records::{images_seeing, with_facets};
pub(super) use repair::repair;

/// Rows of a chunk behind which other writers get their turn.
const ROWS_BEFORE_BREATH: u64 = 1000;

/// The steps of an apply, in order. Their numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ApplyPhase {
    /// Objects, their records and events.
    Objects,
    /// The probes of new objects, in the order of their keys.
    Probes,
    /// The ids of new records, in their order.
    Ids,
    /// Members of listed groups.
    Groups,
    /// Endings in groups that were not listed.
    Endings,
    /// The way back from members to groups.
    Reverse,
    /// Objects that go.
    Removals,
    /// Everything but the report is written.
    Finishing,
}

impl ApplyPhase {
    const ALL: [Self; 8] = [
        Self::Objects,
        Self::Probes,
        Self::Ids,
        Self::Groups,
        Self::Endings,
        Self::Reverse,
        Self::Removals,
        Self::Finishing,
    ];

    fn from_number(number: i64) -> Result<Self> {
        usize::try_from(number).ok().and_then(|at| Self::ALL.get(at)).copied().ok_or_else(|| damaged("a phase"))
    }

    fn to_number(self) -> i64 {
        Self::ALL.iter().position(|phase| *phase == self).and_then(|at| i64::try_from(at).ok()).unwrap_or_default()
    }

    fn next(self) -> Self {
        Self::ALL.into_iter().find(|phase| *phase > self).unwrap_or(Self::Finishing)
    }
}

/// The stored number of the last phase: a run that reached it left nothing half done.
pub(super) const FINISHING: i64 = 7;

/// The endpoint whose plan is applied.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) customer_no: i64,
    pub(super) customer: CustomerId,
    pub(super) endpoint_no: i64,
    pub(super) endpoint: EndpointName,
    pub(super) seed: u64,
    pub(super) run: RunId,
    pub(super) epoch: i64,
}

/// An apply under way.
#[derive(Debug)]
pub(super) struct Apply {
    pub(super) target: Target,
    /// Whether a delta is applied: sleeping memberships are then woken here, else the listing brings them.
    pub(super) wakes: bool,
    containers: HashMap<String, i64>,
    /// Whether the endpoint has computers, once that was asked.
    has_computers: Option<bool>,
    /// Probes of new objects that joined a record, where computers may name them: written with them, at the end of the chunk.
    joined: Vec<([u8; 16], probes::ProbeRow, Option<i64>)>,
    /// Objects of this chunk that have another id now: their memberships are still under the old one.
    renamed: Vec<renames::Renamed>,
    /// What memberships name, by key, while they are applied.
    index: Option<KeyIndex>,
    /// Changes of members that are told together.
    waiting: told::Waiting,
}

/// One transaction of an apply.
struct Chunk<'a> {
    transaction: &'a Transaction<'a>,
    events: Writer<'a>,
    applied: Applied,
    /// Changes of the stored counts: three kinds of objects, and memberships.
    counts: [i64; 4],
    /// Whether a new user may be somebody who was added by hand.
    adopts: bool,
    /// What objects of several endpoints are joined on; `None` for a customer who has one.
    ground: Option<Ground>,
    /// What was read for the new objects of the chunk beforehand.
    ahead: Ahead,
    /// The ids that new objects of the chunk would found, and the records that have them already.
    founded: HashMap<i64, (RecordId, Option<i64>)>,
    /// What was there when the chunk began.
    before: Before,
    now: Timestamp,
}

/// What a chunk finds when it begins: each new object would have to ask for it.
struct Before {
    /// The endpoint's place in the customer's order, and what it leaves to local editors.
    rank: u32,
    /// Its place in records up to this number, while the order changes.
    next_rank: Option<(u32, i64)>,
    yielded: Vec<String>,
    /// Whether any record has an id that a new one might be given: not before the first import of all has written them.
    any_ids: bool,
    /// The last object that has facets; those that come later have none but their own.
    last_facet: i64,
}

impl Before {
    fn read(transaction: &Transaction<'_>, endpoint_no: i64) -> Result<Self> {
        type Row = (u32, String, bool, Option<i64>, Option<u32>, Option<i64>);
        let (rank, yielded, any_ids, last_facet, next, upto): Row = transaction
            .prepare_cached(
                "SELECT rank, yielded, EXISTS (SELECT 1 FROM record_ids), (SELECT max(object_no) FROM facets),
                        next_rank, (SELECT upto FROM reorders r WHERE r.customer_no = e.customer_no)
                 FROM endpoints e WHERE endpoint_no = ?1",
            )
            .and_then(|mut query| {
                query.query_row([endpoint_no], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
                })
            })
            .map_err(sql("read the endpoint"))?;
        let yielded = serde_json::from_str(&yielded).unwrap_or_default();
        Ok(Self { rank, next_rank: next.zip(upto), yielded, any_ids, last_facet: last_facet.unwrap_or(i64::MIN) })
    }

    /// Returns the endpoint's place in the order that a record follows.
    fn rank_in(&self, record_no: i64) -> u32 {
        self.next_rank.filter(|(_, upto)| record_no <= *upto).map_or(self.rank, |(next, _)| next)
    }
}

/// What a chunk leaves to be done.
enum Reached {
    /// More of the same phase, behind this position.
    Position(i64),
    /// The next phase.
    End,
}

#[derive(Serialize)]
struct RecordData<'a> {
    record: &'a Record,
    changed: Vec<&'a str>,
    previous: BTreeMap<&'a str, serde_json::Value>,
    /// None: a local editor's change.
    run: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restorable: Option<bool>,
}

impl Chunk<'_> {
    /// Adds the event of a created or changed record; `false` if nothing that the outside sees has changed.
    fn upserted(&mut self, before: Option<&Record>, after: &Record, run: RunId) -> Result<bool> {
        upserted(&mut self.events, before, after, run)
    }

    /// Adds the event of a removed record.
    fn removed(&mut self, record: &Record, restorable: bool, run: RunId) -> Result<()> {
        let event_type = match record.kind {
            ObjectKind::User => EventType::UserRemoved,
            ObjectKind::Group => EventType::GroupRemoved,
            ObjectKind::Computer => EventType::ComputerRemoved,
        };
        tell_removed(&mut self.events, event_type, record, restorable, run)
    }
}

/// Adds the event of a removed record.
pub(super) fn tell_removed(
    events: &mut Writer<'_>,
    event_type: EventType,
    record: &Record,
    restorable: bool,
    run: RunId,
) -> Result<()> {
    let (changed, previous, run) = (Vec::new(), BTreeMap::new(), told_run(run));
    let data = RecordData { record, changed, previous, run, restorable: Some(restorable) };
    events.add(event_type, &record.id.to_string(), &data)
}

pub(super) fn told_run(run: RunId) -> Option<RunId> {
    (!run.0.is_nil()).then_some(run)
}

/// Adds the event of a created or changed record; `false` if nothing that the outside sees has changed.
pub(super) fn upserted(events: &mut Writer<'_>, before: Option<&Record>, after: &Record, run: RunId) -> Result<bool> {
    let event_type = match after.kind {
        ObjectKind::User => EventType::UserUpserted,
        ObjectKind::Group => EventType::GroupUpserted,
        ObjectKind::Computer => EventType::ComputerUpserted,
    };
    let run = told_run(run);
    let Some(before) = before else {
        let changed = after.attributes.iter().map(|(name, _)| name.as_str()).collect();
        let data = RecordData { record: after, changed, previous: BTreeMap::new(), run, restorable: None };
        return events.add(event_type, &after.id.to_string(), &data).map(|()| true);
    };
    let changed = after.changed_since(before);
    if changed.is_empty() {
        return Ok(false);
    }
    let previous =
        changed.iter().filter_map(|name| before.value_as_json(name).map(|value| (name.as_str(), value))).collect();
    let changed = changed.iter().map(crate::model::AttributeName::as_str).collect();
    let data = RecordData { record: after, changed, previous, run, restorable: None };
    events.add(event_type, &after.id.to_string(), &data)?;
    Ok(true)
}

impl Apply {
    pub(super) fn new(target: Target, wakes: bool) -> Self {
        Self {
            target,
            wakes,
            containers: HashMap::new(),
            has_computers: None,
            joined: Vec::new(),
            renamed: Vec::new(),
            index: None,
            waiting: told::Waiting::default(),
        }
    }

    /// Applies one chunk. Returns what was applied so far, and whether everything but the finish is done.
    pub(super) fn chunk(
        &mut self,
        writer: &mut Connection,
        stage: &mut Stage,
        now: Timestamp,
    ) -> Result<(Applied, bool)> {
        let before = writer.total_changes();
        let result = self.commit_chunk(writer, stage, now);
        if writer.total_changes() - before > ROWS_BEFORE_BREATH {
            super::pause(super::BREATH);
        }
        result
    }

    fn commit_chunk(&mut self, writer: &mut Connection, stage: &mut Stage, now: Timestamp) -> Result<(Applied, bool)> {
        let step = || sql("apply changes");
        let target = self.target.clone();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
        check_epoch(&transaction, &target)?;
        let (phase, at, applied) = position(&transaction, &target)?;
        if phase == ApplyPhase::Finishing {
            return Ok((applied, true));
        }
        let events = Writer::begin(&transaction, target.customer_no, Some(&target.endpoint), target.run, now)?;
        let brings = phase == ApplyPhase::Objects;
        let adopts = brings && !edit::owns_nobody(&transaction, target.customer_no)?;
        let several = brings && join::is_several(&transaction, target.customer_no)?;
        let ground = several.then(|| Ground::read(&transaction, target.customer_no)).transpose()?;
        let before = Before::read(&transaction, target.endpoint_no)?;
        let mut chunk = Chunk {
            transaction: &transaction,
            events,
            applied,
            counts: [0; 4],
            adopts,
            ground,
            ahead: Ahead::default(),
            founded: HashMap::new(),
            before,
            now,
        };
        let reached = match phase {
            ApplyPhase::Objects => self.objects(stage, &mut chunk, at)?,
            ApplyPhase::Probes => self.probes(stage, &chunk, at)?,
            ApplyPhase::Ids => Self::ids(stage, &chunk, at)?,
            ApplyPhase::Groups => self.groups(stage, &mut chunk, at)?,
            ApplyPhase::Endings => self.endings(stage, &mut chunk, at)?,
            ApplyPhase::Reverse => self.reverse(stage, &chunk, at)?,
            ApplyPhase::Removals => self.removals(stage, &mut chunk, at)?,
            ApplyPhase::Finishing => Reached::End,
        };
        let Chunk { events, applied, counts, .. } = chunk;
        events.finish()?;
        for (what, change) in counts.into_iter().enumerate().filter(|(_, change)| *change != 0) {
            transaction
                .prepare_cached(
                    "INSERT INTO counts VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET count = count + excluded.count",
                )
                .and_then(|mut insert| insert.execute(params![target.endpoint_no, what, change]))
                .map_err(step())?;
        }
        let (phase, at) = match reached {
            Reached::Position(at) => (phase, at),
            Reached::End => (phase.next(), 0),
        };
        transaction
            .prepare_cached("UPDATE runs SET phase = ?2, position = ?3, applied = ?4 WHERE id = ?1")
            .and_then(|mut update| {
                let applied = serde_json::to_string(&applied).unwrap_or_default();
                update.execute(params![target.run.0.as_bytes().as_slice(), phase.to_number(), at, applied])
            })
            .map_err(step())?;
        fault::point();
        transaction.commit().map_err(step())?;
        fault::point();
        Ok((applied, phase == ApplyPhase::Finishing))
    }

    /// Returns the number of a container, giving it one if it is new.
    fn container_no(&mut self, transaction: &Transaction<'_>, path: &str) -> Result<i64> {
        if let Some(no) = self.containers.get(path) {
            return Ok(*no);
        }
        let step = || sql("apply changes");
        transaction
            .prepare_cached("INSERT OR IGNORE INTO containers (endpoint_no, path) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![self.target.endpoint_no, path]))
            .map_err(step())?;
        let no = transaction
            .prepare_cached("SELECT container_no FROM containers WHERE endpoint_no = ?1 AND path = ?2")
            .and_then(|mut query| query.query_row(params![self.target.endpoint_no, path], |row| row.get(0)))
            .map_err(step())?;
        // Bounded: a directory has far fewer places than people, but nothing forces it to.
        if self.containers.len() >= 10_000 {
            self.containers.clear();
        }
        self.containers.insert(path.to_owned(), no);
        Ok(no)
    }
}

/// Refuses to write for a run whose endpoint has begun another one.
pub(super) fn check_epoch(connection: &Connection, target: &Target) -> Result<()> {
    let epoch: i64 = connection
        .prepare_cached("SELECT epoch FROM endpoints WHERE endpoint_no = ?1")
        .and_then(|mut query| query.query_row([target.endpoint_no], |row| row.get(0)))
        .map_err(sql("check the run"))?;
    if epoch == target.epoch {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Conflict, "another run of this endpoint has begun; this one may no longer write")
        .with_context("endpoint", &target.endpoint))
}

fn position(connection: &Connection, target: &Target) -> Result<(ApplyPhase, i64, Applied)> {
    let (phase, at, applied): (i64, i64, Option<String>) = connection
        .prepare_cached("SELECT phase, position, applied FROM runs WHERE id = ?1")
        .and_then(|mut query| {
            query.query_row([target.run.0.as_bytes().as_slice()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        })
        .map_err(sql("read the run"))?;
    let applied = match applied {
        Some(json) => serde_json::from_str(&json).map_err(|_| damaged("the figures of a run"))?,
        None => Applied::default(),
    };
    Ok((ApplyPhase::from_number(phase)?, at, applied))
}

/// Returns up to where a phase has come: 0 before it, the largest number behind it.
pub(super) fn reached(connection: &Connection, target: &Target, phase: ApplyPhase) -> Result<i64> {
    let (now, at, _) = position(connection, target)?;
    Ok(match now.cmp(&phase) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => at,
        std::cmp::Ordering::Greater => i64::MAX,
    })
}

/// Returns what was applied of the run's plan so far.
pub(super) fn applied(connection: &Connection, target: &Target) -> Result<Applied> {
    position(connection, target).map(|(_, _, applied)| applied)
}
