//! What is written of objects to be found again: probes and ids of records, of new ones in the order of their keys.
//!
//! It knows nothing of what an object shows.

use rusqlite::params;

use super::objects::Row;
use super::{Apply, Chunk, Reached};
use crate::error::Result;
use crate::model::{Facet, ObjectKind, RecordId, SourceKey};
use crate::store::codec;
use crate::store::sqlite::stage::{Stage, Subject};
use crate::store::sqlite::{Standing, kind_from_number, kind_number, sql};

/// Rows of one transaction that only index.
const ROWS_A_CHUNK: usize = 20_000;

impl Apply {
    /// Writes the probe of a stored object.
    pub(super) fn write_probe(
        &mut self,
        stage: &Stage,
        chunk: &Chunk<'_>,
        row: &Row,
        fingerprint: &[u8; 16],
    ) -> Result<()> {
        let container = match &row.container {
            Some(path) => Some(self.container_no(chunk.transaction, path)?),
            None => stage.probe(&row.source_id.key(), Facet::Core)?.and_then(|probe| probe.container_no),
        };
        let probe = ProbeRow {
            object_no: row.object_no(),
            facet: row.facet(),
            kind: row.kind,
            fingerprint: *fingerprint,
            observed: row.observed,
        };
        insert_probe(chunk, self.target.endpoint_no, &row.source_id.key().0, &probe, container)
    }

    /// Notes what is to be written of a new object in another order than that of the listing.
    pub(super) fn note_new(
        &mut self,
        stage: &mut Stage,
        chunk: &Chunk<'_>,
        row: &Row,
        key: &SourceKey,
        new: Option<&New>,
    ) -> Result<()> {
        let container = match &row.container {
            Some(path) => self.container_no(chunk.transaction, path)?,
            None => 0,
        };
        if new.is_none() && self.has_computers(stage, chunk)? {
            // Whose record has another id is found by the probe alone: a computer that it owns may be read any time.
            let probe = ProbeRow {
                object_no: row.object_no(),
                facet: 0,
                kind: row.kind,
                fingerprint: row.fingerprint,
                observed: row.observed,
            };
            self.joined.push((key.0, probe, Some(container).filter(|container| *container != 0)));
            return Ok(());
        }
        stage.note(Subject::Probe, range_of(&key.0), |notes| {
            notes.extend_from_slice(&key.0);
            codec::push_number(notes, row.object_no().unsigned_abs());
            codec::push_number(notes, kind_number(row.kind).unsigned_abs());
            codec::push_number(notes, container.unsigned_abs());
            notes.extend_from_slice(&row.fingerprint);
            notes.extend_from_slice(&row.observed.to_le_bytes());
        })?;
        let Some(new) = new else { return Ok(()) };
        stage.note(Subject::Id, range_of(new.id.0.as_bytes()), |notes| {
            notes.extend_from_slice(new.id.0.as_bytes());
            codec::push_number(notes, new.record_no.unsigned_abs());
        })
    }

    /// Tells whether the endpoint has computers, or is about to have some.
    fn has_computers(&mut self, stage: &Stage, chunk: &Chunk<'_>) -> Result<bool> {
        if let Some(known) = self.has_computers {
            return Ok(known);
        }
        let stored: bool = chunk
            .transaction
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM counts WHERE endpoint_no = ?1 AND what = ?2 AND count > 0)")
            .and_then(|mut query| {
                query.query_row(params![self.target.endpoint_no, kind_number(ObjectKind::Computer)], |row| row.get(0))
            })
            .map_err(sql("count"))?;
        let has = stored || stage.brings(ObjectKind::Computer)?;
        self.has_computers = Some(has);
        Ok(has)
    }

    /// Writes the probes of new objects that joined a record, in the order of their keys.
    pub(super) fn write_joined(&mut self, chunk: &Chunk<'_>) -> Result<()> {
        self.joined.sort_unstable_by_key(|(key, ..)| *key);
        for (key, probe, container) in self.joined.drain(..) {
            insert_probe(chunk, self.target.endpoint_no, &key, &probe, container)?;
        }
        Ok(())
    }

    /// Writes the probes of new objects in the order of their keys, so that a first import appends.
    pub(super) fn probes(&mut self, stage: &mut Stage, chunk: &Chunk<'_>, at: i64) -> Result<Reached> {
        stage.forget_new_keys();
        let mut probes: Vec<([u8; 16], Option<i64>, ProbeRow)> = Vec::new();
        let reached = read_ranges(stage, Subject::Probe, at, |note| {
            let key = note.array()?;
            let object_no = note.number()?.cast_signed();
            let kind = kind_from_number(note.number()?.cast_signed())?;
            let container = Some(note.number()?.cast_signed()).filter(|container| *container != 0);
            let (fingerprint, observed) = (note.array()?, i64::from_le_bytes(note.array()?));
            probes.push((key, container, ProbeRow { object_no, facet: 0, kind, fingerprint, observed }));
            Ok(probes.len())
        })?;
        probes.sort_unstable_by_key(|(key, ..)| *key);
        for (key, container, probe) in &probes {
            insert_probe(chunk, self.target.endpoint_no, key, probe, *container)?;
        }
        Ok(reached)
    }

    /// Writes the ids of new records in their order.
    pub(super) fn ids(stage: &Stage, chunk: &Chunk<'_>, at: i64) -> Result<Reached> {
        let mut ids: Vec<([u8; 16], u64)> = Vec::new();
        let reached = read_ranges(stage, Subject::Id, at, |note| {
            ids.push((note.array()?, note.number()?));
            Ok(ids.len())
        })?;
        ids.sort_unstable();
        for (id, record_no) in ids {
            chunk
                .transaction
                .prepare_cached("INSERT OR IGNORE INTO record_ids VALUES (?1, ?2)")
                .and_then(|mut insert| insert.execute(params![id, record_no]))
                .map_err(sql("store the id of a record"))?;
        }
        Ok(reached)
    }
}

/// What is new in an object's row.
pub(super) struct New {
    pub(super) id: RecordId,
    pub(super) record_no: i64,
}

/// Ranges of keys: one is sorted in memory, some thousand keys of a million.
const KEY_RANGE_BITS: u32 = 6;

fn range_of(key: &[u8; 16]) -> u64 {
    u64::from(key[0]) >> (8 - KEY_RANGE_BITS)
}

/// Reads notes range by range until they fill a chunk; `take` returns how many there are by now.
fn read_ranges(
    stage: &Stage,
    subject: Subject,
    at: i64,
    mut take: impl FnMut(&mut codec::Reader<'_>) -> Result<usize>,
) -> Result<Reached> {
    let (mut at, mut rows) = (at, 0);
    while rows < ROWS_A_CHUNK {
        let range = stage.read_notes(subject, at, |note| {
            rows = take(note)?;
            Ok(())
        })?;
        match range {
            Some(range) => at = range + 1,
            None => return Ok(Reached::End),
        }
    }
    Ok(Reached::Position(at))
}

/// What a probe is written from.
#[derive(Debug)]
pub(super) struct ProbeRow {
    object_no: i64,
    facet: i64,
    kind: ObjectKind,
    fingerprint: [u8; 16],
    observed: i64,
}

fn insert_probe(
    chunk: &Chunk<'_>,
    endpoint_no: i64,
    key: &[u8; 16],
    row: &ProbeRow,
    container: Option<i64>,
) -> Result<()> {
    chunk
        .transaction
        .prepare_cached("INSERT OR REPLACE INTO probes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
        .and_then(|mut insert| {
            insert.execute(params![
                endpoint_no,
                key,
                row.facet,
                row.object_no,
                Standing::live(row.kind).to_number(),
                row.fingerprint,
                row.observed,
                container
            ])
        })
        .map(drop)
        .map_err(sql("store an object"))
}
