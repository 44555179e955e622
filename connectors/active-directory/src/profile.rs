//! Active Directory's own view of a domain: users, groups and computers, and which of them are left out.
//!
//! It must not know how a domain is read, nor what is configured beyond the two choices that it is given.

use tenantry::Result;
use tenantry::model::{ObjectKind, Patch};
use tenantry_ldap::domain::exclusion::{self, Exclusion};
use tenantry_ldap::domain::map::Moment;
use tenantry_ldap::domain::{Class, Detail, DomainHead, Profile, map};
use tenantry_ldap::{Dn, Entry, Filter};
use uuid::Uuid;

use crate::config::{BuiltinGroups, Contacts};
use crate::map as own;

/// Counts up when a release lists less or other things than the one before.
const REVISION: u32 = 1;

const CONTACTS: &str = "(&(objectCategory=person)(objectClass=contact))";
const SYSTEM_GROUP: i64 = 0x1;

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

/// What comes in of a domain.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Accounts {
    pub(crate) contacts: Contacts,
    pub(crate) builtin_groups: BuiltinGroups,
}

impl Accounts {
    fn builtin(self, entry: &Entry) -> Result<Option<Exclusion>> {
        let system = entry.i64("groupType")?.is_some_and(|flags| flags & SYSTEM_GROUP != 0);
        let builtin = entry.sid("objectSid")?.is_some_and(|sid| sid.to_string().starts_with("S-1-5-32-"));
        Ok(((system || builtin) && self.builtin_groups == BuiltinGroups::Ignored).then_some("built-in group"))
    }
}

impl Profile for Accounts {
    fn revision(&self) -> u32 {
        REVISION
    }

    fn classes(&self) -> &'static [Class] {
        &[Class::Groups, Class::Users, Class::Computers]
    }

    fn selection(&self, class: Class) -> Result<Filter> {
        match (class, self.contacts) {
            (Class::Users, Contacts::Imported) => {
                Filter::parse("(&(objectCategory=person)(|(objectClass=user)(objectClass=contact)))")
            }
            _ => self.probed(class),
        }
    }

    fn probed(&self, class: Class) -> Result<Filter> {
        Filter::parse(match class {
            Class::Groups => "(objectCategory=group)",
            Class::Users => "(&(objectCategory=person)(objectClass=user))",
            Class::Computers => "(objectCategory=computer)",
        })
    }

    fn attributes(&self, class: Class, detail: Detail) -> Vec<&'static str> {
        let mut names = IDENTIFYING.to_vec();
        if detail == Detail::Full {
            names.extend_from_slice(match class {
                Class::Groups => map::GROUP_ATTRIBUTES,
                Class::Users => map::USER_ATTRIBUTES,
                Class::Computers => own::COMPUTER_ATTRIBUTES,
            });
        }
        names
    }

    fn harmless(&self) -> &'static [&'static str] {
        map::GROUP_ATTRIBUTES
    }

    fn tombstones(&self) -> &'static [(&'static str, ObjectKind)] {
        &[
            ("group", ObjectKind::Group),
            ("computer", ObjectKind::Computer),
            ("user", ObjectKind::User),
            ("contact", ObjectKind::User),
            // Does not come in, but is a member of what does.
            ("foreignSecurityPrincipal", ObjectKind::User),
        ]
    }

    fn contacts_apart(&self) -> Result<Option<Filter>> {
        (self.contacts == Contacts::Ignored).then(|| Filter::parse(CONTACTS)).transpose()
    }

    fn choices(&self) -> Vec<(&'static str, String)> {
        vec![
            ("contacts", (self.contacts == Contacts::Imported).to_string()),
            ("builtin_groups", (self.builtin_groups == BuiltinGroups::Imported).to_string()),
        ]
    }

    fn exclusion(&self, class: Class, entry: &Entry, _: &Dn, head: &DomainHead) -> Result<Option<Exclusion>> {
        match class {
            Class::Users => exclusion::of_account(entry, head),
            Class::Computers => exclusion::of_managed_account(entry),
            Class::Groups => self.builtin(entry),
        }
    }

    fn patch(&self, class: Class, entry: &Entry, guid: Uuid, dn: &Dn, moment: &Moment) -> Result<Patch> {
        match class {
            Class::Groups => map::group(entry, guid, dn),
            Class::Users => own::user(entry, guid, dn, moment),
            Class::Computers => own::computer(entry, guid, dn),
        }
    }
}

#[cfg(test)]
mod tests;
