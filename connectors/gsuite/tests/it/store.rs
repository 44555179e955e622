//! A store of its own for one account, and what it holds. It knows no promise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tenantry::gate::Clock;
use tenantry::model::{CustomerId, EndpointName, GuardLimits, Limit, ObjectKind, Outcome, RunReport};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, Store};

use crate::account::Tenant;

/// One customer's store, and the service over it.
pub(crate) struct Store1 {
    folder: std::path::PathBuf,
    pub(crate) service: Service,
    customer: CustomerId,
}

impl Drop for Store1 {
    fn drop(&mut self) {
        // What stays behind is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) type State = BTreeMap<(ObjectKind, String), (BTreeMap<String, String>, BTreeSet<String>)>;

impl Store1 {
    pub(crate) async fn new(tenant: &Tenant, name: &str) -> Self {
        Self::with_clock(tenant, name, Clock::system()).await
    }

    pub(crate) async fn with_clock(tenant: &Tenant, name: &str, clock: Clock) -> Self {
        let folder = std::env::temp_dir().join(format!("tenantry-gsuite-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let state = Arc::new(SqliteStore::open(folder.join("state.db")).unwrap());
        let service = Service::with_clock(state, clock);
        let customer = CustomerId::new("c1").unwrap();
        let endpoint = Arc::new(tenant.endpoint()) as Arc<dyn Endpoint>;
        service.register(Customer::new(customer.clone()), vec![endpoint]).await.unwrap();
        Self { folder, service, customer }
    }

    /// Imports, however it ends.
    pub(crate) async fn try_import(&self, full: bool) -> RunReport {
        // Histories of a few dozen people change a large part of them.
        let options = ImportOptions { full, guard: generous(), ..ImportOptions::default() };
        self.service.import(&self.customer, &EndpointName::new("google").unwrap(), options).await.unwrap()
    }

    pub(crate) async fn import(&self, full: bool) -> RunReport {
        let report = self.try_import(full).await;
        assert_eq!(report.outcome, Outcome::Done, "{report:?}");
        report
    }

    pub(crate) fn events(&self) -> usize {
        self.service.store().events(&self.customer, 0, usize::MAX).unwrap().len()
    }

    /// Everything that is known, by the directory's ids.
    pub(crate) fn state(&self) -> State {
        let store: &dyn Store = self.service.store().as_ref();
        let mut names = BTreeMap::new();
        let mut records = Vec::new();
        for kind in [ObjectKind::User, ObjectKind::Group, ObjectKind::Computer] {
            for record in store.records(&self.customer, kind, None, usize::MAX >> 1).unwrap() {
                let Some(identity) = record.identities.first() else { continue };
                names.insert(record.id, identity.source_id.to_string());
                records.push(record);
            }
        }
        let one = |record: tenantry::model::Record| {
            // The log says nothing of devices: whose one is when its address goes to somebody else, a full listing tells.
            let known = record.attributes.iter().filter(|(name, _)| name.as_str() != "owner");
            let attributes = known.map(|(name, value)| (name.as_str().to_owned(), format!("{value:?}"))).collect();
            let members = if record.kind == ObjectKind::Group {
                let (members, _) = store.members(&self.customer, record.id).unwrap();
                members.iter().filter_map(|id| names.get(id).cloned()).collect()
            } else {
                BTreeSet::new()
            };
            ((record.kind, names[&record.id].clone()), (attributes, members))
        };
        records.into_iter().map(one).collect()
    }
}

fn generous() -> GuardLimits {
    GuardLimits::of_all(Limit { share: 0.45, floor: 40 })
}
