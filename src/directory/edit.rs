//! Edits by hand: values, people and groups added and removed, members, tags, the archive, whose an address is.
//!
//! It decides nothing and knows no table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Directory, blocking};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Assignment, AttributeName, Conflict, CustomerId, Draft, Edit, EndpointName, Record, RecordId, Refusal, Shelf,
    Timestamp,
};
use crate::store::Store;

/// Edits. Each is one transaction: the change, its one event with `source` `/customers/<id>`, and the position. What
/// changes nothing tells nothing. Dropping a future does not take a change back that has begun.
impl Directory {
    /// Runs blocking work on the store, with the customer and the time.
    pub(super) async fn on_store<T: Send + 'static>(
        &self,
        customer: &CustomerId,
        work: impl FnOnce(&dyn Store, &CustomerId, Timestamp) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (store, customer) = (Arc::clone(&self.store), customer.clone());
        let now = Timestamp(self.clock.now_unix_millis());
        blocking(move || work(store.as_ref(), &customer, now)).await
    }

    /// Tells which of these attributes of a record may not be changed here, and why; an empty answer allows all of them.
    ///
    /// For hosts that write by a path of their own. It changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a record that is not there.
    pub async fn check_edit(
        &self,
        customer: &CustomerId,
        id: RecordId,
        attributes: &[AttributeName],
    ) -> Result<Vec<Refusal>> {
        let attributes = attributes.to_vec();
        self.on_store(customer, move |store, customer, _| store.check_edit(customer, id, &attributes)).await
    }

    /// Changes values of a record, all of them or none.
    ///
    /// On a record that an endpoint owns, only what the endpoint yields can be changed, and attributes below
    /// `attributes.` that no endpoint gives. Such values survive every import, and the record's going and coming back.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] with the contexts `owner` and `attribute` and a remedy for what an endpoint owns;
    /// [`ErrorKind::Conflict`] with the context `record` if somebody else has one of the addresses already;
    /// [`ErrorKind::Config`] for values of another sort and for what is no name of an attribute;
    /// [`ErrorKind::NotFound`] for a record that is not there.
    pub async fn edit(&self, customer: &CustomerId, id: RecordId, edit: &Edit) -> Result<Record> {
        let edit = edit.clone();
        self.on_store(customer, move |store, customer, now| store.edit(customer, id, &edit, now)).await
    }

    /// Adds a user or a group. Nobody owns it, until an endpoint brings the same person: then it is adopted and locked,
    /// and keeps its id, its tags and what the endpoint yields.
    ///
    /// The same draft may be sent again: it is added once.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] with the context `record` if somebody has the address already; [`ErrorKind::Config`]
    /// for values of another sort.
    pub async fn add(&self, customer: &CustomerId, draft: &Draft) -> Result<Record> {
        let drafts = vec![draft.clone()];
        let mut added = self.on_store(customer, move |store, customer, now| store.add(customer, &drafts, now)).await?;
        added.pop().unwrap_or_else(|| Err(Error::new(ErrorKind::Store, "the store gave no answer")))
    }

    /// Removes a record that nobody owns, with its memberships.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] for one that an endpoint owns; [`ErrorKind::NotFound`] for one that is not there.
    pub async fn remove(&self, customer: &CustomerId, id: RecordId) -> Result<()> {
        self.on_store(customer, move |store, customer, now| store.remove(customer, id, now)).await
    }

    /// Makes records members of a group that nobody owns, whoever owns them; returns how many were not members before.
    ///
    /// Such a membership is between records: it stays while its member is gone, and when an endpoint adopts one of them.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] for a group that an endpoint owns; nothing is added then, nor if a member is not there.
    pub async fn add_members(&self, customer: &CustomerId, group: RecordId, members: &[RecordId]) -> Result<u64> {
        let members = members.to_vec();
        self.on_store(customer, move |store, customer, now| store.add_members(customer, group, &members, now)).await
    }

    /// Ends memberships that were made by hand; returns how many there were.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] for a membership that an endpoint gave; nothing is ended then.
    pub async fn remove_members(&self, customer: &CustomerId, group: RecordId, members: &[RecordId]) -> Result<u64> {
        let members = members.to_vec();
        self.on_store(customer, move |store, customer, now| store.remove_members(customer, group, &members, now)).await
    }

    /// Archives a user, or restores it. That is local, whoever owns the record: it is imported on, and keeps the mark.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for groups and computers, which have no such state.
    pub async fn shelve(&self, customer: &CustomerId, id: RecordId, shelf: Shelf) -> Result<Record> {
        self.on_store(customer, move |store, customer, now| store.shelve(customer, id, shelf, now)).await
    }

    /// Sets the tags of a user, whoever owns it: the host's roles, registration and the like. They are opaque here, no
    /// import touches them, and records tell them as `attributes.tags`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for groups and computers, and for tags that are empty or contain a comma or semicolon.
    pub async fn set_tags<T: Into<String>>(
        &self,
        customer: &CustomerId,
        id: RecordId,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<Record> {
        let tags: BTreeSet<String> = tags.into_iter().map(Into::into).collect();
        self.on_store(customer, move |store, customer, now| store.set_tags(customer, id, &tags, now)).await
    }

    /// Sets the attributes that an endpoint leaves to local editors; returns how many records show that.
    ///
    /// To be called whenever the customer is registered: what is as it was costs nothing. A change is one transaction,
    /// with an event for every record of the endpoint. Local values of attributes that are no longer yielded are kept,
    /// and show again when they are.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what only a directory can say of an account, and for what is no attribute;
    /// [`ErrorKind::NotFound`] for an endpoint that is not known.
    pub async fn set_yielded(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointName,
        attributes: impl IntoIterator<Item = AttributeName>,
    ) -> Result<u64> {
        let (endpoint, attributes) = (endpoint.clone(), attributes.into_iter().collect::<BTreeSet<_>>());
        self.on_store(customer, move |store, customer, now| store.set_yielded(customer, &endpoint, &attributes, now))
            .await
    }

    /// Tells why an attribute cannot be yielded; `None` where it can. It asks nobody.
    pub fn check_yielded(attribute: &AttributeName) -> Option<Refusal> {
        crate::rules::lock::unyieldable(attribute)
    }

    /// Finds who has one of these addresses, primary or further ones, whatever their case. It asks the index of
    /// queries; as long as that is not built, it goes through everybody once.
    pub async fn holders(
        &self,
        customer: &CustomerId,
        addresses: impl IntoIterator<Item = String>,
    ) -> Result<BTreeMap<String, RecordId>> {
        let folded: BTreeSet<String> =
            addresses.into_iter().map(|address| crate::rules::text::folded(&address)).collect();
        self.on_store(customer, move |store, customer, _| store.holders(customer, &folded)).await
    }

    /// Lists the records that contradict each other, as long as both are there.
    pub async fn conflicts(&self, customer: &CustomerId) -> Result<Vec<Conflict>> {
        self.on_store(customer, |store, customer, _| store.conflicts(customer)).await
    }

    /// Tells which of all customers a new user with this address belongs to: what somebody said first, then the longest
    /// verified web domain that exactly one customer has.
    pub async fn assign(&self, address: &str) -> Result<Assignment> {
        let (store, address) = (Arc::clone(&self.store), address.to_owned());
        blocking(move || store.assignment(&address)).await
    }

    /// Says which customer an address belongs to, against every rule; `None` leaves it to the rule again.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what is no address, [`ErrorKind::NotFound`] for an unknown customer.
    pub async fn set_assignment(&self, address: &str, customer: Option<&CustomerId>) -> Result<()> {
        let (store, address, customer) = (Arc::clone(&self.store), address.to_owned(), customer.cloned());
        blocking(move || store.set_assignment(&address, customer.as_ref())).await
    }
}
