//! From the keys that memberships name to what is stored, read in the order of the keys: that of their pages.
//!
//! It does not know what is done with them.

use rusqlite::{OptionalExtension, params};

use crate::error::Result;
use crate::model::{SourceId, SourceKey};
use crate::store::codec::{self, Reader};
use crate::store::numbers::Numbers;
use crate::store::sqlite::key_index::{Found, KeyIndex};
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{Standing, damaged, sql};

/// Bytes of staged members from which on the keys of all objects are read: one walk is then cheaper than many look-ups.
const ALL_FROM_BYTES: i64 = 1 << 20;

/// Adds the keys that a staged value names.
type Take<'a> = &'a dyn Fn(&[u8], &mut Vec<SourceKey>) -> Result<()>;

impl Stage {
    /// Reads what is stored of all groups and members that are staged, and maybe of others.
    pub(in super::super) fn key_index(&self) -> Result<KeyIndex> {
        let _reading = self.reading()?;
        let bytes: i64 = self
            .file
            .query_row("SELECT coalesce(sum(length(members)), 0) FROM edge_blocks", [], |row| row.get(0))
            .map_err(sql("read object keys"))?;
        // Where so many members are staged, a walk over all that is stored is cheaper than looking each up.
        if bytes < ALL_FROM_BYTES { self.index_of_staged() } else { self.index_of_all() }
    }

    fn index_of_all(&self) -> Result<KeyIndex> {
        let step = || sql("read object keys");
        let (count, base): (usize, i64) = self
            .main
            .query_row(
                "SELECT count(*), coalesce(min(object_no), 0) FROM probes WHERE endpoint_no = ?1 AND facet = 0",
                [self.endpoint_no],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(step())?;
        let joined = self.joined_objects()?;
        let mut index = KeyIndex::with_room(count, Some(base));
        let mut query = self
            .main
            .prepare("SELECT source_key, object_no, standing FROM probes WHERE endpoint_no = ?1 AND facet = 0")
            .map_err(step())?;
        let mut rows = query.query([self.endpoint_no]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let object_no: i64 = row.get(1).map_err(step())?;
            let standing = Standing::from_number(row.get(2).map_err(step())?)?;
            let found = Found { object_no, standing, joined: joined.contains(object_no.unsigned_abs()) };
            index.insert(&SourceKey(row.get(0).map_err(step())?), found);
        }
        index.is_whole = true;
        Ok(index)
    }

    fn index_of_staged(&self) -> Result<KeyIndex> {
        let step = || sql("read object keys");
        let keys = self.staged_keys()?;
        let joined = self.joined_objects()?;
        let mut index = KeyIndex::with_room(keys.len(), None);
        let mut query = self
            .main
            .prepare_cached(
                "SELECT object_no, standing FROM probes WHERE endpoint_no = ?1 AND source_key = ?2 AND facet = 0",
            )
            .map_err(step())?;
        for key in keys {
            let found: Option<(i64, i64)> = query
                .query_row(params![self.endpoint_no, key.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
                .map_err(step())?;
            if let Some((object_no, standing)) = found {
                let standing = Standing::from_number(standing)?;
                index.insert(&key, Found { object_no, standing, joined: joined.contains(object_no.unsigned_abs()) });
            }
        }
        Ok(index)
    }

    /// Lists the keys of groups and members that are staged, in their order.
    fn staged_keys(&self) -> Result<Vec<SourceKey>> {
        let step = || sql("read object keys");
        let mut keys = Vec::new();
        let mut each = |statement: &str, take: Take<'_>| -> Result<()> {
            let mut query = self.file.prepare(statement).map_err(step())?;
            let mut rows = query.query([]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                take(row.get_ref(0).map_err(step())?.as_blob().map_err(|_| damaged("staged members"))?, &mut keys)?;
            }
            Ok(())
        };
        each("SELECT group_key FROM groups", &|key, keys| {
            keys.push(SourceKey(key.try_into().map_err(|_| damaged("a staged group"))?));
            Ok(())
        })?;
        each("SELECT members FROM edge_blocks", &|members, keys| {
            let mut reader = Reader::new(members, "staged members");
            while !reader.is_at_end() {
                keys.push(codec::read_member(&mut reader)?.id.key());
            }
            Ok(())
        })?;
        each("SELECT member_id FROM edge_ends", &|id, keys| {
            keys.push(SourceId::from_stored(id).ok_or_else(|| damaged("a source id"))?.key());
            Ok(())
        })?;
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// Lists the objects whose record another object founded.
    fn joined_objects(&self) -> Result<Numbers> {
        let step = || sql("read object keys");
        let mut query = self
            .main
            .prepare(
                "SELECT object_no FROM objects INDEXED BY joined_by_object
                 WHERE record_no <> object_no AND endpoint_no = ?1 ORDER BY object_no",
            )
            .map_err(step())?;
        let mut rows = query.query([self.endpoint_no]).map_err(step())?;
        let mut joined = Numbers::default();
        while let Some(row) = rows.next().map_err(step())? {
            joined.insert(row.get(0).map_err(step())?);
        }
        Ok(joined)
    }
}
