//! Another order of a customer's endpoints: each record whose endpoints it changes is put together anew, and told.
//!
//! It goes through the records in their numbers, so many to a transaction; up to where it is, they follow the new order,
//! behind that the old one. So whatever is read, imported or edited meanwhile is as it was told, and who goes on after a
//! kill goes on from there. It does not know whose value counts.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::apply::{load_record, upserted};
use super::edit::NO_RUN;
use super::join::has_joins;
use super::outbox::Writer;
use super::{BREATH, SqliteStore, damaged, pause, sql};
use crate::error::Result;
use crate::model::{EndpointName, Timestamp};
use crate::store::fault;

/// Records of one transaction.
const RECORDS_A_CHUNK: usize = 200;

/// An endpoint and its place, while the order changes also the one that it will have.
struct Placed {
    no: i64,
    name: String,
    rank: i64,
    next: Option<i64>,
}

/// What came of the wish for another order.
enum Begun {
    /// It is under way.
    Own,
    /// It is there already.
    Nothing,
    /// Another one is under way.
    Another,
}

fn placed(connection: &Connection, customer_no: i64) -> Result<Vec<Placed>> {
    let step = || sql("read the order of endpoints");
    let mut query = connection
        .prepare_cached(
            "SELECT endpoint_no, name, rank, next_rank FROM endpoints WHERE customer_no = ?1 ORDER BY rank, endpoint_no",
        )
        .map_err(step())?;
    let rows = query
        .query_map([customer_no], |row| {
            Ok(Placed { no: row.get(0)?, name: row.get(1)?, rank: row.get(2)?, next: row.get(3)? })
        })
        .map_err(step())?;
    rows.collect::<Result<_, _>>().map_err(step())
}

/// Puts endpoints into an order that names some of them: those come into the places that they have together, and who is
/// not named stays where it is.
fn rearranged(all: &[Placed], wanted: &[&EndpointName]) -> Vec<i64> {
    let no_of = |name: &EndpointName| all.iter().find(|one| one.name == name.as_str()).map(|one| one.no);
    let mut named = wanted.iter().filter_map(|name| no_of(name));
    let is_named = |one: &Placed| wanted.iter().any(|name| name.as_str() == one.name);
    all.iter().filter_map(|one| if is_named(one) { named.next() } else { Some(one.no) }).collect()
}

/// Tells whether there is another order to be had, or one half done.
pub(super) fn is_wanted(transaction: &Transaction<'_>, customer_no: i64, wanted: &[&EndpointName]) -> Result<bool> {
    let all = placed(transaction, customer_no)?;
    let order = rearranged(&all, wanted);
    // Two of one place have none that could be relied on.
    let is_so = all.iter().map(|one| one.no).eq(order) && all.is_sorted_by(|a, b| a.rank < b.rank);
    Ok(!is_so || all.iter().any(|one| one.next.is_some()))
}

impl SqliteStore {
    /// Brings a customer's endpoints into an order, and tells of every record that looks different then. One that was
    /// begun is brought to its end before.
    pub(super) fn reorder(&self, customer_no: i64, wanted: &[&EndpointName], now: Timestamp) -> Result<()> {
        loop {
            self.finish_reorder(customer_no, now)?;
            match self.begin_reorder(customer_no, wanted)? {
                Begun::Own => return self.finish_reorder(customer_no, now),
                Begun::Nothing => return Ok(()),
                Begun::Another => {}
            }
        }
    }

    fn finish_reorder(&self, customer_no: i64, now: Timestamp) -> Result<()> {
        while !self.reorder_some(customer_no, now)? {
            pause(BREATH);
        }
        Ok(())
    }

    fn begin_reorder(&self, customer_no: i64, wanted: &[&EndpointName]) -> Result<Begun> {
        let step = || sql("change the order of endpoints");
        let mut host = self.host();
        let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
        if !is_wanted(&transaction, customer_no, wanted)? {
            return Ok(Begun::Nothing);
        }
        let all = placed(&transaction, customer_no)?;
        if all.iter().any(|one| one.next.is_some()) {
            // Another process, since we looked.
            return Ok(Begun::Another);
        }
        let shows = has_joins(&transaction, customer_no)?;
        let statement = if shows {
            "UPDATE endpoints SET next_rank = ?2 WHERE endpoint_no = ?1"
        } else {
            "UPDATE endpoints SET rank = ?2 WHERE endpoint_no = ?1"
        };
        for (rank, no) in (0_i64..).zip(rearranged(&all, wanted)) {
            transaction.execute(statement, [no, rank]).map_err(step())?;
        }
        if shows {
            transaction.execute("INSERT OR REPLACE INTO reorders VALUES (?1, 0)", [customer_no]).map_err(step())?;
        }
        fault::point();
        transaction.commit().map_err(step())?;
        fault::point();
        Ok(Begun::Own)
    }

    /// Lets the next records follow the new order. Returns whether all do.
    fn reorder_some(&self, customer_no: i64, now: Timestamp) -> Result<bool> {
        let step = || sql("change the order of endpoints");
        let mut host = self.host();
        let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
        let upto: Option<i64> = transaction
            .query_row("SELECT upto FROM reorders WHERE customer_no = ?1", [customer_no], |row| row.get(0))
            .optional()
            .map_err(step())?;
        let Some(upto) = upto else { return Ok(true) };
        let records: Vec<i64> = {
            // Who has one object alone looks the same in every order.
            let mut query = transaction
                .prepare_cached(
                    "SELECT DISTINCT o.record_no FROM objects o INDEXED BY objects_joined
                     JOIN records r ON r.record_no = o.record_no
                     WHERE o.record_no > ?2 AND o.record_no <> o.object_no AND r.customer_no = ?1 AND r.state = 0
                     ORDER BY o.record_no LIMIT ?3",
                )
                .map_err(step())?;
            let rows = query.query_map(params![customer_no, upto, RECORDS_A_CHUNK], |row| row.get(0)).map_err(step())?;
            rows.collect::<Result<_, _>>().map_err(step())?
        };
        let Some(last) = records.last() else {
            for (statement, with) in [
                ("UPDATE endpoints SET rank = next_rank WHERE customer_no = ?1 AND next_rank NOT NULL", customer_no),
                ("UPDATE endpoints SET next_rank = NULL WHERE customer_no = ?1", customer_no),
                ("DELETE FROM reorders WHERE customer_no = ?1", customer_no),
            ] {
                transaction.execute(statement, [with]).map_err(step())?;
            }
            fault::point();
            transaction.commit().map_err(step())?;
            fault::point();
            return Ok(true);
        };
        let read = |record_no: &i64| load_record(&transaction, *record_no)?.ok_or_else(|| damaged("a record"));
        let before = records.iter().map(read).collect::<Result<Vec<_>>>()?;
        transaction
            .execute("UPDATE reorders SET upto = ?2 WHERE customer_no = ?1", [customer_no, *last])
            .map_err(step())?;
        let mut events = Writer::begin(&transaction, customer_no, None, NO_RUN, now)?;
        for (record_no, before) in records.iter().zip(&before) {
            upserted(&mut events, Some(before), &read(record_no)?, NO_RUN)?;
        }
        events.finish()?;
        fault::point();
        transaction.commit().map_err(step())?;
        fault::point();
        Ok(false)
    }
}
