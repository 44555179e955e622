//! How the command ends: the exit status, and why it ended early.

use std::io;

use tenantry::{Error, ErrorKind};

/// The state file could not be read.
pub(crate) const FAILED: u8 = 1;
/// What was asked for is wrong, or does not exist.
const WRONG: u8 = 2;
/// Rows of a table were refused, or an action was not done for all.
pub(crate) const NOT_ALL: u8 = 3;

/// Why the command ends before its end.
#[derive(Debug)]
pub(crate) enum Ended {
    Refused(Error),
    /// Of a table only a part was added, or of some accounts not all were changed, which is told.
    NotAll,
    /// The other end of the pipe is closed.
    NobodyReads,
    CannotWrite(io::Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::NobodyReads } else { Self::CannotWrite(error) }
    }
}

pub(crate) fn status_of(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Config | ErrorKind::NotFound | ErrorKind::Locked | ErrorKind::Conflict => WRONG,
        _ => FAILED,
    }
}
