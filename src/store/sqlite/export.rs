//! Reads a customer's whole local directory as it is at one position, a part at a time.
//!
//! One read transaction: what is applied meanwhile is not seen, and waits for nothing here.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::apply::load_record;
use super::directory::endpoint_groups;
use super::edit::manual_after;
use super::member::{Group, group_of, member_of, members_of};
use super::outbox::MemberRecord;
use super::{SqliteStore, sql};
use crate::error::Result;
use crate::model::{CustomerId, EndpointName, Exported, ExportedMember, ObjectKind, Record, RecordId, SourceId, Via};
use crate::store::Exporting;

/// An export under way.
pub(super) struct SqliteExport {
    connection: Connection,
    customer: CustomerId,
    customer_no: i64,
    position: u64,
    place: Place,
    arriving: Arriving,
}

/// Groups that an apply is bringing in, by endpoint: computers may belong to one before it can be found.
type Arriving = HashMap<EndpointName, HashSet<[u8; 16]>>;

/// How far an export is.
enum Place {
    /// The groups that stand for endpoints: derived, and few.
    Own(std::vec::IntoIter<Record>),
    /// Records behind a number.
    Records(i64),
    /// Groups behind a number.
    Groups(i64),
    /// Members of one group.
    Members(Box<Members>),
    /// Memberships made by hand behind one of them.
    ByHand((i64, i64)),
    End,
}

/// Members of one group that are still to be told.
struct Members {
    group_via: i64,
    group: Group,
    endpoint: EndpointName,
    rest: std::vec::IntoIter<u64>,
}

impl std::fmt::Debug for SqliteExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteExport")
            .field("customer", &self.customer)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl SqliteExport {
    pub(super) fn begin(store: &SqliteStore, customer: &CustomerId) -> Result<Self> {
        let step = || sql("begin an export");
        let customer_no = store.known_customer(customer)?;
        let connection = store.connect(4 << 20)?;
        // The first statement fixes what all later ones see.
        connection.execute_batch("BEGIN").map_err(step())?;
        let position = connection
            .query_row("SELECT sequence FROM customers WHERE customer_no = ?1", [customer_no], |row| row.get(0))
            .map_err(step())?;
        let own = endpoint_groups(&connection, customer)?;
        let place = Place::Own(own.into_iter());
        let arriving = arriving(store, &connection, customer, customer_no)?;
        Ok(Self { connection, customer: customer.clone(), customer_no, position, place, arriving })
    }

    /// Names the group that a computer belongs to also while that one is still arriving, as the computer's event did.
    fn with_owner(&self, mut record: Record) -> Record {
        if let (Some(owner), Some(source_id)) = (&mut record.owner, record.attributes.text(&crate::model::names::OWNER))
            && let Some(groups) = self.arriving.get(&owner.endpoint)
        {
            let key = SourceId::parse(source_id).key();
            if groups.contains(&key.0) {
                owner.id = RecordId::founded_by(&self.customer, &owner.endpoint, ObjectKind::Group, &key);
            }
        }
        record
    }

    fn records(&self, after: i64, limit: usize, out: &mut Vec<Exported>) -> Result<Place> {
        let step = || sql("export records");
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT record_no FROM records WHERE record_no > ?1 AND customer_no = ?2 AND state = 0
                 ORDER BY record_no LIMIT ?3",
            )
            .map_err(step())?;
        let numbers: Vec<i64> = query
            .query_map(params![after, self.customer_no, limit], |row| row.get(0))
            .map_err(step())?
            .collect::<Result<_, _>>()
            .map_err(step())?;
        for record_no in &numbers {
            let record = load_record(&self.connection, *record_no)?;
            out.extend(record.map(|record| Exported::Record(Box::new(self.with_owner(record)))));
        }
        Ok(numbers.last().map_or(Place::Groups(0), |last| Place::Records(*last)))
    }

    fn next_group(&self, after: i64) -> Result<Place> {
        let next: Option<(i64, String)> = self
            .connection
            .prepare_cached(
                "SELECT group_via, endpoints.name FROM group_members JOIN objects ON object_no = group_via / 2
                 JOIN endpoints USING (endpoint_no)
                 WHERE group_via > ?1 AND customer_no = ?2 ORDER BY group_via LIMIT 1",
            )
            .and_then(|mut query| {
                query.query_row(params![after, self.customer_no], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(sql("export memberships"))?;
        let Some((group_via, endpoint)) = next else { return Ok(Place::ByHand((0, 0))) };
        let Some(group) = group_of(&self.connection, group_via)? else { return Ok(Place::Groups(group_via)) };
        let rest = members_of(&self.connection, group_via)?.into_iter();
        Ok(Place::Members(Box::new(Members { group_via, group, endpoint: EndpointName::new(endpoint)?, rest })))
    }

    fn member(&self, Members { group_via, group, endpoint, .. }: &Members, number: u64) -> Result<ExportedMember> {
        let change = member_of(&self.connection, group.endpoint_no, number)?;
        let member = match change.record {
            MemberRecord::None => None,
            MemberRecord::Own(kind) => {
                Some(RecordId::founded_by(&self.customer, endpoint, kind, &change.member.id.key()))
            }
            MemberRecord::Joined(id) => Some(id),
        };
        Ok(ExportedMember {
            endpoint: Some(endpoint.clone()),
            group: group.record,
            member,
            group_source_id: group.source_id.clone(),
            member_source_id: change.member.id,
            via: if group_via % 2 == 1 { Via::Primary } else { Via::Explicit },
            member_kind: change.member.kind,
        })
    }
    fn by_hand(&self, after: (i64, i64), limit: usize, out: &mut Vec<Exported>) -> Result<Place> {
        let members = manual_after(&self.connection, self.customer_no, after, limit)?;
        out.extend(members.iter().map(|one| {
            let change = one.change();
            Exported::Member(ExportedMember {
                endpoint: None,
                group: one.group,
                member: one.live.then_some(one.member),
                group_source_id: SourceId::Guid(one.group.0),
                member_source_id: change.member.id,
                via: Via::Explicit,
                member_kind: change.member.kind,
            })
        }));
        Ok(members.last().map_or(Place::End, |last| Place::ByHand(last.at)))
    }
}

/// Reads which groups are arriving: of runs that have written objects, and not yet the way to them.
fn arriving(store: &SqliteStore, connection: &Connection, customer: &CustomerId, customer_no: i64) -> Result<Arriving> {
    let step = || sql("read who is being imported");
    let mut query = connection
        .prepare(
            "SELECT DISTINCT e.name FROM runs JOIN endpoints e USING (endpoint_no)
             WHERE e.customer_no = ?1 AND e.name NOT LIKE '.%' AND (phase = 1 OR (phase = 0 AND position > 0))",
        )
        .map_err(step())?;
    let names = query.query_map([customer_no], |row| row.get::<_, String>(0)).map_err(step())?;
    let names: Vec<String> = names.collect::<Result<_, _>>().map_err(step())?;
    let mut arriving = Arriving::new();
    for name in names {
        let path = store.work.join(format!("{customer}+{name}.stage"));
        // A stage that is gone meanwhile, or lost, tells of nobody.
        let Ok(file) = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE) else { continue };
        let Ok(mut query) =
            file.prepare("SELECT source_id FROM objects WHERE disposition = 0 AND stage_no % 4 = 0 AND kind = 1")
        else {
            continue;
        };
        let mut groups = HashSet::new();
        let mut rows = query.query([]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let id = row.get_ref(0).map_err(step())?.as_blob().ok().and_then(SourceId::from_stored);
            groups.extend(id.map(|id| id.key().0));
        }
        arriving.insert(EndpointName::new(name)?, groups);
    }
    Ok(arriving)
}

impl Exporting for SqliteExport {
    fn position(&self) -> u64 {
        self.position
    }

    fn next(&mut self, limit: usize) -> Result<Vec<Exported>> {
        let mut out = Vec::new();
        while out.len() < limit {
            let room = limit - out.len();
            // An error leaves the export at its end: what is missing is never taken for what is not there.
            self.place = match std::mem::replace(&mut self.place, Place::End) {
                Place::Own(mut own) => {
                    out.extend(own.by_ref().take(room).map(|record| Exported::Record(Box::new(record))));
                    if own.len() == 0 { Place::Records(0) } else { Place::Own(own) }
                }
                Place::Records(after) => self.records(after, room, &mut out)?,
                Place::Groups(after) => self.next_group(after)?,
                Place::Members(mut members) => {
                    let now: Vec<u64> = members.rest.by_ref().take(room).collect();
                    for number in now {
                        out.push(Exported::Member(self.member(&members, number)?));
                    }
                    if members.rest.len() == 0 { Place::Groups(members.group_via) } else { Place::Members(members) }
                }
                Place::ByHand(after) => self.by_hand(after, room, &mut out)?,
                Place::End => break,
            };
        }
        Ok(out)
    }
}
