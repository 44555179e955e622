//! The suite for connectors, over a fake Graph. It knows no promise by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tenantry::Endpoint;
use tenantry::model::SourceId;
use tenantry::testkit::conformance::{self, Declined, Done, Dump, NewUser, Remote};
use tenantry_fakes::graph::{Call, FakeGraph, Fault, GroupKind, Id, On, Tenant};
use tenantry_office365::Office365Config;

use crate::running::{DOMAIN, config, endpoint, source};

/// A tenant and all that was put there.
struct Cloud {
    tenant: Tenant,
    fake: FakeGraph,
    config: Office365Config,
    ids: BTreeMap<SourceId, Id>,
    /// Further tenants, for as long as their endpoints live.
    others: Vec<FakeGraph>,
}

fn empty(domain: &str) -> Tenant {
    let tenant = Tenant::new(domain);
    tenant.edit_settings(|settings| {
        settings.quota = None;
        settings.delta_page = 10;
        settings.delta_members = 15;
    });
    grant(&tenant);
    tenant
}

fn settings(fake: &FakeGraph) -> Office365Config {
    let mut config = config(fake);
    config.page_size = 10;
    config
}

impl Cloud {
    async fn start() -> Self {
        let tenant = empty(DOMAIN);
        let fake = FakeGraph::start(tenant.clone()).await;
        let config = settings(&fake);
        Self { tenant, fake, config, ids: BTreeMap::new(), others: Vec::new() }
    }

    fn id(&self, id: &SourceId) -> Id {
        self.ids[id]
    }

    fn put(&mut self, id: Id) -> SourceId {
        let source = source(id);
        self.ids.insert(source.clone(), id);
        source
    }

    fn fault(&self, on: On, fault: Fault) {
        self.fake.faults().on(on, fault);
    }
}

/// What the application may, by their names.
const RIGHTS: [&str; 8] = [
    "User.Read.All",
    "Group.Read.All",
    "Device.Read.All",
    "Directory.Read.All",
    "Member.Read.Hidden",
    "User.EnableDisableAccount.All",
    "User-PasswordProfile.ReadWrite.All",
    "User.RevokeSessions.All",
];

fn grant(tenant: &Tenant) {
    for right in RIGHTS {
        tenant.grant(right);
    }
}

#[async_trait]
impl Remote for Cloud {
    fn endpoint(&self) -> Arc<dyn Endpoint> {
        Arc::new(endpoint(self.config.clone()))
    }

    fn many(&self) -> usize {
        24
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.fake.credentials().secret]
    }

    async fn put_user(&mut self, user: &NewUser) -> Done<SourceId> {
        let new = self.tenant.user(&user.username).named(&user.first_name, &user.last_name);
        let new = match &user.mail {
            Some(mail) => new.mail(mail),
            None => new.without_mail(),
        };
        let id = new.create();
        Ok(self.put(id))
    }

    async fn put_group(&mut self, name: &str) -> Done<SourceId> {
        let id = self.tenant.group(name, GroupKind::Security).create();
        Ok(self.put(id))
    }

    async fn put_computer(&mut self, name: &str) -> Done<SourceId> {
        let id = self.tenant.device(name).create();
        Ok(self.put(id))
    }

    async fn add_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        for member in members {
            self.tenant.add_member(self.id(group), self.id(member));
        }
        Ok(())
    }

    async fn remove_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        for member in members {
            self.tenant.remove_member(self.id(group), self.id(member));
        }
        Ok(())
    }

    async fn rename(&mut self, user: &SourceId, last_name: &str) -> Done {
        let id = self.id(user);
        let given = self.tenant.value(id, "givenName");
        let shown = format!("{} {last_name}", given.as_str().unwrap_or_default());
        self.tenant.update(id, [("surname", json!(last_name)), ("displayName", json!(shown))]);
        Ok(())
    }

    async fn set_mail(&mut self, user: &SourceId, mail: Option<&str>) -> Done {
        let proxies: Vec<String> = mail.iter().map(|mail| format!("SMTP:{mail}")).collect();
        self.tenant.update(self.id(user), [("mail", json!(mail)), ("proxyAddresses", json!(proxies))]);
        Ok(())
    }

    async fn delete(&mut self, id: &SourceId) -> Done {
        self.tenant.delete(self.id(id));
        Ok(())
    }

    async fn restore(&mut self, id: &SourceId) -> Done {
        self.tenant.restore(self.id(id));
        Ok(())
    }

    async fn put_unintelligible(&mut self) -> Done<Option<SourceId>> {
        let id = self.tenant.user("damaged").with("surname", json!({ "unexpected": 7 })).create();
        Ok(Some(self.put(id)))
    }

    async fn deny_members(&mut self, group: &SourceId) -> Done {
        self.tenant.update(self.id(group), [("visibility", json!("HiddenMembership"))]);
        self.tenant.revoke("Member.Read.Hidden");
        Ok(())
    }

    async fn withdraw_right(&mut self) -> Done {
        self.tenant.revoke("Member.Read.Hidden");
        Ok(())
    }

    async fn fail_from_call(&mut self, nth: u32) -> Done {
        self.fault(On::any().from(nth.into()), Fault::Status { status: 503, retry_after: None });
        Ok(())
    }

    async fn repeat_pages(&mut self) -> Done {
        self.fault(On::any().page(2), Fault::CycleNextLink);
        Ok(())
    }

    async fn repeat_changes(&mut self) -> Done {
        for call in [Call::UsersDelta, Call::GroupsDelta] {
            self.fault(On::call(call).page(2), Fault::CycleNextLink);
        }
        Ok(())
    }

    async fn expire_cursors(&mut self) -> Done {
        self.tenant.expire_delta_tokens();
        Ok(())
    }

    async fn refuse_credentials(&mut self) -> Done {
        self.tenant.replace_secret("another");
        self.tenant.expire_access_tokens();
        Ok(())
    }

    async fn sign_ins(&mut self) -> Done<u64> {
        Ok(self.fake.log().count(Call::Token))
    }

    async fn fall_silent(&mut self) -> Done {
        self.fault(On::any(), Fault::Hang);
        Ok(())
    }

    async fn heal(&mut self) -> Done {
        self.fake.faults().clear();
        self.tenant.replace_secret(&self.fake.credentials().secret);
        grant(&self.tenant);
        Ok(())
    }

    async fn other_server(&mut self) -> Done<Arc<dyn Endpoint>> {
        let fake = FakeGraph::start(self.tenant.clone()).await;
        let other = Arc::new(endpoint(settings(&fake)));
        self.others.push(fake);
        Ok(other)
    }

    async fn other_directory(&mut self) -> Done<Arc<dyn Endpoint>> {
        let fake = FakeGraph::start(empty("other.example")).await;
        let other = Arc::new(endpoint(settings(&fake)));
        self.others.push(fake);
        Ok(other)
    }

    async fn dump(&mut self) -> Done<Dump> {
        let names = ["displayName", "surname", "mail", "accountEnabled"];
        let object = |id: Id| {
            let text = |name: &str| match self.tenant.value(id, name) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            names.iter().map(|name| ((*name).to_owned(), text(name))).collect::<BTreeMap<_, _>>()
        };
        Ok(self.ids.iter().map(|(id, own)| (id.to_string(), object(*own))).collect())
    }

    async fn refuse_changes(&mut self, user: &SourceId) -> Done {
        // Who holds a privileged role is changed by nobody who holds none.
        self.tenant.make_admin(self.id(user));
        Ok(())
    }

    async fn put_protected(&mut self) -> Done<SourceId> {
        // The account by which Entra Connect writes the directory: no action is for it.
        let name = serde_json::json!("Sync_DC7_0123456789ab@example.onmicrosoft.com");
        let id = self.tenant.user("connect7").with("userPrincipalName", name).create();
        Ok(self.put(id))
    }

    async fn swallow_answer(&mut self) -> Done {
        self.fault(On::call(Call::Write).times(1), Fault::Hang);
        Ok(())
    }

    async fn withdraw_rights_after(&mut self, _calls: u32) -> Done {
        Err(Declined::because("graph refuses what may not be read: nothing looks empty"))
    }
}

/// What Graph has not: places and filters, primary groups, things that may not be read and look as if they were not there;
/// and what the fake has not: changes without effect, and listings with empty pages, which a test of its own stands for.
const NOT_THERE: &[&str] = &[
    "coverage::shows_a_right_lost_on_the_way",
    "coverage::shows_a_changed_filter",
    "snapshot::leaves_out_what_is_out_of_scope",
    "snapshot::names_primary_groups",
    "snapshot::leaves_out_what_was_not_read",
    "paging::goes_on_at_empty_pages",
    "lookup::tells_moved_from_gone",
    "lookup::does_not_call_gone_what_is_hidden",
    "delta::tells_moved_from_gone",
    "actor::reads_back_what_it_did",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connector_does_what_the_engine_counts_on() {
    conformance::run(Cloud::start).await.assert_but(NOT_THERE);
}
