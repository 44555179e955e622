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
//!
//! Every duty stands in a `# Behaviour` list of the item that it belongs to, and each line of these lists has a check of
//! its own in `testkit::conformance` (feature `testkit`): a connector is done when it passes them.
//!
//! # What is called when
//!
//! ```text
//! verify                      when somebody sets the endpoint up; nothing is stored
//!
//! coverage                    at the start of every import; another identity ends it here
//!   delta(cursor) ─► next …   where there is a cursor, no right was lost, and filters and revision are as they were
//!   │   CursorExpired ─► snapshot
//!   └ id_listing ─► next …    behind a delta that does not tell what is gone, and from time to time
//!   snapshot(None) ─► next …  else; snapshot(checkpoint) after an interruption
//! coverage                    at the end: nothing is proven by a listing whose coverage changed on the way
//! lookup                      what was not listed, with siblings that were: the proof behind removals
//! check_members               memberships that were not listed: the proof behind their end
//! act                         when an operator asks for it, at any time
//! ```
//!
//! One value serves one endpoint for the life of the process; its calls may come at the same time, so that what it
//! keeps (a connection, a token) lies behind a lock that is not held across an `.await`. After a restart a new value
//! goes on with the ids, cursors and checkpoints of the old one. A pager is driven by one task; after an error, an end
//! or a dropped call it is not used again.
//!
//! A listing that goes on behind a checkpoint is still the listing that it was. Where there are deltas, its checkpoints
//! therefore carry the cursor that was taken before its very first page, and its end tells that one: a cursor that is
//! taken when the listing goes on leaves out, in every delta to come, what changed meanwhile on the pages before.
//!
//! The engine compares the coverage before it goes on from a checkpoint, so that neither filters nor rights have to be
//! in one. A right that was *gained* does not keep it from a delta: where more can be seen by it than the changes tell,
//! put the rights into the cursor as well, and answer [`DeltaStep::CursorExpired`] where they differ.
//!
//! A kind that the directory does not have (computers, mostly) is not listed, not closed and not told as unreadable;
//! nothing waits for it. A scope may be closed on a page with nothing else on it.
//!
//! # What the types mean
//!
//! | type | what it is to a connector |
//! |---|---|
//! | [`SourceId`] | the directory's own id: `Guid` or `Id` if it never changes and is never given to another object; `Address` is the last resort, and is never removed by itself |
//! | [`Patch`](crate::model::Patch) | what one page knows of one object: absent is unknown, [`Value::Empty`](crate::model::Value::Empty) is known to be nothing; [`names`](crate::model::names) has the attributes that hosts know, `AttributeName::extra` the others; a value that [`names::shape`](crate::model::names::shape) does not allow sets the whole record aside |
//! | `Patch::container` | where the object lies, opaque to the engine: objects of one container vouch for each other's readability; spelled the same by listing, delta and look-up, left out where the directory has no places |
//! | `Patch::anchors` | ids that other directories know the same object by |
//! | `Patch::primary_group` | not read, none, or this group: it makes an edge of its own |
//! | [`Edges`](crate::model::Edges) | some direct members of one group, always [`Via::Explicit`](crate::model::Via::Explicit): the primary ones are made from `Patch::primary_group`; several pages may each bring some; a member's kind may be [`Unknown`](crate::model::MemberKind::Unknown), and the member one that is listed nowhere |
//! | [`Scope`](crate::model::Scope) | what is closed when its last page came: all users, all groups, all computers, all members of one group |
//! | [`Unreadable`](crate::model::Unreadable) | a scope that the account may not read: said instead of closing it |
//! | [`Quarantined`](crate::model::Quarantined) | a record that makes no sense: set aside instead of its patch, the rest goes on; with its id it counts as listed, without one its kind proves no absence |
//! | `withdrawn` | an object of an earlier page that vanished before its details were read |
//! | [`Checkpoint`] | how to go on inside this listing, with its cursor: the connector's own bytes and their version |
//! | [`Cursor`] | where the next delta begins, and of which directory: taken *before* the data that it stands for is read |
//! | [`CoverageInfo`] | what can be seen at all; an unequal value makes absence prove nothing |
//! | [`Presence`] | the answer for one object; doubt is [`Presence::Unknown`], never gone |
//!
//! # How errors map
//!
//! One `match` over the provider's codes, never over its texts, in a file of its own. The kind decides what happens:
//!
//! | what happened | kind, retry |
//! |---|---|
//! | connection refused, reset, timed out; "busy", "try later" | [`Unavailable`](crate::ErrorKind::Unavailable), [`Backoff`](crate::Retry::Backoff) |
//! | too many calls | [`Throttled`](crate::ErrorKind::Throttled), [`After`](crate::Retry::After) what the server says, else `Backoff` |
//! | too many calls at once | [`Concurrency`](crate::ErrorKind::Concurrency), `Backoff` |
//! | name or password wrong, token refused once renewed | [`Unauthenticated`](crate::ErrorKind::Unauthenticated), never again: it may lock the account |
//! | known, but may not | [`PermissionDenied`](crate::ErrorKind::PermissionDenied) with the rights' names |
//! | an answer that makes no sense, a page that repeats | [`Protocol`](crate::ErrorKind::Protocol) |
//! | a setting that cannot be right | [`Config`](crate::ErrorKind::Config) with what to do |
//! | a checkpoint that is not usable | [`Conflict`](crate::ErrorKind::Conflict) |
//! | something that this directory does not have | [`Unsupported`](crate::ErrorKind::Unsupported) |
//!
//! Every call to the network goes through [`Context::gate`]: it waits for its turn, repeats what `Retry` allows and
//! obeys cancellation. A connector sleeps never and repeats nothing by itself. The gate and the engine add operation,
//! tries and the endpoint's name to an error; page and the provider's request id are the connector's to add.
//!
//! The closure that the gate is given makes *one* request and may be called several times: it borrows and moves nothing
//! away, advances nothing, and does not call the gate again, which might wait for itself. What blocks (files, a client
//! that is not asynchronous) runs in `tokio::task::spawn_blocking` inside of it. A step that makes no request, such as an
//! end behind the last page, calls [`Context::check_cancelled`] instead.
//!
//! # Quotas
//!
//! A provider that publishes how often it may be asked counts by application, by tenant, by user. The connector names
//! these quotas once, in [`Endpoint::limits`]: the name of the bucket that a [`Cost`](crate::gate::Cost) speaks of, a key
//! made of the provider's own ids, and the [`Limit`](crate::gate::Limit) with this process's share. The service gives
//! every endpoint that names the same quota by the same key the same bucket, so that ten tenants of one application do
//! not ask ten times as fast. From then on only the cost of a call is the connector's to say: one in every bucket unless
//! said otherwise, and nothing in a bucket that does not count it ([`Cost::on`](crate::gate::Cost::on) with 0). What the
//! answer tells about the quota goes to the [`Attempt`](crate::gate::Attempt) that the closure is given. A name that the
//! gate does not have is silently nobody's bucket: keep the names in constants.
//!
//! What an answer may cost its caller to wait for, such as reports with a small quota of their own, gets a bucket of its
//! own: who waits there keeps no place from the other calls.
//!
//! # An outline
//!
//! ```
//! # use tenantry::endpoint::*;
//! # use tenantry::gate::Cost;
//! # use tenantry::model::{names, ObjectKind, Patch, Scope, SourceId, Value};
//! # use tenantry::Result;
//! # #[derive(Debug, Clone)] struct Client;
//! # struct Answer { people: Vec<Person>, next: Option<String> }
//! # struct Person { id: String, mail: Option<String> }
//! # impl Client { async fn page(&self, _: Option<&str>) -> Result<Answer> { unimplemented!() } }
//! /// A listing of people only, page by page.
//! struct Listing {
//!     cx: Context,
//!     client: Client,
//!     next: Option<String>,
//!     ended: bool,
//! }
//!
//! #[async_trait::async_trait]
//! impl SnapshotPager for Listing {
//!     async fn next(&mut self) -> Result<SnapshotStep> {
//!         if self.ended {
//!             return Ok(SnapshotStep::End { cursor: None });
//!         }
//!         let (client, token) = (&self.client, self.next.as_deref());
//!         let answer = self.cx.gate().call(Cost::default(), "list people", |_| client.page(token)).await?;
//!         let mut page = SnapshotPage::default();
//!         for person in answer.people {
//!             let patch = Patch::new(ObjectKind::User, SourceId::parse(&person.id));
//!             // Read, and perhaps without a value.
//!             page.patches.push(patch.with(names::PRIMARY_EMAIL, Value::text(person.mail.as_deref())));
//!         }
//!         if answer.next.is_some() && answer.next == self.next {
//!             return Err(tenantry::Error::protocol("the server gives the same page again"));
//!         }
//!         self.ended = answer.next.is_none();
//!         self.next = answer.next;
//!         if self.ended {
//!             page.closed.push(Scope::Users);
//!         }
//!         Ok(SnapshotStep::Page(page))
//!     }
//! }
//! ```
//!
//! What goes on behind a checkpoint, tells of changes or reads memberships adds fields to the same shape: one function
//! turns a person into a patch for the listing, the delta and the look-up alike.
//!
//! `examples/custom_endpoint.rs` is a whole one; `testkit::conformance` says how to hold it to the contract.

mod action;
mod context;
mod coverage_info;
mod cursor;
mod info;
mod limits;
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
pub use limits::{CallLimits, SharedQuota};
pub use pager::{DeltaPage, DeltaPager, DeltaStep, SnapshotPage, SnapshotPager, SnapshotStep};
pub use presence::{Evidence, Membership, ObjectRef, Presence, Reason};
pub use verification::{Estimate, Right, Verification};

use crate::error::Result;
use crate::model::{Freshness, SourceId};

/// One configured connection to a remote directory.
///
/// # Behaviour
/// - Once the caller wants to stop, a call ends with an error of kind [`Cancelled`](crate::ErrorKind::Cancelled), and a
///   pager does so at its next page.
/// - A server that cannot be reached, or that says to come later, is an error of kind
///   [`Unavailable`](crate::ErrorKind::Unavailable), [`Throttled`](crate::ErrorKind::Throttled) or
///   [`Concurrency`](crate::ErrorKind::Concurrency).
/// - No credential, cursor or checkpoint is in `Debug`, in an error, or in what a check tells.
#[async_trait]
pub trait Endpoint: Debug + Send + Sync + 'static {
    /// Returns name, title and kind.
    ///
    /// # Behaviour
    /// - Needs no network and always returns the same.
    fn info(&self) -> &EndpointInfo;

    /// Returns which published quotas count the endpoint's calls, and how many calls it bears at once. By default four
    /// at once and no quota.
    ///
    /// It is asked once, when the endpoint is registered; what a server reports later goes to the
    /// [`Attempt`](crate::gate::Attempt) of a call.
    ///
    /// # Behaviour
    /// - Tells the same limits always, without the network.
    fn limits(&self) -> CallLimits {
        CallLimits::default()
    }

    /// Reads what can be seen at all, now: identity, rights, filters, revision.
    ///
    /// # Behaviour
    /// - The same directory seen with the same rights and filters gives an equal value, whichever of its servers
    ///   answers.
    /// - Who comes and goes in the directory changes nothing of the value.
    /// - Another directory, tenant or domain gives another `identity`, also where it has the same name.
    /// - A right that was withdrawn gives an unequal value.
    /// - A right that is lost while a listing runs shows in the value that is read behind it, unless the listing failed
    ///   or left open what it could not read.
    /// - A filter that was changed gives an unequal value.
    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo>;

    /// Checks the endpoint before anything is saved: reachable, which rights, what will not be seen, how much work.
    ///
    /// # Behaviour
    /// - Changes nothing, neither here nor there.
    /// - A wrong password is tried once.
    async fn verify(&self, cx: &Context) -> Result<Verification>;

    /// Begins a full listing, or goes on behind a checkpoint of an earlier one.
    ///
    /// It may make requests before the first page: the cursor is taken here, unless the checkpoint carries one. Pages and
    /// kinds may come in any order, also mixed.
    ///
    /// # Behaviour
    /// - Every object in scope comes on at least one page; one that changes while it is listed may come twice.
    /// - What lies outside of base and filter does not come.
    /// - Every direct member of a listed group comes in its [`Edges`](crate::model::Edges), also one that is not
    ///   listed itself.
    /// - The group that an object names as its primary one is in the object's patch.
    /// - Renamed, moved or given another address, an object keeps its source id.
    /// - An attribute that was read and has no value is [`Value::Empty`](crate::model::Value::Empty).
    /// - An attribute that was not read is left out of the patch.
    /// - A record that cannot be understood is quarantined, with its id where that can be read; everything else comes.
    /// - A scope is closed once, and nothing of it comes behind that page.
    /// - A scope is closed only when its last page was read from the server without an error.
    /// - A scope that the account may not read is told as unreadable and is not closed.
    /// - A listing that cannot go on is an error, never an end.
    /// - Objects that nobody touches come, whatever else changes while the listing runs.
    /// - Behind a checkpoint come exactly the objects that did not come before it.
    /// - A checkpoint that can no longer be used is an error of kind
    ///   [`Conflict`](crate::ErrorKind::Conflict): the engine then begins anew.
    /// - Where there are deltas, the end tells a cursor from before the first page: what changes while the listing runs
    ///   comes behind it.
    /// - The end of a listing that went on behind a checkpoint tells the cursor of its first beginning.
    /// - An attribute that the contract names holds only what [`names::shape`](crate::model::names::shape) allows.
    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>>;

    /// Begins a listing of source ids only. By default a snapshot with the bodies dropped.
    ///
    /// Checkpoints on its pages are not looked at.
    ///
    /// # Behaviour
    /// - Every object of a snapshot taken at the same moment is on its pages, and no other; it closes the same kinds.
    /// - Its patches have no attributes, and its pages no memberships.
    /// - An id listing that cannot go on is an error, never an end.
    async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        Ok(Box::new(pager::IdsOnly(self.snapshot(cx, None).await?)))
    }

    /// Looks single objects up by source id, beside siblings: the proof behind every removal by absence.
    ///
    /// Asked are ids that listings and deltas told, up to some hundreds at once; a connector that can ask for only one at
    /// a time makes a request for each. The engine takes the patches over, and a sibling whose container is another than
    /// before vouches for nobody. `Present(None)` is for what cannot be understood; given for others, it costs a whole
    /// listing where an id listing shows an object that is not known yet.
    ///
    /// # Behaviour
    /// - Answers for each id, in the order asked.
    /// - An object that exists and is in scope is [`Presence::Present`]; with its patch where that costs nothing.
    /// - One that is known by an address and has another one by now is [`Presence::Renamed`], with the new id in its patch;
    ///   never one with an immutable id.
    /// - One that exists outside of base or filter is [`Presence::OutOfScope`].
    /// - [`Presence::Gone`] only with evidence: a tombstone, or the directory's statement that there is no such id.
    /// - When in doubt, or when the rights do not let gone be told from hidden: [`Presence::Unknown`].
    /// - A look-up that fails is an error, or unknown for the objects that it concerns.
    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>>;

    /// Reads a second time whether some are explicit members of a group: the proof behind every membership that ends.
    ///
    /// A group that is not found, or whose members may not be read, has [`Membership::Unknown`] ones only.
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
    /// A log that names only *which* objects changed is enough: read each of them as it is now, once, and say that. The
    /// next cursor is then the end of the log as it was before the first page; changes behind it belong to the next
    /// delta, though their effect may already be in this one. A group comes with all of its members and its scope of
    /// members closed. Of what is neither there nor has a tombstone say nothing: hidden looks the same.
    ///
    /// # Behaviour
    /// - A cursor that is unreadable or of another version is the step [`DeltaStep::CursorExpired`], not an error.
    /// - A cursor of another directory is the step [`DeltaStep::CursorExpired`], too.
    /// - A cursor that the directory has forgotten is the step [`DeltaStep::CursorExpired`], too.
    /// - Every object that is new, changed or restored comes, at least with what changed.
    /// - Every membership that began or ended comes, by itself or with a group whose members are listed whole and
    ///   closed; of a member that was deleted or restored its groups need not tell.
    /// - What is gone comes as a tombstone, where [`tells_removals`](Self::tells_removals) says so.
    /// - What left base or filter is never a tombstone: it exists.
    /// - What changed while the delta is read comes in this one or in the next, never in neither.
    /// - Statements come in the order in which they became true; of several on one object the last one counts.
    /// - A group that comes into scope comes with all of its members, and its scope of members is closed.
    /// - No kind is closed, and the members of a group only where all of them are in this delta.
    /// - Applied to what a snapshot showed, the changes give what a snapshot of now shows.
    /// - A record that is new or changed and cannot be understood is quarantined, with its id where that can be read.
    /// - A delta that cannot go on is an error, never caught up.
    async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>>;

    /// Returns how long a cursor is good that is not used, where the directory's makers tell that. Whoever waits longer
    /// reads everything anew; hosts are reminded before.
    fn cursor_lifetime(&self) -> Option<std::time::Duration> {
        None
    }

    /// Tells how old each part may be of what was read up to a cursor, by a listing or a delta. By default nothing: all of
    /// it is as of when that began.
    ///
    /// # Behaviour
    /// - Knows it without the network.
    fn freshness(&self, cursor: &Cursor) -> Vec<Freshness> {
        let _ = cursor;
        Vec::new()
    }

    /// Tells whether deltas under this coverage report what is gone. Where they do not, the engine lists the ids behind
    /// every delta, unless the host has set an interval of its own, and looks up what is not among them.
    ///
    /// # Behaviour
    /// - Knows it without the network.
    /// - Says `false` under a coverage that lacks a right by which tombstones are read.
    fn tells_removals(&self, coverage: &CoverageInfo) -> bool {
        let _ = coverage;
        true
    }
}
