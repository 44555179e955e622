//! What an embedding host calls: customers and their endpoints, imports in the background, actions on
//! remote accounts, events.
//!
//! There is no global state: everything hangs on a [`Service`], and a process may have several.

mod act;
mod handle;
mod operations;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use act::{ActionRequest, ActionResult, Availability, RecordResult};
pub use handle::RunHandle;
pub use operations::Export;

use crate::directory::Directory;
use crate::endpoint::{Context, Endpoint, EndpointInfo, Verification};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::{Clock, Gate, Quotas};
use crate::meter;
use crate::model::{CustomerId, EndpointName, Progress, Retention, RunReport};
use crate::outbox::{Consumer, blocking};
use crate::run::{ImportOptions, Job};
use crate::store::{Customer, Parked, Store, Totals};

/// Imports the endpoints of any number of customers into one store.
#[derive(Debug, Clone)]
pub struct Service {
    inner: Arc<Inner>,
    retention: Retention,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    quotas: Quotas,
    endpoints: Mutex<BTreeMap<(CustomerId, EndpointName), Registered>>,
}

#[derive(Debug, Clone)]
struct Registered {
    endpoint: Arc<dyn Endpoint>,
    gate: Gate,
}

impl Service {
    /// Creates a service over a store, on the system's clock.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::with_clock(store, Clock::system())
    }

    /// Creates a service over a store, on a clock of the caller's.
    pub fn with_clock(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self::with_quotas(store, Quotas::new(clock))
    }

    /// Creates a service that shares the published quotas with others of the same process, and their clock.
    ///
    /// Endpoints of one service share them anyway; a host with a store for each customer gives all its services one.
    pub fn with_quotas(store: Arc<dyn Store>, quotas: Quotas) -> Self {
        let inner = Arc::new(Inner { store, quotas, endpoints: Mutex::default() });
        Self { inner, retention: Retention::default() }
    }

    /// Makes a customer and its endpoints known. Their order is the order in which their values count; one that is known
    /// and not named keeps its place.
    ///
    /// Another order than before may take a while: every record that looks different then is told by an event of its own,
    /// a few hundred to a transaction, and imports, edits and readers go on beside that. Should the process end in between,
    /// what has not been told looks as before, and the next call goes on.
    ///
    /// # Errors
    /// Two endpoints of one name, a domain that cannot be a customer's own, or a store that cannot be written.
    pub async fn register(&self, customer: Customer, endpoints: Vec<Arc<dyn Endpoint>>) -> Result<()> {
        for domain in &customer.domains {
            crate::rules::domains::check(domain)?;
        }
        let infos = distinct(&endpoints)?;
        let id = customer.id.clone();
        let (store, now) = (Arc::clone(&self.inner.store), self.now());
        blocking(move || store.register(&customer, &infos, now)).await?;
        self.remember(&id, endpoints);
        Ok(())
    }

    /// Makes endpoints known for checks and dry runs only: nothing is written, not even that they exist.
    ///
    /// # Errors
    /// Two endpoints of one name.
    pub fn attach(&self, customer: &CustomerId, endpoints: Vec<Arc<dyn Endpoint>>) -> Result<()> {
        distinct(&endpoints)?;
        self.remember(customer, endpoints);
        Ok(())
    }

    fn remember(&self, customer: &CustomerId, endpoints: Vec<Arc<dyn Endpoint>>) {
        for endpoint in endpoints {
            let gate = self.gate(customer, &*endpoint);
            let key = (customer.clone(), endpoint.info().name.clone());
            self.endpoints().insert(key, Registered { endpoint, gate });
        }
    }

    /// Builds the gate of an endpoint, with the buckets that it shares with others.
    fn gate(&self, customer: &CustomerId, endpoint: &dyn Endpoint) -> Gate {
        let (info, limits, quotas) = (endpoint.info(), endpoint.limits(), &self.inner.quotas);
        let user = format!("{customer}/{}", info.name);
        let gate = Gate::builder().kind(info.kind).clock(quotas.clock().clone()).concurrency(limits.concurrency());
        let gate = limits.quotas().iter().fold(gate, |gate, quota| {
            // Quoted, so that no two of the three run together: what one connector names is never another's bucket.
            let key = format!("{:?} {:?} {:?}", info.kind, quota.name, quota.key);
            gate.bucket(Arc::clone(&quota.name), quotas.claim(key, user.as_str(), quota.limit))
        });
        gate.build()
    }

    fn endpoints(&self) -> std::sync::MutexGuard<'_, BTreeMap<(CustomerId, EndpointName), Registered>> {
        self.inner.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn registered(&self, customer: &CustomerId, endpoint: &EndpointName) -> Result<Registered> {
        self.endpoints().get(&(customer.clone(), endpoint.clone())).cloned().ok_or_else(|| {
            Error::config("the endpoint is not registered")
                .with_context("customer", customer)
                .with_context("endpoint", endpoint)
        })
    }

    /// Starts an import in the background and returns at once.
    ///
    /// The import goes on when the handle is dropped. It needs a tokio runtime.
    ///
    /// # Errors
    /// An endpoint that is not registered; [`ErrorKind::Conflict`] while one of its imports is under way, in this
    /// process or another; an approval of something that was never parked or planned.
    pub async fn start(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointName,
        options: ImportOptions,
    ) -> Result<RunHandle> {
        let Registered { endpoint, gate } = self.registered(customer, endpoint)?;
        if let Some(plan) = options.approve.clone() {
            let (store, customer) = (Arc::clone(&self.inner.store), customer.clone());
            let id = plan.clone();
            if !blocking(move || store.can_approve(&customer, &id)).await? {
                return Err(Error::config("nothing is parked or planned under this id; see what is parked")
                    .with_context("plan", plan));
            }
        }
        let cancel = CancellationToken::new();
        let (progress, watched) = watch::channel(Progress::default());
        let job = Job {
            store: Arc::clone(&self.inner.store),
            endpoint,
            customer: customer.clone(),
            options,
            gate: gate.clone(),
            cancel: cancel.clone(),
            progress,
        };
        let import = blocking(move || job.begin()).await?;
        let (service, customer) = (self.clone(), customer.clone());
        let task = tokio::spawn(async move {
            let report = import.run().await;
            service.tidy(&customer).await;
            report
        });
        Ok(RunHandle::new(task, cancel, watched, gate))
    }

    /// Imports one endpoint and waits for the end.
    ///
    /// # Errors
    /// As [`Service::start`]. A failed import is no error here: its report says so.
    pub async fn import(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointName,
        options: ImportOptions,
    ) -> Result<RunReport> {
        self.start(customer, endpoint, options).await?.wait().await
    }

    /// Checks an endpoint: reachable, which rights, what will not be seen, how much work. Changes nothing.
    pub async fn verify(&self, customer: &CustomerId, endpoint: &EndpointName) -> Result<Verification> {
        let Registered { endpoint, gate } = self.registered(customer, endpoint)?;
        endpoint.verify(&Context::new(gate, CancellationToken::new())).await
    }

    /// Returns a named consumer of a customer's events. The same name goes on where it was.
    pub fn consumer(&self, customer: &CustomerId, name: &str) -> Consumer {
        Consumer::new(Arc::clone(&self.inner.store), customer.clone(), name)
    }

    /// Sets the gauges that have to be asked for: what waits for approval, and what consumers have yet to acknowledge.
    ///
    /// Counted are the customers that have endpoints here and their registered consumers; sums, so that no customer
    /// becomes a label. To be called before the host's figures are collected; see [`meter`].
    pub async fn measure(&self) -> Result<()> {
        let customers: BTreeSet<CustomerId> = self.endpoints().keys().map(|(customer, _)| customer.clone()).collect();
        let store = Arc::clone(&self.inner.store);
        let (parked, backlog) = blocking(move || {
            let (mut parked, mut backlog) = (0, 0);
            for customer in &customers {
                parked += store.parked(customer)?.iter().flat_map(|set| &set.held).map(|held| held.count).sum::<u64>();
                let last = store.last_position(customer)?;
                backlog += store.consumers(customer)?.iter().map(|one| last.saturating_sub(one.position)).sum::<u64>();
            }
            Ok((parked, backlog))
        })
        .await?;
        meter::PARKED_NOW.set(parked, &[]);
        meter::BACKLOG.set(backlog, &[]);
        Ok(())
    }

    /// Returns the position of a customer's last event; 0 before the first.
    pub async fn last_position(&self, customer: &CustomerId) -> Result<u64> {
        let (store, customer) = (Arc::clone(&self.inner.store), customer.clone());
        blocking(move || store.last_position(&customer)).await
    }

    /// Counts what is kept of a customer.
    pub async fn totals(&self, customer: &CustomerId) -> Result<Totals> {
        let (store, customer) = (Arc::clone(&self.inner.store), customer.clone());
        blocking(move || store.totals(&customer)).await
    }

    /// Reads what waits for approval.
    pub async fn parked(&self, customer: &CustomerId) -> Result<Vec<Parked>> {
        let (store, customer) = (Arc::clone(&self.inner.store), customer.clone());
        blocking(move || store.parked(&customer)).await
    }

    /// Reads the last runs of a customer, newest first.
    pub async fn history(&self, customer: &CustomerId, limit: usize) -> Result<Vec<RunReport>> {
        let (store, customer) = (Arc::clone(&self.inner.store), customer.clone());
        blocking(move || store.history(&customer, limit)).await
    }

    /// Returns the customers' local directories: for those who look at them and edit them by hand.
    pub fn directory(&self) -> Directory {
        Directory::with_clock(Arc::clone(&self.inner.store), self.inner.quotas.clock().clone())
    }

    /// Returns the store, for everything else that can be read.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }
}

/// Returns who the endpoints are, if no two have the same name.
fn distinct(endpoints: &[Arc<dyn Endpoint>]) -> Result<Vec<EndpointInfo>> {
    let infos: Vec<_> = endpoints.iter().map(|endpoint| endpoint.info().clone()).collect();
    for (at, info) in infos.iter().enumerate() {
        if infos[..at].iter().any(|other| other.name == info.name) {
            return Err(Error::config("two endpoints of a customer have the same name; rename one of them")
                .with_context("endpoint", &info.name));
        }
    }
    Ok(infos)
}

impl RunReport {
    /// Turns a failed or cancelled import into an error, for hosts that treat it as one.
    pub fn into_result(self) -> Result<Self> {
        match (&self.error, self.error_kind.as_deref()) {
            (Some(error), Some("cancelled")) => Err(Error::new(ErrorKind::Cancelled, error.clone())),
            (Some(error), _) => Err(Error::new(ErrorKind::Unavailable, error.clone())),
            _ => Ok(self),
        }
    }
}
