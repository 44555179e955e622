//! Objects that go, or become missing: the last of what a plan changes.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::edges::MEMBERS_AT_ONCE;
use super::reverse::write_groups;
use super::{Apply, Chunk, Reached, images, load_record, owner_id, record_row};
use crate::error::Result;
use crate::model::{EventType, SourceId, Via};
use crate::store::codec::{self, pack_sorted, unpack_sorted};
use crate::store::sqlite::member::{group_of, groups_of, member_of, members_of, packed_members, write_members};
use crate::store::sqlite::plan::{Verdict, merge_sorted, subtract_sorted};
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{Standing, State, damaged, kind_from_number, sql};

/// Removals of one transaction: each may end many memberships.
const REMOVALS_A_CHUNK: usize = 2000;

/// What is said of an object that is back, so that nothing has to be woken.
pub(super) struct Told {
    /// Its primary group.
    pub(super) primary: bool,
    /// All members that it has.
    pub(super) members: bool,
}

struct Going {
    object_no: i64,
    source_id: SourceId,
    standing: Standing,
    verdict: Verdict,
}

impl Apply {
    /// Applies verdicts behind a position.
    pub(super) fn removals(&mut self, stage: &Stage, chunk: &mut Chunk<'_>, after: i64) -> Result<Reached> {
        let step = || sql("apply removals");
        let rows: Vec<Going> = {
            let mut query = stage
                .file
                .prepare_cached(
                    "SELECT object_no, kind, source_id, standing, verdict FROM candidates
                     WHERE object_no > ?1 AND held = 0 ORDER BY object_no LIMIT ?2",
                )
                .map_err(step())?;
            let mut rows = query.query(params![after, REMOVALS_A_CHUNK]).map_err(step())?;
            let mut found = Vec::new();
            while let Some(row) = rows.next().map_err(step())? {
                kind_from_number(row.get(1).map_err(step())?)?;
                let source_id = row.get_ref(2).map_err(step())?.as_blob().ok().and_then(SourceId::from_stored);
                found.push(Going {
                    object_no: row.get(0).map_err(step())?,
                    source_id: source_id.ok_or_else(|| damaged("a source id"))?,
                    standing: Standing::from_number(row.get(3).map_err(step())?)?,
                    verdict: Verdict::from_number(row.get(4).map_err(step())?)?,
                });
            }
            found
        };
        let Some(last) = rows.last().map(|row| row.object_no) else { return Ok(Reached::End) };
        // Memberships that a listing explained by a removal are applied by now, but they sleep like the rest.
        let mut explained: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        if rows.iter().any(|row| row.verdict.is_restorable()) {
            for group_via in stage.groups_with_losses()? {
                let [members, ..] = stage.loss(group_via)?;
                for member in members {
                    explained.entry(member).or_default().push(group_via.unsigned_abs());
                }
            }
        }
        // Group by group at the end, so that a large group is written once for all who leave it.
        let mut endings: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        for row in &rows {
            if row.verdict.is_proof() {
                Self::remove(chunk, row, &explained, &mut endings)?;
            } else if row.standing.state == State::Live {
                self.miss(chunk, row)?;
            }
        }
        self.end_memberships(chunk, endings)?;
        for row in rows.iter().filter(|row| row.verdict.is_proof()) {
            self.tell_removal(chunk, row)?;
        }
        Ok(Reached::Position(last))
    }

    fn set_standing(&self, chunk: &Chunk<'_>, row: &Going, state: State) -> Result<()> {
        let standing = Standing { state, ..row.standing };
        // The fingerprint goes with it: an object that comes back is compared in full.
        chunk
            .transaction
            .prepare_cached("UPDATE probes SET standing = ?3 WHERE endpoint_no = ?1 AND source_key = ?2")
            .and_then(|mut update| {
                update.execute(params![self.target.endpoint_no, row.source_id.key().0, standing.to_number()])
            })
            .map(drop)
            .map_err(sql("store a standing"))
    }

    fn miss(&self, chunk: &mut Chunk<'_>, row: &Going) -> Result<()> {
        let step = || sql("store what is missing");
        let record_no = record_no(chunk, row.object_no)?;
        let before = load_record(chunk.transaction, record_no)?;
        self.set_standing(chunk, row, State::Missing)?;
        chunk
            .transaction
            .prepare_cached("UPDATE objects SET missing_since = ?2 WHERE object_no = ?1")
            .and_then(|mut update| update.execute(params![row.object_no, chunk.now.0]))
            .map_err(step())?;
        chunk.applied.missing += 1;
        if let Some(after) = load_record(chunk.transaction, record_no)? {
            chunk.upserted(before.as_ref(), &after, self.target.run)?;
        }
        Ok(())
    }

    /// Collects the memberships that end with an object; its record follows once they are written.
    fn remove(
        chunk: &Chunk<'_>,
        row: &Going,
        explained: &BTreeMap<u64, Vec<u64>>,
        endings: &mut BTreeMap<i64, Vec<u64>>,
    ) -> Result<()> {
        let number = u64::try_from(row.object_no).map_err(|_| damaged("an object number"))?;
        let groups = groups_of(chunk.transaction, number)?;
        // Who left the scope is still a member where a group lists it; only what it named itself ends.
        let ending: Vec<u64> =
            groups.iter().copied().filter(|group| !row.verdict.is_out_of_scope() || group % 2 == 1).collect();
        for group in &ending {
            endings.entry(i64::try_from(*group).map_err(|_| damaged("a group"))?).or_default().push(number);
        }
        write_groups(chunk, number, &subtract_sorted(&groups, &ending))?;
        let mut had = Vec::new();
        if row.standing.kind() == Some(crate::model::ObjectKind::Group) {
            for group_via in [row.object_no * 2, row.object_no * 2 + 1] {
                let members = members_of(chunk.transaction, group_via)?;
                for member in &members {
                    let rest = subtract_sorted(&groups_of(chunk.transaction, *member)?, &[group_via.unsigned_abs()]);
                    write_groups(chunk, *member, &rest)?;
                }
                endings.entry(group_via).or_default().extend(&members);
                if group_via % 2 == 0 {
                    had = members;
                }
            }
        }
        let slept = explained.get(&number).map_or(&[][..], Vec::as_slice);
        let ending = merge_sorted(&ending, slept);
        let deleted = !row.verdict.is_out_of_scope();
        if row.verdict.is_restorable() && (deleted || !ending.is_empty() || !had.is_empty()) {
            chunk
                .transaction
                .prepare_cached("INSERT OR REPLACE INTO sleeping VALUES (?1, ?2, ?3, ?4)")
                .and_then(|mut insert| {
                    insert.execute(params![row.object_no, pack_sorted(&ending), pack_sorted(&had), deleted])
                })
                .map_err(sql("put memberships to sleep"))?;
        }
        Ok(())
    }

    /// Ends memberships of many groups; the way back is written already.
    fn end_memberships(&self, chunk: &mut Chunk<'_>, endings: BTreeMap<i64, Vec<u64>>) -> Result<()> {
        for (group_via, mut numbers) in endings {
            numbers.sort_unstable();
            numbers.dedup();
            let (stored, mut digest) = packed_members(chunk.transaction, group_via)?;
            let stored = unpack_sorted(&stored)?;
            let numbers = subtract_sorted(&stored, &subtract_sorted(&stored, &numbers));
            let Some(group) = group_of(chunk.transaction, group_via)?.filter(|_| !numbers.is_empty()) else { continue };
            let via = if group_via % 2 == 1 { Via::Primary } else { Via::Explicit };
            for part in numbers.chunks(MEMBERS_AT_ONCE) {
                let mut changes = Vec::with_capacity(part.len());
                for number in part {
                    let change = member_of(chunk.transaction, self.target.endpoint_no, *number)?;
                    digest = digest.wrapping_sub(codec::member_digest(self.target.seed, &change.member.id.key()));
                    changes.push(change);
                }
                chunk.events.add_members(EventType::MemberRemoved, group.record, &group.source_id, via, &changes)?;
                chunk.applied.members_removed += changes.len() as u64;
                chunk.counts[3] -= i64::try_from(changes.len()).unwrap_or(0);
            }
            write_members(chunk.transaction, group_via, &subtract_sorted(&stored, &numbers), digest)?;
        }
        Ok(())
    }

    fn tell_removal(&self, chunk: &mut Chunk<'_>, row: &Going) -> Result<()> {
        let step = || sql("store a removal");
        let record_no = record_no(chunk, row.object_no)?;
        let before = load_record(chunk.transaction, record_no)?.ok_or_else(|| damaged("a record"))?;
        let state = if row.verdict.is_restorable() { State::Soft } else { State::Gone };
        self.set_standing(chunk, row, state)?;
        chunk
            .transaction
            .prepare_cached("UPDATE objects SET missing_since = NULL, primary_group = NULL WHERE object_no = ?1")
            .and_then(|mut update| update.execute([row.object_no]))
            .map_err(step())?;
        if let Some(kind) = row.standing.kind() {
            chunk.counts[kind as usize] -= 1;
        }
        let rest = images(chunk.transaction, record_no)?;
        if rest.is_empty() {
            let gone = if row.verdict.is_restorable() { 1 } else { 2 };
            chunk
                .transaction
                .prepare_cached("UPDATE records SET state = ?2 WHERE record_no = ?1")
                .and_then(|mut update| update.execute(params![record_no, gone]))
                .map_err(step())?;
            chunk.removed(&before, row.verdict.is_restorable(), self.target.run)?;
            chunk.applied.removed += 1;
        } else if let Some(own) = record_row(chunk.transaction, record_no)? {
            // Another endpoint still sees it: the record stays.
            let transaction = chunk.transaction;
            let record =
                own.compose(rest, |endpoint, id| owner_id(transaction, record_no, endpoint, id, |_, _| Ok(None)))?;
            if chunk.upserted(Some(&before), &record, self.target.run)? {
                chunk.applied.updated += 1;
            }
        }
        Ok(())
    }

    /// Wakes the memberships of an object that is back. A listing brings them itself; so does the object, if it says
    /// what its primary group is, and a group that a delta lists to its end.
    pub(super) fn wake(&mut self, chunk: &mut Chunk<'_>, object_no: i64, told: &Told) -> Result<()> {
        let step = || sql("wake memberships");
        let sleeping: Option<(Vec<u8>, Vec<u8>)> = chunk
            .transaction
            .prepare_cached("DELETE FROM sleeping WHERE object_no = ?1 RETURNING groups, members")
            .and_then(|mut query| query.query_row([object_no], |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .map_err(step())?;
        let Some((groups, members)) = sleeping.filter(|_| self.wakes) else { return Ok(()) };
        let number = u64::try_from(object_no).map_err(|_| damaged("an object number"))?;
        for group in unpack_sorted(&groups)? {
            if group % 2 == 1 && told.primary {
                continue;
            }
            self.wake_one(chunk, i64::try_from(group).map_err(|_| damaged("a group"))?, &[number])?;
        }
        if told.members {
            return Ok(());
        }
        let mut present = Vec::new();
        for member in unpack_sorted(&members)? {
            // Who sleeps wakes it later on.
            if self.may_wake(chunk, member, object_no * 2)? {
                present.push(member);
            }
        }
        self.wake_one(chunk, object_no * 2, &present)
    }

    /// Tells whether a member of a group that is back is there too. If it is deleted as well, and restorable, the
    /// membership sleeps on with it.
    fn may_wake(&self, chunk: &Chunk<'_>, member: u64, group_via: i64) -> Result<bool> {
        let step = || sql("wake memberships");
        let id: Vec<u8> = chunk
            .transaction
            .prepare_cached("SELECT source_id FROM objects WHERE object_no = ?1")
            .and_then(|mut query| query.query_row([member], |row| row.get(0)))
            .map_err(step())?;
        let id = SourceId::from_stored(&id).ok_or_else(|| damaged("a source id"))?;
        let standing = super::standing_of(chunk.transaction, self.target.endpoint_no, &id)?;
        match standing.map(|standing| standing.state) {
            Some(State::Gone) => Ok(false),
            Some(State::Soft) => {
                let groups: Option<Vec<u8>> = chunk
                    .transaction
                    .prepare_cached("SELECT groups FROM sleeping WHERE object_no = ?1 AND deleted = 1")
                    .and_then(|mut query| query.query_row([member], |row| row.get(0)).optional())
                    .map_err(step())?;
                // It left the scope, and may be listed all the same.
                let Some(groups) = groups else { return Ok(true) };
                let groups = merge_sorted(&unpack_sorted(&groups)?, &[group_via.unsigned_abs()]);
                chunk
                    .transaction
                    .prepare_cached("UPDATE sleeping SET groups = ?2 WHERE object_no = ?1")
                    .and_then(|mut update| update.execute(params![member, pack_sorted(&groups)]))
                    .map_err(step())?;
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// Lays memberships to sleep with a group that is not back yet.
    fn sleep_on(chunk: &Chunk<'_>, group_via: i64, numbers: &[u64]) -> Result<()> {
        let step = || sql("put memberships to sleep");
        if group_via % 2 == 1 {
            // Who names a group as its primary one says so again once it is back.
            return Ok(());
        }
        let members: Option<Vec<u8>> = chunk
            .transaction
            .prepare_cached("SELECT members FROM sleeping WHERE object_no = ?1 AND deleted = 1")
            .and_then(|mut query| query.query_row([group_via / 2], |row| row.get(0)).optional())
            .map_err(step())?;
        let Some(members) = members else { return Ok(()) };
        let members = merge_sorted(&unpack_sorted(&members)?, numbers);
        chunk
            .transaction
            .prepare_cached("UPDATE sleeping SET members = ?2 WHERE object_no = ?1")
            .and_then(|mut update| update.execute(params![group_via / 2, pack_sorted(&members)]))
            .map(drop)
            .map_err(step())
    }

    fn wake_one(&mut self, chunk: &mut Chunk<'_>, group_via: i64, numbers: &[u64]) -> Result<()> {
        let Some(group) = group_of(chunk.transaction, group_via)? else { return Ok(()) };
        let present = super::standing_of(chunk.transaction, self.target.endpoint_no, &group.source_id)?
            .is_some_and(Standing::is_present);
        let (stored, mut digest) = packed_members(chunk.transaction, group_via)?;
        let stored = unpack_sorted(&stored)?;
        let numbers = subtract_sorted(numbers, &stored);
        if !present {
            return Self::sleep_on(chunk, group_via, &numbers);
        }
        if numbers.is_empty() {
            return Ok(());
        }
        let via = if group_via % 2 == 1 { Via::Primary } else { Via::Explicit };
        for part in numbers.chunks(MEMBERS_AT_ONCE) {
            let mut changes = Vec::with_capacity(part.len());
            for number in part {
                let change = member_of(chunk.transaction, self.target.endpoint_no, *number)?;
                digest = digest.wrapping_add(codec::member_digest(self.target.seed, &change.member.id.key()));
                changes.push(change);
                let mut groups = groups_of(chunk.transaction, *number)?;
                if let Err(at) = groups.binary_search(&group_via.unsigned_abs()) {
                    groups.insert(at, group_via.unsigned_abs());
                    write_groups(chunk, *number, &groups)?;
                }
            }
            chunk.events.add_members(EventType::MemberAdded, group.record, &group.source_id, via, &changes)?;
            chunk.applied.members_added += changes.len() as u64;
            chunk.counts[3] += i64::try_from(changes.len()).unwrap_or(0);
        }
        write_members(chunk.transaction, group_via, &merge_sorted(&stored, &numbers), digest)
    }
}

fn record_no(chunk: &Chunk<'_>, object_no: i64) -> Result<i64> {
    chunk
        .transaction
        .prepare_cached("SELECT record_no FROM objects WHERE object_no = ?1")
        .and_then(|mut query| query.query_row([object_no], |row| row.get(0)))
        .map_err(sql("read an object"))
}
