//! What is listed: the three classes of objects, by which filter, with which attributes, and what each entry is.
//!
//! It must not know in which order or by which pages entries come.

use serde::{Deserialize, Serialize};
use tenantry::model::{ObjectKind, Patch, Quarantined, SourceId};
use tenantry::{Error, Result};
use tenantry_ldap::dn::Mangling;
use tenantry_ldap::{Dn, Entry, ExtendedDn, Filter, Sid};
use uuid::Uuid;

use crate::config::{Checked, Contacts};
use crate::controller::Controller;
use crate::endpoint::ActiveDirectory;
use crate::exclusion::{self, Exclusion};
use crate::map::{self, Moment};

/// A class of objects, in the order in which they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Class {
    Groups,
    Users,
    Computers,
}

/// How much of each object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Everything.
    Full,
    /// What tells whether it is in scope.
    Ids,
}

/// What an entry is.
#[derive(Debug)]
pub(crate) enum Listed {
    /// An object in scope.
    Object(Found),
    /// One that is left out, and why.
    Excluded(Exclusion),
    /// One that cannot be understood.
    Quarantined(Quarantined),
}

/// An object in scope.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) guid: Uuid,
    pub(crate) patch: Patch,
    /// Its primary group, to be resolved.
    pub(crate) primary: Option<Sid>,
    /// Its name without additions.
    pub(crate) dn: String,
}

/// Attributes that tell whether an entry is in scope.
const IDENTIFYING: &[&str] = &[
    "objectGUID",
    "objectSid",
    "objectClass",
    "cn",
    "sAMAccountName",
    "userAccountControl",
    "groupType",
    "msExchRecipientTypeDetails",
    "msDS-SecondaryKrbTgtNumber",
    "uSNChanged",
];

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::Groups, Self::Users, Self::Computers];

    pub(crate) fn next(self) -> Option<Self> {
        match self {
            Self::Groups => Some(Self::Users),
            Self::Users => Some(Self::Computers),
            Self::Computers => None,
        }
    }

    pub(crate) fn of(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::Group => Self::Groups,
            ObjectKind::User => Self::Users,
            ObjectKind::Computer => Self::Computers,
        }
    }

    pub(crate) fn kind(self) -> ObjectKind {
        match self {
            Self::Groups => ObjectKind::Group,
            Self::Users => ObjectKind::User,
            Self::Computers => ObjectKind::Computer,
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

    /// Returns the filter that the configuration adds.
    pub(crate) fn configured(self, config: &Checked) -> Option<&Filter> {
        match self {
            Self::Groups => config.groups.as_ref(),
            Self::Users => config.users.as_ref(),
            Self::Computers => config.computers.as_ref(),
        }
    }

    /// Selects the class and what the configuration wants of it.
    ///
    /// It asks for the classes only: attributes that decide by their value might not be readable, and what a filter cannot
    /// read it leaves out in silence. The rest is decided by [`exclusion`].
    pub(crate) fn filter(self, config: &Checked) -> Result<Filter> {
        Ok(Filter::and([self.selection(config)?].into_iter().chain(self.configured(config).cloned())))
    }

    /// Selects the class, whatever the configuration wants of it.
    pub(crate) fn selection(self, config: &Checked) -> Result<Filter> {
        match (self, config.contacts) {
            (Self::Users, Contacts::Imported) => {
                Filter::parse("(&(objectCategory=person)(|(objectClass=user)(objectClass=contact)))")
            }
            _ => self.base_filter(),
        }
    }

    /// Selects the class alone.
    pub(crate) fn base_filter(self) -> Result<Filter> {
        Filter::parse(match self {
            Self::Groups => "(objectCategory=group)",
            Self::Users => "(&(objectCategory=person)(objectClass=user))",
            Self::Computers => "(objectCategory=computer)",
        })
    }

    /// Returns the attributes to ask for.
    pub(crate) fn attributes(self, detail: Detail) -> Vec<&'static str> {
        let mut names = IDENTIFYING.to_vec();
        if detail == Detail::Full {
            names.extend_from_slice(match self {
                Self::Groups => map::GROUP_ATTRIBUTES,
                Self::Users => map::USER_ATTRIBUTES,
                Self::Computers => map::COMPUTER_ATTRIBUTES,
            });
        }
        names
    }

    /// Returns the attributes to ask for in a listing: groups come with their members.
    pub(crate) fn listed_attributes(self, detail: Detail) -> Vec<&'static str> {
        let mut names = self.attributes(detail);
        if self == Self::Groups && detail == Detail::Full {
            names.push("member");
        }
        names
    }

    /// Reads an entry of a listing of this class.
    pub(crate) fn read(
        self,
        entry: &Entry,
        detail: Detail,
        config: &Checked,
        controller: &Controller,
        moment: &Moment,
    ) -> Listed {
        let kind = self.kind();
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
        match exclusion::of(self, entry, &dn, config, controller) {
            Ok(None) => {}
            Ok(Some(exclusion)) => return Listed::Excluded(exclusion),
            Err(error) => return aside(Some(guid), describe(&error)),
        }
        if dn.mangled().is_some_and(|mangled| mangled.mangling == Mangling::Conflict) {
            let reason =
                "two objects got the same name at the same time; rename or delete one of them in the directory";
            return aside(Some(guid), reason.to_owned());
        }
        if detail == Detail::Ids {
            let patch = map::located(Patch::new(kind, SourceId::Guid(guid)), &dn);
            return Listed::Object(Found { guid, patch, primary: None, dn: name.dn });
        }
        let patch = match self {
            Self::Groups => map::group(entry, guid, &dn),
            Self::Users => map::user(entry, guid, &dn, moment),
            Self::Computers => map::computer(entry, guid, &dn),
        };
        match patch.and_then(|patch| Ok((patch, map::primary_group(entry)?))) {
            Ok((patch, primary)) => Listed::Object(Found { guid, patch, primary, dn: name.dn }),
            Err(error) => aside(Some(guid), describe(&error)),
        }
    }
}

impl ActiveDirectory {
    /// Names the attributes that a listing of this kind asks for: those that the account has to be able to read.
    #[must_use]
    pub fn attributes_read(kind: ObjectKind) -> Vec<&'static str> {
        Class::of(kind).listed_attributes(Detail::Full)
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

#[cfg(test)]
mod tests;
