//! Brings the index up to the state file: built from the records, then kept by the events.
//!
//! In steps, each one transaction of the index: killed in between, the next one goes on. It never writes the state.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::entry::Entry;
use super::keys::Keys;
use super::pile::{Change, Pile};
use super::posting::{pack, pack_sorted, split, unpack};
use super::standing::{Need, Phase, Place, Standing};
use crate::error::Result;
use crate::model::{AttributeName, EventType, ObjectKind, Record, RecordId, names};
use crate::rules::join::addresses;
use crate::store::codec::{Reader, unpack_sorted};
use crate::store::fault;
use crate::store::sqlite::apply::{images, load_record};
use crate::store::sqlite::redaction::{Entry as EventEntry, entry, header, subjects};
use crate::store::sqlite::{damaged, kind_number, sql};

/// Records of one step.
const STEP: usize = 16_384;
/// Records of one step of building: those of one row of a posting, unless they have too much to say.
const BUILD_STEP: usize = 65_536;
/// Bytes that a step of building collects before it writes them.
const FULL: usize = 20 << 20;

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
        let mut step_of = Step::new(state, &transaction, standing)?;
        let (place, rows) = match place.phase {
            Phase::Clearing => step_of.clear(place)?,
            Phase::Building => step_of.build(place)?,
            Phase::Following => step_of.follow(place)?,
        };
        step_of.write()?;
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
    let mut step_of = Step::new(state, &transaction, standing)?;
    step_of.sweep()?;
    step_of.write()?;
    fault::point();
    transaction.commit().map_err(step())?;
    fault::point();
    Ok(())
}

/// One transaction.
struct Step<'a> {
    state: &'a Connection,
    index: &'a Connection,
    standing: &'a Standing,
    postings: Pile,
    orders: Keys,
    /// Hashes of addresses that records have from now on, or no longer.
    addresses: Vec<(i64, i64, bool)>,
    /// The first row of postings that no step has written before.
    fresh: Option<i64>,
    /// Whether there are memberships made by hand.
    any_by_hand: bool,
}

impl<'a> Step<'a> {
    fn new(state: &'a Connection, index: &'a Connection, standing: &'a Standing) -> Result<Self> {
        let any_by_hand = state
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM manual_members WHERE customer_no = ?1)")
            .and_then(|mut query| query.query_row([standing.no], |row| row.get(0)))
            .map_err(sql("read memberships"))?;
        let (postings, orders, addresses) = (Pile::default(), Keys::default(), Vec::new());
        Ok(Self { state, index, standing, postings, orders, addresses, fresh: None, any_by_hand })
    }

    /// Removes what is there of the customer; then it is built.
    fn clear(&self, place: Place) -> Result<(Place, usize)> {
        let step = || sql("clear the index");
        let no = self.standing.no;
        let numbers = numbers(
            self.index,
            "SELECT record_no FROM orders WHERE customer_no = ?1 AND by = 2 LIMIT ?2",
            params![no, fault::step(STEP)],
        )?;
        for record_no in &numbers {
            if let Some(entry) = stored(self.index, *record_no)? {
                for (by, kind, key) in entry.orders() {
                    remove_key(self.index, no, by, kind, key)?;
                }
            }
            self.index
                .prepare_cached("DELETE FROM entries WHERE record_no = ?1")
                .and_then(|mut delete| delete.execute([record_no]))
                .map_err(step())?;
        }
        let entries = numbers.len();
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
        let numbers = numbers(
            self.state,
            "SELECT record_no FROM records WHERE record_no > ?1 AND customer_no = ?2 AND state = 0
             ORDER BY record_no LIMIT ?3",
            params![place.at, self.standing.no, fault::step(BUILD_STEP)],
        )?;
        self.fresh = Some(if place.at == 0 { 0 } else { split(place.at).0 + 1 });
        place.target = self.standing.last;
        let mut taken = 0;
        for record_no in &numbers {
            let ends_row = taken > 0 && split(*record_no).0 != split(place.at).0;
            if ends_row || self.postings.bytes() + self.orders.bytes() >= FULL {
                break;
            }
            let record = load_record(self.state, *record_no)?;
            let entry = record.map(|record| self.entry(*record_no, &record)).transpose()?;
            self.change(*record_no, None, entry)?;
            place.at = *record_no;
            taken += 1;
        }
        if numbers.is_empty() {
            self.own_groups()?;
            place.phase = Phase::Following;
            place.sources.clone_from(&self.standing.sources);
        }
        Ok((place, taken))
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
        let numbers = numbers(
            self.index,
            "SELECT record_no FROM orders WHERE customer_no = ?1 AND by = 2 AND record_no > 0",
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
        let entry = record.map(|record| self.entry(record_no, &record)).transpose()?;
        self.replace(record_no, entry)
    }

    /// Describes a record that is there.
    fn entry(&self, record_no: i64, record: &Record) -> Result<Entry> {
        let grouped = record.kind != ObjectKind::User || self.is_grouped(record_no)?;
        let mut entry = Entry::of(record_no, record, grouped);
        // A local value covers an address only where it is yielded.
        let covers = |name: &AttributeName| {
            record.lock.as_ref().is_some_and(|lock| lock.yielded.iter().any(|yielded| yielded == name.as_str()))
        };
        let several = record.identities.len() > 1 || covers(&names::PRIMARY_EMAIL) || covers(&names::ALIASES);
        if record.kind == ObjectKind::User && several {
            let images = images(self.state, record_no)?;
            entry.also_known_as(images.iter().flat_map(|image| addresses(&image.attributes)));
        }
        Ok(entry)
    }

    /// Tells whether a record is in a group that is there.
    fn is_grouped(&self, record_no: i64) -> Result<bool> {
        let step = || sql("read memberships");
        if self.any_by_hand {
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
        let stored = stored(self.index, record_no)?;
        if stored == entry { Ok(()) } else { self.change(record_no, stored.as_ref(), entry) }
    }

    fn change(&mut self, record_no: i64, old: Option<&Entry>, new: Option<Entry>) -> Result<()> {
        let of = |entry: Option<&Entry>| entry.map(Entry::addresses).unwrap_or_default();
        let (before, after) = (of(old), of(new.as_ref()));
        self.addresses.extend(before.difference(&after).map(|hash| (*hash, record_no, false)));
        self.addresses.extend(after.difference(&before).map(|hash| (*hash, record_no, true)));
        for (entry, comes) in [(old, false), (new.as_ref(), true)] {
            let Some(entry) = entry else { continue };
            let postings = &mut self.postings;
            entry.each_term(|term| postings.add(term, record_no, comes))?;
        }
        if let Some(old) = old {
            for (by, kind, key) in old.orders() {
                remove_key(self.index, self.standing.no, by, kind, key)?;
            }
        }
        if let Some(new) = &new {
            for (by, kind, key) in new.orders() {
                self.orders.add(by, kind, key, record_no);
            }
        }
        match new {
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
        .map_err(sql("write the index"))
    }

    /// Writes what was collected, each row once, in their order.
    fn write(&mut self) -> Result<()> {
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
        let mut insert =
            self.index.prepare_cached("INSERT OR REPLACE INTO orders VALUES (?1, ?2, ?3, ?4, ?5)").map_err(step())?;
        self.orders.take(|by, kind, key, record_no| {
            insert.execute(params![self.standing.no, by, kind, key, record_no]).map(drop).map_err(step())
        })?;
        let mut postings = std::mem::take(&mut self.postings);
        postings.take(|term, changes| {
            changes.chunk_by(|a, b| a.chunk() == b.chunk()).try_for_each(|changes| self.write_posting(term, changes))
        })
    }

    /// Writes one row of postings.
    fn write_posting(&self, term: &[u8], changes: &[Change]) -> Result<()> {
        let step = || sql("write the index");
        let Some(chunk) = changes.first().map(|change| change.chunk()) else { return Ok(()) };
        let key = params![self.standing.no, term, chunk];
        let (known, bits) = if self.fresh.is_some_and(|fresh| chunk >= fresh) {
            (false, pack_sorted(changes.iter().map(|change| change.place())))
        } else {
            let stored: Option<Vec<u8>> = self
                .index
                .prepare_cached("SELECT bits FROM postings WHERE customer_no = ?1 AND term = ?2 AND chunk = ?3")
                .and_then(|mut query| query.query_row(key, |row| row.get(0)).optional())
                .map_err(step())?;
            let mut places = stored.as_deref().map(unpack).unwrap_or_default();
            for change in changes {
                if change.comes() {
                    places.insert(change.place().into());
                } else {
                    places.remove(change.place().into());
                }
            }
            (stored.is_some(), pack(&places))
        };
        let statement = match (known, bits.is_empty()) {
            (true, true) => "DELETE FROM postings WHERE customer_no = ?1 AND term = ?2 AND chunk = ?3",
            (false, true) => return Ok(()),
            (true, false) => "UPDATE postings SET bits = ?4 WHERE customer_no = ?1 AND term = ?2 AND chunk = ?3",
            (false, false) => "INSERT INTO postings VALUES (?1, ?2, ?3, ?4)",
        };
        let mut write = self.index.prepare_cached(statement).map_err(step())?;
        if bits.is_empty() { write.execute(key) } else { write.execute(params![self.standing.no, term, chunk, bits]) }
            .map(drop)
            .map_err(step())
    }
}

/// Reads numbers of records.
fn numbers(connection: &Connection, statement: &str, with: impl rusqlite::Params) -> Result<Vec<i64>> {
    let step = || sql("read records");
    let mut query = connection.prepare_cached(statement).map_err(step())?;
    let rows = query.query_map(with, |row| row.get(0)).map_err(step())?;
    rows.collect::<Result<_, _>>().map_err(step())
}

/// Takes a sort key out.
fn remove_key(index: &Connection, customer_no: i64, by: i64, kind: i64, key: &[u8]) -> Result<()> {
    index
        .prepare_cached("DELETE FROM orders WHERE customer_no = ?1 AND by = ?2 AND kind = ?3 AND key = ?4")
        .and_then(|mut delete| delete.execute(params![customer_no, by, kind, key]))
        .map(drop)
        .map_err(sql("write the index"))
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
