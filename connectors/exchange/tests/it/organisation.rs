//! An organisation to test against, and what a listing of it gave. It knows no promise.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tenantry::endpoint::{Checkpoint, Endpoint, ObjectRef, Presence, SnapshotPager, SnapshotStep};
use tenantry::gate::{Gate, RetryPolicy};
use tenantry::model::{
    EndpointName, MemberKind, ObjectKey, ObjectKind, Patch, Quarantined, Scope, SourceId, Unreadable,
};
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

/// What a listing gave.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) objects: BTreeMap<(ObjectKind, String), Patch>,
    pub(crate) members: BTreeMap<String, BTreeMap<String, MemberKind>>,
    pub(crate) quarantined: Vec<Quarantined>,
    pub(crate) closed: BTreeSet<Scope>,
    pub(crate) unreadable: Vec<Unreadable>,
    pub(crate) checkpoints: Vec<Checkpoint>,
}

impl Listing {
    pub(crate) fn addresses(&self) -> BTreeSet<String> {
        self.objects.keys().map(|(_, address)| address.clone()).collect()
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.closed.contains(&Scope::Users) && self.closed.contains(&Scope::Groups)
    }
}

pub(crate) async fn list(endpoint: &Ews, cx: &Context, from: Option<&Checkpoint>) -> Result<Listing> {
    let mut listing = Listing::default();
    read(endpoint.snapshot(cx, from).await?, &mut listing).await?;
    Ok(listing)
}

/// Reads a listing to its end, or until it fails; what came so far stays.
pub(crate) async fn read(mut pager: Box<dyn SnapshotPager>, listing: &mut Listing) -> Result<()> {
    loop {
        let page = match pager.next().await? {
            SnapshotStep::End { cursor } => {
                assert!(cursor.is_none());
                return Ok(());
            }
            SnapshotStep::Page(page) => page,
        };
        for patch in page.patches {
            let key = (patch.object.kind, patch.object.id.to_string());
            let known = listing.objects.insert(key, patch);
            assert!(known.is_none(), "an object came twice: {known:?}");
        }
        for edges in page.edges {
            let members = listing.members.entry(edges.group.to_string()).or_default();
            members.extend(edges.members.into_iter().map(|member| (member.id.to_string(), member.kind)));
        }
        listing.quarantined.extend(page.quarantined);
        for scope in page.closed {
            assert!(listing.closed.insert(scope.clone()), "closed twice: {scope}");
        }
        listing.unreadable.extend(page.unreadable);
        listing.checkpoints.extend(page.checkpoint);
    }
}
