//! The exact set of changes that wait for approval.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::model::{HeldKind, PlanId};
use crate::store::codec::{self, Reader};
use crate::store::sqlite::damaged;

/// Numbers of objects or members, by sort of change and, for memberships, by group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct HeldItems(BTreeMap<(HeldKind, i64), Vec<u64>>);

impl HeldItems {
    pub(in super::super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in super::super) fn len(&self) -> u64 {
        self.0.values().map(|numbers| numbers.len() as u64).sum()
    }

    /// Lists sort, subject and numbers.
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = (&HeldKind, i64, &[u64])> {
        self.0.iter().map(|((kind, subject), numbers)| (kind, *subject, numbers.as_slice()))
    }

    /// Adds numbers; `subject` is the group and way of a membership, else 0.
    pub(in super::super) fn add(&mut self, kind: HeldKind, subject: i64, mut numbers: Vec<u64>) {
        if numbers.is_empty() {
            return;
        }
        let held = self.0.entry((kind, subject)).or_default();
        held.append(&mut numbers);
        held.sort_unstable();
        held.dedup();
    }

    /// Tells whether one number is in the set.
    pub(in super::super) fn contains(&self, kind: &HeldKind, subject: i64, number: u64) -> bool {
        self.0.get(&(kind.clone(), subject)).is_some_and(|numbers| numbers.binary_search(&number).is_ok())
    }

    /// Returns the numbers of one sort and subject.
    pub(in super::super) fn get(&self, kind: &HeldKind, subject: i64) -> &[u64] {
        self.0.get(&(kind.clone(), subject)).map_or(&[], Vec::as_slice)
    }

    /// Writes the set for the store.
    pub(in super::super) fn to_stored(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for ((kind, subject), numbers) in &self.0 {
            codec::push_bytes(&mut out, serde_json::to_string(kind).unwrap_or_default().as_bytes());
            codec::push_number(&mut out, subject.unsigned_abs());
            codec::push_bytes(&mut out, &codec::pack_sorted(numbers));
        }
        out
    }

    /// Reads what [`HeldItems::to_stored`] wrote.
    pub(in super::super) fn from_stored(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "held changes");
        let mut items = BTreeMap::new();
        while !reader.is_at_end() {
            let kind = serde_json::from_str(reader.text()?).map_err(|_| damaged("held changes"))?;
            let subject = i64::try_from(reader.number()?).map_err(|_| damaged("held changes"))?;
            items.insert((kind, subject), codec::unpack_sorted(reader.bytes()?)?);
        }
        Ok(Self(items))
    }

    /// Returns the id of the set: the same set of one endpoint has the same id.
    pub(in super::super) fn id(&self, customer: &str, endpoint: &str) -> PlanId {
        let mut hasher = blake3::Hasher::new();
        for part in [customer.as_bytes(), endpoint.as_bytes(), &self.to_stored()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut digest = [0; 8];
        digest.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        PlanId::from_digest(digest)
    }
}

/// A set that is read is written and read as the same again, under the same id.
#[cfg(fuzzing)]
pub fn held_items(bytes: &[u8]) {
    let Ok(items) = HeldItems::from_stored(bytes) else { return };
    let again = HeldItems::from_stored(&items.to_stored()).expect("what is written can be read");
    assert_eq!(again, items);
    assert_eq!(again.id("c", "ad"), items.id("c", "ad"));
    for (kind, subject, numbers) in items.iter() {
        assert_eq!(items.get(kind, subject), numbers);
        assert!(numbers.iter().all(|number| items.contains(kind, subject, *number)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ObjectKind;

    #[test]
    fn the_same_set_has_the_same_id_in_whatever_order_it_came() {
        let kind = HeldKind::Removed(ObjectKind::User);
        let mut one = HeldItems::default();
        one.add(kind.clone(), 0, vec![3, 1]);
        one.add(kind.clone(), 0, vec![2]);
        let mut other = HeldItems::default();
        other.add(kind.clone(), 0, vec![1, 2, 3]);
        assert_eq!(one.id("c", "ad"), other.id("c", "ad"));
        assert_eq!(HeldItems::from_stored(&one.to_stored()).unwrap(), other);
        other.add(kind, 0, vec![4]);
        assert_ne!(one.id("c", "ad"), other.id("c", "ad"));
    }
}
