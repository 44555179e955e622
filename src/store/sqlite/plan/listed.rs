//! The staged members of a group, a block at a time. It does not know what is stored of them.

use rusqlite::{OptionalExtension, params};

use crate::error::Result;
use crate::model::{Facet, Member, SourceId, SourceKey};
use crate::store::codec::{self, Reader};
use crate::store::sqlite::sql;
use crate::store::sqlite::stage::Stage;

impl Stage {
    /// Calls back for each staged member of a group.
    pub(in super::super) fn listed_members(
        &self,
        group: &SourceKey,
        via: i64,
        mut member: impl FnMut(Member) -> Result<()>,
    ) -> Result<()> {
        for block in self.member_blocks(group, via)? {
            self.members_of_block(block, group, via)?.into_iter().try_for_each(&mut member)?;
        }
        Ok(())
    }

    /// Names the blocks in which a group's members are staged, in their order. Blocks are bounded, groups are not.
    pub(in super::super) fn member_blocks(&self, group: &SourceKey, via: i64) -> Result<Vec<i64>> {
        let step = || sql("read staged memberships");
        let mut query = self
            .file
            .prepare_cached("SELECT block_no FROM edge_blocks WHERE group_key = ?1 AND via = ?2 ORDER BY block_no")
            .map_err(step())?;
        let rows = query.query_map(params![group.0, via], |row| row.get(0)).map_err(step())?;
        rows.collect::<Result<_, _>>().map_err(step())
    }

    /// Reads one of them.
    pub(in super::super) fn members_of_block(&self, block_no: i64, group: &SourceKey, via: i64) -> Result<Vec<Member>> {
        let block: Vec<u8> = self
            .file
            .prepare_cached("SELECT members FROM edge_blocks WHERE block_no = ?1")
            .and_then(|mut query| query.query_row([block_no], |row| row.get(0)))
            .map_err(sql("read staged memberships"))?;
        let mut reader = Reader::new(&block, "staged members");
        let mut members = Vec::new();
        while !reader.is_at_end() {
            let listed = codec::read_member(&mut reader)?;
            if self.is_retracted(group, via, &listed.id.key())? {
                continue;
            }
            if via == 0 || !self.restaged || self.names_primary(&listed.id.key(), group)? {
                members.push(listed);
            }
        }
        Ok(members)
    }

    pub(in super::super) fn is_staged(&self, object_no: i64) -> Result<bool> {
        self.file
            .prepare_cached("SELECT exists (SELECT 1 FROM objects WHERE stage_no = ?1)")
            .and_then(|mut query| query.query_row([object_no * 4], |row| row.get(0)))
            .map_err(sql("read the stage"))
    }

    /// Tells whether an object that was listed more than once still names a group as its primary one.
    fn names_primary(&self, member: &SourceKey, group: &SourceKey) -> Result<bool> {
        let step = || sql("compare a primary group");
        let object_no = match self.probe(member, Facet::Core)? {
            Some(probe) => probe.object_no,
            None => match self.new_key(member)? {
                Some(object_no) => object_no,
                None => return Ok(false),
            },
        };
        let staged: Option<Option<Vec<u8>>> = self
            .file
            .prepare_cached("SELECT primary_group FROM objects WHERE stage_no = ?1")
            .and_then(|mut query| query.query_row([object_no * 4], |row| row.get(0)).optional())
            .map_err(step())?;
        if let Some(named) = staged.flatten() {
            return Ok(SourceId::from_stored(&named).is_some_and(|id| id.key() == *group));
        }
        let stored: Option<i64> = self
            .main
            .prepare_cached("SELECT primary_group FROM objects WHERE object_no = ?1")
            .and_then(|mut query| query.query_row([object_no], |row| row.get(0)).optional())
            .map_err(step())?
            .flatten();
        Ok(stored.is_some() && stored == self.probe(group, Facet::Core)?.map(|probe| probe.object_no))
    }
}
