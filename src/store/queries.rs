//! What a store answers about the records that it keeps. All functions block.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::model::{AttributeName, Count, CustomerId, Details, Explained, Page, PageCursor, Query, RecordId};
use crate::store::Customer;

/// Reads the local directory by its contents. See [`Directory`](crate::Directory) for what each call promises.
pub trait Queries {
    /// Lists all customers.
    fn customers(&self) -> Result<Vec<Customer>>;

    /// Reads a page behind a cursor, at most `limit` records.
    fn find(&self, query: &Query, after: Option<&PageCursor>, limit: usize) -> Result<Page>;

    /// Counts what a query finds.
    fn count(&self, query: &Query) -> Result<Count>;

    /// Reads all that is known about one record; `None` if there is none.
    fn details(&self, customer: &CustomerId, id: RecordId) -> Result<Option<Details>>;

    /// Tells why an attribute has its value; `None` if there is no such record.
    fn explain(&self, customer: &CustomerId, id: RecordId, attribute: &AttributeName) -> Result<Option<Explained>>;

    /// Brings the index up to the last event of these customers.
    fn catch_up(&self, customers: &BTreeSet<CustomerId>) -> Result<()>;
}
