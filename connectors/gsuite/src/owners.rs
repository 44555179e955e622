//! Who has which address, so that devices find their owners: 17 bytes each. It must not know devices.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

/// Ids by addresses, for ids that are numbers below 2^72; others are not kept, and have to be asked for.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    hashes: Vec<u64>,
    low: Vec<u64>,
    high: Vec<u8>,
    sorted: bool,
    /// Those that were asked for one by one.
    late: HashMap<u64, Box<str>>,
}

/// Hashes what is compared with itself in this process and its next ones only.
pub(crate) fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

/// Hashes to half of that: of a hundred thousand, two are taken for one another once in a million times.
pub(crate) fn short_hash(value: &str) -> u32 {
    u32::try_from(hash(value) >> 32).unwrap_or_default()
}

fn address_hash(address: &str) -> u64 {
    hash(&address.to_ascii_lowercase())
}

impl Owners {
    pub(crate) fn add(&mut self, address: &str, id: &str) {
        let Ok(number) = id.parse::<u128>() else { return };
        // A leading zero would be lost.
        let Some(high) = u8::try_from(number >> 64).ok().filter(|_| number.to_string() == id) else { return };
        self.hashes.push(address_hash(address));
        self.low.push(u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0));
        self.high.push(high);
        self.sorted = false;
    }

    /// Sorts what was added; without it nothing is found.
    pub(crate) fn seal(&mut self) {
        let mut order: Vec<u32> = (0..u32::try_from(self.hashes.len()).unwrap_or(0)).collect();
        order.sort_unstable_by_key(|&index| self.hashes[index as usize]);
        self.low = order.iter().map(|&index| self.low[index as usize]).collect();
        self.high = order.iter().map(|&index| self.high[index as usize]).collect();
        self.hashes.sort_unstable();
        self.sorted = true;
    }

    /// Keeps one that was asked for.
    pub(crate) fn add_late(&mut self, address: &str, id: &str) {
        self.late.insert(address_hash(address), id.into());
    }

    pub(crate) fn find(&self, address: &str) -> Option<String> {
        if let Some(id) = self.late.get(&address_hash(address)) {
            return Some(id.to_string());
        }
        let at = self.hashes.binary_search(&address_hash(address)).ok().filter(|_| self.sorted)?;
        let number = u128::from(self.high[at]) << 64 | u128::from(self.low[at]);
        Some(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_found_by_any_spelling_of_the_address() {
        let mut owners = Owners::default();
        owners.add("b@corp.example", "117654321098765432109");
        owners.add("a@corp.example", "100000000000000000007");
        owners.add("c@corp.example", "007");
        owners.seal();
        assert_eq!(owners.find("A@Corp.example").as_deref(), Some("100000000000000000007"));
        assert_eq!(owners.find("b@corp.example").as_deref(), Some("117654321098765432109"));
        assert_eq!(owners.find("c@corp.example"), None);
    }
}
