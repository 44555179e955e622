//! The suite for connectors, over a fake account. It knows no promise by itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tenantry::Endpoint;
use tenantry::model::SourceId;
use tenantry::testkit::conformance::{self, Declined, Done, Dump, NewUser, Place, Remote};
use tenantry_fakes::google::{
    Account, AuditLog, Clock, FakeGoogle, Fault, Member, Privilege, Quota, Refusal, Settings, When,
};
use tenantry_gsuite::Writes;

use crate::account::{Tenant, config, endpoint, start_with};

const READER: &str = "sync@corp.example";

/// An account of one domain that comes in and another that does not.
struct Workspace {
    tenant: Tenant,
    others: Vec<FakeGoogle>,
    ids: Vec<String>,
    made: u32,
}

fn empty(customer: &str) -> Account {
    let account = Account::new("corp.example").with_clock(Clock::system()).with_customer(customer);
    account.add_domain("elsewhere.example");
    account.add_orgunit("/First");
    account.add_orgunit("/Second");
    account.add_user(READER, "Sync", "Robot", |_| {});
    account
}

fn settings() -> Settings {
    Settings {
        quota: Quota::lifted(),
        // Changes show at once, so that what is checked is the connector.
        audit_log: AuditLog { lag_seconds: 0, lost_percent: 0 },
        // The suite's time is its own.
        dated_assertions: false,
        administrators: [(READER.to_owned(), Privilege::all())].into(),
        ..Settings::default()
    }
}

fn configure(config: &mut tenantry_gsuite::GsuiteConfig) {
    READER.clone_into(&mut config.admin);
    config.domain = Some("corp.example".to_owned());
    config.writes = Writes::On;
    config.page_size = 10;
    // A server that is silent on purpose is given up soon.
    config.http.timeout = Duration::from_secs(5);
}

fn path(place: Place) -> &'static str {
    if place == Place::First { "/First" } else { "/Second" }
}

fn member(workspace: &Workspace, id: &SourceId) -> Member {
    let id = id.to_string();
    if workspace.account().user(&id).is_some() { Member::user(&id) } else { Member::group(&id) }
}

impl Workspace {
    async fn start() -> Self {
        let mut tenant = start_with(empty("C0first00"), settings()).await;
        configure(&mut tenant.config);
        Self { tenant, others: Vec::new(), ids: Vec::new(), made: 0 }
    }

    fn account(&self) -> &Account {
        &self.tenant.account
    }

    fn fault(&self, when: When, fault: Fault) {
        self.tenant.fake.faults().on(when, fault);
    }

    fn put(&mut self, id: String) -> SourceId {
        let parsed = SourceId::parse(&id);
        self.ids.push(id);
        parsed
    }

    fn by(&mut self, fake: FakeGoogle, change: impl FnOnce(&mut tenantry_gsuite::GsuiteConfig)) -> Arc<dyn Endpoint> {
        let mut config = config(&fake);
        configure(&mut config);
        change(&mut config);
        self.others.push(fake);
        Arc::new(endpoint(config))
    }

    fn grant(&self, change: impl FnOnce(&mut Settings)) {
        self.tenant.fake.service().edit_settings(change);
    }
}

#[async_trait]
impl Remote for Workspace {
    fn endpoint(&self) -> Arc<dyn Endpoint> {
        Arc::new(self.tenant.endpoint())
    }

    fn secrets(&self) -> Vec<String> {
        let key = self.tenant.config.key.expose().to_owned();
        let field: serde_json::Value = serde_json::from_str(&key).unwrap();
        let pem = field["private_key"].as_str().unwrap().to_owned();
        vec![pem.lines().nth(1).unwrap().to_owned(), "ya29.fake".to_owned()]
    }

    async fn put_user(&mut self, user: &NewUser) -> Done<SourceId> {
        let Some(mail) = &user.mail else {
            return Err(Declined::because("every user has an address there"));
        };
        let place = path(user.place);
        let id = self.account().add_user(mail, &user.first_name, &user.last_name, |fields| {
            fields.insert("orgUnitPath".to_owned(), json!(place));
        });
        Ok(self.put(id))
    }

    async fn put_group(&mut self, name: &str) -> Done<SourceId> {
        self.made += 1;
        let id = self.account().add_group(&format!("group{}@corp.example", self.made), name, |_| {});
        Ok(self.put(id))
    }

    async fn put_computer(&mut self, name: &str) -> Done<SourceId> {
        let id = self.account().add_chromeos(name, |_| {});
        Ok(self.put(id))
    }

    async fn add_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        for id in members {
            self.account().add_member(&group.to_string(), member(self, id));
        }
        Ok(())
    }

    async fn remove_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        for id in members {
            self.account().remove_member(&group.to_string(), &id.to_string());
        }
        Ok(())
    }

    async fn rename(&mut self, user: &SourceId, last_name: &str) -> Done {
        self.account().edit_user(&user.to_string(), |fields| {
            fields["name"]["familyName"] = json!(last_name);
        });
        Ok(())
    }

    async fn set_mail(&mut self, user: &SourceId, mail: Option<&str>) -> Done {
        let mail = mail.ok_or_else(|| Declined::because("every user has an address there"))?;
        self.account().rename_user(&user.to_string(), mail);
        Ok(())
    }

    async fn move_to(&mut self, user: &SourceId, place: Place) -> Done {
        self.account().move_user(&user.to_string(), path(place));
        Ok(())
    }

    async fn move_out_of_scope(&mut self, user: &SourceId) -> Done {
        self.account().rename_user(&user.to_string(), &format!("u{user}@elsewhere.example"));
        Ok(())
    }

    async fn delete(&mut self, id: &SourceId) -> Done {
        let id = id.to_string();
        let _ =
            self.account().delete_user(&id) || self.account().delete_group(&id) || self.account().remove_device(&id);
        Ok(())
    }

    async fn restore(&mut self, id: &SourceId) -> Done {
        if self.account().undelete_user(&id.to_string()) {
            Ok(())
        } else {
            Err(Declined::because("only users can be had back"))
        }
    }

    async fn put_unintelligible(&mut self) -> Done<Option<SourceId>> {
        self.made += 1;
        let email = format!("damaged{}@corp.example", self.made);
        let id = self.account().add_user(&email, "Da", "Maged", |fields| {
            fields.insert("suspended".to_owned(), json!("perhaps"));
        });
        Ok(Some(self.put(id)))
    }

    async fn deny_members(&mut self, group: &SourceId) -> Done {
        self.fault(When::About("members.list", format!("/{group}/")), Fault::Refuse(Refusal::forbidden()));
        Ok(())
    }

    async fn withdraw_right(&mut self) -> Done {
        self.grant(|settings| {
            let mut fewer = Privilege::all();
            fewer.remove(&Privilege::ChromeOs);
            settings.administrators = [(READER.to_owned(), fewer)].into();
        });
        Ok(())
    }

    async fn fail_from_call(&mut self, nth: u32) -> Done {
        self.fault(When::RequestsFrom(nth.into()), Fault::Refuse(Refusal::backend()));
        Ok(())
    }

    async fn give_empty_pages(&mut self) -> Done {
        for page in 1..=3 {
            self.fault(When::Page("users.list", page), Fault::EmptyPage);
            self.fault(When::Page("groups.list", page), Fault::EmptyPage);
        }
        Ok(())
    }

    async fn repeat_pages(&mut self) -> Done {
        self.fault(When::Always, Fault::RepeatFirstPage);
        Ok(())
    }

    async fn repeat_changes(&mut self) -> Done {
        self.fault(When::Calls("activities.list"), Fault::ExtraPage);
        self.fault(When::Calls("activities.list"), Fault::RepeatFirstPage);
        Ok(())
    }

    async fn expire_cursors(&mut self) -> Done {
        Err(Declined::because("a cursor expires by its age, which the settings limit"))
    }

    async fn refuse_credentials(&mut self) -> Done {
        self.tenant.fake.service().revoke_tokens();
        self.grant(|settings| "another@project.iam.gserviceaccount.example".clone_into(&mut settings.service_account));
        Ok(())
    }

    async fn sign_ins(&mut self) -> Done<u64> {
        Ok(self.tenant.fake.log().of("token").len() as u64)
    }

    async fn fall_silent(&mut self) -> Done {
        self.fault(When::Always, Fault::Hang);
        Ok(())
    }

    async fn heal(&mut self) -> Done {
        self.tenant.fake.faults().clear();
        let healed = settings();
        self.grant(|settings| *settings = healed);
        Ok(())
    }

    async fn other_server(&mut self) -> Done<Arc<dyn Endpoint>> {
        let fake = FakeGoogle::start_with(self.account().clone(), settings()).await;
        Ok(self.by(fake, |_| ()))
    }

    async fn other_directory(&mut self) -> Done<Arc<dyn Endpoint>> {
        let fake = FakeGoogle::start_with(empty("C0second0"), settings()).await;
        Ok(self.by(fake, |_| ()))
    }

    async fn other_filter(&mut self) -> Done<Arc<dyn Endpoint>> {
        let fake = FakeGoogle::start_with(self.account().clone(), settings()).await;
        Ok(self.by(fake, |config| config.domain = None))
    }

    async fn dump(&mut self) -> Done<Dump> {
        let object = |id: &String| {
            let fields = self.account().user(id).or_else(|| self.account().group(id)).unwrap_or_default();
            let mut shown: std::collections::BTreeMap<_, _> =
                fields.into_iter().map(|(name, value)| (name, value.to_string())).collect();
            shown.insert("members".to_owned(), self.account().member_ids(id).join(" "));
            (id.clone(), shown)
        };
        Ok(self.ids.iter().map(object).collect())
    }

    async fn refuse_changes(&mut self, user: &SourceId) -> Done {
        for operation in ["users.update", "users.signOut"] {
            self.fault(When::About(operation, user.to_string()), Fault::Refuse(Refusal::forbidden()));
        }
        Ok(())
    }

    async fn put_protected(&mut self) -> Done<SourceId> {
        let id = self.account().add_user("chief@corp.example", "Super", "Chief", |fields| {
            fields.insert("isAdmin".to_owned(), json!(true));
        });
        Ok(self.put(id))
    }

    async fn swallow_answer(&mut self) -> Done {
        self.fault(When::Call("users.update", 1), Fault::Hang);
        self.fault(When::Call("users.signOut", 1), Fault::Hang);
        Ok(())
    }

    async fn ignore_changes(&mut self) -> Done {
        for operation in ["users.update", "users.signOut"] {
            self.fault(When::Calls(operation), Fault::EmptySuccess);
        }
        Ok(())
    }
}

/// What Google's directory has not: primary groups, attributes denied by themselves, users without an address, users who
/// are hidden one by one, lost rights that nobody is told of, cursors that are forgotten before their time. What is gone is
/// found by ids, not told by the log.
const NOT_THERE: &[&str] = &[
    "coverage::shows_a_right_lost_on_the_way",
    "snapshot::names_primary_groups",
    "snapshot::tells_no_value_as_empty",
    "snapshot::leaves_out_what_was_not_read",
    "snapshot::fits_the_shapes",
    "lookup::does_not_call_gone_what_is_hidden",
    "delta::takes_an_old_cursor_as_expired",
    "delta::tells_what_is_gone",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connector_does_what_the_engine_counts_on() {
    let report = conformance::Suite::new(Workspace::start).patience(Duration::from_secs(40)).run().await;
    report.assert_but(NOT_THERE);
}
