//! Resume points: inside a listing, and between runs. It must not know what they lead to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tenantry::Result;
use tenantry::endpoint::{Checkpoint, Cursor};

use crate::error::unusable_checkpoint;
use crate::turns::Turns;

const CHECKPOINT: u16 = 3;
const CURSOR: u16 = 2;

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Stage {
    Users,
    Groups,
    Members,
    ChromeOs,
    Mobile,
}

/// Where a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The account.
    pub(crate) customer: String,
    /// What was read to its end, or is left out.
    pub(crate) ended: BTreeSet<Stage>,
    /// The listings that have begun and not ended.
    pub(crate) lanes: BTreeMap<Stage, Lane>,
    /// The last group whose members were asked for, in the order of their ids.
    pub(crate) group: Option<String>,
    /// The groups up to there whose members have not all come, and the page that comes next.
    pub(crate) open: BTreeMap<String, Lane>,
    /// The domains seen so far.
    pub(crate) domains: BTreeSet<String>,
    /// Whether a kind of devices could not be read, so that computers cannot be closed.
    pub(crate) short: bool,
    /// Where deltas go on.
    pub(crate) since: Option<Since>,
}

/// Where one listing of several goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lane {
    /// Its page; without one its first.
    pub(crate) token: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub(crate) begun: i64,
    /// From the other end: until somebody of these comes.
    pub(crate) frontier: Option<Vec<u64>>,
}

/// Where deltas go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Since {
    /// The account.
    pub(crate) customer: String,
    /// The audit log was read up to here, in milliseconds since 1970.
    pub(crate) log: i64,
    /// When the last full listing began.
    pub(crate) full: i64,
    /// Rights under which it was taken.
    pub(crate) rights: BTreeSet<String>,
    /// The account's domains, as seen by the last full listing.
    pub(crate) domains: BTreeSet<String>,
    /// When the members of which groups were read.
    pub(crate) turns: Turns,
    /// The groups that are known, by hash and in order; `None` where they were not all seen.
    #[serde(skip)]
    pub(crate) known: Option<Vec<u32>>,
}

impl Position {
    pub(crate) fn write(&self) -> Checkpoint {
        Checkpoint::new(CHECKPOINT, serde_json::to_vec(self).unwrap_or_default())
    }

    pub(crate) fn read(checkpoint: &Checkpoint) -> Result<Self> {
        let read = serde_json::from_slice(checkpoint.bytes()).ok();
        read.filter(|_| checkpoint.version() == CHECKPOINT).ok_or_else(unusable_checkpoint)
    }
}

impl Since {
    /// Writes a line of JSON, and behind it the known groups: there may be a hundred thousand of them.
    pub(crate) fn write(&self) -> Cursor {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        if let Some(known) = &self.known {
            bytes.push(b'\n');
            bytes.extend(known.iter().flat_map(|hash| hash.to_le_bytes()));
        }
        Cursor::new(CURSOR, bytes)
    }

    pub(crate) fn read(cursor: &Cursor) -> Option<Self> {
        let bytes = Some(cursor.bytes()).filter(|_| cursor.version() == CURSOR)?;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (json, known) = bytes.split_at(end.unwrap_or(bytes.len()));
        let mut since: Self = serde_json::from_slice(json).ok()?;
        if end.is_some() {
            let (hashes, rest) = known[1..].as_chunks::<4>();
            if !rest.is_empty() {
                return None;
            }
            since.known = Some(hashes.iter().map(|hash| u32::from_le_bytes(*hash)).collect());
        }
        Some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_begins_with_is_still_read() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/google_cursor");
        for seed in std::fs::read_dir(folder).unwrap() {
            let path = seed.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let since = Since::read(&Cursor::new(CURSOR, bytes.as_slice()));
            assert!(
                since.is_some() || Position::read(&Checkpoint::new(CHECKPOINT, bytes)).is_ok(),
                "{}",
                path.display()
            );
        }
    }

    #[test]
    fn a_cursor_keeps_the_known_groups_and_that_of_another_version_or_garbage_is_none() {
        let text = r#"{"customer":"C1","log":2,"full":1,"rights":[],"domains":[],"turns":{"marks":[]}}"#;
        let mut since = Since::read(&Cursor::new(CURSOR, text.as_bytes())).unwrap();
        for known in [None, Some(vec![]), Some(vec![1, u32::MAX])] {
            since.known = known;
            assert_eq!(Since::read(&since.write()), Some(since.clone()));
        }
        let torn = [text.as_bytes(), b"\n123"].concat();
        for (version, bytes) in [(1, text.as_bytes()), (CURSOR, b"{}"), (CURSOR, &torn), (CURSOR, b"")] {
            assert_eq!(Since::read(&Cursor::new(version, bytes)), None);
        }
    }
}
