//! Imports in the background: one handle for each endpoint, asked for its status whenever somebody wants to know.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tenantry::model::{CustomerId, Event, Progress, RunReport};
use tenantry::{Error, ErrorKind, ImportOptions, Result, RunHandle, Service};
use tenantry_config::TenantConfig;

/// Where an endpoint's import stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Status {
    /// It runs.
    Running {
        /// How far it is.
        progress: Progress,
    },
    /// None runs; this is how the last one ended, in this process or an earlier one.
    Ended {
        /// `None` if there never was one.
        report: Option<Box<RunReport>>,
    },
}

/// Starts imports and knows those that run.
#[derive(Debug)]
pub struct Imports {
    service: Service,
    tenant: TenantConfig,
    running: Mutex<BTreeMap<String, RunHandle>>,
}

impl Imports {
    /// Takes over a service whose endpoints are registered.
    pub fn new(service: Service, tenant: TenantConfig) -> Self {
        Self { service, tenant, running: Mutex::default() }
    }

    fn customer(&self) -> &CustomerId {
        &self.tenant.customer.id
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, RunHandle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an import and returns at once.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] while one runs, here or in another process; a name that is not configured.
    pub async fn start(&self, name: &str) -> Result<()> {
        let endpoint = self.tenant.endpoint(name)?;
        let options = ImportOptions { guard: endpoint.guard, ..ImportOptions::default() };
        let handle = self.service.start(self.customer(), &endpoint.name, options).await?;
        self.running().insert(name.to_owned(), handle);
        Ok(())
    }

    /// Tells where an endpoint's import stands.
    pub async fn status(&self, name: &str) -> Result<Status> {
        let name = self.tenant.endpoint(name)?.name.clone();
        let running = self.running().get(name.as_str()).filter(|handle| !handle.is_finished()).map(RunHandle::status);
        if let Some(progress) = running {
            return Ok(Status::Running { progress });
        }
        // What a run left is in the store, whoever started it.
        let reports = self.service.history(self.customer(), 50).await?;
        let report = reports.into_iter().find(|report| report.endpoint == name).map(Box::new);
        Ok(Status::Ended { report })
    }

    /// Reads events behind a position that the caller keeps.
    pub async fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>> {
        let (store, customer) = (self.service.store().clone(), self.customer().clone());
        // The store blocks; a server's own threads must not.
        let read = tokio::task::spawn_blocking(move || store.events(&customer, after, limit));
        read.await.map_err(|_| Error::new(ErrorKind::Cancelled, "reading events was interrupted"))?
    }

    /// Asks everything that runs to stop; checkpoints are kept.
    pub fn cancel_all(&self) {
        self.running().values().for_each(RunHandle::cancel);
    }
}
