//! Reads the recipients of an on-premises Exchange organisation. It must not know what is stored, what changed since, or
//! what becomes of it.

mod ews;
mod ldap;

pub use ews::{Ews, EwsAuth, EwsConfig};
pub use ldap::{Ldap, LdapConfig};

#[cfg(any(test, fuzzing))]
pub use ews::fuzzing;
