//! Memberships: a digest per group tells an unchanged one; only the others are staged.
//!
//! Members of an open group are kept in memory up to a bound, then spilled; a group that closes unchanged leaves
//! nothing behind.

use std::collections::{HashMap, HashSet};

use rusqlite::{OptionalExtension, params};

use super::Stage;
use crate::error::Result;
use crate::model::{Edges, Facet, Member, Scope, SourceId, SourceKey, Via};
use crate::store::codec;
use crate::store::sqlite::sql;

/// Bytes of open groups in memory before all are spilled.
const MAX_OPEN_BYTES: usize = 8 << 20;
/// Bytes of one group in memory before it is spilled.
const MAX_GROUP_BYTES: usize = 1 << 20;

/// Members that are added between two looks at these bounds.
const MEMBERS_AT_ONCE: usize = 4096;

/// A group of which more members may come.
#[derive(Debug, Default)]
pub(in super::super) struct OpenGroup {
    digest: u128,
    count: u64,
    members: Vec<u8>,
    spilled: bool,
}

/// A membership that has ended by the directory's own word.
#[derive(Debug)]
pub(super) struct End {
    group: SourceKey,
    via: Via,
    member: SourceId,
}

impl OpenGroup {
    /// Adds members; returns how many bytes they take.
    fn add(&mut self, seed: u64, members: &[Member]) -> usize {
        let before = self.members.len();
        for member in members {
            self.digest = self.digest.wrapping_add(codec::member_digest(seed, &member.id.key()));
            codec::push_member(&mut self.members, member);
        }
        self.count += members.len() as u64;
        self.members.len() - before
    }
}

pub(in super::super) fn via_number(via: Via) -> i64 {
    match via {
        Via::Explicit => 0,
        Via::Primary => 1,
    }
}

impl Stage {
    /// Adds the memberships of a page of a snapshot. Returns the groups that came whole on this one page and are as they
    /// are stored: nothing is kept of them.
    pub(super) fn add_listed_edges(&mut self, listed: &[Edges], closed: &[Scope]) -> Result<HashSet<(SourceKey, Via)>> {
        let mut whole: HashMap<(SourceKey, Via), u32> = closed
            .iter()
            .filter_map(|scope| match scope {
                Scope::Members(group, via) => Some(((group.key(), *via), 0)),
                _ => None,
            })
            .collect();
        if !whole.is_empty() {
            for edges in listed {
                if let Some(parts) = whole.get_mut(&(edges.group.key(), edges.via)) {
                    *parts += 1;
                }
            }
        }
        let mut settled = HashSet::new();
        for edges in listed {
            let key = (edges.group.key(), edges.via);
            if whole.get(&key) == Some(&1) && !self.open.contains_key(&key) {
                let digest = edges.members.iter().fold(0_u128, |digest, member| {
                    digest.wrapping_add(codec::member_digest(self.seed, &member.id.key()))
                });
                if self.stored_digest(key.0, key.1)? == (edges.members.len() as u64, digest) {
                    self.figures.memberships += edges.members.len() as u64;
                    settled.insert(key);
                    continue;
                }
            }
            self.add_edges(edges)?;
        }
        Ok(settled)
    }

    pub(super) fn add_edges(&mut self, edges: &Edges) -> Result<()> {
        let key = edges.group.key();
        self.figures.memberships += edges.members.len() as u64;
        // A group without members is a statement as well.
        let open = self.open.entry((key, edges.via)).or_default();
        // A long list in parts, so that the bounds hold in between.
        let mut parts = edges.members.chunks(MEMBERS_AT_ONCE);
        if let Some(first) = parts.next() {
            self.open_bytes += open.add(self.seed, first);
            self.keep_bounds(key, edges.via)?;
        }
        for part in parts {
            self.open_bytes += self.open.entry((key, edges.via)).or_default().add(self.seed, part);
            self.keep_bounds(key, edges.via)?;
        }
        Ok(())
    }

    pub(in super::super) fn add_member(&mut self, group: SourceKey, via: Via, member: &Member) -> Result<()> {
        let open = self.open.entry((group, via)).or_default();
        self.open_bytes += open.add(self.seed, std::slice::from_ref(member));
        self.keep_bounds(group, via)
    }

    /// Spills where too much is in memory.
    fn keep_bounds(&mut self, group: SourceKey, via: Via) -> Result<()> {
        if self.open_bytes > MAX_OPEN_BYTES {
            self.spill_open_groups()?;
        } else if self.open.get(&(group, via)).is_some_and(|open| open.members.len() > MAX_GROUP_BYTES) {
            self.spill_group(group, via)?;
        }
        Ok(())
    }

    fn spill_group(&mut self, group: SourceKey, via: Via) -> Result<()> {
        let Some(open) = self.open.get_mut(&(group, via)) else { return Ok(()) };
        let step = || sql("stage memberships");
        if !open.spilled {
            self.file
                .prepare_cached("INSERT OR IGNORE INTO groups (group_key, via, closed) VALUES (?1, ?2, 0)")
                .and_then(|mut insert| insert.execute(params![group.0, via_number(via)]))
                .map_err(step())?;
            open.spilled = true;
        }
        if !open.members.is_empty() {
            self.file
                .prepare_cached("INSERT INTO edge_blocks (group_key, via, members) VALUES (?1, ?2, ?3)")
                .and_then(|mut insert| insert.execute(params![group.0, via_number(via), open.members]))
                .map_err(step())?;
            self.open_bytes -= open.members.len();
            open.members = Vec::new();
        }
        Ok(())
    }

    /// Moves the members of all open groups to the file.
    pub(super) fn spill_open_groups(&mut self) -> Result<()> {
        let mut groups: Vec<(i64, SourceKey, Via)> = self
            .open
            .iter()
            .filter(|(_, open)| !open.spilled || !open.members.is_empty())
            .map(|((group, via), _)| (i64::MAX, *group, *via))
            .collect();
        groups.sort_unstable();
        if self.is_delta() {
            let _reading = self.reading()?;
            // A listing keeps its order from one time to the next, changes come in any. Later steps go from group to
            // group as they are spilled here, and then find several on each page.
            for (number, group, _) in &mut groups {
                if let Some(probe) = self.probe(group, Facet::Core)? {
                    *number = probe.object_no;
                }
            }
            groups.sort_unstable();
        }
        for (_, group, via) in groups {
            self.spill_group(group, via)?;
        }
        Ok(())
    }

    /// Ends the listing of one group: it is staged only if it differs from what is stored.
    pub(super) fn close_group(&mut self, group: SourceKey, via: Via) -> Result<()> {
        let open = self.open.entry((group, via)).or_default();
        let (count, digest) = (open.count, open.digest);
        // In a delta, that a group has no members may be news although none are stored: they could be asleep.
        if self.stored_digest(group, via)? == (count, digest) && !(self.is_delta() && count == 0) {
            return self.drop_listed(group, via);
        }
        self.spill_group(group, via)?;
        self.open.remove(&(group, via));
        self.file
            .prepare_cached(
                "INSERT INTO groups (group_key, via, closed) VALUES (?1, ?2, 1)
                 ON CONFLICT DO UPDATE SET closed = 1",
            )
            .and_then(|mut insert| insert.execute(params![group.0, via_number(via)]))
            .map(drop)
            .map_err(sql("stage memberships"))
    }

    fn stored_digest(&self, group: SourceKey, via: Via) -> Result<(u64, u128)> {
        let Some(probe) = self.probe(&group, Facet::Core)? else { return Ok((0, 0)) };
        let stored = self
            .main
            .prepare_cached("SELECT count, digest FROM group_members WHERE group_via = ?1")
            .and_then(|mut query| {
                query
                    .query_row([probe.object_no * 2 + via_number(via)], |row| {
                        Ok((row.get(0)?, row.get::<_, [u8; 16]>(1)?))
                    })
                    .optional()
            })
            .map_err(sql("compare memberships"))?;
        Ok(stored.map_or((0, 0), |(count, digest)| (count, u128::from_le_bytes(digest))))
    }

    /// Forgets what was listed of a group.
    fn drop_listed(&mut self, group: SourceKey, via: Via) -> Result<()> {
        let Some(open) = self.open.remove(&(group, via)) else { return Ok(()) };
        self.open_bytes -= open.members.len();
        if open.spilled {
            let step = || sql("stage memberships");
            for statement in [
                "DELETE FROM edge_blocks WHERE group_key = ?1 AND via = ?2",
                "DELETE FROM groups WHERE group_key = ?1 AND via = ?2",
            ] {
                self.file
                    .prepare_cached(statement)
                    .and_then(|mut delete| delete.execute(params![group.0, via_number(via)]))
                    .map_err(step())?;
            }
        }
        Ok(())
    }

    /// Takes a group as never listed: it vanished meanwhile.
    pub(super) fn drop_group(&mut self, group: SourceKey) -> Result<()> {
        self.open.entry((group, Via::Explicit)).or_default().spilled = true;
        self.drop_listed(group, Via::Explicit)
    }

    /// Forgets which groups were open: their members are in the file, and no more are listed.
    pub(in super::super) fn forget_open_groups(&mut self) {
        self.open = HashMap::new();
        self.ended = HashSet::new();
    }

    /// Stages the directory's own statement that memberships ended.
    pub(super) fn end_edges(&mut self, edges: &Edges) {
        let (group, via) = (edges.group.key(), edges.via);
        self.ends.extend(edges.members.iter().map(|member| End { group, via, member: member.id.clone() }));
    }

    /// Writes the ended memberships that are still in memory: those of known members of known groups.
    pub(super) fn flush_ends(&mut self) -> Result<()> {
        let mut ends = std::mem::take(&mut self.ends);
        if ends.is_empty() {
            return Ok(());
        }
        let _reading = self.reading()?;
        // Everything in the order of the keys, then of the numbers: that of the pages.
        ends.sort_by_cached_key(|end| end.member.key());
        let mut known = Vec::with_capacity(ends.len());
        for end in &ends {
            if let Some(member) = self.probe(&end.member.key(), Facet::Core)? {
                known.push((end.group, end.via, member.object_no, &end.member));
            }
        }
        known.sort_unstable_by_key(|(group, ..)| *group);
        let mut numbers = Vec::with_capacity(known.len());
        for same in known.chunk_by(|one, other| one.0 == other.0) {
            if let Some(group) = self.probe(&same[0].0, Facet::Core)? {
                numbers.extend(
                    same.iter().map(|(_, via, member, id)| (group.object_no * 2 + via_number(*via), *member, *id)),
                );
            }
        }
        numbers.sort_unstable_by_key(|(group_via, member, _)| (*group_via, *member));
        numbers.into_iter().try_for_each(|(group_via, member, id)| self.end_edge(group_via, member, id))
    }

    pub(in super::super) fn end_edge(&self, group_via: i64, member_no: i64, member: &SourceId) -> Result<()> {
        self.file
            .prepare_cached("INSERT OR IGNORE INTO edge_ends VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![group_via, member_no, member.to_stored()]))
            .map(drop)
            .map_err(sql("stage memberships"))
    }

    /// Returns the source id of a member that the directory said has ended.
    pub(in super::super) fn ended_member(&self, group_via: i64, member_no: u64) -> Result<Option<SourceId>> {
        let id: Option<Vec<u8>> = self
            .file
            .prepare_cached("SELECT member_id FROM edge_ends WHERE group_via = ?1 AND member_no = ?2")
            .and_then(|mut query| query.query_row(params![group_via, member_no], |row| row.get(0)).optional())
            .map_err(sql("read staged memberships"))?;
        id.map(|id| SourceId::from_stored(&id).ok_or_else(|| crate::store::sqlite::damaged("a source id"))).transpose()
    }

    /// Counts the spilled members of groups that were open when the last run was interrupted.
    pub(super) fn restore_open_groups(&mut self) -> Result<()> {
        let step = || sql("read the stage");
        let mut restored = Vec::new();
        {
            let mut query = self
                .file
                .prepare(
                    "SELECT group_key, via, members FROM groups LEFT JOIN edge_blocks USING (group_key, via)
                     WHERE closed = 0",
                )
                .map_err(step())?;
            let mut rows = query.query([]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let key = SourceKey(row.get(0).map_err(step())?);
                let via = if row.get::<_, i64>(1).map_err(step())? == 1 { Via::Primary } else { Via::Explicit };
                restored.push((key, via, row.get::<_, Option<Vec<u8>>>(2).map_err(step())?));
            }
        }
        for (key, via, members) in restored {
            let open = self.open.entry((key, via)).or_default();
            open.spilled = true;
            let members = members.unwrap_or_default();
            let mut reader = codec::Reader::new(&members, "staged members");
            while !reader.is_at_end() {
                let member = codec::read_member(&mut reader)?;
                open.digest = open.digest.wrapping_add(codec::member_digest(self.seed, &member.id.key()));
                open.count += 1;
            }
        }
        Ok(())
    }
}
