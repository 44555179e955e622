//! Hands events to consumers: at least once, in order, each with a position of its own.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{CustomerId, Event};
use crate::store::Store;

/// A named reader of one customer's events.
///
/// Its position is stored: after a crash it reads again from the last one that it acknowledged.
#[derive(Debug, Clone)]
pub struct Consumer {
    store: Arc<dyn Store>,
    customer: CustomerId,
    name: Arc<str>,
}

impl Consumer {
    pub(crate) fn new(store: Arc<dyn Store>, customer: CustomerId, name: &str) -> Self {
        Self { store, customer, name: name.into() }
    }

    /// Reads the next events behind the acknowledged position, at most `limit`. Does not wait for new ones.
    ///
    /// The first call registers the consumer: from then on, what it has not acknowledged is kept.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the next events are no longer kept: the consumer starts anew from an export, and
    /// goes on with [`Consumer::start_after`] at its position.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the position moves only with [`Consumer::acknowledge`].
    pub async fn next(&self, limit: usize) -> Result<Vec<Event>> {
        let this = self.clone();
        blocking(move || {
            let after = this.store.position(&this.customer, &this.name)?;
            if after == 0 {
                this.store.register_consumer(&this.customer, &this.name)?;
            }
            this.store.events(&this.customer, after, limit)
        })
        .await
    }

    /// Acknowledges every event up to and with this one.
    pub async fn acknowledge(&self, event: &Event) -> Result<()> {
        let (this, position) = (self.clone(), event.position());
        blocking(move || this.store.set_position(&this.customer, &this.name, position)).await
    }

    /// Goes to a position, ahead or back: that of an export which this consumer has taken over.
    ///
    /// It may be called before the export is read, so that what follows is kept; what is not read of the export then is
    /// for the caller to remember.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if events behind the position are no longer kept: a newer export is needed.
    pub async fn start_after(&self, position: u64) -> Result<()> {
        let this = self.clone();
        blocking(move || this.store.start_after(&this.customer, &this.name, position)).await
    }

    /// Counts the events that are yet to be acknowledged.
    pub async fn backlog(&self) -> Result<u64> {
        let this = self.clone();
        blocking(move || {
            let position = this.store.position(&this.customer, &this.name)?;
            Ok(this.store.last_position(&this.customer)?.saturating_sub(position))
        })
        .await
    }

    /// Returns the acknowledged position.
    pub async fn position(&self) -> Result<u64> {
        let this = self.clone();
        blocking(move || this.store.position(&this.customer, &this.name)).await
    }
}

/// Runs the store's blocking work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::new(ErrorKind::Store, "a step of the store panicked"))?
}
