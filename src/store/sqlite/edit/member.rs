//! Memberships made by hand: between records, not objects, so that they outlast the members' going and coming back.

use rusqlite::{Connection, OptionalExtension, params};

use super::change::Known;
use super::{Change, known_no};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EventType, Member, MemberKind, ObjectKind, RecordId, SourceId, Via};
use crate::store::sqlite::outbox::{MemberChange, MemberRecord, Writer};
use crate::store::sqlite::{kind_from_number, sql};

/// A membership made by hand.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct ManualMember {
    /// The group's and the member's numbers: its place in the order.
    pub(in super::super) at: (i64, i64),
    /// The group.
    pub(in super::super) group: RecordId,
    /// The record that was made a member, whether it is there or not.
    given: RecordId,
    /// The member: this record, or the one that it turned out to be.
    pub(in super::super) member: RecordId,
    /// What it is.
    pub(in super::super) kind: ObjectKind,
    /// Whether it is there.
    pub(in super::super) live: bool,
}

impl ManualMember {
    /// Describes the member as its event does.
    pub(in super::super) fn change(&self) -> MemberChange {
        let kind = match self.kind {
            ObjectKind::User => MemberKind::User,
            ObjectKind::Group => MemberKind::Group,
            ObjectKind::Computer => MemberKind::Computer,
        };
        let record = if self.live { MemberRecord::Joined(self.member) } else { MemberRecord::None };
        MemberChange { member: Member { id: SourceId::Guid(self.given.0), kind }, record }
    }
}

const COLUMNS: &str = "SELECT group_no, member_no, g.id, m.id, m.kind, k.state = 0, k.id FROM manual_members
    JOIN records g ON g.record_no = group_no JOIN records m ON m.record_no = member_no
    LEFT JOIN absorbed a ON a.record_no = member_no
    JOIN records k ON k.record_no = coalesce(a.into_no, member_no)";

fn read(connection: &Connection, rest: &str, parameters: impl rusqlite::Params) -> Result<Vec<ManualMember>> {
    let step = || sql("read memberships made by hand");
    let mut query = connection.prepare_cached(&format!("{COLUMNS} {rest}")).map_err(step())?;
    let mut rows = query.query(parameters).map_err(step())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let id = |at: usize| row.get(at).map(|id| RecordId(uuid::Uuid::from_bytes(id))).map_err(step());
        found.push(ManualMember {
            at: (row.get(0).map_err(step())?, row.get(1).map_err(step())?),
            group: id(2)?,
            given: id(3)?,
            member: id(6)?,
            kind: kind_from_number(row.get(4).map_err(step())?)?,
            live: row.get(5).map_err(step())?,
        });
    }
    Ok(found)
}

/// Lists a customer's memberships made by hand behind one of them, at most so many.
pub(in super::super) fn manual_after(
    connection: &Connection,
    customer_no: i64,
    (group_no, member_no): (i64, i64),
    limit: usize,
) -> Result<Vec<ManualMember>> {
    read(
        connection,
        "WHERE manual_members.customer_no = ?1 AND (group_no, member_no) > (?2, ?3) ORDER BY group_no, member_no LIMIT ?4",
        params![customer_no, group_no, member_no, limit],
    )
}

/// Lists the members that a group was given by hand.
pub(in super::super) fn members_by_hand(
    connection: &Connection,
    customer_no: i64,
    group_no: i64,
) -> Result<Vec<ManualMember>> {
    read(
        connection,
        "WHERE manual_members.customer_no = ?1 AND group_no = ?2 ORDER BY member_no",
        params![customer_no, group_no],
    )
}

/// Lists the memberships that a record was given by hand.
pub(in super::super) fn groups_by_hand(connection: &Connection, member_no: i64) -> Result<Vec<ManualMember>> {
    read(
        connection,
        "WHERE member_no = ?1 OR member_no IN (SELECT record_no FROM absorbed WHERE into_no = ?1) ORDER BY group_no, member_no",
        params![member_no],
    )
}

/// Hands the memberships that a record was given by hand on to the one that absorbed it: its row is about to go, and they
/// are told by the record that they were given to.
pub(in super::super) fn hand_on_memberships(
    connection: &Connection,
    events: &mut Writer<'_>,
    from_no: i64,
    into_no: i64,
) -> Result<()> {
    let step = || sql("hand memberships on");
    let customer_no: i64 = connection
        .prepare_cached("SELECT customer_no FROM records WHERE record_no = ?1")
        .and_then(|mut query| query.query_row([from_no], |row| row.get(0)))
        .map_err(step())?;
    let given = read(connection, "WHERE member_no = ?1 ORDER BY group_no", [from_no])?;
    if given.is_empty() {
        return Ok(());
    }
    events.of_nobody(|events| {
        for one in given {
            tell(events, EventType::MemberRemoved, &one)?;
            delete(connection, customer_no, one.at)?;
            let at = (one.at.0, into_no);
            let new = connection
                .prepare_cached("INSERT OR IGNORE INTO manual_members VALUES (?1, ?2, ?3)")
                .and_then(|mut insert| insert.execute([customer_no, at.0, at.1]))
                .map_err(step())?;
            if new > 0 {
                tell(events, EventType::MemberAdded, &ManualMember { at, given: one.member, ..one })?;
            }
        }
        Ok(())
    })
}

/// Ends all memberships made by hand of a record and in it, with their events; returns how many.
pub(in super::super) fn end_memberships(
    connection: &Connection,
    customer_no: i64,
    record_no: i64,
    events: &mut Writer<'_>,
) -> Result<u64> {
    let mut ending = members_by_hand(connection, customer_no, record_no)?;
    ending.extend(groups_by_hand(connection, record_no)?.into_iter().filter(|one| one.at.0 != record_no));
    for one in &ending {
        tell(events, EventType::MemberRemoved, one)?;
        delete(connection, customer_no, one.at)?;
    }
    Ok(ending.len() as u64)
}

fn tell(events: &mut Writer<'_>, event_type: EventType, one: &ManualMember) -> Result<()> {
    events.add_members(event_type, one.group, &SourceId::Guid(one.group.0), Via::Explicit, &[one.change()])
}

fn delete(connection: &Connection, customer_no: i64, (group_no, member_no): (i64, i64)) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM manual_members WHERE customer_no = ?1 AND group_no = ?2 AND member_no = ?3")
        .and_then(|mut delete| delete.execute(params![customer_no, group_no, member_no]))
        .map(drop)
        .map_err(sql("end a membership"))
}

impl Change<'_> {
    pub(super) fn end_memberships_of(&mut self, record_no: i64) -> Result<()> {
        end_memberships(self.transaction, self.customer_no, record_no, &mut self.events).map(drop)
    }

    fn group(&self, id: RecordId) -> Result<(i64, Known)> {
        let group_no = known_no(self.transaction, self.customer, self.customer_no, id)?;
        let group = Known::read(self.transaction, group_no)?;
        if group.record.kind != ObjectKind::Group {
            return Err(Error::config("only groups have members; this record is none").with_context("record", id));
        }
        Ok((group_no, group))
    }

    pub(super) fn add_members(&mut self, id: RecordId, members: &[RecordId]) -> Result<u64> {
        let (group_no, group) = self.group(id)?;
        if let Some(lock) = &group.record.lock {
            return Err(Error::new(
                ErrorKind::Locked,
                "the group's members are locked by the endpoint that owns it; add them there, or to a group of your own",
            )
            .with_context("owner", &lock.endpoint)
            .with_context("record", id));
        }
        let mut added = 0;
        for member in members {
            let member_no = self.member_no(*member)?;
            if member_no == group_no {
                return Err(Error::config("a group is no member of itself").with_context("record", id));
            }
            if self.by_hand(group_no, *member)?.is_some() {
                continue;
            }
            let new = self
                .transaction
                .prepare_cached("INSERT OR IGNORE INTO manual_members VALUES (?1, ?2, ?3)")
                .and_then(|mut insert| insert.execute(params![self.customer_no, group_no, member_no]))
                .map_err(sql("add a member"))?;
            if new == 0 {
                continue;
            }
            let kind = Known::read(self.transaction, member_no)?.record.kind;
            let at = (group_no, member_no);
            let one = ManualMember { at, group: id, given: *member, member: *member, kind, live: true };
            tell(&mut self.events, EventType::MemberAdded, &one)?;
            added += 1;
        }
        Ok(added)
    }

    /// Finds a member that is to be added.
    fn member_no(&self, id: RecordId) -> Result<i64> {
        match known_no(self.transaction, self.customer, self.customer_no, id) {
            Err(error) if *error.kind() == ErrorKind::Locked => {
                Err(Error::config("the group that stands for an endpoint is no member of others; add its members")
                    .with_context("record", id))
            }
            other => other,
        }
    }

    pub(super) fn remove_members(&mut self, id: RecordId, members: &[RecordId]) -> Result<u64> {
        let (group_no, group) = self.group(id)?;
        let mut removed = 0;
        for member in members {
            let Some(mut one) = self.by_hand(group_no, *member)? else {
                if let Some(lock) = &group.record.lock {
                    return Err(Error::new(
                        ErrorKind::Locked,
                        "the membership is not one made by hand: the endpoint that owns the group ends it; do so there",
                    )
                    .with_context("owner", &lock.endpoint)
                    .with_context("record", id));
                }
                continue;
            };
            removed += 1;
            // What it absorbed may have been a member, too.
            loop {
                tell(&mut self.events, EventType::MemberRemoved, &one)?;
                delete(self.transaction, self.customer_no, one.at)?;
                match self.by_hand(group_no, *member)? {
                    Some(next) => one = next,
                    None => break,
                }
            }
        }
        Ok(removed)
    }

    /// Finds a membership made by hand; its member may be gone.
    fn by_hand(&self, group_no: i64, member: RecordId) -> Result<Option<ManualMember>> {
        let member_no: Option<i64> = self
            .transaction
            .prepare_cached("SELECT record_no FROM record_ids WHERE id = ?1")
            .and_then(|mut query| query.query_row([member.0.as_bytes()], |row| row.get(0)).optional())
            .map_err(sql("read a record"))?;
        let Some(member_no) = member_no else { return Ok(None) };
        let found = read(
            self.transaction,
            "WHERE manual_members.customer_no = ?1 AND group_no = ?2
               AND (member_no = ?3 OR member_no IN (SELECT record_no FROM absorbed WHERE into_no = ?3))
             ORDER BY member_no",
            params![self.customer_no, group_no, member_no],
        )?;
        Ok(found.into_iter().next())
    }
}
