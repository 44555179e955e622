//! The route through Active Directory, where Exchange keeps its recipients: every version from 2003 on.
//!
//! It is a view of a domain, read by `tenantry_ldap::domain`. It knows nothing of Exchange Web Services.

mod endpoint;
mod map;
mod organisation;
mod profile;
mod recipient;

pub use endpoint::{Ldap, LdapConfig};
