//! Changes by local editors: each is one short transaction with its event, beside whatever is being applied.
//!
//! It decides nothing about who may change what; `rules::lock` does.

mod change;
mod conflict;
mod domain;
mod draft;
mod holder;
mod member;
mod natural;
mod yielded;

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

pub(super) use change::write_local;
pub(super) use domain::{forget_addresses, store_domains};
pub(super) use member::{end_memberships, groups_by_hand, hand_on_memberships, manual_after, members_by_hand};
pub(super) use natural::{adopt, look_for, note_conflict, owns_nobody, remember_key, take_over};

use super::join::{Joiner, joins_of, probable};
use super::outbox::Writer;
use super::{SqliteStore, sql};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Assignment, AttributeName, Conflict, CustomerId, Draft, Edit, EndpointName, Identity, Join, ProbableJoin, Record,
    RecordId, Refusal, RunId, Shelf, Timestamp,
};
use crate::rules::lock;
use crate::store::{Editing, fault};

/// No run: a local editor's change.
pub(super) const NO_RUN: RunId = RunId(uuid::Uuid::nil());

/// A change under way.
struct Change<'a> {
    transaction: &'a Transaction<'a>,
    events: Writer<'a>,
    customer_no: i64,
    customer: &'a CustomerId,
}

impl<'a> Change<'a> {
    /// Finds a record that is to be changed.
    fn known(&self, id: RecordId) -> Result<i64> {
        known_no(self.transaction, self.customer, self.customer_no, id)
    }

    fn joiner(&mut self, now: Timestamp) -> Joiner<'_, 'a> {
        Joiner {
            connection: self.transaction,
            events: &mut self.events,
            customer: self.customer,
            customer_no: self.customer_no,
            run: NO_RUN,
            now,
            stage: None,
            told: 0,
        }
    }
}

impl SqliteStore {
    /// Finds who has the addresses of drafts.
    fn held(&self, customer: &CustomerId, drafts: &[Draft]) -> Result<BTreeMap<String, RecordId>> {
        let wanted: BTreeSet<String> = drafts.iter().flat_map(draft::addresses_of).collect();
        if wanted.is_empty() { Ok(BTreeMap::new()) } else { self.holders(customer, &wanted) }
    }

    /// Finds who else has the addresses that an edit gives to a record.
    fn held_beside(&self, customer: &CustomerId, id: RecordId, edit: &Edit) -> Result<BTreeMap<String, RecordId>> {
        let customer_no = self.known_customer(customer)?;
        let (wanted, own_no) = {
            let host = self.host();
            let Some(own_no) = live_no(&host, customer_no, id)? else { return Ok(BTreeMap::new()) };
            (change::Known::read(&host, own_no)?.new_addresses(edit), own_no)
        };
        if wanted.is_empty() { Ok(BTreeMap::new()) } else { holder::find(self, customer, &wanted, Some(own_no)) }
    }

    /// Makes a change and tells of it, in one transaction.
    fn change<T>(
        &self,
        customer: &CustomerId,
        now: Timestamp,
        change: impl FnOnce(&mut Change<'_>) -> Result<T>,
    ) -> Result<T> {
        let step = || sql("change the directory by hand");
        let customer_no = self.known_customer(customer)?;
        let mut host = self.host();
        let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
        let events = Writer::begin(&transaction, customer_no, None, NO_RUN, now)?;
        let mut under_way = Change { transaction: &transaction, events, customer_no, customer };
        let done = change(&mut under_way)?;
        let Change { events, .. } = under_way;
        events.finish()?;
        fault::point();
        transaction.commit().map_err(step())?;
        fault::point();
        Ok(done)
    }
}

/// Finds a record that is there.
fn live_no(connection: &Connection, customer_no: i64, id: RecordId) -> Result<Option<i64>> {
    connection
        .prepare_cached(
            "SELECT r.record_no FROM record_ids i JOIN records r USING (record_no)
             WHERE i.id = ?1 AND r.customer_no = ?2 AND r.state = 0",
        )
        .and_then(|mut query| query.query_row(params![id.0.as_bytes(), customer_no], |row| row.get(0)).optional())
        .map_err(sql("read a record"))
}

/// Finds a record that is to be changed.
///
/// # Errors
/// [`ErrorKind::NotFound`] for one that is not there, [`ErrorKind::Locked`] for the group that stands for an endpoint.
fn known_no(connection: &Connection, customer: &CustomerId, customer_no: i64, id: RecordId) -> Result<i64> {
    if let Some(record_no) = live_no(connection, customer_no, id)? {
        return Ok(record_no);
    }
    if let Some(owner) = endpoint_of_group(connection, customer, id)? {
        return Err(Error::new(
            ErrorKind::Locked,
            "the group stands for an endpoint and holds everyone imported through it; change the endpoint's title",
        )
        .with_context("owner", owner)
        .with_context("record", id));
    }
    Err(Error::new(ErrorKind::NotFound, "there is no such record").with_context("record", id))
}

fn endpoint_of_group(connection: &Connection, customer: &CustomerId, id: RecordId) -> Result<Option<EndpointName>> {
    let own = super::directory::endpoint_groups(connection, customer)?.into_iter().find(|group| group.id == id);
    Ok(own.and_then(|group| group.lock).map(|lock| lock.endpoint))
}

impl Editing for SqliteStore {
    fn check_edit(&self, customer: &CustomerId, id: RecordId, attributes: &[AttributeName]) -> Result<Vec<Refusal>> {
        let customer_no = self.known_customer(customer)?;
        let host = self.host();
        let transaction = host.unchecked_transaction().map_err(sql("read a record"))?;
        match live_no(&transaction, customer_no, id)? {
            Some(record_no) => change::check(&transaction, record_no, attributes),
            None => match endpoint_of_group(&transaction, customer, id)? {
                Some(owner) => Ok(attributes.iter().map(|name| lock::locked(&owner, name)).collect()),
                None => Err(Error::new(ErrorKind::NotFound, "there is no such record").with_context("record", id)),
            },
        }
    }

    fn edit(&self, customer: &CustomerId, id: RecordId, edit: &Edit, now: Timestamp) -> Result<Record> {
        // Before the transaction: it may read the whole directory.
        let held = self.held_beside(customer, id, edit)?;
        self.change(customer, now, |change| change.edit(id, edit, &held))
    }

    fn check_add(&self, customer: &CustomerId, drafts: &[Draft]) -> Result<Vec<Result<()>>> {
        let held = self.held(customer, drafts)?;
        Ok(drafts.iter().map(|draft| draft::check(draft, &held)).collect())
    }

    fn add(&self, customer: &CustomerId, drafts: &[Draft], now: Timestamp) -> Result<Vec<Result<Record>>> {
        // Before the transaction: it may read the whole directory.
        let held = self.held(customer, drafts)?;
        self.change(customer, now, |change| {
            let add = |draft| match change.add(draft, &held) {
                // Nothing was written of what is refused; what failed half-way takes everything back.
                Err(error) if *error.kind() == ErrorKind::Store => Err(error),
                done => Ok(done),
            };
            drafts.iter().map(add).collect()
        })
    }

    fn remove(&self, customer: &CustomerId, id: RecordId, now: Timestamp) -> Result<()> {
        self.change(customer, now, |change| change.remove(id))
    }

    fn shelve(&self, customer: &CustomerId, id: RecordId, shelf: Shelf, now: Timestamp) -> Result<Record> {
        self.change(customer, now, |change| change.shelve(id, shelf, now))
    }

    fn set_tags(&self, customer: &CustomerId, id: RecordId, tags: &BTreeSet<String>, now: Timestamp) -> Result<Record> {
        self.change(customer, now, |change| change.set_tags(id, tags))
    }

    fn add_members(&self, customer: &CustomerId, group: RecordId, members: &[RecordId], now: Timestamp) -> Result<u64> {
        self.change(customer, now, |change| change.add_members(group, members))
    }

    fn remove_members(
        &self,
        customer: &CustomerId,
        group: RecordId,
        members: &[RecordId],
        now: Timestamp,
    ) -> Result<u64> {
        self.change(customer, now, |change| change.remove_members(group, members))
    }

    fn holders(&self, customer: &CustomerId, addresses: &BTreeSet<String>) -> Result<BTreeMap<String, RecordId>> {
        holder::find(self, customer, addresses, None)
    }

    fn join(&self, customer: &CustomerId, kept: RecordId, absorbed: RecordId, now: Timestamp) -> Result<Record> {
        self.change(customer, now, |change| {
            let kept = (change.known(kept)?, kept);
            let absorbed = (change.known(absorbed)?, absorbed);
            change.joiner(now).join_by_hand(kept, absorbed)
        })
    }

    fn unjoin(
        &self,
        customer: &CustomerId,
        id: RecordId,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<(Record, Record)> {
        self.change(customer, now, |change| {
            let record = (change.known(id)?, id);
            change.joiner(now).unjoin_by_hand(record, &identity.endpoint, &identity.source_id)
        })
    }

    fn reanchor(&self, customer: &CustomerId, identity: &Identity, to: RecordId, now: Timestamp) -> Result<Record> {
        self.change(customer, now, |change| {
            let to = (change.known(to)?, to);
            change.joiner(now).reanchor_by_hand(&identity.endpoint, &identity.source_id, to)
        })
    }

    fn joins(&self, customer: &CustomerId, id: RecordId) -> Result<Vec<Join>> {
        let customer_no = self.known_customer(customer)?;
        let host = self.host();
        let transaction = host.unchecked_transaction().map_err(sql("read a record"))?;
        let record_no = known_no(&transaction, customer, customer_no, id)?;
        joins_of(&transaction, record_no)
    }

    fn probable_joins(&self, customer: &CustomerId, limit: usize) -> Result<Vec<ProbableJoin>> {
        let customer_no = self.known_customer(customer)?;
        // It may take a while: nobody else waits for it.
        let connection = self.connect(4 << 20)?;
        let transaction = connection.unchecked_transaction().map_err(sql("look for probable joins"))?;
        probable(&transaction, customer_no, limit)
    }

    fn conflicts(&self, customer: &CustomerId) -> Result<Vec<Conflict>> {
        let customer_no = self.known_customer(customer)?;
        conflict::read(&self.host(), customer_no)
    }

    fn set_yielded(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointName,
        attributes: &BTreeSet<AttributeName>,
        now: Timestamp,
    ) -> Result<u64> {
        if let Some(refusal) = attributes.iter().find_map(lock::unyieldable) {
            return Err(refusal.into());
        }
        self.change(customer, now, |change| change.set_yielded(endpoint, attributes))
    }

    fn assignment(&self, address: &str) -> Result<Assignment> {
        domain::assignment(&self.host(), address)
    }

    fn set_assignment(&self, address: &str, customer: Option<&CustomerId>) -> Result<()> {
        domain::assign(&self.host(), address, customer)
    }
}
