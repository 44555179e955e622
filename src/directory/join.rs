//! Joins by hand: two users made one, an identity taken out or moved. Imports do not decide otherwise afterwards.
//!
//! It decides nothing and knows no table.

use super::Directory;
use crate::error::Result;
use crate::model::{CustomerId, Identity, Join, ProbableJoin, Record, RecordId};

/// Joins. Imports join by themselves what belongs together beyond doubt; what they are not sure of is told as a conflict, and by
/// [`Directory::probable_joins`]. Each call is one transaction with its events: `merged` tells which id lives on and which
/// was absorbed, `split` which one came out of which. Nobody is removed by any of it.
impl Directory {
    /// Makes one user of two; returns what remains of them.
    ///
    /// `kept` keeps its id, unless `absorbed` is the one that was added by hand: then that one does, as if the endpoint had
    /// brought the same person. What was local to the absorbed one shows below what is local to the other one, its tags
    /// among the other's, and is its own again when they are taken apart. It is kept in mind against what
    /// [`Directory::unjoin`] said before.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) with the context `endpoint` if both have an identity of one
    /// endpoint: there they are two people. [`ErrorKind::Config`](crate::ErrorKind::Config) for groups and computers, and for
    /// two users of whom no endpoint sees either. [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for one that is not there.
    pub async fn join(&self, customer: &CustomerId, kept: RecordId, absorbed: RecordId) -> Result<Record> {
        self.on_store(customer, move |store, customer, now| store.join(customer, kept, absorbed, now)).await
    }

    /// Takes an identity out of a user; returns the record that keeps the id, and the other one.
    ///
    /// The record stays with the identity that founded it, whichever of them is named. No import joins the two again,
    /// whatever they have in common; [`Directory::join`] does.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if there is no other identity;
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an identity that the record has not.
    pub async fn unjoin(&self, customer: &CustomerId, id: RecordId, identity: &Identity) -> Result<(Record, Record)> {
        let identity = identity.clone();
        self.on_store(customer, move |store, customer, now| store.unjoin(customer, id, &identity, now)).await
    }

    /// Moves an identity from its user to another one; returns that one.
    ///
    /// The same as taking it out and joining it with the other, in one transaction.
    ///
    /// # Errors
    /// As [`Directory::join`] and [`Directory::unjoin`].
    pub async fn reanchor(&self, customer: &CustomerId, identity: &Identity, to: RecordId) -> Result<Record> {
        let identity = identity.clone();
        self.on_store(customer, move |store, customer, now| store.reanchor(customer, &identity, to, now)).await
    }

    /// Tells why the identities of a record are one: because of which other, for what reason, since when, by which import.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a record that is not there.
    pub async fn joins(&self, customer: &CustomerId, id: RecordId) -> Result<Vec<Join>> {
        self.on_store(customer, move |store, customer, _| store.joins(customer, id)).await
    }

    /// Looks for users of different endpoints who may be one person, at most so many pairs: they have an address or an
    /// anchor in common, and something speaks against it or is not sure. Those that somebody took apart are not among them.
    pub async fn probable_joins(&self, customer: &CustomerId, limit: usize) -> Result<Vec<ProbableJoin>> {
        self.on_store(customer, move |store, customer, _| store.probable_joins(customer, limit)).await
    }
}
