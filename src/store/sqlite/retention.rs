//! Lets go of old events and reports, and knows who reads them. It does not know what they say.

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::outbox::customer_no;
use super::{BREATH, SqliteStore, apply, damaged, pause, sql};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ConsumerPosition, CustomerId, Dropped, Retention, Timestamp};
use crate::store::fault;

/// Segments or reports of one transaction.
const ROWS_A_CHUNK: usize = 64;

impl SqliteStore {
    /// Lets go of what a customer need not keep any longer.
    pub(super) fn drop_old(&self, customer: &CustomerId, retention: &Retention, now: Timestamp) -> Result<Dropped> {
        let customer_no = self.known_customer(customer)?;
        let _turn = self.take_turn(customer)?;
        let mut dropped = Dropped::default();
        if retention.keeps_everything() {
            return Ok(dropped);
        }
        loop {
            let events = self.drop_events(customer_no, retention, now)?;
            dropped.events += events;
            if events == 0 {
                break;
            }
            pause(BREATH);
        }
        loop {
            let runs = self.drop_runs(customer_no, retention, now)?;
            dropped.runs += runs;
            if runs == 0 {
                break;
            }
            pause(BREATH);
        }
        let after = self.dropped_to(customer_no)?;
        let consumers = self.read_consumers(customer)?;
        let cut_off = consumers.into_iter().filter(|consumer| consumer.position < after);
        dropped.cut_off = cut_off.map(|consumer| consumer.name).collect();
        Ok(dropped)
    }

    /// Returns the position of the last event that is no longer kept.
    fn dropped_to(&self, customer_no: i64) -> Result<u64> {
        self.host()
            .query_row("SELECT dropped FROM customers WHERE customer_no = ?1", [customer_no], |row| row.get(0))
            .map_err(sql("read the position of the outbox"))
    }

    /// Drops the oldest segments that may go; returns how many events they held.
    fn drop_events(&self, customer_no: i64, retention: &Retention, now: Timestamp) -> Result<u64> {
        let step = || sql("let go of old events");
        let mut host = self.host();
        let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
        let (last, dropped): (u64, u64) = transaction
            .query_row("SELECT sequence, dropped FROM customers WHERE customer_no = ?1", [customer_no], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .map_err(step())?;
        // A consumer that is cut off already asks for nothing: it has to start anew.
        let read: Option<u64> = transaction
            .query_row(
                "SELECT min(position) FROM consumers WHERE customer_no = ?1 AND position >= ?2",
                params![customer_no, dropped],
                |row| row.get(0),
            )
            .map_err(step())?;
        let (mut upto, mut events) = (None, 0);
        {
            let mut query = transaction
                .prepare_cached(
                    "SELECT last_sequence, first_sequence, time FROM outbox WHERE customer_no = ?1
                     ORDER BY last_sequence LIMIT ?2",
                )
                .map_err(step())?;
            let mut rows = query.query(params![customer_no, ROWS_A_CHUNK]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let (end, first): (u64, u64) = (row.get(0).map_err(step())?, row.get(1).map_err(step())?);
                let time = Timestamp(row.get(2).map_err(step())?);
                let newer = last.checked_sub(end).ok_or_else(|| damaged("a segment of events"))?;
                let unread = read.is_some_and(|read| read < end);
                if !retention.unread_events.lets_go(newer, time, now)
                    && (unread || !retention.events.lets_go(newer, time, now))
                {
                    break;
                }
                events += (end + 1).checked_sub(first).ok_or_else(|| damaged("a segment of events"))?;
                upto = Some(end);
            }
        }
        let Some(upto) = upto else { return Ok(0) };
        transaction
            .execute("DELETE FROM outbox WHERE customer_no = ?1 AND last_sequence <= ?2", params![customer_no, upto])
            .map_err(step())?;
        // Actions stand between events, and go with them.
        transaction
            .execute("DELETE FROM actions WHERE customer_no = ?1 AND position < ?2", params![customer_no, upto])
            .map_err(step())?;
        transaction
            .execute("UPDATE customers SET dropped = ?2 WHERE customer_no = ?1", params![customer_no, upto])
            .map_err(step())?;
        fault::point();
        transaction.commit().map_err(step())?;
        fault::point();
        Ok(events)
    }

    /// Drops the oldest reports that may go.
    fn drop_runs(&self, customer_no: i64, retention: &Retention, now: Timestamp) -> Result<u64> {
        let step = || sql("let go of old reports");
        let mut host = self.host();
        let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
        let runs: Vec<(i64, i64, bool)> = {
            // The newest of each endpoint tells what a stage was left by; one that is half applied is to be mended.
            let mut query = transaction
                .prepare_cached(
                    "SELECT r.run_no, coalesce(r.finished_at, r.started_at),
                            r.finished_at IS NULL OR ((r.phase > 0 OR r.position > 0) AND r.phase < ?2)
                            OR r.run_no = (SELECT max(run_no) FROM runs WHERE endpoint_no = r.endpoint_no)
                     FROM runs r JOIN endpoints e USING (endpoint_no) WHERE e.customer_no = ?1 ORDER BY r.run_no",
                )
                .map_err(step())?;
            let rows = query
                .query_map(params![customer_no, apply::FINISHING], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .map_err(step())?;
            rows.collect::<Result<_, _>>().map_err(step())?
        };
        let goes: Vec<i64> = runs
            .iter()
            .enumerate()
            .filter(|(at, (_, ended, needed))| {
                let newer = (runs.len() - at - 1) as u64;
                !needed && retention.history.lets_go(newer, Timestamp(*ended), now)
            })
            .map(|(_, (run_no, ..))| *run_no)
            .take(ROWS_A_CHUNK)
            .collect();
        for run_no in &goes {
            transaction
                .prepare_cached("DELETE FROM runs WHERE run_no = ?1")
                .and_then(|mut delete| delete.execute([run_no]))
                .map_err(step())?;
        }
        if !goes.is_empty() {
            fault::point();
            transaction.commit().map_err(step())?;
            fault::point();
        }
        Ok(goes.len() as u64)
    }

    /// Lists the consumers of a customer and where they stand.
    pub(super) fn read_consumers(&self, customer: &CustomerId) -> Result<Vec<ConsumerPosition>> {
        let step = || sql("read the consumers");
        let host = self.host();
        let mut query = host
            .prepare_cached(
                "SELECT consumers.name, position FROM consumers JOIN customers USING (customer_no)
                 WHERE id = ?1 ORDER BY consumers.name",
            )
            .map_err(step())?;
        let rows = query
            .query_map([customer.as_str()], |row| Ok(ConsumerPosition { name: row.get(0)?, position: row.get(1)? }))
            .map_err(step())?;
        rows.collect::<Result<_, _>>().map_err(step())
    }

    /// Makes a consumer known, so that what it has not read is kept. One that is known stays where it is.
    pub(super) fn add_consumer(&self, customer: &CustomerId, name: &str) -> Result<()> {
        let step = || sql("register a consumer");
        let host = self.host();
        let Some(customer_no) = customer_no(&host, customer)? else { return Ok(()) };
        let known = host
            .prepare_cached("SELECT 1 FROM consumers WHERE customer_no = ?1 AND name = ?2")
            .and_then(|mut query| query.query_row(params![customer_no, name], |_| Ok(())).optional())
            .map_err(step())?;
        if known.is_none() {
            host.execute("INSERT OR IGNORE INTO consumers VALUES (?1, ?2, 0)", params![customer_no, name])
                .map_err(step())?;
        }
        Ok(())
    }

    /// Sets a consumer to a position, ahead or back.
    pub(super) fn move_consumer(&self, customer: &CustomerId, name: &str, position: u64) -> Result<()> {
        let step = || sql("store a consumer's position");
        let customer_no = self.known_customer(customer)?;
        let mut host = self.host();
        let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
        let (last, dropped): (u64, u64) = transaction
            .query_row("SELECT sequence, dropped FROM customers WHERE customer_no = ?1", [customer_no], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .map_err(step())?;
        if position > last {
            return Err(Error::config("a consumer cannot start behind the customer's last event")
                .with_context("position", position)
                .with_context("last event", last));
        }
        if position < dropped {
            return Err(no_longer_kept(position, dropped));
        }
        transaction
            .execute("INSERT OR REPLACE INTO consumers VALUES (?1, ?2, ?3)", params![customer_no, name, position])
            .map_err(step())?;
        transaction.commit().map_err(step())
    }

    /// Forgets a consumer: nothing is kept for it any more.
    pub(super) fn drop_consumer(&self, customer: &CustomerId, name: &str) -> Result<()> {
        self.host()
            .execute(
                "DELETE FROM consumers WHERE name = ?2
                 AND customer_no = (SELECT customer_no FROM customers WHERE id = ?1)",
                params![customer.as_str(), name],
            )
            .map(drop)
            .map_err(sql("forget a consumer"))
    }
}

/// Tells a reader that what it asks for is gone, and what to do.
pub(super) fn no_longer_kept(position: u64, dropped: u64) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "events behind this position are no longer kept; start anew from an export and read on behind its position",
    )
    .with_context("position", position)
    .with_context("first kept", dropped + 1)
}
