//! How the command ends: the exit status, and why it did not even begin.

use std::fmt;
use std::process::ExitCode;

use tenantry::{Error, ErrorKind};
use tenantry_config::Problems;

/// The exit status. The larger one in this order wins when several apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// Everything was done.
    Done,
    /// Removals are parked.
    Parked,
    /// An endpoint failed, or what was done could not be told.
    Failed,
    /// The configuration is wrong; nothing was done.
    BadConfiguration,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(match status {
            Status::Done => 0,
            Status::Failed => 1,
            Status::BadConfiguration => 2,
            Status::Parked => 3,
        })
    }
}

/// Why the command ended before it did anything.
#[derive(Debug)]
pub(crate) struct Refusal(Error);

impl Refusal {
    pub(crate) fn status(&self) -> Status {
        match self.0.kind() {
            ErrorKind::Config => Status::BadConfiguration,
            _ => Status::Failed,
        }
    }

    pub(crate) fn error(&self) -> &Error {
        &self.0
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Problems::of(&self.0) {
            Some(problems) => problems.fmt(f),
            None => self.0.fmt(f),
        }
    }
}
