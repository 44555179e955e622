//! Which segments of events may tell of a record: hashes of whom each segment tells of, kept beside the state file.
//!
//! They lie in runs of segments, sorted by hash: a record is looked for once in each run. What is not there is told
//! nowhere; what is there is but for one in some thousand. It is made again from the events at any time.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::error::Result;
use crate::store::fault;
use crate::store::sqlite::feed::keys_in;
use crate::store::sqlite::{damaged, sql};

/// Places of a run at which it is whole: none is added to it any more.
const WHOLE: usize = 1 << 19;
/// Places of a row, at least: a page of the index holds several rows.
const PLACES_A_ROW: usize = 64;
/// Bytes of a place: a hash, and the number of a segment in its run.
const PLACE: usize = 6;
/// Runs that are at most so many times as large are written together with what follows them.
const TOGETHER: usize = 4;

/// A hash of somebody, and a segment that tells of it, by its number in the run.
type Place = (u32, u16);

/// What is told of whom, in some segments that follow each other.
#[derive(Default)]
struct Run {
    /// The last event of each segment.
    segments: Vec<u64>,
    places: Vec<Place>,
}

#[allow(clippy::cast_possible_truncation)] // the first 32 bits
fn hash(key: u128) -> u32 {
    (key >> 96) as u32
}

/// Returns how many bits of a hash tell the row, where there are so many places.
fn bits(places: usize) -> u32 {
    (places / PLACES_A_ROW).checked_ilog2().unwrap_or(0)
}

fn row_of(hash: u32, bits: u32) -> u32 {
    hash.checked_shr(32 - bits).unwrap_or(0)
}

impl Run {
    fn is_whole(&self) -> bool {
        self.places.len() >= WHOLE || self.segments.len() >= usize::from(u16::MAX) / (TOGETHER * 2)
    }

    fn add(&mut self, last: u64, segment: &[u8]) -> Result<()> {
        let number = u16::try_from(self.segments.len()).map_err(|_| damaged("the index"))?;
        self.segments.push(last);
        let mut hashes: Vec<u32> = keys_in(segment)?.into_iter().map(hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        self.places.extend(hashes.into_iter().map(|hash| (hash, number)));
        Ok(())
    }

    /// Puts an earlier run before this one.
    fn follow(&mut self, mut earlier: Self) -> Result<()> {
        let by = u16::try_from(earlier.segments.len()).map_err(|_| damaged("the index"))?;
        earlier.places.extend(self.places.iter().map(|(hash, number)| (*hash, number.saturating_add(by))));
        earlier.segments.append(&mut self.segments);
        *self = earlier;
        Ok(())
    }

    /// Reads the last run of a customer, if it is at most so large.
    fn last(index: &Connection, customer_no: i64, most: usize) -> Result<Option<(u64, Self)>> {
        let step = || sql("read the index");
        let found: Option<(u64, Vec<u8>, usize)> = index
            .prepare_cached("SELECT upto, segments, places FROM runs WHERE customer_no = ?1 ORDER BY upto DESC LIMIT 1")
            .and_then(|mut query| {
                query.query_row([customer_no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
            })
            .map_err(step())?;
        let Some((upto, segments, places)) = found.filter(|(.., places)| *places <= most) else { return Ok(None) };
        let mut run = Self { segments: numbers(&segments), places: Vec::with_capacity(places) };
        let mut query =
            index.prepare_cached("SELECT places FROM touched WHERE customer_no = ?1 AND upto = ?2").map_err(step())?;
        let mut rows = query.query(params![customer_no, upto]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let bytes = row.get_ref(0).map_err(step())?.as_blob().map_err(|_| damaged("the index"))?;
            run.places.extend(bytes.as_chunks::<PLACE>().0.iter().map(place));
        }
        Ok(Some((upto, run)))
    }

    fn write(&mut self, index: &Connection, customer_no: i64) -> Result<()> {
        let step = || sql("write the index");
        let Some(upto) = self.segments.last().copied() else { return Ok(()) };
        self.places.sort_unstable();
        let bits = bits(self.places.len());
        let segments: Vec<u8> = self.segments.iter().flat_map(|last| last.to_le_bytes()).collect();
        index
            .prepare_cached("INSERT INTO runs VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut insert| insert.execute(params![customer_no, upto, self.places.len(), bits, segments]))
            .map_err(step())?;
        let mut insert = index.prepare_cached("INSERT INTO touched VALUES (?1, ?2, ?3, ?4)").map_err(step())?;
        for of_row in self.places.chunk_by(|a, b| row_of(a.0, bits) == row_of(b.0, bits)) {
            let mut bytes = Vec::with_capacity(of_row.len() * PLACE);
            for (hash, number) in of_row {
                bytes.extend_from_slice(&hash.to_le_bytes());
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            insert.execute(params![customer_no, upto, row_of(of_row[0].0, bits), bytes]).map_err(step())?;
        }
        Ok(())
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "read out of slices")]
fn place(bytes: &[u8; PLACE]) -> Place {
    let [hash @ .., low, high] = *bytes;
    (u32::from_le_bytes(hash), u16::from_le_bytes([low, high]))
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number)).collect()
}

/// Tells whether every segment of a customer is in the index.
pub(super) fn is_complete(state: &Connection, index: &Connection, customer_no: i64) -> Result<bool> {
    let last: Option<u64> = state
        .prepare_cached("SELECT max(last_sequence) FROM outbox WHERE customer_no = ?1")
        .and_then(|mut query| query.query_row([customer_no], |row| row.get(0)))
        .map_err(sql("read events"))?;
    Ok(last.is_none() || last == reached(index, customer_no)?)
}

fn reached(index: &Connection, customer_no: i64) -> Result<Option<u64>> {
    index
        .prepare_cached("SELECT max(upto) FROM runs WHERE customer_no = ?1")
        .and_then(|mut query| query.query_row([customer_no], |row| row.get(0)))
        .map_err(sql("read the index"))
}

/// Adds the segments that are missing, in steps: killed in between, the next call goes on. The caller has the lock, and
/// the state's connection is in a transaction.
pub(super) fn advance(state: &Connection, index: &mut Connection, customer_no: i64) -> Result<()> {
    let step = || sql("write the index");
    loop {
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
        let mut run = Run::default();
        {
            let mut query = state
                .prepare_cached(
                    "SELECT last_sequence, segment FROM outbox WHERE customer_no = ?1 AND last_sequence > ?2
                     ORDER BY last_sequence LIMIT ?3",
                )
                .map_err(step())?;
            let after = reached(&transaction, customer_no)?.unwrap_or_default();
            let mut rows = query.query(params![customer_no, after, fault::step(WHOLE)]).map_err(step())?;
            while !run.is_whole()
                && let Some(row) = rows.next().map_err(step())?
            {
                let segment = row.get_ref(1).map_err(step())?.as_blob().map_err(|_| damaged("a segment of events"))?;
                run.add(row.get(0).map_err(step())?, segment)?;
            }
        }
        if run.segments.is_empty() {
            return Ok(());
        }
        // Few runs, each looked into once: one that is small is written again with the next.
        while !run.is_whole()
            && let Some((upto, earlier)) = Run::last(&transaction, customer_no, run.places.len() * TOGETHER)?
            && !earlier.is_whole()
        {
            remove(&transaction, customer_no, upto, upto)?;
            run.follow(earlier)?;
        }
        run.write(&transaction, customer_no)?;
        // Segments that are no longer kept need no places.
        remove(&transaction, customer_no, 0, first_kept(state, customer_no)?.saturating_sub(1))?;
        fault::point();
        transaction.commit().map_err(step())?;
        fault::point();
    }
}

/// Removes the runs that end between two events.
fn remove(index: &Connection, customer_no: i64, from: u64, upto: u64) -> Result<()> {
    for statement in [
        "DELETE FROM touched WHERE customer_no = ?1 AND upto BETWEEN ?2 AND ?3",
        "DELETE FROM runs WHERE customer_no = ?1 AND upto BETWEEN ?2 AND ?3",
    ] {
        index
            .prepare_cached(statement)
            .and_then(|mut delete| delete.execute(params![customer_no, from, upto]))
            .map_err(sql("write the index"))?;
    }
    Ok(())
}

fn first_kept(state: &Connection, customer_no: i64) -> Result<u64> {
    state
        .prepare_cached("SELECT coalesce(min(last_sequence), 0) FROM outbox WHERE customer_no = ?1")
        .and_then(|mut query| query.query_row([customer_no], |row| row.get(0)))
        .map_err(sql("read events"))
}

/// How a run is looked into.
pub(super) const LOOK_UP: &str = "SELECT places FROM touched WHERE customer_no = ?1 AND upto = ?2 AND slot = ?3";

/// Lists the segments, by their last events, that may tell of one of some keys; those that are not in the index may.
pub(in super::super) fn may_tell(
    state: &Connection,
    index: &Connection,
    customer_no: i64,
    keys: &[u128],
) -> Result<BTreeSet<u64>> {
    let step = || sql("read events");
    let mut found = find(index, customer_no, keys)?;
    let after = reached(index, customer_no)?.unwrap_or_default();
    let mut query = state
        .prepare_cached("SELECT last_sequence FROM outbox WHERE customer_no = ?1 AND last_sequence > ?2")
        .map_err(step())?;
    let rows = query.query_map(params![customer_no, after], |row| row.get::<_, u64>(0)).map_err(step())?;
    for last in rows {
        found.insert(last.map_err(step())?);
    }
    Ok(found)
}

/// Looks some keys up in every run.
fn find(index: &Connection, customer_no: i64, keys: &[u128]) -> Result<BTreeSet<u64>> {
    let step = || sql("read the index");
    let mut found = BTreeSet::new();
    let mut query = index
        .prepare_cached("SELECT upto, bits, segments FROM runs WHERE customer_no = ?1 ORDER BY upto")
        .map_err(step())?;
    let mut rows = query.query([customer_no]).map_err(step())?;
    while let Some(row) = rows.next().map_err(step())? {
        let (upto, bits): (u64, u32) = (row.get(0).map_err(step())?, row.get(1).map_err(step())?);
        let segments = row.get_ref(2).map_err(step())?.as_blob().map_err(|_| damaged("the index"))?;
        let (segments, _) = segments.as_chunks::<8>();
        for key in keys {
            let hash = hash(*key);
            let places: Option<Vec<u8>> = index
                .prepare_cached(LOOK_UP)
                .and_then(|mut query| {
                    query.query_row(params![customer_no, upto, row_of(hash, bits)], |row| row.get(0)).optional()
                })
                .map_err(step())?;
            let places = places.unwrap_or_default();
            let (places, _) = places.as_chunks::<PLACE>();
            let from = places.partition_point(|bytes| place(bytes).0 < hash);
            let theirs = places[from..].iter().map(place).take_while(|(other, _)| *other == hash);
            let lasts = theirs.filter_map(|(_, number)| segments.get(usize::from(number)));
            found.extend(lasts.map(|last| u64::from_le_bytes(*last)));
        }
    }
    Ok(found)
}

/// Forgets whom the segments of a customer tell of.
pub(super) fn clear(index: &Connection, customer_no: i64) -> Result<()> {
    for statement in ["DELETE FROM runs WHERE customer_no = ?1", "DELETE FROM touched WHERE customer_no = ?1"] {
        index
            .prepare_cached(statement)
            .and_then(|mut delete| delete.execute([customer_no]))
            .map_err(sql("clear the index"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> u128 {
        xxhash_rust::xxh3::xxh3_128(&number.to_be_bytes())
    }

    /// A run of segments, each telling of some numbers in a row.
    fn run(segments: std::ops::Range<u64>, each: u64) -> Run {
        let mut run = Run::default();
        for (number, segment) in segments.enumerate() {
            run.segments.push(segment * 100);
            let theirs = segment * each..(segment + 1) * each;
            run.places.extend(theirs.map(|of| (hash(key(of)), u16::try_from(number).unwrap())));
        }
        run
    }

    #[test]
    fn who_is_told_of_is_found_and_nobody_else_but_for_few() {
        let index = Connection::open_in_memory().unwrap();
        index.execute_batch(include_str!("schema.sql")).unwrap();
        run(1..30, 2000).write(&index, 7).unwrap();
        run(30..31, 3).write(&index, 7).unwrap();
        // A small one is written again with the next, and both are found in it.
        let (upto, earlier) = Run::last(&index, 7, 8).unwrap().unwrap();
        assert!(Run::last(&index, 7, 2).unwrap().is_none());
        remove(&index, 7, upto, upto).unwrap();
        let mut next = run(31..33, 3);
        next.follow(earlier).unwrap();
        assert_eq!((upto, next.segments.as_slice()), (3000, [3000, 3100, 3200].as_slice()));
        next.write(&index, 7).unwrap();
        for (segment, each) in [(1, 2000), (15, 2000), (29, 2000), (30, 3), (31, 3), (32, 3)] {
            for number in [segment * each, (segment + 1) * each - 1] {
                let found = find(&index, 7, &[key(number)]).unwrap();
                assert!(found.contains(&(segment * 100)), "{number}: {found:?}");
            }
        }
        let wrong = (100_000..200_000).filter(|number| !find(&index, 7, &[key(*number)]).unwrap().is_empty()).count();
        assert!(wrong < 20, "{wrong} of 100000");
        assert!(find(&index, 8, &[key(2000)]).unwrap().is_empty());
    }
}
