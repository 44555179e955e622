//! From source key to object number in memory, for the many look-ups of a large change of memberships.
//!
//! Open addressing over one flat array: 21 bytes a slot at a load of at most 7/8, so about 26 bytes an object, also while it
//! grows. Key, number and flags of a slot lie side by side: a look-up mostly waits for memory, and so it waits once.

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
    /// By the first bits of the mixed key: when one grows, the others stay as they are.
    parts: Vec<Part>,
    base: Option<i64>,
    /// Whether it holds all that is stored of its endpoint.
    pub(super) is_whole: bool,
}

/// Numbers come in any order: without a base, as many may lie below the first as above it.
const MIDDLE: i64 = 1 << 31;

/// A share of the keys.
#[derive(Debug)]
struct Part {
    slots: Vec<Slot>,
    used: usize,
}

/// One key and what it leads to; only bytes, so that slots lie without gaps.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: [u8; 16],
    /// Object number less the base; all bits are set where the slot is free.
    number: [u8; 4],
    flags: u8,
}

impl Slot {
    const FREE: Self = Self { key: [0; 16], number: [u8::MAX; 4], flags: 0 };

    fn is_free(&self) -> bool {
        self.number == Self::FREE.number
    }
}

const JOINED: u8 = 0x80;
const PART_BITS: u32 = 6;

/// Sequential GUIDs differ in few bits: multiply before taking the high ones.
fn mix(key: &[u8; 16]) -> u64 {
    let (low, high) = (&key[..8], &key[8..]);
    let word = |half: &[u8]| half.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let mixed = (word(low) ^ word(high).rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

impl Part {
    fn with_room(keys: usize) -> Self {
        Self { slots: vec![Slot::FREE; keys + keys / 6 + 8], used: 0 }
    }

    #[allow(clippy::cast_possible_truncation)] // the product of a u64 and a length, shifted down, fits the length
    fn slot_of(&self, mixed: u64, key: &[u8; 16]) -> usize {
        let mut at = ((u128::from(mixed << PART_BITS) * self.slots.len() as u128) >> 64) as usize;
        while !self.slots[at].is_free() && self.slots[at].key != *key {
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
        at
    }

    fn insert(&mut self, mixed: u64, slot: Slot) {
        if (self.used + 1) * 8 > self.slots.len() * 7 {
            self.grow();
        }
        let at = self.slot_of(mixed, &slot.key);
        if self.slots[at].is_free() {
            self.used += 1;
        }
        self.slots[at] = slot;
    }

    fn grow(&mut self) {
        let mut larger = Self::with_room(self.slots.len() * 9 / 8);
        for slot in self.slots.iter().filter(|slot| !slot.is_free()) {
            larger.insert(mix(&slot.key), *slot);
        }
        *self = larger;
    }
}

impl KeyIndex {
    /// Creates an index for so many keys, with object numbers from `base` on, or around the first one.
    pub(super) fn with_room(keys: usize, base: Option<i64>) -> Self {
        let parts = 1 << PART_BITS;
        let room = keys.div_ceil(parts);
        // Keys are not shared out quite evenly.
        let room = if keys == 0 { 0 } else { room + room / 32 + 64 };
        Self { parts: std::iter::repeat_with(|| Part::with_room(room)).take(parts).collect(), base, is_whole: false }
    }

    #[allow(clippy::cast_possible_truncation)] // six bits
    fn part_of(mixed: u64) -> usize {
        (mixed >> (64 - PART_BITS)) as usize
    }

    /// Adds a key, or replaces what it leads to.
    pub(super) fn insert(&mut self, key: &SourceKey, found: Found) {
        let base = *self.base.get_or_insert(found.object_no - MIDDLE);
        let number = u32::try_from(found.object_no - base)
            .expect("fewer than 2 billion objects lie between any two of one endpoint");
        let standing = u8::try_from(found.standing.to_number()).expect("a standing is a small number");
        let mixed = mix(&key.0);
        let flags = standing | if found.joined { JOINED } else { 0 };
        self.parts[Self::part_of(mixed)].insert(mixed, Slot { key: key.0, number: number.to_le_bytes(), flags });
    }

    /// Finds a key.
    pub(super) fn get(&self, key: &SourceKey) -> Result<Option<Found>> {
        let mixed = mix(&key.0);
        let part = &self.parts[Self::part_of(mixed)];
        let slot = &part.slots[part.slot_of(mixed, &key.0)];
        if slot.is_free() {
            return Ok(None);
        }
        let flags = slot.flags;
        Ok(Some(Found {
            object_no: self.base.unwrap_or_default() + i64::from(u32::from_le_bytes(slot.number)),
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
            let mut index = KeyIndex::with_room(4, None);
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
