//! Where a listing goes on. It must not know what it leads to.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tenantry::Result;
use tenantry::endpoint::Checkpoint;

use super::error::unusable_checkpoint;
use super::walk::Walk;

const VERSION: u16 = 1;

/// A position inside a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// The organisation.
    pub(crate) identity: String,
    pub(crate) walk: Walk,
    /// Hashes of the ids that came.
    pub(crate) seen: HashSet<u64>,
    /// The last beginning was asked for.
    pub(crate) done: bool,
}

#[derive(Serialize, Deserialize)]
struct Head {
    identity: String,
    walk: Walk,
    done: bool,
    seen: usize,
}

impl Position {
    pub(crate) fn write(&self) -> Checkpoint {
        let head =
            Head { identity: self.identity.clone(), walk: self.walk.clone(), done: self.done, seen: self.seen.len() };
        let mut bytes = Vec::with_capacity(4096 + self.seen.len() * 8);
        let head = serde_json::to_vec(&head).unwrap_or_default();
        bytes.extend_from_slice(&u32::try_from(head.len()).unwrap_or_default().to_le_bytes());
        bytes.extend_from_slice(&head);
        self.seen.iter().for_each(|hash| bytes.extend_from_slice(&hash.to_le_bytes()));
        Checkpoint::new(VERSION, bytes)
    }

    pub(crate) fn read(checkpoint: &Checkpoint) -> Result<Self> {
        let read = || {
            let (length, rest) = checkpoint.bytes().split_first_chunk::<4>()?;
            let (head, seen) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            let head: Head = serde_json::from_slice(head).ok()?;
            let hashes: HashSet<u64> =
                seen.chunks_exact(8).map(|hash| u64::from_le_bytes(hash.try_into().unwrap_or_default())).collect();
            let fits = seen.len() == head.seen * 8;
            fits.then_some(Self { identity: head.identity, walk: head.walk, seen: hashes, done: head.done })
        };
        read().filter(|_| checkpoint.version() == VERSION).ok_or_else(unusable_checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same_and_a_damaged_one_is_refused() {
        let mut walk = Walk::new(100);
        (0..20).for_each(|_| drop(walk.next()));
        walk.hear("a", &[], true);
        let position = Position { identity: "corp.example".into(), walk, seen: [1, u64::MAX].into(), done: false };
        let written = position.write();
        assert_eq!(Position::read(&written).unwrap(), position);
        let bytes = written.bytes();
        for cut in 0..bytes.len() {
            let error = Position::read(&Checkpoint::new(VERSION, &bytes[..cut])).unwrap_err();
            assert_eq!(error.kind().as_str(), "conflict", "{cut}");
        }
        assert!(Position::read(&Checkpoint::new(VERSION + 1, bytes)).is_err());
    }

    /// The seed of the fuzz target is read with its first byte as the version: one that is not is no use.
    #[test]
    fn the_seed_of_the_fuzz_target_is_a_checkpoint() {
        let seed = include_bytes!("../../../../fuzz/seeds/ews_checkpoint/cut_and_deaf");
        let (version, bytes) = seed.split_first().unwrap();
        let position = Position::read(&Checkpoint::new(u16::from(*version), bytes)).unwrap();
        assert_eq!((position.identity.as_str(), position.seen.len()), ("corp.example", 2));
    }
}
