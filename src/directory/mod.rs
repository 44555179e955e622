//! The local directory: what the embedding platform shows of it. It knows no endpoint, and no run.

mod query;

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::store::Store;

/// The customers' users, groups and computers as they are kept here.
///
/// It reads beside running imports and waits for none of them.
#[derive(Debug, Clone)]
pub struct Directory {
    store: Arc<dyn Store>,
}

impl Directory {
    /// Opens the directory that a store keeps.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

/// Runs the store's blocking work off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::new(ErrorKind::Store, "a step of the store panicked"))?
}
