//! The two resume points: behind a slice of a listing, and between runs. Both are bound to one controller's database.
//!
//! It must not know how a listing is cut.

use serde::{Deserialize, Serialize};
use tenantry::Result;
use tenantry::endpoint::{Checkpoint, Cursor};
use uuid::Uuid;

use crate::error::foreign_checkpoint;
use crate::listing::Class;

const VERSION: u16 = 1;

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
}

impl Position {
    /// Returns the resume point between runs.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor::new(VERSION, to_json(self))
    }
}

/// Where a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SliceStart {
    /// Where deltas go on when the listing has ended.
    pub(crate) position: Position,
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

    fn start() -> SliceStart {
        let position = Position {
            server: "dc1.corp.example".into(),
            service: "CN=NTDS Settings,CN=DC1".into(),
            invocation: Uuid::from_u128(7),
            usn: 12_345,
        };
        SliceStart { position, class: Class::Users, from: 99, width: 5000 }
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
}
