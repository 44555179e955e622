//! What hosts read of the state file: customers, records, memberships, history.

use std::collections::HashSet;
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::apply::load_record;
use super::edit::{groups_by_hand, members_by_hand, store_domains};
use super::export::SqliteExport;
use super::join::{has_joins, live};
use super::outbox::customer_no;
use super::{COUNT_MEMBERSHIPS, SqliteStore, Standing, State, damaged, kind_from_number, kind_number, reorder, sql};
use crate::endpoint::EndpointInfo;
use crate::error::Result;
use crate::model::{
    ConsumerPosition, CustomerId, Dropped, EndpointName, Erased, Event, HandOver, ObjectKind, PlanId, Record, RecordId,
    Released, Retention, RunReport, Timestamp,
};
use crate::store::codec::unpack_sorted;
use crate::store::{Customer, Exporting, Parked, Store, Totals};

impl Store for SqliteStore {
    fn register(&self, customer: &Customer, endpoints: &[EndpointInfo], now: Timestamp) -> Result<()> {
        let step = || sql("register a customer");
        let mut host = self.host();
        let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
        let domains = serde_json::to_string(&customer.domains).unwrap_or_default();
        transaction
            .execute(
                "INSERT INTO customers (id, name, domains) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, domains = excluded.domains
                 WHERE (name, domains) IS NOT (excluded.name, excluded.domains)",
                params![customer.id.as_str(), customer.name, domains],
            )
            .map_err(step())?;
        let customer_no = customer_no(&transaction, &customer.id)?.ok_or_else(|| damaged("a customer"))?;
        store_domains(&transaction, customer_no, &customer.domains)?;
        for info in endpoints {
            let seed = i64::from_ne_bytes(uuid::Uuid::new_v4().as_bytes()[..8].try_into().unwrap_or_default());
            transaction
                .execute(
                    "INSERT INTO endpoints (customer_no, name, title, kind, rank, digest_seed)
                     VALUES (?1, ?2, ?3, ?4,
                             (SELECT coalesce(max(max(rank, coalesce(next_rank, 0))) + 1, 0) FROM endpoints
                              WHERE customer_no = ?1), ?5)
                     ON CONFLICT (customer_no, name) DO UPDATE SET title = excluded.title
                     WHERE title IS NOT excluded.title",
                    params![customer_no, info.name.as_str(), info.title, info.kind, seed],
                )
                .map_err(step())?;
        }
        let order: Vec<_> = endpoints.iter().map(|info| &info.name).collect();
        let reorders = reorder::is_wanted(&transaction, customer_no, &order)?;
        transaction.commit().map_err(step())?;
        drop(host);
        if reorders { self.reorder(customer_no, &order, now) } else { Ok(()) }
    }

    fn events(&self, customer: &CustomerId, after: u64, limit: usize) -> Result<Vec<Event>> {
        self.read_events(customer, after, limit)
    }

    fn last_position(&self, customer: &CustomerId) -> Result<u64> {
        self.read_last_position(customer)
    }

    fn position(&self, customer: &CustomerId, consumer: &str) -> Result<u64> {
        self.read_position(customer, consumer)
    }

    fn set_position(&self, customer: &CustomerId, consumer: &str, position: u64) -> Result<()> {
        self.write_position(customer, consumer, position)
    }

    fn totals(&self, customer: &CustomerId) -> Result<Totals> {
        let step = || sql("count records");
        let host = self.host();
        let Some(customer_no) = customer_no(&host, customer)? else { return Ok(Totals::default()) };
        let mut totals = Totals::default();
        // One object, one record, where none are joined.
        let mut query = host
            .prepare_cached(
                "SELECT what, sum(count) FROM counts JOIN endpoints USING (endpoint_no) WHERE customer_no = ?1
                 GROUP BY what",
            )
            .map_err(step())?;
        let mut rows = query.query([customer_no]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let count: u64 = row.get(1).map_err(step())?;
            match row.get::<_, i64>(0).map_err(step())? {
                0 => totals.users = count,
                1 => totals.groups = count,
                2 => totals.computers = count,
                COUNT_MEMBERSHIPS => totals.memberships = count,
                _ => return Err(damaged("counts")),
            }
        }
        totals.memberships += host
            .prepare_cached("SELECT count(*) FROM manual_members WHERE customer_no = ?1")
            .and_then(|mut query| query.query_row([customer_no], |row| row.get::<_, u64>(0)))
            .map_err(step())?;
        if has_joins(&host, customer_no)? {
            [totals.users, totals.groups, totals.computers] = live(&host, customer_no)?;
            return Ok(totals);
        }
        // Added by hand, or handed over by an endpoint that is gone.
        let mut query = host
            .prepare_cached(
                "SELECT l.kind, count(*) FROM local_records l JOIN records USING (record_no)
                 WHERE l.customer_no = ?1 AND state = 0 GROUP BY l.kind",
            )
            .map_err(step())?;
        let mut rows = query.query([customer_no]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let count: u64 = row.get(1).map_err(step())?;
            match kind_from_number(row.get(0).map_err(step())?)? {
                ObjectKind::User => totals.users += count,
                ObjectKind::Group => totals.groups += count,
                ObjectKind::Computer => totals.computers += count,
            }
        }
        Ok(totals)
    }

    fn record(&self, customer: &CustomerId, id: RecordId) -> Result<Option<Record>> {
        let host = self.host();
        let Some(record_no) = live_record_no(&host, customer, id)? else {
            return Ok(endpoint_groups(&host, customer)?.into_iter().find(|group| group.id == id));
        };
        load_record(&host, record_no)
    }

    fn records(
        &self,
        customer: &CustomerId,
        kind: ObjectKind,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<Record>> {
        let step = || sql("read records");
        let host = self.host();
        let Some(customer_no) = customer_no(&host, customer)? else { return Ok(Vec::new()) };
        // The endpoints' own groups come first: they are derived, and few.
        let mut records = Vec::new();
        let own = if kind == ObjectKind::Group { endpoint_groups(&host, customer)? } else { Vec::new() };
        let (own, after) = match after {
            None => (own.as_slice(), 0),
            Some(id) => match own.iter().position(|group| group.id == id) {
                Some(at) => (&own[at + 1..], 0),
                None => (&[][..], record_no(&host, id)?.unwrap_or(i64::MAX)),
            },
        };
        records.extend(own.iter().take(limit).cloned());
        let limit = limit - records.len();
        let mut query = host
            .prepare_cached(
                "SELECT record_no FROM records WHERE record_no > ?1 AND customer_no = ?2 AND kind = ?3 AND state = 0
                 ORDER BY record_no LIMIT ?4",
            )
            .map_err(step())?;
        let numbers: Vec<i64> = query
            .query_map(params![after, customer_no, kind_number(kind), limit], |row| row.get(0))
            .map_err(step())?
            .collect::<Result<_, _>>()
            .map_err(step())?;
        for record_no in numbers {
            records.extend(load_record(&host, record_no)?);
        }
        Ok(records)
    }

    fn members(&self, customer: &CustomerId, group: RecordId) -> Result<(Vec<RecordId>, u64)> {
        let host = self.host();
        let Some(record_no) = live_record_no(&host, customer, group)? else {
            return endpoint_members(&host, customer, group);
        };
        let mut numbers = Vec::new();
        for object_no in objects_of(&host, record_no)? {
            for group_via in [object_no * 2, object_no * 2 + 1] {
                if let Some(packed) = blob(&host, "SELECT members FROM group_members WHERE group_via = ?1", group_via)?
                {
                    numbers.append(&mut unpack_sorted(&packed)?);
                }
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        let mut members = live_records(&host, &numbers)?;
        let listed = members.len();
        // Two endpoints may list one person.
        let mut known = HashSet::new();
        members.retain(|member| known.insert(*member));
        let mut count = (numbers.len() - (listed - members.len())) as u64;
        let customer_no = customer_no(&host, customer)?.unwrap_or_default();
        for by_hand in members_by_hand(&host, customer_no, record_no)? {
            let new = known.insert(by_hand.member);
            count += u64::from(new);
            if by_hand.live && new {
                members.push(by_hand.member);
            }
        }
        Ok((members, count))
    }

    fn groups_of(&self, customer: &CustomerId, member: RecordId) -> Result<Vec<RecordId>> {
        let host = self.host();
        let Some(record_no) = live_record_no(&host, customer, member)? else { return Ok(Vec::new()) };
        let mut numbers = Vec::new();
        for object_no in objects_of(&host, record_no)? {
            if let Some(packed) = blob(&host, "SELECT groups FROM member_groups WHERE member_no = ?1", object_no)? {
                numbers.extend(unpack_sorted(&packed)?.into_iter().map(|group_via| group_via / 2));
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        let mut groups = live_records(&host, &numbers)?;
        groups.extend(groups_by_hand(&host, record_no)?.into_iter().map(|by_hand| by_hand.group));
        groups.sort_unstable();
        groups.dedup();
        // Who was imported through an endpoint is a member of its group.
        if let Some(record) = load_record(&host, record_no)?.filter(|record| record.kind == ObjectKind::User) {
            let mut endpoints: Vec<_> = record.identities.into_iter().map(|identity| identity.endpoint).collect();
            endpoints.dedup();
            groups.extend(endpoints.iter().map(|endpoint| RecordId::of_endpoint_group(customer, endpoint)));
        }
        Ok(groups)
    }

    fn history(&self, customer: &CustomerId, limit: usize) -> Result<Vec<RunReport>> {
        let step = || sql("read the history");
        let host = self.host();
        let mut query = host
            .prepare_cached(
                "SELECT report FROM runs JOIN endpoints USING (endpoint_no) JOIN customers USING (customer_no)
                 WHERE customers.id = ?1 AND report IS NOT NULL ORDER BY run_no DESC LIMIT ?2",
            )
            .map_err(step())?;
        let rows = query.query_map(params![customer.as_str(), limit], |row| row.get::<_, String>(0)).map_err(step())?;
        rows.map(|row| serde_json::from_str(&row.map_err(step())?).map_err(|_| damaged("a report"))).collect()
    }

    fn parked(&self, customer: &CustomerId) -> Result<Vec<Parked>> {
        let step = || sql("read what is parked");
        let host = self.host();
        let mut query = host
            .prepare_cached(
                "SELECT e.name, plan_id, parked_at, summary FROM parked JOIN endpoints e USING (endpoint_no)
                 JOIN customers c USING (customer_no) WHERE c.id = ?1 ORDER BY e.rank, parked_at",
            )
            .map_err(step())?;
        let mut rows = query.query([customer.as_str()]).map_err(step())?;
        let mut parked = Vec::new();
        while let Some(row) = rows.next().map_err(step())? {
            let text = |at: usize| row.get::<_, String>(at).map_err(step());
            parked.push(Parked {
                endpoint: EndpointName::new(text(0)?)?,
                plan: PlanId::parse(&text(1)?)?,
                parked_at: Timestamp(row.get(2).map_err(step())?),
                held: serde_json::from_str(&text(3)?).map_err(|_| damaged("held changes"))?,
            });
        }
        Ok(parked)
    }

    fn can_approve(&self, customer: &CustomerId, plan: &PlanId) -> Result<bool> {
        if self.parked(customer)?.iter().any(|parked| parked.plan == *plan) {
            return Ok(true);
        }
        let names: Vec<String> = {
            let host = self.host();
            let mut query = host
                .prepare_cached(
                    "SELECT e.name FROM endpoints e JOIN customers c USING (customer_no)
                     WHERE c.id = ?1 AND e.name NOT LIKE '.%'",
                )
                .map_err(sql("read the endpoints"))?;
            let rows = query.query_map([customer.as_str()], |row| row.get(0)).map_err(sql("read the endpoints"))?;
            rows.collect::<Result<_, _>>().map_err(sql("read the endpoints"))?
        };
        for name in names {
            if self.planned_path(customer, &EndpointName::new(name)?, plan).exists() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn consumers(&self, customer: &CustomerId) -> Result<Vec<ConsumerPosition>> {
        self.read_consumers(customer)
    }

    fn register_consumer(&self, customer: &CustomerId, consumer: &str) -> Result<()> {
        self.add_consumer(customer, consumer)
    }

    fn start_after(&self, customer: &CustomerId, consumer: &str, position: u64) -> Result<()> {
        self.move_consumer(customer, consumer, position)
    }

    fn forget_consumer(&self, customer: &CustomerId, consumer: &str) -> Result<()> {
        self.drop_consumer(customer, consumer)
    }

    fn apply_retention(&self, customer: &CustomerId, retention: &Retention, now: Timestamp) -> Result<Dropped> {
        self.drop_old(customer, retention, now)
    }

    fn remove_endpoint(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointName,
        hand_over: HandOver,
        now: Timestamp,
    ) -> Result<Released> {
        self.release(customer, endpoint, hand_over, now)
    }

    fn erase(&self, customer: &CustomerId, people: &[RecordId], now: Timestamp) -> Result<Erased> {
        self.erase_people(customer, people, now)
    }

    fn compact(&self) -> Result<()> {
        self.write_anew()
    }

    fn export(&self, customer: &CustomerId) -> Result<Box<dyn Exporting>> {
        Ok(Box::new(SqliteExport::begin(self, customer)?))
    }
}

impl SqliteStore {
    /// Where the held set of a dry run is remembered.
    pub(super) fn planned_path(&self, customer: &CustomerId, endpoint: &EndpointName, plan: &PlanId) -> PathBuf {
        self.work.join(format!("{customer}+{endpoint}.{plan}.planned"))
    }
}

fn record_no(connection: &Connection, id: RecordId) -> Result<Option<i64>> {
    connection
        .prepare_cached("SELECT record_no FROM record_ids WHERE id = ?1")
        .and_then(|mut query| query.query_row([id.0.as_bytes()], |row| row.get(0)).optional())
        .map_err(sql("read a record"))
}

pub(super) fn live_record_no(connection: &Connection, customer: &CustomerId, id: RecordId) -> Result<Option<i64>> {
    connection
        .prepare_cached(
            "SELECT r.record_no FROM record_ids i JOIN records r USING (record_no) JOIN customers c USING (customer_no)
             WHERE i.id = ?1 AND c.id = ?2 AND r.state = 0",
        )
        .and_then(|mut query| query.query_row(params![id.0.as_bytes(), customer.as_str()], |row| row.get(0)).optional())
        .map_err(sql("read a record"))
}

/// Returns the objects of a record: its founder, and those that joined.
pub(super) fn objects_of(connection: &Connection, record_no: i64) -> Result<Vec<i64>> {
    let step = || sql("read the objects of a record");
    let mut query = connection
        .prepare_cached(
            "SELECT object_no FROM objects WHERE object_no = ?1 AND record_no = ?1
             UNION ALL SELECT object_no FROM objects INDEXED BY objects_joined
             WHERE record_no = ?1 AND record_no <> object_no",
        )
        .map_err(step())?;
    let rows = query.query_map([record_no], |row| row.get(0)).map_err(step())?;
    rows.collect::<Result<_, _>>().map_err(step())
}

fn blob(connection: &Connection, statement: &'static str, key: i64) -> Result<Option<Vec<u8>>> {
    connection
        .prepare_cached(statement)
        .and_then(|mut query| query.query_row([key], |row| row.get(0)).optional())
        .map_err(sql("read memberships"))
}

fn live_records(connection: &Connection, object_numbers: &[u64]) -> Result<Vec<RecordId>> {
    let mut ids = Vec::new();
    for number in object_numbers {
        let id: Option<[u8; 16]> = connection
            .prepare_cached("SELECT id FROM objects JOIN records USING (record_no) WHERE object_no = ?1 AND state = 0")
            .and_then(|mut query| query.query_row([number], |row| row.get(0)).optional())
            .map_err(sql("read memberships"))?;
        ids.extend(id.map(|id| RecordId(uuid::Uuid::from_bytes(id))));
    }
    Ok(ids)
}

/// Puts together the groups that stand for endpoints themselves: derived, not stored.
pub(super) fn endpoint_groups(connection: &Connection, customer: &CustomerId) -> Result<Vec<Record>> {
    let step = || sql("read the endpoints");
    let mut query = connection
        .prepare_cached(
            "SELECT e.name, e.group_title FROM endpoints e JOIN customers c USING (customer_no)
             WHERE c.id = ?1 AND e.group_title IS NOT NULL ORDER BY e.rank",
        )
        .map_err(step())?;
    let mut rows = query.query([customer.as_str()]).map_err(step())?;
    let mut groups = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let name = EndpointName::new(row.get::<_, String>(0).map_err(step())?)?;
        let title: String = row.get(1).map_err(step())?;
        groups.push(Record::of_endpoint(RecordId::of_endpoint_group(customer, &name), name, &title));
    }
    Ok(groups)
}

/// Lists everyone who was imported through the endpoint that a group stands for.
fn endpoint_members(connection: &Connection, customer: &CustomerId, group: RecordId) -> Result<(Vec<RecordId>, u64)> {
    let step = || sql("read the members of an endpoint's group");
    let own = endpoint_groups(connection, customer)?.into_iter().find(|own| own.id == group);
    let Some(endpoint) = own.and_then(|own| own.lock).map(|lock| lock.endpoint) else { return Ok((Vec::new(), 0)) };
    let mut query = connection
        .prepare_cached(
            "SELECT r.id FROM endpoints e JOIN customers c USING (customer_no) JOIN probes p USING (endpoint_no)
             JOIN objects o USING (object_no) JOIN records r ON r.record_no = o.record_no
             WHERE c.id = ?1 AND e.name = ?2 AND p.facet = 0 AND p.standing IN (?3, ?4)",
        )
        .map_err(step())?;
    let present =
        [State::Live, State::Missing].map(|state| Standing { state, ..Standing::live(ObjectKind::User) }.to_number());
    let rows = query
        .query_map(params![customer.as_str(), endpoint.as_str(), present[0], present[1]], |row| {
            row.get::<_, [u8; 16]>(0)
        })
        .map_err(step())?;
    let mut ids =
        rows.map(|id| id.map(|id| RecordId(uuid::Uuid::from_bytes(id))).map_err(step())).collect::<Result<Vec<_>>>()?;
    ids.sort_unstable();
    ids.dedup();
    let count = ids.len() as u64;
    Ok((ids, count))
}
