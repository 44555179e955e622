//! Reads users, groups and devices of one Google Workspace account through the Admin SDK Directory API.
//!
//! It translates what the API says into patches and edges, and says where that is incomplete. It must not know what is
//! stored, what changed since, or what becomes of it.
//!
//! How it stays complete, or says that it is not:
//!
//! - The whole account is listed (`customer`), one domain only where the configuration says so. Every mask of fields asks
//!   for the next page's token: without it a listing would end silently after its first page.
//! - A listing may take an hour there, behind which it fails. Users that take longer are listed from the other end of the
//!   alphabet, until both halves meet; members are read group by group, so that no listing lasts for all of them.
//! - Direct members only: the API's own view of nested members is late and has been seen to leave some out. Members of
//!   every type come as edges, also everyone (`CUSTOMER`) and addresses of others.
//! - Errors are told apart by their reason, never by their status alone: a quota is waited for, a missing scope or
//!   privilege is named, and none of them is an empty listing.
//! - Who is not found is looked for among the deleted users, who can be had back for 20 days.
//! - There is no delta in this API. Changes are read by the audit log's hints, members of some groups by turns, and
//!   everything again once a day: see [`Changes`] for what that means. Each run reports how old each part may be.

mod actor;
mod client;
mod config;
mod cursor;
mod delta;
mod endpoint;
mod error;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod hints;
mod ids;
mod key;
mod listing;
mod lookup;
mod map;
mod members;
mod operation;
mod owners;
mod sign_in;
mod snapshot;
mod turns;
mod verify;
mod wire;

pub use config::{Changes, Devices, GsuiteConfig, Quota, Writes};
pub use endpoint::Gsuite;
pub use key::check_key;
pub use operation::{MOBILE, REPORTS, USER};
