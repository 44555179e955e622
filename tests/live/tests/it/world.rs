//! One customer with one Active Directory endpoint: a real controller on one side, a state file on the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use tempfile::TempDir;
use tenantry::model::{CustomerId, EndpointName, Event, EventType, ObjectKind, Outcome, Record, RunReport, SourceId};
use tenantry::{Customer, Endpoint, EndpointInfo, ImportOptions, Secret, Service, SqliteStore};
use tenantry_active_directory::{ActiveDirectory, ActiveDirectoryConfig};
use tenantry_live::{Account, Population, SambaDc, can_run};
use uuid::Uuid;

use crate::independent::{Independent, guid_of};
use crate::replica::Replica;

pub(crate) type Done = Result<(), Box<dyn std::error::Error>>;

pub(crate) const PASSWORD: &str = "Passw0rd!Read1";

pub(crate) fn ready(suite: &str) -> bool {
    can_run(suite, SambaDc::available())
}

pub(crate) struct World {
    pub(crate) dc: SambaDc,
    pub(crate) reader: Account,
    pub(crate) service: Service,
    pub(crate) customer: CustomerId,
    pub(crate) name: EndpointName,
    pub(crate) config: ActiveDirectoryConfig,
    pub(crate) replica: Replica,
    // Dropped last: the store lies in it.
    folder: TempDir,
}

impl World {
    /// A small company, and an account without any special right that reads it.
    pub(crate) async fn small() -> Result<Self, Box<dyn std::error::Error>> {
        let dc = SambaDc::populated(Population::small())?;
        Self::with(dc, |_| {}).await
    }

    pub(crate) async fn with(
        dc: SambaDc,
        change: impl FnOnce(&mut ActiveDirectoryConfig),
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let reader = dc.create_account("reader", PASSWORD)?;
        let mut config = settings(&dc, &reader.upn);
        change(&mut config);
        let folder = tempfile::tempdir()?;
        let store = Arc::new(SqliteStore::open(folder.path().join("state.db"))?);
        let world = Self {
            service: Service::new(store),
            customer: CustomerId::new("c1")?,
            name: EndpointName::new("ad")?,
            replica: Replica::default(),
            dc,
            reader,
            config,
            folder,
        };
        world.register(world.config.clone()).await?;
        Ok(world)
    }

    /// Puts another configuration behind the same endpoint.
    pub(crate) async fn register(&self, config: ActiveDirectoryConfig) -> tenantry::Result<()> {
        let info = EndpointInfo::new(self.name.clone(), ActiveDirectory::KIND);
        let endpoint = Arc::new(ActiveDirectory::new(info, config)?) as Arc<dyn Endpoint>;
        self.service.register(Customer::new(self.customer.clone()), vec![endpoint]).await
    }

    pub(crate) async fn import(&self) -> tenantry::Result<RunReport> {
        self.import_with(ImportOptions::default()).await
    }

    pub(crate) async fn import_with(&self, options: ImportOptions) -> tenantry::Result<RunReport> {
        self.service.import(&self.customer, &self.name, options).await
    }

    /// Imports, and expects that everything is applied.
    pub(crate) async fn import_done(&self) -> tenantry::Result<RunReport> {
        let report = self.import().await?;
        assert_eq!(report.outcome, Outcome::Done, "{report:?}");
        Ok(report)
    }

    /// Imports, and expects one event: that it has ended.
    pub(crate) async fn import_silently(&mut self) -> tenantry::Result<()> {
        self.events()?;
        let report = self.import_done().await?;
        let events = self.events()?;
        assert_eq!(types(&events), [EventType::ImportFinished], "{report:?} {:?}", told(&events));
        Ok(())
    }

    /// Returns the events since the last call, replayed over what was replayed before.
    pub(crate) fn events(&mut self) -> tenantry::Result<Vec<Event>> {
        let events = self.service.store().events(&self.customer, self.replica.position(), usize::MAX)?;
        self.replica.replay(&events);
        Ok(events)
    }

    pub(crate) fn records(&self, kind: ObjectKind) -> tenantry::Result<BTreeMap<Uuid, Record>> {
        let records = self.service.store().records(&self.customer, kind, None, usize::MAX >> 1)?;
        let own = |record: Record| match &record.identities[..] {
            [] => None,
            [identity] => {
                assert_eq!(record.lock.as_ref().map(|lock| &lock.endpoint), Some(&self.name), "locked by its endpoint");
                let SourceId::Guid(guid) = identity.source_id else { panic!("a GUID") };
                Some((guid, record))
            }
            more => panic!("one endpoint gives one identity: {more:?}"),
        };
        Ok(records.into_iter().filter_map(own).collect())
    }

    /// Returns the record of the object with this id.
    pub(crate) fn record(&self, guid: Uuid) -> tenantry::Result<Option<Record>> {
        for kind in ObjectKind::ALL {
            if let Some(record) = self.records(*kind)?.remove(&guid) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    pub(crate) fn user(&self, guid: Uuid) -> Record {
        self.record(guid).expect("the store reads").expect("the user is there")
    }

    /// Returns the id of the one object that the administrator finds.
    pub(crate) fn guid(&self, filter: &str) -> tenantry_live::Result<Uuid> {
        let found = self.dc.ldapsearch(self.dc.base_dn(), filter, &["objectGUID"])?;
        assert_eq!(found.len(), 1, "{filter} finds one");
        Ok(guid_of(&found[0]))
    }

    /// Returns the name of the one object that the administrator finds.
    pub(crate) fn dn(&self, filter: &str) -> tenantry_live::Result<String> {
        let found = self.dc.ldapsearch(self.dc.base_dn(), filter, &["1.1"])?;
        assert_eq!(found.len(), 1, "{filter} finds one");
        Ok(found[0].dn.clone())
    }

    /// Returns what `ldapsearch` reads as the same account.
    pub(crate) fn independent(&self) -> Result<Independent, Box<dyn std::error::Error>> {
        let client = self.dc.client(&self.reader.upn, &self.reader.password);
        let base = self.config.domain.base.clone().unwrap_or_else(|| self.dc.base_dn().to_owned());
        Independent::read(&client, self.dc.base_dn(), &base, self.config.contacts)
    }

    /// Compares everything: what is stored, what its events replayed give, and what `ldapsearch` reads.
    pub(crate) fn check(&mut self) -> Done {
        self.events()?;
        self.check_replica()?;
        let truth = self.independent()?;
        for kind in ObjectKind::ALL {
            let records = self.records(*kind)?;
            let expected = &truth.objects[kind];
            assert!(records.keys().eq(expected.keys()), "{kind:?}: {:?}", difference(&records, expected));
            for (guid, record) in &records {
                let mut json = serde_json::to_value(record)?;
                let object = json.as_object_mut().expect("a record is an object");
                for own in ["id", "lock", "identities"] {
                    object.remove(own);
                }
                assert_eq!(json, expected[guid], "{guid}");
            }
        }
        let known = self.replica.memberships();
        assert!(
            known == truth.memberships,
            "memberships: too many {:?}, too few {:?}",
            known.difference(&truth.memberships).take(5).collect::<Vec<_>>(),
            truth.memberships.difference(&known).take(5).collect::<Vec<_>>()
        );
        Ok(())
    }

    /// Compares what is stored with what its events give.
    pub(crate) fn check_replica(&mut self) -> Done {
        self.events()?;
        let store = self.service.store();
        let mut records = BTreeMap::new();
        for kind in ObjectKind::ALL {
            for record in store.records(&self.customer, *kind, None, usize::MAX >> 1)? {
                if *kind == ObjectKind::Group && !record.identities.is_empty() {
                    let (members, count) = store.members(&self.customer, record.id)?;
                    let (told, all) = self.replica.members_of(&record.id.to_string());
                    let mut members: Vec<_> = members.iter().map(ToString::to_string).collect();
                    members.sort_unstable();
                    assert_eq!(members, told.into_iter().collect::<Vec<_>>(), "members of {}", record.id);
                    assert_eq!(count, all, "members of {}, imported or not", record.id);
                }
                records.insert(record.id.to_string(), serde_json::to_value(&record)?);
            }
        }
        assert!(
            records == self.replica.records,
            "records and replayed events differ: {:?}",
            difference(&records, &self.replica.records)
        );
        Ok(())
    }

    pub(crate) fn state_file(&self) -> std::path::PathBuf {
        self.folder.path().join("state.db")
    }
}

/// Settings that trust the controller's own authority.
pub(crate) fn settings(dc: &SambaDc, user: &str) -> ActiveDirectoryConfig {
    let mut config = ActiveDirectoryConfig::new(dc.ldaps_url(), user, Secret::new(PASSWORD));
    config.domain.ca = Some(dc.ca_pem().as_bytes().to_vec());
    config
}

/// Names the keys that only one side has.
fn difference<K: Ord + std::fmt::Debug, A, B>(left: &BTreeMap<K, A>, right: &BTreeMap<K, B>) -> String {
    let only_left: Vec<_> = left.keys().filter(|key| !right.contains_key(key)).take(5).collect();
    let only_right: Vec<_> = right.keys().filter(|key| !left.contains_key(key)).take(5).collect();
    format!("only in the first {only_left:?}, only in the second {only_right:?}")
}

pub(crate) fn types(events: &[Event]) -> Vec<EventType> {
    events.iter().map(|event| event.event_type).collect()
}

pub(crate) fn count(events: &[Event], event_type: EventType) -> usize {
    events.iter().filter(|event| event.event_type == event_type).count()
}

/// What events say, for the message of a failed test.
pub(crate) fn told(events: &[Event]) -> Vec<String> {
    events.iter().take(20).map(|event| format!("{} {}", event.event_type.as_str(), event.data)).collect()
}
