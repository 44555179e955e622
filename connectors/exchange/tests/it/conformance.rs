//! The suite for connectors, over a fake organisation. It knows no promise by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tenantry::Endpoint;
use tenantry::model::SourceId;
use tenantry::testkit::conformance::{self, Declined, Done, Dump, NewUser, Remote};
use tenantry_exchange::EwsAuth;
use tenantry_fakes::ews::{FakeEws, Fault, Id, On, Organisation, Recipient};

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
        site.config.auth = EwsAuth::Ntlm;
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

    fn by(&mut self, fake: FakeEws) -> Arc<dyn Endpoint> {
        let mut config = config(&fake);
        config.auth = EwsAuth::Ntlm;
        self.others.push(fake);
        Arc::new(endpoint(config))
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

    /// A challenge that nobody answers is no attempt: an attempt is refused twice on its connection.
    async fn sign_ins(&mut self) -> Done<u64> {
        let mut refused = BTreeMap::<u64, u64>::new();
        for line in self.site.fake.log().all().iter().filter(|line| line.status == Some(401)) {
            *refused.entry(line.connection).or_default() += 1;
        }
        Ok(refused.values().map(|times| times - 1).sum())
    }

    async fn put_unintelligible(&mut self) -> Done<Option<SourceId>> {
        self.made += 1;
        let name = format!("Odd {}", self.made);
        self.site.organisation.add(Recipient::user("").displayed(&name).address("X500:/o=Corp/cn=odd"));
        Ok(None)
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

    async fn other_server(&mut self) -> Done<Arc<dyn Endpoint>> {
        let fake = FakeEws::start(self.site.organisation.clone()).await;
        Ok(self.by(fake))
    }

    /// A forest is known by its name alone: one of the same name cannot be told.
    async fn other_directory(&mut self) -> Done<Arc<dyn Endpoint>> {
        let fake = FakeEws::start(Organisation::new("other.example")).await;
        Ok(self.by(fake))
    }

    async fn dump(&mut self) -> Done<Dump> {
        let all = self.site.organisation.recipients().into_iter();
        Ok(all.map(|(id, one)| (format!("{id:?}"), BTreeMap::from([("all".to_owned(), format!("{one:?}"))]))).collect())
    }
}

/// What Exchange Web Services have not: computers, places, filters, primary groups, rights that can be read, attributes
/// denied by themselves, pages, deltas, actions. Ids are addresses, and nobody is said to be gone.
const NOT_THERE: &[&str] = &[
    "coverage::shows_a_withdrawn_right",
    "coverage::shows_a_right_lost_on_the_way",
    "coverage::shows_a_changed_filter",
    "snapshot::leaves_out_what_is_out_of_scope",
    "snapshot::names_primary_groups",
    "snapshot::keeps_ids",
    "snapshot::tells_no_value_as_empty",
    "snapshot::leaves_out_what_was_not_read",
    "snapshot::fits_the_shapes",
    "resuming::takes_the_cursor_before_the_data",
    "resuming::tells_the_first_cursor",
    "paging::goes_on_at_empty_pages",
    "paging::repeated_pages_are_an_error",
    "lookup::tells_moved_from_gone",
    "lookup::calls_gone_what_is_gone",
    "delta::",
    "actor::",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connector_does_what_the_engine_counts_on() {
    let report = conformance::Suite::new(Exchange::start).patience(Duration::from_secs(40)).run().await;
    report.assert_but(NOT_THERE);
}
