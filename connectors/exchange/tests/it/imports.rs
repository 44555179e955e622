//! Whole imports into a store: nothing for nothing, and nobody removed whatever the server says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tenantry::model::{
    CustomerId, EndpointName, GuardLimits, Limit, ObjectKind, Outcome, Record, RecordId, RunReport, names,
};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, Store};
use tenantry_fakes::ews::{Call, Fault, Id, Kind, On, Organisation, Recipient};

use crate::organisation::{Site, start};

/// One customer's store, and the service over it.
struct Local {
    folder: std::path::PathBuf,
    service: Service,
    customer: CustomerId,
}

impl Drop for Local {
    fn drop(&mut self) {
        // What stays behind is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Local {
    async fn new(site: &Site, name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tenantry-exchange-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let service = Service::new(Arc::new(SqliteStore::open(folder.join("state.db")).unwrap()));
        let customer = CustomerId::new("c1").unwrap();
        let endpoint = Arc::new(site.endpoint()) as Arc<dyn Endpoint>;
        service.register(Customer::new(customer.clone()), vec![endpoint]).await.unwrap();
        Self { folder, service, customer }
    }

    async fn import(&self) -> RunReport {
        let every = Limit { share: 1.0, floor: 1000 };
        let guard = GuardLimits {
            users: every,
            groups: every,
            memberships: every,
            members_per_group: every,
            cleared_values: every,
            ..GuardLimits::default()
        };
        let options = ImportOptions { guard, ..ImportOptions::default() };
        self.service.import(&self.customer, &EndpointName::new("mail").unwrap(), options).await.unwrap()
    }

    fn events(&self) -> usize {
        self.service.store().events(&self.customer, 0, usize::MAX).unwrap().len()
    }

    /// Everybody who is known, by address.
    fn records(&self) -> BTreeMap<String, Record> {
        let store: &dyn Store = self.service.store().as_ref();
        let kinds = [ObjectKind::User, ObjectKind::Group];
        let all =
            kinds.into_iter().flat_map(|kind| store.records(&self.customer, kind, None, usize::MAX >> 1).unwrap());
        all.filter_map(|record| Some((record.identities.first()?.source_id.to_string(), record))).collect()
    }

    fn members(&self, group: &Record) -> BTreeSet<String> {
        let (members, _) = self.service.store().members(&self.customer, group.id).unwrap();
        let by_id: BTreeMap<_, _> = self.records().into_iter().map(|(address, record)| (record.id, address)).collect();
        members.iter().filter_map(|id| by_id.get(id).cloned()).collect()
    }
}

fn organisation() -> Organisation {
    let organisation = Organisation::new("corp.example");
    let people: Vec<Id> = (0..12)
        .map(|n| organisation.add(Recipient::user(format!("user{n}")).named(&format!("First{n}"), &format!("Last{n}"))))
        .collect();
    organisation.add(Recipient::group("team").members(people[..5].to_vec()));
    organisation.add(Recipient::group("staff").members(people[3..9].to_vec()));
    organisation
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_without_a_change_tells_nothing() {
    let site = start(organisation()).await;
    let local = Local::new(&site, "same").await;
    let first = local.import().await;
    assert_eq!((first.outcome, first.created, first.quarantined), (Outcome::Done, 14, 0), "{first:?}");
    let events = local.events();
    let second = local.import().await;
    assert_eq!((second.created, second.updated, second.removed, second.missing), (0, 0, 0, 0), "{second:?}");
    // What is told is that the run has ended.
    assert_eq!(local.events(), events + 1);
    let record = &local.records()["user3@corp.example"];
    assert_eq!(record.attributes.text(&names::FIRST_NAME), Some("First3"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_hidden_or_removed_becomes_missing_and_is_never_removed() {
    let site = start(organisation()).await;
    let local = Local::new(&site, "hidden").await;
    local.import().await;
    site.organisation.hide(site.organisation.find("user1@corp.example").unwrap());
    site.organisation.remove(site.organisation.find("user2@corp.example").unwrap());
    let report = local.import().await;
    assert_eq!((report.removed, report.parked, report.missing), (0, 0, 2), "{report:?}");
    let records = local.records();
    for (address, missing) in
        [("user1@corp.example", true), ("user2@corp.example", true), ("user3@corp.example", false)]
    {
        assert_eq!(records[address].missing_since.is_some(), missing, "{address}");
    }
    site.organisation.unhide(site.organisation.find("user1@corp.example").unwrap());
    local.import().await;
    assert!(local.records()["user1@corp.example"].missing_since.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_hidden_where_an_address_finds_them_all_the_same_is_not_missing() {
    let site = start(organisation()).await;
    site.organisation.edit_settings(|settings| settings.hidden_by_address = true);
    let local = Local::new(&site, "found").await;
    local.import().await;
    for number in 0..4 {
        site.organisation.hide(site.organisation.find(&format!("user{number}@corp.example")).unwrap());
    }
    site.organisation.remove(site.organisation.find("user9@corp.example").unwrap());
    site.organisation.rename(site.organisation.find("user1@corp.example").unwrap(), "First1", "Changed");
    let report = local.import().await;
    assert_eq!((report.outcome, report.removed, report.missing), (Outcome::Done, 0, 1), "{report:?}");
    let records = local.records();
    assert_eq!(records["user1@corp.example"].attributes.text(&names::LAST_NAME), Some("Changed"));
    assert!(records["user0@corp.example"].missing_since.is_none());
    assert!(records["user9@corp.example"].missing_since.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_another_primary_address_stays_the_same_record_also_where_the_old_one_is_not_shown() {
    let site = start(organisation()).await;
    let local = Local::new(&site, "readdressed").await;
    local.import().await;
    let before = local.records();
    let one = site.organisation.find("user3@corp.example").unwrap();
    // More addresses than a server tells: the first one is not among those that it shows.
    for number in 0..5 {
        site.organisation.readdress(one, &format!("kim{number}@corp.example"));
    }
    let team = site.organisation.find("team@corp.example").unwrap();
    site.organisation.readdress(team, "crew@corp.example");
    let report = local.import().await;
    assert_eq!((report.created, report.updated, report.removed, report.missing), (0, 2, 0, 0), "{report:?}");
    let records = local.records();
    assert_eq!(records.len(), before.len());
    assert_eq!(records["kim4@corp.example"].id, before["user3@corp.example"].id);
    assert_eq!(records["crew@corp.example"].id, before["team@corp.example"].id);
    assert!(local.members(&records["crew@corp.example"]).contains("kim4@corp.example"));
    // The old address is taken from her and given to somebody else.
    site.organisation.drop_address(one, "user3@corp.example");
    site.organisation.add(Recipient::user("user3").named("Another", "Person"));
    let report = local.import().await;
    assert_eq!((report.created, report.missing), (1, 0), "{report:?}");
    let records = local.records();
    assert_eq!(records["kim4@corp.example"].id, before["user3@corp.example"].id);
    assert_ne!(records["user3@corp.example"].id, before["user3@corp.example"].id);
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// One random change.
fn change(organisation: &Organisation, chance: &mut Chance, step: usize) {
    let people = organisation.of_kind(Kind::User);
    let groups = organisation.of_kind(Kind::Group);
    let one = people[chance.below(people.len())];
    let group = groups[chance.below(groups.len())];
    match chance.below(8) {
        // No two recipients have one address.
        0 if organisation.find(&format!("new{step}@corp.example")).is_none() => {
            organisation.add(Recipient::user(format!("new{step}")).named("Neu", &format!("Ж{step}")));
        }
        1 => organisation.hide(one),
        2 => organisation.unhide(one),
        3 => {
            organisation.remove(one);
        }
        4 => {
            let first = organisation.get(one).map(|one| one.first_name).unwrap_or_default();
            organisation.rename(one, &first, &format!("Other{step}"));
        }
        5 => organisation.add_member(group, one),
        6 => organisation.remove_member(group, one),
        _ if organisation.find(&format!("c{step}@partner.example")).is_none() => {
            organisation.add(Recipient::contact(format!("c{step}")).primary(&format!("c{step}@partner.example")));
        }
        _ => {}
    }
}

/// Gives somebody who can be seen another primary address; now and then a group. Returns the address before.
fn readdress(organisation: &Organisation, chance: &mut Chance, step: usize) -> String {
    let mut all = organisation.visible();
    if chance.below(4) > 0 {
        all.retain(|(_, one)| !one.kind.is_group());
    }
    let (id, one) = all.swap_remove(chance.below(all.len()));
    organisation.readdress(id, &format!("Moved{step}.{}@corp.example", chance.0 >> 32));
    one.primary_address().unwrap().to_ascii_lowercase()
}

fn lie(site: &Site, chance: &mut Chance, seed: u64) {
    let faults = site.fake.faults();
    match chance.below(6) {
        0 => faults.on(On::any(), Fault::HidePercent { percent: 40, seed }),
        1 => faults.on(On::call(Call::ResolveNames), Fault::DropRows { percent: 40, seed }),
        2 => faults.on(On::any(), Fault::SilentCap(2)),
        3 => faults.on(On::call(Call::ExpandDl), Fault::NoResults),
        4 => faults.on(On::call(Call::ResolveNames).from(30), Fault::NoResults),
        _ => faults.on(On::any(), Fault::Inside { code: "ErrorAccessDenied".to_owned(), inner: None }),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_with_lies_remove_nobody_and_end_with_the_truth() {
    for seed in 1..4 {
        let site = start(organisation()).await;
        let local = Local::new(&site, &format!("history{seed}")).await;
        assert_eq!(local.import().await.outcome, Outcome::Done);
        let mut chance = Chance(seed);
        let mut known: BTreeSet<String> = local.records().into_keys().collect();
        // Who has which record: told by the organisation's own ids, which no server tells.
        let mut people: BTreeMap<Id, RecordId> = BTreeMap::new();
        for step in 0..8 {
            for _ in 0..3 {
                change(&site.organisation, &mut chance, step);
            }
            if step % 2 == 0 {
                lie(&site, &mut chance, seed);
            } else {
                // While a server denies what it knows, nobody can tell who has another address from who has left.
                for _ in 0..2 {
                    known.remove(&readdress(&site.organisation, &mut chance, step));
                }
            }
            let report = local.import().await;
            // What a consistent lie makes missing is held back by the guard.
            assert_eq!(report.removed, 0, "seed {seed} step {step}: {report:?}");
            let now: BTreeSet<String> = local.records().into_keys().collect();
            assert!(known.is_subset(&now), "seed {seed} step {step}: {:?}", known.difference(&now));
            known = now;
            site.fake.faults().clear();
            let records = local.records();
            for (id, one) in site.organisation.visible() {
                let address = one.primary_address().unwrap().to_ascii_lowercase();
                let Some(record) = records.get(&address) else { continue };
                let same = *people.entry(id).or_insert(record.id) == record.id;
                assert!(same, "seed {seed} step {step}: {address} is another record now");
            }
        }
        let last = local.import().await;
        assert_eq!((last.outcome, last.removed), (Outcome::Done, 0), "seed {seed}: {last:?}");
        let records = local.records();
        let visible: BTreeMap<String, Recipient> = site
            .organisation
            .visible()
            .into_iter()
            .map(|(_, one)| (one.primary_address().unwrap().to_ascii_lowercase(), one))
            .collect();
        for (address, one) in &visible {
            let record = &records[address];
            assert!(record.missing_since.is_none(), "seed {seed}: {address}");
            if one.kind == Kind::User {
                assert_eq!(record.attributes.text(&names::LAST_NAME), Some(one.last_name.as_str()), "{address}");
            }
        }
        for (address, record) in &records {
            assert_eq!(record.missing_since.is_some(), !visible.contains_key(address), "seed {seed}: {address}");
        }
        for group in site.organisation.of_kind(Kind::Group) {
            let address = site.organisation.get(group).unwrap().primary_address().unwrap().to_ascii_lowercase();
            let expected: BTreeSet<String> = site
                .organisation
                .members(group)
                .iter()
                .filter_map(tenantry_fakes::ews::Member::recipient)
                .map(|id| site.organisation.get(id).unwrap().primary_address().unwrap().to_ascii_lowercase())
                .filter(|address| visible.contains_key(address))
                .collect();
            // The memberships of those who are missing are kept with them.
            let mut members = local.members(&records[&address]);
            members.retain(|member| visible.contains_key(member));
            assert_eq!(members, expected, "seed {seed}: {address}");
        }
    }
}
