//! A tenant in Office 365: the program imports it from a fake Graph in another process, this one.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tenantry_fakes::graph::{Call, FakeGraph, Fault, Kind, On, Size, Tenant};

use crate::program::{self, Said, count, events_and_summary, sequences};

struct Cloud {
    folder: TempDir,
    tenant: Tenant,
    _server: FakeGraph,
}

impl Cloud {
    async fn new() -> Self {
        let size = Size { users: 40, groups: 4, members_per_group: 8, devices: 5, ..Size::default() };
        let tenant = Tenant::seeded(3, size);
        let server = FakeGraph::start(tenant.clone()).await;
        let (folder, credentials) = (tempfile::tempdir().unwrap(), server.credentials());
        fs::write(folder.path().join("secret"), &credentials.secret).unwrap();
        let text = format!(
            "[customer]\nname = \"Corp\"\n[[endpoint]]\nname = \"cloud\"\nkind = \"office365\"\ntenant = \"{}\"\n\
             client_id = \"{}\"\nclient_secret = {{ file = \"secret\" }}\nlogin_url = \"{url}\"\ngraph_url = \"{url}/v1.0\"\n",
            credentials.tenant_id,
            credentials.client_id,
            url = server.url(),
        );
        fs::write(folder.path().join("tenant.toml"), text).unwrap();
        Self { folder, tenant, _server: server }
    }

    fn run(&self, arguments: &[&str]) -> Said {
        program::run_in(self.folder.path(), arguments)
    }

    fn told(&self, arguments: &[&str]) -> (Vec<Value>, Value) {
        program::told_in(self.folder.path(), arguments)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_comes_in_whole_and_then_by_what_changed() {
    let cloud = Cloud::new().await;
    let (events, summary) = cloud.told(&[]);
    assert_eq!((&summary["users"], &summary["groups"], &summary["computers"]), (&json!(40), &json!(4), &json!(5)));
    assert_eq!(summary["memberships"], cloud.tenant.memberships());
    assert_eq!(summary["endpoints"][0]["mode"], "snapshot");
    assert_eq!(count(&events, "tenantry.user.upserted"), 40);

    // The links were taken before the listing: what it saw already comes once more, and is nothing new.
    let (again, summary) = cloud.told(&[]);
    assert_eq!((again.len(), &summary["endpoints"][0]["mode"]), (1, &json!("delta")), "{again:?}");
    assert_eq!(sequences(&again), [events.len() as u64 + 1]);

    let (leaver, renamed) = (cloud.tenant.nth(Kind::User, 7), cloud.tenant.nth(Kind::User, 8));
    cloud.tenant.delete_softly(leaver);
    cloud.tenant.update(renamed, [("surname", json!("Winter"))]);
    cloud.tenant.user("hire").named("Ann", "Hire").create();
    let (changes, summary) = cloud.told(&[]);
    let endpoint = &summary["endpoints"][0];
    let figures = ["mode", "created", "updated", "removed"].map(|name| endpoint[name].clone());
    assert_eq!(figures, [json!("delta"), json!(1), json!(1), json!(1)], "{changes:?}");
    let gone = changes.iter().find(|event| event["type"] == "tenantry.user.removed").unwrap();
    assert_eq!(gone["data"]["restorable"], true);
    assert_eq!(gone["data"]["record"]["identities"][0]["source_id"], leaver.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_the_tenant_and_what_will_not_be_seen() {
    let cloud = Cloud::new().await;
    cloud.tenant.revoke("Member.Read.Hidden");
    let said = cloud.run(&["--verify"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    assert!(said.out.contains(cloud.tenant.tenant_id()) && said.out.contains("Member.Read.Hidden"), "{}", said.out);
    assert!(!cloud.folder.path().join("tenant.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_listing_removes_nobody() {
    let cloud = Cloud::new().await;
    cloud.told(&[]);
    cloud.tenant.faults().on(On::call(Call::Users), Fault::EmptyOk);
    let said = cloud.run(&["--full", "--json"]);
    let (events, summary) = events_and_summary(&said);
    assert_eq!((count(&events, "tenantry.user.removed"), &summary["users"]), (0, &json!(40)), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_said_without_repeating_it() {
    let cloud = Cloud::new().await;
    fs::write(cloud.folder.path().join("secret"), "canary-51c0-never-print-me").unwrap();
    let said = cloud.run(&[]);
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.out.contains("client secret") || said.err.contains("client secret"), "{said:?}");
    assert!(!said.out.contains("canary-51c0") && !said.err.contains("canary-51c0"), "{said:?}");
}
