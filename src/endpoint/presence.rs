//! The answer of a direct look-up.

use crate::model::{ObjectKey, Patch, TombstoneKind};

/// An object to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// Kind and source id.
    pub key: ObjectKey,
    /// Where it was last seen, if its directory has places.
    pub container: Option<Box<str>>,
}

/// Whether an object exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It exists and is in scope; with its patch where that was at hand, and without one where it cannot be understood.
    Present(Option<Box<Patch>>),
    /// It exists and is in scope, under the other id that its patch names: the address that it was known by leads to it
    /// still. Only of weak ids, and only where the directory itself says so; that somebody new has an old name is no
    /// answer.
    Renamed(Box<Patch>),
    /// It exists, but not in the base or filter: the directory itself moved it.
    OutOfScope,
    /// It is gone.
    Gone(Evidence),
    /// Cannot be told.
    Unknown(Reason),
}

/// What shows that an object is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The directory keeps a tombstone of it.
    Tombstone(TombstoneKind),
    /// The directory says that there is no such id, where it would show one that exists. Counts only if siblings are
    /// readable, which the engine checks.
    NotFound,
}

/// Why presence cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Not found, although tombstones are readable and none is there: it may be hidden.
    NoTombstone,
    /// The rights do not let gone be told from hidden.
    Rights,
    /// The id is an address: another object may have it, or it may be hidden.
    WeakId,
    /// The look-up failed for this object alone.
    Failed,
}

/// Whether somebody is a direct, explicit member of a group: the second reading behind every membership that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// It is.
    Member,
    /// It is not.
    NotMember,
    /// Cannot be told.
    Unknown,
}
