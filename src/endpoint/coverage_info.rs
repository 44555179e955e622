//! What an endpoint can see at all. It proves nothing: `coverage` makes the proofs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Identity, rights, filters and revision, as read at one moment.
///
/// It must not depend on which of several equal servers answered: a fail-over is no change of coverage. It is read anew
/// at the beginning and at the end of every import, so that it should cost a few requests at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageInfo {
    /// The domain's or tenant's own immutable id. Another one is refused before anything is staged.
    pub identity: String,
    /// The rights that decide what is visible, by the names their administrator knows.
    pub rights: BTreeSet<String>,
    /// Base, filters, exclusions and every other setting that decides what is listed.
    pub filters: BTreeMap<String, String>,
    /// Counts up when a release of the connector lists less or other things than the one before.
    pub revision: u32,
}

impl CoverageInfo {
    /// Creates a coverage of one directory, without rights and filters.
    pub fn new(identity: impl Into<String>, revision: u32) -> Self {
        Self { identity: identity.into(), rights: BTreeSet::new(), filters: BTreeMap::new(), revision }
    }

    /// Returns the digest that is compared at the start, at a resume and at the end of a listing.
    pub fn digest(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        let mut part = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        part(&self.identity);
        part(&self.revision.to_string());
        part(&self.rights.len().to_string());
        self.rights.iter().for_each(|right| part(right));
        for (name, value) in &self.filters {
            part(name);
            part(value);
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        digest
    }

    /// Tells whether less or other things may be seen than under an earlier coverage.
    ///
    /// A right that was gained hides nothing: some rights show only once there is something to see by them.
    pub fn may_hide_more_than(&self, earlier: &Self) -> bool {
        self.filters != earlier.filters || self.revision != earlier.revision || !earlier.rights.is_subset(&self.rights)
    }

    /// Names what differs from an earlier coverage, for people.
    pub fn difference(&self, earlier: &Self) -> String {
        let mut parts = Vec::new();
        if self.identity != earlier.identity {
            parts.push(format!("directory {} instead of {}", self.identity, earlier.identity));
        }
        parts.extend(earlier.rights.difference(&self.rights).map(|right| format!("right lost: {right}")));
        parts.extend(self.rights.difference(&earlier.rights).map(|right| format!("right gained: {right}")));
        for name in self.filters.keys().chain(earlier.filters.keys()).collect::<BTreeSet<_>>() {
            if self.filters.get(name) != earlier.filters.get(name) {
                parts.push(format!("{name} changed"));
            }
        }
        if self.revision != earlier.revision {
            parts.push(format!("connector lists by revision {} instead of {}", self.revision, earlier.revision));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawn_right_changes_the_digest_and_is_named() {
        let mut before = CoverageInfo::new("dc=corp", 1);
        before.rights.insert("read deleted objects".into());
        let after = CoverageInfo::new("dc=corp", 1);
        assert_ne!(before.digest(), after.digest());
        assert_eq!(after.difference(&before), "right lost: read deleted objects");
        assert!(after.may_hide_more_than(&before));
        assert!(!before.may_hide_more_than(&after));
    }
}
