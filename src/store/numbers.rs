//! Sets of object numbers: the members of a group, which are mostly some dozens and now and then a million.
//!
//! They do not know what the numbers stand for.

use roaring::RoaringTreemap;

use super::codec;
use crate::error::Result;

/// From so many numbers on a compressed set takes less room, and less time.
const MANY: usize = 4096;

/// A set of numbers: a sorted list while it is small.
#[derive(Debug, Clone)]
pub(crate) enum Numbers {
    Few(Vec<u64>),
    Many(RoaringTreemap),
}

impl Default for Numbers {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Numbers {
    /// Reads what [`codec::pack_sorted`] or [`Numbers::pack`] wrote.
    pub(crate) fn unpack(bytes: &[u8]) -> Result<Self> {
        // A number takes at least a byte, and two as a rule.
        if bytes.len() >= MANY {
            return codec::unpack_set(bytes).map(Self::Many);
        }
        let mut numbers = codec::unpack_sorted(bytes)?;
        numbers.dedup();
        Ok(Self::Few(numbers))
    }

    /// Writes the set as [`codec::pack_sorted`] does.
    pub(crate) fn pack(&self) -> Vec<u8> {
        match self {
            Self::Few(numbers) => codec::pack_sorted(numbers),
            Self::Many(numbers) => codec::pack_set(numbers),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Few(numbers) => numbers.len() as u64,
            Self::Many(numbers) => numbers.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        match self {
            Self::Few(numbers) => numbers.binary_search(&number).is_ok(),
            Self::Many(numbers) => numbers.contains(number),
        }
    }

    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = u64> + '_> {
        match self {
            Self::Few(numbers) => Box::new(numbers.iter().copied()),
            Self::Many(numbers) => Box::new(numbers.iter()),
        }
    }

    /// Adds a number. Cheap where numbers come in rising order, or there are few.
    pub(crate) fn insert(&mut self, number: u64) {
        match self {
            Self::Few(numbers) => {
                let at = match numbers.last() {
                    Some(last) if *last >= number => match numbers.binary_search(&number) {
                        Ok(_) => return,
                        Err(at) => at,
                    },
                    _ => numbers.len(),
                };
                numbers.insert(at, number);
                if numbers.len() >= MANY {
                    *self = Self::Many(numbers.iter().copied().collect());
                }
            }
            Self::Many(numbers) => {
                numbers.insert(number);
            }
        }
    }

    /// Takes a number out; `false` if it was not there.
    pub(crate) fn remove(&mut self, number: u64) -> bool {
        match self {
            Self::Few(numbers) => numbers.binary_search(&number).map(|at| numbers.remove(at)).is_ok(),
            Self::Many(numbers) => numbers.remove(number),
        }
    }

    /// Takes out all numbers of another set.
    pub(crate) fn subtract(&mut self, other: &Self) {
        match (self, other) {
            (Self::Many(numbers), Self::Many(other)) => *numbers -= other,
            (Self::Few(numbers), other) => numbers.retain(|number| !other.contains(*number)),
            (Self::Many(numbers), Self::Few(other)) => {
                for number in other {
                    numbers.remove(*number);
                }
            }
        }
    }

    /// Adds all numbers of another set.
    pub(crate) fn unite(&mut self, other: &Self) {
        match (self, other) {
            (Self::Many(numbers), Self::Many(other)) => *numbers |= other,
            (this, other) => other.iter().for_each(|number| this.insert(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A few numbers, and in some cases more than a list may have.
    fn numbers() -> impl Strategy<Value = BTreeSet<u64>> {
        let few = proptest::collection::btree_set(0_u64..60, 0..40);
        (few, proptest::option::weighted(0.3, 0_u64..50)).prop_map(|(mut few, many)| {
            let at = many.unwrap_or_default();
            few.extend(many.into_iter().flat_map(|_| at..at + MANY as u64));
            few
        })
    }

    fn set(numbers: &BTreeSet<u64>) -> Numbers {
        let mut set = Numbers::default();
        // Not in their order.
        for number in numbers.iter().rev() {
            set.insert(*number);
        }
        set
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_behaves_as_a_set(a in numbers(), b in numbers(), gone in 0_u64..60) {
            let (one, other) = (set(&a), set(&b));
            prop_assert!(one.iter().eq(a.iter().copied()));
            prop_assert_eq!((one.len(), one.is_empty()), (a.len() as u64, a.is_empty()));
            prop_assert_eq!(one.contains(gone), a.contains(&gone));
            let read = Numbers::unpack(&one.pack()).unwrap();
            prop_assert!(read.iter().eq(a.iter().copied()));
            let mut rest = read.clone();
            rest.subtract(&other);
            prop_assert!(rest.iter().eq(a.difference(&b).copied()));
            let mut all = read.clone();
            all.unite(&other);
            prop_assert!(all.iter().eq(a.union(&b).copied()));
            let mut less = one;
            prop_assert_eq!(less.remove(gone), a.contains(&gone));
            prop_assert!(less.iter().eq(a.iter().copied().filter(|number| *number != gone)));
        }
    }
}
