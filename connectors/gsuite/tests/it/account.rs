//! An account to test against, and what a listing of it gave. It knows no promise.

use std::collections::{BTreeMap, BTreeSet};

use tenantry::endpoint::{Checkpoint, Cursor, Endpoint, ObjectRef, SnapshotPager, SnapshotStep};
use tenantry::gate::{Gate, RetryPolicy};
use tenantry::model::{
    AttributeName, EndpointName, MemberKind, ObjectKey, ObjectKind, Patch, Quarantined, Scope, SourceId, Unreadable,
    Via,
};
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

/// What a listing gave.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) objects: BTreeMap<(ObjectKind, String), Patch>,
    pub(crate) members: BTreeMap<String, BTreeMap<String, MemberKind>>,
    pub(crate) quarantined: Vec<Quarantined>,
    pub(crate) closed: BTreeSet<Scope>,
    pub(crate) unreadable: Vec<Unreadable>,
    pub(crate) withdrawn: Vec<ObjectKey>,
    pub(crate) checkpoints: Vec<Checkpoint>,
    pub(crate) cursor: Option<Cursor>,
}

pub(crate) async fn list(endpoint: &Gsuite, cx: &Context, from: Option<&Checkpoint>) -> Result<Listing> {
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
        for patch in page.patches {
            let key = (patch.object.kind, patch.object.id.to_string());
            let known = listing.objects.insert(key, patch);
            assert!(known.is_none(), "an object came twice: {known:?}");
        }
        for edges in page.edges {
            let members = listing.members.entry(edges.group.to_string()).or_default();
            for member in edges.members {
                let known = members.insert(member.id.to_string(), member.kind);
                assert!(known.is_none(), "a member came twice");
            }
        }
        listing.quarantined.extend(page.quarantined);
        for scope in page.closed {
            assert!(listing.closed.insert(scope.clone()), "closed twice: {scope}");
        }
        listing.unreadable.extend(page.unreadable);
        listing.withdrawn.extend(page.withdrawn);
        listing.checkpoints.extend(page.checkpoint);
    }
}

impl Listing {
    pub(crate) fn ids(&self, kind: ObjectKind) -> BTreeSet<String> {
        self.objects.keys().filter(|(of, _)| *of == kind).map(|(_, id)| id.clone()).collect()
    }

    pub(crate) fn user(&self, id: &str) -> &Patch {
        &self.objects[&(ObjectKind::User, id.to_owned())]
    }

    pub(crate) fn members_of(&self, group: &str) -> BTreeSet<String> {
        self.members.get(group).map(|members| members.keys().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn has_closed(&self, group: &str) -> bool {
        self.closed.contains(&Scope::Members(SourceId::Id(group.into()), Via::Explicit))
    }
}

pub(crate) fn text(patch: &Patch, name: &str) -> Option<String> {
    patch.attributes.text(&AttributeName::parse(name)).map(str::to_owned)
}

pub(crate) fn object(kind: ObjectKind, id: &str) -> ObjectRef {
    ObjectRef { key: ObjectKey { kind, id: SourceId::Id(id.into()) }, container: None }
}
