//! Exchange's view of a domain: the recipients among its users, contacts and groups.
//!
//! It must not know how a domain is read.

use tenantry::Result;
use tenantry::model::{ObjectKind, Patch};
use tenantry_ldap::domain::exclusion::{self, Exclusion};
use tenantry_ldap::domain::map::Moment;
use tenantry_ldap::domain::{Class, Decisive, Detail, DomainHead, Membership, Profile, map};
use tenantry_ldap::{Dn, Entry, Filter};
use uuid::Uuid;

use super::map as own;
use super::recipient::{self, DECIDING, DYNAMIC_GROUP, Recipient};

/// Counts up when a release lists less or other things than the one before.
const REVISION: u32 = 1;

/// Whatever has an alias or a type is Exchange's. What it is, and whether it comes in, is told by the entry itself.
const RECIPIENTS: &str = "(|(mailNickname=*)(msExchRecipientTypeDetails=*))";

/// Attributes that tell whether an entry is in scope, besides those that decide what it is to Exchange.
const IDENTIFYING: &[&str] = &[
    "objectGUID",
    "objectSid",
    "objectClass",
    "cn",
    "sAMAccountName",
    "userAccountControl",
    "groupType",
    "msDS-SecondaryKrbTgtNumber",
    "uSNChanged",
];

/// Those without which everybody would seem to be somebody else.
const DECISIVE: &[Decisive] = &[
    Decisive { attribute: "mailNickname", purpose: "to tell recipients from other objects" },
    Decisive {
        attribute: "msExchRecipientTypeDetails",
        purpose: "to tell people from shared mailboxes and rooms; Exchange 2003 has none",
    },
];

/// The recipients of a domain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipients;

impl Profile for Recipients {
    fn revision(&self) -> u32 {
        REVISION
    }

    fn classes(&self) -> &'static [Class] {
        &[Class::Groups, Class::Users]
    }

    fn selection(&self, class: Class) -> Result<Filter> {
        match class {
            Class::Groups => Filter::parse(&format!("(|(objectCategory=group)(objectClass={DYNAMIC_GROUP}))")),
            _ => Filter::parse("(&(objectCategory=person)(|(objectClass=user)(objectClass=contact)))"),
        }
    }

    fn restriction(&self, _: Class) -> Result<Option<Filter>> {
        Filter::parse(RECIPIENTS).map(Some)
    }

    fn decisive(&self) -> &'static [Decisive] {
        DECISIVE
    }

    fn attributes(&self, class: Class, detail: Detail) -> Vec<&'static str> {
        let mut names = [IDENTIFYING, DECIDING].concat();
        if detail == Detail::Full {
            // Exchange delivers to members only: whose primary group it is does not matter to it.
            let shared = if class == Class::Groups { map::GROUP_ATTRIBUTES } else { map::USER_ATTRIBUTES };
            names.extend(shared.iter().copied().filter(|name| *name != "primaryGroupID"));
            names.extend_from_slice(own::RECIPIENT_ATTRIBUTES);
            names.extend_from_slice(match class {
                Class::Groups => own::DYNAMIC_ATTRIBUTES,
                _ => own::MAILBOX_ATTRIBUTES,
            });
        }
        names
    }

    fn harmless(&self) -> &'static [&'static str] {
        &[
            "mail",
            "proxyAddresses",
            "displayName",
            "description",
            "managedBy",
            "legacyExchangeDN",
            "msExchHideFromAddressLists",
            "msExchRecipientDisplayType",
        ]
    }

    fn tombstones(&self) -> &'static [(&'static str, ObjectKind)] {
        // Computers and foreign principals do not come in, but groups for mail may have them as members.
        &[
            ("group", ObjectKind::Group),
            (DYNAMIC_GROUP, ObjectKind::Group),
            ("computer", ObjectKind::Computer),
            ("user", ObjectKind::User),
            ("contact", ObjectKind::User),
            ("foreignSecurityPrincipal", ObjectKind::User),
        ]
    }

    fn contacts_apart(&self) -> Result<Option<Filter>> {
        // Those that are enabled for mail are listed.
        let contacts = Filter::parse("(&(objectCategory=person)(objectClass=contact))")?;
        Ok(Some(Filter::and([contacts, Filter::parse(RECIPIENTS)?.negate()])))
    }

    fn choices(&self) -> Vec<(&'static str, String)> {
        vec![("route", "ldap".to_owned())]
    }

    fn exclusion(&self, class: Class, entry: &Entry, _: &Dn, head: &DomainHead) -> Result<Option<Exclusion>> {
        let recipient = match class {
            Class::Groups => Recipient::of_group(entry)?,
            _ => match exclusion::of_account(entry, head)? {
                None => Recipient::of_user(entry)?,
                excluded => return Ok(excluded),
            },
        };
        Ok(match recipient {
            Recipient::None(exclusion) => Some(exclusion),
            Recipient::User(_) | Recipient::Group(_) => None,
        })
    }

    fn patch(&self, class: Class, entry: &Entry, guid: Uuid, dn: &Dn, moment: &Moment) -> Result<Patch> {
        let recipient = if class == Class::Groups { Recipient::of_group(entry) } else { Recipient::of_user(entry) };
        match recipient? {
            Recipient::User(user) => own::user(entry, guid, dn, &user, moment),
            Recipient::Group(group) => own::group(entry, guid, dn, &group),
            Recipient::None(reason) => Err(tenantry::Error::protocol(reason)),
        }
    }

    fn membership(&self, group: &Entry) -> Membership {
        if recipient::is_dynamic(group).unwrap_or(false) { Membership::Unknown } else { Membership::Listed }
    }
}

#[cfg(test)]
mod tests;
