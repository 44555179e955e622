//! Memberships: what is listed and not stored begins; what the plan lets go ends. An event each.

use roaring::RoaringTreemap;
use rusqlite::{OptionalExtension, params};

use super::{Apply, Chunk, Index, Reached};
use crate::error::Result;
use crate::model::{EventType, Member, ObjectKind, RecordId, SourceId, SourceKey, Via};
use crate::store::codec::{self, pack_sorted};
use crate::store::fault;
use crate::store::sqlite::key_index::Found;
use crate::store::sqlite::outbox::{MemberChange, MemberRecord};
use crate::store::sqlite::plan::subtract_sorted;
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{Class, Standing, State, damaged, sql};

/// Members of one transaction, all groups together.
const MEMBERS_A_CHUNK: u64 = 250_000;
/// Members whose events are put together at once.
pub(super) const MEMBERS_AT_ONCE: usize = 4096;
/// Groups of one transaction.
const GROUPS_A_CHUNK: usize = 5000;

/// What the outbox has to know of a group.
pub(super) struct GroupRow {
    pub(super) record: RecordId,
    pub(super) source_id: SourceId,
}

/// A group whose members change.
struct GroupChange<'a> {
    group: &'a GroupRow,
    group_via: i64,
    members: RoaringTreemap,
    digest: u128,
    begun: RoaringTreemap,
    ended: bool,
}

impl<'a> GroupChange<'a> {
    fn of(chunk: &Chunk<'_>, group: &'a GroupRow, group_via: i64, members: RoaringTreemap) -> Result<Self> {
        let digest = stored_digest(chunk, group_via)?;
        Ok(Self { group, group_via, members, digest, begun: RoaringTreemap::new(), ended: false })
    }

    fn via(&self) -> Via {
        if self.group_via % 2 == 1 { Via::Primary } else { Via::Explicit }
    }

    fn write(mut self, chunk: &Chunk<'_>) -> Result<()> {
        if self.begun.is_empty() && !self.ended {
            return Ok(());
        }
        self.members |= self.begun;
        write_packed(chunk, self.group_via, self.members.len(), &codec::pack_set(&self.members), self.digest)
    }
}

fn number_of(found: &Found) -> Result<u64> {
    u64::try_from(found.object_no).map_err(|_| damaged("an object number"))
}

impl Apply {
    /// Applies staged groups behind a position.
    pub(super) fn groups(&mut self, stage: &mut Stage, chunk: &mut Chunk<'_>, after: i64) -> Result<Reached> {
        let step = || sql("apply memberships");
        if matches!(self.index, Index::Undecided) {
            self.index = stage.key_index()?.map_or(Index::OnDisk, Index::InMemory);
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
        let group_via = found.object_no * 2 + via;
        let Some(group) = group_row(chunk, found.object_no)? else { return Ok(0) };
        if stage.goes(found.object_no)? {
            // It takes its memberships along, and begins none on its way.
            return Ok(0);
        }
        let stored = stored_set(chunk, group_via)?;
        let blocks = stage.member_blocks(key, via)?;
        // Twice through the list, and never all of it in memory: a group may have as many members as there are people.
        let (mut count, mut begins) = (0, RoaringTreemap::new());
        for block in &blocks {
            for member in stage.members_of_block(*block, key, via)? {
                count += 1;
                let found = match self.find(chunk, &member.id.key())? {
                    Some(found) => found,
                    None => self.stub(chunk, &member)?,
                };
                begins.insert(number_of(&found)?);
            }
        }
        begins -= &stored;
        let mut change = GroupChange::of(chunk, &group, group_via, stored)?;
        for block in blocks {
            let mut part = Vec::new();
            for member in stage.members_of_block(block, key, via)? {
                let found = self.find(chunk, &member.id.key())?.ok_or_else(|| damaged("a member"))?;
                let number = number_of(&found)?;
                // Listed twice, it begins once.
                if begins.remove(number) {
                    part.push((number, found, member));
                }
                if part.len() == MEMBERS_AT_ONCE {
                    self.begin_members(stage, chunk, &mut change, &mut part)?;
                }
            }
            self.begin_members(stage, chunk, &mut change, &mut part)?;
        }
        let going = stage.going(group_via)?;
        self.end_members(stage, chunk, &mut change, &going)?;
        change.write(chunk)?;
        Ok(count)
    }

    /// Adds members to a group, with their events, and notes the way back.
    fn begin_members(
        &mut self,
        stage: &mut Stage,
        chunk: &mut Chunk<'_>,
        change: &mut GroupChange<'_>,
        begin: &mut Vec<(u64, Found, Member)>,
    ) -> Result<()> {
        begin.sort_unstable_by_key(|(number, ..)| *number);
        let mut events = Vec::with_capacity(begin.len());
        for (number, found, member) in begin.drain(..) {
            change.digest = change.digest.wrapping_add(codec::member_digest(self.target.seed, &member.id.key()));
            stage.note_reverse(number, change.group_via, true)?;
            if found.standing.state == State::Soft {
                // Told now, whatever it is when its member comes back.
                forget_sleeping(chunk, number, change.group_via)?;
            }
            change.begun.insert(number);
            events.push(MemberChange {
                record: member_record(chunk, &found)?,
                member: Member { kind: kind_of(&found, member.kind), id: member.id },
            });
        }
        let GroupRow { record, source_id } = change.group;
        chunk.events.add_members(EventType::MemberAdded, *record, source_id, change.via(), &events)?;
        chunk.applied.members_added += events.len() as u64;
        chunk.counts[3] += i64::try_from(events.len()).unwrap_or(0);
        Ok(())
    }

    /// Takes members from a group, with their events, and notes the way back. Who has just begun stays.
    fn end_members(
        &mut self,
        stage: &mut Stage,
        chunk: &mut Chunk<'_>,
        change: &mut GroupChange<'_>,
        end: &[u64],
    ) -> Result<()> {
        let end: Vec<u64> = end.iter().copied().filter(|number| !change.begun.contains(*number)).collect();
        for part in end.chunks(MEMBERS_AT_ONCE) {
            let mut events = Vec::with_capacity(part.len());
            for number in part {
                let (event, key) = self.member_of_number(chunk, *number)?;
                change.digest = change.digest.wrapping_sub(codec::member_digest(self.target.seed, &key));
                stage.note_reverse(*number, change.group_via, false)?;
                change.members.remove(*number);
                events.push(event);
            }
            let GroupRow { record, source_id } = change.group;
            chunk.events.add_members(EventType::MemberRemoved, *record, source_id, change.via(), &events)?;
            chunk.applied.members_removed += events.len() as u64;
            chunk.counts[3] -= i64::try_from(events.len()).unwrap_or(0);
            change.ended = true;
        }
        Ok(())
    }

    /// Applies the endings of groups that were not listed: said by the directory, or by a changed primary group.
    pub(super) fn endings(&mut self, stage: &mut Stage, chunk: &mut Chunk<'_>, after: i64) -> Result<Reached> {
        let step = || sql("apply memberships");
        // The index has served.
        self.index = Index::Undecided;
        let groups: Vec<i64> = {
            let mut query = stage
                .file
                .prepare_cached("SELECT group_via FROM edge_losses WHERE group_via > ?1 ORDER BY 1 LIMIT ?2")
                .map_err(step())?;
            let rows = query.query_map(params![after, GROUPS_A_CHUNK], |row| row.get(0)).map_err(step())?;
            rows.collect::<Result<_, _>>().map_err(step())?
        };
        let Some(last) = groups.last().copied() else { return Ok(Reached::End) };
        stage.file.execute_batch("BEGIN").map_err(step())?;
        for group_via in groups {
            let Some(group) = group_row(chunk, group_via / 2)? else { continue };
            let stored = stored_set(chunk, group_via)?;
            // A listed group was applied before: what was ended there is no longer stored.
            let mut going = stage.going(group_via)?;
            going.retain(|number| stored.contains(*number));
            let mut change = GroupChange::of(chunk, &group, group_via, stored)?;
            self.end_members(stage, chunk, &mut change, &going)?;
            change.write(chunk)?;
        }
        stage.flush_notes()?;
        stage.file.execute_batch("COMMIT").map_err(step())?;
        fault::point();
        Ok(Reached::Position(last))
    }

    /// Finds an object by its key, seeing what this transaction wrote.
    pub(super) fn find(&self, chunk: &Chunk<'_>, key: &SourceKey) -> Result<Option<Found>> {
        if let Index::InMemory(index) = &self.index {
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
        if let Index::InMemory(index) = &mut self.index {
            index.insert(&member.id.key(), found);
        }
        Ok(found)
    }

    /// Describes a member by its number, for the event of its ending.
    pub(super) fn member_of_number(&self, chunk: &Chunk<'_>, number: u64) -> Result<(MemberChange, SourceKey)> {
        let object_no = i64::try_from(number).map_err(|_| damaged("an object number"))?;
        let (source_id, joined): (Vec<u8>, bool) = chunk
            .transaction
            .prepare_cached("SELECT source_id, record_no <> object_no FROM objects WHERE object_no = ?1")
            .and_then(|mut query| query.query_row([object_no], |row| Ok((row.get(0)?, row.get(1)?))))
            .map_err(sql("read an object"))?;
        let id = SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?;
        let key = id.key();
        let standing = super::standing_of(chunk.transaction, self.target.endpoint_no, &id)?
            .ok_or_else(|| damaged("a standing"))?;
        let found = Found { object_no, standing, joined };
        let record = member_record(chunk, &found)?;
        Ok((MemberChange { member: Member { kind: standing.member_kind(), id }, record }, key))
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

/// Returns the record of a member, as its event tells it.
fn member_record(chunk: &Chunk<'_>, found: &Found) -> Result<MemberRecord> {
    match found.standing.class {
        Class::Object(kind) if found.standing.is_present() => {
            if !found.joined {
                return Ok(MemberRecord::Own(kind));
            }
            let id: Option<[u8; 16]> = chunk
                .transaction
                .prepare_cached(
                    "SELECT id FROM records WHERE record_no = (SELECT record_no FROM objects WHERE object_no = ?1)",
                )
                .and_then(|mut query| query.query_row([found.object_no], |row| row.get(0)).optional())
                .map_err(sql("read a record"))?;
            Ok(id.map_or(MemberRecord::None, |id| MemberRecord::Joined(RecordId(uuid::Uuid::from_bytes(id)))))
        }
        _ => Ok(MemberRecord::None),
    }
}

fn kind_of(found: &Found, told: crate::model::MemberKind) -> crate::model::MemberKind {
    if super::is_object(found.standing) { found.standing.member_kind() } else { told }
}

pub(super) fn group_row(chunk: &Chunk<'_>, group_no: i64) -> Result<Option<GroupRow>> {
    let row: Option<(Vec<u8>, [u8; 16], i64)> = chunk
        .transaction
        .prepare_cached("SELECT source_id, id, kind FROM objects JOIN records USING (record_no) WHERE object_no = ?1")
        .and_then(|mut query| query.query_row([group_no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional())
        .map_err(sql("read a group"))?;
    let Some((source_id, id, kind)) = row else { return Ok(None) };
    if crate::store::sqlite::kind_from_number(kind)? != ObjectKind::Group {
        return Ok(None);
    }
    let source_id = SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?;
    Ok(Some(GroupRow { record: RecordId(uuid::Uuid::from_bytes(id)), source_id }))
}

fn packed_members(chunk: &Chunk<'_>, group_via: i64) -> Result<Vec<u8>> {
    chunk
        .transaction
        .prepare_cached("SELECT members FROM group_members WHERE group_via = ?1")
        .and_then(|mut query| query.query_row([group_via], |row| row.get(0)).optional())
        .map(Option::unwrap_or_default)
        .map_err(sql("read memberships"))
}

pub(super) fn stored_members(chunk: &Chunk<'_>, group_via: i64) -> Result<Vec<u64>> {
    codec::unpack_sorted(&packed_members(chunk, group_via)?)
}

fn stored_set(chunk: &Chunk<'_>, group_via: i64) -> Result<RoaringTreemap> {
    codec::unpack_set(&packed_members(chunk, group_via)?)
}

pub(super) fn stored_digest(chunk: &Chunk<'_>, group_via: i64) -> Result<u128> {
    let digest: Option<[u8; 16]> = chunk
        .transaction
        .prepare_cached("SELECT digest FROM group_members WHERE group_via = ?1")
        .and_then(|mut query| query.query_row([group_via], |row| row.get(0)).optional())
        .map_err(sql("read memberships"))?;
    Ok(digest.map_or(0, u128::from_le_bytes))
}

pub(super) fn write_members(chunk: &Chunk<'_>, group_via: i64, members: &[u64], digest: u128) -> Result<()> {
    write_packed(chunk, group_via, members.len() as u64, &pack_sorted(members), digest)
}

fn write_packed(chunk: &Chunk<'_>, group_via: i64, count: u64, members: &[u8], digest: u128) -> Result<()> {
    let step = || sql("store memberships");
    if count == 0 {
        return chunk
            .transaction
            .prepare_cached("DELETE FROM group_members WHERE group_via = ?1")
            .and_then(|mut delete| delete.execute([group_via]))
            .map(drop)
            .map_err(step());
    }
    chunk
        .transaction
        .prepare_cached("INSERT OR REPLACE INTO group_members VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut insert| insert.execute(params![group_via, count, digest.to_le_bytes().as_slice(), members]))
        .map(drop)
        .map_err(step())
}
