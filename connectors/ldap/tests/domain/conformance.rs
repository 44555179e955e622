//! The suite for connectors, over a fake domain controller. It knows no promise by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tenantry::Endpoint;
use tenantry::model::{AttributeName, SourceId, names};
use tenantry::testkit::conformance::{self, Declined, Done, Dump, NewUser, Place, Remote};
use tenantry_fakes::ldap::{ComputerKind, Directory, FakeLdap, Fault, Guid, When, WriteRights};
use tenantry_ldap::domain::DeltaMethod;

use crate::domain::{Domain, PASSWORD, ROOT, endpoint, id, start};
use crate::view::{self, Config};

const FIRST: &str = "OU=First,OU=Corp,DC=corp,DC=example";
const SECOND: &str = "OU=Second,OU=Corp,DC=corp,DC=example";
const BASE: &str = "OU=Corp,DC=corp,DC=example";
const ELSEWHERE: &str = "OU=Elsewhere,DC=corp,DC=example";
const READER: &str = "CN=Users,DC=corp,DC=example";
/// RFC 4511: the server is shutting down.
const UNAVAILABLE: u32 = 52;
/// RFC 4511: the caller has no sufficient rights.
const FORBIDDEN: u32 = 50;

/// A domain of which one unit comes in, and all that was put there.
struct Controller {
    domain: Domain,
    guids: BTreeMap<SourceId, Guid>,
    /// Further servers, for as long as their endpoints live.
    others: Vec<FakeLdap>,
}

fn empty(seed: u64) -> Directory {
    let directory = Directory::seeded(ROOT, seed);
    directory.add_user(READER, "reader").password(PASSWORD).create();
    view::furnish(&directory);
    for unit in [BASE, FIRST, SECOND, ELSEWHERE] {
        directory.add_ou(unit);
    }
    directory.set_recycle_bin(true);
    directory.rights("reader").read_deleted(true).replicate_changes(true).write(WriteRights::Everything);
    directory
}

fn configure(config: &mut Config) {
    config.domain.base = Some(BASE.into());
    config.domain.page_size = 10;
}

impl Controller {
    async fn start() -> Self {
        let mut domain = start(empty(1)).await;
        configure(&mut domain.config);
        Self { domain, guids: BTreeMap::new(), others: Vec::new() }
    }

    fn directory(&self) -> &Directory {
        &self.domain.directory
    }

    fn guid(&self, id: &SourceId) -> Guid {
        self.guids[id]
    }

    /// Makes an object one that comes in.
    fn put(&mut self, guid: Guid) -> SourceId {
        view::enrol(self.directory(), guid, 0);
        let source = id(guid);
        self.guids.insert(source.clone(), guid);
        source
    }

    fn fault(&self, when: When, fault: Fault) {
        self.domain.fake.faults().on(when, fault);
    }

    fn by(&mut self, fake: FakeLdap, change: impl FnOnce(&mut Config)) -> Arc<dyn Endpoint> {
        let mut config = self.domain.config.clone();
        config.domain.urls = vec![fake.ldaps_url()];
        config.domain.ca = Some(fake.ca_pem().as_bytes().to_vec());
        change(&mut config);
        self.others.push(fake);
        Arc::new(endpoint(config))
    }
}

#[async_trait]
impl Remote for Controller {
    fn endpoint(&self) -> Arc<dyn Endpoint> {
        Arc::new(self.domain.endpoint())
    }

    fn many(&self) -> usize {
        24
    }

    fn secrets(&self) -> Vec<String> {
        vec![PASSWORD.into()]
    }

    async fn put_user(&mut self, user: &NewUser) -> Done<SourceId> {
        let unit = if user.place == Place::First { FIRST } else { SECOND };
        let mut new = self.directory().add_user(unit, &user.username).given(&user.first_name).surname(&user.last_name);
        if let Some(mail) = &user.mail {
            new = new.mail(mail);
        }
        let guid = new.create();
        Ok(self.put(guid))
    }

    async fn put_group(&mut self, name: &str) -> Done<SourceId> {
        let guid = self.directory().add_group(FIRST, name).create();
        Ok(self.put(guid))
    }

    async fn put_computer(&mut self, name: &str) -> Done<SourceId> {
        if !view::COMPUTERS {
            return Err(Declined::because("this view has no computers"));
        }
        let guid = self.directory().add_computer(SECOND, name, ComputerKind::Workstation).create();
        Ok(self.put(guid))
    }

    async fn add_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        for member in members {
            self.directory().add_member(self.guid(group), self.guid(member));
        }
        Ok(())
    }

    async fn remove_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        for member in members {
            self.directory().remove_member(self.guid(group), self.guid(member));
        }
        Ok(())
    }

    async fn set_primary_group(&mut self, user: &SourceId, group: &SourceId) -> Done {
        if !view::PRIMARY_GROUPS {
            return Err(Declined::because("this view has no primary groups"));
        }
        let sid = self.directory().sid_of(self.guid(group)).map(|sid| sid.to_string()).unwrap_or_default();
        let rid = sid.rsplit('-').next().unwrap_or_default();
        self.directory().set(self.guid(user), "primaryGroupID", [rid]);
        Ok(())
    }

    async fn rename(&mut self, user: &SourceId, last_name: &str) -> Done {
        let login = self.directory().get(self.guid(user), "sAMAccountName").concat();
        self.directory().set(self.guid(user), "sn", [last_name]);
        self.directory().rename(self.guid(user), &format!("{last_name} ({login})"));
        Ok(())
    }

    async fn set_mail(&mut self, user: &SourceId, mail: Option<&str>) -> Done {
        view::address(self.directory(), self.guid(user), mail);
        Ok(())
    }

    async fn move_to(&mut self, user: &SourceId, place: Place) -> Done {
        let unit = if place == Place::First { FIRST } else { SECOND };
        self.directory().move_to(self.guid(user), unit);
        Ok(())
    }

    async fn move_out_of_scope(&mut self, user: &SourceId) -> Done {
        self.directory().move_to(self.guid(user), ELSEWHERE);
        Ok(())
    }

    async fn delete(&mut self, id: &SourceId) -> Done {
        self.directory().delete(self.guid(id));
        Ok(())
    }

    async fn restore(&mut self, id: &SourceId) -> Done {
        self.directory().undelete(self.guid(id));
        Ok(())
    }

    async fn put_unintelligible(&mut self) -> Done<Option<SourceId>> {
        let guid = self.directory().add_user(FIRST, "damaged").bytes("sn", b"L\xf6we").create();
        Ok(Some(self.put(guid)))
    }

    async fn hide(&mut self, user: &SourceId) -> Done {
        self.directory().rights("reader").hide(self.guid(user));
        Ok(())
    }

    async fn deny_attribute(&mut self) -> Done<AttributeName> {
        // Every account has it, so that its absence tells that it may not be read; the state cannot be told then.
        self.directory().rights("reader").hide_attribute("accountExpires");
        Ok(names::STATE)
    }

    async fn deny_members(&mut self, group: &SourceId) -> Done {
        self.directory().rights("reader").hide_attribute_of(self.guid(group), "member");
        Ok(())
    }

    async fn withdraw_right(&mut self) -> Done {
        self.directory().rights("reader").read_deleted(false);
        Ok(())
    }

    async fn withdraw_rights_after(&mut self, calls: u32) -> Done {
        self.fault(When::SearchesFrom(u64::from(calls) + 1), Fault::LoseRights);
        Ok(())
    }

    async fn fail_from_call(&mut self, nth: u32) -> Done {
        let fault = Fault::Answer { code: UNAVAILABLE, text: "the server is going down".into() };
        self.fault(When::SearchesFrom(nth.into()), fault);
        Ok(())
    }

    async fn give_empty_pages(&mut self) -> Done {
        for page in 1..=3 {
            self.fault(When::Page(page), Fault::EmptyPage);
        }
        Ok(())
    }

    async fn repeat_pages(&mut self) -> Done {
        self.fault(When::PagesFrom(1), Fault::RepeatCookie);
        Ok(())
    }

    async fn repeat_changes(&mut self) -> Done {
        self.repeat_pages().await
    }

    async fn expire_cursors(&mut self) -> Done {
        self.directory().restore_from_backup(self.directory().highest_usn() + 10_000);
        Ok(())
    }

    async fn refuse_credentials(&mut self) -> Done {
        self.directory().set_password("reader", "Another1!");
        Ok(())
    }

    async fn sign_ins(&mut self) -> Done<u64> {
        Ok(self.domain.fake.log().binds().len() as u64)
    }

    async fn fall_silent(&mut self) -> Done {
        self.fault(When::Always, Fault::Hang);
        Ok(())
    }

    async fn heal(&mut self) -> Done {
        self.domain.fake.faults().clear();
        self.directory().set_password("reader", PASSWORD);
        self.directory().rights("reader").show_all().read_deleted(true).write(WriteRights::Everything);
        Ok(())
    }

    async fn other_server(&mut self) -> Done<Arc<dyn Endpoint>> {
        let fake = FakeLdap::start(self.directory().clone()).await;
        Ok(self.by(fake, |_| ()))
    }

    async fn other_directory(&mut self) -> Done<Arc<dyn Endpoint>> {
        let fake = FakeLdap::start(empty(2)).await;
        Ok(self.by(fake, |_| ()))
    }

    async fn other_filter(&mut self) -> Done<Arc<dyn Endpoint>> {
        let fake = FakeLdap::start(self.directory().clone()).await;
        Ok(self.by(fake, |config| config.domain.users = Some("(department=*)".into())))
    }

    async fn dump(&mut self) -> Done<Dump> {
        let attributes =
            ["cn", "sn", "mail", "userAccountControl", "accountExpires", "lockoutTime", "pwdLastSet", "member"];
        let object = |guid: Guid| attributes.map(|name| (name.to_owned(), self.directory().get(guid, name).join("; ")));
        Ok(self.guids.iter().map(|(id, guid)| (id.to_string(), object(*guid).into())).collect())
    }

    async fn refuse_changes(&mut self, _user: &SourceId) -> Done {
        // The next change is his.
        self.fault(When::Write(1), Fault::Answer { code: FORBIDDEN, text: "insufficient access rights".into() });
        Ok(())
    }

    async fn put_protected(&mut self) -> Done<SourceId> {
        let guid = self.directory().add_user(FIRST, "admin7").attribute("adminCount", "1").create();
        Ok(self.put(guid))
    }

    async fn swallow_answer(&mut self) -> Done {
        self.fault(When::Write(1), Fault::Hang);
        Ok(())
    }

    async fn ignore_changes(&mut self) -> Done {
        // Somebody else takes every change back before it is answered.
        let (directory, guids) = (self.directory().clone(), self.guids.values().copied().collect::<Vec<_>>());
        let flags: Vec<_> = guids.iter().map(|guid| directory.get(*guid, "userAccountControl")).collect();
        self.domain.fake.faults().after_write(move || {
            for (guid, flags) in guids.iter().zip(flags) {
                directory.set(*guid, "userAccountControl", flags);
            }
        });
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connector_does_what_the_engine_counts_on() {
    conformance::run(Controller::start).await.assert_but(view::NOT_TRIED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_does_where_changes_come_by_dir_sync() {
    let begin = || async {
        let mut controller = Controller::start().await;
        controller.domain.config.domain.delta = DeltaMethod::DirSync;
        controller
    };
    conformance::run(begin).await.assert_but(view::NOT_TRIED);
}
