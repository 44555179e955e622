//! The local directory: what the embedding platform shows and edits of it. It never asks a remote directory.

pub mod csv;
mod edit;
mod feed;
mod join;
mod query;

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::gate::Clock;
use crate::store::Store;

/// The customers' users, groups and computers as they are kept here.
///
/// It reads and writes beside running imports and waits for none of them.
#[derive(Debug, Clone)]
pub struct Directory {
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Directory {
    /// Opens the directory that a store keeps, on the system's clock.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::with_clock(store, Clock::system())
    }

    /// Opens the directory that a store keeps, on a clock of the caller's.
    pub fn with_clock(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
    }
}

/// Runs the store's blocking work off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::new(ErrorKind::Store, "a step of the store panicked"))?
}
