//! The way back from members to groups, written in the order of the members, a range of them at a time.

use rusqlite::{OptionalExtension, params};

use super::{Apply, Chunk, Index, Reached};
use crate::error::Result;
use crate::store::codec::{self, Reader, pack_sorted, push_number, unpack_sorted};
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{damaged, sql};

impl Apply {
    /// Applies the noted changes of one range of members.
    pub(super) fn reverse(&mut self, stage: &Stage, chunk: &Chunk<'_>, at: i64) -> Result<Reached> {
        let step = || sql("store memberships");
        // The index has served; the sorting below takes its place in memory.
        self.index = Index::Undecided;
        let bucket: Option<i64> = stage
            .file
            .query_row("SELECT min(bucket) FROM reverse WHERE bucket >= ?1", [at], |row| row.get(0))
            .map_err(step())?;
        let Some(bucket) = bucket else { return Ok(Reached::End) };
        let mut changes: Vec<(u64, u64, bool)> = Vec::new();
        {
            let mut query = stage
                .file
                .prepare_cached("SELECT changes FROM reverse WHERE bucket = ?1 ORDER BY block_no")
                .map_err(step())?;
            let mut rows = query.query([bucket]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let bytes = row.get_ref(0).map_err(step())?.as_blob().map_err(|_| damaged("noted memberships"))?;
                let mut reader = Reader::new(bytes, "noted memberships");
                while !reader.is_at_end() {
                    let member = reader.number()?;
                    let group = reader.number()?;
                    changes.push((member, group >> 1, group & 1 == 1));
                }
            }
        }
        // Stable: of several changes of one membership the last one counts.
        changes.sort_by_key(|(member, group, _)| (*member, *group));
        let mut rest = changes.as_slice();
        while let Some((member, ..)) = rest.first() {
            let (own, others) = rest.split_at(rest.partition_point(|(other, ..)| other == member));
            rest = others;
            let mut groups = member_groups(chunk, *member)?;
            for (at, (_, group, begins)) in own.iter().enumerate() {
                if own.get(at + 1).is_some_and(|(_, next, _)| next == group) {
                    continue;
                }
                match (groups.binary_search(group), begins) {
                    (Err(at), true) => groups.insert(at, *group),
                    (Ok(at), false) => drop(groups.remove(at)),
                    _ => {}
                }
            }
            write_groups(chunk, *member, &groups)?;
        }
        Ok(Reached::Position(bucket + 1))
    }
}

pub(super) fn member_groups(chunk: &Chunk<'_>, member: u64) -> Result<Vec<u64>> {
    chunk
        .transaction
        .prepare_cached("SELECT groups FROM member_groups WHERE member_no = ?1")
        .and_then(|mut query| query.query_row([member], |row| row.get::<_, Vec<u8>>(0)).optional())
        .map_err(sql("read memberships"))?
        .map_or_else(|| Ok(Vec::new()), |packed| unpack_sorted(&packed))
}

pub(super) fn write_groups(chunk: &Chunk<'_>, member: u64, groups: &[u64]) -> Result<()> {
    if groups.is_empty() {
        return chunk
            .transaction
            .prepare_cached("DELETE FROM member_groups WHERE member_no = ?1")
            .and_then(|mut delete| delete.execute([member]))
            .map(drop)
            .map_err(sql("store memberships"));
    }
    chunk
        .transaction
        .prepare_cached("INSERT OR REPLACE INTO member_groups VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![member, pack_sorted(groups)]))
        .map(drop)
        .map_err(sql("store memberships"))
}

/// Members of one range are sorted in memory.
const MEMBERS_A_BUCKET_BITS: u32 = 14;
/// Bytes of one range in memory before they go to the file.
const BUCKET_BYTES: usize = 64 << 10;

impl Stage {
    /// Notes a change for the way back.
    pub(super) fn note_reverse(&mut self, member: u64, group_via: i64, begins: bool) -> Result<()> {
        let bucket = usize::try_from(member >> MEMBERS_A_BUCKET_BITS).map_err(|_| damaged("an object number"))?;
        let changes = self.reverse.entry(bucket).or_default();
        push_number(changes, member);
        push_number(changes, group_via.unsigned_abs() << 1 | u64::from(begins));
        if changes.len() > BUCKET_BYTES {
            let changes = std::mem::take(changes);
            self.write_reverse(bucket, &changes)?;
        }
        Ok(())
    }

    fn write_reverse(&self, bucket: usize, changes: &[u8]) -> Result<()> {
        self.file
            .prepare_cached("INSERT INTO reverse (bucket, changes) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![bucket, changes]))
            .map(drop)
            .map_err(sql("note memberships"))
    }

    /// Moves all notes to the file.
    pub(super) fn flush_reverse(&mut self) -> Result<()> {
        for (bucket, changes) in std::mem::take(&mut self.reverse) {
            if !changes.is_empty() {
                self.write_reverse(bucket, &changes)?;
            }
        }
        Ok(())
    }

    /// Returns the members that the plan lets go from one group.
    pub(super) fn going(&self, group_via: i64) -> Result<Vec<u64>> {
        let row: Option<(Vec<u8>, Vec<u8>)> = self
            .file
            .prepare_cached("SELECT explained, going FROM edge_losses WHERE group_via = ?1")
            .and_then(|mut query| query.query_row([group_via], |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .map_err(sql("read the plan"))?;
        let Some((explained, going)) = row else { return Ok(Vec::new()) };
        Ok(crate::store::sqlite::plan::merge_sorted(&codec::unpack_sorted(&explained)?, &codec::unpack_sorted(&going)?))
    }
}
