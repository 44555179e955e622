//! The words of the domain as data: no I/O, no rules, no provider.

mod action;
mod attribute;
mod edge;
mod edit;
mod event;
mod feed;
mod guard_limits;
mod ids;
mod join;
mod kinds;
mod operation;
mod patch;
mod plan;
mod query;
mod record;
mod report;
mod retention;
mod scope;
mod timestamp;

pub use action::Action;
pub(crate) use attribute::attribute_differences;
pub use attribute::{AttributeName, Attributes, Value, names};
pub use edge::{Edges, Member, MemberKind, Via};
pub use edit::{Assignment, Conflict, ConflictReason, Draft, Edit, Refusal, Shelf};
pub use event::{Event, EventType};
pub use feed::{
    ActionId, Answer, Answered, Asked, Feed, FeedCursor, FeedPage, Happening, Notice, NoticeId, NoticeQuery, Severity,
    Topic,
};
pub use guard_limits::{GuardLimits, Limit};
pub(crate) use ids::derive_uuid;
pub use ids::{CustomerId, EndpointName, ObjectKey, RecordId, RunId, SourceId, SourceKey};
pub use join::{Join, JoinReason, ProbableJoin};
pub use kinds::{ComputerKind, GroupKind, MfaState, ObjectKind, UserKind, UserState};
pub use operation::{Erased, Exported, ExportedMember, HandOver, Released};
pub use patch::{Anchor, Facet, Patch, Quarantined, Tombstone, TombstoneKind};
pub use plan::{HeldAttribute, HeldChange, HeldKind, PlanId, PlanSummary, PlannedRemoval, RemovalProof};
pub use query::{
    Belonging, Count, Details, Explained, Filter, Found, LastChange, Nesting, Order, Page, PageCursor, Positions,
    Query, RunEnd, Sort, SortBy, SourceStatus, ValueOwner,
};
pub use record::{Identity, Lock, Owner, Record};
pub use report::{Freshness, Mode, Outcome, Phase, Progress, RunReport};
pub use retention::{ConsumerPosition, Dropped, Keep, Retention};
pub use scope::{Scope, Unreadable};
pub use timestamp::Timestamp;
