//! Keeps the store's blocking work off the async threads.

use crate::error::{Error, ErrorKind, Result};
use crate::model::RunId;
use crate::store::{Read, RunStore};

/// The store's side of a run, lent to a blocking thread for each step.
#[derive(Debug)]
pub(super) struct Hold {
    run: Option<Box<dyn RunStore>>,
    id: RunId,
    read: Read,
}

impl Hold {
    pub(super) fn new(run: Box<dyn RunStore>) -> Self {
        Self { id: run.run(), read: run.read(), run: Some(run) }
    }

    pub(super) fn run_id(&self) -> RunId {
        self.id
    }

    /// Returns what was read as of the last step.
    pub(super) fn read(&self) -> Read {
        self.read
    }

    /// Does one step of blocking work. Dropped half-way, the step is still done, and the run is over.
    pub(super) async fn with<T: Send + 'static>(
        &mut self,
        step: impl FnOnce(&mut dyn RunStore) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut run = self.run.take().ok_or_else(over)?;
        let (run, read, result) = tokio::task::spawn_blocking(move || {
            let result = step(run.as_mut());
            let read = run.read();
            (run, read, result)
        })
        .await
        .map_err(|_| Error::new(ErrorKind::Store, "a step of the store panicked"))?;
        self.run = Some(run);
        self.read = read;
        result
    }
}

fn over() -> Error {
    Error::new(ErrorKind::Conflict, "the run is over")
}
