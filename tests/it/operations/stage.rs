//! One customer with two endpoints over one state file.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tenantry::gate::{Clock, ManualClock};
use tenantry::model::{CustomerId, EndpointName, Event, GuardLimits, Limit, Outcome, RunReport};
use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, Store};

use super::Replica;
use crate::world::folder;

pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) customer: CustomerId,
    pub(crate) endpoints: Vec<ScriptedEndpoint>,
    pub(crate) service: Service,
    pub(crate) clock: ManualClock,
    /// The customer's web domains.
    pub(crate) domains: Vec<String>,
    /// Follows every event.
    pub(crate) live: Replica,
}

pub(crate) fn name(endpoint: &str) -> EndpointName {
    EndpointName::new(endpoint).unwrap()
}

pub(crate) fn wide() -> ImportOptions {
    let all = Limit::new(1.0, 10_000_000);
    let guard = GuardLimits::of_all(all);
    ImportOptions { guard, ..ImportOptions::default() }
}

impl Stage {
    pub(crate) async fn new(directories: impl IntoIterator<Item = (&str, ScriptedDirectory)>) -> Self {
        let endpoints: Vec<_> = directories
            .into_iter()
            .map(|(name, directory)| ScriptedEndpoint::new(name, directory, 7).unwrap())
            .collect();
        let folder = folder();
        let (clock, manual) = Clock::manual();
        let store = Arc::new(SqliteStore::open(folder.path().join("state.db")).unwrap());
        let service = Service::with_clock(store, clock);
        let customer = CustomerId::new("c1").unwrap();
        let (live, domains) = (Replica::default(), Vec::new());
        let stage = Self { folder, customer, endpoints, service, clock: manual, live, domains };
        stage.register().await;
        stage
    }

    /// Twenty users, a group, computers at `ad`; eight users at `cloud`.
    pub(crate) async fn small() -> Self {
        let mut cloud = ScriptedDirectory::new("tenant-1");
        let group = cloud.add_group(5000);
        for number in 501..=508 {
            let user = cloud.add_user(number, "cloud");
            cloud.add_member(&group, &user);
        }
        Self::new([("ad", crate::world::World::directory(20)), ("cloud", cloud)]).await
    }

    pub(crate) async fn register(&self) {
        let endpoints = self.endpoints.iter().map(|e| Arc::new(e.clone()) as Arc<dyn Endpoint>).collect();
        let customer = Customer { domains: self.domains.clone(), ..Customer::new(self.customer.clone()) };
        self.service.register(customer, endpoints).await.unwrap();
    }

    pub(crate) async fn import(&self, endpoint: usize) -> RunReport {
        self.service.import(&self.customer, &self.endpoints[endpoint].info().name, wide()).await.unwrap()
    }

    pub(crate) async fn import_all(&self) {
        for endpoint in 0..self.endpoints.len() {
            let report = self.import(endpoint).await;
            assert_eq!(report.outcome, Outcome::Done, "{report:?}");
        }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.service.store().as_ref()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    pub(crate) fn events(&self, after: u64) -> Vec<Event> {
        self.store().events(&self.customer, after, usize::MAX).unwrap()
    }

    /// Reads on, and expects that events, export and records say the same.
    #[track_caller]
    pub(crate) fn check(&mut self, what: &str) {
        let store = Arc::clone(self.service.store());
        self.live.follow(store.as_ref(), &self.customer);
        self.live.agrees_with(store.as_ref(), &self.customer, what);
        self.live.same_as(&Replica::of_export(store.as_ref(), &self.customer), what);
    }
}
