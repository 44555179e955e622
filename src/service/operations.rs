//! Operations on a customer's local directory: retention, erasure, removal of endpoints, export.

use std::sync::Arc;

use super::Service;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    ConsumerPosition, CustomerId, Dropped, EndpointName, Erased, Exported, HandOver, RecordId, Released, Retention,
    Timestamp,
};
use crate::outbox::blocking;
use crate::store::Exporting;

impl Service {
    /// Sets how long events and history are kept: applied at the end of each import, and by
    /// [`Service::apply_retention`]. Without it everything is kept. Clones that were made before keep theirs.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Lets go of old events and reports of a customer, as configured.
    ///
    /// What a registered consumer has not acknowledged stays, up to the hard limit; a consumer is registered by its
    /// first [`Consumer::next`](crate::Consumer::next). The space is used again by what is written next.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] while changes are being applied to the customer.
    pub async fn apply_retention(&self, customer: &CustomerId) -> Result<Dropped> {
        let (store, customer, retention) = (Arc::clone(&self.inner.store), customer.clone(), self.retention);
        let now = self.now();
        blocking(move || store.apply_retention(&customer, &retention, now)).await
    }

    /// Lists the registered consumers of a customer's events and where they stand.
    pub async fn consumers(&self, customer: &CustomerId) -> Result<Vec<ConsumerPosition>> {
        let (store, customer) = (Arc::clone(&self.inner.store), customer.clone());
        blocking(move || store.consumers(&customer)).await
    }

    /// Forgets a consumer that reads no more: nothing is kept for it any longer.
    pub async fn forget_consumer(&self, customer: &CustomerId, name: &str) -> Result<()> {
        let (store, customer, name) = (Arc::clone(&self.inner.store), customer.clone(), name.to_owned());
        blocking(move || store.forget_consumer(&customer, &name)).await
    }

    /// Erases people: their records, images, values and memberships, and what stored events say of them.
    ///
    /// Nothing that names them is left in the files when this returns. Consumers are told by `tenantry.user.removed` with
    /// `"erased": true` and nothing but the record's id; events that are stored keep their place, sequence and id, and
    /// `erased` stands for their data. Source ids stay in member events, which name nobody; one that is an address
    /// itself is replaced there. People who were removed before can be erased as well.
    ///
    /// The remote stays the truth: who is still there comes back with the next full listing, as the same record. Remove
    /// them there first.
    ///
    /// The file is written anew at the end, which takes as much room as it has: erase several people in one call. A
    /// call that was interrupted is made again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an id of nobody, [`ErrorKind::Config`] for a group or computer: nothing is erased
    /// then. [`ErrorKind::Conflict`] while an import of an endpoint that sees one of them is under way, or changes are
    /// being applied to the customer. [`ErrorKind::Store`] if somebody reads an old state of the file for long: the
    /// people are gone by then, their bytes only after the next call.
    pub async fn erase(&self, customer: &CustomerId, people: &[RecordId]) -> Result<Erased> {
        let (store, customer, people) = (Arc::clone(&self.inner.store), customer.clone(), people.to_vec());
        let now = self.now();
        blocking(move || store.erase(&customer, &people, now)).await
    }

    /// Removes an endpoint: its records are handed over, everything else of it goes, its group too.
    ///
    /// Each membership that ends and each record that changes is an event. Who is seen through another endpoint as well
    /// stays locked by that one. What was removed before is not handed over. The history of its runs stays. A new
    /// endpoint of the same name starts from nothing.
    ///
    /// It is done in parts: interrupted, the same call goes on where it was, and no import of the endpoint begins
    /// before. Dropping the future does not stop it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown endpoint, also one whose removal has ended; [`ErrorKind::Conflict`] while
    /// an import of it is under way, while changes are being applied to the customer, and if its removal was begun in
    /// the other way.
    pub async fn remove_endpoint(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointName,
        hand_over: HandOver,
    ) -> Result<Released> {
        let (store, now) = (Arc::clone(&self.inner.store), self.now());
        let key = (customer.clone(), endpoint.clone());
        let released = {
            let (customer, endpoint) = key.clone();
            blocking(move || store.remove_endpoint(&customer, &endpoint, hand_over, now)).await?
        };
        self.endpoints().remove(&key);
        Ok(released)
    }

    /// Writes the store anew and gives the space of what was deleted back to the disk. Takes as much room meanwhile as
    /// the store has.
    pub async fn compact(&self) -> Result<()> {
        let store = Arc::clone(&self.inner.store);
        blocking(move || store.compact()).await
    }

    /// Begins an export of a customer's whole local directory, consistent with one position, also beside a running
    /// import.
    ///
    /// A consumer that starts from it reads events behind that position: see
    /// [`Consumer::start_after`](crate::Consumer::start_after).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown customer.
    pub async fn export(&self, customer: &CustomerId) -> Result<Export> {
        let (store, customer) = (Arc::clone(&self.inner.store), customer.clone());
        let reader = blocking(move || store.export(&customer)).await?;
        Ok(Export { position: reader.position(), reader: Some(reader) })
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.inner.quotas.clock().now_unix_millis())
    }

    /// Lets go of what is old behind an import. What cannot be done now is done behind the next one.
    pub(super) async fn tidy(&self, customer: &CustomerId) {
        if self.retention.keeps_everything() {
            return;
        }
        match self.apply_retention(customer).await {
            Ok(dropped) if !dropped.cut_off.is_empty() => {
                tracing::warn!(consumers = dropped.cut_off.join(", "), "consumers are behind what is kept");
            }
            Ok(_) => {}
            Err(error) => tracing::debug!("old events stay until the next import: {error}"),
        }
    }
}

/// An export under way. It holds what it reads: drop it when done, or the store's log keeps growing.
#[derive(Debug)]
pub struct Export {
    position: u64,
    reader: Option<Box<dyn Exporting>>,
}

impl Export {
    /// Returns the position of the last event that the export contains.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Reads on: records first, then memberships, at most `limit`; nothing at the end.
    ///
    /// # Errors
    /// A store that cannot be read; the export is over then, and not complete.
    ///
    /// # Cancel safety
    /// A future that is dropped half-way ends the export: the next call says so.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<Exported>> {
        let mut reader = self.reader.take().ok_or_else(|| {
            Error::new(ErrorKind::Cancelled, "the export was interrupted before its end; begin it anew")
        })?;
        let (reader, entries) = blocking(move || {
            let entries = reader.next(limit)?;
            Ok((reader, entries))
        })
        .await?;
        self.reader = Some(reader);
        Ok(entries)
    }
}
