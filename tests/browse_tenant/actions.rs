//! Actions against a fake domain controller and a fake Microsoft Graph, which live in another process than the program.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tenantry_fakes::graph::{FakeGraph, Tenant};
use tenantry_fakes::ldap::{Directory, FakeLdap, WriteRights};

use crate::program::{Said, browser, import, lines, list, run};

const CANARY: &str = "canary-2b9d-never-print-me";

struct World {
    folder: TempDir,
    directory: Directory,
    tenant: Tenant,
    server: FakeLdap,
    _cloud: FakeGraph,
}

impl World {
    /// Three people in a domain, three in a tenant, imported.
    async fn new() -> Self {
        let directory = Directory::new("DC=corp,DC=example");
        directory.add_ou("OU=People");
        directory.add_user("CN=Users", "sync").password(CANARY).create();
        directory.rights("sync").read_deleted(true).write(WriteRights::Everything);
        directory.add_user("CN=Users", "former").create();
        directory.delete("former");
        for account in ["anna", "bert", "cleo"] {
            directory.add_user("OU=People", account).surname(account).mail(&format!("{account}@corp.example")).create();
        }
        let tenant = Tenant::new("corp.example");
        for permission in
            ["User.EnableDisableAccount.All", "User-PasswordProfile.ReadWrite.All", "User.RevokeSessions.All"]
        {
            tenant.grant(permission);
        }
        for account in ["dora", "emil", "fay"] {
            tenant.user(account).named(account, account).create();
        }
        let (server, cloud) = (FakeLdap::start(directory.clone()).await, FakeGraph::start(tenant.clone()).await);
        let folder = tempfile::tempdir().unwrap();
        let credentials = cloud.credentials();
        for (name, text) in [("ad.pem", server.ca_pem()), ("ad.secret", CANARY), ("graph.secret", &credentials.secret)]
        {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let text = format!(
            "[customer]\nname = \"Corp\"\n\
             [[endpoint]]\nname = \"ad\"\nkind = \"active-directory\"\nurl = \"{}\"\nbind = '{}\\sync'\n\
             password = {{ file = \"ad.secret\" }}\nca_file = \"ad.pem\"\n\
             [[endpoint]]\nname = \"cloud\"\nkind = \"office365\"\ntenant = \"{}\"\nclient_id = \"{}\"\n\
             client_secret = {{ file = \"graph.secret\" }}\nlogin_url = \"{url}\"\ngraph_url = \"{url}/v1.0\"\n",
            server.ldaps_url(),
            directory.netbios(),
            credentials.tenant_id,
            credentials.client_id,
            url = cloud.url(),
        );
        fs::write(folder.path().join("tenant.toml"), text).unwrap();
        let world = Self { folder, directory, tenant, server, _cloud: cloud };
        world.import();
        world
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("tenant.db")
    }

    fn config(&self) -> String {
        self.folder.path().join("tenant.toml").display().to_string()
    }

    fn import(&self) {
        let said = import(&self.state(), &["--config", &self.config()]);
        assert_eq!(said.status, Some(0), "{said:?}");
    }

    fn browser(&self, arguments: &[&str]) -> Command {
        browser(&self.state(), arguments)
    }

    fn act(&self, arguments: &[&str]) -> (Said, Vec<Value>) {
        let said = run(self.browser(&[&["--json", "act"], arguments].concat()));
        let lines = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (said, lines)
    }

    fn is_disabled(&self, account: &str) -> bool {
        self.directory.get(account, "userAccountControl")[0].parse::<i64>().unwrap() & 2 != 0
    }
}

fn words(results: &[Value]) -> Vec<&str> {
    results.iter().map(|result| result["result"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_asked_and_the_next_import_shows_what_became_of_it() {
    let world = World::new().await;
    let everybody = ["anna@corp.example", "bert@corp.example", "dora@corp.example", "emil@corp.example"];
    let (said, results) = world.act(&[&["suspend"], &everybody[..], &["--by", "kim"]].concat());
    assert_eq!(said.status, Some(0), "{said:?}");
    assert_eq!(words(&results), ["done"; 4]);
    let endpoints: Vec<_> = results.iter().map(|result| result["endpoint"].as_str().unwrap()).collect();
    assert_eq!(endpoints, ["ad", "ad", "cloud", "cloud"]);
    assert!(world.is_disabled("anna") && world.is_disabled("bert") && !world.is_disabled("cleo"));
    assert_eq!(world.tenant.value(world.tenant.id("dora"), "accountEnabled"), false);
    // Here nothing is different before the directory was read.
    assert!(list(&world.state(), &["users", "--state", "suspended"]).0.is_empty());
    world.import();
    assert_eq!(list(&world.state(), &["users", "--state", "suspended"]).0.len(), 4);

    let (said, results) = world.act(&["suspend", "anna@corp.example", "cleo@corp.example"]);
    assert_eq!((said.status, words(&results)), (Some(0), vec!["already-so", "done"]));
    let (said, results) = world.act(&["resume", "anna@corp.example"]);
    assert_eq!((said.status, words(&results)), (Some(0), vec!["done"]));
    assert!(!world.is_disabled("anna"));
    let (said, results) = world.act(&["unlock", "bert@corp.example", "emil@corp.example"]);
    assert_eq!((said.status, words(&results)), (Some(3), vec!["already-so", "not-offered"]), "{said:?}");
    let (_, results) = world.act(&["force-password-change", "bert@corp.example", "emil@corp.example"]);
    assert_eq!(words(&results), ["done", "done"]);
    assert!(world.tenant.must_change_password(world.tenant.id("emil")));
    let (said, results) = world.act(&["revoke-sessions", "bert@corp.example", "emil@corp.example"]);
    assert_eq!((said.status, words(&results)), (Some(3), vec!["not-offered", "done"]));
    assert!(results[0]["reason"].as_str().unwrap().contains("in its directory"), "{results:?}");

    let feed = lines(&world.state(), &["feed", "--user", "anna@corp.example", "--only", "events"]);
    let asked: Vec<_> =
        feed.iter().filter(|line| line["type"] == "tenantry.action").map(|line| &line["action"]).collect();
    let told: Vec<_> =
        asked.iter().map(|one| (one["action"].as_str().unwrap(), one["result"].as_str().unwrap())).collect();
    assert_eq!(told, [("resume", "done"), ("suspend", "already-so"), ("suspend", "done")], "newest first");
    assert_eq!((&asked[2]["by"], &asked[2]["endpoint"]), (&"kim".into(), &"ad".into()));
    let text = run(world.browser(&["feed", "--user", "anna@corp.example"])).out;
    assert!(text.contains("suspend") && text.contains("asked by kim: done"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_tells_each_result_and_who_is_refused_keeps_nobody_else_from_it() {
    let world = World::new().await;
    // Accounts that are, or were, an administrator's are not touched.
    world.directory.set("bert", "adminCount", ["1"]);
    let said =
        run(world.browser(&["act", "suspend", "anna@corp.example", "bert@corp.example", "--config", &world.config()]));
    assert_eq!(said.status, Some(3), "{said:?}");
    let rows: Vec<&str> = said.out.lines().collect();
    assert!(rows[0].contains("result") && rows[1].contains("done") && rows[2].contains("refused"), "{said:?}");
    assert!(world.is_disabled("anna") && !world.is_disabled("bert"));
    // Under the same id only who was not done is asked again.
    let id = "6b0f6f0e-6f3c-4f5e-9a51-1f1c3a0e0d01";
    let (said, _) = world.act(&["suspend", "bert@corp.example", "cleo@corp.example", "--request", id]);
    assert_eq!(said.status, Some(3));
    world.directory.set("cleo", "userAccountControl", ["512"]);
    let (said, results) = world.act(&["suspend", "cleo@corp.example", "--request", id]);
    assert_eq!((said.status, words(&results)), (Some(0), vec!["done"]));
    assert!(!world.is_disabled("cleo"), "it was done under this id before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_asked_is_told_with_the_reason_why_not() {
    let world = World::new().await;
    let offers = lines(&world.state(), &["actions", "anna@corp.example"]);
    let of = |action: &str| offers.iter().find(|one| one["action"] == action).unwrap();
    assert_eq!((&of("suspend")["available"], &of("suspend")["endpoint"]), (&true.into(), &"ad".into()));
    assert_eq!(of("revoke-sessions")["available"], false);
    assert!(of("revoke-sessions")["obstacle"].as_str().unwrap().contains("does not offer"));
    run(world.browser(&["add", "user", "gus@corp.example"]));
    let by_hand = lines(&world.state(), &["actions", "gus@corp.example"]);
    assert!(by_hand.iter().all(|one| one["obstacle"].as_str().unwrap().contains("added by hand")), "{by_hand:?}");
    let (said, results) = world.act(&["suspend", "gus@corp.example"]);
    assert_eq!((said.status, words(&results)), (Some(3), vec!["not-offered"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_cannot_be_asked_is_an_error_without_a_secret_and_stays_in_the_feed() {
    let world = World::new().await;
    fs::write(world.folder.path().join("ad.secret"), "canary-wrong-never-print-me").unwrap();
    let (said, results) = world.act(&["suspend", "anna@corp.example"]);
    assert_eq!((said.status, words(&results)), (Some(3), vec!["not-tried"]), "{said:?}");
    assert_eq!((&results[0]["endpoint"], &results[0]["is_so"]), (&"ad".into(), &false.into()));
    assert!(results[0]["reason"].as_str().unwrap().contains("unauthenticated"), "{results:?}");
    let table = run(world.browser(&["act", "suspend", "anna@corp.example", "bert@corp.example"]));
    assert_eq!((table.status, table.out.matches("not-tried").count()), (Some(3), 2), "{table:?}");
    let (other, _) = world.act(&["suspend", "anna@corp.example", "--endpoint", "clout"]);
    assert!(other.status == Some(2) && other.err.contains("the endpoints are ad, cloud"), "{other:?}");
    assert!(said.err.contains("unauthenticated") && !said.err.contains("canary"), "{said:?}");
    assert!(!world.is_disabled("anna"));
    let feed = lines(&world.state(), &["feed", "--user", "anna@corp.example", "--only", "events"]);
    let asked = feed.iter().find(|line| line["type"] == "tenantry.action").unwrap();
    assert_eq!(asked["action"]["result"], "not-tried");
    // An import that fails for the same reason is an alert, until one goes well.
    let said = import(&world.state(), &["--config", &world.config()]);
    assert_eq!(said.status, Some(1), "{said:?}");
    let alerts = || lines(&world.state(), &["feed", "--only", "alerts"]);
    let alert = alerts().swap_remove(0)["notice"].clone();
    assert_eq!((&alert["topic"], &alert["endpoint"]), (&"credentials-refused".into(), &"ad".into()), "{alert}");
    let id = alert["id"].as_str().unwrap();
    assert_eq!(run(world.browser(&["acknowledge", id, "--by", "kim"])).status, Some(0));
    assert_eq!(alerts()[0]["notice"]["answered"]["by"], "kim");
    assert_eq!(run(world.browser(&["dismiss", id])).status, Some(0));
    assert_eq!(alerts().len(), 1, "the line behind the list");
    assert_eq!(run(world.browser(&["reopen", id])).status, Some(0));
    let text = run(world.browser(&["feed"])).out;
    assert!(text.contains("!! credentials-refused") && text.contains("to do: renew") && text.contains(id), "{text}");
    fs::write(world.folder.path().join("ad.secret"), CANARY).unwrap();
    world.import();
    assert_eq!(alerts().len(), 1, "it is over");
    assert_eq!(run(world.browser(&["dismiss", id])).status, Some(2), "and cannot be answered");
    assert!(world.server.ldaps_url().starts_with("ldaps://127."));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_of_somebody_else_is_refused() {
    let world = World::new().await;
    let text = fs::read_to_string(world.config()).unwrap().replace("Corp", "Other");
    fs::write(world.config(), text).unwrap();
    let (said, _) = world.act(&["suspend", "anna@corp.example"]);
    assert_eq!(said.status, Some(2), "{said:?}");
    assert!(said.err.contains("another customer"), "{said:?}");
    fs::remove_file(world.config()).unwrap();
    assert_eq!(world.act(&["suspend", "anna@corp.example"]).0.status, Some(2));
}
