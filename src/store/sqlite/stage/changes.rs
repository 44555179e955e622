//! What deltas and id listings add to a stage: statements that a later page may take back, and ids without values.
//!
//! It decides nothing of what goes; an id that is not listed means nothing before the listing has ended.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::Stage;
use super::edges::via_number;
use crate::endpoint::{ObjectRef, SnapshotPage};
use crate::error::Result;
use crate::model::{Edges, Facet, ObjectKind, Patch, Scope, SourceKey};
use crate::store::codec::{self, unpack_sorted};
use crate::store::sqlite::{State, kind_number, sql};
use crate::store::{Need, Stranger};

impl Stage {
    /// Takes note that changes are staged, not a listing.
    pub(super) fn note_delta(&mut self) -> Result<()> {
        if !self.delta {
            self.put("delta", &1)?;
            self.delta = true;
        }
        Ok(())
    }

    /// Tells whether changes were staged, not a listing.
    pub(in super::super) fn is_delta(&self) -> bool {
        self.delta
    }

    pub(super) fn mark_stated(&mut self) {
        self.stated = true;
    }

    /// Takes note that somebody who is no object here, or not now, is gone: what ends are the memberships.
    pub(super) fn note_gone(&self, object_no: i64) -> Result<()> {
        self.file
            .prepare_cached("INSERT OR IGNORE INTO gone VALUES (?1)")
            .and_then(|mut insert| insert.execute([object_no]))
            .map(drop)
            .map_err(sql("stage a tombstone"))
    }

    /// Adds the memberships of those who are gone to what the directory said has ended.
    pub(in super::super) fn add_gone(&self, statements: &mut BTreeMap<i64, Vec<u64>>) -> Result<()> {
        let step = || sql("plan memberships");
        let mut query = self.file.prepare("SELECT object_no FROM gone").map_err(step())?;
        let mut rows = query.query([]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let member: u64 = row.get(0).map_err(step())?;
            let groups: Option<Vec<u8>> = self
                .main
                .prepare_cached("SELECT groups FROM member_groups WHERE member_no = ?1")
                .and_then(|mut query| query.query_row([member], |row| row.get(0)).optional())
                .map_err(step())?;
            for group_via in unpack_sorted(&groups.unwrap_or_default())? {
                statements.entry(i64::try_from(group_via).unwrap_or_default()).or_default().push(member);
            }
        }
        Ok(())
    }

    /// Takes back what was said of an object's end: it was seen since.
    pub(in super::super) fn retract(&mut self, key: &SourceKey) -> Result<()> {
        if !self.stated {
            return Ok(());
        }
        let Some(probe) = self.probe(key, Facet::Core)? else { return Ok(()) };
        for statement in ["DELETE FROM candidates WHERE object_no = ?1", "DELETE FROM gone WHERE object_no = ?1"] {
            self.file
                .prepare_cached(statement)
                .and_then(|mut delete| delete.execute([probe.object_no]))
                .map_err(sql("take a statement back"))?;
        }
        Ok(())
    }

    /// Takes back the ends of memberships that begin again.
    pub(super) fn forget_ends(&mut self, edges: &Edges) -> Result<()> {
        if !self.ended.contains(&edges.group.key()) {
            return Ok(());
        }
        self.flush_ends()?;
        let step = || sql("stage memberships");
        let (group, via) = (edges.group.key(), via_number(edges.via));
        let group_no = self.probe(&group, Facet::Core)?.map(|probe| probe.object_no);
        for member in &edges.members {
            let key = member.id.key();
            if self.retracted {
                self.file
                    .prepare_cached("DELETE FROM retracted WHERE group_key = ?1 AND via = ?2 AND member_key = ?3")
                    .and_then(|mut delete| delete.execute(params![group.0, via, key.0]))
                    .map_err(step())?;
            }
            if let (Some(group_no), Some(member)) = (group_no, self.probe(&key, Facet::Core)?) {
                self.file
                    .prepare_cached("DELETE FROM edge_ends WHERE group_via = ?1 AND member_no = ?2")
                    .and_then(|mut delete| delete.execute([group_no * 2 + via, member.object_no]))
                    .map_err(step())?;
            }
        }
        Ok(())
    }

    /// Takes back the beginnings of memberships that end again.
    pub(super) fn retract_edges(&mut self, edges: &Edges) -> Result<()> {
        self.ended.insert(edges.group.key());
        let step = || sql("stage memberships");
        let (group, via) = (edges.group.key(), via_number(edges.via));
        let begun: bool = self.open.contains_key(&(group, edges.via))
            || self
                .file
                .prepare_cached("SELECT exists (SELECT 1 FROM groups WHERE group_key = ?1 AND via = ?2)")
                .and_then(|mut query| query.query_row(params![group.0, via], |row| row.get(0)))
                .map_err(step())?;
        if !begun {
            return Ok(());
        }
        self.retracted = true;
        for member in &edges.members {
            self.file
                .prepare_cached("INSERT OR IGNORE INTO retracted VALUES (?1, ?2, ?3)")
                .and_then(|mut insert| insert.execute(params![group.0, via, member.id.key().0]))
                .map_err(step())?;
        }
        Ok(())
    }

    /// Tells whether the explicit members of a group were listed to their end.
    pub(in super::super) fn lists_members(&self, group: &SourceKey) -> Result<bool> {
        self.file
            .prepare_cached("SELECT exists (SELECT 1 FROM groups WHERE group_key = ?1 AND via = 0 AND closed = 1)")
            .and_then(|mut query| query.query_row([group.0], |row| row.get(0)))
            .map_err(sql("read staged memberships"))
    }

    /// Tells whether a membership that was staged has ended since.
    pub(in super::super) fn is_retracted(&self, group: &SourceKey, via: i64, member: &SourceKey) -> Result<bool> {
        if !self.retracted {
            return Ok(false);
        }
        self.file
            .prepare_cached(
                "SELECT exists (SELECT 1 FROM retracted WHERE group_key = ?1 AND via = ?2 AND member_key = ?3)",
            )
            .and_then(|mut query| query.query_row(params![group.0, via, member.0], |row| row.get(0)))
            .map_err(sql("read staged memberships"))
    }

    /// Stages one page of an id listing behind a delta: who is on it is there. Nothing else is believed: values,
    /// memberships and checkpoints of such a page are not looked at.
    ///
    /// Returns those who are listed and of whom neither the delta nor the store knows that they are there.
    pub(in super::super) fn add_ids_page(&mut self, page: &SnapshotPage) -> Result<Vec<Stranger>> {
        self.begin_page()?;
        let mut strangers = Vec::new();
        for patch in page.patches.iter().filter(|patch| patch.facet == Facet::Core) {
            if let Some(need) = self.add_id(patch)? {
                let object = ObjectRef { key: patch.object.clone(), container: patch.container.clone() };
                strangers.push(Stranger { object, need });
            }
        }
        for object in &page.withdrawn {
            if let Some(probe) = self.probe(&object.id.key(), Facet::Core)? {
                self.file
                    .prepare_cached("INSERT OR IGNORE INTO withdrawn VALUES (?1)")
                    .and_then(|mut insert| insert.execute([probe.object_no]))
                    .map_err(sql("stage a page"))?;
            }
        }
        for entry in &page.quarantined {
            match &entry.id {
                Some(id) => {
                    if let Some(probe) = self.probe(&id.key(), Facet::Core)? {
                        self.list(probe.object_no);
                    }
                }
                // It could be any object.
                None => self.closes.spoil(Scope::of(entry.kind)),
            }
        }
        self.add_notes(&[], &page.unreadable)?;
        for scope in page.closed.iter().filter(|scope| !matches!(scope, Scope::Members(..))) {
            self.closes.close(scope.clone());
        }
        self.end_page(None)?;
        Ok(strangers)
    }

    /// Takes note that an object is there. Returns what is needed to know it, if it is not known to be.
    fn add_id(&mut self, patch: &Patch) -> Result<Option<Need>> {
        let key = patch.object.id.key();
        let number = match self.probe(&key, Facet::Core)? {
            Some(probe) if probe.standing.is_present() => {
                self.list(probe.object_no);
                let doubtful = probe.standing.state == State::Missing && !self.is_staged(probe.object_no)?
                    || self.stated && self.is_stated(probe.object_no)?;
                // Its members are known from before.
                return Ok(doubtful.then_some(Need::Patch));
            }
            Some(probe) => Some(probe.object_no),
            None => self.new_key(&key)?,
        };
        if let Some(number) = number
            && self.is_staged(number)?
        {
            return Ok(None);
        }
        Ok(Some(if self.is_set_aside(patch)? {
            Need::Nothing
        } else if patch.object.kind == ObjectKind::Group {
            Need::Members
        } else {
            Need::Patch
        }))
    }

    fn list(&mut self, object_no: i64) {
        self.listed.push(u64::try_from(object_no).unwrap_or_default());
    }

    /// Tells whether the directory said of an object that it is gone or out of scope.
    pub(super) fn is_told_gone(&self, object_no: i64) -> Result<bool> {
        if self.stated { self.is_stated(object_no) } else { Ok(false) }
    }

    fn is_stated(&self, object_no: i64) -> Result<bool> {
        self.file
            .prepare_cached("SELECT exists (SELECT 1 FROM candidates WHERE object_no = ?1)")
            .and_then(|mut query| query.query_row([object_no], |row| row.get(0)))
            .map_err(sql("stage a page"))
    }

    /// Tells whether an object is in quarantine.
    fn is_set_aside(&self, patch: &Patch) -> Result<bool> {
        let (kind, id) = (kind_number(patch.object.kind), patch.object.id.to_stored());
        let step = || sql("stage a page");
        let staged: bool = self
            .file
            .prepare_cached("SELECT exists (SELECT 1 FROM quarantine WHERE kind = ?1 AND source_id = ?2)")
            .and_then(|mut query| query.query_row(params![kind, id], |row| row.get(0)))
            .map_err(step())?;
        if staged {
            return Ok(true);
        }
        self.main
            .prepare_cached(
                "SELECT exists (SELECT 1 FROM quarantine WHERE endpoint_no = ?1 AND kind = ?2 AND source_id = ?3)",
            )
            .and_then(|mut query| query.query_row(params![self.endpoint_no, kind, id], |row| row.get(0)))
            .map_err(step())
    }

    /// Tells whether an earlier run set a record aside.
    pub(in super::super) fn was_set_aside(&self, source_id: &[u8]) -> Result<bool> {
        self.main
            .prepare_cached("SELECT exists (SELECT 1 FROM quarantine WHERE endpoint_no = ?1 AND source_id = ?2)")
            .and_then(|mut query| query.query_row(params![self.endpoint_no, source_id], |row| row.get(0)))
            .map_err(sql("find siblings"))
    }

    pub(super) fn flush_listed(&mut self) -> Result<()> {
        if self.listed.is_empty() {
            return Ok(());
        }
        self.listed.sort_unstable();
        self.listed.dedup();
        self.file
            .prepare_cached("INSERT INTO listed (numbers) VALUES (?1)")
            .and_then(|mut insert| insert.execute([codec::pack_sorted(&self.listed)]))
            .map_err(sql("stage a page"))?;
        self.listed.clear();
        Ok(())
    }
}
