//! Objects that have another id now: the record stays, the old id goes without a word, memberships follow.
//!
//! It does not judge who is the same.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension, params};

use super::edges::MEMBERS_AT_ONCE;
use super::objects::{NO_FINGERPRINT, Row, store_observations};
use super::reverse::write_groups;
use super::{Apply, Chunk, load_record};
use crate::error::Result;
use crate::model::{EventType, Member, MemberKind, RecordId, SourceId, Via, derive_uuid};
use crate::rules::diff;
use crate::store::codec::{self, pack_sorted, unpack_sorted};
use crate::store::sqlite::edit;
use crate::store::sqlite::join::{put_keys, stored_keys};
use crate::store::sqlite::member::{
    group_of, groups_of, member_of, packed_members, record_id, remove_object, write_members,
};
use crate::store::sqlite::outbox::{MemberChange, MemberRecord};
use crate::store::sqlite::plan::merge_sorted;
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{damaged, sql};

/// An object whose memberships are to follow it.
#[derive(Debug)]
pub(super) struct Renamed {
    old_no: i64,
    new_no: i64,
    old_id: SourceId,
    new_id: SourceId,
    kind: MemberKind,
    record: RecordId,
    /// The groups that it was in.
    groups: Vec<u64>,
}

impl Renamed {
    fn change(&self, id: &SourceId) -> MemberChange {
        let member = Member { id: id.clone(), kind: self.kind };
        MemberChange { member, record: MemberRecord::Joined(self.record) }
    }
}

struct Old {
    record_no: i64,
    primary: Option<i64>,
    id: SourceId,
    body: Vec<u8>,
}

fn read_old(chunk: &Chunk<'_>, object_no: i64) -> Result<Option<Old>> {
    type Columns = (i64, Option<i64>, Vec<u8>, Vec<u8>);
    let row: Option<Columns> = chunk
        .transaction
        .prepare_cached("SELECT record_no, primary_group, source_id, body FROM objects WHERE object_no = ?1")
        .and_then(|mut query| {
            query.query_row([object_no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).optional()
        })
        .map_err(sql("read an object"))?;
    let Some((record_no, primary, id, body)) = row else { return Ok(None) };
    let id = SourceId::from_stored(&id).ok_or_else(|| damaged("a source id"))?;
    Ok(Some(Old { record_no, primary, id, body }))
}

impl Apply {
    /// Puts a staged object in the place of one that is stored under another id. `false` if that one is not there any
    /// more: somebody erased it meanwhile.
    pub(super) fn rename(
        &mut self,
        stage: &Stage,
        chunk: &mut Chunk<'_>,
        (old_no, row): (i64, &Row),
        facets: &[Row],
    ) -> Result<bool> {
        let step = || sql("store an object");
        let Some(old) = read_old(chunk, old_no)? else { return Ok(false) };
        let new_no = row.object_no();
        let links = Self::links(stage, chunk, new_no)?;
        let before = load_record(chunk.transaction, old.record_no)?.ok_or_else(|| damaged("a record"))?;

        let (mut body, mut fingerprint) = (row.body.clone(), row.fingerprint);
        if !row.held.is_empty() {
            let mut new = codec::read_attributes(&body)?;
            diff::hold_back(&codec::read_attributes(&old.body)?, &mut new, &row.held);
            body.clear();
            codec::push_attributes(&mut body, &new);
            fingerprint = NO_FINGERPRINT;
        }
        let mut primary = old.primary;
        if row.primary_group.is_some() {
            primary = self.primary_no(stage, chunk, row)?;
            if old.primary.is_some() && old.primary != primary && stage.is_held(old.primary, new_no)? {
                primary = old.primary;
                fingerprint = NO_FINGERPRINT;
            }
        }
        let record = record_id(chunk.transaction, old.record_no)?.ok_or_else(|| damaged("a record"))?;
        let groups = groups_of(chunk.transaction, old_no.unsigned_abs())?;
        self.hand_over(chunk, old_no, &old.id, row)?;
        chunk
            .transaction
            .prepare_cached("INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7)")
            .and_then(|mut insert| {
                insert.execute(params![
                    new_no,
                    self.target.endpoint_no,
                    old.record_no,
                    primary,
                    row.source_id.to_stored(),
                    row.anchors,
                    body
                ])
            })
            .map_err(step())?;
        store_observations(chunk, row)?;
        self.write_probe(stage, chunk, row, &fingerprint)?;
        self.write_facets(stage, chunk, facets)?;
        self.lead_here(chunk, row, old.record_no)?;

        let after = self.load_record(stage, chunk, old.record_no)?;
        if chunk.upserted(Some(&before), &after, self.target.run)? {
            chunk.applied.updated += 1;
        }
        let kind = crate::store::sqlite::Standing::live(row.kind).member_kind();
        let (old_id, new_id) = (old.id, row.source_id.clone());
        self.renamed.push(Renamed { old_no, new_no, old_id, new_id, kind, record, groups });
        self.settle(stage, chunk, new_no, &links)?;
        Ok(true)
    }

    /// Gives what is known of an object to the one that takes its place, and removes it.
    fn hand_over(&self, chunk: &mut Chunk<'_>, old_no: i64, old_id: &SourceId, row: &Row) -> Result<()> {
        let step = || sql("store an object");
        let new_no = row.object_no();
        if chunk.ground.is_some() {
            let going = stored_keys(chunk.transaction, old_no)?.into_iter().map(|key| (key, old_no));
            put_keys(chunk.transaction, self.target.customer_no, going.collect(), Vec::new())?;
        }
        for statement in [
            "UPDATE joins SET object_no = ?2 WHERE object_no = ?1",
            "UPDATE joins SET with_no = ?2 WHERE with_no = ?1",
            "UPDATE apart SET object_no = ?2 WHERE object_no = ?1",
            "UPDATE apart SET other_no = ?2 WHERE other_no = ?1",
            "UPDATE absorbed SET object_no = ?2 WHERE object_no = ?1",
            "UPDATE OR IGNORE facets SET object_no = ?2 WHERE object_no = ?1",
            "UPDATE OR IGNORE observations SET object_no = ?2 WHERE object_no = ?1",
        ] {
            chunk
                .transaction
                .prepare_cached(statement)
                .and_then(|mut update| update.execute([old_no, new_no]))
                .map_err(step())?;
        }
        chunk
            .transaction
            .prepare_cached(
                "UPDATE OR IGNORE probes SET source_key = ?3, object_no = ?4
                 WHERE endpoint_no = ?1 AND source_key = ?2 AND facet > 0",
            )
            .and_then(|mut update| {
                update.execute(params![self.target.endpoint_no, old_id.key().0, row.source_id.key().0, new_no])
            })
            .map_err(step())?;
        remove_object(chunk.transaction, &mut chunk.events, (self.target.endpoint_no, old_no), old_id)
    }

    /// Has the id that the object would have founded lead to the record that it is in.
    fn lead_here(&self, chunk: &Chunk<'_>, row: &Row, record_no: i64) -> Result<()> {
        let founded =
            RecordId::founded_by(&self.target.customer, &self.target.endpoint, row.kind, &row.source_id.key());
        let free = chunk
            .transaction
            .prepare_cached("INSERT OR IGNORE INTO record_ids VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![founded.0.as_bytes(), record_no]))
            .map_err(sql("store the id of a record"))?;
        if free > 0 { edit::adopt(chunk.transaction, record_no, founded) } else { Ok(()) }
    }

    /// Returns number and id of a record for an object whose own derived id is somebody else's.
    pub(super) fn another_record(chunk: &Chunk<'_>, founded: RecordId) -> Result<(i64, RecordId)> {
        let step = || sql("store the id of a record");
        let number: i64 = chunk
            .transaction
            .query_row("UPDATE numbers SET next = next + 1 WHERE name = 'object' RETURNING next - 1", [], |row| {
                row.get(0)
            })
            .map_err(step())?;
        let parts: &[&[u8]] = &[founded.0.as_bytes(), &number.to_be_bytes()];
        let id = RecordId(derive_uuid("tenantry record of an address given on", parts));
        chunk
            .transaction
            .prepare_cached("INSERT INTO record_ids VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![id.0.as_bytes(), number]))
            .map_err(step())?;
        Ok((number, id))
    }

    /// Has the memberships of this chunk's renamed objects follow them, group by group: each membership is told anew, by
    /// its new ids, since these are what it is known by.
    pub(super) fn move_memberships(&mut self, chunk: &mut Chunk<'_>) -> Result<()> {
        let renamed = std::mem::take(&mut self.renamed);
        if renamed.is_empty() {
            return Ok(());
        }
        let by_old: BTreeMap<u64, &Renamed> =
            renamed.iter().map(|renamed| (renamed.old_no.unsigned_abs(), renamed)).collect();
        let new_via = |group_via: u64| {
            by_old.get(&(group_via / 2)).map_or(group_via, |group| group.new_no.unsigned_abs() * 2 + group_via % 2)
        };
        let mut touched: BTreeSet<u64> = renamed.iter().flat_map(|renamed| renamed.groups.iter().copied()).collect();
        touched.extend(by_old.keys().flat_map(|old| [old * 2, old * 2 + 1]));
        // The way back of those who stay under their number: what of it is another group by now.
        let mut back: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
        for group_via in touched {
            for member in self.move_group(chunk, group_via, new_via(group_via), &by_old)? {
                back.entry(member).or_default().push((group_via, new_via(group_via)));
            }
        }
        for renamed in &renamed {
            let number = renamed.new_no.unsigned_abs();
            let mut groups: Vec<u64> = renamed.groups.iter().map(|group_via| new_via(*group_via)).collect();
            groups.sort_unstable();
            let groups = merge_sorted(&groups, &groups_of(chunk.transaction, number)?);
            write_groups(chunk, number, &groups)?;
        }
        for (member, moved) in back {
            let mut groups = groups_of(chunk.transaction, member)?;
            groups.retain(|group_via| moved.iter().all(|(old, _)| old != group_via));
            groups.extend(moved.iter().map(|(_, new)| new));
            groups.sort_unstable();
            groups.dedup();
            write_groups(chunk, member, &groups)?;
        }
        self.move_sleeping(chunk, &by_old)
    }

    /// Moves the members of one group. Returns those who keep their numbers, if the group itself has another one.
    fn move_group(
        &self,
        chunk: &mut Chunk<'_>,
        old_via: u64,
        new_via: u64,
        by_old: &BTreeMap<u64, &Renamed>,
    ) -> Result<Vec<u64>> {
        let (old_via, new_via) = (old_via.cast_signed(), new_via.cast_signed());
        let (stored, mut digest) = packed_members(chunk.transaction, old_via)?;
        let stored = unpack_sorted(&stored)?;
        if stored.is_empty() {
            return Ok(Vec::new());
        }
        let moves = old_via != new_via;
        let Some(group) = group_of(chunk.transaction, new_via)? else { return Ok(Vec::new()) };
        let old_group = by_old.get(&(old_via / 2).unsigned_abs()).map_or(&group.source_id, |group| &group.old_id);
        let (mut members, mut ended, mut begun) = (Vec::with_capacity(stored.len()), Vec::new(), Vec::new());
        for number in &stored {
            let Some(renamed) = by_old.get(number) else {
                members.push(*number);
                if moves {
                    let change = member_of(chunk.transaction, self.target.endpoint_no, *number)?;
                    ended.push(change.clone());
                    begun.push(change);
                }
                continue;
            };
            let number = renamed.new_no.unsigned_abs();
            digest = digest.wrapping_sub(codec::member_digest(self.target.seed, &renamed.old_id.key()));
            ended.push(renamed.change(&renamed.old_id));
            if stored.binary_search(&number).is_ok() {
                // It was listed under the new id before it was known whose it is.
                chunk.counts[3] -= 1;
                continue;
            }
            digest = digest.wrapping_add(codec::member_digest(self.target.seed, &renamed.new_id.key()));
            begun.push(renamed.change(&renamed.new_id));
            members.push(number);
        }
        members.sort_unstable();
        let via = if old_via % 2 == 1 { Via::Primary } else { Via::Explicit };
        for (event, id, changes) in
            [(EventType::MemberRemoved, old_group, &ended), (EventType::MemberAdded, &group.source_id, &begun)]
        {
            for part in changes.chunks(MEMBERS_AT_ONCE) {
                chunk.events.add_members(event, group.record, id, via, part)?;
            }
        }
        chunk.applied.members_removed += ended.len() as u64;
        chunk.applied.members_added += begun.len() as u64;
        if moves {
            write_members(chunk.transaction, old_via, &[], 0)?;
        }
        write_members(chunk.transaction, new_via, &members, digest)?;
        if !moves {
            return Ok(Vec::new());
        }
        let renamed: BTreeSet<u64> = by_old.values().map(|renamed| renamed.new_no.unsigned_abs()).collect();
        members.retain(|member| !renamed.contains(member));
        Ok(members)
    }

    /// Brings memberships that sleep to the new numbers.
    fn move_sleeping(&self, chunk: &Chunk<'_>, by_old: &BTreeMap<u64, &Renamed>) -> Result<()> {
        let step = || sql("put memberships to sleep");
        let rows: Vec<(i64, Vec<u8>, Vec<u8>)> = chunk
            .transaction
            .prepare_cached(
                "SELECT object_no, groups, members FROM sleeping JOIN objects USING (object_no) WHERE endpoint_no = ?1",
            )
            .and_then(|mut query| {
                query.query_map([self.target.endpoint_no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
            })
            .map_err(step())?;
        for (object_no, groups, members) in rows {
            let new = |number: u64| by_old.get(&number).map(|renamed| renamed.new_no.unsigned_abs());
            let was = (unpack_sorted(&groups)?, unpack_sorted(&members)?);
            let mut groups: Vec<u64> =
                was.0.iter().map(|via| new(via / 2).map_or(*via, |group| group * 2 + via % 2)).collect();
            let mut members: Vec<u64> = was.1.iter().map(|member| new(*member).unwrap_or(*member)).collect();
            groups.sort_unstable();
            members.sort_unstable();
            if (&groups, &members) != (&was.0, &was.1) {
                chunk
                    .transaction
                    .prepare_cached("UPDATE sleeping SET groups = ?2, members = ?3 WHERE object_no = ?1")
                    .and_then(|mut update| {
                        update.execute(params![object_no, pack_sorted(&groups), pack_sorted(&members)])
                    })
                    .map_err(step())?;
            }
        }
        Ok(())
    }
}
