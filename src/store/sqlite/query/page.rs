//! Pages and counts: what a filter leaves, in order, from the sort keys. Records are read for what is shown only.

use std::collections::{BTreeMap, VecDeque};

use rusqlite::{OptionalExtension, params};

use super::View;
use super::cursor;
use super::entry::{Term, column};
use super::fold::{DEPTHS, prefix_bounds};
use super::posting::Set;
use super::select::{Selection, posting, select};
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
/// Steps along the order for each record that is wanted, behind which parts of it are passed over.
const STEPS: usize = 16;
/// The same where hardly any of those who are expected are met.
const FIRST_STEPS: usize = 2;
/// Records that are looked at for a count, at most.
const LOOKED_AT: u64 = 20_000;

/// How an order is walked: upwards and downwards.
pub(super) const WALKS: [&str; 2] = [
    "SELECT key, record_no FROM orders WHERE customer_no = ?1 AND by = ?2 AND kind = ?3 AND key > ?4 AND key < ?5
     ORDER BY key",
    "SELECT key, record_no FROM orders WHERE customer_no = ?1 AND by = ?2 AND kind = ?3 AND key > ?4 AND key < ?5
     ORDER BY key DESC",
];
/// How one record is looked up: by column.
pub(super) const LOOK_UPS: [&str; 3] = [
    "SELECT k1, text FROM entries WHERE record_no = ?1",
    "SELECT k2, text FROM entries WHERE record_no = ?1",
    "SELECT k3, text FROM entries WHERE record_no = ?1",
];

/// How the next term is found: upwards and downwards.
pub(super) const LEAPS: [&str; 2] = [
    "SELECT term FROM postings WHERE customer_no = ?1 AND term > ?2 AND term < ?3 ORDER BY term LIMIT 1",
    "SELECT term FROM postings WHERE customer_no = ?1 AND term > ?2 AND term < ?3 ORDER BY term DESC LIMIT 1",
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
    /// Whether those who are left stand so far apart that parts of the order are passed over.
    leaps: bool,
    ended: bool,
}

/// What a line is wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Page,
    Count,
}

fn column_of(query: &Query, by: SortBy) -> Result<usize> {
    column(query.kind, by).ok_or_else(|| {
        Error::config("records of this kind have no such order; users have addresses, first and last names, groups addresses and names, computers names")
            .with_context("kind", query.kind)
    })
}

impl<'a> Line<'a> {
    fn new(
        view: &View<'_>,
        standing: &'a Standing,
        query: &'a Query,
        after: Option<&[u8]>,
        purpose: Purpose,
    ) -> Result<Self> {
        let column = column_of(query, query.sort.by)?;
        let other = query.filter.prefix.as_ref().map(|(by, _)| column_of(query, *by)).transpose()?;
        // The order itself finds what begins with a text, unless it is another order.
        let prefix_in = other.filter(|other| *other != column || purpose == Purpose::Count);
        let (selection, whole) = select(view, standing, query.kind, &query.filter, prefix_in)?;
        let (mut low, mut high) = (Vec::new(), vec![0xff]);
        let mut within = None;
        if let (Some((_, prefix)), Some(other)) = (&query.filter.prefix, other)
            && let Some((from, to)) = prefix_bounds(prefix)
        {
            if prefix_in.is_none() {
                (low, high) = (from, to);
            } else if !whole {
                within = Some((other, from, to));
            }
        }
        match (after, query.sort.order) {
            (Some(key), Order::Ascending) => low = low.max(key.to_vec()),
            (Some(key), Order::Descending) => high = high.min(key.to_vec()),
            (None, _) => {}
        }
        let ended = selection.set.as_ref().is_some_and(Set::is_empty) || selection.all == 0;
        let waiting = VecDeque::new();
        Ok(Self { standing, selection, query, column, low, high, within, waiting, leaps: false, ended })
    }

    fn descends(&self) -> bool {
        self.query.sort.order == Order::Descending
    }

    /// Reads on until `wanted` wait, or there are no more.
    fn fill(&mut self, view: &View<'_>, wanted: usize) -> Result<()> {
        if self.ended || self.waiting.len() >= wanted {
            return Ok(());
        }
        let few = self.selection.set.as_ref().map(Set::len).filter(|left| {
            // A walk meets one of them every so many steps.
            *left <= FEW || left * LOOK_UP <= (wanted as u64).saturating_mul(self.selection.all / left)
        });
        if few.is_some() {
            return self.sort_all(view);
        }
        if !self.leaps {
            for steps in self.strides(wanted) {
                let before = self.waiting.len();
                match self.walk(view, wanted, steps)? {
                    Walked::Enough => return Ok(()),
                    Walked::ToTheEnd => {
                        self.ended = true;
                        return Ok(());
                    }
                    // Whoever is left does not stand here.
                    Walked::TooFar if self.waiting.len() - before < self.expected(steps) / 4 => break,
                    Walked::TooFar => {}
                }
            }
            self.leaps = true;
        }
        self.leap(view, wanted)
    }

    /// Returns in which parts the order is walked before others are passed over: some steps at first, to see whether those
    /// who are left stand here at all.
    fn strides(&self, wanted: usize) -> Vec<usize> {
        match &self.selection.set {
            Some(_) => vec![wanted.saturating_mul(FIRST_STEPS), wanted.saturating_mul(STEPS - FIRST_STEPS)],
            None => vec![usize::MAX],
        }
    }

    /// Returns how many are met in so many steps if those who are left stand evenly.
    fn expected(&self, steps: usize) -> usize {
        let left = self.selection.set.as_ref().map_or(self.selection.all, Set::len);
        usize::try_from((steps as u64).saturating_mul(left) / self.selection.all.max(1)).unwrap_or(usize::MAX)
    }

    /// Looks up everybody who is left.
    fn sort_all(&mut self, view: &View<'_>) -> Result<()> {
        self.ended = true;
        let Some(set) = self.selection.set.take() else { return Ok(()) };
        let found = self.sorted(view, &set)?;
        self.waiting.extend(found);
        Ok(())
    }

    /// Looks some records up, and puts those who are asked for in order.
    fn sorted(&self, view: &View<'_>, set: &Set) -> Result<Vec<(Vec<u8>, i64)>> {
        let mut found: Vec<(Vec<u8>, i64)> = Vec::new();
        for record_no in set.iter() {
            let Some((key, text)) = look_up(view, self.column, record_no)? else { continue };
            if key > self.low && key < self.high && self.fits(view, record_no, &text)? {
                found.push((key, record_no));
            }
        }
        found.sort_unstable();
        if self.descends() {
            found.reverse();
        }
        Ok(found)
    }

    /// Walks along the order, so many steps at most. What it has passed is passed for good.
    fn walk(&mut self, view: &View<'_>, wanted: usize, steps: usize) -> Result<Walked> {
        let bounds = (self.low.clone(), self.high.clone());
        self.walk_between(view, bounds, wanted, steps)
    }

    /// Walks along a part of the order.
    fn walk_between(
        &mut self,
        view: &View<'_>,
        (low, high): (Vec<u8>, Vec<u8>),
        wanted: usize,
        steps: usize,
    ) -> Result<Walked> {
        let step = || sql("read the index");
        let descending = self.descends();
        let mut query = view.index.prepare_cached(WALKS[usize::from(descending)]).map_err(step())?;
        let kind = kind_number(self.query.kind);
        let with = params![self.standing.no, self.column + 1, kind, low, high];
        let mut rows = query.query(with).map_err(step())?;
        let mut last: Option<Vec<u8>> = None;
        let (mut taken, mut walked) = (0, Walked::Enough);
        while self.waiting.len() < wanted {
            if taken == steps {
                walked = Walked::TooFar;
                break;
            }
            taken += 1;
            let Some(row) = rows.next().map_err(step())? else {
                walked = Walked::ToTheEnd;
                break;
            };
            view.count_row();
            let record_no: i64 = row.get(1).map_err(step())?;
            let is_left = self.selection.set.as_ref().is_none_or(|set| set.contains(record_no));
            if is_left && self.is_asked_for(view, record_no)? {
                self.waiting.push_back((row.get(0).map_err(step())?, record_no));
                last = None;
            } else if taken == steps {
                last = Some(row.get(0).map_err(step())?);
            }
        }
        drop(rows);
        // Where it goes on: behind what was passed last, or what waits last.
        let at = last.or_else(|| self.waiting.back().map(|(key, _)| key.clone()));
        match (walked, at) {
            (Walked::ToTheEnd, _) => self.pass(if descending { low } else { high }),
            (_, Some(at)) => self.pass(at),
            (_, None) => {}
        }
        Ok(walked)
    }

    /// Notes that everything up to a key was read.
    fn pass(&mut self, key: Vec<u8>) {
        if self.descends() {
            self.high = std::mem::take(&mut self.high).min(key);
        } else {
            self.low = std::mem::take(&mut self.low).max(key);
        }
    }

    /// Goes along the order by how names begin, and passes over beginnings that nobody has who is left.
    fn leap(&mut self, view: &View<'_>, wanted: usize) -> Result<()> {
        let Some(set) = self.selection.set.take() else { return Ok(()) };
        let done = self.leap_over(view, wanted, &set);
        self.selection.set = Some(set);
        self.ended = done?;
        Ok(())
    }

    /// Returns whether the end was reached.
    fn leap_over(&mut self, view: &View<'_>, wanted: usize, set: &Set) -> Result<bool> {
        let descending = self.descends();
        let nameless = Beginning { depth: 0, bytes: Vec::new() };
        // Who has no name comes behind everybody, or before.
        if descending && self.nameless(view, wanted, &nameless, set)? {
            return Ok(false);
        }
        let mut open = vec![Frame::new(nameless.clone(), set.clone(), self.selection.all)];
        while let Some(frame) = open.last_mut() {
            let Some(next) = frame.next(view, self.standing.no, self.column, descending)? else {
                open.pop();
                continue;
            };
            let (from, to) = next.bounds();
            if to <= self.low || from >= self.high {
                continue;
            }
            let (left, all) = if frame.is_only(view, self.standing.no, self.column, descending)? {
                // Everybody who begins like this goes on like that.
                (frame.left.clone(), frame.all)
            } else {
                let mut here = posting(view, self.standing.no, &next.term(self.column))?;
                let all = here.len();
                here.intersect(&frame.left);
                (here, all)
            };
            if left.is_empty() {
                continue;
            }
            if next.depth < DEPTHS && left.len() > FEW {
                open.push(Frame::new(next, left, all));
            } else if self.leaf(view, wanted, &next, left, all)? {
                return Ok(false);
            }
        }
        Ok(descending || !self.nameless(view, wanted, &nameless, set)?)
    }

    /// Takes those in who have no name; returns whether that is enough.
    fn nameless(&mut self, view: &View<'_>, wanted: usize, nameless: &Beginning, set: &Set) -> Result<bool> {
        let (from, to) = nameless.bounds();
        if to <= self.low || from >= self.high {
            return Ok(false);
        }
        let mut here = posting(view, self.standing.no, &nameless.term(self.column))?;
        let all = here.len();
        here.intersect(set);
        if here.is_empty() { Ok(false) } else { self.leaf(view, wanted, nameless, here, all) }
    }

    /// Takes those in who begin in one way, of so many who do; returns whether that is enough.
    fn leaf(&mut self, view: &View<'_>, wanted: usize, beginning: &Beginning, here: Set, all: u64) -> Result<bool> {
        let (from, to) = beginning.bounds();
        if here.len() <= FEW || here.len() * LOOK_UP <= all {
            let found = self.sorted(view, &here)?;
            self.waiting.extend(found);
            if let Some((key, _)) = self.waiting.back() {
                let key = key.clone();
                self.pass(key);
            }
        } else {
            let left = self.selection.set.replace(here);
            let bounds = (from.max(self.low.clone()), to.min(self.high.clone()));
            let walked = self.walk_between(view, bounds, wanted, usize::MAX);
            self.selection.set = left;
            walked?;
        }
        Ok(self.waiting.len() >= wanted)
    }

    /// Tells whether a record of the first choice is one that is asked for; looks at it only where that is not known.
    fn is_asked_for(&self, view: &View<'_>, record_no: i64) -> Result<bool> {
        if self.within.is_none() && self.selection.check.iter().all(|(_, sure)| sure.contains(record_no)) {
            return Ok(true);
        }
        match look_up(view, self.column, record_no)? {
            Some((_, text)) => self.fits(view, record_no, &text),
            None => Ok(false),
        }
    }

    fn fits(&self, view: &View<'_>, record_no: i64, text: &str) -> Result<bool> {
        // A part has no space, so it never reaches from one word to the next.
        let has = |(part, sure): &(String, Set)| sure.contains(record_no) || text.contains(part.as_str());
        if !self.selection.check.iter().all(has) {
            return Ok(false);
        }
        let Some((column, low, high)) = &self.within else { return Ok(true) };
        Ok(look_up(view, *column, record_no)?.is_some_and(|(key, _)| key > *low && key < *high))
    }

    /// Counts everybody who is left, and tells whether each of them was looked at where that is needed.
    fn count(mut self, view: &View<'_>) -> Result<(u64, bool)> {
        if self.ended {
            return Ok((0, true));
        }
        let Some(set) = self.selection.set.take() else { return Ok((self.selection.all, true)) };
        let mut sure = if self.within.is_none() { set.clone() } else { Set::default() };
        self.selection.check.iter().for_each(|(_, known)| sure.intersect(known));
        let mut rest = set;
        rest.subtract(&sure);
        let (left, mut looked_at, mut found) = (rest.len(), 0, 0);
        // Of very many, one in so many stands for the others.
        let every = left.div_ceil(LOOKED_AT).max(1);
        for record_no in rest.iter().step_by(usize::try_from(every).unwrap_or(usize::MAX)) {
            looked_at += 1;
            found += u64::from(self.is_asked_for(view, record_no)?);
        }
        if every == 1 {
            return Ok((sure.len() + found, true));
        }
        Ok((sure.len() + found * left / looked_at, false))
    }
}

/// How a walk ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Walked {
    Enough,
    ToTheEnd,
    TooFar,
}

/// How names begin: so many characters of them. At depth 0 those that are empty.
#[derive(Clone)]
struct Beginning {
    depth: usize,
    bytes: Vec<u8>,
}

impl Beginning {
    fn term(&self, column: usize) -> Term {
        Term::beginning(column, self.depth, &self.bytes)
    }

    /// Between these lie all keys that begin like this.
    fn bounds(&self) -> (Vec<u8>, Vec<u8>) {
        if self.depth == 0 {
            return (vec![0xfe], vec![0xff]);
        }
        let end = self.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let text = [&[1], &self.bytes[..end]].concat();
        if end < self.bytes.len() {
            // The name ends here.
            return ([text.as_slice(), &[0]].concat(), [text.as_slice(), &[1]].concat());
        }
        let to = [text.as_slice(), &[0xff]].concat();
        (text, to)
    }
}

/// The beginning behind the one that was found last.
enum Ahead {
    NotLookedFor,
    Found(Option<Beginning>),
}

/// Beginnings of one character more than another one, gone through in order.
struct Frame {
    under: Beginning,
    /// Who is left of it, and how many there are in all.
    left: Set,
    all: u64,
    at: Option<Vec<u8>>,
    /// How many were found, and the next one if it was looked for already.
    found: usize,
    ahead: Ahead,
}

impl Frame {
    fn new(under: Beginning, left: Set, all: u64) -> Self {
        Self { under, left, all, at: None, found: 0, ahead: Ahead::NotLookedFor }
    }

    /// Finds the next beginning that anybody has.
    fn next(&mut self, view: &View<'_>, no: i64, column: usize, descending: bool) -> Result<Option<Beginning>> {
        self.found += 1;
        match std::mem::replace(&mut self.ahead, Ahead::NotLookedFor) {
            Ahead::Found(next) => Ok(next),
            Ahead::NotLookedFor => self.read(view, no, column, descending),
        }
    }

    /// Tells whether the one that was found last is the only one. At the top it never is: some have no name.
    fn is_only(&mut self, view: &View<'_>, no: i64, column: usize, descending: bool) -> Result<bool> {
        if self.found > 1 || self.under.depth == 0 {
            return Ok(false);
        }
        let next = self.read(view, no, column, descending)?;
        let only = next.is_none();
        self.ahead = Ahead::Found(next);
        Ok(only)
    }

    fn read(&mut self, view: &View<'_>, no: i64, column: usize, descending: bool) -> Result<Option<Beginning>> {
        let step = || sql("read the index");
        let depth = self.under.depth + 1;
        let head = Term::beginnings(column, depth);
        let first = [head.as_slice(), &self.under.bytes].concat();
        let last = [first.as_slice(), &[0xff]].concat();
        let (from, to, statement) = if descending {
            (first, self.at.clone().unwrap_or(last), LEAPS[1])
        } else {
            (self.at.clone().unwrap_or(first), last, LEAPS[0])
        };
        let term: Option<Vec<u8>> = view
            .index
            .prepare_cached(statement)
            .and_then(|mut query| query.query_row(params![no, from, to], |row| row.get(0)).optional())
            .map_err(step())?;
        view.count_row();
        self.at.clone_from(&term);
        Ok(term.map(|term| Beginning { depth, bytes: term.get(head.len()..).unwrap_or_default().to_vec() }))
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
        lines.push(Line::new(view, standing, query, after.as_deref(), Purpose::Page)?);
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
    let (mut total, mut exact) = (0, true);
    for standing in view.standings {
        let (count, counted) = Line::new(view, standing, query, None, Purpose::Count)?.count(view)?;
        total += count;
        exact &= counted;
    }
    Ok(Count { total, exact, positions: view.positions(), rows_read: view.rows() })
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
