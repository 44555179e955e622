//! Who has which address, so that devices find their owners: 17 bytes each. It must not know devices.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

/// Ids by addresses, for ids that are numbers below 2^72; others are not kept, and have to be asked for.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    /// An address's hash and its id, both so that they sort as numbers; sorted in place, because there are many.
    known: Vec<[u8; 17]>,
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
        if number >> 72 != 0 || number.to_string() != id {
            return;
        }
        let mut entry = [0; 17];
        entry[..8].copy_from_slice(&address_hash(address).to_be_bytes());
        entry[8..].copy_from_slice(&number.to_be_bytes()[7..]);
        self.known.push(entry);
        self.sorted = false;
    }

    /// Sorts what was added; without it nothing is found.
    pub(crate) fn seal(&mut self) {
        self.known.sort_unstable();
        self.sorted = true;
    }

    /// Keeps one that was asked for.
    pub(crate) fn add_late(&mut self, address: &str, id: &str) {
        self.late.insert(address_hash(address), id.into());
    }

    pub(crate) fn find(&self, address: &str) -> Option<String> {
        let hash = address_hash(address);
        if let Some(id) = self.late.get(&hash) {
            return Some(id.to_string());
        }
        let key = |entry: &[u8; 17]| entry.first_chunk::<8>().map_or(0, |hash| u64::from_be_bytes(*hash));
        let at = self.known.binary_search_by_key(&hash, key).ok().filter(|_| self.sorted)?;
        let mut number = [0; 16];
        number[7..].copy_from_slice(&self.known[at][8..]);
        Some(u128::from_be_bytes(number).to_string())
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
