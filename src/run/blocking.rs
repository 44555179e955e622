//! Keeps the store's blocking work off the async threads: one thread for each run, as long as it runs.
//!
//! One thread and not a pool: what a run allocates stays in one place, and its peak of memory is its own.

use std::sync::mpsc;

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};
use crate::model::RunId;
use crate::store::{Read, RunStore};

type Work = Box<dyn FnOnce(&mut dyn RunStore) + Send>;

/// The store's side of a run, on its thread.
#[derive(Debug)]
pub(super) struct Hold {
    work: Option<mpsc::Sender<Work>>,
    ended: oneshot::Receiver<()>,
    id: RunId,
    read: Read,
}

impl Hold {
    /// Starts the thread.
    pub(super) fn new(mut run: Box<dyn RunStore>) -> Result<Self> {
        let (id, read) = (run.run(), run.read());
        let (work, todo) = mpsc::channel::<Work>();
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("tenantry-run".into())
            .spawn(move || {
                for work in todo {
                    work(run.as_mut());
                }
                // The endpoint is free for the next run before anybody hears that this one has ended.
                drop(run);
                // Nobody may be waiting.
                let _ = end.send(());
            })
            .map_err(|error| Error::new(ErrorKind::Store, "no thread can be started for the run").with_source(error))?;
        Ok(Self { work: Some(work), ended, id, read })
    }

    pub(super) fn run_id(&self) -> RunId {
        self.id
    }

    /// Returns what was read as of the last step.
    pub(super) fn read(&self) -> Read {
        self.read
    }

    /// Does one step of blocking work. Dropped half-way, the step is still done.
    pub(super) async fn with<T: Send + 'static>(
        &mut self,
        step: impl FnOnce(&mut dyn RunStore) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |run| {
            let result = step(run);
            // Nobody may be waiting.
            let _ = answer.send((result, run.read()));
        });
        let sent = self.work.as_ref().is_some_and(|todo| todo.send(work).is_ok());
        match answered.await {
            Ok((result, read)) if sent => {
                self.read = read;
                result
            }
            _ => Err(Error::new(ErrorKind::Store, "a step of the store panicked; the run is over")),
        }
    }

    /// Ends the thread and waits until it has let go of everything.
    pub(super) async fn close(&mut self) {
        self.work = None;
        // An error means that it has ended already.
        let _ = (&mut self.ended).await;
    }
}
