//! Who was added by hand and is known by address and names, for imports that bring the same people.
//!
//! It does not judge who is the same person; `rules::join` does.

use rusqlite::{Connection, params};
use serde::Serialize;

use crate::error::Result;
use crate::model::{Attributes, ConflictReason, EventType, RecordId, RunId, Timestamp};
use crate::rules::join::{Finding, NaturalKey, addresses, judge, natural_key};
use crate::store::sqlite::outbox::Writer;
use crate::store::sqlite::sql;

/// Tells whether a customer has nobody whom an import could adopt.
pub(in super::super) fn owns_nobody(connection: &Connection, customer_no: i64) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM natural_keys INDEXED BY natural_keys_by_address WHERE customer_no = ?1)",
        )
        .and_then(|mut query| query.query_row([customer_no], |row| row.get(0)))
        .map_err(sql("look for people added by hand"))
}

/// Stores what a user that nobody owns is recognised by.
pub(in super::super) fn remember_key(
    connection: &Connection,
    customer_no: i64,
    record_no: i64,
    attributes: &Attributes,
) -> Result<()> {
    let Some(key) = natural_key(attributes) else { return forget_key(connection, record_no) };
    connection
        .prepare_cached(
            "INSERT INTO natural_keys VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET address = excluded.address, names = excluded.names
             WHERE (address, names) IS NOT (excluded.address, excluded.names)",
        )
        .and_then(|mut insert| insert.execute(params![record_no, customer_no, key.address, key.names]))
        .map(drop)
        .map_err(sql("store what a user is recognised by"))
}

/// Forgets what a user was recognised by: it is locked now, or gone.
pub(in super::super) fn forget_key(connection: &Connection, record_no: i64) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM natural_keys WHERE record_no = ?1")
        .and_then(|mut delete| delete.execute([record_no]))
        .map(drop)
        .map_err(sql("store what a user is recognised by"))
}

/// Lists the users with an address that nobody owns.
pub(super) fn keyed(connection: &Connection, customer_no: i64, address: &str) -> Result<Vec<(i64, NaturalKey)>> {
    let step = || sql("look for people added by hand");
    let mut query = connection
        .prepare_cached("SELECT record_no, names FROM natural_keys WHERE customer_no = ?1 AND address = ?2 ORDER BY 1")
        .map_err(step())?;
    let rows = query
        .query_map(params![customer_no, address], |row| {
            Ok((row.get(0)?, NaturalKey { address: address.to_owned(), names: row.get(1)? }))
        })
        .map_err(step())?;
    rows.collect::<Result<_, _>>().map_err(step())
}

/// A person, by the number of the record.
pub(in super::super) type Person = i64;

/// Looks for somebody who was added by hand and may be whom an endpoint brings.
pub(in super::super) fn look_for(
    connection: &Connection,
    customer_no: i64,
    attributes: &Attributes,
) -> Result<Finding<Person>> {
    let mut candidates = Vec::new();
    for address in addresses(attributes) {
        candidates.append(&mut keyed(connection, customer_no, &address)?);
    }
    Ok(if candidates.is_empty() { Finding::Nobody } else { judge(attributes, &candidates) })
}

/// Notes that an endpoint owns a record from now on: it is no longer among those that nobody owns.
pub(in super::super) fn take_over(connection: &Connection, record_no: i64) -> Result<()> {
    forget_key(connection, record_no)?;
    connection
        .prepare_cached("DELETE FROM local_records WHERE record_no = ?1")
        .and_then(|mut delete| delete.execute([record_no]))
        .map(drop)
        .map_err(sql("adopt a record"))
}

/// Notes that a record is seen by an object that would have founded another one.
pub(in super::super) fn adopt(connection: &Connection, record_no: i64, founded: RecordId) -> Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO adopted_ids VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![record_no, founded.0.as_bytes()]))
        .map(drop)
        .map_err(sql("adopt a record"))
}

#[derive(Serialize)]
struct ConflictData<'a> {
    record: RecordId,
    others: &'a [RecordId],
    reason: ConflictReason,
    run: RunId,
}

/// Stores and tells that a new record contradicts others. Only ids are told: addresses stay in the records.
pub(in super::super) fn note_conflict(
    connection: &Connection,
    events: &mut Writer<'_>,
    (customer_no, record_no): (i64, i64),
    record: RecordId,
    (others, reason): (&[Person], ConflictReason),
    (run, now): (RunId, Timestamp),
) -> Result<()> {
    let number = ConflictReason::ALL.iter().position(|known| *known == reason).unwrap_or_default();
    let mut ids = Vec::new();
    for other in others {
        // Told once, from whichever side.
        let new = connection
            .prepare_cached(
                "INSERT INTO conflicts SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS
                 (SELECT 1 FROM conflicts WHERE customer_no = ?1 AND record_no = ?3 AND other_no = ?2 AND reason = ?4)
                 ON CONFLICT DO UPDATE SET reason = excluded.reason, found_at = excluded.found_at
                 WHERE reason <> excluded.reason",
            )
            .and_then(|mut insert| insert.execute(params![customer_no, record_no, other, number, now.0]))
            .map_err(sql("store a conflict"))?;
        if new == 0 {
            continue;
        }
        ids.extend(crate::store::sqlite::member::record_id(connection, *other)?);
    }
    if ids.is_empty() {
        return Ok(());
    }
    ids.sort_unstable();
    let data = ConflictData { record, others: &ids, reason, run };
    events.add(EventType::ConflictFound, &record.to_string(), &data)
}
