//! A domain to test against, and what a listing of it gave. It knows no promise.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::collections::{BTreeMap, BTreeSet};

use tenantry::endpoint::{Checkpoint, Cursor, Endpoint, ObjectRef, SnapshotPager, SnapshotStep};
use tenantry::gate::{Clock, Gate, ManualClock, RetryPolicy};
use tenantry::model::{
    EndpointName, MemberKind, ObjectKey, ObjectKind, Patch, Quarantined, Scope, SourceId, Unreadable, Via,
};
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

/// What a listing gave.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) objects: BTreeMap<Uuid, Patch>,
    pub(crate) members: BTreeMap<Uuid, BTreeMap<Uuid, MemberKind>>,
    pub(crate) quarantined: Vec<Quarantined>,
    pub(crate) withdrawn: Vec<ObjectKey>,
    pub(crate) closed: BTreeSet<Scope>,
    pub(crate) unreadable: Vec<Unreadable>,
    pub(crate) checkpoints: Vec<Checkpoint>,
    pub(crate) cursor: Option<Cursor>,
    /// Objects of each page, by page.
    pub(crate) pages: Vec<Vec<Uuid>>,
    pub(crate) most_members_on_a_page: usize,
}

pub(crate) async fn list(endpoint: &View, cx: &Context, from: Option<&Checkpoint>) -> Result<Listing> {
    let mut listing = Listing::default();
    read(endpoint.snapshot(cx, from).await?, &mut listing).await?;
    Ok(listing)
}

/// Reads a listing to its end, or until it fails; what came so far stays.
pub(crate) async fn read(mut pager: Box<dyn SnapshotPager>, listing: &mut Listing) -> Result<()> {
    loop {
        let page = match pager.next().await? {
            SnapshotStep::End { cursor } => {
                listing.cursor = cursor;
                return Ok(());
            }
            SnapshotStep::Page(page) => page,
        };
        listing.pages.push(page.patches.iter().map(|patch| uuid(&patch.object.id)).collect());
        for patch in page.patches {
            let known = listing.objects.insert(uuid(&patch.object.id), patch);
            assert!(known.is_none(), "an object came twice: {known:?}");
        }
        listing.most_members_on_a_page =
            listing.most_members_on_a_page.max(page.edges.iter().map(|edges| edges.members.len()).sum());
        for edges in page.edges {
            let members = listing.members.entry(uuid(&edges.group)).or_default();
            for member in edges.members {
                let known = members.insert(uuid(&member.id), member.kind);
                assert!(known.is_none(), "a member came twice");
            }
        }
        listing.quarantined.extend(page.quarantined);
        listing.withdrawn.extend(page.withdrawn);
        for scope in page.closed {
            assert!(listing.closed.insert(scope.clone()), "closed twice: {scope}");
        }
        listing.unreadable.extend(page.unreadable);
        listing.checkpoints.extend(page.checkpoint);
    }
}

/// Reads pages until an object is on one; the rest stays in the pager.
pub(crate) async fn read_until(pager: &mut Box<dyn SnapshotPager>, guid: Guid) {
    loop {
        let SnapshotStep::Page(page) = pager.next().await.unwrap() else { panic!("the object did not come") };
        if page.patches.iter().any(|patch| uuid(&patch.object.id) == id(guid)) {
            return;
        }
    }
}

impl Listing {
    /// Returns the login or computer names, or the names of groups, of one kind.
    pub(crate) fn names(&self, kind: ObjectKind) -> BTreeSet<String> {
        let name = if kind == ObjectKind::User { "username" } else { "name" };
        let of_kind = self.objects.values().filter(|patch| patch.object.kind == kind);
        of_kind.filter_map(|patch| text(patch, name)).collect()
    }

    pub(crate) fn members_of(&self, group: Guid) -> BTreeSet<Uuid> {
        self.members.get(&id(group)).map(|members| members.keys().copied().collect()).unwrap_or_default()
    }

    pub(crate) fn has_closed(&self, group: Guid) -> bool {
        self.closed.contains(&members_scope(group))
    }
}

pub(crate) fn members_scope(group: Guid) -> Scope {
    Scope::Members(SourceId::Guid(id(group)), Via::Explicit)
}

pub(crate) fn text(patch: &Patch, name: &str) -> Option<String> {
    patch.attributes.text(&tenantry::model::AttributeName::parse(name)).map(str::to_owned)
}

pub(crate) fn uuid(id: &SourceId) -> Uuid {
    match id {
        SourceId::Guid(guid) => *guid,
        other => panic!("{other:?} is no GUID"),
    }
}

pub(crate) fn id(guid: Guid) -> Uuid {
    Uuid::from_bytes_le(guid.to_wire())
}

pub(crate) fn object(kind: ObjectKind, guid: Guid) -> ObjectRef {
    ObjectRef { key: ObjectKey { kind, id: SourceId::Guid(id(guid)) }, container: None }
}
