//! The customer and its endpoints, built from a configuration; and the state file, opened as far as it may be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tenantry::model::{AttributeName, EndpointName};
use tenantry::{Customer, Endpoint, Error, ErrorKind, ImportOptions, Result, Service, SqliteStore};
use tenantry_config::TenantConfig;

/// One endpoint of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Configured {
    pub(crate) endpoint: Arc<dyn Endpoint>,
    /// How its imports are to be made.
    pub(crate) options: ImportOptions,
    /// What it leaves to local editors.
    yields: BTreeSet<AttributeName>,
}

impl Configured {
    pub(crate) fn name(&self) -> &EndpointName {
        &self.endpoint.info().name
    }
}

/// A customer with everything that was configured for it.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) customer: Customer,
    all: Vec<Configured>,
    chosen: Vec<String>,
}

impl Tenant {
    /// Builds every endpoint, also those that were not chosen: their order counts.
    ///
    /// # Errors
    /// A configuration error, also for a chosen endpoint that does not exist.
    pub(crate) fn new(config: &TenantConfig, chosen: &[String]) -> Result<Self> {
        for name in chosen {
            config.endpoint(name)?;
        }
        let customer = Customer {
            id: config.customer.id.clone(),
            name: config.customer.name.clone(),
            domains: config.customer.domains.clone(),
        };
        let build = |config: &tenantry_config::EndpointConfig| {
            let yields = config.yields.clone();
            Ok(Configured { endpoint: config.build()?, options: config.import_options(), yields })
        };
        let all = config.endpoints.iter().map(build).collect::<Result<_>>()?;
        Ok(Self { customer, all, chosen: chosen.to_owned() })
    }

    /// Returns the endpoints to work on, in the order of the configuration.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = &Configured> {
        self.all.iter().filter(|configured| {
            self.chosen.is_empty() || self.chosen.iter().any(|name| name == configured.name().as_str())
        })
    }

    fn endpoints(&self) -> Vec<Arc<dyn Endpoint>> {
        self.all.iter().map(|configured| Arc::clone(&configured.endpoint)).collect()
    }

    /// Opens the state file for imports, or creates it.
    pub(crate) async fn open(&self, state: &Path) -> Result<Service> {
        let service = Service::new(Arc::new(SqliteStore::open(state)?));
        service.register(self.customer.clone(), self.endpoints()).await?;
        let directory = service.directory();
        for configured in &self.all {
            // Also to yield nothing any more: what is as it was costs nothing.
            directory.set_yielded(&self.customer.id, configured.name(), configured.yields.clone()).await?;
        }
        Ok(service)
    }

    /// Opens the state file for looking only. One that does not exist is not created: an empty one elsewhere stands in.
    pub(crate) fn look_at(&self, state: &Path) -> Result<(Service, Option<TempDir>)> {
        let (folder, path) = if state.exists() {
            (None, state.to_owned())
        } else {
            temporary().map(|(folder, path)| (Some(folder), path))?
        };
        let service = Service::new(Arc::new(SqliteStore::open(path)?));
        service.attach(&self.customer.id, self.endpoints())?;
        Ok((service, folder))
    }
}

/// Makes a folder that goes when it is dropped, and names a state file in it.
pub(crate) fn temporary() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir().map_err(|error| {
        Error::new(ErrorKind::Store, "no temporary folder can be made").with_context("reason", error.kind())
    })?;
    let path = folder.path().join("tenant.db");
    Ok((folder, path))
}
