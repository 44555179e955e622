//! Sets of record numbers, packed by 65536 numbers: how they are stored, and how they are put together.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

/// Bytes of a row that has a bit for each number.
const DENSE: usize = 8192;
/// Numbers from which on bits are shorter than numbers.
const MANY: u64 = 4096;

/// Splits a record number into the number of its row and its place there.
pub(super) fn split(record_no: i64) -> (i64, u32) {
    (record_no >> 16, u32::from(low(record_no)))
}

/// Packs the places of one row. All of them are below 65536.
pub(super) fn pack(places: &RoaringBitmap) -> Vec<u8> {
    if places.len() < MANY {
        return places.iter().flat_map(|place| low(place.into()).to_le_bytes()).collect();
    }
    let mut bits = vec![0_u8; DENSE];
    for place in places {
        bits[usize::from(low(place.into())) / 8] |= 1 << (place % 8);
    }
    bits
}

/// Packs the places of one row, in order and each once, as [`pack`] does.
pub(super) fn pack_sorted(places: impl ExactSizeIterator<Item = u16>) -> Vec<u8> {
    if (places.len() as u64) < MANY {
        return places.flat_map(u16::to_le_bytes).collect();
    }
    let mut bits = vec![0_u8; DENSE];
    for place in places {
        bits[usize::from(place) / 8] |= 1 << (place % 8);
    }
    bits
}

/// Returns the low 16 bits: all of a place.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the low bits are what is wanted
fn low(number: i64) -> u16 {
    number as u16
}

/// Unpacks one row. What cannot be read is left out: the index is not the truth.
pub(super) fn unpack(bytes: &[u8]) -> RoaringBitmap {
    if bytes.len() == DENSE {
        return RoaringBitmap::from_lsb0_bytes(0, bytes);
    }
    let (places, _) = bytes.as_chunks::<2>();
    places.iter().map(|place| u32::from(u16::from_le_bytes(*place))).collect()
}

/// A set of record numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Set {
    rows: BTreeMap<i64, RoaringBitmap>,
}

impl Set {
    pub(super) fn add_row(&mut self, chunk: i64, places: RoaringBitmap) {
        if !places.is_empty() {
            *self.rows.entry(chunk).or_default() |= places;
        }
    }

    pub(super) fn insert(&mut self, record_no: i64) {
        let (chunk, place) = split(record_no);
        self.rows.entry(chunk).or_default().insert(place);
    }

    pub(super) fn contains(&self, record_no: i64) -> bool {
        let (chunk, place) = split(record_no);
        self.rows.get(&chunk).is_some_and(|row| row.contains(place))
    }

    pub(super) fn len(&self) -> u64 {
        self.rows.values().map(RoaringBitmap::len).sum()
    }

    pub(super) fn last(&self) -> Option<i64> {
        self.rows.iter().rev().find_map(|(chunk, row)| row.max().map(|place| chunk << 16 | i64::from(place)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.values().all(RoaringBitmap::is_empty)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        self.rows.iter().flat_map(|(chunk, row)| row.iter().map(move |place| chunk << 16 | i64::from(place)))
    }

    pub(super) fn union(&mut self, other: Self) {
        for (chunk, row) in other.rows {
            self.add_row(chunk, row);
        }
    }

    pub(super) fn intersect(&mut self, other: &Self) {
        self.rows.retain(|chunk, row| {
            match other.rows.get(chunk) {
                Some(other) => *row &= other,
                None => row.clear(),
            }
            !row.is_empty()
        });
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        for (chunk, row) in &mut self.rows {
            if let Some(other) = other.rows.get(chunk) {
                *row -= other;
            }
        }
    }
}

impl FromIterator<i64> for Set {
    fn from_iter<T: IntoIterator<Item = i64>>(numbers: T) -> Self {
        let mut set = Self::default();
        for number in numbers {
            set.insert(number);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_row_reads_back(places in proptest::collection::btree_set(0_u32..65536, 0..200), every in 1_u32..40) {
            let few: RoaringBitmap = places.into_iter().collect();
            let many: RoaringBitmap = (0..65536).step_by(every as usize).collect();
            for row in [few.clone(), many.clone(), &many - &few] {
                let places: Vec<u16> = row.iter().map(|place| u16::try_from(place).unwrap()).collect();
                prop_assert_eq!(pack_sorted(places.into_iter()), pack(&row));
                prop_assert_eq!(unpack(&pack(&row)), row);
            }
        }

        #[test]
        fn sets_behave_like_sets(
            a in proptest::collection::btree_set(-70_000_i64..200_000, 0..100),
            b in proptest::collection::btree_set(-70_000_i64..200_000, 0..100),
        ) {
            let (x, y): (Set, Set) = (a.iter().copied().collect(), b.iter().copied().collect());
            let numbers = |set: &Set| set.iter().collect::<Vec<_>>();
            prop_assert_eq!(numbers(&x), a.iter().copied().collect::<Vec<_>>());
            let mut both = x.clone();
            both.intersect(&y);
            prop_assert_eq!(numbers(&both), a.intersection(&b).copied().collect::<Vec<_>>());
            let mut less = x.clone();
            less.subtract(&y);
            prop_assert_eq!(numbers(&less), a.difference(&b).copied().collect::<Vec<_>>());
            let mut all = x.clone();
            all.union(y);
            prop_assert_eq!(numbers(&all), a.union(&b).copied().collect::<Vec<_>>());
        }
    }
}
