//! What a connector says of the objects of a domain: which come in, which attributes tell of them, and what they mean.
//!
//! It must not know how a domain is read.

use std::fmt::Debug;

use tenantry::Result;
use tenantry::model::{ObjectKind, Patch};
use uuid::Uuid;

use crate::domain::controller::DomainHead;
use crate::domain::exclusion::Exclusion;
use crate::domain::listing::{Class, Detail};
use crate::domain::map::Moment;
use crate::{Dn, Entry, Filter};

/// Whether the members of a group can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// They are values of `member`.
    Listed,
    /// They are computed elsewhere: a group without values is not an empty one.
    Unknown,
}

/// An attribute that decides what objects are, and has to be readable for that.
#[derive(Debug, Clone, Copy)]
pub struct Decisive {
    /// Its name.
    pub attribute: &'static str,
    /// What it is needed for, as in "to tell …".
    pub purpose: &'static str,
}

/// A view of a domain: everything by which one connector differs from another over the same directory.
///
/// The reader asks for entries and hands them over; nothing here is asked of a server. Whatever decides about scope by
/// the value of an attribute needs that attribute in [`Detail::Ids`] too.
pub trait Profile: Debug + Send + Sync + 'static {
    /// Counts up when a release lists less or other things than the one before: part of the coverage.
    fn revision(&self) -> u32;

    /// Returns the classes that are listed, in that order.
    fn classes(&self) -> &'static [Class];

    /// Selects a class.
    ///
    /// It asks for object classes only: attributes that decide by their value might not be readable, and what a filter
    /// cannot read it leaves out in silence. The rest is decided by [`exclusion`](Self::exclusion).
    fn selection(&self, class: Class) -> Result<Filter>;

    /// Selects those of a class among which somebody has to have an attribute that a configured filter asks for.
    fn probed(&self, class: Class) -> Result<Filter> {
        self.selection(class)
    }

    /// Selects which of a class belong to this view at all, where only some do.
    ///
    /// Unlike an exclusion it spares the server the rest. A delta tells who no longer matches it, so each attribute in it
    /// has to be a [`Decisive`] one.
    fn restriction(&self, class: Class) -> Result<Option<Filter>> {
        let _ = class;
        Ok(None)
    }

    /// Names the attributes that have to be readable on any object at all: part of the coverage, one right each.
    fn decisive(&self) -> &'static [Decisive] {
        &[]
    }

    /// Returns the attributes to ask for, but for the members of groups.
    fn attributes(&self, class: Class, detail: Detail) -> Vec<&'static str>;

    /// Names attributes of groups whose change puts no group into scope or out of it.
    fn harmless(&self) -> &'static [&'static str];

    /// Names the classes of deleted objects that are told of, and their kinds: what comes in, and whatever else is a member
    /// of what comes in, because no group tells of a member that it lost in this way. Of several the first one counts.
    fn tombstones(&self) -> &'static [(&'static str, ObjectKind)];

    /// Selects contacts that are not listed, and are to be told as such where they are members; none if all are listed.
    fn contacts_apart(&self) -> Result<Option<Filter>>;

    /// Returns what else was chosen that decides what comes in: part of the coverage.
    fn choices(&self) -> Vec<(&'static str, String)>;

    /// Tells why an entry is left out; nothing if it is in scope.
    fn exclusion(&self, class: Class, entry: &Entry, dn: &Dn, head: &DomainHead) -> Result<Option<Exclusion>>;

    /// Reads an object in scope.
    fn patch(&self, class: Class, entry: &Entry, guid: Uuid, dn: &Dn, moment: &Moment) -> Result<Patch>;

    /// Tells whether the members of a group in scope can be listed.
    fn membership(&self, group: &Entry) -> Membership {
        let _ = group;
        Membership::Listed
    }
}
