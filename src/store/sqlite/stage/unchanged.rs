//! What every stored object looked like when it was last read, in memory: most objects of a listing are as they were,
//! and are told from the others without asking the file.
//!
//! Open addressing over flat arrays: 16 bytes a slot at a load of at most 4/5, so 20 bytes an object. It knows no
//! standing but live; whatever it does not find is looked up in the file.

use rusqlite::Connection;

use crate::error::Result;
use crate::model::SourceKey;
use crate::store::sqlite::{Class, Standing, State, sql};

/// Live objects of one endpoint by source key and what was last read of them.
#[derive(Debug)]
pub(super) struct Unchanged {
    /// The low half of each key's word; the high one chose the slot.
    keys: Vec<u32>,
    /// What was read, mixed with the whole word of the key.
    digests: Vec<u64>,
    /// Object number less the base; `FREE` is a free slot.
    numbers: Vec<u32>,
    base: i64,
    /// Whether nothing at all is stored of the endpoint, also nobody who is gone or a mere member.
    knows_nobody: bool,
}

const FREE: u32 = u32::MAX;

/// Mixes what was read of an object into one word, with the word of its key: 64 bits tell what an object was from what it
/// is, and with half of that word 96 bits tell objects apart.
fn digest(word: u64, fingerprint: &[u8; 16], observed: i64) -> u64 {
    let (low, high) = halves(fingerprint);
    (low ^ high.rotate_left(32)).wrapping_add(observed.cast_unsigned()) ^ word
}

#[allow(clippy::cast_possible_truncation)] // the low half is what is wanted
fn low_half(word: u64) -> u32 {
    word as u32
}

fn halves(bytes: &[u8; 16]) -> (u64, u64) {
    let word = u128::from_le_bytes(*bytes);
    #[allow(clippy::cast_possible_truncation)] // each half is what is wanted
    (word as u64, (word >> 64) as u64)
}

/// Mixes a key into one word, so that keys that differ in few bits only lie far apart.
fn key_word(key: &SourceKey) -> u64 {
    let (low, high) = halves(&key.0);
    let mixed = (low ^ high.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 29 ^ high).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 32
}

impl Unchanged {
    /// Reads all live objects of an endpoint.
    pub(super) fn read(main: &Connection, endpoint_no: i64) -> Result<Self> {
        let step = || sql("compare a listing");
        let (count, base): (usize, i64) = main
            .query_row(
                "SELECT count(*), coalesce(min(object_no), 0) FROM probes WHERE endpoint_no = ?1 AND facet = 0",
                [endpoint_no],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(step())?;
        let slots = count + count / 4 + 16;
        let mut index = Self {
            keys: vec![0; slots],
            digests: vec![0; slots],
            numbers: vec![FREE; slots],
            base,
            knows_nobody: count == 0,
        };
        let mut query = main
            .prepare(
                "SELECT source_key, fingerprint, observed, object_no, standing FROM probes
                 WHERE endpoint_no = ?1 AND facet = 0",
            )
            .map_err(step())?;
        let mut rows = query.query([endpoint_no]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let standing = Standing::from_number(row.get(4).map_err(step())?)?;
            let offset = row.get::<_, i64>(3).map_err(step())? - base;
            let (State::Live, Class::Object(_), Ok(number)) = (standing.state, standing.class, u32::try_from(offset))
            else {
                continue;
            };
            let key = SourceKey(row.get(0).map_err(step())?);
            // What has no fingerprint of this length is looked up in the file.
            let Ok(fingerprint) = row.get::<_, [u8; 16]>(1) else { continue };
            let word = key_word(&key);
            index.insert(word, digest(word, &fingerprint, row.get(2).map_err(step())?), number);
        }
        Ok(index)
    }

    /// Tells whether no look-up can find anything: a first import.
    pub(super) fn knows_nobody(&self) -> bool {
        self.knows_nobody
    }

    #[allow(clippy::cast_possible_truncation)] // the product of a u64 and a length, shifted down, fits the length
    fn first_slot(&self, word: u64) -> usize {
        ((u128::from(word) * self.keys.len() as u128) >> 64) as usize
    }

    fn insert(&mut self, word: u64, digest: u64, number: u32) {
        let mut slot = self.first_slot(word);
        while self.numbers[slot] != FREE {
            slot = if slot + 1 == self.keys.len() { 0 } else { slot + 1 };
        }
        self.keys[slot] = low_half(word);
        self.digests[slot] = digest;
        self.numbers[slot] = number;
    }

    /// Returns the number of an object that is live and was last read just so.
    pub(super) fn find(&self, key: &SourceKey, fingerprint: &[u8; 16], observed: i64) -> Option<i64> {
        let word = key_word(key);
        let digest = digest(word, fingerprint, observed);
        let mut slot = self.first_slot(word);
        while self.numbers[slot] != FREE {
            if self.keys[slot] == low_half(word) && self.digests[slot] == digest {
                return Some(self.base + i64::from(self.numbers[slot]));
            }
            slot = if slot + 1 == self.keys.len() { 0 } else { slot + 1 };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn wide(word: u64) -> [u8; 16] {
        u128::from(word).to_be_bytes()
    }

    proptest! {
        #[test]
        fn it_finds_what_is_live_and_the_same_and_nothing_else(
            stored in proptest::collection::btree_map(0_u64..300, (0_u64..4, 0_i64..3, 0_i64..12), 0..200),
            asked in proptest::collection::vec((0_u64..300, 0_u64..4, 0_i64..3), 100),
        ) {
            let main = Connection::open_in_memory().unwrap();
            main.execute_batch(
                "CREATE TABLE probes (endpoint_no, source_key, facet, object_no, standing, fingerprint, observed)",
            ).unwrap();
            let stored: BTreeMap<u64, (i64, (u64, i64, i64))> =
                stored.into_iter().zip(100_i64..).map(|((key, value), number)| (key, (number, value))).collect();
            for (key, (number, (fingerprint, observed, standing))) in &stored {
                main.execute(
                    "INSERT INTO probes VALUES (7, ?1, 0, ?2, ?3, ?4, ?5)",
                    rusqlite::params![wide(*key), number, standing, wide(*fingerprint), observed],
                ).unwrap();
            }
            let index = Unchanged::read(&main, 7).unwrap();
            for (key, fingerprint, observed) in asked {
                let expected = stored.get(&key).and_then(|(number, value)| {
                    (value.0 == fingerprint && value.1 == observed && value.2 % 4 == 0).then_some(*number)
                });
                prop_assert_eq!(index.find(&SourceKey(wide(key)), &wide(fingerprint), observed), expected);
            }
        }
    }
}
