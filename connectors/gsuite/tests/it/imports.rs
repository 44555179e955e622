//! Whole imports into a store: nothing for nothing, and deltas that agree with listings over random histories.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tenantry::model::{CustomerId, EndpointName, GuardLimits, Limit, Mode, ObjectKind, Outcome, RunReport};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, Store};
use tenantry_fakes::google::{Account, AuditLog, Clock, Member, Settings, Size};

use crate::account::{Tenant, start_with};

/// One customer's store, and the service over it.
struct Store1 {
    folder: std::path::PathBuf,
    service: Service,
    customer: CustomerId,
}

impl Drop for Store1 {
    fn drop(&mut self) {
        // What stays behind is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

type State = BTreeMap<(ObjectKind, String), (BTreeMap<String, String>, BTreeSet<String>)>;

impl Store1 {
    async fn new(tenant: &Tenant, name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tenantry-gsuite-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let service = Service::new(Arc::new(SqliteStore::open(folder.join("state.db")).unwrap()));
        let customer = CustomerId::new("c1").unwrap();
        let endpoint = Arc::new(tenant.endpoint()) as Arc<dyn Endpoint>;
        service.register(Customer::new(customer.clone()), vec![endpoint]).await.unwrap();
        Self { folder, service, customer }
    }

    async fn import(&self, full: bool) -> RunReport {
        // Histories of a few dozen people change a large part of them.
        let options = ImportOptions { full, guard: generous(), ..ImportOptions::default() };
        let report = self.service.import(&self.customer, &EndpointName::new("google").unwrap(), options).await.unwrap();
        assert_eq!(report.outcome, Outcome::Done, "{report:?}");
        report
    }

    fn events(&self) -> usize {
        self.service.store().events(&self.customer, 0, usize::MAX).unwrap().len()
    }

    /// Everything that is known, by the directory's ids.
    fn state(&self) -> State {
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

/// A source of numbers that are the same for a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % end.max(1) as u64).unwrap()
    }

    fn pick(&mut self, all: &[String]) -> Option<String> {
        (!all.is_empty()).then(|| all[self.below(all.len())].clone())
    }
}

fn change(account: &Account, dice: &mut Dice, number: usize, deleted: &mut Vec<String>) -> Option<()> {
    let admin = |id: &String| account.user(id).is_some_and(|user| user["isAdmin"] == true);
    let users: Vec<_> = account.user_ids().into_iter().filter(|id| !admin(id)).collect();
    let groups = account.group_ids();
    match dice.below(12) {
        0 => drop(account.add_user(&format!("new{number}@corp.example"), "New", "Person", |_| {})),
        1 => account.rename_user(&dice.pick(&users)?, &format!("renamed{number}@corp.example")),
        2 => {
            let suspended = dice.below(2) == 0;
            account.suspend_user(&dice.pick(&users)?, suspended);
        }
        3 => {
            let user = dice.pick(&users)?;
            account.delete_user(&user);
            deleted.push(user);
        }
        4 => {
            let user = deleted.pop()?;
            account.undelete_user(&user);
        }
        5 => drop(account.add_group(&format!("group{number}@corp.example"), "New group", |_| {})),
        6 => account.edit_group(&dice.pick(&groups)?, |group| {
            group.insert("name".to_owned(), json!(format!("Called {number}")));
        }),
        7 => drop(account.delete_group(&dice.pick(&groups)?)),
        8 | 9 => {
            let (group, user) = (dice.pick(&groups)?, dice.pick(&users)?);
            if !account.member_ids(&group).contains(&user) {
                account.add_member(&group, Member::user(&user));
            }
        }
        10 => {
            let group = dice.pick(&groups)?;
            let member = dice.pick(&account.member_ids(&group))?;
            account.remove_member(&group, &member);
        }
        // An address that is free goes to somebody else.
        _ => {
            let user = dice.pick(&users)?;
            let email = account.user(&user)?["primaryEmail"].as_str()?.to_owned();
            account.delete_user(&user);
            deleted.retain(|id| *id != user);
            account.add_user(&email, "Second", "Owner", |_| {});
        }
    }
    Some(())
}

async fn tenant(seed: u64, log: AuditLog) -> Tenant {
    let size = Size { users: 60, groups: 15, memberships: 150, orgunits: 6, chromeos: 4, mobile: 4 };
    let account = Account::generated("corp.example", seed, size).with_clock(Clock::system());
    start_with(account, Settings { audit_log: log, ..Settings::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_import_without_changes_tells_nothing_but_its_end() {
    let tenant = tenant(1, AuditLog { lag_seconds: 0, lost_percent: 0 }).await;
    let store = Store1::new(&tenant, "twice").await;
    assert_eq!(store.import(false).await.mode, Mode::Snapshot);
    let state = store.state();
    for full in [false, true] {
        let before = store.events();
        let calls = tenant.fake.log().calls();
        let report = store.import(full).await;
        assert_eq!(report.mode, if full { Mode::Snapshot } else { Mode::Delta });
        assert_eq!(store.events(), before + 1, "{report:?}");
        assert_eq!(store.state(), state);
        if !full {
            // The rights twice, the log, the ids: not the members of fifteen groups.
            assert!(tenant.fake.log().calls() - calls < 30);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deltas_agree_with_a_fresh_listing_over_random_histories() {
    for seed in 1..=6 {
        let tenant = tenant(seed, AuditLog { lag_seconds: 0, lost_percent: 0 }).await;
        let store = Store1::new(&tenant, &format!("history-{seed}")).await;
        store.import(false).await;
        let (mut dice, mut deleted) = (Dice(seed), Vec::new());
        for round in 0..3 {
            for number in 0..6 {
                change(&tenant.account, &mut dice, round * 100 + number, &mut deleted);
            }
            assert_eq!(store.import(false).await.mode, Mode::Delta);
        }
        let fresh = Store1::new(&tenant, &format!("fresh-{seed}")).await;
        fresh.import(true).await;
        let (told, listed) = (store.state(), fresh.state());
        for (key, object) in &listed {
            assert_eq!(told.get(key), Some(object), "seed {seed}, {key:?}");
        }
        assert_eq!(told.len(), listed.len(), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_loses_entries_costs_freshness_and_removes_nobody() {
    for seed in 11..=13 {
        let tenant = tenant(seed, AuditLog { lag_seconds: 0, lost_percent: 50 }).await;
        let store = Store1::new(&tenant, &format!("lossy-{seed}")).await;
        store.import(false).await;
        let (mut dice, mut deleted) = (Dice(seed), Vec::new());
        for number in 0..12 {
            change(&tenant.account, &mut dice, number, &mut deleted);
        }
        store.import(false).await;
        let ids = |kind: ObjectKind| -> BTreeSet<String> {
            store.state().into_keys().filter(|(of, _)| *of == kind).map(|(_, id)| id).collect()
        };
        assert_eq!(ids(ObjectKind::User), tenant.account.user_ids().into_iter().collect(), "seed {seed}");
        assert_eq!(ids(ObjectKind::Group), tenant.account.group_ids().into_iter().collect(), "seed {seed}");
        // What the log did not tell is there with the next full listing.
        store.import(true).await;
        let fresh = Store1::new(&tenant, &format!("lossy-fresh-{seed}")).await;
        fresh.import(true).await;
        assert_eq!(store.state(), fresh.state(), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_listing_comes_when_the_last_one_is_too_old() {
    let mut tenant = tenant(1, AuditLog::default()).await;
    tenant.config.changes =
        tenantry_gsuite::Changes::AuditLog { full: Duration::ZERO, members: Duration::from_hours(6) };
    let store = Store1::new(&tenant, "old").await;
    store.import(false).await;
    assert_eq!(store.import(false).await.mode, Mode::Snapshot);
}
