//! Queries: pages, counts, one record in full. It does not know how they are indexed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Directory, blocking};
use crate::error::Result;
use crate::model::{AttributeName, Count, CustomerId, Details, Explained, Page, PageCursor, Query, RecordId};
use crate::store::Customer;

impl Directory {
    /// Lists all customers that are kept here.
    pub async fn customers(&self) -> Result<Vec<Customer>> {
        let store = Arc::clone(&self.store);
        blocking(move || store.customers()).await
    }

    /// Reads a page of what a query finds: the first, or the one behind a cursor; at most `limit` records, of 1 to 1000.
    ///
    /// Walked to the end, it finds each record that does not change meanwhile exactly once. Every page is true at one
    /// position of each customer, which it tells; beside an import the next page may be true at a later one.
    ///
    /// The first query after an import brings the index up to date, in steps: a host that does not want its users to
    /// wait for that calls [`Directory::catch_up`] when an import has ended.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a query without a customer, an order that this kind of record
    /// has not, and a cursor of another query or version; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an
    /// unknown customer.
    pub async fn find(&self, query: &Query, after: Option<&PageCursor>, limit: usize) -> Result<Page> {
        let (store, query, after) = (Arc::clone(&self.store), query.clone(), after.cloned());
        blocking(move || store.find(&query, after.as_ref(), limit)).await
    }

    /// Counts what a query finds.
    ///
    /// # Errors
    /// As [`Directory::find`].
    pub async fn count(&self, query: &Query) -> Result<Count> {
        let (store, query) = (Arc::clone(&self.store), query.clone());
        blocking(move || store.count(&query)).await
    }

    /// Reads all that is known about one record: its groups, computers, identities, last import and last error.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown customer.
    pub async fn details(&self, customer: &CustomerId, id: RecordId) -> Result<Option<Details>> {
        let (store, customer) = (Arc::clone(&self.store), customer.clone());
        blocking(move || store.details(&customer, id)).await
    }

    /// Tells why an attribute has its value: whose it is, what others say, and when it changed last.
    ///
    /// The last change is looked for among the events that are kept, newest first. Where there is none, `all_kept` tells
    /// that there never was one from that it may be too long ago.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown customer.
    pub async fn explain(
        &self,
        customer: &CustomerId,
        id: RecordId,
        attribute: &AttributeName,
    ) -> Result<Option<Explained>> {
        let (store, customer, attribute) = (Arc::clone(&self.store), customer.clone(), attribute.clone());
        blocking(move || store.explain(&customer, id, &attribute)).await
    }

    /// Brings the index up to the last event of these customers, so that the next query need not.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop it; a process that ends goes on with the next call.
    pub async fn catch_up(&self, customers: &BTreeSet<CustomerId>) -> Result<()> {
        let (store, customers) = (Arc::clone(&self.store), customers.clone());
        blocking(move || store.catch_up(&customers)).await
    }
}
