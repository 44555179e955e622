//! What local editors ask of a store. See [`Directory`](crate::Directory) for what each call promises. All functions block.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::model::{
    Assignment, AttributeName, Conflict, CustomerId, Draft, Edit, EndpointName, Identity, Join, ProbableJoin, Record,
    RecordId, Refusal, Shelf, Timestamp,
};

/// Writes the local directory, each change with its event in one transaction.
pub trait Editing {
    /// Tells which of these attributes of a record a local editor may not change, and why. Changes nothing.
    fn check_edit(&self, customer: &CustomerId, id: RecordId, attributes: &[AttributeName]) -> Result<Vec<Refusal>>;

    /// Changes a record.
    fn edit(&self, customer: &CustomerId, id: RecordId, edit: &Edit, now: Timestamp) -> Result<Record>;

    /// Adds records; what cannot be added does not hinder the others.
    fn add(&self, customer: &CustomerId, drafts: &[Draft], now: Timestamp) -> Result<Vec<Result<Record>>>;

    /// Tells which drafts could be added. Changes nothing.
    fn check_add(&self, customer: &CustomerId, drafts: &[Draft]) -> Result<Vec<Result<()>>>;

    /// Removes a record that nobody owns.
    fn remove(&self, customer: &CustomerId, id: RecordId, now: Timestamp) -> Result<()>;

    /// Puts a user away, or takes it back into use.
    fn shelve(&self, customer: &CustomerId, id: RecordId, shelf: Shelf, now: Timestamp) -> Result<Record>;

    /// Sets the tags of a user.
    fn set_tags(&self, customer: &CustomerId, id: RecordId, tags: &BTreeSet<String>, now: Timestamp) -> Result<Record>;

    /// Makes records members of a group; returns how many were not.
    fn add_members(&self, customer: &CustomerId, group: RecordId, members: &[RecordId], now: Timestamp) -> Result<u64>;

    /// Ends memberships that were made by hand; returns how many there were.
    fn remove_members(
        &self,
        customer: &CustomerId,
        group: RecordId,
        members: &[RecordId],
        now: Timestamp,
    ) -> Result<u64>;

    /// Finds who has one of these addresses, which are folded.
    fn holders(&self, customer: &CustomerId, addresses: &BTreeSet<String>) -> Result<BTreeMap<String, RecordId>>;

    /// Makes one user of two; returns what remains.
    fn join(&self, customer: &CustomerId, kept: RecordId, absorbed: RecordId, now: Timestamp) -> Result<Record>;

    /// Takes an identity out of a user; returns the record that keeps the id, and the other one.
    fn unjoin(
        &self,
        customer: &CustomerId,
        id: RecordId,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<(Record, Record)>;

    /// Moves an identity to another user; returns that one.
    fn reanchor(&self, customer: &CustomerId, identity: &Identity, to: RecordId, now: Timestamp) -> Result<Record>;

    /// Tells why the identities of a record are one.
    fn joins(&self, customer: &CustomerId, id: RecordId) -> Result<Vec<Join>>;

    /// Looks for users who may be one person, at most so many pairs.
    fn probable_joins(&self, customer: &CustomerId, limit: usize) -> Result<Vec<ProbableJoin>>;

    /// Lists the records that contradict each other, as long as both are there.
    fn conflicts(&self, customer: &CustomerId) -> Result<Vec<Conflict>>;

    /// Sets the attributes that an endpoint leaves to local editors; returns how many records are changed by that.
    fn set_yielded(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointName,
        attributes: &BTreeSet<AttributeName>,
        now: Timestamp,
    ) -> Result<u64>;

    /// Tells which customer an address belongs to.
    fn assignment(&self, address: &str) -> Result<Assignment>;

    /// Says which customer an address belongs to, or leaves it to the rule again.
    fn set_assignment(&self, address: &str, customer: Option<&CustomerId>) -> Result<()>;
}
