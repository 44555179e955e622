//! An Exchange organisation by the credential of one mailbox: the program imports what its address book shows from a fake
//! Exchange in another process, this one.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tenantry_fakes::ews::{Call, FakeEws, Fault, Id, On, Organisation, Recipient};
use tenantry_fakes::ldap::{Directory, FakeLdap, MailType};

use crate::program::{self, Said, count, events_and_summary};

struct AddressBook {
    folder: TempDir,
    organisation: Organisation,
    people: Vec<Id>,
    server: FakeEws,
}

impl AddressBook {
    async fn new() -> Self {
        let organisation = Organisation::new("corp.example");
        let people: Vec<Id> = (0..20)
            .map(|number| {
                let (first, last) = (format!("First{number}"), format!("Last{number}"));
                organisation.add(Recipient::user(format!("user{number:02}")).named(&first, &last))
            })
            .collect();
        organisation.add(Recipient::contact("partner").primary("partner@partner.example"));
        organisation.add(Recipient::group("team").members(people[..5].to_vec()));
        let server = FakeEws::start(organisation.clone()).await;
        let folder = tempfile::tempdir().unwrap();
        let book = Self { folder, organisation, people, server };
        let credentials = book.organisation.credentials();
        book.write("secret", &credentials.password);
        book.write("ca.pem", book.server.ca_pem());
        book.configure(&format!(
            "route = \"ews\"\nurl = \"{}\"\nuser = '{}'\npassword = {{ file = \"secret\" }}\nca_file = \"ca.pem\"\n",
            book.server.https_url(),
            credentials.name()
        ));
        book
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Writes the configuration, with these keys of the endpoint.
    fn configure(&self, keys: &str) {
        let head = "[customer]\nname = \"Corp\"\n[[endpoint]]\nname = \"mail\"\nkind = \"exchange\"\n";
        self.write("tenant.toml", &format!("{head}{keys}"));
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let mut command = program::command(arguments);
        program::run(command.arg("--config").arg(self.folder.path().join("tenant.toml")))
    }

    /// Runs with `--json`, to its good end.
    fn told(&self, arguments: &[&str]) -> (Vec<Value>, Value) {
        let said = self.run(&[&["--json"], arguments].concat());
        assert_eq!(said.status, Some(0), "{said:?}");
        events_and_summary(&said)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_book_comes_in_whole_and_changes_of_addresses_change_no_record() {
    let book = AddressBook::new().await;
    let (events, summary) = book.told(&[]);
    assert_eq!((&summary["users"], &summary["groups"], &summary["memberships"]), (&json!(21), &json!(1), &json!(5)));
    assert_eq!(count(&events, "tenantry.user.upserted"), 21);
    let known = |events: &[Value], address: &str| {
        let told = events.iter().rev().filter(|event| event["type"] == "tenantry.user.upserted");
        told.map(|event| event["data"]["record"].clone()).find(|record| record["primary_email"] == address)
    };
    let before = known(&events, "user03@corp.example").unwrap();

    let (again, _) = book.told(&[]);
    assert_eq!(again.len(), 1, "{again:?}");

    book.organisation.readdress(book.people[3], "first3.married@corp.example");
    book.organisation.rename(book.people[3], "First3", "Married");
    book.organisation.hide(book.people[4]);
    book.organisation.add(Recipient::user("hire").named("Ann", "Hire"));
    let (changes, summary) = book.told(&[]);
    let endpoint = &summary["endpoints"][0];
    let figures = ["mode", "created", "updated", "removed", "missing"].map(|name| endpoint[name].clone());
    assert_eq!(figures, [json!("snapshot"), json!(1), json!(1), json!(0), json!(1)], "{changes:?}");
    assert_eq!(count(&changes, "tenantry.user.removed"), 0);
    let now = known(&changes, "first3.married@corp.example").unwrap();
    assert_eq!((&now["id"], &now["last_name"]), (&before["id"], &json!("Married")));
    assert!(known(&changes, "user04@corp.example").unwrap()["missing_since"].is_string());
    assert_eq!(summary["memberships"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_the_organisation_and_what_will_not_be_seen() {
    let book = AddressBook::new().await;
    let said = book.run(&["--verify"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    for part in ["route ews", "hidden from address lists", "immutable ids", "the route ldap reads them"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(!book.folder.path().join("tenant.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_book_that_shows_nobody_removes_nobody() {
    let book = AddressBook::new().await;
    book.told(&[]);
    book.server.faults().on(On::call(Call::ResolveNames), Fault::NoResults);
    let said = book.run(&["--json"]);
    let (events, summary) = events_and_summary(&said);
    assert_eq!((count(&events, "tenantry.user.removed"), &summary["users"]), (0, &json!(21)), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_whose_route_is_changed_is_refused_and_nothing_of_it_changes() {
    let book = AddressBook::new().await;
    let (_, before) = book.told(&[]);
    let directory = Directory::new("DC=corp,DC=example");
    directory.add_ou("OU=People");
    directory.add_user("CN=Users", "sync").password("canary-51c0-secret").create();
    directory.add_exchange();
    let user = directory.add_user("OU=People", "user00").given("First0").surname("Last0").create();
    directory.enable_mail(user, "user00", MailType::Mailbox);
    let domain = FakeLdap::start(directory.clone()).await;
    book.write("secret", "canary-51c0-secret");
    book.write("ca.pem", domain.ca_pem());
    book.configure(&format!(
        "route = \"ldap\"\nurl = \"{}\"\nbind = 'CORP\\sync'\npassword = {{ file = \"secret\" }}\nca_file = \"ca.pem\"\n",
        domain.ldaps_url()
    ));
    let said = book.run(&["--json"]);
    assert_ne!(said.status, Some(0), "{said:?}");
    let (events, summary) = events_and_summary(&said);
    let error = summary["endpoints"][0]["error"].as_str().unwrap_or_default();
    assert!(error.contains("another directory") && error.contains("endpoint of its own"), "{error}");
    assert_eq!(summary["users"], before["users"]);
    assert!(events.iter().all(|event| event["data"]["record"].is_null()), "{events:?}");
}
