//! Reads one Active Directory domain, whatever a connector makes of its objects.
//!
//! Active Directory itself and Exchange, which keeps its recipients there, are two views of the same objects. What such a
//! view consists of is a [`Profile`]; everything else is here: which controller answers, listings, deltas by change
//! numbers and by DirSync, members, single look-ups, resume points. It must not know any provider.
//!
//! How it stays complete, or says that it is not:
//!
//! - A listing is cut into slices by `uSNCreated`, which never changes on one controller. A checkpoint lies behind each
//!   slice and is bound to that controller's invocation id; another controller, or one that was restored, is a conflict.
//! - An object whose `uSNCreated` cannot be read would be missed by every slice: the last one asks for these too.
//! - A domain controller leaves out attributes without values, and also those that may not be read. For attributes that
//!   every account has (`userAccountControl`, `pwdLastSet`, …) absence is taken as *unknown*, for others as *empty*.
//! - A group without members looks like one whose members may not be read. It counts as empty only if the account can read
//!   members of the built-in administrators, and no object names the group among its own.
//! - A delta reads what has a higher change number than the last run, from the same database or not at all. Who is out of
//!   scope is named by an answer; who is merely absent is not. What lies in a changed container has no number of its own
//!   for that: it is listed.

mod config;
mod connection;
mod controller;
mod cursor;
mod delta;
mod dirsync;
pub mod error;
pub mod exclusion;
#[cfg(feature = "testkit")]
pub mod fixtures;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod gathering;
mod listing;
mod lookup;
pub mod map;
mod members;
mod probe;
mod profile;
mod reader;
mod resume;
mod search;
mod slices;
mod snapshot;
mod usn;
mod verify;

pub use config::{DeltaMethod, DomainConfig};
pub use connection::{Connection, HeldCookie, Paged};
pub use controller::{Controller, DomainHead};
pub use listing::{Class, Detail, Found, Listed, read};
pub use profile::{Decisive, Membership, Profile};
pub use reader::Domain;
