//! A background import, seen from outside.

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::gate::Gate;
use crate::model::{Progress, RunReport};

/// A background import. Dropping the handle lets it go on.
#[derive(Debug)]
pub struct RunHandle {
    task: JoinHandle<RunReport>,
    cancel: CancellationToken,
    progress: watch::Receiver<Progress>,
    gate: Gate,
}

impl RunHandle {
    pub(super) fn new(
        task: JoinHandle<RunReport>,
        cancel: CancellationToken,
        progress: watch::Receiver<Progress>,
        gate: Gate,
    ) -> Self {
        Self { task, cancel, progress, gate }
    }

    /// Returns where the import stands now.
    pub fn status(&self) -> Progress {
        let mut progress = self.progress.borrow().clone();
        if progress.waiting.is_none() {
            progress.waiting = self.gate.waiting().map(|waiting| waiting.to_string());
        }
        progress
    }

    /// Waits until the import has got further; `None` once it has ended.
    pub async fn progressed(&mut self) -> Option<Progress> {
        self.progress.changed().await.ok()?;
        self.progress.borrow_and_update();
        Some(self.status())
    }

    /// Asks the import to stop. What it has read up to its last checkpoint is kept for the next one.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Returns the token that stops the import, to be tied to the host's own shutdown.
    pub fn cancel_token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Tells whether the import has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Only if the import panicked, or the runtime shut down: the report tells of everything else.
    pub async fn wait(self) -> Result<RunReport> {
        self.task.await.map_err(|error| {
            let message = if error.is_panic() { "the import panicked" } else { "the runtime was shut down" };
            Error::new(ErrorKind::Cancelled, message)
        })
    }
}
