//! The ids of the records that objects joined, in the order of the objects: what the events of many memberships name.
//!
//! Sixteen bytes an object are too much to keep in memory, and alone each look-up would read pages of its own. So they lie
//! in the stage, and are read in order for thousands of members at a time. It does not know who joins whom, or why.

use rusqlite::params;

use super::Stage;
use crate::error::Result;
use crate::model::RecordId;
use crate::store::sqlite::{damaged, sql};

/// Objects of one row: a page of the stage holds it.
const OBJECTS_A_BLOCK: usize = 640;
/// Bytes of an object in a block: its number and the id.
const ENTRY: usize = 24;

impl Stage {
    /// Writes down to which records the joined objects of the endpoint lead, as they are stored now.
    pub(in super::super) fn note_joined(&self) -> Result<()> {
        let step = || sql("note joined objects");
        let transaction = self.file.unchecked_transaction().map_err(step())?;
        transaction
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS joined (first_no INTEGER PRIMARY KEY, ids BLOB NOT NULL) STRICT;
                 DELETE FROM joined",
            )
            .map_err(step())?;
        {
            let mut insert = transaction.prepare("INSERT INTO joined VALUES (?1, ?2)").map_err(step())?;
            let mut query = self
                .main
                .prepare(
                    "SELECT object_no, id FROM objects INDEXED BY joined_by_object JOIN records USING (record_no)
                     WHERE endpoint_no = ?1 AND record_no <> object_no ORDER BY object_no",
                )
                .map_err(step())?;
            let mut rows = query.query([self.endpoint_no]).map_err(step())?;
            let (mut first, mut block) = (0, Vec::with_capacity(OBJECTS_A_BLOCK * ENTRY));
            while let Some(row) = rows.next().map_err(step())? {
                let (object_no, id): (i64, [u8; 16]) = (row.get(0).map_err(step())?, row.get(1).map_err(step())?);
                if block.is_empty() {
                    first = object_no;
                }
                block.extend_from_slice(&object_no.to_le_bytes());
                block.extend_from_slice(&id);
                if block.len() == OBJECTS_A_BLOCK * ENTRY {
                    insert.execute(params![first, block]).map_err(step())?;
                    block.clear();
                }
            }
            if !block.is_empty() {
                insert.execute(params![first, block]).map_err(step())?;
            }
        }
        transaction.commit().map_err(step())
    }

    /// Returns the records of those of some objects, in order, that joined another's when it was noted.
    pub(in super::super) fn joined_records(&self, objects: &[i64]) -> Result<Vec<(i64, RecordId)>> {
        let step = || sql("read joined objects");
        let mut query = self
            .file
            .prepare_cached("SELECT ids FROM joined WHERE first_no <= ?1 ORDER BY first_no DESC LIMIT 1")
            .map_err(step())?;
        let mut found = Vec::with_capacity(objects.len());
        let mut rest = objects;
        while let Some(next) = rest.first() {
            let mut rows = query.query([next]).map_err(step())?;
            let mut behind = 0;
            if let Some(row) = rows.next().map_err(step())? {
                let block = row.get_ref(0).map_err(step())?.as_blob().map_err(|_| damaged("joined objects"))?;
                let entries: Vec<(i64, [u8; 16])> = block.as_chunks::<ENTRY>().0.iter().filter_map(entry).collect();
                let last = entries.last().map_or(i64::MIN, |(object_no, _)| *object_no);
                behind = rest.partition_point(|object_no| *object_no <= last);
                for object_no in &rest[..behind] {
                    if let Ok(at) = entries.binary_search_by_key(object_no, |(object_no, _)| *object_no) {
                        found.push((*object_no, RecordId(uuid::Uuid::from_bytes(entries[at].1))));
                    }
                }
            }
            // Who lies between two blocks has joined nobody.
            rest = &rest[behind.max(1)..];
        }
        Ok(found)
    }
}

fn entry(bytes: &[u8; ENTRY]) -> Option<(i64, [u8; 16])> {
    let (number, id) = bytes.split_first_chunk::<8>()?;
    Some((i64::from_le_bytes(*number), id.try_into().ok()?))
}
