//! The way back from members to groups, written in the order of the members, a range of them at a time.

use rusqlite::params;

use super::{Apply, Chunk, Reached};
use crate::error::Result;
use crate::store::codec::{pack_sorted, push_number};
use crate::store::sqlite::member::groups_of;
use crate::store::sqlite::sql;
use crate::store::sqlite::stage::{Stage, Subject};

impl Apply {
    /// Applies the noted changes of one range of members.
    pub(super) fn reverse(&mut self, stage: &Stage, chunk: &Chunk<'_>, at: i64) -> Result<Reached> {
        // The index has served; the sorting below takes its place in memory.
        self.index = None;
        // Member, and group with whether it begins in the last bit.
        let mut changes: Vec<(u64, u64)> = Vec::new();
        let range = stage.read_notes(Subject::Reverse, at, |note| {
            changes.push((note.number()?, note.number()?));
            Ok(())
        })?;
        let Some(range) = range else { return Ok(Reached::End) };
        // Stable: of several changes of one membership the last one counts.
        changes.sort_by_key(|(member, change)| (*member, change >> 1));
        // In a first import nobody is in any group before: those behind the last one are not asked for.
        let last: Option<u64> = chunk
            .transaction
            .query_row("SELECT max(member_no) FROM member_groups", [], |row| row.get(0))
            .map_err(sql("read memberships"))?;
        let mut rest = changes.as_slice();
        while let Some((member, _)) = rest.first() {
            let (own, others) = rest.split_at(rest.partition_point(|(other, _)| other == member));
            rest = others;
            let mut groups = if last.is_some_and(|last| last >= *member) {
                groups_of(chunk.transaction, *member)?
            } else {
                Vec::new()
            };
            for (at, (_, change)) in own.iter().enumerate() {
                let group = change >> 1;
                if own.get(at + 1).is_some_and(|(_, next)| next >> 1 == group) {
                    continue;
                }
                match (groups.binary_search(&group), change & 1 == 1) {
                    (Err(at), true) => groups.insert(at, group),
                    (Ok(at), false) => drop(groups.remove(at)),
                    _ => {}
                }
            }
            write_groups(chunk, *member, &groups)?;
        }
        Ok(Reached::Position(range + 1))
    }
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
const MEMBERS_A_RANGE_BITS: u32 = 13;

impl Stage {
    /// Notes a change for the way back.
    pub(super) fn note_reverse(&mut self, member: u64, group_via: i64, begins: bool) -> Result<()> {
        self.note(Subject::Reverse, member >> MEMBERS_A_RANGE_BITS, |notes| {
            push_number(notes, member);
            push_number(notes, group_via.unsigned_abs() << 1 | u64::from(begins));
        })
    }
}
