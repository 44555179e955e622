//! What a connector author implements and reads: nothing of the store, the rules or other connectors.
//!
//! A connector translates one remote directory into pages of patches and edges, and answers for single objects. It
//! decides nothing: what is new, changed or gone is the engine's to find out. Its duties are to be *complete or to
//! say that it is not*:
//!
//! - An attribute that was not read is left out of the patch; one that was read and has no value is
//!   [`Value::Empty`](crate::model::Value::Empty).
//! - A scope is closed only when its last page was read from the server without an error.
//! - A listing that cannot go on is an error, never an end.

mod action;
mod context;
mod coverage_info;
mod cursor;
mod info;
mod pager;
mod presence;
mod verification;

use std::fmt::Debug;

use async_trait::async_trait;

pub use action::{Action, ActionOutcome, Actor};
pub use context::Context;
pub use coverage_info::CoverageInfo;
pub use cursor::{Checkpoint, Cursor};
pub use info::EndpointInfo;
pub use pager::{DeltaPage, DeltaPager, DeltaStep, SnapshotPage, SnapshotPager, SnapshotStep};
pub use presence::{Evidence, Membership, ObjectRef, Presence, Reason};
pub use verification::{Estimate, Right, Verification};

use crate::error::Result;
use crate::model::SourceId;

/// One configured connection to a remote directory.
#[async_trait]
pub trait Endpoint: Debug + Send + Sync + 'static {
    /// Returns name, title and kind.
    ///
    /// # Behaviour
    /// - Needs no network and always returns the same.
    fn info(&self) -> &EndpointInfo;

    /// Reads what can be seen at all, now: identity, rights, filters, revision.
    ///
    /// # Behaviour
    /// - The same directory seen with the same rights and filters gives an equal value, whichever of its servers
    ///   answers.
    /// - Another directory, tenant or domain gives another `identity`.
    /// - A right that was withdrawn, or a filter that was changed, gives an unequal value.
    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo>;

    /// Checks the endpoint before anything is saved: reachable, which rights, what will not be seen, how much work.
    ///
    /// # Behaviour
    /// - Changes nothing, neither here nor there.
    /// - A wrong password is tried once.
    async fn verify(&self, cx: &Context) -> Result<Verification>;

    /// Begins a full listing, or goes on behind a checkpoint of an earlier one.
    ///
    /// # Behaviour
    /// - Every object in scope comes on at least one page; one that changes while it is listed may come twice.
    /// - Behind a checkpoint come exactly the objects that did not come before it.
    /// - A checkpoint that can no longer be used is an error of kind
    ///   [`Conflict`](crate::ErrorKind::Conflict): the engine then begins anew.
    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>>;

    /// Begins a listing of source ids only. By default a snapshot with the bodies dropped.
    ///
    /// # Behaviour
    /// - Every object of a snapshot taken at the same moment is on its pages, in patches without attributes.
    /// - Kinds are closed like those of a snapshot. Values, memberships and checkpoints on its pages are not looked at.
    async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        Ok(Box::new(pager::IdsOnly(self.snapshot(cx, None).await?)))
    }

    /// Looks single objects up by source id, beside siblings: the proof behind every removal by absence.
    ///
    /// # Behaviour
    /// - Answers for each id, in the order asked.
    /// - An object that exists and is in scope is [`Presence::Present`]; with its patch where that costs nothing.
    /// - One that exists outside of base or filter is [`Presence::OutOfScope`].
    /// - [`Presence::Gone`] only with evidence: a tombstone, or the directory's statement that there is no such id.
    /// - When in doubt, or when the rights do not let gone be told from hidden: [`Presence::Unknown`].
    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>>;

    /// Reads a second time whether some are explicit members of a group: the proof behind every membership that ends.
    ///
    /// # Behaviour
    /// - Answers for each member, in the order asked.
    /// - Asks the directory anew, where it can by another way than the listing: the member's own groups, a count, a
    ///   single check; else by reading the group's members once more.
    /// - When in doubt: [`Membership::Unknown`].
    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>>;

    /// Returns the endpoint's way of reading changes, if it has one.
    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        None
    }

    /// Returns the endpoint's way of changing accounts, if it has one.
    fn as_actor(&self) -> Option<&dyn Actor> {
        None
    }
}

/// An endpoint that can tell what changed since a cursor.
#[async_trait]
pub trait DeltaEndpoint: Send + Sync {
    /// Begins to read the changes since a cursor.
    ///
    /// # Behaviour
    /// - An expired, foreign or unreadable cursor is the step [`DeltaStep::CursorExpired`], not an error.
    /// - What changed while the delta is read comes in this one or in the next, never in neither.
    /// - Statements come in the order in which they became true; of several on one object the last one counts.
    /// - A group that comes into scope comes with all of its members, and its scope of members is closed.
    /// - Of a member that was deleted, or restored, its groups need not tell.
    async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>>;

    /// Tells whether deltas under this coverage report what is gone. Where they do not, the engine lists the ids behind
    /// every delta, unless the host has set an interval of its own, and looks up what is not among them.
    ///
    /// # Behaviour
    /// - Needs no network.
    fn tells_removals(&self, coverage: &CoverageInfo) -> bool {
        let _ = coverage;
        true
    }
}
