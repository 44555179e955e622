//! An account at Google: the program imports it from a fake Directory API in another process, this one.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tenantry_fakes::google::{Account, AuditLog, Clock, FakeGoogle, Fault, Member, Privilege, Settings, Size, When};

use crate::program::{self, Said, count, events_and_summary, sequences};

struct Workspace {
    folder: TempDir,
    account: Account,
    server: FakeGoogle,
}

impl Workspace {
    async fn new() -> Self {
        let size = Size { users: 40, groups: 6, memberships: 60, orgunits: 4, chromeos: 3, mobile: 2 };
        Self::of(Account::generated("corp.example", 3, size)).await
    }

    async fn of(account: Account) -> Self {
        // Changes show in the log at once: how late they may be is tried elsewhere.
        let audit_log = AuditLog { lag_seconds: 0, lost_percent: 0 };
        let settings = Settings { audit_log, ..Settings::default() };
        let server = FakeGoogle::start_with(account.clone().with_clock(Clock::system()), settings).await;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key.json"), server.key_file()).unwrap();
        let workspace = Self { folder, account, server };
        workspace.configure("");
        workspace
    }

    /// Writes the configuration, with more keys.
    fn configure(&self, more: &str) {
        let text = format!(
            "[customer]\nname = \"Corp\"\n[[endpoint]]\nname = \"google\"\nkind = \"gsuite\"\nkey_file = \"key.json\"\n\
             admin = \"{}\"\napi_url = \"{}\"\n{more}",
            self.account.admin(),
            self.server.url(),
        );
        fs::write(self.folder.path().join("tenant.toml"), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Said {
        program::run_in(self.folder.path(), arguments)
    }

    fn told(&self, arguments: &[&str]) -> (Vec<Value>, Value) {
        program::told_in(self.folder.path(), arguments)
    }

    fn id_of(&self, email: &str) -> String {
        self.account.user(email).unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// The n-th user who is no administrator.
    fn nth(&self, n: usize) -> String {
        self.account.user_ids().swap_remove(n)
    }
}

fn figures(summary: &Value, names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| summary["endpoints"][0][name].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_comes_in_whole_and_then_by_what_changed() {
    let workspace = Workspace::new().await;
    let (events, summary) = workspace.told(&[]);
    assert_eq!((&summary["users"], &summary["groups"], &summary["computers"]), (&json!(40), &json!(6), &json!(5)));
    assert_eq!(summary["memberships"], workspace.account.memberships());
    assert_eq!(summary["endpoints"][0]["mode"], "snapshot");
    assert_eq!(count(&events, "tenantry.user.upserted"), 40);
    let kinds: Vec<_> = events.iter().filter_map(|event| event["data"]["record"]["kind"].as_str()).collect();
    assert!(["person", "google", "chromeos", "mobile"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");

    // Nothing changed, and nothing is told but the end.
    let (again, summary) = workspace.told(&[]);
    assert_eq!((again.len(), &summary["endpoints"][0]["mode"]), (1, &json!("delta")), "{again:?}");
    assert_eq!(sequences(&again), [events.len() as u64 + 1]);
    let parts = summary["endpoints"][0]["freshness"].as_array().unwrap();
    assert_eq!(parts.len(), 4, "{parts:?}");
    assert!(parts.iter().all(|part| part["as_of"].is_number() && part["part"].is_string()), "{parts:?}");
    assert_eq!(again[0]["data"]["freshness"], summary["endpoints"][0]["freshness"], "{again:?}");

    let (leaver, renamed, group) = (workspace.nth(7), workspace.nth(8), workspace.account.group_ids().swap_remove(0));
    workspace.account.delete_user(&leaver);
    workspace.account.rename_user(&renamed, "winter@corp.example");
    let hire = workspace.account.add_user("hire@corp.example", "Ann", "Hire", |_| {});
    workspace.account.add_member(&group, Member::user(&hire));
    let (changes, summary) = workspace.told(&[]);
    let expected = [json!("delta"), json!(1), json!(1), json!(1), json!(1)];
    let names = ["mode", "created", "updated", "removed", "members_added"];
    assert_eq!(figures(&summary, &names), expected, "{changes:?}");
    let gone = changes.iter().find(|event| event["type"] == "tenantry.user.removed").unwrap();
    // For 20 days they can be had back.
    assert_eq!(gone["data"]["restorable"], true);
    assert_eq!(gone["data"]["record"]["identities"][0], json!({ "endpoint": "google", "source_id": leaver }));
    let said = workspace.run(&[]);
    assert!(
        said.out.contains("as of") && said.out.contains("memberships that the audit log does not tell"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_what_would_be_done_and_does_nothing() {
    let workspace = Workspace::new().await;
    let said = workspace.run(&["--plan"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    assert!(said.out.contains("51 would be created"), "{said:?}");
    let (events, _) = workspace.told(&[]);
    assert_eq!(count(&events, "tenantry.user.upserted"), 40);
    // Ten of forty leave: more than a run may remove.
    for number in (1..=10).rev() {
        workspace.account.delete_user(&workspace.nth(number));
    }
    let said = workspace.run(&["--plan", "--json"]);
    assert_eq!(said.status, Some(3), "{said:?}");
    let (events, summary) = events_and_summary(&said);
    assert!(events.is_empty(), "{events:?}");
    assert_eq!((&summary["endpoints"][0]["outcome"], &summary["users"]), (&json!("planned"), &json!(40)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_the_account_its_domains_and_what_will_not_be_seen() {
    let workspace = Workspace::new().await;
    workspace.account.add_domain("sub.example");
    workspace.account.add_user("sync@corp.example", "Sync", "Robot", |_| {});
    let mut privileges = Privilege::all();
    privileges.remove(&Privilege::Groups);
    workspace.server.service().edit_settings(|settings| {
        settings.administrators = [("sync@corp.example".to_owned(), privileges)].into();
    });
    let text = fs::read_to_string(workspace.folder.path().join("tenant.toml")).unwrap();
    let text = text.replace(&workspace.account.admin(), "sync@corp.example");
    fs::write(workspace.folder.path().join("tenant.toml"), text).unwrap();
    let said = workspace.run(&["--verify"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    let told = ["Admin API: Groups > Read", "groups and their members", "corp.example", "sub.example", "company-owned"];
    for wanted in told.into_iter().chain([&*workspace.account.customer()]) {
        assert!(said.out.contains(wanted), "{wanted} is not in\n{}", said.out);
    }
    assert!(!workspace.folder.path().join("tenant.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_lies_removes_nobody() {
    let workspace = Workspace::new().await;
    workspace.told(&[]);
    for fault in [Fault::EmptySuccess, Fault::DropTail(30), Fault::Truncate(25), Fault::EndListing] {
        for operation in ["users.list", "groups.list", "members.list"] {
            // What went to the deleted ones would be a statement of its own.
            workspace.server.faults().on(When::Calls(operation), fault.clone());
            for full in [&["--full", "--json"][..], &["--json"]] {
                let said = workspace.run(full);
                let (events, summary) = events_and_summary(&said);
                let gone = count(&events, "tenantry.user.removed") + count(&events, "tenantry.group.removed");
                let left = (&summary["users"], &summary["groups"], &summary["memberships"]);
                let whole = (json!(40), json!(6), json!(workspace.account.memberships()));
                assert_eq!(
                    (gone, left),
                    (0, (&whole.0, &whole.1, &whole.2)),
                    "{fault:?} of {operation}, {full:?}: {said:?}"
                );
            }
            workspace.server.faults().clear();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_deleted_and_made_again_is_two_people_and_somebody_undeleted_is_the_same() {
    let workspace = Workspace::new().await;
    let (events, _) = workspace.told(&[]);
    let record_of = |events: &[Value], source: &str| {
        let about = |event: &&Value| event["data"]["record"]["identities"][0]["source_id"] == source;
        events.iter().rev().find(about).map(|event| event["data"]["record"]["id"].clone())
    };
    let (first, email) = (workspace.nth(9), "again@corp.example");
    workspace.account.rename_user(&first, email);
    workspace.told(&[]);
    workspace.account.delete_user(&first);
    let second = workspace.account.add_user(email, "Other", "Person", |_| {});
    let (changes, _) = workspace.told(&[]);
    assert_eq!(count(&changes, "tenantry.user.removed"), 1, "{changes:?}");
    assert_eq!(workspace.id_of(email), second);
    assert_ne!(record_of(&changes, &second), record_of(&events, &first));
    assert!(record_of(&changes, &second).is_some());

    let other = workspace.nth(12);
    workspace.account.delete_user(&other);
    let (gone, _) = workspace.told(&[]);
    workspace.account.undelete_user(&other);
    let (back, summary) = workspace.told(&[]);
    assert_eq!(figures(&summary, &["created", "removed"]), [json!(1), json!(0)], "{back:?}");
    assert_eq!(record_of(&back, &other), record_of(&events, &other));
    assert_eq!(record_of(&gone, &other), record_of(&events, &other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_said_without_repeating_it() {
    let workspace = Workspace::new().await;
    let wrong = workspace.server.wrong_key_file();
    fs::write(workspace.folder.path().join("key.json"), &wrong).unwrap();
    let said = workspace.run(&[]);
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.err.contains("key") || said.out.contains("key"), "{said:?}");
    let pem = serde_json::from_str::<Value>(&wrong).unwrap()["private_key"].as_str().unwrap().to_owned();
    let told = format!("{}{}", said.out, said.err);
    assert!(pem.lines().all(|line| line.len() < 40 || !told.contains(line)), "{told}");
    // One that is no key at all is a matter of the configuration.
    fs::write(workspace.folder.path().join("key.json"), "{\"type\":\"canary-51c0\"}").unwrap();
    let said = workspace.run(&[]);
    assert_eq!(said.status, Some(2), "{said:?}");
    assert!(said.err.contains("tenant.toml:6:") && said.err.contains("endpoint.key_file"), "{said:?}");
    assert!(!said.err.contains("canary-51c0"), "{said:?}");
}
