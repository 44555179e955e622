//! What a delta told, page by page. It lays nothing over a listing.

use std::collections::BTreeSet;

use super::{Members, Objects, PageSize};
use crate::endpoint::{Context, Cursor, DeltaPage, DeltaPager, DeltaStep, Endpoint};
use crate::error::Result;
use crate::model::{Edges, Facet, ObjectKey, Patch, Quarantined, Scope, SourceId, Tombstone, Unreadable, Via};

/// Everything that a delta told, up to its end or to an error.
///
/// Of several statements on one membership the last one stands here; what was told of an object stays beside its
/// tombstone.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use tenantry::Context;
/// use tenantry::gate::Gate;
/// use tenantry::testkit::{Changes, Listing, ScriptedDirectory, ScriptedEndpoint};
///
/// let mut directory = ScriptedDirectory::new("corp");
/// directory.tombstones_readable = true;
/// let anna = directory.add_user(1, "people");
/// let team = directory.add_group(2);
/// // The endpoint under test.
/// let endpoint = ScriptedEndpoint::new("ad", directory, 10)?.with_deltas();
/// let cx = Context::new(Gate::builder().build(), Default::default());
/// let cursor = Listing::of(&endpoint, &cx, None).await?.cursor.expect("a listing ends with a cursor");
///
/// let bert = endpoint.change(|directory| {
///     let bert = directory.add_user(3, "people");
///     directory.add_member(&team, &bert);
///     directory.delete(&anna);
///     bert
/// });
/// let told = Changes::of(&endpoint, &cx, &cursor).await?;
/// assert!(told.objects.has(bert.clone()) && told.began.has(team, bert));
/// assert!(told.tombstone(anna).is_some() && told.ended.is_empty());
///
/// let again = Changes::of(&endpoint, &cx, &told.next()).await?;
/// assert!(again.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Changes {
    /// New and changed objects, each with everything that was told of it.
    pub objects: Objects,
    /// What other facets than the core say, in the order in which it came.
    pub facets: Vec<Patch>,
    /// Memberships that began. A group without any is not here; whether it was told whole stands in `closed`.
    pub began: Members,
    /// Memberships that ended.
    pub ended: Members,
    /// Objects that are gone.
    pub tombstones: Vec<Tombstone>,
    /// Objects outside of base or filter.
    pub out_of_scope: BTreeSet<ObjectKey>,
    /// Records that were set aside.
    pub quarantined: Vec<Quarantined>,
    /// Groups whose members were all told.
    pub closed: BTreeSet<Scope>,
    /// Scopes that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// How much came on each page, in their order: changed objects, and memberships that began.
    pub pages: Vec<PageSize>,
    /// Where the next delta begins, once this one has caught up.
    pub cursor: Option<Cursor>,
    /// Objects, memberships and scopes, each time they were told again. That is allowed: a log may say more than once
    /// what it says.
    pub repeated: Vec<String>,
    /// Memberships of which it was said that they began and that they ended: group and member.
    pub reversed: BTreeSet<(SourceId, SourceId)>,
    /// What the contract forbids: a kind that is closed, a primary membership among the edges.
    pub breaches: Vec<String>,
    expired: bool,
}

impl Changes {
    /// Reads a delta to its end: caught up, or by a cursor that has expired.
    ///
    /// # Errors
    /// Those of the endpoint.
    ///
    /// # Panics
    /// If the endpoint has no deltas: no test is to take that for the error that it expects.
    pub async fn of(endpoint: &dyn Endpoint, cx: &Context, since: &Cursor) -> Result<Self> {
        let mut pager = endpoint.as_delta().expect("an endpoint that has deltas").delta(cx, since).await?;
        let mut changes = Self::default();
        changes.read(&mut *pager).await?;
        Ok(changes)
    }

    /// Reads on to the end. What came up to an error stays.
    ///
    /// # Errors
    /// Those of the pager.
    pub async fn read(&mut self, pager: &mut dyn DeltaPager) -> Result<()> {
        loop {
            match pager.next().await? {
                DeltaStep::Page(page) => self.take(page),
                DeltaStep::CaughtUp(cursor) => {
                    self.cursor = Some(cursor);
                    return Ok(());
                }
                DeltaStep::CursorExpired => {
                    self.expired = true;
                    return Ok(());
                }
            }
        }
    }

    /// Takes in a page that was read in another way.
    pub fn take(&mut self, page: DeltaPage) {
        self.pages.push(PageSize::of(&page.patches, &page.edges_added));
        for patch in page.patches {
            if patch.facet != Facet::Core {
                self.facets.push(patch);
                continue;
            }
            let object = patch.object.clone();
            let Some(known) = self.objects.get_mut(&object) else {
                self.objects.insert(object, patch);
                continue;
            };
            lay_over(known, patch);
            self.repeated.push(format!("{} {}", object.kind, object.id));
        }
        self.quarantined.extend(page.quarantined);
        let some = |edges: &Edges| !edges.members.is_empty();
        for edges in page.edges_added.into_iter().filter(some) {
            self.reversed.extend(self.ended.leave_out(&edges));
            self.began.take(edges, &mut self.repeated, &mut self.breaches);
        }
        for edges in page.edges_removed.into_iter().filter(some) {
            self.reversed.extend(self.began.leave_out(&edges));
            self.ended.take(edges, &mut self.repeated, &mut self.breaches);
        }
        for object in page.out_of_scope {
            if !self.out_of_scope.insert(object.clone()) {
                self.repeated.push(format!("{} {} out of scope", object.kind, object.id));
            }
        }
        self.tombstones.extend(page.tombstones);
        for scope in page.closed {
            if !matches!(scope, Scope::Members(_, Via::Explicit)) {
                self.breaches.push(format!("{scope} closed by a delta"));
            }
            if !self.closed.insert(scope.clone()) {
                self.repeated.push(format!("{scope} closed"));
            }
        }
        self.unreadable.extend(page.unreadable);
    }

    /// Tells whether the delta said that the cursor can no longer be used.
    pub fn has_expired(&self) -> bool {
        self.expired
    }

    /// Returns the cursor of the next delta.
    ///
    /// # Panics
    /// If this one has not caught up.
    #[track_caller]
    pub fn next(&self) -> Cursor {
        self.cursor.clone().expect("a delta that has caught up")
    }

    /// Returns what was said of the end of an object.
    pub fn tombstone(&self, id: impl Into<SourceId>) -> Option<&Tombstone> {
        let id = id.into();
        self.tombstones.iter().find(|tombstone| tombstone.object.id == id)
    }

    /// Returns the ids of what is gone.
    pub fn gone(&self) -> BTreeSet<SourceId> {
        self.tombstones.iter().map(|tombstone| tombstone.object.id.clone()).collect()
    }

    /// Returns the ids of what is outside of base or filter.
    pub fn outside(&self) -> BTreeSet<SourceId> {
        self.out_of_scope.iter().map(|object| object.id.clone()).collect()
    }

    /// Returns the groups whose members were all told.
    pub fn closed_groups(&self) -> BTreeSet<SourceId> {
        let group = |scope: &Scope| if let Scope::Members(group, _) = scope { Some(group.clone()) } else { None };
        self.closed.iter().filter_map(group).collect()
    }

    /// Tells whether all explicit members of a group were told.
    pub fn has_closed_members_of(&self, group: impl Into<SourceId>) -> bool {
        self.closed.contains(&Scope::Members(group.into(), Via::Explicit))
    }

    /// Tells whether nothing was said at all, not even that something could not be read.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
            && self.facets.is_empty()
            && self.began.is_empty()
            && self.ended.is_empty()
            && self.tombstones.is_empty()
            && self.out_of_scope.is_empty()
            && self.quarantined.is_empty()
            && self.closed.is_empty()
            && self.unreadable.is_empty()
    }

    /// Stops the test if the delta told what the contract forbids.
    ///
    /// # Panics
    /// With what that was.
    #[track_caller]
    pub fn assert_kept(&self) {
        assert!(self.breaches.is_empty(), "the delta told {}", self.breaches.join("; "));
    }

    /// Stops the test if anything was told more than once or both ways, or if the contract forbids what the delta told.
    ///
    /// # Panics
    /// With what that was.
    #[track_caller]
    pub fn assert_once(&self) {
        self.assert_kept();
        assert!(self.repeated.is_empty(), "the delta told again {}", self.repeated.join("; "));
        assert!(self.reversed.is_empty(), "the delta told both ways {:?}", self.reversed);
    }
}

/// Lays a later patch over an earlier one: what it does not mention stays.
fn lay_over(known: &mut Patch, later: Patch) {
    known.attributes.merge(&later.attributes);
    known.observations.merge(&later.observations);
    known.container = later.container.or(known.container.take());
    known.primary_group = later.primary_group.or(known.primary_group.take());
    if !later.anchors.is_empty() {
        known.anchors = later.anchors;
    }
    for name in later.forgets {
        known.attributes.forget(&name);
        known.forgets.push(name);
    }
}
