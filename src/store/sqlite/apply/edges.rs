//! Memberships: what is listed and not stored begins; what the plan lets go ends. An event each.

use rusqlite::{OptionalExtension, Row, params};

use super::told::Told;
use super::{Apply, Chunk, Reached};
use crate::error::Result;
use crate::model::{EventType, Member, SourceKey, Via};
use crate::store::codec::{self, pack_sorted};
use crate::store::fault;
use crate::store::numbers::Numbers;
use crate::store::sqlite::key_index::Found;
use crate::store::sqlite::member::{Group, group_of, member_of, packed_members, write_packed};
use crate::store::sqlite::plan::{merge_sorted, subtract_sorted};
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{Class, Standing, State, damaged, sql};

/// Members of one transaction, all groups together.
const MEMBERS_A_CHUNK: u64 = 250_000;
/// Members whose events are put together at once.
pub(super) const MEMBERS_AT_ONCE: usize = 4096;
/// Groups of one transaction.
const GROUPS_A_CHUNK: usize = 5000;

/// A group whose members change.
struct GroupChange {
    group: Group,
    group_via: i64,
    members: Numbers,
    digest: u128,
    begun: Numbers,
    ended: bool,
}

impl GroupChange {
    /// Reads a group; `None` where there is none.
    fn read(chunk: &Chunk<'_>, group_via: i64) -> Result<Option<Self>> {
        let Some(group) = group_of(chunk.transaction, group_via)? else { return Ok(None) };
        let (members, digest) = packed_members(chunk.transaction, group_via)?;
        let (members, begun) = (Numbers::unpack(&members)?, Numbers::default());
        Ok(Some(Self { group, group_via, members, digest, begun, ended: false }))
    }

    fn via(&self) -> Via {
        if self.group_via % 2 == 1 { Via::Primary } else { Via::Explicit }
    }

    fn write(mut self, chunk: &Chunk<'_>) -> Result<()> {
        if self.begun.is_empty() && !self.ended {
            return Ok(());
        }
        self.members.unite(&self.begun);
        write_packed(chunk.transaction, self.group_via, self.members.len(), &self.members.pack(), self.digest)
    }
}

/// A member that was listed: its number, what is stored of it, and how it was listed.
type Listed = (u64, Found, Member);

fn number_of(found: &Found) -> Result<u64> {
    u64::try_from(found.object_no).map_err(|_| damaged("an object number"))
}

impl Apply {
    /// Applies staged groups behind a position.
    pub(super) fn groups(&mut self, stage: &mut Stage, chunk: &mut Chunk<'_>, after: i64) -> Result<Reached> {
        let step = || sql("apply memberships");
        if self.index.is_none() {
            let index = stage.key_index()?;
            self.waiting.noted = index.is_whole;
            if index.is_whole {
                stage.note_joined()?;
            }
            self.index = Some(index);
        }
        let groups: Vec<(i64, SourceKey, i64)> = {
            let mut query = stage
                .file
                .prepare_cached(
                    "SELECT staged_no, group_key, via FROM groups WHERE staged_no > ?1 ORDER BY staged_no LIMIT ?2",
                )
                .map_err(step())?;
            let rows = query
                .query_map(params![after, GROUPS_A_CHUNK], |row| Ok((row.get(0)?, SourceKey(row.get(1)?), row.get(2)?)))
                .map_err(step())?;
            rows.collect::<Result<_, _>>().map_err(step())?
        };
        let mut reached = None;
        let mut members = 0;
        stage.file.execute_batch("BEGIN").map_err(step())?;
        for (staged_no, key, via) in groups {
            members += self.group(stage, chunk, &key, via)?;
            reached = Some(staged_no);
            if members >= MEMBERS_A_CHUNK {
                break;
            }
        }
        self.tell_waiting(stage, chunk)?;
        // Before the state file: done twice, the way back ends the same; not done, it would be lost.
        stage.flush_notes()?;
        stage.file.execute_batch("COMMIT").map_err(step())?;
        fault::point();
        Ok(reached.map_or(Reached::End, Reached::Position))
    }

    /// Applies one group. Returns how many members were listed.
    fn group(&mut self, stage: &mut Stage, chunk: &mut Chunk<'_>, key: &SourceKey, via: i64) -> Result<u64> {
        // A group that is gone has no members, whoever still names it; they are found when it comes back.
        let Some(found) = self.find(chunk, key)?.filter(|found| found.standing.is_present()) else {
            return Ok(0);
        };
        if stage.goes(found.object_no)? {
            // It takes its memberships along, and begins none on its way.
            return Ok(0);
        }
        let Some(mut change) = GroupChange::read(chunk, found.object_no * 2 + via)? else { return Ok(0) };
        let blocks = stage.member_blocks(key, via)?;
        // Twice through the list, and never more of it in memory than a block: a group may have as many members as
        // there are people.
        let (mut count, mut begins, mut listed) = (0, Numbers::default(), Vec::new());
        for block in &blocks {
            listed = self.listed(stage, chunk, *block, key, via)?;
            count += listed.len() as u64;
            for (number, ..) in &listed {
                begins.insert(*number);
            }
        }
        begins.subtract(&change.members);
        for block in &blocks {
            if blocks.len() > 1 {
                listed = self.listed(stage, chunk, *block, key, via)?;
            }
            // Listed twice, it begins once.
            listed.retain(|(number, ..)| begins.remove(*number));
            while !listed.is_empty() {
                let rest = listed.split_off(listed.len().min(MEMBERS_AT_ONCE));
                self.begin_members(stage, chunk, &mut change, &mut listed)?;
                listed = rest;
            }
        }
        let going = stage.going(change.group_via)?;
        self.end_members(stage, chunk, &mut change, &going)?;
        change.write(chunk)?;
        Ok(count)
    }

    /// Reads one block of the members of a group, with what is stored of them.
    fn listed(
        &mut self,
        stage: &Stage,
        chunk: &Chunk<'_>,
        block: i64,
        key: &SourceKey,
        via: i64,
    ) -> Result<Vec<Listed>> {
        let members = stage.members_of_block(block, key, via)?.into_iter().map(|member| {
            let found = match self.find(chunk, &member.id.key())? {
                Some(found) => found,
                None => self.stub(chunk, &member)?,
            };
            Ok((number_of(&found)?, found, member))
        });
        members.collect()
    }

    /// Adds members to a group, with their events, and notes the way back.
    fn begin_members(
        &mut self,
        stage: &mut Stage,
        chunk: &mut Chunk<'_>,
        change: &mut GroupChange,
        begin: &mut Vec<Listed>,
    ) -> Result<()> {
        begin.sort_unstable_by_key(|(number, ..)| *number);
        let Group { record, source_id, .. } = &change.group;
        let mut told = Told::new(EventType::MemberAdded, *record, source_id, change.via(), begin.len());
        for (number, found, mut member) in begin.drain(..) {
            change.digest = change.digest.wrapping_add(codec::member_digest(self.target.seed, &member.id.key()));
            stage.note_reverse(number, change.group_via, true)?;
            if found.standing.state == State::Soft {
                // Told now, whatever it is when its member comes back.
                forget_sleeping(chunk, number, change.group_via)?;
            }
            change.begun.insert(number);
            member.kind = kind_of(&found, member.kind);
            told.push_found(chunk, member, &found)?;
        }
        chunk.applied.members_added += told.len() as u64;
        chunk.counts[3] += i64::try_from(told.len()).unwrap_or(0);
        self.tell(stage, chunk, told)
    }

    /// Takes members from a group, with their events, and notes the way back. Who has just begun stays.
    fn end_members(
        &mut self,
        stage: &mut Stage,
        chunk: &mut Chunk<'_>,
        change: &mut GroupChange,
        end: &[u64],
    ) -> Result<()> {
        let end: Vec<u64> = end.iter().copied().filter(|number| !change.begun.contains(*number)).collect();
        for part in end.chunks(MEMBERS_AT_ONCE) {
            let Group { record, source_id, .. } = &change.group;
            let mut told = Told::new(EventType::MemberRemoved, *record, source_id, change.via(), part.len());
            for number in part {
                let key = self.ending_member(stage, chunk, change.group_via, *number, &mut told)?;
                change.digest = change.digest.wrapping_sub(codec::member_digest(self.target.seed, &key));
                stage.note_reverse(*number, change.group_via, false)?;
                change.members.remove(*number);
            }
            chunk.applied.members_removed += told.len() as u64;
            chunk.counts[3] -= i64::try_from(told.len()).unwrap_or(0);
            change.ended = true;
            self.tell(stage, chunk, told)?;
        }
        Ok(())
    }

    /// Applies the endings of groups that were not listed: said by the directory, or by a changed primary group.
    pub(super) fn endings(&mut self, stage: &mut Stage, chunk: &mut Chunk<'_>, after: i64) -> Result<Reached> {
        let step = || sql("apply memberships");
        let mut groups: Vec<(i64, Vec<u64>)> = Vec::new();
        {
            let mut query = stage
                .file
                .prepare_cached("SELECT group_via, explained, going FROM edge_losses WHERE group_via > ?1 ORDER BY 1")
                .map_err(step())?;
            let mut rows = query.query([after]).map_err(step())?;
            let mut members = 0;
            while members < MEMBERS_A_CHUNK
                && groups.len() < GROUPS_A_CHUNK
                && let Some(row) = rows.next().map_err(step())?
            {
                let going = going(row, 1)?;
                members += going.len() as u64;
                groups.push((row.get(0).map_err(step())?, going));
            }
        }
        let Some((last, _)) = groups.last() else { return Ok(Reached::End) };
        let reached = Reached::Position(*last);
        stage.file.execute_batch("BEGIN").map_err(step())?;
        for (group_via, mut going) in groups {
            let Some(mut change) = GroupChange::read(chunk, group_via)? else { continue };
            // A listed group was applied before: what was ended there is no longer stored.
            going.retain(|number| change.members.contains(*number));
            self.end_members(stage, chunk, &mut change, &going)?;
            change.write(chunk)?;
        }
        self.tell_waiting(stage, chunk)?;
        stage.flush_notes()?;
        stage.file.execute_batch("COMMIT").map_err(step())?;
        fault::point();
        Ok(reached)
    }

    /// Finds an object by its key, seeing what this transaction wrote.
    pub(super) fn find(&self, chunk: &Chunk<'_>, key: &SourceKey) -> Result<Option<Found>> {
        if let Some(index) = &self.index {
            return index.get(key);
        }
        let found = chunk
            .transaction
            .prepare_cached(
                "SELECT object_no, standing,
                        EXISTS (SELECT 1 FROM objects o INDEXED BY joined_by_object
                                WHERE o.endpoint_no = ?1 AND o.object_no = probes.object_no AND record_no <> object_no)
                 FROM probes WHERE probes.endpoint_no = ?1 AND source_key = ?2 AND facet = 0",
            )
            .and_then(|mut query| {
                query
                    .query_row(params![self.target.endpoint_no, key.0], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                    })
                    .optional()
            })
            .map_err(sql("read an object"))?;
        found
            .map(|(object_no, standing, joined)| {
                Ok(Found { object_no, standing: Standing::from_number(standing)?, joined })
            })
            .transpose()
    }

    /// Gives a number to a member that is not imported.
    pub(super) fn stub(&mut self, chunk: &Chunk<'_>, member: &Member) -> Result<Found> {
        let step = || sql("store a member");
        let standing = Standing { class: Class::Stub(member.kind), state: State::Live };
        let object_no: i64 = chunk
            .transaction
            .query_row("UPDATE numbers SET next = next + 1 WHERE name = 'object' RETURNING next - 1", [], |row| {
                row.get(0)
            })
            .map_err(step())?;
        chunk
            .transaction
            .prepare_cached("INSERT INTO objects VALUES (?1, ?2, ?1, NULL, NULL, ?3, NULL, x'01')")
            .and_then(|mut insert| insert.execute(params![object_no, self.target.endpoint_no, member.id.to_stored()]))
            .map_err(step())?;
        chunk
            .transaction
            .prepare_cached("INSERT INTO probes VALUES (?1, ?2, 0, ?3, ?4, zeroblob(16), 0, NULL)")
            .and_then(|mut insert| {
                insert.execute(params![self.target.endpoint_no, member.id.key().0, object_no, standing.to_number()])
            })
            .map_err(step())?;
        let found = Found { object_no, standing, joined: false };
        if let Some(index) = &mut self.index {
            index.insert(&member.id.key(), found);
        }
        Ok(found)
    }

    /// Describes a member whose membership ends: from memory where the directory named it. Returns its key.
    fn ending_member(
        &self,
        stage: &Stage,
        chunk: &Chunk<'_>,
        group_via: i64,
        number: u64,
        told: &mut Told,
    ) -> Result<SourceKey> {
        if let Some(index) = &self.index
            && let Some(id) = stage.ended_member(group_via, number)?
            && let key = id.key()
            && let Some(found) = index.get(&key)?
        {
            told.push_found(chunk, Member { id, kind: found.standing.member_kind() }, &found)?;
            return Ok(key);
        }
        let change = member_of(chunk.transaction, self.target.endpoint_no, number)?;
        let key = change.member.id.key();
        told.push(change);
        Ok(key)
    }
}

/// Forgets a membership that would be woken with its member.
fn forget_sleeping(chunk: &Chunk<'_>, member: u64, group_via: i64) -> Result<()> {
    let step = || sql("store memberships");
    let groups: Option<Vec<u8>> = chunk
        .transaction
        .prepare_cached("SELECT groups FROM sleeping WHERE object_no = ?1")
        .and_then(|mut query| query.query_row([member], |row| row.get(0)).optional())
        .map_err(step())?;
    let Some(groups) = groups else { return Ok(()) };
    let groups = subtract_sorted(&codec::unpack_sorted(&groups)?, &[group_via.unsigned_abs()]);
    chunk
        .transaction
        .prepare_cached("UPDATE sleeping SET groups = ?2 WHERE object_no = ?1")
        .and_then(|mut update| update.execute(params![member, pack_sorted(&groups)]))
        .map(drop)
        .map_err(step())
}

fn kind_of(found: &Found, told: crate::model::MemberKind) -> crate::model::MemberKind {
    if super::is_object(found.standing) { found.standing.member_kind() } else { told }
}

/// Reads the members that the plan lets go from one group, of two columns of a row.
fn going(row: &Row<'_>, column: usize) -> Result<Vec<u64>> {
    let unpack = |column| {
        let packed = row.get_ref(column).map_err(sql("read the plan"))?;
        codec::unpack_sorted(packed.as_blob().map_err(|_| damaged("the plan"))?)
    };
    let (explained, going) = (unpack(column)?, unpack(column + 1)?);
    // Most are one or the other.
    Ok(if explained.is_empty() { going } else { merge_sorted(&explained, &going) })
}

impl Stage {
    /// Returns the members that the plan lets go from one group.
    fn going(&self, group_via: i64) -> Result<Vec<u64>> {
        let step = || sql("read the plan");
        let mut query =
            self.file.prepare_cached("SELECT explained, going FROM edge_losses WHERE group_via = ?1").map_err(step())?;
        let mut rows = query.query([group_via]).map_err(step())?;
        rows.next().map_err(step())?.map_or_else(|| Ok(Vec::new()), |row| going(row, 0))
    }
}
