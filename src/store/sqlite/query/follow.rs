//! Brings the index up to the state file: built from the records, then kept by the events.
//!
//! In steps, each one transaction of the index: killed in between, the next one goes on. It never writes the state.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::entry::{Entry, Term};
use super::posting::{pack, split, unpack};
use super::standing::{Need, Phase, Place, Standing};
use crate::error::Result;
use crate::model::{EventType, ObjectKind, RecordId};
use crate::rules::join::addresses;
use crate::store::codec::{Reader, unpack_sorted};
use crate::store::fault;
use crate::store::sqlite::apply::{images, load_record};
use crate::store::sqlite::redaction::{Entry as EventEntry, entry, header, subjects};
use crate::store::sqlite::{damaged, kind_number, sql};

/// Records of one step.
const STEP: usize = 16_384;

/// Brings one customer as far as it takes no more than `budget` records; returns whether it is done.
///
/// The state's connection is in a transaction, and stays in it; the caller has the lock.
pub(super) fn advance(
    state: &Connection,
    index: &mut Connection,
    standing: &Standing,
    budget: &mut usize,
) -> Result<bool> {
    loop {
        let step = || sql("write the index");
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
        let place = match Place::read(&transaction, standing.no)? {
            Some(place) => match standing.need(state, &place)? {
                Need::Nothing => return Ok(true),
                Need::GoOn => place,
                Need::Anew => Place { phase: Phase::Clearing, ..place },
            },
            None => Place { phase: Phase::Clearing, at: 0, position: 0, target: 0, sources: Vec::new(), mark: None },
        };
        if *budget == 0 {
            return Ok(false);
        }
        let mut step_of = Step { state, index: &transaction, standing, changes: HashMap::new(), addresses: Vec::new() };
        let (place, rows) = match place.phase {
            Phase::Clearing => step_of.clear(place)?,
            Phase::Building => step_of.build(place)?,
            Phase::Following => step_of.follow(place)?,
        };
        step_of.write_postings()?;
        place.write(&transaction, standing.no)?;
        fault::point();
        transaction.commit().map_err(step())?;
        fault::point();
        *budget = budget.saturating_sub(rows.max(1));
    }
}

/// Takes everybody out of the index who is not in the state file any more. The caller has the lock.
pub(super) fn sweep(state: &Connection, index: &mut Connection, standing: &Standing) -> Result<()> {
    let step = || sql("write the index");
    let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
    let mut step_of = Step { state, index: &transaction, standing, changes: HashMap::new(), addresses: Vec::new() };
    step_of.sweep()?;
    step_of.write_postings()?;
    fault::point();
    transaction.commit().map_err(step())?;
    fault::point();
    Ok(())
}

/// Places that are added to the postings of a term, and places that are taken out.
type Change = (Vec<u32>, Vec<u32>);

/// One transaction.
struct Step<'a> {
    state: &'a Connection,
    index: &'a Connection,
    standing: &'a Standing,
    changes: HashMap<(Term, i64), Change>,
    /// Hashes of addresses that records have from now on, or no longer.
    addresses: Vec<(i64, i64, bool)>,
}

impl Step<'_> {
    /// Removes what is there of the customer; then it is built.
    fn clear(&self, place: Place) -> Result<(Place, usize)> {
        let step = || sql("clear the index");
        let no = self.standing.no;
        let entries = self
            .index
            .prepare_cached(
                "DELETE FROM entries WHERE record_no IN
                 (SELECT record_no FROM entries INDEXED BY entries_k2 WHERE customer_no = ?1 AND k2 > x'' LIMIT ?2)",
            )
            .and_then(|mut delete| delete.execute(params![no, fault::step(STEP)]))
            .map_err(step())?;
        let postings = self
            .index
            .prepare_cached(
                "DELETE FROM postings WHERE rowid IN (SELECT rowid FROM postings WHERE customer_no = ?1 LIMIT ?2)",
            )
            .and_then(|mut delete| delete.execute(params![no, fault::step(STEP)]))
            .map_err(step())?;
        super::touched::clear(self.index, no)?;
        self.index
            .prepare_cached("DELETE FROM addresses WHERE customer_no = ?1")
            .and_then(|mut delete| delete.execute([no]))
            .map_err(step())?;
        if entries + postings > 0 {
            return Ok((place, entries.max(postings)));
        }
        // What changes from here on is told behind this event.
        let position = self.standing.last;
        let mark = self.standing.mark(self.state, position)?;
        let sources = self.standing.sources.clone();
        Ok((Place { phase: Phase::Building, at: 0, position, target: position, sources, mark }, 0))
    }

    /// Adds the records behind a number.
    fn build(&mut self, mut place: Place) -> Result<(Place, usize)> {
        let numbers = self.numbers(
            "SELECT record_no FROM records WHERE record_no > ?1 AND customer_no = ?2 AND state = 0
             ORDER BY record_no LIMIT ?3",
            params![place.at, self.standing.no, fault::step(STEP)],
        )?;
        for record_no in &numbers {
            self.put(*record_no)?;
        }
        place.target = self.standing.last;
        match numbers.last() {
            Some(last) => place.at = *last,
            None => {
                self.own_groups()?;
                place.phase = Phase::Following;
                place.sources.clone_from(&self.standing.sources);
            }
        }
        Ok((place, numbers.len()))
    }

    /// Takes over what events tell of, up to a number of records.
    fn follow(&mut self, mut place: Place) -> Result<(Place, usize)> {
        let step = || sql("read events");
        let mut changed: BTreeSet<RecordId> = BTreeSet::new();
        let mut members: BTreeSet<i64> = BTreeSet::new();
        let mut reached = self.standing.last;
        {
            let mut query = self
                .state
                .prepare_cached(
                    "SELECT last_sequence, segment FROM outbox WHERE customer_no = ?1 AND last_sequence > ?2
                     ORDER BY last_sequence",
                )
                .map_err(step())?;
            let mut rows = query.query(params![self.standing.no, place.position]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                if changed.len() + members.len() >= fault::step(STEP) {
                    break;
                }
                reached = row.get(0).map_err(step())?;
                let segment = row.get_ref(1).map_err(step())?.as_blob().map_err(|_| damaged("a segment of events"))?;
                let bytes = lz4_flex::decompress_size_prepended(segment).map_err(|_| damaged("a segment of events"))?;
                changed.extend(subjects(&bytes, is_of_record)?);
                self.members_in(&bytes, &mut members)?;
            }
        }
        let rows = changed.len() + members.len();
        place.at = self.take_over(changed, members, place.at)?;
        if place.sources != self.standing.sources {
            self.own_groups()?;
            place.sources.clone_from(&self.standing.sources);
        }
        place.position = reached;
        place.target = self.standing.last;
        place.mark = self.standing.mark(self.state, reached)?;
        Ok((place, rows))
    }

    /// Looks records up as they are now; returns the largest number that is known.
    ///
    /// `numbers` are those of members whose groups have changed.
    fn take_over(&mut self, mut changed: BTreeSet<RecordId>, mut numbers: BTreeSet<i64>, mut at: i64) -> Result<i64> {
        let own: BTreeSet<RecordId> = self.standing.own_groups()?.values().map(|group| group.id).collect();
        changed.retain(|id| !own.contains(id));
        let mut unknown = BTreeSet::new();
        for id in changed {
            match self.number_of(id)? {
                Some(record_no) => drop(numbers.insert(record_no)),
                None => drop(unknown.insert(*id.0.as_bytes())),
            }
        }
        // An apply writes the ids of new records at its end: until then they are found by their numbers, which are
        // larger than those before, unless another endpoint has drawn its own in between.
        for (low, high) in [(at, i64::MAX), (0, at)] {
            if !unknown.is_empty() {
                self.find_by_number(low, high, &mut unknown, &mut numbers)?;
            }
        }
        at = numbers.last().copied().map_or(at, |last| at.max(last));
        for record_no in numbers {
            self.put(record_no)?;
        }
        if !unknown.is_empty() {
            // Erased, or merged into others.
            self.sweep()?;
        }
        Ok(at)
    }

    /// Returns the record that a record is a part of, if it is absorbed.
    fn absorbed_into(&self, record_no: i64) -> Result<Option<i64>> {
        self.state
            .prepare_cached("SELECT into_no FROM absorbed WHERE record_no = ?1")
            .and_then(|mut query| query.query_row([record_no], |row| row.get(0)).optional())
            .map_err(sql("read a record"))
    }

    fn number_of(&self, id: RecordId) -> Result<Option<i64>> {
        self.state
            .prepare_cached("SELECT record_no FROM record_ids WHERE id = ?1")
            .and_then(|mut query| query.query_row([id.0.as_bytes()], |row| row.get(0)).optional())
            .map_err(sql("read a record"))
    }

    /// Adds the records whose memberships a segment tells of, by number.
    fn members_in(&self, segment: &[u8], found: &mut BTreeSet<i64>) -> Result<()> {
        let mut reader = Reader::new(segment, "a segment of events");
        let (endpoint, _) = header(&mut reader)?;
        let endpoint_no = endpoint.and_then(|name| self.standing.endpoint_no(&name));
        while !reader.is_at_end() {
            let EventEntry::Members { members, .. } = entry(&mut reader)? else { continue };
            for (member, _, joined) in members {
                if let Some(id) = joined {
                    let record_no = self.number_of(id)?;
                    found.extend(record_no);
                    if let Some(record_no) = record_no {
                        found.extend(self.absorbed_into(record_no)?);
                    }
                } else if let Some(endpoint_no) = endpoint_no {
                    let record_no: Option<i64> = self
                        .state
                        .prepare_cached(
                            "SELECT record_no FROM probes p JOIN objects o USING (object_no)
                             WHERE p.endpoint_no = ?1 AND source_key = ?2 AND facet = 0",
                        )
                        .and_then(|mut query| {
                            query.query_row(params![endpoint_no, member.id.key().0], |row| row.get(0)).optional()
                        })
                        .map_err(sql("read an object"))?;
                    found.extend(record_no);
                }
            }
        }
        Ok(())
    }

    fn find_by_number(
        &self,
        low: i64,
        high: i64,
        unknown: &mut BTreeSet<[u8; 16]>,
        numbers: &mut BTreeSet<i64>,
    ) -> Result<()> {
        let step = || sql("read records");
        let mut query = self
            .state
            .prepare_cached(
                "SELECT record_no, id FROM records WHERE record_no > ?1 AND record_no <= ?2 AND customer_no = ?3",
            )
            .map_err(step())?;
        let mut rows = query.query(params![low, high, self.standing.no]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let id: [u8; 16] = row.get(1).map_err(step())?;
            if unknown.remove(&id) {
                numbers.insert(row.get(0).map_err(step())?);
            }
        }
        Ok(())
    }

    /// Takes out whom the state file does not know any more.
    fn sweep(&mut self) -> Result<()> {
        let numbers = self.numbers(
            "SELECT record_no FROM entries INDEXED BY entries_k2 WHERE customer_no = ?1 AND k2 > x'' AND record_no > 0",
            params![self.standing.no],
        )?;
        for record_no in numbers {
            if !self.is_there(record_no)? {
                self.replace(record_no, None)?;
            }
        }
        Ok(())
    }

    fn is_there(&self, record_no: i64) -> Result<bool> {
        self.state
            .prepare_cached("SELECT 1 FROM records WHERE record_no = ?1 AND customer_no = ?2 AND state = 0")
            .and_then(|mut query| query.exists(params![record_no, self.standing.no]))
            .map_err(sql("read a record"))
    }

    /// Writes the endpoints' own groups.
    fn own_groups(&mut self) -> Result<()> {
        let mut groups: BTreeMap<i64, _> =
            self.standing.own_groups()?.into_iter().map(|(no, group)| (no, Some(group))).collect();
        for source in &self.standing.sources {
            groups.entry(-source.no).or_insert(None);
        }
        for (no, group) in groups {
            self.replace(no, group.map(|group| Entry::of(no, &group, true)))?;
        }
        Ok(())
    }

    /// Writes a record as it is now.
    fn put(&mut self, record_no: i64) -> Result<()> {
        let record = if self.is_there(record_no)? { load_record(self.state, record_no)? } else { None };
        let entry = match record {
            Some(record) => {
                let grouped = record.kind != ObjectKind::User || self.is_grouped(record_no)?;
                let mut entry = Entry::of(record_no, &record, grouped);
                if record.kind == ObjectKind::User && record.identities.len() > 1 {
                    let images = images(self.state, record_no)?;
                    entry.also_known_as(images.iter().flat_map(|image| addresses(&image.attributes)));
                }
                Some(entry)
            }
            None => None,
        };
        self.replace(record_no, entry)
    }

    /// Tells whether a record is in a group that is there.
    fn is_grouped(&self, record_no: i64) -> Result<bool> {
        let step = || sql("read memberships");
        let by_hand = self
            .state
            .prepare_cached(
                "SELECT 1 FROM manual_members JOIN records ON record_no = group_no WHERE state = 0
                   AND (member_no = ?1 OR member_no IN (SELECT record_no FROM absorbed WHERE into_no = ?1))",
            )
            .and_then(|mut query| query.exists([record_no]))
            .map_err(step())?;
        if by_hand {
            return Ok(true);
        }
        let mut query = self
            .state
            .prepare_cached(
                "SELECT groups FROM member_groups JOIN objects ON object_no = member_no
                 WHERE member_no = ?1 AND record_no = ?1
                 UNION ALL SELECT groups FROM objects INDEXED BY objects_joined JOIN member_groups ON member_no = object_no
                 WHERE record_no = ?1 AND record_no <> object_no",
            )
            .map_err(step())?;
        let mut rows = query.query([record_no]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let packed = row.get_ref(0).map_err(step())?.as_blob().map_err(|_| damaged("memberships"))?;
            for group_via in unpack_sorted(packed)? {
                let is_there = self
                    .state
                    .prepare_cached(
                        "SELECT 1 FROM objects o JOIN records r ON r.record_no = o.record_no
                         WHERE o.object_no = ?1 AND r.state = 0 AND r.kind = ?2",
                    )
                    .and_then(|mut query| query.exists(params![group_via / 2, kind_number(ObjectKind::Group)]))
                    .map_err(step())?;
                if is_there {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Replaces what the index keeps of a record.
    fn replace(&mut self, record_no: i64, entry: Option<Entry>) -> Result<()> {
        let step = || sql("write the index");
        let stored = stored(self.index, record_no)?;
        if stored == entry {
            return Ok(());
        }
        let (old, new) = (
            stored.as_ref().map(Entry::addresses).unwrap_or_default(),
            entry.as_ref().map(Entry::addresses).unwrap_or_default(),
        );
        self.addresses.extend(old.difference(&new).map(|hash| (*hash, record_no, false)));
        self.addresses.extend(new.difference(&old).map(|hash| (*hash, record_no, true)));
        let before = stored.as_ref().map(Entry::terms).transpose()?.unwrap_or_default();
        let after = entry.as_ref().map(Entry::terms).transpose()?.unwrap_or_default();
        let (chunk, place) = split(record_no);
        // Both are sorted: what is in both stays.
        let (mut old, mut new) = (before.into_iter().peekable(), after.into_iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(old), Some(new)) => old.cmp(new),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => break,
            };
            let gone = if order.is_le() { old.next() } else { None };
            let come = if order.is_ge() { new.next() } else { None };
            match (gone, come) {
                (Some(term), None) => self.changes.entry((term, chunk)).or_default().1.push(place),
                (None, Some(term)) => self.changes.entry((term, chunk)).or_default().0.push(place),
                _ => {}
            }
        }
        match entry {
            Some(Entry { kind, keys: [k1, k2, k3], text, facets }) => self
                .index
                .prepare_cached("INSERT OR REPLACE INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
                .and_then(|mut insert| {
                    insert.execute(params![record_no, self.standing.no, kind, k1, k2, k3, text, facets])
                }),
            None => self
                .index
                .prepare_cached("DELETE FROM entries WHERE record_no = ?1")
                .and_then(|mut delete| delete.execute([record_no])),
        }
        .map(drop)
        .map_err(step())
    }

    /// Writes the changes of all postings, each row once.
    fn write_postings(&mut self) -> Result<()> {
        let step = || sql("write the index");
        self.addresses.sort_unstable();
        for (hash, record_no, come) in self.addresses.drain(..) {
            let statement = if come {
                "INSERT OR IGNORE INTO addresses VALUES (?1, ?2, ?3)"
            } else {
                "DELETE FROM addresses WHERE customer_no = ?1 AND hash = ?2 AND record_no = ?3"
            };
            self.index
                .prepare_cached(statement)
                .and_then(|mut write| write.execute(params![self.standing.no, hash, record_no]))
                .map_err(step())?;
        }
        let mut changes: Vec<_> =
            self.changes.drain().map(|((term, chunk), change)| (term.to_bytes(), chunk, change)).collect();
        changes.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        for (term, chunk, (add, remove)) in changes {
            let stored: Option<Vec<u8>> = self
                .index
                .prepare_cached("SELECT bits FROM postings WHERE customer_no = ?1 AND term = ?2 AND chunk = ?3")
                .and_then(|mut query| {
                    query.query_row(params![self.standing.no, term, chunk], |row| row.get(0)).optional()
                })
                .map_err(step())?;
            let known = stored.is_some();
            let mut places = stored.map(|bytes| unpack(&bytes)).unwrap_or_default();
            for place in remove {
                places.remove(place);
            }
            places.extend(add);
            let key = params![self.standing.no, term, chunk];
            if places.is_empty() {
                self.index
                    .prepare_cached("DELETE FROM postings WHERE customer_no = ?1 AND term = ?2 AND chunk = ?3")
                    .and_then(|mut delete| delete.execute(key))
                    .map_err(step())?;
                continue;
            }
            let statement = if known {
                "UPDATE postings SET bits = ?4 WHERE customer_no = ?1 AND term = ?2 AND chunk = ?3"
            } else {
                "INSERT INTO postings VALUES (?1, ?2, ?3, ?4)"
            };
            self.index
                .prepare_cached(statement)
                .and_then(|mut write| write.execute(params![self.standing.no, term, chunk, pack(&places)]))
                .map_err(step())?;
        }
        Ok(())
    }

    fn numbers(&self, statement: &'static str, with: impl rusqlite::Params) -> Result<Vec<i64>> {
        let step = || sql("read records");
        let connection = if statement.contains("FROM entries") { self.index } else { self.state };
        let mut query = connection.prepare_cached(statement).map_err(step())?;
        let rows = query.query_map(with, |row| row.get(0)).map_err(step())?;
        rows.collect::<Result<_, _>>().map_err(step())
    }
}

/// Reads what the index keeps of a record.
pub(super) fn stored(index: &Connection, record_no: i64) -> Result<Option<Entry>> {
    index
        .prepare_cached("SELECT kind, k1, k2, k3, text, facets FROM entries WHERE record_no = ?1")
        .and_then(|mut query| {
            query
                .query_row([record_no], |row| {
                    let keys = [row.get(1)?, row.get(2)?, row.get(3)?];
                    Ok(Entry { kind: row.get(0)?, keys, text: row.get(4)?, facets: row.get(5)? })
                })
                .optional()
        })
        .map_err(sql("read the index"))
}

/// Tells whether the subject of an event is a record that may have changed.
fn is_of_record(event: EventType) -> bool {
    matches!(
        event,
        EventType::UserUpserted
            | EventType::UserRemoved
            | EventType::UserMerged
            | EventType::UserSplit
            | EventType::GroupUpserted
            | EventType::GroupRemoved
            | EventType::ComputerUpserted
            | EventType::ComputerRemoved
    )
}
