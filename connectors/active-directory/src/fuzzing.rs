//! What a fuzzer may call: the readers of entries, with what must hold of their answers.
//!
//! It exists under `cfg(fuzzing)` only, is no part of the interface, and must not hold a reader of its own.

#![allow(missing_docs, clippy::missing_panics_doc, reason = "a panic is how a fuzzer is told")]

use tenantry::model::{Patch, Value, names};
use tenantry_ldap::domain::map::Moment;
use tenantry_ldap::domain::{Class, Profile as _};
use tenantry_ldap::{Dn, Entry};
use uuid::Uuid;

use crate::profile::Accounts;

/// Whatever an entry holds gives a patch or an error, and a patch makes sense.
pub fn entry(entry: &Entry) {
    let guid = Uuid::from_u128(7);
    let dn = Dn::parse(entry.dn()).unwrap_or_else(|_| Dn::parse("CN=x,DC=corp,DC=example").expect("a name"));
    let moment = Moment { now: 1_700_000_000_000, lockout: None };
    let check = |patch: Patch| {
        let address = |value: &str| value.contains('@') && !value.contains(char::is_whitespace);
        let primary = patch.attributes.text(&names::PRIMARY_EMAIL).map(str::to_owned);
        assert!(primary.as_deref().is_none_or(address));
        for (_, value) in patch.attributes.iter() {
            // Empty is a value of its own: a text is never empty.
            assert!(!matches!(value, Value::Text(text) if text.is_empty()));
        }
        if let Some(Value::List(aliases)) = patch.attributes.get(&names::ALIASES) {
            assert!(aliases.iter().all(|alias| address(alias)));
            assert!(aliases.iter().all(|alias| primary.as_deref().is_none_or(|one| !one.eq_ignore_ascii_case(alias))));
        }
    };
    let read = |class| Accounts::default().patch(class, entry, guid, &dn, &moment);
    [Class::Users, Class::Groups, Class::Computers].map(read).into_iter().flatten().for_each(check);
}
