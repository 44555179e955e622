//! The index of what objects may be joined by. Customers with one endpoint have none. It joins nothing.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;
use crate::model::{Anchor, Attributes, ObjectKind};
use crate::rules::evidence::Persona;
use crate::store::codec;
use crate::store::sqlite::outbox::Writer;
use crate::store::sqlite::{damaged, kind_from_number, sql};

/// Objects of one transaction: each takes a few keys, and each transaction passes all pages of the index.
pub(in super::super) const OBJECTS_A_CHUNK: usize = 32_768;
/// All objects of the endpoint are in the index.
const COMPLETE: i64 = -1;

/// Tells whether a customer has several endpoints.
pub(in super::super) fn is_several(connection: &Connection, customer_no: i64) -> Result<bool> {
    connection
        .prepare_cached("SELECT count(*) > 1 FROM endpoints WHERE customer_no = ?1 AND name NOT LIKE '.%'")
        .and_then(|mut query| query.query_row([customer_no], |row| row.get(0)))
        .map_err(sql("read the endpoints"))
}

/// Empties the index of a customer who is back to one endpoint: nobody keeps it any more.
pub(in super::super) fn forget_unless_several(connection: &Connection, customer_no: i64) -> Result<()> {
    let step = || sql("empty the index of joins");
    let kept: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM endpoints WHERE customer_no = ?1 AND keyed <> 0)")
        .and_then(|mut query| query.query_row([customer_no], |row| row.get(0)))
        .map_err(step())?;
    if !kept || is_several(connection, customer_no)? {
        return Ok(());
    }
    for statement in
        ["DELETE FROM join_keys WHERE customer_no = ?1", "UPDATE endpoints SET keyed = 0 WHERE customer_no = ?1"]
    {
        connection.execute(statement, [customer_no]).map_err(step())?;
    }
    Ok(())
}

/// Reads stored anchors.
pub(super) fn anchors(json: Option<&str>) -> Result<Vec<Anchor>> {
    json.map_or_else(|| Ok(Vec::new()), |json| serde_json::from_str(json).map_err(|_| damaged("anchors")))
}

/// Puts together what an object may be joined by, from what is stored of it.
pub(super) fn persona(kind: ObjectKind, attributes: &Attributes, stored: Option<&str>) -> Result<Persona> {
    Ok(Persona::of(kind, attributes, &anchors(stored)?))
}

/// Adds the objects of the customer's endpoints that are not in the index yet, a chunk of them. Returns whether all are.
pub(in super::super) fn backfill(connection: &Connection, customer_no: i64) -> Result<bool> {
    let step = || sql("build the index of joins");
    let next: Option<(i64, i64)> = connection
        .prepare_cached(
            "SELECT endpoint_no, keyed FROM endpoints WHERE customer_no = ?1 AND name NOT LIKE '.%' AND keyed <> ?2
             ORDER BY endpoint_no LIMIT 1",
        )
        .and_then(|mut query| {
            query.query_row(params![customer_no, COMPLETE], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(step())?;
    let Some((endpoint_no, after)) = next else { return Ok(true) };
    let (mut reached, mut all) = (COMPLETE, Vec::new());
    {
        let mut query = connection
            .prepare_cached(
                "SELECT object_no, body, anchors, r.kind FROM objects o JOIN records r ON r.record_no = o.record_no
                 WHERE object_no > ?1 AND endpoint_no = ?2 ORDER BY object_no LIMIT ?3",
            )
            .map_err(step())?;
        let mut rows = query.query(params![after, endpoint_no, OBJECTS_A_CHUNK]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            reached = row.get(0).map_err(step())?;
            let body = row.get_ref(1).map_err(step())?.as_blob().map_err(|_| damaged("an object"))?;
            let anchors = row.get_ref(2).map_err(step())?.as_str_or_null().map_err(|_| damaged("anchors"))?;
            let kind = kind_from_number(row.get(3).map_err(step())?)?;
            let persona = persona(kind, &codec::read_attributes(body)?, anchors)?;
            all.extend(persona.keys().into_iter().map(|key| (key, reached)));
        }
    }
    insert(connection, customer_no, all)?;
    connection
        .prepare_cached("UPDATE endpoints SET keyed = ?2 WHERE endpoint_no = ?1")
        .and_then(|mut update| update.execute(params![endpoint_no, reached]))
        .map_err(step())?;
    Ok(false)
}

fn insert(connection: &Connection, customer_no: i64, mut keys: Vec<(i64, i64)>) -> Result<()> {
    let step = || sql("write the index of joins");
    // In their order, so that pages are touched once.
    keys.sort_unstable();
    let mut insert = connection.prepare_cached("INSERT OR IGNORE INTO join_keys VALUES (?1, ?2, ?3)").map_err(step())?;
    for (key, object_no) in keys {
        insert.execute(params![customer_no, key, object_no]).map_err(step())?;
    }
    Ok(())
}

/// Takes keys out, and puts others in; each with its object.
pub(in super::super) fn put_keys(
    connection: &Connection,
    customer_no: i64,
    mut going: Vec<(i64, i64)>,
    coming: Vec<(i64, i64)>,
) -> Result<()> {
    going.sort_unstable();
    for (key, object_no) in going {
        connection
            .prepare_cached("DELETE FROM join_keys WHERE customer_no = ?1 AND key = ?2 AND object_no = ?3")
            .and_then(|mut delete| delete.execute(params![customer_no, key, object_no]))
            .map_err(sql("write the index of joins"))?;
    }
    insert(connection, customer_no, coming)
}

/// Puts together what a stored object may be joined by. `None` for a mere member.
pub(super) fn stored_persona(connection: &Connection, object_no: i64) -> Result<Option<Persona>> {
    type Row = (Vec<u8>, Option<String>, i64);
    let row: Option<Row> = connection
        .prepare_cached(
            "SELECT body, anchors, r.kind FROM objects o JOIN records r ON r.record_no = o.record_no
             WHERE object_no = ?1",
        )
        .and_then(|mut query| {
            query.query_row([object_no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        })
        .map_err(sql("read an object"))?;
    let Some((body, anchors, kind)) = row else { return Ok(None) };
    persona(kind_from_number(kind)?, &codec::read_attributes(&body)?, anchors.as_deref()).map(Some)
}

/// Returns the keys under which a stored object stands.
pub(in super::super) fn stored_keys(connection: &Connection, object_no: i64) -> Result<BTreeSet<i64>> {
    Ok(stored_persona(connection, object_no)?.map(|persona| persona.keys()).unwrap_or_default())
}

/// Forgets all that is known of an object's joins: it is about to be removed.
pub(in super::super) fn forget_object(connection: &Connection, events: &mut Writer<'_>, object_no: i64) -> Result<()> {
    let step = || sql("forget the joins of an object");
    let keyed: Option<i64> = connection
        .prepare_cached(
            "SELECT customer_no FROM objects JOIN endpoints USING (endpoint_no) WHERE object_no = ?1 AND keyed <> 0",
        )
        .and_then(|mut query| query.query_row([object_no], |row| row.get(0)).optional())
        .map_err(step())?;
    let Some(customer_no) = keyed else { return Ok(()) };
    let going = stored_keys(connection, object_no)?.into_iter().map(|key| (key, object_no));
    put_keys(connection, customer_no, going.collect(), Vec::new())?;
    for statement in [
        "DELETE FROM joins WHERE object_no = ?1",
        "DELETE FROM apart WHERE other_no = ?1
           AND object_no IN (SELECT other_no FROM apart WHERE object_no = ?1)",
        "DELETE FROM apart WHERE object_no = ?1",
    ] {
        connection.prepare_cached(statement).and_then(|mut delete| delete.execute([object_no])).map_err(step())?;
    }
    super::absorbed::settle_absorbed(connection, events, object_no)
}
