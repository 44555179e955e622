//! Members of groups by their numbers, as events and exports tell them. It changes nothing.

use rusqlite::{Connection, OptionalExtension, params};

use super::apply::standing_of;
use super::outbox::{MemberChange, MemberRecord};
use super::{damaged, kind_from_number, sql};
use crate::error::Result;
use crate::model::{EndpointName, Member, MemberKind, ObjectKind, RecordId, SourceId};
use crate::store::codec;

/// A group that has members.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) record: RecordId,
    pub(super) source_id: SourceId,
    pub(super) endpoint_no: i64,
    pub(super) endpoint: EndpointName,
}

/// Reads the group whose members stand under a number.
pub(super) fn group_of(connection: &Connection, group_via: i64) -> Result<Option<Group>> {
    type Row = (Vec<u8>, [u8; 16], i64, i64, String);
    let row: Option<Row> = connection
        .prepare_cached(
            "SELECT source_id, r.id, r.kind, endpoint_no, e.name
             FROM objects JOIN records r USING (record_no) JOIN endpoints e USING (endpoint_no) WHERE object_no = ?1",
        )
        .and_then(|mut query| {
            query
                .query_row([group_via / 2], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
                .optional()
        })
        .map_err(sql("read a group"))?;
    let Some((source_id, id, kind, endpoint_no, name)) = row else { return Ok(None) };
    if kind_from_number(kind)? != ObjectKind::Group {
        return Ok(None);
    }
    Ok(Some(Group {
        record: RecordId(uuid::Uuid::from_bytes(id)),
        source_id: SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?,
        endpoint_no,
        endpoint: EndpointName::new(name)?,
    }))
}

/// Reads a member by its number.
pub(super) fn member_of(connection: &Connection, endpoint_no: i64, number: u64) -> Result<MemberChange> {
    let object_no = i64::try_from(number).map_err(|_| damaged("an object number"))?;
    let (source_id, record_no): (Vec<u8>, i64) = connection
        .prepare_cached("SELECT source_id, record_no FROM objects WHERE object_no = ?1")
        .and_then(|mut query| query.query_row([object_no], |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(sql("read an object"))?;
    let id = SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?;
    let standing = standing_of(connection, endpoint_no, &id)?;
    let record = match standing.filter(|standing| standing.is_present()).and_then(super::Standing::kind) {
        None => MemberRecord::None,
        Some(kind) if record_no == object_no => MemberRecord::Own(kind),
        Some(_) => record_id(connection, record_no)?.map_or(MemberRecord::None, MemberRecord::Joined),
    };
    let kind = standing.map_or(MemberKind::Unknown, super::Standing::member_kind);
    Ok(MemberChange { member: Member { id, kind }, record })
}

/// Reads the id of a record.
pub(super) fn record_id(connection: &Connection, record_no: i64) -> Result<Option<RecordId>> {
    let id: Option<[u8; 16]> = connection
        .prepare_cached("SELECT id FROM records WHERE record_no = ?1")
        .and_then(|mut query| query.query_row([record_no], |row| row.get(0)).optional())
        .map_err(sql("read a record"))?;
    Ok(id.map(|id| RecordId(uuid::Uuid::from_bytes(id))))
}

/// Reads packed numbers; none where there is no row.
pub(super) fn numbers(connection: &Connection, statement: &'static str, key: i64) -> Result<Vec<u64>> {
    connection
        .prepare_cached(statement)
        .and_then(|mut query| query.query_row([key], |row| row.get::<_, Vec<u8>>(0)).optional())
        .map_err(sql("read memberships"))?
        .map_or_else(|| Ok(Vec::new()), |packed| codec::unpack_sorted(&packed))
}

/// Writes the members of a group; a group without any has no row.
pub(super) fn write_members(
    connection: &Connection,
    group_via: i64,
    members: &[u64],
    digest: Option<u128>,
) -> Result<()> {
    let step = || sql("store memberships");
    if members.is_empty() {
        return connection
            .prepare_cached("DELETE FROM group_members WHERE group_via = ?1")
            .and_then(|mut delete| delete.execute([group_via]))
            .map(drop)
            .map_err(step());
    }
    connection
        .prepare_cached(
            "UPDATE group_members SET count = ?2, members = ?3, digest = coalesce(?4, digest) WHERE group_via = ?1",
        )
        .and_then(|mut update| {
            let digest = digest.map(|digest| digest.to_le_bytes().to_vec());
            update.execute(params![group_via, members.len(), codec::pack_sorted(members), digest])
        })
        .map(drop)
        .map_err(step())
}

/// Removes an object and everything that was read of it; its memberships are gone by now.
pub(super) fn remove_object(connection: &Connection, endpoint_no: i64, object_no: i64, id: &SourceId) -> Result<()> {
    let step = || sql("remove an object");
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
