//! The suite for connectors, over a fake organisation. It knows no promise by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tenantry::Endpoint;
use tenantry::model::SourceId;
use tenantry::testkit::conformance::{self, Declined, Done, Dump, NewUser, Remote};
use tenantry_fakes::ews::{Fault, FakeEws, Id, On, Organisation, Recipient};

use crate::organisation::{Site, config, endpoint, start};

/// An organisation, and the ids by which it knows whom the suite knows by an address.
struct Exchange {
    site: Site,
    others: Vec<FakeEws>,
    ids: BTreeMap<SourceId, Id>,
    made: u32,
}

impl Exchange {
    async fn start() -> Self {
        let mut site = start(Organisation::new("corp.example")).await;
        // A server that is silent on purpose is given up soon.
        site.config.http.timeout = Duration::from_secs(5);
        Self { site, others: Vec::new(), ids: BTreeMap::new(), made: 0 }
    }

    fn put(&mut self, recipient: Recipient) -> SourceId {
        let id = self.site.organisation.add(recipient);
        let address = self.site.organisation.get(id).and_then(|one| one.primary_address().map(str::to_owned));
        let source = SourceId::address(&address.unwrap());
        self.ids.insert(source.clone(), id);
        source
    }

    fn id(&self, source: &SourceId) -> Done<Id> {
        self.ids.get(source).copied().ok_or_else(|| Declined::because("nobody of this address was put"))
    }
}

#[async_trait]
impl Remote for Exchange {
    fn endpoint(&self) -> Arc<dyn Endpoint> {
        Arc::new(self.site.endpoint())
    }

    fn many(&self) -> usize {
        60
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.site.config.password.expose().to_owned()]
    }

    async fn put_user(&mut self, user: &NewUser) -> Done<SourceId> {
        let Some(mail) = &user.mail else { return Err(Declined::because("a recipient has an address")) };
        Ok(self.put(Recipient::user(&user.username).named(&user.first_name, &user.last_name).primary(mail)))
    }

    async fn put_group(&mut self, name: &str) -> Done<SourceId> {
        self.made += 1;
        let alias = format!("group{}", self.made);
        Ok(self.put(Recipient::group(alias).displayed(name)))
    }

    async fn add_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        for member in members {
            self.site.organisation.add_member(self.id(group)?, self.id(member)?);
        }
        Ok(())
    }

    async fn remove_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        for member in members {
            self.site.organisation.remove_member(self.id(group)?, self.id(member)?);
        }
        Ok(())
    }

    async fn rename(&mut self, user: &SourceId, last_name: &str) -> Done {
        let id = self.id(user)?;
        let first = self.site.organisation.get(id).map(|one| one.first_name).unwrap_or_default();
        self.site.organisation.rename(id, &first, last_name);
        Ok(())
    }

    async fn set_mail(&mut self, user: &SourceId, mail: Option<&str>) -> Done {
        let mail = mail.ok_or_else(|| Declined::because("a recipient has an address"))?;
        self.site.organisation.readdress(self.id(user)?, mail);
        Ok(())
    }

    async fn delete(&mut self, id: &SourceId) -> Done {
        self.site.organisation.remove(self.id(id)?);
        Ok(())
    }

    async fn hide(&mut self, user: &SourceId) -> Done {
        self.site.organisation.hide(self.id(user)?);
        Ok(())
    }

    async fn deny_members(&mut self, group: &SourceId) -> Done {
        let SourceId::Address(address) = group else { return Err(Declined::because("groups have addresses")) };
        let fault = Fault::Inside { code: "ErrorAccessDenied".to_owned(), inner: None };
        self.site.fake.faults().on(On::call(tenantry_fakes::ews::Call::ExpandDl).entry(&**address), fault);
        Ok(())
    }

    async fn fail_from_call(&mut self, nth: u32) -> Done {
        self.site.fake.faults().on(On::any().from(nth.into()), Fault::HostError);
        Ok(())
    }

    async fn refuse_credentials(&mut self) -> Done {
        self.site.organisation.set_password("another");
        Ok(())
    }

    async fn sign_ins(&mut self) -> Done<u64> {
        let tries = self.site.fake.log().all().into_iter().filter(|line| line.account.is_none() && line.status == Some(401));
        Ok(tries.count() as u64)
    }

    async fn fall_silent(&mut self) -> Done {
        self.site.fake.faults().on(On::any(), Fault::Hang);
        Ok(())
    }

    async fn heal(&mut self) -> Done {
        self.site.fake.faults().clear();
        let password = self.site.config.password.expose().to_owned();
        self.site.organisation.set_password(&password);
        Ok(())
    }

    async fn other_directory(&mut self) -> Done<Arc<dyn Endpoint>> {
        let fake = FakeEws::start(Organisation::new("corp.example")).await;
        let mut config = config(&fake);
        // Another server of the same name is another organisation's where its name is all that is known of it.
        config.url = config.url.replace("127.0.0.1", "localhost");
        self.others.push(fake);
        Ok(Arc::new(endpoint(config)))
    }

    async fn dump(&mut self) -> Done<Dump> {
        let all = self.site.organisation.recipients().into_iter();
        Ok(all.map(|(id, one)| (format!("{id:?}"), BTreeMap::from([("all".to_owned(), format!("{one:?}"))]))).collect())
    }
}

/// What Exchange Web Services have not: computers, places, filters, primary groups, rights that can be read, attributes
/// denied by themselves, pages, deltas, actions. Ids are addresses, and nobody is said to be gone.
const NOT_THERE: &[&str] = &[];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connector_does_what_the_engine_counts_on() {
    let report = conformance::Suite::new(Exchange::start).patience(Duration::from_secs(40)).run().await;
    report.assert_but(NOT_THERE);
}
