//! What a listing told, page by page. It demands nothing of a connector until it is asked to.

use std::collections::BTreeSet;

use super::{Members, Objects};
use crate::endpoint::{Checkpoint, Context, Cursor, Endpoint, SnapshotPage, SnapshotPager, SnapshotStep};
use crate::error::Result;
use crate::model::{Edges, Facet, ObjectKey, Patch, Quarantined, Scope, SourceId, Unreadable, Via};

/// How much came on one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize {
    /// Objects.
    pub objects: usize,
    /// Explicit memberships.
    pub members: usize,
}

impl PageSize {
    pub(super) fn of(patches: &[Patch], edges: &[Edges]) -> Self {
        let objects = patches.iter().filter(|patch| patch.facet == Facet::Core).count();
        Self { objects, members: edges.iter().map(|edges| edges.members.len()).sum() }
    }
}

/// Everything that a listing told, up to its end, to an error or to where its reader stopped.
///
/// It keeps whatever comes. What the contract forbids is noted, and [`assert_kept`](Self::assert_kept) stops the test
/// because of it; [`assert_once`](Self::assert_once) asks for more, where nobody changes the directory meanwhile.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use tenantry::Context;
/// use tenantry::endpoint::Endpoint;
/// use tenantry::gate::Gate;
/// use tenantry::model::Scope;
/// use tenantry::testkit::{Listing, ScriptedDirectory, ScriptedEndpoint};
///
/// let mut directory = ScriptedDirectory::new("corp");
/// let anna = directory.add_user(1, "people");
/// let team = directory.add_group(2);
/// directory.add_member(&team, &anna);
/// // The endpoint under test; this one gives an object a page.
/// let endpoint = ScriptedEndpoint::new("ad", directory, 1)?;
/// let cx = Context::new(Gate::builder().build(), Default::default());
///
/// let whole = Listing::of(&endpoint, &cx, None).await?;
/// whole.assert_once();
/// assert!(whole.has_ended() && whole.has_closed(&Scope::Users) && whole.has_closed_members_of(team.clone()));
/// assert!(whole.members.has(team, anna.clone()));
///
/// // Until somebody is there, and behind that checkpoint the rest.
/// let mut pager = endpoint.snapshot(&cx, None).await?;
/// let mut begun = Listing::default();
/// begun.read_until(&mut *pager, |listing| listing.objects.has(anna.clone())).await?;
/// let rest = Listing::of(&endpoint, &cx, begun.checkpoints.last()).await?;
/// assert!(!begun.has_ended() && !rest.objects.has(anna));
/// begun.objects.extend(rest.objects);
/// assert_eq!(begun.objects, whole.objects);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Listing {
    /// What was told last of each object, but for those that were withdrawn behind it.
    pub objects: Objects,
    /// What other facets than the core say, in the order in which it came: a facet makes no object.
    pub facets: Vec<Patch>,
    /// Explicit members of each group, but for groups that were withdrawn.
    pub members: Members,
    /// Records that were set aside.
    pub quarantined: Vec<Quarantined>,
    /// Objects of earlier pages that were taken back.
    pub withdrawn: Vec<ObjectKey>,
    /// Scopes of which the last page came.
    pub closed: BTreeSet<Scope>,
    /// Scopes that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Where the listing can go on, in the order in which it came.
    pub checkpoints: Vec<Checkpoint>,
    /// How much came on each page, in their order; also on empty ones.
    pub pages: Vec<PageSize>,
    /// Where deltas go on, once the listing has ended.
    pub cursor: Option<Cursor>,
    /// Objects and memberships, each time they came again. The contract allows it for what changes meanwhile.
    pub repeated: Vec<String>,
    /// What the contract forbids: something behind the page that closed its scope, a scope that is closed twice or closed
    /// and then unreadable, a primary membership among the edges.
    pub breaches: Vec<String>,
    ended: bool,
}

impl Listing {
    /// Reads a listing from its beginning, or from behind a checkpoint, to its end.
    ///
    /// # Errors
    /// Those of the endpoint. What came before is lost: where a test looks at it, begin the listing yourself and
    /// [`read`](Self::read) it.
    pub async fn of(endpoint: &dyn Endpoint, cx: &Context, from: Option<&Checkpoint>) -> Result<Self> {
        let mut pager = endpoint.snapshot(cx, from).await?;
        Self::of_all(&mut *pager).await
    }

    /// Reads a listing of ids to its end.
    ///
    /// # Errors
    /// Those of the endpoint.
    pub async fn of_ids(endpoint: &dyn Endpoint, cx: &Context) -> Result<Self> {
        let mut pager = endpoint.id_listing(cx).await?;
        Self::of_all(&mut *pager).await
    }

    async fn of_all(pager: &mut dyn SnapshotPager) -> Result<Self> {
        let mut listing = Self::default();
        listing.read(pager).await?;
        Ok(listing)
    }

    /// Reads on to the end. What came up to an error stays.
    ///
    /// # Errors
    /// Those of the pager.
    pub async fn read(&mut self, pager: &mut dyn SnapshotPager) -> Result<()> {
        self.read_until(pager, |_| false).await
    }

    /// Reads on until what was read so far is as asked for, or to the end: [`has_ended`](Self::has_ended) tells which. It
    /// reads one page at least.
    ///
    /// # Errors
    /// Those of the pager.
    pub async fn read_until(
        &mut self,
        pager: &mut dyn SnapshotPager,
        mut until: impl FnMut(&Self) -> bool + Send,
    ) -> Result<()> {
        loop {
            self.read_page(pager).await?;
            if self.ended || until(self) {
                return Ok(());
            }
        }
    }

    /// Reads one page, or the end.
    ///
    /// # Errors
    /// Those of the pager.
    pub async fn read_page(&mut self, pager: &mut dyn SnapshotPager) -> Result<()> {
        match pager.next().await? {
            SnapshotStep::Page(page) => self.take(page),
            SnapshotStep::End { cursor } => {
                self.cursor = cursor;
                self.ended = true;
            }
        }
        Ok(())
    }

    /// Takes in a page that was read in another way.
    pub fn take(&mut self, page: SnapshotPage) {
        self.pages.push(PageSize::of(&page.patches, &page.edges));
        for patch in page.patches {
            if patch.facet != Facet::Core {
                self.facets.push(patch);
                continue;
            }
            let object = patch.object.clone();
            self.note_late(&Scope::of(object.kind), || format!("{} {}", object.kind, object.id));
            if self.objects.insert(object.clone(), patch).is_some() {
                self.repeated.push(format!("{} {}", object.kind, object.id));
            }
        }
        for edges in page.edges {
            let scope = Scope::Members(edges.group.clone(), edges.via);
            self.note_late(&scope, || format!("{} members", edges.members.len()));
            self.members.take(edges, &mut self.repeated, &mut self.breaches);
        }
        for object in &page.withdrawn {
            self.members.remove(&object.id);
            self.objects.remove(object);
        }
        self.withdrawn.extend(page.withdrawn);
        for scope in page.closed {
            if !self.closed.insert(scope.clone()) {
                self.breaches.push(format!("{scope} closed twice"));
            }
        }
        for open in page.unreadable.iter().filter(|open| self.closed.contains(&open.scope)) {
            self.breaches.push(format!("{} unreadable and closed", open.scope));
        }
        self.unreadable.extend(page.unreadable);
        self.quarantined.extend(page.quarantined);
        self.checkpoints.extend(page.checkpoint);
    }

    fn note_late(&mut self, scope: &Scope, what: impl FnOnce() -> String) {
        if self.closed.contains(scope) {
            self.breaches.push(format!("{} behind the close of {scope}", what()));
        }
    }

    /// Tells whether the end was read.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Tells whether the last page of a scope came.
    pub fn has_closed(&self, scope: &Scope) -> bool {
        self.closed.contains(scope)
    }

    /// Tells whether the last page of a group's explicit members came.
    pub fn has_closed_members_of(&self, group: impl Into<SourceId>) -> bool {
        self.has_closed(&Scope::Members(group.into(), Via::Explicit))
    }

    /// Stops the test if the listing told what the contract forbids.
    ///
    /// # Panics
    /// With what that was.
    #[track_caller]
    pub fn assert_kept(&self) {
        assert!(self.breaches.is_empty(), "the listing told {}", self.breaches.join("; "));
    }

    /// Stops the test if an object or a membership came more than once, or if the contract forbids what the listing told.
    ///
    /// # Panics
    /// With what that was.
    #[track_caller]
    pub fn assert_once(&self) {
        self.assert_kept();
        assert!(self.repeated.is_empty(), "the listing told again {}", self.repeated.join("; "));
    }
}
