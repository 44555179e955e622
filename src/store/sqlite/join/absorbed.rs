//! What a record keeps of those that it absorbed: their rows, and the local values that show below its own.
//!
//! It moves no object; who absorbs whom is decided elsewhere.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::model::{Attributes, Value, names};
use crate::store::codec;
use crate::store::sqlite::apply::record_row;
use crate::store::sqlite::edit;
use crate::store::sqlite::outbox::Writer;
use crate::store::sqlite::{damaged, sql};

/// A record that absorbed another, in row form.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_field_names, reason = "each is the number of something")]
pub(super) struct Absorbed {
    pub(super) record_no: i64,
    pub(super) parent_no: i64,
    pub(super) object_no: i64,
}

/// Lists the records that a record absorbed.
pub(super) fn absorbed_into(connection: &Connection, record_no: i64) -> Result<Vec<Absorbed>> {
    connection
        .prepare_cached("SELECT record_no, parent_no, object_no FROM absorbed WHERE into_no = ?1 ORDER BY record_no")
        .and_then(|mut query| {
            query
                .query_map([record_no], |row| {
                    Ok(Absorbed { record_no: row.get(0)?, parent_no: row.get(1)?, object_no: row.get(2)? })
                })?
                .collect()
        })
        .map_err(sql("read a record"))
}

/// Makes records that would have left with an object part of the record that they were absorbed by, for good: the object is
/// about to be removed, and nothing could be taken apart any more.
pub(super) fn settle_absorbed(connection: &Connection, events: &mut Writer<'_>, object_no: i64) -> Result<()> {
    let step = || sql("store local values");
    let found: Vec<(i64, i64)> = connection
        .prepare_cached(
            "SELECT a.record_no, a.into_no FROM absorbed a JOIN objects o ON a.into_no = o.record_no
             WHERE o.object_no = ?1 AND a.object_no = ?1",
        )
        .and_then(|mut query| query.query_map([object_no], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(step())?;
    for (record_no, into_no) in found {
        let Some(kept) = record_row(connection, into_no)? else { continue };
        let Some(gone) = record_row(connection, record_no)? else { continue };
        edit::hand_on_memberships(connection, events, record_no, into_no)?;
        // Together they show what they showed before.
        edit::write_local(connection, into_no, &kept.local)?;
        for (statement, with) in [
            ("UPDATE absorbed SET parent_no = ?1 WHERE parent_no = ?2", params![into_no, record_no]),
            ("INSERT OR IGNORE INTO adopted_ids VALUES (?1, ?2)", params![into_no, gone.id.0.as_bytes()]),
            ("INSERT OR REPLACE INTO record_ids VALUES (?2, ?1)", params![into_no, gone.id.0.as_bytes()]),
            ("DELETE FROM tags WHERE record_no = ?1", params![record_no]),
            ("DELETE FROM conflicts WHERE record_no = ?1 OR other_no = ?1", params![record_no]),
            ("DELETE FROM absorbed WHERE record_no = ?1", params![record_no]),
            ("DELETE FROM records WHERE record_no = ?1", params![record_no]),
        ] {
            connection.prepare_cached(statement).and_then(|mut write| write.execute(with)).map_err(step())?;
        }
    }
    Ok(())
}

/// Puts the local values of a record over those of the records that it absorbed.
pub(in super::super) fn local_with_absorbed(
    connection: &Connection,
    record_no: i64,
    own: &Attributes,
) -> Result<Attributes> {
    let mut shown = Attributes::new();
    let mut tags = BTreeSet::new();
    let mut add = |values: &Attributes, shown: &mut Attributes| {
        if let Some(Value::List(own)) = values.get(&names::TAGS) {
            tags.extend(own.iter().cloned());
        }
        shown.merge(values);
    };
    for (_, values) in absorbed_locals(connection, record_no)?.into_iter().rev() {
        add(&values, &mut shown);
    }
    add(own, &mut shown);
    if !tags.is_empty() {
        shown.set(names::TAGS, Value::list(tags));
    }
    Ok(shown)
}

/// Reads the local values of the records that a record absorbed.
pub(in super::super) fn absorbed_locals(connection: &Connection, record_no: i64) -> Result<Vec<(i64, Attributes)>> {
    let step = || sql("read a record");
    let mut query = connection
        .prepare_cached(
            "SELECT r.record_no, r.local FROM absorbed a JOIN records r USING (record_no)
             WHERE a.into_no = ?1 AND r.local IS NOT NULL ORDER BY r.record_no",
        )
        .map_err(step())?;
    let mut rows = query.query([record_no]).map_err(step())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let bytes = row.get_ref(1).map_err(step())?.as_blob().map_err(|_| damaged("local values"))?;
        found.push((row.get(0).map_err(step())?, codec::read_attributes(bytes)?));
    }
    Ok(found)
}
