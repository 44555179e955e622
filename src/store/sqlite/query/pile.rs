//! Changes of postings, collected for many records and given back term by term, so that each row is written once.
//!
//! Sorted a part at a time and merged at the end: a table with a row for each term in memory took more room, and most
//! of the time. It does not know what a term stands for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::posting::split;
use crate::error::Result;
use crate::store::codec::{self, Reader};

/// Bytes of a term that sort as two numbers, with its length. Longer ones are those of scripts other than Latin.
const SHORT: usize = 15;
/// Changes that are sorted at once.
const AT_ONCE: usize = 1 << 18;
/// What a long term takes besides its bytes.
const OVERHEAD: usize = 96;
/// Makes numbers of rows positive: those of endpoints' own groups are not.
const BIAS: i64 = 1 << 40;

/// A short term, and a change.
type Line = [u64; 3];

/// A place that comes or goes: by row, place, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Change(u64);

impl Change {
    fn of(record_no: i64, comes: bool) -> Self {
        let (chunk, place) = split(record_no);
        Self((chunk + BIAS).unsigned_abs() << 17 | u64::from(place) << 1 | u64::from(comes))
    }

    /// Returns the row.
    pub(super) fn chunk(self) -> i64 {
        (self.0 >> 17).cast_signed() - BIAS
    }

    /// Returns the place in its row.
    #[allow(clippy::cast_possible_truncation)] // sixteen bits
    pub(super) fn place(self) -> u16 {
        (self.0 >> 1) as u16
    }

    /// Tells whether the place comes.
    pub(super) fn comes(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Changes of postings.
#[derive(Default)]
pub(super) struct Pile {
    lines: Vec<Line>,
    /// Sorted changes: terms, each with what it shares with the one before left out, and behind each its changes.
    runs: Vec<Vec<u8>>,
    long: BTreeMap<Box<[u8]>, Vec<u64>>,
    bytes: usize,
}

impl Pile {
    /// Adds a change of a term; the same one may be added again. One that comes and goes stays as it is.
    pub(super) fn add(&mut self, term: &[u8], record_no: i64, comes: bool) {
        let change = Change::of(record_no, comes).0;
        if let Some([high, low]) = packed(term) {
            self.lines.push([high, low, change]);
            if self.lines.len() == AT_ONCE {
                self.end_run();
            }
            return;
        }
        self.bytes += 8;
        match self.long.get_mut(term) {
            Some(changes) => changes.push(change),
            None => {
                self.bytes += term.len() + OVERHEAD;
                self.long.insert(term.into(), vec![change]);
            }
        }
    }

    /// Returns the memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.lines.capacity() * size_of::<Line>()
    }

    fn end_run(&mut self) {
        self.lines.sort_unstable();
        self.lines.dedup();
        let mut run = Vec::with_capacity(self.lines.len() * 2);
        let mut before = Vec::new();
        for of_one in self.lines.chunk_by(|a, b| a[..2] == b[..2]) {
            let term = unpacked([of_one[0][0], of_one[0][1]]);
            let shared = term.iter().zip(&before).take_while(|(a, b)| a == b).count();
            codec::push_number(&mut run, shared as u64);
            codec::push_bytes(&mut run, &term[shared..]);
            codec::push_number(&mut run, of_one.len() as u64);
            let mut last = 0;
            for [.., change] in of_one {
                codec::push_number(&mut run, change - last);
                last = *change;
            }
            before = term;
        }
        self.lines.clear();
        run.shrink_to_fit();
        self.bytes += run.len();
        self.runs.push(run);
    }

    /// Gives everything back: each term once, with its changes in order. Short terms come in their order, then long ones.
    pub(super) fn take(&mut self, mut each: impl FnMut(&[u8], &[Change]) -> Result<()>) -> Result<()> {
        self.end_run();
        self.lines = Vec::new();
        self.bytes = 0;
        let (runs, long) = (std::mem::take(&mut self.runs), std::mem::take(&mut self.long));
        let mut readers = Vec::with_capacity(runs.len());
        let mut next = BinaryHeap::new();
        for (at, run) in runs.iter().enumerate() {
            let mut reader = Run { rest: Reader::new(run, "collected changes"), term: Vec::new() };
            if reader.advance()? {
                next.push(Reverse((reader.term.clone(), at)));
            }
            readers.push(reader);
        }
        let mut changes = Vec::new();
        while let Some(Reverse((term, at))) = next.pop() {
            readers[at].changes(&mut changes)?;
            if readers[at].advance()? {
                next.push(Reverse((readers[at].term.clone(), at)));
            }
            if next.peek().is_none_or(|Reverse((other, _))| *other != term) {
                settle(&mut changes);
                each(&term, &changes)?;
                changes.clear();
            }
        }
        for (term, numbers) in long {
            changes.extend(numbers.into_iter().map(Change));
            settle(&mut changes);
            each(&term, &changes)?;
            changes.clear();
        }
        Ok(())
    }
}

/// Puts changes in order, and leaves out what comes and goes.
fn settle(changes: &mut Vec<Change>) {
    if !changes.is_sorted() {
        changes.sort_unstable();
    }
    changes.dedup();
    if changes.iter().all(|change| change.comes()) {
        return;
    }
    let both = |a: &Change, b: &Change| a.0 | 1 == b.0 | 1;
    let left: Vec<Change> =
        changes.chunk_by(both).filter(|of_one| of_one.len() == 1).flat_map(|of_one| of_one.iter().copied()).collect();
    *changes = left;
}

/// Packs a short term so that it sorts as its bytes do: what it lacks are zeros, and its length comes last.
#[allow(clippy::cast_possible_truncation)] // at most fifteen
fn packed(term: &[u8]) -> Option<[u64; 2]> {
    if term.len() > SHORT {
        return None;
    }
    let mut bytes = [0; 16];
    bytes[..term.len()].copy_from_slice(term);
    bytes[15] = term.len() as u8;
    let number = u128::from_be_bytes(bytes);
    Some([(number >> 64) as u64, number as u64])
}

fn unpacked([high, low]: [u64; 2]) -> Vec<u8> {
    let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
    bytes[..usize::from(bytes[15])].to_vec()
}

/// A run that is read back.
struct Run<'a> {
    rest: Reader<'a>,
    term: Vec<u8>,
}

impl Run<'_> {
    /// Reads the next term; its changes follow.
    fn advance(&mut self) -> Result<bool> {
        if self.rest.is_at_end() {
            return Ok(false);
        }
        let shared = usize::try_from(self.rest.number()?).unwrap_or_default();
        self.term.truncate(shared);
        self.term.extend_from_slice(self.rest.bytes()?);
        Ok(true)
    }

    fn changes(&mut self, out: &mut Vec<Change>) -> Result<()> {
        let mut last = 0;
        for _ in 0..self.rest.number()? {
            last += self.rest.number()?;
            out.push(Change(last));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_gives_back_what_a_map_has(
            adds in prop::collection::vec((prop::collection::vec(0_u8..3, 0..18), -3_i64..200_000, any::<bool>()), 0..200),
            every in 1_usize..40,
        ) {
            let (mut pile, mut map) = (Pile::default(), BTreeMap::<Vec<u8>, BTreeSet<(i64, bool)>>::new());
            for (at, (term, record_no, comes)) in adds.into_iter().enumerate() {
                pile.add(&term, record_no, comes);
                map.entry(term).or_default().insert((record_no, comes));
                if at % every == 0 {
                    pile.end_run();
                }
            }
            let mut found = BTreeMap::new();
            pile.take(|term, changes| {
                let numbers: BTreeSet<(i64, bool)> =
                    changes.iter().map(|one| (one.chunk() << 16 | i64::from(one.place()), one.comes())).collect();
                assert_eq!(numbers.len(), changes.len());
                assert!(changes.is_sorted());
                assert!(found.insert(term.to_vec(), numbers).is_none());
                Ok(())
            }).unwrap();
            for changes in map.values_mut() {
                let both = changes.clone();
                changes.retain(|(record_no, comes)| !both.contains(&(*record_no, !comes)));
            }
            prop_assert_eq!(found, map);
        }

        #[test]
        fn short_terms_sort_as_their_bytes(
            a in prop::collection::vec(any::<u8>(), 0..16), b in prop::collection::vec(any::<u8>(), 0..16)
        ) {
            let (x, y) = (packed(&a).unwrap(), packed(&b).unwrap());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(unpacked(x), a);
        }
    }
}
