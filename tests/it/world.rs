//! One customer, one scripted endpoint, one state file.

use std::collections::BTreeMap;
use std::sync::Arc;

use tempfile::TempDir;
use tenantry::gate::{Clock, ManualClock};
use tenantry::model::{CustomerId, Event, EventType, ObjectKind, Outcome, Record, RecordId, RunReport, names};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, Store};

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) customer: CustomerId,
    pub(crate) endpoint: ScriptedEndpoint,
    pub(crate) service: Service,
    pub(crate) clock: ManualClock,
    seen: u64,
}

impl World {
    pub(crate) async fn new(directory: ScriptedDirectory) -> Self {
        Self::with_pages(directory, 7).await
    }

    /// A world whose endpoint lists so many objects on a page.
    pub(crate) async fn with_pages(directory: ScriptedDirectory, page_size: usize) -> Self {
        Self::with_endpoint(ScriptedEndpoint::new("ad", directory, page_size).unwrap()).await
    }

    /// A world whose endpoint tells changes as well.
    pub(crate) async fn with_deltas(directory: ScriptedDirectory) -> Self {
        Self::with_endpoint(ScriptedEndpoint::new("ad", directory, 7).unwrap().with_deltas()).await
    }

    pub(crate) async fn with_endpoint(endpoint: ScriptedEndpoint) -> Self {
        let folder = folder();
        let (clock, manual) = Clock::manual();
        let store = Arc::new(SqliteStore::open(folder.path().join("state.db")).unwrap());
        let service = Service::with_clock(store, clock);
        let customer = CustomerId::new("c1").unwrap();
        service
            .register(Customer::new(customer.clone()), vec![Arc::new(endpoint.clone()) as Arc<dyn Endpoint>])
            .await
            .unwrap();
        Self { folder, customer, endpoint, service, clock: manual, seen: 0 }
    }

    /// A directory of so many users in two places, with a group of the first ten and a few computers.
    pub(crate) fn directory(users: u128) -> ScriptedDirectory {
        let mut directory = ScriptedDirectory::new("domain-1");
        let group = directory.add_group(1_000_000);
        for number in 1..=users {
            let user = directory.add_user(number, if number % 2 == 0 { "berlin" } else { "oslo" });
            if number <= 10 {
                directory.add_member(&group, &user);
            }
        }
        for number in 0..4 {
            directory.add_computer(2_000_000 + number, "machines");
        }
        directory
    }

    /// A world in step with its directory, whose tombstones can be read and whose endpoint tells changes.
    pub(crate) async fn in_step(mut directory: ScriptedDirectory) -> Self {
        directory.tombstones_readable = true;
        let mut world = Self::with_deltas(directory).await;
        world.import_done().await;
        world.events();
        world
    }

    /// Deletes users for good.
    pub(crate) fn delete(&self, numbers: impl IntoIterator<Item = u128>) {
        self.endpoint.change(|directory| {
            for number in numbers {
                directory.delete(&ScriptedDirectory::id(number));
            }
        });
    }

    /// Goes through an import that holds removals back and sets a record aside, and through one that fails.
    pub(crate) async fn fall_on_hard_times(&self) {
        self.delete(20..32);
        self.endpoint.change(|directory| {
            directory.objects.get_mut(&ScriptedDirectory::id(5)).unwrap().unintelligible = true;
        });
        self.endpoint.lie([Lie::SecondReadingFails]);
        assert_eq!(self.import().await.outcome, Outcome::Held);
        self.endpoint.lie([Lie::FailsAfter(1)]);
        assert_eq!(self.import().await.outcome, Outcome::Failed);
    }

    /// Makes the endpoint known once more, with a changed title.
    pub(crate) async fn register_again(&self) {
        let endpoint = Arc::new(self.endpoint.clone()) as Arc<dyn Endpoint>;
        self.service.register(Customer::new(self.customer.clone()), vec![endpoint]).await.unwrap();
    }

    pub(crate) async fn import(&self) -> RunReport {
        self.import_with(ImportOptions::default()).await
    }

    pub(crate) async fn import_with(&self, options: ImportOptions) -> RunReport {
        self.service.import(&self.customer, &self.endpoint.info().name, options).await.unwrap()
    }

    /// Imports, and expects that everything is applied.
    pub(crate) async fn import_done(&self) -> RunReport {
        let report = self.import().await;
        assert_eq!(report.outcome, Outcome::Done, "{report:?}");
        report
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.service.store().as_ref()
    }

    /// Returns the events since the last call.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let events = self.store().events(&self.customer, self.seen, usize::MAX).unwrap();
        self.seen += events.len() as u64;
        events
    }

    pub(crate) fn records(&self, kind: ObjectKind) -> BTreeMap<RecordId, Record> {
        let records = self.store().records(&self.customer, kind, None, usize::MAX >> 1).unwrap();
        records.into_iter().map(|record| (record.id, record)).collect()
    }

    pub(crate) fn members_of(&self, group: RecordId) -> u64 {
        self.store().members(&self.customer, group).unwrap().1
    }

    pub(crate) fn group(&self) -> RecordId {
        let groups = self.records(ObjectKind::Group);
        let listed = groups.values().find(|group| group.attributes.text(&names::KIND) != Some("endpoint"));
        listed.unwrap().id
    }
}

/// A folder in memory where there is one: nothing here waits for a disk.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn count(events: &[Event], event_type: EventType) -> usize {
    events.iter().filter(|event| event.event_type == event_type).count()
}
