//! Groups and their members by their numbers: as they are stored, and as events and exports tell them.
//!
//! It does not know why a membership begins or ends.

use rusqlite::{Connection, OptionalExtension, params};

use super::apply::standing_of;
use super::join;
use super::key_index::Found;
use super::outbox::{MemberChange, MemberRecord, Writer};
use super::{Class, Standing, damaged, kind_from_number, sql};
use crate::error::Result;
use crate::model::{Member, MemberKind, ObjectKind, RecordId, SourceId};
use crate::store::codec;

/// A group that has members.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) record: RecordId,
    pub(super) source_id: SourceId,
    pub(super) endpoint_no: i64,
}

/// Reads the group whose members stand under a number.
pub(super) fn group_of(connection: &Connection, group_via: i64) -> Result<Option<Group>> {
    type Row = (Vec<u8>, [u8; 16], i64, i64);
    let row: Option<Row> = connection
        .prepare_cached(
            "SELECT source_id, id, kind, endpoint_no FROM objects JOIN records USING (record_no) WHERE object_no = ?1",
        )
        .and_then(|mut query| {
            query.query_row([group_via / 2], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).optional()
        })
        .map_err(sql("read a group"))?;
    let Some((source_id, id, kind, endpoint_no)) = row else { return Ok(None) };
    if kind_from_number(kind)? != ObjectKind::Group {
        return Ok(None);
    }
    Ok(Some(Group {
        record: RecordId(uuid::Uuid::from_bytes(id)),
        source_id: SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?,
        endpoint_no,
    }))
}

/// Reads a member by its number.
pub(super) fn member_of(connection: &Connection, endpoint_no: i64, number: u64) -> Result<MemberChange> {
    let object_no = i64::try_from(number).map_err(|_| damaged("an object number"))?;
    let (source_id, joined): (Vec<u8>, bool) = connection
        .prepare_cached("SELECT source_id, record_no <> object_no FROM objects WHERE object_no = ?1")
        .and_then(|mut query| query.query_row([object_no], |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(sql("read an object"))?;
    let id = SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?;
    match standing_of(connection, endpoint_no, &id)? {
        Some(standing) => member_found(connection, id, &Found { object_no, standing, joined }),
        None => Ok(MemberChange { member: Member { id, kind: MemberKind::Unknown }, record: MemberRecord::None }),
    }
}

/// Describes a member as it was found.
fn member_found(connection: &Connection, id: SourceId, found: &Found) -> Result<MemberChange> {
    let record = member_record(connection, found)?;
    Ok(MemberChange { member: Member { id, kind: found.standing.member_kind() }, record })
}

/// Returns the record of a member, as its event tells it.
pub(super) fn member_record(connection: &Connection, found: &Found) -> Result<MemberRecord> {
    match found.standing {
        Standing { class: Class::Object(kind), .. } if found.standing.is_present() => {
            if !found.joined {
                return Ok(MemberRecord::Own(kind));
            }
            let id: Option<[u8; 16]> = connection
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

/// Reads the id of a record.
pub(super) fn record_id(connection: &Connection, record_no: i64) -> Result<Option<RecordId>> {
    let id: Option<[u8; 16]> = connection
        .prepare_cached("SELECT id FROM records WHERE record_no = ?1")
        .and_then(|mut query| query.query_row([record_no], |row| row.get(0)).optional())
        .map_err(sql("read a record"))?;
    Ok(id.map(|id| RecordId(uuid::Uuid::from_bytes(id))))
}

/// Reads the packed members of a group, and their digest; none where there is no row.
pub(super) fn packed_members(connection: &Connection, group_via: i64) -> Result<(Vec<u8>, u128)> {
    let row: Option<(Vec<u8>, [u8; 16])> = connection
        .prepare_cached("SELECT members, digest FROM group_members WHERE group_via = ?1")
        .and_then(|mut query| query.query_row([group_via], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(sql("read memberships"))?;
    Ok(row.map_or_else(Default::default, |(members, digest)| (members, u128::from_le_bytes(digest))))
}

/// Reads the members of a group.
pub(super) fn members_of(connection: &Connection, group_via: i64) -> Result<Vec<u64>> {
    codec::unpack_sorted(&packed_members(connection, group_via)?.0)
}

/// Reads the groups that a member is in.
pub(super) fn groups_of(connection: &Connection, member: u64) -> Result<Vec<u64>> {
    connection
        .prepare_cached("SELECT groups FROM member_groups WHERE member_no = ?1")
        .and_then(|mut query| query.query_row([member], |row| row.get::<_, Vec<u8>>(0)).optional())
        .map_err(sql("read memberships"))?
        .map_or_else(|| Ok(Vec::new()), |packed| codec::unpack_sorted(&packed))
}

/// Writes the members of a group; a group without any has no row.
pub(super) fn write_members(connection: &Connection, group_via: i64, members: &[u64], digest: u128) -> Result<()> {
    write_packed(connection, group_via, members.len() as u64, &codec::pack_sorted(members), digest)
}

/// Writes the packed members of a group; a group without any has no row.
pub(super) fn write_packed(
    connection: &Connection,
    group_via: i64,
    count: u64,
    members: &[u8],
    digest: u128,
) -> Result<()> {
    let step = || sql("store memberships");
    if count == 0 {
        return connection
            .prepare_cached("DELETE FROM group_members WHERE group_via = ?1")
            .and_then(|mut delete| delete.execute([group_via]))
            .map(drop)
            .map_err(step());
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO group_members VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut insert| insert.execute(params![group_via, count, digest.to_le_bytes().as_slice(), members]))
        .map(drop)
        .map_err(step())
}

/// Removes an object and everything that was read of it; its memberships are gone by now.
pub(super) fn remove_object(
    connection: &Connection,
    events: &mut Writer<'_>,
    (endpoint_no, object_no): (i64, i64),
    id: &SourceId,
) -> Result<()> {
    let step = || sql("remove an object");
    join::forget_object(connection, events, object_no)?;
    for statement in [
        "DELETE FROM objects WHERE object_no = ?1",
        "DELETE FROM facets WHERE object_no = ?1",
        "DELETE FROM observations WHERE object_no = ?1",
        "DELETE FROM sleeping WHERE object_no = ?1",
        "DELETE FROM member_groups WHERE member_no = ?1",
    ] {
        connection.prepare_cached(statement).and_then(|mut delete| delete.execute([object_no])).map_err(step())?;
    }
    connection
        .prepare_cached("DELETE FROM probes WHERE endpoint_no = ?1 AND source_key = ?2")
        .and_then(|mut delete| delete.execute(params![endpoint_no, id.key().0]))
        .map(drop)
        .map_err(step())
}

/// Removes a record that nothing is known of any more.
pub(super) fn remove_record(connection: &Connection, record_no: i64) -> Result<()> {
    let step = || sql("remove a record");
    for statement in [
        "DELETE FROM record_ids WHERE id = (SELECT id FROM records WHERE record_no = ?1)",
        "DELETE FROM record_ids WHERE id IN (SELECT id FROM adopted_ids WHERE record_no = ?1)",
        "DELETE FROM adopted_ids WHERE record_no = ?1",
        "DELETE FROM natural_keys WHERE record_no = ?1",
        "DELETE FROM tags WHERE record_no = ?1",
        "DELETE FROM tags WHERE record_no IN (SELECT record_no FROM absorbed WHERE into_no = ?1)",
        "DELETE FROM record_ids WHERE id IN (SELECT id FROM records JOIN absorbed USING (record_no) WHERE into_no = ?1)",
        "DELETE FROM records WHERE record_no IN (SELECT record_no FROM absorbed WHERE into_no = ?1)",
        "DELETE FROM absorbed WHERE into_no = ?1",
        "DELETE FROM conflicts WHERE other_no = ?1",
        "DELETE FROM conflicts WHERE record_no = ?1 AND customer_no IN (SELECT customer_no FROM records WHERE record_no = ?1)",
        "DELETE FROM records WHERE record_no = ?1",
        "DELETE FROM local_records WHERE record_no = ?1",
    ] {
        connection.prepare_cached(statement).and_then(|mut delete| delete.execute([record_no])).map_err(step())?;
    }
    Ok(())
}

/// Adds to the stored count of live objects of a kind, or of memberships.
pub(super) fn add_count(connection: &Connection, endpoint_no: i64, what: i64, change: i64) -> Result<()> {
    connection
        .prepare_cached("UPDATE counts SET count = count + ?3 WHERE endpoint_no = ?1 AND what = ?2")
        .and_then(|mut update| update.execute(params![endpoint_no, what, change]))
        .map(drop)
        .map_err(sql("count"))
}
