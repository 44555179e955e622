//! The state file that is looked at, and whose part of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tenantry::model::{
    AttributeName, CustomerId, Event, EventType, Happening, ObjectKind, Query, Record, RecordId, SortBy, names,
};
use tenantry::{Directory, Error, ErrorKind, Result, SqliteStore, Store};

/// An open state file.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) directory: Directory,
    /// Those that were chosen, or all.
    pub(crate) customers: BTreeSet<CustomerId>,
}

impl Place {
    pub(crate) async fn open(state: &Path, chosen: &[String]) -> Result<Self> {
        if !state.exists() {
            // To open it would be to create it.
            return Err(Error::config("there is no state file; import first, or name it with --state")
                .with_context("file", state.display()));
        }
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(state)?);
        let directory = Directory::new(Arc::clone(&store));
        let known: BTreeSet<CustomerId> =
            directory.customers().await?.into_iter().map(|customer| customer.id).collect();
        let mut customers = BTreeSet::new();
        for chosen in chosen {
            let id = CustomerId::new(chosen)?;
            if !known.contains(&id) {
                let all: Vec<&str> = known.iter().map(CustomerId::as_str).collect();
                return Err(Error::new(ErrorKind::NotFound, "there is no such customer in the state file")
                    .with_context("customer", id)
                    .with_context("there are", all.join(", ")));
            }
            customers.insert(id);
        }
        if customers.is_empty() {
            customers = known;
        }
        if customers.is_empty() {
            return Err(
                Error::config("nobody was imported into this state file yet").with_context("file", state.display())
            );
        }
        Ok(Self { store, directory, customers })
    }

    /// Finds a record by its id, or by its address or name.
    pub(crate) async fn find(&self, kind: ObjectKind, text: &str) -> Result<(CustomerId, RecordId)> {
        if let Ok(id) = text.parse() {
            return self.by_id(RecordId(id), text).await;
        }
        let (by, name): (SortBy, AttributeName) = match kind {
            ObjectKind::User => (SortBy::PrimaryEmail, names::PRIMARY_EMAIL),
            _ => (SortBy::Name, names::NAME),
        };
        let mut query = Query::users(self.customers.first().ok_or_else(|| unknown(text))?);
        query.customers.clone_from(&self.customers);
        query.kind = kind;
        query.sort.by = by;
        query.filter.prefix = Some((by, text.to_owned()));
        let same = |record: &Record| record.attributes.text(&name).is_some_and(|one| same_text(one, text));
        let page = self.directory.find(&query, None, 200).await?;
        let mut found = page.found.into_iter().filter(|found| same(&found.record));
        let first = found.next().ok_or_else(|| unknown(text))?;
        if found.next().is_some() {
            return Err(Error::config("several have this address or name; ask by the id").with_context("asked", text));
        }
        Ok((first.customer, first.record.id))
    }

    /// Returns the customer that something is added to: there is only one, or one was named.
    pub(crate) fn one_customer(&self) -> Result<&CustomerId> {
        let mut customers = self.customers.iter();
        match (customers.next(), customers.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(Error::config("the state file has several customers; name one with --customer")),
        }
    }

    /// Returns what kind of record it is.
    pub(crate) async fn kind_of(&self, customer: &CustomerId, id: RecordId) -> Result<ObjectKind> {
        let (store, owner) = (Arc::clone(&self.store), customer.clone());
        let record = blocking(move || store.record(&owner, id)).await?;
        record.map(|record| record.kind).ok_or_else(|| unknown(&id.to_string()))
    }

    async fn by_id(&self, id: RecordId, text: &str) -> Result<(CustomerId, RecordId)> {
        for customer in &self.customers {
            let (store, owner) = (Arc::clone(&self.store), customer.clone());
            let found = blocking(move || store.record(&owner, id)).await?;
            if found.is_some() {
                return Ok((customer.clone(), id));
            }
        }
        match self.stands_for(id).await {
            Some(kept) => {
                Err(Error::new(ErrorKind::NotFound, "this user was joined with another one and absorbed by it")
                    .with_context("asked", text)
                    .with_context("now", kept))
            }
            None => Err(unknown(text)),
        }
    }

    /// Returns the record that absorbed another one, as the newest events tell.
    async fn stands_for(&self, gone: RecordId) -> Option<RecordId> {
        for customer in &self.customers {
            let mut now = gone;
            // Who absorbed somebody may have been absorbed as well.
            for _ in 0..8 {
                let page = self.directory.happened(customer, Some(now), None, 50).await.ok()?;
                let events = page.entries.iter().filter_map(|entry| match entry {
                    Happening::Event(event) => Some(event),
                    Happening::Action(_) => None,
                });
                let last = events.into_iter().find_map(|event| absorbed_by(event, now));
                match last.and_then(|kept| kept.parse().ok()) {
                    Some(kept) => now = RecordId(kept),
                    None => break,
                }
            }
            if now != gone {
                return Some(now);
            }
        }
        None
    }
}

/// Returns who absorbed a record, if an event tells that.
fn absorbed_by(event: &Event, record: RecordId) -> Option<String> {
    let data = event.data_value();
    let is = event.event_type == EventType::UserMerged && data["absorbed"] == record.to_string();
    is.then(|| data["kept"].as_str().map(str::to_owned)).flatten()
}

fn same_text(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

pub(crate) fn unknown(text: &str) -> Error {
    Error::new(ErrorKind::NotFound, "nobody and nothing is known under this id, address or name")
        .with_context("asked", text)
}

/// Runs the store's blocking work off the thread of the program.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Store, "reading the state file panicked")))
}
