//! Pages and counts: what a filter leaves, in order, from the sort keys. Records are read for what is shown only.

use std::collections::{BTreeMap, VecDeque};

use rusqlite::{OptionalExtension, params};

use super::View;
use super::cursor;
use super::entry::column;
use super::fold::prefix_bounds;
use super::select::{Selection, select};
use super::standing::Standing;
use crate::error::{Error, Result};
use crate::model::{Count, Found, Order, Page, PageCursor, Query, Record, SortBy};
use crate::store::sqlite::apply::load_record;
use crate::store::sqlite::{damaged, kind_number, sql};

/// The largest page.
const LARGEST: usize = 1000;
/// Sets up to this size are sorted by themselves; of a larger one the order is walked, if that is shorter.
const FEW: u64 = 256;
/// What it costs to look a record up, measured in steps along the order.
const LOOK_UP: u64 = 4;

macro_rules! orders {
    ($($key:literal),+) => {
        [$([
            concat!(
                "SELECT ", $key, ", record_no FROM entries WHERE customer_no = ?1 AND kind = ?2 AND ", $key, " > ?3 AND ",
                $key, " < ?4 ORDER BY ", $key
            ),
            concat!(
                "SELECT ", $key, ", record_no FROM entries WHERE customer_no = ?1 AND kind = ?2 AND ", $key, " > ?3 AND ",
                $key, " < ?4 ORDER BY ", $key, " DESC"
            ),
        ]),+]
    };
}

/// How an order is walked: by column and direction.
pub(super) const WALKS: [[&str; 2]; 3] = orders!("k1", "k2", "k3");
/// How one record is looked up: by column.
pub(super) const LOOK_UPS: [&str; 3] = [
    "SELECT k1, text FROM entries WHERE record_no = ?1",
    "SELECT k2, text FROM entries WHERE record_no = ?1",
    "SELECT k3, text FROM entries WHERE record_no = ?1",
];

/// What is left of one customer, in order, read a part at a time.
struct Line<'a> {
    standing: &'a Standing,
    selection: Selection,
    query: &'a Query,
    column: usize,
    low: Vec<u8>,
    high: Vec<u8>,
    /// Bounds of another order that records have to lie in as well.
    within: Option<(usize, Vec<u8>, Vec<u8>)>,
    waiting: VecDeque<(Vec<u8>, i64)>,
    ended: bool,
}

fn column_of(query: &Query, by: SortBy) -> Result<usize> {
    column(query.kind, by).ok_or_else(|| {
        Error::config("records of this kind have no such order; users have addresses, first and last names, groups addresses and names, computers names")
            .with_context("kind", query.kind)
    })
}

impl<'a> Line<'a> {
    fn new(view: &View<'_>, standing: &'a Standing, query: &'a Query, after: Option<&[u8]>) -> Result<Self> {
        let column = column_of(query, query.sort.by)?;
        let (mut low, mut high) = (Vec::new(), vec![0xff]);
        let mut within = None;
        if let Some((by, prefix)) = &query.filter.prefix {
            let other = column_of(query, *by)?;
            match prefix_bounds(prefix) {
                Some(bounds) if other == column => (low, high) = bounds,
                Some((from, to)) => within = Some((other, from, to)),
                None => {}
            }
        }
        match (after, query.sort.order) {
            (Some(key), Order::Ascending) => low = low.max(key.to_vec()),
            (Some(key), Order::Descending) => high = high.min(key.to_vec()),
            (None, _) => {}
        }
        let selection = select(view, standing, query.kind, &query.filter)?;
        let ended = selection.set.as_ref().is_some_and(super::posting::Set::is_empty) || selection.all == 0;
        Ok(Self { standing, selection, query, column, low, high, within, waiting: VecDeque::new(), ended })
    }

    /// Reads on until `wanted` wait, or there are no more.
    fn fill(&mut self, view: &View<'_>, wanted: usize) -> Result<()> {
        if self.ended || self.waiting.len() >= wanted {
            return Ok(());
        }
        let few = self.selection.set.as_ref().map(super::posting::Set::len).filter(|left| {
            // A walk meets one of them every so many steps.
            *left <= FEW || left * LOOK_UP <= (wanted as u64).saturating_mul(self.selection.all / left)
        });
        if few.is_some() { self.sort_all(view) } else { self.walk(view, wanted) }
    }

    /// Looks up everybody who is left.
    fn sort_all(&mut self, view: &View<'_>) -> Result<()> {
        self.ended = true;
        let Some(set) = self.selection.set.take() else { return Ok(()) };
        let mut found: Vec<(Vec<u8>, i64)> = Vec::new();
        for record_no in set.iter() {
            let Some((key, text)) = look_up(view, self.column, record_no)? else { continue };
            if key > self.low && key < self.high && self.fits(view, record_no, &text)? {
                found.push((key, record_no));
            }
        }
        found.sort_unstable();
        if self.query.sort.order == Order::Descending {
            found.reverse();
        }
        self.waiting = found.into();
        Ok(())
    }

    /// Walks along the order.
    fn walk(&mut self, view: &View<'_>, wanted: usize) -> Result<()> {
        let step = || sql("read the index");
        let descending = self.query.sort.order == Order::Descending;
        let statement = WALKS[self.column][usize::from(descending)];
        let mut query = view.index.prepare_cached(statement).map_err(step())?;
        let kind = kind_number(self.query.kind);
        let mut rows = query.query(params![self.standing.no, kind, self.low, self.high]).map_err(step())?;
        let mut last = None;
        while self.waiting.len() < wanted {
            let Some(row) = rows.next().map_err(step())? else {
                self.ended = true;
                return Ok(());
            };
            view.count_row();
            let record_no: i64 = row.get(1).map_err(step())?;
            if self.selection.set.as_ref().is_some_and(|set| !set.contains(record_no)) {
                continue;
            }
            if !self.selection.check.is_empty() || self.within.is_some() {
                let Some((_, text)) = look_up(view, self.column, record_no)? else { continue };
                if !self.fits(view, record_no, &text)? {
                    continue;
                }
            }
            let key: Vec<u8> = row.get(0).map_err(step())?;
            last = Some(key.clone());
            self.waiting.push_back((key, record_no));
        }
        match last {
            Some(key) if descending => self.high = key,
            Some(key) => self.low = key,
            None => {}
        }
        Ok(())
    }

    /// Tells whether a record of the first choice is one that is asked for.
    fn fits(&self, view: &View<'_>, record_no: i64, text: &str) -> Result<bool> {
        // A part has no space, so it never reaches from one word to the next.
        if !self.selection.check.iter().all(|part| text.contains(part.as_str())) {
            return Ok(false);
        }
        let Some((column, low, high)) = &self.within else { return Ok(true) };
        Ok(look_up(view, *column, record_no)?.is_some_and(|(key, _)| key > *low && key < *high))
    }

    /// Counts everybody who is left.
    fn count(mut self, view: &View<'_>) -> Result<u64> {
        if self.ended {
            return Ok(0);
        }
        let whole = self.low.is_empty() && self.within.is_none();
        if whole && self.selection.check.is_empty() {
            return Ok(self.selection.set.map_or(self.selection.all, |set| set.len()));
        }
        if let Some((column, low, high)) = self.within.take() {
            // Of two orders, the one with the prefix is walked.
            (self.column, self.low, self.high) = (column, low, high);
        }
        let step = || sql("read the index");
        if let Some(set) = self.selection.set.take_if(|set| whole || set.len() <= self.selection.all / 64) {
            let mut total = 0;
            for record_no in set.iter() {
                let found = look_up(view, self.column, record_no)?;
                total += u64::from(found.is_some_and(|(key, text)| {
                    key > self.low
                        && key < self.high
                        && self.selection.check.iter().all(|part| text.contains(part.as_str()))
                }));
            }
            return Ok(total);
        }
        let mut query = view.index.prepare_cached(WALKS[self.column][0]).map_err(step())?;
        let kind = kind_number(self.query.kind);
        let mut rows = query.query(params![self.standing.no, kind, self.low, self.high]).map_err(step())?;
        let mut total = 0;
        while let Some(row) = rows.next().map_err(step())? {
            view.count_row();
            let record_no: i64 = row.get(1).map_err(step())?;
            if self.selection.set.as_ref().is_some_and(|set| !set.contains(record_no)) {
                continue;
            }
            if !self.selection.check.is_empty() {
                let Some((_, text)) = look_up(view, self.column, record_no)? else { continue };
                if !self.selection.check.iter().all(|part| text.contains(part.as_str())) {
                    continue;
                }
            }
            total += 1;
        }
        Ok(total)
    }
}

/// Reads one record's key of an order, and its words.
fn look_up(view: &View<'_>, column: usize, record_no: i64) -> Result<Option<(Vec<u8>, String)>> {
    view.count_row();
    let found: Option<(Option<Vec<u8>>, String)> = view
        .index
        .prepare_cached(LOOK_UPS[column])
        .and_then(|mut query| query.query_row([record_no], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(sql("read the index"))?;
    // Members that are not of the kind have no key.
    Ok(found.and_then(|(key, text)| key.map(|key| (key, text))))
}

/// Reads a page.
pub(super) fn find(view: &View<'_>, query: &Query, after: Option<&PageCursor>, limit: usize) -> Result<Page> {
    let limit = limit.clamp(1, LARGEST);
    let after = after.map(|after| cursor::read(query, after)).transpose()?;
    let mut lines = Vec::new();
    for standing in view.standings {
        lines.push(Line::new(view, standing, query, after.as_deref())?);
    }
    // Of many customers each gives a few at first.
    let share = (limit + 1).div_ceil(lines.len().max(1)).max(8).min(limit + 1);
    let mut chosen: Vec<(usize, Vec<u8>, i64)> = Vec::new();
    while chosen.len() <= limit {
        let mut best: Option<usize> = None;
        for at in 0..lines.len() {
            if lines[at].waiting.is_empty() {
                lines[at].fill(view, share)?;
            }
            let Some((key, _)) = lines[at].waiting.front() else { continue };
            let better =
                best.and_then(|best| lines[best].waiting.front()).is_none_or(|(other, _)| match query.sort.order {
                    Order::Ascending => key < other,
                    Order::Descending => key > other,
                });
            if better {
                best = Some(at);
            }
        }
        let Some(best) = best else { break };
        let Some((key, record_no)) = lines[best].waiting.pop_front() else { break };
        chosen.push((best, key, record_no));
    }
    let more = chosen.len() > limit;
    chosen.truncate(limit);
    let next = chosen.last().filter(|_| more).map(|(_, key, _)| cursor::write(query, key));
    let mut found = Vec::with_capacity(chosen.len());
    for (at, _, record_no) in chosen {
        let standing = lines[at].standing;
        let record = read_record(view, standing, record_no)?;
        found.push(Found { customer: standing.customer.clone(), record });
    }
    Ok(Page { found, next, positions: view.positions(), rows_read: view.rows() })
}

/// Counts.
pub(super) fn count(view: &View<'_>, query: &Query) -> Result<Count> {
    let mut total = 0;
    for standing in view.standings {
        total += Line::new(view, standing, query, None)?.count(view)?;
    }
    Ok(Count { total, positions: view.positions(), rows_read: view.rows() })
}

/// Reads a record that the index names.
pub(super) fn read_record(view: &View<'_>, standing: &Standing, record_no: i64) -> Result<Record> {
    let record = if record_no < 0 {
        let mut own: BTreeMap<i64, Record> = standing.own_groups()?;
        own.remove(&record_no)
    } else {
        load_record(view.state, record_no)?
    };
    record.ok_or_else(|| damaged("the index"))
}
