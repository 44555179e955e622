//! What is asked of the local directory and what is answered: filters, order, pages, counts. It reads nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    CustomerId, EndpointName, Join, MfaState, ObjectKind, Outcome, Record, RecordId, RunId, SourceId, Timestamp,
    UserState,
};

/// Which records of which customers, in what order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Query {
    /// Whose records; at least one customer.
    pub customers: BTreeSet<CustomerId>,
    /// Users, groups or computers.
    pub kind: ObjectKind,
    /// What they have in common.
    pub filter: Filter,
    /// How they are sorted.
    pub sort: Sort,
}

impl Query {
    /// Asks for all users of one customer, by primary address.
    pub fn users(customer: &CustomerId) -> Self {
        Self::of(ObjectKind::User, customer, SortBy::PrimaryEmail)
    }

    /// Asks for all groups of one customer, by name.
    pub fn groups(customer: &CustomerId) -> Self {
        Self::of(ObjectKind::Group, customer, SortBy::Name)
    }

    /// Asks for all computers of one customer, by name.
    pub fn computers(customer: &CustomerId) -> Self {
        Self::of(ObjectKind::Computer, customer, SortBy::Name)
    }

    fn of(kind: ObjectKind, customer: &CustomerId, by: SortBy) -> Self {
        let sort = Sort { by, order: Order::Ascending };
        Self { customers: BTreeSet::from([customer.clone()]), kind, filter: Filter::default(), sort }
    }
}

/// What records have to have in common; what is not said does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Filter {
    /// Words, each a part of a name or an address, whatever their case and accents.
    pub search: Option<String>,
    /// What a name or address begins with, whatever its case and accents.
    pub prefix: Option<(SortBy, String)>,
    /// One of these states. Users only; an empty set asks for none.
    pub states: Option<BTreeSet<UserState>>,
    /// One of these; who is not told of counts as unknown. Users only.
    pub mfa: Option<BTreeSet<MfaState>>,
    /// Put away locally, or not.
    pub archived: Option<bool>,
    /// Not seen in complete listings, or seen.
    pub missing: Option<bool>,
    /// Owned by an endpoint, or free for local editors.
    pub locked: Option<bool>,
    /// Locked out after wrong passwords, or not.
    pub locked_out: Option<bool>,
    /// Seen through this endpoint.
    pub source: Option<EndpointName>,
    /// Members of this group.
    pub group: Option<(RecordId, Nesting)>,
    /// Marked by the host with this tag.
    pub tag: Option<String>,
    /// In some group, or in none; the groups that stand for endpoints do not count. Users only.
    pub grouped: Option<bool>,
}

/// Whether members of member groups count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nesting {
    /// Direct members only.
    Direct,
    /// Members of member groups too, however deep; a group that contains itself ends there.
    Nested,
}

/// What records are sorted by. Equal ones are told apart by the rest of their name and address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortBy {
    /// The address of a user or group.
    PrimaryEmail,
    /// The given name of a user.
    FirstName,
    /// The family name of a user.
    LastName,
    /// The name of a group or computer.
    Name,
}

/// In what direction records are sorted: letters without case and accents, nothing behind everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// From A to Z.
    Ascending,
    /// The same read backwards.
    Descending,
}

/// An order of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// In what direction.
    pub order: Order,
}

/// Where a page ended: opaque, versioned, good for the same query only.
///
/// It contains a name or an address: handle it like the page itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageCursor(String);

impl PageCursor {
    /// Takes a cursor back that was given out.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the cursor, to be given back later.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageCursor(..)")
    }
}

/// Up to which event of each customer an answer is true.
pub type Positions = BTreeMap<CustomerId, u64>;

/// One record of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Whose it is.
    pub customer: CustomerId,
    /// The record.
    pub record: Record,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The records, in order.
    pub found: Vec<Found>,
    /// Where to go on; `None` at the end.
    pub next: Option<PageCursor>,
    /// Up to which event of each customer this is true.
    pub positions: Positions,
    /// Rows of the index that were read for it: what it has cost.
    pub rows_read: u64,
}

/// How many records there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// In all.
    pub total: u64,
    /// Whether that is exact. Only for a part of four characters or more that very many login names or addresses may
    /// have it is not: 20,000 of them are looked at then, and stand for the others.
    pub exact: bool,
    /// Up to which event of each customer this is true.
    pub positions: Positions,
    /// Rows of the index that were read for it: what it has cost.
    pub rows_read: u64,
}

/// A group that somebody belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Belonging {
    /// The group.
    pub group: Record,
    /// Directly, or only as a member of a member.
    pub nesting: Nesting,
}

/// The end of a run, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunEnd {
    /// The run.
    pub run: RunId,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
    /// What failed, in one line.
    pub error: Option<String>,
}

/// One endpoint through which a record is seen, and how that went lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceStatus {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// The endpoint's name for people.
    pub title: String,
    /// The record's id there.
    #[serde(serialize_with = "as_text")]
    pub source_id: SourceId,
    /// The last import that was applied.
    pub last_import: Option<RunEnd>,
    /// The last import that failed, as far as the history is kept.
    pub last_error: Option<RunEnd>,
    /// Since when, and why, the record is set aside: what the endpoint says of it now cannot be understood.
    pub quarantined: Option<(Timestamp, String)>,
}

fn as_text<S: serde::Serializer>(id: &SourceId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// All that is known about one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Details {
    /// Why its identities are one, as far as it has several.
    pub joins: Vec<Join>,
    /// The record.
    pub record: Record,
    /// The groups that it is in; direct ones first.
    pub groups: Vec<Belonging>,
    /// The computers that it owns.
    pub computers: Vec<Record>,
    /// Where it comes from, the owner first.
    pub sources: Vec<SourceStatus>,
    /// How many direct members it has, if it is a group: those that are imported, and all that its directory lists.
    pub members: Option<(u64, u64)>,
    /// Up to which event of the customer this is true.
    pub position: u64,
}

/// Whose value an attribute has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueOwner {
    /// That of an endpoint: only its imports change it.
    Endpoint(EndpointName),
    /// A value of local editors.
    Local,
    /// Nobody's: it is not known.
    Nobody,
}

/// The last change of an attribute that is still told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastChange {
    /// When.
    pub at: Timestamp,
    /// The customer's event that told of it.
    pub position: u64,
    /// Through which endpoint; `None` for a local edit.
    pub endpoint: Option<EndpointName>,
    /// In which run, or operation; `None` for a local edit.
    pub run: Option<RunId>,
    /// What was there before, as events spell it; `None` where it came with the record or was not known.
    pub previous: Option<serde_json::Value>,
}

/// Why an attribute has its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The value as events spell it; `None` if it is not known.
    pub value: Option<serde_json::Value>,
    /// Whose it is.
    pub owner: ValueOwner,
    /// What other endpoints say, which does not count.
    pub overruled: BTreeMap<EndpointName, serde_json::Value>,
    /// Its last change, as far as events are kept.
    pub changed: Option<LastChange>,
    /// Whether all events are kept: then no event has ever told of a change that is not here.
    pub all_kept: bool,
}
