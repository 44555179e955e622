//! Answers queries from an index beside the state file. The index is a projection: it can be thrown away at any time.
//!
//! No import writes it. Before a query it is brought up to the state file's last event, and the answer is read from
//! both as they were at that event. It decides nothing about records.

mod cursor;
mod details;
mod entry;
mod file;
mod fold;
mod follow;
mod forget;
mod keys;
mod page;
mod pile;
mod posting;
mod select;
mod standing;
#[cfg(test)]
mod tests;
mod touched;

use std::cell::Cell;
use std::collections::BTreeSet;

use rusqlite::Connection;

use file::Pair;
pub(super) use file::Projection;
use standing::{Need, Place, Standing};

use super::{SqliteStore, damaged, locks, sql};
use crate::error::{Error, Result};
use crate::model::{
    AttributeName, Count, CustomerId, Details, Explained, Page, PageCursor, Positions, Query, RecordId,
};
use crate::store::{Customer, Queries};

/// Records that are taken into the index before others get their turn.
const BUDGET: usize = 65_536;

/// State file and index at one moment, and what was read of them.
struct View<'a> {
    state: &'a Connection,
    index: &'a Connection,
    standings: &'a [Standing],
    rows: Cell<u64>,
}

impl View<'_> {
    fn count_row(&self) {
        self.rows.set(self.rows.get() + 1);
    }

    fn rows(&self) -> u64 {
        self.rows.get()
    }

    fn positions(&self) -> Positions {
        self.standings.iter().map(|standing| (standing.customer.clone(), standing.last)).collect()
    }
}

impl Queries for SqliteStore {
    fn customers(&self) -> Result<Vec<Customer>> {
        let step = || sql("read the customers");
        let host = self.host();
        let mut query =
            host.prepare_cached("SELECT id, name, domains FROM customers ORDER BY customer_no").map_err(step())?;
        let mut rows = query.query([]).map_err(step())?;
        let mut customers = Vec::new();
        while let Some(row) = rows.next().map_err(step())? {
            let text = |at: usize| row.get::<_, String>(at).map_err(step());
            let domains = serde_json::from_str(&text(2)?).map_err(|_| damaged("the domains of a customer"))?;
            customers.push(Customer { id: CustomerId::new(text(0)?)?, name: text(1)?, domains });
        }
        Ok(customers)
    }

    fn find(&self, query: &Query, after: Option<&PageCursor>, limit: usize) -> Result<Page> {
        self.view(&query.customers, |view| page::find(view, query, after, limit))
    }

    fn count(&self, query: &Query) -> Result<Count> {
        self.view(&query.customers, |view| page::count(view, query))
    }

    fn details(&self, customer: &CustomerId, id: RecordId) -> Result<Option<Details>> {
        self.view(&BTreeSet::from([customer.clone()]), |view| details::details(view, id))
    }

    fn explain(&self, customer: &CustomerId, id: RecordId, attribute: &AttributeName) -> Result<Option<Explained>> {
        self.view(&BTreeSet::from([customer.clone()]), |view| details::explain(view, id, attribute))
    }

    fn catch_up(&self, customers: &BTreeSet<CustomerId>) -> Result<()> {
        self.view(customers, |_| Ok(()))?;
        customers.iter().try_for_each(|customer| self.note_touched(customer))
    }
}

/// Events that an index may be behind, for whoever can do without it.
const NEAR: u64 = 200_000;

/// Finds the records that may have some addresses, by number. `None` where the index is too far behind to wait for it.
pub(super) fn holders(
    store: &SqliteStore,
    customer: &CustomerId,
    addresses: &BTreeSet<String>,
) -> Result<Option<BTreeSet<i64>>> {
    let customers = BTreeSet::from([customer.clone()]);
    let Ok(pair) = store.projection.pair(&store.path) else { return Ok(None) };
    let mut near = true;
    for standing in begin(&pair, &customers)? {
        let place = Place::read(&pair.index, standing.no)?;
        near &= place.is_some_and(|place| {
            place.phase == standing::Phase::Following && place.position.saturating_add(NEAR) >= standing.last
        });
    }
    end(&pair)?;
    store.projection.give_back(pair);
    if !near {
        return Ok(None);
    }
    store.view(&customers, |view| {
        let mut found = BTreeSet::new();
        for standing in view.standings {
            for address in addresses {
                let step = || sql("look for addresses");
                let mut query = view
                    .index
                    .prepare_cached("SELECT record_no FROM addresses WHERE customer_no = ?1 AND hash = ?2")
                    .map_err(step())?;
                let hash = entry::hash(&fold::fold(address));
                let rows = query.query_map([standing.no, hash], |row| row.get::<_, i64>(0)).map_err(step())?;
                for record_no in rows {
                    found.insert(record_no.map_err(step())?);
                }
            }
        }
        Ok(Some(found))
    })
}

/// State file and index at one moment, for whoever looks for the events of a record.
pub(super) struct Touched<'a>(&'a View<'a>);

impl Touched<'_> {
    pub(super) fn state(&self) -> &Connection {
        self.0.state
    }

    /// Lists the segments, by their last events, that may tell of one of some keys.
    pub(super) fn may_tell(&self, customer_no: i64, keys: &[u128]) -> Result<BTreeSet<u64>> {
        touched::may_tell(self.0.state, self.0.index, customer_no, keys)
    }
}

impl SqliteStore {
    /// Reads with what is known of the segments of events, for which that is brought up to date first.
    pub(super) fn with_touched<T>(
        &self,
        customer: &CustomerId,
        read: impl FnOnce(&Touched<'_>) -> Result<T>,
    ) -> Result<T> {
        // First of all this: an index of another history is thrown away by it.
        let customers = BTreeSet::from([customer.clone()]);
        self.view(&customers, |_| Ok(()))?;
        self.note_touched(customer)?;
        self.view(&customers, |view| read(&Touched(view)))
    }

    fn note_touched(&self, customer: &CustomerId) -> Result<()> {
        let mut pair = self.pair()?;
        let standings = begin(&pair, &BTreeSet::from([customer.clone()]))?;
        let mut complete = true;
        for standing in &standings {
            complete &= touched::is_complete(&pair.state, &pair.index, standing.no)?;
        }
        end(&pair)?;
        if !complete {
            let _held = locks::wait(&self.projection.lock)?;
            pair.state.execute_batch("BEGIN").map_err(sql("read the state file"))?;
            for standing in &standings {
                touched::advance(&pair.state, &mut pair.index, standing.no)?;
            }
            end(&pair)?;
        }
        self.projection.give_back(pair);
        Ok(())
    }
}

/// Tells how many users in use are in no group, and the largest number among their records; of one record, whether it
/// is such a user.
pub(super) fn ungrouped(
    store: &SqliteStore,
    customer: &CustomerId,
    record: Option<RecordId>,
) -> Result<Option<(u64, i64)>> {
    store.view(&BTreeSet::from([customer.clone()]), |view| {
        let Some(standing) = view.standings.first() else { return Ok(None) };
        let mut found = select::posting(view, standing.no, &entry::Term::ungrouped())?;
        found.subtract(&select::posting(view, standing.no, &entry::Term::archived())?);
        if let Some(id) = record {
            let number = select::live_record_no(view, standing, id)?;
            return Ok(number.filter(|number| found.contains(*number)).map(|number| (1, number)));
        }
        Ok(found.last().map(|last| (found.len(), last)))
    })
}

impl SqliteStore {
    /// Reads from state file and index, both at the last event of these customers.
    fn view<T>(&self, customers: &BTreeSet<CustomerId>, read: impl FnOnce(&View<'_>) -> Result<T>) -> Result<T> {
        if customers.is_empty() {
            return Err(Error::config("a query names no customer; name at least one"));
        }
        let mut pair = self.pair()?;
        let standings = self.settle(&mut pair, customers)?;
        let view = View { state: &pair.state, index: &pair.index, standings: &standings, rows: Cell::new(0) };
        let answer = read(&view);
        end(&pair)?;
        self.projection.give_back(pair);
        answer
    }

    /// Opens state file and index. An index that cannot be read is thrown away.
    fn pair(&self) -> Result<Pair> {
        match self.projection.pair(&self.path) {
            Ok(pair) => Ok(pair),
            Err(_) => {
                let _held = locks::wait(&self.projection.lock)?;
                // Somebody else may have mended it.
                self.projection.pair(&self.path).or_else(|_| {
                    self.projection.remove();
                    self.projection.pair(&self.path)
                })
            }
        }
    }

    /// Begins to read both files, at one moment of the state file; brings the index there first.
    fn settle(&self, pair: &mut Pair, customers: &BTreeSet<CustomerId>) -> Result<Vec<Standing>> {
        loop {
            let standings = begin(pair, customers)?;
            if is_current(pair, &standings)? {
                return Ok(standings);
            }
            end(pair)?;
            // One at a time; whoever waited may find it done.
            let held = locks::wait(&self.projection.lock)?;
            pair.state.execute_batch("BEGIN").map_err(sql("read the state file"))?;
            let standings = read_standings(&pair.state, customers)?;
            let mut budget = BUDGET;
            let mut done = true;
            for standing in &standings {
                done &= follow::advance(&pair.state, &mut pair.index, standing, &mut budget)?;
                if !done {
                    break;
                }
            }
            if done {
                // Still under the lock: nobody has gone on meanwhile, so this reader is not sent round again.
                pair.index.execute_batch("BEGIN").map_err(sql("read the index"))?;
                if is_current(pair, &standings)? {
                    return Ok(standings);
                }
            }
            end(pair)?;
            drop(held);
        }
    }
}

fn begin(pair: &Pair, customers: &BTreeSet<CustomerId>) -> Result<Vec<Standing>> {
    pair.index.execute_batch("BEGIN").map_err(sql("read the index"))?;
    pair.state.execute_batch("BEGIN").map_err(sql("read the state file"))?;
    read_standings(&pair.state, customers)
}

fn read_standings(state: &Connection, customers: &BTreeSet<CustomerId>) -> Result<Vec<Standing>> {
    customers.iter().map(|customer| Standing::read(state, customer)).collect()
}

fn is_current(pair: &Pair, standings: &[Standing]) -> Result<bool> {
    for standing in standings {
        let Some(place) = Place::read(&pair.index, standing.no)? else { return Ok(false) };
        if standing.need(&pair.state, &place)? != Need::Nothing {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Ends what was begun on both connections.
fn end(pair: &Pair) -> Result<()> {
    for connection in [&pair.state, &pair.index] {
        if !connection.is_autocommit() {
            connection.execute_batch("COMMIT").map_err(sql("end reading"))?;
        }
    }
    Ok(())
}
