//! What is kept: customers, objects, records, events, runs. It decides nothing; `rules` do.
//!
//! [`Store`] is sealed: its guarantees (one transaction for change, event and position; stale runs refused) are the
//! engine's own. [`SqliteStore`] is the embedded one.

pub(crate) mod codec;
mod editing;
pub(crate) mod fault;
mod feeds;
#[cfg(feature = "sqlite")]
mod numbers;
mod queries;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::fmt::Debug;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use editing::Editing;
pub use feeds::{AskedResult, AskedSeries, Feeds};
pub use queries::Queries;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
#[cfg(fuzzing)]
pub use sqlite::{event_segment, held_items};

use crate::coverage::{Closes, Complete, CoverageSeal};
use crate::endpoint::{
    Checkpoint, CoverageInfo, Cursor, DeltaPage, EndpointInfo, Membership, ObjectRef, Presence, SnapshotPage,
};
use crate::error::Result;
use crate::model::{
    ConsumerPosition, CustomerId, Dropped, EndpointName, Erased, Event, Exported, GuardLimits, HandOver, HeldChange,
    Mode, ObjectKind, Patch, PlanId, PlanSummary, Record, RecordId, Released, Retention, RunId, RunReport, SourceId,
    Timestamp, Unreadable,
};

/// An organisation whose people are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// The key; never changes.
    pub id: CustomerId,
    /// Shown to people.
    pub name: String,
    /// Verified web domains.
    pub domains: Vec<String>,
}

impl Customer {
    /// Creates a customer whose name is its id.
    pub fn new(id: CustomerId) -> Self {
        Self { name: id.as_str().to_owned(), id, domains: Vec::new() }
    }
}

/// How much is kept of one customer. The endpoints' own groups are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Computers.
    pub computers: u64,
    /// Direct memberships.
    pub memberships: u64,
}

/// Changes that wait for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Whose they are.
    pub endpoint: EndpointName,
    /// What to approve.
    pub plan: PlanId,
    /// Since when they wait.
    pub parked_at: Timestamp,
    /// What waits, by sort.
    pub held: Vec<HeldChange>,
}

/// Keeps everything. See the module for its guarantees. All functions block.
pub trait Store: sealed::Sealed + Queries + Editing + Feeds {
    /// Makes a customer and its endpoints known, or takes over changed names and titles. The order of the endpoints is
    /// the order in which their values count; one that is not named keeps its place. Of every record that another order
    /// changes an event tells; should the process end before that, the next call goes on.
    fn register(&self, customer: &Customer, endpoints: &[EndpointInfo], now: Timestamp) -> Result<()>;

    /// Reads events behind a position, in order, at most `limit`.
    fn events(&self, customer: &CustomerId, after: u64, limit: usize) -> Result<Vec<Event>>;

    /// Returns the position of a customer's last event; 0 before the first.
    fn last_position(&self, customer: &CustomerId) -> Result<u64>;

    /// Returns the position up to which a consumer has events; 0 before its first.
    fn position(&self, customer: &CustomerId, consumer: &str) -> Result<u64>;

    /// Stores the position up to which a consumer has events. It never goes back.
    fn set_position(&self, customer: &CustomerId, consumer: &str, position: u64) -> Result<()>;

    /// Counts what is kept of a customer.
    fn totals(&self, customer: &CustomerId) -> Result<Totals>;

    /// Reads one record that is there.
    fn record(&self, customer: &CustomerId, id: RecordId) -> Result<Option<Record>>;

    /// Reads records of one kind in a stable order, behind one of them, at most `limit`.
    fn records(
        &self,
        customer: &CustomerId,
        kind: ObjectKind,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<Record>>;

    /// Reads the direct members of a group, as far as they are imported, and how many there are in all.
    fn members(&self, customer: &CustomerId, group: RecordId) -> Result<(Vec<RecordId>, u64)>;

    /// Reads the groups that a user, group or computer is a direct member of.
    fn groups_of(&self, customer: &CustomerId, member: RecordId) -> Result<Vec<RecordId>>;

    /// Reads the last runs of a customer, newest first.
    fn history(&self, customer: &CustomerId, limit: usize) -> Result<Vec<RunReport>>;

    /// Reads what waits for approval.
    fn parked(&self, customer: &CustomerId) -> Result<Vec<Parked>>;

    /// Tells whether an id was parked or planned: only such a one can be approved.
    fn can_approve(&self, customer: &CustomerId, plan: &PlanId) -> Result<bool>;

    /// Lists the registered consumers of a customer's events.
    fn consumers(&self, customer: &CustomerId) -> Result<Vec<ConsumerPosition>>;

    /// Makes a consumer known at position 0, so that what it has not read is kept. A known one stays where it is.
    fn register_consumer(&self, customer: &CustomerId, consumer: &str) -> Result<()>;

    /// Sets a consumer to a position, ahead or back, as one that starts from an export does.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where events behind it are no longer kept.
    fn start_after(&self, customer: &CustomerId, consumer: &str, position: u64) -> Result<()>;

    /// Forgets a consumer: nothing is kept for it any more.
    fn forget_consumer(&self, customer: &CustomerId, consumer: &str) -> Result<()>;

    /// Lets go of old events and reports. The space is used again by what is written next; see [`Store::compact`].
    fn apply_retention(&self, customer: &CustomerId, retention: &Retention, now: Timestamp) -> Result<Dropped>;

    /// Removes an endpoint; see [`Service::remove_endpoint`](crate::Service::remove_endpoint).
    fn remove_endpoint(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointName,
        hand_over: HandOver,
        now: Timestamp,
    ) -> Result<Released>;

    /// Erases people; see [`Service::erase`](crate::Service::erase).
    fn erase(&self, customer: &CustomerId, people: &[RecordId], now: Timestamp) -> Result<Erased>;

    /// Writes the store anew and gives the space of what was deleted back. Takes as much room meanwhile as it has.
    fn compact(&self) -> Result<()>;

    /// Begins an export; see [`Service::export`](crate::Service::export).
    fn export(&self, customer: &CustomerId) -> Result<Box<dyn Exporting>>;
}

/// An export under way: everything as it was at one position, whatever is applied meanwhile.
pub trait Exporting: Debug + Send {
    /// Returns the position of the last event that the export contains.
    fn position(&self) -> u64;

    /// Reads on, at most `limit` entries; none at the end.
    fn next(&mut self, limit: usize) -> Result<Vec<Exported>>;
}

/// What begins a run.
#[derive(Debug, Clone)]
pub(crate) struct RunStart {
    pub(crate) customer: CustomerId,
    pub(crate) info: EndpointInfo,
    pub(crate) dry_run: bool,
    pub(crate) now: Timestamp,
    /// How long the endpoint's cursors are good, if it declares that.
    pub(crate) cursor_lives: Option<std::time::Duration>,
}

/// Where a run has to take up.
#[derive(Debug)]
pub(crate) enum Resume {
    /// At the beginning.
    Fresh,
    /// Behind a checkpoint of an interrupted listing.
    Listing(Checkpoint),
    /// With a plan that was being applied.
    Applying,
}

/// How far a listing is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Read {
    pub(crate) pages: u64,
    pub(crate) objects: u64,
    pub(crate) memberships: u64,
    pub(crate) quarantined: u64,
}

/// An object that may have to go.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) object_no: i64,
    pub(crate) container_no: Option<i64>,
    pub(crate) object: ObjectRef,
}

/// An object that an id listing names and of which neither store nor delta know that it is there.
#[derive(Debug, Clone)]
pub(crate) struct Stranger {
    pub(crate) object: ObjectRef,
    pub(crate) need: Need,
}

/// What it takes to know an object of which the id was listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A look-up brings all of it.
    Patch,
    /// It is a group: only a listing brings its members.
    Members,
    /// It is set aside already; nobody may understand it.
    Nothing,
}

/// Memberships of one group that need a second reading.
#[derive(Debug, Clone)]
pub(crate) struct EdgeDoubt {
    pub(crate) group_via: i64,
    pub(crate) group: ObjectRef,
    pub(crate) members: Vec<(u64, SourceId)>,
}

/// Under what terms a plan is judged.
#[derive(Debug, Clone)]
pub(crate) struct GuardTerms {
    pub(crate) limits: GuardLimits,
    /// Why nothing may go without approval: what can be seen has changed.
    pub(crate) suspicion: Option<String>,
    /// What somebody approved.
    pub(crate) approved: Option<PlanId>,
    /// From when on losses count.
    pub(crate) since: Timestamp,
}

/// What was applied so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) removed: u64,
    pub(crate) missing: u64,
    pub(crate) members_added: u64,
    pub(crate) members_removed: u64,
}

impl Applied {
    pub(crate) fn total(&self) -> u64 {
        self.created + self.updated + self.removed + self.missing + self.members_added + self.members_removed
    }
}

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alert {
    /// What it is about, one word: stable, for rules.
    pub(crate) about: String,
    /// What happened and what to do, for people.
    pub(crate) message: String,
}

/// What the end of a run needs to know; fixed with the plan, so that a killed run ends the same.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Conclusion {
    /// What can be seen now; `None` keeps what was stored.
    pub(crate) coverage: Option<CoverageInfo>,
    /// Scopes that were listed to their end.
    pub(crate) listed: Vec<String>,
    /// Whether quarantine entries that did not come again are over.
    pub(crate) whole: bool,
    /// One-line alerts for people.
    pub(crate) alerts: Vec<Alert>,
    /// The figures of the plan.
    pub(crate) plan: PlanSummary,
    /// How the plan was read.
    pub(crate) mode: Mode,
    /// When the plan was fixed.
    pub(crate) planned_at: Timestamp,
    /// When the listing of all ids began that the plan rests on; `None` if there was none, or a short one.
    pub(crate) listed_at: Option<Timestamp>,
    /// Whether something of the plan was dropped: the cursor does not cover it, and only a full listing finds it again.
    pub(crate) relist: bool,
}

/// The store's side of one run. All functions block.
pub(crate) trait RunStore: Send + Debug {
    fn run(&self) -> RunId;
    /// What the endpoint could see when it was last applied.
    fn stored_coverage(&self) -> Result<Option<CoverageInfo>>;
    /// Users, groups, computers and memberships that are stored.
    fn known(&self) -> Result<[u64; 4]>;
    /// Tells where to take up, given what can be seen now.
    fn resume(&mut self, coverage: &CoverageInfo) -> Result<Resume>;
    /// Throws away what is staged and begins anew.
    fn restart(&mut self, coverage: &CoverageInfo) -> Result<()>;
    fn cursor(&self) -> Result<Option<Cursor>>;
    fn stage_snapshot(&mut self, page: &SnapshotPage) -> Result<Read>;
    fn stage_delta(&mut self, page: &DeltaPage) -> Result<Read>;
    /// Stages a page of ids behind a delta; returns who on it is not known to be there.
    fn stage_ids(&mut self, page: &SnapshotPage) -> Result<(Read, Vec<Stranger>)>;
    /// When the last listing of all ids began.
    fn listed_at(&self) -> Result<Option<Timestamp>>;
    /// Stages what look-ups found after the listing has ended.
    fn stage_found(&mut self, patches: Vec<Patch>) -> Result<()>;
    /// Ends the listing; returns what it closed and spoiled.
    fn end_listing(&mut self, cursor: Option<Cursor>) -> Result<Closes>;
    /// Tells whether any user is staged.
    fn stages_users(&self) -> Result<bool>;
    /// Tells why the first of the users that were set aside cannot be understood.
    fn misfit_user(&self) -> Result<Option<String>>;
    /// Lists what could not be read.
    fn unreadable(&self) -> Result<Vec<Unreadable>>;
    fn read(&self) -> Read;
    fn find_candidates(&mut self, proofs: Vec<Complete>) -> Result<()>;
    /// Lists the objects of which something is parked that this run did not read.
    fn parked_values(&self) -> Result<Vec<ObjectRef>>;
    fn count_candidates(&self, kind: ObjectKind) -> Result<u64>;
    fn open_candidates(&self, kind: ObjectKind, limit: usize) -> Result<Vec<Candidate>>;
    fn siblings(
        &self,
        kind: ObjectKind,
        containers: &[Option<i64>],
        each: usize,
    ) -> Result<Vec<(Option<i64>, ObjectRef)>>;
    fn set_verdicts(&mut self, answers: &[(i64, &Presence, bool)]) -> Result<()>;
    fn void(&mut self, kind: ObjectKind) -> Result<()>;
    /// Settles who has another id by now, drops candidates that were found after all, and proposes what is missing since
    /// before a point in time. Returns the records whose address seems to be another person's.
    fn settle_candidates(&mut self, missing_before: Timestamp) -> Result<Vec<RecordId>>;
    /// Compares memberships; to be called once the objects are settled.
    fn plan_memberships(&mut self, seal: Option<&CoverageSeal>) -> Result<()>;
    fn judge_objects(&mut self, terms: &GuardTerms) -> Result<()>;
    fn next_doubt(&self) -> Result<Option<EdgeDoubt>>;
    fn settle_doubt(&mut self, doubt: &EdgeDoubt, answers: &[Membership]) -> Result<()>;
    fn judge_memberships(&mut self, terms: &GuardTerms) -> Result<()>;
    /// Returns the figures of the plan as judged.
    fn summary(&mut self) -> Result<PlanSummary>;
    /// Fixes the plan.
    fn conclude(&mut self, conclusion: &Conclusion) -> Result<()>;
    fn conclusion(&self) -> Result<Conclusion>;
    /// Writes the conclusion anew: the plan is old, and some of it is not believed any more.
    fn revise(&mut self, conclusion: &Conclusion) -> Result<()>;
    /// Lists what a fixed plan is still to remove or to mark as missing, behind an object.
    fn unapplied(&self, kind: ObjectKind, after: i64, limit: usize) -> Result<Vec<Candidate>>;
    /// Keeps of a fixed plan what is confirmed once more; returns how many removals are dropped.
    fn confirm_unapplied(&mut self, answers: &[(i64, &Presence, bool)]) -> Result<u64>;
    /// Drops all that a fixed plan is still to remove of a kind, behind an object.
    fn drop_unapplied(&mut self, kind: ObjectKind, after: i64) -> Result<u64>;
    /// Has the endings of memberships read once more that a fixed plan is still to make; returns how many.
    fn doubt_unapplied(&mut self) -> Result<u64>;
    /// Counts the endings of memberships that a fixed plan makes.
    fn count_endings(&self) -> Result<u64>;
    /// Remembers a dry run's held set, so that it can be approved.
    fn remember_plan(&mut self, plan: &PlanId) -> Result<()>;
    /// Tries to take the right to apply to the customer.
    fn try_lock_apply(&mut self) -> Result<bool>;
    /// Returns what was applied of the plan so far.
    fn applied(&self) -> Result<Applied>;
    /// Applies one chunk; returns what was applied so far, and whether the finish is next.
    fn apply_chunk(&mut self, now: Timestamp) -> Result<(Applied, bool)>;
    /// Stores the end of a run that was applied.
    fn finish(&mut self, report: &RunReport, now: Timestamp) -> Result<()>;
    /// Stores the end of a run that failed or was cancelled; what is staged is kept for the next one.
    fn abort(&mut self, report: &RunReport, alert: Option<Alert>, now: Timestamp) -> Result<()>;
    /// Removes what is staged.
    fn discard(&mut self) -> Result<()>;
}

pub(crate) mod sealed {
    use super::{Arc, Debug, Result, RunStart, RunStore};

    pub trait Sealed: Debug + Send + Sync {
        #[allow(private_interfaces)] // this is the seal: only the engine can name these
        fn begin_run(self: Arc<Self>, start: &RunStart) -> Result<Box<dyn RunStore>>;
    }
}
