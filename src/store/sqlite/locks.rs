//! One run per endpoint, one apply per customer: file locks, which end with the process that holds them.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::io;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::model::{CustomerId, EndpointName};

/// A held lock. Dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Said, and not left to the closing of the file: a process that is just being started by this one has a copy
        // of it for a moment. An error means that there is no lock to give up.
        let _ = self.0.unlock();
    }
}

fn try_lock(path: &Path) -> Result<Option<Held>> {
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(io("open a lock file", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Held(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(io("lock a file", path)(error)),
    }
}

/// Takes a lock, waiting for whoever holds it.
pub(super) fn wait(path: &Path) -> Result<Held> {
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(io("open a lock file", path))?;
    file.lock().map_err(io("lock a file", path))?;
    Ok(Held(file))
}

/// Takes the right to run one endpoint.
///
/// # Errors
/// [`ErrorKind::Conflict`] while another run of it is under way, in this process or another.
pub(super) fn run(work: &Path, customer: &CustomerId, endpoint: &EndpointName) -> Result<Held> {
    // A sign that is in no key: names that run together must not meet.
    try_lock(&work.join(format!("{customer}+{endpoint}.run")))?.ok_or_else(|| {
        Error::new(ErrorKind::Conflict, "an import of this endpoint is under way; wait for it or cancel it")
            .with_context("endpoint", endpoint)
            .with_retry(Retry::Backoff)
    })
}

/// Tries to take the right to apply changes to one customer.
pub(super) fn try_apply(work: &Path, customer: &CustomerId) -> Result<Option<Held>> {
    try_lock(&work.join(format!("{customer}.apply")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_of_an_endpoint_is_refused_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (customer, endpoint) = (CustomerId::new("c").unwrap(), EndpointName::new("ad").unwrap());
        let first = run(folder.path(), &customer, &endpoint).unwrap();
        let refused = run(folder.path(), &customer, &endpoint).unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Conflict);
        drop(first);
        run(folder.path(), &customer, &endpoint).unwrap();
    }

    #[test]
    fn a_lock_ends_although_a_child_being_started_has_a_copy_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (customer, endpoint) = (CustomerId::new("c").unwrap(), EndpointName::new("ad").unwrap());
        let first = run(folder.path(), &customer, &endpoint).unwrap();
        let copy = first.0.try_clone().unwrap();
        drop(first);
        run(folder.path(), &customer, &endpoint).unwrap();
        drop(copy);
    }
}
