//! An account to test against. It knows no promise.

use std::collections::BTreeSet;

use tenantry::endpoint::{Checkpoint, ObjectRef};
use tenantry::gate::{Gate, RetryPolicy};
use tenantry::model::{AttributeName, EndpointName, ObjectKey, ObjectKind, Patch, SourceId};
use tenantry::testkit::Listing;
use tenantry::{Context, EndpointInfo, Result, Secret};
use tenantry_fakes::google::{Account, Clock, FakeGoogle, Settings};
use tenantry_gsuite::{Gsuite, GsuiteConfig};
use tokio_util::sync::CancellationToken;

/// A running server and an endpoint's settings for it.
pub(crate) struct Tenant {
    pub(crate) fake: FakeGoogle,
    pub(crate) account: Account,
    pub(crate) config: GsuiteConfig,
    pub(crate) cx: Context,
}

/// An account of three people and two groups.
pub(crate) fn small() -> Account {
    let account = Account::new("corp.example").with_clock(Clock::system());
    let anna = account.add_user("anna@corp.example", "Anna", "Berg", |_| {});
    let bo = account.add_user("bo@corp.example", "Bo", "Dahl", |_| {});
    let team = account.add_group("team@corp.example", "Team", |_| {});
    let all = account.add_group("all@corp.example", "All", |_| {});
    account.add_member(&team, tenantry_fakes::google::Member::user(&anna));
    account.add_member(&all, tenantry_fakes::google::Member::user(&bo));
    account.add_member(&all, tenantry_fakes::google::Member::group(&team));
    account
}

pub(crate) async fn start(account: Account) -> Tenant {
    start_with(account, Settings::default()).await
}

pub(crate) async fn start_with(account: Account, settings: Settings) -> Tenant {
    let fake = FakeGoogle::start_with(account.clone(), settings).await;
    let config = config(&fake);
    Tenant { fake, account, config, cx: context() }
}

pub(crate) fn config(fake: &FakeGoogle) -> GsuiteConfig {
    let mut config = GsuiteConfig::new(Secret::new(fake.key_file()), fake.account().admin());
    config.api_url = fake.url();
    config
}

/// A context whose retries do not wait.
pub(crate) fn context() -> Context {
    let wait = std::time::Duration::from_millis(1);
    let retry = RetryPolicy { initial: wait, max: wait, ..RetryPolicy::default() };
    Context::new(Gate::builder().retry(retry).build(), CancellationToken::new())
}

pub(crate) fn endpoint(config: GsuiteConfig) -> Gsuite {
    let info = EndpointInfo::new(EndpointName::new("google").unwrap(), Gsuite::KIND);
    Gsuite::new(info, config).unwrap()
}

impl Tenant {
    pub(crate) fn endpoint(&self) -> Gsuite {
        endpoint(self.config.clone())
    }

    pub(crate) async fn listing(&self) -> Listing {
        list(&self.endpoint(), &self.cx, None).await.unwrap()
    }
}

pub(crate) async fn list(endpoint: &Gsuite, cx: &Context, from: Option<&Checkpoint>) -> Result<Listing> {
    let listing = Listing::of(endpoint, cx, from).await?;
    listing.assert_once();
    Ok(listing)
}

/// Returns the ids of one kind, as Google spells them.
pub(crate) fn ids(listing: &Listing, kind: ObjectKind) -> BTreeSet<String> {
    listing.objects.of(kind).map(|patch| patch.object.id.to_string()).collect()
}

pub(crate) fn members_of(listing: &Listing, group: &str) -> BTreeSet<String> {
    listing.members.of(source(group)).iter().map(ToString::to_string).collect()
}

pub(crate) fn source(id: &str) -> SourceId {
    SourceId::Id(id.into())
}

pub(crate) fn text(patch: &Patch, name: &str) -> Option<String> {
    patch.attributes.text(&AttributeName::parse(name)).map(str::to_owned)
}

pub(crate) fn object(kind: ObjectKind, id: &str) -> ObjectRef {
    ObjectRef { key: ObjectKey { kind, id: source(id) }, container: None }
}
