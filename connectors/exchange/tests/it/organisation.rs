//! An organisation to test against. It knows no promise.

use std::collections::BTreeSet;
use std::time::Duration;

use tenantry::endpoint::{Checkpoint, Endpoint, ObjectRef, Presence};
use tenantry::gate::{Gate, RetryPolicy};
use tenantry::model::{EndpointName, ObjectKey, ObjectKind, Scope, SourceId};
use tenantry::testkit::Listing;
use tenantry::{Context, EndpointInfo, Result, Secret};
use tenantry_exchange::{Ews, EwsAuth, EwsConfig};
use tenantry_fakes::ews::{FakeEws, Organisation};
use tokio_util::sync::CancellationToken;

/// A running server and an endpoint's settings for it.
pub(crate) struct Site {
    pub(crate) fake: FakeEws,
    pub(crate) organisation: Organisation,
    pub(crate) config: EwsConfig,
    pub(crate) cx: Context,
}

pub(crate) async fn start(organisation: Organisation) -> Site {
    let fake = FakeEws::start(organisation.clone()).await;
    let config = config(&fake);
    Site { fake, organisation, config, cx: context() }
}

pub(crate) fn config(fake: &FakeEws) -> EwsConfig {
    let credentials = fake.organisation().credentials();
    let mut config = EwsConfig::new(fake.url(), credentials.name(), Secret::new(credentials.password));
    config.auth = EwsAuth::Basic;
    config.per_second = 10_000;
    config.http.ca_pem = Some(fake.ca_pem().as_bytes().to_vec());
    config.http.timeout = Duration::from_secs(5);
    config
}

/// A context whose retries do not wait.
pub(crate) fn context() -> Context {
    let wait = Duration::from_millis(1);
    let retry = RetryPolicy { initial: wait, max: wait, ..RetryPolicy::default() };
    Context::new(Gate::builder().retry(retry).build(), CancellationToken::new())
}

pub(crate) fn endpoint(config: EwsConfig) -> Ews {
    let info = EndpointInfo::new(EndpointName::new("mail").unwrap(), Ews::KIND);
    Ews::new(info, config).unwrap()
}

impl Site {
    pub(crate) fn endpoint(&self) -> Ews {
        endpoint(self.config.clone())
    }

    pub(crate) async fn listing(&self) -> Listing {
        list(&self.endpoint(), &self.cx, None).await.unwrap()
    }

    pub(crate) async fn lookup(&self, kind: ObjectKind, address: &str) -> Presence {
        let key = ObjectKey { kind, id: SourceId::address(address) };
        let asked = ObjectRef { key, container: None };
        self.endpoint().lookup(&self.cx, &[asked]).await.unwrap().remove(0)
    }
}

pub(crate) async fn list(endpoint: &Ews, cx: &Context, from: Option<&Checkpoint>) -> Result<Listing> {
    let listing = Listing::of(endpoint, cx, from).await?;
    listing.assert_once();
    assert!(listing.cursor.is_none(), "there are no deltas");
    Ok(listing)
}

/// Returns who was listed, by address.
pub(crate) fn addresses(listing: &Listing) -> BTreeSet<String> {
    listing.objects.keys().map(|object| object.id.to_string()).collect()
}

pub(crate) fn is_whole(listing: &Listing) -> bool {
    listing.has_closed(&Scope::Users) && listing.has_closed(&Scope::Groups)
}
