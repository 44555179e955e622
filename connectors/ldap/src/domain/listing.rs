//! What is listed: the classes of objects, and what each entry is: in scope, left out, or set aside.
//!
//! It must not know in which order or by which pages entries come, nor what an attribute means.

use crate::dn::Mangling;
use crate::{Dn, Entry, ExtendedDn, Sid};
use serde::{Deserialize, Serialize};
use tenantry::model::{ObjectKind, Patch, Quarantined, SourceId};
use tenantry::{Error, Result};
use uuid::Uuid;

use crate::domain::controller::DomainHead;
use crate::domain::exclusion::{self, Exclusion};
use crate::domain::map::{self, Moment};
use crate::domain::profile::{Membership, Profile};

/// A class of objects, in the order in which they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Groups, with their members.
    Groups,
    /// Users, and contacts where they come in.
    Users,
    /// Computers.
    Computers,
}

/// How much of each object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// What tells whether it is in scope.
    Ids,
}

/// What an entry is.
#[derive(Debug)]
pub enum Listed {
    /// An object in scope.
    Object(Found),
    /// One that is left out, and why.
    Excluded(Exclusion),
    /// One that cannot be understood.
    Quarantined(Quarantined),
}

/// An object in scope.
#[derive(Debug)]
pub struct Found {
    /// Its id.
    pub guid: Uuid,
    /// What is known of it.
    pub patch: Patch,
    /// Its primary group, to be resolved.
    pub primary: Option<Sid>,
    /// Whether its members can be listed, if it is a group.
    pub membership: Membership,
    /// Its name without additions.
    pub dn: String,
}

impl Class {
    /// Returns the class of a kind of objects.
    pub fn of(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::Group => Self::Groups,
            ObjectKind::User => Self::Users,
            ObjectKind::Computer => Self::Computers,
        }
    }

    /// Returns the kind of its objects.
    pub fn kind(self) -> ObjectKind {
        match self {
            Self::Groups => ObjectKind::Group,
            Self::Users => ObjectKind::User,
            Self::Computers => ObjectKind::Computer,
        }
    }

    /// Returns the key of the filter that is configured for it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Users => "users",
            Self::Computers => "computers",
        }
    }

    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Groups => "list groups",
            Self::Users => "list users",
            Self::Computers => "list computers",
        }
    }

    pub(crate) fn operation_on_changes(self) -> &'static str {
        match self {
            Self::Groups => "list changed groups",
            Self::Users => "list changed users",
            Self::Computers => "list changed computers",
        }
    }
}

/// Reads an entry of a class: whom it excludes and what its attributes mean is the profile's to say.
pub fn read(
    profile: &dyn Profile,
    class: Class,
    entry: &Entry,
    detail: Detail,
    excluded: &[Dn],
    head: &DomainHead,
    moment: &Moment,
) -> Listed {
    let kind = class.kind();
    let aside = |id: Option<Uuid>, reason: String| {
        Listed::Quarantined(Quarantined { kind, id: id.map(SourceId::Guid), reason })
    };
    let (guid, name) = match identity(entry) {
        Ok(identity) => identity,
        Err(error) => return aside(None, describe(&error)),
    };
    let dn = match Dn::parse(&name.dn) {
        Ok(dn) => dn,
        Err(error) => return aside(Some(guid), describe(&error)),
    };
    match exclusion::of(profile, class, entry, &dn, excluded, head) {
        Ok(None) => {}
        Ok(Some(exclusion)) => return Listed::Excluded(exclusion),
        Err(error) => return aside(Some(guid), describe(&error)),
    }
    if dn.mangled().is_some_and(|mangled| mangled.mangling == Mangling::Conflict) {
        let reason = "two objects got the same name at the same time; rename or delete one of them in the directory";
        return aside(Some(guid), reason.to_owned());
    }
    if detail == Detail::Ids {
        let patch = map::located(Patch::new(kind, SourceId::Guid(guid)), &dn);
        return Listed::Object(Found { guid, patch, primary: None, membership: Membership::Listed, dn: name.dn });
    }
    let read = || Ok((profile.patch(class, entry, guid, &dn, moment)?, map::primary_group(entry)?));
    match read() {
        Ok((patch, primary)) => {
            Listed::Object(Found { guid, patch, primary, membership: profile.membership(entry), dn: name.dn })
        }
        Err(error) => aside(Some(guid), describe(&error)),
    }
}

/// Reads who an entry is: the one thing without which it cannot even be set aside by name.
pub(crate) fn identity(entry: &Entry) -> Result<(Uuid, ExtendedDn)> {
    let name = ExtendedDn::parse(entry.dn())?;
    match entry.guid("objectGUID")?.or(name.guid) {
        Some(guid) => Ok((guid, name)),
        None => Err(Error::protocol("the object's id is missing; let the account read objectGUID")),
    }
}

/// Says what is wrong with a record: place and remedy, and no value.
fn describe(error: &Error) -> String {
    match error.context("attribute") {
        Some(attribute) => format!("{attribute}: {}; correct it in the directory", error.message()),
        None => error.message().to_owned(),
    }
}
