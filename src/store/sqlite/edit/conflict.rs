//! Reads which records contradict each other.

use rusqlite::Connection;

use crate::error::Result;
use crate::model::{Conflict, ConflictReason, RecordId, Timestamp};
use crate::store::sqlite::{damaged, sql};

/// Lists conflicts of which both sides are there, oldest first.
pub(super) fn read(connection: &Connection, customer_no: i64) -> Result<Vec<Conflict>> {
    let step = || sql("read conflicts");
    let mut query = connection
        .prepare_cached(
            "SELECT r.id, o.id, reason, found_at FROM conflicts c
             JOIN records r ON r.record_no = c.record_no JOIN records o ON o.record_no = c.other_no
             WHERE c.customer_no = ?1 AND r.state = 0 AND o.state = 0 ORDER BY found_at, c.record_no, c.other_no",
        )
        .map_err(step())?;
    let mut rows = query.query([customer_no]).map_err(step())?;
    let mut found: Vec<Conflict> = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let id = |at: usize| row.get(at).map(|id| RecordId(uuid::Uuid::from_bytes(id))).map_err(step());
        let (record, other) = (id(0)?, id(1)?);
        let reason = ConflictReason::ALL.get(row.get::<_, usize>(2).map_err(step())?).copied();
        let reason = reason.ok_or_else(|| damaged("a conflict"))?;
        let found_at = Timestamp(row.get(3).map_err(step())?);
        match found.last_mut().filter(|last| last.record == record && last.reason == reason) {
            Some(last) => last.others.push(other),
            None => found.push(Conflict { record, others: vec![other], reason, found_at }),
        }
    }
    Ok(found)
}
