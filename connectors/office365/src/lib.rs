//! Imports users, groups, memberships and devices of an Entra tenant through Microsoft Graph.
//!
//! It translates what Graph says into patches and edges, and says where that is incomplete. It must not know what is
//! stored, what changed since, or what becomes of it.

mod actor;
mod asleep;
mod auth;
mod client;
mod config;
mod cursor;
mod delta;
mod endpoint;
mod error;
mod grants;
mod lanes;
mod listing;
mod lookup;
mod map;
mod operation;
mod rates;
mod replay;
mod requests;
mod rights;
mod round;
mod slices;
mod snapshot;
mod verify;
mod wire;

pub use config::{Assertion, Cloud, Credential, Enrichment, Office365Config, Quota};
pub use endpoint::Office365;
