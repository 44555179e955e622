//! A tenant to test against. It knows no promise.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::num::NonZeroUsize;

use tenantry::endpoint::{Checkpoint, Cursor, ObjectRef};
use tenantry::gate::{Clock, Gate, ManualClock};
use tenantry::model::{AttributeName, EndpointName, ObjectKey, ObjectKind, Patch, Scope, SourceId, Via};
use tenantry::testkit::{Changes, Listing};
use tenantry::{Context, EndpointInfo, Result, Secret};
use tenantry_fakes::graph::{Clock as FakeClock, FakeGraph, Id, Tenant};
use tenantry_office365::{Credential, Office365, Office365Config};
use tokio_util::sync::CancellationToken;

pub(crate) const DOMAIN: &str = "corp.example";

/// A fake under way, and how to reach it.
pub(crate) struct Running {
    pub(crate) tenant: Tenant,
    pub(crate) fake: FakeGraph,
    pub(crate) config: Office365Config,
    pub(crate) cx: Context,
    pub(crate) time: ManualClock,
}

/// Starts a tenant whose time is that of the context: it moves when somebody waits.
pub(crate) async fn start(tenant: Tenant) -> Running {
    let (clock, time) = Clock::manual();
    time.advance_by_itself();
    let follow = time.clone();
    let tenant = tenant.with_clock(FakeClock::following(move || follow.now_unix_millis()));
    tenant.edit_settings(|settings| settings.quota = None);
    let fake = FakeGraph::start(tenant.clone()).await;
    let config = config(&fake);
    let gate = Gate::builder().clock(clock).concurrency(NonZeroUsize::new(8).unwrap()).build();
    Running { tenant, fake, config, cx: Context::new(gate, CancellationToken::new()), time }
}

pub(crate) fn config(fake: &FakeGraph) -> Office365Config {
    let credentials = fake.credentials();
    let secret = Credential::Secret(Secret::new(credentials.secret));
    let mut config = Office365Config::new(credentials.tenant_id, credentials.client_id, secret);
    config.login_url = Some(fake.url());
    config.graph_url = Some(format!("{}/v1.0", fake.url()));
    config
}

pub(crate) fn endpoint(config: Office365Config) -> Office365 {
    let info = EndpointInfo::new(EndpointName::new("cloud").unwrap(), Office365::KIND);
    Office365::new(info, config).unwrap()
}

pub(crate) fn source(id: Id) -> SourceId {
    SourceId::parse(&id.to_string())
}

pub(crate) fn object(kind: ObjectKind, id: Id) -> ObjectRef {
    ObjectRef { key: ObjectKey { kind, id: source(id) }, container: None }
}

pub(crate) fn members_of(id: Id) -> Scope {
    Scope::Members(source(id), Via::Explicit)
}

pub(crate) fn text(patch: &Patch, name: &str) -> Option<String> {
    patch.attributes.text(&AttributeName::parse(name)).map(str::to_owned)
}

impl Running {
    pub(crate) fn endpoint(&self) -> Office365 {
        endpoint(self.config.clone())
    }

    pub(crate) async fn listing(&self) -> Listing {
        list(&self.endpoint(), &self.cx, None).await.unwrap()
    }

    pub(crate) async fn changes(&self, since: &Cursor) -> Changes {
        changes(&self.endpoint(), &self.cx, since).await.unwrap()
    }
}

pub(crate) async fn list(endpoint: &Office365, cx: &Context, from: Option<&Checkpoint>) -> Result<Listing> {
    let listing = Listing::of(endpoint, cx, from).await?;
    listing.assert_kept();
    Ok(listing)
}

pub(crate) async fn changes(endpoint: &Office365, cx: &Context, since: &Cursor) -> Result<Changes> {
    let changes = Changes::of(endpoint, cx, since).await?;
    changes.assert_kept();
    Ok(changes)
}
