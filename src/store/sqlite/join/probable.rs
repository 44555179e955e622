//! Users who may be one person and are two records: looked for in the index of joins. It joins nothing.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::evidence::{Evidence, Ground};
use crate::error::Result;
use crate::model::{ConflictReason, ProbableJoin, RecordId};
use crate::store::sqlite::sql;

/// Lists pairs of users with something in common, at most so many.
pub(in super::super) fn probable(connection: &Connection, customer_no: i64, limit: usize) -> Result<Vec<ProbableJoin>> {
    let step = || sql("look for probable joins");
    let ground = Ground::read(connection, customer_no)?;
    let mut found: BTreeSet<(i64, i64)> = BTreeSet::new();
    let mut pairs = Vec::new();
    let mut query = connection
        .prepare(
            "SELECT a.object_no FROM join_keys a WHERE a.customer_no = ?1
               AND EXISTS (SELECT 1 FROM join_keys b WHERE b.customer_no = a.customer_no AND b.key = a.key
                           AND b.object_no <> a.object_no
                           AND (SELECT record_no FROM objects WHERE object_no = a.object_no)
                               <> (SELECT record_no FROM objects WHERE object_no = b.object_no))",
        )
        .map_err(step())?;
    let mut rows = query.query([customer_no]).map_err(step())?;
    while pairs.len() < limit
        && let Some(row) = rows.next().map_err(step())?
    {
        let object_no: i64 = row.get(0).map_err(step())?;
        let links = Evidence::new(connection, None, &ground, None).links(object_no)?;
        let joins = links.joins.iter().map(|(_, other)| (ConflictReason::JoinedOtherwise, *other));
        let objections = links.conflicts.iter().flat_map(|(reason, all)| all.iter().map(|other| (*reason, *other)));
        for (reason, other) in joins.chain(objections) {
            let (Some(own), Some(others)) = (user_of(connection, object_no)?, user_of(connection, other)?) else {
                continue;
            };
            let (one, two) = if own < others { (own, others) } else { (others, own) };
            if one.0 != two.0 && found.insert((one.0, two.0)) && pairs.len() < limit {
                pairs.push(ProbableJoin { records: (one.1, two.1), reason });
            }
        }
    }
    Ok(pairs)
}

/// Returns the user that an object is seen as.
fn user_of(connection: &Connection, object_no: i64) -> Result<Option<(i64, RecordId)>> {
    let row: Option<(i64, [u8; 16])> = connection
        .prepare_cached(
            "SELECT r.record_no, r.id FROM objects o JOIN records r ON r.record_no = o.record_no
             WHERE o.object_no = ?1 AND r.kind = 0 AND r.state = 0",
        )
        .and_then(|mut query| query.query_row(params![object_no], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(sql("read a record"))?;
    Ok(row.map(|(no, id)| (no, RecordId(uuid::Uuid::from_bytes(id)))))
}
