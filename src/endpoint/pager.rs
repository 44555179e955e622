//! Listings, a page at a time.

use async_trait::async_trait;

use super::{Checkpoint, Cursor};
use crate::error::Result;
use crate::model::{Attributes, Edges, Facet, ObjectKey, Patch, Quarantined, Scope, Tombstone, Unreadable};

/// One page of a full listing. It may be empty; an empty page is not the end.
#[derive(Debug, Default)]
pub struct SnapshotPage {
    /// Objects.
    pub patches: Vec<Patch>,
    /// Explicit memberships. A group's may come on any pages, also before the group itself.
    pub edges: Vec<Edges>,
    /// Records that cannot be understood.
    pub quarantined: Vec<Quarantined>,
    /// Objects of earlier pages that vanished while they were read: to be taken as never listed.
    pub withdrawn: Vec<ObjectKey>,
    /// Scopes of which this was the last page.
    pub closed: Vec<Scope>,
    /// Scopes that cannot be read. They must not be closed.
    pub unreadable: Vec<Unreadable>,
    /// Where the listing can go on after an interruption. Covers exactly what came up to and with this page.
    ///
    /// Not every page needs one: what came behind the last one is listed again. After some dozens of pages without one an
    /// interruption may cost the whole listing.
    pub checkpoint: Option<Checkpoint>,
}

/// What a listing gives next.
#[derive(Debug)]
pub enum SnapshotStep {
    /// A page; more follows.
    Page(SnapshotPage),
    /// The listing has ended. A listing that merely stops is an error.
    End {
        /// Where deltas go on: taken before the first page was asked for, and where the listing went on behind a
        /// checkpoint, before the first page of its first part. `None` where there are no deltas.
        cursor: Option<Cursor>,
    },
}

/// A full listing under way. After an error, an end or a dropped call it is finished: the engine does not call it again.
#[async_trait]
pub trait SnapshotPager: Send {
    /// Reads the next page.
    ///
    /// # Behaviour
    /// - Goes on at empty pages.
    /// - A page that comes again and again, or a token that runs in a circle, is an error.
    /// - Called again after an error, it fails again or leaves nothing out.
    async fn next(&mut self) -> Result<SnapshotStep>;
}

/// One page of changes.
///
/// Where several statements are on one object or membership, the later one counts: that of a later page, and on one page the
/// one that comes later here, so that gone counts more than out of scope, and both more than there. A connector that tells how each object is now says one thing of each, and
/// need not care; one that repeats a log begins a new page where the order of the log is not that of these fields.
#[derive(Debug, Default)]
pub struct DeltaPage {
    /// Objects that are new or changed: whole, or the attributes that changed. One that is new or comes into scope comes
    /// whole.
    pub patches: Vec<Patch>,
    /// Records that cannot be understood.
    pub quarantined: Vec<Quarantined>,
    /// Memberships that began.
    pub edges_added: Vec<Edges>,
    /// Memberships that the directory says ended.
    pub edges_removed: Vec<Edges>,
    /// Objects that the directory shows to exist outside of base or filter. Those that were never listed may be among
    /// them.
    pub out_of_scope: Vec<ObjectKey>,
    /// Objects that the directory says are gone.
    pub tombstones: Vec<Tombstone>,
    /// Groups whose members were all listed, in `edges_added` of this page or of earlier ones: who is not among them is
    /// read a second time before the membership ends. Never `Users`, `Groups` or `Computers`.
    pub closed: Vec<Scope>,
    /// Scopes that cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// What a delta gives next.
#[derive(Debug)]
pub enum DeltaStep {
    /// A page; more follows.
    Page(DeltaPage),
    /// Nothing more now. The cursor is stored with the data that it covers. A step of its own: what the last page brings
    /// comes before it.
    CaughtUp(Cursor),
    /// The cursor can no longer be used: a snapshot is needed. May come behind pages, too: they are dropped.
    CursorExpired,
}

/// A delta under way. After an error, an end or a dropped call it is finished.
#[async_trait]
pub trait DeltaPager: Send {
    /// Reads the next page.
    ///
    /// # Behaviour
    /// - A page of changes that comes again and again is an error.
    async fn next(&mut self) -> Result<DeltaStep>;
}

/// A snapshot with the bodies dropped.
pub(super) struct IdsOnly(pub(super) Box<dyn SnapshotPager>);

#[async_trait]
impl SnapshotPager for IdsOnly {
    async fn next(&mut self) -> Result<SnapshotStep> {
        Ok(match self.0.next().await? {
            SnapshotStep::Page(mut page) => {
                page.patches.retain(|patch| patch.facet == Facet::Core);
                for patch in &mut page.patches {
                    patch.attributes = Attributes::new();
                    patch.observations = Attributes::new();
                    patch.anchors.clear();
                    patch.primary_group = None;
                }
                page.edges.clear();
                page.closed.retain(|scope| !matches!(scope, Scope::Members(..)));
                page.checkpoint = None;
                SnapshotStep::Page(page)
            }
            end @ SnapshotStep::End { .. } => end,
        })
    }
}
