//! Reads users, groups and computers of one Active Directory domain over LDAP.
//!
//! It translates what a domain controller says into patches and edges, and says where that is incomplete. It must not
//! know what is stored, what changed since, or what becomes of it.
//!
//! How it stays complete, or says that it is not:
//!
//! - A listing is cut into slices by `uSNCreated`, which never changes on one controller. A checkpoint lies behind each
//!   slice and is bound to that controller's invocation id; another controller, or one that was restored, is a conflict.
//! - An object whose `uSNCreated` cannot be read would be missed by every slice: the last one asks for these too.
//! - Active Directory leaves out attributes without values, and also those that may not be read. For attributes that
//!   every account has (`userAccountControl`, `pwdLastSet`, …) absence is taken as *unknown*, for others as *empty*.
//! - A group without members looks like one whose members may not be read. It counts as empty only if the account can read
//!   members of the built-in administrators, and no object names the group among its own.
//! - A delta reads what has a higher change number than the last run, from the same database or not at all. Who is out of
//!   scope is named by an answer; who is merely absent is not. What lies in a changed container has no number of its own
//!   for that: it is listed.

mod actor;
mod config;
mod connection;
mod controller;
mod cursor;
mod delta;
mod dirsync;
mod endpoint;
mod error;
mod exclusion;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod gathering;
mod listing;
mod lookup;
mod map;
mod members;
mod own;
mod probe;
mod resume;
mod search;
mod slices;
mod snapshot;
mod usn;
mod verify;

pub use config::{ActiveDirectoryConfig, BuiltinGroups, Contacts, DeltaMethod};
pub use endpoint::ActiveDirectory;
