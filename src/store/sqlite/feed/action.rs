//! What was asked of accounts, and what became of it. It asks nobody.

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{ActionId, CustomerId, EndpointName, Timestamp};
use crate::store::sqlite::{SqliteStore, sql};
use crate::store::{AskedResult, AskedSeries, fault};

/// Notes what is asked for; returns what was noted of the same series before.
pub(super) fn begin(
    store: &SqliteStore,
    customer: &CustomerId,
    series: &AskedSeries,
    now: Timestamp,
) -> Result<Vec<AskedResult>> {
    let step = || sql("note what is asked");
    let customer_no = store.known_customer(customer)?;
    let request = series.request.0.as_bytes().as_slice();
    let mut host = store.host();
    let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
    let other: Option<String> = transaction
        .query_row(
            "SELECT action FROM actions WHERE customer_no = ?1 AND request = ?2 AND action <> ?3 LIMIT 1",
            params![customer_no, request, series.action.as_str()],
            |row| row.get(0),
        )
        .optional()
        .map_err(step())?;
    if let Some(other) = other {
        return Err(Error::new(ErrorKind::Conflict, "another action was asked for under this id; draw a new one")
            .with_context("asked before", other));
    }
    let position: u64 = transaction
        .query_row("SELECT sequence FROM customers WHERE customer_no = ?1", [customer_no], |row| row.get(0))
        .map_err(step())?;
    let mut known = Vec::new();
    for (record, endpoint) in &series.of {
        let record_id = record.0.as_bytes().as_slice();
        let before: Option<(Option<String>, Option<String>)> = transaction
            .prepare_cached(
                "SELECT result, reason FROM actions WHERE customer_no = ?1 AND request = ?2 AND record = ?3",
            )
            .and_then(|mut query| {
                query
                    .query_row(params![customer_no, request, record_id], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(step())?;
        if let Some((result, reason)) = before {
            known.extend(result.map(|result| AskedResult { record: *record, result, reason }));
            continue;
        }
        transaction
            .prepare_cached(
                "INSERT INTO actions (customer_no, position, request, record, action, by, endpoint, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )
            .and_then(|mut insert| {
                let endpoint = endpoint.as_ref().map(EndpointName::as_str);
                let (action, by) = (series.action.as_str(), &series.by);
                insert.execute(params![customer_no, position, request, record_id, action, by, endpoint, now.0])
            })
            .map_err(step())?;
    }
    fault::point();
    transaction.commit().map_err(step())?;
    fault::point();
    Ok(known)
}

/// Notes what became of what was asked.
pub(super) fn end(
    store: &SqliteStore,
    customer: &CustomerId,
    request: ActionId,
    results: &[AskedResult],
) -> Result<()> {
    let step = || sql("note what became of an action");
    let customer_no = store.known_customer(customer)?;
    let mut host = store.host();
    let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
    for AskedResult { record, result, reason } in results {
        let (request, record) = (request.0.as_bytes().as_slice(), record.0.as_bytes().as_slice());
        transaction
            .prepare_cached(
                "UPDATE actions SET result = ?4, reason = ?5 WHERE customer_no = ?1 AND request = ?2 AND record = ?3",
            )
            .and_then(|mut update| update.execute(params![customer_no, request, record, result, reason]))
            .map_err(step())?;
    }
    fault::point();
    transaction.commit().map_err(step())?;
    fault::point();
    Ok(())
}
