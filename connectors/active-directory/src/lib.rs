//! Reads users, groups and computers of one Active Directory domain over LDAP.
//!
//! It translates what a domain controller says into patches and edges, and says where that is incomplete. It must not
//! know what is stored, what changed since, or what becomes of it.
//!
//! Which objects come in and what their attributes mean is said here, as a profile. How a domain is read, and how a listing
//! stays complete or says that it is not, is `tenantry_ldap::domain`'s to say.

mod actor;
mod config;
mod endpoint;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod map;
mod own;
mod profile;

pub use config::{ActiveDirectoryConfig, BuiltinGroups, Contacts};
pub use endpoint::ActiveDirectory;
pub use tenantry_ldap::domain::{DeltaMethod, DomainConfig};
