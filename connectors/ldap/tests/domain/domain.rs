//! A domain to test against. It knows no promise.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::collections::BTreeSet;

use tenantry::endpoint::{Checkpoint, ObjectRef, SnapshotPager};
use tenantry::gate::{Clock, Gate, ManualClock, RetryPolicy};
use tenantry::model::{AttributeName, EndpointName, ObjectKey, ObjectKind, Patch, Scope, SourceId, Via};
use tenantry::testkit::{Listing, Objects};
use tenantry::{Context, EndpointInfo, Result, Secret};
use tenantry_fakes::ldap::{Directory, FakeLdap, Guid, Settings};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::view::{self, Config, View};

/// The base of a view of histories, what is excluded of it, and what lies beside it.
pub(crate) const OLD: &str = "OU=Old,OU=People,DC=corp,DC=example";
pub(crate) const OUTSIDE: &str = "OU=Outside,DC=corp,DC=example";
pub(crate) const ROOT: &str = "DC=corp,DC=example";
pub(crate) const PEOPLE: &str = "OU=People,DC=corp,DC=example";
pub(crate) const GROUPS: &str = "OU=Groups,DC=corp,DC=example";
pub(crate) const PASSWORD: &str = "Passw0rd!Read1";

/// Creates a domain with an account that reads it and two empty units.
pub(crate) fn directory() -> Directory {
    furnished(Directory::new(ROOT))
}

/// Creates the same with the time of this machine.
pub(crate) fn running() -> Directory {
    let directory = Directory::new(ROOT);
    directory.follow_system_clock();
    furnished(directory)
}

fn furnished(directory: Directory) -> Directory {
    directory.add_user("CN=Users,DC=corp,DC=example", "reader").password(PASSWORD).create();
    view::furnish(&directory);
    directory.add_ou(PEOPLE);
    directory.add_ou(GROUPS);
    directory
}

/// A running controller and an endpoint for it.
pub(crate) struct Domain {
    pub(crate) fake: FakeLdap,
    pub(crate) directory: Directory,
    pub(crate) config: Config,
    pub(crate) cx: Context,
}

pub(crate) async fn start(directory: Directory) -> Domain {
    start_with(directory, Settings::default()).await
}

pub(crate) async fn start_with(directory: Directory, settings: Settings) -> Domain {
    let fake = FakeLdap::start_with(directory.clone(), settings).await;
    let mut config = Config::new(fake.ldaps_url(), "reader@corp.example", Secret::new(PASSWORD));
    config.domain.ca = Some(fake.ca_pem().as_bytes().to_vec());
    Domain { fake, directory, config, cx: context() }
}

/// A context whose retries do not wait.
pub(crate) fn context() -> Context {
    let retry = RetryPolicy { initial: std::time::Duration::from_millis(1), ..RetryPolicy::default() };
    Context::new(Gate::builder().retry(retry).build(), CancellationToken::new())
}

/// A context whose time stands still until it is moved.
pub(crate) fn timed_context() -> (Context, ManualClock) {
    let (clock, time) = Clock::manual();
    (Context::new(Gate::builder().clock(clock).build(), CancellationToken::new()), time)
}

impl Domain {
    pub(crate) fn endpoint(&self) -> View {
        endpoint(self.config.clone())
    }

    pub(crate) async fn listing(&self) -> Listing {
        list(&self.endpoint(), &self.cx, None).await.unwrap()
    }
}

pub(crate) fn endpoint(config: Config) -> View {
    let info = EndpointInfo::new(EndpointName::new("directory").unwrap(), View::KIND);
    View::new(info, config).unwrap()
}

pub(crate) async fn list(endpoint: &View, cx: &Context, from: Option<&Checkpoint>) -> Result<Listing> {
    let listing = Listing::of(endpoint, cx, from).await?;
    listing.assert_once();
    Ok(listing)
}

/// Reads what is left in a pager.
pub(crate) async fn rest(mut pager: Box<dyn SnapshotPager>) -> Listing {
    let mut listing = Listing::default();
    listing.read(&mut *pager).await.unwrap();
    listing.assert_once();
    listing
}

/// Reads pages until an object is on one; the rest stays in the pager.
pub(crate) async fn read_until(pager: &mut dyn SnapshotPager, guid: Guid) {
    let mut listing = Listing::default();
    listing.read_until(pager, |listing| listing.objects.has(id(guid))).await.unwrap();
    assert!(!listing.has_ended(), "the object did not come");
}

/// Returns the login or computer names, or the names of groups, of one kind.
pub(crate) fn names_of(objects: &Objects, kind: ObjectKind) -> BTreeSet<String> {
    let name = if kind == ObjectKind::User { "username" } else { "name" };
    objects.of(kind).filter_map(|patch| text(patch, name)).collect()
}

pub(crate) fn members_scope(group: Guid) -> Scope {
    Scope::Members(id(group), Via::Explicit)
}

pub(crate) fn text(patch: &Patch, name: &str) -> Option<String> {
    patch.attributes.text(&AttributeName::parse(name)).map(str::to_owned)
}

pub(crate) fn id(guid: Guid) -> SourceId {
    SourceId::Guid(Uuid::from_bytes_le(guid.to_wire()))
}

pub(crate) fn ids(guids: &[Guid]) -> BTreeSet<SourceId> {
    guids.iter().map(|guid| id(*guid)).collect()
}

pub(crate) fn object(kind: ObjectKind, guid: Guid) -> ObjectRef {
    ObjectRef { key: ObjectKey { kind, id: id(guid) }, container: None }
}
