//! From source key to object number in memory, for the many look-ups of a large change of memberships.
//!
//! Open addressing over flat arrays: 21 bytes a slot at a load of at most 4/5, so about 26 bytes an object.

use super::Standing;
use crate::error::Result;
use crate::model::SourceKey;

/// An object as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// The object's number.
    pub(super) object_no: i64,
    /// Its stored standing.
    pub(super) standing: Standing,
    /// Whether its record was founded by another object.
    pub(super) joined: bool,
}

/// Source keys of one endpoint and their objects.
#[derive(Debug)]
pub(super) struct KeyIndex {
    keys: Vec<[u8; 16]>,
    /// Object number less the base; `u32::MAX` is a free slot.
    numbers: Vec<u32>,
    flags: Vec<u8>,
    base: i64,
    used: usize,
}

const FREE: u32 = u32::MAX;
const JOINED: u8 = 0x80;

impl KeyIndex {
    /// Creates an index for so many keys, with object numbers from `base` on.
    pub(super) fn with_room(keys: usize, base: i64) -> Self {
        let slots = (keys + keys / 4 + 16).max(16);
        Self { keys: vec![[0; 16]; slots], numbers: vec![FREE; slots], flags: vec![0; slots], base, used: 0 }
    }

    #[allow(clippy::cast_possible_truncation)] // the product of a u64 and a length, shifted down, fits the length
    fn first_slot(&self, key: &[u8; 16]) -> usize {
        let (low, high) = (&key[..8], &key[8..]);
        let word = |half: &[u8]| half.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        // Sequential GUIDs differ in few bits: multiply before taking the high half.
        let mixed = (word(low) ^ word(high).rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((u128::from(mixed) * self.keys.len() as u128) >> 64) as usize
    }

    fn slot_of(&self, key: &[u8; 16]) -> usize {
        let mut slot = self.first_slot(key);
        while self.numbers[slot] != FREE && self.keys[slot] != *key {
            slot = if slot + 1 == self.keys.len() { 0 } else { slot + 1 };
        }
        slot
    }

    /// Adds a key, or replaces what it leads to.
    pub(super) fn insert(&mut self, key: &SourceKey, found: Found) {
        if (self.used + 1) * 8 > self.keys.len() * 7 {
            self.grow();
        }
        if self.used == 0 {
            // Numbers are given in rising order: the first is the lowest.
            self.base = if self.base == 0 { found.object_no } else { self.base };
        }
        let slot = self.slot_of(&key.0);
        if self.numbers[slot] == FREE {
            self.used += 1;
        }
        self.keys[slot] = key.0;
        self.numbers[slot] = u32::try_from(found.object_no - self.base)
            .expect("fewer than 4 billion objects lie between the first and the last of one endpoint");
        let standing = u8::try_from(found.standing.to_number()).expect("a standing is a small number");
        self.flags[slot] = standing | if found.joined { JOINED } else { 0 };
    }

    fn grow(&mut self) {
        let mut larger = Self::with_room(self.keys.len() * 3 / 2, self.base);
        for slot in 0..self.keys.len() {
            if self.numbers[slot] != FREE {
                let at = larger.slot_of(&self.keys[slot]);
                larger.keys[at] = self.keys[slot];
                larger.numbers[at] = self.numbers[slot];
                larger.flags[at] = self.flags[slot];
                larger.used += 1;
            }
        }
        *self = larger;
    }

    /// Finds a key.
    pub(super) fn get(&self, key: &SourceKey) -> Result<Option<Found>> {
        let slot = self.slot_of(&key.0);
        if self.numbers[slot] == FREE {
            return Ok(None);
        }
        let flags = self.flags[slot];
        Ok(Some(Found {
            object_no: self.base + i64::from(self.numbers[slot]),
            standing: Standing::from_number(i64::from(flags & !JOINED))?,
            joined: flags & JOINED != 0,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::ObjectKind;

    proptest! {
        #[test]
        fn it_finds_what_a_map_finds(
            keys in proptest::collection::vec(0_u32..500, 0..400), asked in proptest::collection::vec(0_u32..500, 50)
        ) {
            let key = |n: u32| SourceKey(u128::from(n).to_be_bytes());
            let mut index = KeyIndex::with_room(4, 1);
            let mut map = HashMap::new();
            for (at, n) in keys.iter().enumerate() {
                let found = Found {
                    object_no: 1 + i64::try_from(at).unwrap(),
                    standing: Standing::live(ObjectKind::User),
                    joined: at % 2 == 0,
                };
                index.insert(&key(*n), found);
                map.insert(*n, found);
            }
            for n in asked {
                prop_assert_eq!(index.get(&key(n)).unwrap(), map.get(&n).copied());
            }
        }
    }
}
