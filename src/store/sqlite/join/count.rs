//! Counts records where one may be seen as several objects. It joins nothing.

use rusqlite::Connection;

use crate::error::Result;
use crate::store::sqlite::{damaged, sql};

/// Tells whether a customer has records that are not, one by one, what its endpoints count.
pub(in super::super) fn has_joins(connection: &Connection, customer_no: i64) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM endpoints JOIN objects INDEXED BY joined_by_object USING (endpoint_no)
                            WHERE customer_no = ?1 AND record_no <> object_no)",
        )
        .and_then(|mut query| query.query_row([customer_no], |row| row.get(0)))
        .map_err(sql("count records"))
}

/// Counts the users, groups and computers that are there.
pub(in super::super) fn live(connection: &Connection, customer_no: i64) -> Result<[u64; 3]> {
    let step = || sql("count records");
    let mut query = connection
        .prepare_cached("SELECT kind, count(*) FROM records WHERE customer_no = ?1 AND state = 0 GROUP BY kind")
        .map_err(step())?;
    let mut rows = query.query([customer_no]).map_err(step())?;
    let mut live = [0; 3];
    while let Some(row) = rows.next().map_err(step())? {
        let kind: usize = row.get(0).map_err(step())?;
        *live.get_mut(kind).ok_or_else(|| damaged("a kind"))? = row.get(1).map_err(step())?;
    }
    Ok(live)
}
