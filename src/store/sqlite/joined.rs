//! Records that several objects are seen as: counted once. It joins nothing.

use rusqlite::Connection;

use super::apply::images;
use super::{kind_from_number, sql};
use crate::error::Result;
use crate::model::ObjectKind;

/// Counts, by kind, the objects that are there beyond the first of their record.
pub(super) fn surplus(connection: &Connection, customer_no: i64) -> Result<Vec<(ObjectKind, u64)>> {
    let step = || sql("count records");
    let mut query = connection
        .prepare_cached(
            "SELECT j.record_no, r.kind FROM objects j INDEXED BY objects_joined JOIN records r USING (record_no)
             WHERE j.record_no <> j.object_no AND r.customer_no = ?1 AND r.state = 0
             GROUP BY j.record_no
             HAVING count(*) > 1 OR EXISTS (SELECT 1 FROM objects f
                                            WHERE f.object_no = j.record_no AND f.record_no = j.record_no)",
        )
        .map_err(step())?;
    let mut rows = query.query([customer_no]).map_err(step())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let there = images(connection, row.get(0).map_err(step())?)?.len() as u64;
        found.push((kind_from_number(row.get(1).map_err(step())?)?, there.saturating_sub(1)));
    }
    Ok(found)
}
