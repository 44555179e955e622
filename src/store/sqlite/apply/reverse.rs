//! The way back from members to groups, written in the order of the members, a range of them at a time.

use rusqlite::{OptionalExtension, params};

use super::{Apply, Chunk, Index, Reached};
use crate::error::Result;
use crate::store::codec::{self, pack_sorted, push_number, unpack_sorted};
use crate::store::sqlite::sql;
use crate::store::sqlite::stage::{Stage, Subject};

impl Apply {
    /// Applies the noted changes of one range of members.
    pub(super) fn reverse(&mut self, stage: &Stage, chunk: &Chunk<'_>, at: i64) -> Result<Reached> {
        // The index has served; the sorting below takes its place in memory.
        self.index = Index::Undecided;
        let mut changes: Vec<(u64, u64, bool)> = Vec::new();
        let range = stage.read_notes(Subject::Reverse, at, |note| {
            let (member, group) = (note.number()?, note.number()?);
            changes.push((member, group >> 1, group & 1 == 1));
            Ok(())
        })?;
        let Some(range) = range else { return Ok(Reached::End) };
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
        Ok(Reached::Position(range + 1))
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
const MEMBERS_A_RANGE_BITS: u32 = 14;

impl Stage {
    /// Notes a change for the way back.
    pub(super) fn note_reverse(&mut self, member: u64, group_via: i64, begins: bool) -> Result<()> {
        self.note(Subject::Reverse, member >> MEMBERS_A_RANGE_BITS, |notes| {
            push_number(notes, member);
            push_number(notes, group_via.unsigned_abs() << 1 | u64::from(begins));
        })
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
