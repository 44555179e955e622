//! One customer read by both routes: whoever was seen by one first is the same record when the other comes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tenantry::model::{CustomerId, EndpointName, ObjectKind, Outcome, Record, RecordId, RunReport, names};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, Store};
use tenantry_exchange::Ldap;
use tenantry_fakes::ews::{Id, Organisation, Recipient};
use tenantry_fakes::ldap::{Guid, MailType};

use crate::domain::{self, Domain, GROUPS, PEOPLE};
use crate::organisation::{Site, start};

const MAIL: &str = "mail";
const DIRECTORY: &str = "directory";

/// The same people in an organisation's address book and in its domain.
struct Both {
    site: Site,
    domain: Domain,
    accounts: Vec<(Id, Guid)>,
    service: Service,
    customer: CustomerId,
    folder: PathBuf,
}

impl Drop for Both {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Both {
    /// With so many people, and a group of three of them, at a customer who owns these web domains.
    async fn new(name: &str, owned: &[&str]) -> Self {
        let (organisation, directory) = (Organisation::new("corp.example"), domain::directory());
        let accounts: Vec<(Id, Guid)> = (0..6)
            .map(|number| {
                let (alias, first, last) = (format!("user{number}"), format!("First{number}"), format!("Last{number}"));
                let recipient = organisation.add(Recipient::user(alias.clone()).named(&first, &last));
                let account = directory.add_user(PEOPLE, &alias).given(&first).surname(&last).create();
                directory.enable_mail(account, &alias, MailType::Mailbox);
                (recipient, account)
            })
            .collect();
        organisation.add(Recipient::group("team").members(accounts[..3].iter().map(|(id, _)| *id)));
        let team = directory.add_group(GROUPS, "Team").distribution().create();
        directory.enable_mail(team, "team", MailType::Group);
        for (_, account) in &accounts[..3] {
            directory.add_member(team, *account);
        }
        let (site, domain) = (start(organisation).await, domain::start(directory).await);
        let folder = std::env::temp_dir().join(format!("tenantry-routes-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let service = Service::new(Arc::new(SqliteStore::open(folder.join("state.db")).unwrap()));
        let customer = CustomerId::new("c1").unwrap();
        let endpoints =
            vec![Arc::new(site.endpoint()) as Arc<dyn Endpoint>, Arc::new(domain.endpoint()) as Arc<dyn Endpoint>];
        let mut registered = Customer::new(customer.clone());
        registered.domains = owned.iter().map(|&domain| domain.to_owned()).collect();
        service.register(registered, endpoints).await.unwrap();
        Self { site, domain, accounts, service, customer, folder }
    }

    async fn import(&self, endpoint: &str) -> RunReport {
        let endpoint = EndpointName::new(endpoint).unwrap();
        let options = ImportOptions { full: true, ..ImportOptions::default() };
        let report = self.service.import(&self.customer, &endpoint, options).await.unwrap();
        assert_eq!((report.outcome, report.removed), (Outcome::Done, 0), "{report:?}");
        report
    }

    fn store(&self) -> &dyn Store {
        self.service.store().as_ref()
    }

    fn people(&self) -> BTreeMap<RecordId, Record> {
        let records = self.store().records(&self.customer, ObjectKind::User, None, usize::MAX >> 1).unwrap();
        records.into_iter().map(|record| (record.id, record)).collect()
    }

    fn by_address(&self) -> BTreeMap<String, RecordId> {
        let address = |record: &Record| record.attributes.text(&names::PRIMARY_EMAIL).unwrap().to_lowercase();
        self.people().into_values().map(|record| (address(&record), record.id)).collect()
    }

    /// Gives somebody another primary address in the address book, and maybe another last name.
    fn readdress(&self, number: usize, address: &str, last: Option<&str>) {
        let (recipient, _) = self.accounts[number];
        self.site.organisation.readdress(recipient, address);
        if let Some(last) = last {
            self.site.organisation.rename(recipient, &format!("First{number}"), last);
        }
    }

    /// The same in the domain.
    fn readdress_account(&self, number: usize, address: &str, last: Option<&str>) {
        let (_, account) = self.accounts[number];
        let old = format!("smtp:user{number}@corp.example");
        self.domain.directory.set(account, "proxyAddresses", [format!("SMTP:{address}").as_str(), &old]);
        self.domain.directory.set(account, "mail", [address]);
        if let Some(last) = last {
            self.domain.directory.set(account, "sn", [last]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_first_seen_in_the_address_book_stays_one_record_when_the_domain_is_read() {
    for (name, owned) in [("owned", &["corp.example"][..]), ("not-owned", &[])] {
        for (first, second) in [(MAIL, DIRECTORY), (DIRECTORY, MAIL)] {
            let both = Both::new(&format!("{name}-{first}"), owned).await;
            both.import(first).await;
            let before = both.by_address();
            assert_eq!(before.len(), 6);
            both.import(second).await;
            assert_eq!(both.by_address(), before, "{name}: the same six people, {first} first");
            for record in both.people().values() {
                assert_eq!(record.identities.len(), 2, "{record:?}");
            }
            for endpoint in [first, second] {
                let again = both.import(endpoint).await;
                assert_eq!((again.created, again.updated, again.missing), (0, 0, 0), "{again:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_address_and_name_leave_one_record_whichever_route_tells_it_first() {
    for order in [[MAIL, DIRECTORY], [DIRECTORY, MAIL]] {
        let both = Both::new(&format!("renamed-{}", order[0]), &["corp.example"]).await;
        both.import(MAIL).await;
        both.import(DIRECTORY).await;
        let before = both.by_address();
        both.readdress(1, "first1.married@corp.example", Some("Married"));
        both.readdress_account(1, "first1.married@corp.example", Some("Married"));
        for endpoint in order {
            let report = both.import(endpoint).await;
            assert_eq!((report.created, report.missing), (0, 0), "{endpoint}: {report:?}");
        }
        let now = both.by_address();
        assert_eq!(now["first1.married@corp.example"], before["user1@corp.example"]);
        assert_eq!(now.values().collect::<BTreeSet<_>>(), before.values().collect::<BTreeSet<_>>());
        let record = &both.people()[&before["user1@corp.example"]];
        assert_eq!(record.identities.len(), 2, "{record:?}");
        assert_eq!(record.missing_since, None);
        let joins = both.service.directory().joins(&both.customer, record.id).await.unwrap();
        assert_eq!(joins.len(), 1, "why they are one is still known: {joins:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_got_another_address_before_the_domain_was_read_is_one_record_with_it() {
    let both = Both::new("before", &["corp.example"]).await;
    both.import(MAIL).await;
    let before = both.by_address();
    both.readdress(2, "kim@corp.example", None);
    both.readdress_account(2, "kim@corp.example", None);
    // The address book is read after the domain: until then it shows the old address.
    let report = both.import(DIRECTORY).await;
    // The groups have no anchor in common.
    assert_eq!(report.created, 7, "{report:?}");
    assert_eq!(both.by_address().len(), 6, "each joins a record");
    both.import(MAIL).await;
    let now = both.by_address();
    assert_eq!(now.len(), 6);
    assert_eq!(now["kim@corp.example"], before["user2@corp.example"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_missing_in_the_address_book_and_there_in_the_domain_is_there() {
    let both = Both::new("hidden", &["corp.example"]).await;
    both.import(MAIL).await;
    both.import(DIRECTORY).await;
    both.site.organisation.hide(both.accounts[4].0);
    assert_eq!(both.import(MAIL).await.missing, 1);
    assert_eq!(both.people().len(), 6);
    assert_eq!(both.import(DIRECTORY).await.missing, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_route_says_what_it_will_not_see() {
    let both = Both::new("verified", &[]).await;
    let mail = both.site.endpoint().verify(&both.site.cx).await.unwrap();
    let directory: Ldap = both.domain.endpoint();
    let directory = directory.verify(&both.domain.cx).await.unwrap();
    assert!(mail.server.contains("route ews"), "{mail:?}");
    let says = |not_seen: &[String], what: &str| not_seen.iter().any(|line| line.contains(what));
    for what in
        ["hidden", "disabled", "logins", "immutable ids", "three addresses", "shared", "grants rights", "computers"]
    {
        assert!(says(&mail.not_seen, what), "{what}: {:?}", mail.not_seen);
    }
    for what in ["dynamic distribution groups", "route ews", "Mailboxes of Exchange itself", "linked mailboxes"] {
        assert!(says(&directory.not_seen, what), "{what}: {:?}", directory.not_seen);
    }
}
