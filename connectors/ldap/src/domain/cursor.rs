//! The two resume points: behind a slice of a listing, and between runs. Both are bound to one controller's database.
//! What stands between runs is a change number or, for DirSync, the directory's own cookie.
//!
//! It must not know how a listing is cut.

use std::fmt;

use serde::{Deserialize, Serialize};
use tenantry::Result;
use tenantry::endpoint::{Checkpoint, Cursor};
use uuid::Uuid;

use crate::domain::dirsync::Access;
use crate::domain::error::foreign_checkpoint;
use crate::domain::listing::Class;

const VERSION: u16 = 1;
/// Counts up when a cursor of an older layout may no longer be used. One that cannot be read has expired.
const CURSOR_VERSION: u16 = 2;

/// One controller's database at one moment: numbers of one are meaningless to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The controller's DNS name, so that the next run begins there.
    pub(crate) server: String,
    /// The name of its settings object.
    pub(crate) service: String,
    /// Changes when the database is restored or copied.
    pub(crate) invocation: Uuid,
    /// The highest committed number of a change when the listing began.
    pub(crate) usn: u64,
    /// The controller's own time then, in milliseconds since 1970: tombstones are kept only so long.
    pub(crate) time: i64,
    /// For how long the domain locks out, and lets passwords last: what the accounts are depends on it.
    pub(crate) policy: [Option<i64>; 2],
}

/// Where DirSync goes on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DirSyncPosition {
    /// The domain's own id.
    pub(crate) domain: Uuid,
    /// The controller that gave the cookie, then.
    pub(crate) position: Position,
    /// By which right was asked.
    pub(crate) access: Access,
    /// What the directory gave: opaque.
    pub(crate) cookie: Vec<u8>,
}

impl fmt::Debug for DirSyncPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirSyncPosition")
            .field("cookie_bytes", &self.cookie.len())
            .field("position", &self.position)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// Where the next run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Since {
    /// Behind a change number of one controller.
    Usn(Position),
    /// Behind a cookie.
    DirSync(DirSyncPosition),
}

impl Since {
    /// Returns the resume point between runs.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor::new(CURSOR_VERSION, to_json(self))
    }

    /// Reads a cursor; nothing if it is not one of this version.
    pub(crate) fn read(cursor: &Cursor) -> Option<Self> {
        if cursor.version() != CURSOR_VERSION {
            return None;
        }
        serde_json::from_slice(cursor.bytes()).ok()
    }
}

/// Where a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SliceStart {
    /// The controller that is listed, when the listing began.
    pub(crate) position: Position,
    /// Where deltas go on when the listing has ended.
    pub(crate) since: Since,
    /// What is being listed.
    pub(crate) class: Class,
    /// The lowest `uSNCreated` that has not been listed.
    pub(crate) from: u64,
    /// How far the next slice reaches.
    pub(crate) width: u64,
}

impl SliceStart {
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(VERSION, to_json(self))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// `Conflict` if it is not one of this version.
    pub(crate) fn read(checkpoint: &Checkpoint) -> Result<Self> {
        if checkpoint.version() != VERSION {
            return Err(foreign_checkpoint());
        }
        serde_json::from_slice(checkpoint.bytes()).map_err(|error| foreign_checkpoint().with_source(error))
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("text, numbers and ids can be written as JSON")
}

#[cfg(test)]
mod tests {
    use tenantry::ErrorKind;

    use super::*;

    fn position() -> Position {
        Position {
            server: "dc1.corp.example".into(),
            service: "CN=NTDS Settings,CN=DC1".into(),
            invocation: Uuid::from_u128(7),
            usn: 12_345,
            time: 1_767_225_600_000,
            policy: [Some(-18_000_000_000), None],
        }
    }

    fn dir_sync() -> DirSyncPosition {
        DirSyncPosition {
            domain: Uuid::from_u128(8),
            position: position(),
            access: Access::ObjectSecurity,
            cookie: b"secret".to_vec(),
        }
    }

    fn start() -> SliceStart {
        SliceStart {
            position: position(),
            since: Since::DirSync(dir_sync()),
            class: Class::Users,
            from: 99,
            width: 5000,
        }
    }

    #[test]
    fn a_checkpoint_reads_back() {
        assert_eq!(SliceStart::read(&start().checkpoint()).unwrap(), start());
    }

    #[test]
    fn a_checkpoint_of_another_version_or_garbage_is_a_conflict() {
        for checkpoint in [Checkpoint::new(2, start().checkpoint().bytes()), Checkpoint::new(VERSION, b"{}".as_slice())]
        {
            assert_eq!(*SliceStart::read(&checkpoint).unwrap_err().kind(), ErrorKind::Conflict);
        }
    }

    #[test]
    fn a_cursor_of_either_kind_reads_back_and_shows_no_bytes_of_its_cookie() {
        for since in [Since::Usn(position()), Since::DirSync(dir_sync())] {
            assert_eq!(Since::read(&since.cursor()), Some(since.clone()));
            assert!(!format!("{since:?}").contains("115, 101"), "{since:?}");
        }
    }

    #[test]
    fn a_cursor_of_another_version_or_garbage_is_none() {
        let cursor = Since::Usn(position()).cursor();
        for foreign in [
            Cursor::new(1, cursor.bytes()),
            Cursor::new(9, cursor.bytes()),
            Cursor::new(CURSOR_VERSION, b"{}".as_slice()),
            Cursor::new(CURSOR_VERSION, b"\xff".as_slice()),
        ] {
            assert_eq!(Since::read(&foreign), None);
        }
    }

    #[test]
    fn what_fuzzing_begins_with_is_still_read() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/ad_checkpoint");
        for seed in std::fs::read_dir(folder).unwrap() {
            let path = seed.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let (version, json) = bytes.split_first().unwrap();
            let version = u16::from(*version);
            let start = SliceStart::read(&Checkpoint::new(version, json));
            assert!(start.is_ok() || Since::read(&Cursor::new(version, json)).is_some(), "{}", path.display());
        }
    }
}
