//! A tenant to test against, and what a listing or a delta of it gave. It knows no promise.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use tenantry::endpoint::{
    Checkpoint, Cursor, DeltaEndpoint, DeltaPager, DeltaStep, Endpoint, ObjectRef, SnapshotPager, SnapshotStep,
};
use tenantry::gate::{Clock, Gate, ManualClock};
use tenantry::model::{
    AttributeName, EndpointName, MemberKind, ObjectKey, ObjectKind, Patch, Quarantined, Scope, SourceId, Tombstone,
    Unreadable, Via,
};
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

/// What a listing gave.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) objects: BTreeMap<SourceId, Patch>,
    pub(crate) members: BTreeMap<SourceId, BTreeMap<SourceId, MemberKind>>,
    pub(crate) quarantined: Vec<Quarantined>,
    pub(crate) withdrawn: Vec<ObjectKey>,
    pub(crate) closed: BTreeSet<Scope>,
    pub(crate) unreadable: Vec<Unreadable>,
    pub(crate) checkpoints: Vec<Checkpoint>,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) pages: usize,
    /// How often each object came.
    pub(crate) times: BTreeMap<SourceId, usize>,
}

pub(crate) async fn list(endpoint: &Office365, cx: &Context, from: Option<&Checkpoint>) -> Result<Listing> {
    let mut listing = Listing::default();
    let mut pager = endpoint.snapshot(cx, from).await?;
    while read_page(&mut pager, &mut listing).await? {}
    Ok(listing)
}

/// Reads one page; false at the end.
pub(crate) async fn read_page(pager: &mut Box<dyn SnapshotPager>, listing: &mut Listing) -> Result<bool> {
    let page = match pager.next().await? {
        SnapshotStep::End { cursor } => {
            listing.cursor = cursor;
            return Ok(false);
        }
        SnapshotStep::Page(page) => page,
    };
    listing.pages += 1;
    for patch in page.patches {
        *listing.times.entry(patch.object.id.clone()).or_default() += 1;
        listing.objects.insert(patch.object.id.clone(), patch);
    }
    for edges in page.edges {
        let members = listing.members.entry(edges.group).or_default();
        members.extend(edges.members.into_iter().map(|member| (member.id, member.kind)));
    }
    listing.quarantined.extend(page.quarantined);
    listing.withdrawn.extend(page.withdrawn);
    for scope in page.closed {
        assert!(listing.closed.insert(scope.clone()), "closed twice: {scope}");
    }
    listing.unreadable.extend(page.unreadable);
    listing.checkpoints.extend(page.checkpoint);
    Ok(true)
}

impl Listing {
    pub(crate) fn count(&self, kind: ObjectKind) -> usize {
        self.objects.values().filter(|patch| patch.object.kind == kind).count()
    }

    pub(crate) fn patch(&self, id: Id) -> &Patch {
        &self.objects[&source(id)]
    }

    pub(crate) fn members_of(&self, group: Id) -> BTreeSet<SourceId> {
        self.members.get(&source(group)).map(|members| members.keys().cloned().collect()).unwrap_or_default()
    }
}

/// What a delta gave.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) objects: BTreeMap<SourceId, Patch>,
    pub(crate) tombstones: Vec<Tombstone>,
    pub(crate) began: BTreeSet<(SourceId, SourceId)>,
    pub(crate) ended: BTreeSet<(SourceId, SourceId)>,
    pub(crate) quarantined: Vec<Quarantined>,
    pub(crate) closed: BTreeSet<Scope>,
    pub(crate) unreadable: Vec<Unreadable>,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) expired: bool,
    pub(crate) pages: usize,
}

pub(crate) async fn changes(endpoint: &Office365, cx: &Context, since: &Cursor) -> Result<Changes> {
    let mut changes = Changes::default();
    let mut pager: Box<dyn DeltaPager> = endpoint.delta(cx, since).await?;
    loop {
        match pager.next().await? {
            DeltaStep::Page(page) => {
                changes.pages += 1;
                changes.objects.extend(page.patches.into_iter().map(|patch| (patch.object.id.clone(), patch)));
                changes.tombstones.extend(page.tombstones);
                for edges in page.edges_added {
                    for member in edges.members {
                        changes.ended.remove(&(edges.group.clone(), member.id.clone()));
                        changes.began.insert((edges.group.clone(), member.id));
                    }
                }
                for edges in page.edges_removed {
                    for member in edges.members {
                        changes.began.remove(&(edges.group.clone(), member.id.clone()));
                        changes.ended.insert((edges.group.clone(), member.id));
                    }
                }
                changes.quarantined.extend(page.quarantined);
                changes.closed.extend(page.closed);
                changes.unreadable.extend(page.unreadable);
            }
            DeltaStep::CaughtUp(cursor) => {
                changes.cursor = Some(cursor);
                return Ok(changes);
            }
            DeltaStep::CursorExpired => {
                changes.expired = true;
                return Ok(changes);
            }
        }
    }
}

impl Changes {
    pub(crate) fn tombstone(&self, id: Id) -> Option<&Tombstone> {
        self.tombstones.iter().find(|tombstone| tombstone.object.id == source(id))
    }

    pub(crate) fn next(&self) -> &Cursor {
        self.cursor.as_ref().unwrap()
    }
}
