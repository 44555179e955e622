//! Notes that one step of an apply leaves for a later one, which takes them range by range: what has to be written in
//! another order than it comes, without a sort of everything in memory.
//!
//! It does not know what a note says.

use std::collections::BTreeMap;

use rusqlite::params;

use super::Stage;
use crate::error::Result;
use crate::store::codec::Reader;
use crate::store::sqlite::{damaged, sql};

/// What a note is about; the numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Subject {
    /// The probe of a new object.
    Probe,
    /// The id of a new record.
    Id,
    /// The way back from a member to its groups.
    Reverse,
}

/// Bytes of one range in memory before they go to the file.
const RANGE_BYTES: usize = 16 << 10;

/// Notes that are still in memory, by subject and range.
pub(super) type Pending = BTreeMap<(Subject, u64), Vec<u8>>;

impl Stage {
    /// Adds a note to a range.
    pub(in super::super) fn note(
        &mut self,
        subject: Subject,
        range: u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let notes = self.pending.entry((subject, range)).or_default();
        write(notes);
        if notes.len() > RANGE_BYTES {
            let notes = std::mem::take(notes);
            self.write_notes(subject, range, &notes)?;
        }
        Ok(())
    }

    fn write_notes(&self, subject: Subject, range: u64, notes: &[u8]) -> Result<()> {
        self.file
            .prepare_cached("INSERT INTO notes (subject, range, notes) VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![subject as i64, range, notes]))
            .map(drop)
            .map_err(sql("note changes"))
    }

    /// Moves all notes to the file.
    pub(in super::super) fn flush_notes(&mut self) -> Result<()> {
        for ((subject, range), notes) in std::mem::take(&mut self.pending) {
            if !notes.is_empty() {
                self.write_notes(subject, range, &notes)?;
            }
        }
        Ok(())
    }

    /// Reads the notes of the first range from `range` on, in the order in which they were made; returns that range.
    pub(in super::super) fn read_notes(
        &self,
        subject: Subject,
        range: i64,
        mut take: impl FnMut(&mut Reader<'_>) -> Result<()>,
    ) -> Result<Option<i64>> {
        let step = || sql("read notes");
        let range: Option<i64> = self
            .file
            .prepare_cached("SELECT min(range) FROM notes WHERE subject = ?1 AND range >= ?2")
            .and_then(|mut query| query.query_row(params![subject as i64, range], |row| row.get(0)))
            .map_err(step())?;
        let Some(range) = range else { return Ok(None) };
        let mut query = self
            .file
            .prepare_cached("SELECT notes FROM notes WHERE subject = ?1 AND range = ?2 ORDER BY block_no")
            .map_err(step())?;
        let mut rows = query.query(params![subject as i64, range]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let bytes = row.get_ref(0).map_err(step())?.as_blob().map_err(|_| damaged("notes"))?;
            let mut reader = Reader::new(bytes, "notes");
            while !reader.is_at_end() {
                take(&mut reader)?;
            }
        }
        Ok(Some(range))
    }
}
